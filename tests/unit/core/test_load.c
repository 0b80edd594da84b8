/*
 * Load levels as traces: a line of samples, a line of levels (n normal, r reduced, m minimal). A
 * sample of -1 is an unknown one.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/load.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define START       ((instant){1750000000000000LL})
#define SAMPLES_MAX 64

static struct load load;
static struct options options;
static struct load_sample sample;
static size_t changes; /* told so far */

static int begin(void **state)
{
    (void)state;
    options_init(&options);
    load_init(&load);
    changes = 0;
    for (int i = 0; i < LOAD_READING_COUNT; i++)
        sample.of[i] = NAN;
    return 0;
}

static void judge(void)
{
    struct load_change told[LOAD_SIGNAL_COUNT];
    changes += load_judge(&load, &sample, &options, START, told);
}

static void set(unsigned reading, double percent)
{
    sample.of[reading] = percent < 0 ? NAN : percent / 100;
}

static char letter(enum load_level level)
{
    return "nrm"[level];
}

/* One sample after the other of one reading; the level of one signal after each. */
static void expect(unsigned reading, enum load_signal_id signal, const char *percents,
                   const char *levels)
{
    char seen[SAMPLES_MAX + 1] = "";
    size_t count = 0;
    for (char *end; *percents != '\0'; percents = end) {
        assert_true(count < SAMPLES_MAX);
        set(reading, strtod(percents, &end));
        assert_true(end > percents);
        judge();
        seen[count++] = letter(load.signals[signal].level);
    }
    assert_string_equal(seen, levels);
}

static void test_two_of_three_must_agree(void **state)
{
    (void)state;
    /* A spike; two in a row; two with one between them. */
    expect(READING_CPU, SIGNAL_CPU, "10 99 10 10 10 72 72 10 10 10 72 10 72", "nnnnnnrrnnnnr");
}

static void test_higher_votes_agree_on_what_is_lower(void **state)
{
    (void)state;
    expect(READING_CPU, SIGNAL_CPU, "72 99 99 99", "nrmm");
}

static void test_hysteresis(void **state)
{
    (void)state;
    /* 70 raises, 65 still holds, below it falls; and from minimal to reduced below 80. */
    expect(READING_CPU, SIGNAL_CPU, "70 70 66 66 65 65 64.9 64.9", "nrrrrrrn");
    expect(READING_CPU, SIGNAL_CPU, "85 85 80 80 79 79 64 64", "nmmmmrrn");
}

static void test_memory_has_limits_of_its_own(void **state)
{
    (void)state;
    expect(READING_MEMORY, SIGNAL_MEMORY, "74 74 75 75 89 89 90 90 85 85 84 84 69 69",
           "nnnrrrrmmmmrrn");
}

static void test_what_hovers_does_not_flap(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        set(READING_CPU, i % 2 == 0 ? 71 : 68);
        judge();
    }
    /* Once each: the CPU's level; who waits is a matter of 80 and more. */
    assert_int_equal(changes, 1);
    for (int i = 0; i < 99; i++) { /* every third is high: never two of three */
        set(READING_MEMORY, i % 3 == 0 ? 99 : 10);
        judge();
    }
    assert_int_equal(changes, 1);
}

static void test_what_is_unknown_changes_nothing(void **state)
{
    (void)state;
    expect(READING_CPU, SIGNAL_CPU, "90 -1 -1 -1 -1 90", "nnnnnm");
    expect(READING_CPU, SIGNAL_CPU, "-1 -1 -1 -1 -1", "mmmmm"); /* and is not 0 */
    assert_true(isnan(load.signals[SIGNAL_CPU].percent));
    expect(READING_CPU, SIGNAL_CPU, "10 -1 10", "mmn");
}

static void test_the_worse_of_machine_and_cgroup_counts(void **state)
{
    (void)state;
    set(READING_CPU, 10);
    expect(READING_CGROUP_CPU, SIGNAL_CPU, "95 95 -1 -1", "nmmn");
    set(READING_MEMORY, -1);
    expect(READING_CGROUP_MEMORY, SIGNAL_MEMORY, "80 80", "nr");
}

