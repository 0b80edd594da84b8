/* See sizing.h. */
#include "sim/sizing.h"

#include "base/prng.h"
#include "core/weight.h"
#include "sim/optimum.h"
#include <math.h>
#include <stdlib.h>

/* The drawn population: liquidity and volume as fresh graduates have them, medians of $15k and
 * $60k a day over two and three powers of e; moves of some percent. */
#define SAMPLE           2000
#define SAMPLE_SEED      1
#define LIQUIDITY_MEDIAN 15000.0
#define LIQUIDITY_SPREAD 1.5
#define VOLUME_MEDIAN    60000.0
#define VOLUME_SPREAD    2.0
#define MOVE_MEAN        0.04
#define COLD_SHARE       0.02 /* a cold token's liquidity, volume and moves, of a hot one's */

static const char *const bound_names[SIZING_BOUND_COUNT] = {
#define X(code, name) [code] = name,
    SIZING_BOUND_LIST(X)
#undef X
};

const char *sizing_bound_name(enum sizing_bound bound)
{
    return bound_names[bound];
}

struct sizing sizing_defaults(void)
{
    return (struct sizing){.tokens = 0,
                           .hot_share = 0.2,
                           .pools = 3.4,
                           .hot_s = 15,
                           .cold_s = 45,
                           .maximum_s = 3600,
                           .discover_active_s = 3600,
                           .discover_monitoring_s = 600,
                           .new_per_hour = 50,
                           .per_minute = {300, 300, 300},
                           .headroom = 0.02,
                           .cores = 1,
                           .tokens_per_core = 77000};
}

/* ---- what is needed ---- */

static double hot(const struct sizing *sizing)
{
    return sizing->tokens * sizing->hot_share;
}

static double cold(const struct sizing *sizing)
{
    return sizing->tokens - hot(sizing);
}

/* Requests a second of one address. */
static double allowed(const struct sizing *sizing, enum lane_kind lane)
{
    return sizing->per_minute[lane] / 60 * (1 - sizing->headroom);
}

static void compute_needs(const struct sizing *sizing, double needs[LANE_KIND_COUNT])
{
    needs[LANE_REFRESH] = hot(sizing) * sizing->pools / REQUEST_ADDRESSES_MAX / sizing->hot_s;
    needs[LANE_SCREEN] = cold(sizing) / REQUEST_ADDRESSES_MAX / sizing->cold_s;
    needs[LANE_DISCOVER] = hot(sizing) / sizing->discover_active_s + sizing->new_per_hour / 3600;
}

static void compute_nodes(const struct sizing *sizing, const double needs[LANE_KIND_COUNT],
                          struct sizing_result *out)
{
    double most = 0;
    out->tokens_per_s = hot(sizing) / sizing->hot_s + cold(sizing) / sizing->cold_s;
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++) {
        out->requests_per_minute[lane] = needs[lane] * 60;
        out->nodes_exact[lane] = needs[lane] / allowed(sizing, (enum lane_kind)lane);
    }
    out->nodes_exact[SIZING_CPU] = out->tokens_per_s / (sizing->cores * sizing->tokens_per_core);
    for (int bound = 0; bound < SIZING_BOUND_COUNT; bound++)
        if (out->nodes_exact[bound] > most) {
            most = out->nodes_exact[bound];
            out->bound = (enum sizing_bound)bound;
        }
    out->nodes = (uint32_t)fmax(1, ceil(most - 1e-9));
    out->nodes_with_one_dead = out->nodes + 1;
}

/* ---- the ages that some nodes give ---- */

