/* See ledger.h. */
#include "sim/ledger.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MINUTE          duration_s(60)
#define WISH_PATIENCE_S 300 /* at the calm end, besides those before it */
#define CROWD           256
/* Sooner it asks twice for one reason; later, for want of a successor. */
#define RESTART_ASKED_APART duration_s(60)
#define SCORE_STEP          1e-6 /* they are rounded to it */

bool ledger_init(struct ledger *ledger, struct oracle *oracle, const struct options *options,
                 uint32_t size)
{
    ledger->oracle = oracle;
    ledger->options = options;
    ledger->size = size;
    ledger->restart_asked_at = INSTANT_NEVER;
    ledger->tokens = calloc(size, sizeof *ledger->tokens);
    return ledger->tokens != NULL;
}

void ledger_finish(struct ledger *ledger)
{
    free(ledger->tokens);
    ledger->tokens = NULL;
}

static const struct token_state *state_of(const struct ledger *ledger, token_id id)
{
    return &token_slot(ledger->oracle->table, id)->state;
}

static void take_over(struct ledger *ledger, token_id id)
{
    const struct token_state *state = state_of(ledger, id);
    ledger->tokens[id] = (struct ledger_token){state->checked_at, state->score, state->answers};
}

static bool is_as_before(const struct ledger *ledger, token_id id)
{
    const struct ledger_token *before = &ledger->tokens[id];
    const struct token_state *state = state_of(ledger, id);
    return state->answers == before->answers && state->score == before->score;
}

void ledger_on_start(struct ledger *ledger, uint32_t restored, instant now)
{
    uint32_t others = 0;
    for (token_id id = 1; id <= token_table_count(ledger->oracle->table); id++) {
        others += !is_as_before(ledger, id);
        take_over(ledger, id);
    }
    if (others > restored)
        oracle_complain(ledger->oracle, now, "%u tokens are not as they were, %u were restored",
                        others, restored);
    ledger->request_count = ledger->wish_count = ledger->answered.count = 0;
    ledger->restart_asked_at = INSTANT_NEVER;
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++)
        ledger->sent[lane].count = 0;
}

/* ---- requests ---- */

/* Takes it off the account; a count of 0: there is none. */
static struct ledger_request close_request(struct ledger *ledger, uint64_t handle)
{
    for (size_t i = 0; i < ledger->request_count; i++)
        if (ledger->requests[i].handle == handle) {
            struct ledger_request closed = ledger->requests[i];
            ledger->requests[i] = ledger->requests[--ledger->request_count];
            return closed;
        }
    return (struct ledger_request){.count = 0};
}

static void open_request(struct ledger *ledger, const struct action *action, instant now)
{
    if (ledger->request_count == LEDGER_REQUESTS_MAX) {
        oracle_complain(ledger->oracle, now, "%d requests are under way", LEDGER_REQUESTS_MAX);
        return;
    }
    struct ledger_request *request = &ledger->requests[ledger->request_count++];
    request->handle = action->fetch.request;
    request->count = core_request_tokens(ledger->oracle->core, action->fetch.request, request->ids);
}

static double allowed_per_minute(const struct ledger *ledger, enum lane_kind lane)
{
    const struct options *options = ledger->options;
    double most = lane == LANE_REFRESH  ? options->refresh_requests_per_minute
                  : lane == LANE_SCREEN ? options->screen_requests_per_minute
                                        : options->discover_requests_per_minute;
    return most * (1 - options->budget_headroom_percent / 100);
}

/* How many of the newest went out in the minute before `now`. */
static uint64_t sent_in_minute(const struct ledger_sent *sent, instant now)
{
    uint64_t count = 0, most = sent->count < LEDGER_SENT_MAX ? sent->count : LEDGER_SENT_MAX;
    for (uint64_t i = 1; i <= most; i++) {
        instant at = sent->at[(sent->count - i) % LEDGER_SENT_MAX];
        if (instant_is_never(at))
            continue;
        if (instant_diff(now, at).us >= MINUTE.us)
            break;
        count++;
    }
    return count;
}

