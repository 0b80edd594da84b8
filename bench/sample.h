/* Measured values of one figure: the median and the quartiles, since a busy machine's mean says
 * nothing. */
#ifndef MOONWATCH_BENCH_SAMPLE_H
#define MOONWATCH_BENCH_SAMPLE_H

#include <stddef.h>

#define SAMPLE_MAX 1024

struct sample {
    size_t count;
    double values[SAMPLE_MAX];
};

/* NaN is no value; neither is one too many. */
void sample_add(struct sample *sample, double value);
/* By interpolation (Hyndman and Fan 1996, type 7); NaN of none. */
double sample_quantile(const struct sample *sample, double share);

static inline double sample_median(const struct sample *sample)
{
    return sample_quantile(sample, 0.5);
}

#endif
