/*
 * What a group's interval promises to one token, through changes of the interval.
 *
 * A token that was refreshed at `since` is to be refreshed again within FACTOR × the interval (2:
 * late, 3: an alert, 1.1: on time). While the interval stands, that is all. When it changes at c,
 * who was on time must not be late at that moment, and who was late must not be excused:
 *
 *     until = max(since + F · new, min(until before, c + F · new))
 *
 * so a shorter interval gives everybody one new interval from the change on, but never more than he
 * had, and a longer one takes effect at once. After a time without fetching (a start, a pause)
 * everybody is EXCUSED: there is no "until before". When tokens come over from a group with another
 * interval, those of this one have what they had there (MIXED).
 *
 * A term is kept while it can still make a difference, and while there is room; who was refreshed
 * before the oldest is excused by it. Pure.
 */
#ifndef MOONWATCH_CORE_PROMISE_H
#define MOONWATCH_CORE_PROMISE_H

#include "base/time.h"
#include <stdbool.h>

/* Changes within three intervals: more than a person makes. Beyond it a delay may be told later. */
#define PROMISE_TERMS_MAX 32
/* What a term promises is kept for factors up to this one; what is asked with a larger one may be
 * told later. */
#define PROMISE_FACTOR_MOST 3.0

struct promise_term {
    instant from;
    duration interval;
    duration other; /* of those who came over then; 0: nobody did */
    bool excuses;
};

struct promise {
    unsigned count;
    struct promise_term terms[PROMISE_TERMS_MAX]; /* oldest first */
};

/* Excuses who was refreshed before. */
void promise_init(struct promise *promise, duration interval, instant now);
/* Nothing, when it is the same. */
void promise_change(struct promise *promise, duration interval, instant now);
void promise_excuse(struct promise *promise, instant now);
void promise_mix(struct promise *promise, duration other, instant now);

duration promise_interval(const struct promise *promise); /* in force */
/* Of who was refreshed at `since`. Never falls as `since` rises. */
instant promise_until(const struct promise *promise, instant since, double factor);

#endif
