/* See the header. */
#include "core/promise.h"

#include <assert.h>
#include <string.h>

static duration times(duration interval, double factor)
{
    return duration_us((int64_t)((double)interval.us * factor));
}

/* From its end on a term excuses nobody, and whatever was before it neither: older ones make no
 * difference any more. */
static bool has_ended(const struct promise_term *term, instant now)
{
    instant end = instant_add(term->from, times(term->interval, PROMISE_FACTOR_MOST));
    return instant_before(end, now);
}

static void drop(struct promise *promise, unsigned count)
{
    promise->count -= count;
    memmove(&promise->terms[0], &promise->terms[count], promise->count * sizeof promise->terms[0]);
}

static void add(struct promise *promise, struct promise_term term)
{
    unsigned last = promise->count;
    while (last > 0 && !has_ended(&promise->terms[last - 1], term.from))
        last--;
    if (last > 1)
        drop(promise, last - 1);
    if (promise->count == PROMISE_TERMS_MAX)
        drop(promise, 1);
    promise->terms[promise->count++] = term;
}

void promise_init(struct promise *promise, duration interval, instant now)
{
    promise->count = 0;
    add(promise, (struct promise_term){.from = now, .interval = interval, .excuses = true});
}

duration promise_interval(const struct promise *promise)
{
    assert(promise->count > 0);
    return promise->terms[promise->count - 1].interval;
}

void promise_change(struct promise *promise, duration interval, instant now)
{
    if (promise_interval(promise).us != interval.us)
        add(promise, (struct promise_term){.from = now, .interval = interval});
}

void promise_excuse(struct promise *promise, instant now)
{
    promise_init(promise, promise_interval(promise), now);
}

void promise_mix(struct promise *promise, duration other, instant now)
{
    if (other.us > promise_interval(promise).us)
        add(promise, (struct promise_term){
                         .from = now, .interval = promise_interval(promise), .other = other});
}

static instant through(const struct promise_term *term, instant until, instant since, double factor)
{
    instant anew = instant_add(since, times(term->interval, factor));
    if (!instant_before(since, term->from))
        return anew;
    until = instant_max(until, instant_add(since, times(term->other, factor)));
    if (term->excuses)
        until = INSTANT_FAR;
    return instant_max(anew,
                       instant_min(until, instant_add(term->from, times(term->interval, factor))));
}

instant promise_until(const struct promise *promise, instant since, double factor)
{
    instant until = INSTANT_FAR;
    assert(promise->count > 0 && factor >= 1);
    for (unsigned i = 0; i < promise->count; i++)
        until = through(&promise->terms[i], until, since, factor);
    return until;
}
