/*
 * What `make bench` runs. A benchmark is a file bench_NAME.c with one function, and a row in
 * benchmarks.def; what it measures it puts into the report (report.h), under names that stay the
 * same from run to run and from pace to pace. Nothing is simulated: where something cannot be
 * measured here, the figure stands there with the reason instead of a value.
 */
#ifndef MOONWATCH_BENCH_BENCH_H
#define MOONWATCH_BENCH_BENCH_H

#include "bench/report.h"
#include <limits.h>

enum bench_pace { PACE_FULL, PACE_QUICK }; /* the same figures, from fewer rounds */

struct bench {
    enum bench_pace pace;
    double minutes; /* of those that run for as long as they are told to */
    struct report report;
    char folder[PATH_MAX];    /* for the benchmark's files: its own, empty at its start */
    char pictures[PATH_MAX];  /* folder for what is drawn: that of the report */
    char moonwatch[PATH_MAX]; /* programs */
    char market[PATH_MAX];
    char worker[PATH_MAX];
    char bare[PATH_MAX];
};

static inline int bench_rounds(const struct bench *bench, int full, int quick)
{
    return bench->pace == PACE_QUICK ? quick : full;
}

#define BENCHMARK(name, when, sentence) void bench_##name(struct bench *bench);
#include "bench/benchmarks.def"
#undef BENCHMARK

#endif
