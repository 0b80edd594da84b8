/*
 * The faults of a run: a list that is drawn before it begins, so that any of them can be left out
 * and the others stay as they are. Each kind has a stream of random numbers of its own, and so has
 * each occurrence. Swarm: each run draws which kinds it has at all, and how often.
 */
#ifndef MOONWATCH_SIM_SCHEDULE_H
#define MOONWATCH_SIM_SCHEDULE_H

#include "sim/sim.h"

/* The end of the run, without faults: this share of it, and no more than that. */
#define SIM_CALM_SHARE 0.25
#define SIM_CALM_MAX_S 4800.0 /* what is counted over an hour has been forgotten then */

/*
 * Liveness: so long after the last fault everybody is fresh again. What takes longest until then
 * is, one after the other: a start after too many deaths (restart_backoff_max_sec, 60 s); what a
 * lane that was refused rests (60 s), or the breaker (2 s); every token once, 5,000 of them at 300
 * requests of 30 in 17 s; discovery of all pools of those that came in the meantime, one a request,
 * 300 a minute, which the others do not wait for; and what was put off under load, which comes back
 * by steps. That is five minutes, and twice as much for luck. What is counted over an hour may be
 * found for as long, so that findings are judged at the end. Who has a smaller budget is judged by
 * what it could keep (pace.h); runs of less than an hour end before that, and are judged then.
 */
#define SIM_WELL_WITHIN_S 900.0

/* When the faults end. */
double schedule_calm_from_s(const struct sim_setup *setup);

#endif
