/*
 * All rows of a PostgreSQL store in rising order, a page at a time, and the note of a copy that is
 * being written. Of history each partition has an index by id, which the server merges.
 */
#include "base/log.h"
#include "store/postgres_store.h"
#include <stdio.h>
#include <stdlib.h>

#define PAGE_ROWS           4096
#define PAGE_ALERTS         256 /* 4 MB at most */
#define REFUSALS_LOGGED_MAX 20
#define SETTING_SIZE        4097

struct postgres_scan {
    struct store_scan base;
    struct postgres_store *s;
    enum store_part part;
    int64_t after;       /* positions up to this one were read */
    struct load *tokens; /* of STORE_TOKENS, which are walked over from the first */
    struct store_load_report report;
    PGresult *page; /* of all others */
    int next_row;
    bool is_last_page;
    int64_t rank; /* of the setting read last */
    char name[SETTING_SIZE], text[STORE_ALERT_TEXT_MAX + 1];
};

struct table {
    const char *name, *sql;
    int page_rows;
};

static const struct table TABLES[STORE_PART_COUNT] = {
    [STORE_TOKENS] = {"token", NULL, 0},
    [STORE_SNAPSHOTS] = {"snapshot",
                         "SELECT id,previous,token_id,at,score,figures FROM snapshot"
                         " WHERE id > $1 ORDER BY id LIMIT $2",
                         PAGE_ROWS},
    [STORE_EVENTS] = {"event",
                      "SELECT token_id,at,kind,reason,id FROM event WHERE id > $1"
                      " ORDER BY id LIMIT $2",
                      PAGE_ROWS},
    [STORE_ALERTS] = {"alert", "SELECT id,text FROM alert WHERE id > $1 ORDER BY id LIMIT $2",
                      PAGE_ALERTS},
    /* Texts are compared byte by byte. They are few, and come as one page. */
    [STORE_SETTINGS] = {"setting", "SELECT name,value FROM setting ORDER BY name COLLATE \"C\"", 0},
};

static void refuse(struct postgres_scan *scan, int64_t key, const char *why)
{
    if (scan->base.refused++ < REFUSALS_LOGGED_MAX)
        log_warning("store", "row refused", LOG_STRING("table", TABLES[scan->part].name),
                    LOG_INT("row", key), LOG_STRING("why", why));
}

/* ---- rows; false: one that fails its checks ---- */

static bool take_snapshot(struct postgres_scan *scan, int i, struct store_row *row)
{
    postgres_read_snapshot(scan->page, i, &row->of.snapshot);
    row->position = row->of.snapshot.id;
    if (row->of.snapshot.token != TOKEN_NONE)
        return true;
    refuse(scan, row->position, "a snapshot of no token");
    return false;
}

static bool take_event(struct postgres_scan *scan, int i, struct store_row *row)
{
    postgres_read_event(scan->page, i, &row->of.event);
    row->position = postgres_integer(scan->page, i, 4);
    return true;
}

static bool take_alert(struct postgres_scan *scan, int i, struct store_row *row)
{
    row->position = postgres_integer(scan->page, i, 0);
    row->of.alert = scan->text;
    if (postgres_text(scan->page, i, 1, scan->text, sizeof scan->text))
        return true;
    refuse(scan, row->position, "too much text");
    return false;
}

static bool take_setting(struct postgres_scan *scan, int i, struct store_row *row)
{
    row->position = ++scan->rank;
    row->of.setting.name = scan->name;
    row->of.setting.value = scan->text;
    if (postgres_text(scan->page, i, 0, scan->name, sizeof scan->name) &&
        postgres_text(scan->page, i, 1, scan->text, SETTING_SIZE))
        return row->position > scan->after;
    refuse(scan, row->position, "a name or a value that is too long");
    return false;
}

static bool take_row(struct postgres_scan *scan, int i, struct store_row *row)
{
    switch (scan->part) {
    case STORE_SNAPSHOTS:
        return take_snapshot(scan, i, row);
    case STORE_EVENTS:
        return take_event(scan, i, row);
    case STORE_ALERTS:
        return take_alert(scan, i, row);
    default:
        return take_setting(scan, i, row);
    }
}

static enum err turn_page(struct postgres_scan *scan)
{
    const struct table *table = &TABLES[scan->part];
    struct postgres_values values = {0};
    PQclear(scan->page);
    scan->page = NULL;
    scan->next_row = 0;
    if (table->page_rows > 0) {
        postgres_add_integer(&values, scan->after);
        postgres_add_integer(&values, table->page_rows);
    }
    enum err err = postgres_link_ask(&scan->s->link, table->sql, &values, "read", &scan->page);
    scan->is_last_page =
        err != OK || PQntuples(scan->page) < table->page_rows || table->page_rows == 0;
    return err;
}

/* The next row that is there, sound or not. */
static enum err next_row(struct postgres_scan *scan, bool *has_row)
{
    enum err err = OK;
    while (err == OK && !scan->is_last_page &&
           (scan->page == NULL || scan->next_row == PQntuples(scan->page)))
        err = turn_page(scan);
    *has_row = err == OK && scan->next_row < PQntuples(scan->page);
    return err;
}