static void count_sent(struct ledger *ledger, const struct action *action, instant now)
{
    enum lane_kind lane = action->fetch.lane;
    struct ledger_sent *sent = &ledger->sent[lane];
    uint64_t place = sent->count++ % LEDGER_SENT_MAX;
    sent->handles[place] = action->fetch.request;
    sent->at[place] = now;
    uint64_t count = sent_in_minute(sent, now);
    if ((double)count > ceil(allowed_per_minute(ledger, lane)))
        oracle_complain(ledger->oracle, now, "%s sent %llu requests in a minute",
                        lane_kind_name(lane), (unsigned long long)count);
}

static void forget_sent(struct ledger *ledger, uint64_t handle)
{
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++) {
        struct ledger_sent *sent = &ledger->sent[lane];
        for (uint64_t i = 0; i < LEDGER_SENT_MAX && i < sent->count; i++)
            if (sent->handles[i] == handle)
                sent->at[i] = INSTANT_NEVER;
    }
}

/* ---- tokens ---- */

static bool may_be_refreshed(const struct ledger *ledger, token_id id)
{
    for (size_t i = 0; i < ledger->answered.count; i++)
        if (ledger->answered.ids[i] == id)
            return true;
    return false;
}

static void check_score(const struct ledger *ledger, token_id id, instant now)
{
    const struct ledger_token *before = &ledger->tokens[id];
    const struct token_state *state = state_of(ledger, id);
    double alpha = ledger->options->ewma_alpha, expected = state->score_raw;
    if (before->answers > 0)
        expected = alpha * state->score_raw + (1 - alpha) * before->score;
    if (fabs(state->score - expected) > 2 * SCORE_STEP)
        oracle_complain(ledger->oracle, now, "token %u has score %.6f and not %.6f", id,
                        state->score, expected);
}

/* A sweep that works out all scores again may come in the same step as an answer. */
static bool is_recalculating(const struct ledger *ledger, const struct event *event)
{
    const struct job_stats *job = &core_stats(ledger->oracle->core)->jobs[JOB_RECALCULATE];
    return event->kind == EVENT_JOB_WANTED || !instant_is_never(job->running_since);
}

static void check_save(struct ledger *ledger, const struct event *event, token_id id, instant now)
{
    if (id == TOKEN_NONE || id >= ledger->size)
        return;
    const struct ledger_token *before = &ledger->tokens[id];
    const struct token_state *state = state_of(ledger, id);
    if (state->checked_at.us == now.us && before->checked_at.us != now.us &&
        !may_be_refreshed(ledger, id))
        oracle_complain(ledger->oracle, now, "token %u counts as refreshed without an answer", id);
    bool is_scored = state->answers != before->answers || state->score != before->score;
    if (is_scored && !is_recalculating(ledger, event))
        check_score(ledger, id, now);
    take_over(ledger, id);
}

/* FACTS 3, from the names of what the pools are on. */
static bool qualifies(const struct ledger *ledger, token_id id)
{
    const struct token_table *table = ledger->oracle->table;
    const struct pool *pools = token_pools(table, id);
    int own = 0, external = 0;
    for (int i = 0; i < token_slot(table, id)->pool_count; i++) {
        const char *dex = token_table_dex_name(table, pools[i].dex);
        const char *quote = token_table_quote_name(table, pools[i].quote);
        bool is_curve = strcmp(dex, "pumpfun") == 0 || strcmp(dex, "launchlab") == 0;
        bool is_own = is_curve || strcmp(dex, "pumpfun-amm") == 0 || strcmp(dex, "pumpswap") == 0;
        bool is_sol = strcmp(quote, "SOL") == 0 || strcmp(quote, "WSOL") == 0;
        bool is_counted = !is_curve && (is_sol || strcmp(quote, "USDC") == 0);
        own += is_own && strcmp(dex, "launchlab") != 0 && is_sol;
        external += is_counted && !is_own &&
                    pools[i].liquidity_usd >= ledger->options->activation_min_liquidity_usd;
    }
    return external >= 2 || (own >= 1 && external >= 1);
}

