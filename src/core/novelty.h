/*
 * How far a state is from every state that was seen before: a covering of the past by at most
 * NOVELTY_PLACES places (leader clustering; Hartigan 1975), of a radius that grows by
 * NOVELTY_GROWTH, and places that came together go, whenever they are all taken.
 */
#ifndef MOONWATCH_CORE_NOVELTY_H
#define MOONWATCH_CORE_NOVELTY_H

#include <stdint.h>

#define NOVELTY_PLACES     48 /* finer coverings cost time and tell no more */
#define NOVELTY_DIMENSIONS 3
#define NOVELTY_GROWTH     1.15 /* a tenth to a third of the places goes at a time */

struct novelty {
    uint32_t count;
    double radius;
    double places[NOVELTY_DIMENSIONS][NOVELTY_PLACES];
};

/* The distance from the nearest place, 0 from none; then the state is covered. `radius` is what to
 * begin with, at the first call. */
double novelty_add(struct novelty *novelty, const double state[NOVELTY_DIMENSIONS], double radius);

#endif
