/*
 * The whole path per core: tokens answered in a CPU second of all our processes (receive, parse,
 * decide, score, store), against the bare program (bare.c) that receives the same bodies from the
 * same upstream (server.h), parses them and appends a row a token, and does nothing else.
 *
 * Pinned alike: the upstream and this driver on one CPU, what is measured on another. Both run flat
 * out: the daemon has more tokens due than it can ask for (targets of a second) and budgets that
 * never bind; the bare program always has a request under way on each connection. Rounds are
 * interleaved, and compared one by one: a machine is not as fast in one second as in the next. The
 * daemon is paused while the bare program runs. Its tokens are its own count of refreshes, read
 * when it has just published it.
 *
 *   screen    30 tokens a request, the main pool of each: 30 pairs
 *   refresh   30 pools a request, all those of 8.8 tokens
 *   mix       as many of the one as of the other: 38.8 tokens and 60 pairs in two requests. That is
 *             3.4 cold tokens to a hot one: what a tenth of hot tokens at 15 s and the others at
 *             45 s come to, nearly. The bars are for this.
 */
#include "base/clock.h"
#include "bench/answers.h"
#include "bench/bench.h"
#include "bench/crowd.h"
#include "bench/daemon.h"
#include "bench/populate.h"
#include "bench/process.h"
#include "bench/server.h"
#include "core/token_table.h"
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS      600000 /* of each kind more than anybody refreshes in a second */
#define TOKENS_TEXT "600000"
/* A token is asked for every 4 s or so; its market goes on by 40 s meanwhile, as between two
 * refreshes at 15 and 45 s. */
#define MOMENT_MS     1500
#define PATIENCE      duration_s(30)
#define WARM_PATIENCE duration_s(120) /* at full speed it takes ten seconds */
#define SETTLE_MS     700  /* after a change: connections are busy, the store has caught up */
#define PUBLISH_STEPS 6000 /* of half a millisecond: it publishes once a second */
#define PLENTY        "100000000" /* requests a minute */
#define NEXT_TO_NONE  "1"
#define BARE_WARM_S   "0.2"
#define LINE_SIZE     256

enum kind { SCREEN, REFRESH, MIX, KIND_COUNT };

static const char *const kind_names[KIND_COUNT] = {"screen", "refresh", "mix"};

struct transport {
    const char *name, *bare_name; /* "plain" */
    enum server_kind kind;
    double bar; /* of the mix */
    struct server *server;
    struct daemon daemon;
    struct sample ours[KIND_COUNT], bare[KIND_COUNT]; /* tokens a CPU second */
    struct sample ratios[KIND_COUNT];                 /* of each round */
    double hot_share, snapshot_share;                 /* of the daemon's tokens in the mix */
    double upstream_busy;                             /* CPU of its own, at most */
};

struct cpus {
    int upstream, measured; /* −1: anywhere */
};

/* What is counted, at one moment. */
struct reading {
    uint64_t hot, tokens, snapshots;
    double cpu_s, wall_s, upstream_s;
    pid_t engine;
};

/* ---- pinning ---- */

static struct cpus choose_cpus(void)
{
    struct cpus cpus = {-1, -1};
    cpu_set_t set;
    CPU_ZERO(&set);
    sched_getaffinity(0, sizeof set, &set);
    for (int i = 0; i < CPU_SETSIZE && cpus.measured < 0; i++) {
        if (!CPU_ISSET((size_t)i, &set))
            continue;
        *(cpus.upstream < 0 ? &cpus.upstream : &cpus.measured) = i;
    }
    return cpus.measured < 0 ? (struct cpus){-1, -1} : cpus;
}

static void move_to(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (cpu >= 0)
        sched_setaffinity(0, sizeof set, &set);
}

/* ---- the daemon ---- */

static bool start_daemon(const struct bench *bench, struct transport *transport, struct cpus cpus)
{
    char feed[64], database[64];
    bool is_tls = transport->kind == SERVER_TLS_GZIP;
    const char *folder = path_in(bench->folder, transport->name);
    snprintf(feed, sizeof feed, "%s://127.0.0.1:%u", is_tls ? "https" : "http",
             server_port(transport->server));
    snprintf(database, sizeof database, "sqlite:%s.db", path_in(folder, "tokens"));
    if (!make_folder(folder) || !populate_crowd(database, TOKENS))
        return false;
    /* Statuses stay as they are, so that the mix does: cold tokens have one pool and no score that
     * is enough; and nobody is asked for all its pools. */
    const struct daemon_option options[] = {{"db", database},
                                            {"feed", feed},
                                            {"source", "none"},
                                            {"listen", "127.0.0.1:0"},
                                            {"state_dir", path_in(folder, "state")},
                                            {"tls_ca_file", server_certificate(transport->server)},
                                            {"hot_interval_sec", "1"},
                                            {"cold_interval_sec", "1"},
                                            {"min_score", "100"},
                                            {"activation_min_liquidity_usd", "0"},
                                            {"discover_requests_per_minute", NEXT_TO_NONE},
                                            {NULL, NULL}};
    const struct daemon_spec spec = {bench->moonwatch, folder, options};
    move_to(cpus.measured);
    bool started = daemon_start(&transport->daemon, &spec) &&
                   daemon_await_running(&transport->daemon, PATIENCE);
    move_to(cpus.upstream);
    return started && daemon_ask(&transport->daemon, COMMAND_PAUSE);
}

