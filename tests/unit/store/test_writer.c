/* The store's thread: what it acknowledges, and what each kind of failure does. */
#include "engine.h"

#include "store/writer_impl.h"

#include <fcntl.h>
#include <glob.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>

static int set_up(void **state)
{
    static struct engine engine;
    struct store_load_report report;
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_LOGFMT);
    engine_init(&engine);
    engine_start(&engine, &report);
    *state = &engine;
    return 0;
}

static int tear_down(void **state)
{
    struct engine *engine = *state;
    if (engine->writer != NULL)
        engine_stop(engine, 5);
    umount2(engine->place.folder, MNT_DETACH); /* where a test mounted something */
    place_finish(&engine->place);
    return 0;
}

static void restart(struct engine *engine, struct store_load_report *report)
{
    if (engine->writer != NULL)
        assert_int_equal(engine_stop(engine, 30), 0);
    engine->acknowledged = engine->times_retrying = engine->times_ok = 0;
    engine_start(engine, report);
}

static void add_and_wait(struct engine *engine, uint32_t count)
{
    uint32_t target = engine->acknowledged + count;
    for (uint32_t i = 0; i < count; i++)
        engine_add(engine);
    WAIT_FOR(engine, engine->acknowledged == target);
}

static int64_t low_score(struct engine *engine, token_id id)
{
    return token_slot(engine->memory.table, id)->state.low_score_us;
}

static void acknowledges_what_is_durable(void **state)
{
    struct engine *engine = *state;
    add_and_wait(engine, 3000); /* more than one transaction */
    assert_int_equal(ask(engine->place.path, "SELECT count(*) FROM token"), 3000);
    writer_put_setting(engine->writer, "min_score", "0.3", 7);
    WAIT_FOR(engine, engine->settings_acknowledged == 1);
    assert_int_equal(engine->newest_tag, 7);
    assert_int_equal(ask(engine->place.path, "SELECT value='0.3' FROM setting"), 1);
    assert_int_equal(engine_stats(engine).state, WRITER_OK);
}

static void acknowledges_alerts_and_forgets_them(void **state)
{
    struct engine *engine = *state;
    writer_put_alert(engine->writer, 11, "first");
    writer_put_alert(engine->writer, 12, "second");
    WAIT_FOR(engine, engine->newest_alert == 12);
    assert_int_equal(ask(engine->place.path, "SELECT count(*) FROM alert"), 2);
    writer_put_alert(engine->writer, 11, NULL);
    writer_put_alert(engine->writer, 12, "second, changed");
    assert_int_equal(engine_stop(engine, 30), 0);
    assert_int_equal(ask(engine->place.path, "SELECT text='second, changed' FROM alert"), 1);
    assert_int_equal(ask(engine->place.path, "SELECT count(*) FROM alert"), 1);
}

static bool ignore_token(void *context, const struct store_token *row)
{
    (void)context, (void)row;
    return true;
}

static void writes_nothing_before_it_may(void **state)
{
    struct engine *engine = *state;
    struct store_load_report report;
    struct writer_callbacks callbacks = {.context = engine,
                                         .on_setting_durable = on_setting_durable};
    add_and_wait(engine, 3);
    assert_int_equal(engine_stop(engine, 30), 0);
    for (int begins = 0; begins < 2; begins++) {
        struct store_loader loader = {.on_token = ignore_token, .on_setting = ignore_setting};
        struct store *store = open_or_fail(engine->place.url);
        assert_int_equal(store_load(store, &loader, &report), OK);
        int error;
        assert_true(table_memory_init(&engine->memory, 64, &error));
        assert_int_equal(uv_loop_init(&engine->loop), 0);
        uv_timer_init(&engine->loop, &engine->tick);
        engine->writer = writer_prepare(store, engine->memory.table, &engine->loop,
                                        &engine->options, &callbacks);
        assert_non_null(engine->writer);
        writer_put_setting(engine->writer, "min_score", "0.3", 7);
        if (begins)
            assert_true(writer_begin(engine->writer));
        assert_int_equal(engine_stop(engine, 30), begins ? 0 : 1);
        assert_int_equal(ask(engine->place.path, "SELECT count(*) FROM setting"), begins);
    }
}

