/*
 * The core foresees: readings of a second go in, and what it says and does about them comes out, as
 * a trace: minutes since the start, and what happened. Nothing is fetched here.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prng.h"
#include "core/core.h"
#include "core/state.h"
#include "page/table_memory.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define START      ((instant){1750000000000000LL})
#define HOUR_S     3600.0
#define TRACE_SIZE 4096
#define GIB        1073741824.0

static struct {
    struct table_memory memory;
    struct core *core;
    struct options options;
    struct actions actions;
    struct prng prng;
    struct load_sample sample;
    double now_s;
    char trace[TRACE_SIZE];
    size_t length;
} world;

static void set_option(const char *name, const char *value)
{
    char why[OPTION_MESSAGE_SIZE];
    if (options_set(&world.options, name, value, OPTION_FROM_COMMAND_LINE, why) != OK)
        fail_msg("%s", why);
}

static int begin(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    options_init(&world.options);
    set_option("retention_interval_sec", "604800"); /* so that only what is wanted runs */
    set_option("archiver_interval_sec", "604800");
    set_option("job_deadline_sec", "86400");
    /* Nothing is shed before it hurts, but for what is foretold. */
    set_option("load_reduced_memory_percent", "95");
    set_option("load_minimal_memory_percent", "96");
    set_option("disk_reduced_percent", "97");
    prng_seed(&world.prng, 3);
    for (int i = 0; i < LOAD_READING_COUNT; i++)
        world.sample.of[i] = NAN;
    int error;
    assert_true(table_memory_init(&world.memory, 64, &error));
    world.core = core_init(malloc(core_size()), world.memory.table, &world.options, 0, START);
    core_start_alone(world.core, NULL);
    return 0;
}

static int end(void **state)
{
    (void)state;
    free(world.core);
    table_memory_finish(&world.memory);
    return 0;
}

/* ---- the trace ---- */

__attribute__((format(printf, 1, 2))) static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int written =
        vsnprintf(world.trace + world.length, TRACE_SIZE - world.length, format, arguments);
    va_end(arguments);
    assert_true(written > 0 && world.length + (size_t)written < TRACE_SIZE);
    world.length += (size_t)written;
}

static void say_transition(const struct action *action)
{
    enum transition what = action->transition.what;
    const char *to = transition_state_name(what, action->transition.to);
    if (what == TRANSITION_FORECAST)
        say("%4.0f  %s: %s\n", world.now_s / 60, vital_name(action->transition.id), to);
    if (what == TRANSITION_FEATURE)
        say("%4.0f  %s %s\n", world.now_s / 60, load_feature_name(action->transition.id), to);
}

static void say_all(void)
{
    for (size_t i = 0; i < world.actions.count; i++) {
        const struct action *action = &world.actions.items[i];
        if (action->kind == ACTION_TRANSITION)
            say_transition(action);
        if (action->kind == ACTION_RESTART)
            say("%4.0f  restart: %s\n", world.now_s / 60, action->restart.reason);
        if (action->kind == ACTION_RETENTION && world.now_s > 60) /* that of each start */
            say("%4.0f  retention\n", world.now_s / 60);
    }
}

static void end_jobs(void)
{
    for (size_t i = 0; i < world.actions.count; i++) {
        const struct action *action = &world.actions.items[i];
        if (action->kind != ACTION_RETENTION)
            continue;
        struct event event = {.kind = EVENT_JOB_DONE,
                              .now = instant_add(START, duration_s(world.now_s)),
                              .job_done = {JOB_RETENTION, action->retention.run, false}};
        core_step(world.core, &event, &world.actions);
        return;
    }
}

/* A second each; `shape` sets the readings. */
static void run(void (*shape)(double t_s), double hours)
{
    double until_s = world.now_s + hours * HOUR_S;
    for (; world.now_s < until_s; world.now_s += 1) {
        shape(world.now_s);
        struct event event = {.kind = EVENT_LOAD,
                              .now = instant_add(START, duration_s(world.now_s)),
                              .load = {&world.sample, NULL}};
        core_step(world.core, &event, &world.actions);
        say_all();
        end_jobs();
    }
}

static void expect(const char *trace)
{
    assert_string_equal(world.trace, trace);
}

static const struct vital_stats *stats_of(enum vital vital)
{
    return &core_stats(world.core)->vitals[vital];
}

