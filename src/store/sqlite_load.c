/*
 * Rows in. Nothing read is believed before it was checked: whoever can write the file, and a disk
 * that rots, can put anything there.
 *
 * Three passes, each in the order the rows lie in: the log (which record of each token is the
 * newest that is sound), then tokens and pools side by side. Where a page of the file can't be
 * read, the scan goes on behind it, in steps that double.
 */
#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"
#include "store/load_checks.h"
#include "store/sqlite_store.h"
#include "store/state.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define REFUSALS_LOGGED_MAX 20

/* A damaged tree can lead a scan in circles: after this many bad rows it ends. */
#define REFUSALS_MAX 4000000

/* Positions in the log and ids of snapshots beyond this are damage; it leaves room to count on. */
#define POSITION_LIMIT "4611686018427387904"

#define LOG_COLUMNS "seq,first,records"

/* Newest sound record in the log of each token: open addressing, at most half full. */
struct log_entry {
    token_id id;
    int64_t seq;
};

struct log_index {
    struct log_entry *entries;
    size_t mask; /* size − 1, a power of two */
    size_t count;
};

/* A scan over one table in the order of an integer key, which can skip what can't be read. */
struct scan {
    sqlite3_stmt *statement; /* ?1: keys from here on */
    const char *table;
    int64_t position; /* newest key seen */
    int64_t last;     /* no key lies beyond */
    int rise;         /* least difference between two keys: 1, or 0 when keys repeat */
    bool has_row;
};

struct load {
    struct sqlite_store *s;
    const struct store_loader *loader;
    struct store_load_report *report;
    struct log_index log;
    struct mint_set mints;
    struct scan tokens, pools;
    sqlite3_stmt *log_row[2]; /* of either part of the log, the row that a position is in */
    const token_id *only;     /* rising; NULL: everybody */
    size_t only_count;
    struct store_token token;
    int64_t log_seq; /* of the token at hand */
    instant now;
    uint32_t refusals_logged;
    bool is_damaged;
    /* Of a walk: */
    bool is_walk;
    bool has_token; /* in `token`, delivered by the row that was read last */
    struct store_loader walk_loader;
};

static void refuse(struct load *load, const char *table, int64_t key, const char *why)
{
    load->report->rows_refused++;
    if (load->refusals_logged++ < REFUSALS_LOGGED_MAX)
        log_warning("store", "row refused", LOG_STRING("table", table), LOG_INT("row", key),
                    LOG_STRING("why", why));
}

/* ---- scans ---- */

static enum err scan_start(struct load *load, struct scan *scan, const char *table, const char *sql,
                           const char *sql_last)
{
    *scan = (struct scan){.table = table, .rise = 1};
    sqlite3_stmt *last = NULL;
    int result = sqlite3_prepare_v2(load->s->db, sql, -1, &scan->statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_prepare_v2(load->s->db, sql_last, -1, &last, NULL);
    if (result != SQLITE_OK)
        return sqlite_fail(load->s, result, "read");
    /* When even this can't be read, the scan goes on to the largest id there can be. */
    scan->last = sqlite3_step(last) == SQLITE_ROW ? sqlite3_column_int64(last, 0) : UINT32_MAX;
    if (scan->last < 0)
        scan->last = 0;
    sqlite3_finalize(last);
    result = sqlite3_bind_int64(scan->statement, 1, 0);
    return result == SQLITE_OK ? OK : sqlite_fail(load->s, result, "read");
}

/* Seeks behind a place that can't be read. */
static int scan_skip(struct load *load, struct scan *scan, int result)
{
    int64_t step = 1;
    load->is_damaged = true;
    enum err err = sqlite_fail(load->s, result, "read all of");
    refuse(load, scan->table, scan->position + 1, load->s->message);
    while (err == ERR_CORRUPT || err == ERR_INVALID || err == ERR_IO) {
        if (scan->position >= scan->last - step)
            return SQLITE_DONE;
        sqlite3_reset(scan->statement);
        result = sqlite3_bind_int64(scan->statement, 1, scan->position + step + 1);
        if (result == SQLITE_OK)
            result = sqlite3_step(scan->statement);
        err = sqlite_err(result);
        step *= 2;
    }
    return result;
}

/* A key that does not rise is damage too. */
static bool take_row(struct load *load, struct scan *scan)
{
    int64_t key = sqlite3_column_int64(scan->statement, 0);
    if (key < scan->position + scan->rise) {
        refuse(load, scan->table, key, "a row out of order");
        return false;
    }
    scan->position = key;
    return true;
}

static enum err scan_next(struct load *load, struct scan *scan)
{
    int result;
    if (scan->has_row && sqlite_lacks_memory(load->s))
        return sqlite_fail(load->s, SQLITE_NOMEM, "read");
    do {
        result = sqlite3_step(scan->statement);
        if (sqlite_err(result) != OK)
            result = scan_skip(load, scan, result);
        if (load->report->rows_refused > REFUSALS_MAX)
            return sqlite_fail(load->s, SQLITE_CORRUPT, "read all of");
    } while (result == SQLITE_ROW && !take_row(load, scan));
    scan->has_row = result == SQLITE_ROW;
    return sqlite_err(result) == OK ? OK : sqlite_fail(load->s, result, "read");
}

static void scan_finish(struct scan *scan)
{
    sqlite3_finalize(scan->statement);
    scan->statement = NULL;
}

/* ---- columns ---- */

/* False when the text is over `size` − 1 bytes. */
static bool read_text(sqlite3_stmt *statement, int column, char *out, size_t size)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    size_t length = (size_t)sqlite3_column_bytes(statement, column);
    text_copy(out, size, text == NULL ? "" : text, text == NULL ? 0 : length);
    return length < size;
}

