/*
 * A million tokens kept fresh: a tenth of them hot at 15 s with 3.4 pools each, the others cold at
 * 45 s with their main pool, about 27,000 refreshes a second in 1,400 requests, over plain HTTP
 * from an upstream on the same CPUs (server.h: bodies of 1.3 kB a pair, as DexScreener writes
 * them). All defaults but the upstream's limits, the intervals of this text, and what makes the
 * crowd hot and cold: active tokens alone are hot (min_score), and every pool that counts makes
 * active (activation_min_liquidity_usd).
 *
 * Meanwhile clients ask for /health ten times a second and for /tokens?limit=100 twice a second,
 * over connections that are kept and over new ones, and once a second for how fresh all is, for
 * a search, and now and then for the whole list as CSV.
 *
 * On time is what the daemon counts as such: the next answer within 1.1 × the interval of the one
 * before. Memory is the PSS of its three processes, the largest of the looks every ten seconds.
 *
 * `million`: two minutes after one of warm-up; quick: a tenth of the tokens at ten times the pace,
 * so the same refreshes a second, for a quarter of a minute. `million_long`, only when named:
 * --minutes (ten are meant) after two of warm-up, under the same names.
 *
 * `nodes`: the same crowd shared by two nodes on a PostgreSQL server of our own, all on the same
 * CPUs, and nobody who asks; each node fetches half and follows the other half.
 */
#include "base/clock.h"
#include "bench/bench.h"
#include "bench/client.h"
#include "bench/crowd.h"
#include "bench/daemon.h"
#include "bench/database.h"
#include "bench/populate.h"
#include "bench/process.h"
#include "bench/server.h"
#include "bench/usage.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define HOT_EVERY 10
#define PATIENCE  duration_s(60)
#define LOOK_MS   1000
#define PSS_EVERY                                                                                  \
    10 /* looks; it takes the kernel some milliseconds of the daemon's page tables                 \
        */
#define PROCESSES 3
#define NODES_MAX 2

/* What is asked meanwhile, every so many milliseconds: primes, since clients know nothing of each
 * other. At 100, 500 and 1,000 each tenth question came in one moment with all the others. */
#define ASKING_LIST(X)                                                                             \
    X(ASK_HEALTH_KEPT, "/health", CLIENT_KEPT, 97)                                                 \
    X(ASK_HEALTH_NEW, "/health", CLIENT_NEW, 103)                                                  \
    X(ASK_TOKENS_KEPT, "/tokens?limit=100", CLIENT_KEPT, 499)                                      \
    X(ASK_TOKENS_NEW, "/tokens?limit=100", CLIENT_NEW, 509)                                        \
    X(ASK_FRESHNESS, "/health/freshness", CLIENT_KEPT, 997)                                        \
    X(ASK_SEARCH, "/tokens?limit=50&search=frog", CLIENT_KEPT, 1009)

enum asking {
#define X(code, path, kind, interval_ms) code,
    ASKING_LIST(X)
#undef X
        ASKING_COUNT
};

struct plan {
    uint32_t tokens;
    double hot_s, cold_s;
    double warm_up_s, measured_s;
    unsigned nodes; /* 0: one daemon alone, on SQLite */
};

static const struct plan plans[] = {
    [PACE_FULL] = {1000000, 15, 45, 60, 120, 0},
    [PACE_QUICK] = {100000, 1.5, 4.5, 8, 15, 0},
};
static const struct plan long_plan = {1000000, 15, 45, 120, NAN, 0};
static const struct plan shared_plans[] = {
    [PACE_FULL] = {1000000, 15, 45, 120, 120, 2},
    [PACE_QUICK] = {100000, 15, 45, 30, 30, 2},
};

/* Counted by the daemon, and by us. */
struct count {
    double answers, on_time, requests, received_bytes, rows, cpu_s, upstream_cpu_s, database_cpu_s;
    instant at;
};

struct run {
    struct bench *bench;
    const struct plan *plan;
    struct server *server;
    unsigned daemon_count;
    struct daemon daemons[NODES_MAX];
    struct database *database; /* NULL: a file */
    struct client *clients[ASKING_COUNT];
    struct count first, last;
    double pss_mb, alone_mb, lag_ms, wal_mb, deferred;
};

/* ---- the daemon ---- */

