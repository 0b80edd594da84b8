/* What is PostgreSQL's own: nodes, lost connections and servers, its errors in our words. */
#include "engine.h"

#include "postgres_group.h"
#include "postgres_proxy.h"

#include "core/mint_slot.h"
#include "store/postgres_schema.h"

#define KILLS 20

/* Without an engine, whose loop would have to turn. */
#define UNTIL(condition)                                                                           \
    do {                                                                                           \
        instant give_up = instant_add(clock_now(), duration_s(WAIT_MAX_S));                        \
        while (!(condition)) {                                                                     \
            assert_true(instant_before(clock_now(), give_up));                                     \
            usleep(5000);                                                                          \
        }                                                                                          \
    } while (0)

static struct proxy proxy;
static struct engine engine;
static char schema[32];

static int set_up(void **state)
{
    (void)state;
    engine = (struct engine){0};
    options_init(&engine.options);
    engine.options.store_commit_sec = 0.01;
    engine.options.store_checkpoint_sec = 3600;
    if (!server_add_schema(&server, schema))
        return -1;
    server_url(&server, schema, "", engine.place.url, sizeof engine.place.url);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (engine.writer != NULL)
        engine_stop(&engine, 5);
    proxy_finish(&proxy);
    return server.pid != 0 || server_start(&server) ? 0 : -1;
}

static const char *url_of_node(const char *name)
{
    static char url[256], more[64];
    snprintf(more, sizeof more, "&node=%s", name);
    server_url(&server, schema, more, url, sizeof url);
    return url;
}

static int64_t query(const char *sql)
{
    return server_ask(&server, schema, sql);
}

static void execute(const char *sql)
{
    assert_true(server_execute(&server, schema, sql));
}

static void load(struct store *store, struct store_load_report *report)
{
    struct kept kept;
    assert_int_equal(kept_load(store, &kept), OK);
    *report = kept.report;
    kept_finish(&kept);
}

static struct store *open_loaded(const char *url)
{
    struct store_load_report report;
    struct store *store = open_or_fail(url);
    load(store, &report);
    return store;
}

static enum err put_one(struct store *store, token_id id, uint32_t n)
{
    struct store_token row;
    token_make(&row, id, n);
    enum err err = store_begin(store, STORE_DURABLE);
    if (err == OK)
        err = store_put_token(store, &row);
    if (err == OK)
        err = store_append_refresh(store, &row);
    if (err == OK)
        err = store_put_event(store, &(struct store_event){.token = id, .at = {n}, .kind = "kind"});
    if (err == OK)
        err = store_commit(store);
    if (err != OK)
        store_rollback(store);
    return err;
}

static void expect_refusal(const char *url, const char *sentence)
{
    char why[512] = "";
    assert_null(store_open(url, why));
    if (strstr(why, sentence) == NULL)
        fail_msg("\"%s\" is not in: %s", sentence, why);
    assert_null(strstr(why, "sesame"));
}

/* Without the log. */
static enum err put_row(struct store *store, token_id id)
{
    struct store_token row;
    token_make(&row, id, 0);
    enum err err = store_begin(store, STORE_DURABLE);
    if (err == OK)
        err = store_put_token(store, &row);
    if (err == OK)
        err = store_put_event(store, &(struct store_event){.token = id, .at = {1}, .kind = "kind"});
    return err == OK ? store_commit(store) : err;
}

static void reopen_and_put(struct store *store, token_id id, enum store_file expected)
{
    enum store_file file;
    enum err err = store_reopen(store, &file);
    if (err != OK)
        fail_msg("%s", store_message(store));
    assert_int_equal(file, expected);
    assert_int_equal(put_one(store, id, 9), OK);
}

/* ---- nodes ---- */

