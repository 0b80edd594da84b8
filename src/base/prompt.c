#include "base/prompt.h"

#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* As the kernel has it; the C library has it not, or not always. */
struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime_ns, deadline_ns, period_ns;
};

void prompt_thread(void)
{
    struct attributes attributes;
    if (syscall(SYS_sched_getattr, 0, &attributes, sizeof attributes, 0) != 0)
        return;
    attributes.runtime_ns = PROMPT_SLICE_NS;
    (void)syscall(SYS_sched_setattr, 0, &attributes, 0);
}
