/*
 * One child of the supervisor: a program of ours with its descriptors, its pidfd and the socket to
 * it. Started with vfork and exec (1 ms); watched through the pidfd, which names this process and
 * no other that got its number later. A child is told to stop with SIGTERM, is killed when it
 * overruns its time, and is gone when its death has been awaited.
 *
 * It starts with SIGTERM blocked, so that none is lost before it can handle it, and with SIGINT and
 * SIGHUP ignored: a terminal sends these to everybody, and it is the supervisor who decides.
 */
#ifndef MOONWATCH_SUPERVISOR_CHILD_H
#define MOONWATCH_SUPERVISOR_CHILD_H

#include "base/err.h"
#include "base/time.h"
#include "page/inherited.h"
#include "page/status_page.h"
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

struct child {
    enum page_process_id process;
    enum process_state state;
    pid_t pid;       /* 0: none */
    pid_t last_pid;  /* the same, and still known when it is gone */
    int pidfd;       /* −1: none */
    int link;        /* our end; −1: none */
    instant due_at;  /* of the state: when it is killed, or given up; INSTANT_FAR: no such time */
    bool is_killed;  /* by SIGKILL: there is nothing more to do to it */
    int status;      /* as waitid() tells, once dead: si_status */
    int status_code; /* si_code: CLD_EXITED, CLD_KILLED, CLD_DUMPED; 0: nobody knows */
};

/* What a child gets: descriptors by their place; −1 leaves a place empty. */
struct child_spec {
    const char *program; /* path */
    char *const *argv;   /* NULL at its end */
    int fds[FD_INHERITED_END];
};

void child_init(struct child *child, enum page_process_id process);

/* Starts it; FD_LINK is made here. The descriptors given are not below FD_INHERITED_END: each
 * process of the supervisor's keeps those places occupied. False with errno, also when the program
 * can't be executed: nothing was started. */
bool child_start(struct child *child, const struct child_spec *spec) MUST_CHECK;

/* To one thread of it, where `thread` is not 0. Errors mean that it is dead already. */
void child_signal(const struct child *child, int number, pid_t thread);

/* True when it was dead and has been reaped: status and status_code say how it ended. Its
 * descriptors are closed. */
bool child_reap(struct child *child) MUST_CHECK;

/* By SIGSTOP, a terminal, a debugger: it does not hang by itself. */
bool child_is_stopped(const struct child *child);

/* Buries the dead that are none of `ours`: who was left behind and died after all, and in a
 * container, where we may be process 1, whoever lost its parent. */
void child_reap_others(const pid_t ours[], size_t count);

/* Forgets a child whose death cannot be awaited. */
void child_abandon(struct child *child);

#endif
