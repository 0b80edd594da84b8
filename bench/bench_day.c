/*
 * A day of the daemon's life (sim/day.h): the real core and store in virtual time, with tokens that
 * come, live and are archived, and a retention that bites. What is compared is the last hour with
 * the first one in which everything has grown up; quick: of a shorter day with shorter lives.
 */
#include "base/log.h"
#include "bench/bench.h"
#include "bench/process.h"
#include "sim/day.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DRIFT_MAX_PERCENT 2
#define KEPT_MAX          1.1
#define MEGABYTE          1e6

static const struct day_setup whole_day = {.seed = 1,
                                           .hours = 24,
                                           .retention_hours = 2.4, /* 0.1 days */
                                           .active = 50,
                                           .arrivals_per_hour = 50,
                                           .life_hours = 3};
static const struct day_setup short_day = {.seed = 1,
                                           .hours = 2,
                                           .retention_hours = 1,
                                           .active = 50,
                                           .arrivals_per_hour = 50,
                                           .life_hours = 1};

static struct figure *report_bar(struct bench *bench, const char *name, const char *unit,
                                 double value, double bar)
{
    struct figure *figure = report_add(&bench->report, name, unit);
    figure->value = value;
    figure->bar_kind = BAR_VALUE_MOST;
    figure->bar = bar;
    return figure;
}

static double drift_percent(double ratio)
{
    return 100 * fabs(ratio - 1);
}

static void report_memory(struct bench *bench, const struct day_result *result)
{
    const struct day_sample *last = &result->samples[result->count - 1];
    const struct day_verdict *verdict = &result->verdict;
    struct figure *figure = report_bar(bench, "day.memory_drift", "%",
                                       drift_percent(verdict->allocated), DRIFT_MAX_PERCENT);
    snprintf(figure->note, sizeof figure->note, "%.2f MB allocated at the end, %u tokens known",
             (double)last->allocated_bytes / MEGABYTE, last->tokens);
    report_bar(bench, "day.resident_drift", "%", drift_percent(verdict->resident),
               DRIFT_MAX_PERCENT);
    report_bar(bench, "day.descriptors_drift", "",
               verdict->descriptors_most - verdict->descriptors_least, 0);
    report_add(&bench->report, "day.table_a_token", "bytes")->value =
        (double)last->table_bytes / last->tokens;
}

static void report_database(struct bench *bench, const struct day_result *result)
{
    const struct day_sample *last = &result->samples[result->count - 1];
    const struct day_verdict *verdict = &result->verdict;
    struct figure *figure =
        report_bar(bench, "day.history_kept", "×", verdict->kept_most, KEPT_MAX);
    snprintf(figure->note, sizeof figure->note, "%lld snapshots of %llu made",
             (long long)last->rows[DAY_SNAPSHOT], (unsigned long long)last->snapshots_made);
    report_bar(bench, "day.history_lost", "×", fmax(0, 1 - verdict->kept_least), 0);
    figure = report_bar(bench, "day.database_growth", "×", verdict->file, KEPT_MAX);
    snprintf(figure->note, sizeof figure->note, "a file of %.1f MB, a log of %.1f MB at most",
             (double)verdict->file_most / MEGABYTE, (double)verdict->wal_most / MEGABYTE);
    report_add(&bench->report, "day.rows_written", "")->value = (double)last->writes;
}

/* In memory where there is some: what is measured is no disk, and waits for none. */
static bool make_place(const struct bench *bench, char out[PATH_MAX])
{
    strcpy(out, "/dev/shm/moonwatch-day-XXXXXX");
    if (mkdtemp(out) != NULL)
        return true;
    snprintf(out, PATH_MAX, "%s", path_in(bench->folder, "day"));
    return make_folder(out);
}

void bench_day(struct bench *bench)
{
    static struct day_result result; /* large */
    char folder[PATH_MAX];
    struct day_setup setup = bench->pace == PACE_QUICK ? short_day : whole_day;
    if (!make_place(bench, folder))
        return;
    setup.folder = folder;
    log_setup(LOG_ERROR, LOG_FORMAT_LOGFMT);
    enum err err = day_run(&setup, &result);
    remove_folder(folder);
    const char *verdict = err == OK ? result.sim.verdict : err_text(err);
    struct figure *figure = report_bar(bench, "day.complaints", "", strcmp(verdict, "ok") != 0, 0);
    snprintf(figure->note, sizeof figure->note, "%.150s", verdict);
    if (result.count == 0)
        return;
    report_memory(bench, &result);
    report_database(bench, &result);
}