static void nodes_share_tokens_and_nothing_else(void **state)
{
    struct store_load_report report;
    struct store_snapshot found[4], snapshot = {.id = 1, .token = 1, .at = {1000}};
    char why[512];
    (void)state;
    struct store *first = open_loaded(url_of_node("first"));
    struct store *second = open_loaded(url_of_node("second"));
    assert_int_equal(put_row(first, 1), OK);
    assert_int_equal(store_begin(first, STORE_RELAXED), OK);
    assert_int_equal(store_put_snapshot(first, &snapshot), OK);
    assert_int_equal(store_commit(first), OK);
    load(second, &report);
    assert_int_equal(report.tokens, 1);
    assert_int_equal(report.generation, 1);
    assert_int_equal(report.last_snapshot_id, INT64_C(1) << NODE_ID_SHIFT);
    snapshot.id = report.last_snapshot_id + 1;
    snapshot.previous = 1; /* the other node's */
    assert_int_equal(store_begin(second, STORE_RELAXED), OK);
    assert_int_equal(store_put_snapshot(second, &snapshot), OK);
    assert_int_equal(store_commit(second), OK);
    struct store_reader *reader = store_reader_open(engine.place.url, why);
    assert_int_equal(store_reader_snapshots(reader, 1, snapshot.id, found, 4), 2);
    assert_int_equal(found[1].id, 1);
    store_reader_close(reader);
    load(first, &report);
    assert_int_equal(report.last_snapshot_id, 1);
    assert_int_equal(put_row(second, 2), OK);
    /* Without a lease it writes nothing else about a token. */
    assert_int_equal(put_one(second, 3, 0), ERR_INVALID);
    store_close(first);
    store_close(second);
    assert_int_equal(query("SELECT count(DISTINCT id) FROM event"), 2);
}

static void alone_or_one_of_several(void **state)
{
    enum store_file file;
    (void)state;
    struct store *store = open_loaded(engine.place.url);
    assert_int_equal(put_one(store, 1, 9), OK);
    int64_t generation = query("SELECT min(generation) FROM cluster_lease");
    expect_refusal(url_of_node("second"), "used by a moonwatch that is alone on it (session "
                                          "moonwatch main");
    query("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE"
          " application_name LIKE 'moonwatch main%'");
    UNTIL(store_reopen(store, &file) == OK);
    expect_refusal(url_of_node("second"), "alone on it");
    store_close(store);
    struct store *second = open_loaded(url_of_node("second"));
    struct store *third = open_loaded(url_of_node("third"));
    expect_refusal(engine.place.url, "shared by several nodes (session moonwatch ");
    store_close(second);
    store_close(third);
    store_close(open_loaded(engine.place.url));
    assert_int_equal(query("SELECT min(generation) FROM cluster_lease"), generation + 1);
}

static void tokens_carry_their_slots(void **state)
{
    struct store_token row;
    (void)state;
    struct store *store = open_loaded(engine.place.url);
    assert_int_equal(put_one(store, 1, 0), OK);
    store_close(store);
    token_make(&row, 1, 0);
    assert_int_equal(query("SELECT slot FROM token WHERE id=1"), mint_slot(&row.token.mint));
}

static void a_newer_generation_fences(void **state)
{
    enum store_file file;
    (void)state;
    struct store *store = open_loaded(engine.place.url);
    assert_int_equal(put_one(store, 1, 0), OK);
    execute("UPDATE node SET generation=generation+1");
    assert_int_equal(put_one(store, 2, 0), ERR_FENCED);
    assert_non_null(strstr(store_message(store), "taken over"));
    assert_int_equal(store_reopen(store, &file), ERR_FENCED);
    store_close(store);
    assert_int_equal(query("SELECT count(*) FROM token"), 1);
}

/* An engine that was killed and does not die still has its session. */
static void who_is_not_awaited_is_fenced(void **state)
{
    char why[512] = "";
    enum store_file file;
    (void)state;
    struct store *old = open_loaded(engine.place.url);
    assert_null(store_open_after(engine.place.url, getpid() + 1, why));
    assert_non_null(strstr(why, "in use by another moonwatch"));
    struct store *new = store_open_after(engine.place.url, getpid(), why);
    assert_non_null(new);
    assert_int_equal(put_one(old, 1, 0), ERR_UNAVAILABLE);
    store_close(new);
    assert_int_equal(store_reopen(old, &file), ERR_FENCED);
    store_close(old);
}

/* ---- connections that are lost ---- */

static struct store *open_by_proxy(void)
{
    struct postgres_server in_between = server;
    char url[256];
    proxy_start(&proxy, server.folder);
    snprintf(in_between.folder, sizeof in_between.folder, "%s", proxy.folder);
    server_url(&in_between, schema, "", url, sizeof url);
    return open_loaded(url);
}

static void assert_written_once(token_id last)
{
    struct kept kept;
    struct store *store = open_or_fail(engine.place.url);
    assert_int_equal(kept_load(store, &kept), OK);
    assert_int_equal(kept.report.tokens, last);
    assert_int_equal(kept.report.rows_refused, 0);
    assert_int_equal(kept.tokens[last].token.state.low_score_us, 9);
    kept_finish(&kept);
    store_close(store);
    assert_int_equal(query("SELECT count(*) FROM event"), last);
}

