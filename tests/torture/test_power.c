/*
 * The store and power cuts: nothing that was acknowledged is lost, no database is damaged. What the
 * oracle demands is told in power_stage.h.
 *
 *     test_power                 as a test
 *     test_power --all [SEEDS]   more films of each kind, more outcomes a cut
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/log.h"
#include "power_stage.h"
#include "store/sqlite_schema.h"
#include "store/sqlite_store.h"
#include "store/state.h"
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define DRAWS     2
#define DRAWS_ALL 8
#define SEEDS_ALL 12

static struct power_tally tally;
static uint64_t first_seed = 1, last_seed = 1;
static int draws = DRAWS;

static void finish(struct stage *stage)
{
    char complaint[sizeof stage->complaint];
    snprintf(complaint, sizeof complaint, "%s", stage->complaint);
    work_stop(&stage->work);
    stage_finish(stage);
    if (complaint[0] != '\0')
        fail_msg("%s", complaint);
}

static void cut_and_finish(struct stage *stage)
{
    stage_cut(stage, draws, &tally);
    finish(stage);
}

#define FOR_EACH_SEED(seed) for (uint64_t seed = first_seed; seed <= last_seed; seed++)

/* ---- ordinary lives ---- */

static void a_new_database(void **state)
{
    static struct stage stage;
    (void)state;
    FOR_EACH_SEED(seed)
    {
        stage_init(&stage, "a new database", seed);
        stage_roll(&stage, NULL);
        stage_start(&stage);
        stage_work(&stage, 6);
        work_stop(&stage.work);
        cut_and_finish(&stage);
    }
}

static void work_with_stops(void **state)
{
    static struct stage stage;
    (void)state;
    FOR_EACH_SEED(seed)
    {
        stage_init(&stage, "work with stops", seed);
        stage_roll(&stage, NULL);
        for (int life = 0; life < 3 && stage_start(&stage); life++) {
            stage_work(&stage, 50);
            work_stop(&stage.work);
        }
        cut_and_finish(&stage);
    }
}

/* The second life begins with what a cut left, its start is cut as well. */
static void starts_after_cuts(void **state)
{
    static struct stage before, after;
    static struct model found;
    (void)state;
    FOR_EACH_SEED(seed)
    {
        stage_init(&before, "before a cut", seed);
        stage_roll(&before, NULL);
        stage_start(&before);
        stage_work(&before, 40);
        power_film_stop();
        for (int i = 0; i < 3; i++) {
            enum power_outcome outcome = i == 0 ? POWER_KEPT : POWER_TORN;
            size_t op = before.film.count - (size_t)i * 5;
            stage_init(&after, "a start after a cut", seed * 10 + (uint64_t)i);
            stage_leave(&before, op, outcome, &after, &found);
            stage_roll(&after, &found);
            stage_start(&after);
            stage_work(&after, 6);
            cut_and_finish(&after);
        }
        finish(&before);
    }
}

/* ---- a database of the first version ---- */

