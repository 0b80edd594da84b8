/* Rows out: what a transaction writes. */
#include "store/postgres_store.h"

#include "base/log.h"
#include "core/mint_slot.h"
#include "store/postgres_leases.h"
#include "store/state.h"
#include <endian.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define STATE_COLUMNS 12 /* of POSTGRES_STATE_ARRAYS */

/* ---- leases ---- */

enum err postgres_hold(struct store *store, const struct cluster_change *leases, uint32_t count,
                       bool *held)
{
    struct postgres_store *s = postgres_of(store);
    enum err err = postgres_leases_hold(&s->link, leases, count, held);
    for (uint32_t i = 0; err == OK && i < count; i++) {
        if (!held[i])
            continue;
        s->held[leases[i].lease] = leases[i].generation;
        if (leases[i].lease < MINT_SLOTS && s->labels[leases[i].lease] < leases[i].generation)
            s->labels[leases[i].lease] = leases[i].generation;
    }
    return err;
}

/* ---- rows that gather ---- */

static void begin_rows(struct postgres_rows *rows, const enum postgres_type *types)
{
    for (int i = 0; types[i] != 0; i++)
        postgres_column_begin(&rows->columns[i], types[i]);
}

static enum err add_rows(struct postgres_store *s, struct postgres_values *values,
                         struct postgres_rows *rows, int columns)
{
    for (int i = 0; i < columns; i++) {
        enum err err = postgres_add_column(values, &rows->columns[i]);
        if (err != OK)
            return postgres_link_fail_with(&s->link, err, "is not written to: no memory for it");
        s->size_sent += (int64_t)rows->columns[i].length;
    }
    return OK;
}

static enum err send_rows(struct postgres_store *s, enum postgres_statement statement,
                          struct postgres_rows *rows, int columns, const int64_t *last_value)
{
    struct postgres_values values = {0};
    char name[16];
    if (rows->count == 0)
        return OK;
    enum err err = add_rows(s, &values, rows, columns);
    if (last_value != NULL)
        postgres_add_integer(&values, *last_value);
    snprintf(name, sizeof name, "s%d", statement);
    if (err == OK)
        err = postgres_link_send(&s->link, name, &values);
    rows->count = 0;
    rows->last = 0;
    return err;
}

static enum err send_values(struct postgres_store *s, enum postgres_statement statement,
                            const struct postgres_values *values)
{
    char name[16];
    snprintf(name, sizeof name, "s%d", statement);
    return postgres_link_send(&s->link, name, values);
}

static enum err send_tokens(struct postgres_store *s)
{
    return send_rows(s, PG_PUT_TOKENS, &s->rows[ROWS_TOKENS], STATE_COLUMNS + 3, &s->node);
}

static enum err send_checkpoints(struct postgres_store *s)
{
    return send_rows(s, PG_CHECKPOINT, &s->rows[ROWS_CHECKPOINTS], STATE_COLUMNS, &s->node);
}

static enum err send_pools(struct postgres_store *s)
{
    enum err err = send_rows(s, PG_DELETE_POOLS, &s->rows[ROWS_CLEARED_POOLS], 1, NULL);
    return err == OK ? send_rows(s, PG_PUT_POOLS, &s->rows[ROWS_POOLS], 7, NULL) : err;
}

static enum err send_snapshots(struct postgres_store *s)
{
    return send_rows(s, PG_PUT_SNAPSHOTS, &s->rows[ROWS_SNAPSHOTS], 8, NULL);
}

static enum err send_events(struct postgres_store *s)
{
    return send_rows(s, PG_PUT_EVENTS, &s->rows[ROWS_EVENTS], 5, NULL);
}

static enum err send_log(struct postgres_store *s)
{
    return send_rows(s, s->log_part == 0 ? PG_APPEND_A : PG_APPEND_B, &s->rows[ROWS_LOG], 4, NULL);
}

/* ---- tokens ---- */

static const char *status_text(uint8_t status)
{
    return token_status_name(status < TOKEN_STATUS_COUNT ? (enum token_status)status
                                                         : TOKEN_MONITORING);
}

static void add_time(struct postgres_column *column, instant t)
{
    if (instant_is_never(t))
        postgres_column_null(column);
    else
        postgres_column_integer(column, t.us);
}

/* What a row of `token` is written with, whichever way: POSTGRES_STATE_ARRAYS; and then, of one
 * that is put, mint, slot and created_at. */
