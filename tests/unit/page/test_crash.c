/* Real falls, of real children, whose reports lie in memory that they share with us. */
#include "base/sanitizer.h"
#include "page/crash.h"

#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct crash_report *shared;
static struct crash_report report; /* the newest, taken */

static int begin(void **state)
{
    (void)state;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    memset(&report, 0, sizeof report);
    return shared == MAP_FAILED;
}

static int end(void **state)
{
    (void)state;
    return munmap(shared, sizeof *shared);
}

/* A sanitizer reports falls itself: then nobody falls. cmocka's skip() would be a failure in TAP.
 */
#if WITH_SANITIZER
#define FALL(name) TEST(skipped_##name)
#define FALL_CASE(name)                                                                            \
    static void name(void **state);                                                                \
    static void skipped_##name(void **state)                                                       \
    {                                                                                              \
        (void)state, (void)name;                                                                   \
        print_message("# skipped: a sanitizer reports falls itself\n");                            \
    }
#else
#define FALL(name) TEST(name)
#define FALL_CASE(name)
#endif

/* A child that arms itself and does `fall`; returns its wait status. */
static int run(void (*fall)(void))
{
    int status;
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        crash_arm(shared);
        fall();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    crash_take(shared, &report);
    return status;
}

static void assert_died_of(int status, int number)
{
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), number);
    assert_int_equal(report.is_filled, 1);
    assert_int_equal(report.signal, number);
    assert_true(report.thread > 0);
}

static const char *frame(uint32_t index)
{
    static char text[256];
    size_t length = crash_describe_frame(&report, index, text, sizeof text);
    assert_int_equal(length, strlen(text));
    return text;
}

static void print_frames(void)
{
    for (uint32_t i = 0; i < report.frame_count; i++)
        print_message("# %s\n", frame(i));
}

static bool has_prefix(const char *text, const char *prefix)
{
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

/* Some frame is in `function`; returns which. */
static uint32_t assert_passed(const char *function)
{
    char prefix[64];
    snprintf(prefix, sizeof prefix, "%s+0x", function);
    for (uint32_t i = 0; i < report.frame_count; i++)
        if (has_prefix(frame(i), prefix) && strstr(frame(i), " (moonwatch+0x") != NULL)
            return i;
    print_frames();
    fail_msg("no frame of %s", function);
    return 0;
}

/* ---- falls; none of them inlined, so that each is a frame ---- */

#define FRAME __attribute__((noinline, noipa)) void
#ifdef __clang__
#undef FRAME
#define FRAME __attribute__((noinline, optnone)) void
#endif

FRAME fall_by_segv(void);
FRAME fall_by_abort(void);
FRAME fall_by_bus(void);
FRAME fall_by_fpe(void);
FRAME fall_by_ill(void);
FRAME fall_by_overflow(void);
FRAME fall_by_null_call(void);
FRAME fall_by_wild_call(void);
FRAME fall_in_library(void);
FRAME fall_by_null_stack(void);
FRAME fall_in_thread(void);
FRAME fall_in_deep_thread(void);
FRAME fall_in_both_threads(void);
FRAME fall_without_memory(void);
FRAME fall_by_kill(void);
FRAME stand_still(int voice);

static int *volatile nowhere = (int *)0x10;
static volatile int zero;

FRAME fall_by_segv(void)
{
    *nowhere = 1;
}

FRAME fall_by_abort(void)
{
    abort();
}

/* Behind the end of a file that is mapped. */
FRAME fall_by_bus(void)
{
    FILE *file = tmpfile();
    volatile char *map = mmap(NULL, 4096, PROT_READ, MAP_SHARED, fileno(file), 0);
    zero = map[10];
}

FRAME fall_by_fpe(void)
{
#if defined(__x86_64__)
    zero = 1000 / zero;
#else
    raise(SIGFPE);
#endif
}

FRAME fall_by_ill(void)
{
    __builtin_trap();
}

static volatile int depth_wanted = 100000000;

FRAME recurse(int depth);

FRAME recurse(int depth)
{
    volatile char frame_of_this[1000];
    frame_of_this[0] = (char)depth;
    if (depth < depth_wanted)
        recurse(depth + 1);
    frame_of_this[1] = frame_of_this[0];
}

FRAME fall_by_overflow(void)
{
    recurse(0);
}

static void (*volatile function_nowhere)(void);

FRAME fall_by_null_call(void)
{
    function_nowhere();
    zero = 1;
}

FRAME fall_by_wild_call(void)
{
    function_nowhere = (void (*)(void))(uintptr_t)0x1234567;
    function_nowhere();
    zero = 1;
}

FRAME fall_in_library(void)
{
    zero = (int)strlen((const char *)nowhere);
}

static void *fall_in_this_thread(void *argument)
{
    (void)argument;
    crash_arm_thread();
    fall_by_segv();
    return NULL;
}

FRAME fall_in_thread(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, fall_in_this_thread, NULL);
    pthread_join(thread, NULL);
}

