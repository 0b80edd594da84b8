/* Starts, stops, refusals to start, and what takes effect while running. */
#include "harness.h"

#include <math.h>
#include <signal.h>

#define TOKENS       300
#define STOPPED_S    3
#define REQUESTS_FEW 5

static const char *const few_tokens[] = {
    "--tokens", "300",           "--rpm",  "0", "--graduations-per-hour",
    "0",        "--replay-rate", "100000", NULL};
#define FAST                                                                                       \
    "--hot-interval-sec", "1", "--cold-interval-sec", "1", "--screen-requests-per-minute",         \
        "60000", "--refresh-requests-per-minute", "60000", "--discover-requests-per-minute",       \
        "60000"
static const char *const fast[] = {FAST, NULL};
static const char *const unlimited[] = {"--screen-requests-per-minute",
                                        "60000",
                                        "--refresh-requests-per-minute",
                                        "60000",
                                        "--discover-requests-per-minute",
                                        "60000",
                                        NULL};

static void expect_refreshes_go_on(const struct process *daemon)
{
    double refreshes = metric(daemon, "refreshes_total", NULL);
    expect_metric(daemon, "refreshes_total", NULL, refreshes + TOKENS);
}

/* ---- stopping ---- */

struct shown {
    char mint[MINT_SIZE], created_at[64], fetched_at[64];
};

static void copy_member(const json_t *item, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(item, key));
    snprintf(out, size, "%s", text == NULL ? "" : text);
}

static void show_first(const struct process *daemon, struct shown *out)
{
    json_t *list = http_json(daemon->port, "/tokens?limit=1&min_score=-1");
    json_t *item = json_array_get(json_object_get(list, "items"), 0);
    copy_member(item, "mint_address", out->mint, sizeof out->mint);
    copy_member(item, "created_at", out->created_at, sizeof out->created_at);
    copy_member(item, "fetched_at", out->fetched_at, sizeof out->fetched_at);
    json_decref(list);
}

static void stop_with(int number)
{
    struct process *market = market_start(few_tokens);
    struct process *daemon = daemon_start(market, "a.db", fast);
    struct shown before, after;
    expect_metric(daemon, "tokens", NULL, TOKENS);
    expect_refreshes_go_on(daemon);
    show_first(daemon, &before);
    double began = now_s();
    process_signal(daemon, number);
    assert_true(process_wait(daemon, WAIT_S * SLOWNESS));
    assert_true(now_s() - began < 5 * SLOWNESS);
    assert_int_equal(process_exit_status(daemon), 0);
    expect_said(daemon, "everything is written");

    /* The second start goes on where the first one was. */
    daemon =
        daemon_start(NULL, "a.db", (const char *const[]){"--scheduler-enabled", "false", NULL});
    assert_int_equal((int)metric(daemon, "tokens", NULL), TOKENS);
    char path[128];
    snprintf(path, sizeof path, "/tokens?limit=100&min_score=-1");
    json_t *list = http_json(daemon->port, path);
    json_t *items = json_object_get(list, "items");
    bool found = false;
    for (size_t i = 0; i < json_array_size(items); i++) {
        copy_member(json_array_get(items, i), "mint_address", after.mint, sizeof after.mint);
        if (strcmp(after.mint, before.mint) != 0)
            continue;
        found = true;
        copy_member(json_array_get(items, i), "created_at", after.created_at,
                    sizeof after.created_at);
        copy_member(json_array_get(items, i), "fetched_at", after.fetched_at,
                    sizeof after.fetched_at);
    }
    json_decref(list);
    assert_true(found);
    assert_string_equal(after.created_at, before.created_at);
    assert_true(strcmp(after.fetched_at, before.fetched_at) >= 0);
    process_stop(daemon);
}

static void terminate_ends_in_good_order(void)
{
    stop_with(SIGTERM);
}

static void interrupt_ends_in_good_order(void)
{
    stop_with(SIGINT);
}

static bool three_seconds_passed(void *context)
{
    return now_s() - *(double *)context >= STOPPED_S;
}

static void a_stopped_process_goes_on(void)
{
    struct process *market = market_start(few_tokens);
    struct process *daemon = daemon_start(market, "a.db", fast);
    expect_metric(daemon, "tokens", NULL, TOKENS);
    expect_refreshes_go_on(daemon);
    double began = now_s();
    process_signal(daemon, SIGSTOP);
    assert_true(wait_until(three_seconds_passed, &began, WAIT_S));
    process_signal(daemon, SIGCONT);
    expect_refreshes_go_on(daemon);
    assert_int_equal((int)metric(daemon, "tokens", NULL), TOKENS);
    assert_int_equal((int)metric(daemon, "tokens_archived_total", NULL), 0);
    assert_int_equal(http_status(daemon->port, "GET", "/ready", NULL), 200);
    process_stop(daemon);
    process_stop(market);
}

/* ---- refusing to start ---- */

