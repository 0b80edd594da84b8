/* How many nodes some tokens need: by hand where that is easy, and against the ages that follow. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sim/sizing.h"
#include <math.h>

static struct sizing_result result;

static struct sizing of_tokens(double tokens)
{
    struct sizing sizing = sizing_defaults();
    sizing.tokens = tokens;
    return sizing;
}

static void compute(const struct sizing *sizing)
{
    assert_int_equal(sizing_compute(sizing, &result), OK);
}

static void expect(double value, double wanted)
{
    assert_true(fabs(value - wanted) <= 1e-3 * fmax(1, wanted));
}

/* 2,000 hot tokens of 3 pools every 15 s are 800 requests a minute; 8,000 others every 45 s,
 * 355.6; hot ones hourly and 50 new ones an hour, 34.2. An address may send 294. */
static void requests_are_counted_by_hand(void **state)
{
    (void)state;
    struct sizing sizing = of_tokens(10000);
    sizing.pools = 3;
    compute(&sizing);
    expect(result.requests_per_minute[LANE_REFRESH], 800);
    expect(result.requests_per_minute[LANE_SCREEN], 355.556);
    expect(result.requests_per_minute[LANE_DISCOVER], 34.167);
    expect(result.tokens_per_s, 311.111);
    expect(result.nodes_exact[SIZING_REFRESH], 800 / 294.0);
    assert_int_equal(result.nodes, 3);
    assert_int_equal(result.nodes_with_one_dead, 4);
    assert_int_equal(result.bound, SIZING_REFRESH);
}

static void each_kind_can_be_what_bounds(void **state)
{
    (void)state;
    struct sizing sizing = of_tokens(100000);
    sizing.hot_share = 0;
    compute(&sizing);
    assert_int_equal(result.bound, SIZING_SCREEN);
    assert_int_equal(result.nodes, 16); /* 4,444 requests a minute */
    sizing.new_per_hour = 1e6;
    compute(&sizing);
    assert_int_equal(result.bound, SIZING_DISCOVER);
    sizing.new_per_hour = 0;
    sizing.tokens_per_core = 10;
    compute(&sizing);
    assert_int_equal(result.bound, SIZING_CPU);
    assert_int_equal(result.nodes, 223); /* 2,222 tokens a second */
    assert_string_equal(sizing_bound_name(result.bound), "cpu");
}

static void as_many_as_needed_keep_every_target(void **state)
{
    (void)state;
    for (double tokens = 1; tokens <= 1e7; tokens *= 10) {
        struct sizing sizing = of_tokens(tokens);
        compute(&sizing);
        assert_int_equal(result.given, result.nodes);
        assert_true(result.keeps_targets);
        expect(result.hot_longest_s, 15);
        expect(result.cold_longest_s, 45);
        assert_true(result.discover_s >= 600);
    }
}

/* What is short is short for the light ones first, and never beyond the budget. */
static void fewer_nodes_give_older_ages(void **state)
{
    (void)state;
    struct sizing sizing = of_tokens(20000);
    double before_s = INFINITY;
    for (sizing.nodes = 1; sizing.nodes < 7; sizing.nodes++) {
        compute(&sizing);
        assert_false(result.keeps_targets);
        assert_true(result.hot_mean_s > 15 && result.hot_mean_s < before_s);
        assert_true(result.hot_longest_s > result.hot_mean_s);
        /* By the inequality of the means: intervals that are not equal are longer in the mean. */
        assert_true(result.hot_mean_s >= 4000 * 3.4 / 30 / (sizing.nodes * 4.9));
        before_s = result.hot_mean_s;
    }
    sizing.nodes = 7;
    compute(&sizing);
    assert_true(result.keeps_targets);
}

static void no_limits_are_left_without_words(void **state)
{
    (void)state;
    struct sizing sizing = of_tokens(10000);
    sizing.nodes = 1;
    sizing.new_per_hour = 1e6; /* nothing is left for looking at the others in turn */
    compute(&sizing);
    assert_true(isinf(result.discover_s));
    sizing.tokens_per_core = 31.1111; /* a tenth of what is needed: all lanes get a tenth */
    sizing.nodes = 1;
    compute(&sizing);
    assert_true(result.cold_mean_s >= 449 && result.cold_longest_s <= 3600);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_are_counted_by_hand),
        cmocka_unit_test(each_kind_can_be_what_bounds),
        cmocka_unit_test(as_many_as_needed_keep_every_target),
        cmocka_unit_test(fewer_nodes_give_older_ages),
        cmocka_unit_test(no_limits_are_left_without_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
