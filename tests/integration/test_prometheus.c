/*
 * /metrics, the alerting rules and the dashboard with the real thing: Debian's promtool, and its
 * Prometheus scraping a daemon.
 */
#include "harness.h"

#include <ctype.h>
#include <unistd.h>

#define PROMETHEUS "/usr/bin/prometheus"
#define PROMTOOL   "/usr/bin/promtool"
#define PACKAGING  MOONWATCH_SOURCE_ROOT "/packaging"
#define RULES      PACKAGING "/prometheus/moonwatch.rules.yml"
#define PROMTOOL_S 120 /* the tests of the rules take 2 s of CPU */
#define NAME_SIZE  128
#define EXPR_SIZE  1024

static const char *const market_options[] = {"--tokens", "100",           "--rpm",  "0", "--speed",
                                             "20",       "--replay-rate", "100000", NULL};
static const char *const daemon_options[] = {"--set", "hot_interval_sec=1", "--set",
                                             "cold_interval_sec=2", NULL};

static bool is_installed(void)
{
    if (access(PROMETHEUS, X_OK) == 0 && access(PROMTOOL, X_OK) == 0)
        return true;
    harness_skip("no Prometheus is installed (Debian's package: prometheus)");
    return false;
}

static char *read_needed(const char *path)
{
    char *text = read_file(path, NULL);
    if (text == NULL)
        fail_msg("%s can't be read", path);
    return text;
}

/* Runs a command of the shell, which must be content. */
static void expect_content(const char *command)
{
    const char *const arguments[] = {"-c", command, NULL};
    struct process *shell = process_start("promtool", "/bin/sh", arguments, NULL);
    assert_true(process_wait(shell, PROMTOOL_S));
    char *log = read_needed(shell->log);
    if (process_exit_status(shell) != 0)
        fail_msg("%s\n%s", command, log);
    free(log);
}

static void metrics_are_clean(void)
{
    if (!is_installed())
        return;
    struct process *market = market_start(market_options);
    struct process *daemon = daemon_start(market, "moonwatch.db", daemon_options);
    expect_metric(daemon, "refreshes_total", "hot", 1);
    char *text = http_text(daemon->port, "/metrics"), command[3 * PATH_SIZE];
    write_file(sandbox_path("metrics.txt"), text);
    /* What it only remarks on is in its output, not in its status. */
    snprintf(command, sizeof command,
             "out=$(%s check metrics <'%s' 2>&1) && test -z \"$out\" || "
             "{ echo \"$out\"; exit 1; }",
             PROMTOOL, sandbox_path("metrics.txt"));
    expect_content(command);
    free(text);
    process_stop(daemon);
}

static void rules_are_sound(void)
{
    if (!is_installed())
        return;
    expect_content(PROMTOOL " check rules '" RULES "'");
    expect_content(PROMTOOL " check config '" PACKAGING "/prometheus/prometheus.yml'");
    expect_content(PROMTOOL " test rules '" PACKAGING "/prometheus/moonwatch.rules.test.yml'");
}

/* ---- every alert is tested, and explained to people ---- */

/* The word behind the next `key` in *at; false at the end. */
static bool next_word(const char **at, const char *key, char out[NAME_SIZE])
{
    const char *found = strstr(*at, key);
    if (found == NULL)
        return false;
    found += strlen(key);
    size_t length = strcspn(found, " \n");
    assert_in_range(length, 1, NAME_SIZE - 1);
    memcpy(out, found, length);
    out[length] = '\0';
    *at = found + length;
    return true;
}

static void expect_tested(const char *tests, const char *alert)
{
    char silent[2 * NAME_SIZE], firing[2 * NAME_SIZE];
    snprintf(silent, sizeof silent, "alertname: %s}\n", alert);
    snprintf(firing, sizeof firing, "alertname: %s\n        exp_alerts:\n", alert);
    if (strstr(tests, silent) == NULL)
        fail_msg("no test in which %s is silent", alert);
    if (strstr(tests, firing) == NULL)
        fail_msg("no test in which %s fires", alert);
}

