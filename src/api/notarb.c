/* See notarb.h. */
#include "api/notarb.h"

#include "api/pick.h"
#include "api/token_json.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define CANDIDATES 64 /* tokens looked at for some that have pools to trade in */

static bool is_tradable(const struct token_table *table, const struct pool *pool)
{
    return (pool->flags & POOL_MISSING) == 0 &&
           strcmp(token_table_dex_name(table, pool->dex), "pumpfun") != 0;
}

static void choose_pools(const struct token_table *table, const struct pool *pools,
                         struct notarb_token *out)
{
    uint8_t order[POOLS_MAX];
    pools_by_liquidity(pools, out->token.pool_count, order);
    out->pool_count = 0;
    for (unsigned i = 0; i < out->token.pool_count && out->pool_count < NOTARB_POOLS_MAX; i++) {
        const struct pool *pool = &pools[order[i]];
        if (is_tradable(table, pool))
            out->pools[out->pool_count++] = pool->address;
    }
}

unsigned notarb_choose(const struct token_table *table, double min_score,
                       struct notarb_token out[NOTARB_TOKENS_MAX])
{
    struct pick_query query = {.statuses = 1u << TOKEN_ACTIVE | 1u << TOKEN_MONITORING,
                               .min_score = min_score,
                               .sort = PICK_SCORE_DESCENDING,
                               .limit = CANDIDATES};
    struct pick *pick = pick_tokens(table, &query);
    unsigned count = 0;
    for (uint32_t i = 0; pick != NULL && i < pick->count && count < NOTARB_TOKENS_MAX; i++) {
        struct pool pools[POOLS_MAX];
        struct notarb_token *token = &out[count];
        if (!token_look(table, pick->ids[i], &token->token, pools) ||
            !token_has_data(&token->token) || token->token.state.score < min_score ||
            (token->token.flags & TOKEN_QUARANTINED)) /* its figures are not renewed */
            continue;
        choose_pools(table, pools, token);
        count += token->pool_count > 0;
    }
    free(pick);
    return count;
}

static void write_addresses(struct json *json, const struct notarb_token *token)
{
    for (unsigned i = 0; i < token->pool_count; i++)
        json_address(json, NULL, &token->pools[i]);
}

void notarb_write_pools(struct json *json, const struct notarb_token *tokens, unsigned count)
{
    json_array_open(json, NULL);
    for (unsigned i = 0; i < count; i++) {
        json_array_open(json, NULL);
        write_addresses(json, &tokens[i]);
        json_array_close(json);
    }
    json_array_close(json);
}