static void change(const struct stage *stage, const char *sql)
{
    char path[96];
    sqlite3 *db = NULL;
    snprintf(path, sizeof path, "%s/test.db", stage->folder);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void fill_first_version(const struct stage *stage)
{
    struct store_token row = {.token.state.answers = 1};
    uint8_t bytes[STATE_BLOB_MAX];
    char hex[2 * STATE_BLOB_MAX + 1], sql[1000 + 4 * STATE_BLOB_MAX];
    change(stage, sqlite_schema_migration(0));
    change(stage, "PRAGMA application_id=0x4d4f4f4e; PRAGMA user_version=1");
    for (int id = 1; id <= 20; id++) {
        row.token.state.low_score_us = id;
        size_t length = state_encode(&row.token, "orca", bytes);
        for (size_t i = 0; i < length; i++)
            sprintf(hex + 2 * i, "%02x", bytes[i]);
        snprintf(sql, sizeof sql,
                 "INSERT INTO token(id,mint,name,symbol,status,created_at,log_seq,state) "
                 "VALUES(%d,'So%.*s1111111111111111111111111111111111111111','a','b','active',1000,"
                 "0,x'%s');"
                 "INSERT INTO refresh_log_%s VALUES(%d,%d,0,'c','d','archived',x'%s');"
                 "INSERT INTO snapshot(id,previous,token_id,at,score) VALUES(%d,0,%d,1000,0.5);",
                 id, 1, &"123456789ABCDEFGHJKLM"[id], hex, id % 2 == 0 ? "a" : "b", id, id, hex, id,
                 id);
        change(stage, sql);
    }
}

static void a_migration(void **state)
{
    static struct stage before, stage;
    static struct model found;
    (void)state;
    stage_init(&before, "the first version", first_seed);
    fill_first_version(&before);
    stage_roll(&before, NULL);
    power_film_stop();
    stage_init(&stage, "a migration", first_seed);
    assert_true(stage_leave(&before, 0, POWER_KEPT, &stage, &found));
    assert_int_equal(found.last_token, 20);
    stage_roll(&stage, &found);
    stage_start(&stage);
    stage_work(&stage, 4);
    work_stop(&stage.work);
    cut_and_finish(&stage);
    finish(&before);
}

/* ---- two engines ---- */

/* The old one was killed and does not die; it wakes up and tries to write, and stops at last. */
static void an_engine_that_was_taken_over(void **state)
{
    static struct stage stage;
    static struct work next;
    char why[512];
    (void)state;
    FOR_EACH_SEED(seed)
    {
        stage_init(&stage, "an engine that was taken over", seed);
        stage_roll(&stage, NULL);
        stage_start(&stage);
        stage_work(&stage, 20);
        work_init(&next, seed + 1000, &stage.film, &stage.notes);
        next.witness.now = stage.work.witness.now;
        next.unawaited = getpid();
        next.now = stage.work.now;
        assert_true(work_start(&next, stage.url, why));
        for (int i = 0; i < 20; i++) {
            stage_work(&stage, 1);
            work_step(&next);
        }
        work_stop(&stage.work); /* cannot write what it has left */
        for (int i = 0; i < 10; i++)
            work_step(&next);
        work_stop(&next);
        assert_null(next.complaint);
        cut_and_finish(&stage);
    }
}

/* ---- misfortunes of another kind, and then the power fails ---- */

static void go_on_with_a_new_file(struct stage *stage)
{
    stage->weak_to = SIZE_MAX;
    for (int i = 0; i < 60 && stage->work.witness.new_file_at == 0; i++)
        stage_work(stage, 1);
    assert_true(stage->work.witness.new_file_at > stage->weak_from);
    stage->weak_to = stage->work.witness.new_file_at;
    stage_work(stage, 20);
    work_stop(&stage->work);
    cut_and_finish(stage);
}

static void a_deleted_file(void **state)
{
    static struct stage stage;
    static const char *const PARTS[] = {"", "-wal", "-shm"};
    (void)state;
    FOR_EACH_SEED(seed)
    {
        stage_init(&stage, "a deleted file", seed);
        stage_roll(&stage, NULL);
        stage_start(&stage);
        stage_work(&stage, 20);
        stage.weak_from = stage.film.count;
        for (int i = 0; i < 3; i++) {
            char path[128];
            snprintf(path, sizeof path, "%s/test.db%s", stage.folder, PARTS[i]);
            assert_int_equal(unlink(path), 0);
        }
        go_on_with_a_new_file(&stage);
    }
}

static void a_damaged_file(void **state)
{
    static struct stage stage;
    (void)state;
    FOR_EACH_SEED(seed)
    {
        stage_init(&stage, "a damaged file", seed);
        stage_roll(&stage, NULL);
        stage_start(&stage);
        stage_work(&stage, 40);
        stage.weak_from = stage.film.count;
        stage.is_damaged = true;
        power_disk_overwrite(sqlite_of(stage.work.witness.inner)->db, 0, 4096);
        go_on_with_a_new_file(&stage);
    }
}

/* One call in so many fails. */
struct failing {
    struct prng prng;
    double probability;
    uint64_t failed;
};

static int fail_some(void *context, enum power_op_kind kind, const char *name)
{
    struct failing *failing = context;
    (void)name;
    if (prng_unit(&failing->prng) >= failing->probability)
        return SQLITE_OK;
    failing->failed++;
    switch (kind) {
    case POWER_WRITE:
        return prng_below(&failing->prng, 2) == 0 ? SQLITE_FULL : SQLITE_IOERR_WRITE;
    case POWER_SYNC:
        return SQLITE_IOERR_FSYNC;
    case POWER_TRUNCATE:
        return SQLITE_IOERR_TRUNCATE;
    default:
        return SQLITE_IOERR;
    }
}

static void a_failing_disk(void **state)
{
    static struct stage stage;
    (void)state;
    FOR_EACH_SEED(seed)
    {
        struct failing failing = {.probability = 0.02};
        prng_seed(&failing.prng, seed);
        stage_init(&stage, "a failing disk", seed);
        stage_roll(&stage, NULL);
        stage_start(&stage);
        power_disk_fail(fail_some, &failing);
        stage_work(&stage, 60);
        power_disk_fail(NULL, NULL);
        stage.work.now.us += 10000000; /* beyond every pause */
        stage_work(&stage, 5);
        work_stop(&stage.work);
        assert_true(failing.failed > 3);
        cut_and_finish(&stage);
    }
}

/* ---- would it be noticed? ---- */

static void expect_complaint(struct stage *stage)
{
    struct power_tally uncounted = {0};
    bool is_found = !stage_cut(stage, draws, &uncounted);
    work_stop(&stage->work);
    stage_finish(stage);
    assert_true(is_found);
}

static void a_disk_that_lies_is_found_out(void **state)
{
    static struct stage stage;
    (void)state;
    stage_init(&stage, "a disk that does not sync", first_seed);
    stage_roll(&stage, NULL);
    stage_start(&stage);
    power_disk_lie(true);
    stage_work(&stage, 20);
    power_disk_lie(false);
    expect_complaint(&stage);
}

/* As if a new token were acknowledged without a sync. */
static void a_relaxed_acknowledgement_is_found_out(void **state)
{
    static struct stage stage;
    (void)state;
    stage_init(&stage, "acknowledged without a sync", first_seed);
    stage_roll(&stage, NULL);
    stage_start(&stage);
    stage_work(&stage, 20);
    for (size_t i = 0; i < stage.notes.count; i++)
        stage.notes.notes[i].is_durable = true;
    expect_complaint(&stage);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_database),
        cmocka_unit_test(work_with_stops),
        cmocka_unit_test(starts_after_cuts),
        cmocka_unit_test(a_migration),
        cmocka_unit_test(an_engine_that_was_taken_over),
        cmocka_unit_test(a_deleted_file),
        cmocka_unit_test(a_damaged_file),
        cmocka_unit_test(a_failing_disk),
        cmocka_unit_test(a_disk_that_lies_is_found_out),
        cmocka_unit_test(a_relaxed_acknowledgement_is_found_out),
    };
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_LOGFMT);
    power_disk_install();
    if (argc > 1 && strcmp(argv[1], "--all") == 0) {
        draws = DRAWS_ALL;
        last_seed = argc > 2 ? strtoull(argv[2], NULL, 10) : SEEDS_ALL;
    }
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    printf("# %llu films of %llu operations, %llu commits, %llu acknowledgements; %llu cuts: %llu "
           "of the process, %llu with nothing unsynced kept, %llu torn\n",
           (unsigned long long)tally.films, (unsigned long long)tally.operations,
           (unsigned long long)tally.commits, (unsigned long long)tally.acknowledged,
           (unsigned long long)(tally.kept + tally.lost + tally.torn),
           (unsigned long long)tally.kept, (unsigned long long)tally.lost,
           (unsigned long long)tally.torn);
    return failed;
}
