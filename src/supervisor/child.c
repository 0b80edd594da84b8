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

#define EXIT_NO_EXEC 126 /* as shells say it */

void child_init(struct child *child, enum page_process_id process)
{
    *child = (struct child){.process = process, .pidfd = -1, .link = -1, .due_at = INSTANT_FAR};
}

/* Between vfork and exec: calls of the kernel only, on memory that is still the parent's. */
static void become(const struct child_spec *spec, int link, pid_t parent)
{
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(0); /* it died before it could be watched */
    for (int place = FD_PAGE; place < FD_INHERITED_END; place++) {
        int fd = place == FD_LINK ? link : spec->fds[place];
        if (fd >= 0 && dup2(fd, place) < 0)
            _exit(EXIT_NO_EXEC);
    }
    execv(spec->program, spec->argv);
    _exit(EXIT_NO_EXEC);
}

bool child_start(struct child *child, const struct child_spec *spec)
{
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) != 0)
        return false;
    pid_t parent = getpid();
    pid_t pid = vfork();
    if (pid == 0)
        become(spec, pair[1], parent);
    int error = errno;
    close(pair[1]);
    child->pidfd = pid > 0 ? (int)syscall(SYS_pidfd_open, pid, 0) : -1;
    if (child->pidfd < 0) {
        error = pid > 0 ? errno : error;
        if (pid > 0) {
            kill(pid, SIGKILL);
            waitpid(pid, NULL, 0);
        }
        close(pair[0]);
        errno = error;
        return false;
    }
    child->pid = pid;
    child->link = pair[0];
    child->status = child->status_code = 0;
    return true;
}

void child_signal(const struct child *child, int number, pid_t thread)
{
    if (child->pid == 0)
        return;
    if (thread != 0)
        syscall(SYS_tgkill, child->pid, thread, number);
    else
        syscall(SYS_pidfd_send_signal, child->pidfd, number, NULL, 0);
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

bool child_reap(struct child *child)
{
    siginfo_t info = {0};
    if (child->pid == 0 || waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOHANG) != 0 ||
        info.si_pid == 0)
        return false;
    child->status = info.si_status;
    child->status_code = info.si_code;
    child_abandon(child);
    return true;
}