static void write_url(const struct run *run, unsigned n, char out[PATH_MAX])
{
    char node[32];
    snprintf(node, sizeof node, "&node=n%u", n + 1);
    if (run->plan->nodes == 0)
        snprintf(out, PATH_MAX, "sqlite:million.db");
    else
        database_url(run->database, node, out, PATH_MAX);
}

static bool start_daemon(struct run *run, unsigned n)
{
    char feed[64], hot[32], cold[32], url[PATH_MAX], state[16], folder[PATH_MAX];
    snprintf(state, sizeof state, "state%u", n);
    snprintf(folder, sizeof folder, "%s", path_in(run->bench->folder, n == 0 ? "." : "second"));
    write_url(run, n, url);
    snprintf(feed, sizeof feed, "http://127.0.0.1:%u", server_port(run->server));
    snprintf(hot, sizeof hot, "%g", run->plan->hot_s);
    snprintf(cold, sizeof cold, "%g", run->plan->cold_s);
    const struct daemon_option options[] = {{"db", url},
                                            {"feed", feed},
                                            {"source", "none"},
                                            {"listen", "127.0.0.1:0"},
                                            {"state_dir", path_in(run->bench->folder, state)},
                                            {"hot_interval_sec", hot},
                                            {"cold_interval_sec", cold},
                                            {"refresh_requests_per_minute", "1000000"},
                                            {"screen_requests_per_minute", "1000000"},
                                            {"min_score", "100"},
                                            {"activation_min_liquidity_usd", "0"},
                                            {NULL, NULL}};
    const struct daemon_spec spec = {run->bench->moonwatch, folder, options};
    struct daemon *daemon = &run->daemons[n];
    instant began;
    mkdir(folder, 0755);
    return daemon_exec(daemon, &spec, &began) && daemon_await_running(daemon, PATIENCE);
}

/* Returns how many. */
static int list_pids(const struct run *run, pid_t pids[NODES_MAX * PROCESSES])
{
    int count = 0;
    for (unsigned n = 0; n < run->daemon_count; n++) {
        const struct daemon *daemon = &run->daemons[n];
        pids[count++] = daemon->pid;
        for (int i = 0; i < PROCESSES; i++)
            if (i != PROCESS_SUPERVISOR)
                pids[count++] = (pid_t)atomic_load(&daemon->page->processes[i].pid);
    }
    return count;
}

/* ---- counting ---- */

static void add_daemon(const struct daemon *daemon, struct count *out)
{
    const struct status_page *page = daemon->page;
    out->received_bytes += (double)daemon_counter(daemon, COUNTER_BYTES_RECEIVED);
    out->rows += (double)daemon_counter(daemon, COUNTER_STORE_ROWS);
    for (int i = 0; i < 2; i++) { /* hot and cold */
        out->answers += (double)atomic_load(&page->groups[i].refreshes);
        out->on_time += (double)atomic_load(&page->groups[i].refreshes_on_time);
    }
    for (int i = 0; i < PAGE_LANES; i++)
        out->requests += (double)atomic_load(&page->lanes[i].requests);
}

static void count(const struct run *run, struct count *out)
{
    pid_t pids[NODES_MAX * PROCESSES];
    int pid_count = list_pids(run, pids);
    *out = (struct count){.at = clock_now(),
                          .cpu_s = usage_cpu_s(pids, pid_count),
                          .upstream_cpu_s = server_cpu_s(run->server)};
    if (run->database != NULL)
        out->database_cpu_s = database_cpu_s(run->database);
    for (unsigned n = 0; n < run->daemon_count; n++)
        add_daemon(&run->daemons[n], out);
}

static double megabytes_of(const struct run *run, const char *name)
{
    struct stat status;
    return stat(path_in(run->bench->folder, name), &status) == 0 ? (double)status.st_size / 1e6
                                                                 : (double)NAN;
}

static void look_at_memory(struct run *run)
{
    pid_t pids[NODES_MAX * PROCESSES];
    int pid_count = list_pids(run, pids);
    run->pss_mb = fmax(run->pss_mb, usage_pss_mb(pids, pid_count));
    run->alone_mb = fmax(run->alone_mb, usage_alone_mb(pids, pid_count));
    run->wal_mb = fmax(run->wal_mb, megabytes_of(run, "million.db-wal"));
}

