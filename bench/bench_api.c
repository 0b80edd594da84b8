/*
 * The api under load, while 10,000 tokens are kept fresh, 330 refreshes a second: wrk asks
 * /health, and then /tokens?limit=50 (40 kB), over 64 connections as fast as the answers come. One
 * thread of the api answers, so that is what one core gives. nginx with one worker serves the same
 * bytes as files, right after, for the ratio. wrk, daemon and upstream share the machine.
 *
 * Then slowhttptest holds a thousand connections in each of its four ways: headers, bodies and
 * ranges that never end, and answers that are read a few bytes at a time. Meanwhile an ordinary
 * client asks for /health and for a list.
 */
#include "base/clock.h"
#include "bench/bench.h"
#include "bench/client.h"
#include "bench/daemon.h"
#include "bench/populate.h"
#include "bench/process.h"
#include "bench/server.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOKENS      10000
#define PATIENCE    duration_s(60)
#define CONNECTIONS "64"
#define CLIENT_MS   10
#define LIST        "/tokens?limit=50"

struct seconds {
    double warm_up;
    int asked, attacked;
};

static const struct seconds plans[] = {[PACE_FULL] = {50, 15, 20}, [PACE_QUICK] = {2, 2, 4}};

struct run {
    struct bench *bench;
    struct server *server;
    struct daemon daemon;
    unsigned port;
    pid_t nginx;
    unsigned nginx_port;
    double answers, on_time; /* at the beginning */
};

/* ---- the daemon ---- */

