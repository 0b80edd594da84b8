/* Chooses the implementation by the URL's scheme and passes calls on to it. */
#include "store/store.h"
#include "store/relay.h"
#include "store/store_impl.h"
#include <assert.h>
#include <stdio.h>

struct scheme {
    const char *prefix;
    size_t skipped; /* bytes of the URL that the implementation does not want */
    struct store *(*open)(const char *path, pid_t unawaited, char why[STORE_MESSAGE_SIZE]);
    struct store *(*open_for_copy)(const char *path, enum store_role role,
                                   char why[STORE_MESSAGE_SIZE]);
    struct store_reader *(*reader_open)(const char *path, char why[STORE_MESSAGE_SIZE]);
};

static const struct scheme SCHEMES[] = {
    {"sqlite:", sizeof "sqlite:" - 1, sqlite_store_open, sqlite_store_open_for_copy,
     sqlite_reader_open},
    {"postgresql://", 0, postgres_store_open, postgres_store_open_for_copy, postgres_reader_open},
    {"postgres://", 0, postgres_store_open, postgres_store_open_for_copy, postgres_reader_open},
};

static const struct scheme *scheme_find(const char *url, char why[STORE_MESSAGE_SIZE])
{
    for (size_t i = 0; i < sizeof SCHEMES / sizeof *SCHEMES; i++) {
        size_t length = strlen(SCHEMES[i].prefix);
        if (strncmp(url, SCHEMES[i].prefix, length) == 0 &&
            (url[length] != '\0' || SCHEMES[i].skipped == 0))
            return &SCHEMES[i];
    }
    snprintf(why, STORE_MESSAGE_SIZE,
             "\"%.200s\" names no database this program knows; write sqlite:PATH or "
             "postgresql://USER@HOST/NAME",
             url);
    return NULL;
}

bool store_is_shared(const char *url, char node[STORE_NODE_SIZE])
{
    char why[STORE_MESSAGE_SIZE];
    const struct scheme *scheme = scheme_find(url, why);
    return scheme != NULL && scheme->open == postgres_store_open &&
           postgres_store_is_shared(url, node);
}

struct store *store_open_after(const char *url, pid_t unawaited, char why[512])
{
    const struct scheme *scheme = scheme_find(url, why);
    return scheme == NULL ? NULL : scheme->open(url + scheme->skipped, unawaited, why);
}

struct store *store_open(const char *url, char why[512])
{
    return store_open_after(url, 0, why);
}

enum err store_load(struct store *store, const struct store_loader *loader,
                    struct store_load_report *report)
{
    return store->methods->load(store, loader, report);
}

enum err store_resume(struct store *store, const struct store_loader *loader,
                      struct store_load_report *report)
{
    return store->methods->resume(store, loader, report);
}

enum err store_load_some(struct store *store, const token_id *ids, size_t count,
                         const struct store_loader *loader)
{
    return store->methods->load_some(store, ids, count, loader);
}

void store_identify(const struct store *store, struct table_store *out)
{
    store->methods->identify(store, out);
}

token_id store_next_replayed(struct store *store)
{
    return store->methods->next_replayed(store);
}

void store_close(struct store *store)
{
    if (store != NULL)
        store->methods->close(store);
}

enum err store_begin(struct store *store, enum store_durability durability)
{
    return store->methods->begin(store, durability);
}

enum err store_hold(struct store *store, const struct cluster_change *leases, uint32_t count,
                    bool *held)
{
    assert(store->methods->hold != NULL);
    return store->methods->hold(store, leases, count, held);
}

enum err store_put_token(struct store *store, const struct store_token *token)
{
    return store->methods->put_token(store, token);
}

enum err store_append_refresh(struct store *store, const struct store_token *token)
{
    return store->methods->append_refresh(store, token);
}

enum err store_put_pools(struct store *store, const struct store_token *token)
{
    return store->methods->put_pools(store, token);
}

enum err store_checkpoint_token(struct store *store, const struct store_token *token)
{
    return store->methods->checkpoint_token(store, token);
}