static void tell(const struct run *run, unsigned n)
{
    const struct status_page *page = run->daemons[n].page;
    printf("  hot %llu, cold %llu; deferred %llu; loop lag %.1f ms; commit %.0f ms; dirty %.0f; "
           "PSS %.0f MB\n",
           (unsigned long long)atomic_load(&page->groups[0].tokens),
           (unsigned long long)atomic_load(&page->groups[1].tokens),
           (unsigned long long)(atomic_load(&page->groups[0].deferred) +
                                atomic_load(&page->groups[1].deferred)),
           page_get(page, GAUGE_LOOP_LAG) * 1e3, page_get(page, GAUGE_STORE_COMMIT_SECONDS) * 1e3,
           page_get(page, GAUGE_STORE_DIRTY), run->pss_mb);
    fflush(stdout);
}

static void look(struct run *run)
{
    double deferred = 0;
    for (unsigned n = 0; n < run->daemon_count; n++) {
        const struct status_page *page = run->daemons[n].page;
        run->lag_ms = fmax(run->lag_ms, page_get(page, GAUGE_LOOP_LAG) * 1e3);
        for (int i = 0; i < 2; i++)
            deferred += (double)atomic_load(&page->groups[i].deferred);
    }
    run->deferred = fmax(run->deferred, deferred);
}

static void pass(struct run *run, double seconds)
{
    instant until = instant_add(clock_now(), duration_s(seconds));
    for (int looks = 0; instant_before(clock_now(), until); looks++) {
        sleep_ms(LOOK_MS);
        look(run);
        if (looks % PSS_EVERY != 0)
            continue;
        look_at_memory(run);
        for (unsigned n = 0; n < run->daemon_count; n++)
            tell(run, n);
    }
}

/* ---- clients ---- */

static bool start_clients(struct run *run)
{
    unsigned port = daemon_port(&run->daemons[0]);
    const struct client_spec specs[ASKING_COUNT] = {
#define X(code, path, kind, interval_ms) [code] = {port, path, kind, interval_ms},
        ASKING_LIST(X)
#undef X
    };
    for (int i = 0; i < ASKING_COUNT; i++)
        if (port == 0 || (run->clients[i] = client_start(&specs[i])) == NULL)
            return false;
    return true;
}

static void forget(struct run *run)
{
    for (int i = 0; i < ASKING_COUNT; i++)
        if (run->clients[i] != NULL)
            client_forget(run->clients[i]);
    run->pss_mb = run->alone_mb = run->lag_ms = run->wal_mb = run->deferred = 0;
}

/* ---- figures ---- */

static struct figure *add(struct run *run, const char *name, const char *unit, double value)
{
    struct figure *figure = report_add(&run->bench->report, name, unit);
    figure->value = value;
    snprintf(figure->note, sizeof figure->note, "%u tokens, %.0f s", run->plan->tokens,
             run->plan->measured_s);
    return figure;
}

static void set_bar(struct figure *figure, enum bar_kind kind, double bar)
{
    figure->bar_kind = kind;
    figure->bar = bar;
}

static void report_asking(struct run *run, const char *name, enum asking asking, double bar)
{
    struct client *client = run->clients[asking];
    struct figure *figure = add(run, name, "ms", client_quantile(client, 0.99));
    if (bar > 0)
        set_bar(figure, BAR_VALUE_MOST, bar);
    snprintf(figure->note, sizeof figure->note,
             "p99 of %zu answers; median %.2f, worst %.1f; %zu failed; %zu bytes",
             client_count(client), client_quantile(client, 0.5), client_quantile(client, 1),
             client_failures(client), client_bytes(client));
}

static struct figure *add_named(struct run *run, const char *name, const char *unit, double value)
{
    char full[64];
    snprintf(full, sizeof full, "%s.%s", run->plan->nodes > 0 ? "nodes" : "million", name);
    return add(run, full, unit, value);
}

