/*
 * Jobs: what happens at intervals. Each has its own, read where it is kept; none has a stored due
 * time, so a changed interval takes effect at once. Those that look at every token do it in
 * slices, so that no step is long; others never wait for them. One that does not end is cancelled
 * at its deadline and run again; what a cancelled run still says is not listened to.
 */
#include "core/state.h"

#include "base/mark.h"
#include <assert.h>

#define SLICE_TOKENS    4096
#define ACTIONS_A_TOKEN 4 /* of one looked at by a sweep */
/* A run that overran: the cancel, two changes of state, the restart; the new one's change, its
 * action, and its end. */
#define ACTIONS_A_JOB         7
#define FIRST_ARCHIVER_AFTER  duration_s(60)
#define FIRST_RETENTION_AFTER duration_s(30)
#define POSTPONED_BY          duration_s(10) /* while the upstream is silent */
/* × the interval, while that can be spared */
#define EXPORTS_SPARED  2
#define CLEAN_UP_SPARED 4

static double spared(const struct core *core, enum load_feature feature, double factor)
{
    return load_has(&core->load, feature) ? 1 : factor;
}

duration jobs_interval(const struct core *core, enum job job)
{
    switch (job) {
    case JOB_ARCHIVER:
        return duration_s(core->options.archiver_interval_sec);
    case JOB_ACTIVATION:
        return duration_s(core->options.activation_interval_sec);
    case JOB_EXPORT:
        return duration_s(core->options.export_interval_sec *
                          spared(core, FEATURE_EXPORT_RATE, EXPORTS_SPARED));
    case JOB_RETENTION: /* of what all nodes wrote: one of them does it */
        if (core->share.is_source)
            return duration_s(core->options.retention_interval_sec *
                              spared(core, FEATURE_CLEAN_UP, CLEAN_UP_SPARED));
        break;
    case JOB_RECALCULATE:
    case JOB_COUNT:
        break;
    }
    return duration_us(0); /* on command only */
}

/* The last run is set back so that the first comes soon after a start, however often we start. */
static void start_soon(struct core *core, enum job job, duration after)
{
    duration interval = jobs_interval(core, job);
    duration wait = after.us < interval.us ? after : interval;
    core->jobs[job].last_run_at = instant_add(core->now, duration_us(wait.us - interval.us));
}

void jobs_init(struct core *core)
{
    for (int i = 0; i < JOB_COUNT; i++)
        core->jobs[i].last_run_at = core->now;
    start_soon(core, JOB_ARCHIVER, FIRST_ARCHIVER_AFTER);
    start_soon(core, JOB_RETENTION, FIRST_RETENTION_AFTER);
}

void jobs_want(struct core *core, enum job job)
{
    assert(job < JOB_COUNT);
    core->jobs[job].is_wanted = true;
}

/* ---- the states of a job ---- */

static bool is_outside(enum job job)
{
    return job == JOB_EXPORT || job == JOB_RETENTION;
}

/* The one place where the state of a job changes. */
static void change_state(struct core *core, enum job job, enum job_run_state to)
{
    struct job_state *state = &core->jobs[job];
    enum job_run_state from = state->state;
    state->state = to;
    core->stats.jobs[job].running_since = to == JOB_RUNNING ? core->now : INSTANT_NEVER;
    if (from != to)
        core_tell(core, TRANSITION_JOB, from, to, job);
}

static void end(struct core *core, enum job job)
{
    core->stats.jobs[job].overruns_in_a_row = 0;
    core->stats.jobs[job].failures_in_a_row = 0;
    change_state(core, job, JOB_IDLE);
}

/* It is tried again at its next turn. */
static void end_badly(struct core *core, enum job job)
{
    struct job_stats *stats = &core->stats.jobs[job];
    uint32_t failures = stats->failures_in_a_row + 1;
    end(core, job);
    stats->failures++;
    stats->failures_in_a_row = failures;
}

static void cancel(struct core *core, enum job job)
{
    struct job_state *state = &core->jobs[job];
    struct action *action = core_act(core, ACTION_JOB_CANCEL);
    action->job_cancel.job = job;
    action->job_cancel.run = state->run;
    state->cursor = TOKEN_NONE;
    MARK(JOB_OVERRAN);
    core->stats.jobs[job].overruns++;
    change_state(core, job, JOB_CANCELLED);
    if (++core->stats.jobs[job].overruns_in_a_row >= JOB_OVERRUNS_MAX) {
        MARK(JOB_OVERRAN_AGAIN);
        core_ask_for_restart(core, "a job overran its deadline again and again");
    }
}

void jobs_on_done(struct core *core, const struct event *event)
{
    enum job job = event->job_done.job;
    assert(job < JOB_COUNT);
    const struct job_state *state = &core->jobs[job];
    if (!is_outside(job) || state->state != JOB_RUNNING || state->run != event->job_done.run) {
        MARK(JOB_LATE);
        core->stats.late_jobs++;
    } else if (event->job_done.has_failed) {
        MARK(JOB_FAILED);
        end_badly(core, job);
    } else {
        end(core, job);
    }
}

/* ---- when ---- */

