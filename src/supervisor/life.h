/*
 * A child's life: its states, the ways between them, and what is done to it on these ways. When to
 * go which way is decided by heal.c.
 *
 * A STANDBY is an engine that was started beforehand, loaded its program and waits for the word to
 * go; of it, WAITING means that it is ready to. It is on no page, and touches nothing of ours.
 */
#ifndef MOONWATCH_SUPERVISOR_LIFE_H
#define MOONWATCH_SUPERVISOR_LIFE_H

#include "base/err.h"
#include "base/time.h"
#include "page/status_page.h"
#include <stdbool.h>
#include <sys/types.h>

/* X(from, to, when): there are no other ways. */
#define LIFE_LIST(X)                                                                               \
    X(PROCESS_ABSENT, PROCESS_STARTING, "it was started")                                          \
    X(PROCESS_ABSENT, PROCESS_WAITING, "it could not be started")                                  \
    X(PROCESS_STARTING, PROCESS_RUNNING, "it says that it is ready")                               \
    X(PROCESS_STARTING, PROCESS_DRAINING, "it is told to end")                                     \
    X(PROCESS_STARTING, PROCESS_DYING, "it does not get ready, or by order: it is killed")         \
    X(PROCESS_STARTING, PROCESS_WAITING, "it died; of a standby: it waits for the word to go")     \
    X(PROCESS_STARTING, PROCESS_ABSENT, "it ended, and nobody follows")                            \
    X(PROCESS_RUNNING, PROCESS_DRAINING, "it is told to end")                                      \
    X(PROCESS_RUNNING, PROCESS_DYING, "it hangs, or by order: it is killed")                       \
    X(PROCESS_RUNNING, PROCESS_WAITING, "it died")                                                 \
    X(PROCESS_RUNNING, PROCESS_ABSENT, "it died, and nobody follows")                              \
    X(PROCESS_DRAINING, PROCESS_DYING, "it does not end, or hangs, or by order: it is killed")     \
    X(PROCESS_DRAINING, PROCESS_WAITING, "it died before it was done")                             \
    X(PROCESS_DRAINING, PROCESS_ABSENT, "it ended as it was told to")                              \
    X(PROCESS_DYING, PROCESS_WAITING, "it is dead, or left behind")                                \
    X(PROCESS_DYING, PROCESS_ABSENT, "it is dead, or left behind, and nobody follows")             \
    X(PROCESS_WAITING, PROCESS_STARTING, "its wait is over")                                       \
    X(PROCESS_WAITING, PROCESS_WAITING, "it could not be started")                                 \
    X(PROCESS_WAITING, PROCESS_DYING, "of a standby: it is wanted no more")                        \
    X(PROCESS_WAITING, PROCESS_ABSENT, "nobody follows; of a standby: it ended, or took over")

struct supervisor;
struct ward;
struct child;

bool life_permits(enum process_state from, enum process_state to);

/* The one place where a child's state changes: on the page and in the flight recorder, too. */
void life_change(struct supervisor *supervisor, struct child *child, enum process_state to);

/* A process of the child's kind; it does nothing before life_begin(). False: logged. */
bool life_spawn(struct supervisor *supervisor, struct child *child) MUST_CHECK;
/* From now on it is the process of its kind: STARTING. An engine gets the word to go. */
void life_begin(struct supervisor *supervisor, struct ward *ward, instant now);
/* Who stands by becomes the engine's process, in the place of a spawned one. False: nobody does. */
bool life_take_standby(struct supervisor *supervisor) MUST_CHECK;

/* DRAINING, when it is there and was not told yet. */
void life_tell_to_end(struct supervisor *supervisor, struct child *child, duration limit);
/* DYING. `thread`: first it may say where it is, by a signal to that thread; 0: at once. */
void life_end_by_force(struct supervisor *supervisor, struct child *child, pid_t thread);
/* The time of one that is DYING is over: the kill after the last words, then there is nothing left
 * to do. False: it can't be awaited. */
bool life_press(struct supervisor *supervisor, struct child *child) MUST_CHECK;

#endif
