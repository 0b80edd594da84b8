/*
 * Load with real processes: what is measured is there and is not 0, agrees with what we read of the
 * machine ourselves, and is seen soon; what cannot be read is unknown everywhere, and the daemon
 * goes on; an engine that is kept from running plans less, says why, and comes back by itself.
 */
#include "harness.h"

#include <math.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define BURNERS   2
#define STOPPED_S 0.5 /* longer than load_lag_ms */
#define MOVES_S   0.05

static const char *const market_options[] = {
    "--tokens", "200",           "--rpm",  "0", "--graduations-per-hour",
    "0",        "--replay-rate", "100000", NULL};
/* Who is stopped on purpose is not to be killed for it. */
static const char *const daemon_options[] = {"--set", "heartbeat_deadline_ms=3000", NULL};

static void start_burners(pid_t pids[BURNERS])
{
    for (int i = 0; i < BURNERS; i++) {
        pids[i] = fork();
        if (pids[i] != 0)
            continue;
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        for (volatile unsigned spins = 0;; spins++)
            continue;
    }
}

static void stop_burners(const pid_t pids[BURNERS])
{
    for (int i = 0; i < BURNERS; i++) {
        kill(pids[i], SIGKILL);
        waitpid(pids[i], NULL, 0);
    }
}

static void expect_number(const json_t *json, const char *outer, const char *inner)
{
    const json_t *number = json_object_get(json_object_get(json, outer), inner);
    if (!json_is_number(number) || json_number_value(number) <= 0)
        fail_msg("%s.%s is not known, or 0", outer, inner);
}

struct reading {
    const char *name;
    double least;
};

struct goal {
    const struct process *daemon;
    const struct reading *reading;
};

/* A rate is unknown until the second look, and then left out. */
static bool is_reached(void *context)
{
    const struct goal *goal = context;
    bool is_known;
    char *text = http_text(goal->daemon->port, "/metrics");
    double value = metric_in(text, goal->reading->name, NULL, &is_known);
    free(text);
    return is_known && value >= goal->reading->least;
}

static void await_reading(const struct process *daemon, const char *name, double least)
{
    struct reading reading = {name, least};
    struct goal goal = {daemon, &reading};
    expect_soon(is_reached, &goal);
}

static void what_is_measured_is_there(void)
{
    pid_t burners[BURNERS];
    struct process *market = market_start(market_options);
    struct process *daemon = daemon_start(market, "moonwatch.db", daemon_options);
    start_burners(burners);
    static const struct reading readings[] = {{"load_machine_cpu_ratio", 0.2},
                                              {"load_own_cpu_ratio", 1e-6},
                                              {"load_engine_cpu_cores", 1e-6},
                                              {"load_upstream_latency_seconds", 1e-6}};
    for (size_t i = 0; i < sizeof readings / sizeof readings[0]; i++)
        await_reading(daemon, readings[i].name, readings[i].least);
    json_t *json = http_json(daemon->port, "/health/resources");
    expect_number(json, "memory", "usage_mb");
    expect_number(json, "memory", "usage_percent");
    expect_number(json, "cpu", "cores");
    expect_number(json, "disk", "usage_percent");
    expect_number(json, "file_descriptors", "open");
    expect_number(json, "file_descriptors", "max");
    json_decref(json);
    assert_true(metric(daemon, "load_unreadable_total", NULL) == 0);
    stop_burners(burners);
    process_stop(daemon);
}

/* ---- what we read ourselves ---- */

/* Three are promised, of a machine that is nobody else's: this one may be. */
#define SEEN_WITHIN_S 6.0
#define AGREES        5.0 /* percent of the machine */
#define HOG_SHARE     0.1 /* of the machine's memory */

static double meminfo(const char *key)
{
    char *text = read_file("/proc/meminfo", NULL);
    const char *line = text == NULL ? NULL : strstr(text, key);
    double kib = line == NULL ? NAN : strtod(line + strlen(key), NULL);
    free(text);
    return kib * 1024;
}

static double memory_percent(void)
{
    return 100 * (1 - meminfo("MemAvailable:") / meminfo("MemTotal:"));
}

