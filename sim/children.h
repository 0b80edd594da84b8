/*
 * The simulated processes, and the supervisor over them: its healing is the daemon's own (heal.c,
 * life.c, death.c, watch.c, restart_policy.c, page/suspects.c), the processes are rows of a table.
 * An engine that works is a core and a writer; one that hangs is the same, and nobody steps it; one
 * that is dead leaves its table.
 */
#ifndef MOONWATCH_SIM_CHILDREN_H
#define MOONWATCH_SIM_CHILDREN_H

#include "base/time.h"
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sim;

#define CHILDREN_MAX 16 /* engine, standby, api, and who was left behind */

enum child_life {
    CHILD_NONE,
    CHILD_SPAWNED, /* it waits for the word to go; an api for nothing */
    CHILD_STARTING,
    CHILD_RUNNING,
    CHILD_HUNG,
    CHILD_DRAINING,
    CHILD_DEAD, /* to be reaped */
    CHILD_LEFT  /* killed, not dead, and forgotten: it may wake up */
};

struct sim_child {
    pid_t pid;
    enum child_life life;
    bool is_engine, is_cold;
    bool is_told_to_end; /* while it was starting */
    bool is_undead;      /* kills do not arrive */
    bool is_given_up;    /* it was killed because it got no CPU */
    int status, status_code;
};

/* What happens to a process, later. */
enum child_event {
    CHILD_SPEAKS,  /* it stands by; an api is ready */
    CHILD_READY,   /* its start is over */
    CHILD_ENDS,    /* it has drained */
    CHILD_DIES,    /* of the signal that it got */
    CHILD_RESTART, /* it asks to be replaced */
};

bool children_begin(struct sim *sim); /* the supervisor starts; false: no memory */
void children_finish(struct sim *sim);

void children_on_event(struct sim *sim, pid_t pid, enum child_event what, int number);
/* The supervisor's own time. */
instant children_due(const struct sim *sim);
void children_look(struct sim *sim);
/* Once a second, as the supervisor does it. */
void children_on_second(struct sim *sim);

/* The engine falls here and now, of a signal. */
void children_crash(struct sim *sim, int number);
/* It does not move any more; undead: and kills do not arrive. */
enum hang { HANG_MORTAL, HANG_UNDEAD };
void children_hang(struct sim *sim, enum hang hang);
/* Its thread is runnable and gets no CPU: it is waited for, though not for ever. */
void children_starve(struct sim *sim, instant until);
void children_feed(struct sim *sim); /* the engine has a CPU again, if it had none */
/* Who was left behind moves again, and tries to write. */
void children_wake_left(struct sim *sim);
void children_restart(struct sim *sim, bool by_force);
/* All processes are gone at once, and what is not on the disk with them; back after a while. */
void children_cut_power(struct sim *sim);
void children_restore_power(struct sim *sim);
/* The core asked for it, from within a step. */
void children_report_restart(struct sim *sim);

bool children_engine_works(const struct sim *sim);

#endif
