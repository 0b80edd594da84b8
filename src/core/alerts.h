/*
 * Alerts: from findings (finding.h), once a second, to the few messages that people are sent. Pure;
 * what is said where is src/alert's.
 *
 * An ALERT is a cause and its subject from the second that its finding is there until people know
 * that it is over. It is FIRING while the finding is there, CLEARING while it is gone and not long
 * enough, OVER when that is still to be told. All alerts of an installation make one story, as one
 * group of Alertmanager's does (https://prometheus.io/docs/alerting/latest/configuration/#route):
 *
 * - what is new waits ALERT_GATHER, so that causes that come together are told together;
 * - the next message waits for the cooldown, the one after for twice as long, and so on up to an
 *   hour, until there was none for an hour; each says all that came meanwhile. That some of it is
 *   over has half the hurry. But what is worse than all that people know of goes at once, and so
 *   does the news that all is well;
 * - the same cause is not told anew within the cooldown, nor while people know it, and what follows
 *   from what they know (finding.because) is no message of its own unless it is worse;
 * - what is told stays told at its worst, so a severity that goes up and down is told once;
 * - what stays is repeated after alert_repeat_sec, then after twice that time, up to a day;
 * - it is over when it has been good for alert_resolve_sec. One that comes back before is the same
 *   alert, and nobody is told; each time adds to its PENALTY, which halves in ALERT_HALF_LIFE. Over
 *   ALERT_SUPPRESS it FLAPS, and is not over before the penalty is down to ALERT_REUSE: route flap
 *   damping, RFC 2439 sections 4.2 and 4.4, with its ceiling, so that the wait has an end. While
 *   one flaps, none that is good is over within an hour: what an outage takes along comes and goes
 *   with it;
 * - at most alert_max_per_hour messages in any hour. The last of them is for what is worse than all
 *   before and for the end. What had to wait comes in one message, a DIGEST.
 *
 * A message says the whole state: what is new, what is over and what goes on. So the newest message
 * is all that a new engine must know (alerts_restore()), and a receiver may miss any but the last.
 *
 * Bounds: ALERTS_MAX alerts at a time, ALERT_ENTRIES_MAX in a message; the least severe are left
 * out and counted.
 */
#ifndef MOONWATCH_CORE_ALERTS_H
#define MOONWATCH_CORE_ALERTS_H

#include "base/options.h"
#include "base/time.h"
#include "core/finding.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ALERTS_MAX        96 /* FINDINGS_MAX, and those that are clearing */
#define ALERT_ENTRIES_MAX 32
#define ALERT_HOURLY_MAX  60 /* of alert_max_per_hour */

#define ALERT_GATHER     duration_s(1)
#define ALERT_REPEAT_MAX duration_s(86400)

/* An onset is 1. RFC 2439's figures are 1000 an onset, 2000 and 750, 15 minutes, and at most an
 * hour of suppression; routes are not people, who want to hear within minutes that it is over. */
#define ALERT_HALF_LIFE duration_s(300)
#define ALERT_SUPPRESS  2.0
#define ALERT_REUSE     0.75
#define ALERT_CEILING   3.0 /* two half-lives over ALERT_REUSE: over after ten minutes at most */

/* X(code, name) */
#define ALERT_STATE_LIST(X)                                                                        \
    X(ALERT_FREE, "free")                                                                          \
    X(ALERT_FIRING, "firing")                                                                      \
    X(ALERT_CLEARING, "clearing")                                                                  \
    X(ALERT_OVER, "over")

enum alert_state {
#define X(code, name) code,
    ALERT_STATE_LIST(X)
#undef X
        ALERT_STATE_COUNT
};

/* Why a message is sent. X(code, name) */
#define ALERT_MESSAGE_LIST(X)                                                                      \
    X(ALERT_NEWS, "news")         /* something is new, or worse, or some of it over */             \
    X(ALERT_REPEAT, "repeat")     /* it goes on */                                                 \
    X(ALERT_RESOLVED, "resolved") /* all is over */                                                \
    X(ALERT_DIGEST, "digest")     /* news that had to wait for the hour */                         \
    X(ALERT_TEST, "test")         /* somebody wants to know whether messages arrive */

