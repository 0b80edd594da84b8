/*
 * The core as its shell sees it: events in, actions out. Each test reads like a log: seconds since
 * the start, and what the core did. Tokens are letters, their pools letters with a number.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/core.h"
#include "core/state.h"
#include "core/trial.h"
#include "page/table_memory.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START         ((instant){1750000000000000LL})
#define LATENCY_S     0.1
#define TRACE_SIZE    16384
#define PENDING_MAX   1024
#define TOKENS_AT_ALL 256
#define HOUR_S        3600.0
#define ALLOWED_MAX   256

#define CHECKED_A_STEP 64 /* more in the world of a test take too long */

/* What a trace shows, a bit each. */
enum {
    SHOW_FETCH = 1,
    SHOW_STORE = 2,
    SHOW_HISTORY = 4,
    SHOW_REPLY = 8,
    SHOW_JOBS = 16,
    SHOW_HEALING = 32,
    SHOW_JOB_STATES = 64,
    SHOW_TOKENS = 128, /* of requests for pools: each token once */
    SHOW_LIMITS = 256,
    SHOW_ALERTS = 512
};

/* What the upstream knows of a token. */
enum market {
    MARKET_NONE,    /* nothing: answers are empty */
    MARKET_QUIET,   /* one pumpswap pool, no trades */
    MARKET_TRADED,  /* the same pool, traded */
    MARKET_ALIVE,   /* and a raydium pool with liquidity: qualifies */
    MARKET_DRAINED, /* the raydium pool has run dry, no trades */
};

struct pending {
    uint64_t request;
    enum lane_kind lane;
    size_t count;
    struct address addresses[REQUEST_ADDRESSES_MAX];
    instant sent_at;
};

static struct {
    struct table_memory memory;
    struct core *core;
    struct options options;
    struct actions actions;
    instant now;
    unsigned show;
    token_id checked; /* the last of check_lanes() */
    char trace[TRACE_SIZE];
    size_t trace_length;
    struct pending pending[PENDING_MAX];
    size_t pending_count;
    enum market markets[TOKENS_AT_ALL];
    enum feed_outcome outcome;     /* of what answer_all() answers */
    unsigned allowed;              /* > 0: requests in any minute, of all kinds together */
    instant accepted[ALLOWED_MAX]; /* the last ones, in turn */
    uint64_t accepted_count, refused_count;
    bool jobs_hang, has_run[JOB_COUNT];
    uint64_t runs[JOB_COUNT];  /* the newest of each */
    struct alert_message told; /* the newest */
} world;

/* ---- the world ---- */

static void set_option(const char *name, const char *value)
{
    char why[OPTION_MESSAGE_SIZE];
    if (options_set(&world.options, name, value, OPTION_FROM_STORE, why) != OK)
        fail_msg("%s", why);
}

static void set_process_option(const char *name, const char *value)
{
    char why[OPTION_MESSAGE_SIZE];
    if (options_set(&world.options, name, value, OPTION_FROM_COMMAND_LINE, why) != OK)
        fail_msg("%s", why);
}

static struct address mint_of(unsigned n)
{
    return (struct address){{(uint8_t)n, 0, 7, (uint8_t)(n >> 8)}};
}

static struct address pool_of(unsigned n, unsigned pool)
{
    return (struct address){{(uint8_t)n, (uint8_t)pool, 7}};
}

static double seconds(instant t)
{
    return duration_to_s(instant_diff(t, START));
}

static instant at(double s)
{
    return instant_add(START, duration_s(s));
}

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(world.trace + world.trace_length, TRACE_SIZE - world.trace_length, format,
                      arguments);
    va_end(arguments);
    assert_true(n >= 0 && (size_t)n < TRACE_SIZE - world.trace_length);
    world.trace_length += (size_t)n;
}

static void say_when(void)
{
    say("%8.2f  ", seconds(world.actions.now));
}

static char letter_of(token_id id)
{
    return (char)token_slot(world.memory.table, id)->mint.bytes[0];
}

static void say_tokens(const struct action *action)
{
    uint8_t last = 0;
    say_when();
    say("%s", lane_kind_name(action->fetch.lane));
    for (size_t i = 0; i < action->fetch.count; i++) {
        uint8_t letter = action->fetch.addresses[i].bytes[0];
        if (letter != last)
            say(" %c", letter);
        last = letter;
    }
    say("\n");
}

static void on_fetch(const struct action *action)
{
    struct pending *pending = &world.pending[world.pending_count++];
    assert_true(world.pending_count < PENDING_MAX);
    pending->request = action->fetch.request;
    pending->lane = action->fetch.lane;
    pending->count = action->fetch.count;
    pending->sent_at = world.actions.now;
    memcpy(pending->addresses, action->fetch.addresses,
           action->fetch.count * sizeof(struct address));
    if (world.show & SHOW_TOKENS)
        say_tokens(action);
    if (!(world.show & SHOW_FETCH))
        return;
    say_when();
    say("%s", lane_kind_name(action->fetch.lane));
    for (size_t i = 0; i < action->fetch.count; i++) {
        const uint8_t *bytes = action->fetch.addresses[i].bytes;
        if (bytes[1] == 0)
            say(" %c", bytes[0]);
        else
            say(" %c%d", bytes[0], bytes[1]);
    }
    say("\n");
}

static void on_reply(const struct action *action)
{
    static const char *const names[] = {"created", "known", "done", "not found", "unavailable"};
    if (!(world.show & SHOW_REPLY))
        return;
    say_when();
    say("reply %d: %s", (int)action->reply.tag, names[action->reply.result]);
    if (action->reply.result == REPLY_DONE)
        say(", snapshot %d, score %.3f", (int)action->reply.snapshot_id, action->reply.score);
    if (action->reply.message != NULL)
        say(", %s", action->reply.message);
    say("\n");
}

static void on_store(const struct action *action)
{
    if (!(world.show & SHOW_STORE))
        return;
    say_when();
    if (action->kind == ACTION_ADD_TOKEN)
        say("add %c\n", letter_of(action->add_token.id));
    else if (action->kind == ACTION_SAVE)
        say("save %c\n", letter_of(action->save.id));
    else
        say("snapshot %d of %c after %d: %.3f\n", (int)action->snapshot.snapshot_id,
            letter_of(action->snapshot.id), (int)action->snapshot.previous,
            token_slot(world.memory.table, action->snapshot.id)->state.score);
}

static void on_history(const struct action *action)
{
    if (!(world.show & SHOW_HISTORY))
        return;
    say_when();
    say("%c %s: %s\n", letter_of(action->history.id), action->history.event,
        action->history.reason);
}

/* Runs outside end at once, unless they hang. */
static void on_job(const char *what, enum job job, uint64_t run)
{
    world.runs[job] = run;
    world.has_run[job] = true;
    if (!(world.show & SHOW_JOBS))
        return;
    say_when();
    say("%s\n", what);
}

static void on_job_cancel(const struct action *action)
{
    if (!(world.show & SHOW_JOBS))
        return;
    say_when();
    say("cancel %s, run %d\n", job_name(action->job_cancel.job), (int)action->job_cancel.run);
}

static void on_alert(const struct action *action)
{
    const struct alert_message *message = action->alert.message;
    world.told = *message;
    if (!(world.show & SHOW_ALERTS))
        return;
    say_when();
    say("alert %s:", alert_message_kind_name(message->kind));
    for (size_t i = 0; i < message->count; i++)
        say(" %s %s", alert_change_name(message->of[i].change),
            finding_name(message->of[i].finding.cause));
    if (action->alert.tag != 0)
        say(" tag %llu", (unsigned long long)action->alert.tag);
    say("\n");
}

static void on_limit(const struct action *action)
{
    if (!(world.show & SHOW_LIMITS))
        return;
    say_when();
    say("limit of %s: %.0f → %.0f of %.0f\n", lane_kind_name(action->limit.lane),
        action->limit.before, action->limit.per_minute, action->limit.configured);
}

static void on_transition(const struct action *action)
{
    enum transition what = action->transition.what;
    if (!(world.show & (what == TRANSITION_JOB ? SHOW_JOB_STATES : SHOW_HEALING)))
        return;
    say_when();
    say("%s", transition_name(what));
    if (what == TRANSITION_JOB)
        say(" %s", job_name((enum job)action->transition.id));
    else if (action->transition.id != 0)
        say(" %c", letter_of(action->transition.id));
    say(": %s → %s\n", transition_state_name(what, action->transition.from),
        transition_state_name(what, action->transition.to));
}

static void drop_pending(size_t i)
{
    world.pending_count--;
    memmove(&world.pending[i], &world.pending[i + 1],
            (world.pending_count - i) * sizeof *world.pending);
}

static void on_cancel(const struct action *action)
{
    for (size_t i = 0; i < world.pending_count; i++)
        if (world.pending[i].request == action->cancel.request) {
            if (world.show & SHOW_FETCH) {
                say_when();
                say("cancel %s\n", lane_kind_name(world.pending[i].lane));
            }
            drop_pending(i);
            return;
        }
    fail_msg("cancelled what was not sent");
}

static void perform(const struct action *action)
{
    switch (action->kind) {
    case ACTION_FETCH:
        on_fetch(action);
        return;
    case ACTION_CANCEL:
        on_cancel(action);
        return;
    case ACTION_ADD_TOKEN:
    case ACTION_SAVE:
    case ACTION_SNAPSHOT:
        on_store(action);
        return;
    case ACTION_HISTORY:
        on_history(action);
        return;
    case ACTION_REPLY:
        on_reply(action);
        return;
    case ACTION_EXPORT:
        on_job("export", JOB_EXPORT, action->export.run);
        return;
    case ACTION_RETENTION:
        on_job("retention", JOB_RETENTION, action->retention.run);
        return;
    case ACTION_JOB_CANCEL:
        on_job_cancel(action);
        return;
    case ACTION_RESTART:
        if (world.show & SHOW_JOBS) {
            say_when();
            say("restart: %s\n", action->restart.reason);
        }
        return;
    case ACTION_SUSPECT_CLEARED:
        if (world.show & SHOW_HEALING) {
            say_when();
            say("cleared %c\n", letter_of(action->suspect_cleared.id));
        }
        return;
    case ACTION_ALERT:
        on_alert(action);
        return;
    case ACTION_LIMIT:
        on_limit(action);
        return;
    case ACTION_TRANSITION:
        on_transition(action);
        return;
    case ACTION_KIND_COUNT:
        break;
    }
    fail_msg("no such action");
}

/* Everybody stands in its lanes or is under way, after every step. Of many, some have their turn.
 */
static void check_lanes(void)
{
    token_id count = token_table_count(world.memory.table);
    for (token_id i = 0; i < count && i < CHECKED_A_STEP; i++) {
        world.checked = world.checked % count + 1;
        if (!(token_slot(world.memory.table, world.checked)->flags & TOKEN_HOLE))
            assert_true(core_holds_token(world.core, world.checked));
    }
}

static void step(struct event event)
{
    event.now = world.now;
    core_step(world.core, &event, &world.actions);
    for (size_t i = 0; i < world.actions.count; i++)
        perform(&world.actions.items[i]);
    check_lanes();
}

static void finish_job(enum job job, uint64_t run)
{
    step((struct event){.kind = EVENT_JOB_DONE, .job_done = {job, run}});
}

static void finish_jobs(void)
{
    for (int job = 0; job < JOB_COUNT && !world.jobs_hang; job++)
        if (world.has_run[job]) {
            world.has_run[job] = false;
            finish_job(job, world.runs[job]);
        }
}

static void start(void)
{
    world.core = core_init(world.core, world.memory.table, &world.options, 0, world.now);
    core_start_alone(world.core, NULL);
    world.pending_count = 0;
}

static int set_up(void **state)
{
    (void)state;
    int error;
    memset(&world, 0, sizeof world);
    assert_true(table_memory_init(&world.memory, 64, &error));
    world.core = malloc(core_size());
    assert_non_null(world.core);
    world.now = START;
    world.show = SHOW_FETCH | SHOW_STORE | SHOW_HISTORY | SHOW_REPLY;
    options_init(&world.options);
    set_option("w_fresh", "0"); /* quiet tokens score nothing */
    start();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(world.core);
    table_memory_finish(&world.memory);
    return 0;
}

/* ---- answers ---- */

static void set_pair(struct pair *pair, unsigned n, unsigned pool, enum market market)
{
    bool traded = market == MARKET_TRADED || market == MARKET_ALIVE;
    memset(pair, 0, sizeof *pair);
    pair->base = mint_of(n);
    pair->pool = pool_of(n, pool);
    pair->quote = mint_of(200);
    snprintf(pair->base_name, sizeof pair->base_name, "Token %c", (char)n);
    snprintf(pair->base_symbol, sizeof pair->base_symbol, "%c", (char)n);
    strcpy(pair->quote_symbol, "SOL");
    strcpy(pair->dex, pool == 1 ? "pumpswap" : "raydium");
    pair->liquidity_usd = pool == 1 ? 20000 : market == MARKET_DRAINED ? 10 : 9000;
    pair->price_usd = 0.001;
    pair->market_cap_usd = pair->change_m15_percent = NAN;
    pair->change_m5_percent = traded ? 3 : NAN;
    pair->change_h1_percent = traded ? 8 : NAN;
    pair->buys_m5 = traded ? 120 : 0;
    pair->sells_m5 = traded ? 60 : 0;
    pair->buys_h1 = traded ? 900 : 0;
    pair->sells_h1 = traded ? 500 : 0;
    pair->volume_m5_usd = traded ? 3000 : 0;
    pair->volume_h1_usd = traded ? 24000 : 0;
}

static unsigned pools_in(enum market market)
{
    return market == MARKET_NONE ? 0 : market >= MARKET_ALIVE ? 2 : 1;
}

