/* Lives and prices: see model.h. The constants' sources are in README.md. */
#include "market/model.h"
#include "market/chance.h"
#include <assert.h>
#include <math.h>
#include <stdlib.h>

#define LIFE_S            (48 * 3600.0) /* over which a life is described */
#define FADING_POWER      0.4
#define OLDEST_S          (14 * 86400.0)
#define YOUNGEST_S        300.0
#define MAJOR_SHARE       0.002
#define WALK_OCTAVES_MAX  20
#define REVIVAL_S         86400.0 /* each day is a new chance, and a revival ends within a day */
#define REVIVAL_CHANCE    0.025
#define REVIVALS_AT_ONCE  3 /* days that a window of 24 h can touch */
#define REVIVAL_STEEPNESS 40.0
#define CURVE_TRADES      900.0
#define CURVE_MARKET_CAP  63500.0
#define CURVE_RISE        2.2 /* ln of the price's way up the bonding curve */
#define ODD_START_FACTOR  5000.0

struct model {
    struct model_settings settings;
    int64_t *graduated_at_us;
    uint32_t count;
    uint32_t capacity;
};

/* One number of chance for each fixed trait. */
enum trait {
    TRAIT_MAJOR,
    TRAIT_CAP,
    TRAIT_FADES,
    TRAIT_FADE,
    TRAIT_SCALE,
    TRAIT_TRADES,
    TRAIT_BASELINE,
    TRAIT_SIZE,
    TRAIT_LIQUIDITY,
    TRAIT_CURVE,
    TRAIT_POOLS,
    TRAIT_WALK,
    TRAIT_DEX = 64,
    TRAIT_LABEL,
    TRAIT_QUOTE,
    TRAIT_REVERSED,
    TRAIT_PRICE,
    TRAIT_NO_LIQUIDITY,
    TRAIT_MARKET_CAP,
    TRAIT_ODD,
    TRAIT_DEPTH_KIND,
    TRAIT_DEPTH,
    TRAIT_DELAY,
    TRAIT_SPREAD
};

enum stream { STREAM_BURST = 1000, STREAM_WALK, STREAM_SIZE, STREAM_SPREAD, STREAM_REVIVAL };

static uint64_t stream_key(uint64_t key, enum stream stream)
{
    return chance_at(key, stream);
}

static double log_normal(uint64_t key, enum trait trait, double median, double deviation)
{
    return median * exp(deviation * chance_normal(key, trait));
}

static double clamp(double value, double low, double high)
{
    return value < low ? low : value > high ? high : value;
}

/* ---- the population ---- */

/* Ages log-uniform, oldest first: every stage of a life is there from the start. */
static int64_t age_at_start_us(const struct model_settings *settings, uint32_t token)
{
    double place = (token + chance_unit(settings->seed, token)) / settings->tokens;
    return (int64_t)(1e6 * OLDEST_S * pow(YOUNGEST_S / OLDEST_S, place));
}

struct model *model_create(const struct model_settings *settings)
{
    assert(settings->tokens <= TOKENS_MAX);
    struct model *model = calloc(1, sizeof *model);
    if (model == NULL)
        return NULL;
    model->settings = *settings;
    model->capacity = settings->tokens < 1024 ? 1024 : settings->tokens;
    model->graduated_at_us = malloc(model->capacity * sizeof *model->graduated_at_us);
    if (model->graduated_at_us == NULL) {
        free(model);
        return NULL;
    }
    for (uint32_t i = 0; i < settings->tokens; i++)
        model->graduated_at_us[i] = settings->start.us - age_at_start_us(settings, i);
    model->count = settings->tokens;
    return model;
}

void model_destroy(struct model *model)
{
    if (model == NULL)
        return;
    free(model->graduated_at_us);
    free(model);
}

uint64_t model_seed(const struct model *model)
{
    return model->settings.seed;
}

uint32_t model_token_count(const struct model *model)
{
    return model->count;
}

