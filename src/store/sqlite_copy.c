/* All rows of a SQLite store in rising order, and the note of a copy that is being written. */
#include "base/log.h"
#include "store/sqlite_store.h"
#include <stdio.h>
#include <stdlib.h>

#define REFUSALS_LOGGED_MAX 20
#define SETTING_VALUE_MAX   4096 /* as a start takes them */

struct sqlite_scan {
    struct store_scan base;
    struct sqlite_store *s;
    enum store_part part;
    int64_t after;
    struct load *tokens; /* of STORE_TOKENS, which are walked over from the first */
    struct store_load_report report;
    sqlite3_stmt *statement; /* of all others; ?1: positions behind this one */
    int64_t rank;            /* of the setting read last */
};

/* Tables whose key is the position, and the columns that a row is read from. */
struct table {
    const char *name, *key, *sql;
};

static const struct table TABLES[STORE_PART_COUNT] = {
    [STORE_TOKENS] = {.name = "token", .key = "id"},
    [STORE_SNAPSHOTS] = {"snapshot", "id",
                         "SELECT id,previous,token_id,at,score,figures FROM snapshot"
                         " WHERE id > ?1 ORDER BY id"},
    [STORE_EVENTS] = {"event", "id",
                      "SELECT token_id,at,kind,reason,id FROM event WHERE id > ?1 ORDER BY id"},
    [STORE_ALERTS] = {"alert", "id", "SELECT id,text FROM alert WHERE id > ?1 ORDER BY id"},
    /* Texts are compared byte by byte. They are few: those up to ?1 are read and left out. */
    [STORE_SETTINGS] = {"setting", NULL, "SELECT name,value FROM setting ORDER BY name"},
};

static void refuse(struct sqlite_scan *scan, int64_t key, const char *why)
{
    if (scan->base.refused++ < REFUSALS_LOGGED_MAX)
        log_warning("store", "row refused", LOG_STRING("table", TABLES[scan->part].name),
                    LOG_INT("row", key), LOG_STRING("why", why));
}

/* ---- rows; false: one that fails its checks ---- */

static bool take_snapshot(struct sqlite_scan *scan, struct store_row *row)
{
    sqlite_read_snapshot(scan->statement, &row->of.snapshot);
    row->position = row->of.snapshot.id;
    if (row->of.snapshot.token != TOKEN_NONE)
        return true;
    refuse(scan, row->position, "a snapshot of no token");
    return false;
}

static bool take_event(struct sqlite_scan *scan, struct store_row *row)
{
    sqlite_read_event(scan->statement, &row->of.event);
    row->position = sqlite3_column_int64(scan->statement, 4);
    return true;
}

static bool take_alert(struct sqlite_scan *scan, struct store_row *row)
{
    row->position = sqlite3_column_int64(scan->statement, 0);
    row->of.alert = (const char *)sqlite3_column_text(scan->statement, 1);
    if (row->of.alert != NULL && sqlite3_column_bytes(scan->statement, 1) <= STORE_ALERT_TEXT_MAX)
        return true;
    refuse(scan, row->position, "no text, or too much of it");
    return false;
}

static bool take_setting(struct sqlite_scan *scan, struct store_row *row)
{
    row->position = ++scan->rank;
    row->of.setting.name = (const char *)sqlite3_column_text(scan->statement, 0);
    row->of.setting.value = (const char *)sqlite3_column_text(scan->statement, 1);
    if (row->of.setting.name != NULL && row->of.setting.value != NULL &&
        sqlite3_column_bytes(scan->statement, 1) <= SETTING_VALUE_MAX)
        return row->position > scan->after;
    refuse(scan, row->position, "no name or no value");
    return false;
}

static bool take_row(struct sqlite_scan *scan, struct store_row *row)
{
    switch (scan->part) {
    case STORE_SNAPSHOTS:
        return take_snapshot(scan, row);
    case STORE_EVENTS:
        return take_event(scan, row);
    case STORE_ALERTS:
        return take_alert(scan, row);
    default:
        return take_setting(scan, row);
    }
}

static enum err next_token(struct sqlite_scan *scan, struct store_row *row, bool *has_row)
{
    const struct store_token *token;
    enum err err;
    do
        err = sqlite_walk_next(scan->tokens, &token);
    while (err == OK && token != NULL && token->id <= scan->after);
    scan->base.refused = scan->report.rows_refused;
    *has_row = err == OK && token != NULL;
    if (*has_row) {
        row->position = token->id;
        row->of.token = *token;
    }
    return err;
}

static enum err next(struct store_scan *base, struct store_row *row, bool *has_row)
{
    struct sqlite_scan *scan = (struct sqlite_scan *)base;
    bool is_taken;
    int result;
    if (scan->part == STORE_TOKENS)
        return next_token(scan, row, has_row);
    do {
        result = sqlite3_step(scan->statement);
        is_taken = result != SQLITE_ROW || take_row(scan, row);
        if (result == SQLITE_ROW && sqlite_lacks_memory(scan->s))
            result = SQLITE_NOMEM;
    } while (result == SQLITE_ROW && !is_taken);
    *has_row = result == SQLITE_ROW;
    return sqlite_err(result) == OK ? OK : sqlite_fail(scan->s, result, "read all of");
}

