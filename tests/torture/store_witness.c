/* A store that looks on. See the header. */
#include "store_witness.h"

#include "store/sqlite_store.h"
#include <stdlib.h>

/* Small, so that folding the -wal into the file is cut often; it is large in the daemon. */
#define WAL_PAGES 24

static struct witness *witness_of(struct store *store)
{
    return (struct witness *)store;
}

static size_t position(const struct witness *witness)
{
    return witness->film == NULL ? 0 : witness->film->count;
}

static void note(struct witness *witness, struct witness_note made)
{
    struct witness_notes *notes = witness->notes;
    if (notes == NULL)
        return;
    if (notes->count == notes->capacity) {
        notes->capacity = notes->capacity == 0 ? 256 : notes->capacity * 2;
        notes->notes = realloc(notes->notes, notes->capacity * sizeof *notes->notes);
        if (notes->notes == NULL)
            abort();
    }
    notes->notes[notes->count++] = made;
}

/* A durable one: that all is as `now` says. */
static void note_now(struct witness *witness, size_t began)
{
    note(witness,
         (struct witness_note){
             .began = began, .done = position(witness), .is_durable = true, .after = witness->now});
}

void witness_note_start(struct witness *witness)
{
    note_now(witness, 0);
}

void witness_notes_free(struct witness_notes *notes)
{
    free(notes->notes);
    *notes = (struct witness_notes){0};
}

/* ---- the interface ---- */

static enum err load(struct store *store, const struct store_loader *loader,
                     struct store_load_report *report)
{
    return store_load(witness_of(store)->inner, loader, report);
}

static enum err resume(struct store *store, const struct store_loader *loader,
                       struct store_load_report *report)
{
    return store_resume(witness_of(store)->inner, loader, report);
}

static enum err load_some(struct store *store, const token_id *ids, size_t count,
                          const struct store_loader *loader)
{
    return store_load_some(witness_of(store)->inner, ids, count, loader);
}

static token_id next_replayed(struct store *store)
{
    return store_next_replayed(witness_of(store)->inner);
}

static void identify(const struct store *store, struct table_store *out)
{
    store_identify(((const struct witness *)store)->inner, out);
}

static void close_inner(struct store *store)
{
    store_close(witness_of(store)->inner);
    witness_of(store)->inner = NULL;
}

static enum err begin(struct store *store, enum store_durability durability)
{
    struct witness *witness = witness_of(store);
    witness->durability = durability;
    witness->draft = witness->now;
    witness->began = position(witness);
    return store_begin(witness->inner, durability);
}

static enum err put_token(struct store *store, const struct store_token *token)
{
    enum err err = store_put_token(witness_of(store)->inner, token);
    if (err == OK)
        model_put_token(&witness_of(store)->draft, token);
    return err;
}

static enum err append_refresh(struct store *store, const struct store_token *token)
{
    enum err err = store_append_refresh(witness_of(store)->inner, token);
    if (err == OK)
        model_put_state(&witness_of(store)->draft, token);
    return err;
}

static enum err put_pools(struct store *store, const struct store_token *token)
{
    enum err err = store_put_pools(witness_of(store)->inner, token);
    if (err == OK)
        model_put_pools(&witness_of(store)->draft, token);
    return err;
}

static enum err checkpoint_token(struct store *store, const struct store_token *token)
{
    enum err err = store_checkpoint_token(witness_of(store)->inner, token);
    if (err == OK)
        model_put_state(&witness_of(store)->draft, token);
    return err;
}

static enum err put_snapshot(struct store *store, const struct store_snapshot *snapshot)
{
    enum err err = store_put_snapshot(witness_of(store)->inner, snapshot);
    if (err == OK)
        model_put_snapshot(&witness_of(store)->draft, snapshot);
    return err;
}

static enum err put_event(struct store *store, const struct store_event *event)
{
    enum err err = store_put_event(witness_of(store)->inner, event);
    if (err == OK)
        model_put_event(&witness_of(store)->draft, event);
    return err;
}

