/* The oracles can fail: each is shown what must not be, and complains. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "oracle_world.h"

static void show_fetch(enum lane_kind lane, size_t count)
{
    struct action action = {.kind = ACTION_FETCH,
                            .fetch = {.lane = lane, .addresses = world.addresses, .count = count}};
    oracle_on_action(&world.oracle, &action, NOW);
}

static void show_history(token_id id, const char *event, const char *reason, double later_s)
{
    struct action action = {.kind = ACTION_HISTORY,
                            .history = {.id = id, .event = event, .reason = reason}};
    oracle_on_action(&world.oracle, &action, instant_add(NOW, duration_s(later_s)));
}

static void is_content_with_what_may_be(void **state)
{
    (void)state;
    show_fetch(LANE_REFRESH, 1);
    show_fetch(LANE_SCREEN, REQUEST_ADDRESSES_MAX);
    show_fetch(LANE_DISCOVER, 1);
    show_history(1, "activated", "qualifies", 0);
    show_history(1, "demoted", "no_longer_qualifies", 0);
    show_history(1, "archived", "monitoring_timeout", 0);
    show_history(1, "reactivated", "came_alive", 0);
    show_history(1, "archived", "low_score_timeout", 0);
    show_history(1, "added", "seen", 0);
    oracle_on_table(&world.oracle, NOW);
    oracle_on_ages(&world.oracle, NOW, duration_s(1));
    expect_content();
}

static void requests_of_the_wrong_size(void **state)
{
    (void)state;
    show_fetch(LANE_REFRESH, 0);
    expect_complaint("a refresh request for 0 addresses");
    show_fetch(LANE_SCREEN, REQUEST_ADDRESSES_MAX + 1);
    expect_complaint("a screen request for 31 addresses");
    show_fetch(LANE_DISCOVER, 2);
    expect_complaint("a discover request for 2 addresses");
    world.addresses[7] = world.addresses[3];
    show_fetch(LANE_REFRESH, 9);
    expect_complaint("asks twice for one address");
}

static void changes_that_there_are_not(void **state)
{
    (void)state;
    show_history(1, "demoted", "no_longer_qualifies", 0);
    expect_complaint("token 1, monitoring, was demoted");
    show_history(1, "archived", "low_score_timeout", 0);
    expect_complaint("because of low_score_timeout");
    show_history(2, "activated", "on_a_whim", 0);
    expect_complaint("token 2");
    show_history(TOKEN_NONE, "activated", "qualifies", 0);
    expect_complaint("which there is not");
    show_history(TOKENS + 1, "activated", "qualifies", 0);
    expect_complaint("which there is not");
}

static void losses_in_silence(void **state)
{
    (void)state;
    show_history(1, "archived", "monitoring_timeout", ORACLE_SILENCE_S + 1);
    expect_complaint("token 1 was archived while the upstream was silent");
    show_history(2, "activated", "qualifies", ORACLE_SILENCE_S + 1); /* no loss */
    expect_content();
    show_history(2, "demoted", "no_longer_qualifies", ORACLE_SILENCE_S + 1);
    expect_complaint("token 2 was demoted while the upstream was silent");
    show_history(2, "activated", "qualifies", 0);
    world.oracle.may_demote = true;
    show_history(2, "demoted", "no_longer_qualifies", ORACLE_SILENCE_S + 1);
    expect_content();
}

static void a_status_that_changed_unseen(void **state)
{
    (void)state;
    token_write_begin(world.memory.table, 2)->status = TOKEN_ACTIVE;
    token_write_end(world.memory.table, 2);
    oracle_on_table(&world.oracle, NOW);
    expect_complaint("token 2 became active without an event");
}

