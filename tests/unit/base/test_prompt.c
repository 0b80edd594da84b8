/* What the kernel says of a thread that wants to be prompt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prompt.h"
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

/* The first words of struct sched_attr; see sched_setattr(2). */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
};

struct seen {
    struct attributes before, after;
};

static void look(struct attributes *attributes)
{
    assert_int_equal(syscall(SYS_sched_getattr, 0, attributes, sizeof *attributes, 0), 0);
}

static bool has_slices(void)
{
    struct utsname name;
    int major = 0, minor = 0;
    assert_int_equal(uname(&name), 0);
    assert_int_equal(sscanf(name.release, "%d.%d", &major, &minor), 2);
    return major > 6 || (major == 6 && minor >= 12);
}

static void *nice_and_prompt(void *argument)
{
    struct seen *seen = argument;
    (void)setpriority(PRIO_PROCESS, (id_t)syscall(SYS_gettid), 19); /* this thread alone */
    look(&seen->before);
    prompt_thread();
    look(&seen->after);
    return NULL;
}

static void only_the_slice_changes(void **state)
{
    (void)state;
    struct seen seen;
    struct attributes mine, mine_after;
    pthread_t thread;
    look(&mine);
    assert_int_equal(pthread_create(&thread, NULL, nice_and_prompt, &seen), 0);
    pthread_join(thread, NULL);
    look(&mine_after);
    assert_int_equal(seen.before.nice, 19);
    assert_int_equal(seen.after.nice, 19);
    assert_int_equal(seen.after.policy, seen.before.policy);
    if (has_slices() && seen.before.policy == SCHED_OTHER)
        assert_int_equal(seen.after.runtime_ns, PROMPT_SLICE_NS);
    else
        assert_int_equal(seen.after.runtime_ns, seen.before.runtime_ns);
    assert_int_equal(mine_after.runtime_ns, mine.runtime_ns); /* the others' is theirs */
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(only_the_slice_changes)};
    return cmocka_run_group_tests_name("base.prompt", tests, NULL, NULL);
}
