/* What the upstream really allows. See the header. */
#include "core/limit.h"

#include "base/mark.h"
#include <assert.h>
#include <math.h>
#include <string.h>

#define LEAST          1.0   /* a minute */
#define DIP            0.025 /* after a refusal; all in all it costs 2 % of what is allowed */
#define RISE           0.03  /* above the plateau at phase 1 */
#define PASSED_PHASE   1.75  /* the plateau does not hold any more */
#define PASSED_SPEED   2.0
#define PROBE_REQUESTS 160.0
#define PROBE_SMALL_S  300.0 /* and no more for them: a small limit is hardly ever the real one */
#define PROBE_LEAST_S  60.0
#define PROBE_MOST_S   3600.0
#define UNCONFIRMED    3.0 /* the first probes come so much sooner… */
#define CONFIRMED_ONCE 1.5 /* …the second ones so much */
#define CONFIRMED_MOST 2
#define CONFIRMED_NEAR 0.1  /* of the plateau */
#define BLOCK_SHARE    8.0  /* a probe that costs a block comes once in so many of its lengths */
#define SOON_S         10.0 /* a bucket that was found empty is so again within it, … */
#define SOON_REQUESTS  12.0 /* … or within so many requests */
#define BLOCK_MEMORY   duration_s(150) /* longer than any rest that we choose */
#define SURPRISE_SHARE 0.8             /* × limit; more than 1 / AHEAD_MOST would always be one */
#define SOON_LEAST     0.85
#define SOON_MOST      0.95
#define LONG_RUN       duration_s(60)
#define BLOCKED_LEAST  0.2 /* of what was accepted before */
#define BLOCKED_SMALL  0.6
#define BELIEVED_FROM  10.0 /* requests: who is banned at its start was let through a few */
#define BLOCKED_SURELY duration_s(5) /* no bucket takes that long to fill */
#define AHEAD_MOST     1.25          /* × what was accepted: it doubles in a minute at most */
#define DAY_S          86400.0

/* ---- the last minute ---- */

static int64_t slot_of(instant t)
{
    return t.us / LIMIT_SLOT_US;
}

static uint32_t *slot_at(struct limit *limit, int64_t slot)
{
    return &limit->slots[slot % LIMIT_SLOTS];
}

static void turn_to(struct limit *limit, instant now)
{
    int64_t slot = slot_of(now);
    if (slot - limit->newest_slot >= LIMIT_SLOTS) {
        memset(limit->slots, 0, sizeof limit->slots);
        limit->in_minute = 0;
        limit->newest_slot = slot;
    }
    while (limit->newest_slot < slot) {
        uint32_t *oldest = slot_at(limit, ++limit->newest_slot);
        limit->in_minute -= *oldest;
        *oldest = 0;
    }
}

static bool is_kept(const struct limit *limit, int64_t slot)
{
    return slot > limit->newest_slot - LIMIT_SLOTS && slot <= limit->newest_slot;
}

/* Accepted in the 60 s up to then. */
static double accepted_before(struct limit *limit, instant t)
{
    int64_t last = slot_of(t);
    uint64_t count = 0;
    for (int64_t slot = last - LIMIT_SLOTS + 1; slot <= last; slot++)
        if (is_kept(limit, slot))
            count += *slot_at(limit, slot);
    return (double)count;
}

static void take_back(struct limit *limit, instant sent_at)
{
    int64_t slot = slot_of(sent_at);
    if (limit->total > 0)
        limit->total--;
    if (!is_kept(limit, slot) || *slot_at(limit, slot) == 0)
        return;
    --*slot_at(limit, slot);
    limit->in_minute--;
}

instant limit_room_at(struct limit *limit, instant now)
{
    turn_to(limit, now);
    uint32_t count = limit->in_minute;
    if (count < limit->per_minute)
        return INSTANT_NEVER;
    int64_t slot = limit->newest_slot - LIMIT_SLOTS + 1;
    for (; slot < limit->newest_slot; slot++) {
        count -= *slot_at(limit, slot);
        if (count < limit->per_minute)
            break;
    }
    return (instant){(slot + LIMIT_SLOTS) * LIMIT_SLOT_US};
}

