/*
 * An engine's work for the store, drawn from a seed, in virtual time: tokens added and refreshed,
 * pools, snapshots, events, settings, messages, retention, through the real writer over a witness.
 */
#ifndef MOONWATCH_TESTS_TORTURE_STORE_WORK_H
#define MOONWATCH_TESTS_TORTURE_STORE_WORK_H

#include "base/prng.h"
#include "page/table_memory.h"
#include "store/writer.h"
#include "store_witness.h"

struct work {
    struct witness witness;
    struct table_memory memory;
    struct options options;
    struct writer *writer;
    struct prng prng;
    instant now;
    pid_t unawaited; /* whose lock on the database does not count; 0: nobody's */
    int64_t next_snapshot, next_alert, next_setting;
    int64_t refreshes;
    uint64_t acknowledged; /* tokens, settings and messages */
    uint64_t history_deleted;
    const char *complaint; /* what was acknowledged and is not durable */
};

void work_init(struct work *work, uint64_t seed, const struct power_film *film,
               struct witness_notes *notes);
/* Opens the database, fills the table from it and starts the writer. False with a sentence. */
bool work_start(struct work *work, const char *url, char why[512]);
/* A fraction of a second in an engine's life. */
void work_step(struct work *work);
/* A clean end, if it can be. Safe on one that is not at work. */
void work_stop(struct work *work);

#endif
