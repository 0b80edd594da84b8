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

/* When the faults end. */
double schedule_calm_from_s(const struct sim_setup *setup);

#endif
