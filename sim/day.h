/*
 * A day of the daemon's life in seconds: the real core and the real store in virtual time (sim.h),
 * with tokens that come, live, fade and are archived, watched from outside: what this process has
 * allocated, its descriptors, the database's files, and the rows in it. What grows in a day without
 * reason grows for ever.
 *
 * What may grow, and how: the table and the rows of `token` and `pool`, with every token that was
 * ever seen; snapshots and events until the retention options begin to bite, and no further.
 */
#ifndef MOONWATCH_SIM_DAY_H
#define MOONWATCH_SIM_DAY_H

#include "sim/sim.h"

/* X(code, name); what is counted of the log are its rows, of many refreshes each */
#define DAY_TABLE_LIST(X)                                                                          \
    X(DAY_TOKEN, "token")                                                                          \
    X(DAY_POOL, "pool")                                                                            \
    X(DAY_LOG_A, "refresh_log_a")                                                                  \
    X(DAY_LOG_B, "refresh_log_b")                                                                  \
    X(DAY_SNAPSHOT, "snapshot")                                                                    \
    X(DAY_EVENT, "event")                                                                          \
    X(DAY_SETTING, "setting")                                                                      \
    X(DAY_META, "meta")

enum day_table {
#define X(code, name) code,
    DAY_TABLE_LIST(X)
#undef X
        DAY_TABLE_COUNT
};

const char *day_table_name(enum day_table table);

#define DAY_SAMPLES_MAX 512

struct day_setup {
    uint64_t seed;
    double hours;           /* once everything has grown up: see day_settled_s() */
    double retention_hours; /* of snapshots and of events: short, so that it bites within the day */
    uint32_t active;        /* tokens that live all the time */
    double arrivals_per_hour; /* of tokens that live so long, are archived, and stay known: */
    double life_hours;        /* half hours */
    const char *folder;       /* for the database: its own, empty */
};

struct day_sample {
    double at_s;
    uint32_t tokens, followed;
    uint64_t table_bytes;
    uint64_t allocated_bytes; /* in use, of what malloc gives; most of it is SQLite's cache */
    uint64_t resident_bytes;  /* private memory */
    unsigned descriptors;
    int64_t file_bytes, wal_bytes, free_bytes; /* free: within the file */
    int64_t rows[DAY_TABLE_COUNT];
    int64_t token_bytes;                      /* pages of tokens and their pools */
    uint64_t snapshots_made, commits, writes; /* so far; writes: rows */
};

/* Of the time from settled_s on; a ratio is of the last hour to the first. */
struct day_verdict {
    double allocated, resident;
    unsigned descriptors_least, descriptors_most;
    /* Snapshots kept over those made within the retention: never fewer, and not many more. */
    double kept_least, kept_most;
    double file;        /* what is neither a token's nor a pool's, a snapshot that is to be kept */
    double table_bytes; /* a token */
    int64_t file_most, wal_most;
    int64_t log_most; /* rows */
};

struct day_result {
    struct sim_result sim; /* with the verdict of the oracles, and of the store against the table */
    size_t count;
    struct day_sample samples[DAY_SAMPLES_MAX];
    double settled_s;
    struct day_verdict verdict;
};

/* From here on as many tokens are archived as come, and as many snapshots deleted as are made. */
double day_settled_s(const struct day_setup *setup);

/* ERR_INVALID: the hours are too few to judge by, or too many for the samples. */
enum err day_run(const struct day_setup *setup, struct day_result *out) MUST_CHECK;

#endif
