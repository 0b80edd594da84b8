/*
 * The daemon on a PostgreSQL server: starts, deaths of its processes and of the server, history in
 * the api, which has neither a socket nor the password.
 */
#include "harness.h"

#include "base/clock.h"
#include "tests/unit/store/postgres_server.h"

#define PASSWORD "open-sesame"
#define TOKENS   200

static struct postgres_server server;
static char schema[32], url[256];

static struct process *start_daemon(const struct process *market)
{
    const char *const options[] = {"--db",
                                   url,
                                   "--state-dir",
                                   sandbox_path("state"),
                                   "--min-score-change",
                                   "0",
                                   "--hot-interval-sec",
                                   "1",
                                   "--cold-interval-sec",
                                   "1",
                                   NULL};
    return daemon_start(market, "unused.db", options);
}

static struct process *start_all(struct process **market)
{
    assert_true(server.pid != 0 || server_start(&server));
    assert_true(server_add_schema(&server, schema));
    snprintf(url, sizeof url,
             "postgresql://postgres:" PASSWORD "@/postgres?host=%s&options=-csearch_path%%3D%s",
             server.folder, schema);
    *market = market_start(NULL);
    return start_daemon(*market);
}

/* The child of the daemon's with this verb; 0: there is none now. */
static pid_t child_of(const struct process *daemon, const char *verb)
{
    char path[64], wanted[32];
    snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)daemon->pid, (int)daemon->pid);
    size_t length,
        wanted_length = (size_t)snprintf(wanted, sizeof wanted, "moonwatch%c%s", 0, verb);
    char *children = read_file(path, &length);
    pid_t found = 0;
    for (char *at = children; found == 0 && at != NULL && *at != '\0';) {
        char *end;
        long pid = strtol(at, &end, 10);
        if (end == at)
            break;
        at = end;
        snprintf(path, sizeof path, "/proc/%ld/cmdline", pid);
        char *line = read_file(path, &length);
        if (line != NULL && length > wanted_length && memcmp(line, wanted, wanted_length) == 0)
            found = (pid_t)pid;
        free(line);
    }
    free(children);
    return found;
}

static bool is_in_file(pid_t pid, const char *name, const char *text)
{
    char path[64];
    size_t length = 0;
    snprintf(path, sizeof path, "/proc/%d/%s", (int)pid, name);
    char *bytes = read_file(path, &length);
    assert_non_null(bytes);
    bool found = memmem(bytes, length, text, strlen(text)) != NULL;
    free(bytes);
    return found;
}

static void add_tokens(const struct process *daemon, struct prng *prng, char mints[][MINT_SIZE],
                       size_t count)
{
    for (size_t i = 0; i < count; i++) {
        random_mint(prng, mints[i]);
        assert_int_equal(post_token(daemon, mints[i], 0), 201);
    }
}

static void expect_tokens(const struct process *daemon, char mints[][MINT_SIZE], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!has_token(daemon, mints[i]))
            fail_msg("%s was lost", mints[i]);
}

struct words {
    const struct process *daemon;
    const char *text;
};

static bool has_said(void *context)
{
    const struct words *words = context;
    return process_has_said(words->daemon, words->text);
}

struct life_goal {
    const struct process *daemon;
    const char *mint;
};

static bool has_life(void *context)
{
    const struct life_goal *goal = context;
    char path[128];
    snprintf(path, sizeof path, "/tokens/%s/life", goal->mint);
    struct answer answer = http_call(goal->daemon->port, &(struct call){.path = path});
    bool has = answer.status == 200 && strstr(answer.body, "\"seen\"") != NULL;
    answer_free(&answer);
    return has;
}

static bool has_snapshots(void *context)
{
    const struct process *daemon = context;
    char path[160];
    json_t *list = http_json(daemon->port, "/tokens?limit=1&sort=score_desc");
    const json_t *first = json_array_get(json_object_get(list, "items"), 0);
    const char *mint = json_string_value(json_object_get(first, "mint_address"));
    bool has = false;
    if (mint != NULL) {
        snprintf(path, sizeof path, "/tokens/%s", mint);
        struct answer answer = http_call(daemon->port, &(struct call){.path = path});
        const char *history = answer.body != NULL ? strstr(answer.body, "\"score_history\"") : NULL;
        has = answer.status == 200 && history != NULL && strstr(history, "created_at") != NULL;
        answer_free(&answer);
    }
    json_decref(list);
    return has;
}

/* ---- cases ---- */

