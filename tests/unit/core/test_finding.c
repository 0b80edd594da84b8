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
        {{.cause = FINDING_GROUP_LATE,
          .subject = GROUP_HOT,
          .severity = SEVERITY_WARNING,
          .value = 47.123,
          .limit = 30},
         "a hot token that is due was refreshed 47.1 s ago, over 30 s"},
        {{.cause = FINDING_GROUP_LATE,
          .subject = GROUP_COLD,
          .severity = SEVERITY_ERROR,
          .value = 599,
          .limit = 135},
         "a cold token that is due was refreshed 9.98 min ago, over 2.25 min"},
        {{.cause = FINDING_GROUP_UNPUNCTUAL,
          .subject = GROUP_HOT,
          .severity = SEVERITY_ERROR,
          .value = 81.25,
          .limit = 90},
         "81.3 % of the refreshes of hot tokens in the last five minutes were on time, under 90 %"},
        {{.cause = FINDING_JOB_LATE,
          .subject = JOB_ARCHIVER,
          .severity = SEVERITY_WARNING,
          .value = 7300,
          .limit = 7200},
         "the archiver job last began 2.03 h ago, over 2 h"},
        {{.cause = FINDING_LIMIT_LEARNT,
          .subject = LANE_SCREEN,
          .severity = SEVERITY_INFO,
          .value = 137.4,
          .limit = 294},
         "the upstream takes screen requests at about 137 a minute, under the 294 a minute "
         "configured"},
        {{.cause = FINDING_RESTARTED,
          .subject = WATCHED_API,
          .severity = SEVERITY_WARNING,
          .value = 2,
          .limit = NAN},
         "the api died or hung 2 times in the last hour and was started again"},
        {{.cause = FINDING_LOAD_UNKNOWN,
          .subject = SIGNAL_MEMORY,
          .severity = SEVERITY_WARNING,
          .value = NAN,
          .limit = NAN},
         "how much memory is in use cannot be known: nothing is shed for it"},
        {{.cause = FINDING_FEED_SLOW,
          .subject = LANE_REFRESH,
          .severity = SEVERITY_WARNING,
          .value = 0.0034567,
          .limit = NAN},
         "refresh requests take 0.00346 s, over unknown"},
        {{.cause = FINDING_CAUSE_COUNT,
          .subject = 0,
          .severity = SEVERITY_WARNING,
          .value = 1,
          .limit = 2},
         "unknown"},
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
        struct finding finding = {.cause = (enum finding_cause)i, .value = 123456, .limit = 0.001};
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
        struct finding finding = {
            .cause = FINDING_GROUP_LATE, .subject = (uint8_t)i, .severity = (enum severity)i};
        findings_add(&findings, &finding);
        assert_int_equal(findings_health(&findings), worst[i]);
    }
    assert_ptr_equal(findings_get(&findings, FINDING_GROUP_LATE, 2), &findings.of[2]);
    assert_null(findings_get(&findings, FINDING_GROUP_LATE, 4));
    assert_null(findings_get(&findings, FINDING_PAUSED, 2));
}

/* Causes in their order, then subjects; the same again takes the place of the one before. */
static void test_order(void **state)
{
    (void)state;
    static const struct finding added[] = {
        {.cause = FINDING_STORE_DOWN, .value = 1},
        {.cause = FINDING_GROUP_LATE, .subject = 1, .value = 2},
        {.cause = FINDING_PAUSED, .value = 3},
        {.cause = FINDING_GROUP_LATE, .subject = 0, .value = 4},
        {.cause = FINDING_GROUP_LATE, .subject = 1, .value = 5},
    };
    static const double values[] = {3, 4, 5, 1};
    struct findings findings = {0};
    for (size_t i = 0; i < sizeof added / sizeof added[0]; i++)
        findings_add(&findings, &added[i]);
    assert_int_equal(findings.count, sizeof values / sizeof values[0]);
    for (size_t i = 0; i < findings.count; i++)
        assert_true(findings.of[i].value == values[i]);
}

static void test_overflow(void **state)
{
    (void)state;
    struct findings findings = {0};
    struct finding finding = {.cause = FINDING_GROUP_LATE, .severity = SEVERITY_ERROR};
    for (unsigned i = 0; i < FINDINGS_MAX; i++) {
        finding.subject = (uint8_t)i;
        finding.severity = i == 7 ? SEVERITY_WARNING : SEVERITY_ERROR;
        findings_add(&findings, &finding);
    }
    assert_int_equal(findings.left_out, 0);
    finding.cause = FINDING_PAUSED;
    findings_add(&findings, &finding);
    assert_int_equal(findings.count, FINDINGS_MAX);
    assert_int_equal(findings.left_out, 1);
    assert_null(findings_get(&findings, FINDING_GROUP_LATE, 7));
    assert_ptr_equal(findings_get(&findings, FINDING_PAUSED, finding.subject), &findings.of[0]);
}

/* Nothing follows from itself, and what follows is told after its reason. */
static void test_reasons(void **state)
{
    (void)state;
    static const struct {
        enum finding_cause cause, because;
    } reasons[] = {
#define X(cause, because, seconds) {cause, because},
        FINDING_BECAUSE_LIST(X)
#undef X
    };
    for (size_t i = 0; i < sizeof reasons / sizeof reasons[0]; i++) {
        assert_int_not_equal(reasons[i].cause, reasons[i].because);
        for (size_t k = 0; k < sizeof reasons / sizeof reasons[0]; k++)
            assert_false(reasons[i].cause == reasons[k].because &&
                         reasons[i].because == reasons[k].cause);
    }
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
        cmocka_unit_test(test_sentences),         cmocka_unit_test(test_every_row),
        cmocka_unit_test(test_what_they_come_to), cmocka_unit_test(test_order),
        cmocka_unit_test(test_overflow),          cmocka_unit_test(test_reasons),
        cmocka_unit_test(test_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
