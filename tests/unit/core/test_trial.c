/* Suspects: who is one, and the trials of each. What becomes of tokens is in test_core.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/trial.h"
#include <string.h>

#define NOW ((instant){1750000000000000LL})

static struct trials suspects;

static int set_up(void **state)
{
    (void)state;
    memset(&suspects, 0, sizeof suspects);
    return 0;
}

static void the_oldest_comes_first(void **state)
{
    (void)state;
    for (token_id id = 1; id <= TRIALS_MAX; id++)
        assert_int_equal(trials_add(&suspects, id * 10)->id, id * 10);
    assert_int_equal(suspects.count, TRIALS_MAX);
    trials_remove(&suspects, 10);              /* the first, */
    trials_remove(&suspects, TRIALS_MAX * 10); /* the last, */
    trials_remove(&suspects, 50);              /* one in the middle */
    assert_int_equal(suspects.count, TRIALS_MAX - 3);
    assert_int_equal(suspects.items[0].id, 20);
    assert_int_equal(suspects.items[3].id, 60);
    assert_false(trials_has(&suspects, 50));
    assert_null(trials_find(&suspects, 50));
    assert_true(trials_has(&suspects, 60));
    assert_ptr_equal(trials_find(&suspects, 60), &suspects.items[3]);
    trials_add(&suspects, 50);
    assert_int_equal(suspects.items[suspects.count - 1].id, 50);
}

static void a_trial_waits_is_under_way_and_is_passed(void **state)
{
    (void)state;
    struct defendant *suspect = trials_add(&suspects, 1);
    trial_try(suspect, LINKS_PRICE);
    struct trial *trial = &suspect->trials[LINKS_PRICE];
    assert_int_equal(trial->state, TRIAL_WAITING);
    assert_true(trial->not_before.us <= NOW.us);
    trial_sent(suspect, LANE_SCREEN);
    assert_int_equal(trial->state, TRIAL_UNDER_WAY);
    trial_try(suspect, LINKS_PRICE); /* is tried already */
    assert_int_equal(trial->state, TRIAL_UNDER_WAY);
    assert_true(trial_passed(suspect, LANE_SCREEN));
    assert_int_equal(trial->state, TRIAL_NONE);
}

static void both_trials_are_to_be_passed(void **state)
{
    (void)state;
    struct defendant *suspect = trials_add(&suspects, 1);
    trial_try(suspect, LINKS_PRICE);
    trial_try(suspect, LINKS_DISCOVER);
    trial_sent(suspect, LANE_DISCOVER);
    trial_sent(suspect, LANE_REFRESH);
    assert_false(trial_passed(suspect, LANE_DISCOVER));
    assert_true(trial_passed(suspect, LANE_REFRESH));
}

static void one_at_a_time_in_each_kind_of_lane(void **state)
{
    (void)state;
    static const enum lane_kind lanes[] = {LANE_REFRESH, LANE_SCREEN, LANE_DISCOVER};
    for (token_id id = 1; id <= 3; id++) {
        trial_try(trials_add(&suspects, id), lane_family(lanes[id - 1]));
        for (int i = 0; i < 3; i++)
            assert_false(trials_has_under_way(&suspects, lanes[i]));
    }
    for (token_id id = 1; id <= 3; id++)
        trial_sent(trials_find(&suspects, id), lanes[id - 1]);
    for (token_id id = 1; id <= 3; id++) {
        trial_passed(trials_find(&suspects, id), lanes[id - 1]);
        for (token_id other = 1; other <= 3; other++)
            assert_true(trials_has_under_way(&suspects, lanes[other - 1]) == (other > id));
    }
}

static void one_that_fails_waits_longer_each_time(void **state)
{
    (void)state;
    static const double waits[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300};
    struct defendant *suspect = trials_add(&suspects, 1);
    trial_try(suspect, LINKS_DISCOVER);
    struct trial *trial = &suspect->trials[LINKS_DISCOVER];
    for (size_t i = 0; i < sizeof waits / sizeof *waits; i++) {
        trial_sent(suspect, LANE_DISCOVER);
        trial_failed(suspect, LANE_DISCOVER, NOW);
        assert_int_equal(trial->state, TRIAL_WAITING);
        assert_int_equal(instant_diff(trial->not_before, NOW).us, duration_s(waits[i]).us);
    }
    for (int i = 0; i < 100000; i++) {
        trial_sent(suspect, LANE_DISCOVER);
        trial_failed(suspect, LANE_DISCOVER, NOW);
    }
    assert_int_equal(instant_diff(trial->not_before, NOW).us, TRIAL_RETRY_MOST.us);
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_oldest_comes_first),
        TEST(a_trial_waits_is_under_way_and_is_passed),
        TEST(both_trials_are_to_be_passed),
        TEST(one_at_a_time_in_each_kind_of_lane),
        TEST(one_that_fails_waits_longer_each_time),
    };
    return cmocka_run_group_tests_name("core.suspects", tests, NULL, NULL);
}
