/*
 * The supervisor: what `moonwatch run` is. It holds what must outlive its children (the listening
 * socket, the status page, the token table, the channel between them), starts them, watches them,
 * and replaces the one that dies, hangs or grows too large. It speaks to no network and to no
 * database, and allocates nothing once it runs: what heals must not be what needs healing.
 *
 *   supervisor.c      its parts, its loop, its end
 *   heal.c            what each event in a child's life leads to: the healing steps 4 to 6
 *   life.c            the states of a child, the ways between them, and what is done on these
 *   death.c           what is made of a death: its cause, an incident, suspicion against tokens
 *   world.c           what the children share, and renewing it
 *   child.c           one process: start, signal, reap
 *   control.c         `moonwatch ctl`, over a UNIX socket
 *   restart_policy.c  when to start again, pure          watch.c   who has stopped moving, pure
 *   incident.c        what is written down about a death  memory.c  who has grown too large
 *   state_dir.c       the folder for all that             notify.c  what systemd is told
 *
 * If the supervisor dies, its children see their socket to it end, and stop cleanly.
 */
#ifndef MOONWATCH_SUPERVISOR_SUPERVISOR_H
#define MOONWATCH_SUPERVISOR_SUPERVISOR_H

#include "base/options.h"

struct supervisor_config {
    const struct options *options;
    char *const *arguments; /* of the command line, after the verb; NULL at their end */
    const char *program;    /* what to start; NULL: ourselves */
    int faults;             /* memory of a drill's faults (page/faults.h); −1: none */
};

/* Runs until SIGTERM or SIGINT, then stops the engine, which drains, and the api. Returns the exit
 * status: 0, or 1 when it could not start or the engine could not write everything. */
int supervisor_run(const struct supervisor_config *config);

#endif
