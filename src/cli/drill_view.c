/* See drill_view.h. */
#include "cli/drill_view.h"

#include "base/json.h"
#include "cli/terminal.h"
#include <math.h>
#include <string.h>

#define NAME_WIDTH 24
#define TIME_WIDTH 16

static void print_cell(FILE *out, const char *text, size_t width)
{
    for (size_t used = terminal_columns(text); used < width; used++)
        fputc(' ', out);
    fputs(text, out);
}

static void print_span(FILE *out, double seconds)
{
    char text[32] = "–";
    if (seconds < 1)
        snprintf(text, sizeof text, "%.0f ms", seconds * 1000);
    else if (!isnan(seconds))
        snprintf(text, sizeof text, "%.2f s", seconds);
    print_cell(out, text, TIME_WIDTH);
}

static void print_run(FILE *out, const struct runner_run *run)
{
    const struct drill_result *result = &run->result;
    struct terminal_style style = terminal_style(out);
    const char *colour = result->verdict == DRILL_HEALED   ? style.green
                         : result->verdict == DRILL_FAILED ? style.red
                                                           : style.yellow;
    char lost[48];
    fprintf(out, "%-*s", NAME_WIDTH, run->row->name);
    print_span(out, result->noticed_s);
    print_span(out, result->recovered_s);
    snprintf(lost, sizeof lost, "%u of %u", result->lost, result->acknowledged);
    print_cell(out, lost, TIME_WIDTH);
    fprintf(out, "   %s%s%s%s%s\n", colour, drill_verdict_name(result->verdict), style.end,
            result->reason[0] == '\0' ? "" : ": ", result->reason);
}

static unsigned count_of(const struct runner_run *runs, size_t count, enum drill_verdict verdict)
{
    unsigned of = 0;
    for (size_t i = 0; i < count; i++)
        of += runs[i].state == RUN_DONE && runs[i].result.verdict == verdict;
    return of;
}

void drill_view_table(FILE *out, const struct runner_run *runs, size_t count)
{
    struct terminal_style style = terminal_style(out);
    fprintf(out, "%s%-*s%*s%*s%*s   verdict%s\n", style.bold, NAME_WIDTH, "fault", TIME_WIDTH,
            "noticed after", TIME_WIDTH, "recovered after", TIME_WIDTH, "tokens lost", style.end);
    for (size_t i = 0; i < count; i++)
        print_run(out, &runs[i]);
    fprintf(out, "%zu drill%s: %u healed, %u failed, %u skipped\n", count, count == 1 ? "" : "s",
            count_of(runs, count, DRILL_HEALED), count_of(runs, count, DRILL_FAILED),
            count_of(runs, count, DRILL_SKIPPED));
}

void drill_view_list(FILE *out)
{
    struct terminal_style style = terminal_style(out);
    for (size_t i = 0; i < drill_count(); i++) {
        const struct drill_row *row = drill_row(i);
        fprintf(out, "%s%-*s%s", style.bold, NAME_WIDTH, row->name, style.end);
        terminal_write_wrapped(out, row->fault,
                               (struct terminal_wrap){.column = NAME_WIDTH,
                                                      .indent = NAME_WIDTH,
                                                      .width = (size_t)terminal_width(out)});
    }
}

static void json_run(struct json *json, const struct runner_run *run)
{
    const struct drill_result *result = &run->result;
    json_object_open(json, NULL);
    json_put_string(json, "name", run->row->name);
    json_put_string(json, "fault", run->row->fault);
    json_put_double(json, "noticed_after_s", result->noticed_s);
    json_put_double(json, "recovered_after_s", result->recovered_s);
    json_put_int(json, "tokens_acknowledged", result->acknowledged);
    json_put_int(json, "tokens_lost", result->lost);
    json_put_int(json, "requests", result->asked);
    json_put_int(json, "requests_failed", result->unanswered);
    json_put_int(json, "connections", result->connections);
    json_put_string(json, "verdict", drill_verdict_name(result->verdict));
    json_put_string(json, "reason", result->reason[0] == '\0' ? NULL : result->reason);
    json_put_double(json, "took_s", result->took_s);
    json_object_open(json, "figures");
    for (uint32_t i = 0; i < result->figure_count; i++)
        json_put_double(json, result->figures[i].name, result->figures[i].value);
    json_object_close(json);
    json_object_close(json);
}

void drill_view_json(FILE *out, const struct runner_run *runs, size_t count)
{
    struct json json = {0};
    json_object_open(&json, NULL);
    json_array_open(&json, "drills");
    for (size_t i = 0; i < count; i++)
        json_run(&json, &runs[i]);
    json_array_close(&json);
    json_put_int(&json, "healed", count_of(runs, count, DRILL_HEALED));
    json_put_int(&json, "failed", count_of(runs, count, DRILL_FAILED));
    json_put_int(&json, "skipped", count_of(runs, count, DRILL_SKIPPED));
    json_object_close(&json);
    fprintf(out, "%s\n", json.failed ? "null" : json.text);
    json_finish(&json);
}