static void tokens_outlive_every_process(void)
{
    char mints[TOKENS][MINT_SIZE];
    struct prng prng;
    struct process *market, *daemon = start_all(&market);
    prng_seed(&prng, harness_seed());
    add_tokens(daemon, &prng, mints, TOKENS / 2);
    double warm = metric(daemon, "engine_warm_starts_total", NULL);
    assert_int_equal(kill(child_of(daemon, "engine"), SIGKILL), 0);
    expect_metric(daemon, "engine_warm_starts_total", NULL, warm + 1);
    expect_tokens(daemon, mints, TOKENS / 2);
    add_tokens(daemon, &prng, mints + TOKENS / 2, TOKENS / 2);
    process_kill(daemon);
    daemon = start_daemon(market);
    expect_tokens(daemon, mints, TOKENS);
    expect_soon(has_life, (&(struct life_goal){daemon, mints[0]}));
    process_stop(daemon);
    assert_true(server_ask(&server, schema, "SELECT count(*) FROM token") >= TOKENS);
}

static void a_server_that_was_away_is_caught_up_with(void)
{
    char mints[TOKENS][MINT_SIZE];
    struct prng prng;
    struct process *market, *daemon = start_all(&market);
    prng_seed(&prng, harness_seed());
    add_tokens(daemon, &prng, mints, 10);
    server_kill(&server, SIGKILL);
    expect_tokens(daemon, mints, 10); /* from memory */
    expect_soon(has_said, (&(struct words){daemon, "nothing is lost, all is kept in memory"}));
    assert_true(server_start(&server));
    expect_soon(has_said, (&(struct words){daemon, "writing again"}));
    add_tokens(daemon, &prng, mints + 10, 10);
    expect_soon(has_life, (&(struct life_goal){daemon, mints[19]}));
    process_stop(daemon);
    assert_false(process_has_said(daemon, PASSWORD));
}

struct addition {
    const struct process *daemon;
    const char *mint;
};

static bool can_add(void *context)
{
    const struct addition *addition = context;
    int status = post_token(addition->daemon, addition->mint, 2);
    return status == 201 || status == 200;
}

static void an_engine_that_starts_without_a_server_waits_for_it(void)
{
    char mints[10][MINT_SIZE];
    struct prng prng;
    struct process *market, *daemon = start_all(&market);
    prng_seed(&prng, harness_seed());
    add_tokens(daemon, &prng, mints, 9);
    random_mint(&prng, mints[9]);
    server_kill(&server, SIGKILL);
    assert_int_equal(kill(child_of(daemon, "engine"), SIGKILL), 0);
    expect_soon(has_said, (&(struct words){daemon, "can't connect to the database"}));
    expect_tokens(daemon, mints, 9); /* the api has the table */
    assert_true(server_start(&server));
    expect_soon(can_add, (&(struct addition){daemon, mints[9]}));
    expect_tokens(daemon, mints, 10);
    process_stop(daemon);
    assert_int_equal(server_ask(&server, schema, "SELECT generation FROM node") >= 2, true);
}

static void the_api_shows_history_and_has_no_password(void)
{
    struct process *market, *daemon = start_all(&market);
    expect_metric(daemon, "tokens", NULL, 1);
    expect_soon(has_snapshots, daemon);
    pid_t api = child_of(daemon, "api"), engine = child_of(daemon, "engine");
    assert_true(api > 0 && engine > 0);
    assert_true(is_in_file(engine, "environ", PASSWORD)); /* so this finds it where it is */
    assert_false(is_in_file(engine, "cmdline", PASSWORD));
    assert_false(is_in_file(api, "environ", PASSWORD));
    assert_false(is_in_file(api, "cmdline", PASSWORD));
    assert_false(is_in_file(daemon->pid, "cmdline", PASSWORD));
    process_stop(daemon);
    assert_false(process_has_said(daemon, PASSWORD));
}

int main(int argc, char *argv[])
{
    static const struct integration_case cases[] = {
        {"tokens_outlive_every_process", tokens_outlive_every_process},
        {"a_server_that_was_away_is_caught_up_with", a_server_that_was_away_is_caught_up_with},
        {"an_engine_that_starts_without_a_server_waits_for_it",
         an_engine_that_starts_without_a_server_waits_for_it},
        {"the_api_shows_history_and_has_no_password", the_api_shows_history_and_has_no_password},
    };
    if (!server_init(&server))
        return 1;
    int failed = harness_run(argc, argv, cases, sizeof cases / sizeof *cases);
    server_finish(&server);
    return failed;
}