static void draw(struct optimum_token *tokens, double share, double cost, double target_s,
                 double maximum_s)
{
    static struct token token; /* large; only its metrics count */
    struct prng prng;
    prng_seed(&prng, SAMPLE_SEED);
    token.state.answers = 1;
    for (int i = 0; i < SAMPLE; i++) {
        struct metrics *metrics = &token.state.metrics;
        metrics->liquidity_usd =
            share * LIQUIDITY_MEDIAN * exp(LIQUIDITY_SPREAD * prng_normal(&prng));
        metrics->volume_24h_usd =
            (float)(share * VOLUME_MEDIAN * exp(VOLUME_SPREAD * prng_normal(&prng)));
        metrics->delta_p_5m = share * prng_exponential(&prng, MOVE_MEAN);
        token.state.score = share * prng_unit(&prng);
        tokens[i] = (struct optimum_token){.weight = weight_of_value(&token),
                                           .cost = cost,
                                           .target_s = target_s,
                                           .maximum_s = maximum_s};
    }
}

struct group {
    double tokens, share, cost, target_s;
    enum lane_kind lane;
};

/* The sample stands for all: it gets its part of the requests. */
static void compute_ages(const struct sizing *sizing, uint32_t nodes, const struct group *group,
                         struct optimum_token *tokens, double *intervals)
{
    double cores_share = 1; /* where the CPUs are short, every lane gets the same share */
    double wanted = hot(sizing) / sizing->hot_s + cold(sizing) / sizing->cold_s;
    double able = nodes * sizing->cores * sizing->tokens_per_core;
    if (wanted > able)
        cores_share = able / wanted;
    double need = group->tokens * group->cost / group->target_s;
    double capacity = fmin(nodes * allowed(sizing, group->lane), need * cores_share);
    draw(tokens, group->share, group->cost, group->target_s, sizing->maximum_s);
    /* A part in a million more, so that what fits exactly fits. */
    double of_sample =
        group->tokens > 0 ? capacity * (1 + 1e-6) * SAMPLE / group->tokens : INFINITY;
    (void)optimum_mean_age(tokens, SAMPLE, of_sample, intervals);
}

static void summarise(const double *intervals, double *mean_s, double *longest_s)
{
    *mean_s = *longest_s = 0;
    for (int i = 0; i < SAMPLE; i++) {
        *mean_s += intervals[i] / SAMPLE;
        *longest_s = fmax(*longest_s, intervals[i]);
    }
}

static double discover_interval(const struct sizing *sizing, uint32_t nodes, double need)
{
    double left = nodes * allowed(sizing, LANE_DISCOVER) - need;
    return left > 0 ? fmax(sizing->discover_monitoring_s, cold(sizing) / left) : INFINITY;
}

enum err sizing_compute(const struct sizing *sizing, struct sizing_result *out)
{
    double needs[LANE_KIND_COUNT];
    struct optimum_token *tokens = calloc(SAMPLE, sizeof *tokens);
    double *intervals = calloc(SAMPLE, sizeof *intervals);
    const struct group of_hot = {hot(sizing), 1, sizing->pools / REQUEST_ADDRESSES_MAX,
                                 sizing->hot_s, LANE_REFRESH};
    const struct group of_cold = {cold(sizing), COLD_SHARE, 1.0 / REQUEST_ADDRESSES_MAX,
                                  sizing->cold_s, LANE_SCREEN};
    *out = (struct sizing_result){0};
    if (tokens == NULL || intervals == NULL) {
        free(tokens);
        free(intervals);
        return ERR_NO_MEMORY;
    }
    compute_needs(sizing, needs);
    compute_nodes(sizing, needs, out);
    out->given = sizing->nodes > 0 ? sizing->nodes : out->nodes;
    compute_ages(sizing, out->given, &of_hot, tokens, intervals);
    summarise(intervals, &out->hot_mean_s, &out->hot_longest_s);
    compute_ages(sizing, out->given, &of_cold, tokens, intervals);
    summarise(intervals, &out->cold_mean_s, &out->cold_longest_s);
    out->discover_s = discover_interval(sizing, out->given, needs[LANE_DISCOVER]);
    out->keeps_targets = out->given >= out->nodes;
    free(tokens);
    free(intervals);
    return OK;
}
