/* One event in, actions out. See core.h; the parts are in schedule.c, follow.c and jobs.c. */
#include "core/state.h"

#include "base/mark.h"
#include <assert.h>
#include <math.h>

#define PAUSED "paused"

/* Requests are counted from the time on, in milliseconds: what comes back for a core that was given
 * up in the same process (a warm start that had to go cold) is for no request of the next one's. */
#define GENERATION_SHIFT 10

size_t core_size(void)
{
    return sizeof(struct core);
}

struct core *core_init(void *memory, struct token_table *table, const struct options *options,
                       int64_t last_snapshot_id, instant now)
{
    struct core *core = memory;
    memset(core, 0, sizeof *core);
    core->options = *options;
    core->table = table;
    core->now = now;
    core->restart_asked_at = INSTANT_NEVER;
    core->last_snapshot_id = last_snapshot_id;
    share_init(core);
    for (uint32_t i = 0; i < REQUESTS_MAX; i++) {
        core->requests[i].generation = (uint32_t)(now.us >> GENERATION_SHIFT);
        core->free_requests[core->free_count++] = (uint16_t)(REQUESTS_MAX - 1 - i);
    }
    lanes_init(&core->price, table, LINKS_PRICE, 0.02);
    lanes_init(&core->discover, table, LINKS_DISCOVER, 0.02);
    for (int i = 0; i < LANE_KIND_COUNT; i++) {
        budget_init(&core->lanes[i].budget, 60, now);
        core->lanes[i].early_at = now;
    }
    breaker_init(&core->breaker, (uint64_t)now.us ^ (uint64_t)last_snapshot_id << 32);
    capacity_init(core);
    schedule_apply_options(core);
    health_init(core);
    foresee_init(core);
    return core;
}

void core_place(struct core *core, token_id first, token_id last)
{
    for (token_id id = first; id <= last; id++)
        follow_place(core, id);
}

size_t core_scratch_size(const struct token_table *table)
{
    return lanes_scratch_size(token_table_count(table));
}

void core_sort(struct core *core, enum link_family family, void *scratch)
{
    lanes_sort(family == LINKS_PRICE ? &core->price : &core->discover,
               token_table_count(core->table), core->now, scratch);
}

size_t core_recall(const struct core *core, token_id *out, size_t most, void *scratch)
{
    struct lane_recalled *recalled = scratch;
    token_id last = token_table_count(core->table);
    most = most < last ? most : last;
    assert(most * sizeof *recalled <= core_scratch_size(core->table));
    size_t count = lanes_recall(&core->price, last, core->now, recalled, most);
    for (size_t i = 0; i < count; i++)
        out[i] = recalled[i].id;
    return count;
}

void core_sort_some(struct core *core, const token_id *ids, size_t count)
{
    lanes_sort_some(&core->price, ids, count, core->now);
    lanes_sort_some(&core->discover, ids, count, core->now);
}

void core_start(struct core *core, int64_t newest_snapshot)
{
    if (core->last_snapshot_id < newest_snapshot)
        core->last_snapshot_id = newest_snapshot;
    share_count(core);
    schedule_look_ahead(core);
    jobs_init(core);
    health_excuse(core);
}

void core_start_first(struct core *core)
{
    core->last_of_first = token_table_count(core->table);
    schedule_look_ahead(core);
}

void core_start_rest(struct core *core, int64_t newest_snapshot)
{
    core->last_of_first = TOKEN_NONE;
    core_start(core, newest_snapshot);
}

bool core_has_all(const struct core *core)
{
    return core->last_of_first == TOKEN_NONE;
}

token_id core_last(const struct core *core)
{
    return core_has_all(core) ? token_table_count(core->table) : core->last_of_first;
}

void core_start_alone(struct core *core, void *scratch)
{
    core_place(core, 1, token_table_count(core->table));
    core_sort(core, LINKS_PRICE, scratch);
    core_sort(core, LINKS_DISCOVER, scratch);
    core_start(core, 0);
}

struct action *core_act(struct core *core, enum action_kind kind)
{
    assert(core->actions->count < ACTIONS_MAX);
    struct action *action = &core->actions->items[core->actions->count++];
    action->kind = kind;
    return action;
}

