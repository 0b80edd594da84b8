/*
 * Runs drills, each in a process group and a folder of its own, at most `at_once` beside each
 * other. Whatever a drill leaves behind, however it ended (its verdict, its time limit, a crash of
 * its own, Ctrl-C), is killed, unmounted and removed here: we are the reaper of all orphans.
 */
#ifndef MOONWATCH_DRILL_RUNNER_H
#define MOONWATCH_DRILL_RUNNER_H

#include "drill/drill.h"
#include "drill/patience.h"
#include <limits.h>

#define RUNNER_AT_ONCE_MAX 8
#define RUNNER_WHY_SIZE    512

enum runner_sandboxes { RUNNER_REMOVES, RUNNER_KEEPS };

struct runner_plan {
    const char *moonwatch, *market; /* the programs */
    unsigned at_once;
    enum runner_sandboxes sandboxes;
};

struct runner_run {
    const struct drill_row *row;
    enum { RUN_WAITING, RUN_RUNNING, RUN_DONE } state;
    struct drill_result result; /* of RUN_DONE */
    pid_t pid;                  /* and its process group */
    int pipe;
    struct patience patience;
    char folder[PATH_MAX];
};

/* `runs` have their rows, and get their results. False with a sentence: it could not begin, or was
 * interrupted. */
bool runner_run(const struct runner_plan *plan, struct runner_run *runs, size_t count,
                char why[RUNNER_WHY_SIZE]);

#endif
