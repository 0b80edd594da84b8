#include "base/prng.h"

#include <assert.h>
#include <math.h>

static uint64_t rotate_left(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

static uint64_t splitmix64_next(uint64_t *state)
{
    uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
}

void prng_seed(struct prng *prng, uint64_t seed)
{
    for (int i = 0; i < 4; i++)
        prng->state[i] = splitmix64_next(&seed);
}

uint64_t prng_next(struct prng *prng)
{
    uint64_t *s = prng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

double prng_unit(struct prng *prng)
{
    return (double)(prng_next(prng) >> 11) * 0x1p-53;
}

/* Lemire, "Fast random integer generation in an interval", 2019: no bias, nearly no division. */
uint64_t prng_below(struct prng *prng, uint64_t bound)
{
    assert(bound > 0);
    unsigned __int128 product = (unsigned __int128)prng_next(prng) * bound;

    if ((uint64_t)product < bound) {
        uint64_t rejected = -bound % bound;
        while ((uint64_t)product < rejected)
            product = (unsigned __int128)prng_next(prng) * bound;
    }
    return (uint64_t)(product >> 64);
}

/* In (0, 1], so that its logarithm is finite. */
static double unit_above_zero(struct prng *prng)
{
    return 1.0 - prng_unit(prng);
}

double prng_normal(struct prng *prng)
{
    double radius = sqrt(-2.0 * log(unit_above_zero(prng)));
    return radius * cos(2.0 * M_PI * prng_unit(prng));
}

double prng_exponential(struct prng *prng, double mean)
{
    return -mean * log(unit_above_zero(prng));
}

double prng_pareto(struct prng *prng, double shape)
{
    assert(shape > 0);
    return pow(unit_above_zero(prng), -1.0 / shape);
}
