/* What the supervisor's files share; private to src/supervisor. */
#ifndef MOONWATCH_SUPERVISOR_PARTS_H
#define MOONWATCH_SUPERVISOR_PARTS_H

#include "base/listen.h"
#include "page/command.h"
#include "page/faults.h"
#include "page/state_dir.h"
#include "page/table_memory.h"
#include "supervisor/child.h"
#include "supervisor/control.h"
#include "supervisor/incident.h"
#include "supervisor/life.h"
#include "supervisor/memory.h"
#include "supervisor/notify.h"
#include "supervisor/restart_policy.h"
#include "supervisor/state_dir.h"
#include "supervisor/supervisor.h"
#include "supervisor/watch.h"
#include <limits.h>

#define ARGUMENTS_MAX 256 /* of the command line: twice as many as there are options */

/* What the children share, and what must be new when one of them cannot be awaited. */
struct world {
    struct status_page *page;
    int page_fd;
    struct table_memory table;
    int table_reader_fd; /* of the same, that allows no writing: the api's */
    int channel[2];      /* the engine's end, the api's end */
    int history[2];      /* the same */
};

/* A child with what decides about it. */
struct ward {
    struct child child;
    struct restart_policy policy;
    struct restart_verdict verdict;    /* of the death before this start */
    bool was_ready;                    /* ever */
    bool is_doomed;                    /* `death` says why it is being killed */
    struct incident_death death;       /* the newest */
    instant died_at;                   /* the first of the deaths that `incident` tells of */
    uint32_t attempts;                 /* starts since then */
    char start_why[INCIDENT_WHY_SIZE]; /* of the newest start's kind; may be empty */
    struct incident incident;
};

struct supervisor {
    struct options options;
    struct supervisor_config config;
    char program[PATH_MAX];  /* a path, so that a file that was replaced is what runs next */
    const char *own_program; /* what we run ourselves, whatever lies at that path */
    bool is_program_refused; /* what lies there cannot be started, or work with us */
    struct world world;
    struct listen_socket listening;
    struct state_dir state_dir;
    int signal_fd;
    struct ward engine, api;
    struct child standby;            /* an engine that will take over */
    enum incident_cause drain_cause; /* of an engine that does not end as it was told to */
    bool is_api_stale;               /* it is to be replaced when the engine has been */
    struct faults *faults;
    struct watch watch;
    struct memory_watch memory;
    struct control control;
    struct notify notify;
    struct incidents incidents;
    instant watch_at;           /* of the next look at the heartbeats */
    instant second_at;          /* of the next look at what moves slowly */
    uint64_t suspects_digest;   /* of their list, as last written */
    unsigned suspects_failures; /* to write it, in a row */
    bool was_up;                /* both were ready once: told to systemd and to the log */
    bool is_stopping;
    int exit_status;
};

/* world.c */
bool world_init(struct world *world, const struct options *options, char why[512]);
/* All of it anew, for when somebody who cannot be awaited may still write to it: the page as a
 * copy, the table empty, to be filled from the store. */
bool world_renew(struct world *world);
void world_finish(struct world *world);

/* heal.c */
void heal_start(struct supervisor *supervisor);                 /* both children, the first time */
void heal_on_death(struct supervisor *supervisor, instant now); /* looks who is dead */
void heal_on_report(struct supervisor *supervisor, const struct child *child,
                    const struct report *report);
void heal_look(struct supervisor *supervisor, instant now); /* hangs, times that are over */
instant heal_deadline(const struct supervisor *supervisor);
/* Gracefully; `otherwise` is what it is called when the engine does not end in time. False: not
 * now, since everything ends, or since no process can be started. */
bool heal_restart(struct supervisor *supervisor, const char *why, enum incident_cause otherwise);
/* By force. False: not now, since everything ends. */
bool heal_emergency(struct supervisor *supervisor, const char *why) MUST_CHECK;
void heal_stop(struct supervisor *supervisor);
void heal_kill_all(struct supervisor *supervisor);
bool heal_is_over(const struct supervisor *supervisor);
void heal_finish(struct supervisor *supervisor); /* writes what nobody healed any more */

/* control.c forwards what is for the engine; false: there is none. */
bool supervisor_tell_engine(struct supervisor *supervisor, const struct command *command);

#endif
