#include "supervisor/memory.h"

#include "base/log.h"
#include "folder.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

#define T0      1790000000000000LL
#define CEILING 1000

static struct folder folder;
static struct memory_watch watch;
static struct options options;

static int begin(void **state)
{
    (void)state;
    folder_make(&folder);
    options_init(&options);
    return 0;
}

static int end(void **state)
{
    (void)state;
    folder_remove(&folder);
    return 0;
}

/* Writes a file of the machine that the test runs on, with the folders above it. */
static void put(const char *path, const char *text)
{
    char part[512];
    snprintf(part, sizeof part, "%s", path);
    for (char *slash = strchr(part + 1, '/'); slash != NULL; slash = strchr(slash + 1, '/')) {
        *slash = '\0';
        mkdir(folder_path(&folder, part), 0700);
        *slash = '/';
    }
    folder_write(&folder, path, text);
}

static void look(void)
{
    memory_watch_init_under(&watch, &options, folder.path);
}

/* ---- parsers ---- */

static void test_statm(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_read;
        uint64_t pages;
    } rows[] = {
        {"1000 250 30 5 0 200 0\n", true, 250},
        {"1000 0 0 0 0 0 0\n", true, 0},
        {"1 18446744073709551615", true, UINT64_MAX},
        {"1 18446744073709551616", false, 0},
        {"1000", false, 0},
        {"", false, 0},
        {"1000 x", false, 0},
        {"1000 -5", false, 0},
        {"1000 12kB", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t pages = 0;
        assert_int_equal(memory_parse_statm(rows[i].text, &pages), rows[i].is_read);
        assert_true(!rows[i].is_read || pages == rows[i].pages);
    }
}

static void test_limit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_limited;
        uint64_t bytes;
    } rows[] = {
        {"max\n", false, 0}, {"536870912\n", true, 536870912},
        {"0\n", true, 0},    {"9223372036854771712\n", false, 0},
        {"", false, 0},      {"99999999999999999999999\n", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t bytes = 0;
        assert_int_equal(memory_parse_limit(rows[i].text, &bytes), rows[i].is_limited);
        assert_true(!rows[i].is_limited || bytes == rows[i].bytes);
    }
}

static void test_count(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        bool is_found;
        uint64_t count;
    } rows[] = {
        {"low 0\nhigh 1\nmax 2\noom 3\noom_kill 4\noom_group_kill 5\n", true, 4},
        {"oom_kill_disable 0\nunder_oom 0\noom_kill 7\n", true, 7},
        {"oom_kill 9", true, 9},
        {"oom_kill\n", false, 0},
        {"oom_kill x\n", false, 0},
        {"my_oom_kill 3\n", false, 0},
        {"", false, 0},
        {"\n\n", false, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        uint64_t count = 0;
        assert_int_equal(memory_parse_count(rows[i].text, "oom_kill", &count), rows[i].is_found);
        assert_true(!rows[i].is_found || count == rows[i].count);
    }
}

/* ---- the machine ---- */

static void test_a_limit_of_v2(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/a/b\n");
    put("sys/fs/cgroup/memory.max", "max\n"); /* not there at a real root, and no matter */
    put("sys/fs/cgroup/a/memory.max", "1000000000\n");
    put("sys/fs/cgroup/a/b/memory.max", "max\n");
    look();
    assert_int_equal(watch.ceiling, 900000000);
    put("sys/fs/cgroup/a/b/memory.max", "500000000\n");
    look();
    assert_int_equal(watch.ceiling, 450000000);
    put("sys/fs/cgroup/a/memory.max", "400000000\n");
    look();
    assert_int_equal(watch.ceiling, 360000000);
    options.memory_max_mb = 100;
    look();
    assert_int_equal(watch.ceiling, 100 << 20);
}

static void test_a_limit_of_a_container(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/\n");
    put("sys/fs/cgroup/memory.max", "200000000\n");
    look();
    assert_int_equal(watch.ceiling, 180000000);
}

