#include "supervisor/state_dir.h"

#include "base/clock.h"
#include "base/log.h"
#include "folder.h"
#include "page/state_dir.h"
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#define NOW ((instant){1790000000000000})

static struct folder folder;
static struct state_dir dir;
static struct suspects suspects;
static char why[STATE_DIR_WHY_SIZE];

/* What flock() says next instead of trying; 0: it tries. */
static int flock_error;

int __real_flock(int fd, int operation);
int __wrap_flock(int fd, int operation);

int __wrap_flock(int fd, int operation)
{
    if (flock_error == 0)
        return __real_flock(fd, operation);
    errno = flock_error;
    flock_error = errno == EINTR ? 0 : errno;
    return -1;
}

/* What these say next, as flock() does; 0: they do as they should. */
static int fchmod_error, ftruncate_error, close_error;

static int fails(int *error)
{
    errno = *error;
    *error = 0;
    return errno != 0 ? -1 : 0;
}

int __real_fchmod(int fd, mode_t mode);
int __wrap_fchmod(int fd, mode_t mode);

int __wrap_fchmod(int fd, mode_t mode)
{
    return fails(&fchmod_error) != 0 ? -1 : __real_fchmod(fd, mode);
}

int __real_ftruncate64(int fd, off_t length);
int __wrap_ftruncate64(int fd, off_t length);

int __wrap_ftruncate64(int fd, off_t length)
{
    return fails(&ftruncate_error) != 0 ? -1 : __real_ftruncate64(fd, length);
}

/* It closes all the same, as close(2) does. */
int __real_close(int fd);
int __wrap_close(int fd);

int __wrap_close(int fd)
{
    int result = __real_close(fd);
    return fails(&close_error) != 0 ? -1 : result;
}

static int begin(void **state)
{
    (void)state;
    folder_make(&folder);
    flock_error = fchmod_error = ftruncate_error = close_error = 0;
    memset(&suspects, 0, sizeof suspects);
    dir = (struct state_dir){.fd = -1, .incidents_fd = -1, .lock_fd = -1};
    return 0;
}

static int end(void **state)
{
    (void)state;
    state_dir_close(&dir);
    folder_remove(&folder);
    return 0;
}

static void open_it(void)
{
    assert_true(state_dir_open(&dir, folder_path(&folder, "state"), why));
}

static void assert_mode(const char *name, mode_t mode)
{
    struct stat file;
    assert_int_equal(stat(folder_path(&folder, name), &file), 0);
    assert_int_equal(file.st_mode & 07777, mode);
}

