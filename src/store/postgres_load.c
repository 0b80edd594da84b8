/*
 * Rows in. Nothing read is believed before it was checked: whoever can write to the database can
 * put anything there.
 *
 * Tokens come by the page, in the order of their ids, each page with its pools. Before them the
 * logs of all nodes are read, and of each token the newest sound record is kept in memory, some
 * 400 bytes for each token in the logs. Which of two states is the newer one, postgres_store.h
 * says; of two nodes' that are none of several, the one that was checked later.
 */
#include "store/postgres_load.h"
#include "base/clock.h"
#include "base/log.h"
#include "core/mint_slot.h"
#include "store/state.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE_TOKENS 4096

#define SETTING_SIZE 4097

/* ---- columns ---- */

static bool read_address(const PGresult *rows, int row, int column, struct address *out)
{
    size_t length;
    const char *text = postgres_bytes(rows, row, column, &length);
    return address_parse(text, length, out);
}

/* Columns first … first + 2: name, symbol, status. */
static const char *read_names(const PGresult *rows, int row, int first, struct token *token)
{
    enum token_status status;
    size_t length;
    if (!postgres_text(rows, row, first, token->name, sizeof token->name))
        return "a name that is too long";
    if (!postgres_text(rows, row, first + 1, token->symbol, sizeof token->symbol))
        return "a symbol that is too long";
    const char *text = postgres_bytes(rows, row, first + 2, &length);
    if (!token_status_parse(text, length, &status))
        return "an unknown status";
    token->status = (uint8_t)status;
    return NULL;
}

/* ---- tokens ---- */

#define TOKEN_COLUMNS "id,mint,name,symbol,status,created_at,node,log_seq,state,generation"

static const char *read_identity(struct load *load, const PGresult *rows, int row)
{
    struct token *token = &load->token.token;
    int64_t id = postgres_integer(rows, row, 0);
    if (!load_is_id(id, load->loaded_before + load->mints.count, load->only != NULL))
        return "an id out of range";
    load->token.id = (token_id)id;
    token->created_at.us = postgres_integer(rows, row, 5);
    load->origin.node = postgres_integer(rows, row, 6);
    load->origin.generation = (uint64_t)postgres_integer(rows, row, 9);
    load->log_seq = postgres_integer(rows, row, 7);
    if (token->created_at.us < 0)
        return "a time out of range";
    if (!read_address(rows, row, 1, &token->mint))
        return "a mint that is none";
    return read_names(rows, row, 2, token);
}

const char *postgres_read_pool(const PGresult *pools, int row, struct store_token *token)
{
    struct store_pool pool = {0};
    if (!read_address(pools, row, 1, &pool.pool.address))
        return "an address that is none";
    if (!postgres_text(pools, row, 2, pool.dex, sizeof pool.dex) ||
        !postgres_text(pools, row, 3, pool.quote, sizeof pool.quote))
        return "a name that is too long";
    return load_add_pool(token, &pool, postgres_double(pools, row, 4),
                         postgres_integer(pools, row, 5));
}

/* Takes the pools of the token at hand from row *next on; those of tokens that are not there are
 * refused. */
static void read_pools(struct load *load, const PGresult *pools, int *next)
{
    load->token.token.pool_count = 0;
    for (; *next < PQntuples(pools); (*next)++) {
        int64_t id = postgres_integer(pools, *next, 0);
        if (id > load->token.id)
            return;
        const char *complaint = id < load->token.id
                                    ? "a pool of no token"
                                    : postgres_read_pool(pools, *next, &load->token);
        if (complaint != NULL)
            load_refuse(load, "pool", id, complaint);
    }
}

/* Snapshots of other nodes are none of ours to count on from. */
static void count_snapshot(struct load *load, int64_t id)
{
    if (id > load->report->last_snapshot_id && id < postgres_first_id(load->s->node + 1))
        load->report->last_snapshot_id = id;
}

static enum err deliver(struct load *load)
{
    struct store_token *row = &load->token;
    if (!load->is_walk)
        load->report->times_clamped += load_clamp_times(row, load->now);
    row->token.flags = TOKEN_DURABLE;
    count_snapshot(load, row->token.state.snapshot_id);
    load->report->tokens++;
    load->report->last_token = row->id;
    load->report->holes = row->id - load->report->tokens;
    return load->loader->on_token(load->loader->context, row) ? OK : ERR_NO_MEMORY;
}

