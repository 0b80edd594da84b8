/*
 * A bounded queue of pointers from one thread to one other: a ring whose giver moves one end and
 * whose taker the other, so that neither waits for the other or for a lock. What a pointer leads to
 * is the taker's once it is given; all that the giver wrote there before is seen.
 *
 * It is for owners who bound what is under way themselves: more than fit is their mistake.
 */
#ifndef MOONWATCH_FEED_HANDOFF_H
#define MOONWATCH_FEED_HANDOFF_H

#include "base/err.h"
#include <assert.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>

#define HANDOFF_LINE_BYTES 64 /* either end has a cache line of its own */

struct handoff {
    void **places;
    uint32_t mask;
    char before[HANDOFF_LINE_BYTES];
    _Atomic uint32_t given;
    char between[HANDOFF_LINE_BYTES];
    _Atomic uint32_t taken;
    char after[HANDOFF_LINE_BYTES];
};

/* Room for at least `count` at once. ERR_NO_MEMORY. */
static inline MUST_CHECK enum err handoff_init(struct handoff *handoff, uint32_t count)
{
    uint32_t size = 1;
    while (size < count)
        size *= 2;
    *handoff = (struct handoff){.places = calloc(size, sizeof(void *)), .mask = size - 1};
    return handoff->places != NULL ? OK : ERR_NO_MEMORY;
}

static inline void handoff_finish(struct handoff *handoff)
{
    free(handoff->places);
    handoff->places = NULL;
}

static inline void handoff_give(struct handoff *handoff, void *what)
{
    uint32_t given = atomic_load_explicit(&handoff->given, memory_order_relaxed);
    uint32_t taken = atomic_load_explicit(&handoff->taken, memory_order_acquire);
    assert(given - taken <= handoff->mask);
    handoff->places[given & handoff->mask] = what;
    atomic_store_explicit(&handoff->given, given + 1, memory_order_release);
}

/* NULL: nothing is there. */
static inline void *handoff_take(struct handoff *handoff)
{
    uint32_t taken = atomic_load_explicit(&handoff->taken, memory_order_relaxed);
    if (taken == atomic_load_explicit(&handoff->given, memory_order_acquire))
        return NULL;
    void *what = handoff->places[taken & handoff->mask];
    atomic_store_explicit(&handoff->taken, taken + 1, memory_order_release);
    return what;
}

#endif