static void test_the_load_level_is_of_cpu_and_memory(void **state)
{
    (void)state;
    set(READING_CPU, 71);
    set(READING_MEMORY, 91);
    judge();
    judge();
    assert_int_equal(load.level, LOAD_MINIMAL);
    assert_int_equal(load.level_since.us, START.us);
    set(READING_MEMORY, 10);
    judge();
    judge();
    assert_int_equal(load.level, LOAD_REDUCED);
    set(READING_CPU, 10);
    set(READING_DISK, 99);
    judge();
    judge();
    assert_int_equal(load.level, LOAD_NORMAL);
    assert_int_equal(load.signals[SIGNAL_DISK].level, LOAD_MINIMAL);
}

/* ---- what is shed ---- */

static void judge_often(int times)
{
    for (int i = 0; i < times; i++)
        judge();
}

static void test_a_machine_that_others_keep_busy_costs_nobody_anything(void **state)
{
    (void)state;
    set(READING_CPU, 100);
    set(READING_OWN_CPU, 2);
    sample.of[READING_LAG] = 0.004;
    set(READING_WAIT, 20);
    judge_often(10);
    assert_int_equal(load.level, LOAD_MINIMAL); /* it is said */
    assert_true(load.scale == 1);
    assert_int_equal(load.defer, LOAD_NORMAL);
    assert_int_equal(load.features_off, 0);
}

static void test_a_machine_that_we_keep_busy_and_keep_up(void **state)
{
    (void)state;
    set(READING_CPU, 90);
    set(READING_OWN_CPU, 60);
    sample.of[READING_LAG] = 0.01;
    judge_often(10);
    assert_true(load.scale == 1);
    assert_int_equal(load.defer, LOAD_NORMAL);
    assert_false(load_has(&load, FEATURE_STATISTICS));
    assert_false(load_has(&load, FEATURE_LOG_DETAIL));
    assert_true(load_has(&load, FEATURE_HISTORY));
}