static const char *read_state(const PGresult *rows, int row, struct store_token *token)
{
    size_t length;
    const uint8_t *bytes = postgres_bytes(rows, row, 8, &length);
    return state_decode(bytes, length, &token->token, token->primary_dex);
}

static enum err load_token(struct load *load, const PGresult *rows, int row, const PGresult *pools,
                           int *next_pool)
{
    const char *complaint = read_identity(load, rows, row);
    if (complaint != NULL) {
        load_refuse(load, "token", postgres_integer(rows, row, 0), complaint);
        return OK;
    }
    enum err err = mint_set_add(&load->mints, &load->token.token.mint);
    if (err == ERR_INVALID) {
        load_refuse(load, "token", load->token.id, "a mint that stands twice");
        return OK;
    }
    const char *damage = read_state(rows, row, &load->token);
    if (damage != NULL)
        load->token.token.state.checked_at = INSTANT_NEVER;
    uint32_t replayed = load->report->replayed;
    if (err == OK)
        err = load_replay(load);
    if (damage != NULL && load->report->replayed == replayed) {
        load->report->states_refused++;
        load_refuse(load, "token", load->token.id, damage);
        load_forget_state(&load->token);
    }
    read_pools(load, pools, next_pool);
    return err == OK ? deliver(load) : err;
}

static enum err load_page(struct load *load, const PGresult *rows, const PGresult *pools)
{
    enum err err = OK;
    int next_pool = 0;
    for (int i = 0; err == OK && i < PQntuples(rows); i++)
        err = load_token(load, rows, i, pools, &next_pool);
    return err;
}

/* The pools of tokens behind `after` up to `last`. */
static enum err read_page_pools(struct load *load, int64_t after, int64_t last, PGresult **out)
{
    struct postgres_values values = {0};
    postgres_add_integer(&values, after);
    postgres_add_integer(&values, last);
    return postgres_link_ask(&load->s->link,
                             "SELECT " POSTGRES_POOL_COLUMNS
                             " FROM pool WHERE token_id > $1 AND token_id <="
                             " $2 ORDER BY token_id,n",
                             &values, "read", out);
}

static enum err read_page_tokens(struct load *load, int64_t after, PGresult **out)
{
    struct postgres_values values = {0};
    char sql[160];
    snprintf(sql, sizeof sql,
             "SELECT " TOKEN_COLUMNS " FROM token WHERE id > $1 ORDER BY id LIMIT %d", PAGE_TOKENS);
    postgres_add_integer(&values, after);
    return postgres_link_ask(&load->s->link, sql, &values, "read", out);
}

static void forget_page(struct token_page *page)
{
    PQclear(page->rows);
    PQclear(page->pools);
    page->rows = page->pools = NULL;
    page->next_row = page->next_pool = 0;
}

static enum err turn_page(struct load *load)
{
    struct token_page *page = &load->page;
    int64_t after = page->last;
    forget_page(page);
    enum err err = read_page_tokens(load, after, &page->rows);
    int count = err == OK ? PQntuples(page->rows) : 0;
    page->is_last = count < PAGE_TOKENS;
    page->last = page->is_last ? INT64_MAX : postgres_integer(page->rows, count - 1, 0);
    return err == OK ? read_page_pools(load, after, page->last, &page->pools) : err;
}

/* One row. False in *has_row: that was the last. */
static enum err load_next_token(struct load *load, bool *has_row)
{
    struct token_page *page = &load->page;
    enum err err = OK;
    while (err == OK && !page->is_last &&
           (page->rows == NULL || page->next_row == PQntuples(page->rows)))
        err = turn_page(load);
    *has_row = err == OK && page->next_row < PQntuples(page->rows);
    return *has_row ? load_token(load, page->rows, page->next_row++, page->pools, &page->next_pool)
                    : err;
}

static enum err load_tokens(struct load *load)
{
    bool has_row = true;
    enum err err = OK;
    while (err == OK && has_row)
        err = load_next_token(load, &has_row);
    return err;
}

enum err postgres_ask_for_ids(struct postgres_link *link, const token_id *ids, size_t count,
                              const char *sql, PGresult **out)
{
    struct postgres_column column = {0};
    struct postgres_values values = {0};
    postgres_column_begin(&column, POSTGRES_INT8_ARRAY);
    for (size_t i = 0; i < count; i++)
        postgres_column_integer(&column, ids[i]);
    enum err err = postgres_add_column(&values, &column);
    if (err == OK)
        err = postgres_link_ask(link, sql, &values, "read", out);
    postgres_column_finish(&column);
    return err;
}