static void assert_why(const char *part)
{
    if (strstr(why, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, why);
}

/* ---- where ---- */

static void test_where(void **state)
{
    (void)state;
    static const struct {
        const char *state_dir, *db, *path;
    } rows[] = {
        {"", "sqlite:moonwatch.db", "moonwatch.db-state"},
        {"", "sqlite:/var/lib/moonwatch/m.db", "/var/lib/moonwatch/m.db-state"},
        {"/run/moonwatch", "sqlite:moonwatch.db", "/run/moonwatch"},
        {"", "postgres://example", "./moonwatch-state"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct options options;
        char path[PATH_MAX];
        options_init(&options);
        strcpy(options.state_dir, rows[i].state_dir);
        strcpy(options.db, rows[i].db);
        state_dir_path(&options, path);
        assert_string_equal(path, rows[i].path);
    }
}

/* ---- folders ---- */

static void test_makes_folders(void **state)
{
    (void)state;
    umask(0);
    open_it();
    assert_mode("state", 0700);
    assert_mode("state/incidents", 0700);
    assert_true(dir.fd >= 0 && dir.incidents_fd >= 0);
    assert_int_equal(dir.lock_fd, -1);
    state_dir_close(&dir);
    assert_int_equal(dir.fd, -1);
    open_it(); /* it is there already */
}

static void test_shuts_others_out(void **state)
{
    (void)state;
    assert_int_equal(mkdir(folder_path(&folder, "state"), 0755), 0);
    assert_int_equal(chmod(folder_path(&folder, "state"), 0755), 0);
    open_it();
    assert_mode("state", 0700);
}

/* That of somebody else is taken all the same: who set it up knows. */
static void test_others_who_stay(void **state)
{
    (void)state;
    assert_int_equal(mkdir(folder_path(&folder, "state"), 0700), 0);
    assert_int_equal(chmod(folder_path(&folder, "state"), 0755), 0);
    fchmod_error = EPERM;
    open_it();
    assert_mode("state", 0755);
    assert_mode("state/incidents", 0700);
}

static void test_no_folder(void **state)
{
    (void)state;
    assert_false(state_dir_open(&dir, folder_path(&folder, "missing/state"), why));
    assert_why("missing/state can't be made or opened: No such file");
    folder_write(&folder, "state", "a file");
    assert_false(state_dir_open(&dir, folder_path(&folder, "state"), why));
    assert_why("can't be made or opened: Not a directory");
    assert_int_equal(dir.fd, -1);
}

static void test_no_folder_of_incidents(void **state)
{
    (void)state;
    assert_int_equal(mkdir(folder_path(&folder, "state"), 0700), 0);
    folder_write(&folder, "state/incidents", "a file");
    assert_false(state_dir_open(&dir, folder_path(&folder, "state"), why));
    assert_why("has no room for incidents");
    assert_int_equal(dir.fd, -1);
}

/* ---- the lock ---- */

static bool lock(double patience_s)
{
    return state_dir_lock(&dir, duration_s(patience_s), why);
}

static void assert_lock_names(pid_t pid)
{
    int named = 0;
    uint64_t started_at = 0;
    assert_int_equal(sscanf(folder_read(&folder, "state/lock"), "%d %" SCNu64, &named, &started_at),
                     2);
    assert_int_equal(named, pid);
    assert_true(started_at > 0);
}

static void test_takes_the_lock(void **state)
{
    (void)state;
    open_it();
    assert_true(lock(0));
    assert_mode("state/lock", 0600);
    assert_lock_names(getpid());
    state_dir_close(&dir);
    open_it();
    assert_true(lock(0));
}

static void test_a_second_one(void **state)
{
    (void)state;
    struct state_dir second;
    char expected[64];
    open_it();
    assert_true(lock(0));
    assert_true(state_dir_open(&second, folder_path(&folder, "state"), why));
    assert_false(state_dir_lock(&second, duration_s(STATE_DIR_PATIENCE_SEC), why));
    snprintf(expected, sizeof expected, "already running (process %d)", (int)getpid());
    assert_why(expected);
    assert_int_equal(second.lock_fd, -1);
    state_dir_close(&second);
}

static void tell(int fd)
{
    if (write(fd, "x", 1) != 1)
        _exit(1);
}

static void await(int fd)
{
    char byte;
    assert_int_equal(read(fd, &byte, 1), 1);
}

/* A supervisor with a child that inherited the lock. It ends at once; the child when `leash` is
 * closed, and `linger_ms` later. Not buried: who calls waits for it. */
static pid_t start_and_die(const int leash[2], int voice, int linger_ms)
{
    pid_t pid = fork();
    if (pid != 0)
        return pid;
    struct state_dir own;
    if (!state_dir_open(&own, folder_path(&folder, "state"), why) ||
        !state_dir_lock(&own, duration_s(0), why))
        _exit(1);
    if (fork() == 0) {
        char byte;
        close(leash[1]);
        tell(voice);
        (void)!read(leash[0], &byte, 1);
        usleep((useconds_t)linger_ms * 1000);
    }
    _exit(0);
}

struct orphan {
    pid_t parent;
    int leash;
};

static struct orphan make_orphan(int linger_ms)
{
    int leash[2], voice[2];
    assert_int_equal(pipe(leash) | pipe(voice), 0);
    struct orphan orphan = {.parent = start_and_die(leash, voice[1], linger_ms), .leash = leash[1]};
    await(voice[0]);
    close(leash[0]);
    close(voice[0]);
    close(voice[1]);
    return orphan;
}

static void bury(const struct orphan *orphan)
{
    assert_int_equal(waitpid(orphan->parent, NULL, 0), orphan->parent);
}

static void test_children_of_a_dead_one(void **state)
{
    (void)state;
    char expected[64];
    struct orphan orphan = make_orphan(50);
    bury(&orphan);
    open_it();
    assert_false(lock(0));
    assert_why("already running: processes of a supervisor that died");
    snprintf(expected, sizeof expected, "(process %d)", (int)orphan.parent);
    assert_why(expected);
    close(orphan.leash);
    assert_true(lock(STATE_DIR_PATIENCE_SEC));
    assert_lock_names(getpid());
}

/* Dead, if not buried. */
static void test_a_zombie_is_dead(void **state)
{
    (void)state;
    struct orphan orphan = make_orphan(0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)orphan.parent, &info, WEXITED | WNOWAIT), 0);
    open_it();
    assert_false(lock(0));
    assert_why("of a supervisor that died");
    close(orphan.leash);
    bury(&orphan);
    assert_true(lock(STATE_DIR_PATIENCE_SEC));
}