static void a_token_in_no_lane(void **state)
{
    (void)state;
    token_table_links(world.memory.table, LINKS_PRICE)[3].fifo = 0;
    oracle_on_table(&world.oracle, NOW);
    expect_complaint("token 3 is in no lane");
    world.statuses[0] = 0;
    token_table_links(world.memory.table, LINKS_DISCOVER)[1].fifo = 0;
    oracle_on_table(&world.oracle, NOW);
    expect_complaint("token 1 is in no lane");
}

static void a_torn_slot(void **state)
{
    (void)state;
    ((struct token *)token_slot(world.memory.table, 1))->state.score = 3;
    oracle_on_table(&world.oracle, NOW);
    expect_complaint("token 1 is torn");
}

static void an_answer_of_the_future(void **state)
{
    (void)state;
    token_write_begin(world.memory.table, 1)->state.checked_at = instant_add(NOW, duration_s(1));
    token_write_end(world.memory.table, 1);
    oracle_on_table(&world.oracle, NOW);
    expect_complaint("token 1 was answered in the future");
    oracle_on_table(&world.oracle, instant_add(NOW, duration_s(1)));
    expect_content();
    token_write_begin(world.memory.table, 1)->state.fetched_at = instant_add(NOW, duration_s(2));
    token_write_end(world.memory.table, 1);
    oracle_on_table(&world.oracle, instant_add(NOW, duration_s(3)));
    expect_complaint("token 1 was answered in the future");
}

static void a_token_that_is_too_old(void **state)
{
    (void)state;
    oracle_on_ages(&world.oracle, instant_add(NOW, duration_s(46)), duration_s(45));
    expect_complaint("token 1 is 46.0 s old; 45.0 s could be kept");
    for (token_id id = 1; id <= TOKENS; id++) {
        token_write_begin(world.memory.table, id)->status = TOKEN_ARCHIVED;
        token_write_end(world.memory.table, id);
    }
    oracle_on_ages(&world.oracle, instant_add(NOW, duration_s(46)), duration_s(45));
    expect_content(); /* archived ones have no right to be fresh */
}

static const struct action *find_screening(const struct actions *actions)
{
    for (size_t i = 0; i < actions->count; i++)
        if (actions->items[i].kind == ACTION_FETCH && actions->items[i].fetch.lane == LANE_SCREEN)
            return &actions->items[i];
    fail_msg("nobody is screened");
    return NULL;
}

static void a_suspect_with_others(void **state)
{
    (void)state;
    static struct actions actions;
    static uint8_t suspected[TOKENS + 1], quarantined[TOKENS + 1];
    instant then = instant_add(NOW, duration_s(50));
    struct event event = {.kind = EVENT_TIME, .now = then};
    core_step(world.core, &event, &actions);
    const struct action *screening = find_screening(&actions);
    assert_int_equal(screening->fetch.count, TOKENS);
    world.oracle.suspected = suspected;
    world.oracle.quarantined = quarantined;
    oracle_on_action(&world.oracle, screening, then);
    expect_content();
    suspected[2] = 1;
    oracle_on_action(&world.oracle, screening, then);
    expect_complaint("token 2 is suspect and sent with 2 others");
    suspected[2] = 0;
    quarantined[3] = 1;
    oracle_on_action(&world.oracle, screening, then);
    expect_complaint("token 3 is sent, but in quarantine");
    oracle_on_table(&world.oracle, then);
    expect_complaint("token 3 is taken for ordinary");
    oracle_on_ages(&world.oracle, then, duration_s(45));
    expect_complaint("token 1 is 50.0 s old");
    quarantined[1] = quarantined[2] = 1; /* they have no right to be fresh */
    oracle_on_ages(&world.oracle, then, duration_s(45));
    expect_content();
}

/* ---- processes ---- */

static void two_engines_at_once(void **state)
{
    (void)state;
    oracle_on_engine_start(&world.oracle, NOW);
    oracle_on_engine_end(&world.oracle);
    oracle_on_engine_start(&world.oracle, later(1));
    expect_content();
    oracle_on_engine_start(&world.oracle, later(2));
    expect_complaint("2 engines are at work");
}

