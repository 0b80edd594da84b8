/*
 * A machine in a folder: files as the kernel writes them, two looks a second apart. What is not
 * there is unknown, never 0. And the real one: somebody who burns CPU is seen to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/machine.h"
#include <errno.h>
#include <ftw.h>
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define START ((instant){1750000000000000LL})

static char root[] = "/tmp/moonwatch-machine-XXXXXX";
static struct machine machine;
static double readings[MACHINE_READING_COUNT];

/* ---- the folder ---- */

static void put_text(const char *path, const char *text)
{
    char whole[512];
    snprintf(whole, sizeof whole, "%s%s", root, path);
    for (char *slash = whole + sizeof root; (slash = strchr(slash, '/')) != NULL; slash++) {
        *slash = '\0';
        assert_true(mkdir(whole, 0700) == 0 || errno == EEXIST);
        *slash = '/';
    }
    FILE *file = fopen(whole, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *place)
{
    (void)status, (void)kind;
    return place->level > 0 ? remove(path) : 0;
}

static int begin(void **state)
{
    (void)state;
    nftw(root, remove_one, 8, FTW_DEPTH | FTW_PHYS);
    return 0;
}

static void look_at(double second)
{
    machine_look(&machine, NULL, 0, instant_add(START, duration_s(second)), readings);
}

static void assert_reading(enum machine_reading reading, double expected)
{
    if (isnan(expected) != isnan(readings[reading]) ||
        (!isnan(expected) && fabs(readings[reading] - expected) > 1e-9))
        fail_msg("reading %d is %g, not %g", (int)reading, readings[reading], expected);
}

/* ---- cases ---- */

static void test_nothing_is_known(void **state)
{
    (void)state;
    machine_init_under(&machine, root);
    for (int second = 0; second < 3; second++) {
        look_at(second);
        for (int i = 0; i < MACHINE_READING_COUNT; i++)
            if (i != READING_CORES && i != READING_DESCRIPTORS_MAX && i != READING_OWN_CPU)
                assert_reading((enum machine_reading)i, NAN);
        assert_true(readings[READING_CORES] >= 1);
    }
    assert_int_equal(machine.bad_texts, 0); /* what is not there is not bad */
}

static void test_rates_since_the_look_before(void **state)
{
    (void)state;
    put_text("/proc/stat", "cpu 100 0 100 700 100 0 0 0 0 0\n");
    put_text("/proc/thread-self/schedstat", "1 1000000000 9\n");
    put_text("/proc/pressure/cpu", "some avg10=0 avg60=0 avg300=0 total=1000\n");
    machine_init_under(&machine, root);
    look_at(0);
    assert_reading(READING_CPU, NAN); /* not 0: a rate needs two looks */
    assert_reading(READING_WAIT, NAN);
    assert_reading(READING_CPU_PRESSURE, NAN);
    put_text("/proc/stat", "cpu 150 0 110 780 110 0 0 50 0 0\n");
    put_text("/proc/thread-self/schedstat", "2 1500000000 10\n");
    put_text("/proc/pressure/cpu", "some avg10=0 avg60=0 avg300=0 total=501000\n");
    look_at(2);
    assert_reading(READING_CPU, 110.0 / 200); /* 50 user, 10 system and 50 stolen of 200 */
    assert_reading(READING_WAIT, 0.25);
    assert_reading(READING_CPU_PRESSURE, 0.25);
    assert_reading(READING_MEMORY_PRESSURE, NAN);
    look_at(3);                       /* nothing moved */
    assert_reading(READING_CPU, NAN); /* not even the idle time: it says nothing */
    assert_reading(READING_WAIT, 0);
}

static void test_a_counter_that_goes_back(void **state)
{
    (void)state;
    put_text("/proc/stat", "cpu 100 0 100 700 100 0 0 0 0 0\n");
    machine_init_under(&machine, root);
    look_at(0);
    put_text("/proc/stat", "cpu 10 0 10 70 10 0 0 0 0 0\n");
    look_at(1);
    assert_reading(READING_CPU, NAN);
    put_text("/proc/stat", "cpu 20 0 10 80 10 0 0 0 0 0\n");
    look_at(2);
    assert_reading(READING_CPU, 0.5);
}

static void test_a_text_that_makes_no_sense(void **state)
{
    (void)state;
    put_text("/proc/stat", "cpu 100 0 100 700 100 0 0 0 0 0\n");
    machine_init_under(&machine, root);
    look_at(0);
    put_text("/proc/stat", "cpu 1a0\n");
    put_text("/proc/meminfo", "MemTotal: 100 kB\nMemFree: 1 kB\n");
    look_at(1);
    assert_reading(READING_CPU, NAN);
    assert_reading(READING_MEMORY, NAN);
    assert_int_equal(machine.bad_texts, 2);
    put_text("/proc/stat", "cpu 200 0 100 700 100 0 0 0 0 0\n");
    look_at(2);
    assert_reading(READING_CPU, NAN); /* since when? */
    put_text("/proc/stat", "cpu 200 0 100 800 100 0 0 0 0 0\n");
    look_at(3);
    assert_reading(READING_CPU, 0);
}

static void test_a_clock_that_stands_still(void **state)
{
    (void)state;
    put_text("/proc/thread-self/schedstat", "1 10 9\n");
    machine_init_under(&machine, root);
    look_at(1);
    put_text("/proc/thread-self/schedstat", "1 20 9\n");
    look_at(1);
    assert_reading(READING_WAIT, NAN);
}

static void test_memory(void **state)
{
    (void)state;
    put_text("/proc/meminfo", "MemTotal: 1000 kB\nMemFree: 1 kB\nMemAvailable: 250 kB\n");
    machine_init_under(&machine, root);
    look_at(0); /* no rate: known at once */
    assert_reading(READING_MEMORY, 0.75);
    assert_reading(READING_MEMORY_LIMIT, 1000 * 1024);
    assert_reading(READING_CGROUP_MEMORY, NAN);
}

/* v2: the tightest limit is one above us; CPU is limited two levels above. */
static void test_a_limited_cgroup(void **state)
{
    (void)state;
    put_text("/proc/self/cgroup", "0::/top/mid/own\n");
    put_text("/proc/meminfo", "MemTotal: 9999999 kB\nMemAvailable: 250 kB\n");
    put_text("/sys/fs/cgroup/top/mid/own/memory.max", "max\n");
    put_text("/sys/fs/cgroup/top/mid/memory.max", "1000000\n");
    put_text("/sys/fs/cgroup/top/mid/memory.current", "900000\n");
    put_text("/sys/fs/cgroup/top/mid/memory.stat", "anon 5\ninactive_file 400000\n");
    put_text("/sys/fs/cgroup/top/memory.max", "2000000\n");
    put_text("/sys/fs/cgroup/top/mid/own/cpu.max", "max 100000\n");
    put_text("/sys/fs/cgroup/top/cpu.max", "50000 100000\n");
    put_text("/sys/fs/cgroup/top/cpu.stat", "usage_usec 1000000\nuser_usec 1\n");
    put_text("/sys/fs/cgroup/top/mid/own/io.pressure", "some avg10=0 total=0\n");
    machine_init_under(&machine, root);
    look_at(0);
    assert_reading(READING_CGROUP_MEMORY, 0.5);
    assert_reading(READING_MEMORY_LIMIT, 1000000);
    assert_reading(READING_CGROUP_CPU, NAN);
    assert_reading(READING_CORES, 0.5);
    put_text("/sys/fs/cgroup/top/cpu.stat", "usage_usec 1400000\nuser_usec 1\n");
    put_text("/sys/fs/cgroup/top/mid/own/io.pressure", "some avg10=0 total=100000\n");
    look_at(1);
    assert_reading(READING_CGROUP_CPU, 0.8); /* 0.4 of 0.5 CPUs */
    assert_reading(READING_CGROUP_IO_PRESSURE, 0.1);
    assert_int_equal(machine.bad_texts, 0); /* "max" is no bad text */
}

static void test_a_container_without_limits(void **state)
{
    (void)state;
    put_text("/proc/self/cgroup", "0::/\n");
    put_text("/sys/fs/cgroup/memory.max", "max\n");
    put_text("/sys/fs/cgroup/memory.current", "900000\n");
    put_text("/sys/fs/cgroup/cpu.max", "max 100000\n");
    put_text("/sys/fs/cgroup/cpu.stat", "usage_usec 1000000\n");
    put_text("/sys/fs/cgroup/cpu.pressure", "some avg10=0 total=0\n");
    machine_init_under(&machine, root);
    look_at(0);
    put_text("/sys/fs/cgroup/cpu.pressure", "some avg10=0 total=500000\n");
    look_at(1);
    assert_reading(READING_CGROUP_MEMORY, NAN);
    assert_reading(READING_CGROUP_CPU, NAN);
    assert_reading(READING_CGROUP_CPU_PRESSURE, 0.5);
}

static void test_cgroups_of_version_1(void **state)
{
    (void)state;
    put_text("/proc/self/cgroup", "4:memory:/own\n2:cpu:/own\n0::/\n");
    put_text("/sys/fs/cgroup/memory/own/memory.limit_in_bytes", "1000\n");
    put_text("/sys/fs/cgroup/memory/own/memory.usage_in_bytes", "700\n");
    put_text("/sys/fs/cgroup/memory/own/memory.stat", "inactive_file 1\ntotal_inactive_file 100\n");
    put_text("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
    machine_init_under(&machine, root);
    look_at(0);
    look_at(1);
    assert_reading(READING_CGROUP_MEMORY, 0.6);
    assert_reading(READING_CGROUP_CPU, NAN);
}

/* ---- the real machine ---- */

static void burn(double seconds)
{
    struct timespec now;
    do
        clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    while ((double)now.tv_sec + (double)now.tv_nsec / 1e9 < seconds);
}

/* Uses a CPU for 0.3 s of its own time: whatever else happens here, that was ours. */
static void test_a_burner_is_seen(void **state)
{
    (void)state;
    pid_t pid = getpid();
    struct timespec used;
    machine_init(&machine);
    instant before = clock_now();
    machine_look(&machine, &pid, 1, before, readings);
    assert_reading(READING_OWN_CPU, NAN);
    assert_reading(READING_ENGINE_CPU, NAN);
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    burn((double)used.tv_sec + (double)used.tv_nsec / 1e9 + 0.3);
    instant after = clock_now();
    machine_look(&machine, &pid, 1, after, readings);
    double elapsed_s = duration_to_s(instant_diff(after, before));
    assert_true(readings[READING_ENGINE_CPU] * elapsed_s >= 0.29);
    assert_true(readings[READING_OWN_CPU] > 0 && readings[READING_OWN_CPU] <= 1.01);
    assert_true(readings[READING_CPU] > 0 && readings[READING_CPU] <= 1);
    assert_true(readings[READING_MEMORY] > 0 && readings[READING_MEMORY] < 1);
    assert_true(readings[READING_OWN_MEMORY] > 100000);
    assert_true(readings[READING_DESCRIPTORS] >= 3);
    assert_true(readings[READING_DESCRIPTORS] < readings[READING_DESCRIPTORS_MAX]);
}

/* One that was started since the last look has used what it has used since then. */
static void test_processes_come_and_go(void **state)
{
    (void)state;
    pid_t pids[2] = {getpid(), 0};
    machine_init(&machine);
    instant before = clock_now();
    machine_look(&machine, pids, 2, before, readings);
    pids[1] = fork();
    if (pids[1] == 0) {
        burn(0.2);
        pause();
    }
    struct timespec used = {0, 0};
    clockid_t clock;
    while (used.tv_sec == 0 && used.tv_nsec < 200000000) {
        assert_int_equal(clock_getcpuclockid(pids[1], &clock), 0);
        clock_gettime(clock, &used);
        sched_yield();
    }
    instant after = clock_now();
    machine_look(&machine, pids, 2, after, readings);
    double own_s = readings[READING_OWN_CPU] * readings[READING_CORES] *
                   duration_to_s(instant_diff(after, before));
    double engine_s = readings[READING_ENGINE_CPU] * duration_to_s(instant_diff(after, before));
    assert_true(own_s - engine_s >= 0.199);
    kill(pids[1], SIGKILL);
    waitpid(pids[1], NULL, 0);
    machine_look(&machine, pids, 2, instant_add(after, duration_s(1)), readings);
    assert_true(readings[READING_OWN_CPU] >= 0);
}

static int make_folder(void **state)
{
    (void)state;
    return mkdtemp(root) == NULL;
}

static int remove_folder(void **state)
{
    begin(state);
    return rmdir(root);
}

#define TEST(name) cmocka_unit_test_setup(name, begin)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_nothing_is_known),          TEST(test_rates_since_the_look_before),
        TEST(test_a_counter_that_goes_back),  TEST(test_a_text_that_makes_no_sense),
        TEST(test_a_clock_that_stands_still), TEST(test_memory),
        TEST(test_a_limited_cgroup),          TEST(test_a_container_without_limits),
        TEST(test_cgroups_of_version_1),      TEST(test_a_burner_is_seen),
        TEST(test_processes_come_and_go),
    };
    return cmocka_run_group_tests_name("base.machine", tests, make_folder, remove_folder);
}
