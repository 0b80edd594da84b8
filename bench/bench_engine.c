/*
 * kill -9 of the real engine → the first request of the next one arrives upstream.
 *
 * The budget is such that a token is always due and the next request at most 10 ms away, so what
 * is measured is the daemon's own time. In a round a fresh daemon is started on the same database
 * (its start is cold, from the store, and leaves what a crash leaves) and its engine killed
 * twice: the first time the next engine takes the token table over, warm; the second death within
 * a minute makes the start cold. A start that was not of the kind that is measured does not count.
 *
 * Where the time goes is read from the flight recorder and printed: medians of the way from each
 * stage to the next.
 */
#include "base/clock.h"
#include "bench/bench.h"
#include "bench/daemon.h"
#include "bench/populate.h"
#include "bench/process.h"
#include "bench/upstream.h"
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#define PATIENCE     duration_s(60)
#define REQUESTS_MIN 50  /* answered before the engine counts as at work */
#define SETTLE_MS    200 /* the store's thread has written what the start made it write */
#define YOUNG_MS     100
#define FIGURE_YOUNG "engine.young.10k"

/* The way, in the order of time; those of the engine's own start are START_STAGE_LIST. */
enum {
    STEP_NOTICED, /* the supervisor has reaped it, and knows what to do */
    STEP_STARTED, /* the new process has left vfork(): it is exec'd */
    STEP_STAGES,  /* its own, by their order */
    STEP_SENT = STEP_STAGES + START_STAGE_COUNT, /* it has given a request to the feed */
    STEP_ARRIVED,                                /* upstream has read it */
    STEP_COUNT
};

static const char *const step_names[STEP_COUNT] = {
    [STEP_NOTICED] = "death noticed",
    [STEP_STARTED] = "process started",
#define X(code, name) [STEP_STAGES + (code)] = name,
    START_STAGE_LIST(X)
#undef X
        [STEP_SENT] = "request sent",
    [STEP_ARRIVED] = "request arrived",
};

/* Deaths of one kind, and what became of them. */
struct series {
    const char *name;
    enum counter kind; /* rises when the start was of this kind */
    double bar_ms;
    struct sample total;
    struct sample steps[STEP_COUNT]; /* ms since the kill */
};

struct size {
    const char *database;
    uint32_t tokens;
    int rounds_full, rounds_quick;
    struct series warm, cold;
};

static struct size sizes[] = {
    {.database = "10k.db",
     .tokens = 10000,
     .rounds_full = 25,
     .rounds_quick = 8,
     .warm = {.name = "engine.warm.10k", .kind = COUNTER_WARM_STARTS, .bar_ms = 25},
     .cold = {.name = "engine.cold.10k", .kind = COUNTER_COLD_STARTS, .bar_ms = 100}},
    {.database = "1m.db",
     .tokens = 1000000,
     .rounds_full = 9,
     .rounds_quick = 3,
     .warm = {.name = "engine.warm.1m", .kind = COUNTER_WARM_STARTS, .bar_ms = 150},
     .cold = {.name = "engine.cold.1m", .kind = COUNTER_COLD_STARTS, .bar_ms = 3000}},
};

#define SIZES (sizeof sizes / sizeof sizes[0])

/* ---- the flight recorder ---- */

static int step_of(const struct flight_record *record)
{
    switch ((enum flight_kind)record->kind) {
    case FLIGHT_PROCESS:
        if (record->what != PROCESS_ENGINE)
            return -1;
        return record->to == PROCESS_WAITING    ? STEP_NOTICED
               : record->to == PROCESS_STARTING ? STEP_STARTED
                                                : -1;
    case FLIGHT_START:
        return record->what == PROCESS_ENGINE ? STEP_STAGES + record->to : -1;
    case FLIGHT_REQUEST_SENT:
        return STEP_SENT;
    default:
        return -1;
    }
}

/* The first of each step since the death, in ms after it; NaN: it was not passed. */
static void read_steps(const struct daemon *daemon, instant killed, double out[STEP_COUNT])
{
    static struct flight_record records[FLIGHT_RECORDS];
    size_t count = flight_read(&daemon->page->flight, records, FLIGHT_RECORDS);
    bool is_noticed = false; /* what the dead one had recorded until then is not of this way */
    for (int i = 0; i < STEP_COUNT; i++)
        out[i] = NAN;
    for (size_t i = 0; i < count; i++) {
        int step = records[i].at_us >= killed.us ? step_of(&records[i]) : -1;
        is_noticed = is_noticed || step == STEP_NOTICED;
        if (step >= 0 && is_noticed && isnan(out[step]))
            out[step] = (double)(records[i].at_us - killed.us) / 1e3;
    }
}

/* The step that came next after `before` ms; STEP_COUNT: none. */
static int next_step(const struct series *series, double before)
{
    int next = STEP_COUNT;
    double soonest = INFINITY;
    for (int i = 0; i < STEP_COUNT; i++) {
        double at = sample_median(&series->steps[i]);
        if (at > before && at < soonest) {
            soonest = at;
            next = i;
        }
    }
    return next;
}

/* In the order of time: a large table is looked at while the first request is under way. */
static void print_steps(const struct series *series)
{
    double before = 0;
    printf("  %s, where its %zu rounds went (medians, ms):\n", series->name, series->total.count);
    for (int i = next_step(series, 0); i < STEP_COUNT; i = next_step(series, before)) {
        double at = sample_median(&series->steps[i]);
        printf("    %9.2f  +%.2f  %s\n", at, at - before, step_names[i]);
        before = at;
    }
}

/* ---- a death ---- */

