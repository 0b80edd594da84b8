/*
 * What scripts and people get of the command line: `moonwatch ctl status --json` is whole and true,
 * mistakes are told so that one can mend them, and nothing that strangers wrote steers a terminal.
 */
#include "harness.h"

#include <signal.h>
#include <sys/stat.h>

#define OUTPUT_SIZE 131072
#define ESCAPE      "\x1b"

static char output[OUTPUT_SIZE];

/* Runs moonwatch with these words, in the shell's way; both its outputs are in `output`. */
__attribute__((format(printf, 1, 2))) static int run(const char *format, ...)
{
    char words[PATH_SIZE * 2], command[PATH_SIZE * 3];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(words, sizeof words, format, arguments);
    va_end(arguments);
    snprintf(command, sizeof command, "'%s' %s 2>&1 </dev/null", moonwatch_program(), words);
    FILE *pipe = popen(command, "r"); // NOLINT(cert-env33-c)
    assert_non_null(pipe);
    output[fread(output, 1, sizeof output - 1, pipe)] = '\0';
    int status = pclose(pipe);
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static void expect_printed(const char *text)
{
    if (strstr(output, text) == NULL)
        fail_msg("not printed: %s\n%s", text, output);
}

/* ---- status ---- */

static json_t *status_now(void)
{
    json_error_t error;
    int status = run("ctl status --json --db 'sqlite:%s'", sandbox_path("a.db"));
    json_t *json = json_loads(output, JSON_REJECT_DUPLICATES, &error);
    if (status != 0 || json == NULL)
        fail_msg("status %d, %s: %s", status, error.text, output);
    return json;
}

static const json_t *process_of(const json_t *status, const char *name)
{
    const json_t *process, *processes = json_object_get(status, "processes");
    size_t i;
    json_array_foreach(processes, i,
                       process) if (strcmp(json_string_value(json_object_get(process, "name")),
                                           name) == 0) return process;
    fail_msg("no process %s", name);
    return NULL;
}

/* "hot.tokens": a number somewhere in there. */
static double number_at(const json_t *json, const char *path)
{
    char part[64];
    for (size_t length; *path != '\0'; path += length + (path[length] == '.')) {
        length = strcspn(path, ".");
        snprintf(part, sizeof part, "%.*s", (int)length, path);
        json = json_object_get(json, part);
        if (json == NULL)
            fail_msg("no %s", part);
    }
    return json_is_number(json) ? json_number_value(json) : -1;
}

static void expect_processes(const json_t *status)
{
    static const char *const names[] = {"supervisor", "engine", "api"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const json_t *process = process_of(status, names[i]);
        assert_string_equal(json_string_value(json_object_get(process, "state")), "running");
        assert_int_equal(kill((pid_t)number_at(process, "pid"), 0), 0);
        assert_true(number_at(process, "starts") >= 1);
        assert_true(number_at(process, "generation") >= 1);
        assert_true(number_at(process, "uptime_s") >= 0);
        assert_true(number_at(process, "deaths_last_hour") >= 0);
    }
}

static void expect_figures(const json_t *status)
{
    static const char *const known[] = {"groups.hot.target_s",
                                        "groups.cold.tokens",
                                        "groups.cold.deferred",
                                        "groups.archived.refreshes",
                                        "budgets.refresh.allowed_per_minute",
                                        "budgets.screen.configured_per_minute",
                                        "budgets.discover.used_last_minute",
                                        "budgets.discover.in_flight",
                                        "load.scale",
                                        "load.readings.cores",
                                        "counters.tokens_added_total",
                                        "incidents"};
    static const char *const there[] = {"health.findings",
                                        "groups.hot.on_time",
                                        "groups.cold.oldest_age_s",
                                        "budgets.refresh.learned_per_minute",
                                        "budgets.refresh.limited_by",
                                        "load.level",
                                        "load.why",
                                        "paused",
                                        "suspects"};
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (number_at(status, known[i]) < 0)
            fail_msg("%s is not known", known[i]);
    for (size_t i = 0; i < sizeof there / sizeof there[0]; i++)
        (void)number_at(status, there[i]);
}

/* The engine looks once a second. */
static bool has_fifty_tokens(void *context)
{
    static const char *const groups[] = {"groups.hot.tokens", "groups.cold.tokens",
                                         "groups.archived.tokens"};
    double tokens = 0;
    json_t *status = status_now();
    (void)context;
    for (size_t i = 0; i < sizeof groups / sizeof groups[0]; i++)
        tokens += number_at(status, groups[i]);
    json_decref(status);
    return tokens == 50;
}

struct successor {
    double pid, generation;
};

static bool has_successor(void *context)
{
    const struct successor *before = context;
    json_t *status = status_now();
    const json_t *engine = process_of(status, "engine");
    bool is_there = strcmp(json_string_value(json_object_get(engine, "state")), "running") == 0 &&
                    number_at(engine, "pid") != before->pid &&
                    number_at(engine, "generation") == before->generation + 1;
    json_decref(status);
    return is_there;
}

static void status_as_json(void)
{
    static const char *const options[] = {
        "--tokens",      "50",     "--rpm", "0", "--graduations-per-hour", "0",
        "--replay-rate", "100000", NULL};
    struct process *market = market_start(options);
    struct process *daemon = daemon_start(market, "a.db", NULL);
    expect_metric(daemon, "tokens", NULL, 50);
    expect_metric(daemon, "load_cores", NULL, 1);
    expect_soon(has_fifty_tokens, NULL);
    json_t *status = status_now();
    expect_processes(status);
    expect_figures(status);
    const json_t *engine = process_of(status, "engine");
    struct successor before = {number_at(engine, "pid"), number_at(engine, "generation")};
    json_decref(status);
    assert_int_equal(kill((pid_t)before.pid, SIGKILL), 0);
    expect_soon(has_successor, &before);
    assert_int_equal(run("ctl pause --db 'sqlite:%s'", sandbox_path("a.db")), 0);
    status = status_now();
    assert_true(json_is_true(json_object_get(status, "paused")));
    json_decref(status);
    assert_int_equal(run("ctl set hot_interval_sec 5 --db 'sqlite:%s'", sandbox_path("a.db")), 0);
    expect_printed("hot_interval_sec = 5, in force");
    expect_setting(daemon, "hot_interval_sec", "5");
    process_stop(daemon);
    assert_int_equal(run("ctl status --db 'sqlite:%s'", sandbox_path("a.db")), 1);
    expect_printed("no daemon runs with its state in");
    process_stop(market);
}

/* ---- mistakes ---- */

static void mistakes(void)
{
    static const struct {
        const char *words;
        int status;
        const char *said;
    } rows[] = {
        {"", 2, "Usage: moonwatch COMMAND"},
        {"rnu", 2, "did you mean \"run\"?"},
        {"--verison", 2, "did you mean \"--version\"?"},
        {"ctl", 2, "REQUEST is missing: status, restart,"},
        {"ctl sttaus", 2, "did you mean \"status\"?"},
        {"ctl refresh", 2, "refresh takes a mint"},
        {"ctl refresh nonsense", 1, "that is no mint"},
        {"ctl set hot_intervall_sec 5", 1, "did you mean \"hot_interval_sec\"?"},
        {"ctl set hot_interval_sec soon", 1, "must be a number from 1 to 86400"},
        {"ctl set listen 1", 1, "listen is read when the daemon starts"},
        {"ctl status --jsn", 2, "did you mean --json?"},
        {"completion", 2, "SHELL is missing: bash or zsh"},
        {"help expalin", 2, "did you mean \"explain\"?"},
        {"run --hot-interval-sec soon", 2, "\"soon\" must be a number from 1 to 86400"},
        {"run --export-mode 999", 2, "export_mode must be octal"},
        {"explain", 2, "--mint MINT is missing"},
        {"import", 2, "FILE is missing"},
        {"top now", 2, "\"now\" is one word too many"},
        {"engine", 2, "moonwatch run starts them all"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int status = run("%s", rows[i].words);
        if (status != rows[i].status)
            fail_msg("moonwatch %s: %d\n%s", rows[i].words, status, output);
        expect_printed(rows[i].said);
    }
}

/* ---- strangers ---- */

/* Nothing of it may steer a terminal, or turn what is read. */
static void expect_harmless(void)
{
    assert_null(strstr(output, ESCAPE));
    assert_null(strstr(output, "\u202e"));
    assert_null(strstr(output, "\xc2\x9b"));
    assert_null(strchr(output, '\r'));
}

static void what_strangers_wrote(void)
{
    char folder[PATH_SIZE], file[PATH_SIZE + 64];
    snprintf(folder, sizeof folder, "%s", sandbox_path("state"));
    assert_int_equal(mkdir(folder, 0700), 0);
    snprintf(file, sizeof file, "%s/incidents", folder);
    assert_int_equal(mkdir(file, 0700), 0);
    snprintf(file, sizeof file, "%s/incidents/000001.json", folder);
    write_file(file, "{\"number\":1,\"at\":\"2026-07-03T10:45:26\",\"message\":\"it was "
                     "\\u001b[2J\\u202e\\u009b31m\\revil\"}");
    assert_int_equal(run("ctl incidents --state-dir '%s'", folder), 0);
    expect_printed("evil");
    expect_harmless();
    assert_int_equal(run("ctl incidents --json --state-dir '%s'", folder), 0);
    expect_printed("evil");
    expect_harmless();
    assert_int_equal(run("ctl '\x1b[31m\u202eevil'"), 2);
    expect_printed("evil");
    expect_harmless();
    assert_int_equal(run("run --log-level '\x1b[31mevil'"), 2);
    expect_printed("evil");
    expect_harmless();
}

int main(int argc, char *argv[])
{
    static const struct integration_case cases[] = {
        {"status as JSON is whole and true", status_as_json},
        {"mistakes are told so that one can mend them", mistakes},
        {"what strangers wrote steers no terminal", what_strangers_wrote},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
