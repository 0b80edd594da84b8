/*
 * Forecasts (core/forecast.h) beside Prometheus's predict_linear, on generated degradations and
 * their healthy twins (series.h): how early each warns of a crossing within a quarter of an hour,
 * and how many it misses, at the same number of false alarms a day.
 *
 * Both see the same values at the same times, and both alert by the same kind of rule (alarms.h).
 * The condition of predict_linear is that its line is at or over the threshold at the horizon;
 * ours, that the time to the threshold is within it, with at least some confidence. What is free is
 * chosen on series of other seeds than those that count: for predict_linear its window, `for` and
 * `keep_firing_for`, once for the longest median lead and once for the fewest misses, and it is
 * compared with what it was chosen for; for ours the confidence and the same two, once, for the
 * longest mean lead, with so few false alarms that it has no more than either of those where it
 * counts; the notes say how many there were.
 */
#include "bench/alarms.h"
#include "bench/bench.h"
#include "bench/forecast_plot.h"
#include "bench/predict_linear.h"
#include "core/forecast.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HORIZON_S 900.0 /* as forecast_horizon_sec */
#define BUDGET    0.1   /* false alarms a day and signal: one in ten days is what people bear */
/* Of those false alarms, what ours may have where it is chosen: the best of many looks better there
 * than it is elsewhere. */
#define SELECTION   0.4
#define LEAD_BAR    1.5
#define MISSES_BAR  0.5
#define ERROR_BAR   20.0 /* % of the time to the threshold, at half of the life that remains */
#define EPOCH_S     1.6e9
#define TUNE_SEED   1000
#define TUNE_SEEDS  10 /* of each kind and noise: with fewer, what is chosen is luck */
#define TEST_SEED   500000
#define NOISES      3
#define WINDOWS     7
#define CONFIDENCES 16
#define CONDITIONS  (WINDOWS + CONFIDENCES) /* of predict_linear's windows, then of ours */
#define WINDOW_HOUR 4

static const double noises[NOISES] = {0.5, 2, 5};
static const double windows_s[WINDOWS] = {300, 600, 900, 1800, 3600, 7200, 14400};
static const double confidences[CONFIDENCES] = {0.05, 0.1, 0.2,  0.3,  0.4,   0.5,   0.6,  0.7,
                                                0.8,  0.9, 0.93, 0.95, 0.975, 0.985, 0.99, 0.995};

/* One way to alert. */
struct candidate {
    size_t condition, rule; /* < CONDITIONS, < RULES */
};

struct trial {
    struct tally tallies[CONDITIONS][RULES];
    struct sample errors; /* % of the time to the threshold, at half of the remaining life */
    double spent_s;       /* on ours */
    double values;
    struct series series;
    float predicted[SERIES_MAX], etas_s[SERIES_MAX], sure[SERIES_MAX];
    bool holds[SERIES_MAX];
};

/* ---- running ---- */

static double cpu_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void note_error(struct trial *trial, size_t i)
{
    double left_s = series_end_s(&trial->series) - (double)i * SERIES_STEP_S;
    double error = 100 * fabs(trial->etas_s[i] - left_s) / left_s;
    /* None in sight is wrong by all of it, or more: it counts as the worst there is. */
    sample_add(&trial->errors, isnan(error) ? 1e6 : error);
}

static void run_ours(struct trial *trial)
{
    static struct forecast forecast;
    const struct series *series = &trial->series;
    double began_s = cpu_s();
    forecast_init(&forecast, SERIES_THRESHOLD, FORECAST_RISES);
    for (size_t i = 0; i < series->count; i++) {
        forecast_add(&forecast, EPOCH_S + (double)i * SERIES_STEP_S, series->values[i]);
        const struct outlook *outlook = forecast_outlook(&forecast);
        trial->etas_s[i] = (float)outlook->eta_s;
        trial->sure[i] = (float)outlook->confidence;
    }
    trial->spent_s += cpu_s() - began_s;
    trial->values += (double)series->count;
    if (series->fate == SERIES_DEGRADES)
        note_error(trial, (size_t)((series->onset_s + series_end_s(series)) / 2 / SERIES_STEP_S));
}

