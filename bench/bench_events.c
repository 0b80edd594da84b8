/*
 * A thousand clients that listen to everything, log lines too, while 10,000 tokens are kept fresh:
 * a quarter of them hot at 15 s, the others cold at 45 s, about 330 refreshes a second, each an
 * event of 900 bytes for everybody. What is measured is what each of them waits for each event,
 * from when the engine had the answer of the upstream to the last byte at the client; whether any
 * missed one; whether tokens stay on time; and what somebody else waits for /health meanwhile.
 *
 * Daemon, upstream and listeners share the machine: 300 MB/s go through its loopback.
 */
#include "base/clock.h"
#include "bench/bench.h"
#include "bench/client.h"
#include "bench/crowd.h"
#include "bench/daemon.h"
#include "bench/listeners.h"
#include "bench/populate.h"
#include "bench/process.h"
#include "bench/server.h"
#include "bench/usage.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS    10000
#define LISTENERS 1000
#define PATIENCE  duration_s(60)
#define HEALTH_MS 20

struct seconds {
    double warm_up, measured;
};

static const struct seconds plans[] = {[PACE_FULL] = {50, 60}, [PACE_QUICK] = {5, 15}};

struct count {
    double answers, on_time, api_cpu_s;
    instant at;
};

struct run {
    struct bench *bench;
    struct server *server;
    struct daemon daemon;
    struct listeners *listeners;
    struct client *client;
    struct count first, last;
};

static bool start_daemon(struct run *run)
{
    char feed[64];
    snprintf(feed, sizeof feed, "http://127.0.0.1:%u", server_port(run->server));
    const struct daemon_option options[] = {{"db", "sqlite:events.db"},
                                            {"feed", feed},
                                            {"source", "none"},
                                            {"listen", "127.0.0.1:0"},
                                            {"state_dir", path_in(run->bench->folder, "state")},
                                            {"refresh_requests_per_minute", "100000"},
                                            {"screen_requests_per_minute", "100000"},
                                            {"min_score", "100"},
                                            {"activation_min_liquidity_usd", "0"},
                                            {NULL, NULL}};
    const struct daemon_spec spec = {run->bench->moonwatch, run->bench->folder, options};
    return daemon_start(&run->daemon, &spec) && daemon_await_running(&run->daemon, PATIENCE) &&
           daemon_await_loaded(&run->daemon, PATIENCE);
}

static void count(const struct run *run, struct count *out)
{
    const struct status_page *page = run->daemon.page;
    const pid_t api = (pid_t)atomic_load(&page->processes[PROCESS_API].pid);
    *out = (struct count){.at = clock_now(), .api_cpu_s = usage_cpu_s(&api, 1)};
    for (int i = 0; i < 2; i++) { /* hot and cold */
        out->answers += (double)atomic_load(&page->groups[i].refreshes);
        out->on_time += (double)atomic_load(&page->groups[i].refreshes_on_time);
    }
}

/* ---- figures ---- */

static struct figure *add(struct run *run, const char *name, const char *unit, double value)
{
    struct figure *figure = report_add(&run->bench->report, name, unit);
    figure->value = value;
    return figure;
}

static void set_bar(struct figure *figure, enum bar_kind kind, double bar)
{
    figure->bar_kind = kind;
    figure->bar = bar;
}

static void report_run(struct run *run, const struct listeners_heard *heard)
{
    double seconds = duration_to_s(instant_diff(run->last.at, run->first.at));
    double answers = run->last.answers - run->first.answers;
    double dropped = (double)daemon_counter(&run->daemon, COUNTER_EVENT_CLIENTS_DROPPED);
    struct figure *figure = add(run, "events.delay_max", "ms", heard->worst_ms);
    set_bar(figure, BAR_VALUE_MOST, 1000);
    snprintf(figure->note, sizeof figure->note,
             "of %.1f million deliveries to %d clients; median %.0f, p99 %.0f",
             (double)heard->deliveries / 1e6, LISTENERS, heard->median_ms, heard->p99_ms);
    figure = add(run, "events.wrong", "events", (double)heard->wrong);
    set_bar(figure, BAR_VALUE_MOST, 0);
    snprintf(figure->note, sizeof figure->note, "missed, twice, or not the same for all");
    figure = add(run, "events.lost_clients", "clients", (double)heard->ended + dropped);
    set_bar(figure, BAR_VALUE_MOST, 0);
    figure =
        add(run, "events.on_time", "%", 100 * (run->last.on_time - run->first.on_time) / answers);
    set_bar(figure, BAR_VALUE_LEAST, 99.9);
    snprintf(figure->note, sizeof figure->note, "%d tokens, %.0f refreshes/s, %.0f s", TOKENS,
             answers / seconds, seconds);
    figure = add(run, "events.health", "ms", client_quantile(run->client, 0.99));
    snprintf(figure->note, sizeof figure->note,
             "p99 of %zu answers of /health meanwhile; median %.2f, worst %.1f; %zu failed",
             client_count(run->client), client_quantile(run->client, 0.5),
             client_quantile(run->client, 1), client_failures(run->client));
    add(run, "events.rate", "events/s", (double)heard->events / seconds);
    add(run, "events.sent", "MB/s", heard->bytes / seconds / 1e6);
    add(run, "events.cpu", "cores", (run->last.api_cpu_s - run->first.api_cpu_s) / seconds);
}

/* ---- the run ---- */

static bool prepare(struct run *run)
{
    char url[PATH_MAX + 16];
    snprintf(url, sizeof url, "sqlite:%s", path_in(run->bench->folder, "events.db"));
    run->server = server_start(SERVER_PLAIN, -1, run->bench->folder);
    if (run->server == NULL || !populate_crowd(url, TOKENS) || !start_daemon(run))
        return false;
    unsigned port = daemon_port(&run->daemon);
    const struct client_spec health = {port, "/health", CLIENT_KEPT, HEALTH_MS};
    run->listeners = listeners_start(port, LISTENERS);
    run->client = client_start(&health);
    return run->listeners != NULL && run->client != NULL;
}

static void measure(struct run *run)
{
    const struct seconds *seconds = &plans[run->bench->pace];
    sleep_ms(seconds->warm_up * 1e3);
    listeners_forget(run->listeners);
    client_forget(run->client);
    count(run, &run->first);
    sleep_ms(seconds->measured * 1e3);
    count(run, &run->last);
    struct listeners_heard heard = listeners_heard(run->listeners);
    report_run(run, &heard);
}

void bench_events(struct bench *bench)
{
    struct run run = {.bench = bench, .daemon = {.pid = -1}};
    if (prepare(&run))
        measure(&run);
    client_stop(run.client);
    listeners_stop(run.listeners);
    daemon_kill(&run.daemon);
}
