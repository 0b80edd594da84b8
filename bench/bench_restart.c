/*
 * kill -9 of a worker → the next one's main(), under each supervisor of peers.c.
 *
 * In a round every supervisor is started anew, so that each death is its first; all of them idle
 * side by side until their workers are older than any of them punishes, and are killed in turn,
 * the bare one's and ours next to each other. Rounds begin at another peer each. Idle CPUs are kept
 * awake meanwhile: it is the supervisors that are compared.
 *
 * The second measurement kills the worker a tenth of a second after its start, the first time.
 */
#include "bench/bench.h"
#include "bench/peers.h"
#include "bench/process.h"
#include <signal.h>
#include <stdio.h>
#include <string.h>

#define COPIES_MAX        5
#define START_MS          15000
#define SETTLE_MS         1500 /* runit and s6 hold back a second start within a second */
#define BETWEEN_MS        20
#define YOUNG_MS          100
#define NO_WAIT_MS        10 /* nobody who waits on purpose waits less */
#define YOUNG_PATIENCE_MS 3000
#define RATIO_BAR         1.5
#define ROUNDS_FULL       12
#define ROUNDS_QUICK      3
#define YOUNG_FULL        8
#define YOUNG_QUICK       2

struct race {
    struct bench *bench;
    const char *missing[PEER_COUNT]; /* NULL: takes part */
    struct peer_run runs[PEER_COUNT][COPIES_MAX];
    struct sample samples[PEER_COUNT];
};

static struct race race;

static bool start_run(int peer, int copy)
{
    char name[64];
    struct peer_run *run = &race.runs[peer][copy];
    snprintf(name, sizeof name, "%s-%d", peer_row(peer)->name, copy);
    const char *folder = path_in(race.bench->folder, name);
    remove_folder(folder);
    return peer_start(peer_row(peer), folder, race.bench->worker, run);
}

static void start_all(void)
{
    for (int peer = 0; peer < PEER_COUNT; peer++)
        for (int copy = 0; copy < peer_row(peer)->copies && race.missing[peer] == NULL; copy++)
            if (!start_run(peer, copy))
                race.missing[peer] = "not available here: it does not start";
}

/* One that has been measured before is only slow this time: it sits out the round. */
static void await_all(void)
{
    for (int peer = 0; peer < PEER_COUNT; peer++)
        for (int copy = 0; copy < peer_row(peer)->copies && race.missing[peer] == NULL; copy++)
            if (!stamps_await(race.runs[peer][copy].stamps, 0, START_MS) &&
                race.samples[peer].count == 0)
                race.missing[peer] = "not available here: it does not start the worker";
}

static void stop_all(void)
{
    for (int peer = 0; peer < PEER_COUNT; peer++)
        for (int copy = 0; copy < peer_row(peer)->copies; copy++)
            if (race.runs[peer][copy].stamps != NULL)
                peer_stop(&race.runs[peer][copy]);
}

static void kill_copy(int peer, int copy)
{
    if (race.missing[peer] != NULL || copy >= peer_row(peer)->copies)
        return;
    sample_add(&race.samples[peer],
               peer_signal_worker(peer_row(peer), &race.runs[peer][copy], SIGKILL));
    sleep_ms(BETWEEN_MS);
}

static void run_round(int round)
{
    start_all();
    await_all();
    sleep_ms(SETTLE_MS);
    for (int copy = 0; copy < COPIES_MAX; copy++)
        for (int i = 0; i < PEER_COUNT; i++)
            kill_copy((i + round + copy) % PEER_COUNT, copy);
    stop_all();
}

static void kill_young(int peer)
{
    struct peer impatient = *peer_row(peer);
    struct peer_run *run = &race.runs[peer][0];
    if (race.missing[peer] != NULL || !start_run(peer, 0))
        return;
    impatient.patience_ms = YOUNG_PATIENCE_MS;
    if (stamps_await(run->stamps, 0, START_MS)) {
        sleep_ms(YOUNG_MS);
        sample_add(&race.samples[peer], peer_signal_worker(&impatient, run, SIGKILL));
    }
    peer_stop(run);
}

/* Those that are compared closely more often. */
static void run_young_round(int round)
{
    for (int i = 0; i < PEER_COUNT; i++) {
        int peer = (i + round) % PEER_COUNT;
        for (int k = 0; k < (peer == PEER_BARE || peer == PEER_OURS ? COPIES_MAX : 1); k++)
            kill_young(peer);
    }
}

/* ---- figures ---- */

static struct figure *report_peer(const char *prefix, int peer)
{
    char name[64], bare[64];
    struct report *report = &race.bench->report;
    snprintf(name, sizeof name, "%s.%s", prefix, peer_row(peer)->name);
    snprintf(bare, sizeof bare, "%s.%s", prefix, peer_row(PEER_BARE)->name);
    if (race.missing[peer] != NULL)
        return report_add_missing(report, name, "ms", race.missing[peer]);
    struct figure *figure = report_add_sample(report, name, "ms", &race.samples[peer]);
    if (peer != PEER_BARE)
        figure_compare(figure, report, bare);
    return figure;
}

static void report_settled(int peer)
{
    struct figure *figure = report_peer("restart", peer);
    if (peer != PEER_OURS)
        return;
    figure->bar_kind = BAR_RATIO_MOST;
    figure->bar = RATIO_BAR;
}

static void report_young(int peer)
{
    struct figure *figure = report_peer("restart_young", peer);
    if (race.missing[peer] == NULL && race.samples[peer].count == 0)
        snprintf(figure->note, sizeof figure->note, "not back within %d s",
                 YOUNG_PATIENCE_MS / 1000);
    if (peer != PEER_OURS)
        return;
    figure->bar_kind = BAR_VALUE_MOST;
    figure->bar = NO_WAIT_MS;
}

static void report_all(void (*report_one)(int peer))
{
    for (int peer = 0; peer < PEER_COUNT; peer++)
        report_one(peer);
    memset(race.samples, 0, sizeof race.samples);
}

void bench_restart(struct bench *bench)
{
    race = (struct race){.bench = bench};
    for (int peer = 0; peer < PEER_COUNT; peer++)
        race.missing[peer] = peer_missing(peer_row(peer));
    for (int round = 0; round < bench_rounds(bench, ROUNDS_FULL, ROUNDS_QUICK); round++)
        run_round(round);
    report_all(report_settled);
    for (int round = 0; round < bench_rounds(bench, YOUNG_FULL, YOUNG_QUICK); round++)
        run_young_round(round);
    report_all(report_young);
}
