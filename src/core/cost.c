/* A straight line through what was measured. See the header. */
#include "core/cost.h"

#include <assert.h>
#include <math.h>

#define KEPT  0.97 /* of a point's weight, from one to the next: half of it after 23 seconds */
#define RIDGE 0.1
/* Where more answers seem to cost less, something else is at work: no token is free. */
#define LEAST_SHARE 0.1 /* of what the line through the origin says */

void cost_init(struct cost *cost)
{
    *cost = (struct cost){0};
}

void cost_add(struct cost *cost, double rate, double cores)
{
    assert(rate > 0 && cores >= 0);
    cost->points = KEPT * cost->points + 1;
    cost->rate = KEPT * cost->rate + rate;
    cost->cores = KEPT * cost->cores + cores;
    cost->rate_squared = KEPT * cost->rate_squared + rate * rate;
    cost->rate_cores = KEPT * cost->rate_cores + rate * cores;
}

struct cost_line cost_line(const struct cost *cost)
{
    if (cost->points == 0)
        return (struct cost_line){.token_s = NAN};
    double through_origin = cost->rate_cores / cost->rate_squared;
    double spread = cost->points - cost->rate * cost->rate / cost->rate_squared;
    double idle = (cost->cores - cost->rate * through_origin) / (spread + RIDGE * cost->points);
    double token = through_origin - idle * cost->rate / cost->rate_squared;
    if (idle < 0)
        return (struct cost_line){.token_s = through_origin};
    return (struct cost_line){.token_s = fmax(token, LEAST_SHARE * through_origin),
                              .idle_cores = idle};
}