static void *overflow_this_thread(void *argument)
{
    (void)argument;
    crash_arm_thread();
    fall_by_overflow();
    return NULL;
}

FRAME fall_in_deep_thread(void)
{
    pthread_t thread;
    pthread_create(&thread, NULL, overflow_this_thread, NULL);
    pthread_join(thread, NULL);
}

static pthread_barrier_t together;

static void *fall_together(void *argument)
{
    (void)argument;
    crash_arm_thread();
    pthread_barrier_wait(&together);
    fall_by_segv();
    return NULL;
}

FRAME fall_in_both_threads(void)
{
    pthread_t thread;
    pthread_barrier_init(&together, NULL, 2);
    pthread_create(&thread, NULL, fall_together, NULL);
    fall_together(NULL);
}

FRAME fall_without_memory(void)
{
    setrlimit(RLIMIT_AS, &(struct rlimit){0, 0});
    crash_arm_thread();
    fall_by_segv();
}

FRAME fall_by_kill(void)
{
    kill(getpid(), SIGKILL);
}

/* ---- what is reported ---- */

static void test_segv(void **state)
{
    (void)state;
    assert_died_of(run(fall_by_segv), SIGSEGV);
    assert_int_equal(report.fault_address, 0x10);
    assert_int_equal(report.code, SEGV_MAPERR);
    assert_int_equal(assert_passed("fall_by_segv"), 0);
    assert_int_equal(report.frames[0].is_return, 0);
    assert_passed("main");
}

static void test_abort(void **state)
{
    (void)state;
    assert_died_of(run(fall_by_abort), SIGABRT);
    assert_true(assert_passed("fall_by_abort") > 0);
    assert_non_null(strstr(frame(0), "libc.so.6+0x"));
}

static void test_bus(void **state)
{
    (void)state;
    assert_died_of(run(fall_by_bus), SIGBUS);
    assert_passed("fall_by_bus");
}

static void test_fpe(void **state)
{
    (void)state;
    assert_died_of(run(fall_by_fpe), SIGFPE);
    assert_passed("fall_by_fpe");
}

static void test_ill(void **state)
{
    (void)state;
    int status = run(fall_by_ill); /* SIGTRAP on some machines */
    assert_true(WIFSIGNALED(status));
    assert_died_of(status, WTERMSIG(status));
    assert_int_equal(assert_passed("fall_by_ill"), 0);
}

static void test_stack_overflow(void **state)
{
    (void)state;
    assert_died_of(run(fall_by_overflow), SIGSEGV);
    assert_int_equal(report.frame_count, CRASH_FRAMES_MAX);
    assert_passed("recurse");
}

static void test_a_call_to_nowhere(void **state)
{
    (void)state;
    assert_died_of(run(fall_by_null_call), SIGSEGV);
    assert_string_equal(frame(0), "0x0");
    assert_int_equal(assert_passed("fall_by_null_call"), 1);
    assert_died_of(run(fall_by_wild_call), SIGSEGV);
    assert_string_equal(frame(0), "0x1234567");
    assert_int_equal(assert_passed("fall_by_wild_call"), 1);
    assert_passed("main");
}

static void test_in_a_library(void **state)
{
    (void)state;
    assert_died_of(run(fall_in_library), SIGSEGV);
    assert_non_null(strstr(frame(0), "libc.so.6+0x"));
    assert_passed("fall_in_library");
}

static void test_a_second_thread(void **state)
{
    (void)state;
    assert_died_of(run(fall_in_thread), SIGSEGV);
    assert_int_equal(assert_passed("fall_by_segv"), 0);
}

static void test_stack_overflow_of_a_second_thread(void **state)
{
    (void)state;
    assert_died_of(run(fall_in_deep_thread), SIGSEGV);
    assert_passed("recurse");
}

static void test_without_memory(void **state)
{
    (void)state;
    assert_died_of(run(fall_without_memory), SIGSEGV);
    assert_passed("fall_without_memory");
}

/* The first one's report is whole, whatever the other does. */
static void test_two_threads_at_once(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        assert_died_of(run(fall_in_both_threads), SIGSEGV);
        assert_int_equal(assert_passed("fall_by_segv"), 0);
        assert_true(report.frame_count >= 2);
    }
}

/* A stack that is gone: its caller can't be read, and the handler falls in its turn. */
#if defined(__x86_64__)
FRAME fall_by_null_stack(void)
{
    __asm__ volatile("xor %%esp, %%esp\n\txor %%eax, %%eax\n\tjmp *%%rax" ::: "rax", "memory");
}