size_t core_room(const struct core *core)
{
    return ACTIONS_MAX - core->actions->count;
}

void core_tell(struct core *core, enum transition what, unsigned from, unsigned to, uint32_t id)
{
    struct action *action = core_act(core, ACTION_TRANSITION);
    action->transition.what = what;
    action->transition.from = (uint8_t)from;
    action->transition.to = (uint8_t)to;
    action->transition.id = id;
}

void core_ask_for_restart(struct core *core, const char *reason)
{
    if (!instant_is_never(core->restart_asked_at) &&
        instant_before(core->now, instant_add(core->restart_asked_at, RESTART_PATIENCE)))
        return;
    MARK(RESTART_ASKED);
    core->restart_asked_at = core->now;
    core_act(core, ACTION_RESTART)->restart.reason = reason;
}

void core_reply(struct core *core, uint64_t tag, enum reply_result result, token_id id,
                const char *message)
{
    if (tag == 0)
        return;
    struct action *action = core_act(core, ACTION_REPLY);
    action->reply.tag = tag;
    action->reply.result = result;
    action->reply.snapshot_id = 0;
    action->reply.score = NAN;
    action->reply.message = message;
    if (id == TOKEN_NONE)
        return;
    const struct token_state *state = &token_slot(core->table, id)->state;
    action->reply.snapshot_id = state->snapshot_id;
    if (state->answers > 0)
        action->reply.score = state->score;
}

void core_reply_waiting(struct core *core, token_id id, enum reply_result result,
                        const char *message)
{
    for (uint32_t i = 0; i < core->wants_count;) {
        if (core->wants[i].id != id || core_room(core) == 0) {
            i++;
            continue;
        }
        core_reply(core, core->wants[i].tag, result, id, message);
        core->wants[i] = core->wants[--core->wants_count];
    }
}

/* ---- events ---- */

static void on_token_durable(struct core *core, token_id id, uint64_t tag)
{
    const struct token *token = token_slot(core->table, id);
    bool was_durable = token->flags & TOKEN_DURABLE;
    MARK_IF(DURABLE_AGAIN, was_durable);
    if (!was_durable) {
        token_write_begin(core->table, id)->flags |= TOKEN_DURABLE;
        token_write_end(core->table, id);
    }
    core_reply(core, tag, was_durable ? REPLY_KNOWN : REPLY_CREATED, id, NULL);
}

/* NULL: nothing is against it. */
static const char *why_not_refreshed(const struct core *core, token_id id)
{
    if (!core->options.scheduler_enabled)
        return "the scheduler is off";
    if (core->pause == PAUSE_ON)
        return PAUSED;
    MARK_IF(WANTS_FULL, core->wants_count == WANTS_MAX);
    if (core->wants_count == WANTS_MAX)
        return "too many refreshes are waiting";
    return trust_refusal(core, id);
}

static void on_refresh_wanted(struct core *core, const struct address *mint, uint64_t tag)
{
    token_id id = token_table_find(core->table, mint);
    if (id == TOKEN_NONE) {
        MARK(WANT_UNKNOWN);
        core_reply(core, tag, REPLY_NOT_FOUND, TOKEN_NONE, "token not found");
        return;
    }
    if (!share_works_on(core, id)) {
        MARK(WANT_ELSEWHERE);
        core_reply(core, tag, REPLY_ELSEWHERE, TOKEN_NONE, NULL);
        return;
    }
    const char *why_not = why_not_refreshed(core, id);
    if (why_not != NULL) {
        MARK(WANT_REFUSED);
        core_reply(core, tag, REPLY_UNAVAILABLE, TOKEN_NONE, why_not);
        return;
    }
    core->wants[core->wants_count++] = (struct want){id, tag};
    follow_discover_now(core, id, DISCOVER_WANTED);
}

static void on_options(struct core *core, const struct options *options)
{
    MARK(OPTIONS_CHANGED);
    core->options = *options;
    schedule_apply_options(core);
    health_apply_options(core);
    /* Thresholds may have moved: look at everybody now and not in a minute. */
    jobs_want(core, JOB_ACTIVATION);
}

