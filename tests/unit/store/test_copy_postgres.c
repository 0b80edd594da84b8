/* A database copied from a file to a server and back, and from one schema to another. */
#include "copy_fixture.h"
#include "postgres_group.h"

#include "core/mint_slot.h"

static char from_schema[32], to_schema[32];

static void use_server(struct place *place, char schema[32])
{
    assert_true(server_add_schema(&server, schema));
    server_url(&server, schema, "", place->url, sizeof place->url);
}

/* Which of the two sides lies on the server. */
static int set_up(void **state, bool is_from, bool is_to)
{
    static struct world world;
    place_init(&world.from);
    place_init(&world.to);
    if (is_from)
        use_server(&world.from, from_schema);
    if (is_to)
        use_server(&world.to, to_schema);
    *state = &world;
    return 0;
}

static int to_a_server(void **state)
{
    return set_up(state, false, true);
}

static int from_a_server(void **state)
{
    return set_up(state, true, false);
}

static int between_schemas(void **state)
{
    return set_up(state, true, true);
}

static int tear_down(void **state)
{
    struct world *world = *state;
    place_finish(&world->from);
    place_finish(&world->to);
    return 0;
}

static void sum_up(const char *url, struct copy_sum sums[STORE_PART_COUNT])
{
    char why[512];
    struct store *store = store_open_for_copy(url, STORE_SOURCE, why);
    if (store == NULL)
        fail_msg("%s", why);
    for (int i = 0; i < STORE_PART_COUNT; i++)
        assert_int_equal(copy_sum_part(store, (enum store_part)i, &sums[i]), OK);
    store_close(store);
}

static void assert_equal(const struct world *world)
{
    static const uint64_t COUNTS[] = {TOKENS - 1, SNAPSHOTS, EVENTS, 500, 2};
    struct copy_sum from[STORE_PART_COUNT], to[STORE_PART_COUNT];
    sum_up(world->from.url, from);
    sum_up(world->to.url, to);
    for (int i = 0; i < STORE_PART_COUNT; i++) {
        assert_int_equal(from[i].rows, COUNTS[i]);
        assert_int_equal(to[i].rows, COUNTS[i]);
        assert_int_equal(from[i].checksum, to[i].checksum);
    }
}

static void assert_chain(const char *url)
{
    struct store_snapshot found[8];
    struct store_event events[3];
    char why[512];
    struct store_reader *reader = store_reader_open(url, why);
    assert_non_null(reader);
    assert_int_equal(store_reader_snapshots(reader, 1, SNAPSHOTS + 7, found, 8), 8);
    assert_int_equal(found[7].id, SNAPSHOTS + 7 - 350);
    assert_true(found[7].metrics.price_usd == 1.0 / (SNAPSHOTS - 350));
    assert_int_equal(store_reader_events(reader, TOKEN_NONE, events, 3), 3);
    assert_string_equal(events[0].reason, "because 4999");
    assert_string_equal(events[2].reason, "because 4997");
    store_reader_close(reader);
}

static void everything_is_copied(void **state)
{
    struct world *world = *state;
    struct copy_report report;
    struct kept kept;
    fill(world->from.url, TOKENS, SNAPSHOTS, EVENTS);
    copy_or_fail(world, &report);
    assert_int_equal(report.rows, ROWS);
    assert_int_equal(report.refused, 0);
    assert_equal(world);
    assert_chain(world->to.url);

    /* It goes on from there as a daemon would. */
    struct store *store = open_or_fail(world->to.url);
    assert_int_equal(kept_load(store, &kept), OK);
    assert_int_equal(kept.report.replayed, 0);
    assert_int_equal(kept.report.generation, 2);
    assert_int_equal(kept.report.times_clamped, 1);
    assert_int_equal(kept.tokens[2].token.state.low_score_us, 3);
    assert_int_equal(kept.report.last_snapshot_id, SNAPSHOTS + 7);
    assert_int_equal(store_begin(store, STORE_DURABLE), OK);
    put_history(store, 0, 1);
    assert_int_equal(store_commit(store), OK);
    kept_finish(&kept);
    store_close(store);
    struct copy_sum sums[STORE_PART_COUNT];
    sum_up(world->to.url, sums);
    assert_int_equal(sums[STORE_EVENTS].rows, EVENTS + 1);
}

