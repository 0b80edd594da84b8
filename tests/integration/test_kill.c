/*
 * kill -9 in the middle of full load, again and again on one database: what was acknowledged is
 * there afterwards, ages go on, settings are in force, and no snapshot's id is used twice.
 *
 * The moment of each death comes from a seed that is printed: INTEGRATION_SEED repeats it, as far
 * as the machine does.
 */
#include "harness.h"

#include <pthread.h>
#include <signal.h>
#include <sqlite3.h>
#include <time.h>

#define DEATHS         20
#define MARKET_TOKENS  "3000"
#define LIFE_MIN_S     0.2
#define LIFE_RANGE_S   0.6
#define IMPORT_LINES   30
#define POSTS_A_ROUND  10
#define MINTS_MAX      200000
#define LOOK_AT        100 /* tokens whose ages are compared */
#define PATH_TEXT      256
#define COMMIT_S       0.2
#define COMMIT_SLACK_S (2.0 * SLOWNESS)

static const char *const load_options[] = {"--hot-interval-sec",
                                           "1",
                                           "--cold-interval-sec",
                                           "1",
                                           "--discover-monitoring-interval-sec",
                                           "10",
                                           "--min-score-change",
                                           "0",
                                           "--screen-requests-per-minute",
                                           "60000",
                                           "--refresh-requests-per-minute",
                                           "60000",
                                           "--discover-requests-per-minute",
                                           "60000",
                                           "--feed-connections",
                                           "16",
                                           NULL};

/* ---- what was acknowledged ---- */

static struct {
    char (*mints)[MINT_SIZE];
    size_t count, checked;
    struct prng prng;
    /* The setting that changes: as last acknowledged, and as last asked for. When the answer of a
     * change did not come any more, either may be in force. */
    double retention, retention_asked;
    int64_t newest_snapshot;
} known;

static void remember(const char *mint)
{
    assert_true(known.count < MINTS_MAX);
    memcpy(known.mints[known.count++], mint, MINT_SIZE);
}

/* ---- load ---- */

static bool add_one(const struct process *daemon)
{
    char mint[MINT_SIZE];
    random_mint(&known.prng, mint);
    int status = post_token(daemon, mint, 0);
    if (status == 201)
        remember(mint);
    return status != 0;
}

static bool import_some(const struct process *daemon)
{
    char mints[IMPORT_LINES][MINT_SIZE], body[IMPORT_LINES * (MINT_SIZE + 1) + 1] = "";
    for (int i = 0; i < IMPORT_LINES; i++) {
        random_mint(&known.prng, mints[i]);
        strcat(strcat(body, mints[i]), "\n");
    }
    int status = http_status(daemon->port, "POST", "/tokens/import", body);
    for (int i = 0; status == 200 && i < IMPORT_LINES; i++)
        remember(mints[i]);
    return status != 0;
}

static bool change_setting(const struct process *daemon)
{
    char body[64];
    known.retention_asked = (double)(1 + prng_below(&known.prng, 30000));
    snprintf(body, sizeof body, "{\"value\":\"%.0f\"}", known.retention_asked);
    int status = http_status(daemon->port, "PUT", "/settings/snapshot_retention_days", body);
    if (status == 200)
        known.retention = known.retention_asked;
    return status == 200;
}

/* Until the daemon dies. */
static void load_until_death(const struct process *daemon)
{
    bool lives = change_setting(daemon);
    while (lives) {
        for (int i = 0; lives && i < POSTS_A_ROUND; i++)
            lives = add_one(daemon);
        lives = lives && import_some(daemon);
    }
}

struct killer {
    pid_t pid;
    struct timespec wait;
    double died_at_s; /* Unix time */
};

static double unix_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *kill_later(void *context)
{
    struct killer *killer = context;
    nanosleep(&killer->wait, NULL);
    killer->died_at_s = unix_s();
    kill(killer->pid, SIGKILL);
    return NULL;
}

/* ---- what the tokens looked like ---- */

struct look {
    char mint[MINT_SIZE], created_at[48];
    double fetched_at_s; /* 0: never */
};

