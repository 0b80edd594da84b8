/* Which scale is believed, and when it gets there. See the header. */
#include "core/forecast.h"

#include <math.h>
#include <string.h>

#define SMALLEST 1   /* scale that is believed: 24 single values are mostly noise */
#define AGREE    2.5 /* errors by which scales may differ: a hundredth of pairs by chance */

/* A trend is followed so many times as far ahead as it has been seen. */
#define REACH 8

/* The peaks that count are the upper third's, of stretches in which the curve rises by this much of
 * the values' spread: the first value over a threshold comes about then, be they noise or teeth. */
#define PEAK_SHARE 0.67
#define PEAK_RISE  0.5

#define SEASON_STEP_S 900.0      /* half a slot */
#define SEASON_GROWTH (1.0 / 16) /* of the steps, with the distance */

_Static_assert(sizeof(struct forecast) <= FORECAST_BYTES_MAX, "a forecast is small");

void forecast_init(struct forecast *forecast, double threshold, enum forecast_side side)
{
    memset(forecast, 0, sizeof *forecast);
    forecast->sign = side == FORECAST_RISES ? 1 : -1;
    forecast_set_threshold(forecast, threshold);
    for (int i = 0; i < FORECAST_SCALES; i++)
        trend_init(&forecast->scales[i]);
    season_init(&forecast->season);
    forecast->outlook = (struct outlook){.level = NAN, .slope_per_s = NAN, .eta_s = NAN};
}

void forecast_set_threshold(struct forecast *forecast, double threshold)
{
    forecast->threshold = forecast->sign * threshold;
}

/* ---- which scale ---- */

struct range {
    double low, high;
};

static bool holds(struct range range, double value)
{
    return value >= range.low && value <= range.high;
}

static struct range narrow(struct range range, double value, double error)
{
    return (struct range){fmax(range.low, value - error), fmin(range.high, value + error)};
}

/* In errors that say "clear". */
static double doubt(const struct trend *trend)
{
    return sqrt(fmax(1, trend->surprise));
}

/* NULL: too few values. */
static const struct trend *believed(const struct forecast *forecast)
{
    const struct trend *best = NULL;
    struct range levels = {-INFINITY, INFINITY}, slopes = levels;
    for (int i = SMALLEST; i < FORECAST_SCALES; i++) {
        const struct trend *trend = &forecast->scales[i];
        double late_s = forecast->t_s - trend->t_s, error = AGREE * doubt(trend);
        if (!trend->is_fitted)
            break;
        double level = trend_at(trend, forecast->t_s);
        double slope = trend_at(trend, forecast->t_s + 1) - level;
        if (!holds(levels, level) || !holds(slopes, slope))
            break;
        levels = narrow(levels, level, error * (trend->level_error + trend->slope_error * late_s));
        slopes = narrow(slopes, slope, error * trend->slope_error);
        best = trend;
    }
    return best;
}

/* ---- when it gets there ---- */

/* How far the peaks that will cross lie over the curve. */
static double peaks_over(const struct forecast *forecast, const struct trend *curve)
{
    double stretch_s = PEAK_RISE * curve->spread / fmax(curve->slope, 1e-30);
    const struct trend *scale = curve;
    while (scale > forecast->scales && scale->window_s > stretch_s * (scale->count - 1))
        scale--;
    return fmax(0, trend_height(scale, curve, PEAK_SHARE));
}

/* With the rhythm of the day: along a line without its share of the slope, step by step. */
static double season_eta(const struct forecast *forecast, const struct trend *curve, double target)
{
    const struct season *season = &forecast->season;
    double now = season_at(season, forecast->t_s);
    double past = season_at(season, forecast->t_s - curve->window_s);
    double slope = curve->slope - (now - past) / curve->window_s;
    double level = trend_at(curve, forecast->t_s) - now;
    double before = level + now, before_s = 0;
    for (double ahead_s = SEASON_STEP_S; before_s < REACH * curve->window_s;
         ahead_s += fmax(SEASON_STEP_S, ahead_s * SEASON_GROWTH)) {
        double here = level + slope * ahead_s + season_at(season, forecast->t_s + ahead_s);
        if (here >= target && here > before)
            return before_s + (ahead_s - before_s) * fmax(0, (target - before) / (here - before));
        before = here;
        before_s = ahead_s;
    }
    return NAN;
}

static double eta(const struct forecast *forecast, const struct trend *curve)
{
    double target = forecast->threshold - peaks_over(forecast, curve);
    double eta_s = season_is_known(&forecast->season)
                       ? season_eta(forecast, curve, target)
                       : trend_reaches(curve, target) - (forecast->t_s - curve->t_s);
    return eta_s <= REACH * curve->window_s ? fmax(eta_s, 0) : (double)NAN;
}

/* Of a normal error with a deviation of 1 / clearness of the rise: P(|error| < half of it). The
 * normal distribution by its logistic likeness. */
static double confidence(const struct trend *curve)
{
    double clearness = curve->slope / (doubt(curve) * curve->slope_error);
    return fmax(0, 2 / (1 + exp(-1.702 * clearness / 2)) - 1);
}

static void look_ahead(struct forecast *forecast)
{
    struct outlook *outlook = &forecast->outlook;
    const struct trend *curve = believed(forecast);
    outlook->eta_s = NAN;
    outlook->confidence = 0;
    if (curve != NULL) {
        outlook->level = forecast->sign * trend_at(curve, forecast->t_s);
        outlook->slope_per_s = forecast->sign * curve->slope;
        outlook->eta_s = eta(forecast, curve);
    }
    if (forecast->value >= forecast->threshold) {
        outlook->eta_s = 0;
        outlook->confidence = 1;
    } else if (!isnan(outlook->eta_s)) {
        outlook->confidence = confidence(curve);
    }
}

/* ---- values ---- */

static void put(struct forecast *forecast, double t_s, double value)
{
    struct trend_block block = {.mean = (float)value, .high = (float)value};
    for (int i = 0; i < FORECAST_SCALES; i++) {
        struct trend *trend = &forecast->scales[i];
        struct trend_block joined;
        trend_add(trend, t_s, &block);
        if (i >= SMALLEST)
            trend_fit(trend);
        if (!trend_join(trend, t_s, &block, &t_s, &joined))
            return;
        block = joined;
    }
}

bool forecast_add(struct forecast *forecast, double t_s, double value)
{
    if (!isfinite(value) || !isfinite(t_s) || (forecast->has_value && t_s <= forecast->t_s))
        return false;
    forecast->has_value = true;
    forecast->t_s = t_s;
    forecast->value = forecast->sign * value;
    put(forecast, t_s, forecast->value);
    season_add(&forecast->season, t_s, forecast->value);
    look_ahead(forecast);
    return true;
}

const struct outlook *forecast_outlook(const struct forecast *forecast)
{
    return &forecast->outlook;
}