static size_t market_answer(const struct pending *pending, struct pair *out)
{
    size_t count = 0;
    for (size_t i = 0; i < pending->count; i++) {
        unsigned n = pending->addresses[i].bytes[0], pool = pending->addresses[i].bytes[1];
        enum market market = world.markets[n];
        unsigned pools = pools_in(market);
        if (pending->lane == LANE_REFRESH) {
            if (pool <= pools)
                set_pair(&out[count++], n, pool, market);
        } else {
            for (pool = 1; pool <= (pending->lane == LANE_SCREEN && pools > 0 ? 1 : pools); pool++)
                set_pair(&out[count++], n, pool, market);
        }
    }
    return count;
}

static void answer_raw(uint64_t request, const struct pair *pairs, size_t count)
{
    step((struct event){.kind = EVENT_ANSWER,
                        .answer = {.request = request,
                                   .outcome = FEED_OK,
                                   .latency = duration_s(LATENCY_S),
                                   .pairs = pairs,
                                   .pair_count = count}});
}

static void fail_raw(uint64_t request, enum feed_outcome outcome, double retry_after_s)
{
    step((struct event){.kind = EVENT_ANSWER,
                        .answer = {.request = request,
                                   .outcome = outcome,
                                   .retry_after = duration_s(retry_after_s)}});
}

/* An upstream that counts the last minute exactly. */
static bool is_admitted(void)
{
    if (world.allowed == 0)
        return true;
    instant oldest = world.accepted_count < world.allowed
                         ? INSTANT_NEVER
                         : world.accepted[(world.accepted_count - world.allowed) % ALLOWED_MAX];
    bool is_full =
        !instant_is_never(oldest) && instant_diff(world.now, oldest).us < 60 * INT64_C(1000000);
    if (is_full)
        world.refused_count++;
    else
        world.accepted[world.accepted_count++ % ALLOWED_MAX] = world.now;
    return !is_full;
}

static void answer_first(void)
{
    struct pair pairs[REQUEST_ADDRESSES_MAX * 2];
    struct pending first = world.pending[0];
    drop_pending(0);
    if (world.outcome == FEED_OK && !is_admitted())
        fail_raw(first.request, FEED_RATE_LIMITED, 0);
    else if (world.outcome == FEED_OK)
        answer_raw(first.request, pairs, market_answer(&first, pairs));
    else
        fail_raw(first.request, world.outcome, 0);
}

/* Time passes; requests are answered after the latency unless `outcome` says that they are lost. */
#define OUTCOME_LOST FEED_OUTCOME_COUNT
static void run_until(double s)
{
    while (true) {
        instant next = core_deadline(world.core, world.now);
        bool answers = world.pending_count > 0 && world.outcome != OUTCOME_LOST;
        instant answered = INSTANT_FAR;
        if (answers)
            answered = instant_add(world.pending[0].sent_at, duration_s(LATENCY_S));
        bool answer_next = answers && answered.us <= next.us;
        if (answer_next)
            next = answered;
        if (next.us > at(s).us)
            break;
        world.now = instant_max(world.now, next);
        if (answer_next)
            answer_first();
        else
            step((struct event){.kind = EVENT_TIME});
        finish_jobs();
    }
    world.now = instant_max(world.now, at(s));
}

/* ---- what is asked of the core ---- */

static void see(unsigned n, uint64_t tag)
{
    step((struct event){.kind = EVENT_TOKEN_SEEN,
                        .token_seen = {.mint = mint_of(n), .name = "", .symbol = "", .tag = tag}});
}

static void make_durable(token_id id, uint64_t tag)
{
    step((struct event){.kind = EVENT_TOKEN_DURABLE, .token_durable = {.id = id, .tag = tag}});
}

static void want(unsigned n, uint64_t tag)
{
    step((struct event){.kind = EVENT_REFRESH_WANTED,
                        .refresh_wanted = {.mint = mint_of(n), .tag = tag}});
}

static void change_option(const char *name, const char *value)
{
    set_option(name, value);
    step((struct event){.kind = EVENT_OPTIONS, .options = {&world.options}});
}

static void run_job(enum job job)
{
    step((struct event){.kind = EVENT_JOB_WANTED, .job_wanted = {job}});
    finish_jobs();
}

static void suspect(token_id id, enum lane_kind kind)
{
    step((struct event){.kind = EVENT_SUSPECT, .suspect = {id, kind}});
}

static void quarantine(token_id id)
{
    step((struct event){.kind = EVENT_QUARANTINE, .quarantine = {id}});
}

static void release(token_id id)
{
    step((struct event){.kind = EVENT_RELEASE, .release = {id}});
}

/* A token as a start finds it: answered `age_s` ago, discovered just as long ago. */
static token_id preload(unsigned n, enum token_status status, double age_s, double hours_old)
{
    struct address mint = mint_of(n);
    token_id id = token_table_add(world.memory.table, &mint);
    assert_int_not_equal(id, TOKEN_NONE);
    struct token *draft = token_write_begin(world.memory.table, id);
    struct pool pools[] = {
        {.address = pool_of(n, 1), .liquidity_usd = 20000, .flags = POOL_COUNTS | POOL_PUMP_SOL},
        {.address = pool_of(n, 2), .liquidity_usd = 9000, .flags = POOL_COUNTS | POOL_EXTERNAL}};
    draft->status = (uint8_t)status;
    draft->flags = TOKEN_DURABLE;
    draft->created_at = instant_add(world.now, duration_s(-hours_old * HOUR_S));
    draft->state.checked_at = instant_add(world.now, duration_s(-age_s));
    draft->state.fetched_at = draft->state.discovered_at = draft->state.checked_at;
    draft->state.answers = 1;
    draft->state.snapshot_id = 100 + id;
    assert_true(token_draft_set_pools(world.memory.table, pools, status == TOKEN_ACTIVE ? 2 : 1));
    token_write_end(world.memory.table, id);
    world.markets[n % TOKENS_AT_ALL] = status == TOKEN_ACTIVE ? MARKET_ALIVE : MARKET_QUIET;
    return id;
}

static const struct token_state *state_of(token_id id)
{
    return &token_slot(world.memory.table, id)->state;
}

static void forget_trace(void)
{
    world.trace_length = 0;
    world.trace[0] = '\0';
}

static void expect_trace(const char *wanted)
{
    if (strcmp(world.trace, wanted) != 0)
        fail_msg("the trace is\n%s---- and not\n%s----", world.trace, wanted);
    forget_trace();
}

static const struct lane_stats *lane(enum lane_kind kind)
{
    return &core_stats(world.core)->lanes[kind];
}

/* ---- a life ---- */

static void a_whole_life(void **state)
{
    (void)state;
    world.markets['A'] = MARKET_QUIET;
    set_option("monitoring_timeout_hours", "0.5");
    set_option("archiver_interval_sec", "60");
    start();
    see('A', 7);
    make_durable(1, 7);
    run_until(10);
    expect_trace("    0.00  A added: seen\n"
                 "    0.00  add A\n"
                 "    0.00  discover A\n"
                 "    0.00  reply 7: created\n"
                 "    0.10  save A\n"
                 "    0.10  snapshot 1 of A after 0: 0.000\n");

    /* Screened every 45 s, sent a little early to arrive on time. */
    world.show = SHOW_FETCH;
    run_until(95);
    expect_trace("   45.09  screen A\n"
                 "   90.08  screen A\n");

    /* Trades show: its score makes it hot, with pools: refreshed; and discovered, as it came alive.
     */
    world.markets['A'] = MARKET_TRADED;
    world.show = SHOW_FETCH | SHOW_HISTORY;
    run_until(170);
    expect_trace("  135.07  screen A\n"
                 "  135.17  discover A\n"
                 "  150.26  refresh A1\n"
                 "  165.25  refresh A1\n");

    /* A second pool with liquidity is found by the discovery that follows in turn, or is wished. */
    world.markets['A'] = MARKET_ALIVE;
    world.show = SHOW_HISTORY;
    want('A', 0);
    run_until(200);
    expect_trace("  170.10  A activated: qualifies\n");
    world.show = SHOW_FETCH | SHOW_HISTORY;
    run_until(230);
    expect_trace("  214.97  refresh A1 A2\n"
                 "  229.96  refresh A1 A2\n");

    /* It runs dry: back to monitoring, and to the archive when it is old. */
    world.markets['A'] = MARKET_DRAINED;
    world.show = SHOW_HISTORY;
    run_until(2000);
    expect_trace("  230.06  A demoted: no_longer_qualifies\n"
                 " 1860.00  A archived: monitoring_timeout\n");
    world.show = SHOW_FETCH;
    run_until(5000);
    expect_trace(" 2719.87  screen A\n"
                 " 3619.86  screen A\n"
                 " 4519.85  screen A\n");

    /* Screened with what is left over, it comes alive again. */
    world.markets['A'] = MARKET_ALIVE;
    world.show = SHOW_FETCH | SHOW_HISTORY;
    run_until(5450);
    expect_trace(" 5419.84  screen A\n"
                 " 5419.94  discover A\n"
                 " 5420.04  A reactivated: came_alive\n"
                 " 5434.93  refresh A1 A2\n"
                 " 5449.92  refresh A1 A2\n");
    assert_int_equal(core_stats(world.core)->reactivated, 1);
}

/* ---- answers ---- */

static void takes_only_what_it_asked_for(void **state)
{
    (void)state;
    world.show = SHOW_STORE;
    see('A', 0);
    struct pair pairs[4];
    set_pair(&pairs[0], 'A', 1, MARKET_QUIET);
    set_pair(&pairs[1], 'B', 1, MARKET_ALIVE); /* nobody asked */
    set_pair(&pairs[2], 'C', 1, MARKET_ALIVE); /* A is its quote: prices C */
    pairs[2].quote = mint_of('A');
    set_pair(&pairs[3], 'A', 2, MARKET_DRAINED);
    answer_raw(world.pending[0].request, pairs, 4);
    expect_trace("    0.00  add A\n"
                 "    0.00  save A\n"
                 "    0.00  snapshot 1 of A after 0: 0.000\n");
    assert_int_equal(core_stats(world.core)->issues[PAIR_NOT_ASKED], 1);
    assert_int_equal(core_stats(world.core)->issues[PAIR_QUOTE_SIDE], 1);
    assert_int_equal(token_table_count(world.memory.table), 1);
    assert_int_equal(token_slot(world.memory.table, 1)->pool_count, 2);
    assert_true(state_of(1)->metrics.liquidity_usd == 20000);
    assert_string_equal(token_slot(world.memory.table, 1)->name, "Token A");
}

static void counts_pairs_beyond_thirty(void **state)
{
    (void)state;
    see('A', 0);
    struct pair pairs[REQUEST_ADDRESSES_MAX + 3];
    for (unsigned i = 0; i < REQUEST_ADDRESSES_MAX + 3; i++)
        set_pair(&pairs[i], 'A', i + 1, MARKET_ALIVE);
    answer_raw(world.pending[0].request, pairs, REQUEST_ADDRESSES_MAX + 3);
    assert_int_equal(core_stats(world.core)->issues[PAIR_OVER_LIMIT], 3);
    assert_int_equal(token_slot(world.memory.table, 1)->pool_count, POOLS_MAX);
    world.pending_count = 0;
    forget_trace();
    /* Thirty pools make a full request. */
    run_until(15.5);
    assert_int_equal(world.pending[0].lane, LANE_REFRESH);
    assert_int_equal(world.pending[0].count, REQUEST_ADDRESSES_MAX);
}

static void the_same_pool_twice_counts_once(void **state)
{
    (void)state;
    see('A', 0);
    struct pair pairs[2];
    set_pair(&pairs[0], 'A', 1, MARKET_QUIET);
    set_pair(&pairs[1], 'A', 1, MARKET_QUIET);
    answer_raw(world.pending[0].request, pairs, 2);
    assert_int_equal(token_slot(world.memory.table, 1)->pool_count, 1);
}

static void an_empty_answer_is_no_evidence(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 14, 1);
    start();
    world.show = SHOW_FETCH | SHOW_STORE | SHOW_HISTORY;
    world.markets['A'] = MARKET_NONE;
    double before = state_of(1)->score;
    instant fetched = state_of(1)->fetched_at;
    run_until(20);
    expect_trace("    0.99  refresh A1 A2\n"
                 "    1.09  save A\n"
                 "   15.98  refresh A1 A2\n"
                 "   16.08  save A\n");
    assert_true(state_of(1)->score == before);
    assert_int_equal(state_of(1)->fetched_at.us, fetched.us);
    assert_int_equal(token_slot(world.memory.table, 1)->status, TOKEN_ACTIVE);
    assert_int_equal(token_slot(world.memory.table, 1)->pool_count, 2);
    assert_true(lane(LANE_REFRESH)->outcomes[FEED_EMPTY] > 0);
    assert_true(core_stats(world.core)->without_data > 0);
}

static void a_pool_that_is_missing_is_remembered_until_discovery(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 14, 1);
    start();
    world.markets['A'] = MARKET_QUIET; /* the second pool is gone */
    world.show = SHOW_HISTORY;
    run_until(5);
    assert_int_equal(token_slot(world.memory.table, 1)->pool_count, 2);
    assert_false(token_pools(world.memory.table, 1)[0].flags & POOL_MISSING);
    assert_true(token_pools(world.memory.table, 1)[1].flags & POOL_MISSING);
    expect_trace("");
    want('A', 0);
    run_until(6);
    assert_int_equal(token_slot(world.memory.table, 1)->pool_count, 1);
    expect_trace("    5.10  A demoted: no_longer_qualifies\n");
}

static void a_screening_that_shows_another_main_pool_asks_for_all(void **state)
{
    (void)state;
    preload('A', TOKEN_MONITORING, 100, 1);
    start();
    world.outcome = OUTCOME_LOST;
    run_until(0.1);
    world.show = SHOW_FETCH | SHOW_HISTORY;
    struct pair pair;
    set_pair(&pair, 'A', 9, MARKET_QUIET);
    answer_raw(world.pending[0].request, &pair, 1);
    assert_int_equal(token_slot(world.memory.table, 1)->pool_count, 2);
    assert_true(token_slot(world.memory.table, 1)->flags & TOKEN_POOLS_CHANGED);
    run_until(0.2);
    expect_trace("    0.00  screen A\n"
                 "    0.10  A activated: qualifies\n"
                 "    0.10  discover A\n");
}

