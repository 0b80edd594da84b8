/* What the anomaly score says of noise, of what is unusual, and of what cannot be helped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"
#include "core/anomaly.h"
#include <math.h>
#include <string.h>

#define STEP_S 300.0
#define DAY_S  86400.0
#define A_DAY  288 /* values of one in 5 minutes */

/* Values of a series of noise, and how many of those. */
#define NEW   1000
#define YOUNG 8000
#define OLD   (2 * PEAKS_HORIZON)
#define AGE   (4 * PEAKS_HORIZON)
#define SEEDS 3

/* ---- noise ---- */

enum noise { UNIFORM, NORMAL, EXPONENTIAL, CAUCHY, COUNTS, SLUGGISH, DAILY, NOISE_COUNT };

static const char *const noise_names[NOISE_COUNT] = {"uniform", "normal",   "exponential", "Cauchy",
                                                     "counts",  "sluggish", "daily"};

static double make_noise(enum noise noise, struct prng *prng, double t_s, double *before)
{
    switch (noise) {
    case UNIFORM:
        return prng_unit(prng);
    case NORMAL:
        return 100 + prng_normal(prng);
    case EXPONENTIAL:
        return prng_exponential(prng, 1e-6);
    case CAUCHY:
        return tan(M_PI * (prng_unit(prng) - 0.5));
    case COUNTS:
        return floor(prng_exponential(prng, 3));
    case SLUGGISH:
        return *before = 0.9 * *before + prng_normal(prng);
    case DAILY:
        return 1e6 * (sin(2 * M_PI * t_s / DAY_S) + 0.2 * prng_normal(prng));
    case NOISE_COUNT:
        break;
    }
    return 0;
}

static const double scores[] = {0.6, 0.8, 0.9, 0.96, ANOMALY_ALERT};
#define SCORES (sizeof scores / sizeof *scores)

/* How many values of a series have a score of at least each of these: in its youth, and in each
 * horizon when it is old. Means over seeds. */
struct seen {
    double young[SCORES], old[SCORES];
};

static void run_noise(enum noise noise, uint64_t seed, struct seen *seen)
{
    static struct anomaly anomaly;
    struct prng prng;
    double before = 0;
    prng_seed(&prng, seed);
    anomaly_init(&anomaly);
    for (size_t i = 0; i < AGE; i++) {
        double t_s = STEP_S * (double)i;
        double score = anomaly_add(&anomaly, t_s, make_noise(noise, &prng, t_s, &before));
        assert_true(score >= 0 && score <= 1);
        for (size_t s = 0; s < SCORES && score >= scores[s]; s++) {
            seen->young[s] += i >= NEW && i < YOUNG ? 1.0 / SEEDS : 0;
            seen->old[s] += i >= OLD ? (double)PEAKS_HORIZON / (AGE - OLD) / SEEDS : 0;
        }
    }
}

/* The promise of the header. */
static void noise_scores_as_seldom_as_promised(void **state)
{
    (void)state;
    for (int noise = 0; noise < NOISE_COUNT; noise++) {
        struct seen seen = {0};
        for (uint64_t seed = 1; seed <= SEEDS; seed++)
            run_noise((enum noise)noise, seed, &seen);
        for (size_t s = 0; s < SCORES; s++) {
            double promised = (1 - scores[s]) * 25;
            if (seen.old[s] > 1.3 * promised + 0.3 || seen.old[s] < 0.5 * promised - 0.5)
                fail_msg("%s noise: in a horizon %.2f scores of %.2f or more, not about %.2f",
                         noise_names[noise], seen.old[s], scores[s], promised);
            if (seen.young[s] > 1.3 * promised + 0.7)
                fail_msg("%s noise: at first %.2f scores of %.2f or more, not %.2f at most",
                         noise_names[noise], seen.young[s], scores[s], promised);
        }
    }
}

/* ---- what is unusual ---- */

/* A day's rhythm with noise of a tenth, for ten days; then `change` may do as it likes. */
static double daily(size_t i, struct prng *prng)
{
    double of_day = (double)(i % A_DAY) / A_DAY;
    return 50 + 20 * sin(2 * M_PI * of_day) + 2 * (prng_unit(prng) - 0.5);
}

static double spike(size_t i, double usual)
{
    return i == 0 ? usual + 30 : usual;
}

static double dip(size_t i, double usual)
{
    return i < 3 ? usual - 15 : usual;
}

static double step_up(size_t i, double usual)
{
    (void)i;
    return usual + 25;
}

static double dies(size_t i, double usual)
{
    (void)i;
    (void)usual;
    return 0;
}

static double grows(size_t i, double usual)
{
    return usual + 0.2 * (double)i;
}

static double wild(size_t i, double usual)
{
    return usual + (i % 2 ? 12 : -12);
}

static double day_stands_still(size_t i, double usual)
{
    (void)usual;
    return 68 + (double)(i % 3); /* where it is high anyway, but it stays there */
}