static void add_round(struct series *series, const struct daemon *daemon, instant killed,
                      instant arrived)
{
    double steps[STEP_COUNT];
    read_steps(daemon, killed, steps);
    steps[STEP_ARRIVED] = duration_to_s(instant_diff(arrived, killed)) * 1e3;
    if (!(steps[STEP_SENT] <= steps[STEP_ARRIVED]))
        return; /* not the new engine's */
    sample_add(&series->total, steps[STEP_ARRIVED]);
    for (int i = 0; i < STEP_COUNT; i++)
        sample_add(&series->steps[i], steps[i]);
}

static uint64_t count_starts(const struct daemon *daemon)
{
    return daemon_counter(daemon, COUNTER_WARM_STARTS) +
           daemon_counter(daemon, COUNTER_COLD_STARTS);
}

/* Which kind of a start it was it says when it has looked at all tokens, after its first request.
 */
static bool await_start(const struct daemon *daemon, uint64_t starts_before)
{
    instant until = instant_add(clock_now(), PATIENCE);
    while (count_starts(daemon) == starts_before && instant_before(clock_now(), until))
        sleep_ms(1);
    return count_starts(daemon) > starts_before;
}

/* False: the next engine did not come to work. */
static bool kill_engine(struct series *series, const struct daemon *daemon)
{
    struct upstream *upstream = upstream_start();
    uint64_t of_kind = daemon_counter(daemon, series->kind), starts = count_starts(daemon);
    upstream_arm(upstream);
    instant killed = clock_now();
    kill(daemon_engine(daemon), SIGKILL);
    instant arrived = upstream_first(upstream, PATIENCE);
    if (instant_is_never(arrived) || !await_start(daemon, starts))
        return false;
    if (daemon_counter(daemon, series->kind) > of_kind)
        add_round(series, daemon, killed, arrived);
    return true;
}

static bool await_work(const struct daemon *daemon)
{
    const struct upstream *upstream = upstream_start();
    instant until = instant_add(clock_now(), PATIENCE);
    uint64_t goal = upstream_requests(upstream) + REQUESTS_MIN;
    while (upstream_requests(upstream) < goal && instant_before(clock_now(), until))
        sleep_ms(1);
    sleep_ms(SETTLE_MS);
    return daemon_await_running(daemon, PATIENCE);
}

/* ---- a round ---- */

static bool start_daemon(const struct bench *bench, const char *database, const char *quiet_sec,
                         struct daemon *out)
{
    char db[64], feed[64];
    snprintf(db, sizeof db, "sqlite:%s", database);
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
                                            {"restart_quiet_sec", quiet_sec},
                                            {NULL, NULL}};
    const struct daemon_spec spec = {bench->moonwatch, bench->folder, options};
    return daemon_start(out, &spec);
}

static void run_round(const struct bench *bench, struct size *size)
{
    struct daemon daemon;
    /* Quiet after a moment: the second death is no less a first one for the restart's wait. */
    if (!start_daemon(bench, size->database, "0.01", &daemon))
        return;
    bool works = await_work(&daemon);
    if (works)
        daemon_await_settled(&daemon);
    if (works && kill_engine(&size->warm, &daemon) && await_work(&daemon))
        kill_engine(&size->cold, &daemon);
    daemon_kill(&daemon);
}

/* With the default limits: its first death, a tenth of a second after its start. */
static void run_young(const struct bench *bench, struct series *series)
{
    struct daemon daemon;
    if (!start_daemon(bench, sizes[0].database, "600", &daemon))
        return;
    instant until = instant_add(clock_now(), PATIENCE);
    const struct page_process *engine = &daemon.page->processes[PROCESS_ENGINE];
    while (atomic_load(&engine->started_at_us) == 0 && instant_before(clock_now(), until))
        sleep_ms(0.2);
    instant kill_at = {(int64_t)atomic_load(&engine->started_at_us) + YOUNG_MS * 1000};
    sleep_ms(fmax(0, duration_to_s(instant_diff(kill_at, clock_now())) * 1e3));
    kill_engine(series, &daemon);
    daemon_kill(&daemon);
}

/* ---- figures ---- */

static void report_series(struct report *report, const struct series *series)
{
    struct figure *figure = report_add_sample(report, series->name, "ms", &series->total);
    figure->bar_kind = BAR_VALUE_MOST;
    figure->bar = series->bar_ms;
    if (series->total.count > 0)
        print_steps(series);
}

static void run_size(struct bench *bench, struct size *size)
{
    char url[PATH_MAX + 16];
    snprintf(url, sizeof url, "sqlite:%s", path_in(bench->folder, size->database));
    instant began = clock_now();
    if (!populate(url, size->tokens))
        return;
    printf("  %s has %u tokens after %.1f s\n", size->database, size->tokens,
           duration_to_s(instant_diff(clock_now(), began)));
    fflush(stdout);
    for (int i = 0; i < bench_rounds(bench, size->rounds_full, size->rounds_quick); i++)
        run_round(bench, size);
}

void bench_engine(struct bench *bench)
{
    static struct series young = {
        .name = FIGURE_YOUNG, .kind = COUNTER_EMERGENCY_RESTARTS, .bar_ms = 100};
    if (upstream_start() == NULL)
        return;
    for (size_t i = 0; i < SIZES; i++) {
        run_size(bench, &sizes[i]);
        for (int k = 0; i == 0 && k < bench_rounds(bench, 15, 4); k++)
            run_young(bench, &young);
    }
    for (size_t i = 0; i < SIZES; i++) {
        report_series(&bench->report, &sizes[i].warm);
        report_series(&bench->report, &sizes[i].cold);
    }
    report_series(&bench->report, &young);
}