static void check_change(struct ledger *ledger, const struct action *action, instant now)
{
    token_id id = action->history.id;
    const char *event = action->history.event;
    if (strcmp(event, "added") == 0 && id < ledger->size)
        ledger->tokens[id] = (struct ledger_token){.answers = 0}; /* who had its id is lost */
    bool is_up = strcmp(event, "activated") == 0 || strcmp(event, "reactivated") == 0;
    if ((is_up && !qualifies(ledger, id)) ||
        (strcmp(event, "demoted") == 0 && qualifies(ledger, id)))
        oracle_complain(ledger->oracle, now, "token %u was %s, which its pools do not call for", id,
                        event);
}

/* ---- wishes ---- */

static void open_wish(struct ledger *ledger, uint64_t tag, instant now)
{
    if (ledger->wish_count == LEDGER_WISHES_MAX)
        oracle_complain(ledger->oracle, now, "%d clients wait for a reply", LEDGER_WISHES_MAX);
    else if (tag != 0)
        ledger->wishes[ledger->wish_count++] =
            (struct ledger_wish){tag, now, ledger->sent[LANE_DISCOVER].count};
}

static void close_wish(struct ledger *ledger, uint64_t tag)
{
    for (size_t i = 0; i < ledger->wish_count; i++)
        if (ledger->wishes[i].tag == tag) {
            ledger->wishes[i] = ledger->wishes[--ledger->wish_count];
            return;
        }
}

/* ---- the interface ---- */

void ledger_on_event(struct ledger *ledger, const struct event *event)
{
    ledger->answered.count = 0;
    if (event->kind == EVENT_REFRESH_WANTED)
        open_wish(ledger, event->refresh_wanted.tag, event->now);
    if (event->kind != EVENT_ANSWER)
        return;
    ledger->answered = close_request(ledger, event->answer.request);
    if (event->answer.outcome != FEED_OK)
        ledger->answered.count = 0;
    if (event->answer.outcome == FEED_RATE_LIMITED || event->answer.outcome == FEED_FORBIDDEN)
        forget_sent(ledger, event->answer.request);
}

void ledger_on_actions(struct ledger *ledger, const struct event *event,
                       const struct actions *actions)
{
    instant now = actions->now;
    for (size_t i = 0; i < actions->count; i++) {
        const struct action *action = &actions->items[i];
        if (action->kind == ACTION_SAVE)
            check_save(ledger, event, action->save.id, now);
        else if (action->kind == ACTION_HISTORY)
            check_change(ledger, action, now);
        else if (action->kind == ACTION_CANCEL)
            (void)close_request(ledger, action->cancel.request);
        else if (action->kind == ACTION_REPLY)
            close_wish(ledger, action->reply.tag);
        else if (action->kind == ACTION_FETCH) {
            open_request(ledger, action, now);
            count_sent(ledger, action, now);
        } else if (action->kind == ACTION_RESTART) {
            if (!instant_is_never(ledger->restart_asked_at) &&
                instant_diff(now, ledger->restart_asked_at).us < RESTART_ASKED_APART.us)
                oracle_complain(ledger->oracle, now, "one engine asked twice to be restarted");
            ledger->restart_asked_at = now;
        }
    }
    if (ledger->wish_count > CROWD)
        oracle_complain(ledger->oracle, now, "%zu clients wait, of whom some got no reply",
                        ledger->wish_count);
}

void ledger_on_end(struct ledger *ledger, instant now)
{
    /* As many as may wait, one request each, at the pace that the upstream lets us. */
    const struct core_stats *stats = core_stats(ledger->oracle->core);
    double crowd_s = CROWD * 60 / stats->lanes[LANE_DISCOVER].allowed_per_minute;
    duration patience = duration_s(WISH_PATIENCE_S + 1.5 * crowd_s);
    for (size_t i = 0; i < ledger->wish_count; i++) {
        const struct ledger_wish *wish = &ledger->wishes[i];
        uint64_t sent = ledger->sent[LANE_DISCOVER].count - wish->sent;
        /* A limit that was learnt may have risen only lately. */
        bool is_in_turn = sent > 0 && sent <= CROWD;
        if (instant_diff(now, wish->at).us > patience.us && !is_in_turn)
            oracle_complain(ledger->oracle, now, "a client has waited for a reply for %.1f s",
                            duration_to_s(instant_diff(now, wish->at)));
    }
}