/* ---- the curve ---- */

static void follow_curve(struct limit *limit)
{
    double steepness = limit->phase < 0 ? limit->dip : RISE;
    double share = 1 + steepness * limit->phase * limit->phase * limit->phase;
    limit->per_minute = fmin(limit->ceiling, fmax(LEAST, limit->plateau * share));
}

static void set_plateau(struct limit *limit, double plateau)
{
    limit->plateau = fmin(limit->ceiling, fmax(LEAST, plateau));
    limit->dip = DIP;
    limit->phase = -1;
    limit->is_learned = true;
    follow_curve(limit);
}

/* From the refusal back to the plateau. */
static double probe_span_s(const struct limit *limit)
{
    double span_s = fmin(PROBE_SMALL_S, PROBE_REQUESTS * 60 / limit->per_minute);
    int64_t block_us =
        limit->blocks[0].us < limit->blocks[1].us ? limit->blocks[0].us : limit->blocks[1].us;
    if (limit->confirmed < CONFIRMED_MOST)
        span_s /= limit->confirmed == 0 ? UNCONFIRMED : CONFIRMED_ONCE;
    span_s = fmax(span_s, BLOCK_SHARE * duration_to_s(duration_us(block_us)));
    return fmin(PROBE_MOST_S, fmax(PROBE_LEAST_S, span_s));
}

/* What was not tried proves nothing: the last 60 s lead the way. */
static bool is_ahead(const struct limit *limit)
{
    return limit->per_minute > limit->plateau * (1 + RISE) &&
           limit->per_minute > AHEAD_MOST * limit->in_minute;
}

void limit_grow(struct limit *limit, duration used, instant now)
{
    turn_to(limit, now);
    if (!limit->is_learned || is_ahead(limit))
        return;
    double speed = limit->phase > PASSED_PHASE ? PASSED_SPEED : 1;
    limit->phase += speed * duration_to_s(used) / probe_span_s(limit);
    follow_curve(limit);
    if (limit->phase > PASSED_PHASE && limit->per_minute >= limit->ceiling) {
        MARK(LIMIT_GONE);
        limit->is_learned = false;
        limit->plateau = limit->ceiling;
    }
}

/* ---- refusals ---- */

static uint32_t confirm(const struct limit_run *run, double plateau)
{
    if (fabs(plateau - run->plateau) > CONFIRMED_NEAR * plateau)
        return 0;
    MARK(LIMIT_CONFIRMED);
    return run->confirmed < CONFIRMED_MOST ? run->confirmed + 1 : CONFIRMED_MOST;
}

static void begin_run(struct limit *limit, instant now)
{
    limit->previous = limit->present;
    limit->previous.plateau = limit->is_learned ? limit->plateau : 0;
    limit->previous.confirmed = limit->confirmed;
    limit->present = (struct limit_run){.began_at = now, .total = limit->total};
}

/* After a while without one. */
static void on_fresh(struct limit *limit, double accepted, instant now)
{
    double allowed = limit->per_minute;
    MARK(LIMIT_FRESH);
    begin_run(limit, now);
    limit->last.accepted = fmax(accepted, LEAST);
    limit->last.was_surprise = accepted < SURPRISE_SHARE * allowed;
    limit->last.first_at = now;
    set_plateau(limit, fmin(allowed, fmax(accepted, SURPRISE_SHARE * allowed)));
    limit->last.least = BLOCKED_LEAST * limit->plateau;
    limit->confirmed = confirm(&limit->previous, limit->plateau);
}

/* What a bucket was filled with; 0: it is not known for long enough. */
static double long_run(const struct limit *limit, instant now)
{
    const struct limit_run *run = &limit->previous;
    duration span = instant_diff(now, run->began_at);
    if (instant_is_never(run->began_at) || span.us < LONG_RUN.us)
        return 0;
    return (double)(limit->total - run->total) * 60 / duration_to_s(span);
}

