/* See child.h. */
#include "supervisor/child.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_NO_EXEC   126 /* as shells say it */
#define OTHERS_AT_ONCE 64  /* then the loop looks at ours again */

void child_init(struct child *child, enum page_process_id process)
{
    *child = (struct child){.process = process, .pidfd = -1, .link = -1, .due_at = INSTANT_FAR};
}

static void take_signals(void)
{
    sigset_t blocked;
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    sigaction(SIGINT, &ignore, NULL);
    sigaction(SIGHUP, &ignore, NULL);
    sigemptyset(&blocked);
    sigaddset(&blocked, SIGTERM);
    sigprocmask(SIG_SETMASK, &blocked, NULL);
}

static bool take_places(const struct child_spec *spec, int link)
{
    for (int place = FD_PAGE; place < FD_INHERITED_END; place++) {
        int fd = place == FD_LINK ? link : spec->fds[place];
        if (fd >= 0 && dup2(fd, place) < 0)
            return false;
    }
    return true;
}

/* Between vfork and exec: calls of the kernel only, on memory that is still the parent's. That is
 * how an error gets there. */
static void become(const struct child_spec *spec, int link, volatile int *error)
{
    take_signals();
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (take_places(spec, link))
        execv(spec->program, spec->argv);
    *error = errno;
    _exit(EXIT_NO_EXEC);
}

/* Its process id; −1 with errno. A parent that dies before the child is watched closes its link. */
static pid_t execute(const struct child_spec *spec, int link)
{
    volatile int error = 0;
    pid_t pid = vfork();
    if (pid == 0)
        become(spec, link, &error);
    if (pid < 0 || error == 0)
        return pid;
    waitpid(pid, NULL, 0);
    errno = error;
    return -1;
}

static int watch(pid_t pid)
{
    int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
    int error = errno;
    if (pidfd < 0)
        kill(pid, SIGKILL); /* nobody is left unwatched; it is reaped with others' children */
    errno = error;
    return pidfd;
}

bool child_start(struct child *child, const struct child_spec *spec)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return false;
    pid_t pid = execute(spec, pair[1]);
    int pidfd = pid > 0 ? watch(pid) : -1;
    int error = errno;
    close(pair[1]);
    if (pidfd < 0) {
        close(pair[0]);
        errno = error;
        return false;
    }
    child->pid = child->last_pid = pid;
    child->pidfd = pidfd;
    child->link = pair[0];
    child->is_killed = false;
    child->status = child->status_code = 0;
    return true;
}

void child_signal(const struct child *child, int number, pid_t thread)
{
    if (child->pid == 0)
        return;
    if (thread != 0)
        syscall(SYS_tgkill, child->pid, thread, number);
    else if (syscall(SYS_pidfd_send_signal, child->pidfd, number, NULL, 0) != 0)
        kill(child->pid, number); /* a sandbox may forbid the other; the number is still its own */
}

void child_abandon(struct child *child)
{
    if (child->link >= 0)
        close(child->link);
    if (child->pidfd >= 0)
        close(child->pidfd);
    child->pid = 0;
    child->pidfd = child->link = -1;
    child->due_at = INSTANT_FAR;
}

/* False: it lives. That somebody else buried it counts as a death of which nothing is known. */
static bool await(pid_t pid, siginfo_t *info)
{
    *info = (siginfo_t){0};
    return waitid(P_PID, (id_t)pid, info, WEXITED | WNOHANG) != 0 || info->si_pid != 0;
}

bool child_reap(struct child *child)
{
    siginfo_t info;
    if (child->pid == 0 || !await(child->pid, &info))
        return false;
    child->status = info.si_status;
    child->status_code = info.si_code;
    child_abandon(child);
    return true;
}

bool child_is_stopped(const struct child *child)
{
    siginfo_t info = {0};
    return child->pid != 0 &&
           waitid(P_PID, (id_t)child->pid, &info, WSTOPPED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid != 0;
}

static bool is_among(const pid_t pids[], size_t count, pid_t pid)
{
    for (size_t i = 0; i < count; i++)
        if (pids[i] == pid)
            return true;
    return false;
}

void child_reap_others(const pid_t ours[], size_t count)
{
    siginfo_t dead;
    for (int i = 0; i < OTHERS_AT_ONCE; i++) {
        dead = (siginfo_t){0};
        if (waitid(P_ALL, 0, &dead, WEXITED | WNOHANG | WNOWAIT) != 0 || dead.si_pid == 0 ||
            is_among(ours, count, dead.si_pid))
            return;
        waitid(P_PID, (id_t)dead.si_pid, &dead, WEXITED | WNOHANG);
    }
}
