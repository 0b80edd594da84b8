/* See series.h. */
#include "bench/series.h"

#include "base/prng.h"
#include <math.h>
#include <stdbool.h>

#define HOUR_S       3600.0
#define DAY_S        86400.0
#define TAU          6.283185307179586
#define HEALTHY_DAYS 3
#define JUMPS        8
#define TRIES        100
#define GAP_ONE      0.01   /* of the values, missing one by one */
#define GAP_LONG     0.0003 /* of the values, those that begin a longer gap */
#define GAP_LONG_MAX 40     /* values */

/* What one series is made of. */
struct recipe {
    enum series_kind kind;
    enum series_fate fate;
    double noise;
    double base;             /* level before anything happens */
    double onset_s, life_s;  /* degradation: its begin, and the time to the threshold */
    double rise;             /* by which its mean reaches the threshold after life_s */
    double growth;           /* of the exponential one: life over its time constant */
    double period_s, height; /* of the saw-tooth, or of the day */
    double phase;            /* of 1 */
    double jump_at_s[JUMPS], jump[JUMPS];
    double wander_share, wander_scale;
};

const char *series_kind_name(enum series_kind kind)
{
    static const char *const names[] = {
#define X(code, name) [code] = name,
        SERIES_KIND_LIST(X)
#undef X
    };
    return names[kind];
}

static double uniform(struct prng *prng, double low, double high)
{
    return low + (high - low) * prng_unit(prng);
}

static double log_uniform(struct prng *prng, double low, double high)
{
    return low * exp(prng_unit(prng) * log(high / low));
}

/* ---- recipes ---- */

static void choose_jumps(struct recipe *recipe, struct prng *prng)
{
    if (recipe->fate == SERIES_DEGRADES) {
        recipe->jump_at_s[0] = recipe->onset_s;
        recipe->jump[0] = uniform(prng, 5, 15);
        recipe->rise -= recipe->jump[0];
        return;
    }
    for (int i = 0; i < JUMPS; i++) {
        recipe->jump_at_s[i] = (i + prng_unit(prng)) * HEALTHY_DAYS * DAY_S / JUMPS;
        recipe->jump[i] = i % 2 == 0 ? uniform(prng, 5, 15) : -recipe->jump[i - 1];
    }
}

static struct recipe choose(enum series_kind kind, enum series_fate fate, double noise,
                            struct prng *prng)
{
    struct recipe recipe = {.kind = kind, .fate = fate, .noise = noise};
    double days = kind == SERIES_SEASON ? 3 : 0.5;
    recipe.base = uniform(prng, 30, 60);
    recipe.onset_s = uniform(prng, days, days + 1) * DAY_S;
    recipe.life_s = log_uniform(prng, HOUR_S, 10 * HOUR_S);
    recipe.growth = uniform(prng, 2.5, 5);
    recipe.phase = prng_unit(prng);
    recipe.period_s = kind == SERIES_SEASON ? DAY_S : log_uniform(prng, 300, 2400);
    if (kind == SERIES_SAWTOOTH || kind == SERIES_SEASON)
        recipe.height = uniform(prng, 8, 25);
    recipe.rise = SERIES_THRESHOLD - recipe.base - (kind == SERIES_SEASON ? 0 : recipe.height);
    if (fate == SERIES_HEALTHY && kind == SERIES_LINEAR) {
        recipe.rise *= uniform(prng, 0.3, 0.7);
    } else if (fate == SERIES_HEALTHY) {
        /* As near to the threshold as a healthy one that is worth an alert may come. */
        double top = recipe.height + 3.5 * noise + (kind == SERIES_STEP ? 15 : 0) +
                     (kind == SERIES_EXPONENTIAL ? 14 : 0);
        recipe.base = uniform(prng, 75, 95) - top;
    }
    if (kind == SERIES_STEP)
        choose_jumps(&recipe, prng);
    return recipe;
}

/* ---- values ---- */

/* How much of the degradation there is; 1 at the end of its life, and beyond it goes on. */
static double progress(const struct recipe *recipe, double t_s)
{
    double share = (t_s - recipe->onset_s) / recipe->life_s;
    if (share <= 0)
        return 0;
    if (recipe->kind == SERIES_EXPONENTIAL)
        return expm1(recipe->growth * share) / expm1(recipe->growth);
    return recipe->fate == SERIES_HEALTHY ? fmin(share, 1) : share;
}

static double jumps_at(const struct recipe *recipe, double t_s)
{
    double sum = 0;
    for (int i = 0; i < JUMPS; i++)
        if (t_s >= recipe->jump_at_s[i])
            sum += recipe->jump[i];
    return sum;
}

static double mean_at(const struct recipe *recipe, double t_s)
{
    bool moves = recipe->fate == SERIES_DEGRADES || recipe->kind == SERIES_LINEAR;
    double value = recipe->base + jumps_at(recipe, t_s);
    double turn = t_s / recipe->period_s + recipe->phase;
    if (moves)
        value += recipe->rise * progress(recipe, t_s);
    if (recipe->kind == SERIES_SAWTOOTH)
        value += recipe->height * (turn - floor(turn));
    if (recipe->kind == SERIES_SEASON)
        value += recipe->height / 2 * (1 - cos(TAU * turn));
    return value;
}

/* An Ornstein-Uhlenbeck process of half an hour, with a deviation of 4. */
static double wander(double before, struct prng *prng)
{
    double keep = exp(-SERIES_STEP_S / 1800);
    return keep * before + 4 * sqrt(1 - keep * keep) * prng_normal(prng);
}

static size_t gap_length(struct prng *prng)
{
    double chance = prng_unit(prng);
    if (chance < GAP_LONG)
        return 1 + (size_t)prng_below(prng, GAP_LONG_MAX);
    return chance < GAP_LONG + GAP_ONE;
}

/* False when it crosses early, or, being healthy, at all. */
static bool fill(struct series *series, const struct recipe *recipe, struct prng *prng)
{
    double drift = 0;
    size_t missing = 0;
    for (size_t i = 0; i < SERIES_MAX; i++) {
        double t_s = (double)i * SERIES_STEP_S;
        if (series->fate == SERIES_HEALTHY && t_s >= HEALTHY_DAYS * DAY_S)
            return true;
        if (series->fate == SERIES_HEALTHY && series->kind == SERIES_EXPONENTIAL)
            drift = wander(drift, prng);
        double value = mean_at(recipe, t_s) + drift + recipe->noise * prng_normal(prng);
        series->count = i + 1;
        series->values[i] = (float)value;
        if (value >= SERIES_THRESHOLD)
            return series->fate == SERIES_DEGRADES && t_s > recipe->onset_s + recipe->life_s / 8;
        missing = missing > 0 ? missing - 1 : gap_length(prng);
        if (missing > 0)
            series->values[i] = NAN;
    }
    return false;
}

void series_make(struct series *series, enum series_kind kind, enum series_fate fate, double noise,
                 uint64_t seed)
{
    struct prng prng;
    prng_seed(&prng, seed * SERIES_KIND_COUNT * 2 + (uint64_t)kind * 2 + (uint64_t)fate);
    *series = (struct series){.kind = kind, .fate = fate, .noise = noise};
    for (int i = 0; i < TRIES; i++) {
        struct recipe recipe = choose(kind, fate, noise, &prng);
        if (fill(series, &recipe, &prng)) {
            series->onset_s = fate == SERIES_DEGRADES ? recipe.onset_s : series_end_s(series);
            return;
        }
    }
}
