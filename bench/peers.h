/*
 * Supervisors side by side: ours, a bare one, and what Debian has. A PEER is a row: how it is set
 * up in a folder of its own and started there, to keep one worker (worker.c) alive. Each is
 * configured as its manual says for "always running, again at once", without logs, and starts the
 * worker without a shell in between; what it waits by itself is part of what is measured.
 */
#ifndef MOONWATCH_BENCH_PEERS_H
#define MOONWATCH_BENCH_PEERS_H

#include "bench/stamps.h"
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

/* One running supervisor with its worker. */
struct peer_run {
    char folder[PATH_MAX];
    const char *worker; /* program */
    struct stamps *stamps;
    pid_t pid; /* the supervisor's */
};

struct peer {
    const char *name;
    const char *programs[3]; /* that must be there; NULL at the end */
    bool needs_root;
    int copies;         /* how many run at once in a round, for as many measurements */
    double patience_ms; /* the longest it may take to bring the worker back */
    pid_t (*start)(struct peer_run *run);
};

enum {
    PEER_BARE,
    PEER_OURS,
    PEER_RUNIT,
    PEER_S6,
    PEER_SUPERVISORD,
    PEER_MONIT,
    PEER_SYSTEMD,
    PEER_COUNT
};

const struct peer *peer_row(int index);
/* NULL: it can run here; else why it can't. Static storage. */
const char *peer_missing(const struct peer *peer);

/* In `folder`, which is made. False: its worker did not come to life. */
bool peer_start(const struct peer *peer, const char *folder, const char *worker,
                struct peer_run *out);
void peer_stop(struct peer_run *run);

/* systemd's service manager for users, with a watchdog of `watchdog_ms` on the worker (0: none). */
pid_t peer_start_systemd(struct peer_run *run, int watchdog_ms);

/* Sends the worker a signal that ends it (or stops it, under a watchdog). Milliseconds until the
 * next one's main(); NaN: none came in time. */
double peer_signal_worker(const struct peer *peer, struct peer_run *run, int number);

#endif
