/* Tokens as JSON: the pieces that several resources share. What is unknown is null. */
#ifndef MOONWATCH_API_TOKEN_JSON_H
#define MOONWATCH_API_TOKEN_JSON_H

#include "base/json.h"
#include "core/token_table.h"

void json_instant(struct json *json, const char *key, instant t); /* ISO 8601; never: null */
void json_address(struct json *json, const char *key, const struct address *address);
void json_text(struct json *json, const char *key, const char *text); /* "": null */

/* An item of GET /tokens. */
void json_token_item(struct json *json, const char *key, const struct token_table *table,
                     const struct token *token);

/* mint_address, name, symbol, status, score, liquidity_usd: how every token begins. */
void json_token_head(struct json *json, const struct token *token);
void json_solscan_token(struct json *json, const struct address *mint);

void json_components(struct json *json, const char *key, const struct components *components);

/* The `metrics` object. `metrics` NULL: every value unknown. */
void json_metrics(struct json *json, const struct metrics *metrics, const char *primary_dex,
                  instant fetched_at);

/* The known pools, most liquid first. */
void json_pools(struct json *json, const char *key, const struct token_table *table,
                const struct token *token, const struct pool *pools);

/* NULL when there is none. */
const char *primary_dex_of(const struct token_table *table, const struct token *token);

/* Orders pools by liquidity, unknown last; `order` gets the indices of `count` ≤ POOLS_MAX. */
void pools_by_liquidity(const struct pool *pools, size_t count, uint8_t order[POOLS_MAX]);

static inline bool token_has_data(const struct token *token)
{
    return token->state.answers > 0;
}

#endif
