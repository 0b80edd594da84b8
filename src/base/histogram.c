#include "base/histogram.h"

#include <assert.h>

#define MS(n) ((int64_t)((n)*1e3))
#define S(n)  ((int64_t)((n)*1e6))

static const struct histogram_scale scales[] = {
    [SCALE_AGES] = {.count = 22,
                    .bounds_us = {S(1),   S(2),   S(5),   S(7.5), S(10),   S(12.5), S(15), S(16.5),
                                  S(20),  S(30),  S(40),  S(45),  S(49.5), S(60),   S(90), S(120),
                                  S(180), S(300), S(600), S(900), S(990),  S(3600)}},
    [SCALE_DURATIONS] = {.count = 22,
                         .bounds_us = {MS(0.1), MS(0.25), MS(0.5), MS(1),   MS(2.5), MS(5),
                                       MS(10),  MS(25),   MS(50),  MS(75),  MS(100), MS(150),
                                       MS(200), MS(300),  MS(500), MS(750), S(1),    S(2.5),
                                       S(5),    S(10),    S(30),   S(60)}},
};

const struct histogram_scale *histogram_scale(enum histogram_scale_id scale)
{
    assert((unsigned)scale < SCALE_COUNT);
    return &scales[scale];
}

unsigned histogram_index(enum histogram_scale_id scale, duration value)
{
    const struct histogram_scale *of = histogram_scale(scale);
    const int64_t *from = of->bounds_us;
    unsigned left = of->count;
    while (left > 0) {
        unsigned half = left / 2;
        bool is_above = value.us > from[half];
        from += is_above ? half + 1 : 0;
        left = is_above ? left - half - 1 : half;
    }
    return (unsigned)(from - of->bounds_us);
}

void histogram_add(struct histogram *histogram, enum histogram_scale_id scale, duration value)
{
    histogram->counts[histogram_index(scale, value)]++;
    histogram->sum_us += value.us > 0 ? (uint64_t)value.us : 0;
}
