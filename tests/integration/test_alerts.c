/*
 * What people are told when something is wrong, through a daemon as people run it: at once, once,
 * whatever dies in between. The receiver is a program that keeps what it gets, or refuses it.
 */
#include "harness.h"

#include "base/clock.h"
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define MESSAGES_MAX 64
#define FIRST_S      5 /* from what is wrong to the message */

static char firing[] = "firing", resolved[] = "resolved";

static const char *const market_options[] = {"--tokens", "50", "--rpm", "0", NULL};

/* Keeps a line a message, unless it is told to refuse. */
static void write_receiver(void)
{
    char script[4 * PATH_SIZE];
    snprintf(script, sizeof script, "#!/bin/sh\n[ ! -e '%s' ] || exit 1\n{ cat; echo; } >>'%s'\n",
             sandbox_path("refuse"), sandbox_path("messages"));
    write_file(sandbox_path("receiver"), script);
    assert_int_equal(chmod(sandbox_path("receiver"), 0755), 0);
}

static struct process *start(const struct process *market)
{
    char command[PATH_SIZE + 32];
    snprintf(command, sizeof command, "alert_command=%s", sandbox_path("receiver"));
    const char *const options[] = {
        "--set", command, "--set", "alert_resolve_sec=0.5", "--set", "alert_retry_max_sec=1", NULL};
    return daemon_start(market, "a.db", options);
}

struct messages {
    size_t count;
    json_t *of[MESSAGES_MAX];
};

static void forget(struct messages *messages)
{
    for (size_t i = 0; i < messages->count; i++)
        json_decref(messages->of[i]);
    messages->count = 0;
}

/* Those that are about this; what else was wrong on a busy machine is not looked at. */
static bool is_about(const json_t *message, const char *cause)
{
    size_t i;
    json_t *alert;
    json_array_foreach(json_object_get(message, "alerts"), i, alert)
    {
        const json_t *name = json_object_get(json_object_get(alert, "labels"), "alertname");
        if (strcmp(json_string_value(name), cause) == 0)
            return true;
    }
    return false;
}

static void read_messages(struct messages *messages)
{
    size_t length;
    char *text = read_file(sandbox_path("messages"), &length), *rest = text;
    *messages = (struct messages){0};
    for (char *line; text != NULL && (line = strtok_r(rest, "\n", &rest)) != NULL;) {
        json_t *message = json_loads(line, 0, NULL);
        if (message == NULL)
            continue; /* it is being written */
        if (is_about(message, "paused") && messages->count < MESSAGES_MAX)
            messages->of[messages->count++] = message;
        else
            json_decref(message);
    }
    free(text);
}

/* The alert as a message has it; to be released. NULL: it has none. */
static json_t *alert_of(const json_t *message)
{
    size_t i;
    json_t *alert;
    json_array_foreach(json_object_get(message, "alerts"), i, alert)
    {
        const json_t *name = json_object_get(json_object_get(alert, "labels"), "alertname");
        if (strcmp(json_string_value(name), "paused") == 0)
            return json_incref(alert);
    }
    return NULL;
}

/* As the newest message has it; the same. */
static json_t *newest(void)
{
    struct messages messages;
    read_messages(&messages);
    json_t *found = messages.count > 0 ? alert_of(messages.of[messages.count - 1]) : NULL;
    forget(&messages);
    return found;
}

static bool is_status(json_t *alert, const char *status)
{
    return alert != NULL &&
           strcmp(json_string_value(json_object_get(alert, "status")), status) == 0;
}

static bool has_status(void *context)
{
    json_t *alert = newest();
    bool has = is_status(alert, context);
    json_decref(alert);
    return has;
}

/* The first message of all; the next one may follow at its heels. */
static bool began_with(void *context)
{
    struct messages messages;
    read_messages(&messages);
    json_t *alert = messages.count > 0 ? alert_of(messages.of[0]) : NULL;
    bool has = is_status(alert, context);
    json_decref(alert);
    forget(&messages);
    return has;
}

static size_t count_messages(void)
{
    struct messages messages;
    read_messages(&messages);
    size_t count = messages.count;
    forget(&messages);
    return count;
}

static void pause_it(const struct process *daemon)
{
    assert_int_equal(http_status(daemon->port, "POST", "/admin/pause", NULL), 200);
}

static void resume_it(const struct process *daemon)
{
    assert_int_equal(http_status(daemon->port, "POST", "/admin/resume", NULL), 200);
}

