/* Requests: what to send now, what an answer means, what overran its deadline. */
#include "core/state.h"

#include "base/mark.h"
#include <assert.h>
#include <math.h>

#define COST_ALPHA 0.05
/* Share of the budget up to which every target can be kept: requests are not always full. */
#define FEASIBLE_SHARE       0.97
#define LATENCY_ALPHA        0.2
#define LEAD_MARGIN_S        0.01 /* the loop's own delays */
#define LEAD_SHARE_MAX       0.1  /* of the shortest target: earlier would not be fresh */
#define GRACE_S              5.0  /* beyond feed_timeout_sec the shell has lost the request */
#define SILENCE_S            60.0
#define REFUSED_REST_FIRST   duration_s(1) /* probes of a limit are refused a little: limit.h */
#define REFUSED_REST_MOST    duration_s(60)
#define FORBIDDEN_REST_FIRST duration_s(5) /* it means us, not our pace */
/* An unusable answer may be about one request of this kind only: the others go on. */
#define DOUBTFUL_REST_FIRST duration_ms(250)
#define DOUBTFUL_REST_MOST  duration_s(2)
/* What is learnt of a limit is told when it fell or rose by so much, or became the configured one.
 */
#define LIMIT_TOLD_BELOW    0.95
#define LIMIT_TOLD_ABOVE    1.2
#define LIMIT_TOLD_EVERY    duration_s(3600)
#define ACTIONS_PER_TOKEN   6 /* save, snapshot, change, reply… of one answered token */
#define ACTIONS_FOR_REQUEST 2 /* the request, and that it is a probe */
#define ACTIONS_FOR_CANCEL  3 /* the cancel, a reply, and that it was a probe */

static double requests_per_minute(const struct options *options, enum lane_kind lane)
{
    const double limits[LANE_KIND_COUNT] = {
        [LANE_REFRESH] = options->refresh_requests_per_minute,
        [LANE_SCREEN] = options->screen_requests_per_minute,
        [LANE_DISCOVER] = options->discover_requests_per_minute,
    };
    return limits[lane] * (1 - options->budget_headroom_percent / 100);
}

static void set_limit(struct core *core, enum lane_kind lane, double per_minute)
{
    struct lane_state *state = &core->lanes[lane];
    if (state->budget.limit.ceiling != per_minute)
        state->limit_told = per_minute;
    budget_set_rate(&state->budget, per_minute, core->now);
}

void schedule_apply_options(struct core *core)
{
    const struct options *options = &core->options;
    duration hot = duration_s(options->hot_interval_sec);
    duration cold = duration_s(options->cold_interval_sec);
    duration most = duration_s(options->maximum_age_sec);
    const struct lane_group price[] = {
        [PRICE_HOT] = {hot, most, RANK_NORMAL},
        [PRICE_HOT_WITHOUT_POOLS] = {hot, most, RANK_NORMAL},
        [PRICE_COLD] = {cold, most, RANK_NORMAL},
        [PRICE_ARCHIVED] = {duration_s(options->archived_interval_sec), {0}, RANK_SPARE},
    };
    const struct lane_group discover[] = {
        [DISCOVER_WANTED] = {{0}, {0}, RANK_WANTED},
        [DISCOVER_URGENT] = {{0}, {0}, RANK_URGENT},
        [DISCOVER_ACTIVE] = {duration_s(options->discover_active_interval_sec), {0}, RANK_NORMAL},
        [DISCOVER_MONITORING] = {duration_s(options->discover_monitoring_interval_sec),
                                 {0},
                                 RANK_NORMAL},
    };
    for (unsigned i = 0; i < sizeof price / sizeof *price; i++)
        lanes_set_group(&core->price, i, price[i]);
    for (unsigned i = 0; i < sizeof discover / sizeof *discover; i++)
        lanes_set_group(&core->discover, i, discover[i]);
    for (int i = 0; i < LANE_KIND_COUNT; i++)
        set_limit(core, i, requests_per_minute(options, i));
}

/* ---- sending ---- */

