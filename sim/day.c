/* A day of the daemon's life. See the header. */
#include "sim/day.h"

#include <dirent.h>
#include <limits.h>
#include <malloc.h>
#include <math.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define SAMPLE_S       360.0
#define HOUR_S         3600.0
#define TIMEOUT_LIVES  1.5  /* a token is archived at this age … */
#define ARCHIVER_LIVES 0.34 /* … or so much later */
#define RETENTION_RUNS 20   /* within the retention: so much longer something is kept */
#define QUERY_SIZE     160

struct day {
    const struct day_setup *setup;
    struct day_result *result;
    char path[PATH_MAX];
};

static const char *const table_names[] = {
#define X(code, name) [code] = name,
    DAY_TABLE_LIST(X)
#undef X
};

const char *day_table_name(enum day_table table)
{
    return table_names[table];
}

/* ---- this process ---- */

static uint64_t allocated_bytes(void)
{
    struct mallinfo2 info = mallinfo2();
    return info.uordblks + info.hblkhd;
}

/* The table is shared memory and is counted by itself; what our own looks into the database left
 * behind is given back first. */
static uint64_t resident_bytes(void)
{
    char line[128];
    uint64_t kilobytes = 0;
    malloc_trim(0);
    FILE *file = fopen("/proc/self/status", "r");
    while (file != NULL && fgets(line, sizeof line, file) != NULL)
        if (strncmp(line, "RssAnon:", 8) == 0)
            kilobytes = strtoul(line + 8, NULL, 10);
    if (file != NULL)
        fclose(file);
    return kilobytes * 1024;
}

static unsigned count_descriptors(void)
{
    unsigned count = 0;
    DIR *folder = opendir("/proc/self/fd");
    while (folder != NULL && readdir(folder) != NULL)
        count++;
    if (folder != NULL)
        closedir(folder);
    return count < 3 ? 0 : count - 3; /* ".", ".." and the folder's own */
}

/* ---- the database ---- */

static int64_t size_of(const char *path, const char *suffix)
{
    char whole[PATH_MAX + 8];
    struct stat status;
    snprintf(whole, sizeof whole, "%s%s", path, suffix);
    return stat(whole, &status) == 0 ? status.st_size : 0;
}

/* −1: it can't be asked, which no comparison takes for well. */
static int64_t ask(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    int64_t number = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

/* SQLite keeps a descriptor that is closed beside another connection's for the next to open the
 * file in the same way: so one more is there after the first look, and no more. */
static void look_at_database(const struct day *day, struct day_sample *sample)
{
    char sql[QUERY_SIZE];
    sqlite3 *db = NULL;
    if (sqlite3_open_v2(day->path, &db, SQLITE_OPEN_READONLY, NULL) == SQLITE_OK) {
        for (int i = 0; i < DAY_TABLE_COUNT; i++) {
            snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table_names[i]);
            sample->rows[i] = ask(db, sql);
        }
        sample->token_bytes = ask(db, "SELECT sum(pgsize) FROM dbstat WHERE aggregate=TRUE"
                                      " AND name IN ('token','pool')");
        sample->free_bytes = ask(db, "SELECT freelist_count * page_size"
                                     " FROM pragma_freelist_count, pragma_page_size");
    }
    sqlite3_close(db);
}

/* ---- samples ---- */

static uint32_t count_followed(const struct token_table *table)
{
    uint32_t followed = 0;
    for (token_id id = 1; id <= token_table_count(table); id++)
        followed += token_column_status(table, id) != TOKEN_ARCHIVED;
    return followed;
}

static void on_sample(void *context, const struct sim_view *view)
{
    struct day *day = context;
    struct day_result *result = day->result;
    struct writer_stats stats;
    if (result->count == DAY_SAMPLES_MAX)
        return;
    disk_stats(view->disk, &stats);
    struct day_sample *sample = &result->samples[result->count++];
    *sample = (struct day_sample){
        .at_s = view->at_s,
        .tokens = token_table_count(view->table),
        .followed = count_followed(view->table),
        .table_bytes = token_table_bytes_used(view->table),
        .allocated_bytes = allocated_bytes(),
        .resident_bytes = resident_bytes(),
        .descriptors = count_descriptors(),
        .file_bytes = size_of(day->path, ""),
        .wal_bytes = size_of(day->path, "-wal"),
        .snapshots_made = view->stats->snapshots,
        .commits = stats.commits,
        .writes = stats.rows,
    };
    look_at_database(day, sample);
}

/* ---- the verdict ---- */

/* Made within the retention before sample `i`. */
static double promised(const struct day *day, size_t i)
{
    size_t span = (size_t)(day->setup->retention_hours * HOUR_S / SAMPLE_S);
    const struct day_sample *samples = day->result->samples;
    return (double)(samples[i].snapshots_made - samples[i - span].snapshots_made);
}

typedef double measure(const struct day *day, size_t i);

static double allocated(const struct day *day, size_t i)
{
    return (double)day->result->samples[i].allocated_bytes;
}