/* The estimate was too high: it was burst that it counted, or the limit falls. */
static void on_soon(struct limit *limit, instant now)
{
    MARK(LIMIT_SOON);
    double least = SOON_LEAST * limit->per_minute, most = SOON_MOST * limit->per_minute;
    limit->last.first_at = now;
    limit->last.was_surprise = false;
    set_plateau(limit, fmin(most, fmax(least, long_run(limit, now))));
    limit->confirmed = confirm(&limit->previous, limit->plateau);
}

/* The window is full, or we are banned; the longer it lasts, the less is left of what may have
 * filled it. But a ban says nothing about the limit, so not everything is believed. */
static void on_blocked(struct limit *limit, double accepted, instant now)
{
    duration span = instant_diff(now, limit->last.first_at);
    MARK(LIMIT_BLOCKED);
    if (limit->last.was_surprise && limit->last.accepted >= BELIEVED_FROM &&
        span.us >= BLOCKED_SURELY.us) {
        MARK(LIMIT_BELIEVED);
        limit->last.was_surprise = false;
        set_plateau(limit, limit->last.accepted);
        return;
    }
    double bound = fmax(limit->last.least, fmin(limit->per_minute, accepted));
    if (!limit->last.was_surprise)
        set_plateau(limit,
                    bound >= BLOCKED_SMALL * limit->plateau ? bound : sqrt(bound * limit->plateau));
    limit->dip = fmax(limit->dip, 1 - bound / limit->plateau);
    follow_curve(limit);
}

static bool is_soon(const struct limit *limit, duration since)
{
    double span_s = fmax(SOON_S, SOON_REQUESTS * 60 / limit->per_minute);
    return !instant_is_never(limit->last.at) && duration_to_s(since) < span_s;
}

void limit_refused(struct limit *limit, instant sent_at, instant now)
{
    struct limit_refusal *last = &limit->last;
    turn_to(limit, now);
    take_back(limit, sent_at);
    if (sent_at.us < last->at.us)
        return;
    double accepted = accepted_before(limit, sent_at);
    duration since = instant_diff(now, last->at);
    if (!last->has_passed && since.us < BLOCK_MEMORY.us)
        on_blocked(limit, accepted, now);
    else if (is_soon(limit, since))
        on_soon(limit, now);
    else
        on_fresh(limit, accepted, now);
    last->at = now;
    last->has_passed = false;
}

/* It took so long; what a lower limit costs once does not count. */
static void note_block(struct limit *limit, instant now)
{
    limit->blocks[1] = limit->blocks[0];
    limit->blocks[0] = instant_diff(now, limit->last.first_at);
}

void limit_accepted(struct limit *limit, instant sent_at, instant now)
{
    if (limit->last.has_passed || sent_at.us < limit->last.at.us)
        return;
    limit->last.has_passed = true;
    note_block(limit, now);
}

void limit_sent(struct limit *limit, instant now)
{
    turn_to(limit, now);
    ++*slot_at(limit, limit->newest_slot);
    limit->total++;
    limit->in_minute++;
}

/* ---- what was known ---- */

void limit_init(struct limit *limit, double ceiling, instant now)
{
    assert(ceiling > 0);
    memset(limit, 0, sizeof *limit);
    limit->ceiling = limit->per_minute = limit->plateau = ceiling;
    limit->last.has_passed = true;
    limit->newest_slot = slot_of(now);
}

static void forget(struct limit *limit)
{
    limit->is_learned = false;
    limit->confirmed = 0;
    limit->per_minute = limit->plateau = limit->ceiling;
    limit->blocks[0] = limit->blocks[1] = duration_us(0);
}

void limit_set_ceiling(struct limit *limit, double ceiling)
{
    assert(ceiling > 0);
    if (limit->ceiling == ceiling)
        return;
    limit->ceiling = ceiling;
    forget(limit);
}

void limit_recall(struct limit *limit, double per_minute, duration age)
{
    if (!(per_minute >= LEAST && per_minute < limit->ceiling))
        return;
    double days = fmax(0, duration_to_s(age)) / DAY_S;
    double weight = 1 / (1 + days);
    set_plateau(limit, limit->ceiling + weight * (per_minute - limit->ceiling));
    limit->confirmed = 0;
}

double limit_learned(const struct limit *limit)
{
    return limit->is_learned ? fmax(limit->plateau, limit->per_minute) : NAN;
}
