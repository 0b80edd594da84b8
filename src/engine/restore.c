/* What an engine starts from. See the header. */
#include "engine/restore.h"

#include "base/clock.h"
#include "base/log.h"
#include "core/score.h"
#include "engine/cold.h"
#include "engine/node.h"
#include "engine/parts.h"
#include <stdlib.h>
#include <string.h>

#define LOGGER         "restore"
#define FIRST_CAPACITY 1024

struct stopwatch {
    struct restore_report *report;
    instant began;
};

static struct stopwatch stopwatch_start(struct restore *restore)
{
    return (struct stopwatch){&restore->report, clock_now()};
}

static void stopwatch_lap(struct stopwatch *watch, enum restore_stage stage)
{
    instant now = clock_now();
    watch->report->stage_ms[stage] += duration_to_s(instant_diff(now, watch->began)) * 1e3;
    watch->began = now;
}

const char *restore_stage_name(enum restore_stage stage)
{
    static const char *const names[] = {
#define X(code, name) [code] = name,
        RESTORE_STAGE_LIST(X)
#undef X
    };
    return stage < RESTORE_STAGE_COUNT ? names[stage] : "?";
}

/* ---- rows ---- */

static size_t convert_pools(struct token_table *table, const struct store_token *row,
                            struct pool pools[POOLS_MAX])
{
    size_t count = row->token.pool_count;
    for (size_t i = 0; i < count; i++) {
        pools[i] = row->pools[i].pool;
        pools[i].dex = token_table_dex(table, row->pools[i].dex);
        pools[i].quote = token_table_quote(table, row->pools[i].quote);
        pools[i].flags = pool_flags_for(row->pools[i].dex, row->pools[i].quote);
    }
    return count;
}

void restore_convert_row(struct token_table *table, const struct store_token *row,
                         struct token *out, struct pool *pools)
{
    *out = row->token;
    out->flags = TOKEN_DURABLE;
    out->pool_count = (uint8_t)convert_pools(table, row, pools);
    out->state.metrics.primary_dex = token_table_dex(table, row->primary_dex);
}

/* Into its slot, whatever is there; it is in the store as it is here. Which of its snapshots is,
 * the slot says still: its row can be ahead of that. */
bool restore_take_row(struct token_table *table, const struct store_token *row)
{
    struct pool pools[POOLS_MAX];
    struct token fresh;
    restore_convert_row(table, row, &fresh, pools);
    return token_table_replace(table, row->id, &fresh, pools);
}

bool restore_on_setting(void *context, const char *name, const char *value)
{
    struct engine *engine = context;
    char why[OPTION_MESSAGE_SIZE];
    if (engine_take_limit(engine, name, value))
        return true;
    enum option_id id = option_find(name);
    bool known = id != OPTION_COUNT && (option_row(id)->flags & OPTION_SETTING);
    if (!known || options_set(&engine->options, name, value, OPTION_FROM_STORE, why) != OK)
        log_warning("settings", "a stored setting is not valid; its default is used",
                    LOG_STRING("name", name), LOG_STRING("value", value));
    return true;
}

void restore_on_alert(void *context, int64_t id, const char *text)
{
    engine_alerts_restore(context, id, text);
}

void restore_init_core(struct engine *engine, int64_t last_snapshot_id)
{
    engine->core = core_init(engine->core_memory, engine->memory.table, &engine->options,
                             last_snapshot_id, clock_now());
    engine_node_disown(engine);
}

void restore_note_store(struct engine *engine, const struct store *store, uint64_t is_behind)
{
    struct table_store note;
    store_identify(store, &note);
    note.is_behind = is_behind;
    token_table_set_store(engine->memory.table, &note);
}

/* ---- cold ---- */

/* A table that was inherited and is not believed: those who read it go on with the new one. */
static enum err empty_table(struct engine *engine)
{
    if (engine->memory.table != NULL && token_table_count(engine->memory.table) == 0)
        return OK;
    return table_memory_reset(&engine->memory, FIRST_CAPACITY);
}