static void die_and_start(double died_s, double started_s)
{
    oracle_on_engine_end(&world.oracle);
    oracle_on_engine_death(&world.oracle, later(died_s));
    oracle_on_engine_start(&world.oracle, later(started_s));
}

static void starts_that_come_too_often(void **state)
{
    (void)state;
    world.oracle.restarts_per_hour = 2;
    world.oracle.slow_restart = duration_s(60);
    oracle_on_engine_start(&world.oracle, NOW);
    die_and_start(10, 10);
    die_and_start(20, 21);
    die_and_start(30, 90); /* the third within an hour: as slow as can be */
    expect_content();
    die_and_start(100, 159);
    expect_complaint("started 59.0 s after the 4th death within an hour");
    oracle_on_engine_end(&world.oracle); /* as it was told to: the next comes at once */
    oracle_on_engine_start(&world.oracle, later(160));
    expect_content();
    world.oracle.is_by_order = true;
    die_and_start(200, 200);
    expect_content();
    die_and_start(4000, 4000); /* the hour has passed */
    expect_content();
}

static void a_hang_that_was_none(void **state)
{
    (void)state;
    world.oracle.hangs_expected = 1;
    oracle_on_hang_noticed(&world.oracle, NOW);
    expect_content();
    oracle_on_hang_noticed(&world.oracle, NOW);
    expect_complaint("an engine that moved was killed");
}

static bool stored_status(const void *store, token_id id, uint8_t *status)
{
    *status = *(const uint8_t *)store;
    return id != 3; /* of that one there is no row */
}

static void set_status(token_id id, enum token_status status)
{
    token_write_begin(world.memory.table, id)->status = (uint8_t)status;
    token_write_end(world.memory.table, id);
}

static void a_token_that_comes_back_as_another(void **state)
{
    (void)state;
    uint8_t stored = TOKEN_ACTIVE;
    oracle_on_restored(&world.oracle, stored_status, &stored, NOW);
    expect_content();
    set_status(1, TOKEN_ACTIVE); /* as it is in the store */
    oracle_on_restored(&world.oracle, stored_status, &stored, NOW);
    expect_content();
    assert_int_equal(world.statuses[1], TOKEN_ACTIVE);
    set_status(2, TOKEN_ARCHIVED);
    oracle_on_restored(&world.oracle, stored_status, &stored, NOW);
    expect_complaint("token 2 was restored as archived, which it was not");
    set_status(3, TOKEN_ACTIVE);
    oracle_on_restored(&world.oracle, stored_status, &stored, NOW);
    expect_complaint("token 3 was restored as active");
    world.statuses[3] = TOKEN_MONITORING;
    world.oracle.has_fallen = true; /* between the change and the word of it */
    oracle_on_restored(&world.oracle, stored_status, &stored, NOW);
    expect_content();
    assert_false(world.oracle.has_fallen);
}

static void the_first_complaint_stays(void **state)
{
    (void)state;
    oracle_complain(&world.oracle, NOW, "first %d", 1);
    oracle_complain(&world.oracle, NOW, "second");
    assert_string_equal(world.oracle.verdict, "at 1750000000.000 s: first 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(is_content_with_what_may_be),
        TEST(requests_of_the_wrong_size),
        TEST(changes_that_there_are_not),
        TEST(losses_in_silence),
        TEST(a_status_that_changed_unseen),
        TEST(a_token_in_no_lane),
        TEST(a_torn_slot),
        TEST(an_answer_of_the_future),
        TEST(a_token_that_is_too_old),
        TEST(a_suspect_with_others),
        TEST(two_engines_at_once),
        TEST(starts_that_come_too_often),
        TEST(a_hang_that_was_none),
        TEST(a_token_that_comes_back_as_another),
        TEST(the_first_complaint_stays),
    };
    return cmocka_run_group_tests_name("sim.oracle", tests, NULL, NULL);
}
