/*
 * A lane's budget: a token bucket (Turner, "New directions in communications", IEEE 1986), so that
 * requests go out evenly and no window of a minute sees more than the limit, however the upstream
 * counts. Its rate is what is configured, or what is learnt of the upstream's real limit (limit.h).
 *
 * After a refusal or an unusable answer the budget RESTS: as long as the upstream says, or doubling
 * from one to the next; after a refusal until the last minute leaves room, too. After a rest the
 * bucket holds one request. Under the first success it is as before. An upstream that does not
 * answer at all is the breaker's matter (breaker.h).
 *
 * What we ourselves can do at present may be less than the upstream allows: the CEILING
 * (capacity.c). The lower of the two is in force; nothing is learnt of the upstream from it.
 */
#ifndef MOONWATCH_CORE_BUDGET_H
#define MOONWATCH_CORE_BUDGET_H

#include "base/time.h"
#include "core/limit.h"
#include <stdint.h>

#define BUDGET_BURST_MIN     2.0 /* requests; evens out the loop's own delays */
#define BUDGET_BURST_SECONDS 0.02
#define BUDGET_BURST_FROM    60.0 /* requests a minute; slower ones go one at a time */

/* A page that asks for a day must not silence us for one: a request an hour harms nobody. */
#define BUDGET_ASKED_MOST duration_s(3600)

struct budget {
    struct limit limit; /* the upstream's */
    double upstream;    /* requests a second that it allows */
    double ceiling;     /* ours; INFINITY: none */
    double per_second;  /* in force */
    double burst;
    double gather_s; /* for which it saves up besides */
    double level;    /* requests that may go at once */
    double used;     /* share of what might have gone that went, smoothed */
    instant filled_at;
    instant rest_until;
    instant struck_at; /* all that were under way then failed with the one that failed first */
    instant grown_at;
    uint32_t strikes; /* refusals or failures in a row */
};

struct budget_rest {
    duration asked;       /* by the upstream; ≤ 0: it did not say */
    duration first, most; /* else: doubling from the one to the other */
};

/* `now` may be any time of the past for a full bucket. */
void budget_init(struct budget *budget, double per_minute, instant now);

/* Changes the configured limit and keeps what was saved up; what was learnt under another one is
 * forgotten. */
void budget_set_rate(struct budget *budget, double per_minute, instant now);
/* What was learnt by an engine before, so long ago. */
void budget_recall(struct budget *budget, double per_minute, duration age, instant now);
/* Requests a second that we want to send at most; INFINITY: what the upstream allows. */
void budget_set_ceiling(struct budget *budget, double requests_per_second, instant now);

/* Requests go in turns, so many seconds apart (gather.h); 0: one by one. While a limit is being
 * learnt it is as if this were 0. */
void budget_gather(struct budget *budget, double seconds, instant now);

/* When the next request may go; ≤ now: at once. */
instant budget_ready_at(struct budget *budget, instant now);
void budget_take(struct budget *budget, instant now);
/* Once a second or so: the learnt limit rises while it is used. */
void budget_grow(struct budget *budget, instant now);

/* The upstream refused a request that was sent then: it rests, and learns. */
void budget_refused(struct budget *budget, instant sent_at, const struct budget_rest *rest,
                    instant now);
/* An answer that is of no use: it rests. */
void budget_strike(struct budget *budget, instant sent_at, const struct budget_rest *rest,
                   instant now);
/* A request that was sent then was answered. */
void budget_succeed(struct budget *budget, instant sent_at, instant now);

#endif