static bool set_kind(const struct daemon *daemon, enum kind kind)
{
    return daemon_set(daemon, "screen_requests_per_minute",
                      kind == REFRESH ? NEXT_TO_NONE : PLENTY) &&
           daemon_set(daemon, "refresh_requests_per_minute",
                      kind == SCREEN ? NEXT_TO_NONE : PLENTY);
}

static uint64_t refreshes(const struct daemon *daemon, enum token_group group)
{
    return atomic_load(&daemon->page->groups[group].refreshes);
}

/* When it has just published its counters. */
static struct reading read_daemon(const struct transport *transport)
{
    const struct daemon *daemon = &transport->daemon;
    uint64_t steps = daemon_counter(daemon, COUNTER_STEPS);
    for (int i = 0; i < PUBLISH_STEPS && daemon_counter(daemon, COUNTER_STEPS) == steps; i++)
        sleep_ms(0.5);
    sleep_ms(0.5); /* it publishes one after the other */
    struct reading reading = {.cpu_s = daemon_cpu_s(daemon),
                              .wall_s = duration_to_s(instant_diff(clock_now(), INSTANT_NEVER)),
                              .upstream_s = server_cpu_s(transport->server),
                              .hot = refreshes(daemon, GROUP_HOT),
                              .snapshots = daemon_counter(daemon, COUNTER_SNAPSHOTS),
                              .engine = daemon_engine(daemon)};
    reading.tokens = reading.hot + refreshes(daemon, GROUP_COLD);
    return reading;
}

/* A token's first answer makes a snapshot and a list of pools, the next ones as a rule neither:
 * what is measured is how it goes on, so each is answered three times before. */
static bool warm_up(const struct transport *transport)
{
    const struct daemon *daemon = &transport->daemon;
    instant deadline = instant_add(clock_now(), WARM_PATIENCE);
    if (!set_kind(daemon, MIX) || !daemon_ask(daemon, COMMAND_RESUME))
        return false;
    /* A refresh is an answer about a token that had one before. */
    while (refreshes(daemon, GROUP_HOT) + refreshes(daemon, GROUP_COLD) < 2 * TOKENS &&
           instant_before(clock_now(), deadline))
        sleep_ms(50);
    return daemon_ask(daemon, COMMAND_PAUSE) && instant_before(clock_now(), deadline);
}

/* Tokens a CPU second over `seconds` and what is left of the last one, since it publishes its
 * counters once a second. NaN: it failed. */
static double measure_daemon(struct transport *transport, enum kind kind, double seconds)
{
    const struct daemon *daemon = &transport->daemon;
    if (!set_kind(daemon, kind) || !daemon_ask(daemon, COMMAND_RESUME))
        return NAN;
    sleep_ms(SETTLE_MS);
    struct reading before = read_daemon(transport);
    sleep_ms(seconds * 1e3);
    struct reading after = read_daemon(transport);
    daemon_ask(daemon, COMMAND_PAUSE);
    sleep_ms(SETTLE_MS);
    double tokens = (double)(after.tokens - before.tokens);
    double busy = (after.upstream_s - before.upstream_s) / (after.wall_s - before.wall_s);
    if (before.engine != after.engine || !(tokens > 0))
        return NAN;
    transport->upstream_busy = fmax(transport->upstream_busy, busy);
    if (kind == MIX) {
        transport->hot_share = (double)(after.hot - before.hot) / tokens;
        transport->snapshot_share = (double)(after.snapshots - before.snapshots) / tokens;
    }
    return tokens / (after.cpu_s - before.cpu_s);
}

/* ---- the bare program ---- */

static void await_end(pid_t pid)
{
    while (kill(pid, 0) == 0)
        sleep_ms(2);
}

/* Of a file's first line; empty when there is none. */
static void read_line(const char *path, char out[LINE_SIZE])
{
    FILE *file = fopen(path, "r");
    if (file == NULL || fgets(out, LINE_SIZE, file) == NULL)
        out[0] = '\0';
    if (file != NULL)
        fclose(file);
}

