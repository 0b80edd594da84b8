/* The engine that starts, dies and starts again. See parts.h. */
#include "sim/parts.h"

#include "base/clock.h"
#include "engine/restore.h"
#include "sim/children.h"
#include <math.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#define FIRST_CAPACITY 1024
#define TORN_SHARE     0.3 /* of the deaths in the middle of a step */
#define LEFT_TURNS     50  /* tries of one who was left behind */

/* ---- what of it others must know ---- */

/* Where there are more than there is room for, nobody knows of the rest. */
static void forgive_unknown(struct sim *sim)
{
    for (size_t i = 0; i < SUSPECTS_MAX; i++)
        if (atomic_load(&sim->page->suspects.rows[i].state) == SUSPECT_NONE)
            return;
    for (token_id id = 1; id < sim->oracle.statuses_size; id++)
        if (!sim->suspected[id] && !sim->quarantined[id])
            sim->killed[id] = 0;
}

void suspects_note(struct sim *sim)
{
    memset(sim->suspected, 0, sim->oracle.statuses_size);
    memset(sim->quarantined, 0, sim->oracle.statuses_size);
    for (size_t i = 0; i < SUSPECTS_MAX; i++) {
        const struct suspect *row = &sim->page->suspects.rows[i];
        uint32_t state = atomic_load(&row->state);
        token_id id =
            state == SUSPECT_NONE ? TOKEN_NONE : token_table_find(sim->memory.table, &row->mint);
        if (id != TOKEN_NONE)
            (state == SUSPECT_WATCHED ? sim->suspected : sim->quarantined)[id] = 1;
    }
    forgive_unknown(sim);
}

static void tell_suspect(struct sim *sim, const struct suspect *row)
{
    uint32_t state = atomic_load(&row->state);
    token_id id =
        state == SUSPECT_NONE ? TOKEN_NONE : token_table_find(sim->memory.table, &row->mint);
    if (id == TOKEN_NONE)
        return;
    struct event event = {.kind = EVENT_QUARANTINE, .quarantine = {id}};
    if (state == SUSPECT_WATCHED)
        event = (struct event){.kind = EVENT_SUSPECT, .suspect = {id, (enum lane_kind)row->lane}};
    sim_step(sim, &event);
}

static void tell_suspects(struct sim *sim)
{
    for (size_t i = 0; i < SUSPECTS_MAX; i++)
        tell_suspect(sim, &sim->page->suspects.rows[i]);
}

void suspects_recall(struct sim *sim, const struct address *mint)
{
    const struct suspect *row = suspects_find(&sim->page->suspects, mint);
    if (row == NULL || !children_engine_works(sim))
        return;
    tell_suspect(sim, row);
    suspects_note(sim);
}

/* What an engine learns of the limits outlives it. */
static void tell_limits(struct sim *sim)
{
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++) {
        struct event event;
        if (engine_limit_event(&sim->shell, (enum lane_kind)lane, &event))
            sim_step(sim, &event);
    }
}

void engine_publish_limits(struct sim *sim)
{
    const struct core_stats *stats = core_stats(sim->core);
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++) {
        struct page_lane *page = &sim->page->lanes[lane];
        page_put_bits(&page->learned_per_minute_bits, stats->lanes[lane].learned_per_minute);
        page_put_bits(&page->configured_per_minute_bits, stats->lanes[lane].configured_per_minute);
        atomic_store(&page->sampled_at_us, (uint64_t)stats->sampled_at.us);
    }
}

/* ---- a start ---- */

static struct disk_world world_of(struct sim *sim)
{
    return (struct disk_world){.context = sim,
                               .now = sim_now_of,
                               .on_token_durable = engine_on_token_durable,
                               .on_setting_durable = engine_on_setting_durable,
                               .on_history_deleted = engine_on_history_deleted};
}

static enum err restore(struct sim *sim, struct store *store, struct restore *restored,
                        bool is_cold)
{
    enum err err = ERR_CORRUPT;
    if (!is_cold && token_table_count(sim->memory.table) > 0)
        err = engine_restore_warm_first(&sim->shell, store, restored, UINT32_MAX);
    if (err == OK)
        err = engine_restore_warm_rest(&sim->shell, store, restored);
    return err == ERR_CORRUPT ? engine_restore_cold(&sim->shell, store, restored) : err;
}

static void prepare_shell(struct sim *sim)
{
    struct engine *shell = &sim->shell;
    shell->memory = sim->memory;
    shell->page = sim->page;
    shell->core_memory = sim->core_memory;
    shell->options = sim->first_options;
    memset(shell->known_limits, 0, sizeof shell->known_limits);
    engine_inherit_limits(shell);
}