/* From what is wrong to the first message about it. */
static double message_delay_s(const struct process *daemon)
{
    double delay = -1;
    size_t i;
    json_t *message, *json = http_json(daemon->port, "/alerts");
    json_t *alert = newest();
    instant since, at;
    assert_true(iso_time_parse(json_string_value(json_object_get(alert, "startsAt")), &since));
    json_array_foreach(json_object_get(json, "messages"), i, message)
    {
        assert_true(iso_time_parse(json_string_value(json_object_get(message, "at")), &at));
        if (!instant_before(at, since)) /* newest first */
            delay = duration_to_s(instant_diff(at, since));
    }
    json_decref(alert);
    json_decref(json);
    return delay;
}

static void what_is_wrong_is_told_and_its_end(void)
{
    struct process *market = market_start(market_options);
    write_receiver();
    struct process *daemon = start(market);
    expect_metric(daemon, "tokens", NULL, 50);
    pause_it(daemon);
    expect_soon(has_status, firing);
    expect_metric(daemon, "alert_messages_total", NULL, 1); /* the page is renewed each second */
    double delay = message_delay_s(daemon);
    assert_true(delay >= 0 && delay <= FIRST_S * SLOWNESS);
    resume_it(daemon);
    expect_soon(has_status, resolved);
    assert_int_equal(count_messages(), 2);
    expect_metric(daemon, "alert_deliveries_total", "sink=\"command\"", 2);
    process_stop(daemon);
    process_stop(market);
}

static pid_t engine_pid(const struct process *daemon)
{
    pid_t pid = 0;
    size_t i;
    json_t *process, *json = http_json(daemon->port, "/health/supervisor");
    json_array_foreach(json_object_get(json, "processes"), i, process)
    {
        if (strcmp(json_string_value(json_object_get(process, "name")), "engine") == 0)
            pid = (pid_t)json_integer_value(json_object_get(process, "pid"));
    }
    json_decref(json);
    return pid;
}

static bool has_warm_start(void *context)
{
    return metric(context, "engine_warm_starts_total", NULL) +
               metric(context, "engine_cold_starts_total", NULL) >=
           2;
}

/* What a receiver refuses waits for it, through deaths of the engine and of the whole daemon, and
 * comes once. */
static void what_waits_survives(void)
{
    struct process *market = market_start(market_options);
    write_receiver();
    write_file(sandbox_path("refuse"), "");
    struct process *daemon = start(market);
    expect_metric(daemon, "tokens", NULL, 50);
    pause_it(daemon);
    expect_metric(daemon, "alert_deliveries_failed_total", "sink=\"command\"", 1);
    assert_int_equal(kill(engine_pid(daemon), SIGKILL), 0);
    expect_soon(has_warm_start, daemon);
    expect_metric(daemon, "alert_messages_waiting", "sink=\"command\"", 1);
    process_kill(daemon);
    daemon = start(market);
    expect_metric(daemon, "alert_deliveries_failed_total", "sink=\"command\"", 1);
    assert_int_equal(count_messages(), 0);
    assert_int_equal(unlink(sandbox_path("refuse")), 0);
    expect_soon(began_with, firing);
    /* The new daemon is not paused: what its predecessor told is over. */
    expect_soon(has_status, resolved);
    assert_int_equal(count_messages(), 2);
    process_stop(daemon);
    process_stop(market);
}

static struct process *test_alert(void)
{
    char database[PATH_SIZE];
    snprintf(database, sizeof database, "sqlite:%s", sandbox_path("a.db"));
    struct process *ctl =
        process_start("ctl", moonwatch_program(),
                      (const char *const[]){"ctl", "test-alert", "--db", database, NULL}, NULL);
    assert_true(process_wait(ctl, WAIT_S * SLOWNESS));
    return ctl;
}

static void a_test_says_how_each_sink_did(void)
{
    write_receiver();
    struct process *daemon = start(NULL);
    struct process *ctl = test_alert();
    assert_int_equal(process_exit_status(ctl), 0);
    expect_said(ctl, "log: delivered; command: delivered");
    write_file(sandbox_path("refuse"), "");
    ctl = test_alert();
    assert_int_equal(process_exit_status(ctl), 1);
    expect_said(ctl, "log: delivered; command: failed (exit status 1)");
    process_stop(daemon);
}

int main(int argc, char *argv[])
{
    static const struct integration_case cases[] = {
        {"what is wrong is told, and its end", what_is_wrong_is_told_and_its_end},
        {"what waits survives", what_waits_survives},
        {"a test says how each sink did", a_test_says_how_each_sink_did},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
