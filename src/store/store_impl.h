/*
 * What an implementation of store.h provides: a table of functions each for the store and for the
 * reader, and the two ways in. store.c chooses by the URL's scheme and passes calls on. Private to
 * src/store.
 */
#ifndef MOONWATCH_STORE_STORE_IMPL_H
#define MOONWATCH_STORE_STORE_IMPL_H

#include "store/store.h"

#define STORE_MESSAGE_SIZE 512

struct store_methods {
    enum err (*load)(struct store *, const struct store_loader *, struct store_load_report *);
    enum err (*resume)(struct store *, const struct store_loader *, struct store_load_report *);
    enum err (*load_some)(struct store *, const token_id *ids, size_t count,
                          const struct store_loader *);
    token_id (*next_replayed)(struct store *);
    void (*identify)(const struct store *, struct table_store *);
    void (*close)(struct store *);
    enum err (*begin)(struct store *, enum store_durability);
    /* NULL: it is nobody's node. */
    enum err (*hold)(struct store *, const struct cluster_change *, uint32_t count, bool *held);
    enum err (*put_token)(struct store *, const struct store_token *);
    enum err (*append_refresh)(struct store *, const struct store_token *);
    enum err (*put_pools)(struct store *, const struct store_token *);
    enum err (*checkpoint_token)(struct store *, const struct store_token *);
    enum err (*put_snapshot)(struct store *, const struct store_snapshot *);
    enum err (*put_event)(struct store *, const struct store_event *);
    enum err (*put_setting)(struct store *, const char *name, const char *value);
    enum err (*put_alert)(struct store *, int64_t id, const char *text);
    void (*start_pass)(struct store *);
    enum err (*end_pass)(struct store *);
    int64_t (*log_position)(const struct store *);
    enum err (*delete_history)(struct store *, instant snapshots_before, instant events_before,
                               uint32_t most, bool *more);
    enum err (*commit)(struct store *);
    void (*rollback)(struct store *);
    enum err (*reopen)(struct store *, enum store_file *file);
    const char *(*message)(const struct store *);
    int64_t (*size_bytes)(const struct store *);
    bool (*disk)(const struct store *, struct store_disk *); /* NULL: cannot be known */
    enum err (*scan_open)(struct store *, enum store_part, int64_t after, struct store_scan **);
    enum err (*extent)(struct store *, enum store_part, struct store_extent *);
    enum err (*expect_history)(struct store *, instant oldest); /* NULL: nothing to be made */
    enum err (*get_copy)(struct store *, struct store_copy *);
    enum err (*put_copy)(struct store *, const struct store_copy *);
    enum err (*end_copy)(struct store *, uint64_t source, uint64_t generation);
};

struct store {
    const struct store_methods *methods;
};

struct store_scan_methods {
    enum err (*next)(struct store_scan *, struct store_row *, bool *has_row);
    void (*close)(struct store_scan *);
};

struct store_scan {
    const struct store_scan_methods *methods;
    uint64_t refused;
};

struct store_reader_methods {
    void (*close)(struct store_reader *);
    int (*snapshots)(struct store_reader *, token_id token, int64_t newest_id,
                     struct store_snapshot *out, int limit);
    int (*events)(struct store_reader *, token_id token, struct store_event *out, int limit);
};

struct store_reader {
    const struct store_reader_methods *methods;
};

/* `path` is the URL without its scheme; `url` has it. */
struct store *sqlite_store_open(const char *path, pid_t unawaited, char why[STORE_MESSAGE_SIZE]);
struct store *sqlite_store_open_for_copy(const char *path, enum store_role role,
                                         char why[STORE_MESSAGE_SIZE]);
struct store_reader *sqlite_reader_open(const char *path, char why[STORE_MESSAGE_SIZE]);
struct store *postgres_store_open(const char *url, pid_t unawaited, char why[STORE_MESSAGE_SIZE]);
bool postgres_store_is_shared(const char *url, char node[STORE_NODE_SIZE]);
struct store *postgres_store_open_for_copy(const char *url, enum store_role role,
                                           char why[STORE_MESSAGE_SIZE]);
struct store_reader *postgres_reader_open(const char *url, char why[STORE_MESSAGE_SIZE]);

#endif