static void finds_what_is_unusual(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        double (*change)(size_t i, double usual);
        size_t within; /* values */
        double least;
    } table[] = {
        {"a spike", spike, 1, 0.96},
        {"a dip", dip, 3, 0.96},
        {"a step", step_up, 1, 0.96},
        {"the end", dies, 1, 0.96},
        {"a drift", grows, A_DAY, 0.96},
        {"turbulence", wild, 10, 0.96},
        {"a day that stands still", day_stands_still, A_DAY, 0.7},
    };
    static struct anomaly anomaly;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct prng prng;
        double most = 0;
        prng_seed(&prng, i + 1);
        anomaly_init(&anomaly);
        size_t start = 10 * A_DAY + A_DAY / 4; /* at the height of the day */
        for (size_t row = 0; row < start; row++)
            anomaly_add(&anomaly, STEP_S * (double)row, daily(row, &prng));
        for (size_t row = 0; row < table[i].within; row++) {
            double value = table[i].change(row, daily(start + row, &prng));
            most = fmax(most, anomaly_add(&anomaly, STEP_S * (double)(start + row), value));
        }
        if (most < table[i].least)
            fail_msg("%s was given %.3f within %zu values", table[i].name, most, table[i].within);
    }
}

static void tells_an_event_once(void **state)
{
    (void)state;
    static struct anomaly anomaly;
    struct prng prng;
    unsigned told = 0;
    prng_seed(&prng, 1);
    anomaly_init(&anomaly);
    for (size_t row = 0; row < 10 * A_DAY; row++)
        anomaly_add(&anomaly, STEP_S * (double)row, daily(row, &prng));
    for (size_t row = 0; row < 100; row++) {
        double t_s = STEP_S * (double)(10 * A_DAY + row);
        told += anomaly_add(&anomaly, t_s, daily(row, &prng) + 40) >= 0.5;
    }
    assert_in_range(told, 1, 3);
}

/* ---- what cannot be helped ---- */

static void a_constant_is_never_unusual(void **state)
{
    (void)state;
    static const double constants[] = {0, 1, -1e100, 1e-300, 0.1};
    static struct anomaly anomaly;
    for (size_t i = 0; i < sizeof constants / sizeof *constants; i++) {
        anomaly_init(&anomaly);
        for (size_t row = 0; row < 3000; row++)
            assert_true(anomaly_add(&anomaly, STEP_S * (double)row, constants[i]) < 0.5);
        double other = constants[i] == 0 ? 1 : constants[i] / 2;
        assert_true(anomaly_add(&anomaly, STEP_S * 3000, other) > 0.96);
    }
}

static void gaps_leave_no_trace(void **state)
{
    (void)state;
    static struct anomaly whole, holed;
    static const double gaps[] = {NAN, INFINITY, -INFINITY, 1e101, -1e300};
    struct prng prng;
    prng_seed(&prng, 1);
    anomaly_init(&whole);
    anomaly_init(&holed);
    for (size_t row = 0; row < 5000; row++) {
        double value = daily(row, &prng), t_s = STEP_S * (double)row;
        double score = anomaly_add(&whole, t_s, value);
        assert_true(anomaly_add(&holed, t_s, value) == score);
        assert_true(anomaly_add(&holed, t_s, gaps[row % 5]) == 0);
    }
    assert_memory_equal(&whole, &holed, sizeof whole);
}

/* Times that jump, go back or are none; values of every size. */
static void survives_anything(void **state)
{
    (void)state;
    static struct anomaly anomaly;
    struct prng prng;
    prng_seed(&prng, 1);
    anomaly_init(&anomaly);
    for (size_t row = 0; row < 200000; row++) {
        double t_s = (prng_unit(&prng) - 0.5) * pow(10, (double)prng_below(&prng, 300));
        double value = (prng_unit(&prng) - 0.5) * pow(10, (double)prng_below(&prng, 200) - 100);
        if (prng_below(&prng, 10) == 0)
            t_s = prng_below(&prng, 2) ? NAN : INFINITY;
        double score = anomaly_add(&anomaly, t_s, value);
        assert_true(score >= 0 && score <= 1);
    }
    assert_true(isfinite(anomaly.slow) && isfinite(anomaly.spread) && isfinite(anomaly.noise));
}

/* In other units the same: by a power of two nothing is rounded another way. */
static void units_do_not_matter(void **state)
{
    (void)state;
    static struct anomaly metres, kibimetres;
    struct prng prng;
    prng_seed(&prng, 1);
    anomaly_init(&metres);
    anomaly_init(&kibimetres);
    for (size_t row = 0; row < 10000; row++) {
        double value = daily(row, &prng), t_s = STEP_S * (double)row;
        double a = anomaly_add(&metres, t_s, value);
        double b = anomaly_add(&kibimetres, t_s, value / 1024);
        assert_true(fabs(a - b) < 1e-6);
    }
}

/* What an evaluation begins with is what the daemon does. */
static void the_defaults_are_what_it_works_with(void **state)
{
    struct anomaly usual, given;
    struct prng prng;
    (void)state;
    prng_seed(&prng, 3);
    anomaly_init(&usual);
    anomaly_init_with(&given, anomaly_default_constants());
    for (int row = 0; row < 2000; row++) {
        double value = daily(row, &prng), t_s = STEP_S * (double)row;
        double a = anomaly_add(&usual, t_s, value), b = anomaly_add(&given, t_s, value);
        assert_true(a == b || (isnan(a) && isnan(b)));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(noise_scores_as_seldom_as_promised),
        cmocka_unit_test(finds_what_is_unusual),
        cmocka_unit_test(tells_an_event_once),
        cmocka_unit_test(a_constant_is_never_unusual),
        cmocka_unit_test(gaps_leave_no_trace),
        cmocka_unit_test(survives_anything),
        cmocka_unit_test(units_do_not_matter),
        cmocka_unit_test(the_defaults_are_what_it_works_with),
    };
    return cmocka_run_group_tests_name("core.anomaly", tests, NULL, NULL);
}
