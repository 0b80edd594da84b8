/* What comes in as timestamp,value goes out with an anomaly_score: a line for each line, at once.
 */
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/series_lines.h"
#include "core/anomaly.h"
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#define COMPLAINTS_MAX 20 /* lines; more would only scroll the first ones away */
#define OUTPUT_SIZE    (64 * 1024)

struct detection {
    struct anomaly anomaly;
    struct series_lines lines;
    bool has_header;
    uint64_t bad;
};

/* Where the input has none; what it has goes on as it is, with a name for the new column. */
static void write_header(struct detection *detection, const struct series_line *line)
{
    if (detection->has_header || line->kind == LINE_BLANK)
        return;
    detection->has_header = true;
    if (line->kind == LINE_HEADER)
        printf("%.*s,anomaly_score\n", (int)line->length, line->text);
    else
        puts("timestamp,value,anomaly_score");
}

static void complain(struct detection *detection, const struct series_line *line)
{
    if (detection->bad++ < COMPLAINTS_MAX)
        fprintf(stderr, "moonwatch detect: line %" PRIu64 ": %s; no score for it\n", line->number,
                line->complaint);
    if (detection->bad == COMPLAINTS_MAX)
        fputs("moonwatch detect: further lines like these are only counted\n", stderr);
}

static void write_line(struct detection *detection, const struct series_line *line)
{
    write_header(detection, line);
    switch (line->kind) {
    case LINE_HEADER:
        return;
    case LINE_BLANK:
        putchar('\n');
        return;
    case LINE_BAD:
        complain(detection, line);
        bool is_whole = memchr(line->text, ',', line->length) != NULL;
        printf("%.*s%s\n", (int)line->length, line->text, is_whole ? "," : ",,");
        return;
    case LINE_GAP:
    case LINE_VALUE:
        break;
    }
    double value = line->kind == LINE_VALUE ? line->value : NAN;
    double score = anomaly_add(&detection->anomaly, line->t_s, value);
    printf("%.*s,%.6f\n", (int)line->length, line->text, score);
}

static int finish(const struct detection *detection)
{
    if (detection->lines.error != 0) {
        fprintf(stderr, "moonwatch detect: can't read the input after line %" PRIu64 ": %s\n",
                detection->lines.number, strerror(detection->lines.error));
        return EXIT_FAILED;
    }
    if (fflush(stdout) != 0 || ferror(stdout)) {
        fprintf(stderr, "moonwatch detect: can't write the output: %s\n", strerror(errno));
        return EXIT_FAILED;
    }
    if (detection->bad > 0) {
        fprintf(stderr, "moonwatch detect: %" PRIu64 " of %" PRIu64 " lines have no score\n",
                detection->bad, detection->lines.number);
        return EXIT_FAILED;
    }
    return EXIT_DONE;
}

int command_detect(int argc, char *argv[])
{
    static struct detection detection; /* too large for a careful stack */
    static char output[OUTPUT_SIZE];
    struct series_line line;
    enum arguments_result parsed = arguments_parse(argc, argv, &(struct argument_spec){0});
    if (parsed != ARGUMENTS_OK)
        return arguments_exit_status(parsed);
    anomaly_init(&detection.anomaly);
    series_lines_init(&detection.lines, STDIN_FILENO);
    detection.has_header = false;
    detection.bad = 0;
    setvbuf(stdout, output, _IOFBF, sizeof output);
    do {
        if (series_lines_may_wait(&detection.lines) && fflush(stdout) != 0)
            break; /* nobody reads any more */
        if (!series_lines_next(&detection.lines, &line))
            break;
        write_line(&detection, &line);
    } while (true);
    return finish(&detection);
}
