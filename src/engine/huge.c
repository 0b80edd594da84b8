/* See the header. */
#include "engine/huge.h"

#include "base/clock.h"
#include <pthread.h>
#include <string.h>

#define ROUND_REST    9  /* times as long as a page took: a tenth of one CPU */
#define REST_MOST_MS  50 /* as long as a stop may have to wait */
#define REFUSALS_MOST 3  /* in a row: the others would be refused as well */

void huge_init(struct huge *huge, const struct table_memory *memory, huge_collapse *collapse)
{
    memset(huge, 0, sizeof *huge);
    huge->memory = memory;
    huge->collapse = collapse;
}

/* ---- the thread ---- */

static void rest(uint64_t began_ns)
{
    uint64_t ms = (uv_hrtime() - began_ns) * ROUND_REST / 1000000 + 1;
    uv_sleep(ms < REST_MOST_MS ? (unsigned)ms : REST_MOST_MS);
}

static enum err take_page(struct huge *huge, size_t offset)
{
    uint64_t began_ns = uv_hrtime();
    enum err err = huge->collapse(huge->memory, offset);
    if (err == OK)
        atomic_fetch_add(&huge->bytes, TABLE_HUGE_PAGE);
    rest(began_ns);
    return err;
}

/* False: the round ends. What is refused is left out, and what follows it is tried again with it;
 * that costs little where it is huge by then. */
static bool take_range(struct huge *huge, size_t which)
{
    const struct table_range *range = &huge->ranges[which];
    unsigned refusals = 0;
    bool is_whole = true;
    for (size_t at = 0; at < range->length; at += TABLE_HUGE_PAGE) {
        if (atomic_load(&huge->is_cancelled))
            return false;
        enum err err = take_page(huge, range->offset + at);
        refusals = err == OK ? 0 : refusals + 1;
        is_whole = is_whole && err == OK;
        huge->done[which] += is_whole ? TABLE_HUGE_PAGE : 0;
        huge->was_refused = huge->was_refused || err != OK;
        huge->is_given_up = refusals == REFUSALS_MOST && err == ERR_INVALID;
        if (refusals == REFUSALS_MOST)
            return false;
    }
    return true;
}

static void run(void *context)
{
    struct huge *huge = context;
    pthread_setname_np(pthread_self(), "huge pages"); /* as top(1) and perf(1) show it */
    for (size_t i = 0; i < huge->range_count && take_range(huge, i); i++)
        continue;
    atomic_store(&huge->is_over, true);
}

/* ---- the loop's side ---- */

/* Whole pages that are not done. False: there are none. */
static bool plan(struct huge *huge)
{
    size_t left = 0, used = 0, done = 0;
    huge->range_count = token_table_used(huge->memory->table, huge->ranges);
    for (size_t i = 0; i < huge->range_count; i++) {
        struct table_range *range = &huge->ranges[i];
        used += range->length;
        done += huge->done[i];
        range->offset += huge->done[i];
        range->length = range->length / TABLE_HUGE_PAGE * TABLE_HUGE_PAGE - huge->done[i];
        left += range->length;
    }
    atomic_store(&huge->bytes, done);
    return used >= HUGE_TABLE_MIN && left > 0;
}

static void join(struct huge *huge)
{
    if (huge->has_thread)
        uv_thread_join(&huge->thread);
    huge->has_thread = false;
}

void huge_look(struct huge *huge, instant now)
{
    if (huge->has_thread && !atomic_load(&huge->is_over))
        return;
    join(huge);
    if (huge->was_refused)
        huge->not_before = instant_add(now, HUGE_RETRY);
    huge->was_refused = false;
    if (huge->is_given_up || instant_before(now, huge->not_before) || !plan(huge))
        return;
    atomic_store(&huge->is_over, false);
    /* Without a thread it goes on in small pages, and the next second tries again. */
    huge->has_thread = uv_thread_create(&huge->thread, run, huge) == 0;
}

uint64_t huge_bytes(const struct huge *huge)
{
    return atomic_load(&huge->bytes);
}

void huge_cancel(struct huge *huge)
{
    atomic_store(&huge->is_cancelled, true);
}

void huge_finish(struct huge *huge)
{
    huge_cancel(huge);
    join(huge);
}
