/* Health: are tokens kept fresh, and do jobs end? */
#include "core/state.h"

#include <math.h>

/* Of the refreshes of five minutes. Clumps and a request that fails now and then cost a few; FEW
 * are too few to tell. */
#define PUNCTUAL_PERCENT  90
#define PUNCTUAL_LEAST    50
#define REFRESHES_FEW     30
#define SILENT_S          30 /* short intervals are given the time of a slow request */
#define SILENT_INTERVALS  3
#define OVERDUE_SLACK     1.05 /* the oldest goes first and is answered a little later */
#define JOB_FAILURES_MANY 3

/* ---- scheduler ---- */

static void find_late(struct core *core, enum token_group group, const struct lateness *lateness)
{
    const struct options *options = &core->options;
    double interval_s = duration_to_s(promise_interval(&core->health.promises[group]));
    double factor =
        lateness->is_alert ? options->health_alert_intervals : options->health_late_intervals;
    health_find(core, (struct finding){.cause = FINDING_GROUP_LATE,
                                       .subject = (uint8_t)group,
                                       .severity = health_severity(
                                           lateness->is_alert, SEVERITY_WARNING, SEVERITY_ERROR),
                                       .value = duration_to_s(lateness->oldest),
                                       .limit = factor * interval_s});
}

/* Older than what would be late, and excused: since a start, or a pause. */
static void find_catching_up(struct core *core, enum token_group group)
{
    const struct promise *promise = &core->health.promises[group];
    duration age = core->stats.groups[group].oldest_age;
    double limit_s = core->options.health_late_intervals * duration_to_s(promise_interval(promise));
    instant refreshed = instant_add(core->now, duration_us(-age.us));
    bool is_excused =
        promise->terms[0].excuses && instant_before(refreshed, promise->terms[0].from);
    if (duration_to_s(age) > limit_s && is_excused)
        health_find(core, (struct finding){.cause = FINDING_CATCHING_UP,
                                           .subject = (uint8_t)group,
                                           .severity = SEVERITY_INFO,
                                           .value = duration_to_s(age),
                                           .limit = limit_s});
}

static void find_unpunctual(struct core *core, enum token_group group)
{
    const struct group_stats *stats = &core->stats.groups[group];
    double on_time = health_percent(stats->recent_on_time, stats->recent);
    if (stats->recent < REFRESHES_FEW || on_time >= PUNCTUAL_PERCENT)
        return;
    health_find(core,
                (struct finding){.cause = FINDING_GROUP_UNPUNCTUAL,
                                 .subject = (uint8_t)group,
                                 .severity = health_severity(on_time < PUNCTUAL_LEAST,
                                                             SEVERITY_WARNING, SEVERITY_ERROR),
                                 .value = on_time,
                                 .limit = PUNCTUAL_PERCENT});
}

/* Somebody waits for several intervals, and nobody was answered in that time. */
static void find_silent(struct core *core, enum token_group group, const struct lateness *lateness)
{
    instant since =
        instant_max(core->stats.groups[group].last_answer_at, core->health.fetching_since);
    double silence_s = duration_to_s(instant_diff(core->now, since));
    double interval_s = duration_to_s(promise_interval(&core->health.promises[group]));
    double limit_s = fmax(SILENT_S, SILENT_INTERVALS * interval_s);
    if (!lateness->is_alert || silence_s <= limit_s)
        return;
    health_find(core, (struct finding){.cause = FINDING_GROUP_SILENT,
                                       .subject = (uint8_t)group,
                                       .severity = SEVERITY_CRITICAL,
                                       .value = silence_s,
                                       .limit = limit_s});
}

/* Past the maximum age the ages stretch together: nobody starves, but the promise is broken. */
static void find_overdue(struct core *core, enum token_group group, const struct lateness *lateness)
{
    double interval_s = duration_to_s(promise_interval(&core->health.promises[group]));
    double most_s = fmax(core->options.maximum_age_sec, interval_s);
    if (lateness->count == 0 || duration_to_s(lateness->oldest) <= OVERDUE_SLACK * most_s)
        return;
    health_find(core, (struct finding){.cause = FINDING_GROUP_OVERDUE,
                                       .subject = (uint8_t)group,
                                       .severity = SEVERITY_CRITICAL,
                                       .value = fmax(1, core->stats.groups[group].overdue),
                                       .limit = NAN});
}

static void look_at_group(struct core *core, enum token_group group)
{
    struct lateness lateness = health_lateness(core, group);
    if (lateness.count > 0)
        find_late(core, group, &lateness);
    else
        find_catching_up(core, group);
    find_unpunctual(core, group);
    find_silent(core, group, &lateness);
    find_overdue(core, group, &lateness);
}

void health_look_at_scheduler(struct core *core)
{
    struct finding finding = {.severity = SEVERITY_WARNING, .value = NAN, .limit = NAN};
    finding.cause = FINDING_SCHEDULER_OFF;
    if (!core->options.scheduler_enabled)
        health_find(core, finding);
    finding.cause = FINDING_PAUSED;
    if (core->pause == PAUSE_ON)
        health_find(core, finding);
    finding.cause = FINDING_LOADING;
    if (!core_has_all(core))
        health_find(core, finding);
    if (!health_is_fetching(core) || !core_has_all(core))
        return;
    look_at_group(core, GROUP_HOT);
    look_at_group(core, GROUP_COLD);
}

/* ---- jobs ---- */

static void find_late_job(struct core *core, enum job job)
{
    const struct job_state *state = &core->jobs[job];
    duration interval = core->health.job_intervals[job];
    instant since = instant_max(state->last_run_at, core->health.job_intervals_since[job]);
    double late_s = duration_to_s(instant_diff(core->now, since));
    double limit_s = core->options.health_late_intervals * duration_to_s(interval);
    double alert_s = core->options.health_alert_intervals * duration_to_s(interval);
    if (interval.us == 0 || state->state == JOB_RUNNING || late_s <= limit_s)
        return;
    health_find(core, (struct finding){.cause = FINDING_JOB_LATE,
                                       .subject = (uint8_t)job,
                                       .severity = health_severity(
                                           late_s > alert_s, SEVERITY_WARNING, SEVERITY_ERROR),
                                       .value = late_s,
                                       .limit = limit_s});
}

static void look_at_job(struct core *core, enum job job)
{
    const struct job_stats *stats = &core->stats.jobs[job];
    uint32_t overruns = stats->overruns_in_a_row, failures = stats->failures_in_a_row;
    find_late_job(core, job);
    if (overruns > 0)
        health_find(core,
                    (struct finding){.cause = FINDING_JOB_STUCK,
                                     .subject = (uint8_t)job,
                                     .severity = health_severity(overruns >= JOB_OVERRUNS_MAX,
                                                                 SEVERITY_ERROR, SEVERITY_CRITICAL),
                                     .value = overruns,
                                     .limit = JOB_OVERRUNS_MAX});
    if (failures > 0)
        health_find(core,
                    (struct finding){.cause = FINDING_JOB_FAILED,
                                     .subject = (uint8_t)job,
                                     .severity = health_severity(failures >= JOB_FAILURES_MANY,
                                                                 SEVERITY_WARNING, SEVERITY_ERROR),
                                     .value = failures,
                                     .limit = NAN});
}

void health_look_at_jobs(struct core *core)
{
    for (int job = 0; job < JOB_COUNT && core_has_all(core); job++)
        look_at_job(core, job);
}
