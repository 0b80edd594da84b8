/* Weighted ages against the optimum, at the calm end. See parts.h. */
#include "sim/parts.h"

#include "core/weight.h"
#include "sim/optimum.h"
#include <math.h>
#include <stdlib.h>

/* What the refresh lane could do at best with the requests that it sent: its tokens are the hot
 * ones, each as dear as it has pools. */
struct problem {
    struct optimum_token *tokens;
    size_t count;
    double aged, weights;
};

static void add_token(const struct sim *sim, token_id id, struct problem *problem)
{
    uint8_t pools = token_table_costs(sim->memory.table)[id];
    if (token_column_group(sim->memory.table, id) != GROUP_HOT || pools == 0 ||
        sim->quarantined[id])
        return;
    double weight = weight_of_value(token_slot(sim->memory.table, id));
    instant checked = token_column_checked(sim->memory.table, id);
    problem->tokens[problem->count++] =
        (struct optimum_token){.weight = weight,
                               .cost = (double)pools / REQUEST_ADDRESSES_MAX,
                               .target_s = sim->options.hot_interval_sec,
                               .maximum_s = sim->options.maximum_age_sec};
    problem->aged += weight * duration_to_s(instant_diff(sim->now, checked));
    problem->weights += weight;
}

/* Once a check: the sums of what was seen, and of what would have been best. */
void calm_ages_look(struct sim *sim)
{
    struct sim_ages *ages = &sim->ages;
    uint64_t requests = core_stats(sim->core)->lanes[LANE_REFRESH].requests;
    double span_s = duration_to_s(instant_diff(sim->now, ages->looked_at));
    double per_s = (double)(requests - ages->requests) / span_s;
    bool is_same = ages->life == sim->life && requests > ages->requests;
    instant settled = instant_add(sim->calm_from, duration_s(AGES_SETTLED_S));
    *ages = (struct sim_ages){sim->now, requests, sim->life, ages->seen_s, ages->best_s};
    if (!is_same || instant_before(sim->now, settled))
        return;
    struct problem problem = {
        .tokens = calloc(token_table_count(sim->memory.table) + 1, sizeof *problem.tokens)};
    for (token_id id = 1; problem.tokens != NULL && id <= token_table_count(sim->memory.table);
         id++)
        add_token(sim, id, &problem);
    if (problem.count > 0) {
        ages->seen_s += problem.aged / problem.weights;
        ages->best_s += optimum_mean_age(problem.tokens, problem.count, per_s, NULL);
    }
    free(problem.tokens);
}

double calm_ages_ratio(const struct sim *sim)
{
    return sim->ages.best_s > 0 ? sim->ages.seen_s / sim->ages.best_s : NAN;
}
