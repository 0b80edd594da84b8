#include "page/passed_fd.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static int pair[2];

static int begin(void **state)
{
    (void)state;
    return socketpair(AF_UNIX, SOCK_SEQPACKET, 0, pair);
}

static int end(void **state)
{
    (void)state;
    close(pair[0]);
    close(pair[1]);
    return 0;
}

static void tell(int fd)
{
    union passed_fd passed;
    char byte = 'x';
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd >= 0)
        passed_fd_give(&passed, fd, &message);
    assert_int_equal(sendmsg(pair[0], &message, 0), 1);
}

static int hear(void)
{
    union passed_fd passed;
    char byte;
    struct iovec part = {&byte, 1};
    struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
    passed_fd_expect(&passed, &message);
    return passed_fd_take(&message, recvmsg(pair[1], &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC));
}

static void test_comes_along(void **state)
{
    (void)state;
    int ends[2];
    char byte = 0;
    assert_int_equal(pipe(ends), 0);
    tell(ends[1]);
    close(ends[1]);
    int fd = hear();
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "y", 1), 1);
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    close(fd);
    close(ends[0]);
}

static void test_none_comes(void **state)
{
    (void)state;
    tell(-1);
    assert_int_equal(hear(), -1);
    assert_int_equal(hear(), -1); /* no message at all */
    close(pair[0]);
    assert_int_equal(hear(), -1); /* nor a sender */
    pair[0] = -1;
}

/* The kernel sends along other things, too. */
static void test_something_else_comes(void **state)
{
    (void)state;
    static const struct {
        int level, type, fd;
    } rows[] = {
        {SOL_SOCKET, SCM_RIGHTS, 42},
        {SOL_SOCKET, SCM_CREDENTIALS, -1},
        {SOL_SOCKET + 1, SCM_RIGHTS, -1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        union passed_fd passed;
        struct msghdr message = {0};
        passed_fd_give(&passed, 42, &message);
        passed.header.cmsg_level = rows[i].level;
        passed.header.cmsg_type = rows[i].type;
        assert_int_equal(passed_fd_take(&message, 1), rows[i].fd);
    }
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_comes_along),
        TEST(test_none_comes),
        TEST(test_something_else_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
