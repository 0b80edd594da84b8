/*
 * False alarms: the whole daemon with its default deadlines against moonwatch-market, for
 * --minutes, with more tokens due than two cores can fetch. A process that was killed because it
 * "did not move" then did move, so every count is a false one. Only when asked for by its name.
 */
#include "base/clock.h"
#include "bench/bench.h"
#include "bench/daemon.h"
#include "bench/process.h"
#include <math.h>
#include <stdio.h>

#define TOKENS     "30000"
#define PATIENCE   duration_s(30)
#define STEP_MS    1000
#define TOLD_EVERY 60 /* steps */

struct tally {
    double loop_lag_max_s;
    uint64_t steps, requests;
};

static pid_t start_market(const struct bench *bench, unsigned port)
{
    char number[16];
    const char *folder = path_in(bench->folder, "market");
    const char *const argv[] = {bench->market, "--port", number,          "--tokens", TOKENS,
                                "--rpm",       "0",      "--replay-rate", "2000",     NULL};
    snprintf(number, sizeof number, "%u", port);
    return process_has_built(bench->market) && make_folder(folder) ? process_run(folder, argv) : -1;
}

static bool start_daemon(const struct bench *bench, unsigned port, struct daemon *out)
{
    char feed[64], source[64];
    snprintf(feed, sizeof feed, "http://127.0.0.1:%u", port);
    snprintf(source, sizeof source, "ws://127.0.0.1:%u/api/data", port);
    const struct daemon_option options[] = {{"db", "sqlite:soak.db"},
                                            {"feed", feed},
                                            {"source", source},
                                            {"listen", "127.0.0.1:0"},
                                            {"state_dir", path_in(bench->folder, "state")},
                                            {"hot_interval_sec", "1"},
                                            {"cold_interval_sec", "1"},
                                            {"refresh_requests_per_minute", "1000000"},
                                            {"screen_requests_per_minute", "1000000"},
                                            {"discover_requests_per_minute", "1000000"},
                                            {NULL, NULL}};
    const struct daemon_spec spec = {bench->moonwatch, bench->folder, options};
    return daemon_start(out, &spec);
}

static uint64_t count_requests(const struct daemon *daemon)
{
    uint64_t sum = 0;
    for (int i = 0; i < PAGE_LANES; i++)
        sum += atomic_load(&daemon->page->lanes[i].requests);
    return sum;
}

static void watch(const struct bench *bench, const struct daemon *daemon, struct tally *tally)
{
    instant until = instant_add(clock_now(), duration_s(60 * bench->minutes));
    while (instant_before(clock_now(), until)) {
        sleep_ms(STEP_MS);
        double lag = page_get(daemon->page, GAUGE_LOOP_LAG);
        tally->loop_lag_max_s = fmax(tally->loop_lag_max_s, isnan(lag) ? 0 : lag);
        tally->requests = count_requests(daemon);
        if (++tally->steps % TOLD_EVERY != 0)
            continue;
        printf("  after %llu min: %llu requests, hangs %llu, worst loop lag %.0f ms\n",
               (unsigned long long)tally->steps / TOLD_EVERY, (unsigned long long)tally->requests,
               (unsigned long long)daemon_counter(daemon, COUNTER_HANGS),
               tally->loop_lag_max_s * 1e3);
        fflush(stdout);
    }
}

static void report_soak(struct bench *bench, const struct daemon *daemon, const struct tally *tally)
{
    struct figure *figure = report_add(&bench->report, "soak.false_alarms", "hangs");
    figure->value = (double)daemon_counter(daemon, COUNTER_HANGS);
    figure->bar_kind = BAR_VALUE_MOST;
    figure->bar = 0;
    snprintf(figure->note, sizeof figure->note, "in %.1f minutes, at %.0f requests a second",
             bench->minutes, (double)tally->requests / ((double)tally->steps * STEP_MS / 1e3));
    report_add(&bench->report, "soak.loop_lag_max", "ms")->value = tally->loop_lag_max_s * 1e3;
}

void bench_soak(struct bench *bench)
{
    struct tally tally = {0};
    struct daemon daemon;
    unsigned port = process_free_port();
    pid_t market = start_market(bench, port);
    if (market > 0 && start_daemon(bench, port, &daemon)) {
        if (daemon_await_running(&daemon, PATIENCE))
            watch(bench, &daemon, &tally);
        report_soak(bench, &daemon, &tally);
        daemon_kill(&daemon);
    }
    process_kill(market);
}
