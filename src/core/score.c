/* The hybrid momentum score. See the header. */
#include "core/score.h"

#include "base/text.h"
#include <math.h>

#define TX_ACCEL_MAX        10.0
#define VOL_MOMENTUM_MAX    15.0
#define NO_LIQUIDITY_FACTOR 0.5
#define DELTA_LIMIT         0.5  /* fractions: ±50 % */
#define DELTA_NOTABLE       0.01 /* below it no ratio of deltas is suspicious */
#define DELTA_RATIO_MAX     15.0
#define MONITORING_MINIMUM  1.0 /* transactions, dollars: of tokens not yet active */

/* Rules out most names, for each pair of each answer: a call saved. True for some that are not. */
static bool same_letter(char a, char b)
{
    return ((a ^ b) & ~0x20) == 0;
}

static bool is_one_of(const char *text, const char *const list[])
{
    for (; *list != NULL; list++)
        if (same_letter(*text, **list) && text_equal_nocase(text, *list))
            return true;
    return false;
}

static bool quote_is_sol(const char *symbol)
{
    static const char *const names[] = {"SOL", "WSOL", "W_SOL", "W-SOL", NULL};
    return is_one_of(symbol, names);
}

static bool quote_is_usdc(const char *symbol)
{
    static const char *const names[] = {"USDC", NULL};
    return is_one_of(symbol, names);
}

/* Who is on the list first is looked for first. */
enum venue_trait { VENUE_CURVE = 1, VENUE_OWN = 2, VENUE_PUMP = 4 };

static unsigned venue_traits(const char *dex)
{
    static const struct {
        const char *name;
        unsigned traits;
    } venues[] = {{"pumpswap", VENUE_OWN | VENUE_PUMP},
                  {"pumpfun", VENUE_OWN | VENUE_PUMP | VENUE_CURVE},
                  {"pumpfun-amm", VENUE_OWN | VENUE_PUMP},
                  {"launchlab", VENUE_OWN | VENUE_CURVE}};
    for (size_t i = 0; i < sizeof venues / sizeof venues[0]; i++)
        if (same_letter(*dex, *venues[i].name) && text_equal_nocase(dex, venues[i].name))
            return venues[i].traits;
    return 0;
}

uint8_t pool_flags_for(const char *dex, const char *quote_symbol)
{
    unsigned venue = venue_traits(dex);
    bool sol = quote_is_sol(quote_symbol);
    uint8_t flags = 0;
    if ((sol || quote_is_usdc(quote_symbol)) && !(venue & VENUE_CURVE)) {
        flags |= POOL_COUNTS;
        if (!(venue & VENUE_OWN))
            flags |= POOL_EXTERNAL;
    }
    if (sol && (venue & VENUE_PUMP))
        flags |= POOL_PUMP_SOL;
    return flags;
}

/* ---- the sums ---- */

static double or_zero(double value)
{
    return isfinite(value) ? value : 0;
}

static bool pair_enters(const struct pair *pair, double least_liquidity)
{
    return pair->liquidity_usd >= least_liquidity && /* NaN is not */
           (pool_flags_for(pair->dex, pair->quote_symbol) & POOL_COUNTS);
}

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

static uint32_t to_count(int64_t value)
{
    return value < 0 ? 0 : value > UINT32_MAX ? UINT32_MAX : (uint32_t)value;
}

/* A jump beyond a half, or one that the longer window does not bear out, is cut. */
static void set_deltas(struct metrics *metrics, const struct pair *primary)
{
    double d5 = or_zero(primary->change_m5_percent) / 100;
    double d15 = isfinite(primary->change_m15_percent)
                     ? primary->change_m15_percent / 100
                     : or_zero(primary->change_h1_percent) / 4 / 100;
    bool is_jump = fabs(d5) > DELTA_LIMIT;
    bool is_lonely = fabs(d5) > DELTA_NOTABLE && d15 != 0 && fabs(d5) / fabs(d15) > DELTA_RATIO_MAX;
    if (is_jump || is_lonely) {
        d5 = clamp(d5, -DELTA_LIMIT, DELTA_LIMIT);
        d15 = clamp(d15, -DELTA_LIMIT, DELTA_LIMIT);
    }
    metrics->delta_p_5m = d5;
    metrics->delta_p_15m = d15;
}