static void newest_state_is_there_after_a_stop(void **state)
{
    struct engine *engine = *state;
    struct store_load_report report;
    add_and_wait(engine, 500);
    for (uint32_t n = 1; n <= 20; n++)
        for (token_id id = 1; id <= 500; id++)
            engine_refresh(engine, id, n);
    restart(engine, &report);
    assert_int_equal(report.tokens, 500);
    assert_int_equal(report.replayed, 0); /* the stop checkpointed */
    for (token_id id = 1; id <= 500; id++)
        assert_int_equal(low_score(engine, id), 20);
}

static void changed_pools_are_found_out(void **state)
{
    struct engine *engine = *state;
    struct pool pools[2] = {{.address = address_of(91)}, {.address = address_of(92)}};
    add_and_wait(engine, 2);
    struct token *draft = token_write_begin(engine->memory.table, 2);
    assert_true(token_draft_set_pools(engine->memory.table, pools, 2));
    draft->flags |= TOKEN_POOLS_CHANGED;
    token_write_end(engine->memory.table, 2);
    engine_refresh(engine, 2, 1);
    WAIT_FOR(engine, ask(engine->place.path, "SELECT count(*) FROM pool WHERE token_id=2") == 2);
    /* Only when they differ: this row would be written over. */
    ask(engine->place.path, "DELETE FROM pool WHERE n=1 RETURNING 1");
    engine_refresh(engine, 2, 2);
    WAIT_FOR(engine, engine_stats(engine).dirty_tokens == 0 &&
                         ask(engine->place.path, "SELECT max(seq) FROM refresh_log") == 2);
    assert_int_equal(ask(engine->place.path, "SELECT count(*) FROM pool"), 1);
}

static void add_snapshots(struct engine *engine, int64_t first, int64_t last)
{
    for (int64_t id = first; id <= last; id++) {
        struct store_snapshot snapshot = {.id = id, .token = 1, .at = {id * 1000}};
        writer_add_snapshot(engine->writer, &snapshot);
    }
}

static void history_is_written_and_deleted(void **state)
{
    struct engine *engine = *state;
    add_snapshots(engine, 1, 12000);
    writer_add_event(engine->writer, &(struct store_event){.kind = "added", .at = {5}});
    WAIT_FOR(engine, engine->newest_snapshot == 12000);
    WAIT_FOR(engine, ask(engine->place.path, "SELECT count(*) FROM event") == 1);
    writer_delete_history(engine->writer, (instant){11000500}, (instant){6}, 7);
    WAIT_FOR(engine, ask(engine->place.path, "SELECT count(*) FROM snapshot") == 1000);
    WAIT_FOR(engine, ask(engine->place.path, "SELECT count(*) FROM event") == 0);
    WAIT_FOR(engine, engine->history_deleted == 7);
}

static void a_pass_brings_rows_up_and_drops_the_log(void **state)
{
    struct engine *engine = *state;
    struct store_load_report report;
    engine->options.store_checkpoint_sec = 1;
    restart(engine, &report);
    add_and_wait(engine, 100);
    for (token_id id = 1; id <= 100; id++)
        engine_refresh(engine, id, 5);
    WAIT_FOR(engine, engine_stats(engine).dirty_tokens == 0);
    WAIT_FOR(engine, engine_stats(engine).checkpoint_began_at.us > 0 &&
                         ask(engine->place.path, "SELECT count(*) FROM refresh_log") == 0);
    assert_int_equal(ask(engine->place.path, "SELECT count(*) FROM token WHERE log_seq > 0"), 100);
}