static void pools_that_all_vanish_are_looked_for(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 100, 1);
    start();
    world.markets['A'] = MARKET_NONE;
    world.show = SHOW_FETCH | SHOW_HISTORY;
    run_until(1);
    expect_trace("    0.00  refresh A1 A2\n"
                 "    0.10  discover A\n");
}

static void pools_that_find_no_room_stay_as_they_were(void **state)
{
    (void)state;
    struct pair pairs[REQUEST_ADDRESSES_MAX];
    set_option("cold_interval_sec", "86400"); /* nothing but discoveries */
    start();
    world.outcome = OUTCOME_LOST;
    world.show = 0;
    unsigned room = token_table_capacity(world.memory.table);
    for (unsigned n = 1; n <= room; n++)
        see(256 + n, 0);
    for (unsigned answered = 0; answered < room; answered++) {
        run_until(seconds(world.now) + 0.3);
        struct pending first = world.pending[0];
        drop_pending(0);
        unsigned n = first.addresses[0].bytes[0] | (unsigned)first.addresses[0].bytes[3] << 8;
        for (unsigned i = 0; i < REQUEST_ADDRESSES_MAX; i++) {
            set_pair(&pairs[i], n, i + 1, MARKET_QUIET);
        }
        answer_raw(first.request, pairs, REQUEST_ADDRESSES_MAX);
    }
    unsigned with = 0, without = 0;
    for (token_id id = 1; id <= room; id++) {
        const struct token *token = token_slot(world.memory.table, id);
        if (token->state.answers == 0)
            continue;
        with += token->pool_count == POOLS_MAX;
        without += token->pool_count == 0;
        assert_true(token_is_whole(world.memory.table, id));
    }
    if (with < 20 || without == 0)
        fail_msg("%u have thirty pools, %u none, of %u", with, without, room);
}

/* ---- failures ---- */

static void a_failure_puts_tokens_back_as_old_as_they_were(void **state)
{
    (void)state;
    preload('A', TOKEN_MONITORING, 44, 1);
    preload('B', TOKEN_MONITORING, 40, 1);
    preload('C', TOKEN_MONITORING, 30, 1);
    start();
    world.show = SHOW_FETCH;
    world.outcome = FEED_SERVER_ERROR;
    run_until(3);
    expect_trace("    0.99  screen A B C\n"
                 "    1.09  screen A B C\n"
                 "    1.19  screen A B C\n"
                 "    1.46  screen A B C\n"
                 "    1.85  screen A B C\n"
                 "    2.80  screen A B C\n");
    assert_int_equal(state_of(1)->checked_at.us, at(-44).us);
    assert_int_equal(token_column_checked(world.memory.table, 2).us, at(-40).us);
    world.outcome = FEED_OK;
    run_until(6);
    expect_trace("    4.41  screen A B C\n");
    assert_int_equal(state_of(1)->checked_at.us, state_of(3)->checked_at.us);
}

static void a_failed_wish_stays_a_wish(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 1, 1);
    start();
    world.show = SHOW_FETCH | SHOW_REPLY;
    world.outcome = FEED_TIMEOUT;
    want('A', 9);
    run_until(1);
    world.outcome = FEED_OK;
    run_until(4);
    expect_trace("    0.00  discover A\n"
                 "    0.10  reply 9: unavailable, timeout\n"
                 "    0.20  discover A\n"
                 "    0.41  discover A\n"
                 "    0.68  discover A\n"
                 "    1.07  discover A\n");
}

static void rests_after_429(void **state)
{
    (void)state;
    static const struct {
        enum feed_outcome outcome;
        double retry_after_s, rest_s;
    } rows[] = {
        {FEED_RATE_LIMITED, 0, 1}, /* absent and 0 are the same to us: rest anyway, ever longer */
        {FEED_RATE_LIMITED, 0, 2},  {FEED_RATE_LIMITED, 7, 7},     {FEED_FORBIDDEN, 0, 40},
        {FEED_RATE_LIMITED, 0, 16}, {FEED_RATE_LIMITED, 300, 300},
    };
    preload('A', TOKEN_MONITORING, 45, 1);
    start();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        world.outcome = OUTCOME_LOST;
        run_until(seconds(world.now) + 0.5);
        assert_int_equal(world.pending_count, 1);
        instant refused = world.now;
        fail_raw(world.pending[0].request, rows[i].outcome, rows[i].retry_after_s);
        drop_pending(0);
        run_until(seconds(refused) + rows[i].rest_s - 0.001);
        assert_int_equal(world.pending_count, 0);
        if (rows[i].rest_s > 2) /* it is told of once a second */
            assert_int_equal(lane(LANE_SCREEN)->rest_until.us,
                             instant_add(refused, duration_s(rows[i].rest_s)).us);
        run_until(seconds(refused) + rows[i].rest_s);
        assert_int_equal(world.pending_count, 1);
    }
    assert_int_equal(lane(LANE_SCREEN)->outcomes[FEED_RATE_LIMITED], 5);
    /* The others never rested. */
    assert_true(instant_is_never(lane(LANE_REFRESH)->rest_until));
}

/* ---- limits ---- */

/* More is due all the time than may be sent, of `active` tokens with two pools and 150 without. */
static void start_crowd(unsigned active)
{
    set_option("cold_interval_sec", "1");
    set_option("hot_interval_sec", "1");
    set_option("discover_active_interval_sec", "86400");
    set_option("discover_monitoring_interval_sec", "86400");
    set_option("budget_headroom_percent", "0");
    set_process_option("screen_requests_per_minute", "300");
    set_process_option("refresh_requests_per_minute", "300");
    for (unsigned n = token_table_count(world.memory.table) + 1; n <= 150 + active; n++)
        preload(n, n <= 150 ? TOKEN_MONITORING : TOKEN_ACTIVE, 1, 1);
    start();
    world.show = SHOW_LIMITS;
}

static void know(enum lane_kind kind, double per_minute, double configured, double age_s)
{
    step((struct event){.kind = EVENT_LIMIT_KNOWN,
                        .limit_known = {.lane = kind,
                                        .per_minute = per_minute,
                                        .configured = configured,
                                        .at = instant_add(world.now, duration_s(-age_s))}});
}

/* What is used of a limit, and what share of the requests is refused. */
static void expect_used(double from_s, double to_s, double per_minute, double used, double refused)
{
    run_until(from_s);
    uint64_t accepted_before = world.accepted_count, refused_before = world.refused_count;
    run_until(to_s);
    double accepted_count = (double)(world.accepted_count - accepted_before);
    double refused_count = (double)(world.refused_count - refused_before);
    double share = accepted_count / (per_minute * (to_s - from_s) / 60);
    if (share < used || refused_count > refused * (accepted_count + refused_count))
        fail_msg("from %.0f to %.0f s: used %.3f, %.0f of %.0f refused", from_s, to_s, share,
                 refused_count, accepted_count + refused_count);
}

static void a_limit_is_learnt_and_told_of(void **state)
{
    (void)state;
    world.allowed = 100;
    start_crowd(0);
    expect_used(300, 900, 100, 0.95, 0.01);
    expect_trace("   21.00  limit of screen: 300 → 240 of 300\n"
                 "   28.00  limit of screen: 240 → 100 of 300\n");
    world.allowed = 200;
    expect_used(1200, 1800, 200, 0.95, 0.01);
    expect_trace(" 1045.00  limit of screen: 100 → 120 of 300\n"
                 " 1066.00  limit of screen: 120 → 146 of 300\n"
                 " 1090.00  limit of screen: 146 → 176 of 300\n"
                 " 1113.00  limit of screen: 176 → 211 of 300\n"
                 " 1158.00  limit of screen: 211 → 200 of 300\n");
    world.allowed = 0;
    run_until(3600);
    expect_trace(" 1883.00  limit of screen: 200 → 241 of 300\n"
                 " 1900.00  limit of screen: 241 → 291 of 300\n"
                 " 1905.00  limit of screen: 291 → 300 of 300\n");
}

static void a_limit_that_was_known_is_kept_from_the_start(void **state)
{
    (void)state;
    world.allowed = 100;
    start_crowd(0);
    know(LANE_SCREEN, 100, 300, 60);
    expect_used(0, 300, 100, 0.95, 0.01);
    expect_trace("");
}

/* Nothing of it when another limit was configured then; less of it the longer ago. */
static void what_was_known_fits_or_is_old(void **state)
{
    (void)state;
    static const struct {
        double configured, age_s, least, most;
    } rows[] = {
        {300, 0, 95, 100},
        {300, 86400, 150, 250},
        {300, 30 * 86400, 280, 300},
        {250, 0, 300, 300},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        start_crowd(0);
        know(LANE_SCREEN, 100, rows[i].configured, rows[i].age_s);
        run_until(seconds(world.now) + 2);
        double allowed = lane(LANE_SCREEN)->allowed_per_minute;
        if (!(allowed >= rows[i].least && allowed <= rows[i].most))
            fail_msg("row %d: %g a minute", (int)i, allowed);
        assert_true(lane(LANE_REFRESH)->allowed_per_minute == 300);
    }
    expect_trace("");
}

static void a_limit_of_all_kinds_together_is_shared(void **state)
{
    (void)state;
    world.allowed = 100;
    start_crowd(75);
    expect_used(300, 1200, 100, 0.95, 0.01);
    expect_trace("   11.00  limit of refresh: 300 → 240 of 300\n"
                 "   11.00  limit of screen: 300 → 240 of 300\n"
                 "   18.00  limit of refresh: 240 → 50 of 300\n"
                 "   18.00  limit of screen: 240 → 50 of 300\n");
}

static void one_trouble_is_one_strike(void **state)
{
    (void)state;
    for (unsigned n = 'A'; n < 'A' + 4; n++)
        preload(n, TOKEN_MONITORING, 1, 1);
    start();
    world.outcome = OUTCOME_LOST;
    world.show = 0;
    for (unsigned n = 'A'; n < 'A' + 4; n++)
        want(n, 0);
    run_until(2);
    assert_int_equal(world.pending_count, 4);
    for (size_t i = 0; i < 3; i++)
        fail_raw(world.pending[i].request, FEED_FORBIDDEN, 0);
    run_until(3);
    assert_int_equal(lane(LANE_DISCOVER)->rest_until.us, at(7).us); /* 5 s, not 20 */
    fail_raw(world.pending[3].request, FEED_RATE_LIMITED, 30);      /* but it may ask for longer */
    run_until(4.5);
    assert_int_equal(lane(LANE_DISCOVER)->rest_until.us, at(33).us);
}

static void an_upstream_in_trouble_gets_one_probe_at_a_time(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 15, 1);
    preload('B', TOKEN_MONITORING, 45, 1);
    preload('C', TOKEN_MONITORING, 600, 1);
    start();
    world.show = SHOW_FETCH | SHOW_HEALING;
    world.outcome = FEED_UNREACHABLE;
    run_until(2.5);
    /* One failure for all three kinds, then two more; each kind sends a probe in turn. */
    expect_trace("    0.00  refresh A1 A2\n"
                 "    0.00  screen C B\n"
                 "    0.00  discover C\n"
                 "    0.20  refresh A1 A2\n"
                 "    0.20  screen C B\n"
                 "    0.20  discover C\n"
                 "    0.41  refresh A1 A2\n"
                 "    0.41  screen C B\n"
                 "    0.41  discover C\n"
                 "    0.51  breaker: closed → open\n"
                 "    0.68  refresh A1 A2\n"
                 "    0.68  breaker: open → half_open\n"
                 "    0.78  breaker: half_open → open\n"
                 "    1.07  screen C B\n"
                 "    1.07  breaker: open → half_open\n"
                 "    1.17  breaker: half_open → open\n"
                 "    2.02  discover C\n"
                 "    2.02  breaker: open → half_open\n"
                 "    2.12  breaker: half_open → open\n");
    assert_int_equal(core_stats(world.core)->breaker.state, BREAKER_OPEN);
    assert_true(instant_is_never(lane(LANE_SCREEN)->rest_until));
    world.outcome = FEED_OK;
    run_until(5);
    expect_trace("    3.63  refresh A1 A2\n"
                 "    3.63  breaker: open → half_open\n"
                 "    3.73  breaker: half_open → closed\n"
                 "    3.73  screen C B\n"
                 "    3.73  discover C\n");
    assert_int_equal(core_stats(world.core)->breaker.state, BREAKER_CLOSED);
    assert_int_equal(core_stats(world.core)->breaker.opens, 4);
    assert_true(instant_is_never(core_stats(world.core)->breaker.open_until));
}

static void an_upstream_that_asks_to_wait_is_left_alone(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 15, 1);
    preload('B', TOKEN_MONITORING, 45, 1);
    start();
    world.show = SHOW_FETCH | SHOW_HEALING;
    world.outcome = OUTCOME_LOST;
    run_until(0.1);
    fail_raw(world.pending[0].request, FEED_SERVER_ERROR, 20);
    drop_pending(0);
    world.outcome = FEED_OK;
    run_until(25);
    expect_trace("    0.00  refresh A1 A2\n"
                 "    0.00  screen B\n"
                 "    0.10  breaker: closed → open\n"
                 "   20.10  refresh A1 A2\n"
                 "   20.10  breaker: open → half_open\n"
                 "   20.20  breaker: half_open → closed\n");
}

static void a_probe_that_is_lost_is_no_answer(void **state)
{
    (void)state;
    preload('A', TOKEN_MONITORING, 45, 1);
    start();
    world.show = SHOW_FETCH | SHOW_HEALING;
    world.outcome = FEED_RESET;
    run_until(0.6);
    forget_trace();
    world.outcome = OUTCOME_LOST;
    run_until(40);
    expect_trace("    0.68  screen A\n"
                 "    0.68  breaker: open → half_open\n"
                 "   26.00  cancel screen\n"
                 "   26.00  breaker: half_open → open\n"
                 "   26.29  screen A\n"
                 "   26.29  breaker: open → half_open\n");
}