/* ---- shapes ---- */

static double noise(double deviation)
{
    return deviation * prng_normal(&world.prng);
}

/* Half an hour of rest, then six hours to the threshold of 0.95. */
static double leak(double t_s)
{
    return 0.65 + fmax(0, t_s - HOUR_S / 2) / (6 * HOUR_S) * 0.3;
}

static void our_leak(double t_s)
{
    world.sample.of[READING_MEMORY] = leak(t_s) + noise(0.002);
    world.sample.of[READING_MEMORY_LIMIT] = 8 * GIB;
    world.sample.of[READING_OWN_MEMORY] = 8 * GIB * (leak(t_s) - 0.4);
}

static void the_leak_of_others(double t_s)
{
    our_leak(t_s);
    world.sample.of[READING_OWN_MEMORY] = GIB;
}

static void leak_that_ends(double t_s)
{
    the_leak_of_others(fmin(t_s, 6.35 * HOUR_S));
}

static void leak_unseen_now_and_then(double t_s)
{
    the_leak_of_others(t_s);
    if (fmod(t_s, 300) < 60)
        world.sample.of[READING_MEMORY] = NAN;
}

static void jump(double t_s)
{
    world.sample.of[READING_MEMORY] = (t_s < HOUR_S ? 0.5 : 0.97) + noise(0.002);
}

static void filling_disk(double t_s)
{
    world.sample.of[READING_DISK] = 0.5 + t_s / (4 * HOUR_S) * 0.47;
    world.sample.of[READING_DISK_FREE] = 100 * GIB * (1 - world.sample.of[READING_DISK]);
}

static void nothing_known(double t_s)
{
    (void)t_s;
}

/* ---- the tests ---- */

static void test_memory_of_ours_is_foretold_and_freed(void **state)
{
    (void)state;
    run(our_leak, 7);
    expect(" 374  memory: foretold\n"
           " 374  restart: memory is foretold to run out, and it is ours that grows\n"
           " 374  statistics off\n"
           " 374  history_detail off\n"
           " 374  export_rate off\n"
           " 379  restart: memory is foretold to run out, and it is ours that grows\n"
           " 384  restart: memory is foretold to run out, and it is ours that grows\n"
           " 387  clean_up off\n"
           " 387  log_detail off\n"
           " 389  restart: memory is foretold to run out, and it is ours that grows\n"
           " 391  memory: reached\n"); /* and nobody restarts it here */
    assert_int_equal(stats_of(VITAL_MEMORY)->hits, 1);
    assert_int_equal(stats_of(VITAL_MEMORY)->missed, 0);
}

static void test_memory_of_others_is_no_reason_to_restart(void **state)
{
    (void)state;
    run(the_leak_of_others, 7);
    expect(" 374  memory: foretold\n"
           " 374  statistics off\n"
           " 374  history_detail off\n"
           " 374  export_rate off\n"
           " 387  clean_up off\n"
           " 387  log_detail off\n"
           " 391  memory: reached\n");
    assert_int_equal(stats_of(VITAL_MEMORY)->hits, 1);
    assert_true(fabs(stats_of(VITAL_MEMORY)->median_lead_s - 900) < 200);
}

static void test_gaps_are_no_zeros(void **state)
{
    (void)state;
    run(leak_unseen_now_and_then, 7);
    expect(" 374  memory: foretold\n"
           " 375  statistics off\n"
           " 375  history_detail off\n"
           " 375  export_rate off\n"
           " 387  clean_up off\n"
           " 387  log_detail off\n"
           " 391  memory: reached\n");
}

static void test_what_does_not_come_is_counted(void **state)
{
    (void)state;
    run(leak_that_ends, 8);
    expect(" 374  memory: foretold\n"
           " 374  statistics off\n"
           " 374  history_detail off\n"
           " 374  export_rate off\n"
           " 398  memory: quiet\n"
           " 398  statistics on\n"
           " 398  history_detail on\n"
           " 398  export_rate on\n");
    assert_int_equal(stats_of(VITAL_MEMORY)->false_alarms, 1);
    assert_int_equal(stats_of(VITAL_MEMORY)->hits, 0);
}

