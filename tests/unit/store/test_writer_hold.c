/* The writer of one of several nodes, on a real server: what it writes is under leases, and what is
 * another node's by now is left out. The leases are taken away by hand. */
#include "engine.h"

#include "postgres_group.h"

#include "core/mint_slot.h"

static struct engine engine;
static char schema[32];

static int64_t query(const char *sql)
{
    return server_ask(&server, schema, sql);
}

static uint16_t slot_of(token_id id)
{
    struct address mint = address_of(id);
    return mint_slot(&mint);
}

/* Another node claims it, `times` times. */
static void take_away(uint16_t lease, int times)
{
    char sql[128];
    snprintf(sql, sizeof sql, "UPDATE cluster_lease SET generation=generation+%d WHERE lease=%u",
             times, lease);
    assert_true(server_execute(&server, schema, sql));
}

/* All slots, with one more than the first generation from `first` on. */
static void hold_all_but(uint16_t other, uint64_t generation, uint64_t of_others)
{
    static struct cluster_change leases[LEASE_COUNT];
    uint32_t count = 0;
    for (uint16_t lease = 0; lease < LEASE_COUNT; lease++) {
        uint64_t held = lease == other ? of_others : generation;
        if (held != 0)
            leases[count++] = (struct cluster_change){lease, held};
    }
    writer_hold(engine.writer, leases, count);
}

static int set_up(void **state)
{
    struct store_load_report report;
    (void)state;
    engine = (struct engine){0};
    options_init(&engine.options);
    engine.options.store_commit_sec = 0.01;
    engine.options.store_checkpoint_sec = 3600;
    if (!server_add_schema(&server, schema))
        return -1;
    server_url(&server, schema, "&node=a", engine.place.url, sizeof engine.place.url);
    engine_start(&engine, &report);
    writer_hold(engine.writer, NULL, 0);
    if (!server_execute(&server, schema, "UPDATE cluster_lease SET generation=1"))
        return -1;
    hold_all_but(LEASE_COUNT, 1, 0);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    if (engine.writer != NULL)
        engine_stop(&engine, 5);
    return server.pid != 0 || server_start(&server) ? 0 : -1;
}

static void flush(void)
{
    uint64_t tag = engine.flushed + 1;
    writer_flush(engine.writer, tag);
    WAIT_FOR(&engine, engine.flushed == tag);
}

static int64_t records(void)
{
    return query("SELECT greatest((SELECT max(seq) FROM refresh_log_1_a),"
                 "(SELECT max(seq) FROM refresh_log_1_b))");
}

static struct writer_stats stats_now(void)
{
    struct writer_stats stats;
    writer_stats(engine.writer, &stats);
    return stats;
}

static void add_tokens(token_id count)
{
    for (token_id id = 1; id <= count; id++)
        assert_int_equal(engine_add(&engine), id);
    WAIT_FOR(&engine, engine.acknowledged == count);
}

static void add_event(token_id id)
{
    writer_add_event(engine.writer,
                     &(struct store_event){.token = id, .at = clock_now(), .kind = "x"});
}

static void add_snapshot(token_id id, int64_t snapshot)
{
    writer_take_snapshot(engine.writer, id, snapshot, 0);
}

static void a_flush_says_when_all_is_committed(void **state)
{
    (void)state;
    flush(); /* of nothing */
    add_tokens(40);
    for (token_id id = 1; id <= 40; id++)
        engine_refresh(&engine, id, 7);
    flush();
    assert_int_equal(records(), 40);
    for (uint64_t tag = 3; tag <= 20; tag++)
        writer_flush(engine.writer, tag);
    WAIT_FOR(&engine, engine.flushed == 20);
    /* While the server is gone it waits. */
    server_kill(&server, SIGKILL);
    engine_refresh(&engine, 1, 8);
    writer_flush(engine.writer, 21);
    WAIT_FOR(&engine, engine.times_retrying > 0);
    assert_int_equal(engine.flushed, 20);
    assert_true(server_start(&server));
    WAIT_FOR(&engine, engine.flushed == 21);
    /* Where it lost the newest transactions, all of them are in the log once more. */
    assert_in_range(records(), 40, 82);
    assert_true(token_is_stored(engine.memory.table, 1));
}