/* Two nodes and their server take more than these CPUs have: as many as the machine allows. */
static void report_work(struct run *run)
{
    bool is_alone = run->plan->nodes == 0;
    double seconds = duration_to_s(instant_diff(run->last.at, run->first.at));
    double answers = run->last.answers - run->first.answers;
    double on_time = 100 * (run->last.on_time - run->first.on_time) / answers;
    struct figure *figure = add_named(run, "on_time", "%", on_time);
    if (is_alone)
        set_bar(figure, BAR_VALUE_LEAST, 99.9);
    figure = add_named(run, "pss", "MB", run->pss_mb);
    if (is_alone)
        set_bar(figure, BAR_VALUE_MOST, 700);
    figure = add_named(run, "refreshes", "/s", answers / seconds);
    if (!is_alone)
        figure_compare(figure, &run->bench->report, "million.refreshes");
    add_named(run, "requests", "/s", (run->last.requests - run->first.requests) / seconds);
    add_named(run, "received", "MB/s",
              (run->last.received_bytes - run->first.received_bytes) / seconds / 1e6);
    add_named(run, "rows", "/s", (run->last.rows - run->first.rows) / seconds);
    add_named(run, "cpu", "cores", (run->last.cpu_s - run->first.cpu_s) / seconds);
    add_named(run, "upstream_cpu", "cores",
              (run->last.upstream_cpu_s - run->first.upstream_cpu_s) / seconds);
    if (!is_alone)
        add_named(run, "database_cpu", "cores",
                  (run->last.database_cpu_s - run->first.database_cpu_s) / seconds);
    add_named(run, "loop_lag_max", "ms", run->lag_ms);
    add_named(run, "deferred_max", "tokens", run->deferred);
}

static void report_run(struct run *run)
{
    report_work(run);
    if (run->plan->nodes > 0)
        return;
    report_asking(run, "million.health", ASK_HEALTH_KEPT, 2);
    report_asking(run, "million.health.new", ASK_HEALTH_NEW, 2);
    report_asking(run, "million.tokens", ASK_TOKENS_KEPT, 50);
    report_asking(run, "million.tokens.new", ASK_TOKENS_NEW, 50);
    report_asking(run, "million.freshness", ASK_FRESHNESS, 0);
    report_asking(run, "million.search", ASK_SEARCH, 0);
    add(run, "million.wal_max", "MB", run->wal_mb);
    add(run, "million.database", "MB", megabytes_of(run, "million.db"));
}

/* ---- the run ---- */

static bool fill(struct run *run)
{
    char url[PATH_MAX + 16];
    if (run->plan->nodes == 0) {
        snprintf(url, sizeof url, "sqlite:%s", path_in(run->bench->folder, "million.db"));
        return populate_crowd(url, run->plan->tokens);
    }
    run->database = database_start();
    if (run->database == NULL)
        return false;
    database_url(run->database, "", url, sizeof url);
    return populate_crowd(url, run->plan->tokens);
}

static bool start_daemons(struct run *run)
{
    unsigned most = run->plan->nodes == 0 ? 1 : run->plan->nodes;
    while (run->daemon_count < most && start_daemon(run, run->daemon_count))
        run->daemon_count++;
    return run->daemon_count == most;
}

static bool prepare(struct run *run)
{
    crowd_set_hot_every(HOT_EVERY);
    run->server = server_start(SERVER_PLAIN, -1, run->bench->folder);
    return run->server != NULL && fill(run) && start_daemons(run) &&
           (run->plan->nodes > 0 || start_clients(run));
}

static void run_plan(struct bench *bench, const struct plan *plan)
{
    struct run *run = calloc(1, sizeof *run);
    if (run == NULL)
        return;
    *run = (struct run){.bench = bench, .plan = plan};
    for (int i = 0; i < NODES_MAX; i++)
        run->daemons[i].pid = -1;
    if (prepare(run)) {
        pass(run, plan->warm_up_s);
        forget(run);
        count(run, &run->first);
        pass(run, plan->measured_s);
        count(run, &run->last);
        report_run(run);
    }
    for (int i = 0; i < ASKING_COUNT; i++)
        client_stop(run->clients[i]);
    for (int i = 0; i < NODES_MAX; i++)
        daemon_kill(&run->daemons[i]);
    database_stop(run->database);
    crowd_set_hot_every(CROWD_HOT_EVERY);
    free(run);
}

void bench_million(struct bench *bench)
{
    run_plan(bench, &plans[bench->pace]);
}

void bench_million_long(struct bench *bench)
{
    struct plan plan = long_plan;
    plan.measured_s = 60 * bench->minutes;
    run_plan(bench, &plan);
}

void bench_nodes(struct bench *bench)
{
    run_plan(bench, &shared_plans[bench->pace]);
}
