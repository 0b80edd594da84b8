/* A lane's budget. See the header. */
#include "core/budget.h"

#include <assert.h>
#include <math.h>

#define STRIKES_MAX 16 /* doublings beyond any ceiling */

static void set_rate(struct budget *budget, double per_minute)
{
    budget->burst = per_minute < BUDGET_BURST_FROM
                        ? 1
                        : fmax(BUDGET_BURST_MIN, per_minute / 60 * BUDGET_BURST_SECONDS);
    /* A minute that begins with what was saved up must not see more than the limit either. */
    budget->limit = (per_minute + 1 - budget->burst) / 60;
    budget->per_second = fmin(budget->limit, budget->ceiling);
}

static void fill(struct budget *budget, instant now)
{
    double passed = duration_to_s(instant_diff(now, budget->filled_at));
    if (passed <= 0)
        return;
    budget->level = fmin(budget->burst, budget->level + passed * budget->per_second);
    budget->filled_at = now;
}

void budget_init(struct budget *budget, double per_minute, instant now)
{
    *budget = (struct budget){.filled_at = now, .ceiling = INFINITY};
    set_rate(budget, per_minute);
    budget->level = 1; /* the first minute counts like every other */
}

void budget_set_rate(struct budget *budget, double per_minute, instant now)
{
    fill(budget, now);
    set_rate(budget, per_minute);
    budget->level = fmin(budget->level, budget->burst);
}

void budget_set_ceiling(struct budget *budget, double requests_per_second, instant now)
{
    assert(requests_per_second > 0);
    fill(budget, now);
    budget->ceiling = requests_per_second;
    budget->per_second = fmin(budget->limit, budget->ceiling);
}

instant budget_ready_at(struct budget *budget, instant now)
{
    fill(budget, now);
    instant ready = now;
    if (budget->level < 1) {
        double wait_us = ceil((1 - budget->level) / budget->per_second * 1e6);
        ready = instant_add(now, duration_us((int64_t)wait_us));
    }
    return instant_max(ready, budget->rest_until);
}

void budget_take(struct budget *budget, instant now)
{
    fill(budget, now);
    assert(budget->level > 0.999999); /* asked budget_ready_at() first */
    budget->level -= 1;
}

void budget_strike(struct budget *budget, instant now, duration asked, duration first,
                   duration most)
{
    double doubled = (double)first.us * exp2(budget->strikes);
    duration rest = asked.us > 0 ? asked : duration_us((int64_t)fmin(doubled, (double)most.us));
    budget_rest(budget, now, rest);
    if (budget->strikes < STRIKES_MAX)
        budget->strikes++;
}

void budget_rest(struct budget *budget, instant now, duration rest)
{
    budget->rest_until = instant_max(budget->rest_until, instant_add(now, rest));
}

void budget_succeed(struct budget *budget)
{
    budget->strikes = 0;
}
