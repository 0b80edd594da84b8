/*
 * Health: what the rules need to know of the past, who is late, and since when what is found is
 * there. The rules themselves are in health_work.c and health_rules.c.
 */
#include "core/state.h"

#include "base/mark.h"
#include <assert.h>
#include <math.h>
#include <string.h>

#define LATE_COUNTED_MAX                                                                           \
    512 /* tokens of one FIFO that are looked at: enough to know how bad it is */
#define MINUTE duration_s(60)
#define HOUR   duration_s(3600)

bool health_is_fetching(const struct core *core)
{
    return core->options.scheduler_enabled && core->pause == PAUSE_OFF;
}

static duration target_of(const struct core *core, enum token_group group)
{
    static const enum price_group of[GROUP_COUNT] = {
        [GROUP_HOT] = PRICE_HOT, [GROUP_COLD] = PRICE_COLD, [GROUP_ARCHIVED] = PRICE_ARCHIVED};
    return core->price.groups[of[group]].target;
}

/* ---- intervals, and what they promise ---- */

void health_init(struct core *core)
{
    struct health_state *health = &core->health;
    memset(health, 0, sizeof *health);
    for (int i = 0; i < GROUP_COUNT; i++)
        promise_init(&health->promises[i], target_of(core, i), core->now);
    for (int i = 0; i < LANE_KIND_COUNT; i++) {
        struct lane_health *lane = &health->lanes[i];
        recently_init(&lane->ended, MINUTE);
        recently_init(&lane->refused, MINUTE);
        recently_init(&lane->tried, duration_s(RECENT_SPAN_S));
        recently_init(&lane->failed, duration_s(RECENT_SPAN_S));
    }
    recently_init(&health->tokens, MINUTE);
    recently_init(&health->errors, HOUR);
    recently_init(&health->store_failures, HOUR);
    recently_init(&health->store_dropped, HOUR);
    health->fetching_since = core->now;
}

void health_excuse(struct core *core)
{
    for (int i = 0; i < GROUP_COUNT; i++)
        promise_excuse(&core->health.promises[i], core->now);
    for (int i = 0; i < JOB_COUNT; i++)
        core->health.job_intervals_since[i] = core->now;
    core->health.fetching_since = core->now;
}

void health_apply_options(struct core *core)
{
    for (int i = 0; i < GROUP_COUNT; i++)
        promise_change(&core->health.promises[i], target_of(core, i), core->now);
}

void health_moved(struct core *core, enum token_group from, enum token_group to)
{
    duration *longest = &core->health.came_from[to];
    duration interval = promise_interval(&core->health.promises[from]);
    if (interval.us > longest->us)
        *longest = interval;
}

static void take_movers(struct core *core)
{
    for (int i = 0; i < GROUP_COUNT; i++) {
        promise_mix(&core->health.promises[i], core->health.came_from[i], core->now);
        core->health.came_from[i] = duration_us(0);
    }
}

bool health_is_on_time(const struct core *core, enum token_group group, instant before)
{
    const struct promise *promise = &core->health.promises[group];
    double age_us = (double)instant_diff(core->now, before).us;
    return age_us <= ON_TIME_FACTOR * (double)promise_interval(promise).us ||
           !instant_before(promise_until(promise, before, ON_TIME_FACTOR), core->now);
}

/* ---- who is late ---- */

struct look {
    const struct core *core;
    const struct promise *promise;
    struct lateness lateness;
};

/* Later than its stamp where a request for all its pools was answered meanwhile. */
static instant refreshed_at(const struct core *core, token_id id)
{
    return instant_max(core->price.links[id].stamp, token_slot(core->table, id)->state.checked_at);
}

static bool is_past(const struct look *look, instant since, double factor)
{
    return instant_before(promise_until(look->promise, since, factor), look->core->now);
}

static void look_at(struct look *look, token_id id)
{
    const struct options *options = &look->core->options;
    struct lateness *lateness = &look->lateness;
    instant refreshed = refreshed_at(look->core, id);
    duration age = instant_diff(look->core->now, refreshed);
    /* Its new group promises whose status has just changed a full interval. */
    instant since = instant_max(refreshed, token_slot(look->core->table, id)->state.status_since);
    if (!is_past(look, since, options->health_late_intervals))
        return;
    MARK(TOKENS_LATE);
    lateness->count++;
    lateness->is_alert =
        lateness->is_alert || is_past(look, since, options->health_alert_intervals);
    lateness->oldest = age.us > lateness->oldest.us ? age : lateness->oldest;
}

