/* A file copied into another: whole, equal, and never mixed with a second one. */
#include "copy_fixture.h"

#include "tests/torture/short_of_memory.h"
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/stat.h>

static int set_up(void **state)
{
    static struct world world;
    log_setup(LOG_ERROR, LOG_FORMAT_LOGFMT);
    place_init(&world.from);
    place_init(&world.to);
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    place_finish(&world->from);
    place_finish(&world->to);
    return 0;
}

/* Without this module's help. */
static int64_t query(const struct place *place, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open_v2(place->path, &db, SQLITE_OPEN_READWRITE, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    int result = sqlite3_step(statement);
    assert_true(result == SQLITE_ROW || result == SQLITE_DONE);
    int64_t value = result == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

static void assert_same_rows(const struct world *world, const char *table, const char *columns)
{
    char sql[512];
    snprintf(sql, sizeof sql,
             "ATTACH '%s' AS other; SELECT count(*) FROM (SELECT %s FROM main.%s EXCEPT SELECT %s "
             "FROM other.%s)",
             world->to.path, columns, table, columns, table);
    sqlite3 *db;
    assert_int_equal(sqlite3_open(world->from.path, &db), SQLITE_OK);
    const char *rest = sql;
    int64_t differing = -1, mine = -1, others = -1;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, rest, -1, &statement, &rest), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_DONE);
    sqlite3_finalize(statement);
    assert_int_equal(sqlite3_prepare_v2(db, rest, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    differing = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    snprintf(sql, sizeof sql, "SELECT count(*) FROM %s", table);
    mine = query(&world->from, sql);
    others = query(&world->to, sql);
    assert_int_equal(differing, 0);
    assert_int_equal(mine, others);
}

static void assert_all_there(const struct world *world)
{
    assert_same_rows(world, "snapshot", "*");
    assert_same_rows(world, "event", "token_id,at,kind,reason");
    assert_same_rows(world, "alert", "*");
    assert_same_rows(world, "setting", "*");
    assert_same_rows(world, "pool", "*");
    assert_same_rows(world, "token", "id,mint,name,symbol,status,created_at");
}

static void everything_is_copied(void **state)
{
    struct world *world = *state;
    struct copy_report report;
    struct kept kept;
    fill(world->from.url, TOKENS, SNAPSHOTS, EVENTS);
    copy_or_fail(world, &report);
    assert_int_equal(report.rows, ROWS);
    assert_int_equal(report.sums[STORE_TOKENS].rows, TOKENS - 1);
    assert_int_equal(report.sums[STORE_ALERTS].rows, 500);
    assert_int_equal(report.continued, 0);
    assert_int_equal(report.refused, 0);
    assert_all_there(world);
    assert_int_equal(query(&world->to, "SELECT value FROM meta WHERE name='generation'"), 1);

    /* The newest of the log is in the row, and the row is all there is. */
    assert_int_equal(query(&world->to, "SELECT count(*) FROM refresh_log"), 0);
    assert_int_equal(query(&world->to, "SELECT checked_at=4102444800000000 FROM token WHERE id=2"),
                     1);
    struct store *store = open_or_fail(world->to.url);
    assert_int_equal(kept_load(store, &kept), OK);
    assert_int_equal(kept.report.replayed, 0);
    assert_int_equal(kept.report.generation, 2);
    assert_int_equal(kept.tokens[2].token.state.low_score_us, 3);
    assert_int_equal(kept.report.last_snapshot_id, SNAPSHOTS + 7);
    kept_finish(&kept);
    store_close(store);
}

/* Its last words were lost, say. */
static void a_complete_copy_is_checked_again(void **state)
{
    struct world *world = *state;
    struct copy_report report;
    fill(world->from.url, 10, 10, 10);
    copy_or_fail(world, &report);
    for (int i = 0; i < 2; i++) {
        copy_or_fail(world, &report);
        assert_int_equal(report.rows, 0);
        assert_int_equal(report.sums[STORE_SNAPSHOTS].rows, 10);
    }
    query(&world->to, "UPDATE snapshot SET score=17 WHERE id=9");
    assert_refused(world->from.url, world->to.url, "not equal");
    /* Once a daemon has used it, it is a database like others. */
    store_close(open_or_fail(world->to.url));
    assert_refused(world->from.url, world->to.url, "left alone");
}

static void an_empty_database_is_copied_too(void **state)
{
    struct world *world = *state;
    struct copy_report report;
    store_close(open_or_fail(world->from.url));
    copy_or_fail(world, &report);
    assert_int_equal(report.rows, 0);
    store_close(open_or_fail(world->to.url));
}

static void the_source_stays_as_it_is(void **state)
{
    struct world *world = *state;
    struct copy_report report;
    struct store *store;
    struct copy_sum before[STORE_PART_COUNT], after;
    fill(world->from.url, 20, 30, 4);
    store = open_or_fail(world->from.url);
    for (int i = 0; i < STORE_PART_COUNT; i++)
        assert_int_equal(copy_sum_part(store, (enum store_part)i, &before[i]), OK);
    store_close(store);
    copy_or_fail(world, &report);
    assert_int_equal(query(&world->from, "SELECT value FROM meta WHERE name='generation'"), 2);
    store = open_or_fail(world->from.url);
    for (int i = 0; i < STORE_PART_COUNT; i++) {
        assert_int_equal(copy_sum_part(store, (enum store_part)i, &after), OK);
        assert_memory_equal(&after, &before[i], sizeof after);
        assert_memory_equal(&after, &report.sums[i], sizeof after);
    }
    store_close(store);
}

/* ---- broken off ---- */

static void a_copy_that_was_stopped_goes_on(void **state)
{
    struct world *world = *state;
    struct copy_report report;
    enum copy_outcome outcome;
    uint64_t rows = 0;
    int stops = 0;
    char why[512];
    fill(world->from.url, TOKENS, SNAPSHOTS, EVENTS);
    do {
        /* One slice more each time: each stop is at another place, the comparison's too. */
        int left = 1 + stops;
        const struct copy_watch watch = {&left, stop_after};
        outcome = store_copy(world->from.url, world->to.url, &watch, &report, why);
        assert_int_not_equal(outcome, COPY_FAILED);
        rows += report.rows;
        if (stops++ == 2) {
            assert_true(report.continued > 0);
            assert_null(store_open(world->to.url, why));
            assert_non_null(strstr(why, "not complete"));
            assert_null(store_open_for_copy(world->to.url, STORE_SOURCE, why));
        }
    } while (outcome == COPY_STOPPED);
    assert_true(stops > 5);
    assert_int_equal(rows, ROWS);
    assert_all_there(world);
}

static void a_copy_that_was_killed_goes_on(void **state)
{
    struct world *world = *state;
    int deaths = 0;
    fill(world->from.url, TOKENS, SNAPSHOTS, EVENTS);
    for (int64_t us = 2000; !copy_or_die(world, us); us += us / 4)
        deaths++;
    assert_true(deaths > 0);
    assert_all_there(world);
}

/* ---- refused ---- */

static void two_sources_are_not_mixed(void **state)
{
    struct world *world = *state;
    struct copy_report report;
    struct place other;
    char why[512];
    int left = 1;
    const struct copy_watch watch = {&left, stop_after};
    place_init(&other);
    fill(world->from.url, TOKENS, 10, 10);
    fill(other.url, TOKENS + 1, 10, 10);
    assert_int_equal(store_copy(world->from.url, world->to.url, &watch, &report, why),
                     COPY_STOPPED);
    assert_refused(other.url, world->to.url, "not mixed");
    /* Whoever moved it has it still. */
    char moved[128];
    snprintf(moved, sizeof moved, "%s/moved.db", other.folder);
    assert_int_equal(rename(world->from.path, moved), 0);
    snprintf(moved, sizeof moved, "sqlite:%s/moved.db", other.folder);
    left = 1;
    assert_int_equal(store_copy(moved, world->to.url, &watch, &report, why), COPY_STOPPED);
    /* A daemon that used it makes it another. */
    store_close(open_or_fail(moved));
    assert_refused(moved, world->to.url, "used again");
    place_finish(&other);
}

static void what_is_there_already_is_left_alone(void **state)
{
    struct world *world = *state;
    fill(world->from.url, 10, 10, 10);
    struct store *store = open_or_fail(world->to.url);
    assert_int_equal(store_begin(store, STORE_DURABLE), OK);
    assert_int_equal(store_put_setting(store, "min_score", "0.5"), OK);
    assert_int_equal(store_commit(store), OK);
    store_close(store);
    assert_refused(world->from.url, world->to.url, "left alone");
    assert_int_equal(query(&world->to, "SELECT count(*) FROM token"), 0);
}

static void a_source_in_use_is_refused(void **state)
{
    assert_in_use_is_refused(*state);
}

static void one_database_is_not_copied_into_itself(void **state)
{
    struct world *world = *state;
    char link_url[192];
    fill(world->from.url, 10, 10, 10);
    assert_refused(world->from.url, world->from.url, "the same database");
    assert_int_equal(symlink(world->from.path, world->to.path), 0);
    snprintf(link_url, sizeof link_url, "sqlite:%s", world->to.path);
    assert_refused(world->from.url, link_url, "the same database");
}

static void what_is_no_source_is_said(void **state)
{
    struct world *world = *state;
    struct stat status;
    assert_refused(world->from.url, world->to.url, "is not there");
    assert_int_not_equal(stat(world->from.path, &status), 0);
    int fd = open(world->from.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_refused(world->from.url, world->to.url, "is empty");
    assert_refused("mysql:x", world->to.url, "no database this program knows");
    store_close(open_or_fail(world->to.url));
    query(&world->to, "PRAGMA user_version=999");
    assert_refused(world->to.url, world->from.url, "newer version");
}

static void a_newer_target_is_refused(void **state)
{
    struct world *world = *state;
    store_close(open_or_fail(world->from.url));
    store_close(open_or_fail(world->to.url));
    query(&world->to, "PRAGMA user_version=999");
    assert_refused(world->from.url, world->to.url, "newer version");
}

static bool meddle(void *context, const struct copy_progress *progress)
{
    const struct world *world = context;
    if (progress->stage == COPY_READING_SOURCE && progress->part == STORE_SETTINGS)
        query(&world->to, "UPDATE snapshot SET score=17 WHERE id=9");
    return true;
}

static void a_copy_that_is_not_equal_fails(void **state)
{
    struct world *world = *state;
    struct copy_report report;
    char why[512];
    const struct copy_watch watch = {world, meddle};
    fill(world->from.url, 10, 10, 10);
    assert_int_equal(store_copy(world->from.url, world->to.url, &watch, &report, why), COPY_FAILED);
    assert_non_null(strstr(why, "not equal: FROM has 10 snapshots"));
    assert_null(store_open(world->to.url, why));
    assert_refused(world->from.url, world->to.url, "not equal");
}

/* What a start would leave out is left out, and counted. */
static void damaged_rows_are_left_out(void **state)
{
    struct world *world = *state;
    struct copy_report report;
    fill(world->from.url, 10, 10, 10);
    query(&world->from, "UPDATE token SET mint='none' WHERE id=3");
    query(&world->from, "UPDATE snapshot SET token_id=-1 WHERE id=9");
    query(&world->from, "UPDATE alert SET text=zeroblob(20000) WHERE id=3");
    query(&world->from, "UPDATE setting SET value=zeroblob(5000) WHERE name='min_score'");
    copy_or_fail(world, &report);
    /* And the pools of that token, which are nobody's now. */
    assert_int_equal(report.refused, 4 + 3);
    assert_int_equal(report.sums[STORE_TOKENS].rows, 8);
    assert_int_equal(report.sums[STORE_SNAPSHOTS].rows, 9);
    assert_int_equal(report.sums[STORE_ALERTS].rows, 499);
    assert_int_equal(report.sums[STORE_SETTINGS].rows, 1);
}

/* ---- short of memory ---- */

static int texts_until_short; /* 0: memory is there */

const unsigned char *__wrap_sqlite3_column_text(sqlite3_stmt *statement, int column)
{
    if (texts_until_short == 0 || --texts_until_short > 0)
        return __real_sqlite3_column_text(statement, column);
    return fall_short_of_memory(statement);
}

/* A text that can't be read for lack of memory is there all the same. */
static void what_memory_is_short_for_is_not_left_out(void **state)
{
    struct world *world = *state;
    struct copy_report report;
    char why[512];
    fill(world->from.url, 30, 10, 10);
    size_t stopped = 0;
    enum copy_outcome result = COPY_FAILED;
    for (int n = 1; result != COPY_DONE; n += 1 + n / 8) {
        texts_until_short = n;
        result = store_copy(world->from.url, world->to.url, NULL, &report, why);
        stopped += result != COPY_DONE;
        assert_int_equal(report.refused, 0);
        if (result != COPY_DONE && strstr(why, "memory") == NULL)
            fail_msg("\"%s\" does not say \"memory\"", why);
    }
    texts_until_short = 0;
    assert_true(stopped > 10);
    assert_all_there(world);
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(everything_is_copied),
        ROW(a_complete_copy_is_checked_again),
        ROW(an_empty_database_is_copied_too),
        ROW(the_source_stays_as_it_is),
        ROW(a_copy_that_was_stopped_goes_on),
        ROW(a_copy_that_was_killed_goes_on),
        ROW(two_sources_are_not_mixed),
        ROW(what_is_there_already_is_left_alone),
        ROW(a_source_in_use_is_refused),
        ROW(one_database_is_not_copied_into_itself),
        ROW(what_is_no_source_is_said),
        ROW(a_newer_target_is_refused),
        ROW(a_copy_that_is_not_equal_fails),
        ROW(damaged_rows_are_left_out),
        ROW(what_memory_is_short_for_is_not_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
