/*
 * Makes a failing run smaller, so that a person can read it: fewer kinds of faults, fewer hours,
 * fewer single faults, fewer tokens, for as long as the same thing breaks (apart_is_same()). Each
 * step is a run of its own, and no step depends on time or chance: the same failure shrinks to the
 * same run.
 *
 * Single faults are left out as delta debugging does it: halves first, then quarters, … (Zeller and
 * Hildebrandt, "Simplifying and Isolating Failure-Inducing Input", 2002).
 */
#ifndef MOONWATCH_SIM_SHRINK_H
#define MOONWATCH_SIM_SHRINK_H

#include "sim/sim.h"

#define SHRINK_RUNS_MAX 500 /* then what was reached is the result */

struct shrunk {
    struct sim_setup setup; /* `dropped` points into here */
    bool *dropped;          /* of each of sim_schedule(): left out */
    size_t occurrences;     /* of sim_schedule() */
    char verdict[256];      /* of the smaller run */
    unsigned runs;          /* that it took */
};

/* `setup` must fail with `verdict`. Begin with a `setup->dropped` of NULL, or the same number. The
 * result is to be given to shrunk_finish(), also after an error. */
enum err shrink(const struct sim_setup *setup, const char *verdict,
                void (*on_step)(void *context, const struct shrunk *so_far), void *context,
                struct shrunk *out) MUST_CHECK;
void shrunk_finish(struct shrunk *shrunk);

#endif
