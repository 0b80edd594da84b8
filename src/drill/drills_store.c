/* Drills in which the disk, the database or the token table fails. */
#include "core/token_table.h"
#include "drill/drill.h"
#include "drill/expect.h"
#include "drill/look.h"
#include "page/inherited.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOTICE_S   20.0 /* SQLite itself waits a while for a lock */
#define RECOVERY_S 20.0
#define HOLD_MS    2000 /* how long a fault lasts once it is noticed */
#define EMPTY_S    3.0  /* an emptied file is noticed by the next commit */
#define CHUNK      4096

static bool is_store_failing(struct drill *drill)
{
    return look_gauge(drill, GAUGE_STORE_OK) == 0;
}

static bool has_store_failed(struct drill *drill)
{
    return look_moved(drill, COUNTER_STORE_FAILURES) >= 1;
}

/* Said to whoever asks, and worked through in memory; nobody died of it. */
static void endure(struct drill *drill)
{
    if (!look_ready_says(drill, "the store takes no writes"))
        drill_fail(drill, "/ready does not say that the store takes no writes");
    rest_ms(HOLD_MS);
}

static void expect_endured(struct drill *drill)
{
    expect_same_processes(drill);
    expect_no_incident(drill);
    expect_answered(drill, 0);
}

/* ---- disk-full ---- */

#define DISK_OPTIONS "size=24m"

static bool fill(const char *path)
{
    static const char chunk[CHUNK] = "x";
    int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    while (fd >= 0 && write(fd, chunk, sizeof chunk) > 0)
        continue;
    bool is_full = fd >= 0 && errno == ENOSPC;
    if (fd >= 0)
        close(fd);
    return is_full;
}

/* What the daemon gives back is taken again. */
static bool is_disk_too_full(struct drill *drill)
{
    if (!fill(sandbox_path(drill, DRILL_DISK "/filler")))
        drill_fail(drill, "the disk can't be filled: %s", strerror(errno));
    return is_store_failing(drill);
}

static void fill_disk(struct drill *drill)
{
    drill_strike(drill, "the disk is filled");
    drill_await_notice(drill,
                       &(struct drill_wait){is_disk_too_full, NOTICE_S, "the store says so"});
    endure(drill);
    unlink(sandbox_path(drill, DRILL_DISK "/filler"));
}

/* Who may not mount: files may not grow any more, which a writer sees in the same place. */
static void limit_files(struct drill *drill)
{
    pid_t engine = sandbox_pid(drill, PROCESS_ENGINE);
    struct rlimit before, none = {.rlim_cur = 1, .rlim_max = RLIM_INFINITY};
    if (prlimit(engine, RLIMIT_FSIZE, NULL, &before) != 0)
        drill_skip(drill, "neither may we mount a small disk nor limit the engine's files");
    none.rlim_max = before.rlim_max;
    drill_strike(drill, "the engine's files may not grow (no right to mount a small disk)");
    prlimit(engine, RLIMIT_FSIZE, &none, NULL);
    drill_await_notice(drill,
                       &(struct drill_wait){is_store_failing, NOTICE_S, "the store says so"});
    endure(drill);
    prlimit(engine, RLIMIT_FSIZE, &before, NULL);
}

void drill_disk_full(struct drill *drill)
{
    char disk[SANDBOX_PATH], db[SANDBOX_PATH + 32], state[SANDBOX_PATH];
    snprintf(disk, sizeof disk, "%s", sandbox_path(drill, DRILL_DISK));
    snprintf(db, sizeof db, "sqlite:%s/moonwatch.db", disk);
    snprintf(state, sizeof state, "%s", sandbox_path(drill, "state"));
    const char *const options[] = {"--db", db, "--state-dir", state, NULL};
    mkdir(disk, 0700);
    bool is_mounted = mount("tmpfs", disk, "tmpfs", 0, DISK_OPTIONS) == 0;
    drill_set_up(drill, &(struct drill_setup){.options = options});
    if (is_mounted)
        fill_disk(drill);
    else
        limit_files(drill);
    drill_end_fault(drill, "there is room again");
    drill_await_recovery(drill, RECOVERY_S);
    expect_endured(drill);
}

