/* What is looked at from outside now and then. */
#include "sim/parts.h"

#include <math.h>

#define JOB_SLACK_S 5.0 /* a shell whose clock goes back notices later */

/* The longest that a target can be kept to with this population and budget. */
double checks_achievable_s(const struct sim *sim)
{
    double per_s[LANE_KIND_COUNT], need_s = sim->options.cold_interval_sec;
    const struct core_stats *stats = core_stats(sim->core);
    for (int i = 0; i < LANE_KIND_COUNT; i++)
        per_s[i] = fmax(stats->lanes[i].allowed_per_minute / 60, 1e-9);
    double hot = stats->groups[GROUP_HOT].tokens, cold = stats->groups[GROUP_COLD].tokens;
    need_s = fmax(need_s, sim->options.hot_interval_sec);
    need_s = fmax(need_s, hot * 8 / REQUEST_ADDRESSES_MAX / per_s[LANE_REFRESH]);
    return fmax(need_s, (cold + hot) / REQUEST_ADDRESSES_MAX / per_s[LANE_SCREEN]);
}

/* A job that hangs is run again: it is never under way for longer than its deadline. */
static void check_jobs(struct sim *sim)
{
    const struct core_stats *stats = core_stats(sim->core);
    for (int job = 0; job < JOB_COUNT; job++) {
        instant since = stats->jobs[job].running_since;
        double age_s = duration_to_s(instant_diff(sim->now, since));
        if (!instant_is_never(since) && age_s > sim->options.job_deadline_sec + JOB_SLACK_S)
            oracle_complain(&sim->oracle, sim->now, "%s runs for %.1f s", job_name(job), age_s);
    }
}

void checks_on_check(struct sim *sim)
{
    oracle_on_table(&sim->oracle, sim->now);
    check_jobs(sim);
    if (token_table_count(sim->memory.table) < sim->tokens_seen)
        oracle_complain(&sim->oracle, sim->now, "of %u tokens %u are left", sim->tokens_seen,
                        token_table_count(sim->memory.table));
    agenda_plan(sim, sim_after(sim, SIM_CHECK_S), (struct world_event){.kind = WORLD_CHECK});
}

void checks_look_on(struct sim *sim)
{
    const struct sim_view view = {.now = sim->now,
                                  .at_s = duration_to_s(instant_diff(sim->now, SIM_EPOCH)),
                                  .table = sim->memory.table,
                                  .stats = core_stats(sim->core),
                                  .disk = sim->disk};
    sim->setup->on_sample(sim->setup->context, &view);
    agenda_plan(sim, sim_after(sim, sim->setup->sample_every_s),
                (struct world_event){.kind = WORLD_SAMPLE});
}

/* ---- the outage of a plan: when was everybody answered again? ---- */

static bool all_answered_since(const struct sim *sim, instant since)
{
    for (token_id id = 1; id <= token_table_count(sim->memory.table); id++)
        if (token_column_status(sim->memory.table, id) != TOKEN_ARCHIVED &&
            !sim->deaths.quarantined[id] &&
            instant_before(token_slot(sim->memory.table, id)->state.fetched_at, since))
            return false;
    return true;
}

/* At best: every slot of every request serves one that was not answered yet. */
static double least_recovery_s(const struct sim *sim)
{
    double pools = 0, screened = 0;
    const uint8_t *costs = token_table_costs(sim->memory.table);
    for (token_id id = 1; id <= token_table_count(sim->memory.table); id++) {
        if (token_column_group(sim->memory.table, id) == GROUP_HOT && costs[id] > 0)
            pools += costs[id];
        else if (token_column_group(sim->memory.table, id) != GROUP_ARCHIVED)
            screened += 1;
    }
    const struct core_stats *stats = core_stats(sim->core);
    double refresh = stats->lanes[LANE_REFRESH].allowed_per_minute / 60 * REQUEST_ADDRESSES_MAX;
    double screen = stats->lanes[LANE_SCREEN].allowed_per_minute / 60 * REQUEST_ADDRESSES_MAX;
    /* Discovery answers too, one token a request: better spent where a request takes fewest. */
    double discover = stats->lanes[LANE_DISCOVER].allowed_per_minute / 60;
    return fmax(pools / refresh, screened / (screen + discover));
}

void checks_watch_outage(struct sim *sim)
{
    instant back = instant_add(SIM_EPOCH, duration_s(sim->setup->down_to_s));
    if (sim->setup->down_to_s == 0 || sim->result->fresh_again_after_s >= 0 ||
        instant_before(sim->now, back))
        return;
    if (sim->result->least_s == 0)
        sim->result->least_s = least_recovery_s(sim);
    if (all_answered_since(sim, back))
        sim->result->fresh_again_after_s = duration_to_s(instant_diff(sim->now, back));
}
