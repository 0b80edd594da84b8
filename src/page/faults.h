/*
 * Faults for `moonwatch drill`. They lie in a memory of their own, which a supervisor that a drill
 * started hands to each engine through the socket that the engine inherited; no option, environment
 * or network can arm one, and any other engine has none. A fault point is one test of a pointer.
 */
#ifndef MOONWATCH_PAGE_FAULTS_H
#define MOONWATCH_PAGE_FAULTS_H

#include "base/address.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* X(code, name, what the fault does) */
#define FAULT_LIST(X)                                                                              \
    X(FAULT_CRASH, "crash", "the engine falls at its next turn")                                   \
    X(FAULT_CRASH_AT_START, "crash_at_start", "the engine falls as soon as it has started")        \
    X(FAULT_HANG, "hang", "the engine's loop turns without end")                                   \
    X(FAULT_HANG_WORKER, "hang_worker", "a feed worker turns without end")                         \
    X(FAULT_HANG_STORE, "hang_store", "the store's thread turns without end")                      \
    X(FAULT_LEAK, "leak", "the engine takes so many MiB a second and never gives them back")       \
    X(FAULT_POISON, "poison", "who opens an answer about the mint falls, then who handles one")    \
    X(FAULT_STUCK_EXPORT, "stuck_export", "the export's thread waits without end")                 \
    X(FAULT_NO_DEATH, "no_death", "the supervisor's kills do not arrive")                          \
    X(FAULT_CLOCK, "clock", "the supervisor reads the wall clock so many us (signed) wrong")

enum fault {
#define X(code, name, what) code,
    FAULT_LIST(X)
#undef X
        FAULT_COUNT
};

struct faults {
    _Atomic uint64_t armed[FAULT_COUNT]; /* 0: not; else the fault's number */
    struct address mint;                 /* of FAULT_POISON; written before it is armed */
};

static inline uint64_t fault_armed(const struct faults *faults, enum fault fault)
{
    return faults == NULL ? 0 : atomic_load_explicit(&faults->armed[fault], memory_order_acquire);
}

/* Armed for one time only: true for the first who asks. */
static inline bool fault_take(struct faults *faults, enum fault fault)
{
    return faults != NULL &&
           atomic_exchange_explicit(&faults->armed[fault], 0, memory_order_acq_rel) != 0;
}

#endif