static void a_copy_that_was_stopped_goes_on(void **state)
{
    struct world *world = *state;
    struct copy_report report;
    enum copy_outcome outcome;
    uint64_t rows = 0;
    char why[512];
    fill(world->from.url, TOKENS, SNAPSHOTS, EVENTS);
    for (int stops = 1; stops < 100; stops += 4) {
        int left = stops;
        const struct copy_watch watch = {&left, stop_after};
        outcome = store_copy(world->from.url, world->to.url, &watch, &report, why);
        assert_int_not_equal(outcome, COPY_FAILED);
        rows += report.rows;
        if (outcome == COPY_DONE)
            break;
        assert_null(store_open(world->to.url, why));
        assert_non_null(strstr(why, "not complete"));
    }
    assert_int_equal(rows, ROWS);
    assert_equal(world);
}

static void a_copy_that_was_killed_goes_on(void **state)
{
    struct world *world = *state;
    int deaths = 0;
    fill(world->from.url, TOKENS, SNAPSHOTS, EVENTS);
    for (int64_t us = 5000; !copy_or_die(world, us); us *= 2)
        deaths++;
    assert_true(deaths > 0);
    assert_equal(world);
}

static bool kill_server(void *context, const struct copy_progress *progress)
{
    int *left = context;
    (void)progress;
    if (--*left == 0)
        server_kill(&server, SIGKILL);
    return true;
}

static void a_server_that_dies_is_gone_on_with(void **state)
{
    struct world *world = *state;
    struct copy_report report;
    uint64_t rows = 0;
    char why[512];
    fill(world->from.url, TOKENS, SNAPSHOTS, EVENTS);
    for (int i = 2; i <= 6; i += 2) {
        int left = i;
        const struct copy_watch watch = {&left, kill_server};
        assert_int_equal(store_copy(world->from.url, world->to.url, &watch, &report, why),
                         COPY_FAILED);
        assert_non_null(strstr(why, "the database"));
        rows += report.rows;
        assert_true(server_start(&server));
    }
    copy_or_fail(world, &report);
    assert_true(report.continued > 0 && rows > 0);
    assert_equal(world);
}

static void a_complete_copy_is_checked_again(void **state)
{
    struct world *world = *state;
    struct copy_report report;
    fill(world->from.url, 10, 10, 10);
    copy_or_fail(world, &report);
    copy_or_fail(world, &report);
    assert_int_equal(report.rows, 0);
    assert_int_equal(report.sums[STORE_SNAPSHOTS].rows, 10);
    store_close(open_or_fail(world->to.url));
    assert_refused(world->from.url, world->to.url, "left alone");
}

static void two_sources_are_not_mixed(void **state)
{
    struct world *world = *state;
    struct copy_report report;
    char why[512];
    int left = 1;
    const struct copy_watch watch = {&left, stop_after};
    fill(world->from.url, TOKENS, 10, 10);
    assert_int_equal(store_copy(world->from.url, world->to.url, &watch, &report, why),
                     COPY_STOPPED);
    store_close(open_or_fail(world->from.url));
    assert_refused(world->from.url, world->to.url, "not mixed");
}

static void what_is_in_use_is_refused(void **state)
{
    assert_in_use_is_refused(*state);
}

/* ---- of the server alone ---- */

static void one_database_is_not_copied_into_itself(void **state)
{
    struct world *world = *state;
    char other[sizeof world->from.url];
    fill(world->from.url, 10, 10, 10);
    assert_refused(world->from.url, world->from.url, "the same database");
    server_url(&server, from_schema, "&node=main", other, sizeof other);
    assert_refused(world->from.url, other, "the same database");
}

static void what_is_no_source_is_said(void **state)
{
    struct world *world = *state;
    assert_refused(world->from.url, world->to.url, "has no tables of moonwatch");
    assert_int_equal(server_ask(&server, from_schema,
                                "SELECT count(*) FROM information_schema.tables WHERE "
                                "table_schema=current_schema()"),
                     0);
}

