/*
 * What arbitrage bots read: the pools of the best tokens. The same for GET /notarb/pools and for
 * the export file, so both are written here, and the file's TOML.
 */
#ifndef MOONWATCH_API_NOTARB_H
#define MOONWATCH_API_NOTARB_H

#include "base/json.h"
#include "core/token_table.h"

#define NOTARB_TOKENS_MAX 3
#define NOTARB_POOLS_MAX  3 /* a token; most liquid first, none on a bonding curve */

struct notarb_token {
    struct token token;
    unsigned pool_count; /* 1 … NOTARB_POOLS_MAX */
    struct address pools[NOTARB_POOLS_MAX];
};

/* The tokens with the highest scores, at least `min_score`, that are not archived and have a pool
 * to trade in. Returns how many. */
unsigned notarb_choose(const struct token_table *table, double min_score,
                       struct notarb_token out[NOTARB_TOKENS_MAX]);

/* [["pool",…],…] */
void notarb_write_pools(struct json *json, const struct notarb_token *tokens, unsigned count);

/* The same for who reads TOML; `name` is a stranger's, so it stands in a remark:
 *
 *     update_timestamp = 2026-07-03T10:45:26.083219+00:00
 *
 *     # BONK Bonk, mint …, score 1.234
 *     [[group]]
 *     markets = ["pool", …]
 *
 * Returns the length; less than `size`, or nothing is whole. */
size_t notarb_write_toml(char *out, size_t size, const struct notarb_token *tokens, unsigned count,
                         instant now);

/* Of which pools they are; the same for the same file, but for its time and scores. */
uint64_t notarb_digest(const struct notarb_token *tokens, unsigned count);

#endif