static void a_connection_lost_before_the_commit(void **state)
{
    (void)state;
    struct store *store = open_by_proxy();
    assert_int_equal(put_one(store, 1, 9), OK);
    assert_int_equal(store_begin(store, STORE_DURABLE), OK);
    atomic_store(&proxy.cut, PROXY_CUT_REQUEST);
    struct store_token row;
    token_make(&row, 2, 9);
    assert_int_equal(store_put_token(store, &row), OK);
    assert_int_equal(store_commit(store), ERR_UNAVAILABLE);
    store_rollback(store);
    assert_int_equal(atomic_load(&proxy.cuts), 1);
    assert_int_equal(query("SELECT count(*) FROM token"), 1);
    reopen_and_put(store, 2, STORE_SAME_FILE);
    store_close(store);
    assert_written_once(2);
}

static void a_connection_lost_after_the_commit(void **state)
{
    (void)state;
    struct store *store = open_by_proxy();
    assert_int_equal(put_one(store, 1, 9), OK);
    atomic_store(&proxy.cut, PROXY_CUT_COMMIT);
    assert_int_equal(put_one(store, 2, 9), ERR_UNAVAILABLE);
    assert_int_equal(atomic_load(&proxy.cuts), 1);
    assert_int_equal(query("SELECT count(*) FROM token"), 2); /* it was done, though not told */
    reopen_and_put(store, 2, STORE_SAME_FILE);                /* again, as the writer would */
    reopen_and_put(store, 3, STORE_SAME_FILE);
    store_close(store);
    assert_written_once(3);
}

static void a_session_that_the_server_ended(void **state)
{
    (void)state;
    struct store *store = open_loaded(engine.place.url);
    assert_int_equal(put_one(store, 1, 9), OK);
    assert_int_equal(query("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE"
                           " application_name LIKE 'moonwatch main%'"),
                     1);
    assert_int_equal(put_one(store, 2, 9), ERR_UNAVAILABLE);
    reopen_and_put(store, 2, STORE_SAME_FILE);
    store_close(store);
    assert_written_once(2);
}

/* The session that hangs has the lock; it must be gone before the next one writes. */
static void a_server_that_hangs_is_given_up(void **state)
{
    enum store_file file;
    (void)state;
    struct store *store = open_by_proxy();
    assert_int_equal(put_one(store, 1, 9), OK);
    atomic_store(&proxy.cut, PROXY_SILENT);
    instant began = clock_now();
    assert_int_equal(put_one(store, 2, 9), ERR_UNAVAILABLE);
    assert_non_null(strstr(store_message(store), "no answer within"));
    assert_true(duration_to_s(instant_diff(clock_now(), began)) < POSTGRES_ANSWER_S + 10);
    atomic_store(&proxy.cut, PROXY_WHOLE);
    UNTIL(store_reopen(store, &file) == OK);
    assert_int_equal(file, STORE_SAME_FILE);
    assert_int_equal(put_one(store, 2, 9), OK);
    store_close(store);
    assert_written_once(2);
}

static void an_answer_that_does_not_come_is_not_waited_for(void **state)
{
    struct postgres_link link;
    (void)state;
    assert_int_equal(postgres_link_init(&link, engine.place.url), OK);
    assert_int_equal(postgres_link_connect(&link, "test"), OK);
    postgres_link_set_deadline(&link, 0.2);
    instant began = clock_now();
    assert_int_equal(postgres_link_run(&link, "SELECT pg_sleep(30)", "wait for"), ERR_UNAVAILABLE);
    assert_true(duration_to_s(instant_diff(clock_now(), began)) < 20);
    assert_non_null(strstr(link.message, "no answer within"));
    assert_false(postgres_link_is_up(&link));
}

/* ---- what a server can say ---- */

static void a_lock_in_the_way_is_waited_out(void **state)
{
    struct postgres_link other;
    (void)state;
    struct store *store = open_loaded(engine.place.url);
    assert_int_equal(postgres_link_init(&other, engine.place.url), OK);
    assert_int_equal(postgres_link_connect(&other, "test"), OK);
    assert_int_equal(postgres_link_run(&other, "BEGIN; SELECT * FROM node FOR UPDATE", "lock"), OK);
    assert_int_equal(put_one(store, 1, 9), ERR_BUSY);
    assert_non_null(strstr(store_message(store), "in the way"));
    postgres_link_close(&other);
    UNTIL(put_one(store, 1, 9) == OK);
    store_close(store);
    assert_written_once(1);
}

