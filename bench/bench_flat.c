/*
 * The real daemon in compressed time: the market's hour is a minute, intervals are a second, tokens
 * come and are archived all the while, every refresh is a snapshot, clients ask the api. Memory and
 * descriptors of each process at the end against those after a warm-up. A day of core and store is
 * bench_day.c; here are the parts that it has not: feed, source, api, supervisor. Only when asked
 * for by its name; for --minutes, but at most five of them.
 */
#include "base/clock.h"
#include "bench/bench.h"
#include "bench/client.h"
#include "bench/daemon.h"
#include "bench/process.h"
#include "bench/usage.h"
#include <math.h>
#include <stdio.h>

#define TOKENS        "500"
#define SPEED         "60"
#define ARRIVALS      "15" /* an hour of the market's; more would make the table grow */
#define MINUTES_MOST  5
#define MINUTES_QUICK 2
#define WARM_UP_S     60 /* of which SQLite takes a few to fill its cache */
#define WINDOW_S      15
#define STEP_MS       1000
#define PATIENCE      duration_s(30)
#define DRIFT_PERCENT 2
#define LOOKS_MAX     (MINUTES_MOST * 60 + WARM_UP_S)

/* One a second. */
struct look {
    double memory_mb[PROCESS_COUNT]; /* whoever else maps the same files */
    unsigned descriptors[PROCESS_COUNT];
};

struct run {
    struct bench *bench;
    struct daemon daemon;
    unsigned port;
    size_t count;
    struct look looks[LOOKS_MAX];
};

static pid_t start_market(const struct bench *bench, unsigned port)
{
    char number[16];
    const char *folder = path_in(bench->folder, "market");
    const char *const argv[] = {
        bench->market, "--port", number,    "--tokens", TOKENS,
        "--rpm",       "0",      "--speed", SPEED,      "--graduations-per-hour",
        ARRIVALS,      NULL};
    snprintf(number, sizeof number, "%u", port);
    return process_has_built(bench->market) && make_folder(folder) ? process_run(folder, argv) : -1;
}

static bool start_daemon(struct run *run, unsigned market_port)
{
    char feed[64], source[64], listen[64];
    run->port = process_free_port();
    snprintf(feed, sizeof feed, "http://127.0.0.1:%u", market_port);
    snprintf(source, sizeof source, "ws://127.0.0.1:%u/api/data", market_port);
    snprintf(listen, sizeof listen, "127.0.0.1:%u", run->port);
    const char *folder = run->bench->folder;
    const struct daemon_option options[] = {{"db", "sqlite:flat.db"},
                                            {"feed", feed},
                                            {"source", source},
                                            {"listen", listen},
                                            {"state_dir", path_in(folder, "state")},
                                            {"export_path", path_in(folder, "export.json")},
                                            {"export_interval_sec", "1"},
                                            {"hot_interval_sec", "1"},
                                            {"cold_interval_sec", "1"},
                                            {"archived_interval_sec", "15"},
                                            {"archiver_interval_sec", "5"},
                                            {"monitoring_timeout_hours", "0.01"},
                                            {"archive_below_hours", "0.01"},
                                            {"retention_interval_sec", "10"},
                                            {"min_score_change", "0"},
                                            {"refresh_requests_per_minute", "1000000"},
                                            {"screen_requests_per_minute", "1000000"},
                                            {"discover_requests_per_minute", "1000000"},
                                            {NULL, NULL}};
    const struct daemon_spec spec = {run->bench->moonwatch, folder, options};
    return daemon_start(&run->daemon, &spec) && daemon_await_running(&run->daemon, PATIENCE);
}

/* ---- looking ---- */

static pid_t pid_of(const struct run *run, int process)
{
    return process == PROCESS_SUPERVISOR
               ? run->daemon.pid
               : (pid_t)atomic_load(&run->daemon.page->processes[process].pid);
}

