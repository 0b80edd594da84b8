/*
 * What Prometheus's predict_linear() says: a line of least squares through the samples of a window,
 * followed from now to the horizon (promql/functions.go, linearRegression and funcPredictLinear).
 * The sums are kept instead of summed anew.
 */
#ifndef MOONWATCH_BENCH_PREDICT_LINEAR_H
#define MOONWATCH_BENCH_PREDICT_LINEAR_H

#include "bench/series.h"

/* Into `out`, one a value of the series: what the line through those of the last `window_s` reaches
 * `horizon_s` later. NaN: from less than two. */
void predict_linear(const struct series *series, double window_s, double horizon_s,
                    float out[SERIES_MAX]);

#endif