enum alert_message_kind {
#define X(code, name) code,
    ALERT_MESSAGE_LIST(X)
#undef X
        ALERT_MESSAGE_KIND_COUNT
};

/* What an entry is to people who know the message before. X(code, name) */
#define ALERT_CHANGE_LIST(X)                                                                       \
    X(ALERT_IS_NEW, "new")                                                                         \
    X(ALERT_IS_WORSE, "worse")                                                                     \
    X(ALERT_IS_OVER, "resolved")                                                                   \
    X(ALERT_GOES_ON, "goes on")

enum alert_change {
#define X(code, name) code,
    ALERT_CHANGE_LIST(X)
#undef X
        ALERT_CHANGE_COUNT
};

struct alert_entry {
    struct finding finding; /* as it was seen last; `severity` the worst, `since` of the alert */
    enum alert_change change;
    enum severity before; /* of ALERT_IS_WORSE: what people knew */
    instant ended;        /* of ALERT_IS_OVER: when it was gone */
    double penalty;
    uint32_t onsets; /* how often it began; over 1 it comes and goes */
    bool flaps;
};

struct alert_message {
    int64_t id; /* rises; microseconds of the steady timeline when it was made, or a little more */
    instant at;
    enum alert_message_kind kind;
    enum severity severity; /* the worst entry's that is not over; of a resolved one the worst */
    uint32_t waited;        /* changes that a digest had to wait with */
    uint32_t omitted;       /* entries that did not fit */
    size_t count;
    struct alert_entry of[ALERT_ENTRIES_MAX]; /* changes first, worst first */
};

struct alert {
    enum alert_state state;
    struct finding finding; /* `since` is the alert's: of the first onset that is not over */
    enum severity told;     /* what people know, if: */
    bool is_told;
    bool is_held;     /* its news is counted as waiting for the hour */
    instant told_at;  /* that it fires; INSTANT_NEVER: never yet */
    instant gone_at;  /* of CLEARING and OVER, and what is remembered of a FREE one */
    instant worse_at; /* when it became new, or worse than told */
    double penalty;   /* at penalty_at */
    instant penalty_at;
    bool flaps;
    uint32_t onsets;
};

struct alerts {
    struct alert items[ALERTS_MAX];
    instant sent[ALERT_HOURLY_MAX]; /* a ring, the newest before `next_sent` */
    size_t next_sent;
    instant last_message_at;
    int64_t last_id;
    duration gap;          /* until the next, if it has no hurry */
    duration repeat_after; /* until what is known is told again */
    uint32_t waiting;      /* changes that wait for the hour */
    uint64_t onsets;       /* counters: alerts that began */
    uint64_t messages;     /* that were made */
    uint64_t untold;       /* alerts that came and went between two messages */
    uint64_t overflowed;   /* alerts that there was no room for */
};

const char *alert_state_name(enum alert_state state);
const char *alert_message_kind_name(enum alert_message_kind kind);
const char *alert_change_name(enum alert_change change);

void alerts_init(struct alerts *alerts);

/* Once a second. True: `out` is to be sent, and counts as sent. */
bool alerts_step(struct alerts *alerts, const struct findings *findings,
                 const struct options *options, instant now, struct alert_message *out);

/* A message that was made by an engine before this one; oldest first, before the first step. */
void alerts_restore(struct alerts *alerts, const struct alert_message *message,
                    const struct options *options, instant now);

/* One to see whether they arrive; it counts for nothing. */
void alerts_make_test(struct alerts *alerts, instant now, struct alert_message *out);

/* Those that are not FREE, in any order; returns how many. */
size_t alerts_active(const struct alerts *alerts, const struct alert *out[ALERTS_MAX]);

#endif
