/*
 * A table that outlived its engine, taken up by the next one: every slot is checked and placed in
 * its lanes while it is in the cache, then the lanes are sorted and the index is checked, all by as
 * many threads as there are cores.
 *
 *     warm_begin()     the memory for it
 *     warm_first()     in a large table: those that have waited longest, so that they can be sent
 * for while the others are checked; their answers must wait until all are linked warm_check() every
 * other slot; `check.bad` lists those that are to be replaced … warm_repair(), and each bad slot
 * replaced and given to warm_take() … warm_link()      lanes sorted, index sound: the core can step
 *     warm_finish()
 *
 * It touches no store; restore.c does.
 */
#ifndef MOONWATCH_ENGINE_WARM_H
#define MOONWATCH_ENGINE_WARM_H

#include "core/core.h"
#include "core/token_check.h"

/* As many as are under way at once; they are checked within a millisecond or two. */
#define WARM_FIRST_MAX 2048

struct warm {
    struct token_table *table;
    struct core *core;
    struct table_check check;
    void *memory;
    size_t memory_size;
    void *sort_memory[LINK_FAMILY_COUNT];
    token_id place_from;
    token_id first[WARM_FIRST_MAX]; /* rising; checked and, if sound, placed */
    size_t first_count;
    bool is_repaired;
    enum table_fault fault; /* TABLE_SOUND, or why the table is not to be believed */
    bool is_index_rebuilt;
};

/* The table's header is sound; the core is initialised and knows of no token. */
enum err warm_begin(struct warm *warm, struct token_table *table, struct core *core) MUST_CHECK;
/* Whoever `is_kept_out` is checked with the others. The core can send, and nothing else, if this is
 * more than none; nobody may write to the table yet. */
size_t warm_first(struct warm *warm, bool (*is_kept_out)(void *context, token_id id),
                  void *context);
void warm_check(struct warm *warm);
void warm_repair(struct warm *warm); /* unless `fault`: the table can be written to from here on */
/* A slot that was bad and has been replaced. False: it is bad still. */
bool warm_take(struct warm *warm, token_id id);
void warm_link(struct warm *warm); /* look at `fault` afterwards */
/* Instead, of a table that was just filled: places the tokens from `first` on, sorts everybody, and
 * nothing else. */
void warm_place(struct warm *warm, token_id first);
void warm_finish(struct warm *warm);

#endif
