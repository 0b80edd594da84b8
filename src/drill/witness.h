/*
 * Witnesses: two processes that use the daemon all through a drill, as clients do. One asks for
 * /health and /tokens every few milliseconds and counts what is not answered with 200; the other
 * adds one token after the other, and what was acknowledged to it may never be lost.
 */
#ifndef MOONWATCH_DRILL_WITNESS_H
#define MOONWATCH_DRILL_WITNESS_H

#include <stdatomic.h>
#include <stdint.h>
#include <sys/types.h>

#define WITNESS_ASKS_EVERY_MS 4
#define WITNESS_ADDS_EVERY_MS 100
#define WITNESS_WHY_SIZE      200

struct drill;

/* Shared with them. */
struct witnesses {
    _Atomic uint32_t asked, failed;
    _Atomic uint64_t longest_us; /* of an answer */
    _Atomic uint32_t added;      /* of the mints behind the imported ones, in their order */
    char first_failure[WITNESS_WHY_SIZE]; /* written before `failed` is counted */
    pid_t pids[2];
};

void witness_start(struct drill *drill);
void witness_stop(struct drill *drill);
/* What failed is forgotten: for a drill in which the daemon is meant to be away. */
void witness_forgive(struct drill *drill);

#endif