static void what_is_another_nodes_is_left_out(void **state)
{
    (void)state;
    assert_int_not_equal(slot_of(1), slot_of(2));
    add_tokens(2);
    for (int round = 0; round < 2; round++) {
        if (round == 1)
            take_away(slot_of(1), 1);
        for (token_id id = 1; id <= 2; id++) {
            engine_refresh(&engine, id, 1 + (uint32_t)round);
            add_event(id);
            add_snapshot(id, 10 * round + id);
        }
        flush();
    }
    struct writer_stats stats = stats_now();
    assert_int_equal(stats.refreshes_left_out, 1);
    assert_int_equal(stats.rows_left_out, 2);
    assert_int_equal(stats.state, WRITER_OK);
    assert_int_equal(records(), 3);
    assert_int_equal(query("SELECT count(*) FROM event WHERE token_id=1"), 1);
    assert_int_equal(query("SELECT count(*) FROM event WHERE token_id=2"), 2);
    assert_int_equal(query("SELECT max(id) FROM snapshot WHERE token_id=1"), 1);
    assert_int_equal(query("SELECT max(id) FROM snapshot WHERE token_id=2"), 12);
    assert_false(token_is_stored(engine.memory.table, 1));
    assert_true(token_is_stored(engine.memory.table, 2));
    /* What is about no token needs no lease. */
    add_event(TOKEN_NONE);
    flush();
    assert_int_equal(query("SELECT count(*) FROM event WHERE token_id=0"), 1);
}

static void a_new_token_needs_the_source(void **state)
{
    (void)state;
    add_tokens(1);
    take_away(LEASE_SOURCE, 1);
    engine_add(&engine);
    WAIT_FOR(&engine, engine.left_out == 1);
    assert_int_equal(engine.acknowledged, 1);
    assert_int_equal(query("SELECT count(*) FROM token"), 1);
    assert_int_equal(stats_now().additions_left_out, 1);
    hold_all_but(LEASE_COUNT, 1, 0);
    hold_all_but(LEASE_SOURCE, 1, 2);
    engine_add(&engine);
    WAIT_FOR(&engine, engine.acknowledged == 2);
    assert_int_equal(query("SELECT max(id) FROM token"), 3);
}

/* What waits while the server is gone is written, unless the slot may have been another's. */
static void what_waits_goes_with_its_lease(void **state)
{
    enum { LOST = 1, UNBROKEN, BROKEN, KEPT, COUNT = KEPT };
    (void)state;
    add_tokens(COUNT);
    for (token_id id = 1; id <= COUNT; id++)
        for (token_id other = 1; other < id; other++)
            assert_int_not_equal(slot_of(id), slot_of(other));
    take_away(slot_of(UNBROKEN), 1); /* now: it writes as soon as the server is back */
    take_away(slot_of(BROKEN), 2);
    server_kill(&server, SIGKILL);
    for (token_id id = 1; id <= COUNT; id++) {
        engine_refresh(&engine, id, 5);
        add_event(id);
    }
    WAIT_FOR(&engine, engine.times_retrying > 0);
    struct cluster_change leases[] = {
        {slot_of(UNBROKEN), 2}, {slot_of(BROKEN), 3}, {slot_of(KEPT), 1}};
    writer_hold(engine.writer, leases, 3);
    assert_true(server_start(&server));
    flush();
    assert_int_equal(records(), 2);
    assert_int_equal(query("SELECT count(*) FROM event WHERE token_id IN (1,3)"), 0);
    assert_int_equal(query("SELECT count(*) FROM event WHERE token_id IN (2,4)"), 2);
    /* What is told from now on is written under it. */
    engine_refresh(&engine, BROKEN, 6);
    flush();
    assert_int_equal(records(), 3);
}

/* Others may not have read the end of the log; rows are brought up to it. */
static void the_log_stays_at_the_end(void **state)
{
    (void)state;
    add_tokens(3);
    for (token_id id = 1; id <= 3; id++)
        engine_refresh(&engine, id, 7);
    flush();
    assert_int_equal(engine_stop(&engine, 30), 0);
    assert_int_equal(records(), 3);
    assert_int_equal(query("SELECT count(*) FROM token WHERE generation=1 AND log_seq=3"), 3);
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(a_flush_says_when_all_is_committed), ROW(what_is_another_nodes_is_left_out),
        ROW(a_new_token_needs_the_source),       ROW(what_waits_goes_with_its_lease),
        ROW(the_log_stays_at_the_end),
    };
    return cmocka_run_group_tests_name("writer_hold", tests, server_start_group, server_stop_group);
}
