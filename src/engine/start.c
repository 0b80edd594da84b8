/* From an inherited table, or a database, to work. See parts.h. */
#include "base/clock.h"
#include "base/log.h"
#include "engine/cold.h"
#include "engine/node.h"
#include "engine/parts.h"
#include "page/state_dir.h"
#include <stdlib.h>

#define LOGGER "engine"

/* Of a cold start: as many as are loaded within milliseconds, and keep the upstream busy until the
 * others have come. */
#define FIRST_TOKENS 2048

/* Rows are put into the table for so long at once; then the loop looks at the rest of its work. */
#define ROWS_TURN duration_ms(4)

static void on_news(void *context)
{
    struct engine *engine = context;
    uv_async_send(&engine->rows_async);
}

/* ---- table and store ---- */

/* A table that fails its header's checks is attached all the same, to be emptied. */
static bool attach_table(struct engine *engine, struct restore *restore)
{
    enum table_fault fault;
    enum err err = table_memory_attach(&engine->memory, FD_TABLE, &fault);
    if (err == ERR_CORRUPT)
        restore->report.why_cold = table_fault_text(fault);
    if (err == OK || err == ERR_CORRUPT)
        return true;
    log_error(LOGGER, "the token table can't be mapped", LOG_STRING("error", err_text(err)));
    return false;
}

static bool is_warm_possible(const struct engine *engine, struct restore *restore)
{
    const struct token_table *table = engine->memory.table;
    if (table == NULL || token_table_count(table) == 0)
        return false;
    if (engine_is_node(engine)) {
        restore->report.why_cold = "other nodes may have written since";
        return false;
    }
    if (engine->start_kind != START_COLD)
        return true;
    restore->report.why_cold = "the engine before lived for less than a minute";
    return false;
}

static enum err restore_cold(struct engine *engine, struct store *store, struct restore *restore)
{
    if (restore->report.why_cold != NULL)
        engine_report(REPORT_COLD, restore->report.why_cold);
    page_set(engine->page, GAUGE_LOADING, 1);
    const struct restore_news news = {
        .on_news = on_news, .context = engine, .first_tokens = FIRST_TOKENS};
    enum err err = engine_restore_first(engine, store, restore, &news, &engine->cold);
    if (err != ERR_CORRUPT)
        return err;
    /* Everything readable is loaded; the writer replaces the file when it meets the damage. */
    log_error("store", "the database is damaged; going on with what could be read",
              LOG_STRING("cause", store_message(store)));
    return OK;
}

/* Paused, nobody is sent for before the others are known. */
static uint32_t most_at_once(const struct engine *engine)
{
    return atomic_load(&engine->page->is_paused) == 0 ? RESTORE_AT_ONCE_MAX : UINT32_MAX;
}

/* From the table that is there, or else from the store. */
static enum err restore_tokens(struct engine *engine, struct store *store, struct restore *restore)
{
    enum err err = ERR_CORRUPT;
    if (is_warm_possible(engine, restore))
        err = engine_restore_warm_first(engine, store, restore, most_at_once(engine));
    if (err == OK && restore->report.first == 0)
        err = engine_restore_warm_rest(engine, store, restore);
    return err == ERR_CORRUPT ? restore_cold(engine, store, restore) : err;
}

static bool are_loaded(const struct store *store, enum err err)
{
    if (err != OK)
        log_error("store", "cannot load the tokens", LOG_STRING("error", err_text(err)),
                  LOG_STRING("cause", store_message(store)));
    return err == OK;
}

/* What a person and /metrics want to know of a start that was well. */
static void tell_restored(struct engine *engine)
{
    const struct store_load_report *report = &engine->restore->load;
    page_set(engine->page, GAUGE_GENERATION, (double)report->generation);
    atomic_store(&engine->page->newest_snapshot, (uint64_t)report->last_snapshot_id);
    restore_log(&engine->restore->report);
    if (engine->restore->report.kind == RESTORE_WARM)
        return;
    log_info("store", "loaded", LOG_INT("tokens", report->tokens),
             LOG_INT("replayed", report->replayed), LOG_INT("rows_refused", report->rows_refused),
             LOG_INT("holes", report->holes), LOG_INT("states_refused", report->states_refused));
}

