/*
 * The real store behind the simulated engine: the writer that the daemon has, on a SQLite file, in
 * virtual time. Commits take no virtual time; everything else is as it is in the daemon.
 */
#ifndef MOONWATCH_SIM_DISK_H
#define MOONWATCH_SIM_DISK_H

#include "core/core.h"
#include "store/writer.h"

struct disk;

/* What the simulator is told of, from within disk_turn(). */
struct disk_world {
    void *context;
    instant (*now)(void *context);
    void (*on_token_durable)(void *context, token_id id, uint64_t tag);
    void (*on_history_deleted)(void *context, uint64_t run);
    void (*on_setting_durable)(void *context, uint64_t tag); /* or NULL */
};

/* Opens or makes the database, which must be empty or the table's own. NULL: it can't be opened, or
 * there is no memory; `why` says so. */
struct disk *disk_open(const char *url, struct token_table *table, const struct options *options,
                       const struct disk_world *world, char why[512]);
/* The same over a store that is open, and loaded or resumed, which is the disk's from now on; NULL:
 * no memory, and it is the caller's still. */
struct disk *disk_begin(struct store *store, struct token_table *table,
                        const struct options *options, const struct disk_world *world);
struct writer *disk_writer(struct disk *disk);
/* Its engine is gone: nobody is told of anything any more. */
void disk_deafen(struct disk *disk);
/* Its engine died: what waits is lost, nothing more is written. Of a vault (vault.h). Safe on NULL.
 */
void disk_kill(struct disk *disk);
/* Actions for the store; false: this one is none. */
bool disk_perform(struct disk *disk, const struct action *action, instant now);
instant disk_due(struct disk *disk);
void disk_turn(struct disk *disk);
void disk_stats(struct disk *disk, struct writer_stats *out);
/* Writes what is left; returns how many additions could not be written. Safe on NULL. */
uint32_t disk_close(struct disk *disk);

/* Opens the database as the next start would, and compares: the number of tokens that it does not
 * have as the table has them; UINT32_MAX when it can't be loaded. `had_future`: starts found times
 * of the future, which it may still have. */
uint32_t disk_compare(const char *url, const struct token_table *table, bool had_future);
/* The same of a store that is open; it is closed. NULL: UINT32_MAX. */
uint32_t disk_compare_store(struct store *store, const struct token_table *table, bool had_future);

#endif
