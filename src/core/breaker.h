/*
 * The circuit breaker of the upstream's host, one for the three lanes: while the host is in trouble
 * nobody asks it but for one probe now and then, and the tokens stay in their lanes at their age.
 *
 *   closed      requests go out; failures in a row are counted
 *   open        nothing is sent until its time is over; twice as long as the time before, with
 *               jitter, up to a ceiling; as long as the host asked for where it did (Retry-After)
 *   half-open   exactly one request, the probe, is under way; nothing else is sent
 *
 * A request's end counts when it was sent since the last one that counted: all that were under way
 * when the trouble began are one failure, and of a half-open breaker only the probe's end counts.
 * What the host refuses (429, 403) is an answer here: limits are per kind of request, and the
 * lanes' budgets rest for them (budget.h). What it answers with something unusable (404, garbage)
 * may be the fault of one request: it takes several of those to weigh as much as no answer at all.
 *
 * (Nygard, "Release It!", 2007, "Circuit Breaker"; Brooker, "Exponential backoff and jitter",
 * 2015.)
 */
#ifndef MOONWATCH_CORE_BREAKER_H
#define MOONWATCH_CORE_BREAKER_H

#include "base/prng.h"
#include "base/time.h"
#include "core/outcome.h"
#include <stdbool.h>
#include <stdint.h>

#define BREAKER_FAILURES_MAX     3 /* in a row: one may be a connection that was closed while idle */
#define BREAKER_DOUBTS_A_FAILURE 4 /* unusable answers that weigh as much as no answer */
#define BREAKER_OPEN_FIRST       duration_ms(250)
/* A host that comes back is noticed within this: after an outage of ten minutes it takes 40 s at
 * best to ask about everybody, and at most a tenth more may pass. One probe in two seconds is no
 * load. */
#define BREAKER_OPEN_MOST duration_s(2)
/* A page that asks for a day must not silence us for one: a probe an hour harms nobody. */
#define BREAKER_ASKED_MOST duration_s(3600)

#define BREAKER_STATE_LIST(X)                                                                      \
    X(BREAKER_CLOSED, "closed")                                                                    \
    X(BREAKER_OPEN, "open")                                                                        \
    X(BREAKER_HALF_OPEN, "half_open")

enum breaker_state {
#define X(code, text) code,
    BREAKER_STATE_LIST(X)
#undef X
        BREAKER_STATE_COUNT
};

/* All its changes of state. X(code, from, to, why) */
#define BREAKER_CHANGE_LIST(X)                                                                     \
    X(BREAKER_TRIPS, BREAKER_CLOSED, BREAKER_OPEN, "failures in a row, or it asks to wait")        \
    X(BREAKER_PROBES, BREAKER_OPEN, BREAKER_HALF_OPEN, "its time is over and a request is sent")   \
    X(BREAKER_MENDS, BREAKER_HALF_OPEN, BREAKER_CLOSED, "the probe was answered")                  \
    X(BREAKER_RELAPSES, BREAKER_HALF_OPEN, BREAKER_OPEN, "the probe failed")

enum breaker_change {
#define X(code, from, to, why) code,
    BREAKER_CHANGE_LIST(X)
#undef X
        BREAKER_CHANGE_COUNT
};

/* What the end of a request says about the host. */
enum breaker_verdict {
    VERDICT_NONE,     /* nothing: we gave it up ourselves */
    VERDICT_WELL,     /* it answers, be it with a refusal */
    VERDICT_DOUBTFUL, /* it answers with something unusable */
    VERDICT_FAILED,   /* it does not answer, or says that it cannot */
};

struct breaker {
    enum breaker_state state;
    uint32_t trouble;   /* weight of the failures in a row, while closed */
    uint32_t openings;  /* without an answer to more than a probe since: doublings */
    uint64_t opens;     /* ever */
    instant open_until; /* while open */
    instant since;      /* requests sent before say nothing new */
    struct prng prng;   /* of the jitter */
};

struct breaker_end {
    enum breaker_verdict verdict;
    instant sent_at;
    duration retry_after; /* 0: none */
};

enum breaker_verdict breaker_verdict(enum feed_outcome outcome);
const char *breaker_state_name(enum breaker_state state);

void breaker_init(struct breaker *breaker, uint64_t seed);

/* When a request may go: INSTANT_NEVER at once, INSTANT_FAR not before the probe has ended. */
instant breaker_ready_at(const struct breaker *breaker);
/* A request goes out; breaker_ready_at() was not after `now`. */
void breaker_on_sent(struct breaker *breaker, instant now);
void breaker_on_end(struct breaker *breaker, const struct breaker_end *end, instant now);

#endif
