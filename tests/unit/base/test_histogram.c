#include "base/histogram.h"
#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define DRAWS 100000

static unsigned naive_index(enum histogram_scale_id id, int64_t us)
{
    const struct histogram_scale *scale = histogram_scale(id);
    unsigned index = 0;
    while (index < scale->count && us > scale->bounds_us[index])
        index++;
    return index;
}

static void assert_index(enum histogram_scale_id id, int64_t us)
{
    assert_int_equal(histogram_index(id, duration_us(us)), naive_index(id, us));
}

static void test_bounds(void **state)
{
    (void)state;
    for (int id = 0; id < SCALE_COUNT; id++) {
        const struct histogram_scale *scale = histogram_scale((enum histogram_scale_id)id);
        assert_in_range(scale->count, 10, HISTOGRAM_BOUNDS_MAX);
        assert_true(scale->bounds_us[0] > 0);
        for (unsigned i = 1; i < scale->count; i++)
            assert_true(scale->bounds_us[i - 1] < scale->bounds_us[i]);
    }
}

/* The share on time can be read from the ages: 1.1 × each target by default is a bound. */
static void test_targets_are_bounds(void **state)
{
    (void)state;
    static const int64_t targets_s[] = {15, 45, 900};
    const struct histogram_scale *scale = histogram_scale(SCALE_AGES);
    for (size_t i = 0; i < sizeof targets_s / sizeof targets_s[0]; i++) {
        int64_t on_time_us = targets_s[i] * 1100000, target_us = targets_s[i] * 1000000;
        unsigned at = histogram_index(SCALE_AGES, duration_us(on_time_us));
        assert_int_equal(scale->bounds_us[at], on_time_us);
        at = histogram_index(SCALE_AGES, duration_us(target_us));
        assert_int_equal(scale->bounds_us[at], target_us);
    }
}

static void test_index(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 5);
    for (int id = 0; id < SCALE_COUNT; id++) {
        const struct histogram_scale *scale = histogram_scale((enum histogram_scale_id)id);
        static const int64_t ends[] = {INT64_MIN, -1, 0, 1, INT64_MAX};
        for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++)
            assert_index((enum histogram_scale_id)id, ends[i]);
        for (unsigned i = 0; i < scale->count; i++)
            for (int64_t off = -1; off <= 1; off++)
                assert_index((enum histogram_scale_id)id, scale->bounds_us[i] + off);
        for (int i = 0; i < DRAWS; i++)
            assert_index((enum histogram_scale_id)id,
                         (int64_t)(prng_next(&prng) >> (prng_next(&prng) % 64)));
    }
}

static void test_add(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    static const double ages_s[] = {0, 15, 16, 16.5, 16.500001, 7200, -3};
    for (size_t i = 0; i < sizeof ages_s / sizeof ages_s[0]; i++)
        histogram_add(&histogram, SCALE_AGES, duration_us((int64_t)(ages_s[i] * 1e6)));
    assert_int_equal(histogram.counts[0], 2);
    assert_int_equal(histogram.counts[naive_index(SCALE_AGES, 15000000)], 1);
    assert_int_equal(histogram.counts[naive_index(SCALE_AGES, 16500000)], 2);
    assert_int_equal(histogram.counts[naive_index(SCALE_AGES, 16500001)], 1);
    assert_int_equal(histogram.counts[histogram_scale(SCALE_AGES)->count], 1);
    assert_int_equal(histogram.sum_us, 7264000001);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_targets_are_bounds),
        cmocka_unit_test(test_index),
        cmocka_unit_test(test_add),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
