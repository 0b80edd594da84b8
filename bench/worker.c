/*
 * The trivial worker that every supervisor is measured with: it stamps that it lives and sleeps.
 *
 *     bench-worker [STAMPS [PID-FILE]]    under the peers; with a PID-FILE as a daemon
 *     ./run [NAME]                        under runit and s6: the stamps are in the current folder
 *     bench-worker engine|api STAMPS      under our supervisor, which wants a sign of life
 *
 * Our supervisor's children report that they are ready and beat on the status page; systemd's, when
 * it watches, tell its socket. Nothing but libc is linked, and the stamp comes before anything
 * else, so it is the same program for all until it is measured.
 */
#include "bench/stamps.h"
#include "page/inherited.h"
#include "page/status_page.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#define BEAT_MS     20
#define PID_DIGITS  24
#define S6_READY_FD 3 /* in the file notification-fd */

static void stamp(const char *path, int64_t at_ns)
{
    struct stamps *stamps = stamps_map(path, 0);
    if (stamps == NULL)
        exit(1);
    stamps_add(stamps, at_ns);
}

/* Who started us waits until we have left; what lives on is our child. */
static void become_daemon(const char *path)
{
    char text[PID_DIGITS];
    pid_t pid = fork();
    if (pid != 0)
        _exit(pid < 0);
    setsid();
    int length = snprintf(text, sizeof text, "%d\n", (int)getpid());
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    if (fd < 0 || write(fd, text, (size_t)length) != length)
        exit(1);
    close(fd);
}

static void sleep_forever(void)
{
    while (true)
        pause();
}

/* ---- as a child of our supervisor ---- */

static void report(enum report_kind kind)
{
    const struct report message = {.kind = kind};
    (void)!send(FD_LINK, &message, sizeof message, MSG_NOSIGNAL);
}

/* Sleeps until the next beat. The link that ends says that the supervisor has, or wants us to; its
 * signals are blocked, as it starts its children. */
static void end_with_supervisor(void)
{
    struct pollfd link = {.fd = FD_LINK};
    if (poll(&link, 1, BEAT_MS) != 0)
        exit(0);
}

static uint64_t timeline_us(const struct status_page *page)
{
    struct timespec t;
    clock_gettime(CLOCK_BOOTTIME, &t);
    return (uint64_t)((int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000 + page->clock.offset_us);
}

static void live_watched(enum beat beat)
{
    struct status_page *page =
        mmap(NULL, sizeof *page, PROT_READ | PROT_WRITE, MAP_SHARED, FD_PAGE, 0);
    if (page == MAP_FAILED)
        exit(1);
    report(REPORT_READY);
    while (true) {
        atomic_store(&page->beats[beat].patience_us, 0);
        atomic_store(&page->beats[beat].at_us, timeline_us(page));
        end_with_supervisor();
    }
}

/* ---- as a service of systemd ---- */

static void tell(int fd, const struct sockaddr_un *address, const char *state)
{
    (void)!sendto(fd, state, strlen(state), MSG_NOSIGNAL, (const struct sockaddr *)address,
                  sizeof *address);
}

static void live_notifying(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    const char *watchdog = getenv("WATCHDOG_USEC");
    useconds_t every = watchdog == NULL ? 1000000 : (useconds_t)strtol(watchdog, NULL, 10) / 4;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    tell(fd, &address, "READY=1");
    while (true) {
        tell(fd, &address, "WATCHDOG=1");
        usleep(every);
    }
}

int main(int argc, char *argv[])
{
    int64_t at_ns = stamps_now_ns();
    bool is_run = strcmp(argv[0], "run") == 0 || strcmp(argv[0], "./run") == 0;
    const char *place = argc > 1 && !is_run ? argv[1] : STAMPS_NAME;
    if (strcmp(place, "api") == 0)
        live_watched(BEAT_API_HTTP);
    if (strcmp(place, "engine") == 0 && argc > 2) {
        stamp(argv[2], at_ns);
        live_watched(BEAT_ENGINE_LOOP);
    }
    if (argc > 2)
        become_daemon(argv[2]);
    stamp(place, at_ns);
    if (is_run && argc > 1)
        (void)!write(S6_READY_FD, "\n", 1); /* s6 holds back who was never ready */
    const char *notify = getenv("NOTIFY_SOCKET");
    if (notify != NULL)
        live_notifying(notify);
    sleep_forever();
}
