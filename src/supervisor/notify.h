/*
 * What systemd is told, by its documented datagrams (sd_notify(3)). Without systemd nothing is
 * sent, and everything else is the same.
 */
#ifndef MOONWATCH_SUPERVISOR_NOTIFY_H
#define MOONWATCH_SUPERVISOR_NOTIFY_H

#include "base/time.h"

struct notify {
    int fd;         /* −1: nobody wants to know */
    duration every; /* between two signs of life; 0: none are wanted */
    instant next;   /* INSTANT_FAR: none */
};

/* Reads and clears NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID, so that no child sees them. */
void notify_init(struct notify *notify, instant now);
/* "READY=1", "STATUS=…", "STOPPING=1"; lost where nobody listens. */
void notify_send(const struct notify *notify, const char *state);
/* Sends the sign of life that is due. */
void notify_watchdog(struct notify *notify, instant now);
void notify_finish(struct notify *notify);

#endif