static bool read_address(sqlite3_stmt *statement, int column, struct address *out)
{
    const char *text = (const char *)sqlite3_column_text(statement, column);
    return text != NULL &&
           address_parse(text, (size_t)sqlite3_column_bytes(statement, column), out);
}

static bool read_status(sqlite3_stmt *statement, int column, uint8_t *out)
{
    enum token_status status;
    const char *text = (const char *)sqlite3_column_text(statement, column);
    if (text == NULL ||
        !token_status_parse(text, (size_t)sqlite3_column_bytes(statement, column), &status))
        return false;
    *out = (uint8_t)status;
    return true;
}

/* Columns first … first + 3: name, symbol, status. */
static const char *read_names(sqlite3_stmt *statement, int first, struct token *token)
{
    if (!read_text(statement, first, token->name, sizeof token->name))
        return "a name that is too long";
    if (!read_text(statement, first + 1, token->symbol, sizeof token->symbol))
        return "a symbol that is too long";
    return read_status(statement, first + 2, &token->status) ? NULL : "an unknown status";
}

static const char *read_state(sqlite3_stmt *statement, int column, struct store_token *row)
{
    const uint8_t *bytes = sqlite3_column_blob(statement, column);
    size_t length = (size_t)sqlite3_column_bytes(statement, column);
    return state_decode(bytes, length, &row->token, row->primary_dex);
}

/* ---- the log ---- */

static struct log_entry *log_slot(const struct log_index *index, token_id id)
{
    size_t at = (id * UINT64_C(0x9e3779b97f4a7c15) >> 20) & index->mask;
    while (index->entries[at].id != TOKEN_NONE && index->entries[at].id != id)
        at = (at + 1) & index->mask;
    return &index->entries[at];
}

static bool log_grow(struct log_index *index)
{
    struct log_index larger = {.mask = index->entries == NULL ? 1023 : index->mask * 2 + 1};
    larger.entries = calloc(larger.mask + 1, sizeof *larger.entries);
    if (larger.entries == NULL)
        return false;
    for (size_t i = 0; index->entries != NULL && i <= index->mask; i++)
        if (index->entries[i].id != TOKEN_NONE)
            *log_slot(&larger, index->entries[i].id) = index->entries[i];
    larger.count = index->count;
    free(index->entries);
    *index = larger;
    return true;
}

static bool log_note(struct log_index *index, token_id id, int64_t seq)
{
    if ((index->entries == NULL || index->count * 2 > index->mask) && !log_grow(index))
        return false;
    struct log_entry *entry = log_slot(index, id);
    if (entry->id == TOKEN_NONE)
        index->count++;
    if (entry->id == TOKEN_NONE || entry->seq < seq)
        *entry = (struct log_entry){id, seq};
    return true;
}