static const enum postgres_type TOKEN_TYPES[] = {
    POSTGRES_INT8_ARRAY,   POSTGRES_TEXT_ARRAY,   POSTGRES_TEXT_ARRAY,   POSTGRES_TEXT_ARRAY,
    POSTGRES_INT8_ARRAY,   POSTGRES_BYTES_ARRAY,  POSTGRES_INT8_ARRAY,   POSTGRES_INT8_ARRAY,
    POSTGRES_FLOAT8_ARRAY, POSTGRES_FLOAT8_ARRAY, POSTGRES_FLOAT8_ARRAY, POSTGRES_INT8_ARRAY,
    POSTGRES_TEXT_ARRAY,   POSTGRES_INT2_ARRAY,   POSTGRES_INT8_ARRAY,   POSTGRES_NO_TYPE};

static void add_token(const struct postgres_store *s, struct postgres_rows *rows,
                      const struct store_token *row, uint16_t slot)
{
    const struct token *token = &row->token;
    const struct token_state *state = &token->state;
    struct postgres_column *columns = rows->columns;
    bool has_data = state->answers > 0;
    if (rows->count == 0)
        begin_rows(rows, TOKEN_TYPES);
    rows->count++;
    rows->last = row->id;
    postgres_column_integer(columns++, row->id);
    postgres_column_text(columns++, token->name, sizeof token->name);
    postgres_column_text(columns++, token->symbol, sizeof token->symbol);
    postgres_column_text(columns++, status_text(token->status), TOKEN_NAME_SIZE);
    postgres_column_integer(columns++, s->log_position);
    uint8_t *blob = postgres_column_bytes_begin(columns, STATE_BLOB_MAX);
    if (blob != NULL)
        postgres_column_bytes_end(columns, state_encode(token, row->primary_dex, blob));
    columns++;
    add_time(columns++, state->checked_at);
    add_time(columns++, state->fetched_at);
    postgres_column_double(columns++, has_data ? state->score : (double)NAN);
    postgres_column_double(columns++, has_data ? state->metrics.liquidity_usd : (double)NAN);
    postgres_column_double(columns++, has_data ? state->metrics.price_usd : (double)NAN);
    postgres_column_integer(columns, (int64_t)s->labels[slot]);
}

static void add_address(struct postgres_column *column, const struct address *address)
{
    uint8_t *text = postgres_column_bytes_begin(column, ADDRESS_TEXT_MAX + 1);
    if (text != NULL)
        postgres_column_bytes_end(column, address_format(address, (char *)text));
}

enum err postgres_put_token(struct store *store, const struct store_token *token)
{
    struct postgres_store *s = postgres_of(store);
    struct postgres_rows *rows = &s->rows[ROWS_TOKENS];
    uint16_t slot = mint_slot(&token->token.mint);
    enum err err = OK;
    if (s->rows[ROWS_CHECKPOINTS].count > 0) /* they go out after it, and might be older */
        err = postgres_settle_rows(s);
    if (err == OK && (token->id <= rows->last || rows->count == POSTGRES_ROWS_MAX))
        err = send_tokens(s);
    if (err != OK)
        return err;
    add_token(s, rows, token, slot);
    struct postgres_column *columns = &rows->columns[STATE_COLUMNS];
    add_address(&columns[0], &token->token.mint);
    postgres_column_small(&columns[1], (int16_t)slot);
    postgres_column_integer(&columns[2], token->token.created_at.us);
    return postgres_put_pools(store, token);
}

static bool make_room(void **array, size_t *capacity, size_t wanted, size_t size)
{
    if (wanted <= *capacity)
        return true;
    void *larger = realloc(*array, wanted * 2 * size);
    if (larger == NULL)
        return false;
    *array = larger;
    *capacity = wanted * 2;
    return true;
}

static size_t kept_size(const struct store_token *token)
{
    return offsetof(struct store_token, pools) + token->token.pool_count * sizeof *token->pools;
}

/* Of the one that is kept at `at`. */
static size_t kept_size_at(const struct postgres_kept *kept, size_t at)
{
    uint8_t pool_count;
    memcpy(&pool_count, kept->bytes + at + offsetof(struct store_token, token.pool_count),
           sizeof pool_count);
    return offsetof(struct store_token, pools) + pool_count * sizeof(struct store_pool);
}

