/* See token_json.h. */
#include "api/token_json.h"

#include "base/clock.h"
#include <math.h>
#include <stdio.h>

#define SOLSCAN "https://solscan.io"

void json_instant(struct json *json, const char *key, instant t)
{
    char text[ISO_TIME_SIZE];
    if (instant_is_never(t)) {
        json_put_null(json, key);
        return;
    }
    size_t length = iso_time_format(t, text);
    json_put_string_n(json, key, text, length);
}

void json_address(struct json *json, const char *key, const struct address *address)
{
    char text[ADDRESS_TEXT_MAX + 1];
    size_t length = address_format(address, text);
    json_put_string_n(json, key, text, length);
}

void json_text(struct json *json, const char *key, const char *text)
{
    json_put_string(json, key, text == NULL || text[0] == '\0' ? NULL : text);
}

static void json_solscan(struct json *json, const char *kind, const struct address *address)
{
    char text[ADDRESS_TEXT_MAX + 1], url[sizeof SOLSCAN + 16 + ADDRESS_TEXT_MAX];
    address_format(address, text);
    snprintf(url, sizeof url, SOLSCAN "/%s/%s", kind, text);
    json_put_string(json, "solscan_url", url);
}

void json_solscan_token(struct json *json, const struct address *mint)
{
    json_solscan(json, "token", mint);
}

void json_components(struct json *json, const char *key, const struct components *components)
{
    if (components == NULL) {
        json_put_null(json, key);
        return;
    }
    json_object_open(json, key);
    json_put_double(json, "tx_accel", components->tx_accel);
    json_put_double(json, "vol_momentum", components->vol_momentum);
    json_put_double(json, "token_freshness", components->token_freshness);
    json_put_double(json, "orderflow_imbalance", components->orderflow_imbalance);
    json_object_close(json);
}

const char *primary_dex_of(const struct token_table *table, const struct token *token)
{
    uint8_t index = token->state.metrics.primary_dex;
    return index == 0 ? NULL : token_table_dex_name(table, index);
}

void json_token_head(struct json *json, const struct token *token)
{
    json_address(json, "mint_address", &token->mint);
    json_text(json, "name", token->name);
    json_text(json, "symbol", token->symbol);
    json_put_string(json, "status", token_status_name(token->status));
    json_put_double(json, "score", token_has_data(token) ? token->state.score : NAN);
    json_put_double(json, "liquidity_usd",
                    token_has_data(token) ? token->state.metrics.liquidity_usd : NAN);
}

static void json_count(struct json *json, const char *key, const struct metrics *metrics,
                       uint32_t count)
{
    if (metrics == NULL)
        json_put_null(json, key);
    else
        json_put_int(json, key, count);
}

void json_token_item(struct json *json, const char *key, const struct token_table *table,
                     const struct token *token)
{
    const struct token_state *state = &token->state;
    const struct metrics *metrics = token_has_data(token) ? &state->metrics : NULL;
    json_object_open(json, key);
    json_token_head(json, token);
    json_put_double(json, "delta_p_5m", metrics != NULL ? metrics->delta_p_5m : NAN);
    json_put_double(json, "delta_p_15m", metrics != NULL ? metrics->delta_p_15m : NAN);
    json_count(json, "n_5m", metrics, state->metrics.tx_count_5m);
    json_text(json, "primary_dex", metrics != NULL ? primary_dex_of(table, token) : NULL);
    json_instant(json, "fetched_at", state->fetched_at);
    json_instant(json, "scored_at", state->scored_at);
    json_instant(json, "last_processed_at", state->checked_at);
    json_solscan_token(json, &token->mint);
    json_components(json, "raw_components", metrics != NULL ? &state->raw : NULL);
    json_components(json, "smoothed_components", metrics != NULL ? &state->smoothed : NULL);
    json_put_string(json, "scoring_model", "hybrid_momentum");
    json_instant(json, "created_at", token->created_at);
    json_object_close(json);
}

void json_metrics(struct json *json, const struct metrics *metrics, const char *primary_dex,
                  instant fetched_at)
{
    const struct metrics nothing = metrics_unknown();
    const struct metrics *m = metrics != NULL ? metrics : &nothing;
    json_object_open(json, "metrics");
    json_put_double(json, "L_tot", m->liquidity_usd);
    json_put_double(json, "delta_p_5m", m->delta_p_5m);
    json_put_double(json, "delta_p_15m", m->delta_p_15m);
    json_count(json, "n_5m", metrics, m->tx_count_5m);
    json_count(json, "tx_count_5m", metrics, m->tx_count_5m);
    json_count(json, "tx_count_1h", metrics, m->tx_count_1h);
    json_put_double(json, "volume_5m", m->volume_5m_usd);
    json_put_double(json, "volume_1h", m->volume_1h_usd);
    json_put_double(json, "buys_volume_5m", m->buys_volume_5m_usd);
    json_put_double(json, "sells_volume_5m", m->sells_volume_5m_usd);
    json_put_double(json, "hours_since_creation", m->hours_since_creation);
    json_text(json, "primary_dex", primary_dex);
    json_put_double(json, "primary_liq_usd", m->primary_liquidity_usd);
    json_count(json, "ws_pairs", metrics, m->wsol_pairs);
    json_count(json, "usdc_pairs", metrics, m->usdc_pairs);
    json_count(json, "pools", metrics, m->pools);
    json_instant(json, "fetched_at", fetched_at);
    json_object_close(json);
}

static bool has_more(const struct pool *a, const struct pool *b)
{
    if (isnan(a->liquidity_usd))
        return false;
    return isnan(b->liquidity_usd) || a->liquidity_usd > b->liquidity_usd;
}

void pools_by_liquidity(const struct pool *pools, size_t count, uint8_t order[POOLS_MAX])
{
    for (size_t i = 0; i < count && i < POOLS_MAX; i++) {
        size_t at = i;
        for (; at > 0 && has_more(&pools[i], &pools[order[at - 1]]); at--)
            order[at] = order[at - 1];
        order[at] = (uint8_t)i;
    }
}

void json_pools(struct json *json, const char *key, const struct token_table *table,
                const struct token *token, const struct pool *pools)
{
    uint8_t order[POOLS_MAX];
    pools_by_liquidity(pools, token->pool_count, order);
    json_array_open(json, key);
    for (size_t i = 0; i < token->pool_count; i++) {
        const struct pool *pool = &pools[order[i]];
        json_object_open(json, NULL);
        json_address(json, "address", &pool->address);
        json_put_string(json, "dex", token_table_dex_name(table, pool->dex));
        json_put_string(json, "quote", token_table_quote_name(table, pool->quote));
        json_solscan(json, "address", &pool->address);
        json_object_close(json);
    }
    json_array_close(json);
}
