/* What is looked at from outside now and then. */
#include "sim/parts.h"

#include "sim/schedule.h"
#include <math.h>

#define AGE_SLACK          3.0 /* × target, at the calm end */
#define POOLS_A_TOKEN      4.0 /* of those that count, on average at most */
#define POOLS_A_TOKEN_MOST 8.0
#define BUDGET_SHARE       0.7
#define HOUR_S             3700.0
#define JOB_SLACK_S        5.0 /* a shell whose clock goes back notices later */

/* Addresses of all hot tokens, of which each has so many; more when answers had pools without end,
 * until these are looked for anew. */
static double hot_addresses(const struct sim *sim, double a_token)
{
    uint32_t count = 0;
    for (token_id id = 1; id <= token_table_count(sim->memory.table); id++)
        if (token_column_group(sim->memory.table, id) == GROUP_HOT)
            count += (uint32_t)pace_count_pools(&sim->oracle, id);
    return fmax(count, core_stats(sim->core)->groups[GROUP_HOT].tokens * a_token);
}

/* The longest that a target can be kept to with this population and budget. */
double checks_achievable_s(const struct sim *sim)
{
    double per_s[LANE_KIND_COUNT], need_s = sim->options.cold_interval_sec;
    const struct core_stats *stats = core_stats(sim->core);
    for (int i = 0; i < LANE_KIND_COUNT; i++)
        per_s[i] = fmax(stats->lanes[i].allowed_per_minute / 60, 1e-9);
    double hot = stats->groups[GROUP_HOT].tokens, cold = stats->groups[GROUP_COLD].tokens;
    need_s = fmax(need_s, sim->options.hot_interval_sec);
    need_s = fmax(need_s, hot_addresses(sim, POOLS_A_TOKEN_MOST) / REQUEST_ADDRESSES_MAX /
                              per_s[LANE_REFRESH]);
    return fmax(need_s, (cold + hot) / REQUEST_ADDRESSES_MAX / per_s[LANE_SCREEN]);
}

/* A job that hangs is run again: it is never under way for longer than its deadline, while somebody
 * is awake to see it. */
static void check_jobs(struct sim *sim)
{
    const struct core_stats *stats = core_stats(sim->core);
    for (int job = 0; job < JOB_COUNT; job++) {
        instant since = stats->jobs[job].running_since;
        double age_s = duration_to_s(instant_diff(sim->now, instant_max(since, sim->asleep_until)));
        if (!instant_is_never(since) && age_s > sim->options.job_deadline_sec + JOB_SLACK_S)
            oracle_complain(&sim->oracle, sim->now, "%s runs for %.1f s", job_name(job), age_s);
    }
}

static void check_acknowledged(struct sim *sim)
{
    for (uint32_t n = 0; n < sim->tokens_seen; n++) {
        token_id id =
            sim->acknowledged[n] ? token_table_find(sim->memory.table, &sim->mints[n]) : TOKEN_NONE;
        if (sim->acknowledged[n] && id == TOKEN_NONE)
            oracle_complain(&sim->oracle, sim->now, "token number %u was acknowledged and is lost",
                            n);
        else if (sim->acknowledged[n] && sim->vault != NULL &&
                 !vault_holds(sim->vault, id, &sim->mints[n]))
            oracle_complain(&sim->oracle, sim->now,
                            "token number %u was acknowledged and is in no store", n);
    }
}

void checks_notice(struct sim *sim)
{
    const struct notice_view view = {.present = sim->present_faults,
                                     .hits = sim->fault_hits,
                                     .stats = core_stats(sim->core),
                                     .now = sim->now};
    notice_look(&sim->notice, &sim->oracle, &view);
}

static void check_store(struct sim *sim)
{
    if (sim->vault != NULL && vault_stale_commits(sim->vault) > 0)
        oracle_complain(&sim->oracle, sim->now, "an engine that was replaced has written");
}

static void check_pace(struct sim *sim)
{
    if (sim->setup->faults != 0 && !instant_before(sim->now, sim->calm_from))
        pace_check(&sim->pace, &sim->oracle, &sim->options, sim->now);
}

