/* See watch.h. */
#include "supervisor/watch.h"

void watch_init(struct watch *watch, duration deadline)
{
    *watch = (struct watch){.deadline = deadline};
}

static bool should_move(const struct status_page *page, enum page_process_id process)
{
    uint64_t state = atomic_load_explicit(&page->processes[process].state, memory_order_relaxed);
    return state == PROCESS_STARTING || state == PROCESS_RUNNING || state == PROCESS_DRAINING;
}

static int64_t patience_us(const struct watch *watch, const struct page_beat *beat)
{
    const uint64_t most_us = WATCH_PATIENCE_MAX_SEC * 1000000ULL;
    uint64_t us = atomic_load_explicit(&beat->patience_us, memory_order_relaxed);
    if (us == 0)
        return watch->deadline.us;
    return (int64_t)(us < most_us ? us : most_us);
}

/* When `beat` is overdue; INSTANT_FAR: it is not awaited. A beat of the future was not written by
 * page_beat(): somebody wrote over the page, and must not live on for it. */
static instant due_at(const struct watch *watch, const struct status_page *page, enum beat which,
                      instant now)
{
    const struct page_beat *beat = &page->beats[which];
    uint64_t at_us = atomic_load_explicit(&beat->at_us, memory_order_acquire);
    if (at_us == 0)
        return INSTANT_FAR;
    /* Whoever beat since we read the clock is ahead of it by next to nothing. */
    if (at_us > (uint64_t)(now.us + watch->deadline.us))
        return now;
    instant from = instant_max((instant){(int64_t)at_us}, watch->fresh_from);
    instant due = instant_add(from, duration_us(patience_us(watch, beat)));
    return instant_max(due, watch->starved_until[which]);
}

/* By what was read after it was found overdue, so it may be less; never negative. A time that we
 * slept through ourselves, as in a suspend, is nobody's silence. */
static duration silence(const struct watch *watch, const struct page_beat *beat, instant now)
{
    uint64_t at_us = atomic_load_explicit(&beat->at_us, memory_order_relaxed);
    if (at_us >= (uint64_t)now.us)
        return duration_us(0);
    return instant_diff(now, instant_max((instant){(int64_t)at_us}, watch->fresh_from));
}

static void forgive_own_lateness(struct watch *watch, instant now)
{
    if (instant_is_never(watch->asked_for) ||
        (double)instant_diff(now, watch->asked_for).us <= (double)watch->deadline.us * WATCH_LATE)
        return;
    watch->fresh_from = now;
    watch->lateness++;
}

struct watch_verdict watch_look(struct watch *watch, const struct status_page *page, instant now)
{
    struct watch_verdict verdict = {.overdue = BEAT_COUNT, .due = INSTANT_FAR};
    enum beat first = BEAT_COUNT;
    forgive_own_lateness(watch, now);
    for (int i = 0; i < BEAT_COUNT; i++) {
        if (!should_move(page, beat_process((enum beat)i)))
            continue;
        instant due = due_at(watch, page, (enum beat)i, now);
        if (instant_before(due, verdict.due)) {
            verdict.due = due;
            first = (enum beat)i;
        }
    }
    if (!instant_before(now, verdict.due)) {
        verdict.overdue = first;
        verdict.silent = silence(watch, &page->beats[first], now);
    }
    instant latest = instant_add(now, duration_us(watch->deadline.us / WATCH_LOOKS_PER_DEADLINE));
    verdict.look_at = instant_max(now, instant_min(latest, verdict.due));
    watch->asked_for = verdict.look_at;
    return verdict;
}

bool watch_is_starved(const struct watch *watch, const struct status_page *page,
                      const struct watch_verdict *verdict, const struct thread_cpu *cpu)
{
    const struct page_beat *beat = &page->beats[verdict->overdue];
    int64_t patience = patience_us(watch, beat);
    uint64_t before_us = atomic_load_explicit(&beat->cpu_us, memory_order_relaxed);
    /* Not silent for so long: its beat is of the future, so somebody wrote over the page. */
    if (verdict->silent.us < patience || verdict->silent.us >= WATCH_STARVED_MAX * patience)
        return false;
    return cpu->is_runnable &&
           (double)cpu->used.us - (double)before_us < WATCH_STARVED_SHARE * (double)patience;
}

bool watch_wait_for(struct watch *watch, const struct status_page *page, enum beat beat,
                    instant now)
{
    uint64_t at_us = atomic_load_explicit(&page->beats[beat].at_us, memory_order_relaxed);
    bool is_first = (uint64_t)watch->starved_until[beat].us < at_us;
    watch->starved_until[beat] =
        instant_add(now, duration_us(watch->deadline.us / WATCH_LOOKS_PER_DEADLINE));
    return is_first;
}

void watch_expect(struct status_page *page, enum beat beat, instant now, duration patience)
{
    struct page_beat *expected = &page->beats[beat];
    atomic_store_explicit(&expected->thread, 0, memory_order_relaxed);
    atomic_store_explicit(&expected->patience_us, (uint64_t)patience.us, memory_order_relaxed);
    atomic_store_explicit(&expected->at_us, (uint64_t)now.us, memory_order_release);
}

void watch_forget(struct status_page *page, enum page_process_id process)
{
    for (int i = 0; i < BEAT_COUNT; i++)
        if (beat_process((enum beat)i) == process)
            page_beat_end(page, (enum beat)i);
}
