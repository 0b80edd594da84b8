#include "bench/nab.h"
#include "cli/series_lines.h"
#include <jansson.h>
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FREE_SHARE 0.15
#define FREE_MOST  750

struct window {
    size_t first, last; /* rows */
};

/* ---- loading ---- */

static bool add_row(struct nab_series *series, const struct series_line *line)
{
    if ((series->count & (series->count - 1)) == 0) { /* full at each power of two */
        size_t room = series->count == 0 ? 1 : series->count * 2;
        struct nab_row *rows = realloc(series->rows, room * sizeof *rows);
        if (rows == NULL)
            return false;
        series->rows = rows;
    }
    double value = line->kind == LINE_VALUE ? line->value : NAN;
    series->rows[series->count++] = (struct nab_row){.t_s = line->t_s, .value = value, .worth = -1};
    return true;
}

static bool load_rows(struct nab_series *series, const char *folder)
{
    char path[4096], text[SERIES_LINE_MAX];
    struct series_line line;
    bool is_whole = true;
    snprintf(path, sizeof path, "%s/data/%s", folder, series->name);
    FILE *file = fopen(path, "r");
    if (file == NULL)
        return false;
    while (is_whole && fgets(text, sizeof text, file) != NULL) {
        series_line_parse(text, strcspn(text, "\r\n"), &line);
        if (line.kind == LINE_VALUE || line.kind == LINE_GAP)
            is_whole = add_row(series, &line);
    }
    fclose(file);
    return is_whole && series->count > 0;
}

static bool find_row(const struct nab_series *series, const json_t *stamp, size_t *row)
{
    double t_s;
    const char *text = json_string_value(stamp);
    if (text == NULL || !series_time_parse(text, strlen(text), &t_s))
        return false;
    for (size_t i = 0; i < series->count; i++)
        if (floor(series->rows[i].t_s) == floor(t_s)) {
            *row = i;
            return true;
        }
    return false;
}

static double squashed(double y)
{
    return y > 3 ? -1 : 2 / (1 + exp(5 * y)) - 1;
}

static void mark(struct nab_series *series, struct window window, int number)
{
    double length = (double)(window.last - window.first + 1);
    for (size_t i = window.first; i <= window.last; i++) {
        series->rows[i].window = number;
        series->rows[i].worth = squashed((double)(i - window.first) / length - 1) / squashed(-1);
    }
    for (size_t i = window.last + 1; i < series->count; i++)
        series->rows[i].worth = squashed((double)(i - window.last) / (length - 1));
}

/* The corpus lists the windows of a series in the order of time. */
static bool load_windows(struct nab_series *series, const json_t *list)
{
    size_t index, free_rows = (size_t)fmin(FREE_SHARE * (double)series->count, FREE_MOST);
    const json_t *pair;
    bool is_open[NAB_WINDOWS_MAX + 1] = {false};
    if (json_array_size(list) > NAB_WINDOWS_MAX)
        return false;
    json_array_foreach(list, index, pair)
    {
        struct window window;
        if (!find_row(series, json_array_get(pair, 0), &window.first) ||
            !find_row(series, json_array_get(pair, 1), &window.last) || window.last < window.first)
            return false;
        mark(series, window, (int)index + 1);
    }
    for (size_t i = 0; i < series->count; i++) {
        if (i < free_rows)
            series->rows[i].window = -1;
        if (series->rows[i].window > 0)
            is_open[series->rows[i].window] = true;
    }
    for (size_t i = 1; i <= NAB_WINDOWS_MAX; i++)
        series->windows += is_open[i];
    return true;
}

bool nab_load(struct nab *nab, const char *folder, char why[NAB_WHY_SIZE])
{
    char path[4096];
    json_error_t error;
    const char *name;
    json_t *list;
    *nab = (struct nab){0};
    snprintf(path, sizeof path, "%s/windows.json", folder);
    json_t *windows = json_load_file(path, 0, &error);
    if (windows == NULL) {
        snprintf(why, NAB_WHY_SIZE, "%.120s: %.100s", path, error.text);
        return false;
    }
    why[0] = '\0';
    json_object_foreach(windows, name, list)
    {
        if (nab->count == NAB_SERIES_MAX)
            break;
        struct nab_series *series = &nab->series[nab->count++];
        snprintf(series->name, sizeof series->name, "%s", name);
        if (!load_rows(series, folder) || !load_windows(series, list)) {
            snprintf(why, NAB_WHY_SIZE, "%s: no such series, or not its windows", name);
            break;
        }
    }
    json_decref(windows);
    return why[0] == '\0';
}