static instant overrun_at(const struct core *core, enum job job)
{
    if (core->jobs[job].state != JOB_RUNNING)
        return INSTANT_FAR;
    return instant_add(core->jobs[job].last_run_at, duration_s(core->options.job_deadline_sec));
}

static instant due_at(const struct core *core, enum job job)
{
    const struct job_state *state = &core->jobs[job];
    if (state->state == JOB_RUNNING)
        return state->cursor != TOKEN_NONE ? core->now : overrun_at(core, job);
    if (state->is_wanted)
        return core->now;
    duration interval = jobs_interval(core, job);
    return interval.us == 0 ? INSTANT_FAR : instant_add(state->last_run_at, interval);
}

instant jobs_deadline(const struct core *core)
{
    instant deadline = INSTANT_FAR;
    for (int job = 0; job < JOB_COUNT; job++)
        deadline = instant_min(deadline, due_at(core, job));
    return deadline;
}

/* ---- the sweeps: what one does to one token ---- */

static void look_archiver(struct core *core, token_id id)
{
    duration evidence = duration_s(core->options.maximum_age_sec);
    enum lifecycle_change change =
        lifecycle_on_archiver(token_slot(core->table, id), core->now, evidence, &core->options);
    if (change != CHANGE_NONE)
        follow_change_status(core, id, change);
}

static void look_activation(struct core *core, token_id id)
{
    const struct token *token = token_slot(core->table, id);
    enum lifecycle_change change =
        lifecycle_on_evidence(token, token_pools(core->table, id), &core->options);
    if (change != CHANGE_NONE)
        follow_change_status(core, id, change);
    else
        follow_regroup(core, id);
}

/* Of the tokens of others only the groups are kept right, in which readers see them. */
static void look_at_token(struct core *core, enum job job, token_id id)
{
    bool is_own = share_works_on(core, id);
    if (token_slot(core->table, id)->flags & (TOKEN_HOLE | TOKEN_QUARANTINED))
        return;
    if (is_own && job == JOB_ARCHIVER)
        look_archiver(core, id);
    else if (is_own && job == JOB_ACTIVATION)
        look_activation(core, id);
    else if (is_own)
        follow_recalculate(core, id);
    else if (job == JOB_ACTIVATION)
        follow_stand_aside(core, id);
}

static void sweep(struct core *core, enum job job)
{
    struct job_state *state = &core->jobs[job];
    token_id last = token_table_count(core->table);
    for (int i = 0; i < SLICE_TOKENS && state->cursor <= last; i++, state->cursor++) {
        if (core_room(core) < ACTIONS_A_TOKEN + ACTIONS_A_JOB) {
            MARK(SWEEP_NO_ROOM);
            return;
        }
        look_at_token(core, job, state->cursor);
    }
    MARK_IF(SWEEP_SLICED, state->cursor <= last);
    if (state->cursor <= last)
        return;
    state->cursor = TOKEN_NONE;
    end(core, job);
}

static void run_retention(struct core *core)
{
    struct action *action = core_act(core, ACTION_RETENTION);
    double day_s = 86400;
    action->retention.run = core->jobs[JOB_RETENTION].run;
    action->retention.snapshots_before =
        instant_add(core->now, duration_s(-core->options.snapshot_retention_days * day_s));
    action->retention.events_before =
        instant_add(core->now, duration_s(-core->options.event_retention_days * day_s));
}

/* Silence is not evidence: nobody is archived while the upstream is down. */
static bool must_wait(const struct core *core, enum job job)
{
    return job == JOB_ARCHIVER && schedule_is_silent(core);
}

static void postpone(struct core *core, enum job job)
{
    MARK(ARCHIVER_POSTPONED);
    duration interval = jobs_interval(core, job);
    core->jobs[job].last_run_at =
        instant_add(core->now, duration_us(POSTPONED_BY.us - interval.us));
    change_state(core, job, JOB_IDLE);
}

static void begin(struct core *core, enum job job)
{
    struct job_state *state = &core->jobs[job];
    MARK_IF(JOB_WANTED, state->is_wanted);
    state->is_wanted = false;
    if (job == JOB_RETENTION && !core->share.is_source) {
        change_state(core, job, JOB_IDLE);
        return;
    }
    if (must_wait(core, job)) {
        postpone(core, job);
        return;
    }
    state->run++;
    state->last_run_at = core->now;
    core->stats.jobs[job].runs++;
    change_state(core, job, JOB_RUNNING);
    if (job == JOB_EXPORT)
        core_act(core, ACTION_EXPORT)->export.run = state->run;
    else if (job == JOB_RETENTION)
        run_retention(core);
    else
        state->cursor = 1;
}

static void go_on(struct core *core, enum job job)
{
    if (core->jobs[job].cursor != TOKEN_NONE)
        sweep(core, job);
}

void jobs_run(struct core *core)
{
    for (int job = 0; job < JOB_COUNT; job++) {
        if (core_room(core) < ACTIONS_A_JOB || instant_before(core->now, due_at(core, job)))
            continue;
        if (!instant_before(core->now, overrun_at(core, job)))
            cancel(core, job);
        if (core->jobs[job].state != JOB_RUNNING)
            begin(core, job);
        go_on(core, job);
    }
}