/* A start that replayed must checkpoint those tokens before it drops the log. */
static void what_was_replayed_is_checkpointed_first(void **state)
{
    struct engine *engine = *state;
    struct store_load_report report;
    struct store_token row;
    engine_stop(engine, 30);
    struct store *store = open_or_fail(engine->place.url);
    for (uint32_t n = 0; n <= 3; n++) {
        assert_int_equal(store_begin(store, STORE_DURABLE), OK);
        for (token_id id = 1; id <= 50; id++) {
            token_make(&row, id, n);
            assert_int_equal(
                n == 0 ? store_put_token(store, &row) : store_append_refresh(store, &row), OK);
        }
        assert_int_equal(store_commit(store), OK);
    }
    store_close(store);
    engine->options.store_checkpoint_sec = 1;
    engine_start(engine, &report);
    assert_int_equal(report.replayed, 50);
    WAIT_FOR(engine, ask(engine->place.path, "SELECT count(*) FROM refresh_log") == 0);
    restart(engine, &report);
    assert_int_equal(report.replayed, 0);
    assert_int_equal(low_score(engine, 33), 3);
}

/* ---- failures ---- */

static sqlite3 *lock_file(struct engine *engine)
{
    sqlite3 *db = NULL;
    assert_int_equal(sqlite3_open(engine->place.path, &db), SQLITE_OK);
    sqlite3_busy_timeout(db, 10000);
    assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    return db;
}

static void a_locked_file_is_waited_for(void **state)
{
    struct engine *engine = *state;
    add_and_wait(engine, 10);
    sqlite3 *db = lock_file(engine);
    engine_add(engine);
    engine_refresh(engine, 3, 33);
    WAIT_FOR(engine, engine->times_retrying > 0);
    assert_non_null(strstr(engine->message, "locked"));
    assert_int_equal(engine->acknowledged, 10);
    sqlite3_close(db);
    WAIT_FOR(engine, engine->acknowledged == 11 && engine->times_ok == 1);
    assert_string_equal(engine_stats(engine).message, "");
}

static void a_deletion_that_fails_is_given_up(void **state)
{
    struct engine *engine = *state;
    add_and_wait(engine, 10);
    sqlite3 *db = lock_file(engine);
    writer_delete_history(engine->writer, (instant){1}, (instant){1}, 3);
    WAIT_FOR(engine, engine->history_deleted == 3);
    assert_true(engine->times_retrying > 0);
    sqlite3_close(db);
    engine_refresh(engine, 3, 33);
    WAIT_FOR(engine, engine->times_ok == 1);
    writer_delete_history(engine->writer, (instant){1}, (instant){1}, 4);
    WAIT_FOR(engine, engine->history_deleted == 4);
}

static void the_queue_has_a_limit_and_counts(void **state)
{
    struct engine *engine = *state;
    struct store_load_report report;
    engine->options.store_queue_limit = 64;
    restart(engine, &report);
    sqlite3 *db = lock_file(engine);
    add_snapshots(engine, 1, 1);
    WAIT_FOR(engine, engine->times_retrying > 0);
    add_snapshots(engine, 2, 3000);
    struct writer_stats stats = engine_stats(engine);
    assert_in_range(stats.queue_depth, 64, 64 + 1024);
    assert_in_range(stats.snapshots_dropped, 1, 3000 - 64);
    sqlite3_close(db);
    WAIT_FOR(engine, engine->newest_snapshot == 3000);
    assert_int_equal(ask(engine->place.path, "SELECT count(*) FROM snapshot"),
                     3000 - (int64_t)engine_stats(engine).snapshots_dropped);
}

static void a_stop_does_not_wait_for_ever(void **state)
{
    struct engine *engine = *state;
    sqlite3 *db = lock_file(engine);
    engine_add(engine);
    engine_add(engine);
    instant began = clock_now();
    assert_int_equal(engine_stop(engine, 0.5), 2);
    assert_true(duration_to_s(instant_diff(clock_now(), began)) < 20);
    sqlite3_close(db);
}

