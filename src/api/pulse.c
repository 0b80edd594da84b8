/* See pulse.h. */
#include "api/pulse.h"

#include "base/clock.h"

#define BEATS_WORKING 10 /* a deadline */
#define TURNS_WAITING 2

static _Thread_local struct {
    struct status_page *page; /* NULL: this thread has no heartbeat */
    enum beat beat;
    duration period;
    instant next;
} mine;

static void beat(instant now)
{
    page_beat(mine.page, mine.beat, now, duration_us(0));
    mine.next = instant_add(now, mine.period);
}

bool pulse_thread_start(const struct pulse_thread *thread, pthread_t *out)
{
    page_beat(thread->page, thread->beat, clock_now(), duration_us(0));
    if (pthread_create(out, NULL, thread->run, thread->argument) == 0)
        return true;
    page_beat_end(thread->page, thread->beat);
    return false;
}

void pulse_begin(struct status_page *page, enum beat which, const struct options *options)
{
    mine.page = page;
    mine.beat = which;
    mine.period = duration_us(options->heartbeat_deadline_ms * 1000 / BEATS_WORKING);
    beat(clock_now());
}

void pulse(void)
{
    if (mine.page == NULL)
        return;
    instant now = clock_now();
    if (!instant_before(now, mine.next))
        beat(now);
}

void pulse_end(void)
{
    if (mine.page != NULL)
        page_beat_end(mine.page, mine.beat);
    mine.page = NULL;
}

int pulse_turn_ms(const struct options *options)
{
    int64_t turn = options->heartbeat_deadline_ms / TURNS_WAITING;
    return turn <= 1 ? 1 : (int)(turn - clock_now().us / 1000 % turn);
}