static enum err load_wanted_tokens(struct load *load)
{
    enum err err = OK;
    for (size_t at = 0; err == OK && at < load->only_count; at += PAGE_TOKENS) {
        size_t left = load->only_count - at, count = left < PAGE_TOKENS ? left : PAGE_TOKENS;
        PGresult *rows = NULL, *pools = NULL;
        err = postgres_ask_for_ids(
            &load->s->link, load->only + at, count,
            "SELECT " TOKEN_COLUMNS " FROM token WHERE id=ANY($1::bigint[]) ORDER BY id", &rows);
        if (err == OK)
            err = postgres_ask_for_ids(
                &load->s->link, load->only + at, count,
                "SELECT " POSTGRES_POOL_COLUMNS
                " FROM pool WHERE token_id=ANY($1::bigint[]) ORDER BY token_id,n",
                &pools);
        if (err == OK)
            err = load_page(load, rows, pools);
        PQclear(rows);
        PQclear(pools);
    }
    return err;
}

/* ---- settings and the rest ---- */

static enum err load_settings(struct load *load)
{
    PGresult *rows = NULL;
    enum err err =
        postgres_link_ask(&load->s->link, "SELECT name,value FROM setting ORDER BY name LIMIT 1024",
                          NULL, "read", &rows);
    for (int i = 0; err == OK && i < PQntuples(rows); i++) {
        char name[SETTING_SIZE], value[SETTING_SIZE];
        if (!postgres_text(rows, i, 0, name, sizeof name) ||
            !postgres_text(rows, i, 1, value, sizeof value)) {
            load_refuse(load, "setting", 0, "a name or a value that is too long");
            continue;
        }
        kept_settings_put(&load->s->settings, name, value);
        if (load->loader->on_setting != NULL &&
            !load->loader->on_setting(load->loader->context, name, value))
            err = ERR_NO_MEMORY;
    }
    PQclear(rows);
    return err;
}

/* This node's: each tells people itself what it found. */
static enum err tell_alerts(struct load *load)
{
    struct postgres_values values = {0};
    PGresult *rows = NULL;
    char *text = load->alert_text;
    if (load->loader->on_alert == NULL)
        return OK;
    postgres_add_integer(&values, STORE_ALERTS_MAX);
    postgres_add_integer(&values, load->s->node);
    enum err err = postgres_link_ask(&load->s->link,
                                     "SELECT id,text FROM (SELECT id,text FROM alert WHERE node=$2"
                                     " ORDER BY id DESC LIMIT $1) AS newest ORDER BY id",
                                     &values, "read", &rows);
    for (int i = 0; err == OK && i < PQntuples(rows); i++) {
        int64_t id = postgres_integer(rows, i, 0);
        if (postgres_text(rows, i, 1, text, sizeof load->alert_text))
            load->loader->on_alert(load->loader->context, id, text);
        else
            load_refuse(load, "alert", id, "too much text");
    }
    PQclear(rows);
    return err;
}

static enum err find_last_snapshot(struct load *load)
{
    struct postgres_values values = {0};
    int64_t node = load->s->node, first = postgres_first_id(node);
    postgres_add_integer(&values, first);
    postgres_add_integer(&values, postgres_first_id(node + 1));
    return postgres_link_ask_integer(&load->s->link,
                                     "SELECT max(id) FROM snapshot WHERE id > $1 AND id < $2",
                                     &values, first, &load->report->last_snapshot_id);
}

static struct load *load_create(struct store *store, const struct store_loader *loader,
                                struct store_load_report *report)
{
    struct postgres_store *s = postgres_of(store);
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
    if (!load->is_quiet)
        load_summarise(load->report);
    forget_page(&load->page);
    free(load->positions);
    log_index_finish(&load->log);
    mint_set_finish(&load->mints);
    free(load);
    return err;
}

enum err postgres_load(struct store *store, const struct store_loader *loader,
                       struct store_load_report *report)
{
    struct load *load = load_create(store, loader, report);
    if (load == NULL)
        return ERR_NO_MEMORY;
    load->s->is_log_unread = false;
    enum err err = find_last_snapshot(load);
    if (err == OK)
        err = load_settings(load);
    if (err == OK)
        err = tell_alerts(load);
    if (err == OK)
        err = load_index_logs(load);
    if (err == OK)
        err = load_tokens(load);
    return load_end(load, err);
}