static enum err keep(struct postgres_store *s, const struct store_token *token)
{
    struct postgres_kept *kept = &s->kept;
    size_t size = kept_size(token);
    if (!make_room((void **)&kept->bytes, &kept->capacity, kept->length + size, 1))
        return postgres_link_fail_with(&s->link, ERR_NO_MEMORY,
                                       "is not written to: no memory for it");
    memcpy(kept->bytes + kept->length, token, size);
    kept->length += size;
    kept->count++;
    return OK;
}

enum err postgres_checkpoint_token(struct store *store, const struct store_token *token)
{
    struct postgres_store *s = postgres_of(store);
    struct postgres_rows *rows = &s->rows[ROWS_CHECKPOINTS];
    enum err err = OK;
    if (token->id <= rows->last || rows->count == POSTGRES_ROWS_MAX)
        err = postgres_settle_rows(s);
    if (err == OK)
        err = keep(s, token);
    if (err == OK)
        add_token(s, rows, token, mint_slot(&token->token.mint));
    return err;
}

/* ---- pools ---- */

static void add_pool(struct postgres_rows *rows, token_id id, int n, const struct store_pool *pool)
{
    struct postgres_column *columns = rows->columns;
    rows->count++;
    postgres_column_integer(&columns[0], id);
    postgres_column_small(&columns[1], (int16_t)n);
    add_address(&columns[2], &pool->pool.address);
    postgres_column_text(&columns[3], pool->dex, sizeof pool->dex);
    postgres_column_text(&columns[4], pool->quote, sizeof pool->quote);
    postgres_column_double(&columns[5], (double)pool->pool.liquidity_usd);
    postgres_column_small(&columns[6], pool->pool.flags);
}

enum err postgres_put_pools(struct store *store, const struct store_token *token)
{
    static const enum postgres_type TYPES[] = {
        POSTGRES_INT8_ARRAY, POSTGRES_INT2_ARRAY,   POSTGRES_TEXT_ARRAY, POSTGRES_TEXT_ARRAY,
        POSTGRES_TEXT_ARRAY, POSTGRES_FLOAT8_ARRAY, POSTGRES_INT2_ARRAY, POSTGRES_NO_TYPE};
    static const enum postgres_type CLEARED_TYPES[] = {POSTGRES_INT8_ARRAY, POSTGRES_NO_TYPE};
    struct postgres_store *s = postgres_of(store);
    enum err err = OK;
    if (token->id <= s->rows[ROWS_CLEARED_POOLS].last ||
        s->rows[ROWS_POOLS].count >= POSTGRES_ROWS_MAX)
        err = send_pools(s);
    if (err != OK)
        return err;
    if (s->rows[ROWS_CLEARED_POOLS].count == 0) {
        begin_rows(&s->rows[ROWS_CLEARED_POOLS], CLEARED_TYPES);
        begin_rows(&s->rows[ROWS_POOLS], TYPES);
    }
    s->rows[ROWS_CLEARED_POOLS].count++;
    s->rows[ROWS_CLEARED_POOLS].last = token->id;
    postgres_column_integer(&s->rows[ROWS_CLEARED_POOLS].columns[0], token->id);
    for (int n = 0; n < token->token.pool_count && n < POOLS_MAX; n++)
        add_pool(&s->rows[ROWS_POOLS], token->id, n, &token->pools[n]);
    if (s->log_count > 0 && s->log_newest == token->id)
        s->log_marks[s->log_count * LOG_MARK_SIZE - 3] |= LOG_MARK_POOLS >> 24;
    return OK;
}

/* ---- the log ---- */

static void add_bytes(struct postgres_column *column, const void *bytes, size_t length)
{
    uint8_t *room = postgres_column_bytes_begin(column, length);
    if (room == NULL)
        return;
    memcpy(room, bytes, length);
    postgres_column_bytes_end(column, length);
}

static void end_log_row(struct postgres_store *s)
{
    static const enum postgres_type TYPES[] = {POSTGRES_INT8_ARRAY, POSTGRES_INT8_ARRAY,
                                               POSTGRES_BYTES_ARRAY, POSTGRES_BYTES_ARRAY,
                                               POSTGRES_NO_TYPE};
    struct postgres_rows *rows = &s->rows[ROWS_LOG];
    if (s->log_length == 0)
        return;
    if (rows->count == 0)
        begin_rows(rows, TYPES);
    rows->count++;
    postgres_column_integer(&rows->columns[0], s->log_position);
    postgres_column_integer(&rows->columns[1], s->log_first);
    add_bytes(&rows->columns[2], s->log_bytes, s->log_length);
    add_bytes(&rows->columns[3], s->log_marks, s->log_count * LOG_MARK_SIZE);
    s->log_length = s->log_count = 0;
}

