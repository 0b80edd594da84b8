/*
 * The flight recorder: the last transitions of every process, in shared memory, intact after any
 * death. A record is 64 bytes. Writers of all processes and threads take the next serial number
 * with one atomic addition, claim its place, fill it, and store the serial last. A place that
 * somebody else has claimed is passed over, so nobody waits and no two write the same: what is read
 * is whole. A writer that dies in the middle leaves its place claimed for good; one of 4096, and a
 * death must fall into some 10 ns for it.
 *
 * What is recorded is a row of FLIGHT_LIST. `what` says which of its kind (a lane, a job, a
 * process…), `from` and `to` are states of it, `number` and `subject` whatever identifies it. Texts
 * are made by readers (flight_describe()), not by those who record: recording takes some 20 ns.
 */
#ifndef MOONWATCH_PAGE_FLIGHT_H
#define MOONWATCH_PAGE_FLIGHT_H

#include "base/address.h"
#include "base/time.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FLIGHT_RECORDS 4096 /* a power of two; at the real upstream's limits about two minutes */

/* X(code, name, sentence): %w what, %f from, %t to, %n number, %d number with its sign, %s subject.
 * Of STORE, SOURCE and PAUSE, state 0 is the good one. */
#define FLIGHT_LIST(X)                                                                             \
    X(FLIGHT_PROCESS, "process", "%w: %f to %t (pid %n)")                                          \
    X(FLIGHT_START, "start", "%w start: %t (pid %n)")                                              \
    X(FLIGHT_REQUEST_SENT, "request_sent", "request %n sent in %w, %t addresses, first %s")        \
    X(FLIGHT_REQUEST_ENDED, "request_ended", "request %n of %w ended: %t")                         \
    X(FLIGHT_LIFE, "life", "%s is %t now")                                                         \
    X(FLIGHT_JOB, "job", "job %w: %f to %t (run %n)")                                              \
    X(FLIGHT_BREAKER, "breaker", "breaker: %f to %t")                                              \
    X(FLIGHT_SUSPECT, "suspect", "%s: suspicion %f to %t")                                         \
    X(FLIGHT_PAUSE, "pause", "scheduler: %f to %t")                                                \
    X(FLIGHT_LOAD, "load", "load, %w: %f to %t")                                                   \
    X(FLIGHT_FEATURE, "feature", "optional feature %w: %t")                                        \
    X(FLIGHT_FORECAST, "forecast", "the threshold of %w: %f to %t")                                \
    X(FLIGHT_STORE, "store", "store: %f to %t")                                                    \
    X(FLIGHT_SOURCE, "source", "source: %f to %t")                                                 \
    X(FLIGHT_LIMIT, "limit", "the upstream's limit of %w %t: %n a minute")                         \
    X(FLIGHT_ALERT, "alert", "message %n to people, %w: %t")                                       \
    X(FLIGHT_COMMAND, "command", "command %w (tag %n)")                                            \
    X(FLIGHT_HEALING, "healing", "healing: %t of %w (%n)")                                         \
    X(FLIGHT_CLOCK, "clock", "the wall clock was set by %d us")                                    \
    X(FLIGHT_FAULT, "fault", "fault point %w armed (%n)")

/* Of FLIGHT_START: what has been reached. X(code, name) */
#define START_STAGE_LIST(X)                                                                        \
    X(STAGE_GO, "told to go")                                                                      \
    X(STAGE_STORE, "store open")                                                                   \
    X(STAGE_FIRST, "first tokens in their lanes") /* often all */                                  \
    X(STAGE_UPSTREAMS, "upstreams set up")                                                         \
    X(STAGE_READY, "ready")                                                                        \
    X(STAGE_TABLE, "all tokens in their lanes")

enum start_stage {
#define X(code, name) code,
    START_STAGE_LIST(X)
#undef X
        START_STAGE_COUNT
};

enum flight_kind {
#define X(code, name, sentence) code,
    FLIGHT_LIST(X)
#undef X
        FLIGHT_KIND_COUNT
};

/* `to` of FLIGHT_HEALING. X(code, name) */
#define FLIGHT_HEALING_LIST(X)                                                                     \
    X(HEALED_GRACEFULLY, "graceful restart")                                                       \
    X(HEALED_BY_FORCE, "emergency restart")                                                        \
    X(HEALED_BY_QUARANTINE, "quarantine")

enum flight_healing {
#define X(code, name) code,
    FLIGHT_HEALING_LIST(X)
#undef X
        FLIGHT_HEALING_COUNT
};

/* `to` of FLIGHT_ALERT; `what` is a sink. X(code, name) */
#define FLIGHT_ALERT_LIST(X)                                                                       \
    X(FLIGHT_ALERT_MADE, "made")                                                                   \
    X(FLIGHT_ALERT_DELIVERED, "delivered")                                                         \
    X(FLIGHT_ALERT_FAILED, "failed, tried again")                                                  \
    X(FLIGHT_ALERT_REFUSED, "refused")

enum flight_alert {
#define X(code, name) code,
    FLIGHT_ALERT_LIST(X)
#undef X
        FLIGHT_ALERT_COUNT
};

#define FLIGHT_CLAIMED (1ULL << 63) /* of a serial: its record is being written */

struct flight_record {
    _Atomic uint64_t serial; /* 1 …; stored last; 0: empty */
    int64_t at_us;           /* instant */
    uint8_t kind;            /* enum flight_kind */
    uint8_t process;         /* enum page_process */
    uint8_t what, from, to;
    uint8_t spare[3];
    uint64_t number;
    struct address subject; /* a mint or a pool; zero: none */
};

_Static_assert(sizeof(struct flight_record) == 64, "one cache line");

struct flight {
    _Atomic uint64_t next;    /* serials given out */
    _Atomic uint64_t dropped; /* found no place: somebody wrote over the recorder */
    struct flight_record records[FLIGHT_RECORDS];
};

struct flight_note {
    enum flight_kind kind;
    unsigned process, what, from, to;
    uint64_t number;
    const struct address *subject; /* may be NULL */
};

/* From any thread of any process; never waits. */
void flight_record(struct flight *flight, instant now, const struct flight_note *note);

/* Copies the newest `most` whole records, oldest first; returns how many. */
size_t flight_read(const struct flight *flight, struct flight_record *out, size_t most);

/* A sentence about a record, for people; returns the length. */
size_t flight_describe(const struct flight_record *record, char *out, size_t size);

const char *flight_kind_name(enum flight_kind kind);

#endif
