/* The real lanes against the optimum, and against the usual rules of thumb. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../seeds.h"
#include "sim/freshness.h"
#include <string.h>

#define TOKENS          10000
#define CAPACITY        0.3
#define SEEDS           SEEDS_OF(10)
#define RATIO_MAX       1.01
#define RATIO_SWING_MAX 1.05
#define RATIO_EVER_MAX  1.1 /* in any window */
#define MAXIMUM_S       3600

static struct freshness_result run(enum freshness_policy policy, uint64_t seed, uint32_t tokens)
{
    struct freshness_setup setup = {
        .tokens = tokens, .capacity = CAPACITY, .seed = seed, .policy = policy};
    struct freshness_result result;
    assert_int_equal(freshness_run(&setup, &result), OK);
    return result;
}

static void the_index_is_as_good_as_the_optimum(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct freshness_result result = run(POLICY_INDEX, seed, TOKENS);
        if (!(result.ratio <= RATIO_MAX))
            fail_msg("seed %d: %.4f of the optimum", (int)seed, result.ratio);
        assert_true(result.ratio > 0.98); /* nothing beats it by more than a start's luck */
        assert_true(result.ratio_most <= RATIO_SWING_MAX);
        assert_true(result.maximum_age_s <= MAXIMUM_S);
    }
}

/* Capacities in turn, as shares of what keeping every target takes. */
static const double swings[][3] = {
    {0.3, 0.15, 0.6}, /* always too small */
    {1.1, 0.3, 1.1},  /* a peak, and enough again */
    {1.5, 0.15, 1.5}, /* a harder one */
    {0.9, 0.1, 2},
};

static void it_stays_good_while_capacity_swings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof swings / sizeof *swings; i++) {
        struct freshness_setup setup = {
            .tokens = TOKENS / 2, .capacity = 1, .seed = i, .policy = POLICY_INDEX};
        struct freshness_result result;
        memcpy(setup.swing, swings[i], sizeof setup.swing);
        assert_int_equal(freshness_run(&setup, &result), OK);
        if (!(result.ratio <= RATIO_SWING_MAX && result.ratio_most <= RATIO_EVER_MAX))
            fail_msg("swing %d: %.4f of the optimum, at worst %.4f", (int)i, result.ratio,
                     result.ratio_most);
        assert_true(result.maximum_age_s <= MAXIMUM_S);
    }
}

/* Where it binds most of the tokens, that is: with a sixth more than the least that keeps it. */
static void nobody_passes_the_maximum_while_it_can_be_kept(void **state)
{
    (void)state;
    struct freshness_setup setup = {
        .tokens = TOKENS, .capacity = 0.04, .seed = 1, .policy = POLICY_INDEX};
    struct freshness_result result;
    assert_int_equal(freshness_run(&setup, &result), OK);
    assert_true(result.maximum_age_s <= MAXIMUM_S);
    assert_true(result.maximum_age_s > 0.8 * MAXIMUM_S); /* it did bind */
    assert_true(result.ratio <= RATIO_SWING_MAX && result.ratio_most <= RATIO_EVER_MAX);
}

static void rules_of_thumb_are_clearly_worse(void **state)
{
    (void)state;
    static const struct {
        enum freshness_policy policy;
        double at_least;
    } rows[] = {{POLICY_EDF, 1.1}, {POLICY_FIFO, 1.5}, {POLICY_PRIORITY, 50}, {POLICY_MIX, 3}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        double ratio = run(rows[i].policy, 1, TOKENS).ratio;
        if (!(ratio >= rows[i].at_least))
            fail_msg("%s: only %.3f", freshness_policy_name(rows[i].policy), ratio);
    }
}

static void the_same_seed_gives_the_same_figures(void **state)
{
    (void)state;
    struct freshness_result a = run(POLICY_INDEX, 5, 1000), b = run(POLICY_INDEX, 5, 1000);
    struct freshness_result c = run(POLICY_INDEX, 6, 1000);
    assert_true(a.weighted_mean_age_s == b.weighted_mean_age_s && a.refreshes == b.refreshes);
    assert_true(a.weighted_mean_age_s != c.weighted_mean_age_s);
}

static void refuses_what_makes_no_sense(void **state)
{
    (void)state;
    struct freshness_result result;
    const struct freshness_setup none = {.tokens = 0, .capacity = 1};
    const struct freshness_setup many = {.tokens = FRESHNESS_TOKENS_MAX + 1, .capacity = 1};
    const struct freshness_setup still = {.tokens = 1, .capacity = 0};
    assert_int_equal(freshness_run(&none, &result), ERR_INVALID);
    assert_int_equal(freshness_run(&many, &result), ERR_INVALID);
    assert_int_equal(freshness_run(&still, &result), ERR_INVALID);
}

static void policies_have_names(void **state)
{
    (void)state;
    for (int i = 0; i < POLICY_COUNT; i++)
        assert_int_equal(freshness_policy_find(freshness_policy_name((enum freshness_policy)i)), i);
    assert_int_equal(freshness_policy_find("best"), POLICY_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_index_is_as_good_as_the_optimum),
        cmocka_unit_test(it_stays_good_while_capacity_swings),
        cmocka_unit_test(nobody_passes_the_maximum_while_it_can_be_kept),
        cmocka_unit_test(rules_of_thumb_are_clearly_worse),
        cmocka_unit_test(the_same_seed_gives_the_same_figures),
        cmocka_unit_test(refuses_what_makes_no_sense),
        cmocka_unit_test(policies_have_names),
    };
    return cmocka_run_group_tests_name("sim.freshness", tests, NULL, NULL);
}