/* How early to ask, to have the answer at the target. */
static duration lead_of(const struct core *core, enum lane_kind lane)
{
    double shortest = fmin(core->options.hot_interval_sec, core->options.cold_interval_sec);
    double wanted = core->lanes[lane].latency_s + LEAD_MARGIN_S;
    MARK_IF(LEAD_CAPPED, wanted > shortest * LEAD_SHARE_MAX);
    return duration_s(fmin(wanted, shortest * LEAD_SHARE_MAX));
}

/* Requests a second that keep the target of everybody in this lane. */
static double need_of(const struct core *core, enum lane_kind lane)
{
    const struct lanes *lanes = lane == LANE_DISCOVER ? &core->discover : &core->price;
    double slots = lane == LANE_DISCOVER ? 1 : REQUEST_ADDRESSES_MAX;
    double cost = fmax(1, core->lanes[lane].token_cost);
    return lanes_need(lanes, follow_group_mask(lane), 0) * cost / slots;
}

static struct lane_query query_for(struct core *core, enum lane_kind lane)
{
    return (struct lane_query){
        .now = core->now,
        .lead = lead_of(core, lane),
        .groups = follow_group_mask(lane),
        .slots = lane == LANE_DISCOVER ? 1 : REQUEST_ADDRESSES_MAX,
        .costs = lane == LANE_REFRESH ? token_table_costs(core->table) : NULL,
        .on_time_limit = core->lanes[lane].is_feasible ? ON_TIME_FACTOR : 0,
        .early = early_share(core, lane),
    };
}

static uint64_t handle_of(const struct core *core, const struct request *request)
{
    return (uint64_t)request->generation << 32 | (uint64_t)(request - core->requests);
}

static void add_addresses(const struct core *core, struct request *request, token_id id)
{
    const struct token *token = token_slot(core->table, id);
    if (request->lane != LANE_REFRESH) {
        request->addresses[request->address_count++] = token->mint;
        return;
    }
    const struct pool *pools = token_pools(core->table, id);
    for (int i = 0; i < token->pool_count; i++)
        if (pools[i].flags & POOL_COUNTS) {
            assert(request->address_count < REQUEST_ADDRESSES_MAX);
            request->addresses[request->address_count++] = pools[i].address;
        }
}

static void count_used(struct lane_state *lane, instant now)
{
    int64_t second = now.us / 1000000;
    int slot = (int)(second % MINUTE_SLOTS);
    if (lane->used[slot].second != second) {
        lane->used[slot].second = second;
        lane->used[slot].count = 0;
    }
    lane->used[slot].count++;
}

/* ---- the breaker ---- */

/* Tells of a change that has just been made, if one was. */
static void note_breaker(struct core *core, enum breaker_state before)
{
    const struct breaker *breaker = &core->breaker;
    core->stats.breaker = (struct breaker_stats){
        .state = breaker->state, .opens = breaker->opens, .open_until = breaker->open_until};
    if (breaker->state != before)
        core_tell(core, TRANSITION_BREAKER, before, breaker->state, 0);
}

static void breaker_sent(struct core *core)
{
    enum breaker_state before = core->breaker.state;
    breaker_on_sent(&core->breaker, core->now);
    note_breaker(core, before);
}

static void breaker_ended(struct core *core, const struct request *request,
                          enum feed_outcome outcome, duration retry_after)
{
    enum breaker_state before = core->breaker.state;
    struct breaker_end end = {breaker_verdict(outcome), request->sent_at, retry_after};
    breaker_on_end(&core->breaker, &end, core->now);
    note_breaker(core, before);
}

/* ---- sending: one request ---- */

static size_t choose_suspect(struct core *core, enum lane_kind lane, struct request *request)
{
    token_id id = trust_next_suspect(core, lane);
    if (id == TOKEN_NONE)
        return 0;
    MARK(TRIAL_SENT);
    trust_sent(core, id, lane);
    request->is_trial = true;
    request->tokens[0] = id;
    return 1;
}

static size_t choose_ordinary(struct core *core, enum lane_kind lane, struct request *request)
{
    struct gather *gather = &core->lanes[lane].gather;
    request->is_trial = false;
    if (instant_before(core->now, gather_ready_at(gather))) {
        MARK(TURN_WAITED);
        return 0;
    }
    struct lane_query query = query_for(core, lane);
    size_t count = lanes_select(follow_lanes(core, lane), &query, request->tokens);
    if (count > 0)
        gather_sent(gather, core->now);
    return count;
}