static void test_a_fall_in_the_handler(void **state)
{
    (void)state;
    assert_died_of(run(fall_by_null_stack), SIGSEGV);
    assert_int_equal(report.frame_count, 1);
    assert_string_equal(frame(0), "0x0");
}
#endif

FRAME stand_still(int voice)
{
    if (write(voice, "x", 1) == 1)
        pause();
    zero = 1;
}

static void test_sent_from_outside(void **state)
{
    (void)state;
    int status, ready[2];
    char byte;
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
        crash_arm(shared);
        stand_still(ready[1]);
        _exit(0);
    }
    assert_int_equal(read(ready[0], &byte, 1), 1);
    kill(pid, SIGABRT); /* "where are you?" */
    assert_int_equal(waitpid(pid, &status, 0), pid);
    crash_take(shared, &report);
    assert_died_of(status, SIGABRT);
    assert_passed("stand_still");
    close(ready[0]);
    close(ready[1]);
}

static void test_no_report(void **state)
{
    (void)state;
    int status = run(fall_by_kill);
    assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
    assert_int_equal(report.is_filled, 0);
    assert_int_equal(report.frame_count, 0);
}

static void test_taken_once(void **state)
{
    (void)state;
    shared->is_filled = 1;
    shared->signal = SIGSEGV;
    shared->frame_count = 3;
    crash_take(shared, &report);
    assert_int_equal(report.is_filled, 1);
    assert_int_equal(report.frame_count, 3);
    crash_take(shared, &report);
    assert_int_equal(report.is_filled, 0);
    assert_int_equal(report.frame_count, 0);
    shared->frame_count = UINT32_MAX; /* of a page written over */
    crash_take(shared, &report);
    assert_int_equal(report.frame_count, CRASH_FRAMES_MAX);
}

/* ---- texts of frames that were not ours ---- */

static void set_frame(uint64_t address, int32_t module, const char *name)
{
    report.frames[0] = (struct crash_frame){.address = address, .module = module};
    if (module >= 0 && module < CRASH_MODULES_MAX)
        snprintf(report.modules[module], CRASH_MODULE_SIZE, "%s", name);
}

static void test_frames_without_names(void **state)
{
    (void)state;
    set_frame(0x7f1234, -1, "");
    assert_string_equal(frame(0), "0x7f1234");
    set_frame(0x7f1234, CRASH_MODULES_MAX, "");
    assert_string_equal(frame(0), "0x7f1234");
    set_frame(0x12, 1, "libnever.so.1");
    assert_string_equal(frame(0), "libnever.so.1+0x12");
    set_frame(UINT64_MAX, 0, "");
    assert_string_equal(frame(0), "moonwatch+0xffffffffffffffff");
    set_frame(0x1, 1, "");
    memset(report.modules[1], 'x', CRASH_MODULE_SIZE); /* no end */
    assert_string_equal(frame(0), "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx+0x1");
}

static void test_a_short_buffer(void **state)
{
    (void)state;
    set_frame(0x7f1234, -1, "");
    for (size_t size = 1; size < 12; size++) {
        char text[12] = "xxxxxxxxxxx";
        size_t length = crash_describe_frame(&report, 0, text, size);
        assert_int_equal(length, size - 1 < 8 ? size - 1 : 8);
        assert_int_equal(strlen(text), length);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

FALL_CASE(test_segv)
FALL_CASE(test_abort)
FALL_CASE(test_bus)
FALL_CASE(test_fpe)
FALL_CASE(test_ill)
FALL_CASE(test_stack_overflow)
FALL_CASE(test_a_call_to_nowhere)
FALL_CASE(test_in_a_library)
FALL_CASE(test_a_second_thread)
FALL_CASE(test_stack_overflow_of_a_second_thread)
FALL_CASE(test_without_memory)
FALL_CASE(test_two_threads_at_once)
FALL_CASE(test_sent_from_outside)
FALL_CASE(test_no_report)
#if defined(__x86_64__)
FALL_CASE(test_a_fall_in_the_handler)
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        FALL(test_segv),
        FALL(test_abort),
        FALL(test_bus),
        FALL(test_fpe),
        FALL(test_ill),
        FALL(test_stack_overflow),
        FALL(test_a_call_to_nowhere),
        FALL(test_in_a_library),
        FALL(test_a_second_thread),
        FALL(test_stack_overflow_of_a_second_thread),
        FALL(test_without_memory),
        FALL(test_two_threads_at_once),
#if defined(__x86_64__)
        FALL(test_a_fall_in_the_handler),
#endif
        FALL(test_sent_from_outside),
        FALL(test_no_report),
        TEST(test_taken_once),
        TEST(test_frames_without_names),
        TEST(test_a_short_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
