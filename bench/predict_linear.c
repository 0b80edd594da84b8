/* See predict_linear.h. */
#include "bench/predict_linear.h"

#include <math.h>

/* Of x, in steps since the series began, and y. */
struct sums {
    double n, x, y, xx, xy;
};

static void add(struct sums *sums, size_t i, double y, double sign)
{
    double x = (double)i;
    if (isnan(y))
        return;
    sums->n += sign;
    sums->x += sign * x;
    sums->y += sign * y;
    sums->xx += sign * x * x;
    sums->xy += sign * x * y;
}

static double follow(const struct sums *sums, double x)
{
    if (sums->n < 2)
        return NAN;
    double mean_x = sums->x / sums->n, mean_y = sums->y / sums->n;
    double slope = (sums->xy - mean_x * sums->y) / (sums->xx - mean_x * sums->x);
    return mean_y + slope * (x - mean_x);
}

void predict_linear(const struct series *series, double window_s, double horizon_s,
                    float out[SERIES_MAX])
{
    struct sums sums = {0};
    size_t window = (size_t)(window_s / SERIES_STEP_S); /* both ends belong to it */
    for (size_t i = 0; i < series->count; i++) {
        add(&sums, i, series->values[i], 1);
        if (i > window)
            add(&sums, i - window - 1, series->values[i - window - 1], -1);
        out[i] = (float)follow(&sums, (double)i + horizon_s / SERIES_STEP_S);
    }
}
