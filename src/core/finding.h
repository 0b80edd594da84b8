/*
 * Findings: ONE vocabulary of what is wrong now. Health, alerts, /metrics, the page and `moonwatch
 * ctl` all speak it, so nobody has an opinion of his own about what is late.
 *
 * A FINDING is a cause and whom it concerns (its SUBJECT: a group, a lane, a job …), how bad it is,
 * since when, the number that was seen and the one that it passed. The core recomputes all of them
 * once a second (health.h); as long as cause and subject stay the same it is the same finding, with
 * the same `since`, however its number and severity move. So whoever tells people of findings knows
 * what is new, what got worse and what is over.
 *
 * What a cause is called, what it says and what to do about it are the rows of FINDING_LIST, and
 * nowhere else. docs/findings.md is printed from them (`moonwatch findings`); a test compares.
 */
#ifndef MOONWATCH_CORE_FINDING_H
#define MOONWATCH_CORE_FINDING_H

#include "base/time.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* INFO: worth knowing, and nothing is wrong. WARNING and ERROR: degraded; an error is what a person
 * should look at today. CRITICAL: what the daemon is there for does not happen, or will soon not.
 */
#define SEVERITY_LIST(X)                                                                           \
    X(SEVERITY_INFO, "info")                                                                       \
    X(SEVERITY_WARNING, "warning")                                                                 \
    X(SEVERITY_ERROR, "error")                                                                     \
    X(SEVERITY_CRITICAL, "critical")

enum severity {
#define X(code, name) code,
    SEVERITY_LIST(X)
#undef X
        SEVERITY_COUNT
};

/* What the severities come to. */
#define HEALTH_LIST(X)                                                                             \
    X(HEALTH_HEALTHY, "healthy")                                                                   \
    X(HEALTH_DEGRADED, "degraded")                                                                 \
    X(HEALTH_CRITICAL, "critical")

enum health {
#define X(code, name) code,
    HEALTH_LIST(X)
#undef X
        HEALTH_COUNT
};

/* What it is about, as clients call it. */
#define COMPONENT_LIST(X)                                                                          \
    X(COMPONENT_SCHEDULER, "scheduler")                                                            \
    X(COMPONENT_JOBS, "jobs")                                                                      \
    X(COMPONENT_FEEDS, "feeds")                                                                    \
    X(COMPONENT_STORE, "store")                                                                    \
    X(COMPONENT_SOURCE, "source")                                                                  \
    X(COMPONENT_PROCESSES, "processes")                                                            \
    X(COMPONENT_RESOURCES, "resources")                                                            \
    X(COMPONENT_FORECAST, "forecast")                                                              \
    X(COMPONENT_CLUSTER, "cluster")

enum component {
#define X(code, name) code,
    COMPONENT_LIST(X)
#undef X
        COMPONENT_COUNT
};

/* What `subject` counts. X(code, name) */
#define SUBJECT_LIST(X)                                                                            \
    X(SUBJECT_NONE, "none")       /* there is but one: 0 */                                        \
    X(SUBJECT_GROUP, "group")     /* enum token_group */                                           \
    X(SUBJECT_LANE, "lane")       /* enum lane_kind */                                             \
    X(SUBJECT_JOB, "job")         /* enum job */                                                   \
    X(SUBJECT_PROCESS, "process") /* enum watched_process */                                       \
    X(SUBJECT_LOAD, "load")       /* enum load_signal_id */                                        \
    X(SUBJECT_SIGNAL, "signal")   /* of what is forecast */

enum subject_kind {
#define X(code, name) code,
    SUBJECT_LIST(X)
#undef X
        SUBJECT_KIND_COUNT
};

/* The processes that others watch, in the order of the status page. */
#define WATCHED_PROCESS_LIST(X)                                                                    \
    X(WATCHED_SUPERVISOR, "supervisor")                                                            \
    X(WATCHED_ENGINE, "engine")                                                                    \
    X(WATCHED_API, "api")

enum watched_process {
#define X(code, name) code,
    WATCHED_PROCESS_LIST(X)
#undef X
        WATCHED_PROCESS_COUNT
};