static enum err find_last_token(struct load *load)
{
    int64_t last;
    enum err err = postgres_link_ask_integer(
        &load->s->link, "SELECT max(id) FROM token WHERE id <= 4294967295", NULL, 0, &last);
    load->report->last_token = last > 0 ? (token_id)last : TOKEN_NONE;
    return err;
}

static enum err tell_newest_snapshots(struct load *load)
{
    struct postgres_values values = {0};
    PGresult *rows = NULL;
    int64_t last = load->report->last_snapshot_id, first = postgres_first_id(load->s->node);
    if (load->loader->on_snapshot == NULL)
        return OK;
    postgres_add_integer(&values,
                         last - STORE_SNAPSHOTS_MAX > first ? last - STORE_SNAPSHOTS_MAX : first);
    postgres_add_integer(&values, last);
    enum err err = postgres_link_ask(
        &load->s->link, "SELECT id,token_id FROM snapshot WHERE id > $1 AND id <= $2 ORDER BY id",
        &values, "read", &rows);
    for (int i = 0; err == OK && i < PQntuples(rows); i++) {
        int64_t token = postgres_integer(rows, i, 1);
        if (token >= 1 && token <= UINT32_MAX)
            load->loader->on_snapshot(load->loader->context, postgres_integer(rows, i, 0),
                                      (token_id)token);
    }
    PQclear(rows);
    return err;
}

enum err postgres_resume(struct store *store, const struct store_loader *loader,
                         struct store_load_report *report)
{
    struct load *load = load_create(store, loader, report);
    if (load == NULL)
        return ERR_NO_MEMORY;
    load->s->is_log_unread = true;
    load->s->reading_part = 0;
    load->s->reading_after = 0;
    load->s->reading_position = (struct postgres_position){.kept = load->s->log_position};
    enum err err = find_last_snapshot(load);
    if (err == OK)
        err = find_last_token(load);
    if (err == OK)
        err = tell_newest_snapshots(load);
    if (err == OK)
        err = tell_alerts(load);
    if (err == OK)
        err = load_settings(load);
    return load_end(load, err);
}

enum err postgres_load_some(struct store *store, const token_id *ids, size_t count,
                            const struct store_loader *loader)
{
    struct store_load_report report;
    struct load *load = load_create(store, loader, &report);
    if (load == NULL)
        return ERR_NO_MEMORY;
    load->only = ids;
    load->only_count = count;
    enum err err = count == 0 ? OK : load_index_logs(load);
    if (err == OK)
        err = load_wanted_tokens(load);
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

static enum err begin_walk(struct postgres_store *s, struct store_load_report *report,
                           struct load **out)
{
    struct load *walk = load_create(&s->base, NULL, report);
    *out = walk;
    if (walk == NULL)
        return postgres_link_fail_with(&s->link, ERR_NO_MEMORY, "can't be read: out of memory");
    walk->is_walk = true;
    walk->walk_loader = (struct store_loader){.context = walk, .on_token = hold_token};
    walk->loader = &walk->walk_loader;
    return OK;
}

enum err postgres_walk_begin(struct postgres_store *s, struct store_load_report *report,
                             struct load **out)
{
    enum err err = begin_walk(s, report, out);
    return err == OK ? load_index_logs(*out) : err;
}

enum err postgres_walk_new(struct postgres_store *s, token_id after, bool is_quiet,
                           struct store_load_report *report, struct load **out)
{
    enum err err = begin_walk(s, report, out);
    if (err != OK)
        return err;
    (*out)->is_quiet = is_quiet;
    (*out)->page.last = (*out)->loaded_before = after;
    return OK;
}

struct postgres_origin postgres_walk_origin(const struct load *walk)
{
    return walk->origin;
}

const struct postgres_position *postgres_walk_positions(const struct load *walk, size_t *count)
{
    *count = walk->position_count;
    return walk->positions;
}

enum err postgres_walk_next(struct load *walk, const struct store_token **out)
{
    bool has_row = true;
    enum err err = OK;
    walk->has_token = false;
    while (err == OK && has_row && !walk->has_token)
        err = load_next_token(walk, &has_row);
    *out = err == OK && walk->has_token ? &walk->token : NULL;
    return err;
}

void postgres_walk_end(struct load *walk)
{
    if (walk != NULL && load_end(walk, OK) != OK)
        return; /* it cannot */
}
