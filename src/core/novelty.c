#include "core/novelty.h"
#include <assert.h>
#include <math.h>
#include <stdbool.h>

static double square_between(const struct novelty *novelty, uint32_t a, uint32_t b)
{
    double sum = 0;
    for (int d = 0; d < NOVELTY_DIMENSIONS; d++) {
        double difference = novelty->places[d][a] - novelty->places[d][b];
        sum += difference * difference;
    }
    return sum;
}

/* Squared. All places are gone through, so that the compiler can take several at once. */
static double nearest(const struct novelty *novelty, const double state[NOVELTY_DIMENSIONS])
{
    double squares[NOVELTY_PLACES] = {0};
    for (int d = 0; d < NOVELTY_DIMENSIONS; d++)
        for (int i = 0; i < NOVELTY_PLACES; i++) {
            double difference = novelty->places[d][i] - state[d];
            squares[i] += difference * difference;
        }
    double least = INFINITY;
    for (uint32_t i = 0; i < novelty->count; i++)
        least = squares[i] < least ? squares[i] : least;
    return least;
}

static void thin_out(struct novelty *novelty)
{
    uint32_t kept = 0;
    novelty->radius *= NOVELTY_GROWTH;
    double square = novelty->radius * novelty->radius;
    for (uint32_t i = 0; i < novelty->count; i++) {
        bool is_covered = false;
        for (uint32_t k = 0; k < kept && !is_covered; k++)
            is_covered = square_between(novelty, k, i) < square;
        if (is_covered)
            continue;
        for (int d = 0; d < NOVELTY_DIMENSIONS; d++)
            novelty->places[d][kept] = novelty->places[d][i];
        kept++;
    }
    novelty->count = kept;
}

double novelty_add(struct novelty *novelty, const double state[NOVELTY_DIMENSIONS], double radius)
{
    double distance = novelty->count > 0 ? sqrt(nearest(novelty, state)) : 0;
    if (novelty->count == 0)
        novelty->radius = radius;
    else if (distance <= novelty->radius)
        return distance;
    while (novelty->count == NOVELTY_PLACES)
        thin_out(novelty);
    for (int d = 0; d < NOVELTY_DIMENSIONS; d++)
        novelty->places[d][novelty->count] = state[d];
    novelty->count++;
    return distance;
}
