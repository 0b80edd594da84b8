/*
 * Many seeds, several at once, each run in a process of its own (apart.h). What they reached is
 * summed up: virtual years, faults, and of each mark (base/mark.h) how many seeds came by it.
 */
#ifndef MOONWATCH_SIM_SEEDS_H
#define MOONWATCH_SIM_SEEDS_H

#include "sim/apart.h"
#include <signal.h>

#define SEEDS_AT_ONCE_MAX 64

struct seeds_sum {
    uint64_t runs, failed;
    double simulated_s;
    uint64_t faults;
    uint64_t injected[SIM_FAULT_COUNT];
    uint64_t deaths, restarts;
    uint64_t hash;                /* of all traces, whatever the order in which they ended */
    uint32_t reached[MARK_COUNT]; /* by so many seeds */
};

struct seeds_setup {
    struct sim_setup each; /* but for the seed */
    uint64_t first, last;  /* last: with it */
    unsigned at_once;      /* 1 … SEEDS_AT_ONCE_MAX */
    /* In the order in which they end; all but `context` for the call only. May be NULL. */
    void (*on_run)(void *context, const struct sim_setup *setup, const struct apart_found *found,
                   const struct seeds_sum *sum);
    /* So often, in milliseconds, while nothing ends. May be NULL. */
    void (*on_wait)(void *context, const struct seeds_sum *sum);
    void *context;
    const volatile sig_atomic_t *is_stopped; /* by somebody: those under way are given up */
};

enum err seeds_run(const struct seeds_setup *setup, struct seeds_sum *out) MUST_CHECK;

#endif
