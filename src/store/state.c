/* One list of fields makes the writer and the reader, so the two cannot drift apart. */
#include "store/state.h"
#include "base/text.h"
#include <endian.h>

#define STATE_FIELDS(X)                                                                            \
    X(i64, state.checked_at.us)                                                                    \
    X(i64, state.fetched_at.us)                                                                    \
    X(i64, state.scored_at.us)                                                                     \
    X(i64, state.discovered_at.us)                                                                 \
    X(i64, state.status_since.us)                                                                  \
    X(i64, state.low_score_us)                                                                     \
    X(i64, state.snapshot_id)                                                                      \
    X(f64, state.raw.tx_accel)                                                                     \
    X(f64, state.raw.vol_momentum)                                                                 \
    X(f64, state.raw.token_freshness)                                                              \
    X(f64, state.raw.orderflow_imbalance)                                                          \
    X(f64, state.smoothed.tx_accel)                                                                \
    X(f64, state.smoothed.vol_momentum)                                                            \
    X(f64, state.smoothed.token_freshness)                                                         \
    X(f64, state.smoothed.orderflow_imbalance)                                                     \
    X(f64, state.score_raw)                                                                        \
    X(f64, state.score)                                                                            \
    X(f64, state.score_stored)                                                                     \
    X(f64, state.metrics.liquidity_usd)                                                            \
    X(f64, state.metrics.delta_p_5m)                                                               \
    X(f64, state.metrics.delta_p_15m)                                                              \
    X(f64, state.metrics.volume_5m_usd)                                                            \
    X(f64, state.metrics.volume_1h_usd)                                                            \
    X(f64, state.metrics.buys_volume_5m_usd)                                                       \
    X(f64, state.metrics.sells_volume_5m_usd)                                                      \
    X(f64, state.metrics.hours_since_creation)                                                     \
    X(f64, state.metrics.primary_liquidity_usd)                                                    \
    X(f64, state.metrics.price_usd)                                                                \
    X(f32, state.metrics.volume_24h_usd)                                                           \
    X(f32, state.metrics.market_cap_usd)                                                           \
    X(u32, state.metrics.tx_count_5m)                                                              \
    X(u32, state.metrics.tx_count_1h)                                                              \
    X(u32, state.metrics.buys_5m)                                                                  \
    X(u8, state.metrics.wsol_pairs)                                                                \
    X(u8, state.metrics.usdc_pairs)                                                                \
    X(u8, state.metrics.pools)                                                                     \
    X(u32, state.answers)

#define STATE_HEADER_SIZE 4

static uint8_t *put_u8(uint8_t *at, uint8_t value)
{
    *at = value;
    return at + 1;
}

static uint8_t *put_u32(uint8_t *at, uint32_t value)
{
    value = htole32(value);
    return (uint8_t *)memcpy(at, &value, sizeof value) + sizeof value;
}

static uint8_t *put_i64(uint8_t *at, int64_t value)
{
    uint64_t bits = htole64((uint64_t)value);
    return (uint8_t *)memcpy(at, &bits, sizeof bits) + sizeof bits;
}

static uint8_t *put_f64(uint8_t *at, double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_i64(at, bits);
}

static uint8_t *put_f32(uint8_t *at, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    return put_u32(at, bits);
}

static const uint8_t *get_u8(const uint8_t *at, uint8_t *value)
{
    *value = *at;
    return at + 1;
}

static const uint8_t *get_u32(const uint8_t *at, uint32_t *value)
{
    memcpy(value, at, sizeof *value);
    *value = le32toh(*value);
    return at + sizeof *value;
}

static const uint8_t *get_i64(const uint8_t *at, int64_t *value)
{
    uint64_t bits;
    memcpy(&bits, at, sizeof bits);
    *value = (int64_t)le64toh(bits);
    return at + sizeof bits;
}

static const uint8_t *get_f64(const uint8_t *at, double *value)
{
    int64_t bits;
    at = get_i64(at, &bits);
    memcpy(value, &bits, sizeof bits);
    return at;
}

static const uint8_t *get_f32(const uint8_t *at, float *value)
{
    uint32_t bits;
    at = get_u32(at, &bits);
    memcpy(value, &bits, sizeof bits);
    return at;
}

size_t state_encode(const struct token *token, const char *primary_dex, uint8_t out[STATE_BLOB_MAX])
{
    uint8_t *at = out;
    at = put_u8(at, TOKEN_STATE_VERSION);
    for (int i = 1; i < STATE_HEADER_SIZE; i++)
        at = put_u8(at, 0);
#define X(type, field) at = put_##type(at, token->field);
    STATE_FIELDS(X)
#undef X
    size_t length = strnlen(primary_dex, DEX_NAME_SIZE - 1);
    at = put_u8(at, (uint8_t)length);
    memcpy(at, primary_dex, length);
    return (size_t)(at - out) + length;
}

const char *state_decode(const uint8_t *bytes, size_t length, struct token *token,
                         char primary_dex[DEX_NAME_SIZE])
{
    if (bytes == NULL || length < STATE_FIXED_SIZE || length > STATE_BLOB_MAX)
        return "a state of the wrong length";
    if (bytes[0] != TOKEN_STATE_VERSION)
        return "a state of an unknown version";
    const uint8_t *at = bytes + STATE_HEADER_SIZE;
#define X(type, field) at = get_##type(at, &token->field);
    STATE_FIELDS(X)
#undef X
    uint8_t name_length;
    at = get_u8(at, &name_length);
    if (length != (size_t)(at - bytes) + name_length)
        return "a state of the wrong length";
    text_copy(primary_dex, DEX_NAME_SIZE, (const char *)at, name_length);
    return token_state_complaint(&token->state);
}
