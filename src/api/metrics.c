#include "api/metrics.h"

#include "api/metric_values.h"
#include "base/json.h"
#include <assert.h>
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#define PREFIX "moonwatch_"
#define TOTAL  "_total"

enum metric_type { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

struct metric {
    const char *name; /* without PREFIX */
    enum metric_type type;
    const char *help;
    enum dimension by, then_by;
    metric_value *value; /* NULL: a histogram */
    unsigned index;      /* of a plain word, or of the histogram, on the page */
};

static const char *const type_names[] = {
    [METRIC_COUNTER] = "counter", [METRIC_GAUGE] = "gauge", [METRIC_HISTOGRAM] = "histogram"};

#define WORD(kind, reader, where, text, sentence)                                                  \
    {.name = (text), .type = (kind), .help = (sentence), .value = (reader), .index = (where)},
#define READING(id, name, help) WORD(METRIC_GAUGE, metric_reading, id, "load_" name, help)

static const struct metric metrics[] = {
#define COUNTER(id, name, help) WORD(METRIC_COUNTER, metric_counter, id, name, help)
#define SUM(id, name, help)     WORD(METRIC_COUNTER, metric_gauge, id, name, help)
#define GAUGE(id, name, help)   WORD(METRIC_GAUGE, metric_gauge, id, name, help)
#define READINGS()              LOAD_READING_LIST(READING)
#define HISTOGRAM(id, text, scale, dimension, sentence)                                            \
    {.name = (text),                                                                               \
     .type = METRIC_HISTOGRAM,                                                                     \
     .help = (sentence),                                                                           \
     .by = (dimension),                                                                            \
     .index = (id)},
#define FAMILY(kind, text, dimension, second, reader, sentence)                                    \
    {.name = (text),                                                                               \
     .type = (kind),                                                                               \
     .help = (sentence),                                                                           \
     .by = (dimension),                                                                            \
     .then_by = (second),                                                                          \
     .value = metric_##reader},
#include "page/metrics.def"
};

#define METRICS (sizeof metrics / sizeof metrics[0])

/* ---- for Prometheus ---- */

/* The head comes with the first sample: without any there is nothing to explain. */
struct family {
    FILE *out;
    const struct metric *metric;
    bool has_head;
};

static void write_head(struct family *family)
{
    const struct metric *metric = family->metric;
    if (!family->has_head)
        fprintf(family->out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", metric->name,
                metric->help, metric->name, type_names[metric->type]);
    family->has_head = true;
}

/* name="value", spaces as "_": scripts split lines at them. */
static void write_label(FILE *out, char before, enum dimension dimension, unsigned i)
{
    fprintf(out, "%c%s=\"", before, dimension_label(dimension));
    for (const char *at = dimension_name(dimension, i); *at != '\0'; at++)
        putc(*at == ' ' ? '_' : *at, out);
    putc('"', out);
}

/* Of one sample; `le` is a histogram's own, or NULL. */
static void write_labels(const struct family *family, unsigned i, unsigned j, const char *le)
{
    const struct metric *metric = family->metric;
    char before = '{';
    if (metric->by != BY_NOTHING) {
        write_label(family->out, before, metric->by, i);
        before = ',';
    }
    if (metric->then_by != BY_NOTHING) {
        write_label(family->out, before, metric->then_by, j);
        before = ',';
    }
    if (le != NULL) {
        fprintf(family->out, "%cle=\"%s\"", before, le);
        before = ',';
    }
    if (before == ',')
        putc('}', family->out);
}

static const char *number_text(double value, char out[32])
{
    json_number_format(value, out);
    return out;
}

static void write_value(struct family *family, const struct metric_view *view, unsigned i,
                        unsigned j)
{
    const struct metric *metric = family->metric;
    double value = metric->value(view, metric->index + i, j);
    char text[32];
    if (!isfinite(value))
        return;
    write_head(family);
    fprintf(family->out, PREFIX "%s", metric->name);
    write_labels(family, i, j, NULL);
    fprintf(family->out, " %s\n", number_text(value, text));
}

static void write_part(const struct family *family, const char *part, unsigned i)
{
    fprintf(family->out, PREFIX "%s_%s", family->metric->name, part);
    write_labels(family, i, 0, NULL);
}

/* Counts are of what is at most so long: those of all buckets before, added up. */
static void write_histogram(struct family *family, const struct metric_view *view, unsigned i)
{
    enum page_histogram_id id = (enum page_histogram_id)family->metric->index;
    const struct histogram_scale *scale = histogram_scale(page_histogram_scale(id));
    const struct histogram histogram = page_histogram(view->page, id, i);
    uint64_t count = 0;
    char text[32];
    write_head(family);
    for (unsigned k = 0; k <= scale->count; k++) {
        count += histogram.counts[k];
        fprintf(family->out, PREFIX "%s_bucket", family->metric->name);
        write_labels(family, i, 0,
                     k < scale->count ? number_text((double)scale->bounds_us[k] / 1e6, text)
                                      : "+Inf");
        fprintf(family->out, " %" PRIu64 "\n", count);
    }
    write_part(family, "sum", i);
    fprintf(family->out, " %s\n", number_text((double)histogram.sum_us / 1e6, text));
    write_part(family, "count", i);
    fprintf(family->out, " %" PRIu64 "\n", count);
}

void metrics_write(FILE *out, const struct metric_view *view)
{
    for (size_t m = 0; m < METRICS; m++) {
        struct family family = {.out = out, .metric = &metrics[m]};
        unsigned rows = dimension_count(metrics[m].by);
        unsigned columns = dimension_count(metrics[m].then_by);
        for (unsigned i = 0; i < rows && metrics[m].value == NULL; i++)
            write_histogram(&family, view, i);
        for (unsigned i = 0; i < rows * columns && metrics[m].value != NULL; i++)
            write_value(&family, view, i / columns, i % columns);
    }
}

/* ---- for people ---- */

/* What the end of a name says of its unit; "": a number. */
static const char *unit_of(const char *name)
{
    static const struct {
        const char *end, *unit;
    } units[] = {{"_timestamp_seconds", "Unix time"},
                 {"_start_time_seconds", "Unix time"},
                 {"_seconds", "seconds"},
                 {"_bytes", "bytes"},
                 {"_ratio", "of 1"},
                 {"_per_second", "a second"}};
    size_t length = strlen(name);
    if (length > strlen(TOTAL) && strcmp(name + length - strlen(TOTAL), TOTAL) == 0)
        length -= strlen(TOTAL);
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t end = strlen(units[i].end);
        if (length > end && memcmp(name + length - end, units[i].end, end) == 0)
            return units[i].unit;
    }
    return "";
}

static void write_docs_scale(FILE *out, enum histogram_scale_id id, const char *what)
{
    const struct histogram_scale *scale = histogram_scale(id);
    char text[32];
    fprintf(out, "- %s: up to", what);
    for (unsigned i = 0; i < scale->count; i++)
        fprintf(out, "%s%s", i == 0 ? " " : ", ",
                number_text((double)scale->bounds_us[i] / 1e6, text));
    fprintf(out, " s, and beyond.\n");
}

static void write_docs_labels(FILE *out, const struct metric *metric)
{
    if (metric->by != BY_NOTHING)
        fprintf(out, "`%s`", dimension_label(metric->by));
    if (metric->then_by != BY_NOTHING)
        fprintf(out, ", `%s`", dimension_label(metric->then_by));
}

void metrics_write_docs(FILE *out)
{
    fprintf(
        out,
        "# Metrics\n\n"
        "What `GET /metrics` shows, in Prometheus' text format. This page is what `moonwatch "
        "metrics` prints; a test\ncompares them. `packaging/prometheus` has alerting rules and "
        "an example of how to scrape, `packaging/grafana` a\ndashboard.\n\n"
        "A number that is not known is left out, never 0. Counters and histograms of what the "
        "engine counts begin at 0 with\neach engine, those of the supervisor, of healing and of "
        "the API with the daemon: use `rate()` and `increase()`,\nwhich take a fall for a new "
        "start. Histograms have fixed buckets:\n\n");
    write_docs_scale(out, SCALE_AGES, "ages");
    write_docs_scale(out, SCALE_DURATIONS, "durations");
    fprintf(out, "\n| name | type | unit | labels | what |\n|---|---|---|---|---|\n");
    for (size_t i = 0; i < METRICS; i++) {
        fprintf(out, "| `" PREFIX "%s` | %s | %s | ", metrics[i].name, type_names[metrics[i].type],
                unit_of(metrics[i].name));
        write_docs_labels(out, &metrics[i]);
        fprintf(out, " | %s |\n", metrics[i].help);
    }
}
