/* A lane's budget. See the header. */
#include "core/budget.h"

#include "base/mark.h"
#include <assert.h>
#include <math.h>

#define STRIKES_MAX 16 /* doublings beyond any ceiling */
/* How soon a change of use is believed: so many requests, or seconds, whichever takes longer. */
#define USE_REQUESTS 10.0
#define USE_SPAN_S   5.0
#define USE_FULL     0.9
/* A slow limit has no room again before some requests' time has passed, however it counts. */
#define REST_REQUESTS 2.0

static void apply_rate(struct budget *budget)
{
    double per_minute = budget->limit.per_minute;
    budget->burst = per_minute < BUDGET_BURST_FROM
                        ? 1
                        : fmax(BUDGET_BURST_MIN, per_minute / 60 * BUDGET_BURST_SECONDS);
    if (!budget->limit.is_learned)
        budget->burst = fmax(budget->burst, per_minute / 60 * budget->gather_s + 1);
    budget->upstream = per_minute / 60;
    budget->per_second = fmin(budget->upstream, budget->ceiling);
    budget->level = fmin(budget->level, budget->burst);
}

/* What runs over the brim is what nobody asked for. */
static void note_use(struct budget *budget, double passed_s, double offered)
{
    double lost = fmax(0, budget->level + offered - budget->burst);
    double span_s = fmax(USE_SPAN_S, USE_REQUESTS / budget->per_second);
    budget->used += passed_s / (span_s + passed_s) * (1 - lost / offered - budget->used);
}

static void fill(struct budget *budget, instant now)
{
    double passed_s = duration_to_s(instant_diff(now, budget->filled_at));
    if (passed_s <= 0)
        return;
    double offered = passed_s * budget->per_second;
    note_use(budget, passed_s, offered);
    budget->level = fmin(budget->burst, budget->level + offered);
    budget->filled_at = now;
}

void budget_init(struct budget *budget, double per_minute, instant now)
{
    *budget = (struct budget){.ceiling = INFINITY, .used = 1, .filled_at = now, .grown_at = now};
    limit_init(&budget->limit, per_minute, now);
    apply_rate(budget);
    budget->level = 1; /* the first minute counts like every other */
}

void budget_set_rate(struct budget *budget, double per_minute, instant now)
{
    fill(budget, now);
    limit_set_ceiling(&budget->limit, per_minute);
    apply_rate(budget);
}

void budget_recall(struct budget *budget, double per_minute, duration age, instant now)
{
    fill(budget, now);
    limit_recall(&budget->limit, per_minute, age);
    apply_rate(budget);
}

void budget_set_ceiling(struct budget *budget, double requests_per_second, instant now)
{
    assert(requests_per_second > 0);
    fill(budget, now);
    budget->ceiling = requests_per_second;
    apply_rate(budget);
}

void budget_gather(struct budget *budget, double seconds, instant now)
{
    if (budget->gather_s == seconds)
        return;
    fill(budget, now);
    budget->gather_s = seconds;
    apply_rate(budget);
}

instant budget_ready_at(struct budget *budget, instant now)
{
    fill(budget, now);
    instant from = instant_max(now, budget->filled_at), ready = from;
    if (budget->level < 1) {
        double wait_us = ceil((1 - budget->level) / budget->per_second * 1e6);
        ready = instant_add(ready, duration_us((int64_t)wait_us));
    }
    instant room = limit_room_at(&budget->limit, now);
    if (ready.us < room.us) {
        MARK(WINDOW_FULL);
        /* There will be one request then: more would come in a burst. */
        budget->level = 1 - duration_to_s(instant_diff(room, from)) * budget->per_second;
        ready = room;
    }
    return instant_max(ready, budget->rest_until);
}

void budget_take(struct budget *budget, instant now)
{
    fill(budget, now);
    assert(budget->level > 0.999999); /* asked budget_ready_at() first */
    budget->level -= 1;
    limit_sent(&budget->limit, now);
}

void budget_grow(struct budget *budget, instant now)
{
    fill(budget, now);
    duration passed = instant_diff(now, instant_max(budget->grown_at, budget->rest_until));
    budget->grown_at = instant_max(now, budget->grown_at);
    bool is_tried = budget->upstream <= budget->ceiling;
    if (passed.us <= 0 || budget->used < USE_FULL || !is_tried)
        return;
    limit_grow(&budget->limit, passed, now);
    apply_rate(budget);
}

/* ---- rests ---- */

/* One request goes first then: more would come in a burst. */
static void rest_to(struct budget *budget, instant until, instant now)
{
    if (until.us <= now.us || until.us <= budget->rest_until.us)
        return;
    fill(budget, now);
    budget->rest_until = until;
    budget->filled_at = until;
    budget->level = 1;
}

static duration at_most(duration asked)
{
    return asked.us < BUDGET_ASKED_MOST.us ? asked : BUDGET_ASKED_MOST;
}

static duration rest_after(const struct budget *budget, const struct budget_rest *rest)
{
    MARK_IF(REST_ASKED, rest->asked.us > 0);
    if (rest->asked.us > 0)
        return at_most(rest->asked);
    double doubled_us = (double)rest->first.us * exp2(budget->strikes);
    return duration_us((int64_t)fmin(doubled_us, (double)rest->most.us));
}

/* One strike for all that were under way when the trouble began, not one each. */
void budget_strike(struct budget *budget, instant sent_at, const struct budget_rest *rest,
                   instant now)
{
    if (sent_at.us < budget->struck_at.us) {
        MARK(STRIKE_OLD);
        rest_to(budget, instant_add(now, at_most(rest->asked)), now);
        return;
    }
    rest_to(budget, instant_add(now, rest_after(budget, rest)), now);
    MARK_IF(STRIKES_IN_A_ROW, budget->strikes > 0);
    budget->struck_at = now;
    if (budget->strikes < STRIKES_MAX)
        budget->strikes++;
}

void budget_refused(struct budget *budget, instant sent_at, const struct budget_rest *rest,
                    instant now)
{
    fill(budget, now);
    limit_refused(&budget->limit, sent_at, now);
    apply_rate(budget);
    struct budget_rest longer = *rest;
    duration slow = duration_s(REST_REQUESTS * 60 / budget->limit.plateau);
    longer.first = slow.us > rest->first.us ? slow : rest->first;
    budget_strike(budget, sent_at, &longer, now);
}

void budget_succeed(struct budget *budget, instant sent_at, instant now)
{
    limit_accepted(&budget->limit, sent_at, now);
    if (sent_at.us >= budget->struck_at.us)
        budget->strikes = 0;
}