static void expect_refusal(const char *const arguments[], const char *const environment[],
                           const char *message)
{
    struct process *daemon = daemon_spawn(NULL, "refused.db", arguments, environment);
    if (!process_wait(daemon, WAIT_S * SLOWNESS))
        fail_msg("%s: it runs, and should not", daemon->log);
    if (process_exit_status(daemon) <= 0)
        fail_msg("%s: exit status %d", daemon->log, process_exit_status(daemon));
    expect_said(daemon, message);
}

static void bad_starts_say_why(void)
{
    static const struct {
        const char *arguments[5];
        const char *environment[2];
        const char *message;
    } cases[] = {
        {{"--hot-interval-sec", "soon"}, {NULL}, "must be a number from"},
        {{"--hot-interval-sec", "0"}, {NULL}, "must be a number from"},
        {{"--hot-interval-secs", "5"}, {NULL}, "did you mean --hot-interval-sec?"},
        {{"--set", "hot_intervall_sec=5"}, {NULL}, "did you mean \"hot_interval_sec\"?"},
        {{"--log-level", "loud"}, {NULL}, "must be one of debug|info|warning|error"},
        {{NULL}, {"MOONWATCH_HOT_INTERVAL_SEC=never"}, "must be a number from"},
        {{"--listen", "0.0.0.0:0"}, {NULL}, "api_token"},
        {{"--listen", "[::]:0"}, {NULL}, "api_token"},
        {{"--listen", "nonsense"}, {NULL}, "nonsense"},
        {{"--db", "mysql://x"}, {NULL}, "mysql://x"},
        {{"--db", "sqlite:/nowhere/at/all/a.db"}, {NULL}, "/nowhere/at/all/a.db"},
        {{"--feed", "gopher://x"}, {NULL}, "neither http:// nor https://"},
        {{"--source", "carrier-pigeon:x"}, {NULL}, "carrier-pigeon"},
        {{"--config", "/nowhere/at/all.conf"}, {NULL}, "/nowhere/at/all.conf"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect_refusal(cases[i].arguments, cases[i].environment, cases[i].message);
}

static void a_bad_file_is_named_with_its_line(void)
{
    const char *path = sandbox_path("bad.conf");
    write_file(path, "# fine\nhot_interval_sec = 5\ncold_intervall_sec = 9\n");
    const char *const arguments[] = {"--config", path, NULL};
    expect_refusal(arguments, NULL, "bad.conf:3");
    expect_refusal(arguments, NULL, "did you mean \"cold_interval_sec\"?");
}

static void a_port_in_use_is_named(void)
{
    struct process *first = daemon_start(NULL, "a.db", NULL);
    char address[32];
    snprintf(address, sizeof address, "127.0.0.1:%u", first->port);
    expect_refusal((const char *const[]){"--listen", address, NULL}, NULL, "in use");
    process_stop(first);
}

/* ---- the scheduler turned off ---- */

static void expect_not_ready(const struct process *daemon, const char *reason)
{
    struct answer answer =
        http_call(daemon->port, &(struct call){.method = "GET", .path = "/ready"});
    if (answer.status != 503 || strstr(answer.body, reason) == NULL)
        fail_msg("/ready: %d: %s", answer.status, answer.body);
    answer_free(&answer);
}

static void off_is_said_plainly(void)
{
    struct process *market = market_start(few_tokens);
    struct process *daemon =
        daemon_spawn(market, "a.db", fast, (const char *const[]){"SCHEDULER_ENABLED=false", NULL});
    assert_true(daemon_await_port(daemon));
    expect_metric(daemon, "tokens", NULL, TOKENS); /* the source goes on */
    expect_healthy(daemon);
    expect_not_ready(daemon, "the scheduler is off");
    expect_said(daemon, "the scheduler is OFF");
    assert_int_equal((int)metric(daemon, "requests_sent_total", NULL), 0);
    assert_int_equal((int)market_stat(market, NULL, "tokens_served"), 0);
    json_t *list = http_json(daemon->port, "/tokens?limit=1&min_score=-1");
    const char *mint = json_string_value(
        json_object_get(json_array_get(json_object_get(list, "items"), 0), "mint_address"));
    char path[128];
    snprintf(path, sizeof path, "/tokens/%s/refresh", mint);
    json_decref(list);
    assert_int_equal(http_status(daemon->port, "POST", path, NULL), 503);
    process_stop(daemon);
    process_stop(market);
}

/* ---- settings ---- */

static double target_of(const struct process *daemon, const char *group)
{
    char labels[64];
    snprintf(labels, sizeof labels, "group=\"%s\"", group);
    return metric(daemon, "refresh_target_seconds", labels);
}

struct target_goal {
    const struct process *daemon;
    double hot, cold;
};

static bool targets_are(void *context)
{
    const struct target_goal *goal = context;
    return fabs(target_of(goal->daemon, "hot") - goal->hot) < 1e-9 &&
           fabs(target_of(goal->daemon, "cold") - goal->cold) < 1e-9;
}

static double price_requests(const struct process *market)
{
    return market_stat(market, "refresh", "addresses") + market_stat(market, "screen", "addresses");
}

struct rate_goal {
    const struct process *market;
    double least;
};

static bool market_was_asked(void *context)
{
    const struct rate_goal *goal = context;
    return price_requests(goal->market) >= goal->least;
}

static void settings_take_effect_and_stay(void)
{
    struct process *market = market_start(few_tokens);
    struct process *daemon = daemon_start(market, "a.db", unlimited);
    expect_metric(daemon, "tokens", NULL, TOKENS);
    assert_true(targets_are(&(struct target_goal){daemon, 15, 45}));

    /* From one refresh in 15 or 45 s to one a second: the market sees it at once. */
    put_setting(daemon, "hot_interval_sec", "1");
    put_setting(daemon, "cold_interval_sec", "2");
    double began = now_s(), asked = price_requests(market);
    expect_soon(market_was_asked, &((struct rate_goal){market, asked + 4.0 * TOKENS}));
    assert_true(now_s() - began < 12 * SLOWNESS);
    expect_soon(targets_are, &((struct target_goal){daemon, 1, 2}));
    json_t *health = http_json(daemon->port, "/health/freshness");
    char *text = json_dumps(health, 0);
    assert_non_null(text);
    assert_non_null(strstr(text, "\"hot\""));
    free(text);
    json_decref(health);

    assert_int_equal(
        http_status(daemon->port, "PUT", "/settings/hot_interval_sec", "{\"value\":\"-3\"}"), 400);
    assert_int_equal(http_status(daemon->port, "PUT", "/settings/nonsense", "{\"value\":\"1\"}"),
                     404);
    expect_setting(daemon, "hot_interval_sec", "1");
    process_stop(daemon);
    daemon = daemon_start(market, "a.db", unlimited);
    expect_setting(daemon, "hot_interval_sec", "1");
    expect_setting(daemon, "cold_interval_sec", "2");
    expect_soon(targets_are, &((struct target_goal){daemon, 1, 2}));
    process_stop(daemon);
    process_stop(market);
}

/* ---- refresh on demand ---- */

static void refresh_on_demand(void)
{
    struct process *market = market_start(few_tokens);
    struct process *daemon = daemon_start(market, "a.db", fast);
    struct shown first;
    char path[128];
    expect_metric(daemon, "tokens", NULL, TOKENS);
    expect_refreshes_go_on(daemon);
    show_first(daemon, &first);
    snprintf(path, sizeof path, "/tokens/%s/refresh", first.mint);
    struct answer answer = http_call(daemon->port, &(struct call){.method = "POST", .path = path});
    assert_int_equal(answer.status, 200);
    json_t *json = json_loadb(answer.body, answer.length, 0, NULL);
    assert_true(json_integer_value(json_object_get(json, "updated_snapshot_id")) > 0);
    assert_true(json_is_real(json_object_get(json, "score")));
    json_decref(json);
    answer_free(&answer);

    market_fault(market, "{\"fault\":\"down\"}");
    assert_int_equal(http_status(daemon->port, "POST", path, NULL), 503);
    expect_healthy(daemon);
    market_end_faults(market);
    assert_int_equal(http_status(daemon->port, "POST",
                                 "/tokens/So11111111111111111111111111111111111111112/refresh",
                                 NULL),
                     404);
    process_stop(daemon);
    process_stop(market);
}

/* As cron jobs and some supervisors start programs. */
static void closed_streams_are_no_matter(void)
{
    static const char script[] =
        "exec \"$0\" run --db \"$1\" --feed http://127.0.0.1:1 --source none "
        "--listen 127.0.0.1:0 --log-format json <&- >&-";
    char db[PATH_SIZE];
    snprintf(db, sizeof db, "sqlite:%s", sandbox_path("closed.db"));
    struct process *daemon =
        process_start("daemon", "/bin/sh",
                      (const char *const[]){"-c", script, moonwatch_program(), db, NULL}, NULL);
    assert_true(daemon_await_port(daemon));
    process_stop(daemon);
    expect_said(daemon, "everything is written");
}

int main(int argc, char *argv[])
{
    static const struct integration_case cases[] = {
        {"SIGTERM ends in good order, and a second start goes on", terminate_ends_in_good_order},
        {"SIGINT ends in good order, and a second start goes on", interrupt_ends_in_good_order},
        {"a process that was stopped goes on", a_stopped_process_goes_on},
        {"bad starts say why", bad_starts_say_why},
        {"a bad file is named with its line", a_bad_file_is_named_with_its_line},
        {"a port in use is named", a_port_in_use_is_named},
        {"a scheduler that is off says so", off_is_said_plainly},
        {"settings take effect and stay", settings_take_effect_and_stay},
        {"a refresh on demand", refresh_on_demand},
        {"closed standard streams are no matter", closed_streams_are_no_matter},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