static void look(struct run *run)
{
    struct look *look = &run->looks[run->count++];
    for (int i = 0; i < PROCESS_COUNT; i++) {
        pid_t pid = pid_of(run, i);
        look->memory_mb[i] = usage_alone_mb(&pid, 1);
        look->descriptors[i] = usage_descriptors(pid);
    }
}

static size_t looks_wanted(const struct bench *bench)
{
    double minutes = fmin(bench->pace == PACE_QUICK ? MINUTES_QUICK : bench->minutes, MINUTES_MOST);
    return (size_t)(60 * minutes);
}

static void watch(struct run *run)
{
    const struct client_spec specs[] = {{run->port, "/tokens?limit=100", CLIENT_KEPT, 100},
                                        {run->port, "/health", CLIENT_NEW, 100}};
    struct client *clients[] = {client_start(&specs[0]), client_start(&specs[1])};
    size_t wanted = looks_wanted(run->bench);
    sleep_ms(WARM_UP_S * 1e3);
    while (run->count < wanted) {
        look(run);
        sleep_ms(STEP_MS);
    }
    for (int i = 0; i < 2; i++)
        if (clients[i] != NULL)
            client_stop(clients[i]);
}

/* ---- the figures ---- */

static double mean_memory(const struct run *run, int process, size_t from)
{
    double sum = 0;
    for (size_t i = from; i < from + WINDOW_S; i++)
        sum += run->looks[i].memory_mb[process];
    return sum / WINDOW_S;
}

/* The most that were open in a window: connections come and go. */
static unsigned most_descriptors(const struct run *run, int process, size_t from)
{
    unsigned most = 0;
    for (size_t i = from; i < from + WINDOW_S; i++)
        if (run->looks[i].descriptors[process] > most)
            most = run->looks[i].descriptors[process];
    return most;
}

static void report_process(struct run *run, int process)
{
    char name[64];
    size_t last = run->count - WINDOW_S;
    double before = mean_memory(run, process, 0), after = mean_memory(run, process, last);
    unsigned open_before = most_descriptors(run, process, 0);
    unsigned open_after = most_descriptors(run, process, last);
    snprintf(name, sizeof name, "flat.%s_memory_growth", process_name(process));
    struct figure *figure = report_add(&run->bench->report, name, "%");
    figure->value = 100 * (after / before - 1);
    figure->bar_kind = BAR_VALUE_MOST;
    figure->bar = DRIFT_PERCENT;
    snprintf(figure->note, sizeof figure->note, "%.2f MB, then %.2f", before, after);
    snprintf(name, sizeof name, "flat.%s_descriptors_growth", process_name(process));
    figure = report_add(&run->bench->report, name, "");
    figure->value = (double)open_after - open_before;
    figure->bar_kind = BAR_VALUE_MOST;
    figure->bar = 0;
    snprintf(figure->note, sizeof figure->note, "%u, then %u", open_before, open_after);
}

static void report_work(struct run *run)
{
    const struct status_page *page = run->daemon.page;
    struct figure *figure = report_add(&run->bench->report, "flat.snapshots", "");
    figure->value = (double)daemon_counter(&run->daemon, COUNTER_SNAPSHOTS);
    snprintf(figure->note, sizeof figure->note, "%llu tokens added, %llu times one was archived",
             (unsigned long long)daemon_counter(&run->daemon, COUNTER_TOKENS_ADDED),
             (unsigned long long)atomic_load(&page->counters[COUNTER_ARCHIVED]));
}

void bench_flat(struct bench *bench)
{
    static struct run run; /* large */
    run = (struct run){.bench = bench};
    unsigned port = process_free_port();
    pid_t market = start_market(bench, port);
    if (market <= 0 || !start_daemon(&run, port)) {
        report_add_missing(&bench->report, "flat.engine_memory_growth", "%",
                           "market or daemon did not start");
        return;
    }
    watch(&run);
    for (int i = 0; i < PROCESS_COUNT; i++)
        report_process(&run, i);
    report_work(&run);
    daemon_kill(&run.daemon);
    process_kill(market);
}