/* As GitHub makes it of a heading. */
static void anchor_of(const char *heading, char out[NAME_SIZE])
{
    size_t length = 0;
    for (; *heading != '\n' && *heading != '\0' && length + 1 < NAME_SIZE; heading++) {
        if (*heading == ' ')
            out[length++] = '-';
        else if (isalnum((unsigned char)*heading) || *heading == '-')
            out[length++] = (char)tolower((unsigned char)*heading);
    }
    out[length] = '\0';
}

static bool has_anchor(const char *page, const char *anchor)
{
    for (const char *at = page; (at = strstr(at, "\n#")) != NULL; at++) {
        char found[NAME_SIZE];
        anchor_of(at + 1 + strspn(at + 1, "# "), found);
        if (strcmp(found, anchor) == 0)
            return true;
    }
    return false;
}

static void every_alert_is_tested_and_explained(void)
{
    static const char page_name[] = "docs/operations.md";
    char *rules = read_needed(RULES),
         *page = read_needed(MOONWATCH_SOURCE_ROOT "/docs/operations.md");
    char *tests = read_needed(PACKAGING "/prometheus/moonwatch.rules.test.yml");
    char alert[NAME_SIZE], severity[NAME_SIZE], runbook[NAME_SIZE];
    unsigned count = 0;
    for (const char *at = rules; next_word(&at, "- alert: ", alert); count++) {
        expect_tested(tests, alert);
        assert_true(next_word(&at, "severity: ", severity));
        if (strcmp(severity, "warning") != 0 && strcmp(severity, "error") != 0 &&
            strcmp(severity, "critical") != 0)
            fail_msg("%s: severity %s", alert, severity);
        assert_true(next_word(&at, "runbook: ", runbook));
        const char *anchor = strchr(runbook, '#');
        if (anchor == NULL || strncmp(runbook, page_name, strlen(page_name)) != 0 ||
            !has_anchor(page, anchor + 1))
            fail_msg("%s: there is no %s", alert, runbook);
        if (strstr(page, alert) == NULL)
            fail_msg("%s does not speak of %s", page_name, alert);
    }
    assert_true(count > 20);
    free(rules);
    free(tests);
    free(page);
}

/* ---- expressions ---- */

/* What Grafana puts in the place of its variables. */
static const struct {
    const char *name, *value;
} variables[] = {{"$__rate_interval", "1m"}, {"$instance", ".*"}};

static void replace_variables(const char *expr, char out[EXPR_SIZE])
{
    size_t length = 0;
    while (*expr != '\0') {
        const char *from = expr;
        size_t taken = 1;
        for (size_t i = 0; i < sizeof variables / sizeof variables[0]; i++)
            if (strncmp(expr, variables[i].name, strlen(variables[i].name)) == 0) {
                from = variables[i].value;
                taken = strlen(variables[i].name);
            }
        size_t size = from == expr ? 1 : strlen(from);
        assert_true(length + size < EXPR_SIZE);
        memcpy(out + length, from, size);
        length += size;
        expr += taken;
    }
    out[length] = '\0';
    if (strchr(out, '$') != NULL)
        fail_msg("a variable that is not known: %s", out);
}

/* The answer's "data"; to be released. */
static json_t *ask_prometheus(const struct process *prometheus, const char *expr)
{
    char body[4 * EXPR_SIZE];
    size_t length = (size_t)snprintf(body, sizeof body, "query=");
    for (const char *at = expr; *at != '\0'; at++)
        length += (size_t)snprintf(body + length, sizeof body - length, "%%%02X",
                                   (unsigned)(unsigned char)*at);
    struct answer answer = http_call(
        prometheus->port, &(struct call){.method = "POST", .path = "/api/v1/query", .body = body});
    json_t *json = json_loadb(answer.body, answer.length, 0, NULL);
    json_t *data = json_incref(json_object_get(json, "data"));
    if (answer.status != 200 || data == NULL)
        fail_msg("%s\n%d: %s", expr, answer.status, answer.body);
    json_decref(json);
    answer_free(&answer);
    return data;
}

/* The first sample; NaN: none. */
static double value_of(const struct process *prometheus, const char *expr)
{
    json_t *data = ask_prometheus(prometheus, expr);
    const json_t *sample = json_array_get(json_object_get(data, "result"), 0);
    const char *text = json_string_value(json_array_get(json_object_get(sample, "value"), 1));
    double value = text != NULL ? strtod(text, NULL) : 0.0 / 0.0;
    json_decref(data);
    return value;
}

