#include "store/sqlite_schema.h"
#include "base/text.h"
#include "store/log_record.h"
#include <math.h>
#include <stdio.h>

/* Columns that a start reads come first, and `state` last of them: SQLite decodes a row from the
 * left. The log is two tables, since emptying a whole one costs next to nothing, and deleting from
 * the front of one more than appending to it. No index on token.mint: a random insert a token would
 * cost more than all the rest. */
static const char *const MIGRATIONS[] = {
    "CREATE TABLE token("
    "  id INTEGER PRIMARY KEY,"
    "  mint TEXT NOT NULL,"
    "  name TEXT NOT NULL,"
    "  symbol TEXT NOT NULL,"
    "  status TEXT NOT NULL,"
    "  created_at INTEGER NOT NULL,"
    "  log_seq INTEGER NOT NULL,"
    "  state BLOB NOT NULL,"
    "  checked_at INTEGER,"
    "  fetched_at INTEGER,"
    "  score REAL,"
    "  liquidity_usd REAL,"
    "  price_usd REAL"
    ");"
    "CREATE TABLE pool("
    "  token_id INTEGER NOT NULL,"
    "  n INTEGER NOT NULL,"
    "  address TEXT NOT NULL,"
    "  dex TEXT NOT NULL,"
    "  quote TEXT NOT NULL,"
    "  liquidity_usd REAL,"
    "  flags INTEGER NOT NULL,"
    "  PRIMARY KEY(token_id, n)"
    ") WITHOUT ROWID;"
    "CREATE TABLE refresh_log_a(  seq INTEGER PRIMARY KEY,"
    "  token_id INTEGER NOT NULL,"
    "  at INTEGER NOT NULL,"
    "  name TEXT NOT NULL,"
    "  symbol TEXT NOT NULL,"
    "  status TEXT NOT NULL,"
    "  state BLOB NOT NULL"
    ");"
    "CREATE TABLE refresh_log_b(  seq INTEGER PRIMARY KEY,"
    "  token_id INTEGER NOT NULL,"
    "  at INTEGER NOT NULL,"
    "  name TEXT NOT NULL,"
    "  symbol TEXT NOT NULL,"
    "  status TEXT NOT NULL,"
    "  state BLOB NOT NULL"
    ");"
    "CREATE VIEW refresh_log AS"
    "  SELECT * FROM refresh_log_a UNION ALL SELECT * FROM refresh_log_b;"
    "CREATE TABLE snapshot("
    "  id INTEGER PRIMARY KEY,"
    "  previous INTEGER NOT NULL,"
    "  token_id INTEGER NOT NULL,"
    "  at INTEGER NOT NULL,"
    "  score REAL,"
    "  score_raw REAL,"
    "  raw_tx_accel REAL,"
    "  raw_vol_momentum REAL,"
    "  raw_token_freshness REAL,"
    "  raw_orderflow_imbalance REAL,"
    "  smoothed_tx_accel REAL,"
    "  smoothed_vol_momentum REAL,"
    "  smoothed_token_freshness REAL,"
    "  smoothed_orderflow_imbalance REAL,"
    "  liquidity_usd REAL,"
    "  delta_p_5m REAL,"
    "  delta_p_15m REAL,"
    "  volume_5m_usd REAL,"
    "  volume_1h_usd REAL,"
    "  buys_volume_5m_usd REAL,"
    "  sells_volume_5m_usd REAL,"
    "  hours_since_creation REAL,"
    "  primary_liquidity_usd REAL,"
    "  price_usd REAL,"
    "  volume_24h_usd REAL,"
    "  market_cap_usd REAL,"
    "  tx_count_5m INTEGER,"
    "  tx_count_1h INTEGER,"
    "  buys_5m INTEGER,"
    "  wsol_pairs INTEGER,"
    "  usdc_pairs INTEGER,"
    "  pools INTEGER,"
    "  primary_dex TEXT"
    ");"
    "CREATE TABLE event("
    "  id INTEGER PRIMARY KEY,"
    "  token_id INTEGER NOT NULL,"
    "  at INTEGER NOT NULL,"
    "  kind TEXT NOT NULL,"
    "  reason TEXT NOT NULL"
    ");"
    "CREATE INDEX event_by_token ON event(token_id) WHERE token_id > 0;"
    "CREATE TABLE setting("
    "  name TEXT PRIMARY KEY,"
    "  value TEXT NOT NULL"
    ") WITHOUT ROWID;"
    "CREATE TABLE meta("
    "  name TEXT PRIMARY KEY,"
    "  value INTEGER NOT NULL"
    ") WITHOUT ROWID;"
    "INSERT INTO meta VALUES('generation', 0), ('log_position', 0);",
    /* A snapshot's figures as one blob: with 33 columns a row took nearly twice as long. */
    "ALTER TABLE snapshot RENAME TO wide_snapshot;"
    "CREATE TABLE snapshot("
    "  id INTEGER PRIMARY KEY,"
    "  previous INTEGER NOT NULL,"
    "  token_id INTEGER NOT NULL,"
    "  at INTEGER NOT NULL,"
    "  score REAL,"
    "  liquidity_usd REAL,"
    "  price_usd REAL,"
    "  figures BLOB NOT NULL"
    ");"
    "INSERT INTO snapshot SELECT id,previous,token_id,at,score,liquidity_usd,price_usd,"
    "  snapshot_figures(score_raw,raw_tx_accel,raw_vol_momentum,raw_token_freshness,"
    "  raw_orderflow_imbalance,smoothed_tx_accel,smoothed_vol_momentum,smoothed_token_freshness,"
    "  smoothed_orderflow_imbalance,liquidity_usd,delta_p_5m,delta_p_15m,volume_5m_usd,"
    "  volume_1h_usd,buys_volume_5m_usd,sells_volume_5m_usd,hours_since_creation,"
    "  primary_liquidity_usd,price_usd,volume_24h_usd,market_cap_usd,tx_count_5m,tx_count_1h,"
    "  buys_5m,wsol_pairs,usdc_pairs,pools,primary_dex) FROM wide_snapshot;"
    "DROP TABLE wide_snapshot;",
    /* Many refreshes as a row of the log (log_record.h). `seq` is the position of the last of them,
     * so that the largest is the newest. */
    "DROP VIEW refresh_log;"
    "ALTER TABLE refresh_log_a RENAME TO single_log_a;"
    "ALTER TABLE refresh_log_b RENAME TO single_log_b;"
    "CREATE TABLE refresh_log_a("
    "  seq INTEGER PRIMARY KEY,"
    "  first INTEGER NOT NULL,"
    "  records BLOB NOT NULL"
    ");"
    "CREATE TABLE refresh_log_b("
    "  seq INTEGER PRIMARY KEY,"
    "  first INTEGER NOT NULL,"
    "  records BLOB NOT NULL"
    ");"
    "INSERT INTO refresh_log_a"
    "  SELECT seq,seq,log_record(token_id,status,name,symbol,state) FROM single_log_a;"
    "INSERT INTO refresh_log_b"
    "  SELECT seq,seq,log_record(token_id,status,name,symbol,state) FROM single_log_b;"
    "DROP TABLE single_log_a;"
    "DROP TABLE single_log_b;"
    "CREATE VIEW refresh_log AS"
    "  SELECT * FROM refresh_log_a UNION ALL SELECT * FROM refresh_log_b;",
    /* What is still to be delivered to people. */
    "CREATE TABLE alert("
    "  id INTEGER PRIMARY KEY,"
    "  text TEXT NOT NULL"
    ");",
};