static void add_mark(struct postgres_store *s, uint16_t slot)
{
    uint32_t generation = htole32((uint32_t)s->held[slot] & ~LOG_MARK_POOLS);
    uint8_t *at = s->log_marks + (size_t)s->log_count++ * LOG_MARK_SIZE;
    slot = htole16(slot);
    memcpy(at, &generation, sizeof generation);
    memcpy(at + sizeof generation, &slot, sizeof slot);
}

enum err postgres_append_refresh(struct store *store, const struct store_token *token)
{
    struct postgres_store *s = postgres_of(store);
    uint16_t slot = mint_slot(&token->token.mint);
    enum err err = OK;
    if (!s->is_alone && s->held[slot] == 0)
        return postgres_link_fail_with(&s->link, ERR_INVALID,
                                       "takes nothing about a token whose slot is not held");
    if (s->log_length + LOG_RECORD_MAX > POSTGRES_LOG_ROW_MAX)
        end_log_row(s);
    if (s->rows[ROWS_LOG].count > 0 && s->rows[ROWS_LOG].columns[2].length >= POSTGRES_BYTES_MAX)
        err = send_log(s);
    if (err != OK)
        return err;
    s->log_position++;
    if (s->log_length == 0)
        s->log_first = s->log_position;
    s->log_length += log_record_encode(token, s->log_bytes + s->log_length);
    add_mark(s, slot);
    s->log_newest = token->id;
    return OK;
}

/* While the other part still holds what an earlier pass did not end on, appends stay where they
 * are: this pass covers both, and the next one changes over. */
void postgres_start_pass(struct store *store)
{
    struct postgres_store *s = postgres_of(store);
    if (!s->is_other_empty)
        return;
    s->log_part = 1 - s->log_part;
    s->is_other_empty = false;
}

/* What was in them is in the rows now. Their nodes are locked out as long as we are alone. */
static enum err drop_foreign_logs(struct postgres_store *s)
{
    PGresult *nodes = NULL;
    char sql[512], a[64], b[64];
    struct postgres_values values = {0};
    postgres_add_integer(&values, s->node);
    enum err err = postgres_link_ask(&s->link, "SELECT number FROM node WHERE number<>$1", &values,
                                     "read", &nodes);
    for (int i = 0; err == OK && i < PQntuples(nodes); i++) {
        int64_t node = postgres_integer(nodes, i, 0);
        postgres_table_of_log(node, 0, a);
        postgres_table_of_log(node, 1, b);
        /* Positions must not start over. */
        snprintf(sql, sizeof sql,
                 "UPDATE node SET log_position=greatest(log_position,(SELECT max(seq) FROM %s),"
                 "(SELECT max(seq) FROM %s)) WHERE number=%" PRId64 ";TRUNCATE %s,%s",
                 a, b, node, a, b);
        err = postgres_link_run(&s->link, sql, "write to");
    }
    PQclear(nodes);
    if (err == OK)
        log_info("store", "dropped the logs of the nodes that shared the database");
    return err;
}

enum err postgres_end_pass(struct store *store)
{
    struct postgres_store *s = postgres_of(store);
    struct postgres_values values = {0};
    /* Both parts can be empty from now on, and positions must not start over. */
    postgres_add_integer(&values, s->log_position);
    postgres_add_integer(&values, s->node);
    enum err err = send_values(s, PG_SET_POSITION, &values);
    if (err == OK)
        err = send_values(s, s->log_part == 0 ? PG_CLEAR_B : PG_CLEAR_A, NULL);
    s->is_other_cleared = err == OK;
    if (err == OK && s->has_foreign_logs) {
        err = postgres_settle_rows(s);
        if (err == OK)
            err = drop_foreign_logs(s);
        s->has_foreign_logs = err != OK;
    }
    return err;
}

/* ---- history ---- */