static double resident(const struct day *day, size_t i)
{
    return (double)day->result->samples[i].resident_bytes;
}

static double table_bytes_a_token(const struct day *day, size_t i)
{
    return (double)day->result->samples[i].table_bytes / day->result->samples[i].tokens;
}

static double file_bytes_a_snapshot(const struct day *day, size_t i)
{
    const struct day_sample *sample = &day->result->samples[i];
    return (double)(sample->file_bytes - sample->token_bytes) / promised(day, i);
}

/* Mean of the hour from `from_s` on. */
static double mean_of(const struct day *day, measure *of, double from_s)
{
    double sum = 0, count = 0;
    for (size_t i = 0; i < day->result->count; i++) {
        double at_s = day->result->samples[i].at_s;
        if (at_s < from_s || at_s > from_s + HOUR_S)
            continue;
        sum += of(day, i);
        count++;
    }
    return sum / count;
}

static double last_over_first(const struct day *day, measure *of)
{
    const struct day_result *result = day->result;
    double last_s = result->samples[result->count - 1].at_s - HOUR_S;
    return mean_of(day, of, last_s) / mean_of(day, of, result->settled_s);
}

static void judge_sample(const struct day *day, size_t i)
{
    struct day_verdict *verdict = &day->result->verdict;
    const struct day_sample *sample = &day->result->samples[i];
    double kept = (double)sample->rows[DAY_SNAPSHOT] / promised(day, i);
    int64_t log = sample->rows[DAY_LOG_A] + sample->rows[DAY_LOG_B];
    verdict->kept_least = fmin(verdict->kept_least, kept);
    verdict->kept_most = fmax(verdict->kept_most, kept);
    verdict->log_most = log > verdict->log_most ? log : verdict->log_most;
    if (sample->wal_bytes > verdict->wal_most)
        verdict->wal_most = sample->wal_bytes;
    if (sample->file_bytes > verdict->file_most)
        verdict->file_most = sample->file_bytes;
    if (sample->descriptors < verdict->descriptors_least)
        verdict->descriptors_least = sample->descriptors;
    if (sample->descriptors > verdict->descriptors_most)
        verdict->descriptors_most = sample->descriptors;
}

static void judge(const struct day *day)
{
    struct day_verdict *verdict = &day->result->verdict;
    *verdict = (struct day_verdict){.kept_least = INFINITY, .descriptors_least = UINT_MAX};
    for (size_t i = 0; i < day->result->count; i++)
        if (day->result->samples[i].at_s >= day->result->settled_s)
            judge_sample(day, i);
    verdict->allocated = last_over_first(day, allocated);
    verdict->resident = last_over_first(day, resident);
    verdict->table_bytes = last_over_first(day, table_bytes_a_token);
    verdict->file = last_over_first(day, file_bytes_a_snapshot);
}

/* ---- the day ---- */

static void set_options(const struct day_setup *setup, struct options *options)
{
    options_init(options);
    options->snapshot_retention_days = setup->retention_hours / 24;
    options->event_retention_days = setup->retention_hours / 24;
    options->retention_interval_sec = setup->retention_hours * HOUR_S / RETENTION_RUNS;
    options->monitoring_timeout_hours = TIMEOUT_LIVES * setup->life_hours;
    options->archiver_interval_sec = ARCHIVER_LIVES * setup->life_hours * HOUR_S;
    options->min_score_change = 0; /* a snapshot a refresh: history is most of the database */
}

double day_settled_s(const struct day_setup *setup)
{
    double grown_h = (TIMEOUT_LIVES + ARCHIVER_LIVES) * setup->life_hours;
    return (grown_h + setup->retention_hours * (1 + 1.0 / RETENTION_RUNS)) * HOUR_S;
}

enum err day_run(const struct day_setup *setup, struct day_result *out)
{
    struct day day = {.setup = setup, .result = out};
    struct options options;
    char url[PATH_MAX + 16];
    memset(out, 0, sizeof *out);
    out->settled_s = day_settled_s(setup);
    double hours = out->settled_s / HOUR_S + setup->hours;
    if (setup->hours < 1 || hours * HOUR_S > DAY_SAMPLES_MAX * SAMPLE_S)
        return ERR_INVALID;
    snprintf(day.path, sizeof day.path, "%s/day.db", setup->folder);
    snprintf(url, sizeof url, "sqlite:%s", day.path);
    set_options(setup, &options);
    const struct sim_setup sim = {.seed = setup->seed,
                                  .hours = hours,
                                  .tokens = setup->active,
                                  .active = setup->active,
                                  .hours_old = 1,
                                  .options = &options,
                                  .database = url,
                                  .arrivals_per_hour = setup->arrivals_per_hour,
                                  .life_hours = setup->life_hours,
                                  .sample_every_s = SAMPLE_S,
                                  .on_sample = on_sample,
                                  .context = &day};
    enum err err = sim_run(&sim, &out->sim);
    if (err == OK && out->count > 0)
        judge(&day);
    return err;
}