static void a_server_that_takes_no_writes(void **state)
{
    enum store_file file;
    (void)state;
    struct store *store = open_loaded(engine.place.url);
    execute("ALTER SYSTEM SET default_transaction_read_only=on");
    execute("SELECT pg_reload_conf()");
    UNTIL(put_one(store, 1, 9) != OK);
    assert_non_null(strstr(store_message(store), "takes no writes"));
    assert_int_equal(store_reopen(store, &file), ERR_UNAVAILABLE);
    assert_non_null(strstr(store_message(store), "target_session_attrs"));
    execute("ALTER SYSTEM RESET default_transaction_read_only");
    execute("SELECT pg_reload_conf()");
    UNTIL(store_reopen(store, &file) == OK && put_one(store, 2, 9) == OK);
    store_close(store);
}

static void what_cannot_be_opened_is_told_without_secrets(void **state)
{
    char url[256];
    (void)state;
    snprintf(url, sizeof url, "postgresql://moon:sesame@/nowhere?host=%s", server.folder);
    expect_refusal(url, "role \"moon\" does not exist");
    snprintf(url, sizeof url, "postgresql://postgres:sesame@/nowhere?host=%s", server.folder);
    expect_refusal(url, "check that the server runs and can be reached, and database, user");
    expect_refusal("postgresql://moon:sesame@127.0.0.1:1/x", "check that the server runs");
    expect_refusal("postgresql://moon:sesame@127.0.0.1/x?wrong=sesame", "cannot be opened");
    expect_refusal("postgres://moon:sesame@127.0.0.1/x?node=a%20b", "node=");
    expect_refusal("postgres://moon:sesame@127.0.0.1/x?node=", "node=");
    expect_refusal("postgresql://moon:sesame@/x?host=/nowhere&password=sesame",
                   "among its parameters");
}

static void a_newer_schema_is_left_alone(void **state)
{
    (void)state;
    store_close(open_loaded(engine.place.url));
    execute("UPDATE moonwatch SET value=99 WHERE name='schema'");
    expect_refusal(engine.place.url, "made by a newer version of moonwatch (schema 99");
    execute("UPDATE moonwatch SET value=2 WHERE name='schema'");
    store_close(open_loaded(engine.place.url));
}

static void tables_of_another_program_are_left_alone(void **state)
{
    (void)state;
    execute("CREATE TABLE token(x integer)");
    expect_refusal(engine.place.url, "of another program");
    assert_int_equal(query("SELECT count(*) FROM information_schema.tables WHERE"
                           " table_schema=current_schema()"),
                     1);
}

static void an_emptied_database_is_written_again(void **state)
{
    char sql[128];
    (void)state;
    struct store *store = open_loaded(engine.place.url);
    assert_int_equal(store_begin(store, STORE_DURABLE), OK);
    assert_int_equal(store_put_setting(store, "min_score", "0.3"), OK);
    assert_int_equal(store_commit(store), OK);
    snprintf(sql, sizeof sql, "DROP SCHEMA %s CASCADE; CREATE SCHEMA %s", schema, schema);
    execute(sql);
    assert_int_equal(put_one(store, 1, 9), ERR_CORRUPT);
    reopen_and_put(store, 1, STORE_NEW_FILE);
    store_close(store);
    assert_written_once(1);
    assert_int_equal(query("SELECT count(*) FROM setting WHERE value='0.3'"), 1);
}

static void transactions_that_a_server_lost_are_noticed(void **state)
{
    (void)state;
    struct store *store = open_loaded(engine.place.url);
    for (token_id id = 1; id <= 5; id++)
        assert_int_equal(put_one(store, id, 9), OK);
    execute("UPDATE node SET transactions=3");
    query("SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE"
          " application_name LIKE 'moonwatch main%'");
    assert_int_equal(put_one(store, 6, 9), ERR_UNAVAILABLE);
    reopen_and_put(store, 6, STORE_NEW_FILE);
    store_close(store);
}

/* ---- history ---- */

static void history_goes_by_the_day(void **state)
{
    bool more = true;
    instant now = clock_now(), tomorrow = instant_add(now, duration_s(86400));
    (void)state;
    struct store *store = open_loaded(engine.place.url);
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    for (int64_t id = 1; id <= 4; id++) {
        struct store_snapshot snapshot = {.id = id, .token = 1, .at = id <= 3 ? now : tomorrow};
        assert_int_equal(store_put_snapshot(store, &snapshot), OK);
    }
    assert_int_equal(store_put_event(store, &(struct store_event){.at = now, .kind = "kind"}), OK);
    assert_int_equal(store_commit(store), OK);
    assert_int_equal(query("SELECT count(*) FROM snapshot_default"), 0);
    instant midnight = {(postgres_day_of(tomorrow)) * INT64_C(86400000000)};
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    assert_int_equal(store_delete_history(store, midnight, (instant){0}, 100, &more), OK);
    assert_int_equal(store_commit(store), OK);
    assert_false(more);
    assert_int_equal(query("SELECT count(*) FROM snapshot"), 1);
    assert_int_equal(query("SELECT count(*) FROM event"), 1);
    /* Dropped as a whole, and not missed. */
    assert_int_equal(query("SELECT count(*) FROM information_schema.tables WHERE"
                           " table_schema=current_schema() AND table_name LIKE 'snapshot!_2%'"
                           " ESCAPE '!'"),
                     PARTITION_DAYS - 1);
    store_close(store);
}

