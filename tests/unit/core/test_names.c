#include "core/core.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(lane_kind_name(LANE_DISCOVER), "discover");
    assert_string_equal(feed_outcome_name(FEED_RATE_LIMITED), "rate_limited");
    assert_string_equal(pair_issue_name(PAIR_NO_MOVE), "transactions_without_move");
    assert_string_equal(token_status_name(TOKEN_ARCHIVED), "archived");
    assert_string_equal(token_group_name(GROUP_COLD), "cold");
    assert_string_equal(breaker_state_name(BREAKER_HALF_OPEN), "half_open");
    assert_string_equal(job_name(JOB_RETENTION), "retention");
    assert_string_equal(transition_name(TRANSITION_BREAKER), "breaker");
    assert_string_equal(transition_state_name(TRANSITION_JOB, JOB_CANCELLED), "cancelled");
    assert_string_equal(transition_state_name(TRANSITION_PAUSE, PAUSE_ON), "on");
    assert_string_equal(transition_state_name(TRANSITION_SUSPECT, TRUST_SUSPECT), "suspect");
    assert_string_equal(transition_state_name(TRANSITION_QUARANTINE, TRUST_QUARANTINE),
                        "quarantine");
    assert_string_equal(transition_state_name(TRANSITION_BREAKER, BREAKER_OPEN), "open");
}

/* The values may come from shared memory after a crash. */
static void test_values_out_of_range(void **state)
{
    (void)state;
    static const int values[] = {-1, 1000, INT32_MAX, INT32_MIN};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        assert_string_equal(lane_kind_name((enum lane_kind)values[i]), "unknown");
        assert_string_equal(feed_outcome_name((enum feed_outcome)values[i]), "unknown");
        assert_string_equal(pair_issue_name((enum pair_issue)values[i]), "unknown");
        assert_string_equal(token_status_name((enum token_status)values[i]), "unknown");
        assert_string_equal(token_group_name((enum token_group)values[i]), "unknown");
        assert_string_equal(breaker_state_name((enum breaker_state)values[i]), "unknown");
        assert_string_equal(job_name((enum job)values[i]), "unknown");
        assert_string_equal(pause_state_name((enum pause_state)values[i]), "unknown");
        assert_string_equal(trust_name((enum trust)values[i]), "unknown");
        assert_string_equal(job_state_name((enum job_run_state)values[i]), "unknown");
        assert_string_equal(transition_name((enum transition)values[i]), "unknown");
        assert_string_equal(transition_state_name((enum transition)values[i], 0), "unknown");
    }
    assert_string_equal(feed_outcome_name(FEED_OUTCOME_COUNT), "unknown");
}

static void test_parsing_a_status(void **state)
{
    (void)state;
    for (int i = 0; i < TOKEN_STATUS_COUNT; i++) {
        enum token_status status = TOKEN_STATUS_COUNT;
        const char *name = token_status_name((enum token_status)i);
        assert_true(token_status_parse(name, strlen(name), &status));
        assert_int_equal(status, i);
        assert_false(token_status_parse(name, strlen(name) - 1, &status));
    }
    enum token_status status = TOKEN_ACTIVE;
    assert_false(token_status_parse("", 0, &status));
    assert_false(token_status_parse("Active", 6, &status));
    assert_true(token_status_parse("monitoring,active", 10, &status)); /* no NUL needed */
    assert_int_equal(status, TOKEN_MONITORING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_values_out_of_range),
        cmocka_unit_test(test_parsing_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