static void add_pair(struct metrics *metrics, const struct pair *pair, int64_t counts[4])
{
    metrics->liquidity_usd += pair->liquidity_usd;
    metrics->volume_5m_usd += or_zero(pair->volume_m5_usd);
    metrics->volume_1h_usd += or_zero(pair->volume_h1_usd);
    metrics->volume_24h_usd += (float)or_zero(pair->volume_h24_usd);
    counts[0] += pair->buys_m5;
    counts[1] += pair->sells_m5;
    counts[2] += pair->buys_h1;
    counts[3] += pair->sells_h1;
    metrics->pools++;
    if (quote_is_sol(pair->quote_symbol))
        metrics->wsol_pairs++;
    else
        metrics->usdc_pairs++;
}

struct metrics market_gather(const struct pair *const pairs[], size_t count,
                             enum token_status status, const struct options *options,
                             const struct pair **primary)
{
    double least = status == TOKEN_ACTIVE ? options->min_pool_liquidity_usd
                                          : options->activation_min_liquidity_usd;
    struct metrics metrics = {.price_usd = NAN, .market_cap_usd = NAN};
    int64_t counts[4] = {0};
    const struct pair *best = NULL;
    for (size_t i = 0; i < count && metrics.pools < UINT8_MAX; i++) {
        if (!pair_enters(pairs[i], least))
            continue;
        add_pair(&metrics, pairs[i], counts);
        if (best == NULL || pairs[i]->liquidity_usd > best->liquidity_usd)
            best = pairs[i];
    }
    metrics.buys_5m = to_count(counts[0]);
    metrics.tx_count_5m = to_count(counts[0] + counts[1]);
    metrics.tx_count_1h = to_count(counts[2] + counts[3]);
    if (metrics.tx_count_5m > 0) {
        double share = (double)metrics.buys_5m / metrics.tx_count_5m;
        metrics.buys_volume_5m_usd = metrics.volume_5m_usd * share;
        metrics.sells_volume_5m_usd = metrics.volume_5m_usd * (1 - share);
    }
    if (best != NULL) {
        set_deltas(&metrics, best);
        metrics.primary_liquidity_usd = best->liquidity_usd;
        metrics.price_usd = best->price_usd;
        metrics.market_cap_usd = (float)best->market_cap_usd;
    }
    *primary = best;
    return metrics;
}

/* ---- the components ---- */

struct score_minima score_minima_for(enum token_status status, const struct options *options)
{
    if (status != TOKEN_ACTIVE)
        return (struct score_minima){MONITORING_MINIMUM, MONITORING_MINIMUM, MONITORING_MINIMUM,
                                     MONITORING_MINIMUM, MONITORING_MINIMUM};
    return (struct score_minima){options->min_tx_threshold_5m, options->min_tx_threshold_1h,
                                 options->min_volume_threshold_5m, options->min_volume_threshold_1h,
                                 options->min_orderflow_volume_5m};
}

static double tx_acceleration(const struct metrics *metrics, const struct score_minima *minima)
{
    if (metrics->tx_count_5m < minima->tx_5m || metrics->tx_count_1h < minima->tx_1h)
        return 0;
    double divisor = log(1 + metrics->tx_count_1h / 60.0);
    if (divisor == 0)
        return 0;
    return fmin(TX_ACCEL_MAX, log(1 + metrics->tx_count_5m / 5.0) / divisor);
}

/* How busy, and how much busier than in the last hour: what an arbitrage bot looks for. */
static double tx_arbitrage_activity(const struct metrics *metrics, const struct options *options)
{
    double span = options->arbitrage_optimal_tx_5m - options->arbitrage_min_tx_5m;
    double activity =
        span > 0 ? clamp((metrics->tx_count_5m - options->arbitrage_min_tx_5m) / span, 0, 1)
                 : (double)(metrics->tx_count_5m >= options->arbitrage_optimal_tx_5m);
    double rate_1h = metrics->tx_count_1h / 60.0;
    double rise = rate_1h > 0 ? clamp(metrics->tx_count_5m / 5.0 / rate_1h - 1, 0, 1) : 0;
    double weight = options->arbitrage_acceleration_weight;
    return (1 - weight) * activity + weight * rise;
}

