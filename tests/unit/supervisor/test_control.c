/* Clients of the control socket, well behaved and not. */
#include "supervised.h"

#include "folder.h"
#include "supervisor/control.h"
#include "supervisor/control_client.h"
#include "supervisor/parts.h"
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#define TOO_MANY (CONTROL_CLIENTS_MAX + 1)

static void send_command(int fd, enum command_kind kind, uint64_t tag)
{
    struct command command = {.kind = kind, .tag = tag};
    assert_int_equal(send(fd, &command, sizeof command, MSG_NOSIGNAL), sizeof command);
}

static struct reply receive(int fd)
{
    struct reply reply = {0};
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&waiting, 1, 10000), 1);
    assert_int_equal(recv(fd, &reply, sizeof reply, 0), sizeof reply);
    return reply;
}

static bool is_shut(int fd)
{
    char byte;
    struct pollfd waiting = {.fd = fd, .events = POLLIN};
    return poll(&waiting, 1, 10000) == 1 && recv(fd, &byte, 1, MSG_DONTWAIT) <= 0;
}

/* The supervisor has taken all that was sent. */
static bool nothing_waits_in(int fd)
{
    int bytes = 0;
    return ioctl(fd, SIOCOUTQ, &bytes) == 0 && bytes == 0;
}

static void test_passes_on_and_back(void **state)
{
    (void)state;
    supervised()->options.heartbeat_deadline_ms = 10000; /* it may be stopped for a while */
    supervised_start_and_up();
    int one = supervised_control(), two = supervised_control();
    for (int i = 0; i < 100; i++) {
        send_command(one, COMMAND_REFRESH, 0);
        send_command(two, COMMAND_REFRESH, 0);
        assert_string_equal(receive(two).message, "as the fake says");
        assert_string_equal(receive(one).message, "as the fake says");
    }
    /* Who goes away before his reply comes does no harm, nor does a reply that comes twice, nor
     * one to a question that was followed by another. */
    pid_t engine = (pid_t)pid_of(PROCESS_ENGINE);
    assert_int_equal(kill(engine, SIGSTOP), 0);
    send_command(one, COMMAND_REFRESH, 0);
    send_command(two, COMMAND_REFRESH, 0);
    send_command(two, COMMAND_REFRESH, 0);
    close(one);
    expect_soon(nothing_waits_in(two));
    assert_int_equal(kill(engine, SIGCONT), 0);
    assert_string_equal(receive(two).message, "as the fake says");
    assert_int_equal(supervised_ask(COMMAND_PAUSE).result, RESULT_DONE);
    send_command(two, COMMAND_REFRESH, 0);
    assert_string_equal(receive(two).message, "as the fake says");
    close(two);
    assert_int_equal(supervised_stop(), 0);
}

