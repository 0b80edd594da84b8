/*
 * Pair objects as the upstream writes them. What never changes of a pair (names, addresses, info)
 * is prepared once and kept in a bounded cache; an answer is made of those texts with the figures
 * of the moment written between them.
 */
#ifndef MOONWATCH_MARKET_BODY_H
#define MOONWATCH_MARKET_BODY_H

#include "market/model.h"
#include <stddef.h>

#define BODY_PAIR_MAX   3072  /* bytes of one pair at most */
#define BODY_NAMES_MAX  24576 /* that names as damage may add to it */
#define BODIES_PREPARED 65536 /* pairs kept prepared; a power of two; 1.9 kB each, once used */

/* What may be wrong with a pair on purpose. */
enum body_damage {
    BODY_SOUND,
    BODY_NULLS,          /* null where a key would be absent, and for some present ones */
    BODY_NANS,           /* NaN, Infinity, 1e999, negative counts, texts for numbers */
    BODY_DUPLICATE_KEYS, /* priceUsd, liquidity and pairAddress twice */
    BODY_NAMES,          /* name and symbol as in hostile_names (names.h) */
    BODY_NO_UTF8,        /* name and symbol with bytes that are none */
    BODY_DAMAGE_COUNT
};

struct bodies;

/* `model` must outlive it. NULL: out of memory. */
struct bodies *bodies_create(const struct model *model);
void bodies_destroy(struct bodies *bodies);

/* The most bytes of one pair with this damage. */
size_t body_pair_max(enum body_damage damage);

/* Writes the pair at `out` (body_pair_max() bytes) and returns its end. `pool` must exist at `now`.
 */
char *body_write_pool(struct bodies *bodies, const struct identity *pool, instant now,
                      enum body_damage damage, char *out);

/* The token's main pair. */
char *body_write_main(struct bodies *bodies, uint32_t token, instant now, enum body_damage damage,
                      char *out);

/* All pairs of a token that exist at `now`, separated by commas; at most POOLS_MAX of them.
 * `pairs` gets their number. */
char *body_write_all(struct bodies *bodies, uint32_t token, instant now, enum body_damage damage,
                     char *out, unsigned *pairs);

/* Does the pool exist at `now`? */
bool body_pool_exists(struct bodies *bodies, const struct identity *pool, instant now);

#endif
