/* What comes in as timestamp,value goes out with eta_s and confidence: a line for each line, at
 * once.
 */
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/series_filter.h"
#include "core/forecast.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct forecasting {
    struct series_filter filter;
    struct forecast forecast;
    double threshold;
    const char *side; /* NULL: the first value says on which it begins */
    bool has_begun;
    uint64_t late;
};

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

static void on_line(void *context, const struct series_line *line)
{
    struct forecasting *forecasting = context;
    if (line->kind == LINE_GAP) {
        series_filter_write_nothing(&forecasting->filter, line);
        return;
    }
    if (!forecasting->has_begun)
        begin(forecasting, line->value);
    if (forecast_add(&forecasting->forecast, line->t_s, line->value)) {
        write_outlook(line, forecast_outlook(&forecasting->forecast));
        return;
    }
    forecasting->late++;
    series_filter_write_nothing(&forecasting->filter, line);
}

static int run(struct forecasting *forecasting)
{
    if (!series_filter_run(&forecasting->filter))
        return EXIT_FAILED;
    if (forecasting->late > 0)
        fprintf(stderr,
                "moonwatch forecast: %" PRIu64 " lines, not later than one before, were left out\n",
                forecasting->late);
    return series_filter_end(&forecasting->filter);
}

static const struct series_verb verb = {.name = "forecast",
                                        .columns = ",eta_s,confidence",
                                        .omission = "it is passed over",
                                        .omitted = "were passed over",
                                        .on_line = on_line};

int command_forecast(int argc, char *argv[])
{
    static struct forecasting forecasting; /* too large for a careful stack */
    memset(&forecasting, 0, sizeof forecasting);
    forecasting.filter.verb = &verb;
    forecasting.filter.context = &forecasting;
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
         .choices = "above|below|",
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