enum err engine_restore_first(struct engine *engine, struct store *store, struct restore *restore,
                              const struct restore_news *news, struct cold **out)
{
    restore->report.kind = RESTORE_COLD;
    *out = NULL;
    enum err err = empty_table(engine);
    if (err != OK)
        return err;
    struct cold *cold = cold_begin(engine, store, restore, news->on_news, news->context);
    if (cold == NULL)
        return ERR_NO_MEMORY;
    err = cold_first(cold, news->first_tokens);
    if ((err == OK || err == ERR_CORRUPT) && !cold_has_all(cold))
        *out = cold;
    else
        cold_destroy(cold);
    return err;
}

static void ignore_news(void *context)
{
    (void)context;
}

enum err engine_restore_cold(struct engine *engine, struct store *store, struct restore *restore)
{
    const struct restore_news news = {.on_news = ignore_news, .first_tokens = UINT32_MAX};
    struct cold *cold;
    return engine_restore_first(engine, store, restore, &news, &cold);
}

/* ---- warm ---- */

static enum err go_cold(struct restore *restore, const char *why)
{
    warm_finish(&restore->warm);
    restore->report.why_cold = why;
    return ERR_CORRUPT;
}

/* Is it the store that this table was written to, and none that was put in its place? */
static bool is_known_store(const struct engine *engine, const struct store *store,
                           struct restore *restore)
{
    struct table_store then, now;
    store_identify(store, &now);
    if (!token_table_store(engine->memory.table, &then)) {
        restore->report.why_cold = "its tokens had not all been loaded";
        return false;
    }
    restore->report.why_cold = "it was not written to this database";
    bool is_same = then.identity == now.identity && then.generation < now.generation;
    bool is_empty = restore->load.last_token == TOKEN_NONE;
    restore->report.is_store_rewritten =
        (is_same ? then.is_behind != 0 : is_empty) && token_table_count(engine->memory.table) > 0;
    return is_same || is_empty;
}

struct repair {
    struct token_table *table;
    token_id ids[BAD_SLOTS_MAX]; /* rising */
    bool is_restored[BAD_SLOTS_MAX];
    size_t count;
};

static bool on_missing(void *context, const struct store_token *row)
{
    struct repair *repair = context;
    const token_id *place =
        bsearch(&row->id, repair->ids, repair->count, sizeof row->id, token_compare_ids);
    if (place == NULL || !restore_take_row(repair->table, row))
        return false;
    repair->is_restored[place - repair->ids] = true;
    return true;
}

/* A bad slot without a row never was durable, so nobody was told that it exists. */
static bool take_repaired(struct restore *restore, const struct repair *repair)
{
    atomic_store(&restore->warm.check.bad_count, 0);
    for (size_t i = 0; i < repair->count; i++) {
        if (!repair->is_restored[i])
            token_table_make_hole(repair->table, repair->ids[i]);
        if (!warm_take(&restore->warm, repair->ids[i]))
            return false;
        restore->report.slots_restored += repair->is_restored[i];
        restore->report.holes_made += !repair->is_restored[i];
    }
    return true;
}

static enum err repair_slots(struct engine *engine, struct store *store, struct restore *restore)
{
    struct table_check *check = &restore->warm.check;
    struct repair repair = {.table = engine->memory.table, .count = atomic_load(&check->bad_count)};
    const struct store_loader loader = {.context = &repair, .on_token = on_missing};
    if (repair.count == 0)
        return OK;
    warm_repair(&restore->warm);
    if (restore->warm.fault != TABLE_SOUND)
        return go_cold(restore, table_fault_text(restore->warm.fault));
    memcpy(repair.ids, check->bad, repair.count * sizeof *repair.ids);
    qsort(repair.ids, repair.count, sizeof *repair.ids, token_compare_ids);
    if (store_load_some(store, repair.ids, repair.count, &loader) != OK)
        return go_cold(restore, "the rows of its damaged slots can't be read");
    if (!take_repaired(restore, &repair))
        return go_cold(restore, "a damaged slot could not be restored");
    return OK;
}

static void on_snapshot(void *context, int64_t snapshot_id, token_id token)
{
    struct engine *engine = context;
    if (token <= token_table_count(engine->memory.table))
        token_mark_stored_snapshot(engine->memory.table, token, snapshot_id);
}

