/* Water-filling. See the header. */
#include "sim/optimum.h"

#include <math.h>

#define BISECTIONS 200 /* far beyond a double's 53 bits on any scale */

static double interval_at(const struct optimum_token *token, double lambda)
{
    double free = lambda * sqrt(token->cost / token->weight);
    return fmin(fmax(free, token->target_s), token->maximum_s);
}

static double load_at(const struct optimum_token *tokens, size_t count, double lambda)
{
    double load = 0;
    for (size_t i = 0; i < count; i++)
        load += tokens[i].cost / interval_at(&tokens[i], lambda);
    return load;
}

double optimum_mean_age(const struct optimum_token *tokens, size_t count, double capacity,
                        double *intervals)
{
    double low = 1e-9, high = 1e15, stretch = 1;
    if (load_at(tokens, count, low) <= capacity) {
        high = low;
    } else if (load_at(tokens, count, high) > capacity) {
        stretch = load_at(tokens, count, high) / capacity;
    } else {
        for (int i = 0; i < BISECTIONS; i++) {
            double middle = sqrt(low * high);
            *(load_at(tokens, count, middle) > capacity ? &low : &high) = middle;
        }
    }
    double aged = 0, weights = 0;
    for (size_t i = 0; i < count; i++) {
        double interval = interval_at(&tokens[i], high) * stretch;
        aged += tokens[i].weight * interval / 2;
        weights += tokens[i].weight;
        if (intervals != NULL)
            intervals[i] = interval;
    }
    return aged / weights;
}