/* As on a server that knows none: the name of one is taken. */
static void history_without_partitions_goes_by_the_row(void **state)
{
    bool more = false;
    (void)state;
    execute("CREATE VIEW snapshot_default AS SELECT 1 AS x");
    struct store *store = open_loaded(engine.place.url);
    assert_int_equal(query("SELECT count(*) FROM moonwatch WHERE name='partitioned'"), 0);
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    for (int64_t id = 1; id <= 30; id++) {
        struct store_snapshot snapshot = {.id = id, .token = 1, .at = {id}};
        assert_int_equal(store_put_snapshot(store, &snapshot), OK);
    }
    assert_int_equal(store_delete_history(store, (instant){25}, (instant){0}, 20, &more), OK);
    assert_true(more);
    assert_int_equal(store_delete_history(store, (instant){25}, (instant){0}, 20, &more), OK);
    assert_false(more);
    assert_int_equal(store_commit(store), OK);
    assert_int_equal(query("SELECT count(*) FROM snapshot"), 6);
    store_close(store);
}

/* ---- a server that dies ---- */

static void refresh_everybody(uint32_t n)
{
    for (token_id id = 1; id <= token_table_count(engine.memory.table); id++)
        engine_refresh(&engine, id, n);
}

static void turn_loop(int times)
{
    for (int i = 0; i < times; i++)
        uv_run(&engine.loop, UV_RUN_ONCE);
}

static void a_server_killed_under_load_loses_nothing(void **state)
{
    struct store_load_report report;
    struct prng prng;
    uint32_t acknowledged, n = 0;
    (void)state;
    prng_seed(&prng, 1);
    engine_start(&engine, &report);
    for (int kill_number = 0; kill_number < KILLS; kill_number++) {
        for (int i = 0; i < 50; i++)
            engine_add(&engine);
        refresh_everybody(++n);
        turn_loop((int)prng_below(&prng, 20));
        acknowledged = engine.acknowledged;
        server_kill(&server, SIGKILL);
        refresh_everybody(++n);
        turn_loop((int)prng_below(&prng, 20));
        acknowledged = engine.acknowledged > acknowledged ? engine.acknowledged : acknowledged;
        assert_true(server_start(&server));
        assert_true(query("SELECT count(*) FROM token") >= acknowledged);
    }
    WAIT_FOR(&engine, engine.acknowledged == KILLS * 50);
    assert_true(engine.times_retrying > 0);
    assert_int_equal(engine_stop(&engine, 30), 0);
    engine_start(&engine, &report);
    assert_int_equal(report.tokens, KILLS * 50);
    assert_int_equal(report.rows_refused + report.holes, 0);
    for (token_id id = 1; id <= KILLS * 50; id++)
        assert_int_equal(token_slot(engine.memory.table, id)->state.low_score_us, n);
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(nodes_share_tokens_and_nothing_else),
        ROW(alone_or_one_of_several),
        ROW(tokens_carry_their_slots),
        ROW(a_newer_generation_fences),
        ROW(who_is_not_awaited_is_fenced),
        ROW(a_connection_lost_before_the_commit),
        ROW(a_connection_lost_after_the_commit),
        ROW(a_session_that_the_server_ended),
        ROW(a_server_that_hangs_is_given_up),
        ROW(an_answer_that_does_not_come_is_not_waited_for),
        ROW(a_lock_in_the_way_is_waited_out),
        ROW(a_server_that_takes_no_writes),
        ROW(what_cannot_be_opened_is_told_without_secrets),
        ROW(a_newer_schema_is_left_alone),
        ROW(tables_of_another_program_are_left_alone),
        ROW(an_emptied_database_is_written_again),
        ROW(transactions_that_a_server_lost_are_noticed),
        ROW(history_goes_by_the_day),
        ROW(history_without_partitions_goes_by_the_row),
        ROW(a_server_killed_under_load_loses_nothing),
    };
    return cmocka_run_group_tests_name("postgres", tests, server_start_group, server_stop_group);
}