static double parse_time(const char *text)
{
    struct tm tm = {0};
    double fraction = 0;
    if (text == NULL)
        return 0;
    const char *rest_of = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    assert_non_null(rest_of);
    if (*rest_of == '.')
        fraction = strtod(rest_of, NULL);
    return (double)timegm(&tm) + fraction;
}

static size_t look_at_tokens(const struct process *daemon, const char *path,
                             struct look looks[LOOK_AT])
{
    json_t *list = http_json(daemon->port, path);
    json_t *items = json_object_get(list, "items");
    size_t count = json_array_size(items);
    assert_true(count <= LOOK_AT);
    for (size_t i = 0; i < count; i++) {
        json_t *item = json_array_get(items, i);
        snprintf(looks[i].mint, sizeof looks[i].mint, "%s",
                 json_string_value(json_object_get(item, "mint_address")));
        snprintf(looks[i].created_at, sizeof looks[i].created_at, "%s",
                 json_string_value(json_object_get(item, "created_at")));
        looks[i].fetched_at_s = parse_time(json_string_value(json_object_get(item, "fetched_at")));
    }
    json_decref(list);
    return count;
}

static const struct look *look_for(const struct look *looks, size_t count, const char *mint)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(looks[i].mint, mint) == 0)
            return &looks[i];
    return NULL;
}

/* Where the token stands in a list as long as there are tokens does not matter here: each is
 * looked for in the pages. */
static void expect_ages_go_on(const struct process *daemon, const struct look *before, size_t count,
                              double died_at_s)
{
    struct look after[LOOK_AT];
    size_t found = 0, total = (size_t)metric(daemon, "tokens", NULL);
    for (size_t offset = 0; offset < total && found < count; offset += LOOK_AT) {
        char path[128];
        snprintf(path, sizeof path, "/tokens?min_score=-1&limit=%d&offset=%zu", LOOK_AT, offset);
        size_t n = look_at_tokens(daemon, path, after);
        for (size_t i = 0; i < n; i++) {
            const struct look *was = look_for(before, count, after[i].mint);
            if (was == NULL)
                continue;
            found++;
            assert_string_equal(after[i].created_at, was->created_at);
            double least = died_at_s - COMMIT_S - COMMIT_SLACK_S;
            if (was->fetched_at_s < least)
                least = was->fetched_at_s;
            if (after[i].fetched_at_s + 1e-6 < least)
                fail_msg("%s: was fetched %.3f s before the death, and is as of %.3f s before it",
                         was->mint, died_at_s - was->fetched_at_s,
                         died_at_s - after[i].fetched_at_s);
        }
    }
    assert_int_equal(found, count);
}

/* ---- the database ---- */

static int64_t query(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *statement;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return value;
}

static void expect_integrity(sqlite3 *db)
{
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA integrity_check", -1, &statement, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), "ok");
    sqlite3_finalize(statement);
}

/* Looks only: the log that the dead one left is the next one's to take in. */
static sqlite3 *open_database(void)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(sandbox_path("a.db"), &db, SQLITE_OPEN_READWRITE, NULL),
                     SQLITE_OK);
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
    sqlite3_busy_timeout(db, 5000);
    return db;
}

static void examine_database(void)
{
    sqlite3 *db = open_database();
    expect_integrity(db);
    /* A token's history leads from snapshot to snapshot of the same token, backwards in time. */
    assert_int_equal(query(db, "SELECT count(*) FROM snapshot s JOIN snapshot p ON p.id=s.previous"
                               " WHERE p.token_id<>s.token_id OR p.at>s.at OR p.id>=s.id"),
                     0);
    int64_t newest = query(db, "SELECT coalesce(max(id),0) FROM snapshot");
    assert_true(newest >= known.newest_snapshot);
    known.newest_snapshot = newest;
    sqlite3_close(db);
}

