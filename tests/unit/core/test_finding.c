/* What a finding says to a person. */
#include "core/core.h"
#include "core/finding.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static void test_sentences(void **state)
{
    (void)state;
    static const struct {
        struct finding finding;
        const char *text;
    } cases[] = {
        {{FINDING_GROUP_LATE, GROUP_HOT, SEVERITY_WARNING, {1}, 47.123, 30},
         "a hot token that is due was refreshed 47.1 s ago, over 30 s"},
        {{FINDING_GROUP_LATE, GROUP_COLD, SEVERITY_ERROR, {1}, 599, 135},
         "a cold token that is due was refreshed 9.98 min ago, over 2.25 min"},
        {{FINDING_GROUP_UNPUNCTUAL, GROUP_HOT, SEVERITY_ERROR, {1}, 81.25, 90},
         "81.3 % of the refreshes of hot tokens in the last five minutes were on time, under 90 %"},
        {{FINDING_JOB_LATE, JOB_ARCHIVER, SEVERITY_WARNING, {1}, 7300, 7200},
         "the archiver job last began 2.03 h ago, over 2 h"},
        {{FINDING_LIMIT_LEARNT, LANE_SCREEN, SEVERITY_INFO, {1}, 137.4, 294},
         "the upstream takes screen requests at about 137 a minute, under the 294 a minute "
         "configured"},
        {{FINDING_RESTARTED, WATCHED_API, SEVERITY_WARNING, {1}, 2, NAN},
         "the api died or hung 2 times in the last hour and was started again"},
        {{FINDING_LOAD_UNKNOWN, SIGNAL_MEMORY, SEVERITY_WARNING, {1}, NAN, NAN},
         "how much memory is in use cannot be known: nothing is shed for it"},
        {{FINDING_FEED_SLOW, LANE_REFRESH, SEVERITY_WARNING, {1}, 0.0034567, NAN},
         "refresh requests take 0.00346 s, over unknown"},
        {{FINDING_CAUSE_COUNT, 0, SEVERITY_WARNING, {1}, 1, 2}, "unknown"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[FINDING_TEXT_SIZE];
        finding_text(&cases[i].finding, text);
        assert_string_equal(text, cases[i].text);
    }
}

/* All slots of all rows can be filled in, and nothing is cut off. */
static void test_every_row(void **state)
{
    (void)state;
    for (int i = 0; i < FINDING_CAUSE_COUNT; i++) {
        struct finding finding = {(enum finding_cause)i, 0, SEVERITY_ERROR, {1}, 123456, 0.001};
        char text[FINDING_TEXT_SIZE], advice[FINDING_TEXT_SIZE];
        finding_text(&finding, text);
        finding_advice(&finding, advice);
        assert_in_range(strlen(text), 20, FINDING_TEXT_SIZE - 20);
        assert_in_range(strlen(advice), 10, FINDING_TEXT_SIZE - 20);
        assert_null(strchr(text, '{'));
        assert_true((finding_unit(finding.cause) == UNIT_NONE) ==
                    (strstr(finding_sentence(finding.cause), "{value}") == NULL));
        assert_true((finding_subject_kind(finding.cause) == SUBJECT_NONE) ==
                    (strstr(finding_sentence(finding.cause), "{who}") == NULL));
        for (int k = 0; k < i; k++)
            assert_string_not_equal(finding_name(finding.cause),
                                    finding_name((enum finding_cause)k));
    }
}

static void test_what_they_come_to(void **state)
{
    (void)state;
    struct findings findings = {0};
    assert_int_equal(findings_health(&findings), HEALTH_HEALTHY);
    static const enum health worst[SEVERITY_COUNT] = {HEALTH_HEALTHY, HEALTH_DEGRADED,
                                                      HEALTH_DEGRADED, HEALTH_CRITICAL};
    for (int i = 0; i < SEVERITY_COUNT; i++) {
        findings.of[findings.count++] =
            (struct finding){FINDING_GROUP_LATE, (uint8_t)i, (enum severity)i, {1}, 1, 1};
        assert_int_equal(findings_health(&findings), worst[i]);
    }
    assert_ptr_equal(findings_get(&findings, FINDING_GROUP_LATE, 2), &findings.of[2]);
    assert_null(findings_get(&findings, FINDING_GROUP_LATE, 4));
    assert_null(findings_get(&findings, FINDING_PAUSED, 2));
}

static void test_out_of_range(void **state)
{
    (void)state;
    assert_string_equal(finding_name((enum finding_cause) - 1), "unknown");
    assert_string_equal(severity_name(SEVERITY_COUNT), "unknown");
    assert_string_equal(health_name(HEALTH_COUNT), "unknown");
    assert_string_equal(component_name(COMPONENT_COUNT), "unknown");
    assert_string_equal(subject_kind_name(SUBJECT_KIND_COUNT), "unknown");
    assert_string_equal(watched_process_name(WATCHED_PROCESS_COUNT), "unknown");
    assert_string_equal(finding_unit_name(UNIT_COUNT_OF), "unknown");
    assert_string_equal(finding_subject_name(FINDING_GROUP_LATE, 77), "unknown");
    assert_string_equal(finding_subject_name(FINDING_PAUSED, 77), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sentences),
        cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_what_they_come_to),
        cmocka_unit_test(test_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