/* A suspect goes first, but for a probe: whose failure it is should not be in doubt. */
static size_t choose_tokens(struct core *core, enum lane_kind lane, struct request *request)
{
    bool is_probe = core->breaker.state == BREAKER_OPEN;
    size_t count = is_probe ? 0 : choose_suspect(core, lane, request);
    if (count == 0)
        count = choose_ordinary(core, lane, request);
    return count == 0 && is_probe ? choose_suspect(core, lane, request) : count;
}

static struct request *next_request(struct core *core)
{
    return &core->requests[core->free_requests[core->free_count - 1]];
}

/* It is about `count` tokens, who are in it. */
static void send_request(struct core *core, enum lane_kind lane, struct request *request,
                         size_t count)
{
    core->free_count--;
    request->in_flight = true;
    request->withdrawn = 0;
    request->lane = (uint8_t)lane;
    request->token_count = (uint8_t)count;
    request->address_count = 0;
    request->sent_at = core->now;
    for (size_t i = 0; i < count; i++)
        __builtin_prefetch(token_slot(core->table, request->tokens[i]));
    for (size_t i = 0; i < count; i++)
        add_addresses(core, request, request->tokens[i]);
    struct lane_state *state = &core->lanes[lane];
    state->token_cost +=
        COST_ALPHA * ((double)request->address_count / (double)count - state->token_cost);
    budget_take(&state->budget, core->now);
    early_sent(core, lane);
    count_used(state, core->now);

    struct lane_stats *stats = &core->stats.lanes[lane];
    stats->requests++;
    stats->addresses += request->address_count;
    stats->in_flight++;
    struct action *action = core_act(core, ACTION_FETCH);
    action->fetch.request = handle_of(core, request);
    action->fetch.lane = lane;
    action->fetch.addresses = request->addresses;
    action->fetch.count = request->address_count;
    breaker_sent(core);
}

/* Sends one request of this lane, if anybody in it is due. */
static bool send_one(struct core *core, enum lane_kind lane)
{
    struct request *request = next_request(core);
    size_t count = choose_tokens(core, lane, request);
    if (count > 0)
        send_request(core, lane, request, count);
    return count > 0;
}

static bool may_send(const struct core *core, enum lane_kind lane)
{
    MARK_IF(REQUESTS_FULL,
            core->stats.lanes[lane].in_flight >= (uint64_t)core->options.requests_in_flight_max);
    return core->stats.lanes[lane].in_flight < (uint64_t)core->options.requests_in_flight_max &&
           core->free_count > 0;
}

static bool is_ready(struct core *core, enum lane_kind lane)
{
    MARK_IF(ACTIONS_FULL, core_room(core) < ACTIONS_FOR_REQUEST);
    return may_send(core, lane) && core_room(core) >= ACTIONS_FOR_REQUEST &&
           !instant_before(core->now, budget_ready_at(&core->lanes[lane].budget, core->now));
}

/* One request in all. The lanes take turns, so that one whose requests always fail does not keep
 * the breaker open for the others. */
static bool send_probe(struct core *core)
{
    for (int i = 0; i < LANE_KIND_COUNT; i++) {
        enum lane_kind lane = (core->probe_lane + (unsigned)i) % LANE_KIND_COUNT;
        if (!is_ready(core, lane) || !send_one(core, lane))
            continue;
        MARK(PROBE_SENT);
        MARK_IF(PROBE_OF_OTHER_LANE, i > 0);
        core->probe_lane = (lane + 1U) % LANE_KIND_COUNT;
        return true;
    }
    return false;
}

/* One of several nodes whose upstream did not answer has given its tokens to others, and nobody is
 * left to probe with: it asks for somebody of theirs, and listens to whether an answer comes. */
static void knock(struct core *core)
{
    token_id last = token_table_count(core->table);
    if (!share_is_idle(core) || last == TOKEN_NONE || !is_ready(core, LANE_SCREEN))
        return;
    token_id id = core->knocked++ % last + 1;
    if (token_slot(core->table, id)->flags & (TOKEN_HOLE | TOKEN_QUARANTINED))
        return; /* the one after it, in a second */
    MARK(KNOCKED);
    struct request *request = next_request(core);
    request->is_trial = false;
    request->tokens[0] = id;
    send_request(core, LANE_SCREEN, request, 1);
    request->withdrawn = 1;
}