enum err store_put_snapshot(struct store *store, const struct store_snapshot *snapshot)
{
    return store->methods->put_snapshot(store, snapshot);
}

enum err store_put_event(struct store *store, const struct store_event *event)
{
    return store->methods->put_event(store, event);
}

enum err store_put_setting(struct store *store, const char *name, const char *value)
{
    return store->methods->put_setting(store, name, value);
}

enum err store_put_alert(struct store *store, int64_t id, const char *text)
{
    return store->methods->put_alert(store, id, text);
}

void store_start_pass(struct store *store)
{
    store->methods->start_pass(store);
}

enum err store_end_pass(struct store *store)
{
    return store->methods->end_pass(store);
}

int64_t store_log_position(const struct store *store)
{
    return store->methods->log_position(store);
}

enum err store_delete_history(struct store *store, instant snapshots_before, instant events_before,
                              uint32_t most, bool *more)
{
    return store->methods->delete_history(store, snapshots_before, events_before, most, more);
}

enum err store_commit(struct store *store)
{
    return store->methods->commit(store);
}

void store_rollback(struct store *store)
{
    store->methods->rollback(store);
}

enum err store_reopen(struct store *store, enum store_file *file)
{
    return store->methods->reopen(store, file);
}

const char *store_message(const struct store *store)
{
    return store->methods->message(store);
}

int64_t store_size_bytes(const struct store *store)
{
    return store->methods->size_bytes(store);
}

bool store_disk(const struct store *store, struct store_disk *out)
{
    return store->methods->disk != NULL && store->methods->disk(store, out);
}

struct store *store_open_for_copy(const char *url, enum store_role role, char why[512])
{
    const struct scheme *scheme = scheme_find(url, why);
    return scheme == NULL ? NULL : scheme->open_for_copy(url + scheme->skipped, role, why);
}

const char *store_part_name(enum store_part part)
{
    static const char *const NAMES[] = {
#define X(code, name) [code] = name,
        STORE_PART_LIST(X)
#undef X
    };
    return NAMES[part];
}

enum err store_scan_open(struct store *store, enum store_part part, int64_t after,
                         struct store_scan **out)
{
    return store->methods->scan_open(store, part, after, out);
}

enum err store_scan_next(struct store_scan *scan, struct store_row *row, bool *has_row)
{
    return scan->methods->next(scan, row, has_row);
}

uint64_t store_scan_refused(const struct store_scan *scan)
{
    return scan->refused;
}

void store_scan_close(struct store_scan *scan)
{
    if (scan != NULL)
        scan->methods->close(scan);
}

enum err store_extent(struct store *store, enum store_part part, struct store_extent *out)
{
    return store->methods->extent(store, part, out);
}

enum err store_expect_history(struct store *store, instant oldest)
{
    return store->methods->expect_history == NULL ? OK
                                                  : store->methods->expect_history(store, oldest);
}

enum err store_get_copy(struct store *store, struct store_copy *out)
{
    return store->methods->get_copy(store, out);
}

enum err store_put_copy(struct store *store, const struct store_copy *copy)
{
    return store->methods->put_copy(store, copy);
}

enum err store_end_copy(struct store *store, uint64_t source, uint64_t generation)
{
    return store->methods->end_copy(store, source, generation);
}

struct store_reader *store_reader_open(const char *url, char why[512])
{
    size_t length = strlen(RELAY_SCHEME);
    if (strncmp(url, RELAY_SCHEME, length) == 0)
        return relay_reader_open(url + length, why);
    const struct scheme *scheme = scheme_find(url, why);
    return scheme == NULL ? NULL : scheme->reader_open(url + scheme->skipped, why);
}

void store_reader_close(struct store_reader *reader)
{
    if (reader != NULL)
        reader->methods->close(reader);
}

int store_reader_snapshots(struct store_reader *reader, token_id token, int64_t newest_id,
                           struct store_snapshot *out, int limit)
{
    return reader->methods->snapshots(reader, token, newest_id, out, limit);
}

int store_reader_events(struct store_reader *reader, token_id token, struct store_event *out,
                        int limit)
{
    return reader->methods->events(reader, token, out, limit);
}
