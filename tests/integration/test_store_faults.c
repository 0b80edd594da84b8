/*
 * A disk that is full, a database that is locked, damaged, deleted, somebody else's or too new:
 * said clearly in the log and in /ready, worked through in memory, never acknowledged falsely,
 * and over by itself when its cause is.
 */
#include "harness.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#define TOKENS       200
#define POST_S       (0.3 * SLOWNESS) /* who waits longer is not acknowledged */
#define POSTS_MAX    4096
#define DISK_OPTIONS "size=48m"
#define FILL_CHUNK   4096
#define OPTIONS_FAST                                                                               \
    "--store-checkpoint-sec", "2", "--retention-interval-sec", "1", "--hot-interval-sec", "1",     \
        "--cold-interval-sec", "1", "--min-score-change", "0", "--screen-requests-per-minute",     \
        "6000", "--refresh-requests-per-minute", "6000", "--discover-requests-per-minute", "6000"

static const char *const market_options[] = {
    "--tokens", "200",           "--rpm",  "0", "--graduations-per-hour",
    "0",        "--replay-rate", "100000", NULL};
static const char *const fast[] = {OPTIONS_FAST, NULL};

static struct {
    struct process *market, *daemon;
    struct prng prng;
    char acknowledged[POSTS_MAX][MINT_SIZE];
    size_t acknowledged_count;
    char waiting[POSTS_MAX][MINT_SIZE]; /* offered, and not acknowledged */
    size_t waiting_count;
} world;

static void start_both(const char *database)
{
    prng_seed(&world.prng, harness_seed());
    world.acknowledged_count = world.waiting_count = 0;
    world.market = market_start(market_options);
    world.daemon = daemon_start(world.market, database, fast);
    expect_metric(world.daemon, "tokens", NULL, TOKENS);
    expect_metric(world.daemon, "refreshes_total", NULL, TOKENS);
    expect_metric(world.daemon, "store_ok", NULL, 1);
}

/* A token's POST, remembered by what came of it. */
static void offer_token(void)
{
    char mint[MINT_SIZE];
    random_mint(&world.prng, mint);
    int status = post_token(world.daemon, mint, POST_S);
    if (status != 201 && status != 503 && status != 0)
        fail_msg("POST /tokens: status %d", status);
    bool is_acknowledged = status == 201;
    size_t *count = is_acknowledged ? &world.acknowledged_count : &world.waiting_count;
    assert_true(*count < POSTS_MAX);
    memcpy(is_acknowledged ? world.acknowledged[*count] : world.waiting[*count], mint, sizeof mint);
    ++*count;
}

static bool store_failed(void *context)
{
    (void)context;
    offer_token();
    expect_healthy(world.daemon);
    return metric(world.daemon, "store_ok", NULL) == 0;
}

static bool store_works(void *context)
{
    (void)context;
    expect_healthy(world.daemon);
    return metric(world.daemon, "store_ok", NULL) == 1 &&
           http_status(world.daemon->port, "GET", "/ready", NULL) == 200;
}

static void expect_not_ready(const char *cause)
{
    struct answer answer =
        http_call(world.daemon->port, &(struct call){.method = "GET", .path = "/ready"});
    if (answer.status != 503 || strstr(answer.body, "the store takes no writes") == NULL ||
        strstr(answer.body, cause) == NULL)
        fail_msg("/ready: %d: %s", answer.status, answer.body);
    answer_free(&answer);
}

/* The fault is there: said, and worked through. */
static void expect_failing(const char *cause)
{
    expect_soon(store_failed, NULL);
    expect_not_ready(cause);
    expect_said(world.daemon, cause);
    expect_said(world.daemon, "work goes on in memory");
    size_t acknowledged = world.acknowledged_count;
    double refreshes = metric(world.daemon, "refreshes_total", NULL);
    for (int i = 0; i < 3; i++)
        offer_token();
    assert_int_equal(world.acknowledged_count, acknowledged);
    expect_metric(world.daemon, "refreshes_total", NULL, refreshes + TOKENS);
}

/* What was acknowledged is in the database, and what only waited got there, too. */
static void expect_all_after_restart(const char *database)
{
    offer_token();
    process_stop(world.daemon);
    world.daemon =
        daemon_start(NULL, database, (const char *const[]){"--scheduler-enabled", "false", NULL});
    for (size_t i = 0; i < world.acknowledged_count; i++)
        if (!has_token(world.daemon, world.acknowledged[i]))
            fail_msg("acknowledged and lost: %s", world.acknowledged[i]);
    for (size_t i = 0; i < world.waiting_count; i++)
        if (!has_token(world.daemon, world.waiting[i]))
            fail_msg("in memory, and lost: %s", world.waiting[i]);
    assert_true(metric(world.daemon, "tokens", NULL) >= TOKENS);
    process_stop(world.daemon);
    process_stop(world.market);
}

static void expect_recovery(const char *database)
{
    expect_soon(store_works, NULL);
    size_t before = world.acknowledged_count;
    offer_token();
    assert_int_equal(world.acknowledged_count, before + 1);
    expect_all_after_restart(database);
}

/* ---- a full disk ---- */

static void fill_disk(const char *path)
{
    static const char chunk[FILL_CHUNK] = "x";
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    while (write(fd, chunk, sizeof chunk) > 0)
        ;
    assert_int_equal(errno, ENOSPC);
    close(fd);
}

static bool disk_is_too_full(void *context)
{
    fill_disk(context);
    return store_failed(NULL);
}

static void on_full_disk(void)
{
    char filler[PATH_SIZE];
    snprintf(filler, sizeof filler, "%s", sandbox_path("disk/filler"));
    start_both("disk/a.db");
    expect_soon(disk_is_too_full, filler);
    expect_failing("full");
    assert_int_equal(unlink(filler), 0);
    expect_recovery("disk/a.db");
}