static void what_one_kind_is_answered_badly_does_not_stop_the_others(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 1, 1);
    preload('B', TOKEN_MONITORING, 45, 1);
    start();
    world.show = SHOW_HEALING;
    for (int i = 0; i < 40; i++) {
        world.outcome = OUTCOME_LOST; /* screenings are never answered well */
        run_until(seconds(world.now) + 0.5);
        for (size_t k = world.pending_count; k-- > 0;) {
            struct pending one = world.pending[k];
            struct pair pairs[4];
            drop_pending(k);
            if (one.lane == LANE_SCREEN)
                fail_raw(one.request, FEED_MALFORMED, 0);
            else
                answer_raw(one.request, pairs, market_answer(&one, pairs));
        }
    }
    expect_trace("");
    assert_true(lane(LANE_SCREEN)->outcomes[FEED_MALFORMED] >= 8);
    assert_true(lane(LANE_SCREEN)->outcomes[FEED_MALFORMED] <= 16); /* its lane rests */
    assert_int_equal(core_stats(world.core)->breaker.opens, 0);
}

static void a_lost_request_is_given_up_and_its_late_answer_ignored(void **state)
{
    (void)state;
    preload('A', TOKEN_MONITORING, 45, 1);
    start();
    world.show = SHOW_FETCH | SHOW_STORE;
    world.outcome = OUTCOME_LOST;
    run_until(0.5);
    uint64_t lost = world.pending[0].request;
    run_until(30);
    expect_trace("    0.00  screen A\n"
                 "   25.00  cancel screen\n"
                 "   25.00  screen A\n");
    struct pair pair;
    set_pair(&pair, 'A', 1, MARKET_QUIET);
    answer_raw(lost, &pair, 1);
    expect_trace("");
    assert_int_equal(core_stats(world.core)->late_answers, 1);
    answer_raw(lost, &pair, 1);
    answer_raw(123456789, &pair, 1);
    assert_int_equal(core_stats(world.core)->late_answers, 3);
    assert_int_equal(lane(LANE_SCREEN)->outcomes[FEED_CANCELLED], 1);
    answer_raw(world.pending[0].request, &pair, 1);
    expect_trace("   30.00  save A\n"
                 "   30.00  discover A\n");
}

static void silence_archives_and_demotes_nobody(void **state)
{
    (void)state;
    set_option("archiver_interval_sec", "60");
    preload('A', TOKEN_ACTIVE, 1, 1);
    preload('B', TOKEN_MONITORING, 1, 11.9); /* due for the archive in six minutes */
    start();
    world.show = SHOW_HISTORY;
    run_until(60);
    world.outcome = FEED_UNREACHABLE;
    world.markets['A'] = world.markets['B'] = MARKET_NONE;
    run_until(8000);
    expect_trace("");
    uint64_t runs = core_stats(world.core)->jobs[JOB_ARCHIVER].runs;
    run_job(JOB_ARCHIVER); /* not on command either */
    run_until(8005);
    assert_int_equal(core_stats(world.core)->jobs[JOB_ARCHIVER].runs, runs);
    world.outcome = FEED_OK;
    world.markets['A'] = MARKET_ALIVE;
    world.markets['B'] = MARKET_QUIET;
    run_until(8100);
    expect_trace(" 8010.00  B archived: monitoring_timeout\n");
}

static void empty_answers_archive_nobody(void **state)
{
    (void)state;
    set_option("archiver_interval_sec", "60");
    preload('A', TOKEN_MONITORING, 1, 11.99);
    preload('B', TOKEN_MONITORING, 1, 11.99);
    start();
    see('C', 0); /* one that never had data does not make the silence an answer */
    forget_trace();
    world.show = SHOW_HISTORY;
    world.markets['A'] = world.markets['B'] = MARKET_NONE;
    run_until(1000);
    expect_trace("");
    world.markets['B'] = MARKET_QUIET;
    run_until(1100);
    assert_true(core_stats(world.core)->archived > 0);
}

/* ---- settings ---- */

static void intervals_change_at_once(void **state)
{
    (void)state;
    preload('A', TOKEN_MONITORING, 10, 1);
    preload('B', TOKEN_ACTIVE, 1, 1);
    start();
    world.show = SHOW_FETCH;
    run_until(1);
    expect_trace("");
    change_option("cold_interval_sec", "11");
    expect_trace("    1.00  screen A\n");
    change_option("hot_interval_sec", "5");
    run_until(4.5);
    expect_trace("    3.99  refresh B1 B2\n");
    change_option("cold_interval_sec", "300");
    run_until(60);
    world.show = 0;
    forget_trace();
    assert_int_equal(core_stats(world.core)->groups[GROUP_COLD].target.us, duration_s(300).us);
}

static void thresholds_change_at_once(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 1, 1);
    preload('B', TOKEN_MONITORING, 1, 1);
    start();
    world.show = SHOW_HISTORY;
    run_until(1);
    assert_int_equal(token_column_group(world.memory.table, 2), GROUP_COLD);
    change_option("min_score", "0"); /* its score of 0 is promising now */
    assert_int_equal(token_column_group(world.memory.table, 2), GROUP_HOT);
    change_option("activation_min_liquidity_usd", "9001");
    expect_trace("    1.00  A demoted: no_longer_qualifies\n");
    change_option("activation_min_liquidity_usd", "200");
    expect_trace("    1.00  A activated: qualifies\n");
    change_option("min_score", "0.5");
    assert_int_equal(token_column_group(world.memory.table, 2), GROUP_COLD);
}

static void budgets_change_at_once(void **state)
{
    (void)state;
    for (unsigned n = 'A'; n < 'A' + 26; n++)
        preload(n, TOKEN_MONITORING, 1, 1);
    start();
    change_option("discover_requests_per_minute", "60");
    change_option("discover_monitoring_interval_sec", "10");
    world.show = 0;
    run_until(70);
    assert_in_range(lane(LANE_DISCOVER)->requests, 56, 60);
    change_option("discover_requests_per_minute", "6000");
    uint64_t before = lane(LANE_DISCOVER)->requests;
    run_until(80);
    assert_in_range(lane(LANE_DISCOVER)->requests - before, 26, 60);
    assert_in_range(lane(LANE_DISCOVER)->used_last_minute, 50, 120);
}

static void a_threshold_wakes_the_archive(void **state)
{
    (void)state;
    token_id id = preload('A', TOKEN_ARCHIVED, 100, 20);
    struct pool pools[] = {
        {.address = pool_of('A', 1), .liquidity_usd = 20000, .flags = POOL_COUNTS | POOL_PUMP_SOL},
        {.address = pool_of('A', 2), .liquidity_usd = 150, .flags = POOL_COUNTS | POOL_EXTERNAL}};
    token_write_begin(world.memory.table, id)->state.score = 0.3;
    assert_true(token_draft_set_pools(world.memory.table, pools, 2));
    token_write_end(world.memory.table, id);
    start();
    world.outcome = OUTCOME_LOST;
    world.show = SHOW_HISTORY;
    run_until(1);
    expect_trace("");
    change_option("activation_min_liquidity_usd", "100");
    expect_trace("    1.00  A reactivated: came_alive\n");
}

static void an_archived_token_is_wished_for_twice(void **state)
{
    (void)state;
    preload('A', TOKEN_ARCHIVED, 100, 20);
    start();
    world.outcome = OUTCOME_LOST;
    world.show = SHOW_FETCH | SHOW_HISTORY | SHOW_REPLY;
    want('A', 1);
    run_until(0.01);
    want('A', 2); /* the first is under way, the second waits in the lane */
    struct pair pairs[2];
    set_pair(&pairs[0], 'A', 1, MARKET_ALIVE);
    set_pair(&pairs[1], 'A', 2, MARKET_ALIVE);
    answer_raw(world.pending[0].request, pairs, 2);
    run_until(0.5);
    expect_trace("    0.00  discover A\n"
                 "    0.01  A reactivated: came_alive\n"
                 "    0.01  reply 1: done, snapshot 1, score 0.169\n"
                 "    0.01  reply 2: done, snapshot 1, score 0.169\n");
}

static void a_sweep_over_many_takes_several_steps(void **state)
{
    (void)state;
    enum { MANY = 5000 };
    for (uint32_t i = 0; i < MANY; i++) {
        if (token_table_is_short(world.memory.table, 8))
            assert_true(table_memory_grow(&world.memory, 8));
        preload(i, TOKEN_ACTIVE, 1, 1);
    }
    char why[OPTION_MESSAGE_SIZE];
    assert_int_equal(
        options_set(&world.options, "scheduler_enabled", "false", OPTION_FROM_COMMAND_LINE, why),
        OK);
    start();
    world.show = 0;
    set_option("activation_min_liquidity_usd", "9001");
    struct event event = {.kind = EVENT_OPTIONS, .now = world.now, .options = {&world.options}};
    uint64_t steps = 0;
    for (core_step(world.core, &event, &world.actions);
         core_stats(world.core)->demoted < MANY && steps < 100; steps++) {
        assert_true(core_deadline(world.core, world.now).us <= world.now.us); /* at once */
        event.kind = EVENT_TIME;
        core_step(world.core, &event, &world.actions);
    }
    assert_int_equal(core_stats(world.core)->demoted, MANY);
    assert_in_range(steps, 2, 20);
}

static void a_scheduler_that_is_off_sends_nothing(void **state)
{
    (void)state;
    char why[OPTION_MESSAGE_SIZE];
    assert_int_equal(
        options_set(&world.options, "scheduler_enabled", "false", OPTION_FROM_COMMAND_LINE, why),
        OK);
    preload('A', TOKEN_ACTIVE, 1000, 1);
    start();
    see('B', 5);
    make_durable(2, 5);
    want('A', 6);
    run_until(300);
    expect_trace("    0.00  B added: seen\n"
                 "    0.00  add B\n"
                 "    0.00  reply 5: created\n"
                 "    0.00  reply 6: unavailable, the scheduler is off\n");
    assert_int_equal(core_stats(world.core)->groups[GROUP_HOT].tokens, 1);
    assert_true(core_stats(world.core)->groups[GROUP_HOT].deferred == 1);
}

/* ---- tokens ---- */

static void a_token_is_added_once(void **state)
{
    (void)state;
    world.outcome = OUTCOME_LOST;
    see('A', 1);
    see('A', 2); /* not durable yet: nothing may be promised */
    make_durable(1, 1);
    make_durable(1, 2);
    see('A', 3);
    see('A', 0);
    expect_trace("    0.00  A added: seen\n"
                 "    0.00  add A\n"
                 "    0.00  discover A\n"
                 "    0.00  add A\n"
                 "    0.00  reply 1: created\n"
                 "    0.00  reply 2: known\n"
                 "    0.00  reply 3: known\n");
    assert_int_equal(core_stats(world.core)->tokens_added, 1);
    assert_int_equal(core_stats(world.core)->tokens_known, 3);
}

static void a_full_table_refuses(void **state)
{
    (void)state;
    world.show = 0;
    world.outcome = OUTCOME_LOST;
    unsigned room = token_table_capacity(world.memory.table);
    for (unsigned n = 1; n <= room; n++)
        see(256 + n, 0);
    world.show = SHOW_REPLY | SHOW_STORE;
    see('z', 4);
    expect_trace(
        "    0.00  reply 4: unavailable, no memory for another token; it can be offered again\n");
    assert_int_equal(core_stats(world.core)->tokens_refused, 1);
    assert_true(table_memory_grow(&world.memory, 1));
    see('z', 5);
    expect_trace("    0.00  add z\n");
}

static void keeps_the_name_it_was_given(void **state)
{
    (void)state;
    world.markets['A'] = MARKET_QUIET;
    step((struct event){
        .kind = EVENT_TOKEN_SEEN,
        .token_seen = {.mint = mint_of('A'), .name = "Given", .symbol = NULL, .tag = 0}});
    run_until(1);
    assert_string_equal(token_slot(world.memory.table, 1)->name, "Given");
    assert_string_equal(token_slot(world.memory.table, 1)->symbol, "A");
}

/* ---- refreshes on demand ---- */

static void a_refresh_on_demand_is_replied_to(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 1, 1);
    preload('B', TOKEN_ARCHIVED, 1, 1);
    start();
    world.show = SHOW_FETCH | SHOW_REPLY;
    want('A', 1);
    want('A', 2); /* two wait for the same */
    want('B', 3);
    want('C', 4);
    run_until(2);
    expect_trace("    0.00  discover A\n"
                 "    0.00  reply 4: not found, token not found\n"
                 "    0.10  reply 1: done, snapshot 1, score 0.169\n"
                 "    0.10  reply 2: done, snapshot 1, score 0.169\n"
                 "    0.20  discover B\n"
                 "    0.30  reply 3: done, snapshot 102, score 0.000\n");
    world.outcome = FEED_SERVER_ERROR;
    want('A', 5);
    run_until(2.2);
    world.outcome = OUTCOME_LOST;
    want('A', 6);
    run_until(30);
    expect_trace("    2.00  discover A\n"
                 "    2.10  reply 5: unavailable, server_error\n"
                 "    2.10  discover A\n"
                 "    2.20  discover A\n"
                 "   15.09  refresh A1 A2\n"
                 "   28.00  cancel discover\n"
                 "   28.00  reply 6: unavailable, cancelled\n"
                 "   28.00  discover A\n");
}

