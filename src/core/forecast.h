/*
 * A forecast of one signal: its level, its slope, how unusual its newest values are, and in how
 * much time it will reach its THRESHOLD, with a confidence. It learns from each value as it comes,
 * keeps no past but a few hundred blocks, allocates nothing and never looks ahead. Values may come
 * at any distance; one that is not known is NaN, which is a gap, and never a zero.
 *
 * How: the same curve is fitted on nine time scales, of 24 blocks of 1, 2, 4 … 256 values
 * (trend.h). The LARGEST scale that agrees with all smaller ones is believed (Lepski's rule, as in
 * Goldenshluger and Nemirovski 1997): steady noise is averaged over a day, while a step, a leak
 * that begins or an exponential leaves the large scales behind at once, and forgets nothing once it
 * is over. Where a scale has been surprised before, by the teeth of a saw, say, its errors are as
 * large as that.
 *
 * What crosses a threshold is not the mean but the highest values: the curve is followed until the
 * peaks above it get there, those of as many values as come while it rises by half of their spread.
 * A rhythm of the day, once known, is taken out of the slope and put back ahead (season.h).
 *
 * CONFIDENCE, 0 to 1: the probability that the rise until then comes out at between half and one
 * and a half of what is foretold, if the errors are what they have been. A threshold that has been
 * reached has an eta of 0 and a confidence of 1.
 */
#ifndef MOONWATCH_CORE_FORECAST_H
#define MOONWATCH_CORE_FORECAST_H

#include "core/season.h"
#include "core/trend.h"

#define FORECAST_SCALES    9
#define FORECAST_BYTES_MAX (16 * 1024)

/* Where it hurts: at the threshold and above it, or at the threshold and below. */
enum forecast_side { FORECAST_RISES, FORECAST_FALLS };

struct outlook {
    double level, slope_per_s;
    double eta_s; /* NaN: no crossing in sight */
    double confidence;
};

struct forecast {
    double threshold; /* as is `value`, upside down where falling hurts */
    double sign;
    double t_s, value; /* the newest known */
    bool has_value;
    struct trend scales[FORECAST_SCALES];
    struct season season;
    struct outlook outlook;
};

void forecast_init(struct forecast *forecast, double threshold, enum forecast_side side);

/* From the next value on. */
void forecast_set_threshold(struct forecast *forecast, double threshold);

/* `t_s` in seconds of the epoch. False when it was not taken: NaN, infinite, or not newer than the
 * one before. */
bool forecast_add(struct forecast *forecast, double t_s, double value);

/* After the newest value. Level and slope are NaN while there are too few. */
const struct outlook *forecast_outlook(const struct forecast *forecast);

#endif
