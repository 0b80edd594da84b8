/*
 * A limit that the upstream keeps to itself, as bench_limit.c has it, with the real daemon and
 * moonwatch-market, in real time: 21 minutes.
 */
#include "base/clock.h"
#include "bench/daemon.h"
#include "bench/limit_figures.h"
#include "bench/process.h"
#include "core/lane_kind.h"
#include "core/outcome.h"
#include <arpa/inet.h>
#include <math.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define MEASURE_MINUTES 2
#define PATIENCE        duration_s(60)

static pid_t start_market(const struct bench *bench, unsigned port, unsigned control)
{
    char number[16], control_number[16], rpm[16];
    const char *folder = path_in(bench->folder, "market");
    const char *const argv[] = {
        bench->market, "--port", number, "--control-port", control_number, "--tokens",
        "1000",        "--rpm",  rpm,    "--replay-rate",  "2000",         NULL};
    snprintf(number, sizeof number, "%u", port);
    snprintf(control_number, sizeof control_number, "%u", control);
    snprintf(rpm, sizeof rpm, "%g", limit_values[0]);
    return process_has_built(bench->market) && make_folder(folder) ? process_run(folder, argv) : -1;
}

static bool start_daemon(const struct bench *bench, unsigned port, struct daemon *out)
{
    char feed[64], source[64];
    snprintf(feed, sizeof feed, "http://127.0.0.1:%u", port);
    snprintf(source, sizeof source, "ws://127.0.0.1:%u/api/data", port);
    const struct daemon_option options[] = {{"db", "sqlite:limit.db"},
                                            {"feed", feed},
                                            {"source", source},
                                            {"listen", "127.0.0.1:0"},
                                            {"state_dir", path_in(bench->folder, "state")},
                                            {"hot_interval_sec", "1"},
                                            {"cold_interval_sec", "1"},
                                            {"discover_monitoring_interval_sec", "10"},
                                            {"min_score", "100"}, /* some are cold, and screened */
                                            {NULL, NULL}};
    const struct daemon_spec spec = {bench->moonwatch, bench->folder, options};
    return daemon_start(out, &spec) && daemon_await_running(out, PATIENCE);
}

static bool change_limit(unsigned control, double limit)
{
    char text[256];
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)control),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int length = snprintf(text, sizeof text,
                          "POST /limit?rpm=%g HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n"
                          "Connection: close\r\n\r\n",
                          limit);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool is_done = connect(fd, (struct sockaddr *)&address, sizeof address) == 0 &&
                   write(fd, text, (size_t)length) == length && read(fd, text, sizeof text) > 12 &&
                   strncmp(text + 9, "200", 3) == 0;
    close(fd);
    return is_done;
}

struct counts {
    double sent[LANE_KIND_COUNT], refused[LANE_KIND_COUNT];
};

static struct counts count(const struct daemon *daemon)
{
    struct counts counts;
    for (int i = 0; i < LANE_KIND_COUNT; i++) {
        const struct page_lane *lane = &daemon->page->lanes[i];
        counts.sent[i] = (double)atomic_load(&lane->requests);
        counts.refused[i] = (double)atomic_load(&lane->outcomes[FEED_RATE_LIMITED]);
    }
    return counts;
}

/* The lane that uses least; refused of all. */
static void measure(struct bench *bench, const struct daemon *daemon, double limit)
{
    double used = INFINITY, sent_of_all = 0, refused_of_all = 0;
    sleep_ms(LEARN_MINUTES * 60e3);
    struct counts before = count(daemon);
    sleep_ms(MEASURE_MINUTES * 60e3);
    struct counts after = count(daemon);
    for (int i = 0; i < LANE_KIND_COUNT; i++) {
        double sent = after.sent[i] - before.sent[i],
               refused = after.refused[i] - before.refused[i];
        used = fmin(used, (sent - refused) / MEASURE_MINUTES / limit);
        sent_of_all += sent;
        refused_of_all += refused;
        printf("  limit %g, %s: %g sent, %g refused in %d min\n", limit,
               lane_kind_name((enum lane_kind)i), sent, refused, MEASURE_MINUTES);
    }
    fflush(stdout);
    limit_report(bench, "limit_real", limit, used, refused_of_all / sent_of_all);
}

void bench_limit_real(struct bench *bench)
{
    struct daemon daemon;
    unsigned port = process_free_port(), control = process_free_port();
    pid_t market = start_market(bench, port, control);
    bool is_up = market > 0 && start_daemon(bench, port, &daemon);
    for (size_t i = 0; is_up && i < LIMITS; i++) {
        if (change_limit(control, limit_values[i]))
            measure(bench, &daemon, limit_values[i]);
        else
            fprintf(stderr, "bench: the market does not change its limit\n");
    }
    if (is_up)
        daemon_kill(&daemon);
    process_kill(market);
}