static void too_many_wishes_are_refused(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 1, 1);
    start();
    world.show = 0;
    world.outcome = OUTCOME_LOST;
    for (unsigned i = 0; i < 256; i++)
        want('A', 1000 + i);
    world.show = SHOW_REPLY;
    want('A', 2000);
    expect_trace("    0.00  reply 2000: unavailable, too many refreshes are waiting\n");
    /* All are answered in one step. */
    struct pair pair;
    set_pair(&pair, 'A', 1, MARKET_ALIVE);
    world.show = 0;
    answer_raw(world.pending[0].request, &pair, 1);
    unsigned replies = 0;
    for (size_t i = 0; i < world.actions.count; i++)
        replies += world.actions.items[i].kind == ACTION_REPLY;
    assert_int_equal(replies, 256);
}

/* ---- snapshots ---- */

static void snapshots_follow_the_score(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 15, 1);
    start();
    world.show = SHOW_STORE;
    run_until(64);
    expect_trace("    0.10  save A\n"
                 "    0.10  snapshot 1 of A after 101: 0.169\n"
                 "   15.09  save A\n"
                 "   15.09  snapshot 2 of A after 1: 0.287\n"
                 "   30.08  save A\n"
                 "   30.08  snapshot 3 of A after 2: 0.370\n"
                 "   45.07  save A\n"
                 "   45.07  snapshot 4 of A after 3: 0.428\n"
                 "   60.06  save A\n");
    change_option("min_score_change", "0");
    run_until(80);
    expect_trace("   75.05  save A\n"
                 "   75.05  snapshot 5 of A after 4: 0.497\n");
    world.show = SHOW_STORE;
    run_job(JOB_RECALCULATE);
    expect_trace("   80.00  save A\n"
                 "   80.00  snapshot 6 of A after 5: 0.516\n");
    assert_int_equal(core_stats(world.core)->jobs[JOB_RECALCULATE].runs, 1);
}

static void the_first_score_is_taken_whole(void **state)
{
    (void)state;
    world.markets['A'] = MARKET_TRADED;
    see('A', 0);
    run_until(1);
    double first = state_of(1)->score;
    assert_true(first > 0.1 && first == state_of(1)->score_raw);
    world.markets['A'] = MARKET_QUIET;
    run_until(16);
    assert_true(state_of(1)->score_raw == 0);
    assert_true(fabs(state_of(1)->score - 0.7 * first) < 1e-6);
}

static void youth_is_counted_in_hours(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 15, 3);
    start();
    run_until(1);
    assert_true(fabs(state_of(1)->metrics.hours_since_creation - 3) < 0.01);
    assert_true(fabs(state_of(1)->raw.token_freshness - 0.5) < 0.01);
}

static void low_scores_archive_by_time_observed(void **state)
{
    (void)state;
    set_option("archiver_interval_sec", "10");
    set_option("archive_below_hours", "0.2");
    set_option("min_score", "5");
    preload('A', TOKEN_ACTIVE, 1, 20);
    start();
    world.show = SHOW_HISTORY;
    run_until(100);
    assert_in_range(state_of(1)->low_score_us / 1000000, 85, 101);
    world.outcome = FEED_UNREACHABLE;
    run_until(2000);
    world.outcome = FEED_OK;
    run_until(2010); /* of the outage five minutes count */
    assert_in_range(state_of(1)->low_score_us / 1000000, 385, 410);
    expect_trace("");
    change_option("min_score", "0");
    run_until(2030);
    assert_int_equal(state_of(1)->low_score_us, 0); /* one good score, and it begins anew */
    change_option("min_score", "5");
    run_until(2700);
    expect_trace("");
    run_until(2800);
    expect_trace(" 2760.00  A archived: low_score_timeout\n");
    assert_int_equal(state_of(1)->low_score_us, 0);
}

/* ---- jobs ---- */

static void jobs_run_at_their_own_intervals(void **state)
{
    (void)state;
    set_option("export_interval_sec", "20");
    set_option("retention_interval_sec", "40");
    set_option("archiver_interval_sec", "50");
    preload('A', TOKEN_MONITORING, 1, 1);
    start();
    world.show = SHOW_JOBS;
    run_until(100);
    expect_trace("   20.00  export\n"
                 "   30.00  retention\n"
                 "   40.00  export\n"
                 "   60.00  export\n"
                 "   70.00  retention\n"
                 "   80.00  export\n"
                 "  100.00  export\n");
    assert_int_equal(core_stats(world.core)->jobs[JOB_ARCHIVER].runs, 2);
    assert_int_equal(core_stats(world.core)->jobs[JOB_ACTIVATION].runs, 1);
    run_job(JOB_EXPORT);
    run_job(JOB_ACTIVATION);
    expect_trace("  100.00  export\n");
    assert_int_equal(core_stats(world.core)->jobs[JOB_ACTIVATION].runs, 2);
    change_option("export_interval_sec", "1");
    run_until(102.5);
    expect_trace("  101.00  export\n"
                 "  102.00  export\n");
    assert_int_equal(core_stats(world.core)->jobs[JOB_EXPORT].interval.us, duration_s(1).us);
    assert_string_equal(job_name(JOB_EXPORT), "export");
    assert_string_equal(job_name(JOB_COUNT), "unknown");
    for (int job = JOB_COUNT; job <= JOB_COUNT + 1; job++)
        assert_int_equal(jobs_interval(world.core, (enum job)job).us, 0);
}

static void a_job_that_hangs_is_run_again(void **state)
{
    (void)state;
    set_option("export_interval_sec", "20");
    set_option("retention_interval_sec", "40");
    set_process_option("job_deadline_sec", "50");
    start();
    world.show = SHOW_JOBS | SHOW_JOB_STATES;
    world.jobs_hang = true;
    run_until(65);
    const struct job_stats *stats = &core_stats(world.core)->jobs[JOB_EXPORT];
    assert_int_equal(stats->running_since.us, at(20).us);
    run_job(JOB_EXPORT); /* is remembered until it can be run */
    assert_int_equal(stats->runs, 1);
    run_until(75);
    finish_job(JOB_EXPORT, 1); /* what it was long ago */
    finish_job(JOB_RETENTION, 2);
    finish_job(JOB_ARCHIVER, 1); /* ends in the core */
    assert_int_equal(core_stats(world.core)->late_jobs, 3);
    run_until(80);
    finish_job(JOB_EXPORT, 2);
    finish_job(JOB_RETENTION, 2);
    expect_trace("   20.00  job export: idle → running\n"
                 "   20.00  export\n"
                 "   30.00  job retention: idle → running\n"
                 "   30.00  retention\n"
                 "   60.00  job activation: idle → running\n"
                 "   60.00  job activation: running → idle\n"
                 "   70.00  cancel export, run 1\n"
                 "   70.00  job export: running → cancelled\n"
                 "   70.00  job export: cancelled → running\n"
                 "   70.00  export\n"
                 "   80.00  cancel retention, run 1\n"
                 "   80.00  job retention: running → cancelled\n"
                 "   80.00  job retention: cancelled → running\n"
                 "   80.00  retention\n"
                 "   80.00  job export: running → idle\n"
                 "   80.00  job retention: running → idle\n");
    assert_true(instant_is_never(stats->running_since));
    assert_int_equal(stats->overruns, 1);
    finish_job(JOB_EXPORT, 2); /* said again */
    assert_int_equal(core_stats(world.core)->late_jobs, 4);
}

static void a_job_that_always_hangs_asks_for_a_restart(void **state)
{
    (void)state;
    set_option("export_interval_sec", "10");
    set_process_option("job_deadline_sec", "5");
    start();
    world.show = SHOW_JOBS;
    world.jobs_hang = true;
    run_until(15);
    finish_job(JOB_EXPORT, world.runs[JOB_EXPORT]); /* one that ends: they are not in a row */
    run_until(46);
    expect_trace("   10.00  export\n"
                 "   15.00  cancel export, run 1\n"
                 "   15.00  export\n"
                 "   25.00  export\n"
                 "   30.00  cancel export, run 3\n"
                 "   30.00  export\n"
                 "   30.00  retention\n"
                 "   35.00  cancel export, run 4\n"
                 "   35.00  export\n"
                 "   35.00  cancel retention, run 1\n"
                 "   35.00  retention\n"
                 "   40.00  cancel export, run 5\n"
                 "   40.00  restart: a job overran its deadline again and again\n"
                 "   40.00  export\n"
                 "   40.00  cancel retention, run 2\n"
                 "   40.00  retention\n"
                 "   45.00  cancel export, run 6\n"
                 "   45.00  export\n"
                 "   45.00  cancel retention, run 3\n"
                 "   45.00  retention\n");
    assert_int_equal(core_stats(world.core)->jobs[JOB_EXPORT].overruns, 5);
    world.show = 0;
    run_until(337);
    world.show = SHOW_JOBS;
    run_until(342); /* five minutes later there is still no successor */
    expect_trace("  340.00  cancel export, run 65\n"
                 "  340.00  restart: a job overran its deadline again and again\n"
                 "  340.00  export\n"
                 "  340.00  cancel retention, run 62\n"
                 "  340.00  retention\n");
}

static void a_sweep_that_gets_no_time_begins_again(void **state)
{
    (void)state;
    enum { MANY = 9000 };
    set_process_option("job_deadline_sec", "2");
    for (uint32_t i = 0; i < MANY; i++) {
        if (token_table_is_short(world.memory.table, 8))
            assert_true(table_memory_grow(&world.memory, 8));
        preload(i, TOKEN_MONITORING, 1, 1);
    }
    start();
    world.outcome = OUTCOME_LOST;
    world.show = SHOW_JOBS;
    run_job(JOB_RECALCULATE);
    for (double s = 3; s < 9; s += 3) {
        world.now = at(s);
        step((struct event){.kind = EVENT_TIME});
    }
    run_until(9.1);
    expect_trace("    3.00  cancel recalculate, run 1\n"
                 "    6.00  export\n"
                 "    6.00  cancel recalculate, run 2\n");
    assert_int_equal(core_stats(world.core)->jobs[JOB_RECALCULATE].overruns, 2);
    assert_true(instant_is_never(core_stats(world.core)->jobs[JOB_RECALCULATE].running_since));
}

/* What no longer fits into a step comes with the next. */
static void jobs_leave_room_for_what_is_decided(void **state)
{
    (void)state;
    enum { MANY = 1000 };
    set_option("activation_interval_sec", "60");
    set_option("export_interval_sec", "60");
    set_option("retention_interval_sec", "30");
    for (uint32_t i = 0; i < MANY; i++) {
        if (token_table_is_short(world.memory.table, 8))
            assert_true(table_memory_grow(&world.memory, 8));
        preload(i, TOKEN_MONITORING, 1, 10000);
    }
    start();
    world.show = SHOW_JOB_STATES | SHOW_JOBS;
    run_until(59);
    forget_trace();
    run_until(60);
    expect_trace("   60.00  job archiver: idle → running\n"
                 "   60.00  job activation: idle → running\n"
                 "   60.00  job export: idle → running\n"
                 "   60.00  export\n"
                 "   60.00  job export: running → idle\n"
                 "   60.00  job archiver: running → idle\n"
                 "   60.00  job activation: running → idle\n"
                 "   60.00  job retention: idle → running\n"
                 "   60.00  retention\n"
                 "   60.00  job retention: running → idle\n");
    assert_int_equal(core_stats(world.core)->archived, MANY);
}

/* Cancelled while the upstream is silent, it waits like every archiver. */
static void an_archiver_that_overruns_in_a_silence_waits(void **state)
{
    (void)state;
    enum { MANY = 9000 };
    set_process_option("job_deadline_sec", "100");
    for (uint32_t i = 0; i < MANY; i++) {
        if (token_table_is_short(world.memory.table, 8))
            assert_true(table_memory_grow(&world.memory, 8));
        preload(i, TOKEN_MONITORING, 1, 1);
    }
    start();
    world.show = SHOW_JOB_STATES;
    run_until(46);
    forget_trace();
    run_job(JOB_ARCHIVER);
    world.now = at(200);
    world.outcome = OUTCOME_LOST;
    world.jobs_hang = true; /* of the export nothing is heard */
    step((struct event){.kind = EVENT_TIME});
    expect_trace("   46.00  job archiver: idle → running\n"
                 "  200.00  job archiver: running → cancelled\n"
                 "  200.00  job archiver: cancelled → idle\n"
                 "  200.00  job activation: idle → running\n"
                 "  200.00  job export: idle → running\n");
    assert_true(instant_is_never(core_stats(world.core)->jobs[JOB_ARCHIVER].running_since));
}

/* ---- suspects and quarantine ---- */

static void a_suspect_is_sent_alone_and_cleared(void **state)
{
    (void)state;
    preload('A', TOKEN_MONITORING, 100, 1);
    preload('B', TOKEN_MONITORING, 100, 1);
    preload('C', TOKEN_MONITORING, 100, 1);
    preload('D', TOKEN_MONITORING, 1, 1); /* not due: it goes all the same */
    start();
    world.show = SHOW_FETCH | SHOW_HEALING | SHOW_STORE;
    suspect(1, LANE_SCREEN);
    suspect(2, LANE_SCREEN);
    suspect(4, LANE_SCREEN);
    assert_int_equal(core_stats(world.core)->suspects, 3);
    assert_int_equal(core_trust(world.core, 1), TRUST_SUSPECT);
    run_until(20);
    expect_trace("    0.00  suspect A: ordinary → suspect\n"
                 "    0.00  suspect B: ordinary → suspect\n"
                 "    0.00  suspect D: ordinary → suspect\n"
                 "    0.00  screen A\n"
                 "    0.10  suspect A: suspect → ordinary\n"
                 "    0.10  save A\n"
                 "    0.10  cleared A\n"
                 "    0.10  discover A\n"
                 "    0.20  save A\n"
                 "    0.20  screen B\n"
                 "    0.30  suspect B: suspect → ordinary\n"
                 "    0.30  save B\n"
                 "    0.30  cleared B\n"
                 "    0.30  discover B\n"
                 "    0.40  save B\n"
                 "    0.41  screen D\n"
                 "    0.51  suspect D: suspect → ordinary\n"
                 "    0.51  save D\n"
                 "    0.51  cleared D\n"
                 "    0.61  screen C A B D\n"
                 "    0.71  save C\n"
                 "    0.71  save A\n"
                 "    0.71  save B\n"
                 "    0.71  save D\n"
                 "    0.71  discover C\n"
                 "    0.81  save C\n");
    assert_int_equal(core_stats(world.core)->suspects, 0);
    assert_int_equal(core_stats(world.core)->cleared, 3);
    assert_int_equal(core_stats(world.core)->groups[GROUP_COLD].tokens, 4);
    run_until(70); /* and is sent with others again */
    expect_trace("   45.60  screen A B D C\n"
                 "   45.70  save A\n"
                 "   45.70  save B\n"
                 "   45.70  save D\n"
                 "   45.70  save C\n");
}