static instant ordinary_due(struct core *core, enum lane_kind lane)
{
    return lanes_next_due(follow_lanes(core, lane), follow_group_mask(lane), lead_of(core, lane),
                          0);
}

/* All that may go now. */
static void send_turn(struct core *core, enum lane_kind lane)
{
    struct gather *gather = &core->lanes[lane].gather;
    while (is_ready(core, lane) && send_one(core, lane))
        ;
    if (!gather->is_open || !may_send(core, lane) || core_room(core) < ACTIONS_FOR_REQUEST)
        return; /* none is under way, or it goes on with an answer */
    if (instant_before(core->now, ordinary_due(core, lane))) {
        MARK(TURN_ENDED);
        gather_end(gather);
    } else {
        MARK(TURN_UNFINISHED);
        gather_hurry(gather);
    }
}

void schedule_send(struct core *core)
{
    if (instant_before(core->now, breaker_ready_at(&core->breaker)))
        return;
    if (core->breaker.state == BREAKER_OPEN) {
        if (!send_probe(core))
            knock(core);
        return;
    }
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++)
        send_turn(core, lane);
}

/* When somebody of this lane will be due, or may go early. */
static instant due_of(struct core *core, enum lane_kind lane)
{
    const struct lanes *lanes = follow_lanes(core, lane);
    unsigned groups = follow_group_mask(lane);
    instant early = instant_max(lanes_next_due(lanes, groups, duration_us(0), EARLY_SHARE),
                                early_ready_at(core, lane));
    instant due = instant_min(ordinary_due(core, lane), early);
    due = instant_max(due, gather_ready_at(&core->lanes[lane].gather));
    return instant_min(due, trust_next_due(core, lane));
}

instant schedule_deadline(struct core *core)
{
    instant deadline = INSTANT_FAR;
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++) {
        if (!may_send(core, lane))
            continue; /* an answer wakes us */
        instant due = due_of(core, lane);
        if (due.us == INSTANT_FAR.us)
            continue;
        instant ready = budget_ready_at(&core->lanes[lane].budget, core->now);
        deadline = instant_min(deadline, instant_max(due, ready));
    }
    return instant_max(deadline, breaker_ready_at(&core->breaker));
}

/* ---- answers ---- */

static void free_request(struct core *core, struct request *request)
{
    request->in_flight = false;
    request->generation++;
    core->free_requests[core->free_count++] = (uint16_t)(request - core->requests);
}

/* Gives the tokens of a request that failed back to their lanes. */
static void put_back(struct core *core, const struct request *request)
{
    /* Back to front: those chosen first are the oldest, and belong before the others. */
    for (int i = request->token_count; i-- > 0;) {
        if (request->withdrawn >> i & 1)
            continue;
        MARK_IF(PUT_BACK, !request->is_trial);
        if (request->is_trial)
            trust_failed(core, request->tokens[i], request->lane);
        else
            follow_put_back(core, request->tokens[i], request->lane);
    }
}

void schedule_withdraw(struct core *core, token_id id)
{
    for (int i = 0; i < REQUESTS_MAX; i++) {
        struct request *request = &core->requests[i];
        for (int k = 0; request->in_flight && k < request->token_count; k++)
            if (request->tokens[k] == id) {
                MARK(WITHDRAWN);
                request->withdrawn |= 1U << k;
            }
    }
}

bool schedule_is_under_way(const struct core *core, token_id id, enum link_family family)
{
    unsigned left = REQUESTS_MAX - core->free_count; /* most of the time few, and the first ones */
    for (int i = 0; left > 0; i++) {
        const struct request *request = &core->requests[i];
        if (!request->in_flight)
            continue;
        left--;
        if (lane_family(request->lane) != family)
            continue;
        for (int k = 0; k < request->token_count; k++)
            if (request->tokens[k] == id && !(request->withdrawn >> k & 1))
                return true;
    }
    return false;
}

