/* The ledger can fail: each wrong history is found out, and the right one beside it is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "oracle_world.h"
#include "sim/ledger.h"
#include <math.h>

static struct ledger ledger;
static struct actions actions;

static int begin(void **state)
{
    set_up(state);
    memset(&ledger, 0, sizeof ledger);
    assert_true(ledger_init(&ledger, &world.oracle, &world.options, TOKENS + 1));
    ledger_on_start(&ledger, UINT32_MAX, NOW);
    return 0;
}

static int finish(void **state)
{
    ledger_finish(&ledger);
    return tear_down(state);
}

/* ---- a history ---- */

static void show_event(struct event event, instant at)
{
    event.now = at;
    ledger_on_event(&ledger, &event);
}

/* One step with one action. */
static void show_action(struct event event, struct action action, instant at)
{
    show_event(event, at);
    actions.count = 1;
    actions.now = at;
    actions.items[0] = action;
    ledger_on_actions(&ledger, &event, &actions);
}

static const struct event nothing = {.kind = EVENT_TIME};

static struct event answer(uint64_t request, enum feed_outcome outcome)
{
    return (struct event){.kind = EVENT_ANSWER, .answer = {.request = request, .outcome = outcome}};
}

/* The core sends for all tokens; returns the handle. */
static uint64_t send_for_all(void)
{
    struct event event = {.kind = EVENT_TIME, .now = later(50)};
    ledger_on_event(&ledger, &event);
    core_step(world.core, &event, &actions);
    ledger_on_actions(&ledger, &event, &actions);
    for (size_t i = 0; i < actions.count; i++)
        if (actions.items[i].kind == ACTION_FETCH && actions.items[i].fetch.lane == LANE_SCREEN)
            return actions.items[i].fetch.request;
    fail_msg("nobody is screened");
    return 0;
}

/* A token is saved as refreshed at `at`. */
static void show_refreshed(struct event event, token_id id, instant at)
{
    token_write_begin(world.memory.table, id)->state.checked_at = at;
    token_write_end(world.memory.table, id);
    show_action(event, (struct action){.kind = ACTION_SAVE, .save = {id}}, at);
}

static void an_answer_refreshes_whom_it_was_asked_for(void **state)
{
    (void)state;
    uint64_t request = send_for_all();
    show_refreshed(answer(request, FEED_OK), 1, later(51));
    expect_content();
    show_refreshed(nothing, 1, later(52));
    expect_complaint("token 1 counts as refreshed without an answer");
}

static void a_failed_request_refreshes_nobody(void **state)
{
    (void)state;
    uint64_t request = send_for_all();
    show_refreshed(answer(request, FEED_SERVER_ERROR), 2, later(51));
    expect_complaint("token 2 counts as refreshed without an answer");
}

static void the_same_answer_again_refreshes_nobody(void **state)
{
    (void)state;
    uint64_t request = send_for_all();
    show_refreshed(answer(request, FEED_OK), 1, later(51));
    expect_content();
    show_refreshed(answer(request, FEED_OK), 1, later(52));
    expect_complaint("token 1 counts as refreshed without an answer");
}

static void a_request_that_was_given_up_refreshes_nobody(void **state)
{
    (void)state;
    uint64_t request = send_for_all();
    show_action(nothing, (struct action){.kind = ACTION_CANCEL, .cancel = {request}}, later(60));
    show_refreshed(answer(request, FEED_OK), 3, later(61));
    expect_complaint("token 3 counts as refreshed without an answer");
}

static void show_score(token_id id, double raw, double score, double at_s)
{
    struct token *draft = token_write_begin(world.memory.table, id);
    draft->state.score_raw = raw;
    draft->state.score = score;
    draft->state.answers++;
    token_write_end(world.memory.table, id);
    show_action(nothing, (struct action){.kind = ACTION_SAVE, .save = {id}}, later(at_s));
}

static void a_score_follows_from_the_one_before(void **state)
{
    (void)state;
    show_score(1, 0.5, 0.5, 1); /* the first is taken as it is */
    show_score(1, 1, 0.3 + 0.7 * 0.5, 2);
    expect_content();
    show_score(1, 1, 1, 3);
    expect_complaint("token 1 has score 1.000000 and not 0.755000");
    show_score(2, 0.5, 0.15, 4); /* as if there had been one of 0 */
    expect_complaint("token 2 has score 0.150000 and not 0.500000");
}

static void a_start_forgets_no_score(void **state)
{
    (void)state;
    show_score(1, 0.5, 0.5, 1);
    ledger_on_start(&ledger, 0, later(2));
    expect_content();
    token_write_begin(world.memory.table, 1)->state.score = 0;
    token_write_end(world.memory.table, 1);
    ledger_on_start(&ledger, 1, later(3)); /* taken from the store */
    expect_content();
    token_write_begin(world.memory.table, 1)->state.score = 0.5;
    token_write_end(world.memory.table, 1);
    ledger_on_start(&ledger, 0, later(4));
    expect_complaint("1 tokens are not as they were, 0 were restored");
}

/* ---- what the pools call for ---- */

static void show_change(token_id id, const char *event)
{
    show_action(nothing,
                (struct action){.kind = ACTION_HISTORY,
                                .history = {.id = id, .event = event, .reason = ""}},
                later(1));
}

