/* See changes.h. */
#include "page/changes.h"

_Static_assert((CHANGES_KEPT & (CHANGES_KEPT - 1)) == 0, "a number's place is its low bits");

void changes_put(struct changes *changes, uint32_t id)
{
    uint64_t next = atomic_load_explicit(&changes->next, memory_order_relaxed);
    /* A release, so that whoever sees this id also sees how far the ring had come before it. */
    atomic_store_explicit(&changes->ids[next & (CHANGES_KEPT - 1)], id, memory_order_release);
    atomic_store_explicit(&changes->next, next + 1, memory_order_release);
}

uint64_t changes_end(const struct changes *changes)
{
    return atomic_load_explicit(&changes->next, memory_order_acquire);
}

bool changes_read(const struct changes *changes, uint64_t *position, uint32_t *out, size_t most,
                  size_t *count)
{
    uint64_t end = changes_end(changes);
    *count = 0;
    if (end - *position > CHANGES_KEPT) {
        *position = end;
        return false;
    }
    size_t wanted = end - *position < most ? (size_t)(end - *position) : most;
    for (size_t i = 0; i < wanted; i++)
        out[i] = atomic_load_explicit(&changes->ids[(*position + i) & (CHANGES_KEPT - 1)],
                                      memory_order_acquire);
    /* The writer may be one place ahead of what it says. */
    end = changes_end(changes);
    if (end - *position >= CHANGES_KEPT) {
        *position = end;
        return false;
    }
    *position += wanted;
    *count = wanted;
    return true;
}
