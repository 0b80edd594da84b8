/*
 * Detecting anomalies: values a second on one core, of a series with noise, a rhythm of the day,
 * spikes and drifts; and the score on the development half of the Numenta Anomaly Benchmark, where
 * that is at hand.
 */
#include "base/prng.h"
#include "bench/bench.h"
#include "bench/nab.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define VALUES       1000000
#define ROUNDS_FULL  7
#define ROUNDS_QUICK 3
#define VALUES_LEAST 1e6 /* a second */
#define SCORE_LEAST  70
#define STEP_S       60.0
#define DAY_S        86400.0
#define CORPUS       MOONWATCH_SOURCE_ROOT "/../shared/data/nab-dev"

static double cpu_s(void)
{
    struct timespec now;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

static void make_series(double *values, uint64_t seed)
{
    struct prng prng;
    double drift = 0;
    prng_seed(&prng, seed);
    for (size_t i = 0; i < VALUES; i++) {
        double noise = prng_unit(&prng) + prng_unit(&prng) + prng_unit(&prng) - 1.5;
        drift = 0.9999 * drift + 0.01 * (prng_unit(&prng) - 0.5);
        values[i] = 10 + 3 * sin(2 * M_PI * STEP_S * (double)i / DAY_S) + drift + noise;
        if (prng_below(&prng, 1000) == 0)
            values[i] += 20 * prng_unit(&prng);
    }
}

static double values_per_s(const double *values)
{
    static struct anomaly anomaly;
    double sum = 0, began_s = cpu_s();
    anomaly_init(&anomaly);
    for (size_t i = 0; i < VALUES; i++)
        sum += anomaly_add(&anomaly, STEP_S * (double)i, values[i]);
    double took_s = cpu_s() - began_s;
    return sum > 0 ? VALUES / took_s : NAN; /* something was found, so nothing was left out */
}

static void bench_speed(struct bench *bench)
{
    struct sample sample = {0};
    double *values = malloc(VALUES * sizeof *values);
    for (int i = 0; values != NULL && i < bench_rounds(bench, ROUNDS_FULL, ROUNDS_QUICK); i++) {
        make_series(values, (uint64_t)i + 1);
        sample_add(&sample, values_per_s(values));
    }
    free(values);
    struct figure *figure =
        report_add_sample(&bench->report, "detect_values_per_s", "values/s", &sample);
    figure->bar = VALUES_LEAST;
    figure->bar_kind = BAR_VALUE_LEAST;
}

static void bench_score(struct bench *bench)
{
    static struct nab nab;
    char why[NAB_WHY_SIZE];
    if (nab_load(&nab, CORPUS, why)) {
        nab_detect(&nab, anomaly_default_constants());
        struct nab_score score = nab_judge(&nab);
        struct figure *figure = report_add(&bench->report, "detect_nab_standard", "points");
        figure->value = score.score[NAB_STANDARD];
        figure->bar = SCORE_LEAST;
        figure->bar_kind = BAR_VALUE_LEAST;
        snprintf(figure->note, sizeof figure->note, "NAB's development half; threshold %.3f",
                 score.threshold[NAB_STANDARD]);
    } else {
        report_add_missing(&bench->report, "detect_nab_standard", "points", "no recorded data");
    }
    nab_finish(&nab);
}

void bench_detect(struct bench *bench)
{
    bench_speed(bench);
    bench_score(bench);
}
