/*
 * When a process that died is started again, and how. Pure: instants are arguments, chance is
 * seeded. One for each process; deliberate restarts (graceful, on command) are not told to it.
 *
 *   at once             the first death, and any after a quiet time
 *   min, 2 min, 4 min…  the deaths after it, up to max, each stretched by chance by up to a fifth,
 *                       so that the daemons of one outage do not come back in step
 *   max                 every one as long as more than deaths_per_hour_max lie within an hour
 *
 * There is no last attempt: what broke us may mend itself in the middle of the night. Quiet is what
 * lies between the start that answered the last death and the next death, so a long wait is not
 * taken for a quiet one. A death within a minute of that start speaks against what a warm start
 * takes over, so the next start is cold.
 */
#ifndef MOONWATCH_SUPERVISOR_RESTART_POLICY_H
#define MOONWATCH_SUPERVISOR_RESTART_POLICY_H

#include "base/options.h"
#include "base/prng.h"
#include "base/time.h"
#include "page/inherited.h"
#include <stdbool.h>
#include <stdint.h>

#define RESTART_JITTER   0.2 /* share of a wait that chance adds at most */
#define RESTART_MINUTES  61  /* a death counts for an hour, and at most a minute more */
#define RESTART_COLD_SEC 60  /* lived shorter than this: the next start is cold */

struct restart_limits {
    duration backoff_min, backoff_max;
    duration quiet;
    uint32_t deaths_per_hour_max;
};

struct restart_policy {
    struct restart_limits limits;
    struct prng prng;
    instant resumed_at; /* start that answered the last death; never: none yet */
    uint32_t in_a_row;  /* deaths since the last quiet time */
    int64_t minute;     /* of the newest entry of `deaths` */
    uint32_t deaths[RESTART_MINUTES];
};

struct restart_verdict {
    instant start_at;
    enum start_kind start;
    uint32_t deaths_last_hour;
    bool is_slowed; /* by deaths_per_hour_max */
};

struct restart_limits restart_limits_of(const struct options *options);
void restart_policy_init(struct restart_policy *policy, const struct restart_limits *limits,
                         uint64_t seed);

/* It died, or could not be started. */
struct restart_verdict restart_policy_on_death(struct restart_policy *policy, instant now);

/* For the page: falls while nobody dies. */
uint32_t restart_policy_deaths(struct restart_policy *policy, instant now);

const char *start_kind_name(enum start_kind start);

#endif