enum err postgres_put_snapshot(struct store *store, const struct store_snapshot *snapshot)
{
    static const enum postgres_type TYPES[] = {
        POSTGRES_INT8_ARRAY,   POSTGRES_INT8_ARRAY,   POSTGRES_INT8_ARRAY,
        POSTGRES_INT8_ARRAY,   POSTGRES_FLOAT8_ARRAY, POSTGRES_FLOAT8_ARRAY,
        POSTGRES_FLOAT8_ARRAY, POSTGRES_BYTES_ARRAY,  0};
    struct postgres_store *s = postgres_of(store);
    struct postgres_rows *rows = &s->rows[ROWS_SNAPSHOTS];
    struct postgres_column *columns = rows->columns;
    enum err err = rows->count == POSTGRES_ROWS_MAX ? send_snapshots(s) : OK;
    if (err != OK)
        return err;
    if (rows->count == 0)
        begin_rows(rows, TYPES);
    rows->count++;
    postgres_column_integer(&columns[0], snapshot->id);
    postgres_column_integer(&columns[1], snapshot->previous);
    postgres_column_integer(&columns[2], snapshot->token);
    postgres_column_integer(&columns[3], snapshot->at.us);
    postgres_column_double(&columns[4], snapshot->score);
    postgres_column_double(&columns[5], snapshot->metrics.liquidity_usd);
    postgres_column_double(&columns[6], snapshot->metrics.price_usd);
    uint8_t *figures = postgres_column_bytes_begin(&columns[7], SNAPSHOT_BLOB_MAX);
    if (figures != NULL)
        postgres_column_bytes_end(&columns[7], snapshot_encode(snapshot, figures));
    return OK;
}

enum err postgres_put_event(struct store *store, const struct store_event *event)
{
    static const enum postgres_type TYPES[] = {POSTGRES_INT8_ARRAY, POSTGRES_INT8_ARRAY,
                                               POSTGRES_INT8_ARRAY, POSTGRES_TEXT_ARRAY,
                                               POSTGRES_TEXT_ARRAY, POSTGRES_NO_TYPE};
    struct postgres_store *s = postgres_of(store);
    struct postgres_rows *rows = &s->rows[ROWS_EVENTS];
    enum err err = rows->count == POSTGRES_ROWS_MAX ? send_events(s) : OK;
    if (err != OK)
        return err;
    if (rows->count == 0)
        begin_rows(rows, TYPES);
    rows->count++;
    postgres_column_integer(&rows->columns[0], ++s->event_id);
    postgres_column_integer(&rows->columns[1], event->token);
    postgres_column_integer(&rows->columns[2], event->at.us);
    postgres_column_text(&rows->columns[3], event->kind, sizeof event->kind);
    postgres_column_text(&rows->columns[4], event->reason, sizeof event->reason);
    return OK;
}

/* What stands in no partition of its own. */
static enum err delete_some(struct postgres_store *s, const char *table, instant before,
                            uint32_t most, bool *more)
{
    struct postgres_values values = {0};
    PGresult *rows = NULL;
    char sql[256];
    const char *part = s->schema.is_partitioned ? "_default" : "";
    postgres_add_integer(&values, before.us);
    postgres_add_integer(&values, most);
    snprintf(sql, sizeof sql,
             "DELETE FROM %s%s WHERE (id,at) IN (SELECT id,at FROM %s%s WHERE at < $1 ORDER BY id"
             " LIMIT $2) RETURNING id",
             table, part, table, part);
    enum err err = postgres_link_ask(&s->link, sql, &values, "drop old history of", &rows);
    *more = *more || (err == OK && (uint32_t)PQntuples(rows) >= most);
    PQclear(rows);
    return err;
}

enum err postgres_delete_history(struct store *store, instant snapshots_before,
                                 instant events_before, uint32_t most, bool *more)
{
    struct postgres_store *s = postgres_of(store);
    *more = false;
    enum err err = postgres_settle_rows(s);
    if (err == OK && s->schema.is_partitioned)
        err = postgres_schema_drop_days(&s->link, "snapshot", snapshots_before);
    if (err == OK && s->schema.is_partitioned)
        err = postgres_schema_drop_days(&s->link, "event", events_before);
    if (err == OK)
        err = delete_some(s, "snapshot", snapshots_before, most, more);
    if (err == OK)
        err = delete_some(s, "event", events_before, most, more);
    return err;
}

/* ---- settings, alerts ---- */

enum err postgres_put_setting(struct store *store, const char *name, const char *value)
{
    struct postgres_store *s = postgres_of(store);
    struct postgres_values values = {0};
    postgres_add_text(&values, name);
    postgres_add_text(&values, value);
    enum err err = send_values(s, PG_PUT_SETTING, &values);
    if (err == OK)
        kept_settings_put(&s->settings, name, value);
    return err == OK && s->has_notify ? send_values(s, PG_NOTIFY, NULL) : err;
}