double score_liquidity_factor(const struct metrics *metrics, const struct options *options)
{
    double share = metrics->liquidity_usd / options->liquidity_factor_threshold;
    return metrics->liquidity_usd == 0 ? NO_LIQUIDITY_FACTOR : sqrt(fmin(1, share));
}

static double volume_momentum(const struct metrics *metrics, const struct score_minima *minima,
                              const struct options *options)
{
    if (metrics->volume_5m_usd < minima->volume_5m || metrics->volume_1h_usd < minima->volume_1h ||
        metrics->volume_1h_usd <= 0)
        return 0;
    double factor = score_liquidity_factor(metrics, options);
    return fmin(VOL_MOMENTUM_MAX, metrics->volume_5m_usd / (metrics->volume_1h_usd / 12) * factor);
}

static double token_freshness(const struct metrics *metrics, const struct options *options)
{
    double threshold = options->freshness_threshold_hours;
    return clamp((threshold - metrics->hours_since_creation) / threshold, 0, 1);
}

bool score_looks_manipulated(const struct metrics *metrics, const struct options *options)
{
    double buys = metrics->buys_5m, sells = metrics->tx_count_5m - (double)metrics->buys_5m;
    if (buys <= 0 || sells <= 0)
        return false;
    double volume = metrics->buys_volume_5m_usd + metrics->sells_volume_5m_usd;
    double largest = fmax(metrics->buys_volume_5m_usd / buys, metrics->sells_volume_5m_usd / sells);
    return largest > options->manipulation_detection_ratio * volume / (buys + sells);
}

static double orderflow_imbalance(const struct metrics *metrics, const struct score_minima *minima,
                                  const struct options *options)
{
    double buys = metrics->buys_volume_5m_usd, sells = metrics->sells_volume_5m_usd;
    double volume = buys + sells;
    if (volume < minima->orderflow_volume_5m || volume <= 0)
        return 0;
    double significance = fmin(1, volume / options->orderflow_significance_threshold);
    double imbalance = clamp((buys - sells) / volume * significance, -1, 1);
    return score_looks_manipulated(metrics, options) ? imbalance / 2 : imbalance;
}

struct score score_raw(const struct metrics *metrics, enum token_status status,
                       const struct options *options)
{
    struct score_minima minima = score_minima_for(status, options);
    struct score score;
    struct components *parts = &score.components;
    parts->tx_accel = options->tx_calculation_mode == TX_MODE_ARBITRAGE_ACTIVITY
                          ? tx_arbitrage_activity(metrics, options)
                          : tx_acceleration(metrics, &minima);
    parts->vol_momentum = volume_momentum(metrics, &minima, options);
    parts->token_freshness = token_freshness(metrics, options);
    parts->orderflow_imbalance = orderflow_imbalance(metrics, &minima, options);
    score.total = round_6(options->w_tx * parts->tx_accel + options->w_vol * parts->vol_momentum +
                          options->w_fresh * parts->token_freshness +
                          options->w_oi * parts->orderflow_imbalance);
    return score;
}

double round_6(double value)
{
    return nearbyint(value * 1e6) / 1e6;
}

struct score score_smooth(const struct score *raw, const struct score *previous, double alpha)
{
    struct score out;
    const struct score *before = previous != NULL ? previous : raw;
#define SMOOTH(member) out.member = round_6(alpha * raw->member + (1 - alpha) * before->member)
    SMOOTH(components.tx_accel);
    SMOOTH(components.vol_momentum);
    SMOOTH(components.token_freshness);
    SMOOTH(components.orderflow_imbalance);
    SMOOTH(total);
#undef SMOOTH
    return out;
}
