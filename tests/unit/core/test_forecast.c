/*
 * Forecasts of series that are known: a function of time, the threshold, and what is to be said of
 * it at its end. Noise comes from a seed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prng.h"
#include "core/forecast.h"
#include "core/trend.h"
#include <math.h>

#define EPOCH_S 1.7e9
#define DAY_S   86400.0
#define TAU     6.283185307179586

static struct forecast forecast;
static struct prng prng;

static int begin(void **state)
{
    (void)state;
    prng_seed(&prng, 7);
    return 0;
}

/* ---- shapes: the value t_s after the beginning ---- */

static double constant(double t_s)
{
    (void)t_s;
    return 40;
}

static double noise(double t_s)
{
    (void)t_s;
    return 40 + 3 * prng_normal(&prng);
}

static double leak(double t_s)
{
    return 40 + t_s / 360 + prng_normal(&prng); /* ten an hour */
}

static double leak_with_gaps(double t_s)
{
    return fmod(t_s, 1200) < 300 || prng_unit(&prng) < 0.2 ? (double)NAN : leak(t_s);
}

static double drain(double t_s)
{
    return 100 - leak(t_s);
}

static double explosion(double t_s)
{
    return 40 + exp(t_s / 2400) + 0.1 * prng_normal(&prng);
}

static double saw(double t_s)
{
    return 60 + 25 * fmod(t_s, 1800) / 1800 + prng_normal(&prng);
}

static double leaking_saw(double t_s)
{
    return t_s / 720 + 40 + 15 * fmod(t_s, 900) / 900 + prng_normal(&prng);
}

static double step_then_creep(double t_s)
{
    return (t_s < 36000 ? 40 : 60 + (t_s - 36000) / 360) + prng_normal(&prng);
}

static double step(double t_s)
{
    return (t_s < 7200 ? 30 : 60) + prng_normal(&prng);
}

static double days(double t_s)
{
    return 50 - 20 * cos(TAU * (EPOCH_S + t_s) / DAY_S) + prng_normal(&prng);
}

/* ---- what is said ---- */

static void feed(double (*shape)(double t_s), double from_s, double to_s, double step_s)
{
    for (double t_s = from_s; t_s < to_s; t_s += step_s)
        forecast_add(&forecast, EPOCH_S + t_s, shape(t_s));
}

