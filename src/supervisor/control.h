/*
 * `moonwatch ctl` speaks to the supervisor over a UNIX socket in the state folder, which only its
 * owner can open: one struct command a message, one struct reply each (page/command.h). What is for
 * the engine is passed on, and its reply passed back; STATUS and TABLE are answered with a
 * read-only descriptor of the status page and of the token table, so that who wants to know reads
 * them himself.
 *
 * Limits: CONTROL_CLIENTS_MAX at once, one command under way each; a client that stays silent for
 * CONTROL_IDLE_SEC is shut out, so that nobody can take up all places.
 */
#ifndef MOONWATCH_SUPERVISOR_CONTROL_H
#define MOONWATCH_SUPERVISOR_CONTROL_H

#include "base/time.h"
#include "page/command.h"
#include <poll.h>
#include <stdbool.h>
#include <stddef.h>

#define CONTROL_CLIENTS_MAX 16
#define CONTROL_IDLE_SEC    60
#define CONTROL_SOCKET      "control.sock" /* in the state folder */
#define CONTROL_POLLS       (CONTROL_CLIENTS_MAX + 1)

struct control_client {
    int fd;          /* −1: free */
    uint32_t serial; /* whose reply it is: in the tag, with the place */
    instant seen_at;
};

struct control {
    int fd;     /* listening */
    bool rests; /* no descriptors: it accepts nobody until the next second */
    uint32_t serial;
    struct control_client clients[CONTROL_CLIENTS_MAX];
};

struct supervisor;

/* In the folder that is open as `folder_fd`. False with a sentence. */
bool control_init(struct control *control, int folder_fd, char why[512]);
void control_finish(struct control *control, int folder_fd);

/* Fills in what to wait for; always CONTROL_POLLS. */
void control_polls(const struct control *control, struct pollfd out[CONTROL_POLLS]);
void control_on_polls(struct supervisor *supervisor, const struct pollfd polls[CONTROL_POLLS],
                      instant now);
/* The engine's reply to a command that was passed on. */
void control_on_reply(struct control *control, const struct reply *reply);
/* Shuts out who is silent, and accepts again after a lack of descriptors. */
void control_on_second(struct control *control, instant now);

#endif