static void close_scan(struct store_scan *base)
{
    struct sqlite_scan *scan = (struct sqlite_scan *)base;
    sqlite_walk_end(scan->tokens);
    sqlite3_finalize(scan->statement);
    free(scan);
}

static enum err prepare(struct sqlite_scan *scan)
{
    int result =
        sqlite3_prepare_v2(scan->s->db, TABLES[scan->part].sql, -1, &scan->statement, NULL);
    if (result == SQLITE_OK && scan->part != STORE_SETTINGS)
        result = sqlite3_bind_int64(scan->statement, 1, scan->after);
    return result == SQLITE_OK ? OK : sqlite_fail(scan->s, result, "read");
}

enum err sqlite_scan_open(struct store *store, enum store_part part, int64_t after,
                          struct store_scan **out)
{
    static const struct store_scan_methods methods = {.next = next, .close = close_scan};
    struct sqlite_scan *scan = calloc(1, sizeof *scan);
    *out = NULL;
    if (scan == NULL)
        return sqlite_fail_with(sqlite_of(store), ERR_NO_MEMORY,
                                "can't be read: out of memory; free some");
    scan->base.methods = &methods;
    scan->s = sqlite_of(store);
    scan->part = part;
    scan->after = after;
    enum err err = part == STORE_TOKENS ? sqlite_walk_begin(scan->s, &scan->report, &scan->tokens)
                                        : prepare(scan);
    if (err == OK)
        *out = &scan->base;
    else
        close_scan(&scan->base);
    return err;
}

enum err sqlite_extent(struct store *store, enum store_part part, struct store_extent *out)
{
    struct sqlite_store *s = sqlite_of(store);
    sqlite3_stmt *statement = NULL;
    char sql[160];
    *out = (struct store_extent){0};
    if (part == STORE_SETTINGS)
        snprintf(sql, sizeof sql, "SELECT min(1,count(*)),count(*) FROM setting");
    else /* apart, each of them is one step into the tree */
        snprintf(sql, sizeof sql,
                 "SELECT (SELECT min(%s) FROM %s WHERE %s > 0),(SELECT max(%s) FROM %s)",
                 TABLES[part].key, TABLES[part].name, TABLES[part].key, TABLES[part].key,
                 TABLES[part].name);
    int result = sqlite3_prepare_v2(s->db, sql, -1, &statement, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_step(statement);
    if (result == SQLITE_ROW)
        *out = (struct store_extent){sqlite3_column_int64(statement, 0),
                                     sqlite3_column_int64(statement, 1)};
    sqlite3_finalize(statement);
    return result == SQLITE_ROW ? OK : sqlite_fail(s, result, "read");
}

/* ---- the note: numbers among the others in `meta` ---- */

static const char *const NOTE[] = {"copy_source", "copy_part", "copy_position"};

enum err sqlite_get_copy(struct store *store, struct store_copy *out)
{
    struct sqlite_store *s = sqlite_of(store);
    sqlite3_stmt *statement = NULL;
    int64_t values[3] = {0};
    int result =
        sqlite3_prepare_v2(s->db, "SELECT value FROM meta WHERE name=?1", -1, &statement, NULL);
    for (size_t i = 0; i < 3 && sqlite_err(result) == OK; i++) {
        sqlite3_reset(statement);
        result = sqlite3_bind_text(statement, 1, NOTE[i], -1, SQLITE_STATIC);
        if (result == SQLITE_OK)
            result = sqlite3_step(statement);
        if (result == SQLITE_ROW)
            values[i] = sqlite3_column_int64(statement, 0);
    }
    sqlite3_finalize(statement);
    if (sqlite_err(result) != OK)
        return sqlite_fail(s, result, "read");
    bool is_sound = values[1] >= 0 && values[1] <= STORE_PART_COUNT && values[2] >= 0;
    *out = (struct store_copy){(uint64_t)values[0], (enum store_part)values[1], values[2]};
    return is_sound ? OK : sqlite_fail_with(s, ERR_CORRUPT, "has a damaged note of a copy");
}

static enum err put_meta(struct sqlite_store *s, const char *name, int64_t value)
{
    sqlite3_stmt *statement = s->statements[STATEMENT_PUT_META];
    sqlite_bound(s, sqlite3_bind_text(statement, 1, name, -1, SQLITE_STATIC));
    sqlite_bound(s, sqlite3_bind_int64(statement, 2, value));
    return sqlite_run(s, STATEMENT_PUT_META);
}

enum err sqlite_put_copy(struct store *store, const struct store_copy *copy)
{
    struct sqlite_store *s = sqlite_of(store);
    enum err err = put_meta(s, NOTE[0], (int64_t)copy->source);
    if (err == OK)
        err = put_meta(s, NOTE[1], copy->part);
    return err == OK ? put_meta(s, NOTE[2], copy->position) : err;
}

enum err sqlite_end_copy(struct store *store, uint64_t source, uint64_t generation)
{
    struct sqlite_store *s = sqlite_of(store);
    const struct store_copy complete = {.source = source, .part = STORE_PART_COUNT};
    s->generation = generation;
    enum err err = put_meta(s, "generation", (int64_t)generation);
    return err == OK ? sqlite_put_copy(store, &complete) : err;
}