/* People know when the upstream is well again, and do not wait for the hour that it had asked for:
 * a new engine knows nothing of it. */
static void end_rest(struct sim *sim)
{
    if (instant_before(sim->now, sim->calm_from) || !instant_before(sim->now, sim->asked_until))
        return;
    sim->asked_until = INSTANT_NEVER;
    trace_line(sim, "the upstream is well, whatever it had asked for");
    children_restart(sim, false);
}

void checks_on_check(struct sim *sim)
{
    if (children_engine_works(sim)) {
        oracle_on_table(&sim->oracle, sim->now);
        check_jobs(sim);
        check_acknowledged(sim);
        calm_ages_look(sim);
        check_pace(sim);
    }
    check_store(sim);
    if (children_engine_works(sim)) {
        end_rest(sim);
        checks_ages_in_time(sim);
    }
    agenda_plan(sim, sim_after(sim, SIM_CHECK_S), (struct world_event){.kind = WORLD_CHECK});
}

void checks_look_on(struct sim *sim)
{
    const struct sim_view view = {.now = sim->now,
                                  .at_s = sim_seconds(sim),
                                  .table = sim->memory.table,
                                  .stats = children_engine_works(sim) ? core_stats(sim->core)
                                                                      : &sim->result->stats,
                                  .disk = sim->disk};
    sim->setup->on_sample(sim->setup->context, &view);
    agenda_plan(sim, sim_after(sim, sim->setup->sample_every_s),
                (struct world_event){.kind = WORLD_SAMPLE});
}

/* ---- settings ---- */

void checks_put_setting(struct sim *sim, unsigned which, double value)
{
    struct setting_watch *watch = &sim->settings[which];
    watch->values[++watch->puts % SETTING_PUTS_KEPT] = value;
}

void checks_setting_is_durable(struct sim *sim, uint64_t tag)
{
    if (tag != LIMIT_TAG &&
        tag / SETTINGS_CHANGED > sim->settings[tag % SETTINGS_CHANGED].acknowledged)
        sim->settings[tag % SETTINGS_CHANGED].acknowledged = tag / SETTINGS_CHANGED;
}

/* In force must be what was acknowledged, or one that was put after it. */
void checks_settings(struct sim *sim)
{
    const struct options *options = &sim->options;
    const double in_force[SETTINGS_CHANGED] = {options->hot_interval_sec,
                                               options->cold_interval_sec,
                                               options->min_score,
                                               options->activation_min_liquidity_usd,
                                               options->ewma_alpha,
                                               options->refresh_requests_per_minute,
                                               options->screen_requests_per_minute,
                                               options->discover_requests_per_minute};
    for (unsigned i = 0; i < SETTINGS_CHANGED; i++) {
        struct setting_watch *watch = &sim->settings[i];
        bool is_right = watch->acknowledged == 0;
        for (uint64_t n = watch->acknowledged; n > 0 && n <= watch->puts; n++)
            is_right = is_right || watch->values[n % SETTING_PUTS_KEPT] == in_force[i];
        if (!is_right)
            oracle_complain(&sim->oracle, sim->now, "setting %u was acknowledged and is lost", i);
    }
}

void checks_power_cut(struct sim *sim)
{
    uint8_t status;
    for (token_id id = 1; id < sim->oracle.statuses_size; id++)
        if (!vault_status(sim->vault, id, &status))
            sim->answered_at[id] = INSTANT_NEVER;
}

/* ---- the outage of a plan: when was everybody answered again? ---- */

