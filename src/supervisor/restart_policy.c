/* See restart_policy.h. */
#include "supervisor/restart_policy.h"

#include "base/mark.h"
#include <string.h>

#define MINUTE_US 60000000

static const char *const start_names[] = {
#define X(code, name) [code] = name,
    START_KIND_LIST(X)
#undef X
};

const char *start_kind_name(enum start_kind start)
{
    return (unsigned)start < START_KIND_COUNT ? start_names[start] : "unknown";
}

struct restart_limits restart_limits_of(const struct options *options)
{
    return (struct restart_limits){
        .backoff_min = duration_s(options->restart_backoff_min_sec),
        .backoff_max = duration_s(options->restart_backoff_max_sec),
        .quiet = duration_s(options->restart_quiet_sec),
        .deaths_per_hour_max = (uint32_t)options->max_restarts_per_hour,
    };
}

void restart_policy_init(struct restart_policy *policy, const struct restart_limits *limits,
                         uint64_t seed)
{
    *policy = (struct restart_policy){.limits = *limits};
    prng_seed(&policy->prng, seed);
}

/* Forgets the minutes that are an hour old. An earlier instant than the newest counts as that. */
static void advance(struct restart_policy *policy, instant now)
{
    int64_t minute = now.us / MINUTE_US;
    if (minute - policy->minute >= RESTART_MINUTES) {
        memset(policy->deaths, 0, sizeof policy->deaths);
        policy->minute = minute;
    }
    while (policy->minute < minute)
        policy->deaths[++policy->minute % RESTART_MINUTES] = 0;
}

uint32_t restart_policy_deaths(struct restart_policy *policy, instant now)
{
    uint32_t sum = 0;
    advance(policy, now);
    for (int i = 0; i < RESTART_MINUTES; i++)
        sum += policy->deaths[i];
    return sum;
}

static bool lived_for(const struct restart_policy *policy, instant now, duration span)
{
    return instant_is_never(policy->resumed_at) ||
           instant_diff(now, policy->resumed_at).us >= span.us;
}

/* 0, min, 2 min, 4 min, … max. */
static int64_t wait_in_a_row_us(const struct restart_policy *policy)
{
    int64_t wait_us = policy->limits.backoff_min.us;
    if (policy->in_a_row <= 1)
        return 0;
    for (uint32_t i = 2; i < policy->in_a_row && wait_us < policy->limits.backoff_max.us; i++)
        wait_us *= 2;
    return wait_us < policy->limits.backoff_max.us ? wait_us : policy->limits.backoff_max.us;
}

static int64_t with_jitter_us(struct restart_policy *policy, int64_t wait_us)
{
    return wait_us + (int64_t)((double)wait_us * RESTART_JITTER * prng_unit(&policy->prng));
}

struct restart_verdict restart_policy_on_death(struct restart_policy *policy, instant now)
{
    struct restart_verdict verdict = {0};
    bool is_short = !lived_for(policy, now, duration_s(RESTART_COLD_SEC));
    bool is_quiet = lived_for(policy, now, policy->limits.quiet);
    policy->in_a_row = is_quiet ? 1 : policy->in_a_row + 1;

    MARK_IF(DEATH_FIRST, is_quiet);
    MARK_IF(DEATH_IN_A_ROW, !is_quiet);
    MARK_IF(START_COLD_AFTER_SHORT_LIFE, is_short);
    advance(policy, now);
    policy->deaths[policy->minute % RESTART_MINUTES]++;
    verdict.deaths_last_hour = restart_policy_deaths(policy, now);
    verdict.is_slowed = verdict.deaths_last_hour > policy->limits.deaths_per_hour_max;
    MARK_IF(DEATHS_SLOWED, verdict.is_slowed);
    int64_t wait_us = verdict.is_slowed ? policy->limits.backoff_max.us : wait_in_a_row_us(policy);
    verdict.start_at = instant_add(now, duration_us(with_jitter_us(policy, wait_us)));
    verdict.start = is_short ? START_COLD : START_WARM;
    policy->resumed_at = verdict.start_at;
    return verdict;
}
