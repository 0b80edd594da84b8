/* The world as a run finds it. */
#include "sim/habits.h"
#include "sim/parts.h"

#include "core/score.h"
#include "sim/schedule.h"
#include <stdlib.h>

#define TOKENS_DRAWN_MIN 10
#define TOKENS_DRAWN_MAX 5000
#define HOLES_MAX        1000 /* ids of tokens that died with an engine before they were stored */
#define ARRIVALS_SLACK   1.2  /* of their expected number; luck takes less */
#define ARRIVALS_MORE    100

/* ---- the real store ---- */

static void tell_durable(void *context, token_id id, uint64_t tag)
{
    struct event event = {.kind = EVENT_TOKEN_DURABLE, .token_durable = {id, tag}};
    sim_step(context, &event);
}

static void tell_history_deleted(void *context, uint64_t run)
{
    struct event event = {.kind = EVENT_JOB_DONE, .job_done = {JOB_RETENTION, run}};
    sim_step(context, &event);
}

static bool open_database(struct sim *sim)
{
    char why[512];
    const struct disk_world world = {.context = sim,
                                     .now = sim_now_of,
                                     .on_token_durable = tell_durable,
                                     .on_history_deleted = tell_history_deleted};
    sim->disk = disk_open(sim->setup->database, sim->memory.table, &sim->options, &world, why);
    if (sim->disk == NULL)
        oracle_complain(&sim->oracle, sim->now, "%s", why);
    return sim->disk != NULL;
}

static bool take_no_setting(void *context, const char *name, const char *value)
{
    (void)context, (void)name, (void)value;
    return true;
}

/* An engine before the first: what it wrote is what the first one finds. */
static bool open_vault(struct sim *sim)
{
    const struct disk_world world = {.context = sim, .now = sim_now_of};
    const struct store_loader loader = {.on_setting = take_no_setting};
    struct store_load_report report;
    sim->vault = vault_create(fault_of_store, sim);
    struct store *store = sim->vault == NULL ? NULL : vault_open(sim->vault);
    if (store == NULL || store_resume(store, &loader, &report) != OK)
        return false;
    sim->disk = disk_begin(store, sim->memory.table, &sim->options, &world);
    disk_deafen(sim->disk);
    return sim->disk != NULL;
}

static bool open_store(struct sim *sim)
{
    return sim->setup->database != NULL ? open_database(sim) : open_vault(sim);
}

/* ---- tokens that are there already ---- */

/* A token as a start finds it in the store: known for long, refreshed lately. */
static void preload_token(struct sim *sim, uint32_t n, enum upstream_life life)
{
    struct address mint = upstream_mint(&sim->upstream, n, life);
    if (token_table_is_short(sim->memory.table, 64) && !table_memory_grow(&sim->memory, 64)) {
        oracle_complain(&sim->oracle, sim->now, "no memory for the table");
        return;
    }
    token_id id = token_table_add(sim->memory.table, &mint);
    bool active = life == LIFE_ACTIVE;
    double target = active ? sim->options.hot_interval_sec : sim->options.cold_interval_sec;
    size_t count = upstream_answer(&sim->upstream, LANE_DISCOVER, &mint, 1, sim->now, sim->pairs);
    struct pool pools[POOLS_MAX] = {0};
    for (size_t i = 0; i < count; i++)
        pools[i] =
            (struct pool){.address = sim->pairs[i].pool,
                          .liquidity_usd = (float)sim->pairs[i].liquidity_usd,
                          .dex = token_table_dex(sim->memory.table, sim->pairs[i].dex),
                          .quote = token_table_quote(sim->memory.table, sim->pairs[i].quote_symbol),
                          .flags = pool_flags_for(sim->pairs[i].dex, sim->pairs[i].quote_symbol)};
    struct token *draft = token_write_begin(sim->memory.table, id);
    draft->status = active ? TOKEN_ACTIVE : TOKEN_MONITORING;
    draft->flags = TOKEN_DURABLE;
    draft->created_at = sim_after(sim, -sim->setup->hours_old * 3600);
    double stale_s = sim->setup->stale_s;
    double age_s = stale_s > 0 ? stale_s : prng_unit(&sim->world) * target;
    draft->state.checked_at = sim_after(sim, -age_s);
    draft->state.fetched_at = draft->state.checked_at;
    draft->state.discovered_at = sim_after(sim, -prng_unit(&sim->world) * 600);
    draft->state.status_since = draft->created_at;
    draft->state.answers = 1;
    draft->state.score = active ? 0.5 : 0;
    if (!token_draft_set_pools(sim->memory.table, pools, count))
        oracle_complain(&sim->oracle, sim->now, "no memory for pools");
    token_write_end(sim->memory.table, id);
    disk_perform(sim->disk, &(struct action){.kind = ACTION_ADD_TOKEN, .add_token = {id, 0}},
                 sim->now);
    sim->mints[n] = mint;
    sim->oracle.statuses[id] = draft->status;
    sim->answered_at[id] = draft->state.checked_at;
}

static void preload(struct sim *sim)
{
    for (uint32_t n = 0; n < sim->setup->tokens; n++)
        preload_token(sim, n, n < sim->setup->active ? LIFE_ACTIVE : LIFE_QUIET);
    sim->tokens_seen = sim->setup->tokens;
}

/* ---- all of it ---- */