static enum err next_token(struct postgres_scan *scan, struct store_row *row, bool *has_row)
{
    const struct store_token *token;
    enum err err;
    do
        err = postgres_walk_next(scan->tokens, &token);
    while (err == OK && token != NULL && token->id <= scan->after);
    scan->base.refused = scan->report.rows_refused;
    *has_row = token != NULL;
    if (token != NULL) {
        row->position = token->id;
        row->of.token = *token;
    }
    return err;
}

static enum err next(struct store_scan *base, struct store_row *row, bool *has_row)
{
    struct postgres_scan *scan = (struct postgres_scan *)base;
    bool is_sound = false;
    enum err err = OK;
    if (scan->part == STORE_TOKENS)
        return next_token(scan, row, has_row);
    do {
        err = next_row(scan, has_row);
        if (err == OK && *has_row) {
            is_sound = take_row(scan, scan->next_row++, row);
            if (scan->part != STORE_SETTINGS)
                scan->after = row->position;
        }
    } while (err == OK && *has_row && !is_sound);
    return err;
}

static void close_scan(struct store_scan *base)
{
    struct postgres_scan *scan = (struct postgres_scan *)base;
    postgres_walk_end(scan->tokens);
    PQclear(scan->page);
    free(scan);
}

enum err postgres_scan_open(struct store *store, enum store_part part, int64_t after,
                            struct store_scan **out)
{
    static const struct store_scan_methods methods = {.next = next, .close = close_scan};
    struct postgres_store *s = postgres_of(store);
    struct postgres_scan *scan = calloc(1, sizeof *scan);
    *out = NULL;
    if (scan == NULL)
        return postgres_link_fail_with(&s->link, ERR_NO_MEMORY, "can't be read: out of memory");
    scan->base.methods = &methods;
    scan->s = s;
    scan->part = part;
    scan->after = after;
    enum err err = part == STORE_TOKENS ? postgres_walk_begin(s, &scan->report, &scan->tokens) : OK;
    if (err == OK)
        *out = &scan->base;
    else
        close_scan(&scan->base);
    return err;
}

enum err postgres_extent(struct store *store, enum store_part part, struct store_extent *out)
{
    struct postgres_store *s = postgres_of(store);
    PGresult *rows = NULL;
    char sql[96];
    if (part == STORE_SETTINGS)
        snprintf(sql, sizeof sql, "SELECT least(1,count(*)),count(*) FROM setting");
    else
        snprintf(sql, sizeof sql, "SELECT min(id),max(id) FROM %s WHERE id > 0", TABLES[part].name);
    *out = (struct store_extent){0};
    enum err err = postgres_link_ask(&s->link, sql, NULL, "read", &rows);
    if (err == OK)
        *out = (struct store_extent){postgres_integer(rows, 0, 0), postgres_integer(rows, 0, 1)};
    PQclear(rows);
    return err;
}

/* ---- the note: numbers among the others in `moonwatch` ---- */

#define NOTE_SQL                                                                                   \
    "SELECT max(CASE WHEN name='copy_source' THEN value END),"                                     \
    "max(CASE WHEN name='copy_part' THEN value END),"                                              \
    "max(CASE WHEN name='copy_position' THEN value END) FROM moonwatch"

enum err postgres_get_copy(struct store *store, struct store_copy *out)
{
    struct postgres_store *s = postgres_of(store);
    PGresult *rows = NULL;
    enum err err = postgres_link_ask(&s->link, NOTE_SQL, NULL, "read", &rows);
    *out = (struct store_copy){0};
    if (err == OK) {
        int64_t part = postgres_integer(rows, 0, 1), position = postgres_integer(rows, 0, 2);
        *out = (struct store_copy){(uint64_t)postgres_integer(rows, 0, 0), (enum store_part)part,
                                   position};
        if (part < 0 || part > STORE_PART_COUNT || position < 0)
            err = postgres_link_fail_with(&s->link, ERR_CORRUPT, "has a damaged note of a copy");
    }
    PQclear(rows);
    return err;
}

static enum err send(struct postgres_store *s, enum postgres_statement statement,
                     const struct postgres_values *values)
{
    char name[16];
    snprintf(name, sizeof name, "s%d", statement);
    return postgres_link_send(&s->link, name, values);
}

enum err postgres_put_copy(struct store *store, const struct store_copy *copy)
{
    struct postgres_store *s = postgres_of(store);
    struct postgres_values values = {0};
    postgres_add_integer(&values, (int64_t)copy->source);
    postgres_add_integer(&values, copy->part);
    postgres_add_integer(&values, copy->position);
    return send(s, PG_PUT_COPY, &values);
}

enum err postgres_end_copy(struct store *store, uint64_t source, uint64_t generation)
{
    struct postgres_store *s = postgres_of(store);
    const struct store_copy complete = {.source = source, .part = STORE_PART_COUNT};
    struct postgres_values values = {0};
    postgres_add_integer(&values, (int64_t)generation);
    postgres_add_integer(&values, s->node);
    enum err err = send(s, PG_SET_GENERATION, &values);
    if (err == OK)
        err = postgres_put_copy(store, &complete);
    s->generation = generation;
    return err;
}
