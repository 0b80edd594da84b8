/*
 * A hang of the real engine → its replacement at work (it has reported that it is ready).
 *
 * Stopped: from the SIGSTOP. Loop: from its last beat, after which a drill's fault keeps its loop
 * turning without end. A fresh daemon each round, so that each hang is its first, at a random
 * moment. Beside it, systemd's watchdog with the trivial worker, stopped, to the next one's main().
 */
#include "base/clock.h"
#include "base/prng.h"
#include "bench/bench.h"
#include "bench/daemon.h"
#include "bench/peers.h"
#include "bench/process.h"
#include "bench/upstream.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>

#define ROUNDS_FULL    15
#define ROUNDS_QUICK   4
#define PATIENCE       duration_s(10)
#define SETTLE_MS      200
#define SPREAD_MS      100 /* so that hangs fall anywhere between two beats */
#define SHORT_MS       50
#define SHORT_BAR_MS   75
#define DEFAULT_BAR_MS 650

struct variant {
    const char *name;
    const char *deadline_ms;
    double (*hang)(const struct daemon *daemon); /* ms until it is replaced; NaN: it is not */
    double bar_ms;
};

static double ms_between(instant from, instant to)
{
    return instant_is_never(to) ? NAN : duration_to_s(instant_diff(to, from)) * 1e3;
}

static double stop_engine(const struct daemon *daemon)
{
    instant from = clock_now();
    kill(daemon_engine(daemon), SIGSTOP);
    return ms_between(from, daemon_await_ready(daemon, from, PATIENCE));
}

/* The fault stays armed until the engine that it hit is given up, or it would hit the next. */
static instant await_last_beat(const struct daemon *daemon, instant until)
{
    const struct page_beat *beat = &daemon->page->beats[BEAT_ENGINE_LOOP];
    instant last = {(int64_t)atomic_load(&beat->at_us)};
    while (daemon_engine_state(daemon) == PROCESS_RUNNING && instant_before(clock_now(), until)) {
        last.us = (int64_t)atomic_load(&beat->at_us);
        sleep_ms(0.2);
    }
    return last;
}

static double loop_engine(const struct daemon *daemon)
{
    instant armed = clock_now();
    atomic_store(&daemon->faults->armed[FAULT_HANG], 1);
    instant from = await_last_beat(daemon, instant_add(armed, PATIENCE));
    pid_t hung = daemon_engine(daemon);
    while (daemon_engine(daemon) == hung && daemon_engine_state(daemon) == PROCESS_DYING)
        sleep_ms(0.2);
    atomic_store(&daemon->faults->armed[FAULT_HANG], 0);
    return ms_between(from, daemon_await_ready(daemon, armed, PATIENCE));
}

static const struct variant variants[] = {
    {"hang.stopped.50ms", "50", stop_engine, SHORT_BAR_MS},
    {"hang.loop.50ms", "50", loop_engine, SHORT_BAR_MS},
    {"hang.stopped.default", "500", stop_engine, DEFAULT_BAR_MS},
    {"hang.loop.default", "500", loop_engine, DEFAULT_BAR_MS},
};

#define VARIANTS (sizeof variants / sizeof variants[0])

static double run_variant(struct bench *bench, const struct variant *variant, struct prng *prng)
{
    char feed[64];
    struct daemon daemon;
    double ms = NAN;
    snprintf(feed, sizeof feed, "http://127.0.0.1:%u", upstream_port(upstream_start()));
    const struct daemon_option options[] = {{"db", "sqlite:hang.db"},
                                            {"feed", feed},
                                            {"source", "none"},
                                            {"listen", "127.0.0.1:0"},
                                            {"state_dir", path_in(bench->folder, "state")},
                                            {"heartbeat_deadline_ms", variant->deadline_ms},
                                            {NULL, NULL}};
    const struct daemon_spec spec = {bench->moonwatch, bench->folder, options};
    if (!daemon_start(&daemon, &spec))
        return NAN;
    if (daemon_await_running(&daemon, PATIENCE)) {
        sleep_ms(SETTLE_MS + SPREAD_MS * prng_unit(prng));
        ms = variant->hang(&daemon);
    }
    daemon_kill(&daemon);
    return ms;
}

/* ---- systemd's watchdog ---- */

static pid_t start_watched(struct peer_run *run)
{
    return peer_start_systemd(run, SHORT_MS);
}

static double stop_watched(struct bench *bench, struct prng *prng)
{
    struct peer watched = *peer_row(PEER_SYSTEMD);
    struct peer_run run;
    double ms = NAN;
    const char *folder = path_in(bench->folder, "systemd");
    watched.start = start_watched;
    remove_folder(folder);
    if (!peer_start(&watched, folder, bench->worker, &run))
        return NAN;
    if (stamps_await(run.stamps, 0, (int64_t)watched.patience_ms)) {
        sleep_ms(SETTLE_MS + SPREAD_MS * prng_unit(prng));
        ms = peer_signal_worker(&watched, &run, SIGSTOP);
    }
    peer_stop(&run);
    return ms;
}

/* ---- figures ---- */

static void report_variant(struct report *report, const struct variant *variant,
                           const struct sample *sample)
{
    struct figure *figure = report_add_sample(report, variant->name, "ms", sample);
    figure->bar_kind = BAR_VALUE_MOST;
    figure->bar = variant->bar_ms;
    if (variant->bar_ms == SHORT_BAR_MS)
        figure_compare(figure, report, "hang.systemd_watchdog.50ms");
}

void bench_hang(struct bench *bench)
{
    static struct sample samples[VARIANTS], systemd;
    struct prng prng;
    const char *missing = peer_missing(peer_row(PEER_SYSTEMD));
    if (upstream_start() == NULL)
        return;
    prng_seed(&prng, 1);
    for (int round = 0; round < bench_rounds(bench, ROUNDS_FULL, ROUNDS_QUICK); round++) {
        for (size_t i = 0; i < VARIANTS; i++)
            sample_add(&samples[i], run_variant(bench, &variants[i], &prng));
        if (missing == NULL)
            sample_add(&systemd, stop_watched(bench, &prng));
    }
    if (missing != NULL)
        report_add_missing(&bench->report, "hang.systemd_watchdog.50ms", "ms", missing);
    else
        report_add_sample(&bench->report, "hang.systemd_watchdog.50ms", "ms", &systemd);
    for (size_t i = 0; i < VARIANTS; i++)
        report_variant(&bench->report, &variants[i], &samples[i]);
}
