/*
 * Counts of durations by size, for who wants more than a mean: how many were at most so long. The
 * bounds are fixed, those of a SCALE, so that histograms can be added up and compared whenever they
 * were made. A duration costs a few nanoseconds.
 *
 * The scale of ages has a bound at each target by default and at 1.1 times it (15, 45 and 900 s),
 * so that the share on time can be read from it; between, and for other targets, it has about five
 * bounds a factor of ten at the ends and more in the middle. The scale of durations goes from what
 * a commit into memory takes to the longest that an upstream is waited for.
 */
#ifndef MOONWATCH_BASE_HISTOGRAM_H
#define MOONWATCH_BASE_HISTOGRAM_H

#include "base/time.h"

#define HISTOGRAM_BOUNDS_MAX 24

enum histogram_scale_id { SCALE_AGES, SCALE_DURATIONS, SCALE_COUNT };

struct histogram_scale {
    unsigned count;
    int64_t bounds_us[HISTOGRAM_BOUNDS_MAX]; /* ascending; each belongs to what is below it */
};

/* All zeros is an empty one. What is longer than the last bound is in counts[count of bounds]. */
struct histogram {
    uint64_t counts[HISTOGRAM_BOUNDS_MAX + 1];
    uint64_t sum_us;
};

const struct histogram_scale *histogram_scale(enum histogram_scale_id scale);

/* The index of its count. A negative one counts as 0. */
unsigned histogram_index(enum histogram_scale_id scale, duration value);
void histogram_add(struct histogram *histogram, enum histogram_scale_id scale, duration value);

#endif
