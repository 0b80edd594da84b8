/*
 * A film with its oracle: a folder where a workload runs, what the store held after each commit,
 * and a second folder, where the next start is made from what a power cut may leave.
 *
 * What that start finds must be EXACTLY what the store held after some commit: none before the
 * newest durable one that was said to be done (store.h, STORE_DURABLE), and after a death of the
 * process alone none before the newest that was said to be done (STORE_RELAXED). It must pass
 * SQLite's check, take new work and keep it.
 */
#ifndef MOONWATCH_TESTS_TORTURE_POWER_STAGE_H
#define MOONWATCH_TESTS_TORTURE_POWER_STAGE_H

#include "power_loss.h"
#include "store_work.h"

struct stage {
    const char *title;
    uint64_t seed;
    char folder[64];    /* where the workload runs */
    char aftermath[64]; /* where the next start runs */
    char url[96], aftermath_url[96];
    struct power_film film;
    struct witness_notes notes;
    struct work work;
    /* Operations between which the file was deleted or damaged by somebody, and not made anew yet:
     * all is in memory then, and a power cut is one misfortune too many. */
    size_t weak_from, weak_to;
    bool is_damaged; /* then: a start may refuse it, with a sentence */
    char complaint[512];
};

struct power_tally {
    uint64_t films, operations, commits, acknowledged, kept, lost, torn;
};

void stage_init(struct stage *stage, const char *title, uint64_t seed);
/* The film begins: what lies in the folder now is `known`; NULL: nothing. */
void stage_roll(struct stage *stage, const struct model *known);
bool stage_start(struct stage *stage);
void stage_work(struct stage *stage, int steps);
/* Cuts before each operation and after the last, with so many drawn outcomes each, until something
 * is wrong. False with a complaint: here or before. Ends the film. */
bool stage_cut(struct stage *stage, int draws, struct power_tally *tally);
/* What a power cut before operation `op` may leave goes into the folder of `next`, and what a start
 * finds there into `found`. */
bool stage_leave(struct stage *stage, size_t op, enum power_outcome outcome, struct stage *next,
                 struct model *found);
void stage_finish(struct stage *stage);

#endif
