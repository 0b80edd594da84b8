/* Everything from the store. See the header. */
#include "engine/cold.h"

#include "base/clock.h"
#include "engine/parts.h"
#include "engine/row_pipe.h"
#include <pthread.h>
#include <stdlib.h>

struct cold {
    struct engine *engine;
    struct store *store;
    struct restore *restore;
    struct row_pipe *pipe;
    pthread_t reader;
    bool is_reading; /* there is a reader to be awaited */
    enum err read;   /* what became of it, once it was awaited */
    bool has_room;   /* false: the table could not grow */
    bool has_all;
    token_id placed; /* ids up to it are in their lanes */
    instant began;
};

/* ---- rows into the table ---- */

/* Room for one more, whatever it has. */
static bool make_room(struct engine *engine)
{
    return !token_table_is_short(engine->memory.table, 1) || table_memory_grow(&engine->memory, 1);
}

/* Ids that the store has refused or lost stay empty, so that the others keep theirs. */
static bool fill_holes(struct engine *engine, token_id id)
{
    while (token_table_count(engine->memory.table) + 1 < id)
        if (!make_room(engine) || token_table_add_hole(engine->memory.table) == TOKEN_NONE)
            return false;
    return true;
}

static bool put_token(struct engine *engine, const struct store_token *row)
{
    struct token_table *table = engine->memory.table;
    if (!fill_holes(engine, row->id) || !make_room(engine))
        return false;
    if (token_table_add(table, &row->token.mint) != row->id || !restore_take_row(table, row))
        return false;
    token_mark_stored_snapshot(table, row->id, row->token.state.snapshot_id);
    return true;
}

static bool put_next_block(struct cold *cold, enum row_wait wait)
{
    const struct row_block *block = row_pipe_take(cold->pipe, wait);
    if (block == NULL)
        return false;
    for (size_t i = 0; i < block->count && cold->has_room; i++)
        cold->has_room = put_token(cold->engine, &block->rows[i]);
    row_pipe_give_back(cold->pipe);
    if (!cold->has_room)
        row_pipe_close(cold->pipe);
    return cold->has_room;
}

/* ---- the reader ---- */

static bool on_token(void *context, const struct store_token *row)
{
    const struct cold *cold = context;
    return row_pipe_push(cold->pipe, row);
}

/* They come before all tokens; the engine's thread waits for these. */
static bool on_setting(void *context, const char *name, const char *value)
{
    const struct cold *cold = context;
    return restore_on_setting(cold->engine, name, value);
}

static void on_alert(void *context, int64_t id, const char *text)
{
    const struct cold *cold = context;
    restore_on_alert(cold->engine, id, text);
}

static void *read_all(void *argument)
{
    struct cold *cold = argument;
    const struct store_loader loader = {
        .context = cold, .on_token = on_token, .on_setting = on_setting, .on_alert = on_alert};
    cold->read = store_load(cold->store, &loader, &cold->restore->load);
    row_pipe_end(cold->pipe);
    return NULL;
}

static void await_reader(struct cold *cold)
{
    if (cold->is_reading)
        pthread_join(cold->reader, NULL);
    cold->is_reading = false;
}

struct cold *cold_begin(struct engine *engine, struct store *store, struct restore *restore,
                        void (*on_news)(void *context), void *context)
{
    struct cold *cold = calloc(1, sizeof *cold);
    if (cold == NULL)
        return NULL;
    *cold = (struct cold){.engine = engine,
                          .store = store,
                          .restore = restore,
                          .pipe = row_pipe_create(on_news, context),
                          .has_room = true,
                          .began = clock_now()};
    cold->is_reading =
        cold->pipe != NULL && pthread_create(&cold->reader, NULL, read_all, cold) == 0;
    if (cold->is_reading)
        return cold;
    cold_destroy(cold);
    return NULL;
}

void cold_destroy(struct cold *cold)
{
    if (cold == NULL)
        return;
    if (cold->is_reading)
        row_pipe_close(cold->pipe);
    await_reader(cold);
    row_pipe_destroy(cold->pipe);
    free(cold);
}

/* ---- into the lanes ---- */

static void note_time(struct cold *cold, enum restore_stage stage)
{
    instant now = clock_now();
    cold->restore->report.stage_ms[stage] += duration_to_s(instant_diff(now, cold->began)) * 1e3;
    cold->began = now;
}

static enum err place(struct cold *cold)
{
    struct engine *engine = cold->engine;
    struct warm *warm = &cold->restore->warm;
    enum err err = warm_begin(warm, engine->memory.table, engine->core);
    if (err != OK)
        return err;
    warm_place(warm, cold->placed + 1);
    warm_finish(warm);
    cold->placed = token_table_count(engine->memory.table);
    return OK;
}

/* What the reader found, and nothing else of it, is whole. */
static enum err end_reading(struct cold *cold)
{
    await_reader(cold);
    note_time(cold, RESTORE_LOAD);
    if (!cold->has_room)
        return ERR_NO_MEMORY;
    return cold->read;
}

static enum err take_all(struct cold *cold)
{
    enum err read = end_reading(cold);
    if (read != OK && read != ERR_CORRUPT)
        return read;
    restore_init_core(cold->engine, cold->restore->load.last_snapshot_id);
    enum err err = place(cold);
    if (err != OK)
        return err;
    core_start(cold->engine->core, 0);
    restore_note_store(cold->engine, cold->store, 0);
    cold->has_all = true;
    note_time(cold, RESTORE_LANES);
    return read;
}

enum err cold_first(struct cold *cold, uint32_t tokens)
{
    struct engine *engine = cold->engine;
    while (token_table_count(engine->memory.table) < tokens && put_next_block(cold, ROWS_AWAITED))
        continue;
    if (!cold->has_room || row_pipe_is_over(cold->pipe))
        return take_all(cold);
    restore_init_core(engine, 0);
    enum err err = place(cold);
    if (err == OK)
        core_start_first(engine->core);
    return err;
}

bool cold_has_all(const struct cold *cold)
{
    return cold->has_all;
}

enum cold_progress cold_put(struct cold *cold, duration most)
{
    instant until = instant_add(clock_now(), most);
    while (put_next_block(cold, ROWS_AT_HAND))
        if (!instant_before(clock_now(), until))
            return COLD_MORE_AT_HAND;
    return !cold->has_room || row_pipe_is_over(cold->pipe) ? COLD_ALL_HERE : COLD_WAITING;
}

enum err cold_rest(struct cold *cold)
{
    enum err read = end_reading(cold);
    if (read != OK && read != ERR_CORRUPT)
        return read;
    enum err err = place(cold);
    if (err != OK)
        return err;
    core_start_rest(cold->engine->core, cold->restore->load.last_snapshot_id);
    restore_note_store(cold->engine, cold->store, 0);
    cold->has_all = true;
    note_time(cold, RESTORE_LANES);
    return read;
}
