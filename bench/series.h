/*
 * Series as a monitor sees them, made from a seed: something that is healthy for a while and then
 * degrades until it crosses SERIES_THRESHOLD, and its healthy twin, which looks the same and never
 * does. Values are per cent of something, each SERIES_STEP_S; some are missing (NaN), one by one
 * and for up to ten minutes.
 *
 * What degrades, and what its twin does instead:
 *   linear       a leak                     a ramp that comes to rest below the threshold
 *   exponential  a growth that feeds itself it wanders about its mean (an Ornstein-Uhlenbeck
 * process) sawtooth     a base that leaks, under a collector that takes the rest    the same
 * without leak step         a jump, then a creep       jumps to new levels, and back season       a
 * leak on a day's rhythm   the rhythm, which comes near the threshold every day
 */
#ifndef MOONWATCH_BENCH_SERIES_H
#define MOONWATCH_BENCH_SERIES_H

#include <stddef.h>
#include <stdint.h>

#define SERIES_STEP_S    15.0 /* as Prometheus scrapes by default */
#define SERIES_THRESHOLD 100.0
#define SERIES_MAX       40960 /* values: a week */

#define SERIES_KIND_LIST(X)                                                                        \
    X(SERIES_LINEAR, "linear")                                                                     \
    X(SERIES_EXPONENTIAL, "exponential")                                                           \
    X(SERIES_SAWTOOTH, "sawtooth")                                                                 \
    X(SERIES_STEP, "step")                                                                         \
    X(SERIES_SEASON, "season")

enum series_kind {
#define X(code, name) code,
    SERIES_KIND_LIST(X)
#undef X
        SERIES_KIND_COUNT
};

enum series_fate { SERIES_HEALTHY, SERIES_DEGRADES };

struct series {
    enum series_kind kind;
    enum series_fate fate;
    double noise;   /* its standard deviation */
    double onset_s; /* of the degradation; of a healthy one: its end */
    size_t count;   /* up to the first value at or over the threshold, which is the last one */
    float values[SERIES_MAX];
};

const char *series_kind_name(enum series_kind kind);

/* The same seed gives the same series. */
void series_make(struct series *series, enum series_kind kind, enum series_fate fate, double noise,
                 uint64_t seed);

/* When it crosses; of a healthy one, when it ends. */
static inline double series_end_s(const struct series *series)
{
    return (double)(series->count - 1) * SERIES_STEP_S;
}

#endif
