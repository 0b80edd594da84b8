/*
 * `moonwatch run` on a database that is there: from exec, with nothing inherited, to the arrival
 * of the first request upstream, and to the moment when every token is in its lane.
 *
 * Every token is past its target when the daemon starts, and the budget lets the first request go
 * at once, so what is measured is the daemon's own time: supervisor, engine, opening the store,
 * reading it. The page cache is warm: the database was just written, or read by the round before;
 * from a cold disk comes what the disk takes for it. Between the rounds the daemon is stopped as a
 * power cut would stop it, so each start also recovers the store's log.
 *
 * Where the time goes is read from the flight recorder and printed: medians. Beside it stands what
 * this machine takes to start our program and end it again at once, since a start is mostly that:
 * two such processes, one after the other. What each process's giving up of its rights takes
 * (page/confinement.h) is measured by itself.
 */
#include "base/clock.h"
#include "base/options.h"
#include "bench/bench.h"
#include "bench/daemon.h"
#include "bench/populate.h"
#include "bench/process.h"
#include "bench/upstream.h"
#include "page/confinement.h"
#include <math.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE duration_s(60)
#define STEP_MS  0.2
#define PROCESS  "start.process"
#define CONFINED "start.confined"

enum { STEP_STARTED, STEP_STAGES, STEP_SENT = STEP_STAGES + START_STAGE_COUNT, STEP_COUNT };

static const char *const step_names[STEP_COUNT] = {
    [STEP_STARTED] = "engine's process started",
#define X(code, name) [STEP_STAGES + (code)] = name,
    START_STAGE_LIST(X)
#undef X
        [STEP_SENT] = "request sent",
};

struct size {
    const char *database;
    uint32_t tokens;
    int rounds_full, rounds_quick;
    const char *first_name, *lanes_name;
    double first_bar_ms, lanes_bar_ms;
    struct sample first, lanes, steps[STEP_COUNT]; /* ms after exec */
};

static struct size sizes[] = {
    {.database = "10k.db",
     .tokens = 10000,
     .rounds_full = 25,
     .rounds_quick = 7,
     .first_name = "start.first_request.10k",
     .lanes_name = "start.in_lanes.10k",
     .first_bar_ms = 50,
     .lanes_bar_ms = 50},
    {.database = "1m.db",
     .tokens = 1000000,
     .rounds_full = 9,
     .rounds_quick = 2,
     .first_name = "start.first_request.1m",
     .lanes_name = "start.in_lanes.1m",
     .first_bar_ms = 1000,
     .lanes_bar_ms = 3000},
};

#define SIZES (sizeof sizes / sizeof sizes[0])

static struct sample process;  /* ms from fork to exit */
static struct sample confined; /* ms in confine_process() */

/* ---- a start ---- */

static bool exec_daemon(const struct bench *bench, const struct size *size, struct daemon *out,
                        instant *began)
{
    char db[64], feed[64];
    snprintf(db, sizeof db, "sqlite:%s", size->database);
    snprintf(feed, sizeof feed, "http://127.0.0.1:%u", upstream_port(upstream_start()));
    const struct daemon_option options[] = {{"db", db},
                                            {"feed", feed},
                                            {"source", "none"},
                                            {"listen", "127.0.0.1:0"},
                                            {"state_dir", path_in(bench->folder, "state")},
                                            {"hot_interval_sec", "1"},
                                            {"cold_interval_sec", "1"},
                                            {"refresh_requests_per_minute", "6000"},
                                            {"screen_requests_per_minute", "6000"},
                                            {"discover_requests_per_minute", "6000"},
                                            {NULL, NULL}};
    const struct daemon_spec spec = {bench->moonwatch, bench->folder, options};
    return daemon_exec(out, &spec, began);
}

static int step_of(const struct flight_record *record)
{
    switch ((enum flight_kind)record->kind) {
    case FLIGHT_PROCESS:
        return record->what == PROCESS_ENGINE && record->to == PROCESS_STARTING ? STEP_STARTED : -1;
    case FLIGHT_START:
        return record->what == PROCESS_ENGINE ? STEP_STAGES + record->to : -1;
    case FLIGHT_REQUEST_SENT:
        return STEP_SENT;
    default:
        return -1;
    }
}

/* The first of each step, in ms after exec; NaN: not passed (yet). */
static void read_steps(const struct daemon *daemon, instant began, double out[STEP_COUNT])
{
    static struct flight_record records[FLIGHT_RECORDS];
    size_t count = flight_read(&daemon->page->flight, records, FLIGHT_RECORDS);
    for (int i = 0; i < STEP_COUNT; i++)
        out[i] = NAN;
    for (size_t i = 0; i < count; i++) {
        int step = step_of(&records[i]);
        if (step >= 0 && isnan(out[step]))
            out[step] = (double)(records[i].at_us - began.us) / 1e3;
    }
}

static void await_lanes(const struct daemon *daemon, instant began, double steps[STEP_COUNT])
{
    instant until = instant_add(clock_now(), PATIENCE);
    do {
        sleep_ms(STEP_MS);
        read_steps(daemon, began, steps);
    } while (isnan(steps[STEP_STAGES + STAGE_TABLE]) && instant_before(clock_now(), until));
}

