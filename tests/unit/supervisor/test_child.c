/* One process: how it starts, what it is born with, how it ends. */
#include "supervisor/child.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

static struct child child;
static char shell[] = "/bin/sh", dash_c[] = "-c";

/* With nothing at its places but the link. */
static bool start_command(char *command)
{
    char *argv[] = {shell, dash_c, command, NULL};
    struct child_spec spec = {.program = shell, .argv = argv};
    for (int i = 0; i < FD_INHERITED_END; i++)
        spec.fds[i] = -1;
    child_init(&child, PROCESS_API);
    return child_start(&child, &spec);
}

static void await_death(void)
{
    struct pollfd death = {.fd = child.pidfd, .events = POLLIN};
    assert_int_equal(poll(&death, 1, 10000), 1);
    assert_true(child_reap(&child));
}

static void test_lives_and_ends(void **state)
{
    (void)state;
    static char command[] = "echo here >&5; exit 7";
    char text[16] = "";
    assert_true(start_command(command));
    pid_t pid = child.pid;
    int link = dup(child.link);
    await_death();
    assert_int_equal(child.status_code, CLD_EXITED);
    assert_int_equal(child.status, 7);
    assert_int_equal(child.pid, 0);
    assert_int_equal(child.last_pid, pid);
    assert_int_equal(child.pidfd, -1);
    assert_int_equal(child.link, -1);
    assert_int_equal(recv(link, text, sizeof text, 0), 5);
    assert_string_equal(text, "here\n");
    assert_int_equal(recv(link, text, sizeof text, 0), 0);
    close(link);
    assert_false(child_reap(&child)); /* once */
}

static void test_signals(void **state)
{
    (void)state;
    static char command[] = "while :; do sleep 1; done";
    assert_true(start_command(command));
    assert_false(child_reap(&child));
    assert_false(child_is_stopped(&child));
    child_signal(&child, SIGINT, 0); /* a terminal's are ignored */
    child_signal(&child, SIGHUP, 0);
    child_signal(&child, SIGSTOP, 0);
    while (!child_is_stopped(&child))
        usleep(1000);
    assert_true(child_is_stopped(&child)); /* looking takes nothing away */
    child_signal(&child, SIGCONT, 0);
    assert_false(child_reap(&child));
    child_signal(&child, SIGKILL, child.pid); /* to a thread: its first */
    await_death();
    assert_int_equal(child.status_code, CLD_KILLED);
    assert_int_equal(child.status, SIGKILL);
    child_signal(&child, SIGKILL, 0); /* nobody */
    assert_false(child_is_stopped(&child));
}

/* A sandbox may forbid pidfd_send_signal(). */
static void test_signals_without_a_pidfd(void **state)
{
    (void)state;
    static char command[] = "while :; do sleep 1; done";
    assert_true(start_command(command));
    int pidfd = child.pidfd;
    child.pidfd = -1;
    child_signal(&child, SIGKILL, 0);
    child.pidfd = pidfd;
    await_death();
    assert_int_equal(child.status, SIGKILL);
}

static void test_what_cannot_be_executed(void **state)
{
    (void)state;
    char *argv[] = {shell, NULL};
    struct child_spec spec = {.program = "/nowhere", .argv = argv, .fds = {[FD_LISTEN] = -1}};
    child_init(&child, PROCESS_ENGINE);
    assert_false(child_start(&child, &spec));
    assert_int_equal(errno, ENOENT);
    assert_int_equal(child.pid, 0);
    spec = (struct child_spec){.program = shell, .argv = argv, .fds = {[FD_PAGE] = 9999}};
    assert_false(child_start(&child, &spec));
    assert_int_equal(errno, EBADF);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nobody is left */
}

