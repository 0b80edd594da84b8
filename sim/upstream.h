/*
 * The simulator's upstream: a market that answers instantly about any of its tokens at any virtual
 * time, from a seed, in O(1) and without state that ages. Each token has a few pools and a REGIME
 * (quiet, trading, hot) that changes every half hour, so that tokens qualify, fade and come alive
 * again. It counts requests per kind, a sliding minute or as it is told (limiter.h), and refuses
 * beyond.
 * It answers pairs; body.h makes them bytes, as the real parser wants them.
 */
#ifndef MOONWATCH_SIM_UPSTREAM_H
#define MOONWATCH_SIM_UPSTREAM_H

#include "base/prng.h"
#include "base/time.h"
#include "core/lane_kind.h"
#include "core/outcome.h"
#include "core/pair.h"
#include "sim/limiter.h"
#include <stdbool.h>

#define UPSTREAM_PAIRS_MAX (REQUEST_ADDRESSES_MAX * 8)

enum upstream_life {
    LIFE_CHANGING, /* regimes come and go */
    LIFE_ACTIVE,   /* always qualifies */
    LIFE_QUIET,    /* never does, and scores nothing */
    LIFE_FADING,   /* changing while it is younger than `life_s`, then quiet for ever */
};

struct upstream {
    uint64_t seed;
    double life_s; /* of fading tokens, to the half hour */
    struct limiter limiters[LANE_KIND_COUNT];
    uint64_t refused, accepted;
};

void upstream_init(struct upstream *upstream, uint64_t seed, enum limiter_kind limiter,
                   double limit_per_minute, instant now);
void upstream_set_limit(struct upstream *upstream, double per_minute);

/* The mint of the n-th token; its life is part of it, and of a fading one when it began. */
struct address upstream_mint(const struct upstream *upstream, uint32_t n, enum upstream_life life);
struct address upstream_fading_mint(const struct upstream *upstream, uint32_t n, instant born);
unsigned upstream_pool_count(const struct upstream *upstream, const struct address *mint);

/* Counts a request at `now`: FEED_OK or FEED_RATE_LIMITED. */
enum feed_outcome upstream_admit(struct upstream *upstream, enum lane_kind lane, instant now);

/* The pairs of an answer; at most UPSTREAM_PAIRS_MAX. */
size_t upstream_answer(const struct upstream *upstream, enum lane_kind lane,
                       const struct address *addresses, size_t count, instant now,
                       struct pair *out);

#endif
