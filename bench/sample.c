/* See sample.h. */
#include "bench/sample.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void sample_add(struct sample *sample, double value)
{
    if (!isnan(value) && sample->count < SAMPLE_MAX)
        sample->values[sample->count++] = value;
}

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return left < right ? -1 : left > right;
}

double sample_quantile(const struct sample *sample, double share)
{
    double sorted[SAMPLE_MAX];
    if (sample->count == 0)
        return NAN;
    memcpy(sorted, sample->values, sample->count * sizeof sorted[0]);
    qsort(sorted, sample->count, sizeof sorted[0], by_value);
    double place = share * (double)(sample->count - 1);
    size_t below = (size_t)place;
    size_t above = below + 1 < sample->count ? below + 1 : below;
    return sorted[below] + (place - (double)below) * (sorted[above] - sorted[below]);
}