/* What `value` and `limit` count. */
#define UNIT_LIST(X)                                                                               \
    X(UNIT_NONE, "none") /* both are NaN */                                                        \
    X(UNIT_COUNT, "count")                                                                         \
    X(UNIT_SECONDS, "seconds")                                                                     \
    X(UNIT_PERCENT, "percent")                                                                     \
    X(UNIT_PER_MINUTE, "per_minute")

enum finding_unit {
#define X(code, name) code,
    UNIT_LIST(X)
#undef X
        UNIT_COUNT_OF
};

/*
 * X(code, name, component, subject, unit, sentence, what to do)
 *
 * A sentence has {who}, {value} and {limit} in it, for finding_text() to fill in.
 */
#define FINDING_LIST(X)                                                                            \
    /* scheduler: are tokens kept fresh? */                                                        \
    X(FINDING_SCHEDULER_OFF, "scheduler_off", COMPONENT_SCHEDULER, SUBJECT_NONE, UNIT_NONE,        \
      "the scheduler is off (scheduler_enabled = false): nothing is fetched",                      \
      "Start it with scheduler_enabled = true, or without the option.")                            \
    X(FINDING_PAUSED, "paused", COMPONENT_SCHEDULER, SUBJECT_NONE, UNIT_NONE,                      \
      "the scheduler is paused: nothing is fetched until it is resumed",                           \
      "`moonwatch ctl resume`, when whoever paused it is done.")                                   \
    X(FINDING_LOADING, "loading", COMPONENT_SCHEDULER, SUBJECT_NONE, UNIT_NONE,                    \
      "tokens are still being read from the store", "Wait: a million takes some seconds.")         \
    X(FINDING_CATCHING_UP, "catching_up", COMPONENT_SCHEDULER, SUBJECT_GROUP, UNIT_SECONDS,        \
      "{who} tokens are up to {value} old after a time without fetching; each is on its way",      \
      "Nothing: who is not fetched within twice the interval ({limit}) from then on is called "    \
      "late.")                                                                                     \
    X(FINDING_GROUP_LATE, "group_late", COMPONENT_SCHEDULER, SUBJECT_GROUP, UNIT_SECONDS,          \
      "a {who} token that is due was refreshed {value} ago, over {limit}",                         \
      "See the findings of the feeds and of resources: with none, there are more tokens than the " \
      "budget refreshes at this interval. Raise the interval, or the requests a minute where the " \
      "upstream allows more.")                                                                     \
    X(FINDING_GROUP_UNPUNCTUAL, "group_unpunctual", COMPONENT_SCHEDULER, SUBJECT_GROUP,            \
      UNIT_PERCENT,                                                                                \
      "{value} of the refreshes of {who} tokens in the last five minutes were on time, under "     \
      "{limit}",                                                                                   \
      "As for group_late; GET /health/freshness shows who waits and for which budget.")            \
    X(FINDING_GROUP_SILENT, "group_silent", COMPONENT_SCHEDULER, SUBJECT_GROUP, UNIT_SECONDS,      \
      "no {who} token was refreshed for {value}, over {limit}",                                    \
      "See the findings of the feeds: the upstream does not answer, or nothing reaches it.")       \
    X(FINDING_GROUP_OVERDUE, "group_overdue", COMPONENT_SCHEDULER, SUBJECT_GROUP, UNIT_COUNT,      \
      "{value} {who} tokens are older than maximum_age_sec: not even that can be kept",            \
      "The upstream's limits do not suffice for so many tokens: raise them where it allows more, " \
      "lower archive_below_hours or monitoring_timeout_hours, or raise maximum_age_sec.")          \
    /* jobs */                                                                                     \
    X(FINDING_JOB_LATE, "job_late", COMPONENT_JOBS, SUBJECT_JOB, UNIT_SECONDS,                     \
      "the {who} job last began {value} ago, over {limit}",                                        \
      "The engine does not get to it: see the findings of resources.")                             \
    X(FINDING_JOB_STUCK, "job_stuck", COMPONENT_JOBS, SUBJECT_JOB, UNIT_COUNT,                     \
      "the {who} job did not end within job_deadline_sec, {value} times in a row; it is run "      \
      "again",                                                                                     \
      "At {limit} in a row the engine is replaced. For export and retention look at the disk; "    \
      "raise job_deadline_sec where they only need more time.")                                    \
    X(FINDING_JOB_FAILED, "job_failed", COMPONENT_JOBS, SUBJECT_JOB, UNIT_COUNT,                   \
      "the {who} job failed {value} times in a row; it is tried again at its next turn",           \
      "The log says why. Export: export_path must be writable; retention: see the findings of "    \
      "the store.")                                                                                \
    /* feeds */                                                                                    \
    X(FINDING_BREAKER_OPEN, "breaker_open", COMPONENT_FEEDS, SUBJECT_NONE, UNIT_NONE,              \
      "the upstream is in trouble and is left alone but for a probe now and then",                 \
      "Nothing, if it is the upstream's trouble: what is known stays served, and everybody is "    \
      "asked for again when a probe is answered. Else look at network, name service and feed.")    \
    X(FINDING_REFUSED, "refused", COMPONENT_FEEDS, SUBJECT_LANE, UNIT_PERCENT,                     \
      "the upstream refused {value} of the {who} requests of the last minute, over {limit}",       \
      "Its limit is being learnt. If it stays, others use it from this address, or "               \
      "{who}_requests_per_minute is too high.")                                                    \
    X(FINDING_FEED_ERRORS, "feed_errors", COMPONENT_FEEDS, SUBJECT_LANE, UNIT_PERCENT,             \
      "{value} of the {who} requests of the last five minutes failed, over {limit}",               \
      "GET /health/feeds says how they ended.")                                                    \
    X(FINDING_ERRORS, "errors", COMPONENT_FEEDS, SUBJECT_NONE, UNIT_COUNT,                         \
      "{value} errors in the last hour, over {limit}",                                             \
      "GET /health/feeds and /health/store say which. health_errors_per_hour is the limit.")       \
    X(FINDING_FEED_SLOW, "feed_slow", COMPONENT_FEEDS, SUBJECT_LANE, UNIT_SECONDS,                 \
      "{who} requests take {value}, over {limit}",                                                 \
      "The upstream or the way to it is slow; more feed_connections help only while it answers.")  \
    X(FINDING_FEED_SILENT, "feed_silent", COMPONENT_FEEDS, SUBJECT_LANE, UNIT_SECONDS,             \
      "{who} requests are sent and none was answered for {value}, over {limit}",                   \
      "Look at network, name service and feed; GET /health/feeds says how they ended.")            \
    X(FINDING_LIMIT_LEARNT, "limit_learnt", COMPONENT_FEEDS, SUBJECT_LANE, UNIT_PER_MINUTE,        \
      "the upstream takes {who} requests at about {value}, under the {limit} configured",          \
      "Nothing, if tokens are on time: it is tried again and again whether it allows more. "       \
      "Configured lower, it would refuse less.")                                                   \
    /* store */                                                                                    \
    X(FINDING_STORE_DOWN, "store_down", COMPONENT_STORE, SUBJECT_NONE, UNIT_NONE,                  \
      "the store takes no writes; tokens wait in memory and nothing of theirs is lost",            \
      "The log and GET /health/store say why: a full disk, a database that somebody locks, "       \
      "permissions.")                                                                              \
    X(FINDING_STORE_LATE, "store_late", COMPONENT_STORE, SUBJECT_NONE, UNIT_SECONDS,               \
      "changes wait for the store and nothing was committed for {value}, over {limit}",            \
      "The disk hangs, or another program holds the database.")                                    \
    X(FINDING_STORE_SLOW, "store_slow", COMPONENT_STORE, SUBJECT_NONE, UNIT_SECONDS,               \
      "a commit takes {value}, over {limit}",                                                      \
      "The disk is slow or busy: look for who else uses it.")                                      \
    X(FINDING_STORE_BEHIND, "store_behind", COMPONENT_STORE, SUBJECT_NONE, UNIT_PERCENT,           \
      "the store falls behind: {value} of the rows that may wait do, over {limit}",                \
      "A faster disk; a larger store_queue_limit for peaks. When it is full, the oldest history "  \
      "is dropped, never a token.")                                                                \
    X(FINDING_STORE_ERRORS, "store_errors", COMPONENT_STORE, SUBJECT_NONE, UNIT_COUNT,             \
      "{value} commits failed in the last hour and were written again", "The log says why.")       \
    X(FINDING_STORE_DROPPED, "store_dropped", COMPONENT_STORE, SUBJECT_NONE, UNIT_COUNT,           \
      "{value} rows of history were dropped in the last hour because the store could not keep up", \
      "As for store_behind. Scores and states are whole; the history has gaps.")                   \
    /* source */                                                                                   \
    X(FINDING_SOURCE_DOWN, "source_down", COMPONENT_SOURCE, SUBJECT_NONE, UNIT_SECONDS,            \
      "the source of new tokens does not speak to us for {value}, over {limit}: new ones are "     \
      "missed",                                                                                    \
      "Nothing, if it is the source's trouble: it is tried again. Else look at network and "       \
      "source. POST /tokens takes what was missed.")                                               \
    X(FINDING_SOURCE_SILENT, "source_silent", COMPONENT_SOURCE, SUBJECT_NONE, UNIT_SECONDS,        \
      "the source is connected and named no token for {value}, over {limit}",                      \
      "Compare with the source's own page: it may have no news, or have changed what it sends.")   \
    /* cluster: of a daemon that is one of several nodes */                                        \
    X(FINDING_NODE_OUTSIDE, "node_outside", COMPONENT_CLUSTER, SUBJECT_NONE, UNIT_SECONDS,         \
      "this node has not been let in among the nodes for {value}, over {limit}: it fetches "       \
      "nothing",                                                                                   \
      "GET /health/cluster says what the database answered: it is out of reach, a daemon is "      \
      "alone on it, or it has 64 nodes.")                                                          \
    X(FINDING_NODE_RESTS, "node_rests", COMPONENT_CLUSTER, SUBJECT_NONE, UNIT_SECONDS,             \
      "this node's lease time was over {value} ago: it fetches nothing, and other nodes may have " \
      "its slots",                                                                                 \
      "It goes on when the database answers it: look at network and database; GET "                \
      "/health/cluster says how the newest exchange failed.")                                      \
    X(FINDING_NODE_UNHEARD, "node_unheard", COMPONENT_CLUSTER, SUBJECT_NONE, UNIT_SECONDS,         \
      "the database has not answered this node's exchanges for {value}, over {limit}",             \
      "As for node_rests: the node rests when its lease time is over.")                            \
    X(FINDING_FOLLOWS_LATE, "follows_late", COMPONENT_CLUSTER, SUBJECT_NONE, UNIT_SECONDS,         \
      "what other nodes wrote is followed {value} late, over {limit}: their tokens look older "    \
      "here than they are",                                                                        \
      "The database or the way to it is slow, or this node is busy: see the findings of the "      \
      "store and of resources.")                                                                   \
    X(FINDING_SLOTS_UNOWNED, "slots_unowned", COMPONENT_CLUSTER, SUBJECT_NONE, UNIT_COUNT,         \
      "{value} slots have been nobody's for longer than the lease time: their tokens are not "     \
      "refreshed",                                                                                 \
      "No node can take them: see GET /health/cluster for nodes whose capacity is 0, and there "   \
      "the findings of the feeds; start another node.")                                            \
    X(FINDING_SOURCE_UNOWNED, "source_unowned", COMPONENT_CLUSTER, SUBJECT_NONE, UNIT_SECONDS,     \
      "no node has listened to the source of new tokens for {value}, over {limit}",                \
      "As for slots_unowned. POST /tokens takes what was missed.")                                 \
    X(FINDING_CLOCK_OFF, "clock_off", COMPONENT_CLUSTER, SUBJECT_NONE, UNIT_SECONDS,               \
      "the clocks of two nodes differ by {value}, over {limit}",                                   \
      "Let NTP set them; GET /health/cluster says whose clock it is. Ages are put right by the "   \
      "difference, no sooner than it is known.")                                                   \
    /* processes */                                                                                \
    X(FINDING_ENGINE_DOWN, "engine_down", COMPONENT_PROCESSES, SUBJECT_NONE, UNIT_NONE,            \
      "there is no engine that works: nothing is fetched",                                         \
      "It is started again by itself; `moonwatch ctl incidents` says what it died of.")            \
    X(FINDING_RESTARTED, "restarted", COMPONENT_PROCESSES, SUBJECT_PROCESS, UNIT_COUNT,            \
      "the {who} died or hung {value} times in the last hour and was started again",               \
      "`moonwatch ctl incidents` says what it died of.")                                           \
    X(FINDING_CRASH_LOOP, "crash_loop", COMPONENT_PROCESSES, SUBJECT_PROCESS, UNIT_COUNT,          \
      "the {who} died {value} times in the last hour, over {limit}: restarts wait "                \
      "as long as they may",                                                                       \
      "`moonwatch ctl incidents` says what it dies of. It is never given up; "                     \
      "max_restarts_per_hour is the limit.")                                                       \
    X(FINDING_QUARANTINED, "quarantined", COMPONENT_PROCESSES, SUBJECT_NONE, UNIT_COUNT,           \
      "{value} tokens are in quarantine: each was in hand at two deaths",                          \
      "GET /health/supervisor shows them; they are released after quarantine_sec or by hand. "     \
      "Report what the upstream answers about them.")                                              \
    /* resources */                                                                                \
    X(FINDING_STRAINED, "strained", COMPONENT_RESOURCES, SUBJECT_NONE, UNIT_PERCENT,               \
      "the engine does not keep up, at {value} of how late it may be: work is shed",               \
      "Give it more CPU, or fewer tokens; GET /health/priority says what is shed.")                \
    X(FINDING_LOAD_HIGH, "load_high", COMPONENT_RESOURCES, SUBJECT_LOAD, UNIT_PERCENT,             \
      "{who} is at {value}, over {limit}",                                                         \
      "GET /health/resources says how much of it is ours. CPU: nothing is wrong while tokens are " \
      "on time. Memory: free some, or the kernel ends somebody. Descriptors: raise the limit.")    \
    X(FINDING_DISK_SHORT, "disk_short", COMPONENT_RESOURCES, SUBJECT_NONE, UNIT_PERCENT,           \
      "the disk of the database is {value} full, over {limit}: history is shortened",              \
      "Make room, or lower snapshot_retention_days and event_retention_days.")                     \
    X(FINDING_LOAD_UNKNOWN, "load_unknown", COMPONENT_RESOURCES, SUBJECT_LOAD, UNIT_NONE,          \
      "how much {who} is in use cannot be known: nothing is shed for it",                          \
      "/proc and the cgroup's files must be readable.")                                            \
    /* forecast: filled by the forecasts of signals */                                             \
    X(FINDING_FORECAST, "forecast", COMPONENT_FORECAST, SUBJECT_SIGNAL, UNIT_SECONDS,              \
      "{who} reaches its threshold in about {value}, if it goes on as it does",                    \
      "GET /health/forecast shows its course; act before it is reached.")                          \
    X(FINDING_ANOMALY, "anomaly", COMPONENT_FORECAST, SUBJECT_SIGNAL, UNIT_PERCENT,                \
      "{who} behaves as it never did: anomaly score {value}, over {limit}",                        \
      "GET /health/forecast shows its course. Nothing need be wrong.")