static void assert_recovers_with_all(struct engine *engine, uint32_t count)
{
    struct store_load_report report;
    WAIT_FOR(engine, engine->acknowledged == count);
    WAIT_FOR(engine, engine_stats(engine).state == WRITER_OK);
    assert_int_equal(engine_stop(engine, 30), 0);
    assert_true(is_intact(engine->place.path));
    engine->acknowledged = 0;
    engine_start(engine, &report);
    assert_int_equal(report.tokens, count);
    assert_int_equal(report.rows_refused, 0);
    for (token_id id = 1; id <= count; id++)
        assert_int_equal(low_score(engine, id), id);
}

static void refresh_all(struct engine *engine)
{
    for (token_id id = 1; id <= token_table_count(engine->memory.table); id++)
        engine_refresh(engine, id, id);
}

static void a_file_that_cannot_grow_is_waited_for(void **state)
{
    struct engine *engine = *state;
    struct rlimit before, small;
    add_and_wait(engine, 100);
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = before;
    small.rlim_cur = 200000;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    for (int i = 0; i < 2000; i++)
        engine_add(engine);
    refresh_all(engine);
    WAIT_FOR(engine, engine->times_retrying > 0 && engine_stats(engine).failures > 4);
    assert_non_null(strstr(engine->message, engine->place.path));
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_recovers_with_all(engine, 2100);
}

static void a_full_disk_is_waited_for(void **state)
{
    struct engine *engine = *state;
    struct store_load_report report;
    char filler[128];
    engine_stop(engine, 5);
    if (mount("tmpfs", engine->place.folder, "tmpfs", 0, "size=8m") != 0) {
        print_message("# skipped: no right to mount a small disk\n");
        return;
    }
    engine_start(engine, &report);
    add_and_wait(engine, 100);
    snprintf(filler, sizeof filler, "dd if=/dev/zero of=%s/filler bs=4k count=9999 2>/dev/null",
             engine->place.folder);
    assert_int_not_equal(system(filler), 0); /* until nothing more fits */
    for (int i = 0; i < 1000; i++)
        engine_add(engine);
    refresh_all(engine);
    WAIT_FOR(engine, engine->times_retrying > 0 && engine_stats(engine).failures > 4);
    assert_non_null(strstr(engine->message, "full"));
    assert_non_null(strstr(engine->message, "free some space"));
    snprintf(filler, sizeof filler, "%s/filler", engine->place.folder);
    unlink(filler);
    assert_recovers_with_all(engine, 1100);
}

static int count_files(struct engine *engine, const char *suffix)
{
    char pattern[128];
    glob_t found = {0};
    snprintf(pattern, sizeof pattern, "%s%s", engine->place.path, suffix);
    glob(pattern, 0, NULL, &found);
    int count = (int)found.gl_pathc;
    globfree(&found);
    return count;
}

static void unlink_sibling(struct engine *engine, const char *suffix)
{
    char path[128];
    snprintf(path, sizeof path, "%s%s", engine->place.path, suffix);
    unlink(path);
}

static void put_setting(struct engine *engine)
{
    writer_put_setting(engine->writer, "min_score", "0.3", 1);
    WAIT_FOR(engine, engine->settings_acknowledged == 1);
}

static void assert_setting_is_kept(struct engine *engine)
{
    assert_int_equal(ask(engine->place.path, "SELECT value='0.3' FROM setting"), 1);
}

static void a_deleted_file_is_written_again(void **state)
{
    struct engine *engine = *state;
    put_setting(engine);
    add_and_wait(engine, 3000);
    refresh_all(engine);
    WAIT_FOR(engine, engine_stats(engine).dirty_tokens == 0);
    unlink_sibling(engine, "");
    unlink_sibling(engine, "-wal");
    unlink_sibling(engine, "-shm");
    engine_refresh(engine, engine_add(engine), 3001);
    WAIT_FOR(engine, engine->times_retrying > 0);
    assert_non_null(strstr(engine->message, "deleted"));
    WAIT_FOR(engine, engine->acknowledged == 3001);
    struct table_store note;
    WAIT_FOR(engine, token_table_store(engine->memory.table, &note) && note.is_behind == 0);
    assert_setting_is_kept(engine);
    assert_recovers_with_all(engine, 3001);
}

