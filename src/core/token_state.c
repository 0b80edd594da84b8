/* What a token's figures can be, wherever they were read. See token_table.h. */
#include "core/token_table.h"

#include <math.h>

#define TIME_MAX_US     INT64_C(253402300799000000) /* the year 9999 */
#define SNAPSHOT_ID_MAX (INT64_C(1) << 62)          /* leaves room to count on */

struct metrics metrics_unknown(void)
{
    return (struct metrics){.liquidity_usd = NAN,
                            .delta_p_5m = NAN,
                            .delta_p_15m = NAN,
                            .volume_5m_usd = NAN,
                            .volume_1h_usd = NAN,
                            .buys_volume_5m_usd = NAN,
                            .sells_volume_5m_usd = NAN,
                            .hours_since_creation = NAN,
                            .primary_liquidity_usd = NAN,
                            .price_usd = NAN,
                            .volume_24h_usd = NAN,
                            .market_cap_usd = NAN};
}

static bool is_time(instant t)
{
    return t.us >= 0 && t.us <= TIME_MAX_US;
}

static bool are_times_sound(const struct token_state *state)
{
    return is_time(state->checked_at) && is_time(state->fetched_at) && is_time(state->scored_at) &&
           is_time(state->discovered_at) && is_time(state->status_since) &&
           state->low_score_us >= 0 && state->snapshot_id >= 0 &&
           state->snapshot_id < SNAPSHOT_ID_MAX;
}

static bool are_components_sound(const struct components *components)
{
    return isfinite(components->tx_accel) && isfinite(components->vol_momentum) &&
           isfinite(components->token_freshness) && isfinite(components->orderflow_imbalance);
}

static bool is_amount(double value)
{
    return isfinite(value) && value >= 0;
}

static bool is_amount_or_unknown(double value)
{
    return isnan(value) || is_amount(value);
}

static bool are_metrics_sound(const struct metrics *metrics)
{
    return is_amount(metrics->liquidity_usd) && isfinite(metrics->delta_p_5m) &&
           isfinite(metrics->delta_p_15m) && is_amount(metrics->volume_5m_usd) &&
           is_amount(metrics->volume_1h_usd) && is_amount(metrics->buys_volume_5m_usd) &&
           is_amount(metrics->sells_volume_5m_usd) && isfinite(metrics->hours_since_creation) &&
           is_amount(metrics->primary_liquidity_usd) && is_amount_or_unknown(metrics->price_usd) &&
           is_amount_or_unknown((double)metrics->volume_24h_usd) &&
           is_amount_or_unknown((double)metrics->market_cap_usd) &&
           metrics->wsol_pairs <= POOLS_MAX && metrics->usdc_pairs <= POOLS_MAX &&
           metrics->pools <= POOLS_MAX;
}

const char *token_state_complaint(const struct token_state *state)
{
    if (!are_times_sound(state))
        return "a time or counter out of range";
    if (state->answers == 0)
        return NULL;
    if (!are_components_sound(&state->raw) || !are_components_sound(&state->smoothed) ||
        !isfinite(state->score_raw) || !isfinite(state->score) || isinf(state->score_stored))
        return "a score that is not finite";
    if (!are_metrics_sound(&state->metrics))
        return "a figure that no market can have";
    return NULL;
}

bool token_is_sound(const struct token *token)
{
    return token->status < TOKEN_STATUS_COUNT && token->name[sizeof token->name - 1] == '\0' &&
           token->symbol[sizeof token->symbol - 1] == '\0' && is_time(token->created_at) &&
           token->pool_count <= POOLS_MAX &&
           (token->flags & ~(TOKEN_DURABLE | TOKEN_POOLS_CHANGED | TOKEN_HOLE)) == 0 &&
           token_state_complaint(&token->state) == NULL;
}

bool pool_is_sound(const struct pool *pool)
{
    return is_amount_or_unknown((double)pool->liquidity_usd) &&
           (pool->flags & ~(POOL_COUNTS | POOL_EXTERNAL | POOL_PUMP_SOL | POOL_MISSING)) == 0;
}
