/*
 * One child of the supervisor: a program of ours with its descriptors, its pidfd and the socket to
 * it. Started with vfork and exec (1 ms); watched through the pidfd, which names this process and
 * no other that got its number later. A child is told to stop with SIGTERM, is killed when it
 * overruns its time, and is gone when its death has been awaited.
 */
#ifndef MOONWATCH_SUPERVISOR_CHILD_H
#define MOONWATCH_SUPERVISOR_CHILD_H

#include "base/time.h"
#include "page/inherited.h"
#include "page/status_page.h"
#include <stdbool.h>
#include <sys/types.h>

struct child {
    enum page_process_id process;
    enum process_state state;
    pid_t pid;       /* 0: none */
    int pidfd;       /* −1: none */
    int link;        /* our end; −1: none */
    instant due_at;  /* of the state: when it is killed, or given up; INSTANT_FAR: no such time */
    int status;      /* as waitid() tells, once dead: si_status */
    int status_code; /* si_code: CLD_EXITED, CLD_KILLED, CLD_DUMPED */
};

/* What a child gets: descriptors by their place; −1 leaves a place empty. */
struct child_spec {
    const char *program; /* path */
    char *const *argv;   /* NULL at its end */
    int fds[FD_INHERITED_END];
};

void child_init(struct child *child, enum page_process_id process);

/* Starts it; FD_LINK is made here. The descriptors given are not below FD_INHERITED_END: each
 * process of the supervisor's keeps those places occupied. False with errno: nothing was started.
 */
bool child_start(struct child *child, const struct child_spec *spec);

/* To one thread of it, where `thread` is not 0. Errors mean that it is dead already. */
void child_signal(const struct child *child, int number, pid_t thread);

/* True when it was dead and has been reaped: status and status_code say how it ended. Its
 * descriptors are closed. */
bool child_reap(struct child *child);

/* Forgets a child whose death cannot be awaited. */
void child_abandon(struct child *child);

#endif