/* ---- what migrations call ---- */

#define FIGURES_ARGUMENTS 28
#define RECORD_ARGUMENTS  5

static double figure_of(sqlite3_value *value)
{
    return sqlite3_value_type(value) == SQLITE_NULL ? (double)NAN : sqlite3_value_double(value);
}

static uint32_t count_of(sqlite3_value *value, uint32_t most)
{
    int64_t count = sqlite3_value_int64(value);
    return count < 0 ? 0 : count > most ? most : (uint32_t)count;
}

static void read_metrics(sqlite3_value **values, struct metrics *out)
{
    double *const figures[] = {
        &out->liquidity_usd,       &out->delta_p_5m,           &out->delta_p_15m,
        &out->volume_5m_usd,       &out->volume_1h_usd,        &out->buys_volume_5m_usd,
        &out->sells_volume_5m_usd, &out->hours_since_creation, &out->primary_liquidity_usd,
        &out->price_usd,
    };
    for (size_t i = 0; i < sizeof figures / sizeof *figures; i++)
        *figures[i] = figure_of(*values++);
    out->volume_24h_usd = (float)figure_of(*values++);
    out->market_cap_usd = (float)figure_of(*values++);
    out->tx_count_5m = count_of(*values++, UINT32_MAX);
    out->tx_count_1h = count_of(*values++, UINT32_MAX);
    out->buys_5m = count_of(*values++, UINT32_MAX);
    out->wsol_pairs = (uint8_t)count_of(*values++, POOLS_MAX);
    out->usdc_pairs = (uint8_t)count_of(*values++, POOLS_MAX);
    out->pools = (uint8_t)count_of(*values, POOLS_MAX);
}