static void test_crossings_are_foretold(void **state)
{
    (void)state;
    static const struct {
        double (*shape)(double t_s);
        double threshold;
        enum forecast_side side;
        double until_s, step_s;
        double crossing_s, tolerance; /* of the time that is left */
    } rows[] = {
        {leak, 100, FORECAST_RISES, 10800, 15, 21600, 0.15},
        {leak, 100, FORECAST_RISES, 10800, 60, 21600, 0.2},
        {leak, 100, FORECAST_RISES, 10800, 1, 21600, 0.15},
        {leak_with_gaps, 100, FORECAST_RISES, 10800, 15, 21600, 0.2},
        {drain, 0, FORECAST_FALLS, 10800, 15, 21600, 0.15},
        {explosion, 100, FORECAST_RISES, 8400, 15, 9826, 0.25},
        {leaking_saw, 100, FORECAST_RISES, 21600, 15, 32400, 0.25},
        {step_then_creep, 100, FORECAST_RISES, 43200, 15, 50400, 0.2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        forecast_init(&forecast, rows[i].threshold, rows[i].side);
        feed(rows[i].shape, 0, rows[i].until_s, rows[i].step_s);
        double left_s = rows[i].crossing_s - rows[i].until_s;
        double error = forecast_outlook(&forecast)->eta_s / left_s - 1;
        if (!(fabs(error) <= rows[i].tolerance))
            fail_msg("row %zu: %.0f s instead of %.0f s", i, forecast_outlook(&forecast)->eta_s,
                     left_s);
        assert_true(forecast_outlook(&forecast)->confidence > 0.8);
    }
}

static void test_health_is_no_crossing(void **state)
{
    (void)state;
    static const struct {
        double (*shape)(double t_s);
        double until_s;
        unsigned
            alarms_most; /* the first tooth may be taken for a leak; chance has a say in six days */
    } rows[] = {{constant, DAY_S, 0},
                {noise, DAY_S, 0},
                {saw, DAY_S, 1},
                {step, DAY_S, 1},
                {days, 6 * DAY_S, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        unsigned alarms = 0, quiet = 60;
        forecast_init(&forecast, 100, FORECAST_RISES);
        for (double t_s = 0; t_s < rows[i].until_s; t_s += 15) {
            forecast_add(&forecast, EPOCH_S + t_s, rows[i].shape(t_s));
            const struct outlook *outlook = forecast_outlook(&forecast);
            bool alarmed = outlook->eta_s <= 900 && outlook->confidence >= 0.95;
            alarms += alarmed && quiet >= 60;
            quiet = alarmed ? 0 : quiet + 1;
        }
        if (alarms > rows[i].alarms_most)
            fail_msg("row %zu: %u alarms", i, alarms);
    }
}

static void test_the_day_is_learnt(void **state)
{
    (void)state;
    struct season *season = &forecast.season;
    forecast_init(&forecast, 85, FORECAST_RISES);
    feed(days, 0, DAY_S, 60);
    assert_false(season_is_known(season));
    feed(days, DAY_S, 4.3 * DAY_S, 60);
    assert_true(season_is_known(season));
    for (double ahead_s = 0; ahead_s < DAY_S; ahead_s += 3600) {
        double t_s = EPOCH_S + 4.3 * DAY_S + ahead_s;
        assert_true(fabs(season_at(season, t_s) - 50 + 20 * cos(TAU * t_s / DAY_S)) < 2);
    }
    /* In the morning, on the way up to 70: the line of the last hours would reach 85. */
    const struct outlook *outlook = forecast_outlook(&forecast);
    assert_true(isnan(outlook->eta_s) || outlook->eta_s > DAY_S);
}

static void test_level_and_slope_are_told(void **state)
{
    (void)state;
    forecast_init(&forecast, 100, FORECAST_RISES);
    assert_true(isnan(forecast_outlook(&forecast)->level));
    feed(leak, 0, 7200, 15);
    assert_true(fabs(forecast_outlook(&forecast)->level - 60) < 1);
    assert_true(fabs(forecast_outlook(&forecast)->slope_per_s * 3600 - 10) < 1);
    forecast_init(&forecast, 0, FORECAST_FALLS);
    feed(drain, 0, 7200, 15);
    assert_true(fabs(forecast_outlook(&forecast)->level - 40) < 1);
    assert_true(fabs(forecast_outlook(&forecast)->slope_per_s * 3600 + 10) < 1);
}

static void test_a_threshold_reached_is_certain(void **state)
{
    (void)state;
    forecast_init(&forecast, 40, FORECAST_RISES);
    assert_true(forecast_add(&forecast, EPOCH_S, 40));
    assert_true(forecast_outlook(&forecast)->eta_s == 0);
    assert_true(forecast_outlook(&forecast)->confidence == 1);
    forecast_set_threshold(&forecast, 50);
    assert_true(forecast_add(&forecast, EPOCH_S + 1, 40));
    assert_true(isnan(forecast_outlook(&forecast)->eta_s));
}

static void test_what_is_no_value_changes_nothing(void **state)
{
    (void)state;
    forecast_init(&forecast, 100, FORECAST_RISES);
    feed(leak, 0, 3600, 15);
    static struct forecast before;
    before = forecast;
    assert_false(forecast_add(&forecast, EPOCH_S + 3700, NAN));
    assert_false(forecast_add(&forecast, EPOCH_S + 3700, INFINITY));
    assert_false(forecast_add(&forecast, NAN, 1));
    assert_false(forecast_add(&forecast, EPOCH_S, 1)); /* the past */
    assert_memory_equal(&before, &forecast, sizeof before);
}

static void test_extremes_stay_finite(void **state)
{
    (void)state;
    static const double values[] = {1e30, -1e30, 0, 1e-30, 1e30, 1e30, 5, -5};
    forecast_init(&forecast, 100, FORECAST_FALLS);
    for (int i = 0; i < 4000; i++) {
        assert_true(forecast_add(&forecast, EPOCH_S + i, values[prng_below(&prng, 8)]));
        const struct outlook *outlook = forecast_outlook(&forecast);
        assert_true(outlook->confidence >= 0 && outlook->confidence <= 1);
        assert_true(isnan(outlook->eta_s) || (outlook->eta_s >= 0 && isfinite(outlook->eta_s)));
    }
}

/* What came at two instants alone lies on no parabola; a line goes through it. */
static void test_two_instants_are_a_line(void **state)
{
    (void)state;
    struct trend trend;
    trend_init(&trend);
    for (int i = 0; i < TREND_BLOCKS; i++) {
        const struct trend_block block = {.mean = i < TREND_BLOCKS / 2 ? 1 : 2};
        trend_add(&trend, i < TREND_BLOCKS / 2 ? 0 : 100, &block);
        trend_fit(&trend);
    }
    assert_true(trend.is_fitted);
    assert_true(trend.bend == 0);
    assert_true(fabs(trend.slope - 0.01) < 1e-6 && fabs(trend.level - 2) < 1e-6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_crossings_are_foretold, begin),
        cmocka_unit_test_setup(test_health_is_no_crossing, begin),
        cmocka_unit_test_setup(test_the_day_is_learnt, begin),
        cmocka_unit_test_setup(test_level_and_slope_are_told, begin),
        cmocka_unit_test_setup(test_a_threshold_reached_is_certain, begin),
        cmocka_unit_test_setup(test_what_is_no_value_changes_nothing, begin),
        cmocka_unit_test_setup(test_extremes_stay_finite, begin),
        cmocka_unit_test(test_two_instants_are_a_line),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