static void test_what_was_not_foretold_is_counted(void **state)
{
    (void)state;
    run(jump, 1.5);
    expect("  60  statistics off\n"
           "  60  history_detail off\n"
           "  60  export_rate off\n"
           "  60  clean_up off\n"
           "  60  log_detail off\n"
           "  60  memory: reached\n");
    assert_int_equal(stats_of(VITAL_MEMORY)->missed, 1);
}

static void test_a_disk_is_cleaned_before_it_is_full(void **state)
{
    (void)state;
    run(filling_disk, 4.2);
    expect(" 225  disk: foretold\n"
           " 225  retention\n"
           " 225  history_detail off\n"
           " 240  log_detail off\n"
           " 240  history off\n"
           " 240  disk: reached\n"
           " 240  retention\n");
}

static void test_the_unknown_foretells_nothing(void **state)
{
    (void)state;
    run(nothing_known, 1);
    expect("");
    assert_true(isnan(stats_of(VITAL_CPU)->value) && isnan(stats_of(VITAL_CPU)->eta_s));
    assert_int_equal(stats_of(VITAL_CPU)->state, VITAL_QUIET);
}

static void test_a_forecast_is_a_finding(void **state)
{
    (void)state;
    run(the_leak_of_others, 6.4);
    const struct finding *finding =
        findings_get(&core_stats(world.core)->findings, FINDING_FORECAST, VITAL_MEMORY);
    assert_non_null(finding);
    assert_int_equal(finding->severity, SEVERITY_ERROR);
    assert_true(finding->value > 0 && finding->value <= finding->limit);
    assert_string_equal(finding_subject_name(FINDING_FORECAST, VITAL_MEMORY), "memory");
    run(the_leak_of_others, 0.6); /* reached: it is no forecast any more */
    assert_null(findings_get(&core_stats(world.core)->findings, FINDING_FORECAST, VITAL_MEMORY));
}

static void busier_and_busier(double t_s)
{
    world.sample.of[READING_CPU] = fmin(1, 0.3 + t_s / (2 * HOUR_S) * 0.6);
}

static void test_a_busy_machine_is_worth_knowing(void **state)
{
    (void)state;
    run(busier_and_busier, 1.95);
    const struct finding *finding =
        findings_get(&core_stats(world.core)->findings, FINDING_FORECAST, VITAL_CPU);
    assert_non_null(finding);
    assert_int_equal(finding->severity, SEVERITY_INFO);
}

/* Five hours in which nothing happens, and then a minute of what never was. */
static void spike(double t_s)
{
    world.sample.of[READING_MEMORY] = (t_s < 5 * HOUR_S ? 0.4 : 0.8) + noise(0.002);
}

static void test_what_never_was_is_a_finding(void **state)
{
    (void)state;
    run(spike, 5);
    assert_null(findings_get(&core_stats(world.core)->findings, FINDING_ANOMALY, VITAL_MEMORY));
    run(spike, 0.01);
    const struct finding *finding =
        findings_get(&core_stats(world.core)->findings, FINDING_ANOMALY, VITAL_MEMORY);
    assert_non_null(finding);
    assert_int_equal(finding->severity, SEVERITY_INFO);
    assert_true(finding->limit >= 90);
}

/* What came sooner after it was foretold stands before what came later. */
static void test_the_median_lead_is_of_all_hits(void **state)
{
    (void)state;
    struct vital_sign *sign = &world.core->vitals.of[VITAL_MEMORY];
    sign->leads_s[0] = 1e6F;
    sign->stats.hits = 1;
    run(the_leak_of_others, 7);
    assert_int_equal(sign->stats.hits, 2);
    assert_true(sign->leads_s[1] < 1e5F);
    double mean = (1e6 + sign->leads_s[1]) / 2;
    assert_true(fabs(stats_of(VITAL_MEMORY)->median_lead_s - mean) < 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_what_never_was_is_a_finding),
        TEST(test_the_median_lead_is_of_all_hits),
        TEST(test_memory_of_ours_is_foretold_and_freed),
        TEST(test_memory_of_others_is_no_reason_to_restart),
        TEST(test_gaps_are_no_zeros),
        TEST(test_what_does_not_come_is_counted),
        TEST(test_what_was_not_foretold_is_counted),
        TEST(test_a_disk_is_cleaned_before_it_is_full),
        TEST(test_the_unknown_foretells_nothing),
        TEST(test_a_forecast_is_a_finding),
        TEST(test_a_busy_machine_is_worth_knowing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
