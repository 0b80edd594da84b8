/*
 * Chance without state: the n-th number of a stream is a hash of the stream's key and n, so that
 * any moment of any market can be computed directly, in any order, the same way twice.
 * The mixer is splitmix64's (Steele, Lea and Flood, OOPSLA 2014; constants by Stafford).
 */
#ifndef MOONWATCH_MARKET_CHANCE_H
#define MOONWATCH_MARKET_CHANCE_H

#include <math.h>
#include <stdint.h>

static inline uint64_t chance_mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static inline uint64_t chance_at(uint64_t key, uint64_t n)
{
    return chance_mix(key + (n + 1) * UINT64_C(0x9e3779b97f4a7c15));
}

/* Uniform in [0, 1). */
static inline double chance_unit(uint64_t key, uint64_t n)
{
    return (double)(chance_at(key, n) >> 11) * 0x1p-53;
}

/* Normal with mean 0 and deviation 1 (Box and Muller, from the two halves of one number). */
static inline double chance_normal(uint64_t key, uint64_t n)
{
    uint64_t bits = chance_at(key, n);
    double u = ((double)(bits >> 32) + 0.5) * 0x1p-32;
    double v = (double)(uint32_t)bits * 0x1p-32;
    return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * v);
}

/* Exponential with mean 1. */
static inline double chance_exponential(uint64_t key, uint64_t n)
{
    return -log(1.0 - chance_unit(key, n));
}

#endif
