/* The engine that starts, dies and starts again. */
#include "sim/parts.h"

#include <math.h>

void engine_start_core(struct sim *sim)
{
    int64_t newest = 0;
    for (token_id id = 1; id <= token_table_count(sim->memory.table); id++) {
        int64_t snapshot = token_slot(sim->memory.table, id)->state.snapshot_id;
        newest = snapshot > newest ? snapshot : newest;
    }
    sim->core = core_init(sim->core_memory, sim->memory.table, &sim->options, newest, sim->now);
    core_start_alone(sim->core, NULL);
    sim->oracle.core = sim->core;
}

static void tell_suspect(struct sim *sim, token_id id)
{
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++)
        if (sim->deaths.suspected_in[id] >> lane & 1) {
            struct event event = {.kind = EVENT_SUSPECT, .suspect = {id, (enum lane_kind)lane}};
            sim_step(sim, &event);
        }
}

/* What an engine learns of the limits outlives it. */
static void tell_limit(struct sim *sim, enum lane_kind lane, const struct lane_stats *before,
                       instant at)
{
    struct event event = {.kind = EVENT_LIMIT_KNOWN,
                          .limit_known = {.lane = lane,
                                          .per_minute = before->learned_per_minute,
                                          .configured = before->configured_per_minute,
                                          .at = at}};
    if (!isnan(before->learned_per_minute))
        sim_step(sim, &event);
}

/* Over the same table, and with what is known of deaths. */
void engine_restart_over_table(struct sim *sim)
{
    struct core_stats before = *core_stats(sim->core);
    sim->life++;
    clients_forget_wishes(sim);
    engine_start_core(sim);
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++)
        tell_limit(sim, (enum lane_kind)lane, &before.lanes[lane], before.sampled_at);
    for (token_id id = 1; id <= token_table_count(sim->memory.table); id++) {
        if (sim->deaths.quarantined[id]) {
            struct event event = {.kind = EVENT_QUARANTINE, .quarantine = {id}};
            sim_step(sim, &event);
        }
        tell_suspect(sim, id);
    }
}