/* ---- database-locked ---- */

void drill_database_locked(struct drill *drill)
{
    sqlite3 *other = NULL;
    drill_set_up(drill, NULL);
    if (sqlite3_open(sandbox_database(drill), &other) != SQLITE_OK)
        drill_fail(drill, "the database can't be opened");
    sqlite3_busy_timeout(other, 5000);
    drill_strike(drill, "another program begins to write, and does not end");
    if (sqlite3_exec(other, "BEGIN EXCLUSIVE", NULL, NULL, NULL) != SQLITE_OK)
        drill_fail(drill, "no lock: %s", sqlite3_errmsg(other));
    drill_await_notice(drill,
                       &(struct drill_wait){is_store_failing, NOTICE_S, "the store says so"});
    endure(drill);
    sqlite3_exec(other, "ROLLBACK", NULL, NULL, NULL);
    sqlite3_close(other);
    drill_end_fault(drill, "the lock is gone");
    drill_await_recovery(drill, RECOVERY_S);
    expect_endured(drill);
}

/* ---- database-corrupt ---- */

static void overwrite(struct drill *drill, const char *suffix)
{
    char path[SANDBOX_PATH + 8];
    static unsigned char noise[CHUNK];
    struct stat status;
    uint32_t state = 1; /* xorshift32: any noise will do, the same each time */
    snprintf(path, sizeof path, "%s%s", sandbox_database(drill), suffix);
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || fstat(fd, &status) != 0)
        drill_fail(drill, "%s can't be overwritten: %s", path, strerror(errno));
    for (off_t at = 0; at < status.st_size; at += CHUNK) {
        for (size_t i = 0; i < sizeof noise; i++) {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            noise[i] = (unsigned char)state;
        }
        (void)!pwrite(fd, noise, sizeof noise, at);
    }
    close(fd);
}

/* Each with its -wal and -shm, which end in that. */
static unsigned count_damaged(const struct drill *drill)
{
    unsigned count = 0;
    DIR *folder = opendir(drill->sandbox.folder);
    struct dirent *entry;
    while (folder != NULL && (entry = readdir(folder)) != NULL)
        count += strstr(entry->d_name, ".damaged-") != NULL &&
                 strstr(entry->d_name, "-wal") == NULL && strstr(entry->d_name, "-shm") == NULL;
    if (folder != NULL)
        closedir(folder);
    return count;
}

static void await_new_file(struct drill *drill, unsigned damaged)
{
    drill_await_recovery(drill, RECOVERY_S);
    if (count_damaged(drill) != damaged)
        drill_fail(drill, "%u damaged files were put aside, not %u", count_damaged(drill), damaged);
    expect_endured(drill);
}

static void ruin_with_noise(struct drill *drill)
{
    drill_strike(drill, "database and log are overwritten with noise");
    overwrite(drill, "");
    overwrite(drill, "-wal");
    drill_await_notice(drill,
                       &(struct drill_wait){has_store_failed, NOTICE_S, "a commit has failed"});
    await_new_file(drill, 1);
}

/* A quarter of a second until the next commit, and a second until the page shows it. */
static void empty_it(struct drill *drill)
{
    drill_strike(drill, "the database is emptied, as by a redirection gone wrong");
    if (truncate(sandbox_database(drill), 0) != 0)
        drill_fail(drill, "it can't be emptied: %s", strerror(errno));
    drill_await(drill, &(struct drill_wait){has_store_failed, EMPTY_S, "a commit has failed"});
    await_new_file(drill, 2);
}

