/* Rows out: the statements of a transaction. */
#include "store/sqlite_store.h"
#include "store/state.h"
#include <math.h>

static void bind_text(struct sqlite_store *s, sqlite3_stmt *statement, int column, const char *text,
                      size_t size)
{
    sqlite_bound(
        s, sqlite3_bind_text(statement, column, text, (int)strnlen(text, size), SQLITE_STATIC));
}

static void bind_time(struct sqlite_store *s, sqlite3_stmt *statement, int column, instant t)
{
    if (instant_is_never(t))
        sqlite_bound(s, sqlite3_bind_null(statement, column));
    else
        sqlite_bound(s, sqlite3_bind_int64(statement, column, t.us));
}

static const char *status_text(uint8_t status)
{
    return token_status_name(status < TOKEN_STATUS_COUNT ? (enum token_status)status
                                                         : TOKEN_MONITORING);
}

/* Parameters 1 to 11 of STATEMENT_PUT_TOKEN and STATEMENT_CHECKPOINT. */
static void bind_token(struct sqlite_store *s, sqlite3_stmt *statement,
                       const struct store_token *row, int64_t log_seq, uint8_t blob[STATE_BLOB_MAX])
{
    const struct token *token = &row->token;
    const struct token_state *state = &token->state;
    size_t length = state_encode(token, row->primary_dex, blob);
    bool has_data = state->answers > 0;
    bind_text(s, statement, 1, token->name, sizeof token->name);
    bind_text(s, statement, 2, token->symbol, sizeof token->symbol);
    sqlite_bound(s, sqlite3_bind_text(statement, 3, status_text(token->status), -1, SQLITE_STATIC));
    sqlite_bound(s, sqlite3_bind_int64(statement, 4, log_seq));
    sqlite_bound(s, sqlite3_bind_blob(statement, 5, blob, (int)length, SQLITE_STATIC));
    bind_time(s, statement, 6, state->checked_at);
    bind_time(s, statement, 7, state->fetched_at);
    sqlite_bound(s, sqlite3_bind_double(statement, 8, has_data ? state->score : (double)NAN));
    sqlite_bound(s, sqlite3_bind_double(statement, 9,
                                        has_data ? state->metrics.liquidity_usd : (double)NAN));
    sqlite_bound(
        s, sqlite3_bind_double(statement, 10, has_data ? state->metrics.price_usd : (double)NAN));
    sqlite_bound(s, sqlite3_bind_int64(statement, 11, row->id));
}

enum err sqlite_put_token(struct store *store, const struct store_token *token)
{
    struct sqlite_store *s = sqlite_of(store);
    sqlite3_stmt *statement = s->statements[STATEMENT_PUT_TOKEN];
    uint8_t blob[STATE_BLOB_MAX];
    char mint[ADDRESS_TEXT_MAX + 1];
    size_t mint_length = address_format(&token->token.mint, mint);
    bind_token(s, statement, token, s->log_position, blob);
    sqlite_bound(s, sqlite3_bind_text(statement, 12, mint, (int)mint_length, SQLITE_STATIC));
    sqlite_bound(s, sqlite3_bind_int64(statement, 13, token->token.created_at.us));
    enum err err = sqlite_run(s, STATEMENT_PUT_TOKEN);
    return err == OK ? sqlite_put_pools(store, token) : err;
}

enum err sqlite_checkpoint_token(struct store *store, const struct store_token *token)
{
    struct sqlite_store *s = sqlite_of(store);
    uint8_t blob[STATE_BLOB_MAX];
    bind_token(s, s->statements[STATEMENT_CHECKPOINT], token, s->log_position, blob);
    enum err err = sqlite_run(s, STATEMENT_CHECKPOINT);
    if (err == OK && sqlite3_changes(s->db) == 0)
        err = sqlite_put_token(store, token); /* the row was lost: heal it */
    return err;
}