/* Ticks since the machine's start: all, and those in which nobody ran. */
static void read_ticks(double *all, double *idle)
{
    double ticks[8] = {0};
    char *text = read_file("/proc/stat", NULL);
    const char *at = text + strlen("cpu");
    for (int i = 0; i < 8; i++)
        ticks[i] = strtod(at, (char **)&at);
    free(text);
    *all = *idle = 0;
    for (int i = 0; i < 8; i++)
        *all += ticks[i];
    *idle = ticks[3] + ticks[4];
}

static double member(const json_t *json, const char *outer, const char *inner)
{
    const json_t *number = json_object_get(json_object_get(json, outer), inner);
    return json_is_number(number) ? json_number_value(number) : NAN;
}

static bool has_alert(const json_t *json, const char *cause, const char *subject)
{
    const json_t *alerts = json_object_get(json, "alerts");
    for (size_t i = 0; i < json_array_size(alerts); i++) {
        const json_t *context = json_object_get(json_array_get(alerts, i), "context");
        const char *about = json_string_value(json_object_get(context, "subject"));
        if (strcmp(json_string_value(json_object_get(context, "cause")), cause) == 0 &&
            about != NULL && strcmp(about, subject) == 0)
            return true;
    }
    return false;
}

/* The newest reading of what is forecast, in percent; NaN: unknown. */
static double forecast_reading(const struct process *daemon, const char *signal)
{
    json_t *json = http_json(daemon->port, "/health/forecast");
    const json_t *signals = json_object_get(json, "signals");
    double reading = NAN;
    for (size_t i = 0; i < json_array_size(signals); i++) {
        const json_t *one = json_array_get(signals, i), *value = json_object_get(one, "value");
        if (strcmp(json_string_value(json_object_get(one, "signal")), signal) == 0 &&
            json_is_number(value))
            reading = 100 * json_number_value(value);
    }
    json_decref(json);
    return reading;
}

/* ---- a memory hog ---- */

/* It touches its pages and waits. Returns once it has done so. */
static pid_t start_hog(size_t bytes)
{
    int ready[2];
    char done = 0;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid != 0) {
        close(ready[1]);
        assert_int_equal(read(ready[0], &done, 1), 1);
        close(ready[0]);
        return pid;
    }
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    void *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED)
        _exit(1);
    memset(memory, 0x5a, bytes);
    if (write(ready[1], &done, 1) != 1)
        _exit(1);
    while (true)
        pause();
}

struct sight {
    const struct process *daemon;
    double at_least; /* percent of memory */
};

/* The signal's number, its level and the finding: all of it, together. */
static bool sees_memory(void *context)
{
    const struct sight *sight = context;
    json_t *json = http_json(sight->daemon->port, "/health/resources");
    bool is_seen = member(json, "memory", "machine_percent") >= sight->at_least &&
                   has_alert(json, "load_high", "memory");
    json_decref(json);
    return is_seen && metric(sight->daemon, "load_signal_level", "\"memory\"") >= 1 &&
           forecast_reading(sight->daemon, "memory") >= sight->at_least;
}

static void expect_agreement(const struct process *daemon)
{
    json_t *json = http_json(daemon->port, "/health/resources");
    double shown = member(json, "memory", "machine_percent"), read = memory_percent();
    double counted = 100 * metric(daemon, "load_machine_memory_ratio", NULL);
    double forecast = forecast_reading(daemon, "memory");
    json_decref(json);
    if (!(fabs(shown - read) <= AGREES && fabs(counted - read) <= AGREES &&
          forecast >= read - AGREES)) /* the cgroup's, where that is nearer to its limit */
        fail_msg("memory: /health/resources %.1f %%, /metrics %.1f %%, /health/forecast %.1f %%, "
                 "/proc %.1f %%",
                 shown, counted, forecast, read);
}

static void a_memory_hog_is_seen(void)
{
    char reduced[32];
    struct process *market = market_start(market_options);
    struct process *daemon = daemon_start(market, "moonwatch.db", daemon_options);
    double total = meminfo("MemTotal:"), before = memory_percent();
    if (isnan(before) || before > 100 * (1 - 2 * HOG_SHARE)) {
        harness_skip("no memory to spare");
        return;
    }
    await_reading(daemon, "load_machine_memory_ratio", 0.001);
    expect_agreement(daemon);
    struct sight sight = {daemon, before + 100 * HOG_SHARE / 2};
    snprintf(reduced, sizeof reduced, "%.1f", sight.at_least);
    put_setting(daemon, "load_reduced_memory_percent", reduced);
    put_setting(daemon, "load_minimal_memory_percent", "100");
    pid_t hog = start_hog((size_t)(total * HOG_SHARE));
    double started = now_s();
    expect_soon(sees_memory, &sight);
    double seen_after = now_s() - started;
    expect_agreement(daemon);
    kill(hog, SIGKILL);
    waitpid(hog, NULL, 0);
    print_message("# seen after %.1f s\n", seen_after);
    assert_true(seen_after <= SEEN_WITHIN_S * SLOWNESS);
    process_stop(daemon);
}

