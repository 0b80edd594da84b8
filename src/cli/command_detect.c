/* What comes in as timestamp,value goes out with an anomaly_score: a line for each line, at once.
 */
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/series_filter.h"
#include "core/anomaly.h"
#include <math.h>
#include <stdio.h>

static void on_line(void *context, const struct series_line *line)
{
    double value = line->kind == LINE_VALUE ? line->value : NAN;
    double score = anomaly_add(context, line->t_s, value);
    printf("%.*s,%.6f\n", (int)line->length, line->text, score);
}

int command_detect(int argc, char *argv[])
{
    static const struct series_verb verb = {.name = "detect",
                                            .columns = ",anomaly_score",
                                            .omission = "no score for it",
                                            .omitted = "have no score",
                                            .on_line = on_line};
    static struct anomaly anomaly; /* too large for a careful stack */
    static struct series_filter filter = {.verb = &verb, .context = &anomaly};
    enum arguments_result parsed = arguments_parse(argc, argv, &(struct argument_spec){0});
    if (parsed != ARGUMENTS_OK)
        return arguments_exit_status(parsed);
    anomaly_init(&anomaly);
    return series_filter_run(&filter) ? series_filter_end(&filter) : EXIT_FAILED;
}