enum err sqlite_flush_log(struct sqlite_store *s)
{
    struct log_row *row = &s->log_row;
    enum statement id = s->log_part == 0 ? STATEMENT_APPEND_A : STATEMENT_APPEND_B;
    sqlite3_stmt *statement = s->statements[id];
    if (row->length == 0)
        return OK;
    sqlite_bound(s, sqlite3_bind_int64(statement, 1, s->log_position));
    sqlite_bound(s, sqlite3_bind_int64(statement, 2, row->first));
    sqlite_bound(s, sqlite3_bind_blob(statement, 3, row->bytes, (int)row->length, SQLITE_STATIC));
    row->length = 0;
    enum err err = sqlite_run(s, id);
    /* That would be said of one token's row, which could be left out; this is of many. */
    return err == ERR_INVALID ? ERR_IO : err;
}

enum err sqlite_append_refresh(struct store *store, const struct store_token *token)
{
    struct sqlite_store *s = sqlite_of(store);
    struct log_row *row = &s->log_row;
    enum err err = OK;
    if (row->length + LOG_RECORD_MAX > LOG_ROW_MAX)
        err = sqlite_flush_log(s);
    if (err != OK)
        return err;
    s->log_position++;
    if (row->length == 0)
        row->first = s->log_position;
    row->length += log_record_encode(token, row->bytes + row->length);
    return OK;
}

static enum err put_pool(struct sqlite_store *s, token_id id, int n, const struct store_pool *pool)
{
    sqlite3_stmt *statement = s->statements[STATEMENT_PUT_POOL];
    char address[ADDRESS_TEXT_MAX + 1];
    size_t length = address_format(&pool->pool.address, address);
    sqlite_bound(s, sqlite3_bind_int64(statement, 1, id));
    sqlite_bound(s, sqlite3_bind_int(statement, 2, n));
    sqlite_bound(s, sqlite3_bind_text(statement, 3, address, (int)length, SQLITE_STATIC));
    bind_text(s, statement, 4, pool->dex, sizeof pool->dex);
    bind_text(s, statement, 5, pool->quote, sizeof pool->quote);
    sqlite_bound(s, sqlite3_bind_double(statement, 6, (double)pool->pool.liquidity_usd));
    sqlite_bound(s, sqlite3_bind_int(statement, 7, pool->pool.flags));
    return sqlite_run(s, STATEMENT_PUT_POOL);
}

enum err sqlite_put_pools(struct store *store, const struct store_token *token)
{
    struct sqlite_store *s = sqlite_of(store);
    sqlite_bound(s, sqlite3_bind_int64(s->statements[STATEMENT_DELETE_POOLS], 1, token->id));
    enum err err = sqlite_run(s, STATEMENT_DELETE_POOLS);
    for (int n = 0; err == OK && n < token->token.pool_count && n < POOLS_MAX; n++)
        err = put_pool(s, token->id, n, &token->pools[n]);
    return err;
}

enum err sqlite_put_snapshot(struct store *store, const struct store_snapshot *snapshot)
{
    struct sqlite_store *s = sqlite_of(store);
    sqlite3_stmt *statement = s->statements[STATEMENT_PUT_SNAPSHOT];
    uint8_t figures[SNAPSHOT_BLOB_MAX];
    size_t length = snapshot_encode(snapshot, figures);
    sqlite_bound(s, sqlite3_bind_int64(statement, 1, snapshot->id));
    sqlite_bound(s, sqlite3_bind_int64(statement, 2, snapshot->previous));
    sqlite_bound(s, sqlite3_bind_int64(statement, 3, snapshot->token));
    sqlite_bound(s, sqlite3_bind_int64(statement, 4, snapshot->at.us));
    sqlite_bound(s, sqlite3_bind_double(statement, 5, snapshot->score));
    sqlite_bound(s, sqlite3_bind_double(statement, 6, snapshot->metrics.liquidity_usd));
    sqlite_bound(s, sqlite3_bind_double(statement, 7, snapshot->metrics.price_usd));
    sqlite_bound(s, sqlite3_bind_blob(statement, 8, figures, (int)length, SQLITE_STATIC));
    return sqlite_run(s, STATEMENT_PUT_SNAPSHOT);
}

