/* The circuit breaker. See the header. */
#include "core/breaker.h"

#include "base/mark.h"
#include <assert.h>
#include <math.h>

#define TRIPS_AT      (BREAKER_FAILURES_MAX * BREAKER_DOUBTS_A_FAILURE)
#define DOUBLINGS_MAX 16 /* beyond any ceiling */

static const struct {
    enum breaker_state from, to;
} rows[BREAKER_CHANGE_COUNT] = {
#define X(code, from, to, why) [code] = {from, to},
    BREAKER_CHANGE_LIST(X)
#undef X
};

enum breaker_verdict breaker_verdict(enum feed_outcome outcome)
{
    switch (outcome) {
    case FEED_OK:
    case FEED_EMPTY:
    case FEED_RATE_LIMITED:
    case FEED_FORBIDDEN:
        return VERDICT_WELL;
    case FEED_NOT_FOUND:
    case FEED_CLIENT_ERROR:
    case FEED_NOT_JSON:
    case FEED_MALFORMED:
    case FEED_WRONG_SHAPE:
    case FEED_TOO_LARGE:
    case FEED_BAD_ENCODING:
        return VERDICT_DOUBTFUL;
    case FEED_SERVER_ERROR:
    case FEED_BAD_STATUS:
    case FEED_UNREACHABLE:
    case FEED_TLS:
    case FEED_CONNECT_TIMEOUT:
    case FEED_FIRST_BYTE_TIMEOUT:
    case FEED_TIMEOUT:
    case FEED_RESET:
        return VERDICT_FAILED;
    case FEED_CANCELLED:
    case FEED_OUTCOME_COUNT:
        break;
    }
    return VERDICT_NONE;
}

void breaker_init(struct breaker *breaker, uint64_t seed)
{
    *breaker = (struct breaker){.state = BREAKER_CLOSED, .open_until = INSTANT_NEVER};
    prng_seed(&breaker->prng, seed);
}

/* The one place where its state changes. */
static void change(struct breaker *breaker, enum breaker_change change, instant now)
{
    assert(breaker->state == rows[change].from);
    breaker->state = rows[change].to;
    breaker->since = now;
    breaker->trouble = 0;
    breaker->open_until = INSTANT_NEVER;
}

/* Half of the wait is drawn, so that many who saw one outage do not come back as one. */
static duration draw_wait(struct breaker *breaker)
{
    double doubled = (double)BREAKER_OPEN_FIRST.us * exp2(breaker->openings);
    MARK_IF(BREAKER_LONGEST, doubled >= (double)BREAKER_OPEN_MOST.us);
    double wait_us = fmin(doubled, (double)BREAKER_OPEN_MOST.us);
    return duration_us((int64_t)(wait_us * (1 + prng_unit(&breaker->prng)) / 2));
}

static duration asked_wait(const struct breaker_end *end)
{
    MARK_IF(BREAKER_ASKED_TOO_LONG, end->retry_after.us >= BREAKER_ASKED_MOST.us);
    return end->retry_after.us < BREAKER_ASKED_MOST.us ? end->retry_after : BREAKER_ASKED_MOST;
}

static void open_for(struct breaker *breaker, const struct breaker_end *end, instant now)
{
    duration asked = asked_wait(end), drawn = draw_wait(breaker);
    breaker->open_until = instant_add(now, asked.us > drawn.us ? asked : drawn);
    breaker->opens++;
    if (breaker->openings < DOUBLINGS_MAX)
        breaker->openings++;
}

static void on_end_closed(struct breaker *breaker, const struct breaker_end *end, instant now)
{
    if (end->verdict == VERDICT_WELL)
        breaker->trouble = breaker->openings = 0;
    if (end->verdict < VERDICT_DOUBTFUL || end->sent_at.us < breaker->since.us)
        return;
    breaker->since = now;
    breaker->trouble += end->verdict == VERDICT_FAILED ? BREAKER_DOUBTS_A_FAILURE : 1;
    bool is_asked = end->verdict == VERDICT_FAILED && end->retry_after.us > 0;
    if (breaker->trouble < TRIPS_AT && !is_asked)
        return;
    MARK(BREAKER_TRIPPED);
    MARK_IF(BREAKER_ASKED, is_asked);
    change(breaker, BREAKER_TRIPS, now);
    open_for(breaker, end, now);
}

/* Those that were under way may still ask for longer. */
static void on_end_open(struct breaker *breaker, const struct breaker_end *end, instant now)
{
    MARK_IF(BREAKER_PROLONGED, end->verdict == VERDICT_FAILED);
    if (end->verdict == VERDICT_FAILED)
        breaker->open_until = instant_max(breaker->open_until, instant_add(now, asked_wait(end)));
}

static void on_end_half_open(struct breaker *breaker, const struct breaker_end *end, instant now)
{
    if (end->sent_at.us < breaker->since.us) {
        MARK(BREAKER_OLD_ANSWER);
        return;
    }
    if (end->verdict == VERDICT_WELL || end->verdict == VERDICT_DOUBTFUL) {
        MARK(BREAKER_MENDED);
        change(breaker, BREAKER_MENDS, now);
        return;
    }
    MARK(BREAKER_RELAPSED);
    change(breaker, BREAKER_RELAPSES, now);
    open_for(breaker, end, now);
}

instant breaker_ready_at(const struct breaker *breaker)
{
    if (breaker->state == BREAKER_CLOSED)
        return INSTANT_NEVER;
    return breaker->state == BREAKER_OPEN ? breaker->open_until : INSTANT_FAR;
}

void breaker_on_sent(struct breaker *breaker, instant now)
{
    assert(!instant_before(now, breaker_ready_at(breaker)));
    if (breaker->state == BREAKER_OPEN)
        change(breaker, BREAKER_PROBES, now);
}

void breaker_on_end(struct breaker *breaker, const struct breaker_end *end, instant now)
{
    if (breaker->state == BREAKER_CLOSED)
        on_end_closed(breaker, end, now);
    else if (breaker->state == BREAKER_OPEN)
        on_end_open(breaker, end, now);
    else
        on_end_half_open(breaker, end, now);
}
