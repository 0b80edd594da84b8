/*
 * Pseudo-random numbers for jitter, the simulator and the market: xoshiro256**, seeded through
 * splitmix64 (Blackman and Vigna, https://prng.di.unimi.it/). Not for secrets.
 */
#ifndef MOONWATCH_BASE_PRNG_H
#define MOONWATCH_BASE_PRNG_H

#include <stdint.h>

struct prng {
    uint64_t state[4];
};

void prng_seed(struct prng *prng, uint64_t seed);
uint64_t prng_next(struct prng *prng);

/* Uniform in [0, 1). */
double prng_unit(struct prng *prng);

/* Uniform in 0 … bound − 1; bound > 0. */
uint64_t prng_below(struct prng *prng, uint64_t bound);

/* Normal with mean 0 and deviation 1. */
double prng_normal(struct prng *prng);

/* Exponential with the given mean. */
double prng_exponential(struct prng *prng, double mean);

/* Pareto with minimum 1 and the given shape. */
double prng_pareto(struct prng *prng, double shape);

#endif