/* Two tokens that each call the same snapshot their newest: an id used twice. */
static void expect_no_id_twice(const struct process *daemon)
{
    char path[PATH_TEXT];
    struct look looks[LOOK_AT];
    size_t count = look_at_tokens(daemon, "/tokens?min_score=-1&limit=2", looks);
    int64_t ids[2] = {0};
    for (size_t i = 0; i < count; i++) {
        snprintf(path, sizeof path, "/tokens/%.44s/refresh", looks[i].mint);
        struct answer answer =
            http_call(daemon->port, &(struct call){.method = "POST", .path = path});
        if (answer.status == 200) {
            json_t *json = json_loadb(answer.body, answer.length, 0, NULL);
            ids[i] = json_integer_value(json_object_get(json, "updated_snapshot_id"));
            json_decref(json);
            /* min_score_change is 0: each refresh makes a snapshot, newer than all before. */
            assert_true(ids[i] > known.newest_snapshot);
        }
        answer_free(&answer);
    }
    assert_true(ids[0] == 0 || ids[0] != ids[1]);
}

static void expect_known_tokens(const struct process *daemon, size_t from)
{
    for (size_t i = from; i < known.count; i++)
        if (!has_token(daemon, known.mints[i]))
            fail_msg("token %zu of %zu was acknowledged and is lost: %s", i, known.count,
                     known.mints[i]);
}

static void expect_setting_kept(const struct process *daemon)
{
    json_t *json = http_json(daemon->port, "/settings/snapshot_retention_days");
    double value = strtod(json_string_value(json_object_get(json, "value")), NULL);
    json_decref(json);
    if (known.retention > 0 && value != known.retention && value != known.retention_asked)
        fail_msg("the setting is %g; %g was acknowledged, %g asked for", value, known.retention,
                 known.retention_asked);
    if (known.retention > 0)
        known.retention = value;
}

/* ---- the case ---- */

struct glance {
    struct look looks[LOOK_AT];
    size_t count;
    double died_at_s;
};

static void live_and_die(const struct process *market, struct glance *glance, bool is_first)
{
    struct process *daemon = daemon_start(market, "a.db", load_options);
    if (is_first)
        expect_metric(daemon, "refreshes_total", NULL, 3000);
    double life = LIFE_MIN_S + LIFE_RANGE_S * prng_unit(&known.prng);
    struct killer killer = {.pid = daemon->pid,
                            .wait = {(time_t)life, (long)((life - (double)(time_t)life) * 1e9)}};
    expect_setting_kept(daemon);
    expect_no_id_twice(daemon);
    glance->count = look_at_tokens(daemon, "/tokens?min_score=-1&limit=100", glance->looks);
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, kill_later, &killer), 0);
    load_until_death(daemon);
    pthread_join(thread, NULL);
    assert_true(process_wait(daemon, WAIT_S));
    assert_int_equal(process_exit_status(daemon), -1);
    glance->died_at_s = killer.died_at_s;
}

/* With nothing that changes it, the state is what was restored. */
static void examine(const struct glance *glance)
{
    examine_database();
    struct process *daemon =
        daemon_start(NULL, "a.db", (const char *const[]){"--scheduler-enabled", "false", NULL});
    expect_known_tokens(daemon, known.checked);
    known.checked = known.count;
    expect_setting_kept(daemon);
    expect_ages_go_on(daemon, glance->looks, glance->count, glance->died_at_s);
    process_kill(daemon);
}

static void nothing_acknowledged_is_lost(void)
{
    static struct glance glance;
    known.mints = calloc(MINTS_MAX, sizeof *known.mints);
    assert_non_null(known.mints);
    prng_seed(&known.prng, harness_seed());
    struct process *market =
        market_start((const char *const[]){"--tokens", MARKET_TOKENS, "--rpm", "0", "--replay-rate",
                                           "20000", "--graduations-per-hour", "36000", NULL});
    for (int i = 0; i < DEATHS; i++) {
        live_and_die(market, &glance, i == 0);
        if (i % 2 == 1)
            examine(&glance);
    }
    struct process *daemon = daemon_start(market, "a.db", load_options);
    expect_known_tokens(daemon, 0);
    print_message("# %zu acknowledged tokens, %d deaths\n", known.count, DEATHS + DEATHS / 2);
    process_stop(daemon);
    examine_database();
    process_stop(market);
    free(known.mints);
}

int main(int argc, char *argv[])
{
    static const struct integration_case cases[] = {
        {"nothing acknowledged is lost in twenty deaths", nothing_acknowledged_is_lost},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
