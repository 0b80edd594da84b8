/*
 * The largest events of a quantity's past, and how surprising a value is beside them. Values that
 * come close to each other are one EVENT, as large as the largest of them. No distribution is
 * assumed, only the order of events counts: one rule suits every quantity, whatever its unit.
 *
 * What is older than PEAKS_HORIZON is forgotten; in its place comes what was largest since, so that
 * there are never fewer events to compare with than before.
 */
#ifndef MOONWATCH_CORE_PEAKS_H
#define MOONWATCH_CORE_PEAKS_H

#include <stdint.h>

#define PEAKS_MOST    32
#define PEAKS_HORIZON 50000 /* values: half a year of one in 5 minutes */

struct peaks {
    uint32_t kept, count;
    uint32_t newest;         /* place of the event that values close by belong to */
    uint64_t newest_at;      /* when it was added, in values; 0: none */
    uint64_t oldest_at;      /* when the oldest was, or earlier */
    double recent;           /* the largest since one was forgotten */
    double size[PEAKS_MOST]; /* in descending order */
    uint64_t at[PEAKS_MOST];
};

void peaks_init(struct peaks *peaks, uint32_t kept);

/* ln((kept + 1) / (rank + 1)) for the value's rank among the events kept, from 0, interpolated
 * between two of them; 0 when it is not larger than the least of them. What is larger than all gets
 * `beyond` times the logarithm of what an exponential tail through the upper half of them leaves to
 * it, PEAKS_BEYOND_MOST at most, on top of ln(kept + 1). */
#define PEAKS_BEYOND_MOST 10.0
double peaks_surprise(const struct peaks *peaks, double value, double beyond);

/* `now` counts values, from 1. Values less than `apart` after an event was added are part of it. */
void peaks_add(struct peaks *peaks, double value, uint64_t now, double apart);

#endif
