/*
 * The best that any schedule can do: minimise Σ w·τ/2 / Σ w, the weighted mean age of tokens each
 * refreshed every τ, under Σ cost/τ ≤ capacity and target ≤ τ ≤ maximum. By the Karush-Kuhn-Tucker
 * conditions τ = clamp(λ·√(cost/w), target, maximum) with one λ for all: water-filling (Boyd and
 * Vandenberghe, Convex Optimization, 5.5.3), found here by bisection. Where even the maxima cannot
 * be kept they stretch together.
 */
#ifndef MOONWATCH_SIM_OPTIMUM_H
#define MOONWATCH_SIM_OPTIMUM_H

#include <stddef.h>

struct optimum_token {
    double weight; /* > 0 */
    double cost;   /* share of a request, > 0 */
    double target_s, maximum_s;
};

/* Weighted mean age in seconds. `capacity` in requests a second; `intervals`, when not NULL, gets
 * each τ. */
double optimum_mean_age(const struct optimum_token *tokens, size_t count, double capacity,
                        double *intervals);

#endif
