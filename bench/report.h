/*
 * The figures of a run: printed as they come, a table at the end of each benchmark, and written as
 * JSON: {"figures":[{"name","value","unit","against","ratio","bar","holds"}…]}, with the quartiles,
 * the number of rounds and a note beside them. value, against, ratio, bar and holds are null where
 * they do not apply; holds is null without a bar.
 */
#ifndef MOONWATCH_BENCH_REPORT_H
#define MOONWATCH_BENCH_REPORT_H

#include "bench/sample.h"
#include <stdbool.h>
#include <stddef.h>

#define FIGURES_MAX 512

/* What a bar is set to. */
enum bar_kind {
    BAR_NONE,
    BAR_VALUE_MOST, /* the value at most `bar` */
    BAR_RATIO_MOST, /* the ratio to `against` at most `bar` */
    BAR_VALUE_LEAST,
    BAR_RATIO_LEAST,
};

struct figure {
    char name[64];
    char unit[16];
    char against[64]; /* name of the figure it is compared with, or "" */
    double value;     /* median; NaN: not measured, `note` says why */
    double low, high; /* quartiles; NaN: single value */
    double ratio;     /* NaN: none */
    double bar;
    enum bar_kind bar_kind;
    size_t rounds;
    char note[160];
};

struct report {
    size_t count;
    struct figure figures[FIGURES_MAX];
};

/* Adds a figure and returns it, to be completed; `name` and `unit` are copied. */
struct figure *report_add(struct report *report, const char *name, const char *unit);
/* The same from measured values. Of none: "no round succeeded". */
struct figure *report_add_sample(struct report *report, const char *name, const char *unit,
                                 const struct sample *sample);
/* Not measured here, and why. */
struct figure *report_add_missing(struct report *report, const char *name, const char *unit,
                                  const char *why);
const struct figure *report_find(const struct report *report, const char *name);
/* Sets `against` and the ratio, when both are measured. */
void figure_compare(struct figure *figure, const struct report *report, const char *against);

enum figure_verdict { FIGURE_UNJUDGED, FIGURE_HOLDS, FIGURE_FAILS };
enum figure_verdict figure_verdict(const struct figure *figure);

/* A table of those from `first` on. */
void report_print(const struct report *report, size_t first);
bool report_write(const struct report *report, const char *path);

#endif