static enum err resume(struct engine *engine, struct store *store, struct restore *restore)
{
    const struct store_loader loader = {.context = engine,
                                        .on_setting = restore_on_setting,
                                        .on_snapshot = on_snapshot,
                                        .on_alert = restore_on_alert};
    enum err err = store_resume(store, &loader, &restore->load);
    if (err == ERR_CORRUPT) {
        /* The tokens are in memory; the writer replaces the file when it meets the damage. */
        log_error("store", "the database is damaged; going on with what is in memory",
                  LOG_STRING("cause", store_message(store)));
        return OK;
    }
    return err;
}

/* Tokens that may have killed us are sent alone, or not at all; which they are is told later. */
static bool is_under_suspicion(void *context, token_id id)
{
    struct engine *engine = context;
    return engine->page != NULL &&
           suspects_find(&engine->page->suspects, &token_slot(engine->memory.table, id)->mint) !=
               NULL;
}

enum err engine_restore_warm_first(struct engine *engine, struct store *store,
                                   struct restore *restore, uint32_t at_once)
{
    struct stopwatch watch = stopwatch_start(restore);
    *restore = (struct restore){.store = store, .report.kind = RESTORE_WARM};
    enum err err = resume(engine, store, restore);
    stopwatch_lap(&watch, RESTORE_SETTINGS);
    if (err != OK)
        return err;
    if (!is_known_store(engine, store, restore))
        return go_cold(restore, restore->report.why_cold);
    restore->report.why_cold = NULL;
    restore_init_core(engine, restore->load.last_snapshot_id);
    err = warm_begin(&restore->warm, engine->memory.table, engine->core);
    if (err != OK)
        return err;
    if (token_table_count(engine->memory.table) > at_once)
        restore->report.first = (uint32_t)warm_first(&restore->warm, is_under_suspicion, engine);
    stopwatch_lap(&watch, RESTORE_FIRST);
    return OK;
}

enum err engine_restore_warm_rest(struct engine *engine, struct store *store,
                                  struct restore *restore)
{
    struct stopwatch watch = stopwatch_start(restore);
    warm_check(&restore->warm);
    stopwatch_lap(&watch, RESTORE_SLOTS);
    enum err err = repair_slots(engine, store, restore);
    stopwatch_lap(&watch, RESTORE_REPAIR);
    if (err != OK)
        return err;
    warm_link(&restore->warm);
    stopwatch_lap(&watch, RESTORE_LANES);
    if (restore->warm.fault != TABLE_SOUND)
        return go_cold(restore, table_fault_text(restore->warm.fault));
    restore_note_store(engine, store, restore->report.is_store_rewritten);
    restore->report.slots_checked = token_table_count(engine->memory.table);
    restore->report.behind = atomic_load(&restore->warm.check.behind_count);
    restore->report.is_index_rebuilt = restore->warm.is_index_rebuilt;
    return OK;
}

void restore_log(const struct restore_report *report)
{
    const double *ms = report->stage_ms;
    if (report->kind == RESTORE_COLD) {
        log_info(LOGGER, "started cold: everything was read from the store",
                 LOG_STRING("why", report->why_cold != NULL ? report->why_cold
                                                            : "there was no table to take over"),
                 LOG_DOUBLE("load_ms", ms[RESTORE_LOAD]),
                 LOG_DOUBLE("lanes_ms", ms[RESTORE_LANES]));
        return;
    }
    log_info(LOGGER, "started warm: the tokens were in memory",
             LOG_INT("slots_checked", report->slots_checked),
             LOG_INT("slots_restored", report->slots_restored),
             LOG_INT("holes_made", report->holes_made), LOG_INT("behind", report->behind),
             LOG_DOUBLE("settings_ms", ms[RESTORE_SETTINGS]), LOG_INT("first", report->first),
             LOG_DOUBLE("first_ms", ms[RESTORE_FIRST]), LOG_DOUBLE("slots_ms", ms[RESTORE_SLOTS]),
             LOG_DOUBLE("repair_ms", ms[RESTORE_REPAIR]),
             LOG_DOUBLE("lanes_ms", ms[RESTORE_LANES]));
}