/* What the file says while an orphan holds the lock; nobody named in it runs. */
static void test_names_of_nobody(void **state)
{
    (void)state;
    char own_id[64];
    snprintf(own_id, sizeof own_id, "%d 1\n", (int)getpid()); /* used again: not who it was */
    const char *const texts[] = {own_id, "",           "garbage", "-1 1",
                                 "0 1",  "99999999 1", "12",      "99999999999 1"};
    struct orphan orphan = make_orphan(0);
    bury(&orphan);
    open_it();
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        folder_write(&folder, "state/lock", texts[i]);
        assert_false(lock(0));
        assert_why("of a supervisor that died");
    }
    close(orphan.leash);
    assert_true(lock(STATE_DIR_PATIENCE_SEC));
}

static void test_killed(void **state)
{
    (void)state;
    int voice[2];
    assert_int_equal(pipe(voice), 0);
    open_it();
    pid_t pid = fork();
    if (pid == 0) {
        if (lock(0))
            tell(voice[1]);
        pause();
    }
    await(voice[0]);
    assert_false(lock(STATE_DIR_PATIENCE_SEC));
    assert_why("already running (process ");
    kill(pid, SIGKILL);
    waitpid(pid, NULL, 0);
    assert_true(lock(0));
    close(voice[0]);
    close(voice[1]);
}

static void test_no_lock_file(void **state)
{
    (void)state;
    open_it();
    assert_int_equal(symlink("elsewhere", folder_path(&folder, "state/lock")), 0);
    assert_false(lock(0));
    assert_why("takes no lock file");
    assert_int_equal(dir.lock_fd, -1);
}

static void test_flock_fails(void **state)
{
    (void)state;
    open_it();
    flock_error = EINTR;
    assert_true(lock(0));
    close(dir.lock_fd);
    flock_error = ENOLCK;
    assert_false(lock(0));
    assert_why("can't be locked: No locks available");
    assert_int_equal(dir.lock_fd, -1);
}

/* ---- a full disk ---- */

static struct rlimit sizes_before;

static void fill_disk(rlim_t bytes)
{
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &sizes_before);
    struct rlimit small = {.rlim_cur = bytes, .rlim_max = sizes_before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
}

static void empty_disk(void)
{
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &sizes_before), 0);
}

static void test_lock_on_a_full_disk(void **state)
{
    (void)state;
    open_it();
    fill_disk(0);
    bool is_locked = lock(0);
    empty_disk();
    assert_true(is_locked);
}

static void test_lock_that_takes_no_name(void **state)
{
    (void)state;
    open_it();
    ftruncate_error = EIO;
    assert_true(lock(0));
    assert_string_equal(folder_read(&folder, "state/lock"), "");
}

/* ---- suspects ---- */

static struct in_hand hand_of(int first, uint32_t count)
{
    struct in_hand in_hand = {.count = count, .lane = 1};
    for (uint32_t i = 0; i < count; i++)
        memset(in_hand.mints[i].bytes, first + (int)i, ADDRESS_BYTES);
    return in_hand;
}

static void suspect_some(int first, uint32_t count)
{
    struct in_hand in_hand = hand_of(first, count);
    suspects_on_death(&suspects, &in_hand, NOW, duration_s(3600));
}

static void assert_comes_back(void)
{
    static struct suspects again;
    memset(&again, 0, sizeof again);
    assert_true(state_dir_load_suspects(&dir, &again));
    assert_memory_equal(&again, &suspects, sizeof again);
}

static void test_suspects_come_back(void **state)
{
    (void)state;
    open_it();
    suspect_some(1, 3);
    suspect_some(1, 1); /* into quarantine */
    assert_true(state_dir_save_suspects(&dir, &suspects));
    assert_mode("state/suspects", 0600);
    assert_comes_back();
}

