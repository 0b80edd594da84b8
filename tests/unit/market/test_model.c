/* The market's statistics against the recorded ones, and what must hold for every pair. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "market/model.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS 3000

static const instant start_time = {INT64_C(1780000000000000)};

static struct model *create(double pools_mean)
{
    struct model *model = model_create(&(struct model_settings){
        .seed = 5, .tokens = TOKENS, .pools_mean = pools_mean, .start = start_time});
    assert_non_null(model);
    return model;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a;
    double y = *(const double *)b;
    return x < y ? -1 : x > y;
}

static double quantile(double *values, size_t count, double share)
{
    qsort(values, count, sizeof *values, compare);
    return values[(size_t)(share * (double)(count - 1))];
}

static void pools_are_as_many_as_recorded(void **state)
{
    static double counts[TOKENS];
    struct model *model = create(POOLS_MEAN);
    double sum = 0;
    (void)state;
    for (uint32_t i = 0; i < TOKENS; i++) {
        struct token_life token;
        model_token(model, i, &token);
        sum += counts[i] = token.pools;
        assert_true(token.is_major ? token.pools == POOLS_MAX : token.pools <= 12);
    }
    assert_true(fabs(sum / TOKENS - POOLS_MEAN) < 0.15);
    assert_true(quantile(counts, TOKENS, 0.5) == 3);
    model_destroy(model);
}

static void the_mean_of_pools_can_be_set(void **state)
{
    struct model *model = create(8);
    double sum = 0;
    (void)state;
    for (uint32_t i = 0; i < TOKENS; i++) {
        struct token_life token;
        model_token(model, i, &token);
        sum += token.pools;
    }
    assert_true(fabs(sum / TOKENS - 8) < 0.3);
    model_destroy(model);
}

static void check_windows(const struct pool_figures *figures)
{
    for (int i = 0; i < WINDOW_COUNT; i++) {
        assert_true(isfinite(figures->change_percent[i]) && figures->change_percent[i] > -100);
        assert_true(isfinite(figures->volume_usd[i]) && figures->volume_usd[i] >= 0);
        assert_true(figures->buys[i] < 100000000 && figures->sells[i] < 100000000);
        if (figures->buys[i] + figures->sells[i] == 0)
            assert_true(figures->volume_usd[i] == 0 && figures->change_percent[i] == 0);
        if (i == 0)
            continue;
        assert_true(figures->buys[i] >= figures->buys[i - 1]);
        assert_true(figures->sells[i] >= figures->sells[i - 1]);
        assert_true(figures->volume_usd[i] >= figures->volume_usd[i - 1] - 1e-6);
    }
}

static void check_pool(const struct model *model, const struct pool_life *pool, instant now)
{
    struct pool_figures figures;
    model_figures(model, pool, now, &figures);
    check_windows(&figures);
    assert_true(figures.price_usd > 0 && isfinite(figures.price_usd));
    assert_true(figures.price_native > 0 && isfinite(figures.liquidity_usd));
    double sides = 2 * figures.liquidity_base * figures.price_usd;
    assert_true(fabs(sides - figures.liquidity_usd) <= 1e-6 * sides);
}

/* Windows are monotone, whatever the pool and the moment. */
static void every_pair_is_consistent(void **state)
{
    struct model *model = create(POOLS_MEAN);
    (void)state;
    for (uint32_t i = 0; i < TOKENS; i++) {
        struct token_life token;
        model_token(model, i, &token);
        for (unsigned j = 0; j < token.pools; j++) {
            struct pool_life pool;
            model_pool(&token, j, &pool);
            for (int step = 0; step < 12; step++) {
                instant now = instant_add(start_time, duration_s(step * step * 977.0));
                if (!instant_before(now, pool.created_at))
                    check_pool(model, &pool, now);
            }
        }
    }
    model_destroy(model);
}

static void the_same_question_has_the_same_answer(void **state)
{
    struct model *one = create(POOLS_MEAN);
    struct model *two = create(POOLS_MEAN);
    (void)state;
    for (uint32_t i = 0; i < 100; i++) {
        struct token_life token;
        struct pool_life pool;
        struct pool_figures first;
        struct pool_figures second;
        model_token(one, i, &token);
        model_pool(&token, 0, &pool);
        model_figures(one, &pool, instant_add(start_time, duration_s(500)), &first);
        model_figures(two, &pool, instant_add(start_time, duration_s(900)), &second);
        model_figures(two, &pool, instant_add(start_time, duration_s(500)), &second);
        assert_memory_equal(&first, &second, sizeof first);
    }
    model_destroy(one);
    model_destroy(two);
}

