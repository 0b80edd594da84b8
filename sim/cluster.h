/*
 * A world of several nodes: the real policy of src/cluster, a process each, over simulated clocks,
 * a network, a market and a database that is a model (cluster_rows.h). What a node does besides is
 * the least that makes the policy matter: tokens with ages, requests under way, commits, a log that
 * is followed, a source that gives ids.
 *
 *     cluster.c         the run: what comes next, and the end
 *     cluster_node.c    a node's process: what the policy's actions make it do
 *     cluster_base.c    the network to the database, and what the database does
 *     cluster_faults.c  what goes wrong
 *     cluster_checks.c  what must hold, judged in true time, which no node knows
 *
 * sim_run() comes here when its setup says how many nodes; seeds, hashes, traces and shrinking are
 * those of sim.h.
 */
#ifndef MOONWATCH_SIM_CLUSTER_H
#define MOONWATCH_SIM_CLUSTER_H

#include <stdint.h>

#define SIM_NODES_MOST 20
#define SIM_NODES_ANY  UINT32_MAX /* drawn from the seed, 1 to SIM_NODES_MOST */

/* X(code, name, mean length in seconds; 0: it only happens) */
#define CLUSTER_FAULT_LIST(X)                                                                      \
    /* a node */                                                                                   \
    X(CLUSTER_FAULT_KILL, "kill", 30)       /* it dies, and comes back from nothing */             \
    X(CLUSTER_FAULT_RESTART, "restart", 0)  /* it dies, and its supervisor knows that */           \
    X(CLUSTER_FAULT_PAUSE, "pause", 8)      /* it stands still; what is sent to it waits */        \
    X(CLUSTER_FAULT_SUSPEND, "suspend", 20) /* it stands still; its connections are gone */        \
    X(CLUSTER_FAULT_JUMP, "jump", 0)        /* its clock leaps ahead */                            \
    X(CLUSTER_FAULT_RATE, "rate", 300)      /* its clock is fast or slow */                        \
    X(CLUSTER_FAULT_CUT_DB, "cut-db", 20)   /* nothing gets to the database, nor back */           \
    X(CLUSTER_FAULT_CUT_MARKET, "cut-market", 30)                                                  \
    X(CLUSTER_FAULT_DEAF, "deaf", 20)         /* the database's answers are lost */                \
    X(CLUSTER_FAULT_CAPACITY, "capacity", 90) /* it can keep up with less, or with more */         \
    X(CLUSTER_FAULT_LEAVE, "leave", 30)       /* it hands everything back, and comes again */      \
    X(CLUSTER_FAULT_MASS, "mass", 40)         /* many leave or die at once, and come again */      \
    /* the database, for all */                                                                    \
    X(CLUSTER_FAULT_DOWN, "down", 10) /* it restarts */                                            \
    X(CLUSTER_FAULT_SLOW, "slow", 30) /* seconds instead of milliseconds */                        \
    X(CLUSTER_FAULT_LOST, "lost", 30) /* it commits, and the answer is an error */                 \
    X(CLUSTER_FAULT_READ_ONLY, "read-only", 15)                                                    \
    X(CLUSTER_FAULT_LATE, "late", 30) /* what was given up is done much later all the same */

enum cluster_fault {
#define X(code, name, length_s) code,
    CLUSTER_FAULT_LIST(X)
#undef X
        CLUSTER_FAULT_COUNT
};

const char *cluster_fault_name(enum cluster_fault fault);
double cluster_fault_length_s(enum cluster_fault fault);

/* What a run counts; part of its result. */
struct cluster_result {
    uint32_t nodes, tokens;
    uint64_t exchanges, lapses, takeovers; /* sessions that were ended by others */
    uint64_t moves;                        /* leases that another node took */
    uint64_t fetches;
    uint64_t repeated; /* again within the interval, since the answer was never committed */
    uint64_t fenced;   /* rows of writes that came too late */
    uint64_t new_tokens, acknowledged;
    double uncovered_s; /* the longest that a slot was nobody's while somebody could */
    double balanced_s;  /* after the faults were over; −1: never */
};

#endif
