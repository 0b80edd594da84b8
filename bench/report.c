/* See report.h. */
#include "bench/report.h"

#include "base/json.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct figure *report_add(struct report *report, const char *name, const char *unit)
{
    if (report->count == FIGURES_MAX) {
        fprintf(stderr, "bench: more than %d figures\n", FIGURES_MAX);
        abort();
    }
    struct figure *figure = &report->figures[report->count++];
    *figure = (struct figure){.value = NAN, .low = NAN, .high = NAN, .ratio = NAN};
    snprintf(figure->name, sizeof figure->name, "%s", name);
    snprintf(figure->unit, sizeof figure->unit, "%s", unit);
    return figure;
}

struct figure *report_add_sample(struct report *report, const char *name, const char *unit,
                                 const struct sample *sample)
{
    struct figure *figure = report_add(report, name, unit);
    figure->value = sample_median(sample);
    figure->low = sample_quantile(sample, 0.25);
    figure->high = sample_quantile(sample, 0.75);
    figure->rounds = sample->count;
    if (sample->count == 0)
        snprintf(figure->note, sizeof figure->note, "no round succeeded");
    return figure;
}

struct figure *report_add_missing(struct report *report, const char *name, const char *unit,
                                  const char *why)
{
    struct figure *figure = report_add(report, name, unit);
    snprintf(figure->note, sizeof figure->note, "%s", why);
    return figure;
}

const struct figure *report_find(const struct report *report, const char *name)
{
    for (size_t i = 0; i < report->count; i++)
        if (strcmp(report->figures[i].name, name) == 0)
            return &report->figures[i];
    return NULL;
}

void figure_compare(struct figure *figure, const struct report *report, const char *against)
{
    const struct figure *other = report_find(report, against);
    if (other == NULL || isnan(other->value))
        return;
    snprintf(figure->against, sizeof figure->against, "%s", against);
    figure->ratio = figure->value / other->value;
}

static bool is_of_ratio(enum bar_kind kind)
{
    return kind == BAR_RATIO_MOST || kind == BAR_RATIO_LEAST;
}

static bool is_least(enum bar_kind kind)
{
    return kind == BAR_VALUE_LEAST || kind == BAR_RATIO_LEAST;
}

enum figure_verdict figure_verdict(const struct figure *figure)
{
    double judged = is_of_ratio(figure->bar_kind) ? figure->ratio : figure->value;
    if (figure->bar_kind == BAR_NONE || isnan(judged))
        return FIGURE_UNJUDGED;
    bool holds = is_least(figure->bar_kind) ? judged >= figure->bar : judged <= figure->bar;
    return holds ? FIGURE_HOLDS : FIGURE_FAILS;
}

/* "≤ 25 ms", "≥ 0.5 ×" or "". */
#define BAR_SIZE 48
static void format_bar(const struct figure *figure, char out[BAR_SIZE])
{
    out[0] = '\0';
    if (figure->bar_kind != BAR_NONE)
        snprintf(out, BAR_SIZE, "%s %g %s", is_least(figure->bar_kind) ? "≥" : "≤", figure->bar,
                 is_of_ratio(figure->bar_kind) ? "×" : figure->unit);
}

/* ---- the table ---- */

/* printf counts bytes, a terminal columns. */
static void print_cell(const char *text, int width)
{
    int columns = 0;
    for (const char *c = text; *c != '\0'; c++)
        columns += ((unsigned char)*c & 0xC0) != 0x80;
    printf("%s%*s", text, columns < width ? width - columns : 0, "");
}

static void print_value(const struct figure *figure)
{
    char text[64];
    if (isnan(figure->value)) {
        printf("%12s %-8s %-20s", "-", figure->unit, "");
        return;
    }
    text[0] = '\0';
    if (figure->rounds > 1)
        snprintf(text, sizeof text, "%.2f … %.2f", figure->low, figure->high);
    printf("%12.2f %-8s ", figure->value, figure->unit);
    print_cell(text, 20);
}

static void print_figure(const struct figure *figure)
{
    static const char *const verdicts[] = {
        [FIGURE_UNJUDGED] = "", [FIGURE_HOLDS] = "holds", [FIGURE_FAILS] = "DOES NOT HOLD"};
    char text[128], bar[BAR_SIZE];
    print_cell(figure->name, 34);
    print_value(figure);
    text[0] = '\0';
    if (!isnan(figure->ratio))
        snprintf(text, sizeof text, "%.2f × %s", figure->ratio, figure->against);
    print_cell(text, 40);
    format_bar(figure, bar);
    print_cell(bar, 11);
    printf("%s", verdicts[figure_verdict(figure)]);
    if (figure->note[0] != '\0')
        printf("  (%s)", figure->note);
    putchar('\n');
}

void report_print(const struct report *report, size_t first)
{
    printf("%-34s%12s %-8s %-20s%-40s%-11s\n", "figure", "median", "", "quartiles", "ratio", "bar");
    for (size_t i = first; i < report->count; i++)
        print_figure(&report->figures[i]);
    fflush(stdout);
}

/* ---- JSON ---- */

static void put_text_or_null(struct json *json, const char *key, const char *text)
{
    json_put_string(json, key, text[0] == '\0' ? NULL : text);
}

static void write_figure(struct json *json, const struct figure *figure)
{
    char bar[BAR_SIZE];
    enum figure_verdict verdict = figure_verdict(figure);
    format_bar(figure, bar);
    json_object_open(json, NULL);
    json_put_string(json, "name", figure->name);
    json_put_double(json, "value", figure->value);
    json_put_string(json, "unit", figure->unit);
    put_text_or_null(json, "against", figure->against);
    json_put_double(json, "ratio", figure->ratio);
    put_text_or_null(json, "bar", bar);
    if (verdict == FIGURE_UNJUDGED)
        json_put_null(json, "holds");
    else
        json_put_bool(json, "holds", verdict == FIGURE_HOLDS);
    json_put_double(json, "quartile_low", figure->low);
    json_put_double(json, "quartile_high", figure->high);
    json_put_int(json, "rounds", (int64_t)figure->rounds);
    put_text_or_null(json, "note", figure->note);
    json_object_close(json);
}

bool report_write(const struct report *report, const char *path)
{
    struct json json = {0};
    json_object_open(&json, NULL);
    json_array_open(&json, "figures");
    for (size_t i = 0; i < report->count; i++)
        write_figure(&json, &report->figures[i]);
    json_array_close(&json);
    json_object_close(&json);
    FILE *file = json.failed ? NULL : fopen(path, "w");
    bool written = file != NULL && fprintf(file, "%s\n", json.text) > 0;
    written = file != NULL && fclose(file) == 0 && written;
    json_finish(&json);
    return written;
}
