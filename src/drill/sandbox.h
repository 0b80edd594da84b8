/*
 * The sandbox: a folder with a database, and the processes that live on it. The supervisor is
 * forked from the drill itself, so that it can be given faults; its engine and api are programs
 * like any others. All are of the drill's process group.
 */
#ifndef MOONWATCH_DRILL_SANDBOX_H
#define MOONWATCH_DRILL_SANDBOX_H

#include "base/address.h"
#include "base/options.h"
#include "page/faults.h"
#include "page/status_page.h"
#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#define MINT_SIZE         (ADDRESS_TEXT_MAX + 1)
#define SANDBOX_ARGUMENTS 160
#define SANDBOX_PATH      (PATH_MAX + 64)
#define DRILL_DISK        "disk" /* where a drill mounts a small file system; the runner unmounts it */

struct drill;
struct witnesses;

struct sandbox {
    const char *folder, *moonwatch, *market_program;
    pid_t supervisor, market;
    unsigned port, market_port, control_port;
    struct options options;                   /* of the daemon */
    const char *arguments[SANDBOX_ARGUMENTS]; /* the same as its children get them */
    struct faults *faults;                    /* shared with supervisor and engine */
    int faults_fd;
    struct status_page *page; /* read-only; NULL: not attached */
    /* Tokens of the market: the first `imported` are the daemon's from the beginning, the rest are
     * added one by one by a witness. */
    char (*mints)[MINT_SIZE];
    unsigned mint_count, imported;
    struct witnesses *witnesses;
};

/* A path in the folder; static storage, four at once. */
const char *sandbox_path(const struct drill *drill, const char *name);
const char *sandbox_database(const struct drill *drill);

void sandbox_start_market(struct drill *drill, const char *const extra[]);
/* `extra` comes after the usual options and is stronger. Waits until engine and api are ready. */
void sandbox_set_options(struct drill *drill, const char *const extra[]);
void sandbox_start_daemon(struct drill *drill);
/* SIGTERM; the supervisor's exit status, −1 when it ends otherwise or not in time. */
int sandbox_stop_daemon(struct drill *drill);
/* Waits for the death of somebody who is our child. */
bool sandbox_await_end(pid_t pid, double seconds, int *status);

pid_t sandbox_pid(const struct drill *drill, enum page_process_id process);
void sandbox_signal(struct drill *drill, enum page_process_id process, int number);
void sandbox_arm(struct drill *drill, enum fault fault, uint64_t number);

/* Through the API, acknowledged: so it outlives everything, as tokens do. */
void sandbox_put_setting(struct drill *drill, const char *name, const char *value);
/* All three budgets, requests a minute. */
#define SANDBOX_BUDGET "60000"
void sandbox_put_budgets(struct drill *drill, const char *value);

/* On the market's control port: a fault as JSON. */
void sandbox_market_fault(struct drill *drill, const char *json);
void sandbox_market_mend(struct drill *drill);

/* The last lines of the daemon's log, for who looks why a drill failed. */
void sandbox_show_log(const struct drill *drill);
/* In the daemon's log, so far. */
bool sandbox_log_says(const struct drill *drill, const char *text);

#endif
