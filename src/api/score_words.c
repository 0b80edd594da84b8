/* See score_words.h. */
#include "api/score_words.h"

#include "core/lifecycle.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

__attribute__((format(printf, 2, 3))) static void say(char out[SCORE_SENTENCE_SIZE],
                                                      const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out, SCORE_SENTENCE_SIZE, format, arguments);
    va_end(arguments);
}

/* ---- the components ---- */

static void say_transactions(const struct metrics *metrics, enum token_status status,
                             const struct options *options, struct score_part *out)
{
    struct score_minima least = score_minima_for(status, options);
    unsigned m5 = metrics->tx_count_5m, h1 = metrics->tx_count_1h;
    if (options->tx_calculation_mode == TX_MODE_ARBITRAGE_ACTIVITY)
        say(out->sentence,
            "%u transactions in 5 minutes, where %g count for nothing and %g in full, and %u in an "
            "hour, whose rise weighs %g.",
            m5, options->arbitrage_min_tx_5m, options->arbitrage_optimal_tx_5m, h1,
            options->arbitrage_acceleration_weight);
    else if (m5 < least.tx_5m || h1 < least.tx_1h)
        say(out->sentence,
            "%u transactions in 5 minutes and %u in an hour: counted from %g and %g on.", m5, h1,
            least.tx_5m, least.tx_1h);
    else
        say(out->sentence,
            "%u transactions in 5 minutes against %u in an hour: ln(1 + %u / 5) / ln(1 + %u / 60), "
            "at most 10.",
            m5, h1, m5, h1);
}

static void say_volume(const struct metrics *metrics, enum token_status status,
                       const struct options *options, struct score_part *out)
{
    struct score_minima least = score_minima_for(status, options);
    double m5 = metrics->volume_5m_usd, h1 = metrics->volume_1h_usd;
    if (m5 < least.volume_5m || h1 < least.volume_1h || h1 <= 0)
        say(out->sentence,
            "$%.0f traded in 5 minutes and $%.0f in an hour: counted from $%g and $%g on.", m5, h1,
            least.volume_5m, least.volume_1h);
    else
        say(out->sentence,
            "$%.0f traded in 5 minutes is %.2f times the hour's pace, times %.2f for $%.0f of "
            "liquidity, at most 15.",
            m5, m5 / (h1 / 12), score_liquidity_factor(metrics, options), metrics->liquidity_usd);
}

static void say_freshness(const struct metrics *metrics, const struct options *options,
                          struct score_part *out)
{
    say(out->sentence, "%.1f hours old: youth counts in full at first and for nothing from %g on.",
        metrics->hours_since_creation, options->freshness_threshold_hours);
}

static void say_orderflow(const struct metrics *metrics, enum token_status status,
                          const struct options *options, struct score_part *out)
{
    double buys = metrics->buys_volume_5m_usd, sells = metrics->sells_volume_5m_usd;
    double least = score_minima_for(status, options).orderflow_volume_5m;
    if (buys + sells < least || buys + sells <= 0)
        say(out->sentence, "$%.0f traded in 5 minutes: counted from $%g on.", buys + sells, least);
    else
        say(out->sentence, "Buys of $%.0f against sells of $%.0f in 5 minutes, times %.2f%s.", buys,
            sells, fmin(1, (buys + sells) / options->orderflow_significance_threshold),
            score_looks_manipulated(metrics, options)
                ? "; half of it, since the trades of one side are unusually large"
                : "");
}

struct score score_explain(const struct metrics *metrics, enum token_status status,
                           const struct options *options, struct score_part out[SCORE_PARTS])
{
    struct score score = score_raw(metrics, status, options);
    const struct components *raw = &score.components;
    out[0] = (struct score_part){"tx_accel", raw->tx_accel, options->w_tx, ""};
    out[1] = (struct score_part){"vol_momentum", raw->vol_momentum, options->w_vol, ""};
    out[2] = (struct score_part){"token_freshness", raw->token_freshness, options->w_fresh, ""};
    out[3] =
        (struct score_part){"orderflow_imbalance", raw->orderflow_imbalance, options->w_oi, ""};
    say_transactions(metrics, status, options, &out[0]);
    say_volume(metrics, status, options, &out[1]);
    say_freshness(metrics, options, &out[2]);
    say_orderflow(metrics, status, options, &out[3]);
    return score;
}

/* ---- the status ---- */

struct external_pools {
    unsigned known, liquid;
    double largest_usd;
    bool has_pump;
};

static struct external_pools count_pools(const struct pool *pools, size_t count,
                                         const struct options *options)
{
    struct external_pools found = {0};
    for (size_t i = 0; i < count; i++) {
        double liquidity = (double)pools[i].liquidity_usd;
        found.has_pump = found.has_pump || (pools[i].flags & POOL_PUMP_SOL);
        if ((pools[i].flags & POOL_EXTERNAL) == 0)
            continue;
        found.known++;
        found.liquid += liquidity >= options->activation_min_liquidity_usd;
        found.largest_usd = fmax(found.largest_usd, liquidity); /* NaN is none */
    }
    return found;
}

unsigned score_why_not(const struct pool *pools, size_t count, const struct options *options,
                       char out[WHY_NOT_MAX][SCORE_SENTENCE_SIZE])
{
    unsigned said = 0;
    if (lifecycle_qualifies(pools, count, options))
        return 0;
    struct external_pools found = count_pools(pools, count, options);
    double least = options->activation_min_liquidity_usd;
    if (found.known == 0)
        say(out[said++], "No pool outside pump.fun is known that is quoted in SOL or USDC.");
    else if (found.liquid == 0)
        say(out[said++],
            "No pool outside pump.fun has $%g of liquidity; the largest of %u has $%.0f.", least,
            found.known, found.largest_usd);
    if (!found.has_pump)
        say(out[said++],
            "It has no SOL pool on pump.fun, so two pools outside with $%g each are needed; it has "
            "%u.",
            least, found.liquid);
    return said;
}