/* Refusals and unusable answers are matters of the lane; the others are the breaker's. */
static void strike(struct core *core, const struct request *request, const struct event *event)
{
    struct budget *budget = &core->lanes[request->lane].budget;
    enum feed_outcome outcome = event->answer.outcome;
    struct budget_rest rest = {event->answer.retry_after, DOUBTFUL_REST_FIRST, DOUBTFUL_REST_MOST};
    if (outcome == FEED_RATE_LIMITED || outcome == FEED_FORBIDDEN) {
        rest.first = outcome == FEED_FORBIDDEN ? FORBIDDEN_REST_FIRST : REFUSED_REST_FIRST;
        MARK_IF(REFUSED, outcome == FEED_RATE_LIMITED);
        MARK_IF(FORBIDDEN, outcome == FEED_FORBIDDEN);
        rest.most = REFUSED_REST_MOST;
        budget_refused(budget, request->sent_at, &rest, core->now);
    } else if (breaker_verdict(outcome) == VERDICT_DOUBTFUL) {
        MARK(UNUSABLE);
        budget_strike(budget, request->sent_at, &rest, core->now);
    }
}

static void measure_latency(struct lane_state *lane, duration latency)
{
    double seconds = duration_to_s(latency);
    lane->latency_s = lane->latency_s == 0
                          ? seconds
                          : LATENCY_ALPHA * seconds + (1 - LATENCY_ALPHA) * lane->latency_s;
}

/* For each token of a request, the pairs of the answer that have it as their base. */
struct sorted_answer {
    const struct pair *pairs[REQUEST_ADDRESSES_MAX][REQUEST_ADDRESSES_MAX];
    uint8_t counts[REQUEST_ADDRESSES_MAX];
};

/* Answers keep to the order of requests, nearly always: the search begins at `guess`. */
static int token_with_mint(const struct core *core, const struct request *request,
                           const struct address *mint, int guess)
{
    for (int tried = 0, i = guess; tried < request->token_count; tried++, i++) {
        i = i < request->token_count ? i : 0;
        if (address_equal(&token_slot(core->table, request->tokens[i])->mint, mint))
            return i;
    }
    return -1;
}

/* Returns how many pairs are about tokens that were asked for. */
static size_t sort_answer(struct core *core, const struct request *request,
                          const struct event *event, struct sorted_answer *out)
{
    size_t taken = 0;
    int guess = 0;
    memset(out->counts, 0, sizeof out->counts);
    for (size_t i = 0; i < event->answer.pair_count; i++) {
        const struct pair *pair = &event->answer.pairs[i];
        int token = token_with_mint(core, request, &pair->base, guess);
        if (token < 0) {
            bool as_quote = token_with_mint(core, request, &pair->quote, 0) >= 0;
            MARK_IF(PAIR_QUOTE_SIDE, as_quote);
            MARK_IF(PAIR_NOT_ASKED, !as_quote);
            core->stats.issues[as_quote ? PAIR_QUOTE_SIDE : PAIR_NOT_ASKED]++;
        } else if (out->counts[token] == REQUEST_ADDRESSES_MAX) {
            MARK(PAIR_OVER_LIMIT);
            core->stats.issues[PAIR_OVER_LIMIT]++;
        } else {
            out->pairs[token][out->counts[token]++] = pair;
            guess = token;
            taken++;
        }
    }
    return taken;
}

/* Nothing about tokens that all had data before: told apart, for people to see. */
static bool is_suspiciously_empty(const struct core *core, const struct request *request,
                                  const struct sorted_answer *sorted)
{
    for (int i = 0; i < request->token_count; i++)
        if (sorted->counts[i] > 0 ||
            token_slot(core->table, request->tokens[i])->state.answers == 0)
            return false;
    return true;
}

static void answer_wants(struct core *core, const struct request *request,
                         enum feed_outcome outcome)
{
    if (request->lane == LANE_DISCOVER && request->withdrawn == 0)
        core_reply_waiting(core, request->tokens[0],
                           outcome == FEED_OK ? REPLY_DONE : REPLY_UNAVAILABLE,
                           outcome == FEED_OK ? NULL : feed_outcome_name(outcome));
}

