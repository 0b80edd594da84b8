#include "core/core.h"
#include "core/token_check.h"

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
    assert_string_equal(follow_refusal_name(FOLLOW_NO_ROOM), "no_room");
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

/* What is shown beside its name is said of each. */
static void test_each_has_words(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LOAD_READING_COUNT; i++)
        assert_true(strlen(load_reading_help(i)) > 5);
    for (int i = 0; i < VITAL_COUNT; i++) {
        assert_true(strlen(vital_help((enum vital)i)) > 5);
        assert_string_not_equal(vital_unit((enum vital)i), "unknown");
    }
    for (int i = 0; i < LOAD_FEATURE_COUNT; i++)
        assert_true(strlen(load_feature_sentence((enum load_feature)i)) > 10);
    for (int i = 0; i < LANE_LIMIT_COUNT; i++)
        assert_string_not_equal(lane_limit_name((enum lane_limit)i), "unknown");
    assert_string_equal(alert_state_name(ALERT_CLEARING), "clearing");
    assert_string_equal(alert_message_kind_name(ALERT_TEST), "test");
    assert_string_equal(table_fault_text(TABLE_BAD_SIZE), "its size is not what its header says");
}

/* What keeps us from being ready is no more and no less than this. */
static void test_what_is_unready(void **state)
{
    static const enum finding_cause unready[] = {
        FINDING_SCHEDULER_OFF, FINDING_PAUSED,        FINDING_LOADING,
        FINDING_GROUP_SILENT,  FINDING_GROUP_OVERDUE, FINDING_STORE_DOWN,
        FINDING_ENGINE_DOWN,   FINDING_NODE_OUTSIDE,  FINDING_NODE_RESTS};
    size_t count = 0;
    (void)state;
    for (size_t i = 0; i < sizeof unready / sizeof unready[0]; i++)
        assert_true(finding_is_unready(unready[i]));
    for (int i = 0; i < FINDING_CAUSE_COUNT; i++) {
        count += finding_is_unready((enum finding_cause)i);
        assert_true((unsigned)finding_component((enum finding_cause)i) < COMPONENT_COUNT);
    }
    assert_int_equal(count, sizeof unready / sizeof unready[0]);
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
        assert_string_equal(follow_refusal_name((enum follow_refusal)values[i]), "unknown");
        assert_string_equal(breaker_state_name((enum breaker_state)values[i]), "unknown");
        assert_string_equal(job_name((enum job)values[i]), "unknown");
        assert_string_equal(pause_state_name((enum pause_state)values[i]), "unknown");
        assert_string_equal(trust_name((enum trust)values[i]), "unknown");
        assert_string_equal(job_state_name((enum job_run_state)values[i]), "unknown");
        assert_string_equal(transition_name((enum transition)values[i]), "unknown");
        assert_string_equal(transition_state_name((enum transition)values[i], 0), "unknown");
        assert_string_equal(load_reading_name((unsigned)values[i]), "unknown");
        assert_string_equal(load_reading_help((unsigned)values[i]), "unknown");
        assert_string_equal(load_feature_name((enum load_feature)values[i]), "unknown");
        assert_string_equal(load_feature_sentence((enum load_feature)values[i]), "unknown");
        assert_string_equal(feature_state_name((enum feature_state)values[i]), "unknown");
        assert_string_equal(lane_limit_name((enum lane_limit)values[i]), "unknown");
        assert_string_equal(vital_name((enum vital)values[i]), "unknown");
        assert_string_equal(vital_unit((enum vital)values[i]), "unknown");
        assert_string_equal(vital_help((enum vital)values[i]), "unknown");
        assert_string_equal(alert_state_name((enum alert_state)values[i]), "unknown");
        assert_string_equal(alert_message_kind_name((enum alert_message_kind)values[i]), "unknown");
        assert_string_equal(alert_change_name((enum alert_change)values[i]), "unknown");
        assert_string_equal(table_fault_text((enum table_fault)values[i]), "?");
    }
    assert_string_equal(transition_state_name(TRANSITION_COUNT, 0), "unknown");
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
        cmocka_unit_test(test_each_has_words),
        cmocka_unit_test(test_what_is_unready),
        cmocka_unit_test(test_values_out_of_range),
        cmocka_unit_test(test_parsing_a_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