static void tell_pause(struct sim *sim)
{
    struct event event = {.kind = EVENT_PAUSE, .pause = {.is_paused = true}};
    if (atomic_load(&sim->page->is_paused) != 0)
        sim_step(sim, &event);
}

static bool status_of(const void *store, token_id id, uint8_t *status)
{
    return vault_status(store, id, status);
}

static void begin_work(struct sim *sim, const struct restore *restored)
{
    sim->core = sim->shell.core;
    sim->oracle.core = sim->core;
    sim->is_hung = sim->is_starved = false;
    sim->engine_began_at = sim->now;
    notice_forget(&sim->notice);
    sim->life++;
    sim->options = sim->shell.options;
    page_set(sim->page, GAUGE_GENERATION, (double)restored->load.generation);
    trace_line(sim, "engine works: %s, %u tokens, %u restored, %u holes, generation %llu",
               restored->report.kind == RESTORE_COLD ? "cold" : "warm",
               token_table_count(sim->memory.table), restored->report.slots_restored,
               restored->report.holes_made, (unsigned long long)restored->load.generation);
    if (restored->report.kind == RESTORE_COLD)
        sim->result->cold_starts++;
    else
        sim->result->warm_starts++;
    ledger_on_start(&sim->ledger,
                    restored->report.kind == RESTORE_COLD
                        ? UINT32_MAX
                        : restored->report.slots_restored + restored->report.holes_made,
                    sim->now);
    suspects_note(sim);
    oracle_on_restored(&sim->oracle, status_of, sim->vault, sim->now);
    checks_settings(sim);
    tell_limits(sim);
    tell_suspects(sim);
    messages_tell(sim);
    tell_pause(sim);
}

bool engine_begin(struct sim *sim, bool is_cold)
{
    if (sim->vault == NULL)
        return engine_begin_plainly(sim);
    struct store *store = vault_open(sim->vault);
    struct restore *restored = calloc(1, sizeof *restored);
    const struct disk_world world = world_of(sim);
    if (store == NULL || restored == NULL) {
        store_close(store);
        free(restored);
        return false;
    }
    restored->store = store;
    prepare_shell(sim);
    enum err err = restore(sim, store, restored, is_cold);
    sim->memory = sim->shell.memory;
    if (err == OK)
        sim->disk = disk_begin(store, sim->memory.table, &sim->options, &world);
    if (sim->disk == NULL) {
        oracle_complain(&sim->oracle, sim->now, "an engine can't start: %s", err_text(err));
        store_close(store);
        free(restored);
        return false;
    }
    sim->shell.writer = disk_writer(sim->disk);
    engine_catch_up(&sim->shell, restored);
    begin_work(sim, restored);
    free(restored);
    return true;
}

/* With a real database, which no death reaches: over the table, and the writer goes on. */
bool engine_begin_plainly(struct sim *sim)
{
    int64_t newest = 0;
    for (token_id id = 1; id <= token_table_count(sim->memory.table); id++) {
        int64_t snapshot = token_slot(sim->memory.table, id)->state.snapshot_id;
        newest = snapshot > newest ? snapshot : newest;
    }
    prepare_shell(sim);
    sim->shell.writer = disk_writer(sim->disk);
    sim->core = core_init(sim->core_memory, sim->memory.table, &sim->options, newest, sim->now);
    core_start_alone(sim->core, NULL);
    sim->oracle.core = sim->shell.core = sim->core;
    ledger_on_start(&sim->ledger, UINT32_MAX, sim->now);
    sim->is_hung = false;
    sim->life++;
    suspects_note(sim);
    tell_limits(sim);
    tell_suspects(sim);
    return true;
}

/* ---- what the store says ---- */

instant sim_now_of(void *context)
{
    const struct sim *sim = context;
    return sim->now;
}

/* It is on the disk; the engine hears of it a little later, or never. */
void engine_on_token_durable(void *context, token_id id, uint64_t tag)
{
    struct sim *sim = context;
    double wait_s = prng_exponential(&sim->machine, NOTICE_MEAN_S);
    agenda_plan_of_engine(sim, sim_after(sim, wait_s),
                          (struct world_event){.kind = WORLD_DURABLE, .durable = {id, tag}});
}

void engine_on_setting_durable(void *context, uint64_t tag)
{
    struct sim *sim = context;
    checks_setting_is_durable(sim, tag);
}