enum finding_cause {
#define X(code, name, component, subject, unit, sentence, todo) code,
    FINDING_LIST(X)
#undef X
        FINDING_CAUSE_COUNT
};

/* What follows from what: an upstream that is down makes tokens late, and a person who was told the
 * first need not be told the second. Something follows from another that is there now, or was so
 * many seconds ago: what is counted over a time stays for that time.
 *
 * X(the finding, what it follows from, seconds) */
#define FINDING_BECAUSE_LIST(X)                                                                    \
    X(FINDING_GROUP_LATE, FINDING_BREAKER_OPEN, 60)                                                \
    X(FINDING_GROUP_LATE, FINDING_FEED_SILENT, 60)                                                 \
    X(FINDING_GROUP_LATE, FINDING_REFUSED, 60)                                                     \
    X(FINDING_GROUP_LATE, FINDING_STRAINED, 60)                                                    \
    X(FINDING_GROUP_UNPUNCTUAL, FINDING_BREAKER_OPEN, 330)                                         \
    X(FINDING_GROUP_UNPUNCTUAL, FINDING_FEED_SILENT, 330)                                          \
    X(FINDING_GROUP_UNPUNCTUAL, FINDING_REFUSED, 330)                                              \
    X(FINDING_GROUP_UNPUNCTUAL, FINDING_STRAINED, 330)                                             \
    X(FINDING_GROUP_UNPUNCTUAL, FINDING_GROUP_LATE, 330)                                           \
    X(FINDING_GROUP_SILENT, FINDING_BREAKER_OPEN, 60)                                              \
    X(FINDING_GROUP_SILENT, FINDING_FEED_SILENT, 60)                                               \
    X(FINDING_GROUP_OVERDUE, FINDING_BREAKER_OPEN, 60)                                             \
    X(FINDING_GROUP_OVERDUE, FINDING_FEED_SILENT, 60)                                              \
    X(FINDING_FEED_ERRORS, FINDING_BREAKER_OPEN, 330)                                              \
    X(FINDING_FEED_SILENT, FINDING_BREAKER_OPEN, 60)                                               \
    X(FINDING_ERRORS, FINDING_BREAKER_OPEN, 3600)                                                  \
    X(FINDING_ERRORS, FINDING_FEED_ERRORS, 3600)                                                   \
    X(FINDING_ERRORS, FINDING_STORE_DOWN, 3600)                                                    \
    X(FINDING_STORE_LATE, FINDING_STORE_DOWN, 60)                                                  \
    X(FINDING_STORE_BEHIND, FINDING_STORE_DOWN, 60)                                                \
    X(FINDING_STORE_ERRORS, FINDING_STORE_DOWN, 3600)                                              \
    X(FINDING_STORE_DROPPED, FINDING_STORE_DOWN, 3600)                                             \
    X(FINDING_STORE_DROPPED, FINDING_STORE_BEHIND, 3600)                                           \
    X(FINDING_STORE_DOWN, FINDING_DISK_SHORT, 60)                                                  \
    X(FINDING_GROUP_LATE, FINDING_NODE_RESTS, 60)                                                  \
    X(FINDING_GROUP_UNPUNCTUAL, FINDING_NODE_RESTS, 330)                                           \
    X(FINDING_NODE_RESTS, FINDING_NODE_UNHEARD, 60)                                                \
    X(FINDING_FOLLOWS_LATE, FINDING_NODE_UNHEARD, 60)                                              \
    X(FINDING_SLOTS_UNOWNED, FINDING_BREAKER_OPEN, 60)                                             \
    X(FINDING_SOURCE_UNOWNED, FINDING_SLOTS_UNOWNED, 60)