void nab_finish(struct nab *nab)
{
    for (size_t i = 0; i < nab->count; i++)
        free(nab->series[i].rows);
    nab->count = 0;
}

void nab_detect(struct nab *nab, const struct anomaly_constants *constants)
{
    static struct anomaly anomaly;
    for (size_t i = 0; i < nab->count; i++) {
        struct nab_series *series = &nab->series[i];
        anomaly_init_with(&anomaly, constants);
        for (size_t row = 0; row < series->count; row++)
            series->rows[row].score =
                anomaly_add(&anomaly, series->rows[row].t_s, series->rows[row].value);
    }
}

/* ---- the score ---- */

struct candidate {
    double score;
    uint32_t series, row;
};

struct tally {
    double reward, cost; /* weights left out */
    unsigned hit, windows;
    double best[NAB_SERIES_MAX][NAB_WINDOWS_MAX + 1]; /* NaN: not hit yet */
};

static int by_score(const void *a, const void *b)
{
    const struct candidate *x = a, *y = b;
    return (x->score < y->score) - (x->score > y->score);
}

static size_t collect(const struct nab *nab, struct candidate *candidates)
{
    size_t count = 0;
    for (uint32_t i = 0; i < nab->count; i++)
        for (uint32_t row = 0; row < nab->series[i].count; row++)
            if (nab->series[i].rows[row].window >= 0 && nab->series[i].rows[row].score > 0)
                candidates[count++] = (struct candidate){nab->series[i].rows[row].score, i, row};
    qsort(candidates, count, sizeof *candidates, by_score);
    return count;
}

static void detect_row(struct tally *tally, const struct nab *nab, const struct candidate *at)
{
    const struct nab_row *row = &nab->series[at->series].rows[at->row];
    if (row->window == 0) {
        tally->cost -= row->worth;
        return;
    }
    double *best = &tally->best[at->series][row->window];
    if (isnan(*best)) {
        tally->hit++;
        tally->reward += row->worth;
        *best = row->worth;
    } else if (row->worth > *best) {
        tally->reward += row->worth - *best;
        *best = row->worth;
    }
}

static void take_best(const struct tally *tally, double threshold, struct nab_score *score)
{
    static const struct {
        double missed, false_alarm;
    } weights[NAB_PROFILE_COUNT] = {
        [NAB_STANDARD] = {1, 0.11}, [NAB_LOW_FP] = {1, 0.22}, [NAB_LOW_FN] = {2, 0.11}};
    for (int p = 0; p < NAB_PROFILE_COUNT; p++) {
        double null = -weights[p].missed * tally->windows;
        double total = tally->reward - weights[p].missed * (tally->windows - tally->hit) -
                       weights[p].false_alarm * tally->cost;
        double normal = 100 * (total - null) / (tally->windows - null);
        if (normal > score->score[p]) {
            score->score[p] = normal;
            score->threshold[p] = threshold;
        }
    }
}

struct nab_score nab_judge(const struct nab *nab)
{
    static struct tally tally;
    struct nab_score score = {.threshold = {INFINITY, INFINITY, INFINITY}};
    size_t rows = 0;
    tally = (struct tally){0};
    for (size_t i = 0; i < nab->count; i++) {
        rows += nab->series[i].count;
        tally.windows += nab->series[i].windows;
        for (int w = 0; w <= NAB_WINDOWS_MAX; w++)
            tally.best[i][w] = NAN;
    }
    struct candidate *candidates = malloc((rows + 1) * sizeof *candidates);
    if (candidates == NULL)
        return score;
    size_t count = collect(nab, candidates);
    for (size_t i = 0; i < count; i++) {
        detect_row(&tally, nab, &candidates[i]);
        if (i + 1 == count || candidates[i + 1].score != candidates[i].score)
            take_best(&tally, candidates[i].score, &score);
    }
    free(candidates);
    return score;
}
