/* A stand-in for the engine: a loop, a token table, and a writer with what it told. */
#ifndef MOONWATCH_TESTS_STORE_ENGINE_H
#define MOONWATCH_TESTS_STORE_ENGINE_H

#include "fixture.h"

#include "page/table_memory.h"
#include "store/writer.h"
#include <sqlite3.h>

#define WAIT_MAX_S 60 /* generous: only a failure waits this long */

struct engine {
    struct place place;
    struct table_memory memory;
    struct options options;
    uv_loop_t loop;
    uv_timer_t tick;
    struct writer *writer;
    uint32_t acknowledged; /* tokens */
    uint64_t newest_tag;
    uint32_t settings_acknowledged;
    _Atomic int64_t newest_snapshot;
    int64_t newest_alert;
    uint32_t new_files;
    uint32_t left_out;        /* new tokens */
    uint64_t flushed;         /* the newest tag */
    uint64_t history_deleted; /* tag of the newest order that ended */
    uint32_t times_retrying, times_ok;
    char message[512]; /* of the newest time it was retrying */
};

static inline void on_token_durable(void *context, token_id id, uint64_t tag)
{
    struct engine *engine = context;
    assert_int_equal(tag, (uint64_t)id + 1000000);
    engine->acknowledged++;
    engine->newest_tag = tag;
}

static inline void on_setting_durable(void *context, uint64_t tag)
{
    struct engine *engine = context;
    engine->settings_acknowledged++;
    engine->newest_tag = tag;
}

static inline void on_snapshot_durable(void *context, int64_t id)
{
    struct engine *engine = context;
    assert_true(id > engine->newest_snapshot);
    engine->newest_snapshot = id;
}

static inline void on_alert_durable(void *context, int64_t id)
{
    ((struct engine *)context)->newest_alert = id;
}

static inline void on_new_file(void *context)
{
    ((struct engine *)context)->new_files++;
}

static inline void on_token_left_out(void *context, token_id id, uint64_t tag)
{
    struct engine *engine = context;
    assert_int_equal(tag, (uint64_t)id + 1000000);
    engine->left_out++;
}

static inline void on_flushed(void *context, uint64_t tag)
{
    struct engine *engine = context;
    assert_int_equal(tag, engine->flushed + 1);
    engine->flushed = tag;
}

static inline void on_history_deleted(void *context, uint64_t tag)
{
    struct engine *engine = context;
    engine->history_deleted = tag;
}

static inline void on_state(void *context, const struct writer_stats *stats)
{
    struct engine *engine = context;
    if (stats->state == WRITER_RETRYING) {
        engine->times_retrying++;
        snprintf(engine->message, sizeof engine->message, "%s", stats->message);
    } else {
        engine->times_ok++;
    }
}

static inline void on_tick(uv_timer_t *timer)
{
    (void)timer; /* turns the loop */
}

/* Runs the loop until `condition`. */
#define WAIT_FOR(engine, condition)                                                                \
    do {                                                                                           \
        instant give_up = instant_add(clock_now(), duration_s(WAIT_MAX_S));                        \
        while (!(condition)) {                                                                     \
            if (!instant_before(clock_now(), give_up))                                             \
                fail_msg("waited in vain for: %s (%s)", #condition, (engine)->message);            \
            uv_run(&(engine)->loop, UV_RUN_ONCE);                                                  \
        }                                                                                          \
    } while (0)

static inline bool restore_token(void *context, const struct store_token *row)
{
    struct engine *engine = context;
    struct token_table *table = engine->memory.table;
    token_id id = token_table_add(table, &row->token.mint);
    assert_int_equal(id, row->id);
    struct token *draft = token_write_begin(table, id);
    draft->state = row->token.state;
    draft->flags = row->token.flags;
    token_write_end(table, id);
    return true;
}

static inline bool ignore_setting(void *context, const char *name, const char *value)
{
    (void)context, (void)name, (void)value;
    return true;
}

/* Opens, loads into the table and starts the writer. */
static inline void engine_start(struct engine *engine, struct store_load_report *report)
{
    struct writer_callbacks callbacks = {.context = engine,
                                         .on_token_durable = on_token_durable,
                                         .on_token_left_out = on_token_left_out,
                                         .on_setting_durable = on_setting_durable,
                                         .on_flushed = on_flushed,
                                         .on_snapshot_durable = on_snapshot_durable,
                                         .on_state = on_state,
                                         .on_history_deleted = on_history_deleted,
                                         .on_alert_durable = on_alert_durable,
                                         .on_new_file = on_new_file};
    struct store_loader loader = {engine, restore_token, ignore_setting, NULL};
    int error;
    assert_true(table_memory_init(&engine->memory, 8192, &error));
    struct store *store = open_or_fail(engine->place.url);
    assert_int_equal(store_load(store, &loader, report), OK);
    assert_int_equal(uv_loop_init(&engine->loop), 0);
    uv_timer_init(&engine->loop, &engine->tick);
    uv_timer_start(&engine->tick, on_tick, 1, 1);
    engine->writer =
        writer_start(store, engine->memory.table, &engine->loop, &engine->options, &callbacks);
    assert_non_null(engine->writer);
}

static inline uint32_t engine_stop(struct engine *engine, double seconds)
{
    uint32_t left = writer_stop(engine->writer, instant_add(clock_now(), duration_s(seconds)));
    uv_close((uv_handle_t *)&engine->tick, NULL);
    while (uv_run(&engine->loop, UV_RUN_DEFAULT) != 0)
        continue;
    assert_int_equal(uv_loop_close(&engine->loop), 0);
    table_memory_finish(&engine->memory);
    engine->writer = NULL;
    return left;
}

static inline void engine_init(struct engine *engine)
{
    *engine = (struct engine){0};
    place_init(&engine->place);
    options_init(&engine->options);
    engine->options.store_commit_sec = 0.01;
    engine->options.store_checkpoint_sec = 3600;
}

/* What the core does when it hears of a token. */
static inline token_id engine_add(struct engine *engine)
{
    struct token_table *table = engine->memory.table;
    struct address mint = address_of(token_table_count(table) + 1);
    token_id id = token_table_add(table, &mint);
    assert_int_not_equal(id, TOKEN_NONE);
    writer_add_token(engine->writer, id, (uint64_t)id + 1000000);
    return id;
}

/* What the core does with an answer; `n` is found again in low_score_us. */
static inline void engine_refresh(struct engine *engine, token_id id, uint32_t n)
{
    struct token *draft = token_write_begin(engine->memory.table, id);
    draft->state.checked_at = draft->state.fetched_at = clock_now();
    draft->state.low_score_us = n;
    draft->state.answers++;
    token_write_end(engine->memory.table, id);
    writer_mark_dirty(engine->writer, id);
}

static inline struct writer_stats engine_stats(struct engine *engine)
{
    struct writer_stats stats;
    writer_stats(engine->writer, &stats);
    return stats;
}

/* The first column of the first row; −1 when it can't be read. */
static inline int64_t ask(const char *path, const char *sql)
{
    sqlite3 *db = NULL;
    sqlite3_stmt *statement = NULL;
    int64_t value = -1;
    if (sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, NULL) == SQLITE_OK &&
        sqlite3_busy_timeout(db, 10000) == SQLITE_OK &&
        sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

static inline bool is_intact(const char *path)
{
    return ask(path, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check='ok'") == 1;
}

#endif
