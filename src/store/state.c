/* Lists of fields make the writers and the readers, so that they cannot drift apart. */
#include "store/state.h"
#include "base/text.h"
#include <endian.h>
#include <math.h>

#define COMPONENTS_FIELDS(X, components)                                                           \
    X(f64, components.tx_accel)                                                                    \
    X(f64, components.vol_momentum)                                                                \
    X(f64, components.token_freshness)                                                             \
    X(f64, components.orderflow_imbalance)

#define METRICS_FIELDS(X, metrics)                                                                 \
    X(f64, metrics.liquidity_usd)                                                                  \
    X(f64, metrics.delta_p_5m)                                                                     \
    X(f64, metrics.delta_p_15m)                                                                    \
    X(f64, metrics.volume_5m_usd)                                                                  \
    X(f64, metrics.volume_1h_usd)                                                                  \
    X(f64, metrics.buys_volume_5m_usd)                                                             \
    X(f64, metrics.sells_volume_5m_usd)                                                            \
    X(f64, metrics.hours_since_creation)                                                           \
    X(f64, metrics.primary_liquidity_usd)                                                          \
    X(f64, metrics.price_usd)                                                                      \
    X(f32, metrics.volume_24h_usd)                                                                 \
    X(f32, metrics.market_cap_usd)                                                                 \
    X(u32, metrics.tx_count_5m)                                                                    \
    X(u32, metrics.tx_count_1h)                                                                    \
    X(u32, metrics.buys_5m)                                                                        \
    X(u8, metrics.wsol_pairs)                                                                      \
    X(u8, metrics.usdc_pairs)                                                                      \
    X(u8, metrics.pools)

#define STATE_FIELDS(X)                                                                            \
    X(i64, state.checked_at.us)                                                                    \
    X(i64, state.fetched_at.us)                                                                    \
    X(i64, state.scored_at.us)                                                                     \
    X(i64, state.discovered_at.us)                                                                 \
    X(i64, state.status_since.us)                                                                  \
    X(i64, state.low_score_us)                                                                     \
    X(i64, state.snapshot_id)                                                                      \
    COMPONENTS_FIELDS(X, state.raw)                                                                \
    COMPONENTS_FIELDS(X, state.smoothed)                                                           \
    X(f64, state.score_raw)                                                                        \
    X(f64, state.score)                                                                            \
    X(f64, state.score_stored)                                                                     \
    METRICS_FIELDS(X, state.metrics)                                                               \
    X(u32, state.answers)

#define SNAPSHOT_FIELDS(X)                                                                         \
    X(f64, score_raw)                                                                              \
    COMPONENTS_FIELDS(X, raw)                                                                      \
    COMPONENTS_FIELDS(X, smoothed)                                                                 \
    METRICS_FIELDS(X, metrics)

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

static uint8_t *put_dex(uint8_t *at, const char *name)
{
    size_t length = strnlen(name, DEX_NAME_SIZE - 1);
    at = put_u8(at, (uint8_t)length);
    return (uint8_t *)memcpy(at, name, length) + length;
}

/* The last of its bytes. False: it does not end where they do. */
static bool get_dex(const uint8_t *at, const uint8_t *end, char name[DEX_NAME_SIZE])
{
    uint8_t length;
    at = get_u8(at, &length);
    if (end - at != length)
        return false;
    text_copy(name, DEX_NAME_SIZE, (const char *)at, length);
    return true;
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
    return (size_t)(put_dex(at, primary_dex) - out);
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
    if (!get_dex(at, bytes + length, primary_dex))
        return "a state of the wrong length";
    return token_state_complaint(&token->state);
}

size_t snapshot_encode(const struct store_snapshot *snapshot, uint8_t out[SNAPSHOT_BLOB_MAX])
{
    uint8_t *at = put_u8(out, SNAPSHOT_VERSION);
#define X(type, field) at = put_##type(at, snapshot->field);
    SNAPSHOT_FIELDS(X)
#undef X
    return (size_t)(put_dex(at, snapshot->primary_dex) - out);
}

static void forget_figures(struct store_snapshot *snapshot)
{
    const struct components none = {0};
    snapshot->score_raw = NAN;
    snapshot->raw = snapshot->smoothed = none;
    snapshot->metrics = metrics_unknown();
    snapshot->primary_dex[0] = '\0';
}

void snapshot_decode(const uint8_t *bytes, size_t length, struct store_snapshot *out)
{
    forget_figures(out);
    if (bytes == NULL || length < SNAPSHOT_FIXED_SIZE || length > SNAPSHOT_BLOB_MAX ||
        bytes[0] != SNAPSHOT_VERSION)
        return;
    const uint8_t *at = bytes + 1;
#define X(type, field) at = get_##type(at, &out->field);
    SNAPSHOT_FIELDS(X)
#undef X
    if (!get_dex(at, bytes + length, out->primary_dex))
        forget_figures(out);
}