static void the_table_says_what_is_stored(void **state)
{
    struct engine *engine = *state;
    struct token_table *table = engine->memory.table;
    struct pool pool = {.address = address_of(91)};
    add_and_wait(engine, 2);
    struct token *draft = token_write_begin(table, 2);
    assert_true(token_draft_set_pools(table, &pool, 1));
    draft->flags |= TOKEN_POOLS_CHANGED;
    token_write_end(table, 2);
    assert_false(token_is_stored(table, 2));
    assert_int_equal(token_stored_pools(table, 2), 0);
    engine_refresh(engine, 2, 1);
    writer_add_snapshot(engine->writer, &(struct store_snapshot){.id = 9, .token = 2});
    WAIT_FOR(engine, engine->newest_snapshot == 9 && token_is_stored(table, 2));
    assert_int_not_equal(token_stored_pools(table, 2), 0);
    assert_int_equal(token_stored_snapshot(table, 2, 20), 9);
    assert_int_equal(token_stored_snapshot(table, 1, 20), 0);
    token_write_begin(table, 2);
    token_write_end(table, 2);
    assert_false(token_is_stored(table, 2));
}

static void what_failed_is_not_said_to_be_stored(void **state)
{
    struct engine *engine = *state;
    sqlite3 *db;
    add_and_wait(engine, 1);
    assert_int_equal(sqlite3_open(engine->place.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    engine_refresh(engine, 1, 1);
    WAIT_FOR(engine, engine->times_retrying > 0);
    assert_false(token_is_stored(engine->memory.table, 1));
    sqlite3_close(db);
    WAIT_FOR(engine, token_is_stored(engine->memory.table, 1));
}

static void everything_is_written_anew_when_asked(void **state)
{
    struct engine *engine = *state;
    struct table_store note, now;
    add_and_wait(engine, 5000);
    refresh_all(engine);
    WAIT_FOR(engine, engine_stats(engine).dirty_tokens == 0);
    ask(engine->place.path, "DELETE FROM token WHERE id > 100 RETURNING 1");
    store_identify(engine->writer->store, &note);
    note.is_behind = 1;
    token_table_set_store(engine->memory.table, &note);
    writer_rewrite(engine->writer);
    WAIT_FOR(engine, ask(engine->place.path, "SELECT count(*) FROM token") == 5000);
    WAIT_FOR(engine, token_table_store(engine->memory.table, &now) && now.is_behind == 0);
    assert_int_equal(now.identity, note.identity);
    assert_int_equal(now.generation, note.generation);
    assert_recovers_with_all(engine, 5000);
}

static void a_deleted_wal_loses_nothing(void **state)
{
    struct engine *engine = *state;
    add_and_wait(engine, 200);
    unlink_sibling(engine, "-wal");
    engine_add(engine);
    refresh_all(engine);
    assert_recovers_with_all(engine, 201);
}

static void a_replaced_file_is_kept_aside(void **state)
{
    struct engine *engine = *state;
    char other[128];
    put_setting(engine);
    add_and_wait(engine, 50);
    snprintf(other, sizeof other, "%s.other", engine->place.path);
    FILE *file = fopen(other, "w");
    assert_non_null(file);
    fputs("a backup that somebody put here", file);
    fclose(file);
    assert_int_equal(rename(other, engine->place.path), 0);
    engine_add(engine);
    refresh_all(engine);
    WAIT_FOR(engine, engine->acknowledged == 51);
    assert_int_equal(count_files(engine, ".replaced-*"), 1);
    assert_setting_is_kept(engine);
    assert_recovers_with_all(engine, 51);
}

static void overwrite(const char *path, off_t from, size_t length)
{
    unsigned char garbage[4096];
    memset(garbage, 0xa5, sizeof garbage);
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    for (size_t done = 0; done < length; done += sizeof garbage)
        assert_int_equal(pwrite(fd, garbage, sizeof garbage, from + (off_t)done), sizeof garbage);
    close(fd);
}

static void damage_and_expect_healing(struct engine *engine, off_t from)
{
    put_setting(engine);
    add_and_wait(engine, 3000);
    refresh_all(engine);
    WAIT_FOR(engine, engine_stats(engine).dirty_tokens == 0);
    /* Another's write makes the writer forget the pages it holds. */
    ask(engine->place.path, "INSERT INTO setting VALUES('x','y') RETURNING 1");
    ask(engine->place.path, "PRAGMA wal_checkpoint(TRUNCATE)");
    struct stat status;
    assert_int_equal(stat(engine->place.path, &status), 0);
    overwrite(engine->place.path, from, (size_t)(status.st_size - from));
    engine_refresh(engine, engine_add(engine), 3001);
    WAIT_FOR(engine, engine->times_retrying > 0);
    WAIT_FOR(engine, engine->acknowledged == 3001);
    assert_int_equal(count_files(engine, ".damaged-*[0-9]"), 1);
    WAIT_FOR(engine, engine->new_files == 1);
    assert_setting_is_kept(engine);
    assert_recovers_with_all(engine, 3001);
}

static void a_damaged_header_heals(void **state)
{
    damage_and_expect_healing(*state, 0);
}

static void damaged_pages_heal(void **state)
{
    damage_and_expect_healing(*state, 16384);
}

/* ---- a file that somebody else cut off or wrote over, which is the same file still ---- */

static void cut_off(struct engine *engine, const char *suffix, off_t to)
{
    char path[128];
    snprintf(path, sizeof path, "%s%s", engine->place.path, suffix);
    assert_int_equal(truncate(path, to), 0);
}

/* So that all of the rows are in the file, or else in the -wal. */
enum folded { FOLDED, NOT_FOLDED };

static void fill_with_rows(struct engine *engine, enum folded folded)
{
    put_setting(engine);
    add_and_wait(engine, 3000);
    refresh_all(engine);
    WAIT_FOR(engine, engine_stats(engine).dirty_tokens == 0);
    if (folded == FOLDED)
        assert_int_equal(ask(engine->place.path, "PRAGMA wal_checkpoint(TRUNCATE)"), 0);
}

/* By the very next commit, which is not acknowledged before it is in the new file. One may have
 * been under way when the file was cut off, and fail, too. */
static void expect_a_new_file(struct engine *engine)
{
    engine_refresh(engine, engine_add(engine), 3001);
    WAIT_FOR(engine, engine->acknowledged == 3001);
    assert_in_range(engine_stats(engine).failures, 1, 2);
    assert_int_equal(count_files(engine, ".damaged-*[0-9]"), 1);
    assert_setting_is_kept(engine);
    assert_recovers_with_all(engine, 3001);
}

static void an_emptied_file_heals(void **state)
{
    struct engine *engine = *state;
    fill_with_rows(engine, FOLDED);
    cut_off(engine, "", 0);
    expect_a_new_file(engine);
}

static void an_emptied_file_heals_though_the_wal_is_full(void **state)
{
    struct engine *engine = *state;
    fill_with_rows(engine, NOT_FOLDED);
    cut_off(engine, "", 0);
    expect_a_new_file(engine);
}

static void emptied_files_heal(void **state)
{
    struct engine *engine = *state;
    fill_with_rows(engine, NOT_FOLDED);
    cut_off(engine, "", 0);
    cut_off(engine, "-wal", 0);
    expect_a_new_file(engine);
}

static void a_file_cut_in_half_heals(void **state)
{
    struct engine *engine = *state;
    struct stat status;
    fill_with_rows(engine, FOLDED);
    assert_int_equal(stat(engine->place.path, &status), 0);
    cut_off(engine, "", status.st_size / 2);
    expect_a_new_file(engine);
}

static void copy_over(const char *from, const char *to)
{
    char command[300];
    snprintf(command, sizeof command, "cat '%s' > '%s'", from, to); /* in place, unlike cp -f */
    assert_int_equal(system(command), 0);
}

/* A database all the same, and even one of ours: SQLite would go on with it, and with what it has
 * in its cache of the one before. */
static void an_older_copy_in_its_place_heals(void **state)
{
    struct engine *engine = *state;
    char copy[128];
    add_and_wait(engine, 50);
    assert_int_equal(ask(engine->place.path, "PRAGMA wal_checkpoint(TRUNCATE)"), 0);
    snprintf(copy, sizeof copy, "%s.copy", engine->place.path);
    copy_over(engine->place.path, copy);
    put_setting(engine);
    add_and_wait(engine, 2949);
    refresh_all(engine);
    WAIT_FOR(engine, engine_stats(engine).dirty_tokens == 0);
    assert_int_equal(ask(engine->place.path, "PRAGMA wal_checkpoint(TRUNCATE)"), 0);
    add_and_wait(engine, 1); /* sees the file as it is now */
    engine_refresh(engine, 3000, 3000);
    WAIT_FOR(engine, engine_stats(engine).dirty_tokens == 0);
    copy_over(copy, engine->place.path);
    expect_a_new_file(engine);
}

/* Nothing was to be written any more; what is in the file is to be there all the same. */
static void a_file_emptied_before_the_stop_heals(void **state)
{
    struct engine *engine = *state;
    struct store_load_report report;
    fill_with_rows(engine, FOLDED);
    cut_off(engine, "", 0);
    assert_int_equal(engine_stop(engine, 30), 0);
    engine_start(engine, &report);
    assert_int_equal(report.tokens, 3000);
    assert_setting_is_kept(engine);
}

/* Nothing of this is an accident: the file may shrink, and another may fold the log into it. */
static void a_vacuum_by_somebody_else_is_no_damage(void **state)
{
    struct engine *engine = *state;
    fill_with_rows(engine, NOT_FOLDED);
    ask(engine->place.path, "DELETE FROM refresh_log_a RETURNING 1");
    ask(engine->place.path, "VACUUM");
    assert_int_equal(ask(engine->place.path, "PRAGMA wal_checkpoint(TRUNCATE)"), 0);
    engine_refresh(engine, engine_add(engine), 3001);
    WAIT_FOR(engine, engine->acknowledged == 3001);
    WAIT_FOR(engine, engine_stats(engine).dirty_tokens == 0);
    assert_int_equal(engine_stats(engine).failures, 0);
    assert_int_equal(count_files(engine, ".damaged-*[0-9]"), 0);
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(acknowledges_what_is_durable),
        ROW(acknowledges_alerts_and_forgets_them),
        ROW(writes_nothing_before_it_may),
        ROW(newest_state_is_there_after_a_stop),
        ROW(changed_pools_are_found_out),
        ROW(history_is_written_and_deleted),
        ROW(a_pass_brings_rows_up_and_drops_the_log),
        ROW(what_was_replayed_is_checkpointed_first),
        ROW(a_locked_file_is_waited_for),
        ROW(a_deletion_that_fails_is_given_up),
        ROW(the_queue_has_a_limit_and_counts),
        ROW(a_stop_does_not_wait_for_ever),
        ROW(a_file_that_cannot_grow_is_waited_for),
        ROW(a_full_disk_is_waited_for),
        ROW(a_deleted_file_is_written_again),
        ROW(the_table_says_what_is_stored),
        ROW(what_failed_is_not_said_to_be_stored),
        ROW(everything_is_written_anew_when_asked),
        ROW(a_deleted_wal_loses_nothing),
        ROW(a_replaced_file_is_kept_aside),
        ROW(a_damaged_header_heals),
        ROW(damaged_pages_heal),
        ROW(an_emptied_file_heals),
        ROW(an_emptied_file_heals_though_the_wal_is_full),
        ROW(emptied_files_heal),
        ROW(a_file_cut_in_half_heals),
        ROW(an_older_copy_in_its_place_heals),
        ROW(a_file_emptied_before_the_stop_heals),
        ROW(a_vacuum_by_somebody_else_is_no_damage),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