static void suspects_of_each_lane_go_at_once(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 1, 1);
    preload('B', TOKEN_MONITORING, 1, 1);
    preload('C', TOKEN_MONITORING, 1, 1);
    preload('D', TOKEN_ARCHIVED, 1, 1);
    start();
    world.show = SHOW_FETCH | SHOW_HEALING;
    suspect(1, LANE_REFRESH);
    suspect(2, LANE_SCREEN);
    suspect(3, LANE_DISCOVER);
    suspect(4, LANE_DISCOVER); /* of an archived one, which somebody wished for */
    suspect(4, LANE_SCREEN);
    assert_int_equal(core_stats(world.core)->suspects, 4);
    run_until(3);
    expect_trace("    0.00  suspect A: ordinary → suspect\n"
                 "    0.00  suspect B: ordinary → suspect\n"
                 "    0.00  suspect C: ordinary → suspect\n"
                 "    0.00  suspect D: ordinary → suspect\n"
                 "    0.00  refresh A1 A2\n"
                 "    0.00  screen B\n"
                 "    0.00  discover C\n"
                 "    0.10  suspect A: suspect → ordinary\n"
                 "    0.10  cleared A\n"
                 "    0.10  suspect B: suspect → ordinary\n"
                 "    0.10  cleared B\n"
                 "    0.10  suspect C: suspect → ordinary\n"
                 "    0.10  cleared C\n"
                 "    0.20  screen D\n"
                 "    0.20  discover D\n"
                 "    0.30  suspect D: suspect → ordinary\n"
                 "    0.30  cleared D\n");
    assert_int_equal(core_trust(world.core, 4), TRUST_ORDINARY);
}

static void a_suspect_that_is_not_answered_stays_one(void **state)
{
    (void)state;
    preload('A', TOKEN_MONITORING, 45, 1);
    preload('B', TOKEN_MONITORING, 45, 1);
    start();
    suspect(1, LANE_SCREEN);
    world.show = SHOW_FETCH | SHOW_HEALING;
    world.outcome = OUTCOME_LOST;
    run_until(0.1);
    fail_raw(world.pending[0].request, FEED_MALFORMED, 0);
    drop_pending(0);
    run_until(0.9);
    expect_trace("    0.00  screen A\n"
                 "    0.35  screen B\n");
    world.outcome = FEED_OK;
    run_until(3);
    expect_trace("    1.10  screen A\n"
                 "    1.20  suspect A: suspect → ordinary\n"
                 "    1.20  cleared A\n");
}

static void an_empty_answer_clears_nobody(void **state)
{
    (void)state;
    preload('A', TOKEN_MONITORING, 45, 1);
    preload('B', TOKEN_MONITORING, 45, 1);
    token_write_begin(world.memory.table, 2)->state.answers = 0; /* never had any */
    token_write_end(world.memory.table, 2);
    start();
    suspect(1, LANE_SCREEN);
    suspect(2, LANE_SCREEN);
    world.show = SHOW_FETCH | SHOW_HEALING;
    world.markets['A'] = world.markets['B'] = MARKET_NONE;
    run_until(2.5);
    expect_trace("    0.00  screen A\n"
                 "    0.20  screen B\n"
                 "    1.10  screen A\n"
                 "    1.30  screen B\n");
    assert_int_equal(state_of(1)->checked_at.us, at(1.2).us); /* it was answered all the same */
    assert_int_equal(core_trust(world.core, 2), TRUST_SUSPECT);
    world.markets['A'] = world.markets['B'] = MARKET_QUIET;
    run_until(5);
    expect_trace("    3.20  screen A\n"
                 "    3.30  suspect A: suspect → ordinary\n"
                 "    3.30  cleared A\n"
                 "    3.40  screen B\n"
                 "    3.50  suspect B: suspect → ordinary\n"
                 "    3.50  cleared B\n");
}

static void a_probe_is_no_suspect_if_it_can_be_another(void **state)
{
    (void)state;
    preload('A', TOKEN_MONITORING, 45, 1);
    preload('B', TOKEN_MONITORING, 45, 1);
    start();
    world.show = SHOW_FETCH | SHOW_HEALING;
    world.outcome = FEED_UNREACHABLE;
    run_until(0.55);
    forget_trace();
    suspect(1, LANE_SCREEN);
    world.outcome = FEED_OK;
    run_until(1.5);
    expect_trace("    0.55  suspect A: ordinary → suspect\n"
                 "    0.68  screen B\n"
                 "    0.68  breaker: open → half_open\n"
                 "    0.78  breaker: half_open → closed\n"
                 "    0.82  screen A\n"
                 "    0.92  suspect A: suspect → ordinary\n"
                 "    0.92  cleared A\n");
    /* When there is no other it must do. */
    world.outcome = FEED_UNREACHABLE;
    suspect(1, LANE_SCREEN);
    run_until(20);
    forget_trace();
    world.outcome = FEED_OK;
    run_until(40);
    expect_trace("   33.00  screen A\n"
                 "   33.00  breaker: open → half_open\n"
                 "   33.10  breaker: half_open → closed\n"
                 "   33.10  suspect A: suspect → ordinary\n"
                 "   33.10  cleared A\n");
}

static void a_suspect_that_is_wished_for_is_discovered_alone(void **state)
{
    (void)state;
    preload('A', TOKEN_MONITORING, 1, 1);
    start();
    world.show = SHOW_FETCH | SHOW_HEALING | SHOW_REPLY;
    suspect(1, LANE_SCREEN);
    want('A', 5);
    run_until(1);
    expect_trace("    0.00  suspect A: ordinary → suspect\n"
                 "    0.00  screen A\n"
                 "    0.00  discover A\n"
                 "    0.10  suspect A: suspect → ordinary\n"
                 "    0.10  reply 5: done, snapshot 101, score 0.000\n"
                 "    0.10  cleared A\n");
}

static void what_was_under_way_is_not_listened_to(void **state)
{
    (void)state;
    token_id ids[REQUEST_ADDRESSES_MAX];
    preload('A', TOKEN_MONITORING, 45, 1);
    preload('B', TOKEN_MONITORING, 45, 1);
    start();
    world.outcome = OUTCOME_LOST;
    run_until(0.1);
    struct pending screening = world.pending[0];
    assert_int_equal(core_request_tokens(world.core, screening.request, ids), 2);
    assert_int_equal(ids[0] + ids[1], 3);
    assert_int_equal(core_request_lane(world.core, screening.request), LANE_SCREEN);
    assert_int_equal(core_request_tokens(world.core, 77, ids), 0);
    assert_int_equal(core_request_tokens(world.core, UINT64_MAX, ids), 0);
    assert_int_equal(core_request_lane(world.core, 77), LANE_KIND_COUNT);
    world.show = SHOW_FETCH | SHOW_HEALING | SHOW_STORE | SHOW_REPLY;
    want('A', 1);
    want('B', 2);
    quarantine(1);
    suspect(2, LANE_SCREEN);
    struct pair pairs[4];
    drop_pending(0);
    answer_raw(screening.request, pairs, market_answer(&screening, pairs));
    run_until(0.3);
    for (size_t i = world.pending_count; i-- > 0;) { /* the discovery of A, the trial of B */
        struct pending one = world.pending[i];
        drop_pending(i);
        if (one.lane == LANE_DISCOVER)
            fail_raw(one.request, FEED_NOT_FOUND, 0);
        else
            answer_raw(one.request, pairs, market_answer(&one, pairs));
    }
    expect_trace("    0.00  screen A B\n"
                 "    0.10  discover A\n"
                 "    0.10  reply 1: unavailable, the token is in quarantine\n"
                 "    0.10  quarantine A: ordinary → quarantine\n"
                 "    0.10  reply 2: unavailable, the token came under suspicion; ask again\n"
                 "    0.10  suspect B: ordinary → suspect\n"
                 "    0.20  screen B\n"
                 "    0.30  suspect B: suspect → ordinary\n"
                 "    0.30  save B\n"
                 "    0.30  cleared B\n");
    assert_int_equal(core_stats(world.core)->issues[PAIR_NOT_ASKED], 0);
    assert_int_equal(state_of(1)->checked_at.us, at(-45).us);
}

static void nobody_touches_a_token_in_quarantine(void **state)
{
    (void)state;
    set_option("archiver_interval_sec", "60");
    set_option("monitoring_timeout_hours", "1.05");
    preload('A', TOKEN_MONITORING, 45, 1);
    preload('B', TOKEN_MONITORING, 45, 1);
    preload('C', TOKEN_ACTIVE, 1, 1);
    start();
    world.show = SHOW_FETCH | SHOW_HEALING | SHOW_HISTORY | SHOW_REPLY;
    quarantine(1);
    quarantine(1);
    quarantine(3);
    assert_int_equal(core_stats(world.core)->quarantined, 2);
    assert_int_equal(core_trust(world.core, 1), TRUST_QUARANTINE);
    want('A', 5);
    see('A', 6);
    suspect(1, LANE_SCREEN);
    change_option("activation_min_liquidity_usd", "9001"); /* C would be demoted */
    run_job(JOB_RECALCULATE);
    run_until(100);
    world.show = SHOW_HISTORY; /* of B only */
    run_until(600);
    expect_trace("    0.00  quarantine A: ordinary → quarantine\n"
                 "    0.00  quarantine C: ordinary → quarantine\n"
                 "    0.00  reply 5: unavailable, the token is in quarantine\n"
                 "    0.00  screen B\n"
                 "    0.00  reply 6: known\n"
                 "   44.99  screen B\n"
                 "   89.98  screen B\n"
                 "  240.00  B archived: monitoring_timeout\n");
    assert_int_equal(state_of(1)->checked_at.us, at(-45).us);
    assert_int_equal(token_slot(world.memory.table, 3)->status, TOKEN_ACTIVE);
    assert_int_equal(core_stats(world.core)->groups[GROUP_HOT].tokens, 0);
}

static void one_that_is_released_is_a_suspect_first(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 1, 1);
    preload('B', TOKEN_ACTIVE, 1, 1);
    start();
    world.show = SHOW_FETCH | SHOW_HEALING;
    quarantine(1);
    run_until(20);
    release(1);
    release(1);
    release(2);
    assert_int_equal(core_stats(world.core)->quarantined, 0);
    assert_int_equal(core_stats(world.core)->suspects, 1);
    run_until(50);
    expect_trace("    0.00  quarantine A: ordinary → quarantine\n"
                 "   13.99  refresh B1 B2\n"
                 "   20.00  quarantine A: quarantine → suspect\n"
                 "   20.00  refresh A1 A2\n"
                 "   20.00  discover A\n"
                 "   20.10  suspect A: suspect → ordinary\n"
                 "   20.10  cleared A\n"
                 "   28.98  refresh B1 B2 A1 A2\n"
                 "   43.97  refresh B1 B2 A1 A2\n");
}

static void a_suspect_goes_into_quarantine(void **state)
{
    (void)state;
    preload('A', TOKEN_MONITORING, 45, 1);
    start();
    world.show = SHOW_FETCH | SHOW_HEALING;
    suspect(1, LANE_SCREEN);
    run_until(0.05);
    quarantine(1); /* while its trial is under way */
    run_until(10);
    release(1);
    run_until(11);
    expect_trace("    0.00  suspect A: ordinary → suspect\n"
                 "    0.00  screen A\n"
                 "    0.05  quarantine A: suspect → quarantine\n"
                 "   10.00  quarantine A: quarantine → suspect\n"
                 "   10.00  screen A\n"
                 "   10.00  discover A\n"
                 "   10.10  suspect A: suspect → ordinary\n"
                 "   10.10  cleared A\n");
}

static void tokens_that_there_are_not_are_no_suspects(void **state)
{
    (void)state;
    assert_int_not_equal(token_table_add_hole(world.memory.table), TOKEN_NONE);
    start();
    static const token_id ids[] = {TOKEN_NONE, 1, 2, UINT32_MAX};
    world.show = SHOW_HEALING;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        suspect(ids[i], LANE_SCREEN);
        quarantine(ids[i]);
        release(ids[i]);
    }
    expect_trace("");
}

static void too_many_suspects_forget_the_oldest(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= TRIALS_MAX + 2; n++) {
        if (token_table_is_short(world.memory.table, 8))
            assert_true(table_memory_grow(&world.memory, 8));
        preload(n, n == 1 ? TOKEN_ACTIVE : TOKEN_MONITORING, 30, 1);
    }
    /* One that was never discovered. */
    token_write_begin(world.memory.table, 2)->state.discovered_at = INSTANT_NEVER;
    token_write_end(world.memory.table, 2);
    start();
    world.show = 0;
    for (token_id id = 1; id <= TRIALS_MAX; id++)
        suspect(id, LANE_DISCOVER);
    world.outcome = OUTCOME_LOST;
    run_until(0.1);
    struct pending first = world.pending[0];
    assert_int_equal(first.lane, LANE_DISCOVER); /* the first one's trial */
    assert_int_equal(first.addresses[0].bytes[0], 1);
    suspect(TRIALS_MAX + 1, LANE_SCREEN);
    suspect(TRIALS_MAX + 2, LANE_SCREEN);
    const struct core_stats *stats = core_stats(world.core);
    assert_int_equal(stats->suspects, TRIALS_MAX);
    assert_int_equal(stats->suspects_forgotten, 2);
    assert_int_equal(stats->cleared, 2);
    assert_int_equal(core_trust(world.core, 2), TRUST_ORDINARY);
    assert_int_equal(core_trust(world.core, 3), TRUST_SUSPECT);
    struct pair pairs[4];
    answer_raw(first.request, pairs, market_answer(&first, pairs)); /* is not listened to */
    assert_int_equal(state_of(1)->checked_at.us, at(-30).us);
    assert_int_equal(token_column_checked(world.memory.table, 1).us, at(-30).us);
}