/* In a process that may have no others. */
static void start_without_room(void)
{
    static char command[] = "exit 0";
    struct rlimit before, none;
    getrlimit(RLIMIT_NPROC, &before);
    none = (struct rlimit){0, before.rlim_max};
    if (setrlimit(RLIMIT_NPROC, &none) != 0 || (getuid() == 0 && setresuid(NOBODY, NOBODY, 0) != 0))
        exit(3);
    prctl(PR_SET_DUMPABLE, 1); /* a leak checker looks into us at our end, with a thread */
    bool is_refused = !start_command(command) && errno == EAGAIN && child.pid == 0;
    setrlimit(RLIMIT_NPROC, &before);
    (void)!setresuid(0, 0, 0);
    exit(is_refused ? 0 : 1);
}

static void test_no_room_for_a_process(void **state)
{
    (void)state;
    int status;
    pid_t pid = fork();
    if (pid == 0)
        start_without_room();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
}

static void test_no_descriptors(void **state)
{
    (void)state;
    static char command[] = "exit 0";
    struct rlimit before, few = {3, 3};
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_false(start_command(command));
    assert_int_equal(errno, EMFILE);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void test_buried_by_somebody_else(void **state)
{
    (void)state;
    static char command[] = "exit 4";
    assert_true(start_command(command));
    assert_int_equal(waitpid(child.pid, NULL, 0), child.pid);
    assert_false(child_is_stopped(&child));
    assert_true(child_reap(&child));
    assert_int_equal(child.status_code, 0);
}

static void test_others_are_buried(void **state)
{
    (void)state;
    static char command[] = "exit 4";
    siginfo_t info;
    assert_true(start_command(command));
    pid_t stray = fork();
    if (stray == 0)
        _exit(0);
    const pid_t ours[] = {0, child.pid};
    assert_int_equal(waitid(P_PID, (id_t)child.pid, &info, WEXITED | WNOWAIT), 0);
    assert_int_equal(waitid(P_PID, (id_t)stray, &info, WEXITED | WNOWAIT), 0);
    /* Ours may stand before them in the row: they are buried when it has been. */
    child_reap_others(ours, 2);
    assert_true(child_reap(&child));
    assert_int_equal(child.status, 4);
    child_reap_others(ours, 2);
    assert_int_equal(waitpid(stray, NULL, WNOHANG), -1);
}

/* More than are buried at once. */
static void test_many_others(void **state)
{
    (void)state;
    siginfo_t info;
    pid_t strays[70];
    for (size_t i = 0; i < 70; i++) {
        strays[i] = fork();
        if (strays[i] == 0)
            _exit(0);
    }
    for (size_t i = 0; i < 70; i++)
        assert_int_equal(waitid(P_PID, (id_t)strays[i], &info, WEXITED | WNOWAIT), 0);
    child_reap_others(NULL, 0);
    assert_int_equal(waitid(P_ALL, 0, &info, WEXITED | WNOWAIT), 0); /* some are left */
    child_reap_others(NULL, 0);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
}

static void test_abandoned(void **state)
{
    (void)state;
    static char command[] = "read line <&5; exit 0";
    assert_true(start_command(command));
    pid_t pid = child.pid;
    child_abandon(&child);
    assert_int_equal(child.pid, 0);
    assert_int_equal(child.link, -1);
    assert_int_equal(waitpid(pid, NULL, 0), pid); /* its link has ended */
    child_abandon(&child);
}

/* As the supervisor does, so that no descriptor lies where a child has one of its own. */
static int occupy_places(void **state)
{
    (void)state;
    for (int fd = FD_PAGE; fd < FD_INHERITED_END; fd++)
        dup3(STDERR_FILENO, fd, O_CLOEXEC);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lives_and_ends),
        cmocka_unit_test(test_signals),
        cmocka_unit_test(test_signals_without_a_pidfd),
        cmocka_unit_test(test_what_cannot_be_executed),
        cmocka_unit_test(test_no_room_for_a_process),
        cmocka_unit_test(test_no_descriptors),
        cmocka_unit_test(test_buried_by_somebody_else),
        cmocka_unit_test(test_others_are_buried),
        cmocka_unit_test(test_many_others),
        cmocka_unit_test(test_abandoned),
    };
    return cmocka_run_group_tests(tests, occupy_places, NULL);
}