static void test_a_limit_of_v1(void **state)
{
    (void)state;
    put("proc/self/cgroup", "4:memory:/docker/x\n0::/\n");
    put("sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    put("sys/fs/cgroup/memory/docker/x/memory.limit_in_bytes", "300000000\n");
    put("sys/fs/cgroup/memory/docker/x/memory.oom_control", "under_oom 0\noom_kill 2\n");
    look();
    assert_int_equal(watch.ceiling, 270000000);
    assert_int_equal(watch.kills, 2);
}

static void test_no_limit(void **state)
{
    (void)state;
    look(); /* no /proc at all */
    assert_int_equal(watch.ceiling, 0);
    assert_false(memory_was_killed(&watch));
    put("proc/self/cgroup", "0::/a\n");
    look();
    assert_int_equal(watch.ceiling, 0);
    assert_int_equal(memory_judge(&watch, 1, UINT64_MAX, (instant){T0}), MEMORY_FINE);
}

/* One that can't be opened is none that begins as it does. */
static void test_a_long_cgroup(void **state)
{
    (void)state;
    char text[PATH_MAX + 8] = "0::/";
    memset(text + 4, 'x', PATH_MAX - 2);
    put("proc/self/cgroup", text);
    put("proc/vmstat", "oom_kill 100\n");
    put("sys/fs/cgroup/memory.max", "500000000\n");
    look();
    assert_int_equal(watch.ceiling, 450000000);
    assert_int_equal(watch.kills, 100);
}

/* Paths that go nowhere, deeper than anybody nests. */
static void test_a_deep_cgroup(void **state)
{
    (void)state;
    char text[4096] = "0::";
    for (int i = 0; i < 4000 / 2; i++)
        strcat(text, "/x");
    put("proc/self/cgroup", text);
    look();
    assert_int_equal(watch.ceiling, 0);
}

static void test_kills(void **state)
{
    (void)state;
    put("proc/self/cgroup", "0::/a\n");
    put("proc/vmstat", "oom_kill 100\n");
    put("sys/fs/cgroup/a/memory.events", "oom 0\noom_kill 3\n");
    look();
    assert_false(memory_was_killed(&watch));
    put("proc/vmstat", "oom_kill 101\n"); /* somebody else's */
    assert_false(memory_was_killed(&watch));
    put("sys/fs/cgroup/a/memory.events", "oom 1\noom_kill 4\n");
    assert_true(memory_was_killed(&watch));
    assert_false(memory_was_killed(&watch));
}

static void test_kills_without_cgroups(void **state)
{
    (void)state;
    put("proc/vmstat", "nr_free_pages 12\noom_kill 100\n");
    look();
    assert_false(memory_was_killed(&watch));
    put("proc/vmstat", "nr_free_pages 12\noom_kill 101\n");
    assert_true(memory_was_killed(&watch));
}

static void test_this_machine(void **state)
{
    (void)state;
    uint64_t resident = memory_resident(getpid());
    memory_watch_init(&watch, &options);
    assert_true(resident > 100000);
    assert_true(resident < 1ULL << 40);
    assert_int_equal(memory_resident(0x7ffffffe), 0);
    memory_was_killed(&watch);
}

/* ---- the verdict ---- */

static void test_verdicts(void **state)
{
    (void)state;
    static const struct {
        double at_s;
        pid_t pid;
        uint64_t resident;
        enum memory_verdict verdict;
    } rows[] = {
        {0, 10, CEILING, MEMORY_FINE},
        {1, 10, CEILING + 1, MEMORY_RESTART},
        {2, 10, CEILING + 1, MEMORY_OVER}, /* it drains */
        {5, 11, 500, MEMORY_FINE},
        {600, 11, CEILING + 1, MEMORY_FUTILE},
        {601, 11, CEILING + 1, MEMORY_OVER},
        {700, 12, CEILING + 1, MEMORY_OVER},
        {800, 12, 10, MEMORY_FINE},
        {4199, 12, CEILING + 1, MEMORY_OVER},
        {4200, 12, CEILING + 1, MEMORY_RESTART},
        {4300, 13, 10, MEMORY_FINE},
        {4801, 13, CEILING + 1, MEMORY_RESTART}, /* the last one helped for ten minutes */
        {5401, 13, CEILING + 1, MEMORY_RESTART}, /* it was not restarted: again */
    };
    watch = (struct memory_watch){.ceiling = CEILING};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        instant now = instant_add((instant){T0}, duration_s(rows[i].at_s));
        assert_int_equal(memory_judge(&watch, rows[i].pid, rows[i].resident, now), rows[i].verdict);
    }
}

static void test_what_is_done(void **state)
{
    (void)state;
    instant now = {T0};
    watch = (struct memory_watch){.ceiling = CEILING};
    assert_false(memory_is_over(&watch, 10, CEILING, now));
    assert_true(memory_is_over(&watch, 10, CEILING + 1, now));
    assert_false(memory_is_over(&watch, 10, CEILING + 1, now));
    assert_false(memory_is_over(&watch, 11, CEILING + 1, now));
    assert_true(watch.is_futile);
}

/* Asked for, and there was no process to be had: soon again, and no sign that it does not help. */
static void test_a_restart_that_did_not_begin(void **state)
{
    (void)state;
    instant now = {T0}, later = instant_add(now, duration_s(MEMORY_RETRY_SEC));
    watch = (struct memory_watch){.ceiling = CEILING};
    assert_int_equal(memory_judge(&watch, 10, CEILING + 1, now), MEMORY_RESTART);
    memory_retry(&watch, now);
    assert_int_equal(memory_judge(&watch, 10, CEILING + 1, instant_add(now, duration_s(1))),
                     MEMORY_OVER);
    assert_int_equal(memory_judge(&watch, 10, CEILING + 1, later), MEMORY_RESTART);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_statm),
        TEST(test_limit),
        TEST(test_count),
        TEST(test_a_limit_of_v2),
        TEST(test_a_limit_of_a_container),
        TEST(test_a_limit_of_v1),
        TEST(test_no_limit),
        TEST(test_a_long_cgroup),
        TEST(test_a_deep_cgroup),
        TEST(test_kills),
        TEST(test_kills_without_cgroups),
        TEST(test_this_machine),
        TEST(test_verdicts),
        TEST(test_what_is_done),
        TEST(test_a_restart_that_did_not_begin),
    };
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
