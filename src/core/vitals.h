/*
 * Vital signs: the signals whose course is forecast, so that people are told, and the core acts,
 * before one of them reaches where it hurts. Each is a row: its unit, on which side it hurts, and
 * what it is. Where it hurts is read from the options, by foresee.c.
 *
 * Readings come once a second; forecast.h gets their means of VITAL_STEP_S, of those that were
 * known. Each sign has a STATE:
 *
 *   QUIET     no crossing in sight
 *   FORETOLD  a crossing within `forecast_horizon_sec`, for a minute, with `forecast_confidence`
 *   REACHED   it is past its threshold
 *
 * and each change of it is a score: FORETOLD to REACHED is a HIT, with the lead between them;
 * FORETOLD to QUIET was FALSE; QUIET to REACHED was MISSED. So how good forecasts are is a figure
 * and no claim. A sign takes 11 KB.
 */
#ifndef MOONWATCH_CORE_VITALS_H
#define MOONWATCH_CORE_VITALS_H

#include "base/options.h"
#include "base/time.h"
#include "core/anomaly.h"
#include "core/forecast.h"

/* X(code, name, unit, side, what it is) */
#define VITAL_LIST(X)                                                                              \
    X(VITAL_REFRESH_LATENCY, "refresh_latency", "seconds", FORECAST_RISES,                         \
      "latency of requests for hot tokens")                                                        \
    X(VITAL_UPSTREAM_LATENCY, "upstream_latency", "seconds", FORECAST_RISES,                       \
      "latency of the slowest kind of request")                                                    \
    X(VITAL_ERROR_RATE, "error_rate", "ratio", FORECAST_RISES,                                     \
      "requests of five minutes that failed")                                                      \
    X(VITAL_ON_TIME, "on_time_share", "ratio", FORECAST_FALLS,                                     \
      "refreshes of five minutes that came in time")                                               \
    X(VITAL_DEFERRED_AGE, "deferred_age", "intervals", FORECAST_RISES,                             \
      "age of the oldest token that waits, in intervals of its group")                             \
    X(VITAL_CPU, "cpu", "ratio", FORECAST_RISES, "CPU in use, the machine's or the cgroup's")      \
    X(VITAL_MEMORY, "memory", "ratio", FORECAST_RISES,                                             \
      "memory in use, the machine's or the cgroup's")                                              \
    X(VITAL_OWN_MEMORY, "own_memory", "ratio", FORECAST_RISES, "of that, what is ours")            \
    X(VITAL_LOOP_LAG, "loop_lag", "seconds", FORECAST_RISES, "how late the engine's loop is")      \
    X(VITAL_COMMIT_TIME, "commit_time", "seconds", FORECAST_RISES, "duration of a commit")         \
    X(VITAL_DATABASE_SIZE, "database_size", "bytes", FORECAST_RISES, "size of the database")       \
    X(VITAL_DISK, "disk", "ratio", FORECAST_RISES, "the database's file system in use")

enum vital {
#define X(code, name, unit, side, help) code,
    VITAL_LIST(X)
#undef X
        VITAL_COUNT
};

#define VITAL_STATE_LIST(X)                                                                        \
    X(VITAL_QUIET, "quiet")                                                                        \
    X(VITAL_FORETOLD, "foretold")                                                                  \
    X(VITAL_REACHED, "reached")

enum vital_state {
#define X(code, name) code,
    VITAL_STATE_LIST(X)
#undef X
        VITAL_STATE_COUNT
};

#define VITAL_STEP_S 10 /* a mean over it; the forecast sees steps of a minute and days */
#define VITAL_LEADS  32 /* newest hits that the median lead is of */

/* What is told of one. */
struct vital_stats {
    enum vital_state state;
    instant since;           /* of the state; INSTANT_NEVER: from the start */
    double reading;          /* the newest; NaN: unknown */
    double value, threshold; /* of the newest step; NaN: unknown, or there is none */
    double anomaly;          /* score of the newest step; NaN: unknown */
    bool is_anomalous;       /* it was over ANOMALY_ALERT within the last minute */
    struct outlook outlook;
    double eta_s; /* of what is foretold, or is to be; NaN: nothing in sight */
    uint32_t hits, false_alarms, missed;
    double median_lead_s; /* NaN: no hit yet */
};

struct vital_sign {
    struct vital_stats stats;
    struct forecast forecast;
    struct anomaly anomaly;
    instant anomalous_at; /* last */
    double sum;           /* of the known readings of this step */
    unsigned known;
    double usual;  /* mean of about a day */
    double steps;  /* known ones, ever */
    unsigned held; /* steps in a row in which a crossing was in sight */
    unsigned past; /* in which it was past its threshold */
    instant in_sight_at;
    double in_sight_eta_s; /* then */
    instant past_at;       /* last */
    float leads_s[VITAL_LEADS];
};

struct vitals {
    instant started_at, step_at;
    struct vital_sign of[VITAL_COUNT];
};

/* One that happened, for people to be told of. */
struct vital_change {
    enum vital vital;
    enum vital_state from, to;
};

void vitals_init(struct vitals *vitals, instant now);

/* A second's readings, NaN where unknown, and the thresholds in force, INFINITY where there is none
 * (−INFINITY where falling hurts). Returns how many changed their state. */
size_t vitals_read(struct vitals *vitals, const double readings[VITAL_COUNT],
                   const double thresholds[VITAL_COUNT], const struct options *options, instant now,
                   struct vital_change changes[VITAL_COUNT]);

/* What is usual for a signal, once ten minutes are known; NaN before. */
double vitals_usual(const struct vitals *vitals, enum vital vital);

/* "unknown" for what is out of range: values may come from shared memory. */
const char *vital_name(enum vital vital);
const char *vital_unit(enum vital vital);
const char *vital_help(enum vital vital);
const char *vital_state_name(enum vital_state state);
enum forecast_side vital_side(enum vital vital);

#endif