void model_mint(const struct model *model, uint32_t token, struct address *out)
{
    identity_address(model->settings.seed,
                     &(struct identity){.class = IDENTITY_MINT, .token = token}, out);
}

enum err model_graduate(struct model *model, instant now, uint32_t *token)
{
    if (model->count == TOKENS_MAX)
        return ERR_FULL;
    if (model->count == model->capacity) {
        uint32_t capacity = model->capacity > TOKENS_MAX / 2 ? TOKENS_MAX : model->capacity * 2;
        int64_t *grown = realloc(model->graduated_at_us, capacity * sizeof *grown);
        if (grown == NULL)
            return ERR_NO_MEMORY;
        model->graduated_at_us = grown;
        model->capacity = capacity;
    }
    model->graduated_at_us[model->count] = now.us;
    *token = model->count++;
    return OK;
}

/* ---- noise ---- */

/* A value of `key` at each whole number, straight lines between them; −0.5 … 0.5. */
static double noise(uint64_t key, double x)
{
    double whole = floor(x);
    uint64_t n = (uint64_t)(int64_t)whole;
    double left = chance_unit(key, n);
    double right = chance_unit(key, n + 1);
    return left + (right - left) * (x - whole) - 0.5;
}

/* Buying and the price share their noise, so that rises come with buying. The slopes of `bought`
 * stay within 0.49 around a half: neither buys nor sells ever shrink. */
static void walk(const struct token_life *token, double n, double *price_log, double *bought)
{
    uint64_t key = stream_key(token->key, STREAM_WALK);
    double sum = 0;
    double balance = 0;
    double scale = 1;
    for (unsigned octave = 0; octave <= token->walk_octaves; octave++, scale *= 2) {
        double x = noise(key + octave, n / scale);
        double tails = x * (0.5 + 40 * x * x * x * x);
        sum += sqrt(scale) * tails;
        if (octave >= 3 && octave < 11 && octave % 2 == 1)
            balance += 0.12 * scale * x;
    }
    *price_log = 1.6 * token->walk * sum / sqrt(token->trades);
    *bought = 0.505 * n + balance;
}

/* ---- what is fixed ---- */

/* A count with the given mean, by inversion (Knuth, TAOCP 2, 3.4.1). */
static unsigned poisson(double unit, double mean, unsigned limit)
{
    double probability = exp(-mean);
    double sum = probability;
    unsigned n = 0;
    while (unit >= sum && n < limit) {
        n++;
        probability *= mean / n;
        sum += probability;
    }
    return n;
}

static void become_major(struct token_life *life)
{
    uint64_t key = life->key;
    life->is_major = true;
    life->pools = POOLS_MAX;
    life->market_cap_log = log(log_normal(key, TRAIT_CAP, 1e8, 1.2));
    life->fade = 0;
    life->trades_per_s = log_normal(key, TRAIT_BASELINE, 0.3, 0.6);
    life->liquidity_usd = log_normal(key, TRAIT_LIQUIDITY, 4e6, 0.8);
    life->trades = 50000;
    life->walk = 0.3;
}

/* Some are emptied within minutes, most fade within hours, the others wander or run. */
static void choose_fate(struct token_life *life)
{
    double kind = chance_unit(life->key, TRAIT_FADES);
    double normal = chance_normal(life->key, TRAIT_FADE);
    life->fade_bend = kind < 0.68 ? 1.6 : 2;
    life->fade = kind < 0.07   ? -4.6 + 0.3 * normal
                 : kind < 0.68 ? -3.1 + 0.75 * normal
                               : 0.1 + 0.7 * normal;
    life->fade_scale_s = log_normal(life->key, TRAIT_SCALE, kind < 0.07 ? 300 : 900, 0.9);
}

