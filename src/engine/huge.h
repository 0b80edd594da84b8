/*
 * The token table in huge pages, once the engine is at work. Tokens are asked for in any order, and
 * with a small page for each 4 KiB a processor has to look most of their places up; the next engine
 * maps huge ones in a hundredth of the time. Done while a table is made, or read, it would make a
 * start half as long again.
 *
 * huge_look(), once a second on the loop, starts a ROUND when there is something to do: a thread
 * that goes through what has come since the last one, a huge page at a time, and ends. Only pages
 * that tokens fill wholly count, so that no memory is used that would not be; and only of a table
 * that is large enough to gain by it. Who needs a page while it is put together waits for that
 * millisecond, and the thread rests for ROUND_REST times as long after each.
 *
 * Its priority is the usual one on purpose: a thread that is given no CPU in the middle of a page
 * would make the loop wait as long.
 *
 * Where the kernel has none to give, nothing happens, and huge_bytes() stays 0; where it has none
 * now, what is left is tried again after HUGE_RETRY.
 */
#ifndef MOONWATCH_ENGINE_HUGE_H
#define MOONWATCH_ENGINE_HUGE_H

#include "base/time.h"
#include "page/table_memory.h"
#include <uv.h>

#define HUGE_TABLE_MIN (32 << 20) /* bytes; below, a processor's own caches reach far enough */
#define HUGE_RETRY     duration_s(60)

typedef enum err huge_collapse(const struct table_memory *memory, size_t offset);

struct huge {
    const struct table_memory *memory;
    huge_collapse *collapse; /* table_memory_collapse(), or a test's */
    uv_thread_t thread;
    bool has_thread;
    bool is_given_up; /* the kernel has none */
    instant not_before;
    struct table_range ranges[TABLE_RANGES]; /* of this round, from what is done on */
    size_t range_count;
    size_t done[TABLE_RANGES]; /* bytes of each region, from its beginning on */
    bool was_refused;
    _Atomic bool is_cancelled;
    _Atomic bool is_over; /* the round is */
    _Atomic uint64_t bytes;
};

/* An engine that never starts may be zeroed instead. */
void huge_init(struct huge *huge, const struct table_memory *memory, huge_collapse *collapse);
void huge_look(struct huge *huge, instant now);
/* What is in huge pages by our doing, or was before and is mapped so by us. */
uint64_t huge_bytes(const struct huge *huge);
/* No further page. */
void huge_cancel(struct huge *huge);
/* Cancels, and waits for the page that is under way. */
void huge_finish(struct huge *huge);

#endif
