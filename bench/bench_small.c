/*
 * Small is small: 2,000 tokens every 15 s, one pair of 1.3 kB each, beside programs that people
 * take for such a job, all at the same time, each with an upstream of its own that counts what it
 * was asked for.
 *
 *   ours        the whole daemon: 30 tokens a request, decided, scored, written to SQLite, served.
 *               Everything is cold, the cold interval is 15 s. Defaults but for discovery, which
 *               would be answers more that the others do not have.
 *   collectd    curl_json with a URL a token, nine figures of each taken; no plugin that writes, so
 *               they are kept in memory only
 *   collectd30  the same with 30 tokens a URL, as we ask: no fairer peer can be configured
 *   prometheus  a target a token, in its own text format (it reads no JSON), 14 figures of each and
 *               as many bytes; it writes them to its database
 *
 * CPU seconds of all processes of each for 1,000 tokens' answers, counted upstream over whole
 * intervals; memory at the end: what a group's processes have to themselves and each file once
 * (usage.h), so that who else is running makes no difference; and PSS.
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
#include <stdio.h>

#define TOKENS     2000
#define INTERVAL_S 15
#define PATIENCE   duration_s(20)
/* Until everybody is at work and has met every token, which is more work the first time; then whole
 * intervals are counted. */
#define START_MS          (5000 + INTERVAL_S * 1000)
#define BATCH             30
#define COLLECTD          "collectd"
#define PROMETHEUS        "prometheus"
#define CPU_SHARE         0.25 /* of collectd's */
#define MEMORY_MB         25
#define PROCESSES_OF_OURS 3

enum party_id { OURS, PEER_COLLECTD, PEER_COLLECTD_30, PEER_PROMETHEUS, PARTIES };

struct party {
    const char *name; /* of its figures */
    const char *missing;
    struct server *server;
    pid_t pids[PROCESSES_OF_OURS];
    size_t pid_count; /* 0: it does not run */
    double cpu_s, tokens;
    struct sample cost; /* CPU seconds for 1,000 tokens */
};

/* ---- our own ---- */

static bool start_ours(const struct bench *bench, struct party *party, struct daemon *daemon)
{
    char url[PATH_MAX + 16], feed[64], interval[16];
    const char *folder = path_in(bench->folder, party->name);
    instant began;
    snprintf(feed, sizeof feed, "http://127.0.0.1:%u", server_port(party->server));
    snprintf(interval, sizeof interval, "%d", INTERVAL_S);
    const struct daemon_option options[] = {{"db", "sqlite:small.db"},
                                            {"feed", feed},
                                            {"source", "none"},
                                            {"listen", "127.0.0.1:0"},
                                            {"state_dir", path_in(folder, "state")},
                                            {"cold_interval_sec", interval},
                                            {"min_score", "100"},
                                            {"discover_requests_per_minute", "1"},
                                            {NULL, NULL}};
    const struct daemon_spec spec = {bench->moonwatch, folder, options};
    if (!make_folder(folder))
        return false;
    snprintf(url, sizeof url, "sqlite:%s", path_in(folder, "small.db"));
    if (!populate_crowd(url, TOKENS) || !daemon_exec(daemon, &spec, &began) ||
        !daemon_await_running(daemon, PATIENCE))
        return false;
    for (int i = 0; i < PROCESSES_OF_OURS; i++)
        party->pids[i] = (pid_t)atomic_load(&daemon->page->processes[i].pid);
    party->pids[PROCESS_SUPERVISOR] = daemon->pid;
    party->pid_count = PROCESSES_OF_OURS;
    return true;
}

/* ---- collectd ---- */

static void put_keys(FILE *file, unsigned count)
{
    static const char *const keys[] = {"priceUsd",      "liquidity/usd", "volume/m5",
                                       "volume/h1",     "volume/h24",    "txns/m5/buys",
                                       "txns/m5/sells", "txns/h1/buys",  "txns/h1/sells"};
    for (unsigned i = 0; i < count; i++)
        for (size_t k = 0; k < sizeof keys / sizeof keys[0]; k++)
            fprintf(file, "  <Key \"%u/%s\">\n   Type \"gauge\"\n  </Key>\n", i, keys[k]);
}