static struct components read_components(sqlite3_value **values)
{
    return (struct components){sqlite3_value_double(values[0]), sqlite3_value_double(values[1]),
                               sqlite3_value_double(values[2]), sqlite3_value_double(values[3])};
}

/* A text or blob is NULL when there is no memory for it, too: then the migration must fail, and be
 * tried again. */
static bool lacks_memory(sqlite3_context *context, sqlite3_value *value, const void *bytes)
{
    int type = sqlite3_value_type(value);
    bool lacks = bytes == NULL &&
                 (type == SQLITE_TEXT || (type == SQLITE_BLOB && sqlite3_value_bytes(value) > 0));
    if (lacks)
        sqlite3_result_error_nomem(context);
    return lacks;
}

static void snapshot_figures(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct store_snapshot snapshot = {.score_raw = figure_of(values[0]),
                                      .raw = read_components(values + 1),
                                      .smoothed = read_components(values + 5)};
    uint8_t figures[SNAPSHOT_BLOB_MAX];
    const char *dex = (const char *)sqlite3_value_text(values[count - 1]);
    if (lacks_memory(context, values[count - 1], dex))
        return;
    read_metrics(values + 9, &snapshot.metrics);
    snprintf(snapshot.primary_dex, sizeof snapshot.primary_dex, "%s", dex == NULL ? "" : dex);
    size_t length = snapshot_encode(&snapshot, figures);
    sqlite3_result_blob(context, figures, (int)length, SQLITE_TRANSIENT);
}

static bool read_name(sqlite3_context *context, sqlite3_value *value, char *out, size_t size)
{
    const char *text = (const char *)sqlite3_value_text(value);
    size_t length = (size_t)sqlite3_value_bytes(value);
    text_copy(out, size, text == NULL ? "" : text, text == NULL ? 0 : length);
    return !lacks_memory(context, value, text);
}

/* What can't be right makes a record that the next start refuses: one of no token. */
static void log_record(sqlite3_context *context, int count, sqlite3_value **values)
{
    struct store_token row = {0};
    uint8_t bytes[LOG_RECORD_MAX];
    enum token_status status;
    (void)count;
    int64_t id = sqlite3_value_int64(values[0]);
    const char *text = (const char *)sqlite3_value_text(values[1]);
    size_t length = (size_t)sqlite3_value_bytes(values[1]);
    const uint8_t *state = sqlite3_value_blob(values[4]);
    size_t size = (size_t)sqlite3_value_bytes(values[4]);
    if (lacks_memory(context, values[1], text) || lacks_memory(context, values[4], state))
        return;
    bool is_sound = id >= 1 && id <= UINT32_MAX && text != NULL &&
                    token_status_parse(text, length, &status) &&
                    state_decode(state, size, &row.token, row.primary_dex) == NULL;
    if (is_sound) {
        row.id = (token_id)id;
        row.token.status = (uint8_t)status;
    }
    if (!read_name(context, values[2], row.token.name, sizeof row.token.name) ||
        !read_name(context, values[3], row.token.symbol, sizeof row.token.symbol))
        return;
    size_t written = log_record_encode(&row, bytes);
    sqlite3_result_blob(context, bytes, (int)written, SQLITE_TRANSIENT);
}

int sqlite_schema_add_functions(sqlite3 *db)
{
    const int flags = SQLITE_UTF8 | SQLITE_DETERMINISTIC;
    int result = sqlite3_create_function_v2(db, "snapshot_figures", FIGURES_ARGUMENTS, flags, NULL,
                                            snapshot_figures, NULL, NULL, NULL);
    if (result != SQLITE_OK)
        return result;
    return sqlite3_create_function_v2(db, "log_record", RECORD_ARGUMENTS, flags, NULL, log_record,
                                      NULL, NULL, NULL);
}

size_t sqlite_schema_version(void)
{
    return sizeof MIGRATIONS / sizeof *MIGRATIONS;
}

const char *sqlite_schema_migration(size_t version)
{
    return MIGRATIONS[version];
}
