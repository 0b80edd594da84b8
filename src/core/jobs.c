/*
 * Jobs: what happens at intervals. Each has its own, read where it is kept; none has a stored due
 * time, so a changed interval takes effect at once. Those that look at every token do it in
 * slices, so that no step is long; others never wait for them.
 */
#include "core/state.h"

#include <assert.h>

#define SLICE_TOKENS          4096
#define ACTIONS_A_TOKEN       4 /* of one looked at by a sweep */
#define FIRST_ARCHIVER_AFTER  duration_s(60)
#define FIRST_RETENTION_AFTER duration_s(30)
#define POSTPONED_BY          duration_s(10) /* while the upstream is silent */

const char *job_name(enum job job)
{
    static const char *const names[JOB_COUNT] = {
#define X(code, name) [code] = name,
        JOB_LIST(X)
#undef X
    };
    return job >= 0 && job < JOB_COUNT ? names[job] : "?";
}

duration jobs_interval(const struct core *core, enum job job)
{
    switch (job) {
    case JOB_ARCHIVER:
        return duration_s(core->options.archiver_interval_sec);
    case JOB_ACTIVATION:
        return duration_s(core->options.activation_interval_sec);
    case JOB_EXPORT:
        return duration_s(core->options.export_interval_sec);
    case JOB_RETENTION:
        return duration_s(core->options.retention_interval_sec);
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

static instant due_at(const struct core *core, enum job job)
{
    const struct job_state *state = &core->jobs[job];
    if (state->is_wanted || state->cursor != TOKEN_NONE)
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

static void sweep(struct core *core, enum job job, void (*look)(struct core *, token_id))
{
    struct job_state *state = &core->jobs[job];
    token_id last = token_table_count(core->table);
    for (int i = 0; i < SLICE_TOKENS && state->cursor <= last; i++, state->cursor++) {
        if (core_room(core) < ACTIONS_A_TOKEN)
            return;
        if (!(token_slot(core->table, state->cursor)->flags & TOKEN_HOLE))
            look(core, state->cursor);
    }
    if (state->cursor > last)
        state->cursor = TOKEN_NONE;
}

static void run_retention(struct core *core)
{
    struct action *action = core_act(core, ACTION_RETENTION);
    double day_s = 86400;
    action->retention.snapshots_before =
        instant_add(core->now, duration_s(-core->options.snapshot_retention_days * day_s));
    action->retention.events_before =
        instant_add(core->now, duration_s(-core->options.event_retention_days * day_s));
}

/* True when the job is done or under way; false when it was put off. */
static bool begin(struct core *core, enum job job)
{
    switch (job) {
    case JOB_ARCHIVER:
        /* Silence is not evidence: nobody is archived while the upstream is down. */
        if (schedule_is_silent(core))
            return false;
        core->jobs[job].cursor = 1;
        return true;
    case JOB_ACTIVATION:
    case JOB_RECALCULATE:
        core->jobs[job].cursor = 1;
        return true;
    case JOB_EXPORT:
        core_act(core, ACTION_EXPORT);
        return true;
    case JOB_RETENTION:
        run_retention(core);
        return true;
    case JOB_COUNT:
        break;
    }
    assert(!"no such job");
    return true;
}

static void go_on(struct core *core, enum job job)
{
    if (core->jobs[job].cursor == TOKEN_NONE)
        return;
    if (job == JOB_ARCHIVER)
        sweep(core, job, look_archiver);
    else if (job == JOB_ACTIVATION)
        sweep(core, job, look_activation);
    else
        sweep(core, job, follow_recalculate);
}

void jobs_run(struct core *core)
{
    for (int i = 0; i < JOB_COUNT; i++) {
        struct job_state *state = &core->jobs[i];
        bool is_due = !instant_before(core->now, due_at(core, i));
        if (!is_due || core_room(core) < ACTIONS_A_TOKEN)
            continue;
        if (state->cursor == TOKEN_NONE) {
            state->is_wanted = false;
            if (!begin(core, i)) {
                duration interval = jobs_interval(core, i);
                state->last_run_at =
                    instant_add(core->now, duration_us(POSTPONED_BY.us - interval.us));
                continue;
            }
            state->last_run_at = core->now;
            core->stats.jobs[i].runs++;
        }
        go_on(core, i);
    }
}
