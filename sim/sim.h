/*
 * The simulator: the real core over a fake machine, from a seed. Discrete-event: it jumps to
 * whatever comes next, so hours take seconds. The same seed gives the same run, and the hash of all
 * actions proves it.
 *
 *     fake                 by                       real above it
 *     upstream             upstream.c, body.c       the feed's parser
 *     source of tokens     workload.c               the parser of its frames
 *     disk                 vault.c                  the store's writer; a start's restore.c
 *     processes            children.c, engine.c     heal.c, life.c, death.c, watch.c and
 *                                                   restart_policy.c; page/suspects.c
 *     clock                sim.c
 *
 * On request the store is a real database, whose writer then works in virtual time (disk.h); with
 * it nobody dies.
 *
 * Faults come and go as drawn from the seed (sim_schedule()); for the last quarter the world is
 * well, and the oracles ask that everything gets well again. The oracles (oracle.h, checks.c) stand
 * outside the core, in the dullest code possible.
 */
#ifndef MOONWATCH_SIM_SIM_H
#define MOONWATCH_SIM_SIM_H

#include "base/err.h"
#include "base/options.h"
#include "base/time.h"
#include "core/core.h"
#include "sim/cluster.h"
#include "sim/disk.h"
#include "sim/upstream.h"

/* X(code, name): what can go wrong, for a while or at once. */
#define SIM_FAULT_LIST(X)                                                                          \
    /* the upstream */                                                                             \
    X(SIM_FAULT_DOWN, "down")       /* unreachable */                                              \
    X(SIM_FAULT_ERRORS, "errors")   /* 5xx now and then */                                         \
    X(SIM_FAULT_REFUSED, "refused") /* 429, with and without Retry-After */                        \
    X(SIM_FAULT_LIMIT, "limit")     /* it allows less than it says */                              \
    X(SIM_FAULT_SLOW, "slow") /* seconds instead of milliseconds, so that answers overtake */      \
    X(SIM_FAULT_LOST, "lost") /* a request never ends */                                           \
    X(SIM_FAULT_LATE, "late") /* an answer comes after everybody has given it up */                \
    X(SIM_FAULT_PARTIAL, "partial") /* pairs missing from answers */                               \
    X(SIM_FAULT_EMPTY, "empty")     /* [] */                                                       \
    X(SIM_FAULT_WRONG, "wrong")     /* pairs of tokens that were not asked for */                  \
    X(SIM_FAULT_GARBAGE, "garbage") /* bytes as no upstream should send (body.h) */                \
    X(SIM_FAULT_TWICE, "twice")     /* an answer comes again */                                    \
    /* the source of tokens */                                                                     \
    X(SIM_FAULT_SOURCE, "source") /* junk between its frames, and frames twice */                  \
    X(SIM_FAULT_FLOOD, "flood")   /* thousands of tokens at once */                                \
    /* the store */                                                                                \
    X(SIM_FAULT_STORE, "store") /* locked by somebody */                                           \
    X(SIM_FAULT_FULL, "full")   /* no space */                                                     \
    X(SIM_FAULT_IO, "io")       /* commits fail: nothing of them is there, or all of it */         \
    X(SIM_FAULT_DISK, "disk")   /* seconds instead of milliseconds */                              \
    /* people */                                                                                   \
    X(SIM_FAULT_SETTINGS, "settings") /* intervals change while running */                         \
    X(SIM_FAULT_PAUSE, "pause")       /* nothing is fetched, by order */                           \
    X(SIM_FAULT_RESTART, "restart")   /* an order to restart, gracefully or by force */            \
    /* the machine */                                                                              \
    X(SIM_FAULT_CLOCK, "clock")     /* a shell whose clock goes back */                            \
    X(SIM_FAULT_SUSPEND, "suspend") /* everything stands still, and time goes on */                \
    X(SIM_FAULT_POWER, "power")     /* it fails: memory is lost, and what was not synced */        \
    X(SIM_FAULT_STUCK, "stuck")     /* jobs outside the core do not end */                         \
    X(SIM_FAULT_BUSY, "busy")       /* others need the CPUs, and our loop comes late */            \
    /* ourselves */                                                                                \
    X(SIM_FAULT_CRASH, "crash")   /* the engine dies between any two actions */                    \
    X(SIM_FAULT_HANG, "hang")     /* it does not move any more */                                  \
    X(SIM_FAULT_ZOMBIE, "zombie") /* it hangs, can't be killed, and wakes up later */              \
    X(SIM_FAULT_POISON, "poison") /* the answer about one token kills the engine */                \
    /* later ones, since a kind's random numbers follow from its place */                          \
    X(SIM_FAULT_REST, "rest")         /* 5xx and 429 that ask us to wait, some for hours */        \
    X(SIM_FAULT_QUOTE, "quote")       /* pairs of which the token is the quote */                  \
    X(SIM_FAULT_CROWD, "crowd")       /* more pairs of a token than there can be */                \
    X(SIM_FAULT_FAILING, "failing")   /* jobs outside the core fail */                             \
    X(SIM_FAULT_OPERATOR, "operator") /* jobs, and messages to try, by order */                    \
    X(SIM_FAULT_MEMORY, "memory")     /* none for more tokens */                                   \
    X(SIM_FAULT_FILLED, "filled")     /* the disk is full, and stays so */                         \
    X(SIM_FAULT_BACKLOG, "backlog")   /* the disk takes so long that rows queue up */              \
    X(SIM_FAULT_DEAR, "dear")         /* a token costs many times as much CPU */                   \
    X(SIM_FAULT_PLAGUE, "plague")     /* the answers about very many tokens kill */                \
    X(SIM_FAULT_STEP, "step")         /* after the next power cut the clock says another time */   \
    X(SIM_FAULT_STARVED, "starved")   /* its thread gets no CPU, and is not to be killed for it */ \
    X(SIM_FAULT_SHARE, "share")       /* other nodes work on some of the tokens */

