/*
 * What the upstream really allows, learnt from what it refuses. It says nothing on its answers, and
 * counts as it likes: fixed minutes, sliding ones, token buckets with a burst. The limit that a
 * person configured is the ceiling; below it the lane is led by this estimate.
 *
 * At a refusal the requests that were accepted in the 60 s before it are the estimate: exact where
 * minutes slide, too much where a fixed minute has just begun or a bucket had saved up a burst.
 * So who is refused again at once, and
 *
 *     blocked   nothing was accepted in between: the window is full. What is left in the last 60 s
 *               bounds the limit from above, the more closely the longer it lasts
 *     soon      something was: the estimate was too high. What was accepted in the long run, from
 *               one refusal to the next, is what a bucket was filled with
 *
 * is lowered further. All that were under way when a refusal came count as one with it.
 *
 * Afterwards the limit rises again as CUBIC's window does (RFC 9438, section 4.2): from a little
 * below the PLATEAU, where it was refused, ever more slowly up to it, then ever faster beyond it,
 *
 *     per_minute = plateau · (1 + c · phase³),   phase −1 after the refusal, 0 at the plateau,
 *
 * while it is used: what nobody asks for proves nothing. The time from −1 to 0 is as long as it
 * takes to send PROBE_REQUESTS, so that less than one of a hundred is refused where the limit
 * stays; it is shorter while the plateau is not confirmed, and no more than five minutes: what was
 * refused for another reason may have lowered it to next to nothing. A plateau that was passed is
 * left fast. 137 that become 300 are used within five minutes, 1 that becomes 300 within 45.
 *
 * A limit that was lowered holds for what was sent before, too: the last 60 s have to hold less
 * than it before more is sent (limit_room_at()), or full windows would refuse once more.
 */
#ifndef MOONWATCH_CORE_LIMIT_H
#define MOONWATCH_CORE_LIMIT_H

#include "base/time.h"
#include <stdint.h>

#define LIMIT_SLOT_US 100000
#define LIMIT_SLOTS   601 /* a minute, and what is left of the first */

/* The newest refusal, and those that it follows at once. */
struct limit_refusal {
    instant at;        /* when its answer came; INSTANT_NEVER: none yet */
    bool has_passed;   /* something that was sent since was accepted */
    instant first_at;  /* of those without anything accepted between them */
    double accepted;   /* in the 60 s before that one */
    double least;      /* that being blocked may lower the limit to */
    bool was_surprise; /* that was far below the limit */
};

/* From one fresh refusal to the next. */
struct limit_run {
    instant began_at; /* INSTANT_NEVER: at no refusal */
    uint64_t total;   /* accepted until then */
    double plateau;   /* the one it tried; 0: none */
    uint32_t confirmed;
};

struct limit {
    double ceiling;    /* requests a minute: as configured */
    double per_minute; /* in force */
    double plateau;    /* where it was refused last; the ceiling: nowhere */
    double dip;        /* share of the plateau that is missing at phase −1 */
    double phase;
    bool is_learned;
    uint32_t confirmed; /* refusals in a row at about this plateau */
    struct limit_refusal last;
    struct limit_run present, previous;
    duration blocks[2]; /* how long it took until it was answered again, the last two times */
    uint64_t total;     /* accepted, or not refused yet */
    uint32_t in_minute; /* of these, in the slots */
    int64_t newest_slot;
    uint32_t slots[LIMIT_SLOTS]; /* by when they were sent */
};

void limit_init(struct limit *limit, double ceiling, instant now);
/* Another ceiling forgets what was learnt under the old one. */
void limit_set_ceiling(struct limit *limit, double ceiling);
/* What was known `age` ago. It counts in full at first, half after a day, a third after two. */
void limit_recall(struct limit *limit, double per_minute, duration age);

void limit_sent(struct limit *limit, instant now);
void limit_accepted(struct limit *limit, instant sent_at, instant now);

/* Lowers the limit, unless it was under way at the last refusal. */
void limit_refused(struct limit *limit, instant sent_at, instant now);

/* When the last 60 s will hold less than what is allowed; INSTANT_NEVER: they do. */
instant limit_room_at(struct limit *limit, instant now);

/* It was used, all of it, for so long. */
void limit_grow(struct limit *limit, duration used, instant now);

/* What is known of the upstream's limit; NaN: nothing below the ceiling. */
double limit_learned(const struct limit *limit);

#endif