/* Of LOG_COLUMNS, until the next step. */
static struct log_walk walk_row(sqlite3_stmt *statement)
{
    const void *bytes = sqlite3_column_blob(statement, 2);
    size_t length = (size_t)sqlite3_column_bytes(statement, 2);
    return log_walk_begin(bytes, length, sqlite3_column_int64(statement, 1),
                          sqlite3_column_int64(statement, 0));
}

static bool is_wanted(const struct load *load, int64_t id)
{
    token_id key = (token_id)id;
    return load->only == NULL || (key == id && bsearch(&key, load->only, load->only_count,
                                                       sizeof key, token_compare_ids) != NULL);
}

static enum err note_log_record(struct load *load, const struct scan *scan,
                                const struct log_record *record)
{
    struct store_token row = {0};
    if (!is_wanted(load, log_record_token(record)))
        return OK;
    const char *complaint = log_record_decode(record, &row);
    if (complaint != NULL) {
        refuse(load, scan->table, record->position, complaint);
        return OK;
    }
    return log_note(&load->log, row.id, record->position) ? OK : ERR_NO_MEMORY;
}

static enum err note_log_row(struct load *load, const struct scan *scan)
{
    struct log_walk walk = walk_row(scan->statement);
    struct log_record record;
    enum err err = OK;
    while (err == OK && log_walk_next(&walk, &record))
        err = note_log_record(load, scan, &record);
    if (err == OK && !log_walk_is_whole(&walk))
        refuse(load, scan->table, scan->position, "records that are cut off");
    return err;
}

static enum err index_log(struct load *load, const char *table)
{
    struct scan scan;
    char sql[160], sql_last[120];
    snprintf(sql, sizeof sql,
             "SELECT " LOG_COLUMNS " FROM %s WHERE seq >= ?1 AND seq < " POSITION_LIMIT
             " ORDER BY seq",
             table);
    snprintf(sql_last, sizeof sql_last, "SELECT max(seq) FROM %s WHERE seq < " POSITION_LIMIT,
             table);
    enum err err = scan_start(load, &scan, table, sql, sql_last);
    if (err == OK)
        err = scan_next(load, &scan);
    while (err == OK && scan.has_row) {
        err = note_log_row(load, &scan);
        if (err == OK)
            err = scan_next(load, &scan);
    }
    scan_finish(&scan);
    return err;
}

/* Notes that the token's row is to be written again before the log is cut. */
static bool note_replayed(struct load *load, token_id id)
{
    struct sqlite_store *s = load->s;
    if ((s->replayed_count & (s->replayed_count + 1)) == 0) {
        token_id *larger = realloc(s->replayed, (s->replayed_count + 1) * 2 * sizeof *s->replayed);
        if (larger == NULL)
            return false;
        s->replayed = larger;
    }
    s->replayed[s->replayed_count++] = id;
    return true;
}

static bool find_record(sqlite3_stmt *statement, int64_t position, struct store_token *out)
{
    struct log_walk walk = walk_row(statement);
    struct log_record record;
    while (log_walk_next(&walk, &record))
        if (record.position == position)
            return log_record_decode(&record, out) == NULL;
    return false;
}

static bool fetch_log_record(sqlite3_stmt *statement, int64_t position, struct store_token *out)
{
    bool is_sound = sqlite3_bind_int64(statement, 1, position) == SQLITE_OK &&
                    sqlite3_step(statement) == SQLITE_ROW && find_record(statement, position, out);
    sqlite3_reset(statement);
    return is_sound;
}