static void judge(struct trial *trial, size_t condition)
{
    const struct series *series = &trial->series;
    bool is_ours = condition >= WINDOWS;
    if (!is_ours)
        predict_linear(series, windows_s[condition], HORIZON_S, trial->predicted);
    for (size_t i = 0; i < series->count; i++)
        trial->holds[i] = is_ours ? trial->etas_s[i] <= HORIZON_S &&
                                        trial->sure[i] >= confidences[condition - WINDOWS]
                                  : trial->predicted[i] >= SERIES_THRESHOLD;
    for (size_t rule = 0; rule < RULES; rule++)
        tally_add(&trial->tallies[condition][rule], series, trial->holds, rule_at(rule));
}

static struct trial *run_trial(uint64_t first_seed, int seeds)
{
    struct trial *trial = calloc(1, sizeof *trial);
    for (int i = 0; trial != NULL && i < seeds * SERIES_KIND_COUNT * NOISES * 2; i++) {
        enum series_fate fate = i % 2 == 0 ? SERIES_DEGRADES : SERIES_HEALTHY;
        enum series_kind kind = (enum series_kind)(i / 2 % SERIES_KIND_COUNT);
        double noise = noises[i / 2 / SERIES_KIND_COUNT % NOISES];
        series_make(&trial->series, kind, fate, noise, first_seed + (uint64_t)(i / 2));
        run_ours(trial);
        for (size_t condition = 0; condition < CONDITIONS; condition++)
            judge(trial, condition);
    }
    return trial;
}

/* ---- choosing ---- */

static double shortfall(const struct tally *tally)
{
    return -tally_misses(tally);
}

/* The one with the most of something among those that keep within `budget`; false: none does. */
static bool choose(const struct trial *trial, size_t from, size_t to, double budget,
                   double (*most)(const struct tally *tally), struct candidate *best)
{
    double best_value = -INFINITY;
    *best = (struct candidate){0, 0};
    for (size_t condition = from; condition < to; condition++)
        for (size_t rule = 0; rule < RULES; rule++) {
            const struct tally *tally = &trial->tallies[condition][rule];
            double value = most(tally) + 1e-9 * tally_mean_lead_s(tally);
            if (tally_false_a_day(tally) > budget || value <= best_value)
                continue;
            best_value = value;
            *best = (struct candidate){condition, rule};
        }
    return best_value > -INFINITY;
}

static const struct tally *tally_of(const struct trial *trial, struct candidate candidate)
{
    return &trial->tallies[candidate.condition][candidate.rule];
}

/* ---- figures ---- */

static void describe(struct figure *figure, struct candidate candidate, const struct tally *tally)
{
    struct rule rule = rule_at(candidate.rule);
    char what[64];
    if (candidate.condition < WINDOWS)
        snprintf(what, sizeof what, "over %.0f min", windows_s[candidate.condition] / 60);
    else
        snprintf(what, sizeof what, "confidence %g", confidences[candidate.condition - WINDOWS]);
    snprintf(figure->note, sizeof figure->note,
             "%s, for %.0f s, keep_firing_for %.0f s; %u false alarms in %.0f days", what,
             rule.for_s, rule.keep_s, tally->false_alarms, tally->watched_days);
}

/* One that warns too late more often than not has a median lead of 0; nothing is 1.5 times that, so
 * it is taken for one step of the series. */
static void report_lead(struct report *report, const char *name, const struct trial *test,
                        struct candidate candidate)
{
    const struct tally *tally = tally_of(test, candidate);
    struct figure *figure = report_add_sample(report, name, "s", &tally->leads);
    describe(figure, candidate, tally);
    figure->value = fmax(figure->value, SERIES_STEP_S);
}

static void report_misses(struct report *report, const char *name, const struct trial *test,
                          struct candidate candidate)
{
    const struct tally *tally = tally_of(test, candidate);
    struct figure *figure = report_add(report, name, "%");
    figure->value = 100 * tally_misses(tally);
    figure->rounds = tally->leads.count;
    describe(figure, candidate, tally);
}