void engine_on_history_deleted(void *context, uint64_t run)
{
    struct sim *sim = context;
    agenda_plan_of_engine(sim, sim->now,
                          (struct world_event){.kind = WORLD_JOB, .job = {JOB_RETENTION, run}});
}

/* ---- its end ---- */

static void forget(struct sim *sim)
{
    sim->core = NULL;
    sim->oracle.core = NULL;
    sim->is_hung = sim->is_starved = false;
    sim->asked_until = INSTANT_NEVER;
    sim->life++; /* nothing that was under way reaches the next one */
    sim->crash_after = 0;
    sim->in_hand_count = 0;
    clients_forget(sim);
}

void engine_stop(struct sim *sim)
{
    forget(sim);
}

bool engine_write_rest(struct sim *sim)
{
    if (sim->vault == NULL)
        return true;
    uint32_t unwritten = disk_close(sim->disk);
    sim->disk = NULL;
    trace_line(sim, "%u additions and settings were not written", unwritten);
    return unwritten == 0;
}

/* In the middle of publishing a token: what it leaves there is neither the old nor the new. */
static void tear_slot(struct sim *sim)
{
    token_id id = sim->saved_last;
    if (id == TOKEN_NONE || id > token_table_count(sim->memory.table) ||
        prng_unit(&sim->fault_prng[SIM_FAULT_CRASH]) >= TORN_SHARE)
        return;
    trace_line(sim, "token %u is torn", id);
    struct token *slot = (struct token *)token_slot(sim->memory.table, id);
    slot->state.score += 1;
    slot->state.checked_at.us ^= 0x55;
    sim->result->torn++;
}

static void fill_hand(struct sim *sim)
{
    struct in_hand *hand = &sim->page->hands[0];
    for (size_t i = 0; i < sim->in_hand_count; i++)
        hand->mints[i] = token_slot(sim->memory.table, sim->in_hand[i])->mint;
    hand->lane = sim->in_hand_lane;
    atomic_store(&hand->count, (uint32_t)sim->in_hand_count);
}

void engine_fall(struct sim *sim)
{
    fill_hand(sim);
    sim->oracle.has_fallen = sim->oracle.has_fallen || sim->is_in_step;
    if (sim->is_in_step && sim->vault != NULL)
        tear_slot(sim);
    if (sim->vault != NULL) {
        disk_kill(sim->disk);
        sim->disk = NULL;
    }
    sim->result->deaths++;
    forget(sim);
}

void engine_leave_behind(struct sim *sim)
{
    engine_forget_left(sim);
    sim->left_disk = sim->disk;
    sim->disk = NULL;
    disk_deafen(sim->left_disk);
    sim->result->deaths++;
    forget(sim);
}

/* The one who was left behind keeps the old table. */
bool engine_renew_table(struct sim *sim)
{
    int error;
    sim->left_memory = sim->memory;
    sim->memory = (struct table_memory){.fd = -1};
    if (!table_memory_init(&sim->memory, FIRST_CAPACITY, &error))
        return false;
    sim->oracle.table = sim->memory.table;
    return true;
}

void engine_forget_left(struct sim *sim)
{
    disk_kill(sim->left_disk);
    sim->left_disk = NULL;
    if (sim->left_memory.base != NULL)
        table_memory_finish(&sim->left_memory);
    sim->left_memory = (struct table_memory){.fd = -1};
}

/* It writes whatever it still had to, and must not get through. */
void engine_wake_left(struct sim *sim)
{
    if (sim->left_disk == NULL)
        return;
    trace_line(sim, "the engine that was left behind wakes up");
    uint64_t fenced = vault_fenced(sim->vault);
    for (int i = 0; i < LEFT_TURNS; i++)
        disk_turn(sim->left_disk);
    uint32_t unwritten = disk_close(sim->left_disk);
    sim->left_disk = NULL;
    trace_line(sim, "it was refused %llu times, %u rows unwritten",
               (unsigned long long)(vault_fenced(sim->vault) - fenced), unwritten);
    engine_forget_left(sim);
}

/* A power cut. */
void engine_lose_all(struct sim *sim)
{
    engine_forget_left(sim);
    disk_kill(sim->disk);
    sim->disk = NULL;
    sim->result->lost_commits += vault_cut_power(sim->vault, &sim->fault_prng[SIM_FAULT_POWER]);
    if (sim->core != NULL)
        sim->result->deaths++;
    forget(sim);
    if (table_memory_reset(&sim->memory, FIRST_CAPACITY) != OK)
        oracle_complain(&sim->oracle, sim->now, "no memory for the table");
    checks_power_cut(sim);
}
