#include "supervisor/thread_cpu.h"

#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

struct text_case {
    const char *stat, *schedstat;
    bool is_understood, is_runnable;
    int64_t used_us;
};

static const struct text_case text_cases[] = {
    {"71 (moonwatch) R 1 71 71 0 -1", "5000999 12 3\n", true, true, 5000},
    {"71 (moonwatch) S 1 71 71 0 -1", "0 0 0\n", true, false, 0},
    {"71 (a) R (b) T 1", "1000 0 1\n", true, false, 1},
    {"71 (moonwatch) D 1", "18446744073709551615 0 1\n", true, false, 18446744073709551},
    {"71 (moonwatch", "1000 0 1\n", false, false, 0},
    {"71 (moonwatch)", "1000 0 1\n", false, false, 0},
    {"", "1000 0 1\n", false, false, 0},
    {"71 (moonwatch) R 1", "", false, false, 0},
    {"71 (moonwatch) R 1", "many 0 1\n", false, false, 0},
    {"71 (moonwatch) R 1", "1000", false, false, 0},
};

static void test_texts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof text_cases / sizeof text_cases[0]; i++) {
        const struct text_case *it = &text_cases[i];
        struct thread_cpu cpu = {0};
        assert_int_equal(thread_cpu_parse(it->stat, it->schedstat, &cpu), it->is_understood);
        assert_int_equal(cpu.is_runnable, it->is_runnable);
        assert_int_equal(cpu.used.us, it->used_us);
    }
}

static _Atomic pid_t other;
static _Atomic int is_over;

static void *turn(void *context)
{
    atomic_store(&other, (pid_t)syscall(SYS_gettid));
    while (atomic_load(&is_over) == 0)
        continue;
    return context;
}

/* One that turns is runnable whenever it is looked at, and has more from look to look. */
static void test_a_thread_that_turns(void **state)
{
    (void)state;
    pthread_t thread;
    struct thread_cpu before, after = {0};
    assert_int_equal(pthread_create(&thread, NULL, turn, NULL), 0);
    while (atomic_load(&other) == 0)
        continue;
    assert_true(thread_cpu_read(getpid(), atomic_load(&other), &before));
    assert_true(before.is_runnable);
    while (after.used.us <= before.used.us)
        assert_true(thread_cpu_read(getpid(), atomic_load(&other), &after));
    atomic_store(&is_over, 1);
    pthread_join(thread, NULL);
}

static void test_nobody(void **state)
{
    (void)state;
    struct thread_cpu cpu;
    assert_false(thread_cpu_read(getpid(), 0, &cpu));
    assert_false(thread_cpu_read(INT_MAX, INT_MAX, &cpu));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_texts),
        cmocka_unit_test(test_a_thread_that_turns),
        cmocka_unit_test(test_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
