/*
 * How cost grows with the number of tokens, 1,000 to 1,000,000 of them, for the plot (plot.h): the
 * daemon at the same pace whatever their number, about PACE refreshes a second in full requests, so
 * that what differs is the number alone. At each size:
 *
 *   cold start   exec of `moonwatch run` to all tokens in their lanes, from the database
 *   refresh      CPU time of all three processes for a token answered
 *   memory       of all three, what is shared counted once
 *   warm start   kill -9 of the engine to the same in the next one, from the table
 */
#include "base/clock.h"
#include "bench/bench.h"
#include "bench/crowd.h"
#include "bench/daemon.h"
#include "bench/populate.h"
#include "bench/process.h"
#include "bench/server.h"
#include "bench/usage.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>

#define PATIENCE  duration_s(60)
#define SETTLE_MS 1500
/* With CROWD_HOT_EVERY: 720 cold tokens and 240 hot ones a second, nearly all that 1,000 with
 * targets of a second take. */
#define SCREEN_RPM       "1469" /* of which the daemon leaves 2 % unused */
#define REFRESH_RPM      "1665"
#define PROCESSES        3
#define QUICK_TOKENS_MAX 100000

struct size {
    const char *name; /* as people read it */
    uint32_t tokens;
};

static const struct size sizes[] = {
    {"1,000", 1000}, {"10,000", 10000}, {"100,000", 100000}, {"1,000,000", 1000000}};

#define SIZES (sizeof sizes / sizeof sizes[0])

/* Milliseconds, microseconds, MB; NaN: not measured. */
struct costs {
    double cold_ms, warm_ms, refresh_us, memory_mb;
};

static bool start_daemon(const struct bench *bench, const char *folder, const struct server *server,
                         struct daemon *daemon, struct costs *costs)
{
    char feed[64];
    instant began;
    snprintf(feed, sizeof feed, "http://127.0.0.1:%u", server_port(server));
    const struct daemon_option options[] = {{"db", "sqlite:tokens.db"},
                                            {"feed", feed},
                                            {"source", "none"},
                                            {"listen", "127.0.0.1:0"},
                                            {"state_dir", path_in(folder, "state")},
                                            {"hot_interval_sec", "1"},
                                            {"cold_interval_sec", "1"},
                                            {"min_score", "100"},
                                            {"activation_min_liquidity_usd", "0"},
                                            {"refresh_requests_per_minute", REFRESH_RPM},
                                            {"screen_requests_per_minute", SCREEN_RPM},
                                            {"discover_requests_per_minute", "1"},
                                            {NULL, NULL}};
    const struct daemon_spec spec = {bench->moonwatch, folder, options};
    if (!daemon_exec(daemon, &spec, &began))
        return false;
    /* Its timeline begins by itself, so the moments of its page are not ours. */
    bool is_running =
        daemon_await_running(daemon, PATIENCE) && daemon_await_loaded(daemon, PATIENCE);
    costs->cold_ms = duration_to_s(instant_diff(clock_now(), began)) * 1e3;
    return is_running;
}

static void list_pids(const struct daemon *daemon, pid_t pids[PROCESSES])
{
    for (int i = 0; i < PROCESSES; i++)
        pids[i] = (pid_t)atomic_load(&daemon->page->processes[i].pid);
    pids[PROCESS_SUPERVISOR] = daemon->pid;
}

static uint64_t count_refreshes(const struct daemon *daemon)
{
    return atomic_load(&daemon->page->groups[0].refreshes) +
           atomic_load(&daemon->page->groups[1].refreshes);
}

static void measure_refresh(const struct daemon *daemon, double seconds, struct costs *costs)
{
    pid_t pids[PROCESSES];
    list_pids(daemon, pids);
    uint64_t before = count_refreshes(daemon);
    double cpu_s = daemon_cpu_s(daemon);
    sleep_ms(seconds * 1e3);
    uint64_t tokens = count_refreshes(daemon) - before;
    if (tokens > 0)
        costs->refresh_us = (daemon_cpu_s(daemon) - cpu_s) / (double)tokens * 1e6;
    costs->memory_mb = usage_pss_mb(pids, PROCESSES);
}

static void measure_warm_start(const struct daemon *daemon, struct costs *costs)
{
    pid_t dead = daemon_engine(daemon);
    instant killed = clock_now(), until = instant_add(killed, PATIENCE);
    kill(dead, SIGKILL);
    while (daemon_engine(daemon) == dead || daemon_engine(daemon) <= 0 ||
           daemon_engine_state(daemon) != PROCESS_RUNNING) {
        if (!instant_before(clock_now(), until))
            return;
        sleep_ms(0.2);
    }
    if (daemon_await_loaded(daemon, PATIENCE))
        costs->warm_ms = duration_to_s(instant_diff(clock_now(), killed)) * 1e3;
}

static void measure(const struct bench *bench, const struct size *size, const struct server *server,
                    struct costs *costs)
{
    char url[PATH_MAX + 16];
    struct daemon daemon = {.pid = -1};
    const char *folder = path_in(bench->folder, size->name);
    snprintf(url, sizeof url, "sqlite:%s", path_in(folder, "tokens.db"));
    if (!make_folder(folder) || !populate_crowd(url, size->tokens))
        return;
    if (start_daemon(bench, folder, server, &daemon, costs)) {
        sleep_ms(SETTLE_MS);
        daemon_await_settled(&daemon);
        measure_refresh(&daemon, bench->pace == PACE_QUICK ? 1 : 5, costs);
        measure_warm_start(&daemon, costs);
    }
    daemon_kill(&daemon);
    remove_folder(folder);
}

/* ---- figures ---- */

static void report_cost(struct report *report, const char *name, const char *unit,
                        const struct size *size, double value, const char *why)
{
    char full[64];
    snprintf(full, sizeof full, "%s at %s tokens", name, size->name);
    if (isnan(value))
        report_add_missing(report, full, unit, why);
    else
        report_add(report, full, unit)->value = value;
}

/* `why`: what has not been measured has not. */
static void report_costs(struct report *report, const struct size *size, const struct costs *costs,
                         const char *why)
{
    report_cost(report, "refresh cpu us", "us", size, costs->refresh_us, why);
    report_cost(report, "memory MB", "MB", size, costs->memory_mb, why);
    report_cost(report, "cold start ms", "ms", size, costs->cold_ms, why);
    report_cost(report, "warm start ms", "ms", size, costs->warm_ms, why);
}

void bench_growth(struct bench *bench)
{
    struct server *server = server_start(SERVER_PLAIN, -1, bench->folder);
    for (size_t i = 0; server != NULL && i < SIZES; i++) {
        struct costs costs = {NAN, NAN, NAN, NAN};
        bool is_too_long = bench->pace == PACE_QUICK && sizes[i].tokens > QUICK_TOKENS_MAX;
        if (!is_too_long)
            measure(bench, &sizes[i], server, &costs);
        report_costs(&bench->report, &sizes[i], &costs,
                     is_too_long ? "left out when quick: filling the database takes too long" : "");
    }
}