/* True when a suspect has nothing left to prove. An answer that says nothing about it proves
 * nothing, even of one that never had data: it is the data that kills. */
static bool end_trial(struct core *core, const struct request *request,
                      const struct sorted_answer *sorted)
{
    if (!request->is_trial || request->withdrawn != 0)
        return false;
    if (sorted->counts[0] > 0)
        return trust_passed(core, request->tokens[0], request->lane);
    MARK(TRIAL_PROVED_NOTHING);
    trust_failed(core, request->tokens[0], request->lane);
    return false;
}

/* Who is next but one; the pools of the next one, whose slot has come meanwhile. */
static void prefetch_next(const struct core *core, const struct request *request, int i)
{
    if (i + 2 < request->token_count)
        token_prefetch(core->table, request->tokens[i + 2]);
    if (i + 1 < request->token_count)
        __builtin_prefetch(token_pools(core->table, request->tokens[i + 1]), 1);
}

static void take_answer(struct core *core, const struct request *request, const struct event *event)
{
    struct sorted_answer sorted;
    for (int i = 0; i < request->token_count; i++) {
        lanes_prefetch(follow_lanes(core, request->lane), request->tokens[i]);
        token_prefetch_columns(core->table, request->tokens[i]);
        __builtin_prefetch(token_slot(core->table, request->tokens[i]));
    }
    if (sort_answer(core, request, event, &sorted) > 0)
        core->lanes[request->lane].data_at = core->now;
    enum feed_outcome outcome =
        is_suspiciously_empty(core, request, &sorted) ? FEED_EMPTY : FEED_OK;
    MARK_IF(ANSWER_EMPTY, outcome == FEED_EMPTY);
    core->stats.lanes[request->lane].outcomes[outcome]++;
    bool is_cleared = end_trial(core, request, &sorted);
    core->tokens_answered += request->token_count;
    for (int i = 0; i < request->token_count; i++) {
        assert(core_room(core) >= ACTIONS_PER_TOKEN);
        prefetch_next(core, request, i);
        MARK_IF(ANSWER_WITHDRAWN, request->withdrawn >> i & 1);
        if (!(request->withdrawn >> i & 1))
            follow_answered(core, request->tokens[i], request->lane, sorted.pairs[i],
                            sorted.counts[i]);
    }
    answer_wants(core, request, outcome);
    if (is_cleared) /* last: until then it may still have killed us */
        trust_cleared(core, request->tokens[0]);
}

const struct request *schedule_find(const struct core *core, uint64_t handle)
{
    uint32_t index = (uint32_t)handle;
    if (index >= REQUESTS_MAX)
        return NULL;
    const struct request *request = &core->requests[index];
    return request->in_flight && request->generation == (uint32_t)(handle >> 32) ? request : NULL;
}

void schedule_on_answer(struct core *core, const struct event *event)
{
    if (schedule_find(core, event->answer.request) == NULL) {
        MARK(ANSWER_LATE);
        core->stats.late_answers++;
        return;
    }
    struct request *request = &core->requests[(uint32_t)event->answer.request];
    struct lane_state *lane = &core->lanes[request->lane];
    struct lane_stats *stats = &core->stats.lanes[request->lane];
    assert(stats->in_flight > 0);
    stats->in_flight--;
    breaker_ended(core, request, event->answer.outcome, event->answer.retry_after);
    if (event->answer.outcome == FEED_OK) {
        measure_latency(lane, event->answer.latency);
        histogram_add(&stats->latencies, SCALE_DURATIONS, event->answer.latency);
        budget_succeed(&lane->budget, request->sent_at, core->now);
        stats->last_ok_at = core->now;
        take_answer(core, request, event);
    } else {
        stats->outcomes[event->answer.outcome]++;
        strike(core, request, event);
        put_back(core, request);
        gather_hurry(&lane->gather);
        answer_wants(core, request, event->answer.outcome);
    }
    free_request(core, request);
}