enum err postgres_put_alert(struct store *store, int64_t id, const char *text)
{
    struct postgres_store *s = postgres_of(store);
    struct postgres_values values = {0};
    postgres_add_integer(&values, id);
    postgres_add_integer(&values, s->node);
    if (text == NULL)
        return send_values(s, PG_DELETE_ALERT, &values);
    postgres_add_bytes(&values, POSTGRES_TEXT, text, strnlen(text, STORE_ALERT_TEXT_MAX));
    return send_values(s, PG_PUT_ALERT, &values);
}

/* ---- the end of a transaction ---- */

enum err postgres_send_rows(struct postgres_store *s)
{
    static enum err (*const SENDERS[])(struct postgres_store *) = {
        send_tokens, send_checkpoints, send_pools, send_snapshots, send_events, send_log};
    enum err err = OK;
    end_log_row(s);
    for (size_t i = 0; err == OK && i < sizeof SENDERS / sizeof *SENDERS; i++)
        err = SENDERS[i](s);
    return err;
}

/* Of checkpoints: the ids whose rows are there. */
static void note_found(void *context, const PGresult *rows)
{
    struct postgres_kept *kept = context;
    size_t count = (size_t)PQntuples(rows);
    if (!make_room((void **)&kept->found, &kept->found_capacity, kept->found_count + count,
                   sizeof *kept->found))
        return; /* as if they were missing: they are put again */
    for (size_t i = 0; i < count; i++)
        kept->found[kept->found_count++] = (token_id)postgres_integer(rows, (int)i, 0);
}

/* Those that were not written may be there, with a newer state. */
static enum err find_newer(struct postgres_store *s)
{
    struct postgres_kept *kept = &s->kept;
    struct postgres_column column = {0};
    struct postgres_values values = {0};
    PGresult *rows = NULL;
    token_id id;
    postgres_column_begin(&column, POSTGRES_INT8_ARRAY);
    for (size_t at = 0; at < kept->length; at += kept_size_at(kept, at)) {
        memcpy(&id, kept->bytes + at + offsetof(struct store_token, id), sizeof id);
        postgres_column_integer(&column, id);
    }
    enum err err = postgres_add_column(&values, &column);
    if (err == OK)
        err = postgres_link_ask(&s->link, "SELECT id FROM token WHERE id=ANY($1::bigint[])",
                                &values, "read", &rows);
    kept->found_count = 0;
    if (err == OK)
        note_found(kept, rows);
    PQclear(rows);
    postgres_column_finish(&column);
    return err;
}

static enum err put_missing(struct postgres_store *s)
{
    struct postgres_kept *kept = &s->kept;
    struct store_token token;
    enum err err = find_newer(s);
    if (err == OK && kept->found_count == kept->count)
        return OK;
    if (err == OK && kept->found_count > 0)
        qsort(kept->found, kept->found_count, sizeof *kept->found, token_compare_ids);
    for (size_t at = 0; err == OK && at < kept->length; at += kept_size(&token)) {
        memcpy(&token, kept->bytes + at, offsetof(struct store_token, pools));
        memcpy(&token, kept->bytes + at, kept_size(&token));
        if (kept->found_count == 0 || bsearch(&token.id, kept->found, kept->found_count,
                                              sizeof token.id, token_compare_ids) == NULL)
            err = postgres_put_token(&s->base, &token);
    }
    if (err == OK)
        err = postgres_send_rows(s);
    return err == OK ? postgres_link_sync(&s->link, "write to", NULL, NULL) : err;
}

enum err postgres_settle_rows(struct postgres_store *s)
{
    struct postgres_kept *kept = &s->kept;
    enum err err = postgres_send_rows(s);
    kept->found_count = 0;
    if (err == OK)
        err = postgres_link_sync(&s->link, "write to", note_found, kept);
    if (err == OK && kept->found_count < kept->count)
        err = put_missing(s);
    kept->length = kept->count = 0;
    return err;
}

void postgres_forget_rows(struct postgres_store *s)
{
    for (int i = 0; i < ROWS_COUNT; i++) {
        s->rows[i].count = 0;
        s->rows[i].last = 0;
    }
    s->kept.length = s->kept.count = 0;
    s->log_length = s->log_count = 0;
}

void postgres_finish_rows(struct postgres_store *s)
{
    for (int i = 0; i < ROWS_COUNT; i++)
        for (size_t n = 0; n < PG_COLUMNS_MAX; n++)
            postgres_column_finish(&s->rows[i].columns[n]);
    free(s->kept.bytes);
    free(s->kept.found);
}