/* Without what a histogram's parts are called. */
static bool is_listed(const char *list, const char *name, size_t length)
{
    static const char *const ends[] = {"", "_bucket", "_sum", "_count"};
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        char row[NAME_SIZE];
        size_t end = strlen(ends[i]);
        if (length <= end || strncmp(name + length - end, ends[i], end) != 0)
            continue;
        snprintf(row, sizeof row, "| `%.*s` |", (int)(length - end), name);
        if (strstr(list, row) != NULL)
            return true;
    }
    return false;
}

/* Every metric in an expression is one of docs/metrics.md, which is what /metrics shows. */
static void expect_known_metrics(const char *list, const char *expr)
{
    unsigned count = 0;
    for (const char *at = expr; (at = strstr(at, "moonwatch_")) != NULL; count++) {
        size_t length = strspn(at, "abcdefghijklmnopqrstuvwxyz_0123456789");
        if (!is_listed(list, at, length))
            fail_msg("there is no metric %.*s: %s", (int)length, at, expr);
        at += length;
    }
    if (count == 0 && strstr(expr, "ALERTS{") == NULL && strstr(expr, "up{") == NULL)
        fail_msg("about nothing of ours: %s", expr);
}

struct expressions {
    const struct process *prometheus;
    const char *list; /* of metrics */
    unsigned count;
};

/* Of the dashboard: whatever is called "expr", wherever. */
static void try_expressions(struct expressions *context, const json_t *json)
{
    const char *key;
    json_t *item;
    size_t i;
    json_object_foreach((json_t *)(uintptr_t)json, key, item)
    {
        char expr[EXPR_SIZE];
        if (strcmp(key, "expr") != 0) {
            try_expressions(context, item);
            continue;
        }
        replace_variables(json_string_value(item), expr);
        expect_known_metrics(context->list, expr);
        json_decref(ask_prometheus(context->prometheus, expr));
        context->count++;
    }
    json_array_foreach(json, i, item) try_expressions(context, item);
}

/* ---- Prometheus itself ---- */

/* Copies the example that we ship, faster and with this daemon and absolute paths. */
static void write_config(const struct process *daemon)
{
    char *text = read_needed(PACKAGING "/prometheus/prometheus.yml"), target[64];
    snprintf(target, sizeof target, "127.0.0.1:%u", daemon->port);
    const struct {
        const char *from, *to;
    } changes[] = {{"scrape_interval: 15s", "scrape_interval: 1s"},
                   {"evaluation_interval: 15s", "evaluation_interval: 1s"},
                   {"- moonwatch.rules.yml", "- '" RULES "'"},
                   {"127.0.0.1:8000", target}};
    FILE *file = fopen(sandbox_path("prometheus.yml"), "w");
    assert_non_null(file);
    const char *at = text;
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        const char *found = strstr(at, changes[i].from);
        assert_non_null(found);
        fprintf(file, "%.*s%s", (int)(found - at), at, changes[i].to);
        at = found + strlen(changes[i].from);
    }
    fputs(at, file);
    assert_int_equal(fclose(file), 0);
    free(text);
}

static bool prometheus_is_ready(void *context)
{
    static const char said[] = "msg=\"Listening on\" address=127.0.0.1:";
    struct process *prometheus = context;
    char *log = read_file(prometheus->log, NULL);
    const char *at = log != NULL ? strstr(log, said) : NULL;
    bool is_whole = at != NULL && strchr(at, '\n') != NULL;
    prometheus->port = is_whole ? (unsigned)strtoul(at + strlen(said), NULL, 10) : 0;
    free(log);
    return !process_is_running(prometheus) ||
           (prometheus->port != 0 && http_status(prometheus->port, "GET", "/-/ready", NULL) == 200);
}

static struct process *prometheus_start(const struct process *daemon)
{
    write_config(daemon);
    char config[PATH_SIZE + 32], storage[PATH_SIZE + 32];
    snprintf(config, sizeof config, "--config.file=%s", sandbox_path("prometheus.yml"));
    snprintf(storage, sizeof storage, "--storage.tsdb.path=%s", sandbox_path("prometheus"));
    const char *const arguments[] = {config, storage, "--web.listen-address=127.0.0.1:0", NULL};
    struct process *prometheus = process_start("prometheus", PROMETHEUS, arguments, NULL);
    expect_soon(prometheus_is_ready, prometheus);
    assert_true(process_is_running(prometheus));
    return prometheus;
}

