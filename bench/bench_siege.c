/*
 * A soak under faults: the real daemon in compressed time (as in bench_flat.c), struck every
 * ROUND_S by one of the faults below, drawn from a seed, for --minutes. After each it must be back;
 * then memory and descriptors of its processes are looked at, the supervisor's, which lives through
 * all of it, as much as those of whoever was started anew. The status page is left out: its size is
 * fixed, and it takes hours until the rings in it have been filled once. Only when asked for by its
 * name: an hour is what it is made for.
 */
#include "base/clock.h"
#include "base/prng.h"
#include "bench/bench.h"
#include "bench/daemon.h"
#include "bench/process.h"
#include "bench/usage.h"
#include <math.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#define TOKENS        "500"
#define ROUND_S       20
#define LASTING_MS    4000 /* of a fault that has a duration */
#define LOOK_MS       500
#define PATIENCE      duration_s(60)
#define WARM_UP       3 /* rounds */
#define SHARE         4 /* the first and the last of so many parts are compared */
#define DRIFT_PERCENT 5
#define ROUNDS_MAX    (24 * 3600 / ROUND_S)
#define SEED          7
#define PAGE          "memfd:moonwatch-page"

struct look {
    double memory_mb[PROCESS_COUNT]; /* NaN: it was not there */
    unsigned descriptors[PROCESS_COUNT];
};

struct run {
    struct bench *bench;
    struct daemon daemon;
    pid_t market;
    struct prng prng;
    size_t rounds, lost; /* lost: not back in time */
    struct look looks[ROUNDS_MAX];
};

static pid_t pid_of(const struct run *run, int process)
{
    return process == PROCESS_SUPERVISOR
               ? run->daemon.pid
               : (pid_t)atomic_load(&run->daemon.page->processes[process].pid);
}

/* ---- faults ---- */

static void signal_to(struct run *run, int process, int number)
{
    pid_t pid = pid_of(run, process);
    if (pid > 0)
        kill(pid, number);
}

static void engine_falls(struct run *run)
{
    signal_to(run, PROCESS_ENGINE, SIGSEGV);
}
static void engine_is_killed(struct run *run)
{
    signal_to(run, PROCESS_ENGINE, SIGKILL);
}
static void engine_is_stopped(struct run *run)
{
    signal_to(run, PROCESS_ENGINE, SIGSTOP);
}
static void api_falls(struct run *run)
{
    signal_to(run, PROCESS_API, SIGSEGV);
}
static void api_is_stopped(struct run *run)
{
    signal_to(run, PROCESS_API, SIGSTOP);
}
static void arm(struct run *run, enum fault fault)
{
    atomic_store(&run->daemon.faults->armed[fault], 1);
}
static void engine_hangs(struct run *run)
{
    arm(run, FAULT_HANG);
}
static void store_hangs(struct run *run)
{
    arm(run, FAULT_HANG_STORE);
}
static void export_hangs(struct run *run)
{
    arm(run, FAULT_STUCK_EXPORT);
}
static void engine_is_replaced(struct run *run)
{
    signal_to(run, PROCESS_SUPERVISOR, SIGHUP);
}

static void upstream_is_silent(struct run *run)
{
    kill(run->market, SIGSTOP);
    sleep_ms(LASTING_MS);
    kill(run->market, SIGCONT);
}

static void database_is_locked(struct run *run)
{
    sqlite3 *db = NULL;
    if (sqlite3_open(path_in(run->bench->folder, "siege.db"), &db) == SQLITE_OK) {
        sqlite3_busy_timeout(db, LASTING_MS);
        sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
        sleep_ms(LASTING_MS);
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
    }
    sqlite3_close(db);
}

static const struct {
    const char *name;
    void (*strike)(struct run *run);
} faults[] = {
    {"the engine falls", engine_falls},
    {"the engine is killed", engine_is_killed},
    {"the engine is stopped", engine_is_stopped},
    {"the engine hangs", engine_hangs},
    {"the store's thread hangs", store_hangs},
    {"the export hangs", export_hangs},
    {"engine and api are replaced", engine_is_replaced},
    {"the api falls", api_falls},
    {"the api is stopped", api_is_stopped},
    {"the upstream is silent", upstream_is_silent},
    {"the database is locked", database_is_locked},
};

/* ---- the course ---- */

static pid_t start_market(const struct bench *bench, unsigned port)
{
    char number[16];
    const char *folder = path_in(bench->folder, "market");
    const char *const argv[] = {
        bench->market, "--port", number,    "--tokens", TOKENS,
        "--rpm",       "0",      "--speed", "60",       "--graduations-per-hour",
        "15",          NULL};
    snprintf(number, sizeof number, "%u", port);
    return process_has_built(bench->market) && make_folder(folder) ? process_run(folder, argv) : -1;
}