static void test_as_many_as_there_can_be(void **state)
{
    (void)state;
    open_it();
    for (int i = 0; i < SUSPECTS_MAX; i += 16)
        suspect_some(255 - i - 16, 16);
    for (int i = 0; i < SUSPECTS_MAX; i++) {
        suspects.rows[i].deaths = UINT32_MAX;
        suspects.rows[i].lane = UINT32_MAX;
        suspects.rows[i].since_us = INT64_MIN + 1;
        suspects.rows[i].until_us = INT64_MIN + 1;
        suspects.rows[i].state = SUSPECT_QUARANTINED;
    }
    assert_int_equal(suspects_count(&suspects, SUSPECT_QUARANTINED), SUSPECTS_MAX);
    assert_true(state_dir_save_suspects(&dir, &suspects));
    assert_comes_back();
}

static void test_no_suspects(void **state)
{
    (void)state;
    open_it();
    assert_false(state_dir_load_suspects(&dir, &suspects));
    assert_true(state_dir_save_suspects(&dir, &suspects));
    assert_string_equal(folder_read(&folder, "state/suspects"), "");
    assert_false(state_dir_load_suspects(&dir, &suspects));
}

static void test_damaged_suspects(void **state)
{
    (void)state;
    open_it();
    folder_write(&folder, "state/suspects",
                 "So11111111111111111111111111111111111111112 suspect 1 0 1790000000000000 0\n"
                 "nonsense\n");
    assert_true(state_dir_load_suspects(&dir, &suspects));
    assert_int_equal(suspects_count(&suspects, SUSPECT_WATCHED), 1);
}

static void test_suspects_on_a_full_disk(void **state)
{
    (void)state;
    open_it();
    suspect_some(1, 2);
    assert_true(state_dir_save_suspects(&dir, &suspects));
    suspect_some(3, 30);
    fill_disk(100);
    bool is_saved = state_dir_save_suspects(&dir, &suspects);
    empty_disk();
    assert_false(is_saved);
    memset(&suspects, 0, sizeof suspects);
    assert_true(state_dir_load_suspects(&dir, &suspects)); /* the list before */
    assert_int_equal(suspects_count(&suspects, SUSPECT_WATCHED), 2);
}

/* As on a file system that writes when a file is closed. */
static void test_suspects_that_close_takes_back(void **state)
{
    (void)state;
    open_it();
    suspect_some(1, 2);
    assert_true(state_dir_save_suspects(&dir, &suspects));
    suspect_some(3, 30);
    close_error = EDQUOT;
    assert_false(state_dir_save_suspects(&dir, &suspects));
    memset(&suspects, 0, sizeof suspects);
    assert_true(state_dir_load_suspects(&dir, &suspects));
    assert_int_equal(suspects_count(&suspects, SUSPECT_WATCHED), 2);
}

static void test_suspects_without_a_place(void **state)
{
    (void)state;
    open_it();
    assert_int_equal(mkdir(folder_path(&folder, "state/suspects"), 0700), 0);
    assert_false(state_dir_save_suspects(&dir, &suspects));
    state_dir_close(&dir);
    assert_false(state_dir_save_suspects(&dir, &suspects));
    assert_false(state_dir_load_suspects(&dir, &suspects));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_where),
        TEST(test_makes_folders),
        TEST(test_shuts_others_out),
        TEST(test_others_who_stay),
        TEST(test_no_folder),
        TEST(test_no_folder_of_incidents),
        TEST(test_takes_the_lock),
        TEST(test_a_second_one),
        TEST(test_children_of_a_dead_one),
        TEST(test_a_zombie_is_dead),
        TEST(test_names_of_nobody),
        TEST(test_killed),
        TEST(test_no_lock_file),
        TEST(test_flock_fails),
        TEST(test_lock_on_a_full_disk),
        TEST(test_lock_that_takes_no_name),
        TEST(test_suspects_come_back),
        TEST(test_as_many_as_there_can_be),
        TEST(test_no_suspects),
        TEST(test_damaged_suspects),
        TEST(test_suspects_on_a_full_disk),
        TEST(test_suspects_that_close_takes_back),
        TEST(test_suspects_without_a_place),
    };
    log_setup(LOG_ERROR, LOG_FORMAT_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
