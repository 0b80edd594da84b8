/*
 * Witnesses: two processes that use the daemon all through a drill, as clients do. One asks for
 * /health and /tokens every few milliseconds and counts what is not answered with 200; the other
 * adds one token after the other, and what was acknowledged to it may never be lost.
 *
 * A CROWD is some more that ask, for a drill that wants thousands of questions: every other one on
 * a connection of its own for each, the rest on one that they keep.
 */
#ifndef MOONWATCH_DRILL_WITNESS_H
#define MOONWATCH_DRILL_WITNESS_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#define WITNESS_ASKS_EVERY_MS 4
#define WITNESS_ADDS_EVERY_MS 100
#define WITNESS_WHY_SIZE      200
#define CROWD                 4
#define CROWD_ASKS_EVERY_MS   1 /* each of them */

struct drill;

/* Shared with them. */
struct witnesses {
    _Atomic uint32_t asked, failed, connections;
    _Atomic uint64_t longest_us; /* of an answer */
    _Atomic uint32_t added;      /* of the mints behind the imported ones, in their order */
    char first_failure[WITNESS_WHY_SIZE]; /* written before `failed` is counted */
    pid_t pids[2 + CROWD];                /* 0: not there */
};

void witness_start(struct drill *drill);
void witness_stop(struct drill *drill);
void witness_call_crowd(struct drill *drill);
/* Requests count for the result from here on. */
void witness_begin_count(struct drill *drill);
/* Takes the numbers over into the result. */
void witness_count(struct drill *drill);

#endif
