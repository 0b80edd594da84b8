/*
 * The simulator: the real core over a fake upstream, store and clock, from a seed. Discrete-event:
 * it jumps to whatever comes next, so hours take seconds. The same seed gives the same run, and the
 * hash of all actions proves it. On request the store is the real one, in virtual time (disk.h).
 *
 * Faults come and go at random times while `until_faults_end`; then the world is well, and the
 * oracles ask that everything gets well again. The oracles (oracle.h) stand outside the core, in
 * the dullest code possible.
 */
#ifndef MOONWATCH_SIM_SIM_H
#define MOONWATCH_SIM_SIM_H

#include "base/err.h"
#include "base/options.h"
#include "base/time.h"
#include "core/core.h"
#include "sim/disk.h"
#include "sim/upstream.h"

/* X(code, name): what can go wrong, each for a while. */
#define SIM_FAULT_LIST(X)                                                                          \
    X(FAULT_DOWN, "down")         /* unreachable */                                                \
    X(FAULT_ERRORS, "errors")     /* 5xx now and then */                                           \
    X(FAULT_REFUSED, "refused")   /* 429, with and without Retry-After */                          \
    X(FAULT_SLOW, "slow")         /* seconds instead of milliseconds */                            \
    X(FAULT_LOST, "lost")         /* a request never ends */                                       \
    X(FAULT_PARTIAL, "partial")   /* pairs missing from answers */                                 \
    X(FAULT_EMPTY, "empty")       /* [] */                                                         \
    X(FAULT_WRONG, "wrong")       /* pairs of tokens that were not asked for */                    \
    X(FAULT_TWICE, "twice")       /* an answer comes again */                                      \
    X(FAULT_STORE, "store")       /* nothing becomes durable */                                    \
    X(FAULT_SETTINGS, "settings") /* intervals change while running */                             \
    X(FAULT_CLOCK, "clock")       /* a shell whose clock goes back */                              \
    X(FAULT_RESTART, "restart")   /* the engine dies; its table is what survives */                \
    X(FAULT_POISON, "poison")     /* the answer about one token kills the engine */                \
    X(FAULT_STUCK, "stuck")       /* jobs outside the core do not end */                           \
    X(FAULT_BUSY, "busy")         /* others need the CPUs, and our loop comes late */

enum sim_fault {
#define X(code, name) code,
    SIM_FAULT_LIST(X)
#undef X
        SIM_FAULT_COUNT
};

const char *sim_fault_name(enum sim_fault fault);

/* What may be looked at while it runs. */
struct sim_view {
    instant now;
    double at_s; /* since the beginning */
    const struct token_table *table;
    const struct core_stats *stats;
    struct disk *disk; /* NULL: the store is a fake one */
};

/* What the upstream allows a kind of request changes. */
#define SIM_LIMITS_MAX  8
#define SIM_MINUTES_MAX 240

struct sim_limit {
    double from_s; /* rising */
    double per_minute;
};

/* What the upstream counted in one minute of the run. */
struct sim_minute {
    uint32_t accepted, refused;
};

struct sim_setup {
    uint64_t seed;
    double hours;
    uint32_t tokens;    /* 0: drawn, 10 … 5,000 */
    unsigned faults;    /* a bit each; 0: none */
    uint32_t active;    /* > 0: this many always active tokens and `tokens` − this quiet ones, */
    double hours_old;   /*      known for so long, all refreshed lately, at the start */
    double stale_s;     /*      or, > 0, so long ago */
    double token_cores; /* > 0: what a token a second costs the engine … */
    double idle_cores;  /* … besides what it uses anyway */
    double down_from_s; /* the upstream is down from here … */
    double down_to_s;   /* … to here; both 0: not */
    token_id poison;    /* > 0: the answer about this one kills … */
    double poison_from_s;    /* … from here on */
    double stuck_from_s;     /* jobs outside the core that begin from here … */
    double stuck_to_s;       /* … to here never end */
    double busy_from_s;      /* the CPUs are busy from here … */
    double busy_to_s;        /* … to here */
    struct options *options; /* NULL: the defaults */
    const char *database;    /* a new one's URL: the real store; NULL: a fake one */
    /* > 0: besides those at the start, fading ones (upstream.h) come until the end. */
    double arrivals_per_hour, life_hours;
    double sample_every_s; /* > 0: on_sample() is called so often */
    void (*on_sample)(void *context, const struct sim_view *view);
    void *context;
    enum limiter_kind limiter;
    struct sim_limit limits[SIM_LIMITS_MAX]; /* up to one of 0 a minute; none: the usual one */
};

struct sim_result {
    char verdict[256]; /* "ok", or what broke, when */
    uint64_t trace_hash;
    double simulated_s;
    uint64_t events, actions;
    uint64_t faults_injected;
    uint64_t refused;        /* 429 for going over the limit */
    uint64_t deaths;         /* of the engine, by poisonous tokens */
    uint64_t restarts;       /* that the core asked for */
    struct core_stats stats; /* at the end */
    struct sim_minute minutes[LANE_KIND_COUNT][SIM_MINUTES_MAX];
    double addresses_per_request[LANE_KIND_COUNT]; /* of all: none is sent when nobody is due */
    /* Counted outside the core: answers that it took, by when the one before them came; and tokens
     * that were late when the run ended. */
    uint64_t refreshes[GROUP_COUNT];
    double on_time[GROUP_COUNT]; /* share */
    uint64_t lost_in_outage;     /* demoted or archived while the upstream of a plan was down */
    double fresh_again_after_s; /* of an outage: until every token was answered since; −1 never */
    double least_s;             /* what the budgets of all lanes allow at best for that */
};

enum err sim_run(const struct sim_setup *setup, struct sim_result *out) MUST_CHECK;

#endif