static void test_under_strain_work_is_scaled(void **state)
{
    (void)state;
    static const struct {
        double cpu, lag_s, scale;
        enum load_level defer;
    } rows[] = {
        {10, 0.1, 1, LOAD_NORMAL},    /* no strain */
        {10, 0.25, 0.7, LOAD_NORMAL}, /* one loop cannot use more than one CPU of many */
        {10, 0.5, 0.3, LOAD_NORMAL},
        {75, 0.25, 0.7, LOAD_NORMAL},
        {82, 0.25, 0.7, LOAD_REDUCED}, /* 80: low priority waits */
        {90, 0.25, 0.3, LOAD_REDUCED},
        {97, 0.25, 0.3, LOAD_MINIMAL}, /* 95: all but high priority */
        {97, 0.1, 1, LOAD_NORMAL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        begin(state);
        set(READING_CPU, rows[i].cpu);
        set(READING_OWN_CPU, 1);
        sample.of[READING_LAG] = rows[i].lag_s;
        judge_often(5);
        assert_true(load.scale == rows[i].scale);
        assert_int_equal(load.defer, rows[i].defer);
    }
}

static void test_waiting_for_a_cpu_is_strain(void **state)
{
    (void)state;
    sample.of[READING_LAG] = 0.001;
    expect(READING_WAIT, SIGNAL_STRAIN, "79 79 80 80 60 60 39 39", "nnnrrrrn");
}

static void test_work_comes_back_by_steps(void **state)
{
    (void)state;
    set(READING_CPU, 90);
    sample.of[READING_LAG] = 1;
    judge_often(2);
    assert_true(load.scale == 0.3); /* down at once */
    sample.of[READING_LAG] = 0.001;
    judge();
    assert_true(load.scale == 0.3);
    for (int i = 1; i <= 7; i++) {
        judge();
        assert_true(fabs(load.scale - (0.3 + i / 10.0)) < 1e-9);
    }
    judge();
    assert_true(load.scale == 1);
}

static void test_who_waits_is_resumed_under_70(void **state)
{
    (void)state;
    expect(READING_CPU, SIGNAL_DEFERRAL, "81 81 75 75 70 70 69 69", "nrrrrrrn");
    expect(READING_CPU, SIGNAL_DEFERRAL, "96 96 81 81 79 79 69 69", "nmmmmrrn");
}

static void test_under_memory_pressure_all_that_can_be_spared_goes_first(void **state)
{
    (void)state;
    set(READING_MEMORY, 76);
    judge_often(3);
    assert_int_equal(load.level, LOAD_REDUCED);
    for (unsigned i = FEATURE_STATISTICS; i <= FEATURE_LOG_DETAIL; i++)
        assert_false(load_has(&load, (enum load_feature)i));
    assert_true(load_has(&load, FEATURE_HISTORY));
    assert_true(load.scale == 1); /* tokens hold memory, not requests */
}

static void test_a_short_disk_costs_history(void **state)
{
    (void)state;
    set(READING_MEMORY, 76); /* would put cleaning up off */
    expect(READING_DISK, SIGNAL_DISK, "91 91", "nr");
    assert_false(load_has(&load, FEATURE_HISTORY_DETAIL));
    assert_true(load_has(&load, FEATURE_HISTORY));
    assert_true(load_has(&load, FEATURE_CLEAN_UP));
    expect(READING_DISK, SIGNAL_DISK, "98 98", "rm");
    assert_false(load_has(&load, FEATURE_HISTORY));
    expect(READING_DISK, SIGNAL_DISK, "50 50", "mn");
    assert_true(load_has(&load, FEATURE_HISTORY));
}

static void test_a_store_that_cannot_write_is_not_relieved(void **state)
{
    (void)state;
    sample.of[READING_STORE_WRITES] = 0;
    expect(READING_STORE_FILL, SIGNAL_STORE, "99 99 99", "nnn");
    sample.of[READING_STORE_WRITES] = 1;
    expect(READING_STORE_FILL, SIGNAL_STORE, "55 55 81 81 74 74 44 44", "nrrmmrrn");
}

static void test_descriptors(void **state)
{
    (void)state;
    sample.of[READING_DESCRIPTORS] = 900;
    judge_often(3);
    assert_int_equal(load.signals[SIGNAL_DESCRIPTORS].level, LOAD_NORMAL); /* of how many? */
    sample.of[READING_DESCRIPTORS_MAX] = 1024;
    judge_often(3);
    assert_int_equal(load.signals[SIGNAL_DESCRIPTORS].level, LOAD_REDUCED);
}

static void test_options_move_the_limits(void **state)
{
    (void)state;
    options.load_reduced_cpu_percent = 20;
    options.load_minimal_cpu_percent = 1000; /* never */
    expect(READING_CPU, SIGNAL_CPU, "21 21 100 100 16 14 14", "nrrrrrn");
}

static void test_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < LOAD_READING_COUNT; i++) {
        assert_string_not_equal(load_reading_name(i), "unknown");
        for (unsigned k = 0; k < i; k++)
            assert_string_not_equal(load_reading_name(i), load_reading_name(k));
    }
    assert_string_equal(load_reading_name(LOAD_READING_COUNT), "unknown");
    assert_string_equal(load_reading_name(READING_LAG), "loop_lag_seconds");
    assert_string_equal(load_reading_name(READING_DESCRIPTORS_MAX), "max_descriptors");
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_two_of_three_must_agree),
        TEST(test_higher_votes_agree_on_what_is_lower),
        TEST(test_hysteresis),
        TEST(test_memory_has_limits_of_its_own),
        TEST(test_what_hovers_does_not_flap),
        TEST(test_what_is_unknown_changes_nothing),
        TEST(test_the_worse_of_machine_and_cgroup_counts),
        TEST(test_the_load_level_is_of_cpu_and_memory),
        TEST(test_a_machine_that_others_keep_busy_costs_nobody_anything),
        TEST(test_a_machine_that_we_keep_busy_and_keep_up),
        TEST(test_under_strain_work_is_scaled),
        TEST(test_waiting_for_a_cpu_is_strain),
        TEST(test_work_comes_back_by_steps),
        TEST(test_who_waits_is_resumed_under_70),
        TEST(test_under_memory_pressure_all_that_can_be_spared_goes_first),
        TEST(test_a_short_disk_costs_history),
        TEST(test_a_store_that_cannot_write_is_not_relieved),
        TEST(test_descriptors),
        TEST(test_options_move_the_limits),
        TEST(test_names),
    };
    return cmocka_run_group_tests_name("core.load", tests, NULL, NULL);
}