/* The engine died: the next one believes what it is told, not what the table says. */
static void a_start_knows_of_nobody(void **state)
{
    (void)state;
    preload('A', TOKEN_MONITORING, 45, 1);
    start();
    quarantine(1);
    assert_true(token_slot(world.memory.table, 1)->flags & TOKEN_QUARANTINED);
    start();
    assert_int_equal(token_slot(world.memory.table, 1)->flags, TOKEN_DURABLE);
    assert_int_equal(core_stats(world.core)->quarantined, 0);
    forget_trace();
    world.show = SHOW_FETCH;
    run_until(1);
    expect_trace("    0.00  screen A\n");
}

/* ---- pause ---- */

static void set_paused(bool is_paused)
{
    step((struct event){.kind = EVENT_PAUSE, .pause = {is_paused}});
}

/* What is wrong is told by itself, a test when somebody asks, and what an engine before this one
 * told is not told anew. */
static void people_are_told(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 14, 1);
    start();
    world.show = SHOW_ALERTS;
    run_until(10);
    set_paused(true);
    run_until(20);
    step((struct event){.kind = EVENT_ALERT_TEST, .alert_test = {7}});
    set_paused(false);
    run_until(200);
    expect_trace("   12.00  alert news: new paused\n"
                 "   20.00  alert test: tag 7\n"
                 "  141.00  alert resolved: resolved paused\n");
}

/* One message in a step: what is wrong waits for the next second. */
static void a_test_goes_before_what_is_wrong(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 14, 1);
    start();
    world.show = SHOW_ALERTS;
    run_until(10);
    set_paused(true);
    run_until(11.9);
    world.now = at(12);
    step((struct event){.kind = EVENT_ALERT_TEST, .alert_test = {7}});
    run_until(20);
    expect_trace("   12.00  alert test: tag 7\n"
                 "   13.00  alert news: new paused\n");
    assert_int_equal(core_alerts(world.core)->messages, 1);
}

/* As in the middle of a step. */
static void change_status(token_id id, enum lifecycle_change change)
{
    world.actions.count = 0;
    world.core->actions = &world.actions;
    follow_change_status(world.core, id, change);
    world.core->actions = NULL;
}

/* One is archived and under way for its pools; another answer wakes it, so that it stands in the
 * lane again; then the request for its pools fails. */
static void who_stands_in_the_lane_again_is_not_put_back(void **state)
{
    (void)state;
    preload('A', TOKEN_ARCHIVED, 100, 20);
    start();
    world.outcome = OUTCOME_LOST;
    world.show = SHOW_FETCH | SHOW_HISTORY | SHOW_REPLY;
    want('A', 1);
    run_until(0.01);
    assert_int_equal(world.pending_count, 1);
    change_status(1, CHANGE_REACTIVATED);
    fail_raw(world.pending[0].request, FEED_SERVER_ERROR, 0);
    assert_true(lanes_holds(&world.core->discover, 1));
}

/* Without pools, so that hot ones are screened, and no request takes them before 15 s. */
static token_id preload_plain(unsigned n, enum token_status status, double age_s)
{
    if (token_table_is_short(world.memory.table, 1))
        assert_true(table_memory_grow(&world.memory, 1));
    token_id id = preload(n, status, age_s, 1);
    token_write_begin(world.memory.table, id);
    assert_true(token_draft_set_pools(world.memory.table, NULL, 0));
    token_write_end(world.memory.table, id);
    return id;
}

/* In the middle of more tokens than are looked at for a place: it stays where it is until its next
 * answer, and counts as what it was. */
static void a_place_too_far_is_not_looked_for(void **state)
{
    (void)state;
    const unsigned others = 2 * LANE_WALK_MAX + 100;
    for (unsigned n = 1; n <= others; n++)
        preload_plain(n, TOKEN_ACTIVE, 1 + 10.0 * n / others);
    token_id id = preload_plain(others + 1, TOKEN_MONITORING, 6);
    start();
    step((struct event){.kind = EVENT_TIME});
    change_status(id, CHANGE_ACTIVATED);
    assert_int_equal(lanes_group_of(&world.core->price, id), PRICE_COLD);
    assert_int_equal(token_column_group(world.memory.table, id), GROUP_COLD);
    token_id first = preload_plain(others + 2, TOKEN_MONITORING, 11.5); /* near an end */
    start();
    step((struct event){.kind = EVENT_TIME});
    change_status(first, CHANGE_ACTIVATED);
    assert_int_equal(token_column_group(world.memory.table, first), GROUP_HOT);
}

static void what_was_told_is_known(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 14, 1);
    start();
    world.show = SHOW_ALERTS;
    struct alert_message message = {
        .id = 1,
        .at = world.now,
        .kind = ALERT_NEWS,
        .severity = SEVERITY_WARNING,
        .count = 1,
        .of = {{.finding = {.cause = FINDING_PAUSED, .severity = SEVERITY_WARNING, .since = {1}},
                .change = ALERT_IS_NEW}}};
    step((struct event){.kind = EVENT_ALERT_KNOWN, .alert_known = {&message}});
    set_paused(true);
    run_until(60);
    set_paused(false);
    run_until(300);
    expect_trace("  181.00  alert resolved: resolved paused\n");
    assert_int_equal(world.told.of[0].finding.since.us, 1);
}

static unsigned count_lines(const char *with)
{
    unsigned count = 0;
    for (const char *line = world.trace; (line = strstr(line, with)) != NULL; line++)
        count++;
    return count;
}

/* An upstream that is down for half of each 72 s, fifty times in an hour: at most six messages, the
 * first within five seconds, one for the end, and it is the last. */
static void an_hour_of_outages_is_a_few_messages(void **state)
{
    (void)state;
    set_option("maximum_age_sec", "7200");
    for (char letter = 'A'; letter <= 'T'; letter++)
        preload(letter, letter < 'H' ? TOKEN_ACTIVE : TOKEN_MONITORING, 10 + letter % 5, 1);
    start();
    run_until(600);
    world.show = SHOW_ALERTS;
    for (int outage = 0; outage < 50; outage++) {
        world.outcome = FEED_UNREACHABLE;
        run_until(600 + outage * 72 + 36);
        world.outcome = FEED_OK;
        run_until(600 + outage * 72 + 72);
    }
    assert_true(strtod(world.trace, NULL) <= 605); /* the first */
    run_until(600 + 2 * 3600);
    assert_in_range(count_lines("alert "), 2, 6);
    assert_int_equal(count_lines("alert resolved"), 1);
    assert_int_equal(world.told.kind, ALERT_RESOLVED);
}

static void a_pause_sends_nothing_new(void **state)
{
    (void)state;
    set_option("export_interval_sec", "30");
    preload('A', TOKEN_MONITORING, 40, 1);
    preload('B', TOKEN_MONITORING, 44, 1);
    preload('C', TOKEN_ACTIVE, 14, 1);
    start();
    world.show = SHOW_FETCH | SHOW_HEALING | SHOW_REPLY | SHOW_JOBS;
    run_until(1);
    want('A', 1);
    want('B', 2);
    want('A', 4); /* waits with the first */
    want('C', 5); /* in the lane when the pause begins */
    set_paused(true);
    set_paused(true);
    want('C', 3);
    assert_true(core_stats(world.core)->is_paused);
    run_until(100);
    expect_trace("    0.99  refresh C1 C2\n"
                 "    0.99  screen B A\n"
                 "    1.00  discover A\n"
                 "    1.00  discover B\n"
                 "    1.00  pause: off → on\n"
                 "    1.00  reply 5: unavailable, paused\n"
                 "    1.00  reply 3: unavailable, paused\n"
                 "    1.10  reply 1: done, snapshot 101, score 0.000\n"
                 "    1.10  reply 4: done, snapshot 101, score 0.000\n"
                 "    1.10  reply 2: done, snapshot 102, score 0.000\n"
                 "   30.00  export\n"
                 "   30.00  retention\n"
                 "   60.00  export\n"
                 "   90.00  export\n");
    set_paused(false);
    run_until(102);
    expect_trace("  100.00  pause: on → off\n"
                 "  100.00  refresh C1 C2\n"
                 "  100.00  screen A B\n"
                 "  100.00  discover C\n");
    assert_false(core_stats(world.core)->is_paused);
}

/* ---- clocks and starts ---- */

static void a_clock_that_goes_back_stands_still(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 1, 1);
    start();
    run_until(20);
    forget_trace();
    world.now = at(-500);
    want('A', 3);
    world.show = SHOW_FETCH | SHOW_REPLY;
    assert_true(core_deadline(world.core, world.now).us >= at(20).us);
    answer_first();
    assert_true(state_of(1)->checked_at.us >= at(20).us);
    expect_trace("   20.00  discover A\n"
                 "   20.00  reply 3: done, snapshot 2, score 0.287\n");
}

static void a_start_takes_tokens_by_their_age(void **state)
{
    (void)state;
    world.now = at(100);
    preload('A', TOKEN_ACTIVE, 3, 1);
    assert_int_not_equal(token_table_add_hole(world.memory.table), TOKEN_NONE);
    preload('B', TOKEN_MONITORING, 40, 1);
    preload('C', TOKEN_MONITORING, 60, 1); /* overdue */
    preload('D', TOKEN_ARCHIVED, 890, 1);
    struct address mint = mint_of('E'); /* never answered */
    token_id never = token_table_add(world.memory.table, &mint);
    token_write_begin(world.memory.table, never)->created_at = at(90);
    token_write_end(world.memory.table, never);
    preload('F', TOKEN_ACTIVE, -5000, -2); /* stamps of a clock that was set back since */
    start();
    assert_int_equal(state_of(7)->checked_at.us, at(100).us);
    assert_int_equal(state_of(7)->discovered_at.us, at(100).us);
    assert_int_equal(token_slot(world.memory.table, 7)->created_at.us, at(100).us);
    world.show = SHOW_FETCH;
    run_until(120);
    expect_trace("  100.00  screen C D B E\n"
                 "  100.00  discover E\n"
                 "  100.20  discover C\n"
                 "  100.41  discover D\n"
                 "  111.99  refresh A1 A2 F1 F2\n");
    assert_true(token_slot(world.memory.table, 7)->state.low_score_us >= 0);
    assert_int_equal(core_stats(world.core)->groups[GROUP_HOT].tokens, 2);
    assert_int_equal(core_stats(world.core)->groups[GROUP_COLD].tokens, 3);
    assert_int_equal(core_stats(world.core)->groups[GROUP_ARCHIVED].tokens, 1);
}

static void start_first(void)
{
    world.core = core_init(world.core, world.memory.table, &world.options, 0, world.now);
    core_place(world.core, 1, token_table_count(world.memory.table));
    core_sort(world.core, LINKS_PRICE, NULL);
    core_sort(world.core, LINKS_DISCOVER, NULL);
    core_start_first(world.core);
}

static void start_rest(token_id first, int64_t newest_snapshot)
{
    core_place(world.core, first, token_table_count(world.memory.table));
    core_sort(world.core, LINKS_PRICE, NULL);
    core_sort(world.core, LINKS_DISCOVER, NULL);
    core_start_rest(world.core, newest_snapshot);
    check_lanes();
}

/* A and B are there, C and D are still read from the store when the first request goes out. */
static void a_start_with_the_first_tokens_takes_the_others_in(void **state)
{
    (void)state;
    world.now = at(100);
    preload('A', TOKEN_MONITORING, 50, 1);
    preload('B', TOKEN_MONITORING, 90, 1);
    start_first();
    world.show = SHOW_FETCH;
    run_until(100.05);
    preload('C', TOKEN_MONITORING, 30, 1);
    preload('D', TOKEN_ARCHIVED, 890, 1);
    const struct event event = {EVENT_QUARANTINE, world.now, .quarantine = {3}};
    core_step(world.core, &event, &world.actions); /* it is not there yet */
    assert_int_equal(core_stats(world.core)->quarantined, 0);
    start_rest(3, 0);
    run_until(131);
    expect_trace("  100.00  screen B A\n"
                 "  100.10  discover B\n"
                 "  109.94  screen D C A B\n"
                 "  110.04  discover D\n");
}

/* Which number a snapshot gets, and who is in no lane, is not known before. */
static void a_start_with_the_first_tokens_runs_no_job_and_makes_no_snapshot(void **state)
{
    (void)state;
    world.now = at(100);
    world.markets['A'] = MARKET_ALIVE;
    set_option("min_score_change", "0");
    preload('A', TOKEN_MONITORING, 50, 1);
    int64_t snapshot = state_of(1)->snapshot_id;
    uint32_t answers = state_of(1)->answers;
    start_first();
    run_until(300);
    assert_true(state_of(1)->answers > answers);
    assert_int_equal(state_of(1)->snapshot_id, snapshot);
    for (int job = 0; job < JOB_COUNT; job++)
        assert_int_equal(core_stats(world.core)->jobs[job].runs, 0);
    start_rest(2, 1700);
    run_until(500);
    assert_true(state_of(1)->snapshot_id > 1700);
    assert_true(core_stats(world.core)->jobs[JOB_ACTIVATION].runs > 0);
}

static void a_start_goes_on_with_what_was_under_way(void **state)
{
    (void)state;
    preload('A', TOKEN_MONITORING, 45, 1);
    start();
    world.outcome = OUTCOME_LOST;
    run_until(1);
    assert_int_equal(world.pending_count, 1);
    forget_trace();
    start(); /* the engine died; the table is what survived */
    world.show = SHOW_FETCH;
    run_until(2);
    expect_trace("    1.00  screen A\n");
}

