/* The real store in virtual time. See the header. */
#include "sim/disk.h"

#include "sim/vault.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define STOP_PATIENCE duration_s(60) /* virtual: it stands still meanwhile */

struct disk {
    struct disk_world world;
    struct store *store; /* the writer's */
    bool is_deaf;
    struct writer *writer;
};

/* ---- what the writer tells ---- */

static instant now_of(void *context)
{
    const struct disk *disk = context;
    return disk->world.now(disk->world.context);
}

static void on_token_durable(void *context, token_id id, uint64_t tag)
{
    const struct disk *disk = context;
    if (!disk->is_deaf)
        disk->world.on_token_durable(disk->world.context, id, tag);
}

static void on_history_deleted(void *context, uint64_t run)
{
    const struct disk *disk = context;
    if (!disk->is_deaf)
        disk->world.on_history_deleted(disk->world.context, run);
}

static void on_setting_durable(void *context, uint64_t tag)
{
    const struct disk *disk = context;
    if (!disk->is_deaf && disk->world.on_setting_durable != NULL)
        disk->world.on_setting_durable(disk->world.context, tag);
}

/* ---- opening and closing ---- */

static bool take_no_token(void *context, const struct store_token *token)
{
    (void)context, (void)token;
    return true;
}

static bool take_no_setting(void *context, const char *name, const char *value)
{
    (void)context, (void)name, (void)value;
    return true;
}

/* As an engine does that starts warm: what there is stands in the table. */
static bool resume(struct store *store, char why[512])
{
    const struct store_loader loader = {NULL, take_no_token, take_no_setting, NULL};
    struct store_load_report report;
    enum err err = store_resume(store, &loader, &report);
    if (err != OK)
        snprintf(why, 512, "%s", store_message(store));
    return err == OK;
}

struct disk *disk_begin(struct store *store, struct token_table *table,
                        const struct options *options, const struct disk_world *world)
{
    struct disk *disk = calloc(1, sizeof *disk);
    if (disk == NULL)
        return NULL;
    const struct writer_callbacks callbacks = {.context = disk,
                                               .on_token_durable = on_token_durable,
                                               .on_setting_durable = on_setting_durable,
                                               .on_history_deleted = on_history_deleted,
                                               .now = now_of};
    disk->world = *world;
    disk->store = store;
    disk->writer = writer_start_alone(store, table, options, &callbacks);
    if (disk->writer != NULL)
        return disk;
    free(disk);
    return NULL;
}

struct disk *disk_open(const char *url, struct token_table *table, const struct options *options,
                       const struct disk_world *world, char why[512])
{
    struct store *store = store_open(url, why);
    if (store == NULL || !resume(store, why)) {
        store_close(store);
        return NULL;
    }
    struct disk *disk = disk_begin(store, table, options, world);
    if (disk != NULL)
        return disk;
    snprintf(why, 512, "no memory for the writer");
    store_close(store);
    return NULL;
}

struct writer *disk_writer(struct disk *disk)
{
    return disk == NULL ? NULL : disk->writer;
}

void disk_deafen(struct disk *disk)
{
    if (disk != NULL)
        disk->is_deaf = true;
}

void disk_kill(struct disk *disk)
{
    if (disk == NULL)
        return;
    disk->is_deaf = true;
    vault_break(disk->store);
    disk_close(disk);
}

uint32_t disk_close(struct disk *disk)
{
    if (disk == NULL)
        return 0;
    uint32_t unwritten = writer_stop(disk->writer, instant_add(now_of(disk), STOP_PATIENCE));
    free(disk);
    return unwritten;
}

/* ---- at work ---- */

static void add_event(struct disk *disk, const struct action *action, instant now)
{
    struct store_event event = {.token = action->history.id, .at = now};
    snprintf(event.kind, sizeof event.kind, "%s", action->history.event);
    snprintf(event.reason, sizeof event.reason, "%s", action->history.reason);
    writer_add_event(disk->writer, &event);
}

bool disk_perform(struct disk *disk, const struct action *action, instant now)
{
    switch ((int)action->kind) {
    case ACTION_ADD_TOKEN:
        writer_add_token(disk->writer, action->add_token.id, action->add_token.tag);
        return true;
    case ACTION_SAVE:
        writer_mark_dirty(disk->writer, action->save.id);
        return true;
    case ACTION_SNAPSHOT:
        writer_take_snapshot(disk->writer, action->snapshot.id, action->snapshot.snapshot_id,
                             action->snapshot.previous);
        return true;
    case ACTION_HISTORY:
        add_event(disk, action, now);
        return true;
    case ACTION_RETENTION:
        writer_delete_history(disk->writer, action->retention.snapshots_before,
                              action->retention.events_before, action->retention.run);
        return true;
    default:
        return false;
    }
}

instant disk_due(struct disk *disk)
{
    return writer_due(disk->writer);
}

void disk_turn(struct disk *disk)
{
    writer_turn(disk->writer);
}

void disk_stats(struct disk *disk, struct writer_stats *out)
{
    writer_stats(disk->writer, out);
}

/* ---- what is left at the end ---- */

struct comparison {
    const struct token_table *table;
    bool had_future;
    uint32_t alike;
};

/* A start brings times of the future back to its own; they are stored with the next answer. */
static bool is_same_time(const struct comparison *comparison, instant ours, instant stored)
{
    return ours.us == stored.us || (comparison->had_future && instant_before(ours, stored));
}

static bool is_alike(const struct comparison *comparison, const struct token *ours,
                     const struct token *stored)
{
    const struct token_state *a = &ours->state, *b = &stored->state;
    return address_equal(&ours->mint, &stored->mint) && ours->status == stored->status &&
           is_same_time(comparison, ours->created_at, stored->created_at) &&
           is_same_time(comparison, a->checked_at, b->checked_at) &&
           is_same_time(comparison, a->fetched_at, b->fetched_at) &&
           is_same_time(comparison, a->discovered_at, b->discovered_at) &&
           ours->pool_count == stored->pool_count && a->answers == b->answers &&
           a->score == b->score && a->snapshot_id == b->snapshot_id &&
           a->low_score_us == b->low_score_us;
}

static bool compare_token(void *context, const struct store_token *stored)
{
    struct comparison *comparison = context;
    if (stored->id <= token_table_count(comparison->table))
        comparison->alike +=
            is_alike(comparison, token_slot(comparison->table, stored->id), &stored->token);
    return true;
}

/* Ids that are taken by nobody are in no store. */
static uint32_t count_tokens(const struct token_table *table)
{
    uint32_t count = 0;
    for (token_id id = 1; id <= token_table_count(table); id++)
        count += !(token_slot(table, id)->flags & TOKEN_HOLE);
    return count;
}

uint32_t disk_compare_store(struct store *store, const struct token_table *table, bool had_future)
{
    struct comparison comparison = {.table = table, .had_future = had_future};
    const struct store_loader loader = {&comparison, compare_token, take_no_setting, NULL, NULL};
    struct store_load_report report;
    if (store == NULL)
        return UINT32_MAX;
    enum err err = store_load(store, &loader, &report);
    store_close(store);
    return err == OK ? count_tokens(table) - comparison.alike : UINT32_MAX;
}

uint32_t disk_compare(const char *url, const struct token_table *table, bool had_future)
{
    char why[512];
    return disk_compare_store(store_open(url, why), table, had_future);
}
