/*
 * Load with real processes: what is measured is there and is not 0; an engine that is kept from
 * running plans less, says why, and comes back by itself.
 */
#include "harness.h"

#include <signal.h>
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
    for (size_t i = 0; i < sizeof readings / sizeof readings[0]; i++) {
        struct goal goal = {daemon, &readings[i]};
        expect_soon(is_reached, &goal);
    }
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
        {"who_is_kept_from_running_plans_less", who_is_kept_from_running_plans_less},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