struct finding {
    enum finding_cause cause;
    uint8_t subject; /* of what its cause's subject kind says */
    enum severity severity;
    enum finding_cause because; /* what it follows from; FINDING_CAUSE_COUNT: it stands alone */
    instant since;              /* that cause and subject are there */
    double value, limit;        /* in the cause's unit; NaN: none */
};

/* More than there can be at once: each cause, for each of its subjects that rules look at. Beyond
 * it the least severe go, and `left_out` counts. */
#define FINDINGS_MAX 64

struct findings {
    uint32_t count;
    uint32_t left_out;
    struct finding of[FINDINGS_MAX]; /* in the order of causes, then subjects */
};

/* Names and sentences; "unknown" for what is out of range: values may come from shared memory. */
const char *finding_name(enum finding_cause cause);
const char *finding_sentence(enum finding_cause cause); /* with its {…} */
const char *finding_what_to_do(enum finding_cause cause);
enum component finding_component(enum finding_cause cause);
enum subject_kind finding_subject_kind(enum finding_cause cause);
enum finding_unit finding_unit(enum finding_cause cause);
const char *finding_subject_name(enum finding_cause cause, unsigned subject); /* "" for none */

const char *severity_name(enum severity severity);
const char *health_name(enum health health);
const char *component_name(enum component component);
const char *subject_kind_name(enum subject_kind kind);
const char *watched_process_name(enum watched_process process);
const char *finding_unit_name(enum finding_unit unit);

/* Both texts with the numbers filled in. */
#define FINDING_TEXT_SIZE 384
void finding_text(const struct finding *finding, char out[FINDING_TEXT_SIZE]);
void finding_advice(const struct finding *finding, char out[FINDING_TEXT_SIZE]);

/* At its place; in the stead of the one of this cause and subject that may be there. */
void findings_add(struct findings *findings, const struct finding *finding);
/* The one of this cause and subject; NULL: it is not found. */
const struct finding *findings_get(const struct findings *findings, enum finding_cause cause,
                                   unsigned subject);
/* Tokens are not kept fresh while this is there: /ready says no. */
bool finding_is_unready(enum finding_cause cause);
/* What they come to: the worst of them. */
enum health findings_health(const struct findings *findings);

#endif