/* Puts the newest sound record of the log over the token's, when it is ahead of it. */
static enum err replay(struct load *load)
{
    struct store_token *row = &load->token;
    const struct log_entry *entry =
        load->log.entries == NULL ? NULL : log_slot(&load->log, row->id);
    if (load->log_seq < 0 || load->log_seq > load->s->log_position) {
        /* It claims to know a log that is not there: a damaged number, or a log that was lost. */
        load->log_seq = 0;
        if (!note_replayed(load, row->id))
            return ERR_NO_MEMORY;
    }
    if (entry == NULL || entry->id == TOKEN_NONE || entry->seq <= load->log_seq)
        return OK;
    struct store_token newer = {0};
    if (!fetch_log_record(load->log_row[0], entry->seq, &newer) &&
        !fetch_log_record(load->log_row[1], entry->seq, &newer))
        return OK;
    memcpy(row->token.name, newer.token.name, sizeof row->token.name);
    memcpy(row->token.symbol, newer.token.symbol, sizeof row->token.symbol);
    memcpy(row->primary_dex, newer.primary_dex, sizeof row->primary_dex);
    row->token.status = newer.token.status;
    row->token.state = newer.token.state;
    load->report->replayed++;
    return note_replayed(load, row->id) ? OK : ERR_NO_MEMORY;
}

/* ---- tokens ---- */

/* Columns: id, mint, name, symbol, status, created_at, log_seq, state. */
static const char *read_identity(struct load *load, sqlite3_stmt *statement)
{
    struct token *token = &load->token.token;
    int64_t id = sqlite3_column_int64(statement, 0);
    if (!load_is_id(id, load->mints.count, load->only != NULL))
        return "an id out of range";
    load->token.id = (token_id)id;
    token->created_at.us = sqlite3_column_int64(statement, 5);
    load->log_seq = sqlite3_column_int64(statement, 6);
    if (token->created_at.us < 0)
        return "a time out of range";
    if (!read_address(statement, 1, &token->mint))
        return "a mint that is none";
    return read_names(statement, 2, token);
}

static const char *read_pool(sqlite3_stmt *statement, struct store_token *row)
{
    struct store_pool pool = {0};
    if (!read_address(statement, 1, &pool.pool.address))
        return "an address that is none";
    if (!read_text(statement, 2, pool.dex, sizeof pool.dex) ||
        !read_text(statement, 3, pool.quote, sizeof pool.quote))
        return "a name that is too long";
    bool is_known = sqlite3_column_type(statement, 4) == SQLITE_FLOAT;
    return load_add_pool(row, &pool, is_known ? sqlite3_column_double(statement, 4) : (double)NAN,
                         sqlite3_column_int64(statement, 5));
}

/* Takes the pools of the token at hand; those of tokens that are not there are refused. */
static enum err read_pools(struct load *load)
{
    struct scan *scan = &load->pools;
    enum err err = OK;
    load->token.token.pool_count = 0;
    while (err == OK && scan->has_row && scan->position <= load->token.id) {
        const char *complaint = scan->position < load->token.id
                                    ? "a pool of no token"
                                    : read_pool(scan->statement, &load->token);
        if (complaint != NULL)
            refuse(load, "pool", scan->position, complaint);
        err = scan_next(load, scan);
    }
    return err;
}

static void forget_state(struct load *load, const char *complaint)
{
    struct store_token *row = &load->token;
    load->report->states_refused++;
    refuse(load, "token", row->id, complaint);
    load_forget_state(row);
}

static enum err deliver(struct load *load)
{
    struct store_token *row = &load->token;
    if (!load->is_walk)
        load->report->times_clamped += load_clamp_times(row, load->now);
    row->token.flags = TOKEN_DURABLE;
    if (row->token.state.snapshot_id > load->report->last_snapshot_id)
        load->report->last_snapshot_id = row->token.state.snapshot_id;
    load->report->tokens++;
    load->report->last_token = row->id;
    load->report->holes = row->id - load->report->tokens;
    return load->loader->on_token(load->loader->context, row) ? OK : ERR_NO_MEMORY;
}

static enum err load_token(struct load *load, sqlite3_stmt *statement)
{
    const char *complaint = read_identity(load, statement);
    if (sqlite_lacks_memory(load->s))
        return sqlite_fail(load->s, SQLITE_NOMEM, "read");
    if (complaint != NULL) {
        refuse(load, "token", sqlite3_column_int64(statement, 0), complaint);
        return OK;
    }
    enum err err = mint_set_add(&load->mints, &load->token.token.mint);
    if (err == ERR_INVALID) {
        refuse(load, "token", load->token.id, "a mint that stands twice");
        return OK;
    }
    const char *damage = read_state(statement, 7, &load->token);
    uint32_t replayed = load->report->replayed;
    if (err == OK)
        err = replay(load);
    if (damage != NULL && load->report->replayed == replayed)
        forget_state(load, damage);
    if (err == OK)
        err = read_pools(load);
    return err == OK ? deliver(load) : err;
}

