/*
 * A lane's budget: a token bucket (Turner, "New directions in communications", IEEE 1986), so that
 * requests go out evenly and no window of a minute sees more than the limit, however the upstream
 * counts. After a refusal or an unusable answer the budget RESTS: as long as the upstream says, or
 * doubling from one to the next. Under the first success it is as before. An upstream that does not
 * answer at all is the breaker's matter (breaker.h).
 *
 * What we ourselves can do at present may be less than the upstream allows: the CEILING
 * (capacity.c). The lower of the two is in force.
 */
#ifndef MOONWATCH_CORE_BUDGET_H
#define MOONWATCH_CORE_BUDGET_H

#include "base/time.h"
#include <stdint.h>

#define BUDGET_BURST_MIN     2.0 /* requests; evens out the loop's own delays */
#define BUDGET_BURST_SECONDS 0.02
#define BUDGET_BURST_FROM    60.0 /* requests a minute; slower ones go one at a time */

struct budget {
    double per_second; /* in force */
    double limit;      /* the upstream's, requests a second */
    double ceiling;    /* ours; INFINITY: none */
    double burst;
    double level; /* requests that may go at once */
    instant filled_at;
    instant rest_until;
    uint32_t strikes; /* refusals or failures in a row */
};

/* `now` may be any time of the past for a full bucket. */
void budget_init(struct budget *budget, double per_minute, instant now);

/* Changes the rate and keeps what was saved up. */
void budget_set_rate(struct budget *budget, double per_minute, instant now);

/* Requests a second that we want to send at most; INFINITY: what the upstream allows. */
void budget_set_ceiling(struct budget *budget, double requests_per_second, instant now);

/* When the next request may go; ≤ now: at once. */
instant budget_ready_at(struct budget *budget, instant now);
void budget_take(struct budget *budget, instant now);

/* Rests `asked`, or when that is ≤ 0 from `first` doubling to `most`. */
void budget_strike(struct budget *budget, instant now, duration asked, duration first,
                   duration most);
/* Rests at least that long from now, without a strike. */
void budget_rest(struct budget *budget, instant now, duration rest);
void budget_succeed(struct budget *budget);

#endif
