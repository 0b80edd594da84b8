/*
 * INCIDENTS: what a person reads after a crash or a hang. A file each, STATE/incidents/NNNNNN.json:
 * who died of what, where it was, what it had in hand, what happened in the seconds before, and how
 * it was healed.
 *
 * incident_begin() comes right after the death: it copies from the page what the next process would
 * write over. incident_finish() comes when the next one is ready (or nobody will be), and writes
 * the file: complete or not at all (a rename), for our eyes only (0600). Healing never waits for it
 * and nothing is synced. Of a folder that takes no file, the newest incident is kept here and tried
 * again once a second, until it is written or the next one needs its place: then it is lost, which
 * is logged and counted. Nothing is allocated: who heals must be able to when memory is out.
 *
 * Numbers go on where the folder ends. Kept are files of the newest `max` numbers.
 */
#ifndef MOONWATCH_SUPERVISOR_INCIDENT_H
#define MOONWATCH_SUPERVISOR_INCIDENT_H

#include "base/json.h"
#include "base/time.h"
#include "page/status_page.h"
#include "supervisor/restart_policy.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define INCIDENT_SPAN_SEC        30  /* of transitions before the death */
#define INCIDENT_TRANSITIONS_MIN 64  /* also when they are older */
#define INCIDENT_TRANSITIONS_MAX 512 /* 30 s at the real upstream's limits, with room */
#define INCIDENT_WHY_SIZE        256
#define INCIDENT_MESSAGE_SIZE    512
/* 512 transitions of at most 300 bytes, 48 frames of 256, 30 mints, and the rest. */
#define INCIDENT_TEXT_MAX (256 << 10)

/* X(code, name, what it did: %g signal, %x exit status, %d ms of silence and whose) */
#define INCIDENT_CAUSE_LIST(X)                                                                     \
    X(INCIDENT_SIGNAL, "signal", "died of %g")                                                     \
    X(INCIDENT_EXIT, "exit", "ended with status %x")                                               \
    X(INCIDENT_HANG, "hang", "did not move for %d")                                                \
    X(INCIDENT_STOPPED, "stopped", "was stopped from outside and did not move for %d")             \
    X(INCIDENT_OUT_OF_MEMORY, "out_of_memory",                                                     \
      "was killed by the kernel, which was out of memory")                                         \
    X(INCIDENT_MEMORY_CEILING, "memory_ceiling", "grew over its memory ceiling and did not end")   \
    X(INCIDENT_COMMAND, "command", "was killed because somebody asked for it")                     \
    X(INCIDENT_NOT_DRAINED, "not_drained", "did not end in time after it was told to")             \
    X(INCIDENT_UNAWAITABLE, "unawaitable", "did not even end when killed: it waits in the kernel")

enum incident_cause {
#define X(code, name, phrase) code,
    INCIDENT_CAUSE_LIST(X)
#undef X
        INCIDENT_CAUSE_COUNT
};

/* X(code, name) */
#define HEALING_ACTION_LIST(X)                                                                     \
    X(HEALING_NONE, "none") /* we were ending, or nothing helped so far; `why` */                  \
    X(HEALING_EMERGENCY_RESTART, "emergency_restart")                                              \
    X(HEALING_GRACEFUL_RESTART, "graceful_restart")

enum healing_action {
#define X(code, name) code,
    HEALING_ACTION_LIST(X)
#undef X
        HEALING_ACTION_COUNT
};

/* What is known when it is noticed. */
struct incident_death {
    instant at;
    enum page_process_id process;
    enum incident_cause cause;
    pid_t pid;
    int signal;      /* 0: none */
    int exit_status; /* of INCIDENT_EXIT */
    uint64_t thread; /* that fell, or hung; 0: unknown */
    enum beat beat;  /* the one that was overdue; BEAT_COUNT: none */
    duration silent; /* how long it had been */
    uint64_t generation;
};

struct incident_healing {
    enum healing_action action;
    enum start_kind start;
    uint32_t attempts;                /* starts until one was ready */
    duration replaced_after;          /* death noticed to ready */
    char why[INCIDENT_WHY_SIZE];      /* of this start, or of none; may be empty */
    size_t suspects_now, quarantined; /* tokens on the list; of these, in quarantine */
};

struct incident {
    uint64_t number; /* 0: none under way */
    struct incident_death death;
    struct crash_report crash; /* is_filled 0: it left none */
    uint32_t in_hand_count, in_hand_lane;
    uint64_t in_hand_request;
    struct address in_hand[IN_HAND_MAX];
    uint32_t transition_count;
    struct flight_record transitions[INCIDENT_TRANSITIONS_MAX]; /* oldest first */
};

/* The folder of incidents. Large: static, not on a stack. */
struct incidents {
    int folder; /* descriptor; the caller's */
    uint64_t max, next;
    uint64_t unwritten; /* its number, its text being in `json`; 0: none */
    struct json json;
    char text[INCIDENT_TEXT_MAX];
};

/* Looks through the folder and deletes what is over `max`. Complaints are logged; numbering begins
 * at 1 then. */
void incidents_init(struct incidents *incidents, int folder, int64_t max);

/* Gives it a number and copies from the page. The crash report is taken off the page: the next
 * process begins without. What is in hand stays, for suspects_on_death(). */
void incident_begin(struct incidents *incidents, struct incident *out, struct status_page *page,
                    const struct incident_death *death);

/* Writes the file and tells page and log; ends `incident` (number 0). False: not written yet,
 * see incidents_retry(). */
bool incident_finish(struct incidents *incidents, struct incident *incident,
                     const struct incident_healing *healing, struct status_page *page);

/* Tries to write what could not be written. Once a second, and at the end. */
void incidents_retry(struct incidents *incidents, struct status_page *page);
/* What is not written by now is lost. */
void incidents_finish(struct incidents *incidents, struct status_page *page);

/* "the engine did not move for 512 ms while it handled an answer about 1 token; it was killed and
 * replaced after 14 ms (warm)". Returns the length. */
size_t incident_message(const struct incident *incident, const struct incident_healing *healing,
                        char out[INCIDENT_MESSAGE_SIZE]);

const char *incident_cause_name(enum incident_cause cause);
const char *healing_action_name(enum healing_action action);

#endif