static void full_disk(void)
{
    char disk[PATH_SIZE];
    snprintf(disk, sizeof disk, "%s", sandbox_path("disk"));
    assert_int_equal(mkdir(disk, 0700), 0);
    if (mount("tmpfs", disk, "tmpfs", 0, DISK_OPTIONS) != 0) {
        harness_skip("only root may mount a small disk");
        return;
    }
    harness_unmount_later(disk);
    on_full_disk();
}

/* ---- a lock ---- */

static void locked(void)
{
    sqlite3 *other;
    start_both("a.db");
    assert_int_equal(sqlite3_open(sandbox_path("a.db"), &other), SQLITE_OK);
    sqlite3_busy_timeout(other, 5000);
    assert_int_equal(sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
    expect_failing("another program holds it locked");
    assert_int_equal(sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(other);
    expect_recovery("a.db");
}

/* ---- damage ---- */

static void overwrite(const char *path)
{
    static unsigned char noise[FILL_CHUNK];
    struct stat status = {0};
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0 && fstat(fd, &status) == 0);
    for (off_t at = 0; at < status.st_size; at += FILL_CHUNK) {
        for (size_t i = 0; i < sizeof noise; i++)
            noise[i] = (unsigned char)prng_below(&world.prng, 256);
        assert_true(pwrite(fd, noise, sizeof noise, at) == (ssize_t)sizeof noise);
    }
    close(fd);
}

static bool has_file_like(const char *prefix)
{
    char folder[PATH_SIZE];
    bool found = false;
    snprintf(folder, sizeof folder, "%s", sandbox_path(""));
    DIR *list = opendir(folder);
    assert_non_null(list);
    for (struct dirent *entry = readdir(list); entry != NULL; entry = readdir(list))
        found = found || strncmp(entry->d_name, prefix, strlen(prefix)) == 0;
    closedir(list);
    return found;
}

static bool damage_was_left(void *context)
{
    (void)context;
    offer_token();
    expect_healthy(world.daemon);
    return has_file_like("a.db.damaged-");
}

static void damaged(void)
{
    start_both("a.db");
    put_setting(world.daemon, "notarb_min_score", "0.25");
    overwrite(sandbox_path("a.db"));
    overwrite(sandbox_path("a.db-wal"));
    expect_soon(damage_was_left, NULL);
    expect_said(world.daemon, "the database was damaged");
    expect_soon(store_works, NULL);
    expect_setting(world.daemon, "notarb_min_score", "0.25");
    offer_token();
    expect_all_after_restart("a.db");
}

/* ---- deletion ---- */

static bool new_file_is_there(void *context)
{
    (void)context;
    offer_token();
    expect_healthy(world.daemon);
    return access(sandbox_path("a.db"), F_OK) == 0 &&
           process_has_said(world.daemon, "was deleted") && store_works(NULL);
}

static void deleted(void)
{
    start_both("a.db");
    put_setting(world.daemon, "notarb_min_score", "0.25");
    assert_int_equal(unlink(sandbox_path("a.db")), 0);
    unlink(sandbox_path("a.db-wal"));
    unlink(sandbox_path("a.db-shm"));
    expect_soon(new_file_is_there, NULL);
    expect_setting(world.daemon, "notarb_min_score", "0.25");
    expect_all_after_restart("a.db");
    struct process *again =
        daemon_start(NULL, "a.db", (const char *const[]){"--scheduler-enabled", "false", NULL});
    expect_setting(again, "notarb_min_score", "0.25");
    process_stop(again);
}

/* ---- refused at the start ---- */

static void expect_refusal(const char *database, const char *message)
{
    struct process *daemon = daemon_spawn(NULL, database, NULL, NULL);
    assert_true(process_wait(daemon, WAIT_S * SLOWNESS));
    assert_int_equal(process_exit_status(daemon), 1);
    expect_said(daemon, message);
}

/* Told by the lock of the state folder; and with another state folder, by that of the database. */
static void second_daemon(void)
{
    char pid[64];
    struct process *first = daemon_start(NULL, "a.db", NULL);
    snprintf(pid, sizeof pid, "already running (process %d)", (int)first->pid);
    expect_refusal("a.db", pid);
    const char *const extra[] = {"--state-dir", sandbox_path("elsewhere"), NULL};
    struct process *second = daemon_spawn(NULL, "a.db", extra, NULL);
    assert_true(process_wait(second, WAIT_S * SLOWNESS));
    assert_int_equal(process_exit_status(second), 1);
    expect_said(second, "is in use by another moonwatch");
    expect_healthy(first);
    process_stop(first);
}

static void execute(const char *database, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(sandbox_path(database), &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
}

static void newer_version(void)
{
    process_stop(daemon_start(NULL, "a.db", NULL));
    execute("a.db", "PRAGMA user_version=9999");
    expect_refusal("a.db", "was made by a newer version");
}

static void of_another_program(void)
{
    execute("a.db", "CREATE TABLE recipe(id INTEGER PRIMARY KEY); PRAGMA application_id=77");
    expect_refusal("a.db", "is a database of another program");
}

int main(int argc, char *argv[])
{
    static const struct integration_case cases[] = {
        {"a full disk", full_disk},
        {"a locked database", locked},
        {"a damaged database", damaged},
        {"a deleted database", deleted},
        {"a database in use", second_daemon},
        {"a database of a newer version", newer_version},
        {"a database of another program", of_another_program},
    };
    return harness_run(argc, argv, cases, sizeof cases / sizeof cases[0]);
}