/* Windows fit together: what was 55 minutes ago in m5 is in h1 now. */
static void changes_chain(void **state)
{
    struct model *model = create(POOLS_MEAN);
    (void)state;
    for (uint32_t i = TOKENS - 200; i < TOKENS; i++) {
        struct token_life token;
        struct pool_life pool;
        struct pool_figures before;
        struct pool_figures after;
        model_token(model, i, &token);
        model_pool(&token, 0, &pool);
        instant now = instant_add(start_time, duration_s(30000));
        model_figures(model, &pool, instant_add(now, duration_s(-3600)), &before);
        model_figures(model, &pool, now, &after);
        double ratio = after.price_usd / before.price_usd;
        assert_true(fabs(1 + after.change_percent[WINDOW_H1] / 100 - ratio) < 1e-9 * ratio);
    }
    model_destroy(model);
}

/* ln of the market cap, `hours` after the graduation, over what it was five minutes after it. */
static double drift(const struct model *model, uint32_t i, double hours)
{
    struct token_life token;
    struct pool_life pool;
    struct pool_figures first;
    struct pool_figures later;
    model_token(model, i, &token);
    model_pool(&token, 0, &pool);
    model_figures(model, &pool, instant_add(token.graduated_at, duration_s(300)), &first);
    model_figures(model, &pool, instant_add(token.graduated_at, duration_s(3600 * hours)), &later);
    return log(later.market_cap_usd / first.market_cap_usd);
}

/* Recorded (moonshot_graduated_mcap, 922 tokens): quartiles and tails of ln(cap now / at first). */
static void most_fade_and_some_run(void **state)
{
    static const struct {
        double hours, low, quarter, median, upper, high; /* 5, 25, 50, 75, 95 % */
        double tolerance;
    } recorded[] = {{0.5, -3.68, -0.88, -0.23, 0.10, 0.92, 0.5},
                    {6, -4.03, -2.59, -1.26, -0.15, 0.84, 0.75},
                    {24, -3.99, -2.86, -1.89, -0.43, 0.62, 0.75},
                    {47, -4.05, -2.94, -2.19, -0.48, 0.46, 0.75}};
    static double drifts[TOKENS];
    struct model *model = create(POOLS_MEAN);
    (void)state;
    for (size_t row = 0; row < sizeof recorded / sizeof recorded[0]; row++) {
        for (uint32_t i = 0; i < TOKENS; i++)
            drifts[i] = drift(model, i, recorded[row].hours);
        double got[] = {quantile(drifts, TOKENS, 0.05), quantile(drifts, TOKENS, 0.25),
                        quantile(drifts, TOKENS, 0.50), quantile(drifts, TOKENS, 0.75),
                        quantile(drifts, TOKENS, 0.95)};
        print_message("# after %g h: %.2f %.2f %.2f %.2f %.2f\n", recorded[row].hours, got[0],
                      got[1], got[2], got[3], got[4]);
        double want[] = {recorded[row].low, recorded[row].quarter, recorded[row].median,
                         recorded[row].upper, recorded[row].high};
        for (int i = 1; i < 4; i++)
            assert_true(fabs(got[i] - want[i]) < recorded[row].tolerance);
    }
    model_destroy(model);
}

/* |ln return| over five minutes: heavy tails, and quieter with age. */
static void moves_have_heavy_tails_and_calm_down(void **state)
{
    static const double ages_h[] = {0.25, 1, 4, 14, 36};
    static double moves[TOKENS];
    struct model *model = create(POOLS_MEAN);
    double before = INFINITY;
    (void)state;
    for (size_t row = 0; row < sizeof ages_h / sizeof ages_h[0]; row++) {
        for (uint32_t i = 0; i < TOKENS; i++)
            moves[i] = fabs(drift(model, i, ages_h[row] + 1 / 12.0) - drift(model, i, ages_h[row]));
        double median = quantile(moves, TOKENS, 0.5);
        double ninety = quantile(moves, TOKENS, 0.9);
        double most = quantile(moves, TOKENS, 0.99);
        print_message("# at %g h: median %.4f, 90 %% %.4f, 99 %% %.4f\n", ages_h[row], median,
                      ninety, most);
        assert_true(ninety < before);
        assert_true(ninety > 2.5 * median && most > 1.5 * ninety);
        before = ninety;
    }
    assert_true(before > 0.005 && before < 0.06);
    model_destroy(model);
}

