/* What systemd is told, read from a socket in its place. */
#include "supervised.h"

#include "base/clock.h"
#include "folder.h"
#include "supervisor/notify.h"
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#define TEXT_SIZE     8192
#define WATCHDOG_USEC "200000" /* a sign of life each 100 ms */

static int systemd = -1;
static char heard[TEXT_SIZE]; /* one datagram a line */
static char address_text[200];

static void listen_at(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    memcpy(address_text, path, length + 1);
    memcpy(address.sun_path, path, length);
    if (path[0] == '@')
        address.sun_path[0] = '\0';
    systemd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    assert_int_equal(bind(systemd, (struct sockaddr *)&address, size), 0);
    heard[0] = '\0';
}

static const char *hear(void)
{
    char text[512];
    ssize_t size;
    while ((size = recv(systemd, text, sizeof text - 1, MSG_DONTWAIT)) > 0) {
        size_t length = strlen(heard);
        text[size] = '\0';
        if (length + (size_t)size + 2 < sizeof heard)
            snprintf(heard + length, sizeof heard - length, "%s\n", text);
    }
    return heard;
}

static int count(const char *line)
{
    int found = 0;
    for (const char *at = hear(); (at = strstr(at, line)) != NULL; at++)
        found++;
    return found;
}

static int begin(void **state)
{
    return supervised_begin(state);
}

static int end(void **state)
{
    close(systemd);
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
    return supervised_end(state);
}

/* In the supervisor's own process, as systemd does. */
static void set_variables(void)
{
    char pid[32];
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    setenv("NOTIFY_SOCKET", address_text, 1);
    setenv("WATCHDOG_USEC", WATCHDOG_USEC, 1);
    setenv("WATCHDOG_PID", pid, 1);
}

/* ---- a daemon's life ---- */

static void test_tells_its_life(void **state)
{
    (void)state;
    listen_at(supervised_path("notify"));
    supervised()->before = set_variables;
    atomic_store(&orders_of(PROCESS_API)->at_go, FAKE_NEVER_READY);
    atomic_store(&orders_of(PROCESS_API)->for_starts, 1);
    supervised_start();
    expect_state(PROCESS_ENGINE, PROCESS_RUNNING);
    expect_soon(count("STATUS=engine running, api starting\n") == 1);
    expect_soon(count("WATCHDOG=1\n") >= 2); /* it lives, though it is not ready */
    assert_int_equal(count("READY=1\n"), 0);
    assert_int_equal(kill((pid_t)pid_of(PROCESS_API), SIGKILL), 0);
    expect_soon(count("READY=1\n") == 1);
    /* A death of the engine is none of the daemon's. */
    order(PROCESS_ENGINE, FAKE_CRASH);
    expect_starts(PROCESS_ENGINE, 2);
    expect_soon(count("STATUS=engine waiting, api running\n") == 1);
    assert_int_equal(supervised_stop(), 0);
    assert_int_equal(count("READY=1\n"), 1);
    assert_int_equal(count("STOPPING=1\n"), 1);
    assert_int_equal(atomic_load(&orders_of(PROCESS_ENGINE)->saw_notify), 0);
    assert_int_equal(atomic_load(&orders_of(PROCESS_API)->saw_notify), 0);
}

static void test_signs_of_life_in_time(void **state)
{
    (void)state;
    instant last = {0};
    int64_t longest_us = 0;
    listen_at(supervised_path("notify"));
    supervised()->before = set_variables;
    supervised_start_and_up();
    for (int seen = 0, before = 0; seen < 12; seen = count("WATCHDOG=1\n")) {
        instant now = clock_now();
        if (seen > before && before > 0 && instant_diff(now, last).us > longest_us)
            longest_us = instant_diff(now, last).us;
        if (seen > before)
            last = now;
        before = seen;
        poll(&(struct pollfd){.fd = systemd, .events = POLLIN}, 1, 1000);
    }
    /* Well before systemd's patience is over, which is twice of this. */
    assert_true(longest_us < 150000 * SLOWNESS);
    assert_int_equal(supervised_stop(), 0);
}