/* They are sorted, and a promise never ends earlier for who is younger. */
static void look_at_fifo(struct look *look, const struct lane_fifo *fifo)
{
    const struct lane_link *links = look->core->price.links;
    token_id id = fifo->head;
    for (int i = 0; i < LATE_COUNTED_MAX && id != TOKEN_NONE; i++, id = links[id].next) {
        if (!is_past(look, links[id].stamp, look->core->options.health_late_intervals))
            return;
        look_at(look, id);
    }
}

static void look_at_lane_group(struct look *look, enum price_group group)
{
    for (unsigned i = 0; i < LANE_CLASSES; i++)
        look_at_fifo(look, &look->core->price.fifos[group * LANE_CLASSES + i]);
}

/* A suspect waits for its turn alone, and that is told of. */
static void look_at_request(struct look *look, const struct request *request,
                            enum token_group group)
{
    for (int k = 0; k < request->token_count; k++) {
        token_id id = request->tokens[k];
        if (!(request->withdrawn >> k & 1) && token_column_group(look->core->table, id) == group &&
            is_past(look, look->core->price.links[id].stamp,
                    look->core->options.health_late_intervals))
            look_at(look, id);
    }
}

struct lateness health_lateness(const struct core *core, enum token_group group)
{
    struct look look = {.core = core, .promise = &core->health.promises[group]};
    assert(group == GROUP_HOT || group == GROUP_COLD);
    if (group == GROUP_HOT)
        look_at_lane_group(&look, PRICE_HOT);
    look_at_lane_group(&look, group == GROUP_HOT ? PRICE_HOT_WITHOUT_POOLS : PRICE_COLD);
    for (int i = 0; i < REQUESTS_MAX; i++) {
        const struct request *request = &core->requests[i];
        if (request->in_flight && !request->is_trial && request->lane != LANE_DISCOVER)
            look_at_request(&look, request, group);
    }
    return look.lateness;
}

/* ---- what the rules look back on ---- */

static uint64_t sum_of_outcomes(const struct lane_stats *lane, const enum feed_outcome *outcomes,
                                size_t count)
{
    uint64_t sum = 0;
    for (size_t i = 0; i < count; i++)
        sum += lane->outcomes[outcomes[i]];
    return sum;
}

static void note_answers(struct core *core, enum lane_kind kind)
{
    const struct lane_stats *stats = &core->stats.lanes[kind];
    struct lane_health *lane = &core->health.lanes[kind];
    if (lane->answered_at.us != stats->last_ok_at.us) {
        lane->answered_at = stats->last_ok_at;
        lane->requests_at_answer = stats->requests;
        lane->unanswered_since = INSTANT_NEVER;
    } else if (stats->in_flight == 0 && stats->deferred == 0) {
        /* Nobody waits for it: what failed last was about tokens that stand elsewhere now. */
        lane->requests_at_answer = stats->requests;
        lane->unanswered_since = INSTANT_NEVER;
    } else if (stats->requests > lane->requests_at_answer &&
               instant_is_never(lane->unanswered_since)) {
        MARK(LANE_UNANSWERED);
        lane->unanswered_since = core->now;
    }
}

/* Returns how many requests failed ever, refusals left out. */
static uint64_t note_lane(struct core *core, enum lane_kind kind)
{
    static const enum feed_outcome well[] = {FEED_OK, FEED_EMPTY};
    static const enum feed_outcome refused[] = {FEED_RATE_LIMITED, FEED_FORBIDDEN};
    const struct lane_stats *stats = &core->stats.lanes[kind];
    struct lane_health *lane = &core->health.lanes[kind];
    uint64_t ended = 0;
    for (int i = 0; i < FEED_OUTCOME_COUNT; i++)
        ended += stats->outcomes[i];
    uint64_t refusals = sum_of_outcomes(stats, refused, 2);
    uint64_t failed = ended - refusals - sum_of_outcomes(stats, well, 2);
    recently_add(&lane->ended, core->now, (double)ended);
    recently_add(&lane->refused, core->now, (double)refusals);
    recently_add(&lane->tried, core->now, (double)(ended - refusals));
    recently_add(&lane->failed, core->now, (double)failed);
    note_answers(core, kind);
    return failed;
}

