/*
 * Requests that may wait for a moment go together. Each wakes the loop, a feed worker and the
 * store's thread, twice; where a lane sends a few a second, that is most of what they cost. So such
 * a lane sends in TURNS, one `span` apart at least: all that came due meanwhile, and its budget
 * saves up for that.
 *
 * A span is a small part of the shortest target, and tokens that were answered together come due
 * together: after a round of all hardly anybody waits any more. Nobody waits for others when the
 * budget is short, when a request has failed, or when he is a suspect. A turn that requests under
 * way keep from its end goes on when one of them ends.
 */
#ifndef MOONWATCH_CORE_GATHER_H
#define MOONWATCH_CORE_GATHER_H

#include "base/time.h"
#include <stdbool.h>

#define GATHER_SHARE    0.05 /* of the shortest target; what is late by a tenth is not on time */
#define GATHER_REQUESTS 4.0  /* a turn, about; half of the connections kept */
#define GATHER_SPAN_MIN 0.1  /* seconds; who sends more often than that is awake anyway */

struct gather {
    duration span; /* 0: requests go when they may */
    instant next;  /* no turn begins before */
    bool is_open;  /* a turn is under way */
};

/* Seconds, for a lane that sends so many a second at most. */
double gather_span_s(double shortest_target_s, double requests_per_second);

/* When a request may go; ≤ now: at once. */
instant gather_ready_at(const struct gather *gather);
/* A request goes. */
void gather_sent(struct gather *gather, instant now);
/* Nobody is due any more: the turn is over. */
void gather_end(struct gather *gather);
/* It is over, and the next may begin at once. */
void gather_hurry(struct gather *gather);

#endif
