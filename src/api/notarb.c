/* See notarb.h. */
#include "api/notarb.h"

#include "api/pick.h"
#include "api/token_json.h"
#include "base/clock.h"
#include "base/text.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
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

/* ---- TOML ---- */

struct text {
    char *out;
    size_t size, length;
};

__attribute__((format(printf, 2, 3))) static void put(struct text *text, const char *format, ...)
{
    va_list arguments;
    size_t left = text->size - text->length;
    va_start(arguments, format);
    int n = vsnprintf(text->out + text->length, left, format, arguments);
    va_end(arguments);
    text->length += n < 0 ? 0 : (size_t)n < left ? (size_t)n : left - 1;
}

static void put_group(struct text *text, const struct notarb_token *chosen)
{
    char address[ADDRESS_TEXT_MAX + 1], symbol[TOKEN_SYMBOL_SIZE], name[TOKEN_NAME_SIZE];
    const struct token *token = &chosen->token;
    /* No control characters, so that a remark ends where its line does. */
    text_copy(symbol, sizeof symbol, token->symbol, strlen(token->symbol));
    text_copy(name, sizeof name, token->name, strlen(token->name));
    address_format(&token->mint, address);
    put(text, "\n# %s %s, mint %s, score %.3f\n[[group]]\nmarkets = [", symbol, name, address,
        token->state.score);
    for (unsigned i = 0; i < chosen->pool_count; i++) {
        address_format(&chosen->pools[i], address);
        put(text, "%s\"%s\"", i == 0 ? "" : ", ", address);
    }
    put(text, "]\n");
}

size_t notarb_write_toml(char *out, size_t size, const struct notarb_token *tokens, unsigned count,
                         instant now)
{
    struct text text = {.out = out, .size = size};
    char at[ISO_TIME_SIZE];
    iso_time_format(now, at);
    put(&text, "update_timestamp = %s\n", at);
    for (unsigned i = 0; i < count; i++)
        put_group(&text, &tokens[i]);
    return text.length;
}

/* FNV-1a, 64 bits. */
uint64_t notarb_digest(const struct notarb_token *tokens, unsigned count)
{
    uint64_t digest = 0xcbf29ce484222325ULL;
    for (unsigned i = 0; i < count; i++)
        for (unsigned k = 0; k <= tokens[i].pool_count; k++) {
            /* Behind a token's pools comes its mint: where they end is part of it. */
            const struct address *address =
                k < tokens[i].pool_count ? &tokens[i].pools[k] : &tokens[i].token.mint;
            for (size_t b = 0; b < sizeof address->bytes; b++)
                digest = (digest ^ address->bytes[b]) * 0x100000001b3ULL;
        }
    return digest;
}
