/* The score, branch by branch: each row of score_cases.h names the one it is about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/score.h"
#include <math.h>
#include <stdio.h>
#include <string.h>

#define CASE_POOLS_MAX   3
#define CASE_OPTIONS_MAX 5
#define TOLERANCE        1e-6

struct case_pool {
    const char *dex, *quote;
    double liquidity, volume_m5, volume_h1;
    int64_t buys_m5, sells_m5, buys_h1, sells_h1;
    double m5, m15, h1;
};

struct case_option {
    const char *name, *value;
};

struct case_score {
    double tx_accel, vol_momentum, token_freshness, orderflow_imbalance, total;
};

struct market_case {
    const char *name;
    enum token_status status;
    double hours;
    struct case_pool pools[CASE_POOLS_MAX];
    struct case_option options[CASE_OPTIONS_MAX];
    struct {
        int pools;
        double liquidity, dp5, dp15;
    } gathered;
    struct case_score score;
};

struct metrics_case {
    const char *name;
    enum token_status status;
    struct {
        double liquidity;
        uint32_t tx_5m, tx_1h, buys_5m;
        double volume_5m, volume_1h, buys_volume, sells_volume, hours;
    } metrics;
    struct case_option options[CASE_OPTIONS_MAX];
    struct case_score score;
};

struct smooth_case {
    const char *name;
    double alpha;
    bool has_before;
    struct case_score before, raw, smoothed;
};

#include "score_cases.h"

static void expect(const char *name, const char *what, double got, double wanted)
{
    if (!(fabs(got - wanted) <= TOLERANCE))
        fail_msg("%s: %s is %.9f, not %.9f", name, what, got, wanted);
}

static void expect_score(const char *name, const struct score *got, const struct case_score *wanted)
{
    expect(name, "tx_accel", got->components.tx_accel, wanted->tx_accel);
    expect(name, "vol_momentum", got->components.vol_momentum, wanted->vol_momentum);
    expect(name, "token_freshness", got->components.token_freshness, wanted->token_freshness);
    expect(name, "orderflow_imbalance", got->components.orderflow_imbalance,
           wanted->orderflow_imbalance);
    expect(name, "score", got->total, wanted->total);
    assert_true(got->total == round_6(got->total));
}

static struct options options_of(const struct case_option *changes)
{
    struct options options;
    char why[OPTION_MESSAGE_SIZE];
    options_init(&options);
    for (int i = 0; i < CASE_OPTIONS_MAX && changes[i].name != NULL; i++)
        if (options_set(&options, changes[i].name, changes[i].value, OPTION_FROM_STORE, why) != OK)
            fail_msg("%s", why);
    return options;
}

static struct pair pair_of(const struct case_pool *pool)
{
    struct pair pair = {.price_usd = 1,
                        .liquidity_usd = pool->liquidity,
                        .market_cap_usd = NAN,
                        .volume_m5_usd = pool->volume_m5,
                        .volume_h1_usd = pool->volume_h1,
                        .volume_h24_usd = NAN,
                        .change_m5_percent = pool->m5,
                        .change_m15_percent = pool->m15,
                        .change_h1_percent = pool->h1,
                        .buys_m5 = pool->buys_m5,
                        .sells_m5 = pool->sells_m5,
                        .buys_h1 = pool->buys_h1,
                        .sells_h1 = pool->sells_h1};
    snprintf(pair.dex, sizeof pair.dex, "%s", pool->dex);
    snprintf(pair.quote_symbol, sizeof pair.quote_symbol, "%s", pool->quote);
    return pair;
}

static void scores_markets(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof market_cases / sizeof *market_cases; i++) {
        const struct market_case *row = &market_cases[i];
        struct options options = options_of(row->options);
        struct pair pairs[CASE_POOLS_MAX];
        const struct pair *list[CASE_POOLS_MAX], *primary;
        size_t count = 0;
        for (; count < CASE_POOLS_MAX && row->pools[count].dex != NULL; count++) {
            pairs[count] = pair_of(&row->pools[count]);
            list[count] = &pairs[count];
        }
        struct metrics metrics = market_gather(list, count, row->status, &options, &primary);
        assert_int_equal(metrics.pools, row->gathered.pools);
        assert_int_equal(metrics.pools, metrics.wsol_pairs + metrics.usdc_pairs);
        assert_int_equal(primary != NULL, metrics.pools > 0);
        expect(row->name, "liquidity", metrics.liquidity_usd, row->gathered.liquidity);
        expect(row->name, "dp5", metrics.delta_p_5m, row->gathered.dp5);
        expect(row->name, "dp15", metrics.delta_p_15m, row->gathered.dp15);
        metrics.hours_since_creation = row->hours;
        struct score score = score_raw(&metrics, row->status, &options);
        expect_score(row->name, &score, &row->score);
    }
}

static void scores_metrics_no_market_has(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof metrics_cases / sizeof *metrics_cases; i++) {
        const struct metrics_case *row = &metrics_cases[i];
        struct options options = options_of(row->options);
        struct metrics metrics = {.liquidity_usd = row->metrics.liquidity,
                                  .tx_count_5m = row->metrics.tx_5m,
                                  .tx_count_1h = row->metrics.tx_1h,
                                  .buys_5m = row->metrics.buys_5m,
                                  .volume_5m_usd = row->metrics.volume_5m,
                                  .volume_1h_usd = row->metrics.volume_1h,
                                  .buys_volume_5m_usd = row->metrics.buys_volume,
                                  .sells_volume_5m_usd = row->metrics.sells_volume,
                                  .hours_since_creation = row->metrics.hours};
        struct score score = score_raw(&metrics, row->status, &options);
        expect_score(row->name, &score, &row->score);
    }
}

static struct score score_of(const struct case_score *given)
{
    return (struct score){
        {given->tx_accel, given->vol_momentum, given->token_freshness, given->orderflow_imbalance},
        given->total};
}

static void smooths(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof smooth_cases / sizeof *smooth_cases; i++) {
        const struct smooth_case *row = &smooth_cases[i];
        struct score raw = score_of(&row->raw), before = score_of(&row->before);
        struct score smoothed = score_smooth(&raw, row->has_before ? &before : NULL, row->alpha);
        expect_score(row->name, &smoothed, &row->smoothed);
        assert_true(smoothed.components.tx_accel == round_6(smoothed.components.tx_accel));
    }
}

static void flags_say_what_a_pool_is(void **state)
{
    (void)state;
    static const struct {
        const char *dex, *quote;
        uint8_t flags;
    } rows[] = {
        {"raydium", "SOL", POOL_COUNTS | POOL_EXTERNAL},
        {"meteora", "usdc", POOL_COUNTS | POOL_EXTERNAL},
        {"orca", "W-SOL", POOL_COUNTS | POOL_EXTERNAL},
        {"meteoradbc", "WSOL", POOL_COUNTS | POOL_EXTERNAL},
        {"raydium", "USDT", 0},
        {"", "SOL", POOL_COUNTS | POOL_EXTERNAL},
        {"pumpswap", "SOL", POOL_COUNTS | POOL_PUMP_SOL},
        {"pumpswap", "USDC", POOL_COUNTS},
        {"pumpswap", "USDT", 0},
        {"pumpfun-amm", "w_sol", POOL_COUNTS | POOL_PUMP_SOL},
        {"pumpfun", "SOL", POOL_PUMP_SOL},
        {"pumpfun", "USDC", 0},
        {"launchlab", "SOL", 0},
        {"launchlab", "USDC", 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (pool_flags_for(rows[i].dex, rows[i].quote) != rows[i].flags)
            fail_msg("%s/%s: flags %d, not %d", rows[i].dex, rows[i].quote,
                     pool_flags_for(rows[i].dex, rows[i].quote), rows[i].flags);
}

/* What the parser would have refused must at least not overflow here. */
static void huge_counts_stay_in_range(void **state)
{
    (void)state;
    struct options options;
    options_init(&options);
    struct pair pair = pair_of(&market_cases[0].pools[0]);
    pair.buys_m5 = pair.buys_h1 = 5000000000;
    pair.sells_m5 = pair.sells_h1 = 5000000000;
    const struct pair *list[] = {&pair, &pair}, *primary;
    struct metrics metrics = market_gather(list, 2, TOKEN_ACTIVE, &options, &primary);
    assert_int_equal(metrics.tx_count_5m, UINT32_MAX);
    assert_int_equal(metrics.tx_count_1h, UINT32_MAX);
    struct score score = score_raw(&metrics, TOKEN_ACTIVE, &options);
    assert_true(isfinite(score.total));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scores_markets),
        cmocka_unit_test(scores_metrics_no_market_has),
        cmocka_unit_test(smooths),
        cmocka_unit_test(flags_say_what_a_pool_is),
        cmocka_unit_test(huge_counts_stay_in_range),
    };
    return cmocka_run_group_tests_name("core.score", tests, NULL, NULL);
}