static void test_never_ready(void **state)
{
    (void)state;
    listen_at(supervised_path("notify"));
    supervised()->before = set_variables;
    atomic_store(&orders_of(PROCESS_ENGINE)->status, 1);
    atomic_store(&orders_of(PROCESS_ENGINE)->at_start, FAKE_EXIT);
    atomic_store(&orders_of(PROCESS_ENGINE)->for_starts, 1);
    supervised_start();
    assert_int_equal(supervised_wait(), 1);
    assert_int_equal(count("READY=1\n"), 0);
}

/* ---- the variables ---- */

static struct notify with(const char *path, const char *usec, const char *pid)
{
    struct notify notify;
    setenv("NOTIFY_SOCKET", path, 1);
    if (usec != NULL)
        setenv("WATCHDOG_USEC", usec, 1);
    if (pid != NULL)
        setenv("WATCHDOG_PID", pid, 1);
    notify_init(&notify, (instant){1000});
    assert_null(getenv("NOTIFY_SOCKET"));
    assert_null(getenv("WATCHDOG_USEC"));
    assert_null(getenv("WATCHDOG_PID"));
    return notify;
}

static void test_without_systemd(void **state)
{
    (void)state;
    struct notify notify;
    notify_init(&notify, (instant){1000});
    assert_int_equal(notify.fd, -1);
    notify_send(&notify, "READY=1");
    notify_watchdog(&notify, (instant){2000});
    assert_true(notify.next.us == INSTANT_FAR.us);
    notify_finish(&notify);
}

static void test_addresses(void **state)
{
    (void)state;
    char longest[sizeof(struct sockaddr_un) + 8];
    memset(longest, '/', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    const char *const none[] = {"", "relative", "/nowhere/at/all", longest};
    for (size_t i = 0; i < sizeof none / sizeof none[0]; i++) {
        struct notify notify = with(none[i], "1000000", NULL);
        assert_int_equal(notify.fd, -1);
        assert_true(notify.next.us == INSTANT_FAR.us);
    }
    atomic_store(&supervised()->injected->socket_errno, EMFILE);
    atomic_store(&supervised()->injected->for_times, 1);
    assert_int_equal(with("/nowhere", NULL, NULL).fd, -1);
    char name[64];
    snprintf(name, sizeof name, "@moonwatch-test-%d", (int)getpid());
    listen_at(name);
    struct notify notify = with(name, NULL, NULL);
    notify_send(&notify, "STATUS=well");
    assert_string_equal(hear(), "STATUS=well\n");
    notify_finish(&notify);
    notify_finish(&notify);
}

static void test_intervals(void **state)
{
    (void)state;
    char mine[32];
    snprintf(mine, sizeof mine, "%d", (int)getpid());
    const struct {
        const char *usec, *pid;
        int64_t every_us;
    } rows[] = {{"3000000", NULL, 1500000},
                {"3000000", mine, 1500000},
                {"3000000", "1", 0},
                {"0", NULL, 0},
                {"-5", NULL, 0},
                {"soon", NULL, 0}};
    listen_at(supervised_path("notify"));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct notify notify = with(address_text, rows[i].usec, rows[i].pid);
        assert_int_equal(notify.every.us, rows[i].every_us);
        notify_watchdog(&notify, (instant){999}); /* not yet */
        notify_watchdog(&notify, (instant){1000});
        assert_true(notify.next.us ==
                    (rows[i].every_us > 0 ? 1000 + rows[i].every_us : INSTANT_FAR.us));
        notify_finish(&notify);
    }
    assert_int_equal(count("WATCHDOG=1\n"), 2);
}

int main(int argc, char *argv[])
{
    supervised_main(argc, argv);
#define CASE(name) cmocka_unit_test_setup_teardown(name, begin, end)
    const struct CMUnitTest tests[] = {
        CASE(test_tells_its_life), CASE(test_signs_of_life_in_time),
        CASE(test_never_ready),    CASE(test_without_systemd),
        CASE(test_addresses),      CASE(test_intervals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