void model_token(const struct model *model, uint32_t token, struct token_life *out)
{
    uint64_t key = chance_at(model->settings.seed ^ UINT64_C(0x70c3), token);
    *out = (struct token_life){.key = key, .token = token};
    out->graduated_at.us = model->graduated_at_us[token];
    out->curve_opened_at.us =
        out->graduated_at.us -
        (int64_t)(1e6 * clamp(log_normal(key, TRAIT_CURVE, 1800, 1.6), 60, 86400));
    out->pools =
        2 + poisson(chance_unit(key, TRAIT_POOLS), model->settings.pools_mean - 2, POOLS_MAX - 2);
    out->market_cap_log = log(log_normal(key, TRAIT_CAP, 50000, 0.45));
    choose_fate(out);
    out->trades = clamp(log_normal(key, TRAIT_TRADES, 6000, 1.1), 20, 3e6);
    out->trades_per_s = log_normal(key, TRAIT_BASELINE, 25 / 86400.0, 1.5);
    out->trade_usd = log_normal(key, TRAIT_SIZE, 115, 0.6);
    out->liquidity_usd = log_normal(key, TRAIT_LIQUIDITY, 24000, 0.45);
    out->walk = log_normal(key, TRAIT_WALK, 0.7, 0.6);
    if (chance_unit(key, TRAIT_MAJOR) < MAJOR_SHARE)
        become_major(out);
    out->walk_octaves = (unsigned)clamp(log2(out->trades / 2), 3, WALK_OCTAVES_MAX);
    walk(out, 0, &out->walk_start, &out->bought_start);
}

static void choose_venue(struct pool_life *pool)
{
    static const struct {
        double until;
        enum dex dex;
        const char *label;
    } fresh[] = {{0.42, DEX_METEORA, "DLMM"}, {0.60, DEX_METEORA, "DYN2"},
                 {0.66, DEX_METEORA, "DYN"},  {0.76, DEX_RAYDIUM, "CPMM"},
                 {0.82, DEX_RAYDIUM, "CLMM"}, {0.89, DEX_RAYDIUM, NULL},
                 {0.96, DEX_ORCA, "wp"},      {1.00, DEX_METEORADBC, NULL}},
      major[] = {{0.46, DEX_RAYDIUM, "CLMM"}, {0.68, DEX_METEORA, "DLMM"},
                 {0.86, DEX_ORCA, "wp"},      {0.95, DEX_METEORA, "DYN2"},
                 {0.96, DEX_RAYDIUM, "CPMM"}, {1.00, DEX_RAYDIUM, NULL}};
    double unit = chance_unit(pool->key, TRAIT_DEX);
    bool is_major = pool->token.is_major;
    for (unsigned i = 0;; i++) {
        if (unit >= (is_major ? major[i].until : fresh[i].until))
            continue;
        pool->dex = is_major ? major[i].dex : fresh[i].dex;
        pool->label = is_major ? major[i].label : fresh[i].label;
        return;
    }
}

static void choose_quote(struct pool_life *pool)
{
    static const double fresh[] = {0.86, 0.94, 0.95, 0.96, 1};
    static const double major[] = {0.35, 0.90, 0.92, 0.96, 1};
    double unit = chance_unit(pool->key, TRAIT_QUOTE);
    unsigned quote = 0;
    while (unit >= (pool->token.is_major ? major : fresh)[quote])
        quote++;
    pool->quote = (enum quote)quote;
}

/* Most external pools are crumbs; some hold a few per cent; a few outgrow the first pool. */
static double external_depth(const struct pool_life *pool)
{
    if (pool->token.is_major)
        return log_normal(pool->key, TRAIT_DEPTH, 0.15, 1.5);
    double kind = chance_unit(pool->key, TRAIT_DEPTH_KIND);
    if (kind < 0.02)
        return log_normal(pool->key, TRAIT_DEPTH, 1.5, 0.4);
    if (kind < 0.32)
        return log_normal(pool->key, TRAIT_DEPTH, 0.06, 0.8);
    return log_normal(pool->key, TRAIT_DEPTH, 0.0008, 2);
}

