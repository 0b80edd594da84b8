/* What a token costs: points go in, a line comes out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prng.h"
#include "core/cost.h"
#include <math.h>

/* As measured with a million tokens. */
#define TOKEN_S    10e-6
#define IDLE_CORES 0.05

static double cores_at(double rate)
{
    return IDLE_CORES + TOKEN_S * rate;
}

static void seconds_at(struct cost *cost, int seconds, double rate)
{
    for (int i = 0; i < seconds; i++)
        cost_add(cost, rate, cores_at(rate));
}

static void expect_within(double is, double least, double most)
{
    if (!(is >= least && is <= most))
        fail_msg("%g is not from %g to %g", is, least, most);
}

static void nothing_is_known_at_first(void **state)
{
    (void)state;
    struct cost cost;
    cost_init(&cost);
    assert_true(isnan(cost_line(&cost).token_s));
}

/* They cannot tell: all is taken for the tokens', which is on the safe side. */
static void points_at_one_rate_are_a_ratio(void **state)
{
    (void)state;
    const double rates[] = {1, 30, 20000};
    for (size_t i = 0; i < sizeof rates / sizeof *rates; i++) {
        struct cost cost;
        cost_init(&cost);
        seconds_at(&cost, 1, rates[i]);
        expect_within(cost_line(&cost).token_s * rates[i] / cores_at(rates[i]), 0.999, 1.001);
        seconds_at(&cost, 1000, rates[i]);
        expect_within(cost_line(&cost).token_s * rates[i] / cores_at(rates[i]), 0.999, 1.001);
    }
}

static void rates_that_differ_tell_the_two_apart(void **state)
{
    (void)state;
    struct cost cost;
    cost_init(&cost);
    for (int i = 0; i < 100; i++)
        seconds_at(&cost, 1, i % 2 == 0 ? 1000 : 40000);
    expect_within(cost_line(&cost).token_s, TOKEN_S, 1.05 * TOKEN_S);
    expect_within(cost_line(&cost).idle_cores, 0.7 * IDLE_CORES, IDLE_CORES);
}

/* A peak, a lull in which 30 tokens bear what being there costs, and the next peak. */
static void a_lull_says_nothing_about_a_peak(void **state)
{
    (void)state;
    struct cost cost;
    cost_init(&cost);
    seconds_at(&cost, 60, 27000);
    double before = cost_line(&cost).token_s;
    for (int i = 0; i < 300; i++) {
        seconds_at(&cost, 1, 30);
        expect_within(cost_line(&cost).token_s, 0.8 * before, 1.1 * before);
    }
}

/* Hours at one low rate: then it is what is known, until the first second of a peak. */
static void a_peak_is_believed_at_once(void **state)
{
    (void)state;
    struct cost cost;
    cost_init(&cost);
    seconds_at(&cost, 36000, 30);
    expect_within(cost_line(&cost).token_s, 50 * TOKEN_S, 500 * TOKEN_S);
    seconds_at(&cost, 1, 5000);
    expect_within(cost_line(&cost).token_s, TOKEN_S, 2.5 * TOKEN_S);
}

static void a_new_price_is_learnt(void **state)
{
    (void)state;
    struct cost cost;
    cost_init(&cost);
    seconds_at(&cost, 100, 20000);
    for (int i = 0; i < 100; i++)
        cost_add(&cost, 20000, 2 * cores_at(20000));
    expect_within(cost_line(&cost).token_s * 20000 / cores_at(20000), 1.9, 2);
}

/* Cores that have nothing to do with the tokens, or less with more of them: another program may
 * share our caches, or a job run in the lulls. */
static void no_token_is_free(void **state)
{
    (void)state;
    struct prng prng;
    struct cost cost;
    cost_init(&cost);
    prng_seed(&prng, 1);
    for (int i = 0; i < 1000; i++) {
        cost_add(&cost, 1 + 30000 * prng_unit(&prng), prng_unit(&prng));
        struct cost_line line = cost_line(&cost);
        assert_true(line.token_s > 0 && line.idle_cores >= 0);
    }
    cost_init(&cost);
    for (int i = 0; i < 100; i++)
        cost_add(&cost, i % 2 == 0 ? 100 : 30000, i % 2 == 0 ? 1.5 : 0.1);
    assert_true(cost_line(&cost).token_s > 0);
    for (int i = 0; i < 100; i++)
        cost_add(&cost, 1 + 1000.0 * i, 1e-3 * i * i); /* steeper than a line: no idle cores */
    assert_true(cost_line(&cost).token_s > 0);
    assert_true(cost_line(&cost).idle_cores == 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_known_at_first),
        cmocka_unit_test(points_at_one_rate_are_a_ratio),
        cmocka_unit_test(rates_that_differ_tell_the_two_apart),
        cmocka_unit_test(a_lull_says_nothing_about_a_peak),
        cmocka_unit_test(a_peak_is_believed_at_once),
        cmocka_unit_test(a_new_price_is_learnt),
        cmocka_unit_test(no_token_is_free),
    };
    return cmocka_run_group_tests_name("core.cost", tests, NULL, NULL);
}
