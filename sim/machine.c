/* The simulated machine: how busy it is. */
#include "sim/parts.h"

#include <math.h>

#define CORES           2.0
#define IDLE_CORES      0.01
#define TOKEN_CORES     0.0005 /* a token a second */
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
    return IDLE_CORES + TOKEN_CORES * (double)answered;
}

void machine_on_load(struct sim *sim)
{
    struct load_sample sample;
    double *of = sample.of;
    for (int i = 0; i < LOAD_READING_COUNT; i++)
        of[i] = NAN;
    bool busy = fault_is_busy(sim), is_blind = busy && prng_unit(&sim->machine) < BLIND_SHARE;
    of[READING_CORES] = CORES;
    of[READING_ENGINE_CPU] = engine_cores(sim);
    of[READING_OWN_CPU] = of[READING_ENGINE_CPU] / CORES;
    of[READING_CPU] = busy ? 0.8 + 0.2 * prng_unit(&sim->machine) : 0.3;
    of[READING_LAG] = busy ? prng_exponential(&sim->machine, BUSY_LAG_MEAN_S) : 0.002;
    of[READING_MEMORY] = 0.4;
    of[READING_STORE_WRITES] = 1;
    of[READING_STORE_FILL] = 0.01;
    if (is_blind)
        of[READING_CPU] = of[READING_LAG] = of[READING_ENGINE_CPU] = NAN;
    struct event event = {.kind = EVENT_LOAD, .load = {&sample}};
    sim_step(sim, &event);
    agenda_plan(sim, sim_after(sim, 1), (struct world_event){.kind = WORLD_LOAD});
}