/* Who waits for something that is not sent now would wait for as long as the pause. */
static void refuse_waiting(struct core *core)
{
    for (uint32_t i = core->wants_count; i-- > 0;) {
        struct want want = core->wants[i];
        if (schedule_is_under_way(core, want.id, LINKS_DISCOVER))
            continue;
        MARK(PAUSE_REFUSED_WAITING);
        core_reply(core, want.tag, REPLY_UNAVAILABLE, TOKEN_NONE, PAUSED);
        core->wants[i] = core->wants[--core->wants_count];
    }
}

static void change_pause(struct core *core, enum pause_state to)
{
    enum pause_state from = core->pause;
    if (from == to)
        return;
    core->pause = to;
    core->stats.is_paused = to == PAUSE_ON;
    core_tell(core, TRANSITION_PAUSE, from, to, 0);
    MARK_IF(PAUSED, to == PAUSE_ON);
    MARK_IF(RESUMED, to == PAUSE_OFF);
    if (to == PAUSE_ON)
        refuse_waiting(core);
    else
        health_excuse(core);
}

static void act_alert(struct core *core, uint64_t tag)
{
    struct action *action = core_act(core, ACTION_ALERT);
    action->alert.message = &core->alert_message;
    action->alert.tag = tag;
}

/* One message may be told in a step: a second can wait for the next sample. */
static void tell_people(struct core *core)
{
    for (size_t i = 0; i < core->actions->count; i++)
        if (core->actions->items[i].kind == ACTION_ALERT)
            return;
    if (core_room(core) > 0 && alerts_step(&core->alerts, &core->stats.findings, &core->options,
                                           core->now, &core->alert_message))
        act_alert(core, 0);
}

static void handle(struct core *core, const struct event *event)
{
    assert(event->kind < EVENT_KIND_COUNT);
    switch (event->kind) {
    case EVENT_TIME:
        return;
    case EVENT_TOKEN_SEEN:
        follow_new(core, event);
        return;
    case EVENT_TOKEN_DURABLE:
        on_token_durable(core, event->token_durable.id, event->token_durable.tag);
        return;
    case EVENT_TOKEN_REFUSED:
        share_on_refused(core, event);
        return;
    case EVENT_ANSWER:
        schedule_on_answer(core, event);
        return;
    case EVENT_REFRESH_WANTED:
        on_refresh_wanted(core, &event->refresh_wanted.mint, event->refresh_wanted.tag);
        return;
    case EVENT_OPTIONS:
        on_options(core, event->options.options);
        return;
    case EVENT_JOB_WANTED:
        jobs_want(core, event->job_wanted.job);
        return;
    case EVENT_JOB_DONE:
        jobs_on_done(core, event);
        return;
    case EVENT_SUSPECT:
        trust_on_suspect(core, event->suspect.id, event->suspect.lane);
        return;
    case EVENT_QUARANTINE:
        trust_on_quarantine(core, event->quarantine.id);
        return;
    case EVENT_RELEASE:
        trust_on_release(core, event->release.id);
        return;
    case EVENT_LIMIT_KNOWN:
        schedule_on_limit_known(core, event);
        return;
    case EVENT_PAUSE:
        change_pause(core, event->pause.is_paused ? PAUSE_ON : PAUSE_OFF);
        return;
    case EVENT_LOAD:
        capacity_on_load(core, event->load.sample);
        health_on_load(core, event);
        foresee_on_load(core, event->load.sample);
        return;
    case EVENT_ALERT_KNOWN:
        alerts_restore(&core->alerts, event->alert_known.message, &core->options, core->now);
        return;
    case EVENT_ALERT_TEST:
        alerts_make_test(&core->alerts, core->now, &core->alert_message);
        act_alert(core, event->alert_test.tag);
        break;
    case EVENT_SHARE:
        share_on_change(core, event);
        return;
    case EVENT_FOLLOWED:
        share_on_followed(core, event);
        return;
    case EVENT_SOURCE:
        share_on_source(core, event);
        return;
    case EVENT_KIND_COUNT:
        __builtin_unreachable();
    }
}

/* ---- the sample a second ---- */