static void put_url(FILE *file, unsigned port, uint32_t first, unsigned count)
{
    fprintf(file, " <URL \"http://127.0.0.1:%u/tokens/v1/solana/", port);
    for (unsigned i = 0; i < count; i++) {
        char mint[CROWD_TEXT];
        crowd_text(first + i, CROWD_MINT, mint);
        fprintf(file, "%s%.*s", i == 0 ? "" : ",", CROWD_TEXT, mint);
    }
    fprintf(file, "\">\n  Instance \"t%u\"\n", first);
    put_keys(file, count);
    fputs(" </URL>\n", file);
}

static bool write_collectd(const char *folder, unsigned port, unsigned batch)
{
    FILE *file = fopen(path_in(folder, "collectd.conf"), "w");
    if (file == NULL)
        return false;
    fprintf(file,
            "Hostname \"bench\"\nFQDNLookup false\nBaseDir \"%s\"\nPIDFile \"%s/pid\"\n"
            "Interval %d\nLoadPlugin logfile\n<Plugin logfile>\n LogLevel \"err\"\n"
            " File STDERR\n</Plugin>\nLoadPlugin curl_json\n<Plugin curl_json>\n",
            folder, folder, INTERVAL_S);
    for (uint32_t first = 0; first < TOKENS; first += batch)
        put_url(file, port, first, TOKENS - first < batch ? TOKENS - first : batch);
    fputs("</Plugin>\n", file);
    return fclose(file) == 0;
}

static bool start_collectd(const struct bench *bench, struct party *party, unsigned batch)
{
    const char *folder = path_in(bench->folder, party->name);
    const char *const argv[] = {COLLECTD, "-f", "-C", path_in(folder, "collectd.conf"), NULL};
    if (!process_has_program(COLLECTD)) {
        party->missing = COLLECTD " is not installed";
        return false;
    }
    if (!make_folder(folder) || !write_collectd(folder, server_port(party->server), batch))
        return false;
    party->pids[0] = process_run(folder, argv);
    party->pid_count = party->pids[0] > 0;
    return party->pid_count > 0;
}

/* ---- Prometheus ---- */

static bool write_prometheus(const char *folder, unsigned port)
{
    FILE *file = fopen(path_in(folder, "prometheus.yml"), "w");
    if (file == NULL)
        return false;
    fprintf(file,
            "global:\n  scrape_interval: %ds\n  scrape_timeout: 10s\nscrape_configs:\n"
            "- job_name: tokens\n  static_configs:\n",
            INTERVAL_S);
    for (uint32_t i = 0; i < TOKENS; i++) {
        char mint[CROWD_TEXT];
        crowd_text(i, CROWD_MINT, mint);
        fprintf(file,
                "  - targets: ['127.0.0.1:%u']\n    labels: {__metrics_path__: "
                "/exposition/solana/%.*s, token: '%u'}\n",
                port, CROWD_TEXT, mint, i);
    }
    return fclose(file) == 0;
}

static bool start_prometheus(const struct bench *bench, struct party *party)
{
    char config[PATH_MAX + 32], storage[PATH_MAX + 32], address[64];
    const char *folder = path_in(bench->folder, party->name);
    const char *const argv[] = {PROMETHEUS, config, storage, address, "--log.level=error", NULL};
    if (!process_has_program(PROMETHEUS)) {
        party->missing = PROMETHEUS " is not installed";
        return false;
    }
    if (!make_folder(folder) || !write_prometheus(folder, server_port(party->server)))
        return false;
    snprintf(config, sizeof config, "--config.file=%s", path_in(folder, "prometheus.yml"));
    snprintf(storage, sizeof storage, "--storage.tsdb.path=%s", path_in(folder, "data"));
    snprintf(address, sizeof address, "--web.listen-address=127.0.0.1:%u", process_free_port());
    party->pids[0] = process_run(folder, argv);
    party->pid_count = party->pids[0] > 0;
    return party->pid_count > 0;
}

/* ---- measuring ---- */

static void look(struct party *party)
{
    party->cpu_s = usage_cpu_s(party->pids, party->pid_count);
    party->tokens = (double)server_asked(party->server);
}

/* One whole interval: who asks for all of them at its beginning, and who spreads them, asks for as
 * many. */
