/*
 * What the supervisor's children inherit, at fixed descriptors: nothing of it is named on a command
 * line or in the environment, so nobody but a supervisor can pass it. `moonwatch run` closes
 * everything above standard error before it does anything.
 */
#ifndef MOONWATCH_PAGE_INHERITED_H
#define MOONWATCH_PAGE_INHERITED_H

#include <stdbool.h>
#include <stdint.h>

enum inherited_fd {
    FD_PAGE = 3,    /* memfd of the status page */
    FD_TABLE = 4,   /* memfd of the token table */
    FD_LINK = 5,    /* to the supervisor; its end means that the supervisor died */
    FD_COMMAND = 6, /* between engine and api: struct command, struct reply (command.h) */
    FD_LISTEN = 7,  /* api: the listening socket */
    FD_LOCK = 8,    /* the state folder's lock, held as long as anybody of this instance lives */
    FD_HISTORY = 9, /* between engine and api: history from a server (store/relay.h) */
    FD_INHERITED_END
};

/* X(code, name) */
#define START_KIND_LIST(X)                                                                         \
    X(START_NONE, "none") /* not started again: told to end */                                     \
    X(START_WARM, "warm") /* takes the token table over */                                         \
    X(START_COLD, "cold") /* loads the store */

enum start_kind {
#define X(code, name) code,
    START_KIND_LIST(X)
#undef X
        START_KIND_COUNT
};

/* Child to supervisor, over FD_LINK (SOCK_SEQPACKET); replies to commands go the same way and are
 * told apart by their size. */
enum report_kind {
    REPORT_STANDBY, /* loaded, waiting for COMMAND_GO */
    REPORT_READY,   /* at work */
    REPORT_REFUSED, /* cannot start, for a reason that another try does not mend (bad option…) */
    REPORT_RESTART, /* wants a graceful restart of itself */
    REPORT_COLD     /* began with an empty table, since the one it found is not to be believed */
};

#define REPORT_WHY_SIZE 120

/* The exit status of a process that cannot work with what it inherited, or with its options:
 * another try would not mend it. */
#define EXIT_REFUSED 2

struct report {
    uint32_t kind; /* enum report_kind */
    char why[REPORT_WHY_SIZE];
};

/* Whether page, table, link and command channel are there, each of its kind; otherwise it was no
 * supervisor that started this process. */
bool inherited_is_whole(void);

/* Set in the tag of a command that came over FD_LINK; its reply goes back there. */
#define LINK_TAG (1ULL << 63)

#endif