/* Ours beside one predict_linear: by lead and by misses, each as it was chosen for it. */
static void report_against(struct report *report, const char *whom, const struct trial *tuned,
                           const struct trial *test, size_t from, size_t to)
{
    struct candidate longest, fewest, ours;
    char name[64], theirs[64];
    if (!choose(tuned, from, to, BUDGET, tally_lead_s, &longest) ||
        !choose(tuned, from, to, BUDGET, shortfall, &fewest))
        return;
    double budget = fmin(tally_false_a_day(tally_of(tuned, longest)),
                         tally_false_a_day(tally_of(tuned, fewest)));
    if (!choose(tuned, WINDOWS, CONDITIONS, SELECTION * budget, tally_mean_lead_s, &ours))
        return;
    snprintf(theirs, sizeof theirs, "forecast.lead.predict_linear.%s", whom);
    report_lead(report, theirs, test, longest);
    snprintf(name, sizeof name, "forecast.lead.ours.%s", whom);
    report_lead(report, name, test, ours);
    struct figure *figure = (struct figure *)report_find(report, name);
    figure_compare(figure, report, theirs);
    figure->bar_kind = BAR_RATIO_LEAST;
    figure->bar = LEAD_BAR;
    snprintf(theirs, sizeof theirs, "forecast.misses.predict_linear.%s", whom);
    report_misses(report, theirs, test, fewest);
    snprintf(name, sizeof name, "forecast.misses.ours.%s", whom);
    report_misses(report, name, test, ours);
    figure = (struct figure *)report_find(report, name);
    figure_compare(figure, report, theirs);
    figure->bar_kind = BAR_RATIO_MOST;
    figure->bar = MISSES_BAR;
}

static void report_ours(struct report *report, const struct trial *test)
{
    struct figure *figure =
        report_add_sample(report, "forecast.eta_error.half_life", "%", &test->errors);
    figure->bar_kind = BAR_VALUE_MOST;
    figure->bar = ERROR_BAR;
    report_add(report, "forecast.cost", "ns")->value = test->spent_s / test->values * 1e9;
    figure = report_add(report, "forecast.memory", "bytes");
    figure->value = sizeof(struct forecast);
    figure->bar_kind = BAR_VALUE_MOST;
    figure->bar = FORECAST_BYTES_MAX;
}

/* ---- the picture ---- */

static struct forecast_point point_of(const struct trial *tuned, const struct trial *test,
                                      size_t from, size_t to, double budget)
{
    struct candidate longest, fewest;
    struct forecast_point point = {NAN, NAN};
    if (choose(tuned, from, to, budget, tally_lead_s, &longest))
        point.lead_s = tally_lead_s(tally_of(test, longest));
    if (choose(tuned, from, to, budget, shortfall, &fewest))
        point.misses_percent = 100 * tally_misses(tally_of(test, fewest));
    return point;
}

static void plot(struct bench *bench, const struct trial *tuned, const struct trial *test)
{
    static const double budgets[FORECAST_BUDGETS] = {0.02, 0.05, 0.1, 0.2, 0.5, 1};
    struct forecast_picture picture;
    for (size_t i = 0; i < FORECAST_BUDGETS; i++) {
        picture.budgets[i] = budgets[i];
        picture.lines[FORECAST_LINE_OURS][i] =
            point_of(tuned, test, WINDOWS, CONDITIONS, budgets[i]);
        picture.lines[FORECAST_LINE_BEST][i] = point_of(tuned, test, 0, WINDOWS, budgets[i]);
        picture.lines[FORECAST_LINE_HOUR][i] =
            point_of(tuned, test, WINDOW_HOUR, WINDOW_HOUR + 1, budgets[i]);
    }
    forecast_plot_write(&picture, bench->pictures);
}

void bench_forecast(struct bench *bench)
{
    struct trial *tuned = run_trial(TUNE_SEED, TUNE_SEEDS);
    struct trial *test = run_trial(TEST_SEED, bench_rounds(bench, 20, 6));
    if (tuned != NULL && test != NULL) {
        report_against(&bench->report, "hour", tuned, test, WINDOW_HOUR, WINDOW_HOUR + 1);
        report_against(&bench->report, "best", tuned, test, 0, WINDOWS);
        report_ours(&bench->report, test);
        plot(bench, tuned, test);
    }
    free(tuned);
    free(test);
}