static void count_start(struct engine *engine)
{
    bool is_warm = engine->restore->report.kind == RESTORE_WARM;
    page_add(engine->page, is_warm ? COUNTER_WARM_STARTS : COUNTER_COLD_STARTS, 1);
}

/* It begins to write when the store is loaded. */
static bool prepare_writer(struct engine *engine, struct store *store)
{
    struct writer_callbacks callbacks;
    engine_store_callbacks(engine, &callbacks);
    engine->store_patience = duration_s(engine->options.store_deadline_sec);
    engine->writer =
        writer_prepare(store, engine->memory.table, &engine->loop, &engine->options, &callbacks);
    if (engine->writer == NULL)
        log_error("store", "no memory for the store's thread");
    return engine->writer != NULL;
}

static bool open_store(struct engine *engine)
{
    char why[512] = "";
    engine->restore = calloc(1, sizeof *engine->restore);
    if (engine->restore == NULL || !attach_table(engine, engine->restore))
        return false;
    struct store *store =
        store_open_after(engine->options.db, (pid_t)engine->page->unawaited_pid, why);
    engine->restore->store = store;
    if (store == NULL) {
        log_error("store", why, LOG_STRING("db", engine->options.db));
        return false;
    }
    engine_note_stage(engine, STAGE_STORE);
    bool is_loaded = are_loaded(store, restore_tokens(engine, store, engine->restore));
    engine_note_stage(engine, STAGE_FIRST);
    if (is_loaded && prepare_writer(engine, store))
        return true;
    engine_start_give_up(engine);
    store_close(store);
    return false;
}

/* ---- upstreams ---- */

/* They get ready while the tokens are restored. */
static bool start_workers(struct engine *engine)
{
    char why[512] = "";
    bool is_node = engine_is_node(engine);
    const struct feed_workers_listener listener = {.context = engine,
                                                   .may_send =
                                                       is_node ? engine_node_may_send : NULL,
                                                   .on_received = engine_on_received,
                                                   .on_answer = engine_on_answer,
                                                   .on_start = engine_on_worker_start,
                                                   .on_beat = engine_on_worker_beat,
                                                   .on_open = engine_on_worker_open,
                                                   .on_shut = engine_on_worker_shut,
                                                   .on_end = engine_on_worker_end};
    engine->start_patience = duration_s(engine->options.start_deadline_sec);
    engine->workers = feed_workers_create(&engine->loop, &engine->options, &listener, why);
    if (engine->workers == NULL)
        log_error("feed", why);
    return engine->workers != NULL;
}

static bool await_workers(struct engine *engine)
{
    char why[512] = "";
    if (!feed_workers_await(engine->workers, why)) {
        log_error("feed", why);
        return false;
    }
    page_set(engine->page, GAUGE_FEED_WORKERS, feed_workers_count(&engine->options));
    return true;
}

bool engine_start_source(struct engine *engine)
{
    char why[512] = "";
    engine->source = source_create(&engine->loop, &engine->options, engine_on_token, engine, why);
    if (engine->source == NULL) {
        log_error("source", why);
        return false;
    }
    return true;
}

/* ---- work ---- */

/* What outlived the engine before: who was in hand at its death, and that it was to rest. */
static void tell_core(struct engine *engine)
{
    engine->incident_kept = atomic_load(&engine->page->incident);
    engine_tell_suspects(engine);
    if (atomic_load(&engine->page->is_paused) == 0)
        return;
    struct event event = {.kind = EVENT_PAUSE, .pause = {.is_paused = true}};
    engine_step(engine, &event);
}

/* Without it the api can't show history, and everything else goes on. */
static void start_relay(struct engine *engine)
{
    char why[512];
    if (database_path(&engine->options) != NULL)
        return;
    engine->relay = relay_start(engine->options.db, FD_HISTORY, why);
    if (engine->relay == NULL)
        log_error("store", "history can't be shown", LOG_STRING("cause", why));
}

/* All tokens are in their lanes: now new ones may come, clients may want something, and what
 * changes is written. */
