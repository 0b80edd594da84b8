/* The simulated machine: how busy it is. */
#include "sim/parts.h"

#include <math.h>

#define CORES           2.0
#define IDLE_CORES      0.01
#define TOKEN_CORES     0.0005 /* a token a second */
#define DEAR_TIMES      100.0
#define OTHERS_SHARE    0.3   /* of the CPUs, that others use */
#define DISK_SHARE      0.4   /* of the file system, in use … */
#define FILLED_SHARE    0.995 /* … and when it is full */
#define BUSY_LAG_MEAN_S 0.5
#define BLIND_SHARE     0.1 /* of the samples of a busy machine: unknown */

/* What the engine uses follows what it does. */
static double engine_cores(struct sim *sim)
{
    const struct core_stats *stats = core_stats(sim->core);
    uint64_t refreshes = 0, before = sim->refreshes_seen;
    for (int i = 0; i < GROUP_COUNT; i++)
        refreshes += stats->groups[i].refreshes;
    sim->refreshes_seen = refreshes;
    uint64_t answered = refreshes > before ? refreshes - before : 0;
    if (sim->setup->token_cores > 0)
        return sim->setup->idle_cores + sim->setup->token_cores * (double)answered;
    double token_cores = TOKEN_CORES;
    if (fault_is_present(sim, SIM_FAULT_DEAR))
        token_cores *= 1 + DEAR_TIMES * sim->fault_share[SIM_FAULT_DEAR];
    return fmin(IDLE_CORES + token_cores * (double)answered, CORES * (1 - OTHERS_SHARE));
}

/* What the shell knows of the store and of deaths. */
static void look_around(struct sim *sim, double of[LOAD_READING_COUNT], struct surroundings *around)
{
    struct writer_stats stats;
    disk_stats(sim->disk, &stats);
    of[READING_STORE_WRITES] = stats.state == WRITER_OK;
    of[READING_STORE_FILL] = stats.queue_depth / (double)sim->options.store_queue_limit;
    of[READING_STORE_COMMIT] = stats.commits > 0 ? stats.commit_seconds_last : NAN;
    *around = (struct surroundings){
        .store_commits = (double)stats.commits,
        .store_failures = (double)stats.failures,
        .store_dropped = (double)(stats.snapshots_dropped + stats.events_dropped),
        .store_waiting = (double)stats.queue_depth + stats.dirty_tokens,
        .source_down_s = NAN,
        .source_silent_s = NAN,
        .deaths_last_hour = {[WATCHED_SUPERVISOR] = NAN,
                             [WATCHED_ENGINE] = (double)atomic_load(
                                 &sim->page->processes[PROCESS_ENGINE].deaths_last_hour),
                             [WATCHED_API] = 0}};
}

static void tell_load(struct sim *sim)
{
    struct load_sample sample;
    struct surroundings around;
    double *of = sample.of;
    for (int i = 0; i < LOAD_READING_COUNT; i++)
        of[i] = NAN;
    bool busy = fault_is_busy(sim), is_blind = busy && prng_unit(&sim->machine) < BLIND_SHARE;
    of[READING_CORES] = CORES;
    of[READING_ENGINE_CPU] = engine_cores(sim);
    of[READING_OWN_CPU] = of[READING_ENGINE_CPU] / CORES;
    of[READING_CPU] = busy ? 0.8 + 0.2 * prng_unit(&sim->machine) : OTHERS_SHARE;
    if (fault_is_present(sim, SIM_FAULT_DEAR))
        of[READING_CPU] = fmin(of[READING_CPU] + of[READING_OWN_CPU], 1);
    of[READING_DISK] = fault_is_present(sim, SIM_FAULT_FILLED) ? FILLED_SHARE : DISK_SHARE;
    of[READING_LAG] = busy ? prng_exponential(&sim->machine, BUSY_LAG_MEAN_S) : 0.002;
    of[READING_MEMORY] = 0.4;
    look_around(sim, of, &around);
    if (is_blind)
        of[READING_CPU] = of[READING_LAG] = of[READING_ENGINE_CPU] = NAN;
    struct event event = {.kind = EVENT_LOAD, .load = {&sample, &around}};
    sim_step(sim, &event);
}

void machine_on_load(struct sim *sim)
{
    children_on_second(sim);
    if (children_engine_works(sim))
        tell_load(sim);
    if (children_engine_works(sim)) {
        checks_notice(sim);
        engine_publish_limits(sim);
        fault_release_expired(sim);
    }
    agenda_plan(sim, sim_after(sim, 1), (struct world_event){.kind = WORLD_LOAD});
}
