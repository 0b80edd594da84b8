/* How much a token's freshness is worth. See the header. */
#include "core/weight.h"

#include <math.h>

/* The value part of the priority (the age does the waiting), with a floor so that nobody starves.
 */
#define WEIGHT_FLOOR          0.02
#define WEIGHT_LIQUIDITY      0.4
#define WEIGHT_LIQUIDITY_USD  100000.0
#define WEIGHT_VOLUME         0.3
#define WEIGHT_VOLUME_USD     1000000.0
#define WEIGHT_MOMENTUM       0.2
#define WEIGHT_MOMENTUM_DELTA 0.20
#define WEIGHT_SCORE          0.1

/* Within 0 … 1. What is not known counts as all of it, as it did when it was first met. */
static double share(double part)
{
    return part < 1 ? (part > 0 ? part : 0) : 1;
}

double weight_of_value(const struct token *token)
{
    if (token->state.answers == 0)
        return WEIGHT_FLOOR;
    const struct metrics *metrics = &token->state.metrics;
    double momentum = fabs(metrics->delta_p_5m) + fabs(metrics->delta_p_15m);
    return WEIGHT_FLOOR + WEIGHT_LIQUIDITY * share(metrics->liquidity_usd / WEIGHT_LIQUIDITY_USD) +
           WEIGHT_VOLUME * share((double)metrics->volume_24h_usd / WEIGHT_VOLUME_USD) +
           WEIGHT_MOMENTUM * share(momentum / WEIGHT_MOMENTUM_DELTA) +
           WEIGHT_SCORE * share(token->state.score);
}
