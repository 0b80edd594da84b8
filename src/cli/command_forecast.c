/* What comes in as timestamp,value goes out with eta_s and confidence: a line for each line, at
 * once.
 */
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/series_lines.h"
#include "core/forecast.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define COMPLAINTS_MAX 20 /* lines; more would only scroll the first ones away */
#define OUTPUT_SIZE    (64 * 1024)

struct forecasting {
    struct forecast forecast;
    struct series_lines lines;
    double threshold;
    const char *side; /* NULL: the first value says on which it begins */
    bool has_begun, has_header;
    uint64_t bad, late;
};

/* Where the input has none; what it has goes on as it is, with names for the new columns. */
static void write_header(struct forecasting *forecasting, const struct series_line *line)
{
    if (forecasting->has_header || line->kind == LINE_BLANK)
        return;
    forecasting->has_header = true;
    if (line->kind == LINE_HEADER)
        printf("%.*s,eta_s,confidence\n", (int)line->length, line->text);
    else
        puts("timestamp,value,eta_s,confidence");
}

static void complain(struct forecasting *forecasting, const struct series_line *line)
{
    if (forecasting->bad++ < COMPLAINTS_MAX)
        fprintf(stderr, "moonwatch forecast: line %" PRIu64 ": %s; it is passed over\n",
                line->number, line->complaint);
    if (forecasting->bad == COMPLAINTS_MAX)
        fputs("moonwatch forecast: further lines like these are only counted\n", stderr);
}

static void begin(struct forecasting *forecasting, double value)
{
    bool falls = forecasting->side == NULL ? value > forecasting->threshold
                                           : strcmp(forecasting->side, "below") == 0;
    forecasting->has_begun = true;
    forecast_init(&forecasting->forecast, forecasting->threshold,
                  falls ? FORECAST_FALLS : FORECAST_RISES);
}

static void write_outlook(const struct series_line *line, const struct outlook *outlook)
{
    printf("%.*s,", (int)line->length, line->text);
    if (!isnan(outlook->eta_s))
        printf("%.1f", outlook->eta_s);
    printf(",%.4f\n", outlook->confidence);
}

/* A gap, or a line that is none: nothing is said of it. */
static void write_nothing(const struct series_line *line)
{
    bool is_whole = memchr(line->text, ',', line->length) != NULL;
    printf("%.*s%s\n", (int)line->length, line->text, is_whole ? ",," : ",,,");
}

static void write_line(struct forecasting *forecasting, const struct series_line *line)
{
    write_header(forecasting, line);
    if (line->kind == LINE_HEADER)
        return;
    if (line->kind == LINE_BLANK) {
        putchar('\n');
        return;
    }
    if (line->kind == LINE_BAD)
        complain(forecasting, line);
    if (line->kind != LINE_VALUE) {
        write_nothing(line);
        return;
    }
    if (!forecasting->has_begun)
        begin(forecasting, line->value);
    if (forecast_add(&forecasting->forecast, line->t_s, line->value)) {
        write_outlook(line, forecast_outlook(&forecasting->forecast));
        return;
    }
    forecasting->late++;
    write_nothing(line);
}

static int finish(const struct forecasting *forecasting)
{
    if (forecasting->lines.error != 0) {
        fprintf(stderr, "moonwatch forecast: can't read the input after line %" PRIu64 ": %s\n",
                forecasting->lines.number, strerror(forecasting->lines.error));
        return EXIT_FAILED;
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "moonwatch forecast: can't write the output: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    if (forecasting->late > 0)
        fprintf(stderr,
                "moonwatch forecast: %" PRIu64 " lines, not later than one before, were left out\n",
                forecasting->late);
    if (forecasting->bad > 0) {
        fprintf(stderr, "moonwatch forecast: %" PRIu64 " of %" PRIu64 " lines were passed over\n",
                forecasting->bad, forecasting->lines.number);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

static int run(struct forecasting *forecasting)
{
    static char output[OUTPUT_SIZE];
    struct series_line line;
    series_lines_init(&forecasting->lines, STDIN_FILENO);
    setvbuf(stdout, output, _IOFBF, sizeof output);
    do {
        if (series_lines_may_wait(&forecasting->lines) && fflush(stdout) != 0)
            break; /* nobody reads any more */
        if (!series_lines_next(&forecasting->lines, &line))
            break;
        write_line(forecasting, &line);
    } while (true);
    return finish(forecasting);
}

int command_forecast(int argc, char *argv[])
{
    static struct forecasting forecasting; /* too large for a careful stack */
    memset(&forecasting, 0, sizeof forecasting);
    const struct argument rows[] = {
        {.name = "threshold",
         .type = ARGUMENT_REAL,
         .value_name = "X",
         .target = &forecasting.threshold,
         .need = ARGUMENT_REQUIRED,
         .sentence = "Where it hurts."},
        {.name = "side",
         .type = ARGUMENT_TEXT,
         .value_name = "SIDE",
         .target = &forecasting.side,
         .sentence =
             "above or below: on which side of it; else the one that the first value is not "
             "on."},
    };
    const struct argument_spec spec = {.rows = rows, .count = sizeof rows / sizeof rows[0]};
    enum arguments_result parsed = arguments_parse(argc, argv, &spec);
    if (parsed != ARGUMENTS_OK)
        return arguments_exit_status(parsed);
    const char *side = forecasting.side;
    if (side != NULL && strcmp(side, "above") != 0 && strcmp(side, "below") != 0) {
        fprintf(stderr, "moonwatch forecast: --side %s: above or below\n", side);
        return EXIT_USAGE;
    }
    return run(&forecasting);
}