struct question {
    const struct process *prometheus;
    const char *expr;
    double least;
};

static bool is_at_least(void *context)
{
    const struct question *question = context;
    return value_of(question->prometheus, question->expr) >= question->least;
}

/* Disk and memory may be short on any machine that tests run on. */
static bool is_about_the_machine(const char *alert)
{
    return strstr(alert, "Disk") != NULL || strstr(alert, "Memory") != NULL;
}

/* To be released; *rules is of it. */
static json_t *ask_rules(const struct process *prometheus, const json_t **rules)
{
    json_t *json = http_json(prometheus->port, "/api/v1/rules");
    const json_t *groups = json_object_get(json_object_get(json, "data"), "groups");
    *rules = json_object_get(json_array_get(groups, 0), "rules");
    return json;
}

static bool all_alerts_are_inactive(void *context)
{
    const struct process *prometheus = context;
    const json_t *rules;
    json_t *json = ask_rules(prometheus, &rules);
    bool are_inactive = json_array_size(rules) > 20;
    for (size_t i = 0; i < json_array_size(rules); i++) {
        const json_t *rule = json_array_get(rules, i);
        const char *name = json_string_value(json_object_get(rule, "name"));
        const char *health = json_string_value(json_object_get(rule, "health"));
        const char *alert = json_string_value(json_object_get(rule, "state"));
        assert_non_null(name);
        are_inactive &= strcmp(health, "ok") == 0; /* "unknown" until its first evaluation */
        are_inactive &= is_about_the_machine(name) || strcmp(alert, "inactive") == 0;
        assert_string_not_equal(alert, "firing");
    }
    json_decref(json);
    return are_inactive;
}

static void expect_histograms(const struct process *prometheus)
{
    static const char *const counts[] = {
        "min(up{job=\"moonwatch\"})",
        "sum(moonwatch_refresh_age_seconds_count{group=\"hot\"})",
        "sum(moonwatch_refresh_age_seconds_bucket{group=\"hot\",le=\"+Inf\"})",
        "sum(moonwatch_request_duration_seconds_count)",
        "sum(moonwatch_store_commit_duration_seconds_count)",
        "sum(moonwatch_loop_delay_seconds_count)",
        "sum(moonwatch_api_request_duration_seconds_count)"};
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        struct question question = {prometheus, counts[i], 1};
        if (!wait_until(is_at_least, &question, WAIT_S * SLOWNESS))
            fail_msg("%s is not even 1", counts[i]);
    }
}

static void expect_rules_of_known_metrics(const struct process *prometheus, const char *list)
{
    const json_t *rules;
    json_t *json = ask_rules(prometheus, &rules);
    for (size_t i = 0; i < json_array_size(rules); i++)
        expect_known_metrics(list,
                             json_string_value(json_object_get(json_array_get(rules, i), "query")));
    json_decref(json);
}

static void a_live_prometheus_is_content(void)
{
    if (!is_installed())
        return;
    struct process *market = market_start(market_options);
    struct process *daemon = daemon_start(market, "moonwatch.db", daemon_options);
    struct process *prometheus = prometheus_start(daemon);
    expect_histograms(prometheus);
    expect_soon(all_alerts_are_inactive, prometheus);

    struct expressions expressions = {.prometheus = prometheus};
    char *list = read_needed(MOONWATCH_SOURCE_ROOT "/docs/metrics.md");
    json_t *dashboard =
        json_load_file(PACKAGING "/grafana/moonwatch.json", JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(dashboard);
    expressions.list = list;
    expect_rules_of_known_metrics(prometheus, list);
    try_expressions(&expressions, dashboard);
    assert_true(expressions.count > 50);
    json_decref(dashboard);
    free(list);
    process_stop(prometheus);
    process_stop(daemon);
}

int main(int argc, char *argv[])
{
    static const struct integration_case cases[] = {
        {"metrics_are_clean", metrics_are_clean},
        {"rules_are_sound", rules_are_sound},
        {"every_alert_is_tested_and_explained", every_alert_is_tested_and_explained},
        {"a_live_prometheus_is_content", a_live_prometheus_is_content},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