/* Requests, while nobody knows yet that the upstream is in trouble; then that is the finding. */
static void note_errors(struct core *core, uint64_t requests_failed)
{
    struct health_state *health = &core->health;
    MARK_IF(ERRORS_COUNTED,
            core->breaker.state == BREAKER_CLOSED && requests_failed > health->failed_before);
    if (core->breaker.state == BREAKER_CLOSED)
        health->errors_ever += requests_failed - health->failed_before;
    health->failed_before = requests_failed;
    double errors = (double)health->errors_ever + fmax(0, health->around.store_failures);
    for (int i = 0; i < JOB_COUNT; i++)
        errors += (double)(core->stats.jobs[i].failures + core->stats.jobs[i].overruns);
    core->stats.errors_last_hour = recently_add(&health->errors, core->now, errors);
}

static void note_jobs(struct core *core)
{
    for (int i = 0; i < JOB_COUNT; i++) {
        duration interval = jobs_interval(core, i);
        if (core->health.job_intervals[i].us == interval.us)
            continue;
        core->health.job_intervals[i] = interval;
        core->health.job_intervals_since[i] = core->now;
    }
}

static void note_store(struct core *core)
{
    struct health_state *health = &core->health;
    const struct surroundings *around = &health->around;
    bool has_committed = around->store_commits != health->commits_before;
    if (!(around->store_waiting > 0)) /* NaN is not */
        health->waiting_since = INSTANT_NEVER;
    else if (has_committed || instant_is_never(health->waiting_since))
        health->waiting_since = core->now;
    health->commits_before = around->store_commits;
}

void health_on_load(struct core *core, const struct event *event)
{
    struct health_state *health = &core->health;
    health->looked_at = core->now;
    health->sample = *event->load.sample;
    if (event->load.around != NULL) {
        health->around = *event->load.around;
        recently_add(&health->store_failures, core->now, health->around.store_failures);
        recently_add(&health->store_dropped, core->now, health->around.store_dropped);
        note_store(core);
    }
    for (int i = 0; i < LOAD_SIGNAL_COUNT; i++)
        health->unknown_looks[i] =
            isnan(core->load.signals[i].percent) ? health->unknown_looks[i] + 1 : 0;
}

static void look_back(struct core *core)
{
    uint64_t failed = 0;
    take_movers(core);
    for (int i = 0; i < LANE_KIND_COUNT; i++)
        failed += note_lane(core, i);
    note_errors(core, failed);
    note_jobs(core);
    core->stats.tokens_last_minute =
        recently_add(&core->health.tokens, core->now, (double)core->tokens_answered);
    if (!health_is_fetching(core))
        core->health.fetching_since = INSTANT_FAR;
}

/* ---- what is found ---- */

static const struct {
    enum finding_cause cause, because;
    int64_t seconds;
} reasons[] = {
#define X(cause, because, seconds) {cause, because, seconds},
    FINDING_BECAUSE_LIST(X)
#undef X
};

static enum finding_cause reason_for(const struct core *core, enum finding_cause cause)
{
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        instant found_at = core->health.found_at[reasons[i].because];
        duration past = instant_diff(core->now, found_at);
        if (reasons[i].cause == cause && !instant_is_never(found_at) &&
            past.us <= duration_s((double)reasons[i].seconds).us) {
            MARK(FINDING_EXPLAINED);
            return reasons[i].because;
        }
    }
    return FINDING_CAUSE_COUNT;
}

static void put_in_context(const struct core *core, struct finding *finding)
{
    const struct finding *before =
        findings_get(&core->stats.findings, finding->cause, finding->subject);
    finding->since = before != NULL ? before->since : core->now;
    finding->because = reason_for(core, finding->cause);
}

void health_judge(struct core *core)
{
    struct findings *findings = &core->health.findings;
    look_back(core);
    findings->count = 0;
    findings->left_out = core->stats.findings.left_out;
    health_apply_rules(core);
    for (uint32_t i = 0; i < findings->count; i++)
        core->health.found_at[findings->of[i].cause] = core->now;
    for (uint32_t i = 0; i < findings->count; i++)
        put_in_context(core, &findings->of[i]);
    core->stats.findings = *findings;
}