static enum err prepare_log_row(struct load *load, sqlite3_stmt **statement, const char *sql)
{
    int result = sqlite3_prepare_v2(load->s->db, sql, -1, statement, NULL);
    return result == SQLITE_OK ? OK : sqlite_fail(load->s, result, "read");
}

static enum err start_scans(struct load *load)
{
    enum err err = scan_start(load, &load->tokens, "token",
                              "SELECT id,mint,name,symbol,status,created_at,log_seq,state"
                              " FROM token WHERE id >= ?1 ORDER BY id",
                              "SELECT max(id) FROM token");
    if (err == OK)
        err = scan_start(load, &load->pools, "pool",
                         "SELECT token_id,address,dex,quote,liquidity_usd,flags FROM pool"
                         " WHERE token_id >= ?1 ORDER BY token_id,n",
                         "SELECT max(token_id) FROM pool");
    load->pools.rise = 0;
    if (err == OK)
        err = prepare_log_row(load, &load->log_row[0],
                              "SELECT " LOG_COLUMNS
                              " FROM refresh_log_a WHERE seq >= ?1 ORDER BY seq LIMIT 1");
    if (err == OK)
        err = prepare_log_row(load, &load->log_row[1],
                              "SELECT " LOG_COLUMNS
                              " FROM refresh_log_b WHERE seq >= ?1 ORDER BY seq LIMIT 1");
    return err;
}

static void finish_scans(struct load *load)
{
    scan_finish(&load->tokens);
    scan_finish(&load->pools);
    sqlite3_finalize(load->log_row[0]);
    sqlite3_finalize(load->log_row[1]);
}

static enum err start_tokens(struct load *load)
{
    enum err err = start_scans(load);
    if (err == OK)
        err = scan_next(load, &load->pools);
    return err == OK ? scan_next(load, &load->tokens) : err;
}

static enum err load_tokens(struct load *load)
{
    enum err err = start_tokens(load);
    while (err == OK && load->tokens.has_row) {
        err = load_token(load, load->tokens.statement);
        if (err == OK)
            err = scan_next(load, &load->tokens);
    }
    finish_scans(load);
    return err;
}

/* To the first row whose key is `id` or larger. */
static enum err scan_seek(struct load *load, struct scan *scan, token_id id)
{
    sqlite3_reset(scan->statement);
    int result = sqlite3_bind_int64(scan->statement, 1, id);
    scan->position = (int64_t)id - scan->rise;
    return result == SQLITE_OK ? scan_next(load, scan) : sqlite_fail(load->s, result, "read");
}

static enum err load_wanted_tokens(struct load *load)
{
    const struct scan *scan = &load->tokens;
    enum err err = start_scans(load);
    for (size_t i = 0; err == OK && i < load->only_count; i++) {
        err = scan_seek(load, &load->tokens, load->only[i]);
        if (err != OK || !scan->has_row || scan->position != load->only[i])
            continue;
        err = scan_seek(load, &load->pools, load->only[i]);
        if (err == OK)
            err = load_token(load, scan->statement);
    }
    finish_scans(load);
    return err;
}

/* ---- settings and the rest ---- */

static enum err load_settings(struct load *load)
{
    sqlite3_stmt *statement = NULL;
    enum err err = OK;
    int result = sqlite3_prepare_v2(load->s->db, "SELECT name,value FROM setting LIMIT 1024", -1,
                                    &statement, NULL);
    while (err == OK && result != SQLITE_DONE && sqlite_err(result) == OK) {
        result = sqlite3_step(statement);
        if (result != SQLITE_ROW)
            continue;
        const char *name = (const char *)sqlite3_column_text(statement, 0);
        const char *value = (const char *)sqlite3_column_text(statement, 1);
        if (sqlite_lacks_memory(load->s)) {
            result = SQLITE_NOMEM;
            continue;
        }
        if (name == NULL || value == NULL || sqlite3_column_bytes(statement, 1) > 4096) {
            refuse(load, "setting", 0, "no name or no value");
            continue;
        }
        kept_settings_put(&load->s->settings, name, value);
        if (!load->loader->on_setting(load->loader->context, name, value))
            err = ERR_NO_MEMORY;
    }
    sqlite3_finalize(statement);
    /* SQLITE_ERROR: a column that should be there is not, as when its name was damaged. */
    if (err == OK && (sqlite_err(result) == ERR_CORRUPT || result == SQLITE_ERROR)) {
        load->is_damaged = true;
        sqlite_fail(load->s, result, "read the settings of");
    } else if (err == OK && sqlite_err(result) != OK) {
        err = sqlite_fail(load->s, result, "read");
    }
    return err;
}