void drill_database_corrupt(struct drill *drill)
{
    drill_set_up(drill, NULL);
    ruin_with_noise(drill);
    struct drill_result first = drill->result;
    empty_it(drill);
    drill->result.noticed_s = first.noticed_s;
    drill->result.recovered_s = first.recovered_s;
    drill_note(drill, "noise, and emptied: written anew from memory; the damaged files are kept");
}

/* ---- token-table-corrupt ---- */

#define SLOTS_DAMAGED 3
#define FIRST_DAMAGED 17
#define DAMAGE_STEP   40
#define DAMAGED_BYTES 16

/* The engine's own descriptor of the table's memory. */
static int open_table(struct drill *drill)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%d/fd/%d", sandbox_pid(drill, PROCESS_ENGINE), FD_TABLE);
    int fd = open(path, O_RDWR | O_CLOEXEC);
    if (fd < 0)
        drill_skip(drill, "the engine's memory can't be opened: %s", strerror(errno));
    return fd;
}

static void flip(void *at)
{
    unsigned char *bytes = at;
    for (size_t i = 0; i < DAMAGED_BYTES; i++)
        bytes[i] ^= 0xa5;
}

static bool is_replaced(struct drill *drill)
{
    return look_moved(drill, COUNTER_EMERGENCY_RESTARTS) >= 1;
}

typedef void damage(struct token_table *table);

static void damage_slots(struct token_table *table)
{
    for (unsigned i = 0; i < SLOTS_DAMAGED; i++)
        flip((void *)(uintptr_t)token_slot(table, FIRST_DAMAGED + i * DAMAGE_STEP));
}

static void damage_header(struct token_table *table)
{
    flip(table);
}

/* Stopped first, so that it does not mend by chance what it is to leave damaged. */
static void die_with_damage(struct drill *drill, damage *do_damage)
{
    struct stat status;
    sandbox_signal(drill, PROCESS_ENGINE, SIGSTOP);
    int fd = open_table(drill);
    void *table = MAP_FAILED;
    if (fstat(fd, &status) == 0)
        table = mmap(NULL, (size_t)status.st_size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (table == MAP_FAILED)
        drill_fail(drill, "the engine's memory can't be mapped: %s", strerror(errno));
    do_damage(table);
    munmap(table, (size_t)status.st_size);
    close(fd);
    sandbox_signal(drill, PROCESS_ENGINE, SIGKILL);
    drill_await(drill, &(struct drill_wait){is_replaced, NOTICE_S, "the death is seen"});
}

static void die_with_slots(struct drill *drill)
{
    drill_strike(drill, "the engine dies, and %d slots of the table are damaged", SLOTS_DAMAGED);
    die_with_damage(drill, damage_slots);
    drill_noticed(drill, "the engine is replaced");
    drill_await_recovery(drill, RECOVERY_S);
    expect_moved(drill, COUNTER_WARM_STARTS, 1);
    expect_incident(drill, &(struct incident_wanted){.process = "engine", .start = "warm"});
    expect_answered(drill, 0);
}

static void die_with_header(struct drill *drill)
{
    drill_strike(drill, "another one dies, and the table's header is damaged");
    die_with_damage(drill, damage_header);
    drill_await_recovery(drill, RECOVERY_S);
    expect_moved(drill, COUNTER_COLD_STARTS, 1);
    expect_incident(drill, &(struct incident_wanted){.process = "engine", .start = "cold"});
    expect_answered(drill, 0);
}

void drill_token_table_corrupt(struct drill *drill)
{
    drill_set_up(drill, NULL);
    die_with_slots(drill);
    struct drill_result first = drill->result;
    /* A second death within a minute is a cold start anyway: so it is another daemon's first. */
    if (sandbox_stop_daemon(drill) != 0)
        drill_fail(drill, "the daemon did not end well");
    sandbox_start_daemon(drill);
    die_with_header(drill);
    drill->result.noticed_s = first.noticed_s;
    drill->result.recovered_s = first.recovered_s;
    drill_note(drill, "slots: warm, mended from the store; header: cold");
}
