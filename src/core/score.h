/*
 * From pairs to a score: the hybrid momentum model.
 *
 * market_gather() sums the pools that COUNT (the token is the base, the quote is SOL or USDC, the
 * venue is no bonding curve) and are liquid enough; score_raw() turns the sums into four
 * components and a score; score_smooth() smooths all five exponentially. Every constant is an
 * option. Pure; `moonwatch explain` shows each step for any recorded answer.
 */
#ifndef MOONWATCH_CORE_SCORE_H
#define MOONWATCH_CORE_SCORE_H

#include "base/options.h"
#include "core/token_table.h"

/* What a venue and a quote make of a pool whose base is the token: enum pool_flags. */
uint8_t pool_flags_for(const char *dex, const char *quote_symbol);

/* How many of them count: what a refresh of their token asks for. */
static inline uint8_t pools_counting(const struct pool *pools, size_t count)
{
    uint8_t n = 0;
    for (size_t i = 0; i < count; i++)
        n += (pools[i].flags & POOL_COUNTS) != 0;
    return n;
}

/* Sums those of the pairs that enter the score of a token of this status; all have the token as
 * their base. hours_since_creation and primary_dex are left to the caller: *primary is the pair of
 * the most liquid pool, or NULL. */
struct metrics market_gather(const struct pair *const pairs[], size_t count,
                             enum token_status status, const struct options *options,
                             const struct pair **primary);

struct score {
    struct components components;
    double total; /* rounded to 6 decimals */
};

struct score score_raw(const struct metrics *metrics, enum token_status status,
                       const struct options *options);

/* What its pieces are made of, for who explains a score. Under these a component is 0; the factor
 * that liquidity gives volume; whether the order flow counts half. */
struct score_minima {
    double tx_5m, tx_1h, volume_5m, volume_1h, orderflow_volume_5m;
};
struct score_minima score_minima_for(enum token_status status, const struct options *options);
double score_liquidity_factor(const struct metrics *metrics, const struct options *options);
bool score_looks_manipulated(const struct metrics *metrics, const struct options *options);

/* s = α·x + (1−α)·s, rounded to 6 decimals; with `previous` NULL the first value is taken as it is
 * (rounded). */
struct score score_smooth(const struct score *raw, const struct score *previous, double alpha);

double round_6(double value);

#endif