/* The shell ends requests at feed_timeout_sec. One that it lost must not keep its tokens. */
void schedule_cancel_overdue(struct core *core)
{
    duration limit = duration_s(core->options.feed_timeout_sec + GRACE_S);
    for (int i = 0; i < REQUESTS_MAX; i++) {
        struct request *request = &core->requests[i];
        if (!request->in_flight || instant_diff(core->now, request->sent_at).us < limit.us ||
            core_room(core) < ACTIONS_FOR_CANCEL)
            continue;
        MARK(CANCELLED);
        MARK_IF(CANCELLED_TRIAL, request->is_trial);
        core_act(core, ACTION_CANCEL)->cancel.request = handle_of(core, request);
        core->stats.lanes[request->lane].in_flight--;
        core->stats.lanes[request->lane].outcomes[FEED_CANCELLED]++;
        breaker_ended(core, request, FEED_CANCELLED, duration_us(0));
        put_back(core, request);
        gather_hurry(&core->lanes[request->lane].gather);
        answer_wants(core, request, FEED_CANCELLED);
        free_request(core, request);
    }
}

/* Tells what is learnt of a limit when it changed, and now and then, since what is known grows old.
 */
static void tell_limit(struct core *core, enum lane_kind lane)
{
    struct lane_state *state = &core->lanes[lane];
    const struct limit *limit = &state->budget.limit;
    double known = limit->is_learned ? limit_learned(limit) : limit->ceiling;
    bool is_changed = known < LIMIT_TOLD_BELOW * state->limit_told ||
                      known > LIMIT_TOLD_ABOVE * state->limit_told ||
                      (known == limit->ceiling && known != state->limit_told);
    bool is_old =
        limit->is_learned && instant_diff(core->now, state->limit_told_at).us > LIMIT_TOLD_EVERY.us;
    MARK_IF(LIMIT_TOLD, is_changed);
    MARK_IF(LIMIT_TOLD_AGAIN, is_old);
    if ((!is_changed && !is_old) || core_room(core) == 0)
        return;
    struct action *action = core_act(core, ACTION_LIMIT);
    action->limit.lane = lane;
    action->limit.before = state->limit_told;
    action->limit.per_minute = known;
    action->limit.configured = limit->ceiling;
    state->limit_told = known;
    state->limit_told_at = core->now;
}

void schedule_learn(struct core *core)
{
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++) {
        budget_grow(&core->lanes[lane].budget, core->now);
        tell_limit(core, lane);
    }
}

/* What was learnt under another configuration says nothing under this one. */
void schedule_on_limit_known(struct core *core, const struct event *event)
{
    struct lane_state *state = &core->lanes[event->limit_known.lane];
    struct budget *budget = &state->budget;
    if (event->limit_known.configured != budget->limit.ceiling)
        return;
    duration age = instant_diff(core->now, event->limit_known.at);
    budget_recall(budget, event->limit_known.per_minute, age, core->now);
    MARK(LIMIT_RECALLED);
    state->limit_told =
        budget->limit.is_learned ? limit_learned(&budget->limit) : budget->limit.ceiling;
    state->limit_told_at = core->now;
}

/* Who wants all pools of a token may be somebody who waits; a budget that is short has nothing to
 * wait for, and a limit is learnt from requests that go evenly. */
static void plan_turns(struct core *core, enum lane_kind lane)
{
    struct lane_state *state = &core->lanes[lane];
    bool is_even = lane == LANE_DISCOVER || !state->is_feasible || state->budget.limit.is_learned;
    double target_s = fmin(core->options.hot_interval_sec, core->options.cold_interval_sec);
    double span_s = is_even ? 0 : gather_span_s(target_s, state->budget.per_second);
    state->gather.span = duration_s(span_s);
    budget_gather(&state->budget, span_s, core->now);
}

void schedule_look_ahead(struct core *core)
{
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++) {
        struct lane_state *state = &core->lanes[lane];
        state->need = need_of(core, lane);
        state->is_feasible = state->need <= state->budget.per_second * FEASIBLE_SHARE;
        MARK_IF(BUDGET_SHORT, !state->is_feasible);
        plan_turns(core, lane);
    }
}

bool schedule_is_silent(const struct core *core)
{
    for (int i = 0; i < LANE_KIND_COUNT; i++)
        if (duration_to_s(instant_diff(core->now, core->lanes[i].data_at)) < SILENCE_S)
            return false;
    MARK(SILENT);
    return true;
}
