/* See turns.h. */
#include "page/turns.h"

#include <assert.h>
#include <sched.h>

static void copy_words(void *to, const void *from, size_t size)
{
    assert(size % sizeof(uint64_t) == 0);
    uint64_t *target = to;
    const uint64_t *source = from;
    for (size_t i = 0; i < size / sizeof(uint64_t); i++)
        __atomic_store_n(target + i, __atomic_load_n(source + i, __ATOMIC_RELAXED),
                         __ATOMIC_RELAXED);
}

void turns_put(_Atomic uint64_t *turn, void *both, size_t size, const void *from)
{
    uint64_t now = atomic_load_explicit(turn, memory_order_relaxed);
    atomic_thread_fence(memory_order_release); /* the turn before is seen before this one's words */
    copy_words((char *)both + (now + 1) % 2 * size, from, size);
    atomic_store_explicit(turn, now + 1, memory_order_release);
}

bool turns_take(const _Atomic uint64_t *turn, const void *both, size_t size, void *to, int attempts,
                uint64_t *taken)
{
    for (int attempt = 0; attempt < attempts; attempt++) {
        *taken = atomic_load_explicit(turn, memory_order_acquire);
        copy_words(to, (const char *)both + *taken % 2 * size, size);
        atomic_thread_fence(memory_order_acquire);
        if (atomic_load_explicit(turn, memory_order_relaxed) == *taken)
            return true;
        sched_yield();
    }
    return false;
}