static void give_pools(token_id id, const char *const dexes[2], double liquidity_usd)
{
    struct token_table *table = world.memory.table;
    struct pool pools[2] = {0};
    for (int i = 0; i < 2; i++) {
        pools[i].address.bytes[0] = (uint8_t)(1 + i);
        pools[i].dex = token_table_dex(table, dexes[i]);
        pools[i].quote = token_table_quote(table, "SOL");
        pools[i].liquidity_usd = (float)liquidity_usd;
    }
    token_write_begin(table, id);
    assert_true(token_draft_set_pools(table, pools, 2));
    token_write_end(table, id);
}

static void changes_that_the_pools_call_for(void **state)
{
    (void)state;
    static const char *const good[] = {"pumpswap", "raydium"}, *const bad[] = {"pumpswap",
                                                                               "pumpfun"};
    show_change(1, "activated");
    expect_complaint("token 1 was activated, which its pools do not call for");
    give_pools(1, good, 300);
    show_change(1, "activated");
    expect_content();
    show_change(1, "demoted");
    expect_complaint("token 1 was demoted, which its pools do not call for");
    give_pools(1, good, 100);
    show_change(1, "demoted");
    expect_content();
    show_change(1, "reactivated");
    expect_complaint("token 1 was reactivated");
    give_pools(2, bad, 300); /* none of them is external */
    show_change(2, "activated");
    expect_complaint("token 2 was activated");
}

/* ---- the budget ---- */

static void send(uint64_t handle, double at_s)
{
    struct action action = {
        .kind = ACTION_FETCH,
        .fetch = {
            .request = handle, .lane = LANE_DISCOVER, .addresses = world.addresses, .count = 1}};
    show_action(nothing, action, later(at_s));
    show_event(answer(handle, FEED_OK), later(at_s)); /* it does not stay under way */
}

static void no_more_than_the_budget_in_any_minute(void **state)
{
    (void)state;
    world.options.discover_requests_per_minute = 10;
    world.options.budget_headroom_percent = 0;
    for (uint64_t i = 1; i <= 10; i++)
        send(i, (double)i);
    expect_content();
    send(11, 60.9); /* over the edge of a minute of the clock's, and of no minute of ours */
    expect_complaint("discover sent 11 requests in a minute");
    send(12, 200);
    expect_content();
}

static void what_was_refused_does_not_count(void **state)
{
    (void)state;
    world.options.discover_requests_per_minute = 10;
    world.options.budget_headroom_percent = 0;
    for (uint64_t i = 1; i <= 10; i++)
        send(i, (double)i);
    show_event(answer(10, FEED_RATE_LIMITED), later(11));
    send(11, 12);
    expect_content();
}

/* ---- restarts and wishes ---- */

static void ask_for_restart(double at_s)
{
    show_action(nothing, (struct action){.kind = ACTION_RESTART, .restart = {"it is stuck"}},
                later(at_s));
}

static void one_engine_asks_once_to_be_restarted(void **state)
{
    (void)state;
    ask_for_restart(1);
    ask_for_restart(62); /* none came */
    expect_content();
    ask_for_restart(63);
    expect_complaint("one engine asked twice to be restarted");
    ledger_on_start(&ledger, 0, later(64)); /* another engine */
    ask_for_restart(65);
    expect_content();
}

static void want(uint64_t tag, double at_s)
{
    show_event((struct event){.kind = EVENT_REFRESH_WANTED, .refresh_wanted = {.tag = tag}},
               later(at_s));
}

static void reply(uint64_t tag, double at_s)
{
    show_action(nothing, (struct action){.kind = ACTION_REPLY, .reply = {.tag = tag}}, later(at_s));
}

static void everybody_who_waits_gets_a_reply(void **state)
{
    (void)state;
    ((struct core_stats *)core_stats(world.core))->lanes[LANE_DISCOVER].allowed_per_minute = 300;
    want(1, 0);
    want(2, 1);
    reply(1, 2);
    ledger_on_end(&ledger, later(300));
    expect_content();
    ledger_on_end(&ledger, later(500));
    expect_complaint("a client has waited for a reply for 499.0 s");
    reply(2, 501);
    ledger_on_end(&ledger, later(9000));
    expect_content();
}

static void nobody_is_forgotten_in_a_crowd(void **state)
{
    (void)state;
    for (uint64_t tag = 1; tag <= 257; tag++)
        want(tag, 1);
    reply(257, 1); /* refused: as many wait as may */
    expect_content();
    want(258, 2);
    reply(999, 2); /* another one's */
    expect_complaint("257 clients wait, of whom some got no reply");
}

#define LEDGER_TEST(name) cmocka_unit_test_setup_teardown(name, begin, finish)

int main(void)
{
    const struct CMUnitTest tests[] = {
        LEDGER_TEST(an_answer_refreshes_whom_it_was_asked_for),
        LEDGER_TEST(a_failed_request_refreshes_nobody),
        LEDGER_TEST(the_same_answer_again_refreshes_nobody),
        LEDGER_TEST(a_request_that_was_given_up_refreshes_nobody),
        LEDGER_TEST(a_score_follows_from_the_one_before),
        LEDGER_TEST(a_start_forgets_no_score),
        LEDGER_TEST(changes_that_the_pools_call_for),
        LEDGER_TEST(no_more_than_the_budget_in_any_minute),
        LEDGER_TEST(what_was_refused_does_not_count),
        LEDGER_TEST(one_engine_asks_once_to_be_restarted),
        LEDGER_TEST(everybody_who_waits_gets_a_reply),
        LEDGER_TEST(nobody_is_forgotten_in_a_crowd),
    };
    return cmocka_run_group_tests_name("sim.ledger", tests, NULL, NULL);
}