/* Recorded: 14.6 % rise threefold from a low after six hours, within two days. */
static void some_revive(void **state)
{
    struct model *model = create(POOLS_MEAN);
    unsigned revived = 0;
    (void)state;
    for (uint32_t i = 0; i < 1000; i++) {
        double low = INFINITY;
        double rise = 0;
        for (double hours = 6; hours < 48; hours += 0.25) {
            double value = drift(model, i, hours);
            low = fmin(low, value);
            rise = fmax(rise, value - low);
        }
        revived += rise > log(3);
    }
    print_message("# revived: %.1f %%\n", revived / 10.0);
    assert_in_range(revived, 80, 300);
    model_destroy(model);
}

static void absences_are_as_recorded(void **state)
{
    struct model *model = create(POOLS_MEAN);
    unsigned pools = 0, externals = 0, no_price = 0, no_cap = 0, no_liquidity = 0, bonding = 0;
    unsigned external_no_liquidity = 0, unlabelled = 0, reversed = 0;
    (void)state;
    for (uint32_t i = 0; i < TOKENS; i++) {
        struct token_life token;
        model_token(model, i, &token);
        for (unsigned j = 0; j < token.pools; j++) {
            struct pool_life pool;
            model_pool(&token, j, &pool);
            pools++;
            no_price += pool.lacks_price && !pool.is_reversed;
            no_cap += pool.lacks_market_cap;
            no_liquidity += pool.lacks_liquidity;
            bonding += pool.dex == DEX_PUMPFUN;
            externals += j > 1;
            external_no_liquidity += j > 1 && pool.lacks_liquidity;
            unlabelled += j > 1 && pool.label == NULL;
            reversed += pool.is_reversed;
        }
    }
    double n = pools;
    assert_int_equal(bonding, TOKENS);
    assert_true(no_price / n > 0.002 && no_price / n < 0.009);
    assert_true(no_cap / n > 0.010 && no_cap / n < 0.030);
    assert_true(no_liquidity / n > 0.24 && no_liquidity / n < 0.36);
    assert_true((double)external_no_liquidity / externals < 0.07);
    assert_true((double)unlabelled / externals > 0.07 && (double)unlabelled / externals < 0.19);
    assert_true(reversed > 0 && (double)reversed / externals < 0.04);
    model_destroy(model);
}

static void main_pools_hold_until_they_say(void **state)
{
    struct model *model = create(8);
    unsigned changed = 0;
    (void)state;
    for (uint32_t i = 0; i < TOKENS; i++) {
        struct token_life token;
        instant until;
        instant later;
        model_token(model, i, &token);
        unsigned first = model_main_pool(&token, token.graduated_at, &until);
        assert_int_equal(first, 0);
        if (until.us == INSTANT_FAR.us)
            continue;
        assert_int_equal(model_main_pool(&token, instant_add(until, duration_us(-1)), &later), 0);
        assert_true(model_main_pool(&token, until, &later) != 0);
        changed++;
    }
    assert_true(changed > TOKENS / 50);
    model_destroy(model);
}

static void graduations_add_tokens(void **state)
{
    struct model *model = create(POOLS_MEAN);
    uint32_t token;
    (void)state;
    for (uint32_t i = 0; i < 5000; i++) {
        assert_int_equal(model_graduate(model, instant_add(start_time, duration_s(i)), &token), OK);
        assert_int_equal(token, TOKENS + i);
    }
    assert_int_equal(model_token_count(model), TOKENS + 5000);
    model_destroy(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pools_are_as_many_as_recorded),
                                       cmocka_unit_test(the_mean_of_pools_can_be_set),
                                       cmocka_unit_test(every_pair_is_consistent),
                                       cmocka_unit_test(the_same_question_has_the_same_answer),
                                       cmocka_unit_test(changes_chain),
                                       cmocka_unit_test(most_fade_and_some_run),
                                       cmocka_unit_test(moves_have_heavy_tails_and_calm_down),
                                       cmocka_unit_test(some_revive),
                                       cmocka_unit_test(absences_are_as_recorded),
                                       cmocka_unit_test(main_pools_hold_until_they_say),
                                       cmocka_unit_test(graduations_add_tokens)};
    return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