static enum err put_setting(struct store *store, const char *name, const char *value)
{
    enum err err = store_put_setting(witness_of(store)->inner, name, value);
    if (err == OK)
        model_put_setting(&witness_of(store)->draft, name, value);
    return err;
}

static enum err put_alert(struct store *store, int64_t id, const char *text)
{
    enum err err = store_put_alert(witness_of(store)->inner, id, text);
    if (err == OK)
        model_put_alert(&witness_of(store)->draft, id, text);
    return err;
}

static void start_pass(struct store *store)
{
    store_start_pass(witness_of(store)->inner);
}

static enum err end_pass(struct store *store)
{
    return store_end_pass(witness_of(store)->inner);
}

static int64_t log_position(const struct store *store)
{
    return store_log_position(((const struct witness *)store)->inner);
}

static enum err delete_history(struct store *store, instant snapshots_before, instant events_before,
                               uint32_t most, bool *more)
{
    enum err err =
        store_delete_history(witness_of(store)->inner, snapshots_before, events_before, most, more);
    if (err == OK)
        model_delete_history(&witness_of(store)->draft, snapshots_before, events_before, most);
    return err;
}

static enum err commit(struct store *store)
{
    struct witness *witness = witness_of(store);
    enum err err = store_commit(witness->inner);
    if (err == OK)
        witness->now = witness->draft;
    /* What could not be committed may be there all the same, as long as nothing was written over
     * it. */
    note(witness, (struct witness_note){.began = witness->began,
                                        .done = err == OK ? position(witness) : SIZE_MAX,
                                        .is_durable = witness->durability == STORE_DURABLE,
                                        .after = witness->draft});
    return err;
}

static void rollback(struct store *store)
{
    struct witness *witness = witness_of(store);
    store_rollback(witness->inner);
    witness->draft = witness->now;
}

/* A new file has the settings and nothing else. */
static enum err reopen(struct store *store, enum store_file *file)
{
    struct witness *witness = witness_of(store);
    size_t began = position(witness);
    enum err err = store_reopen(witness->inner, file);
    if (err != OK || *file == STORE_SAME_FILE)
        return err;
    struct model emptied = {.generation = witness->now.generation,
                            .setting_count = witness->now.setting_count};
    memcpy(emptied.settings, witness->now.settings, sizeof emptied.settings);
    witness->now = emptied;
    note_now(witness, began);
    witness->new_file_at = position(witness);
    return OK;
}

static const char *message(const struct store *store)
{
    return store_message(((const struct witness *)store)->inner);
}

static int64_t size_bytes(const struct store *store)
{
    return store_size_bytes(((const struct witness *)store)->inner);
}

static const struct store_methods METHODS = {
    .load = load,
    .resume = resume,
    .load_some = load_some,
    .next_replayed = next_replayed,
    .identify = identify,
    .close = close_inner,
    .begin = begin,
    .put_token = put_token,
    .append_refresh = append_refresh,
    .put_pools = put_pools,
    .checkpoint_token = checkpoint_token,
    .put_snapshot = put_snapshot,
    .put_event = put_event,
    .put_setting = put_setting,
    .put_alert = put_alert,
    .start_pass = start_pass,
    .end_pass = end_pass,
    .log_position = log_position,
    .delete_history = delete_history,
    .commit = commit,
    .rollback = rollback,
    .reopen = reopen,
    .message = message,
    .size_bytes = size_bytes,
};

struct store *witness_over(struct witness *witness, struct store *inner)
{
    struct table_store identity;
    store_identify(inner, &identity);
    witness->base.methods = &METHODS;
    witness->inner = inner;
    witness->now.generation = identity.generation;
    sqlite_of(inner)->wal_pages = WAL_PAGES;
    return &witness->base;
}

struct store *witness_open(struct witness *witness, const char *url, pid_t unawaited, char why[512])
{
    size_t began = position(witness);
    struct store *inner = store_open_after(url, unawaited, why);
    if (inner == NULL)
        return NULL;
    struct store *store = witness_over(witness, inner);
    note_now(witness, began);
    return store;
}