static bool start_daemon(struct run *run)
{
    char feed[64];
    snprintf(feed, sizeof feed, "http://127.0.0.1:%u", server_port(run->server));
    const struct daemon_option options[] = {{"db", "sqlite:api.db"},
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
    if (!daemon_start(&run->daemon, &spec) || !daemon_await_running(&run->daemon, PATIENCE) ||
        !daemon_await_loaded(&run->daemon, PATIENCE))
        return false;
    run->port = daemon_port(&run->daemon);
    return run->port != 0;
}

static void count(const struct run *run, double *answers, double *on_time)
{
    *answers = *on_time = 0;
    for (int i = 0; i < 2; i++) { /* hot and cold */
        const struct page_group *group = &run->daemon.page->groups[i];
        *answers += (double)atomic_load(&group->refreshes);
        *on_time += (double)atomic_load(&group->refreshes_on_time);
    }
}

/* ---- nginx ---- */

/* Whoever adopts orphans may reap the shell first: what counts is the file. */
static bool write_body(const struct run *run, const char *path, const char *name)
{
    char command[PATH_MAX + 256];
    struct stat file;
    const char *target = path_in(run->bench->folder, name);
    snprintf(command, sizeof command, "curl -s -o '%s' 'http://127.0.0.1:%u%s'", target, run->port,
             path);
    int status = system(command); /* NOLINT(cert-env33-c): our own words */
    (void)status;
    return stat(target, &file) == 0 && file.st_size > 0;
}

static bool start_nginx(struct run *run)
{
    char text[2048];
    const char *config = path_in(run->bench->folder, "nginx.conf");
    run->nginx_port = process_free_port();
    snprintf(text, sizeof text,
             "daemon off; worker_processes 1; pid nginx.pid; error_log nginx.error;\n"
             "user root; events { worker_connections 1024; }\n"
             "http { access_log off; sendfile on; tcp_nopush on; keepalive_requests 10000000;\n"
             "  open_file_cache max=8; default_type application/json;\n"
             "  client_body_temp_path .; proxy_temp_path .; fastcgi_temp_path .;\n"
             "  uwsgi_temp_path .; scgi_temp_path .;\n"
             "  server { listen 127.0.0.1:%u; root .; } }\n",
             run->nginx_port);
    const char *const argv[] = {"nginx", "-p", run->bench->folder, "-c", config, NULL};
    if (!write_body(run, "/health", "health") || !write_body(run, LIST, "tokens") ||
        !write_text(config, 0644, text))
        return false;
    chmod(run->bench->folder, 0755); /* NOLINT: its worker may be somebody else */
    run->nginx = process_run(run->bench->folder, argv);
    sleep_ms(500);
    return run->nginx > 0;
}

/* ---- wrk ---- */

struct asked {
    double per_s, p99_ms; /* NaN: it failed */
};

static double milliseconds(const char *text)
{
    char *unit;
    double value = strtod(text, &unit);
    return strncmp(unit, "us", 2) == 0  ? value / 1e3
           : strncmp(unit, "s", 1) == 0 ? value * 1e3
                                        : value;
}

static struct asked ask(const struct run *run, unsigned port, const char *path)
{
    struct asked asked = {NAN, NAN};
    char command[256], line[256];
    snprintf(command, sizeof command,
             "wrk -t1 -c" CONNECTIONS " -d%ds --latency 'http://127.0.0.1:%u%s'",
             plans[run->bench->pace].asked, port, path);
    FILE *output = popen(command, "r"); /* NOLINT(cert-env33-c): our own words */
    while (output != NULL && fgets(line, sizeof line, output) != NULL) {
        const char *at = line + strspn(line, " ");
        if (strncmp(at, "99%", 3) == 0)
            asked.p99_ms = milliseconds(at + 3);
        if (strncmp(at, "Requests/sec:", 13) == 0)
            asked.per_s = strtod(at + 13, NULL);
        if (strncmp(at, "Non-2xx", 7) == 0)
            fprintf(stderr, "%s: %s", path, line);
    }
    if (output != NULL)
        pclose(output);
    return asked;
}

static struct figure *add(struct run *run, const char *name, const char *unit, double value)
{
    struct figure *figure = report_add(&run->bench->report, name, unit);
    figure->value = value;
    return figure;
}

struct load_case {
    const char *name, *path, *file;
    double least_per_s;
};

static void measure_case(struct run *run, const struct load_case *one)
{
    char name[64], against[64];
    struct asked ours = ask(run, run->port, one->path);
    struct asked theirs = {NAN, NAN};
    if (run->nginx > 0)
        theirs = ask(run, run->nginx_port, one->file);
    snprintf(against, sizeof against, "api.nginx.%s", one->name);
    if (run->nginx > 0)
        add(run, against, "requests/s", theirs.per_s);
    else
        report_add_missing(&run->bench->report, against, "requests/s", "nginx does not run here");
    snprintf(name, sizeof name, "api.%s", one->name);
    struct figure *figure = add(run, name, "requests/s", ours.per_s);
    figure->bar_kind = BAR_VALUE_LEAST;
    figure->bar = one->least_per_s;
    figure_compare(figure, &run->bench->report, against);
    snprintf(name, sizeof name, "api.%s.p99", one->name);
    figure = add(run, name, "ms", ours.p99_ms);
    figure->bar_kind = BAR_VALUE_MOST;
    figure->bar = 5;
    snprintf(figure->note, sizeof figure->note,
             CONNECTIONS " connections that ask again at once; nginx: %.2f", theirs.p99_ms);
}

static void measure_load(struct run *run)
{
    static const struct load_case cases[] = {{"health", "/health", "/health", 30000},
                                             {"tokens", LIST, "/tokens", 5000}};
    if (!process_has_program("wrk")) {
        report_add_missing(&run->bench->report, "api.health", "requests/s", "wrk is not installed");
        return;
    }
    if (process_has_program("nginx"))
        (void)start_nginx(run);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        measure_case(run, &cases[i]);
    process_kill(run->nginx);
    run->nginx = -1;
}

/* ---- slow clients ---- */

struct attack {
    const char *name, *mode, *target;
    const char *more[6];
};

static const struct attack attacks[] = {
    {"headers", "-H", "/health", {NULL}},
    {"bodies", "-B", "/tokens/import", {"-s", "8192", NULL}},
    {"ranges", "-R", "/app/", {"-a", "1", "-b", "3000", NULL}},
    {"reads", "-X", "/tokens?limit=100", {"-n", "1", "-z", "16", NULL}},
};

static pid_t start_attack(const struct run *run, const struct attack *attack)
{
    char url[64], seconds[16];
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", run->port, attack->target);
    snprintf(seconds, sizeof seconds, "%d", plans[run->bench->pace].attacked);
    const char *argv[24] = {"slowhttptest", attack->mode, "-c", "1000", "-r", "500",   "-i", "2",
                            "-x",           "16",         "-p", "60",   "-l", seconds, "-u", url};
    size_t count = 16;
    for (size_t i = 0; attack->more[i] != NULL; i++)
        argv[count++] = attack->more[i];
    argv[count] = NULL;
    return process_run(run->bench->folder, argv);
}

static void measure_attack(struct run *run, const struct attack *attack)
{
    char name[64];
    const struct client_spec health = {run->port, "/health", CLIENT_KEPT, CLIENT_MS};
    const struct client_spec list = {run->port, LIST, CLIENT_KEPT, CLIENT_MS};
    struct client *clients[] = {client_start(&health), client_start(&list)};
    sleep_ms(200);
    pid_t pid = start_attack(run, attack);
    sleep_ms(1000);
    for (int i = 0; i < 2; i++)
        client_forget(clients[i]);
    sleep_ms((plans[run->bench->pace].attacked - 2) * 1e3);
    snprintf(name, sizeof name, "api.slow.%s", attack->name);
    double worst = fmax(client_quantile(clients[0], 0.99), client_quantile(clients[1], 0.99));
    size_t failures = client_failures(clients[0]) + client_failures(clients[1]);
    bool has_ended = pid > 0 && waitpid(pid, NULL, WNOHANG) != 0; /* all of its connections were */
    struct figure *figure = add(run, name, "ms", pid > 0 && failures == 0 ? worst : NAN);
    figure->bar_kind = BAR_VALUE_MOST;
    figure->bar = 50;
    snprintf(figure->note, sizeof figure->note,
             "p99 of another client; /health %.2f, a list %.2f; %zu answers, %zu failed%s",
             client_quantile(clients[0], 0.99), client_quantile(clients[1], 0.99),
             client_count(clients[0]) + client_count(clients[1]), failures,
             has_ended ? "; it was refused and gave up" : "");
    if (!has_ended)
        process_kill(pid);
    for (int i = 0; i < 2; i++)
        client_stop(clients[i]);
    sleep_ms(1000); /* until its connections are closed */
}

static void measure_attacks(struct run *run)
{
    for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++) {
        if (process_has_program("slowhttptest"))
            measure_attack(run, &attacks[i]);
        else
            report_add_missing(&run->bench->report, attacks[i].name, "ms",
                               "slowhttptest is not installed");
    }
}

/* ---- the run ---- */

static bool prepare(struct run *run)
{
    char url[PATH_MAX + 16];
    snprintf(url, sizeof url, "sqlite:%s", path_in(run->bench->folder, "api.db"));
    run->server = server_start(SERVER_PLAIN, -1, run->bench->folder);
    return run->server != NULL && populate_crowd(url, TOKENS) && start_daemon(run);
}

void bench_api(struct bench *bench)
{
    struct run run = {.bench = bench, .daemon = {.pid = -1}, .nginx = -1};
    if (prepare(&run)) {
        double answers, on_time;
        sleep_ms(plans[bench->pace].warm_up * 1e3);
        count(&run, &run.answers, &run.on_time);
        measure_load(&run);
        measure_attacks(&run);
        count(&run, &answers, &on_time);
        struct figure *figure =
            add(&run, "api.on_time", "%", 100 * (on_time - run.on_time) / (answers - run.answers));
        figure->bar_kind = BAR_VALUE_LEAST;
        figure->bar = 99.9;
        snprintf(figure->note, sizeof figure->note, "of %d tokens, all the while", TOKENS);
    }
    daemon_kill(&run.daemon);
}