static bool start_daemon(struct run *run, unsigned market_port)
{
    char feed[64], source[64];
    snprintf(feed, sizeof feed, "http://127.0.0.1:%u", market_port);
    snprintf(source, sizeof source, "ws://127.0.0.1:%u/api/data", market_port);
    const char *folder = run->bench->folder;
    const struct daemon_option options[] = {{"db", "sqlite:siege.db"},
                                            {"feed", feed},
                                            {"source", source},
                                            {"listen", "127.0.0.1:0"},
                                            {"state_dir", path_in(folder, "state")},
                                            {"export_path", path_in(folder, "export.json")},
                                            {"hot_interval_sec", "1"},
                                            {"cold_interval_sec", "1"},
                                            {"archiver_interval_sec", "5"},
                                            {"monitoring_timeout_hours", "0.01"},
                                            {"archive_below_hours", "0.01"},
                                            {"retention_interval_sec", "10"},
                                            {"snapshot_retention_days", "0.01"},
                                            {"event_retention_days", "0.01"},
                                            {"store_deadline_sec", "2"},
                                            {"job_deadline_sec", "3"},
                                            {"restart_backoff_max_sec", "1"},
                                            {"max_restarts_per_hour", "100000"},
                                            {"refresh_requests_per_minute", "1000000"},
                                            {"screen_requests_per_minute", "1000000"},
                                            {"discover_requests_per_minute", "1000000"},
                                            {NULL, NULL}};
    const struct daemon_spec spec = {run->bench->moonwatch, folder, options};
    return daemon_start(&run->daemon, &spec) && daemon_await_running(&run->daemon, PATIENCE);
}

static void look(struct run *run)
{
    struct look *look = &run->looks[run->rounds++];
    for (int i = 0; i < PROCESS_COUNT; i++) {
        pid_t pid = pid_of(run, i);
        look->memory_mb[i] = usage_alone_without_mb(&pid, 1, PAGE);
        look->descriptors[i] = usage_descriptors(pid);
    }
}

static void play_round(struct run *run)
{
    size_t which = prng_next(&run->prng) % (sizeof faults / sizeof faults[0]);
    instant end = instant_add(clock_now(), duration_s(ROUND_S));
    faults[which].strike(run);
    while (instant_before(clock_now(), end))
        sleep_ms(LOOK_MS);
    if (!daemon_await_running(&run->daemon, PATIENCE))
        run->lost++;
    look(run);
    const struct look *seen = &run->looks[run->rounds - 1];
    printf("  round %zu, %s: %.2f, %.2f, %.2f MB, %u, %u, %u descriptors\n", run->rounds,
           faults[which].name, seen->memory_mb[0], seen->memory_mb[1], seen->memory_mb[2],
           seen->descriptors[0], seen->descriptors[1], seen->descriptors[2]);
    fflush(stdout);
}

static void play(struct run *run)
{
    instant end = instant_add(clock_now(), duration_s(60 * run->bench->minutes));
    sleep_ms(ROUND_S * 1e3);
    while (instant_before(clock_now(), end) && run->rounds < ROUNDS_MAX)
        play_round(run);
}

/* ---- the figures ---- */

/* The middle one of a range of rounds: a look may fall into a moment of two engines. */
static int compare(const void *a, const void *b)
{
    const double *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

static double median_of(const struct run *run, int process, size_t from, bool of_memory)
{
    static double values[ROUNDS_MAX];
    size_t count = (run->rounds - WARM_UP) / SHARE;
    for (size_t i = 0; i < count; i++)
        values[i] = of_memory ? run->looks[from + i].memory_mb[process]
                              : run->looks[from + i].descriptors[process];
    qsort(values, count, sizeof values[0], compare);
    return values[count / 2];
}

static void report_process(struct run *run, int process)
{
    size_t last = run->rounds - (run->rounds - WARM_UP) / SHARE;
    char name[64];
    for (int of_memory = 0; of_memory < 2; of_memory++) {
        double before = median_of(run, process, WARM_UP, of_memory != 0);
        double after = median_of(run, process, last, of_memory != 0);
        snprintf(name, sizeof name, "siege.%s_%s_growth", process_name(process),
                 of_memory ? "memory" : "descriptors");
        struct figure *figure = report_add(&run->bench->report, name, of_memory ? "%" : "");
        figure->value = of_memory ? 100 * (after / before - 1) : after - before;
        figure->bar_kind = BAR_VALUE_MOST;
        figure->bar = of_memory ? DRIFT_PERCENT : 0;
        snprintf(figure->note, sizeof figure->note, "%.2f, then %.2f", before, after);
    }
}

static void report_faults(struct run *run)
{
    struct figure *figure = report_add(&run->bench->report, "siege.not_back", "");
    figure->value = (double)run->lost;
    figure->bar_kind = BAR_VALUE_MOST;
    figure->bar = 0;
    snprintf(figure->note, sizeof figure->note, "of %zu faults, one every %d s", run->rounds,
             ROUND_S);
}

void bench_siege(struct bench *bench)
{
    static struct run run; /* large */
    run = (struct run){.bench = bench};
    prng_seed(&run.prng, SEED);
    unsigned port = process_free_port();
    run.market = start_market(bench, port);
    if (run.market > 0 && start_daemon(&run, port))
        play(&run);
    if (run.rounds < WARM_UP + SHARE) {
        report_add_missing(&bench->report, "siege.supervisor_memory_growth", "%",
                           "too few rounds: give it --minutes 60");
    } else {
        for (int i = 0; i < PROCESS_COUNT; i++)
            report_process(&run, i);
        report_faults(&run);
    }
    daemon_kill(&run.daemon);
    process_kill(run.market);
}