static const unsigned price_group_to_group[] = {
    [PRICE_HOT] = GROUP_HOT,
    [PRICE_HOT_WITHOUT_POOLS] = GROUP_HOT,
    [PRICE_COLD] = GROUP_COLD,
    [PRICE_ARCHIVED] = GROUP_ARCHIVED,
};

static enum lane_kind lane_of(unsigned price_group)
{
    return price_group == PRICE_HOT ? LANE_REFRESH : LANE_SCREEN;
}

/* Who waits for the others of his turn is not deferred: that is over by itself. */
static instant deferred_at(const struct core *core, enum lane_kind lane)
{
    return instant_add(core->now, duration_us(-core->lanes[lane].gather.span.us));
}

/* Those past their target, and why they wait. */
static void sample_deferred(struct core *core, unsigned price_group, struct group_stats *group)
{
    enum lane_kind lane = lane_of(price_group);
    uint32_t deferred = lanes_count_due(&core->price, price_group, deferred_at(core, lane));
    group->deferred += deferred;
    MARK_IF(DEFERRED, deferred > 0);
    if (core->stats.lanes[lane].limit == LIMIT_UPSTREAM)
        return;
    group->deferred_by_load += deferred;
    MARK_IF(DEFERRED_BY_LOAD, deferred > 0);
}

static void count_own(struct core *core, token_id id)
{
    if (share_works_on(core, id))
        core->stats.groups[token_column_group(core->table, id)].tokens++;
}

static void sample_groups(struct core *core)
{
    for (int i = 0; i < GROUP_COUNT; i++) {
        struct group_stats *group = &core->stats.groups[i];
        group->tokens = group->deferred = group->deferred_by_load = group->overdue = 0;
        group->oldest_age = group->oldest_deferred_age = duration_us(0);
        follow_sum_recent(core, (enum token_group)i);
    }
    for (unsigned i = 0; i <= PRICE_ARCHIVED; i++) {
        struct group_stats *group = &core->stats.groups[price_group_to_group[i]];
        instant oldest = lanes_oldest(&core->price, i);
        group->target = core->price.groups[i].target;
        group->tokens += lanes_count(&core->price, i);
        sample_deferred(core, i, group);
        if (oldest.us == INSTANT_FAR.us)
            continue;
        duration age = instant_diff(core->now, oldest);
        if (age.us > group->oldest_age.us)
            group->oldest_age = age;
        if (group->oldest_age.us > group->target.us + core->lanes[lane_of(i)].gather.span.us)
            group->oldest_deferred_age = group->oldest_age;
        int64_t maximum_us = core->price.groups[i].maximum.us;
        if (maximum_us > 0)
            group->overdue += lanes_count_older(&core->price, i,
                                                instant_add(core->now, duration_us(-maximum_us)));
        MARK_IF(MAXIMUM_STRETCHED, group->overdue > 0);
    }
    for (int i = 0; i < REQUESTS_MAX; i++) {
        const struct request *request = &core->requests[i];
        if (!request->in_flight || request->is_trial || request->lane == LANE_DISCOVER)
            continue;
        for (int k = 0; k < request->token_count; k++)
            if (!(request->withdrawn >> k & 1))
                count_own(core, request->tokens[k]);
    }
    for (uint32_t i = 0; i < core->suspects.count; i++)
        count_own(core, core->suspects.items[i].id);
}

static void sample_lanes(struct core *core)
{
    int64_t second = core->now.us / 1000000;
    for (int i = 0; i < LANE_KIND_COUNT; i++) {
        struct lane_state *lane = &core->lanes[i];
        struct lane_stats *stats = &core->stats.lanes[i];
        stats->allowed_per_minute = lane->budget.per_second * 60;
        stats->configured_per_minute = lane->budget.limit.ceiling;
        stats->learned_per_minute = limit_learned(&lane->budget.limit);
        stats->latency = duration_s(lane->latency_s);
        stats->rest_until = instant_before(core->now, lane->budget.rest_until)
                                ? lane->budget.rest_until
                                : INSTANT_NEVER;
        stats->used_last_minute = 0;
        for (int k = 0; k < MINUTE_SLOTS; k++)
            if (lane->used[k].second > second - MINUTE_SLOTS)
                stats->used_last_minute += lane->used[k].count;
        stats->deferred = 0;
        for (unsigned group = 0; group < LANE_GROUPS_MAX; group++)
            if (follow_group_mask(i) >> group & 1)
                stats->deferred +=
                    lanes_count_due(follow_lanes(core, i), group, deferred_at(core, i));
    }
}