static void test_is_for_the_owner_only(void **state)
{
    struct stat file;
    (void)state;
    supervised_start_and_up();
    assert_int_equal(stat(supervised_path("state/" CONTROL_SOCKET), &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
    assert_int_equal(stat(supervised_path("state"), &file), 0);
    assert_int_equal(file.st_mode & 0777, 0700);
    assert_int_equal(supervised_stop(), 0);
    assert_int_not_equal(access(supervised_path("state/" CONTROL_SOCKET), F_OK), 0);
}

/* Should somebody have opened the folder to all. */
static void test_asks_who_it_is(void **state)
{
    (void)state;
    supervised_start_and_up();
    atomic_store(&supervised()->injected->peer_errno, EPERM);
    atomic_store(&supervised()->injected->for_times, 1);
    int fd = supervised_control();
    assert_true(is_shut(fd));
    close(fd);
    assert_int_equal(supervised_ask(COMMAND_REFRESH).result, RESULT_DONE);
    assert_int_equal(supervised_stop(), 0);
}

static void test_no_such_command(void **state)
{
    (void)state;
    supervised_start_and_up();
    assert_int_equal(supervised_ask(COMMAND_GO).result, RESULT_INVALID);
    assert_int_equal(supervised_ask(COMMAND_COUNT).result, RESULT_INVALID);
    assert_int_equal(supervised_ask((enum command_kind)4711).result, RESULT_INVALID);
    assert_int_equal(supervised_stop(), 0);
}

static void test_wrong_sizes(void **state)
{
    (void)state;
    static char large[sizeof(struct command) + 1];
    const size_t sizes[] = {1, sizeof(struct command) - 1, sizeof large};
    supervised_start_and_up();
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        int fd = supervised_control();
        assert_int_equal(send(fd, large, sizes[i], MSG_NOSIGNAL), sizes[i]);
        assert_true(is_shut(fd) || sizes[i] > sizeof(struct command));
        close(fd);
    }
    assert_int_equal(supervised_stop(), 0);
}

static void test_no_engine(void **state)
{
    (void)state;
    atomic_store(&orders_of(PROCESS_ENGINE)->at_go, FAKE_NEVER_READY);
    atomic_store(&orders_of(PROCESS_ENGINE)->for_starts, 1);
    supervised_start();
    struct reply reply = supervised_ask(COMMAND_REFRESH);
    assert_int_equal(reply.result, RESULT_UNAVAILABLE);
    assert_string_equal(reply.message, "the engine is not running; try again");
    assert_int_equal(supervised_stop(), 0);
}

static void test_too_many(void **state)
{
    (void)state;
    int fds[TOO_MANY];
    supervised_start_and_up();
    for (int i = 0; i < TOO_MANY; i++)
        fds[i] = supervised_control();
    assert_string_equal(receive(fds[CONTROL_CLIENTS_MAX]).message,
                        "too many are asking; try again");
    assert_true(is_shut(fds[CONTROL_CLIENTS_MAX]));
    /* A place is free again when one goes. */
    close(fds[3]);
    send_command(fds[0], COMMAND_REFRESH, 0);
    receive(fds[0]);
    fds[3] = supervised_control();
    send_command(fds[3], COMMAND_REFRESH, 0);
    assert_int_equal(receive(fds[3]).result, RESULT_DONE);
    for (int i = 0; i < TOO_MANY; i++)
        close(fds[i]);
    assert_int_equal(supervised_stop(), 0);
}

/* Whose replies fill his socket is shut out. */
static void test_who_does_not_read(void **state)
{
    (void)state;
    struct command command = {.kind = COMMAND_GO};
    supervised_start_and_up();
    int fd = supervised_control();
    for (int i = 0; i < 100000; i++)
        if (send(fd, &command, sizeof command, MSG_NOSIGNAL) < 0)
            break;
    assert_true(errno == EPIPE || errno == ECONNRESET);
    close(fd);
    fd = supervised_control();
    command.kind = COMMAND_STATUS;
    for (int i = 0; i < 100000; i++)
        if (send(fd, &command, sizeof command, MSG_NOSIGNAL) < 0)
            break;
    assert_true(errno == EPIPE || errno == ECONNRESET);
    close(fd);
    assert_int_equal(supervised_stop(), 0);
}

static void test_no_descriptors_for_a_client(void **state)
{
    (void)state;
    supervised_start_and_up();
    static const int errors[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
    for (int i = 0; i < 4; i++) {
        atomic_store(&supervised()->injected->accept_errno, errors[i]);
        atomic_store(&supervised()->injected->for_times, 1);
        assert_int_equal(supervised_ask(COMMAND_REFRESH).result, RESULT_DONE); /* a second later */
    }
    atomic_store(&supervised()->injected->accept_errno, ECONNABORTED);
    atomic_store(&supervised()->injected->for_times, 1);
    assert_int_equal(supervised_ask(COMMAND_REFRESH).result, RESULT_DONE);
    assert_int_equal(supervised_stop(), 0);
}

/* An engine that takes no more is as good as none. */
static void test_engine_that_does_not_read(void **state)
{
    (void)state;
    supervised()->options.heartbeat_deadline_ms = 10000;
    supervised_start_and_up();
    int fd = supervised_control();
    struct pollfd answered = {.fd = fd, .events = POLLIN};
    pid_t engine = (pid_t)pid_of(PROCESS_ENGINE);
    assert_int_equal(kill(engine, SIGSTOP), 0);
    for (int i = 0; i < 10000 && poll(&answered, 1, 0) == 0; i++)
        send_command(fd, COMMAND_REFRESH, 0);
    assert_int_equal(receive(fd).result, RESULT_UNAVAILABLE);
    assert_int_equal(kill(engine, SIGCONT), 0);
    close(fd);
    assert_int_equal(supervised_stop(), 0);
}

static void test_no_page_to_give(void **state)
{
    (void)state;
    supervised_start_and_up();
    atomic_store(&supervised()->injected->open_errno, EMFILE);
    atomic_store(&supervised()->injected->for_times, 1);
    struct reply reply = supervised_ask(COMMAND_STATUS);
    assert_int_equal(reply.result, RESULT_UNAVAILABLE);
    assert_string_equal(reply.message, "the status page can't be opened");
    assert_int_equal(supervised_stop(), 0);
}

/* ---- who asks ---- */

static const struct command status_wanted = {.kind = COMMAND_STATUS};
static const struct command table_wanted = {.kind = COMMAND_TABLE};
static char why[CONTROL_WHY_SIZE];

static void test_client(void **state)
{
    (void)state;
    struct control_answer answer;
    supervised_start_and_up();
    int fd = control_connect(&supervised()->options, why);
    assert_true(fd >= 0);
    assert_true(control_ask(fd, &status_wanted, duration_s(10), &answer, why));
    assert_int_equal(answer.reply.result, RESULT_DONE);
    assert_true(answer.page_fd >= 0);
    close(answer.page_fd);
    assert_int_equal(kill(supervised()->pid, SIGKILL), 0);
    assert_int_equal(supervised_wait(), -SIGKILL);
    assert_false(control_ask(fd, &status_wanted, duration_s(10), &answer, why));
    assert_non_null(strstr(why, "the daemon ended"));
    close(fd);
    /* Its socket is there still, and nobody listens. */
    assert_int_equal(control_connect(&supervised()->options, why), -1);
    assert_non_null(strstr(why, "no daemon runs with its state in"));
}

static void test_client_reads_the_table(void **state)
{
    (void)state;
    struct control_answer answer;
    struct table_memory memory;
    enum table_fault fault;
    supervised_start_and_up();
    int fd = control_connect(&supervised()->options, why);
    assert_true(fd >= 0);
    assert_true(control_ask(fd, &table_wanted, duration_s(10), &answer, why));
    assert_int_equal(answer.reply.result, RESULT_DONE);
    assert_int_equal(table_memory_attach_shared(&memory, answer.page_fd, &fault), OK);
    assert_int_equal(token_table_count(memory.table), 0);
    assert_int_equal(write(answer.page_fd, "", 1), -1); /* but it does not write */
    table_memory_finish(&memory);
    close(fd);
    assert_int_equal(supervised_stop(), 0);
}

static void test_client_without_a_daemon(void **state)
{
    (void)state;
    struct options *options = &supervised()->options;
    assert_int_equal(control_connect(options, why), -1);
    assert_non_null(strstr(why, "no daemon runs with its state in"));
    close(open(supervised_path("file"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600));
    snprintf(options->state_dir, sizeof options->state_dir, "%.200s", supervised_path("file/x"));
    assert_int_equal(control_connect(options, why), -1);
    assert_non_null(strstr(why, "no daemon runs with its state in"));
    snprintf(options->state_dir, sizeof options->state_dir, "%.200s", supervised_path("loop"));
    assert_int_equal(symlink(options->state_dir, options->state_dir), 0);
    assert_int_equal(control_connect(options, why), -1);
    assert_non_null(strstr(why, "can't be reached"));
}

static void try_as_nobody(void)
{
    bool is_told = (getuid() != 0 || setuid(65534) == 0) &&
                   control_connect(&supervised()->options, why) == -1 &&
                   strstr(why, "belongs to somebody else") != NULL;
    _exit(is_told ? 0 : 1);
}

static void test_client_of_somebody_else(void **state)
{
    (void)state;
    int status;
    supervised_start_and_up();
    assert_int_equal(chmod(supervised_path("state"), 0), 0);
    pid_t pid = fork();
    if (pid == 0)
        try_as_nobody();
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    assert_int_equal(chmod(supervised_path("state"), 0700), 0);
    assert_int_equal(supervised_stop(), 0);
}

static void test_client_that_is_not_allowed(void **state)
{
    (void)state;
    static const int errors[] = {EACCES, EPERM};
    supervised_start_and_up();
    for (int i = 0; i < 2; i++) {
        atomic_store(&supervised()->injected->socket_errno, errors[i]);
        atomic_store(&supervised()->injected->for_times, 1);
        assert_int_equal(control_connect(&supervised()->options, why), -1);
        assert_non_null(strstr(why, "belongs to somebody else"));
    }
    assert_int_equal(supervised_stop(), 0);
}

static void on_alarm(int number)
{
    (void)number;
}

static void test_client_waits_on_when_a_signal_comes(void **state)
{
    (void)state;
    struct control_answer answer;
    struct sigaction before, action = {.sa_handler = on_alarm}; /* no SA_RESTART */
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    const struct itimerval soon = {.it_value = {.tv_usec = 50000}};
    assert_int_equal(setitimer(ITIMER_REAL, &soon, NULL), 0);
    instant began = clock_now();
    assert_false(control_ask(pair[0], &status_wanted, duration_ms(200), &answer, why));
    assert_true(instant_diff(clock_now(), began).us >= 200000);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);

    /* A process that may have no descriptors can't wait for one. */
    struct rlimit limit, none;
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
    none = (struct rlimit){0, limit.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    bool answered = control_ask(pair[0], &status_wanted, duration_s(10), &answer, why);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
    assert_false(answered);
    close(pair[0]);
    close(pair[1]);
}

static void test_client_of_who_does_not_answer(void **state)
{
    (void)state;
    struct control_answer answer;
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    assert_false(control_ask(pair[0], &status_wanted, duration_ms(1), &answer, why));
    assert_non_null(strstr(why, "did not answer within"));
    assert_int_equal(send(pair[1], "?", 1, 0), 1);
    assert_false(control_ask(pair[0], &status_wanted, duration_s(10), &answer, why));
    assert_non_null(strstr(why, "ended before it answered"));
    struct reply reply = {.result = RESULT_UNAVAILABLE};
    assert_int_equal(send(pair[1], &reply, sizeof reply, 0), sizeof reply);
    assert_true(control_ask(pair[0], &status_wanted, duration_s(10), &answer, why));
    assert_int_equal(answer.page_fd, -1);
    close(pair[1]);
    assert_false(control_ask(pair[0], &status_wanted, duration_s(10), &answer, why));
    close(pair[0]);
}

/* ---- without a supervisor ---- */

static void test_silent_clients(void **state)
{
    (void)state;
    struct control control = {.fd = -1};
    int pair[2];
    instant now = {1000000000};
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        control.clients[i].fd = -1;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    control.clients[5] = (struct control_client){.fd = pair[0], .seen_at = now};
    control_on_second(&control, instant_add(now, duration_s(CONTROL_IDLE_SEC)));
    assert_int_equal(control.clients[5].fd, pair[0]);
    control_on_second(&control, instant_add(now, duration_s(CONTROL_IDLE_SEC + 1)));
    assert_int_equal(control.clients[5].fd, -1);
    assert_true(is_shut(pair[1]));
    close(pair[1]);
    control_finish(&control, -1);
}

/* A reply of the engine's shuts out who is gone; what poll() said of him before is not his any
 * more. */
static void test_client_that_is_shut_meanwhile(void **state)
{
    static struct supervisor supervisor;
    struct control *control = &supervisor.control;
    struct pollfd polls[CONTROL_POLLS];
    int pair[2];
    (void)state;
    *control = (struct control){.fd = -1};
    for (int i = 0; i < CONTROL_CLIENTS_MAX; i++)
        control->clients[i].fd = -1;
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair), 0);
    control->clients[3] = (struct control_client){.fd = pair[0], .serial = 7};
    close(pair[1]);
    control_polls(control, polls);
    assert_int_equal(poll(polls, CONTROL_POLLS, 10000), 1);
    control_on_reply(control, &(struct reply){.tag = 6 * CONTROL_CLIENTS_MAX + 3}); /* not to it */
    assert_int_equal(control->clients[3].fd, pair[0]);
    for (int i = 0; i < 2; i++)
        control_on_reply(control, &(struct reply){.tag = 7 * CONTROL_CLIENTS_MAX + 3});
    assert_int_equal(control->clients[3].fd, -1);
    control_on_polls(&supervisor, polls, (instant){1000000000});
    assert_int_equal(control->clients[3].seen_at.us, 0);
}

static void test_no_socket(void **state)
{
    (void)state;
    struct control control;
    struct folder folder;
    folder_make(&folder);
    int fd = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    assert_int_equal(mkdirat(fd, CONTROL_SOCKET, 0700),
                     0); /* what can't be unlinked is in the way */
    assert_false(control_init(&control, fd, why));
    assert_non_null(strstr(why, "no control socket in the state folder"));
    assert_int_equal(control.fd, -1);
    assert_int_equal(unlinkat(fd, CONTROL_SOCKET, AT_REMOVEDIR), 0);
    atomic_store(&supervised()->injected->listen_errno, EADDRINUSE);
    atomic_store(&supervised()->injected->for_times, 1);
    assert_false(control_init(&control, fd, why));
    assert_non_null(strstr(why, "Address already in use"));
    atomic_store(&supervised()->injected->socket_errno, EMFILE);
    atomic_store(&supervised()->injected->for_times, 1);
    assert_false(control_init(&control, fd, why));
    assert_non_null(strstr(why, "Too many open files"));
    snprintf(supervised()->options.state_dir, sizeof folder.path, "%s", folder.path);
    atomic_store(&supervised()->injected->for_times, 1);
    assert_int_equal(control_connect(&supervised()->options, why), -1);
    assert_non_null(strstr(why, "Too many open files"));
    close(fd);
    folder_remove(&folder);
}

int main(int argc, char *argv[])
{
    supervised_main(argc, argv);
#define CASE(name) cmocka_unit_test_setup_teardown(name, supervised_begin, supervised_end)
    const struct CMUnitTest tests[] = {
        CASE(test_passes_on_and_back),
        CASE(test_is_for_the_owner_only),
        CASE(test_asks_who_it_is),
        CASE(test_no_such_command),
        CASE(test_wrong_sizes),
        CASE(test_no_engine),
        CASE(test_too_many),
        CASE(test_who_does_not_read),
        CASE(test_no_descriptors_for_a_client),
        CASE(test_engine_that_does_not_read),
        CASE(test_no_page_to_give),
        CASE(test_client),
        CASE(test_client_reads_the_table),
        CASE(test_client_without_a_daemon),
        CASE(test_client_of_somebody_else),
        CASE(test_client_that_is_not_allowed),
        cmocka_unit_test(test_client_of_who_does_not_answer),
        cmocka_unit_test(test_client_waits_on_when_a_signal_comes),
        cmocka_unit_test(test_silent_clients),
        cmocka_unit_test(test_client_that_is_shut_meanwhile),
        CASE(test_no_socket),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