/* With a real database nobody dies: its writer cannot be made to forget. */
static bool begin_engine(struct sim *sim)
{
    if (sim->setup->database != NULL)
        return engine_begin_plainly(sim);
    disk_close(sim->disk);
    sim->disk = NULL;
    return children_begin(sim);
}

static uint32_t draw_tokens(struct sim *sim)
{
    const struct sim_setup *setup = sim->setup;
    if (setup->arrivals_per_hour > 0)
        return setup->tokens + ARRIVALS_MORE +
               (uint32_t)(ARRIVALS_SLACK * setup->arrivals_per_hour * setup->hours);
    if (setup->tokens != 0)
        return setup->tokens;
    return (uint32_t)(TOKENS_DRAWN_MIN +
                      prng_below(&sim->workload, TOKENS_DRAWN_MAX - TOKENS_DRAWN_MIN + 1));
}

static bool allocate(struct sim *sim)
{
    int error;
    size_t size = sim->oracle.statuses_size;
    uint8_t **sets[] = {&sim->oracle.statuses, &sim->poisoned,    &sim->killed,
                        &sim->suspected,       &sim->quarantined, &sim->acknowledged};
    for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
        if ((*sets[i] = calloc(size, 1)) == NULL)
            return false;
    sim->answered_at = calloc(size, sizeof *sim->answered_at);
    sim->mints = calloc(size, sizeof *sim->mints);
    sim->core_memory = malloc(core_size());
    sim->page = calloc(1, sizeof *sim->page);
    sim->supervisor = calloc(1, sizeof *sim->supervisor);
    sim->bodies = body_writer_create(sim->tokens_expected);
    sim->parser = answer_parser_create();
    return sim->answered_at != NULL && sim->mints != NULL && sim->core_memory != NULL &&
           sim->page != NULL && sim->supervisor != NULL && sim->bodies != NULL &&
           sim->parser != NULL && table_memory_init(&sim->memory, 1024, &error);
}

static void begin_oracle(struct sim *sim)
{
    struct oracle *oracle = &sim->oracle;
    oracle->may_demote = sim->setup->faults >> SIM_FAULT_SETTINGS & 1;
    oracle->epoch = SIM_EPOCH;
    oracle->data_at = sim->now;
    oracle->suspected = sim->suspected;
    oracle->quarantined = sim->quarantined;
    oracle->table = sim->memory.table;
    oracle->restarts_per_hour = (uint32_t)sim->options.max_restarts_per_hour;
    oracle->slow_restart = duration_s(sim->options.restart_backoff_max_sec);
}

static void plan_all(struct sim *sim)
{
    const struct sim_setup *setup = sim->setup;
    workload_plan_token(sim);
    faults_plan_limits(sim);
    agenda_plan(sim, sim_after(sim, SIM_CHECK_S), (struct world_event){.kind = WORLD_CHECK});
    agenda_plan(sim, sim_after(sim, 1), (struct world_event){.kind = WORLD_LOAD});
    agenda_plan(sim, sim->calm_from, (struct world_event){.kind = WORLD_CALM});
    if (setup->poison != TOKEN_NONE)
        agenda_plan(sim, sim_at(setup->poison_from_s),
                    (struct world_event){.kind = WORLD_POISON, .poison = {setup->poison}});
    if (setup->active == 0)
        agenda_plan(sim, sim_after(sim, 300), (struct world_event){.kind = WORLD_WANTED});
    if (setup->sample_every_s > 0)
        agenda_plan(sim, sim_after(sim, setup->sample_every_s),
                    (struct world_event){.kind = WORLD_SAMPLE});
}

bool sim_begin(struct sim *sim)
{
    const struct sim_setup *setup = sim->setup;
    prng_seed(&sim->world, setup->seed * 3 + 0);
    prng_seed(&sim->workload, setup->seed * 3 + 1);
    prng_seed(&sim->machine, ~setup->seed);
    if (setup->options != NULL)
        sim->options = *setup->options;
    else
        options_init(&sim->options);
    bool is_drawn = setup->options == NULL && (setup->faults >> SIM_FAULT_SETTINGS & 1);
    if (is_drawn && !habits_draw(&sim->options, setup->seed))
        return false;
    sim->first_options = sim->options;
    sim->now = SIM_EPOCH;
    sim->life = 1;
    sim->asked_until = INSTANT_NEVER;
    sim->next_pid = 1000;
    sim->end = sim_after(sim, setup->hours * 3600);
    sim->calm_from = sim_at(schedule_calm_from_s(setup));
    sim->tokens_expected = draw_tokens(sim);
    sim->oracle.statuses_size = sim->tokens_expected + HOLES_MAX + 1;
    sim->result->trace_hash = 0xcbf29ce484222325ULL;
    if (!allocate(sim))
        return false;
    begin_oracle(sim);
    if (!ledger_init(&sim->ledger, &sim->oracle, &sim->options, sim->oracle.statuses_size))
        return false;
    status_page_init(sim->page);
    upstream_init(&sim->upstream, setup->seed, setup->limiter, SIM_LIMIT, sim->now);
    sim->upstream.life_s = setup->life_hours * 3600;
    if (!open_store(sim))
        return false;
    if (setup->active > 0)
        preload(sim);
    if (!begin_engine(sim))
        return false;
    plan_all(sim);
    return faults_plan(sim);
}
