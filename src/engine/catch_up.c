/* After a warm start: what the store does not have of what is in memory. */
#include "engine/parts.h"
#include "engine/restore.h"

#include <stdlib.h>

/* Snapshots that died in the queue, or were dropped from it: of each token the newest is made
 * again. The oldest of them can't all be queued when there are more than the queue takes. */
struct lost {
    token_id *ids;
    size_t count, capacity;
};

static void note_lost(struct lost *lost, token_id id)
{
    if (lost->count == lost->capacity) {
        size_t capacity = lost->capacity * 2 + 64;
        token_id *larger = realloc(lost->ids, capacity * sizeof *larger);
        if (larger == NULL)
            return; /* a gap in a history; the token itself is safe */
        lost->ids = larger;
        lost->capacity = capacity;
    }
    lost->ids[lost->count++] = id;
}

static void save_token(struct engine *engine, token_id id, int64_t newest, struct lost *lost)
{
    const struct token_table *table = engine->memory.table;
    const struct token *token = token_slot(table, id);
    if (!(token->flags & TOKEN_DURABLE))
        writer_add_token(engine->writer, id, 0);
    if (!token_is_stored(table, id))
        writer_mark_dirty(engine->writer, id);
    bool is_lost = token->state.snapshot_id != token_stored_snapshot(table, id, newest);
    if (is_lost && token->state.answers > 0)
        note_lost(lost, id);
}

static int by_snapshot(const void *a, const void *b, void *context)
{
    const token_id *x = a, *y = b;
    int64_t left = token_slot(context, *x)->state.snapshot_id;
    int64_t right = token_slot(context, *y)->state.snapshot_id;
    return left < right ? -1 : left > right;
}

void engine_catch_up(struct engine *engine, struct restore *restore)
{
    int64_t newest = restore->load.last_snapshot_id; /* in the store */
    struct lost lost = {0};
    if (restore->warm.memory == NULL)
        return; /* a cold start has nothing that the store has not */
    if (restore->report.is_store_rewritten)
        writer_rewrite(engine->writer);
    for (token_id id = 1; (id = table_next_behind(&restore->warm.check, id)) != TOKEN_NONE; id++)
        save_token(engine, id, newest, &lost);
    if (lost.count > 0)
        qsort_r(lost.ids, lost.count, sizeof *lost.ids, by_snapshot, engine->memory.table);
    for (size_t i = 0; i < lost.count; i++)
        writer_take_lost_snapshot(engine->writer, lost.ids[i],
                                  token_stored_snapshot(engine->memory.table, lost.ids[i], newest));
    free(lost.ids);
    warm_finish(&restore->warm);
}
