/* `moonwatch ctl`'s side of the control socket (control.h). */
#ifndef MOONWATCH_SUPERVISOR_CONTROL_CLIENT_H
#define MOONWATCH_SUPERVISOR_CONTROL_CLIENT_H

#include "base/options.h"
#include "base/time.h"
#include "page/command.h"
#include <stdbool.h>

#define CONTROL_WHY_SIZE 512

/* A socket to the daemon that keeps its state where these options say; −1 with a sentence. */
int control_connect(const struct options *options, char why[CONTROL_WHY_SIZE]);

/* Sends a command and waits for its reply. `*page_fd` gets the descriptor that came with it, or −1;
 * it may be NULL. False with a sentence: no reply. */
struct control_answer {
    struct reply reply;
    int page_fd;
};
bool control_ask(int fd, const struct command *command, duration patience,
                 struct control_answer *out, char why[CONTROL_WHY_SIZE]);

#endif
