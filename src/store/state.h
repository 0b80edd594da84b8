/*
 * A token's state as bytes: the `state` column of `token` and `refresh_log`. What has a column of
 * its own (mint, name, symbol, status, created_at) is not in it.
 *
 * Layout, version 1. Little-endian whatever the machine; doubles and floats as IEEE 754 bits; times
 * are microseconds since the Unix epoch, 0 never.
 *
 *     offset  0  u8       version, 1
 *             1  u8 × 3   zero
 *             4  i64 × 7  checked_at, fetched_at, scored_at, discovered_at, status_since,
 *                         low_score_us, snapshot_id
 *            60  f64 × 4  raw: tx_accel, vol_momentum, token_freshness, orderflow_imbalance
 *            92  f64 × 4  smoothed: the same
 *           124  f64 × 3  score_raw, score, score_stored
 *           148  f64 × 10 liquidity_usd, delta_p_5m, delta_p_15m, volume_5m_usd, volume_1h_usd,
 *                         buys_volume_5m_usd, sells_volume_5m_usd, hours_since_creation,
 *                         primary_liquidity_usd, price_usd
 *           228  f32 × 2  volume_24h_usd, market_cap_usd
 *           236  u32 × 3  tx_count_5m, tx_count_1h, buys_5m
 *           248  u8 × 3   wsol_pairs, usdc_pairs, pools
 *           251  u32      answers
 *           255  u8       length of the primary DEX's name, 0 to 15, and the name
 *
 * A snapshot's figures, the `figures` column of `snapshot`: with a column for each, a row takes
 * nearly twice as long to write. Version 1, in the same way:
 *
 *     offset  0  u8       version, 1
 *             1  f64      score_raw
 *             9  f64 × 8  components, raw and smoothed
 *            73  …        the metrics, as from 148 on above
 *           176  u8       length of the primary DEX's name, and the name
 */
#ifndef MOONWATCH_STORE_STATE_H
#define MOONWATCH_STORE_STATE_H

#include "store/store.h"

#define STATE_FIXED_SIZE 256
#define STATE_BLOB_MAX   (STATE_FIXED_SIZE + DEX_NAME_SIZE - 1)

#define SNAPSHOT_VERSION    1
#define SNAPSHOT_FIXED_SIZE 177
#define SNAPSHOT_BLOB_MAX   (SNAPSHOT_FIXED_SIZE + DEX_NAME_SIZE - 1)

/* Returns the length. */
size_t state_encode(const struct token *token, const char *primary_dex,
                    uint8_t out[STATE_BLOB_MAX]);

/* Sets token->state. NULL when all is well, else what is wrong with the bytes (static
 * storage); `token` and `primary_dex` are undefined then. */
const char *state_decode(const uint8_t *bytes, size_t length, struct token *token,
                         char primary_dex[DEX_NAME_SIZE]);

/* score_raw, raw, smoothed, metrics and primary_dex. Returns the length. */
size_t snapshot_encode(const struct store_snapshot *snapshot, uint8_t out[SNAPSHOT_BLOB_MAX]);

/* Sets the same. Of bytes that are no figures all are unknown: NaN, or 0 where there is none. */
void snapshot_decode(const uint8_t *bytes, size_t length, struct store_snapshot *out);

#endif