/* ---- a CPU burner ---- */

static bool sees_cpu(void *context)
{
    const struct process *daemon = context;
    json_t *json = http_json(daemon->port, "/health/resources");
    bool is_seen =
        member(json, "cpu", "usage_percent") >= 85 && has_alert(json, "load_high", "cpu");
    json_decref(json);
    return is_seen && metric(daemon, "load_level", NULL) == 2 &&
           forecast_reading(daemon, "cpu") >= 85;
}

static void a_burner_is_seen(void)
{
    pid_t burners[BURNERS];
    double all, idle, all_then, idle_then;
    if (sysconf(_SC_NPROCESSORS_ONLN) > BURNERS) {
        harness_skip("more CPUs than burners");
        return;
    }
    struct process *market = market_start(market_options);
    struct process *daemon = daemon_start(market, "moonwatch.db", daemon_options);
    await_reading(daemon, "load_machine_cpu_ratio", 0);
    double started = now_s();
    start_burners(burners);
    expect_soon(sees_cpu, daemon);
    double seen_after = now_s() - started;
    read_ticks(&all, &idle);
    usleep(2000000);
    read_ticks(&all_then, &idle_then);
    double read = 100 * (1 - (idle_then - idle) / (all_then - all));
    double counted = 100 * metric(daemon, "load_machine_cpu_ratio", NULL);
    double forecast = forecast_reading(daemon, "cpu");
    stop_burners(burners);
    print_message("# seen after %.1f s\n", seen_after);
    if (!(fabs(counted - read) <= AGREES && forecast >= read - AGREES))
        fail_msg("CPU: /metrics %.1f %%, /health/forecast %.1f %%, /proc %.1f %%", counted,
                 forecast, read);
    assert_true(seen_after <= SEEN_WITHIN_S * SLOWNESS);
    process_stop(daemon);
}

/* ---- nothing to read ---- */

static bool is_unknown(void *context)
{
    const struct process *daemon = context;
    json_t *json = http_json(daemon->port, "/health/resources");
    bool is_null = isnan(member(json, "cpu", "usage_percent")) &&
                   isnan(member(json, "memory", "machine_percent")) &&
                   isnan(member(json, "file_descriptors", "open")) &&
                   has_alert(json, "load_unknown", "cpu");
    json_decref(json);
    return is_null && isnan(forecast_reading(daemon, "cpu")) &&
           isnan(forecast_reading(daemon, "memory"));
}

/* Runs a command in the daemon's mount namespace. */
static bool done_beside(const struct process *daemon, const char *const command[])
{
    char space[64];
    const char *arguments[8] = {space};
    snprintf(space, sizeof space, "--mount=/proc/%d/ns/mnt", (int)daemon->pid);
    for (size_t i = 0; command[i] != NULL; i++) {
        assert_true(i + 2 < sizeof arguments / sizeof arguments[0]);
        arguments[i + 1] = command[i];
    }
    struct process *entered = process_start("nsenter", "/usr/bin/nsenter", arguments, NULL);
    return process_wait(entered, WAIT_S) && process_exit_status(entered) == 0;
}

/* What the engine keeps open must be hidden before it starts, what it opens anew each second may be
 * hidden later: in a mount namespace of the daemon's own. */
#define HIDE_FILES                                                                                 \
    "mount --bind /dev/null /proc/stat && mount --bind /dev/null /proc/meminfo && exec \"$0\" "    \
    "\"$@\""