/* What can't be read is not told: a person may hear of something twice. */
static void tell_alerts(struct load *load)
{
    sqlite3_stmt *statement = NULL;
    if (load->loader->on_alert == NULL ||
        sqlite3_prepare_v2(load->s->db,
                           "SELECT id,text FROM (SELECT id,text FROM alert ORDER BY id DESC LIMIT "
                           "?1) ORDER BY id",
                           -1, &statement, NULL) != SQLITE_OK)
        return;
    sqlite3_bind_int(statement, 1, STORE_ALERTS_MAX);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        int64_t id = sqlite3_column_int64(statement, 0);
        const char *text = (const char *)sqlite3_column_text(statement, 1);
        if (text == NULL || sqlite3_column_bytes(statement, 1) > STORE_ALERT_TEXT_MAX)
            refuse(load, "alert", id, "no text, or too much of it");
        else
            load->loader->on_alert(load->loader->context, id, text);
    }
    sqlite3_finalize(statement);
}

static void find_last_snapshot(struct load *load)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(load->s->db,
                           "SELECT max(id) FROM snapshot WHERE id > 0 AND id < " POSITION_LIMIT, -1,
                           &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        load->report->last_snapshot_id = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
}

static struct load *load_create(struct store *store, const struct store_loader *loader,
                                struct store_load_report *report)
{
    struct sqlite_store *s = sqlite_of(store);
    struct load *load = calloc(1, sizeof *load);
    *report = (struct store_load_report){.generation = s->generation};
    if (load == NULL)
        return NULL;
    load->s = s;
    load->loader = loader;
    load->report = report;
    load->now = clock_now();
    load->mints.key = (uint64_t)load->now.us * UINT64_C(0x9e3779b97f4a7c15);
    return load;
}

static enum err load_end(struct load *load, enum err err)
{
    if (err == OK && load->is_damaged)
        err = ERR_CORRUPT;
    load_summarise(load->report);
    free(load->log.entries);
    mint_set_finish(&load->mints);
    free(load);
    return err;
}

static enum err index_logs(struct load *load)
{
    enum err err = index_log(load, "refresh_log_a");
    return err == OK ? index_log(load, "refresh_log_b") : err;
}

enum err sqlite_load(struct store *store, const struct store_loader *loader,
                     struct store_load_report *report)
{
    struct load *load = load_create(store, loader, report);
    if (load == NULL)
        return ERR_NO_MEMORY;
    load->s->is_log_unread = false;
    find_last_snapshot(load);
    enum err err = load_settings(load);
    tell_alerts(load);
    if (err == OK)
        err = index_logs(load);
    if (err == OK)
        err = load_tokens(load);
    return load_end(load, err);
}

/* ---- a walk ---- */

static bool hold_token(void *context, const struct store_token *token)
{
    struct load *walk = context;
    (void)token; /* it is walk->token */
    walk->has_token = true;
    return true;
}

enum err sqlite_walk_begin(struct sqlite_store *s, struct store_load_report *report,
                           struct load **out)
{
    struct load *walk = load_create(&s->base, NULL, report);
    *out = walk;
    if (walk == NULL)
        return ERR_NO_MEMORY;
    walk->is_walk = true;
    walk->walk_loader = (struct store_loader){.context = walk, .on_token = hold_token};
    walk->loader = &walk->walk_loader;
    enum err err = index_logs(walk);
    return err == OK ? start_tokens(walk) : err;
}

