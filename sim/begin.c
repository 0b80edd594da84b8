/* The world as a run finds it. */
#include "sim/parts.h"

#include "core/score.h"
#include "sim/schedule.h"
#include <stdlib.h>

#define TOKENS_DRAWN_MIN 10
#define TOKENS_DRAWN_MAX 5000
#define ARRIVALS_SLACK   1.2 /* of their expected number; luck takes less */
#define ARRIVALS_MORE    100

/* ---- the real store ---- */

static instant now_of(void *context)
{
    const struct sim *sim = context;
    return sim->now;
}

static void tell_history_deleted(void *context, uint64_t run)
{
    struct event event = {.kind = EVENT_JOB_DONE, .job_done = {JOB_RETENTION, run}};
    sim_step(context, &event);
}

static bool open_disk(struct sim *sim)
{
    char why[512];
    const struct disk_world world = {.context = sim,
                                     .now = now_of,
                                     .on_token_durable = sim_tell_durable,
                                     .on_history_deleted = tell_history_deleted};
    if (sim->setup->database == NULL)
        return true;
    sim->disk = disk_open(sim->setup->database, sim->memory.table, &sim->options, &world, why);
    if (sim->disk == NULL)
        oracle_complain(&sim->oracle, sim->now, "%s", why);
    return sim->disk != NULL;
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
    if (sim->disk != NULL)
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

bool sim_begin(struct sim *sim)
{
    const struct sim_setup *setup = sim->setup;
    int error;
    prng_seed(&sim->world, setup->seed * 3 + 0);
    prng_seed(&sim->workload, setup->seed * 3 + 1);
    prng_seed(&sim->machine, ~setup->seed);
    if (setup->options != NULL)
        sim->options = *setup->options;
    else
        options_init(&sim->options);
    sim->now = SIM_EPOCH;
    sim->life = 1;
    sim->end = sim_after(sim, setup->hours * 3600);
    sim->calm_from = sim_at(schedule_calm_from_s(setup));
    sim->tokens_expected =
        setup->tokens != 0
            ? setup->tokens
            : (uint32_t)(TOKENS_DRAWN_MIN +
                         prng_below(&sim->workload, TOKENS_DRAWN_MAX - TOKENS_DRAWN_MIN + 1));
    if (setup->arrivals_per_hour > 0)
        sim->tokens_expected = setup->tokens + ARRIVALS_MORE +
                               (uint32_t)(ARRIVALS_SLACK * setup->arrivals_per_hour * setup->hours);
    sim->oracle.statuses_size = sim->tokens_expected + 1;
    sim->oracle.statuses = calloc(sim->oracle.statuses_size, 1);
    sim->oracle.may_demote = setup->faults >> FAULT_SETTINGS & 1;
    sim->oracle.data_at = sim->now;
    sim->answered_at = calloc(sim->oracle.statuses_size, sizeof *sim->answered_at);
    bool remembers = deaths_init(&sim->deaths, sim->oracle.statuses_size);
    sim->oracle.suspected = sim->deaths.suspected_in;
    sim->oracle.quarantined = sim->deaths.quarantined;
    sim->core_memory = malloc(core_size());
    if (!remembers || sim->answered_at == NULL || sim->oracle.statuses == NULL ||
        sim->core_memory == NULL || !table_memory_init(&sim->memory, 1024, &error))
        return false;
    sim->oracle.table = sim->memory.table;
    sim->mints = calloc(sim->oracle.statuses_size, sizeof *sim->mints);
    sim->bodies = body_writer_create(sim->tokens_expected);
    sim->parser = answer_parser_create();
    if (sim->mints == NULL || sim->bodies == NULL || sim->parser == NULL || !faults_plan(sim))
        return false;
    if (!open_disk(sim))
        return false;
    upstream_init(&sim->upstream, setup->seed, setup->limiter, SIM_LIMIT, sim->now);
    sim->upstream.life_s = setup->life_hours * 3600;
    sim->result->trace_hash = 0xcbf29ce484222325ULL;
    if (setup->active > 0)
        preload(sim);
    engine_start_core(sim);
    workload_plan_token(sim);
    faults_plan_limits(sim);
    agenda_plan(sim, sim_after(sim, SIM_CHECK_S), (struct world_event){.kind = WORLD_CHECK});
    agenda_plan(sim, sim_after(sim, 1), (struct world_event){.kind = WORLD_LOAD});
    if (setup->poison != TOKEN_NONE)
        agenda_plan(sim, sim_after(sim, setup->poison_from_s),
                    (struct world_event){.kind = WORLD_POISON, .poison = {setup->poison}});
    if (setup->active == 0)
        agenda_plan(sim, sim_after(sim, 300), (struct world_event){.kind = WORLD_WANTED});
    if (setup->sample_every_s > 0)
        agenda_plan(sim, sim_after(sim, setup->sample_every_s),
                    (struct world_event){.kind = WORLD_SAMPLE});
    return true;
}
