/*
 * The Numenta Anomaly Benchmark (Lavin and Ahmad 2015): labelled series, and the score of a
 * detector on them. The corpus is a folder with `windows.json`, {"<series>.csv": [[start, end]…]},
 * and data/<series>.csv of timestamp,value.
 *
 * The first 15 % of a series, 750 rows at most, count for nothing. A row with a score of at least
 * the threshold is a detection; there is one threshold, the best one. The first detection in a
 * window earns 1 at its left edge, 0.86 in the middle, 0 at its right edge; a window without costs
 * 1 (2 in the profile low FN), a detection outside of windows up to 0.11 (0.22 in low FP). 0 is who
 * never detects anything, 100 who detects each window at its left edge and nothing else.
 */
#ifndef MOONWATCH_BENCH_NAB_H
#define MOONWATCH_BENCH_NAB_H

#include "core/anomaly.h"
#include <stdbool.h>
#include <stddef.h>

#define NAB_SERIES_MAX  64
#define NAB_WINDOWS_MAX 16 /* of a series */
#define NAB_WHY_SIZE    256

struct nab_row {
    double t_s, value, score;
    double worth; /* reward in a window, cost (below 0) outside */
    int window;   /* from 1; 0: outside; -1: counts for nothing */
};

struct nab_series {
    char name[128];
    size_t count;
    struct nab_row *rows;
    unsigned windows; /* those that can be missed */
};

struct nab {
    size_t count;
    struct nab_series series[NAB_SERIES_MAX];
};

enum nab_profile { NAB_STANDARD, NAB_LOW_FP, NAB_LOW_FN, NAB_PROFILE_COUNT };

struct nab_score {
    double score[NAB_PROFILE_COUNT], threshold[NAB_PROFILE_COUNT];
};

/* False: says why. To be finished either way. */
bool nab_load(struct nab *nab, const char *folder, char why[NAB_WHY_SIZE]);
void nab_finish(struct nab *nab);

/* Fills in the rows' scores. */
void nab_detect(struct nab *nab, const struct anomaly_constants *constants);

struct nab_score nab_judge(const struct nab *nab);

#endif
