/*
 * A run of the simulator in a process of its own: an assertion that fails, a crash and a run that
 * never ends are verdicts like any other, and not the end of whoever looks for them. What the run
 * found lies in memory that both share, so the marks that it reached (base/mark.h) and its last
 * lines are there whatever became of it.
 *
 *     apart_begin() → wait until apart_fd() is readable → apart_end()
 */
#ifndef MOONWATCH_SIM_APART_H
#define MOONWATCH_SIM_APART_H

#include "base/mark.h"
#include "sim/sim.h"
#include <sys/types.h>

#define APART_LINES     30 /* of the story: what led to the end */
#define APART_LINE_SIZE 160
#define APART_CPU_S     600.0 /* a run of a day takes a tenth of it */

/* The last lines, oldest first; the others are counted. */
struct apart_story {
    uint64_t count; /* ever; of number i the place is i % APART_LINES */
    char lines[APART_LINES][APART_LINE_SIZE];
};

struct apart_found {
    _Atomic int is_done; /* the result is whole */
    enum err err;
    struct sim_result result; /* `verdict` also of a run that died */
    uint8_t reached[MARK_COUNT];
    struct apart_story story;
};

struct apart {
    pid_t pid; /* 0: none */
    int ended; /* readable when it has ended */
    int said;  /* what it wrote on its standard error */
    struct apart_found *found;
};

/* `with_story`: keeps the last lines, which costs time. The setup's own on_line() is not called. */
enum err apart_begin(struct apart *apart, const struct sim_setup *setup,
                     bool with_story) MUST_CHECK;
int apart_fd(const struct apart *apart);
/* Waits for its end if need be; what it found is valid until apart_finish(). */
enum err apart_end(struct apart *apart) MUST_CHECK;
/* Kills what still runs. Safe on one that is zero, or finished. */
void apart_finish(struct apart *apart);

/* All of it at once. */
enum err apart_run(struct apart *apart, const struct sim_setup *setup, bool with_story) MUST_CHECK;

/* Two verdicts that differ in nothing but numbers: the same thing broke. */
bool apart_is_same(const char *verdict, const char *other);

#endif