/* Tokens a CPU second; NaN: it failed, its log says why. */
static double read_result(const char *path)
{
    char line[LINE_SIZE], *at = line;
    read_line(path, line);
    if (line[0] == '\0')
        return NAN;
    double tokens = strtod(at, &at);
    strtod(at, &at); /* pairs */
    strtod(at, &at); /* requests */
    return tokens / strtod(at, NULL);
}

static void complain(const char *log)
{
    char line[LINE_SIZE];
    read_line(log, line);
    fprintf(stderr, "bench: the bare program failed: %s\n", line);
}

static double measure_bare(const struct bench *bench, const struct transport *transport,
                           enum kind kind, struct cpus cpus, double seconds)
{
    char port[16], time[16];
    const char *folder = path_in(bench->folder, "bare");
    snprintf(port, sizeof port, "%u", server_port(transport->server));
    snprintf(time, sizeof time, "%g", seconds);
    const char *const argv[] = {bench->bare, port, transport->bare_name, kind_names[kind],
                                BARE_WARM_S, time, TOKENS_TEXT,          "rows.db",
                                "result",    NULL};
    if (!process_has_built(bench->bare) || !make_folder(folder))
        return NAN;
    move_to(cpus.measured);
    pid_t pid = process_run(folder, argv);
    move_to(cpus.upstream);
    if (pid > 0)
        await_end(pid);
    double result = read_result(path_in(folder, "result"));
    if (isnan(result))
        complain(path_in(folder, "log"));
    remove_folder(folder);
    return result;
}

/* ---- figures ---- */

static void report_kind(struct report *report, const struct transport *transport, enum kind kind,
                        struct cpus cpus)
{
    char name[64], bare[64];
    snprintf(name, sizeof name, "path %s, %s", transport->name, kind_names[kind]);
    snprintf(bare, sizeof bare, "path %s, %s, bare", transport->name, kind_names[kind]);
    report_add_sample(report, bare, "tokens/CPU s", &transport->bare[kind]);
    struct figure *figure = report_add_sample(report, name, "tokens/CPU s", &transport->ours[kind]);
    figure_compare(figure, report, bare);
    figure->ratio = sample_median(&transport->ratios[kind]);
    if (kind != MIX)
        return;
    figure->bar_kind = BAR_RATIO_LEAST;
    figure->bar = transport->bar;
    snprintf(
        figure->note, sizeof figure->note,
        "%.0f bytes a pair; %.0f %% of the tokens hot, %.0f %% made a snapshot; the upstream at "
        "most %.0f %% busy, %s",
        server_pair_bytes(transport->server), 100 * transport->hot_share,
        100 * transport->snapshot_share, 100 * transport->upstream_busy,
        cpus.measured < 0 ? "on the same CPU" : "on a CPU of its own");
}

static void run_rounds(const struct bench *bench, struct transport *transport, enum kind kind,
                       struct cpus cpus)
{
    bool is_quick = bench->pace == PACE_QUICK;
    int rounds = kind == MIX ? bench_rounds(bench, 5, 2) : bench_rounds(bench, 2, 1);
    for (int i = 0; i < rounds; i++) {
        double bare = measure_bare(bench, transport, kind, cpus, is_quick ? 0.5 : 2);
        double ours = measure_daemon(transport, kind, is_quick ? 0 : 2);
        sample_add(&transport->bare[kind], bare);
        sample_add(&transport->ours[kind], ours);
        sample_add(&transport->ratios[kind], ours / bare);
    }
}

static void run_transport(struct bench *bench, struct transport *transport, struct cpus cpus)
{
    transport->server = server_start(transport->kind, cpus.upstream, bench->folder);
    if (transport->server == NULL)
        return;
    if (start_daemon(bench, transport, cpus) && warm_up(transport))
        for (enum kind kind = SCREEN; kind < KIND_COUNT; kind++)
            run_rounds(bench, transport, kind, cpus);
    daemon_kill(&transport->daemon);
    for (enum kind kind = SCREEN; kind < KIND_COUNT; kind++)
        report_kind(&bench->report, transport, kind, cpus);
}

void bench_path(struct bench *bench)
{
    static struct transport transports[] = {
        {.name = "plain", .bare_name = "plain", .kind = SERVER_PLAIN, .bar = 0.5},
        {.name = "TLS and gzip", .bare_name = "tls", .kind = SERVER_TLS_GZIP, .bar = 0.6}};
    struct cpus cpus = choose_cpus();
    cpu_set_t before;
    sched_getaffinity(0, sizeof before, &before);
    move_to(cpus.upstream);
    answers_set_moment_ms(MOMENT_MS);
    for (size_t i = 0; i < sizeof transports / sizeof transports[0]; i++)
        run_transport(bench, &transports[i], cpus);
    answers_set_moment_ms(ANSWERS_MOMENT_MS);
    sched_setaffinity(0, sizeof before, &before);
}