static void measure_interval(struct party parties[PARTIES])
{
    for (int i = 0; i < PARTIES; i++)
        look(&parties[i]);
    sleep_ms(INTERVAL_S * 1e3);
    for (int i = 0; i < PARTIES; i++) {
        struct party before = parties[i];
        look(&parties[i]);
        double tokens = parties[i].tokens - before.tokens;
        /* One that asked for hardly anything is not at work. */
        if (parties[i].pid_count > 0 && tokens >= 0.5 * TOKENS)
            sample_add(&parties[i].cost, (parties[i].cpu_s - before.cpu_s) / tokens * 1000);
    }
}

/* ---- figures ---- */

static void report_party(struct report *report, const struct party *party)
{
    char cost[64], memory[64], pss[64];
    snprintf(cost, sizeof cost, "small.cpu.%s", party->name);
    snprintf(memory, sizeof memory, "small.memory.%s", party->name);
    snprintf(pss, sizeof pss, "small.pss.%s", party->name);
    if (party->missing != NULL) {
        report_add_missing(report, cost, "s/1000", party->missing);
        report_add_missing(report, memory, "MB", party->missing);
        report_add_missing(report, pss, "MB", party->missing);
        return;
    }
    report_add_sample(report, cost, "s/1000", &party->cost);
    report_add(report, memory, "MB")->value = usage_alone_mb(party->pids, party->pid_count);
    report_add(report, pss, "MB")->value = usage_pss_mb(party->pids, party->pid_count);
}

static void set_bars(struct report *report)
{
    struct figure *cost = (struct figure *)report_find(report, "small.cpu.ours");
    struct figure *memory = (struct figure *)report_find(report, "small.memory.ours");
    struct figure *pss = (struct figure *)report_find(report, "small.pss.ours");
    figure_compare(cost, report, "small.cpu.collectd");
    cost->bar_kind = BAR_RATIO_MOST;
    cost->bar = CPU_SHARE;
    memory->bar_kind = pss->bar_kind = BAR_VALUE_MOST;
    memory->bar = pss->bar = MEMORY_MB;
    snprintf(memory->note, sizeof memory->note, "as if nobody else had our libraries mapped");
}

/* ---- the run ---- */

static bool start_all(struct bench *bench, struct party parties[PARTIES], struct daemon *daemon)
{
    for (int i = 0; i < PARTIES; i++) {
        parties[i].server = server_start(SERVER_PLAIN, -1, bench->folder);
        if (parties[i].server == NULL)
            return false;
    }
    if (!start_collectd(bench, &parties[PEER_COLLECTD], 1) &&
        parties[PEER_COLLECTD].missing == NULL)
        parties[PEER_COLLECTD].missing = "it does not start";
    if (!start_collectd(bench, &parties[PEER_COLLECTD_30], BATCH) &&
        parties[PEER_COLLECTD_30].missing == NULL)
        parties[PEER_COLLECTD_30].missing = "it does not start";
    if (!start_prometheus(bench, &parties[PEER_PROMETHEUS]) &&
        parties[PEER_PROMETHEUS].missing == NULL)
        parties[PEER_PROMETHEUS].missing = "it does not start";
    return start_ours(bench, &parties[OURS], daemon);
}

void bench_small(struct bench *bench)
{
    /* Static: samples are large. */
    static struct party parties[PARTIES] = {[OURS] = {.name = "ours"},
                                            [PEER_COLLECTD] = {.name = "collectd"},
                                            [PEER_COLLECTD_30] = {.name = "collectd30"},
                                            [PEER_PROMETHEUS] = {.name = "prometheus"}};
    struct daemon daemon = {.pid = -1};
    crowd_set_hot_every(CROWD_MAX);
    if (start_all(bench, parties, &daemon)) {
        sleep_ms(START_MS);
        for (int i = 0; i < bench_rounds(bench, 8, 1); i++)
            measure_interval(parties);
        for (int i = 0; i < PARTIES; i++)
            report_party(&bench->report, &parties[i]);
        set_bars(&bench->report);
    }
    daemon_kill(&daemon);
    for (int i = PEER_COLLECTD; i < PARTIES; i++)
        if (parties[i].pid_count > 0)
            process_kill(parties[i].pids[0]);
    crowd_set_hot_every(CROWD_HOT_EVERY);
}
