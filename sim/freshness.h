/*
 * How fresh the real lanes keep a population, in virtual time, against the optimum: the shortest
 * proof of the schedule, and of what the usual rules of thumb cost. `moonwatch freshness` shows it.
 */
#ifndef MOONWATCH_SIM_FRESHNESS_H
#define MOONWATCH_SIM_FRESHNESS_H

#include "base/err.h"
#include <stdint.h>

/* X(code, name) */
#define FRESHNESS_POLICY_LIST(X)                                                                   \
    X(POLICY_INDEX, "index")       /* the daemon's */                                              \
    X(POLICY_EDF, "edf")           /* earliest deadline first */                                   \
    X(POLICY_FIFO, "fifo")         /* oldest first */                                              \
    X(POLICY_PRIORITY, "priority") /* largest weight first */                                      \
    X(POLICY_MIX, "mix")           /* 80 % by priority, 20 % oldest first */

enum freshness_policy {
#define X(code, name) code,
    FRESHNESS_POLICY_LIST(X)
#undef X
        POLICY_COUNT
};

/* POLICY_COUNT when there is none of that name. */
enum freshness_policy freshness_policy_find(const char *name);
const char *freshness_policy_name(enum freshness_policy policy);

#define FRESHNESS_TOKENS_MAX 4000000
#define FRESHNESS_WINDOW_S   300.0 /* the longest target */

struct freshness_setup {
    uint32_t tokens;
    double capacity; /* share of what keeping every target would take; > 0 */
    uint64_t seed;
    enum freshness_policy policy;
    double swing[3]; /* factors of `capacity`, in turn, an hour and a half each; {0}: steady */
    double hours;    /* measured, after three hours of warming up; 0: six */
};

struct freshness_result {
    double weighted_mean_age_s;
    double optimum_s;
    double ratio;
    /* The same two over any FRESHNESS_WINDOW_S, the optimum being that of the capacity in force:
     * the quasi-static one. Windows that see a step of the capacity are left out: what it leaves
     * behind takes as long to be worked off. */
    double ratio_most;
    double maximum_age_s;
    uint64_t refreshes;
    double decision_ns; /* wall time of a choice, a token: for information */
};

/* Weights are Pareto with shape 1.2; by rank of weight 1 %, 9 % and 90 % of the tokens have targets
 * of 5, 30 and 300 s; the maximum age is an hour; 30 tokens a request. */
enum err freshness_run(const struct freshness_setup *setup,
                       struct freshness_result *out) MUST_CHECK;

#endif