static void overdue_tokens_are_counted(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 4000, 2);
    preload('B', TOKEN_MONITORING, 5000, 2);
    preload('C', TOKEN_MONITORING, 3700, 2);
    preload('D', TOKEN_ARCHIVED, 90000, 200); /* archived ones have no maximum */
    world.outcome = FEED_UNREACHABLE;
    start();
    world.show = 0;
    run_until(2.3);
    run_until(10);
    const struct group_stats *groups = core_stats(world.core)->groups;
    assert_int_equal(groups[GROUP_HOT].overdue, 1);
    assert_int_equal(groups[GROUP_COLD].overdue, 2);
    assert_int_equal(groups[GROUP_ARCHIVED].overdue, 0);
    assert_int_equal(groups[GROUP_COLD].deferred, 2);
}

/* ---- deferral ---- */

/* Every `every_s` until `until_s`. */
static void watch_deferral(double every_s, double until_s)
{
    for (double s = every_s; s <= until_s; s += every_s) {
        run_until(s);
        const struct group_stats *cold = &core_stats(world.core)->groups[GROUP_COLD];
        say("%8.2f  %d deferred, %d overdue, the oldest %.0f s\n", s, (int)cold->deferred,
            (int)cold->overdue, duration_to_s(cold->oldest_age));
    }
}

/* Two requests a minute for forty tokens, which take two and a half: those past their target that
 * cannot be sent are counted, and the count falls when some of them are. */
static void what_is_deferred_is_counted(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 40; n++)
        preload(n, TOKEN_MONITORING, 40, 1);
    set_option("screen_requests_per_minute", "2");
    set_option("budget_headroom_percent", "0");
    start();
    world.show = 0;
    watch_deferral(10, 90);
    expect_trace("   10.00  10 deferred, 0 overdue, the oldest 50 s\n"
                 "   20.00  10 deferred, 0 overdue, the oldest 60 s\n"
                 "   30.00  10 deferred, 0 overdue, the oldest 70 s\n"
                 "   40.00  0 deferred, 0 overdue, the oldest 35 s\n"
                 "   50.00  0 deferred, 0 overdue, the oldest 45 s\n"
                 "   60.00  10 deferred, 0 overdue, the oldest 55 s\n"
                 "   70.00  0 deferred, 0 overdue, the oldest 36 s\n"
                 "   80.00  0 deferred, 0 overdue, the oldest 46 s\n"
                 "   90.00  10 deferred, 0 overdue, the oldest 56 s\n");
    change_option("screen_requests_per_minute", "300");
    run_until(93);
    assert_int_equal(core_stats(world.core)->groups[GROUP_COLD].deferred, 0);
}

/* A quarter of what it takes. By their weights alone the light half (nothing is known of them)
 * would come to ages of 670 s; nobody passes the maximum of 600. */
static void what_is_deferred_never_passes_the_maximum(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 240; n++) {
        preload(n, TOKEN_MONITORING, n % 45, 1);
        world.markets[n] = n % 2 == 0 ? MARKET_TRADED : MARKET_NONE;
    }
    set_option("screen_requests_per_minute", "1.5");
    set_option("discover_requests_per_minute", "1");
    set_option("maximum_age_sec", "600");
    set_option("min_score", "100"); /* all stay cold */
    start();
    world.show = 0;
    watch_deferral(200, 800);
    expect_trace("  200.00  209 deferred, 0 overdue, the oldest 225 s\n"
                 "  400.00  210 deferred, 0 overdue, the oldest 411 s\n"
                 "  600.00  209 deferred, 0 overdue, the oldest 599 s\n"
                 "  800.00  210 deferred, 0 overdue, the oldest 554 s\n");
    double oldest_s = 0;
    for (double s = 801; s < 5000; s++) {
        run_until(s);
        const struct group_stats *cold = &core_stats(world.core)->groups[GROUP_COLD];
        oldest_s = fmax(oldest_s, duration_to_s(cold->oldest_age));
        assert_int_equal(cold->overdue, 0);
        assert_true(cold->deferred > 0);
    }
    assert_true(oldest_s > 500 && oldest_s <= 600);
}

/* One with thirty pools, so that it takes a whole request. */
static void preload_wide(unsigned n, double age_s, double liquidity_usd)
{
    struct pool pools[POOLS_MAX];
    token_id id = preload(n, TOKEN_ACTIVE, age_s, 1);
    struct token *draft = token_write_begin(world.memory.table, id);
    for (unsigned i = 0; i < POOLS_MAX; i++)
        pools[i] = (struct pool){.address = pool_of(n, i + 1),
                                 .liquidity_usd = 9000,
                                 .flags = POOL_COUNTS | (i == 0 ? POOL_PUMP_SOL : POOL_EXTERNAL)};
    draft->state.metrics.liquidity_usd = liquidity_usd;
    draft->state.discovered_at = world.now;
    assert_true(token_draft_set_pools(world.memory.table, pools, POOLS_MAX));
    token_write_end(world.memory.table, id);
}

/* When the budget is back, each goes as weight · age² says (432, 352, 306, 242, 108 and 35 when it
 * comes), and nobody is deferred any more. */
static void what_was_deferred_goes_in_the_order_of_the_index(void **state)
{
    (void)state;
    preload_wide('A', 14, 10000);  /* 0.06 */
    preload_wide('B', 100, 10000); /* 0.06 */
    preload_wide('C', 50, 25000);  /* 0.12 */
    preload_wide('D', 20, 25000);
    preload_wide('E', 30, 50000);  /* 0.22 */
    preload_wide('F', 17, 100000); /* 0.42 */
    preload_wide('G', 14, 100000);
    set_option("refresh_requests_per_minute", "1");
    set_option("budget_headroom_percent", "0");
    start();
    world.show = SHOW_TOKENS;
    run_until(10);
    expect_trace("    0.00  refresh B\n"); /* 600 */
    assert_int_equal(core_stats(world.core)->groups[GROUP_HOT].deferred, 6);
    change_option("refresh_requests_per_minute", "120");
    run_until(14);
    expect_trace("   10.42  refresh C\n"
                 "   10.92  refresh E\n"
                 "   11.42  refresh F\n"
                 "   11.92  refresh G\n"
                 "   12.42  refresh D\n"
                 "   12.92  refresh A\n");
    assert_int_equal(core_stats(world.core)->groups[GROUP_HOT].deferred, 0);
}

static void on_time_is_counted_by_what_was_answered(void **state)
{
    (void)state;
    preload('A', TOKEN_ACTIVE, 10, 1);
    start();
    world.show = 0;
    run_until(100);
    const struct group_stats *hot = &core_stats(world.core)->groups[GROUP_HOT];
    assert_int_equal(hot->refreshes, hot->refreshes_on_time);
    assert_in_range(hot->refreshes, 6, 8);
    world.outcome = FEED_UNREACHABLE;
    run_until(130);
    world.outcome = FEED_OK;
    run_until(140);
    assert_int_equal(hot->refreshes, hot->refreshes_on_time + 1);
}

static void everything_has_a_name(void **state)
{
    (void)state;
    enum token_status status;
    for (unsigned i = 0; i < TOKEN_STATUS_COUNT; i++) {
        const char *name = token_status_name((enum token_status)i);
        assert_true(token_status_parse(name, strlen(name), &status) && status == i);
    }
    assert_false(token_status_parse("activ", 5, &status));
    assert_false(token_status_parse("", 0, &status));
    assert_string_equal(token_status_name(TOKEN_STATUS_COUNT), "unknown");
    assert_string_equal(token_group_name(GROUP_ARCHIVED), "archived");
    assert_string_equal(token_group_name(GROUP_COUNT), "unknown");
    assert_string_equal(lane_kind_name(LANE_DISCOVER), "discover");
    assert_string_equal(feed_outcome_name(FEED_EMPTY), "empty");
    assert_string_equal(feed_outcome_name(FEED_OUTCOME_COUNT), "unknown");
    assert_string_equal(pair_issue_name(PAIR_NOT_ASKED), "not_asked");
    assert_string_equal(pair_issue_name(PAIR_ISSUE_COUNT), "unknown");
    assert_true(core_options(world.core)->w_fresh == 0);
}

/* By the links that the engine before left, without looking at anybody else. */
static void who_waits_longest_is_recalled(void **state)
{
    token_id recalled[8], oldest[8];
    (void)state;
    for (unsigned n = 1; n <= 40; n++)
        preload(n, TOKEN_MONITORING, 10.0 * n, 1);
    start();
    world.core = core_init(world.core, world.memory.table, &world.options, 0, world.now);
    void *scratch = calloc(1, core_scratch_size(world.memory.table));
    assert_non_null(scratch);
    assert_int_equal(core_recall(world.core, recalled, 8, scratch), 8);
    free(scratch);
    qsort(recalled, 8, sizeof recalled[0], token_compare_ids);
    for (unsigned i = 0; i < 8; i++)
        oldest[i] = 33 + i; /* the ids are in the order of the ages */
    assert_memory_equal(recalled, oldest, sizeof oldest);
    for (unsigned i = 0; i < 8; i++)
        core_place(world.core, recalled[i], recalled[i]);
    core_sort_some(world.core, recalled, 8);
    core_start_first(world.core);
    world.pending_count = 0;
    step((struct event){.kind = EVENT_TIME});
    assert_int_equal(core_stats(world.core)->groups[GROUP_COLD].tokens, 8);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_whole_life),
        TEST(takes_only_what_it_asked_for),
        TEST(counts_pairs_beyond_thirty),
        TEST(the_same_pool_twice_counts_once),
        TEST(an_empty_answer_is_no_evidence),
        TEST(a_pool_that_is_missing_is_remembered_until_discovery),
        TEST(a_screening_that_shows_another_main_pool_asks_for_all),
        TEST(pools_that_all_vanish_are_looked_for),
        TEST(pools_that_find_no_room_stay_as_they_were),
        TEST(a_failure_puts_tokens_back_as_old_as_they_were),
        TEST(a_failed_wish_stays_a_wish),
        TEST(rests_after_429),
        TEST(a_limit_is_learnt_and_told_of),
        TEST(a_limit_that_was_known_is_kept_from_the_start),
        TEST(what_was_known_fits_or_is_old),
        TEST(a_limit_of_all_kinds_together_is_shared),
        TEST(one_trouble_is_one_strike),
        TEST(an_upstream_in_trouble_gets_one_probe_at_a_time),
        TEST(an_upstream_that_asks_to_wait_is_left_alone),
        TEST(a_probe_that_is_lost_is_no_answer),
        TEST(what_one_kind_is_answered_badly_does_not_stop_the_others),
        TEST(a_lost_request_is_given_up_and_its_late_answer_ignored),
        TEST(silence_archives_and_demotes_nobody),
        TEST(empty_answers_archive_nobody),
        TEST(intervals_change_at_once),
        TEST(thresholds_change_at_once),
        TEST(budgets_change_at_once),
        TEST(a_threshold_wakes_the_archive),
        TEST(an_archived_token_is_wished_for_twice),
        TEST(a_sweep_over_many_takes_several_steps),
        TEST(a_scheduler_that_is_off_sends_nothing),
        TEST(a_token_is_added_once),
        TEST(a_full_table_refuses),
        TEST(keeps_the_name_it_was_given),
        TEST(a_refresh_on_demand_is_replied_to),
        TEST(too_many_wishes_are_refused),
        TEST(snapshots_follow_the_score),
        TEST(the_first_score_is_taken_whole),
        TEST(youth_is_counted_in_hours),
        TEST(low_scores_archive_by_time_observed),
        TEST(jobs_run_at_their_own_intervals),
        TEST(a_job_that_hangs_is_run_again),
        TEST(a_job_that_always_hangs_asks_for_a_restart),
        TEST(a_sweep_that_gets_no_time_begins_again),
        TEST(jobs_leave_room_for_what_is_decided),
        TEST(an_archiver_that_overruns_in_a_silence_waits),
        TEST(a_suspect_is_sent_alone_and_cleared),
        TEST(suspects_of_each_lane_go_at_once),
        TEST(a_suspect_that_is_not_answered_stays_one),
        TEST(an_empty_answer_clears_nobody),
        TEST(a_probe_is_no_suspect_if_it_can_be_another),
        TEST(a_suspect_that_is_wished_for_is_discovered_alone),
        TEST(what_was_under_way_is_not_listened_to),
        TEST(nobody_touches_a_token_in_quarantine),
        TEST(one_that_is_released_is_a_suspect_first),
        TEST(a_suspect_goes_into_quarantine),
        TEST(tokens_that_there_are_not_are_no_suspects),
        TEST(too_many_suspects_forget_the_oldest),
        TEST(a_start_knows_of_nobody),
        TEST(people_are_told),
        TEST(a_test_goes_before_what_is_wrong),
        TEST(who_stands_in_the_lane_again_is_not_put_back),
        TEST(a_place_too_far_is_not_looked_for),
        TEST(what_was_told_is_known),
        TEST(an_hour_of_outages_is_a_few_messages),
        TEST(a_pause_sends_nothing_new),
        TEST(a_clock_that_goes_back_stands_still),
        TEST(a_start_takes_tokens_by_their_age),
        TEST(a_start_with_the_first_tokens_takes_the_others_in),
        TEST(a_start_with_the_first_tokens_runs_no_job_and_makes_no_snapshot),
        TEST(a_start_goes_on_with_what_was_under_way),
        TEST(who_waits_longest_is_recalled),
        TEST(overdue_tokens_are_counted),
        TEST(what_is_deferred_is_counted),
        TEST(what_is_deferred_never_passes_the_maximum),
        TEST(what_was_deferred_goes_in_the_order_of_the_index),
        TEST(on_time_is_counted_by_what_was_answered),
        TEST(everything_has_a_name),
    };
    return cmocka_run_group_tests_name("core.core", tests, NULL, NULL);
}