static void add_round(struct size *size, const double steps[STEP_COUNT], double first_ms)
{
    sample_add(&size->first, first_ms);
    sample_add(&size->lanes, steps[STEP_STAGES + STAGE_TABLE]);
    for (int i = 0; i < STEP_COUNT; i++)
        sample_add(&size->steps[i], steps[i]);
}

static void run_process(const struct bench *bench)
{
    const char *const argv[] = {bench->moonwatch, "--version", NULL};
    int status;
    instant began = clock_now();
    pid_t pid = process_run(bench->folder, argv);
    if (pid > 0 && waitpid(pid, &status, 0) == pid && status == 0)
        sample_add(&process, duration_to_s(instant_diff(clock_now(), began)) * 1e3);
}

/* As an engine, in a child, since nothing is ever given back. */
static void run_confined(const struct bench *bench)
{
    static struct status_page page;
    struct options options;
    options_init(&options);
    snprintf(options.state_dir, sizeof options.state_dir, "%s", path_in(bench->folder, "state"));
    double *ms = mmap(NULL, sizeof *ms, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (ms == MAP_FAILED)
        return;
    fflush(stdout);
    pid_t pid = fork();
    if (pid == 0) {
        status_page_init(&page);
        instant began = clock_now();
        confine_process(PROCESS_ENGINE, &options, &page);
        *ms = duration_to_s(instant_diff(clock_now(), began)) * 1e3;
        _exit(0);
    }
    if (pid > 0 && waitpid(pid, NULL, 0) == pid && *ms > 0)
        sample_add(&confined, *ms);
    munmap(ms, sizeof *ms);
}

static void run_round(const struct bench *bench, struct size *size)
{
    struct upstream *upstream = upstream_start();
    struct daemon daemon;
    double steps[STEP_COUNT];
    instant began;
    upstream_arm(upstream);
    if (!exec_daemon(bench, size, &daemon, &began))
        return;
    instant first = upstream_first(upstream, PATIENCE);
    if (!instant_is_never(first)) {
        await_lanes(&daemon, began, steps);
        add_round(size, steps, duration_to_s(instant_diff(first, began)) * 1e3);
    }
    daemon_kill(&daemon);
}

/* ---- figures ---- */

/* The step that comes next after `before`; STEP_COUNT: none. Where the time goes depends on how
 * many tokens there are: the first request may come before or after the last of them. */
static int next_step(const struct size *size, double before)
{
    int next = STEP_COUNT;
    double next_at = INFINITY;
    for (int i = 0; i < STEP_COUNT; i++) {
        double at = sample_median(&size->steps[i]);
        if (at > before && at < next_at) {
            next = i;
            next_at = at;
        }
    }
    return next;
}

static void print_steps(const struct size *size)
{
    double before = 0;
    printf("  %u tokens, where %zu rounds went (medians, ms after exec):\n", size->tokens,
           size->first.count);
    for (int step; (step = next_step(size, before)) != STEP_COUNT;) {
        double at = sample_median(&size->steps[step]);
        printf("    %9.2f  +%.2f  %s\n", at, at - before, step_names[step]);
        before = at;
    }
}

static void report_size(struct report *report, const struct size *size)
{
    struct figure *first = report_add_sample(report, size->first_name, "ms", &size->first);
    first->bar_kind = BAR_VALUE_MOST;
    first->bar = size->first_bar_ms;
    snprintf(first->note, sizeof first->note, "page cache warm");
    figure_compare(first, report, PROCESS);
    struct figure *lanes = report_add_sample(report, size->lanes_name, "ms", &size->lanes);
    lanes->bar_kind = BAR_VALUE_MOST;
    lanes->bar = size->lanes_bar_ms;
    figure_compare(lanes, report, PROCESS);
    if (size->first.count > 0)
        print_steps(size);
}

static void run_size(struct bench *bench, struct size *size)
{
    char url[PATH_MAX + 16];
    snprintf(url, sizeof url, "sqlite:%s", path_in(bench->folder, size->database));
    if (!populate(url, size->tokens))
        return;
    for (int i = 0; i < bench_rounds(bench, size->rounds_full, size->rounds_quick); i++) {
        run_process(bench);
        run_confined(bench);
        run_round(bench, size);
    }
}

void bench_start(struct bench *bench)
{
    if (upstream_start() == NULL)
        return;
    for (size_t i = 0; i < SIZES; i++)
        run_size(bench, &sizes[i]);
    struct figure *figure = report_add_sample(&bench->report, PROCESS, "ms", &process);
    snprintf(figure->note, sizeof figure->note, "moonwatch --version, from fork to its end");
    figure = report_add_sample(&bench->report, CONFINED, "ms", &confined);
    snprintf(figure->note, sizeof figure->note, "an engine gives up what it does not need");
    for (size_t i = 0; i < SIZES; i++)
        report_size(&bench->report, &sizes[i]);
}