static bool all_answered_since(const struct sim *sim, instant since)
{
    for (token_id id = 1; id <= token_table_count(sim->memory.table); id++)
        if (token_column_status(sim->memory.table, id) != TOKEN_ARCHIVED && !sim->quarantined[id] &&
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
    instant back = sim_at(sim->setup->down_to_s);
    if (sim->setup->down_to_s == 0 || sim->result->fresh_again_after_s >= 0 ||
        instant_before(sim->now, back) || !children_engine_works(sim))
        return;
    if (sim->result->least_s == 0)
        sim->result->least_s = least_recovery_s(sim);
    if (all_answered_since(sim, back))
        sim->result->fresh_again_after_s = duration_to_s(instant_diff(sim->now, back));
}

/* ---- when all has been well for a while ---- */

/* What is counted over an hour is there for an hour. */
static bool is_of_the_past(const struct sim *sim, enum finding_cause cause)
{
    bool has_forgotten = instant_diff(sim->now, sim->calm_from).us > duration_s(HOUR_S).us;
    return !has_forgotten && (cause == FINDING_ERRORS || cause == FINDING_STORE_ERRORS ||
                              cause == FINDING_STORE_DROPPED || cause == FINDING_RESTARTED ||
                              cause == FINDING_CRASH_LOOP || cause == FINDING_ANOMALY);
}

/* More tokens than the budget keeps on time. */
static bool is_short(const struct sim *sim)
{
    const struct core_stats *stats = core_stats(sim->core);
    double hot = stats->groups[GROUP_HOT].tokens, cold = stats->groups[GROUP_COLD].tokens;
    double refresh = stats->lanes[LANE_REFRESH].allowed_per_minute / 60 * REQUEST_ADDRESSES_MAX;
    double screen = stats->lanes[LANE_SCREEN].allowed_per_minute / 60 * REQUEST_ADDRESSES_MAX;
    return hot_addresses(sim, POOLS_A_TOKEN) / refresh >
               BUDGET_SHARE * sim->options.hot_interval_sec ||
           (hot + cold) / screen > BUDGET_SHARE * sim->options.cold_interval_sec;
}

static bool is_of_the_budget(const struct sim *sim, enum finding_cause cause)
{
    return is_short(sim) && (cause == FINDING_GROUP_LATE || cause == FINDING_GROUP_UNPUNCTUAL ||
                             cause == FINDING_GROUP_OVERDUE);
}

static void check_findings(struct sim *sim)
{
    const struct findings *findings = &core_stats(sim->core)->findings;
    for (uint32_t i = 0; i < findings->count; i++) {
        char text[FINDING_TEXT_SIZE];
        if (findings->of[i].severity < SEVERITY_ERROR ||
            is_of_the_past(sim, findings->of[i].cause) ||
            is_of_the_budget(sim, findings->of[i].cause))
            continue;
        finding_text(&findings->of[i], text);
        oracle_complain(&sim->oracle, sim->now, "all should be well, and: %s", text);
    }
}

static void check_ages(struct sim *sim)
{
    /* While a budget is short, light tokens wait for up to the maximum age. */
    double achievable_s = checks_achievable_s(sim);
    double light_s = is_short(sim) ? sim->options.maximum_age_sec + achievable_s : 0;
    oracle_on_ages(&sim->oracle, sim->now, duration_s(fmax(achievable_s * AGE_SLACK, light_s)));
}

/* At the end, and in longer runs as soon as it must be so. Where the budget is too small for
 * everybody, whoever is light has had his turn by the end alone. */
void checks_ages_in_time(struct sim *sim)
{
    double calm_s = duration_to_s(instant_diff(sim->now, sim->calm_from));
    if (sim->is_judged || calm_s < SIM_WELL_WITHIN_S || sim->schedule_count == 0 || is_short(sim))
        return;
    sim->is_judged = true;
    check_ages(sim);
}

void checks_at_end(struct sim *sim)
{
    bool is_planned = sim->setup->down_to_s > 0 || sim->setup->limits[0].per_minute > 0;
    if (is_planned)
        return;
    check_ages(sim);
    if (sim->schedule_count > 0)
        check_findings(sim);
    if (sim->oracle.hangs < sim->oracle.hangs_expected &&
        sim->result->injected[SIM_FAULT_POWER] == 0 &&
        sim->result->injected[SIM_FAULT_RESTART] == 0 &&
        sim->result->injected[SIM_FAULT_CRASH] == 0)
        oracle_complain(&sim->oracle, sim->now, "of %u hangs %u were noticed",
                        (unsigned)sim->oracle.hangs_expected, (unsigned)sim->oracle.hangs);
}