/* More than there will be: kinds keep their random numbers when others are added after them. */
#define SIM_FAULT_KINDS_MAX 64

enum sim_fault {
#define X(code, name) code,
    SIM_FAULT_LIST(X)
#undef X
        SIM_FAULT_COUNT
};

const char *sim_fault_name(enum sim_fault fault);

/* The kinds of a run with so many nodes (0: one engine): those above, or cluster.h's. */
int sim_fault_kinds(uint32_t nodes);
const char *sim_fault_kind_name(uint32_t nodes, int kind);

/* Faults as a set. */
_Static_assert(SIM_FAULT_COUNT <= SIM_FAULT_KINDS_MAX, "one bit each");
#define SIM_FAULT_BIT(fault) (1ULL << (fault))
#define SIM_ALL_FAULTS       (SIM_FAULT_BIT(SIM_FAULT_COUNT) - 1) /* of a run with one engine */

/* One fault of a run. All of them are drawn before it begins, so that any can be left out and the
 * others stay as they are. */
struct sim_occurrence {
    enum sim_fault fault;
    double from_s, to_s; /* since the beginning; the same: it only happens */
    double share;        /* of what it can hit, or how bad it is: [0, 1) */
    uint64_t seed;       /* of what is drawn while it lasts */
};

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
    uint32_t nodes;  /* 0: one engine, in all detail; else the world of cluster.h */
    uint32_t tokens; /* 0: drawn, 10 … 5,000 */
    uint64_t faults; /* a bit each; 0: none */
    /* By their number in sim_schedule(): faults that are left out; NULL: none. */
    const bool *dropped;
    /* The run in words, as it goes, for who wants to know how it came to its verdict. NULL: nothing
     * is put into words, which costs more than the run. */
    void (*on_line)(void *context, instant at, const char *line);
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
    uint32_t injected[SIM_FAULT_COUNT];    /* of these, by kind */
    uint64_t answers, bytes;               /* that the parser was given */
    uint64_t outcomes[FEED_OUTCOME_COUNT]; /* what it and the upstream said */
    uint64_t refused;                      /* 429 for going over the limit */
    uint64_t deaths;                       /* of the engine, of whatever */
    uint64_t poisoned;                     /* of these, by tokens that kill */
    uint64_t warm_starts, cold_starts, incidents;
    uint64_t torn;            /* slots of the table, by deaths in the middle of a step */
    uint64_t lost_commits;    /* relaxed ones, by power cuts */
    uint64_t commits, fenced; /* of the store; tries of engines that were replaced */
    uint64_t restarts;        /* that the core asked for */
    struct core_stats stats;  /* at the end */
    struct sim_minute minutes[LANE_KIND_COUNT][SIM_MINUTES_MAX];
    double addresses_per_request[LANE_KIND_COUNT]; /* of all: none is sent when nobody is due */
    /* Counted outside the core: answers that it took, by when the one before them came; and tokens
     * that were late when the run ended. */
    uint64_t refreshes[GROUP_COUNT];
    double on_time[GROUP_COUNT]; /* share */
    /* The weighted mean age of the hot tokens at the calm end, over the optimum of the requests
     * that were sent for them; NaN: nobody was hot, or it was too short. */
    double age_ratio;
    struct cluster_result cluster;
    uint64_t lost_in_outage;    /* demoted or archived while the upstream of a plan was down */
    double fresh_again_after_s; /* of an outage: until every token was answered since; −1 never */
    double least_s;             /* what the budgets of all lanes allow at best for that */
};

/* What would go wrong in such a run, by time; the caller's to free(). NULL: out of memory. Only
 * seed, hours and faults count; a kind that is left out of `faults` changes none of the others. */
struct sim_occurrence *sim_schedule(const struct sim_setup *setup, size_t *count) MUST_CHECK;

/* cluster.c's, for setups with nodes; sim_run() comes here. */
enum err cluster_run(const struct sim_setup *setup, struct sim_result *out) MUST_CHECK;

enum err sim_run(const struct sim_setup *setup, struct sim_result *out) MUST_CHECK;

#endif