/* Half of them appear within ten minutes of the graduation; nearly all within two hours. */
static void become_external(struct pool_life *pool)
{
    uint64_t key = pool->key;
    choose_venue(pool);
    choose_quote(pool);
    pool->depth = external_depth(pool);
    pool->share = clamp(0.7 * pow(pool->depth, 0.8), 0.0002, 3);
    pool->spread = clamp(0.002 / sqrt(pool->share), 0.002, 0.05);
    pool->created_at =
        instant_add(pool->token.graduated_at, duration_s(log_normal(key, TRAIT_DELAY, 600, 1.1)));
    pool->is_reversed = chance_unit(key, TRAIT_REVERSED) < 0.02;
    pool->lacks_liquidity = chance_unit(key, TRAIT_NO_LIQUIDITY) < 0.03;
    pool->has_odd_start = chance_unit(key, TRAIT_ODD) < 0.004;
}

void model_pool(const struct token_life *token, unsigned pool, struct pool_life *out)
{
    assert(pool < token->pools);
    *out = (struct pool_life){.token = *token,
                              .key = chance_at(token->key, 0x9001 + pool),
                              .pool = (uint8_t)pool,
                              .dex = DEX_PUMPSWAP,
                              .quote = QUOTE_SOL,
                              .share = 0.9,
                              .depth = 1,
                              .spread = 0.002,
                              .created_at = token->graduated_at};
    if (pool == 1) {
        out->dex = DEX_PUMPFUN;
        out->lacks_liquidity = true;
        out->created_at = token->curve_opened_at;
    } else if (pool > 1) {
        become_external(out);
    }
    out->lacks_price = out->is_reversed || chance_unit(out->key, TRAIT_PRICE) < 0.005;
    out->lacks_market_cap = out->lacks_price || chance_unit(out->key, TRAIT_MARKET_CAP) < 0.011;
    out->lacks_liquidity = out->lacks_liquidity || out->is_reversed;
}

unsigned model_main_pool(const struct token_life *token, instant now, instant *holds_until)
{
    unsigned best = 0;
    double best_depth = 1;
    *holds_until = INSTANT_FAR;
    for (unsigned i = 2; i < token->pools; i++) {
        struct pool_life pool;
        model_pool(token, i, &pool);
        if (pool.lacks_liquidity || pool.depth <= 1)
            continue;
        if (instant_before(now, pool.created_at)) {
            *holds_until = instant_min(*holds_until, pool.created_at);
        } else if (pool.depth > best_depth) {
            best = i;
            best_depth = pool.depth;
        }
    }
    return best;
}

/* ---- what moves ---- */

/* Time runs between 0.1 and 1.9 times its pace: the slopes of the noises stay under 0.9. */
static double burst_time(uint64_t key, double age_s)
{
    static const struct {
        double period_s, slope;
    } bursts[] = {{240, 0.45}, {2200, 0.25}, {18000, 0.20}};
    double time = age_s;
    for (unsigned i = 0; i < sizeof bursts / sizeof bursts[0]; i++)
        time += bursts[i].slope * bursts[i].period_s *
                (noise(key + i, age_s / bursts[i].period_s) - noise(key + i, 0));
    return time;
}

/* A day's revival, if it has one. */
struct revival {
    instant at;
    double life_s;
    double trades;
    double rise; /* ln of the peak */
};

static bool revival_of_day(const struct token_life *token, int64_t day, struct revival *out)
{
    if (day < 0)
        return false;
    uint64_t key = chance_at(stream_key(token->key, STREAM_REVIVAL), (uint64_t)day);
    if (chance_unit(key, 0) >= REVIVAL_CHANCE)
        return false;
    out->at = instant_add(token->graduated_at,
                          duration_s(REVIVAL_S * ((double)day + chance_unit(key, 1))));
    out->life_s = clamp(7200 * exp(chance_normal(key, 2)), 600, REVIVAL_S);
    out->trades = 0.3 * token->trades * exp(chance_normal(key, 3));
    out->rise = token->is_major ? 0.2 : 1.1 + 0.6 * chance_exponential(key, 4);
    return true;
}

/* The token's trades up to a moment: those of its life, and those of recent revivals. */
struct trades {
    double life;
    double revival[REVIVALS_AT_ONCE];
};