/* Old days are dropped by the day, also of what was copied. */
static void each_day_of_history_gets_its_partition(void **state)
{
    struct world *world = *state;
    struct copy_report report;
    struct store *store = open_or_fail(world->from.url);
    assert_int_equal(store_begin(store, STORE_DURABLE), OK);
    for (int64_t id = 1; id <= 6; id++) {
        instant at = {clock_now().us - (6 - id) * 86400000000};
        struct store_snapshot snapshot = {.id = id, .token = 1, .at = at};
        struct store_event event = {.at = at, .kind = "x"};
        assert_int_equal(store_put_snapshot(store, &snapshot), OK);
        assert_int_equal(store_put_event(store, &event), OK);
    }
    assert_int_equal(store_commit(store), OK);
    store_close(store);
    copy_or_fail(world, &report);
    assert_int_equal(report.rows, 12);
    assert_int_equal(server_ask(&server, to_schema, "SELECT count(*) FROM snapshot_default"), 0);
    assert_int_equal(server_ask(&server, to_schema, "SELECT count(*) FROM event_default"), 0);
    assert_int_equal(server_ask(&server, to_schema, "SELECT count(*) FROM snapshot"), 6);
}

/* A daemon of any node writes to it. */
static void a_source_of_several_nodes_is_one(void **state)
{
    struct world *world = *state;
    struct copy_report report;
    char second[sizeof world->from.url];
    server_url(&server, from_schema, "&node=second", second, sizeof second);
    fill(world->from.url, 20, 10, 10);
    struct store *store = open_or_fail(second);
    assert_refused(world->from.url, world->to.url, "in use by another moonwatch");
    struct store_token row;
    token_make(&row, 100, 0);
    assert_int_equal(store_begin(store, STORE_DURABLE), OK);
    assert_int_equal(store_put_token(store, &row), OK);
    token_make(&row, 100, 4);
    struct cluster_change lease = {
        mint_slot(&row.token.mint),
        (uint64_t)server_ask(&server, from_schema, "SELECT max(generation) FROM cluster_lease")};
    bool is_held;
    assert_int_equal(store_hold(store, &lease, 1, &is_held), OK);
    assert_true(is_held);
    assert_int_equal(store_append_refresh(store, &row), OK);
    assert_int_equal(store_commit(store), OK);
    store_close(store);
    copy_or_fail(world, &report);
    assert_int_equal(report.sums[STORE_TOKENS].rows, 20);

    struct kept kept;
    store = open_or_fail(world->to.url);
    assert_int_equal(kept_load(store, &kept), OK);
    assert_int_equal(kept.tokens[100].token.state.low_score_us, 4);
    assert_int_equal(kept.report.generation, 3);
    kept_finish(&kept);
    store_close(store);
}

int main(void)
{
#define ROW(name, set_up)                                                                          \
    {                                                                                              \
#name ", " #set_up, name, set_up, tear_down, NULL                                          \
    }
#define BOTH_WAYS(name) ROW(name, to_a_server), ROW(name, from_a_server)
#define EACH_WAY(name)  BOTH_WAYS(name), ROW(name, between_schemas)
    const struct CMUnitTest tests[] = {
        EACH_WAY(everything_is_copied),
        BOTH_WAYS(a_copy_that_was_stopped_goes_on),
        BOTH_WAYS(a_copy_that_was_killed_goes_on),
        BOTH_WAYS(a_server_that_dies_is_gone_on_with),
        EACH_WAY(a_complete_copy_is_checked_again),
        EACH_WAY(two_sources_are_not_mixed),
        EACH_WAY(what_is_in_use_is_refused),
        ROW(each_day_of_history_gets_its_partition, to_a_server),
        ROW(one_database_is_not_copied_into_itself, between_schemas),
        ROW(what_is_no_source_is_said, between_schemas),
        ROW(a_source_of_several_nodes_is_one, between_schemas),
    };
    return cmocka_run_group_tests_name("copies with servers", tests, server_start_group,
                                       server_stop_group);
}
