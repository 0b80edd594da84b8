/* What bench_limit.c and bench_limit_real.c share: the limits, and what is to be held under each.
 */
#ifndef MOONWATCH_BENCH_LIMIT_FIGURES_H
#define MOONWATCH_BENCH_LIMIT_FIGURES_H

#include "bench/bench.h"

#define LIMITS        3
#define LEARN_MINUTES 5

/* Requests a minute, one after the other. */
static const double limit_values[LIMITS] = {137, 300, 60};

/* `used` of the limit, `refused` of the requests, as PREFIX.LIMIT.used and .refused. */
void limit_report(struct bench *bench, const char *prefix, double limit, double used,
                  double refused);

#endif