enum err sqlite_put_event(struct store *store, const struct store_event *event)
{
    struct sqlite_store *s = sqlite_of(store);
    sqlite3_stmt *statement = s->statements[STATEMENT_PUT_EVENT];
    sqlite_bound(s, sqlite3_bind_int64(statement, 1, event->token));
    sqlite_bound(s, sqlite3_bind_int64(statement, 2, event->at.us));
    bind_text(s, statement, 3, event->kind, sizeof event->kind);
    bind_text(s, statement, 4, event->reason, sizeof event->reason);
    return sqlite_run(s, STATEMENT_PUT_EVENT);
}

enum err sqlite_put_setting(struct store *store, const char *name, const char *value)
{
    struct sqlite_store *s = sqlite_of(store);
    sqlite3_stmt *statement = s->statements[STATEMENT_PUT_SETTING];
    sqlite_bound(s, sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC));
    sqlite_bound(s, sqlite3_bind_text(statement, 2, value, -1, SQLITE_STATIC));
    enum err err = sqlite_run(s, STATEMENT_PUT_SETTING);
    if (err == OK)
        kept_settings_put(&s->settings, name, value);
    return err;
}

enum err sqlite_put_alert(struct store *store, int64_t id, const char *text)
{
    struct sqlite_store *s = sqlite_of(store);
    enum statement which = text == NULL ? STATEMENT_DELETE_ALERT : STATEMENT_PUT_ALERT;
    sqlite_bound(s, sqlite3_bind_int64(s->statements[which], 1, id));
    if (text != NULL)
        bind_text(s, s->statements[which], 2, text, STORE_ALERT_TEXT_MAX);
    return sqlite_run(s, which);
}

/* While the other part still holds what an earlier pass did not end on, appends stay where they
 * are: this pass covers both, and the next one changes over. */
void sqlite_start_pass(struct store *store)
{
    struct sqlite_store *s = sqlite_of(store);
    if (!s->is_other_empty)
        return;
    s->log_part = 1 - s->log_part;
    s->is_other_empty = false;
}

enum err sqlite_end_pass(struct store *store)
{
    struct sqlite_store *s = sqlite_of(store);
    /* Both parts can be empty from now on, and positions must not start over. */
    sqlite_bound(s, sqlite3_bind_int64(s->statements[STATEMENT_SET_POSITION], 1, s->log_position));
    enum err err = sqlite_run(s, STATEMENT_SET_POSITION);
    if (err == OK)
        err = sqlite_run(s, s->log_part == 0 ? STATEMENT_CLEAR_B : STATEMENT_CLEAR_A);
    s->is_other_cleared = err == OK;
    return err;
}

static enum err delete_old(struct sqlite_store *s, enum statement id, instant before, uint32_t most)
{
    sqlite_bound(s, sqlite3_bind_int64(s->statements[id], 1, before.us));
    sqlite_bound(s, sqlite3_bind_int64(s->statements[id], 2, most));
    return sqlite_run(s, id);
}

enum err sqlite_delete_history(struct store *store, instant snapshots_before, instant events_before,
                               uint32_t most, bool *more)
{
    struct sqlite_store *s = sqlite_of(store);
    *more = false;
    enum err err = delete_old(s, STATEMENT_DELETE_SNAPSHOTS, snapshots_before, most);
    if (err != OK)
        return err;
    *more = sqlite3_changes(s->db) >= (int)most;
    err = delete_old(s, STATEMENT_DELETE_EVENTS, events_before, most);
    if (err == OK && sqlite3_changes(s->db) >= (int)most)
        *more = true;
    return err;
}
