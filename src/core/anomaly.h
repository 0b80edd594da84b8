/*
 * How unusual the newest value of a series is, in [0, 1]: from it and those before it, without any
 * knowledge of what a series measures, how long it goes on or between what bounds. Values may come
 * at any distance and out of order; one that is not known is NaN, which is a gap. No allocation,
 * 6 KB a series, 0.4 µs a value.
 *
 * How: six CHANNELS each say how far the value is off in a way of their own (a jump beside the
 * usual ones; a mean that leaves the long one; what is not usual at this time of the day; higher or
 * lower than ever; a state that was never seen). Each is compared with the largest events of its
 * own past (peaks.h): its SURPRISE is ln(n/rank) among n values, so that channels and series of
 * whatever unit and distribution can be added up. Their sum of squares, which lets several channels
 * confirm each other, is the WEIGHT of the value, and is ranked the same way among the largest
 * weights:
 *
 *     score = 1 − (rank + 1) / (all + 1),   all = 24 events, rank from 0
 *
 * What a score MEANS. 0: ordinary. 0.5: among the twelve heaviest of the events that are
 * remembered. 0.96: heavier than all of them. Above that, by an exponential tail: 0.99 is what one
 * in sixteen of such records reaches. What is older than PEAKS_HORIZON is forgotten, and an event
 * is the heaviest of a 25th of that; so noise of whatever distribution has a score of s or more (1
 * − s) · 25 times in as many values, a quarter less because of the rest below. A young series has
 * fewer, but for its first thousand values, in which much is new. The ALERT is for who wakes
 * somebody up: once in about a million values of noise, twelve days of one a second.
 *
 * An event is told once: for a while after a score of `alarm` or more (the REST, a share of what
 * was seen), a value has to be clearly heavier to get one again; else it stays below `alarm`.
 */
#ifndef MOONWATCH_CORE_ANOMALY_H
#define MOONWATCH_CORE_ANOMALY_H

#include "core/day_profile.h"
#include "core/novelty.h"
#include "core/peaks.h"

#define ANOMALY_ALERT     0.99
#define ANOMALY_BYTES_MAX (10 * 1024)

/* X(name, value, unit, why): what could be otherwise. docs/anomalies.md says what comes of that. */
#define ANOMALY_CONSTANT_LIST(X)                                                                   \
    X(fast, 32, "values", "long enough to average noise, shorter than any rhythm of a day")        \
    X(noise, 64, "values", "what jumps are usual just now; shorter forgets them between bursts")   \
    X(middle, 256, "values", "a drift that lasts; about a day of one in 5 minutes")                \
    X(slow, 512, "values", "what is normal: two middle ones, so that the two can differ")          \
    X(days, 3, "days", "of which the usual day is the mean; a week would mix in the week-end")     \
    X(among, 7, "events", "that a channel compares with: fewer are luck, more are everyday")       \
    X(among_all, 24, "events", "that weights are compared with: the resolution of the score")      \
    X(beyond, 0.5, "share", "of its tail's logarithm a record gets: one series' tail is a guess")  \
    X(apart, 0.04, "of all", "values closer than that are one event")                              \
    X(memory, 7, "values", "a surprise lasts, so that channels that answer later can confirm it")  \
    X(alarm, 0.5, "score", "from which on an event counts as told: half of those remembered")      \
    X(rest, 0.06, "of all", "that an event is not told again, the length of what it may cause")    \
    X(louder, 1.5, "times", "as heavy it must be to be told again all the same")

struct anomaly_constants {
#define X(name, value, unit, why) double name;
    ANOMALY_CONSTANT_LIST(X)
#undef X
};

#define ANOMALY_CHANNEL_LIST(X)                                                                    \
    X(JUMP)   /* from the value before, beside jumps as usual */                                   \
    X(LEVEL)  /* the middle mean's distance from the slow one */                                   \
    X(SEASON) /* the distance from what is usual at this time of the day */                        \
    X(HIGH)   /* the value itself */                                                               \
    X(LOW)    /* and upside down */                                                                \
    X(STATE)  /* value, fast mean and time of the day together: far from all that were before */

enum anomaly_channel {
#define X(name) CHANNEL_##name,
    ANOMALY_CHANNEL_LIST(X)
#undef X
        CHANNEL_COUNT
};

struct anomaly {
    const struct anomaly_constants *constants;
    uint64_t count; /* values so far */
    double previous;
    double fast, middle, slow; /* means */
    double spread;             /* mean distance from the slow mean */
    double noise, noise_usual; /* mean jump, lately and in the long run */
    double off_season;         /* mean distance from the usual day */
    struct day_profile day;
    struct novelty states;
    struct peaks channels[CHANNEL_COUNT];
    double surprises[CHANNEL_COUNT]; /* as they last */
    struct peaks weights;
    uint64_t told_at; /* the newest event that was told; 0: none */
    double told_size;
};

void anomaly_init(struct anomaly *anomaly);

/* With other constants, which have to outlive it. */
void anomaly_init_with(struct anomaly *anomaly, const struct anomaly_constants *constants);
const struct anomaly_constants *anomaly_default_constants(void);

/* `t_s` in seconds since 1970, for the time of the day; NaN: unknown. A value that is NaN, infinite
 * or beyond ±1e100 is a gap: it scores 0 and leaves no trace. */
double anomaly_add(struct anomaly *anomaly, double t_s, double value);

#endif