enum err sqlite_walk_next(struct load *walk, const struct store_token **out)
{
    enum err err = OK;
    *out = NULL;
    walk->has_token = false;
    while (err == OK && walk->tokens.has_row && !walk->has_token) {
        err = load_token(walk, walk->tokens.statement);
        if (err == OK)
            err = scan_next(walk, &walk->tokens);
    }
    if (err == OK && walk->has_token)
        *out = &walk->token;
    else if (err == OK && walk->is_damaged)
        err = ERR_CORRUPT;
    return err;
}

void sqlite_walk_end(struct load *walk)
{
    if (walk == NULL)
        return;
    finish_scans(walk);
    if (load_end(walk, OK) != OK)
        return; /* sqlite_walk_next() has said so */
}

static void find_last_token(struct load *load)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(load->s->db, "SELECT max(id) FROM token WHERE id <= 4294967295", -1,
                           &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_int64(statement, 0) > 0)
        load->report->last_token = (token_id)sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
}

/* What can't be read is not told: a chain of history may then begin anew. */
static void tell_newest_snapshots(struct load *load)
{
    sqlite3_stmt *statement = NULL;
    if (load->loader->on_snapshot == NULL ||
        sqlite3_prepare_v2(load->s->db,
                           "SELECT id,token_id FROM snapshot WHERE id > ?1 AND id <= ?2"
                           " ORDER BY id",
                           -1, &statement, NULL) != SQLITE_OK)
        return;
    sqlite3_bind_int64(statement, 1, load->report->last_snapshot_id - STORE_SNAPSHOTS_MAX);
    sqlite3_bind_int64(statement, 2, load->report->last_snapshot_id);
    while (sqlite3_step(statement) == SQLITE_ROW) {
        int64_t token = sqlite3_column_int64(statement, 1);
        if (token >= 1 && token <= UINT32_MAX)
            load->loader->on_snapshot(load->loader->context, sqlite3_column_int64(statement, 0),
                                      (token_id)token);
    }
    sqlite3_finalize(statement);
}

enum err sqlite_resume(struct store *store, const struct store_loader *loader,
                       struct store_load_report *report)
{
    struct load *load = load_create(store, loader, report);
    if (load == NULL)
        return ERR_NO_MEMORY;
    load->s->is_log_unread = true;
    find_last_snapshot(load);
    find_last_token(load);
    tell_newest_snapshots(load);
    tell_alerts(load);
    return load_end(load, load_settings(load));
}

enum err sqlite_load_some(struct store *store, const token_id *ids, size_t count,
                          const struct store_loader *loader)
{
    struct store_load_report report;
    struct load *load = load_create(store, loader, &report);
    if (load == NULL)
        return ERR_NO_MEMORY;
    load->only = ids;
    load->only_count = count;
    enum err err = index_logs(load);
    if (err == OK)
        err = load_wanted_tokens(load);
    return load_end(load, err);
}

/* The next id in the log; 0 when all was read. What can't be read the writer will meet, and mend.
 */
static token_id next_in_log(struct sqlite_store *s)
{
    struct log_record record;
    if (s->replaying == NULL) {
        s->replaying_row = (struct log_walk){0};
        if (sqlite3_prepare_v2(s->db, "SELECT " LOG_COLUMNS " FROM refresh_log", -1, &s->replaying,
                               NULL) != SQLITE_OK)
            return TOKEN_NONE;
    }
    do {
        while (log_walk_next(&s->replaying_row, &record))
            if (log_record_token(&record) != TOKEN_NONE)
                return log_record_token(&record);
        if (sqlite3_step(s->replaying) != SQLITE_ROW)
            break;
        s->replaying_row = walk_row(s->replaying);
    } while (true);
    sqlite3_finalize(s->replaying);
    s->replaying = NULL;
    return TOKEN_NONE;
}

token_id sqlite_next_replayed(struct store *store)
{
    struct sqlite_store *s = sqlite_of(store);
    if (s->replayed_next < s->replayed_count)
        return s->replayed[s->replayed_next++];
    free(s->replayed);
    s->replayed = NULL;
    s->replayed_count = s->replayed_next = 0;
    token_id id = s->is_log_unread ? next_in_log(s) : TOKEN_NONE;
    s->is_log_unread = id != TOKEN_NONE;
    return id;
}
