/*
 * How many nodes some tokens need. Each node has an address of its own, so each brings the
 * upstream's limits once more (FACTS: 300 requests a minute of each kind), and CPUs.
 *
 * What the lanes need to keep every target, as core/capacity.h plans it:
 *
 *   refresh    hot tokens, all their pools: tokens · pools / 30 a hot interval
 *   screen     the others, their main pool: tokens / 30 a cold interval
 *   discover   a request a token: hot ones once in discover_active_s, new ones at once, and the
 *              others in turn once in discover_monitoring_s, which no promise is made about
 *
 * With fewer nodes ages follow from the lanes' rule, whose optimum is clamp(λ·√(cost/weight),
 * target, maximum) (sim/optimum.h): computed over a drawn population whose weights are
 * weight_of_value()'s.
 */
#ifndef MOONWATCH_SIM_SIZING_H
#define MOONWATCH_SIM_SIZING_H

#include "base/err.h"
#include "core/lane_kind.h"
#include <stdint.h>

/* X(code, name): what the number of nodes follows from. */
#define SIZING_BOUND_LIST(X)                                                                       \
    X(SIZING_REFRESH, "refresh")                                                                   \
    X(SIZING_SCREEN, "screen")                                                                     \
    X(SIZING_DISCOVER, "discover")                                                                 \
    X(SIZING_CPU, "cpu")

enum sizing_bound {
#define X(code, name) code,
    SIZING_BOUND_LIST(X)
#undef X
        SIZING_BOUND_COUNT
};

const char *sizing_bound_name(enum sizing_bound bound);

struct sizing {
    double tokens;
    double hot_share;                /* 0 … 1 */
    double pools;                    /* of a hot token that count, 1 … 30 */
    double hot_s, cold_s, maximum_s; /* target and maximum ages */
    double discover_active_s, discover_monitoring_s;
    double new_per_hour;
    double per_minute[LANE_KIND_COUNT]; /* that the upstream allows an address */
    double headroom;                    /* share of it that is left alone, 0 … <1 */
    double cores, tokens_per_core;      /* of a node; a second */
    uint32_t nodes;                     /* whose ages are asked for; 0: as many as needed */
};

/* Of FACTS.md and docs/performance.md. */
struct sizing sizing_defaults(void);

struct sizing_result {
    double requests_per_minute[LANE_KIND_COUNT]; /* that keeping every target takes, of all nodes */
    double tokens_per_s;
    double nodes_exact[SIZING_BOUND_COUNT];
    uint32_t nodes;               /* that keep every target */
    uint32_t nodes_with_one_dead; /* … also while one of them is dead */
    enum sizing_bound bound;
    /* Of `nodes` of the setup: intervals between two answers, in the mean over tokens, and the
     * longest; whether every target is kept; how often a cold token's pools are looked for, with
     * what is left of the discover lane (INFINITY: never). */
    uint32_t given;
    double hot_mean_s, hot_longest_s, cold_mean_s, cold_longest_s;
    double discover_s;
    int keeps_targets;
};

enum err sizing_compute(const struct sizing *sizing, struct sizing_result *out) MUST_CHECK;

#endif