static bool let_in(struct engine *engine)
{
    page_set(engine->page, GAUGE_LOADING, 0);
    tell_restored(engine);
    if (engine_is_node(engine))
        writer_hold(engine->writer, NULL, 0);
    if (!writer_begin(engine->writer)) {
        log_error("store", "no thread to write with");
        return false;
    }
    start_relay(engine);
    engine_alerts_begin(engine);
    engine_catch_up(engine, engine->restore);
    free(engine->restore);
    engine->restore = NULL;
    if (!engine_is_node(engine) && !engine_start_source(engine))
        return false;
    if (!engine_node_start(engine))
        return false;
    engine_listen(engine);
    engine_publish(engine);
    return true;
}

/* Those that have waited longest are sent for, and the others looked at while the requests are
 * under way; their answers must not be taken before. */
static bool take_up_rest(struct engine *engine)
{
    struct restore *restore = engine->restore;
    struct event event = {.kind = EVENT_TIME};
    if (restore->report.kind == RESTORE_COLD || restore->report.first == 0)
        return true;
    engine_step(engine, &event);
    feed_workers_wake(engine->workers);
    enum err err = engine_restore_warm_rest(engine, restore->store, restore);
    if (err == ERR_CORRUPT)
        err = restore_cold(engine, restore->store, restore);
    return are_loaded(restore->store, err);
}

static bool begin_work(struct engine *engine)
{
    engine_publish_options(engine);
    page_set(engine->page, GAUGE_START_TIME, (double)clock_now().us / 1e6);
    page_set(engine->page, GAUGE_SCHEDULER_ENABLED, engine->options.scheduler_enabled);
    if (!await_workers(engine))
        return false;
    if (!engine->options.scheduler_enabled)
        log_warning(LOGGER, "the scheduler is OFF (scheduler_enabled = false): nothing is fetched, "
                            "no token is kept fresh");
    if (fault_armed(engine->faults, FAULT_CRASH_AT_START) != 0)
        abort();
    engine_note_stage(engine, STAGE_UPSTREAMS);
    engine_publish(engine);
    engine_recall_limits(engine);
    if (!take_up_rest(engine))
        return false;
    count_start(engine);
    engine_start_timers(engine);
    engine_alerts_recall(engine);
    tell_core(engine);
    engine_arm(engine);
    return true;
}

bool engine_start(struct engine *engine)
{
    engine_inherit_limits(engine);
    huge_init(&engine->huge, &engine->memory, table_memory_collapse);
    engine->core_memory = malloc(core_size());
    if (engine->core_memory == NULL) {
        log_error(LOGGER, "no memory to start with");
        return false;
    }
    if (!engine_alerts_start(engine) || !start_workers(engine) || !engine_export_start(engine) ||
        !open_store(engine) || !begin_work(engine))
        return false;
    if (engine->cold == NULL && !let_in(engine))
        return false;
    engine_note_stage(engine, STAGE_READY);
    if (engine->cold == NULL)
        engine_note_stage(engine, STAGE_TABLE);
    engine_report(REPORT_READY, "");
    return true;
}

/* ---- the rest of the tokens ---- */

static void fail(struct engine *engine)
{
    engine->has_failed = true;
    engine_begin_stop(engine);
}

/* It takes a tenth of a second for a million. */
static void take_rest(struct engine *engine)
{
    engine_beat(engine, duration_s(engine->options.start_deadline_sec));
    enum err err = cold_rest(engine->cold);
    engine_start_give_up(engine);
    engine_beat(engine, duration_us(0));
    if (err == ERR_CORRUPT)
        log_error("store", "the database is damaged; going on with what could be read");
    else if (err != OK)
        log_error("store", "cannot load the tokens", LOG_STRING("error", err_text(err)));
    if ((err != OK && err != ERR_CORRUPT) || !let_in(engine)) {
        fail(engine);
        return;
    }
    tell_core(engine); /* who was in hand at a death may be among those that have come */
    engine_arm(engine);
    engine_note_stage(engine, STAGE_TABLE);
}

void engine_on_rows(uv_async_t *async)
{
    struct engine *engine = async->data;
    if (engine->cold == NULL)
        return;
    switch (cold_put(engine->cold, ROWS_TURN)) {
    case COLD_WAITING:
        return;
    case COLD_MORE_AT_HAND:
        uv_async_send(async);
        return;
    case COLD_ALL_HERE:
        take_rest(engine);
    }
}

void engine_start_give_up(struct engine *engine)
{
    cold_destroy(engine->cold);
    engine->cold = NULL;
}
