/* See notify.h. */
#include "supervisor/notify.h"

#include <fcntl.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    size_t length = strlen(path);
    if ((path[0] != '/' && path[0] != '@') || length >= sizeof address.sun_path)
        return -1;
    memcpy(address.sun_path, path, length + 1);
    if (path[0] == '@')
        address.sun_path[0] = '\0'; /* the abstract namespace */
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, size) == 0)
        return fd;
    if (fd >= 0)
        close(fd);
    return -1;
}

/* Half of what is asked for, as the manual advises. */
static duration watchdog_interval(void)
{
    const char *interval = getenv("WATCHDOG_USEC");
    const char *pid = getenv("WATCHDOG_PID");
    if (interval == NULL || (pid != NULL && strtol(pid, NULL, 10) != (long)getpid()))
        return duration_us(0);
    int64_t us = strtoll(interval, NULL, 10);
    return duration_us(us > 0 ? us / 2 : 0);
}

void notify_init(struct notify *notify, instant now)
{
    const char *path = getenv("NOTIFY_SOCKET");
    notify->fd = path != NULL ? connect_to(path) : -1;
    notify->every = notify->fd >= 0 ? watchdog_interval() : duration_us(0);
    notify->next = notify->every.us > 0 ? now : INSTANT_FAR;
    unsetenv("NOTIFY_SOCKET");
    unsetenv("WATCHDOG_USEC");
    unsetenv("WATCHDOG_PID");
}

void notify_send(const struct notify *notify, const char *state)
{
    if (notify->fd >= 0)
        (void)!send(notify->fd, state, strlen(state), MSG_NOSIGNAL);
}

void notify_watchdog(struct notify *notify, instant now)
{
    if (instant_before(now, notify->next))
        return;
    notify_send(notify, "WATCHDOG=1");
    notify->next = instant_add(now, notify->every);
}

void notify_finish(struct notify *notify)
{
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}