struct course { /* of a pool's figures, for one request */
    const struct pool_life *pool;
    uint64_t burst_key;
    unsigned revivals;
    struct revival revival[REVIVALS_AT_ONCE];
};

static void course_init(struct course *course, const struct pool_life *pool, instant now)
{
    *course = (struct course){.pool = pool, .burst_key = stream_key(pool->token.key, STREAM_BURST)};
    double age_s = duration_to_s(instant_diff(now, pool->token.graduated_at));
    int64_t today = (int64_t)floor(age_s / REVIVAL_S);
    for (int64_t day = today; day > today - REVIVALS_AT_ONCE; day--)
        if (revival_of_day(&pool->token, day, &course->revival[course->revivals]))
            course->revivals++;
}

/* The share of all trades to come that are done at an age: their rate falls with a power of it. */
static double aged(double age_s, double scale_s)
{
    return 1 - pow(1 + age_s / scale_s, -FADING_POWER);
}

static struct trades trades_until(const struct course *course, instant t)
{
    const struct token_life *token = &course->pool->token;
    struct trades out = {0};
    double age_s = duration_to_s(instant_diff(t, token->graduated_at));
    if (age_s <= 0)
        return out;
    double time_s = burst_time(course->burst_key, age_s);
    out.life =
        token->trades * aged(time_s, token->fade_scale_s) / aged(LIFE_S, token->fade_scale_s) +
        token->trades_per_s * time_s;
    for (unsigned i = 0; i < course->revivals; i++) {
        const struct revival *revival = &course->revival[i];
        double done = clamp(duration_to_s(instant_diff(t, revival->at)) / revival->life_s, 0, 1);
        out.revival[i] =
            revival->trades * log1p(REVIVAL_STEEPNESS * done) / log1p(REVIVAL_STEEPNESS);
    }
    return out;
}

/* A pool's state after its last trade before a moment: all of it are functions of trade counts. */
struct reading {
    double trades;      /* whole numbers */
    double life_trades; /* those outside revivals */
    double buys;
    double volume_usd;
    double price_log;
};

/* Sizes vary from stretch to stretch; the slopes stay under 0.9. */
static double traded(const struct pool_life *pool, double n)
{
    uint64_t key = stream_key(pool->token.key, STREAM_SIZE);
    double sum = n;
    double scale = 2;
    for (unsigned i = 0; i < 3; i++, scale *= 12)
        sum += 0.3 * scale * (noise(key + i, n / scale) - noise(key + i, 0));
    return pool->token.trade_usd * sum;
}

static void add_revivals(const struct course *course, const struct trades *trades,
                         struct reading *out)
{
    double share = course->pool->share;
    for (unsigned i = 0; i < course->revivals; i++) {
        const struct revival *revival = &course->revival[i];
        double here = floor(trades->revival[i] * share);
        double done = here / (revival->trades * share);
        double up = done < 0.35 ? done / 0.35 : (1 - done) / 0.65;
        out->trades += here;
        out->buys += floor(here * (0.5 + 0.05 * up));
        out->volume_usd += here * course->pool->token.trade_usd;
        out->price_log += revival->rise * clamp(up, 0, 1);
    }
}

/* `known` is a reading of another moment: where nobody traded in between, it is the answer. */
static struct reading read_market(const struct course *course, instant t,
                                  const struct reading *known)
{
    const struct pool_life *pool = course->pool;
    const struct token_life *token = &pool->token;
    struct trades trades = trades_until(course, t);
    struct reading out = {.life_trades = floor(trades.life * pool->share)};
    if (known != NULL && course->revivals == 0 && known->life_trades == out.life_trades)
        return *known;
    out.trades = out.life_trades;
    double n = out.trades / pool->share;
    double bought;
    walk(token, n, &out.price_log, &bought);
    out.buys = floor((bought - token->bought_start) * pool->share);
    out.volume_usd = traded(pool, n) * pool->share;
    out.price_log += token->market_cap_log - token->walk_start +
                     token->fade * pow(clamp(n / token->trades, 0, 1), token->fade_bend) +
                     pool->spread * noise(stream_key(pool->key, STREAM_SPREAD), out.trades * 0.37);
    add_revivals(course, &trades, &out);
    return out;
}