static void without_proc_all_is_unknown(void)
{
    struct process *market = market_start(market_options);
    char db[PATH_SIZE], feed[64], source[64];
    snprintf(db, sizeof db, "sqlite:%s", sandbox_path("moonwatch.db"));
    snprintf(feed, sizeof feed, "http://127.0.0.1:%u", market->port);
    snprintf(source, sizeof source, "ws://127.0.0.1:%u/api/data", market->port);
    const char *const arguments[] = {
        "--mount",  "sh",   "-c",       HIDE_FILES,    moonwatch_program(),
        "run",      "--db", db,         "--feed",      feed,
        "--source", source, "--listen", "127.0.0.1:0", "--log-format",
        "json",     NULL};
    struct process *daemon = process_start("daemon", "/usr/bin/unshare", arguments, NULL);
    if (!daemon_await_port(daemon)) {
        harness_skip("no mount namespaces here");
        return;
    }
    await_reading(daemon, "load_disk_ratio", 0);
    const char *const mask[] = {"mount", "-t", "tmpfs", "none", "/proc", NULL};
    if (!done_beside(daemon, mask)) {
        harness_skip("/proc may not be hidden here");
        return;
    }
    expect_soon(is_unknown, daemon);
    char *text = http_text(daemon->port, "/metrics");
    assert_null(strstr(text, "\nmoonwatch_load_machine_cpu_ratio "));
    assert_null(strstr(text, "\nmoonwatch_load_machine_memory_ratio "));
    free(text);
    /* And it goes on. */
    double steps = metric(daemon, "core_steps_total", NULL);
    expect_metric(daemon, "core_steps_total", NULL, steps + 20);
    expect_healthy(daemon);
    assert_true(metric(daemon, "load_scale_ratio", NULL) == 1);
    assert_true(metric(daemon, "hangs_total", NULL) == 0);
    /* What looks for leaks as a process ends reads /proc. */
    const char *const unmask[] = {"umount", "/proc", NULL};
    assert_true(done_beside(daemon, unmask));
    process_stop(daemon);
}

static pid_t engine_of(const struct process *daemon)
{
    json_t *json = http_json(daemon->port, "/health/supervisor");
    const json_t *processes = json_object_get(json, "processes");
    pid_t pid = 0;
    for (size_t i = 0; i < json_array_size(processes); i++) {
        const json_t *process = json_array_get(processes, i);
        if (strcmp(json_string_value(json_object_get(process, "name")), "engine") == 0)
            pid = (pid_t)json_integer_value(json_object_get(process, "pid"));
    }
    json_decref(json);
    assert_true(pid > 0);
    return pid;
}

struct stutter {
    const struct process *daemon;
    pid_t engine;
};

/* Stops it once more; true when it plans less because of it. */
static bool plans_less(void *context)
{
    const struct stutter *stutter = context;
    kill(stutter->engine, SIGSTOP);
    usleep((useconds_t)(STOPPED_S * 1e6));
    kill(stutter->engine, SIGCONT);
    usleep((useconds_t)(MOVES_S * 1e6));
    return metric(stutter->daemon, "load_scale_ratio", NULL) < 1;
}

static void who_is_kept_from_running_plans_less(void)
{
    struct process *market = market_start(market_options);
    struct process *daemon = daemon_start(market, "moonwatch.db", daemon_options);
    expect_metric(daemon, "load_scale_ratio", NULL, 1);
    struct stutter stutter = {daemon, engine_of(daemon)};
    expect_soon(plans_less, &stutter);
    assert_true(metric(daemon, "load_signal_level", "strain") >= 1);
    json_t *json = http_json(daemon->port, "/health/priority");
    const char *why = json_string_value(json_object_get(json_object_get(json, "load"), "why"));
    if (strstr(why, "the engine does not keep up") == NULL)
        fail_msg("why: %s", why);
    json_decref(json);
    expect_metric(daemon, "load_scale_ratio", NULL, 1);
    expect_said(daemon, "\"signal\":\"strain\"");
    assert_int_equal(engine_of(daemon), stutter.engine);
    process_stop(daemon);
}

int main(int argc, char *argv[])
{
    static const struct integration_case cases[] = {
        {"what_is_measured_is_there", what_is_measured_is_there},
        {"a_memory_hog_is_seen", a_memory_hog_is_seen},
        {"a_burner_is_seen", a_burner_is_seen},
        {"without_proc_all_is_unknown", without_proc_all_is_unknown},
        {"who_is_kept_from_running_plans_less", who_is_kept_from_running_plans_less},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
