/* Water-filling against brute force: every grid of intervals that fits the budget. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prng.h"
#include "sim/optimum.h"
#include <math.h>
#include <stdbool.h>

#define TOKENS      3
#define GRID        240  /* steps from target to maximum, on a logarithmic scale */
#define GRID_FACTOR 1.03 /* a grid is that much coarser than the truth, at most */

static double load_of(const struct optimum_token *tokens, const double *intervals)
{
    double load = 0;
    for (int i = 0; i < TOKENS; i++)
        load += tokens[i].cost / intervals[i];
    return load;
}

static double mean_age(const struct optimum_token *tokens, const double *intervals)
{
    double aged = 0, weights = 0;
    for (int i = 0; i < TOKENS; i++) {
        aged += tokens[i].weight * intervals[i] / 2;
        weights += tokens[i].weight;
    }
    return aged / weights;
}

static double on_grid(const struct optimum_token *token, int step)
{
    return token->target_s * pow(token->maximum_s / token->target_s, (double)step / GRID);
}

/* The last token takes the least interval that the budget leaves it: exact, not on the grid. */
static double brute_force(const struct optimum_token *tokens, double capacity)
{
    double best = INFINITY, intervals[TOKENS];
    for (int i = 0; i <= GRID; i++)
        for (int k = 0; k <= GRID; k++) {
            intervals[0] = on_grid(&tokens[0], i);
            intervals[1] = on_grid(&tokens[1], k);
            double left = capacity - tokens[0].cost / intervals[0] - tokens[1].cost / intervals[1];
            if (left <= 0)
                continue;
            intervals[2] = fmax(tokens[2].cost / left, tokens[2].target_s);
            if (intervals[2] <= tokens[2].maximum_s)
                best = fmin(best, mean_age(tokens, intervals));
        }
    return best;
}

static void make_tokens(struct prng *prng, struct optimum_token *tokens)
{
    for (int i = 0; i < TOKENS; i++)
        tokens[i] = (struct optimum_token){.weight = prng_pareto(prng, 1.2),
                                           .cost = (1 + (double)prng_below(prng, 8)) / 30,
                                           .target_s = 1 + 20 * prng_unit(prng),
                                           .maximum_s = 500};
}

static double load_at(const struct optimum_token *tokens, bool at_maximum)
{
    double intervals[TOKENS];
    for (int i = 0; i < TOKENS; i++)
        intervals[i] = at_maximum ? tokens[i].maximum_s : tokens[i].target_s;
    return load_of(tokens, intervals);
}

static void is_as_good_as_brute_force(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 11);
    for (int round = 0; round < 60; round++) {
        struct optimum_token tokens[TOKENS];
        double intervals[TOKENS];
        make_tokens(&prng, tokens);
        double least = load_at(tokens, true), most = load_at(tokens, false);
        double capacity = least + (most - least) * (0.02 + 0.95 * prng_unit(&prng));
        double optimum = optimum_mean_age(tokens, TOKENS, capacity, intervals);
        double brute = brute_force(tokens, capacity);
        assert_true(optimum <= brute * (1 + 1e-9)); /* nothing beats it */
        assert_true(brute <= optimum * GRID_FACTOR);
        assert_true(fabs(load_of(tokens, intervals) / capacity - 1) < 1e-9); /* all is spent */
        assert_true(fabs(mean_age(tokens, intervals) / optimum - 1) < 1e-12);
        for (int i = 0; i < TOKENS; i++)
            assert_true(intervals[i] >= tokens[i].target_s && intervals[i] <= tokens[i].maximum_s);
    }
}

static void plenty_gives_everybody_its_target(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 12);
    struct optimum_token tokens[TOKENS];
    double intervals[TOKENS], wanted = 0, weights = 0;
    make_tokens(&prng, tokens);
    double optimum = optimum_mean_age(tokens, TOKENS, load_at(tokens, false) * 1.001, intervals);
    for (int i = 0; i < TOKENS; i++) {
        assert_true(intervals[i] == tokens[i].target_s);
        wanted += tokens[i].weight * tokens[i].target_s / 2;
        weights += tokens[i].weight;
    }
    assert_true(fabs(optimum - wanted / weights) < 1e-12);
    assert_true(optimum == optimum_mean_age(tokens, TOKENS, 1e9, NULL));
}

static void want_stretches_all_maxima_together(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 13);
    struct optimum_token tokens[TOKENS];
    double intervals[TOKENS];
    make_tokens(&prng, tokens);
    double capacity = load_at(tokens, true) / 3;
    optimum_mean_age(tokens, TOKENS, capacity, intervals);
    for (int i = 0; i < TOKENS; i++)
        assert_true(fabs(intervals[i] / tokens[i].maximum_s - 3) < 1e-9);
    assert_true(fabs(load_of(tokens, intervals) / capacity - 1) < 1e-9);
}

static void equal_tokens_share_equally(void **state)
{
    (void)state;
    struct optimum_token tokens[TOKENS];
    double intervals[TOKENS];
    for (int i = 0; i < TOKENS; i++)
        tokens[i] = (struct optimum_token){.weight = 5, .cost = 1, .target_s = 1, .maximum_s = 99};
    assert_true(fabs(optimum_mean_age(tokens, TOKENS, 0.3, intervals) - 5) < 1e-9);
    assert_true(fabs(intervals[0] - 10) < 1e-9 && fabs(intervals[2] - 10) < 1e-9);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_as_good_as_brute_force),
        cmocka_unit_test(plenty_gives_everybody_its_target),
        cmocka_unit_test(want_stretches_all_maxima_together),
        cmocka_unit_test(equal_tokens_share_equally),
    };
    return cmocka_run_group_tests_name("sim.optimum", tests, NULL, NULL);
}
