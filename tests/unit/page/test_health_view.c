/* What a reader of the page is told of health. */
#include "core/load.h"
#include "page/health_view.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define NOW     ((instant){1750000000000000LL})
#define CHANGES 20000

static struct status_page page;

static int fresh(void **state)
{
    (void)state;
    status_page_init(&page);
    page_beat(&page, BEAT_ENGINE_LOOP, NOW, duration_us(0));
    return 0;
}

static void publish(const struct finding *of, uint32_t count)
{
    struct findings findings = {.count = count};
    memcpy(findings.of, of, count * sizeof *of);
    health_publish(&page, &findings);
}

static const struct finding two[] = {
    {.cause = FINDING_GROUP_LATE, .severity = SEVERITY_ERROR, .because = FINDING_BREAKER_OPEN},
    {.cause = FINDING_BREAKER_OPEN, .severity = SEVERITY_WARNING, .because = FINDING_CAUSE_COUNT},
};

static void test_what_was_published(void **state)
{
    (void)state;
    struct health_view view;
    health_look(&page, NOW, &view);
    assert_int_equal(view.findings.count, 0); /* nothing yet */
    publish(two, 2);
    health_look(&page, NOW, &view);
    assert_int_equal(view.findings.count, 2);
    assert_memory_equal(view.findings.of, two, sizeof two);
    assert_int_equal(view.health, HEALTH_DEGRADED);
    struct health_view feeds = health_of(&view, 1U << COMPONENT_FEEDS);
    assert_int_equal(feeds.findings.count, 1);
    assert_int_equal(feeds.findings.of[0].cause, FINDING_BREAKER_OPEN);
    publish(two, 0);
    health_look(&page, NOW, &view);
    assert_int_equal(view.health, HEALTH_HEALTHY);
}

/* The page of a dead writer may hold anything. */
static void test_a_damaged_page(void **state)
{
    (void)state;
    struct health_view view;
    struct finding damaged[4] = {two[0], two[0], two[0], two[1]};
    damaged[0].cause = FINDING_CAUSE_COUNT;
    damaged[1].severity = (enum severity)77;
    damaged[2].because = (enum finding_cause) - 3;
    publish(damaged, 4);
    page.health.findings[1].count = UINT32_MAX;
    memset(&page.health.findings[1].of[4], 0xff, sizeof two);
    memset(&page.health.findings[1].of[6], 0xff,
           sizeof page.health.findings[1].of - 6 * sizeof two[0]);
    health_look(&page, NOW, &view);
    assert_int_equal(view.findings.count, 1);
    assert_int_equal(view.findings.of[0].cause, FINDING_BREAKER_OPEN);
}

static void expect_down(void)
{
    struct health_view view;
    health_look(&page, NOW, &view);
    assert_int_equal(view.health, HEALTH_CRITICAL);
    assert_int_equal(view.findings.of[0].cause, FINDING_ENGINE_DOWN);
    assert_null(findings_get(&view.findings, FINDING_GROUP_LATE, 0));
}

/* What it found last is old then. */
static void test_an_engine_that_is_down(void **state)
{
    (void)state;
    struct health_view view;
    publish(two, 2);
    page_beat(&page, BEAT_ENGINE_LOOP, instant_add(NOW, duration_s(-6)), duration_us(0));
    expect_down();
    page_beat_end(&page, BEAT_ENGINE_LOOP);
    expect_down();
    page_beat(&page, BEAT_ENGINE_LOOP, NOW, duration_us(0));
    page_put_word(&page.processes[PROCESS_SUPERVISOR].starts, 1);
    page_put_word(&page.processes[PROCESS_ENGINE].state, PROCESS_WAITING);
    page_put_word(&page.processes[PROCESS_ENGINE].deaths_last_hour, 4);
    expect_down();
    health_look(&page, NOW, &view);
    const struct finding *deaths = findings_get(&view.findings, FINDING_RESTARTED, WATCHED_ENGINE);
    assert_non_null(deaths);
    assert_true(deaths->value == 4);
    page_put_word(&page.processes[PROCESS_ENGINE].state, PROCESS_RUNNING);
    health_look(&page, NOW, &view);
    assert_int_equal(view.findings.count, 2);
}

static void test_an_engine_that_does_not_look(void **state)
{
    (void)state;
    struct health_view view;
    page_put_word(&page.load.sampled_at_us, (uint64_t)instant_add(NOW, duration_s(-4)).us);
    health_look(&page, NOW, &view);
    assert_int_equal(view.findings.count, 0);
    page_put_word(&page.load.sampled_at_us, (uint64_t)instant_add(NOW, duration_s(-20)).us);
    health_look(&page, NOW, &view);
    assert_int_equal(view.findings.count, 3);
    assert_non_null(findings_get(&view.findings, FINDING_LOAD_UNKNOWN, SIGNAL_MEMORY));
}

static void *write_many(void *context)
{
    struct findings findings = {.count = 2};
    (void)context;
    for (int i = 1; i <= CHANGES; i++) {
        findings.of[0] = two[0];
        findings.of[1] = two[1];
        findings.of[0].value = findings.of[1].value = i;
        health_publish(&page, &findings);
    }
    return NULL;
}

/* Both of one change, or both of another. */
static void test_a_reader_sees_one_change(void **state)
{
    (void)state;
    pthread_t writer;
    publish(two, 2);
    assert_int_equal(pthread_create(&writer, NULL, write_many, NULL), 0);
    for (double seen = 0; seen < CHANGES;) {
        struct health_view view;
        health_look(&page, NOW, &view);
        if (view.findings.count == 0)
            continue; /* it changed too fast */
        assert_int_equal(view.findings.count, 2);
        assert_true(view.findings.of[0].value == view.findings.of[1].value);
        assert_true(view.findings.of[0].value >= seen);
        seen = view.findings.of[0].value;
    }
    pthread_join(writer, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_what_was_published, fresh),
        cmocka_unit_test_setup(test_a_damaged_page, fresh),
        cmocka_unit_test_setup(test_an_engine_that_is_down, fresh),
        cmocka_unit_test_setup(test_an_engine_that_does_not_look, fresh),
        cmocka_unit_test_setup(test_a_reader_sees_one_change, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