/* The bonding curve: its price only rises, and stands still from the graduation on. */
static struct reading read_curve(const struct pool_life *pool, instant t)
{
    duration whole = instant_diff(pool->token.graduated_at, pool->created_at);
    double done =
        clamp(duration_to_s(instant_diff(t, pool->created_at)) / duration_to_s(whole), 0, 1);
    struct reading out = {.trades = floor(CURVE_TRADES * done)};
    done = out.trades / CURVE_TRADES;
    out.buys = floor(out.trades * 0.58);
    out.volume_usd = out.trades * pool->token.trade_usd;
    out.price_log = log(CURVE_MARKET_CAP) - CURVE_RISE * (1 - done);
    return out;
}

static struct reading read_pool(const struct course *course, instant t, const struct reading *known)
{
    return course->pool->dex == DEX_PUMPFUN ? read_curve(course->pool, t)
                                            : read_market(course, t, known);
}

/* The price of SOL sways around 150 USD by some per cent a day. */
static double sol_usd(const struct model *model, instant now)
{
    double days = duration_to_s(instant_diff(now, model->settings.start)) / 86400;
    uint64_t key = model->settings.seed ^ UINT64_C(0x501);
    return 150 * exp(0.10 * noise(key, days) + 0.03 * noise(key + 1, days * 12) +
                     0.008 * noise(key + 2, days * 240));
}

static double quote_usd(const struct model *model, const struct pool_life *pool, instant now)
{
    static const double fixed[QUOTE_COUNT] = {
        [QUOTE_USDC] = 1, [QUOTE_USDT] = 1, [QUOTE_JUP] = 0.5, [QUOTE_OTHER] = 0.0075};
    return pool->quote == QUOTE_SOL ? sol_usd(model, now) : fixed[pool->quote];
}

/* Of a pool at constant product: both sides worth the same, growing with the root of the price. */
static void figure_liquidity(const struct pool_life *pool, double price_log, double quote_price,
                             struct pool_figures *out)
{
    out->liquidity_usd = pool->token.liquidity_usd * pool->depth *
                         exp(0.5 * (price_log - pool->token.market_cap_log));
    out->liquidity_base = out->liquidity_usd / 2 / out->price_usd;
    out->liquidity_quote = out->liquidity_usd / 2 / quote_price;
}

void model_figures(const struct model *model, const struct pool_life *pool, instant now,
                   struct pool_figures *out)
{
    static const double window_s[WINDOW_COUNT] = {300, 3600, 21600, 86400};
    struct course course;
    course_init(&course, pool, now);
    struct reading present = read_pool(&course, now, NULL);
    double quote_price = quote_usd(model, pool, now);
    out->market_cap_usd = exp(present.price_log);
    out->price_usd = out->market_cap_usd / SUPPLY;
    out->price_native = out->price_usd / quote_price;
    figure_liquidity(pool, present.price_log, quote_price, out);
    struct reading before = present;
    bool is_whole_life = false;
    for (unsigned i = 0; i < WINDOW_COUNT; i++) {
        if (!is_whole_life) {
            instant from = instant_add(now, duration_s(-window_s[i]));
            is_whole_life = !instant_before(pool->created_at, from);
            before = read_pool(&course, is_whole_life ? pool->created_at : from, &before);
            if (is_whole_life && pool->has_odd_start && before.trades < present.trades)
                before.price_log -= log(ODD_START_FACTOR);
        }
        out->buys[i] = (uint32_t)(present.buys - before.buys);
        out->sells[i] = (uint32_t)(present.trades - before.trades) - out->buys[i];
        out->volume_usd[i] = present.volume_usd - before.volume_usd;
        out->change_percent[i] = 100 * expm1(present.price_log - before.price_log);
    }
}