static void sample(struct core *core)
{
    schedule_learn(core);
    capacity_plan(core);
    sample_groups(core);
    sample_lanes(core);
    for (int i = 0; i < JOB_COUNT; i++) {
        core->stats.jobs[i].last_run_at = core->jobs[i].last_run_at;
        core->stats.jobs[i].interval = jobs_interval(core, i);
    }
    schedule_cancel_overdue(core);
    schedule_look_ahead(core);
    core->stats.sampled_at = core->now;
    health_judge(core);
    tell_people(core);
}

static instant sample_due(const struct core *core)
{
    return instant_add(core->stats.sampled_at, SAMPLE_INTERVAL);
}

/* ---- the interface ---- */

static bool may_send(const struct core *core)
{
    return core->options.scheduler_enabled && core->pause == PAUSE_OFF;
}

/* More may follow at once, about others who must not be sent meanwhile. */
static bool is_to_be_followed(enum event_kind kind)
{
    return kind == EVENT_SUSPECT || kind == EVENT_QUARANTINE || kind == EVENT_RELEASE ||
           kind == EVENT_LIMIT_KNOWN || kind == EVENT_ALERT_KNOWN || kind == EVENT_FOLLOWED;
}

void core_step(struct core *core, const struct event *event, struct actions *actions)
{
    actions->count = 0;
    core->actions = actions;
    /* A shell whose clock went back would make ages negative: time stands still instead. */
    MARK_IF(CLOCK_BACK, instant_before(event->now, core->now));
    core->now = instant_max(core->now, event->now);
    actions->now = core->now;
    core->stats.steps++;
    handle(core, event);
    if (!instant_before(core->now, sample_due(core)))
        sample(core);
    if (core_has_all(core))
        jobs_run(core);
    if (may_send(core) && !is_to_be_followed(event->kind))
        schedule_send(core);
    core->actions = NULL;
}

instant core_deadline(struct core *core, instant now)
{
    core->now = instant_max(core->now, now);
    instant deadline = sample_due(core);
    if (core_has_all(core))
        deadline = instant_min(deadline, jobs_deadline(core));
    return may_send(core) ? instant_min(deadline, schedule_deadline(core)) : deadline;
}

const struct core_stats *core_stats(const struct core *core)
{
    return &core->stats;
}

const struct alerts *core_alerts(const struct core *core)
{
    return &core->alerts;
}

const struct options *core_options(const struct core *core)
{
    return &core->options;
}

size_t core_request_tokens(const struct core *core, uint64_t handle,
                           token_id out[REQUEST_ADDRESSES_MAX])
{
    const struct request *request = schedule_find(core, handle);
    if (request == NULL)
        return 0;
    memcpy(out, request->tokens, request->token_count * sizeof *out);
    return request->token_count;
}

enum lane_kind core_request_lane(const struct core *core, uint64_t handle)
{
    const struct request *request = schedule_find(core, handle);
    return request == NULL ? LANE_KIND_COUNT : (enum lane_kind)request->lane;
}

enum trust core_trust(const struct core *core, token_id id)
{
    return trust_of(core, id);
}

bool core_holds_token(const struct core *core, token_id id)
{
    enum trust trust = trust_of(core, id);
    bool price_out = schedule_is_under_way(core, id, LINKS_PRICE);
    bool discover_out = schedule_is_under_way(core, id, LINKS_DISCOVER);
    if (trust != TRUST_ORDINARY || !share_works_on(core, id)) {
        bool may_be_out = trust != TRUST_QUARANTINE && share_listens_to(core, id);
        return !lanes_holds(&core->price, id) && !lanes_holds(&core->discover, id) &&
               (may_be_out || !(price_out || discover_out));
    }
    bool price = lanes_holds(&core->price, id) != price_out;
    bool discover = token_slot(core->table, id)->status == TOKEN_ARCHIVED ||
                    lanes_holds(&core->discover, id) || discover_out;
    return price && discover;
}
