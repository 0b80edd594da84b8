/*
 * The store: what survives everything. One interface, which SQLite (sqlite.c) and PostgreSQL
 * (postgres.c) implement; a conformance suite (tests/unit/store/test_store.c) runs against each.
 *
 * It is written as a log. A refresh that changed something is APPENDED to refresh_log (sequential,
 * many to a row: half a microsecond each); the token rows are CHECKPOINTED in the order of their
 * ids, a slice at a time, so that no row is more than store_checkpoint_sec behind, and the log
 * behind the checkpoint is dropped. A start reads the rows, then replays the log's tail. Snapshots
 * are appended too: each names the one before of the same token, so history needs no index, only
 * newest ids.
 *
 * Writes happen between store_begin() and store_commit(), from one thread (writer.h). Any write may
 * fail: then store_rollback(), and the caller writes the batch again later. store_begin() with
 * STORE_DURABLE makes the commit survive a power cut (new tokens, settings: what is acknowledged);
 * STORE_RELAXED may lose the last instants in a power cut, never in a crash of ours.
 *
 * Every failure leaves a sentence for a person in store_message(): what, where, what to do.
 */
#ifndef MOONWATCH_STORE_STORE_H
#define MOONWATCH_STORE_STORE_H

#include "base/err.h"
#include "cluster/view.h"
#include "core/token_table.h"
#include <sys/types.h>

struct store;

enum store_durability { STORE_RELAXED, STORE_DURABLE };

struct store_snapshot {
    int64_t id;       /* given by the core, rising by one */
    int64_t previous; /* of the same token; 0: the first */
    token_id token;
    instant at;
    double score; /* smoothed */
    double score_raw;
    struct components raw;
    struct components smoothed;
    struct metrics metrics;
    char primary_dex[DEX_NAME_SIZE];
};

#define STORE_EVENT_KIND_SIZE   32
#define STORE_EVENT_REASON_SIZE 128

struct store_event {
    token_id token; /* 0: not about a token */
    instant at;
    char kind[STORE_EVENT_KIND_SIZE];     /* "added", "activated", "archived", "settings"… */
    char reason[STORE_EVENT_REASON_SIZE]; /* "low_score_timeout"… */
};

/* A message to people that is still to be delivered, or was not long ago: text whose meaning is the
 * caller's. */
#define STORE_ALERT_TEXT_MAX 16384 /* bytes without the NUL */
#define STORE_ALERTS_MAX     1024  /* that a start hears of: the newest */

/* A pool with its names spelled out: indices mean nothing outside one table. */
struct store_pool {
    struct pool pool; /* dex and quote are not used */
    char dex[DEX_NAME_SIZE];
    char quote[QUOTE_NAME_SIZE];
};

/* `primary_dex` spells out state.metrics.primary_dex. */
struct store_token {
    token_id id;
    struct token token; /* pool_first and pool_class are not used */
    char primary_dex[DEX_NAME_SIZE];
    struct store_pool pools[POOLS_MAX];
};

/* What a start hears. A callback's false ends the load with ERR_NO_MEMORY. */
struct store_loader {
    void *context;
    bool (*on_token)(void *context, const struct store_token *token); /* in order of ids */
    bool (*on_setting)(void *context, const char *name, const char *value);
    /* With store_resume(), or NULL: the newest snapshots, rising; those of the last transaction are
     * among them, after which a death may have kept the writer from noting them. */
    void (*on_snapshot)(void *context, int64_t snapshot_id, token_id token);
    /* The messages, oldest first; or NULL. */
    void (*on_alert)(void *context, int64_t id, const char *text);
};

/* In one transaction. */
#define STORE_SNAPSHOTS_MAX 1024

/* What a load found. A row that fails its checks (lengths, ranges, finite numbers, a mint that is
 * none, one that stands twice) is left where it is, counted and logged, never believed.
 * A refused token row leaves a HOLE: on_token is not called for that id. A token whose identity is
 * sound but whose state is not comes without data (answers 0), to be fetched anew. */
struct store_load_report {
    uint32_t tokens;
    uint32_t replayed;       /* tokens whose state came from the log: it was ahead of their row */
    uint32_t rows_refused;   /* rows of any table; the holes are among them */
    uint32_t holes;          /* ids up to the last one loaded without a token */
    uint32_t states_refused; /* tokens that came without data because of damage */
    uint32_t times_clamped; /* tokens with a time in the future (the clock was wrong): set to now */
    int64_t last_snapshot_id;
    token_id last_token; /* the largest id with a row */
    uint64_t generation; /* of this opening: one more than the last */
};

/* Opens or makes the database behind `url` ("sqlite:PATH", or what libpq takes that begins with
 * "postgresql://" or "postgres://", with node=NAME among its parameters or not) and migrates its
 * schema. NULL with a sentence in `why` when it can't be. One writer at a time, in PostgreSQL one
 * of each node: a second one is told so. */
struct store *store_open(const char *url, char why[512]);
/* Whether this is one of several nodes' (node=NAME); then `node` is its name, where it is not NULL.
 */
#define STORE_NODE_SIZE 33
bool store_is_shared(const char *url, char node[STORE_NODE_SIZE]);
/* The same as store_open() after an engine, process `unawaited`, that was killed and does not die:
 * the lock that it holds does not count. Should it ever wake, its generation keeps it from writing.
 */
struct store *store_open_after(const char *url, pid_t unawaited, char why[512]);
/* Once, before the first write. ERR_CORRUPT after having delivered all that could be read. */
enum err store_load(struct store *store, const struct store_loader *loader,
                    struct store_load_report *report) MUST_CHECK;
/* Instead of store_load(), when the tokens are in memory already: settings, newest snapshot,
 * largest id; nothing else is read. */
enum err store_resume(struct store *store, const struct store_loader *loader,
                      struct store_load_report *report) MUST_CHECK;
/* These tokens only, as store_load() would give them; `ids` rise. on_token is not called for one
 * that has no sound row. ERR_CORRUPT: not all could be read. */
enum err store_load_some(struct store *store, const token_id *ids, size_t count,
                         const struct store_loader *loader) MUST_CHECK;
/* The tokens whose row is behind the log, one a call; TOKEN_NONE after the last. They must be
 * checkpointed in the first pass. After a load in order of ids; after store_resume() as they stand
 * in the log, which is read now, and takes its time. */
token_id store_next_replayed(struct store *store);
/* Which store this is and which opening of it, for the token table to remember. */
void store_identify(const struct store *store, struct table_store *out);
void store_close(struct store *store);

enum err store_begin(struct store *store, enum store_durability durability) MUST_CHECK;
/* Of a store that is one of several nodes' (postgres_store.h): what this transaction writes about
 * tokens is written under these leases, of which none stands twice; for new tokens LEASE_SOURCE is
 * needed, for everything else the token's slot. held[i] false: another has it, and nothing may be
 * written about its tokens but checkpoints. What is held stays so until the transaction ends. Once,
 * before anything is written. */
enum err store_hold(struct store *store, const struct cluster_change *leases, uint32_t count,
                    bool *held) MUST_CHECK;
enum err store_put_token(struct store *store, const struct store_token *token) MUST_CHECK; /* new */
enum err store_append_refresh(struct store *store, const struct store_token *token) MUST_CHECK;
enum err store_put_pools(struct store *store, const struct store_token *token) MUST_CHECK;
enum err store_checkpoint_token(struct store *store, const struct store_token *token) MUST_CHECK;
enum err store_put_snapshot(struct store *store, const struct store_snapshot *snapshot) MUST_CHECK;
enum err store_put_event(struct store *store, const struct store_event *event) MUST_CHECK;
enum err store_put_setting(struct store *store, const char *name, const char *value) MUST_CHECK;
/* New, or in the place of the one with this id. `text` NULL: it is deleted. */
enum err store_put_alert(struct store *store, int64_t id, const char *text) MUST_CHECK;
/* A checkpoint pass. The log has two parts: starting a pass makes appends go to the other one;
 * ending it, inside a transaction and after every token that was in the log at the start has been
 * checkpointed, empties the part left behind, which is cheap however long it is. */
void store_start_pass(struct store *store);
enum err store_end_pass(struct store *store) MUST_CHECK;
/* Of the newest row ever appended. */
int64_t store_log_position(const struct store *store);
/* Deletes at most `most` old rows of each; sets *more when there are others. */
enum err store_delete_history(struct store *store, instant snapshots_before, instant events_before,
                              uint32_t most, bool *more) MUST_CHECK;
enum err store_commit(struct store *store) MUST_CHECK;
void store_rollback(struct store *store);

/* After a failure: looks what became of the file and opens again. A file that fails its check, or
 * that somebody emptied, cut off or wrote over, is moved aside as NAME.damaged-TIME, one that
 * somebody put in our file's place as NAME.replaced-TIME, and a new one is made, with the settings
 * and the generation in it; then *file is STORE_NEW_FILE, and everything must be written again.
 * store_message() says what was done.
 */
enum store_file { STORE_SAME_FILE, STORE_NEW_FILE };
enum err store_reopen(struct store *store, enum store_file *file) MUST_CHECK;
const char *store_message(const struct store *store);
int64_t store_size_bytes(const struct store *store);
/* Of the file system that the store lies on. False: it cannot be known. */
struct store_disk {
    double used_ratio;
    double free_bytes; /* to us */
};
bool store_disk(const struct store *store, struct store_disk *out) MUST_CHECK;

/* ---- a store as a whole, to be moved into another (copy.h) ---- */

/* What a store holds, in the order in which it is copied. */
#define STORE_PART_LIST(X)                                                                         \
    X(STORE_TOKENS, "tokens") /* with their pools, brought up to the log */                        \
    X(STORE_SNAPSHOTS, "snapshots")                                                                \
    X(STORE_EVENTS, "events")                                                                      \
    X(STORE_ALERTS, "alerts")                                                                      \
    X(STORE_SETTINGS, "settings")

enum store_part {
#define X(code, name) code,
    STORE_PART_LIST(X)
#undef X
        STORE_PART_COUNT
};

const char *store_part_name(enum store_part part);

/* STORE_SOURCE is read only: it must be there, is locked against writers as long as it is open, and
 * stays as it is; only an older schema is migrated. STORE_TARGET is written, and may hold what a
 * copy that was broken off has left; store_open() refuses such a store. Neither has a generation of
 * its own, but the one that is stored. */
enum store_role { STORE_SOURCE, STORE_TARGET };
struct store *store_open_for_copy(const char *url, enum store_role role, char why[512]);

/* A row of any part. Texts are valid until the next row. */
struct store_row {
    int64_t position; /* rises: the id; of an event its number, of a setting its rank by name */
    union {
        struct store_token token; /* times as stored, not set to now when they are ahead */
        struct store_snapshot snapshot;
        struct store_event event;
        const char *alert; /* `position` is its id */
        struct {
            const char *name, *value;
        } setting;
    } of;
};

/* A walk over the rows of a part behind position `after` (0: all), in rising order. Rows that fail
 * their checks are left out and counted, as a load does. Nothing may be written meanwhile. */
struct store_scan;
enum err store_scan_open(struct store *store, enum store_part part, int64_t after,
                         struct store_scan **out) MUST_CHECK;
/* ERR_CORRUPT: not all could be read. */
enum err store_scan_next(struct store_scan *scan, struct store_row *row, bool *has_row) MUST_CHECK;
uint64_t store_scan_refused(const struct store_scan *scan);
void store_scan_close(struct store_scan *scan);

/* The smallest and the largest position of a part; 0 and 0: it is empty. Cheap. */
struct store_extent {
    int64_t first, last;
};
enum err store_extent(struct store *store, enum store_part part,
                      struct store_extent *out) MUST_CHECK;

/* History from this time on is going to be written: what must be made for it beforehand is. */
enum err store_expect_history(struct store *store, instant oldest) MUST_CHECK;

/* How far a copy into this store has come; its rows and its note go in one transaction. */
struct store_copy {
    uint64_t source;      /* a mark of what is copied, by which it is known again; 0: no copy */
    enum store_part part; /* all before it are complete; STORE_PART_COUNT: the whole copy */
    int64_t position;     /* of the newest row of this part */
};
enum err store_get_copy(struct store *store, struct store_copy *out) MUST_CHECK;
enum err store_put_copy(struct store *store, const struct store_copy *copy) MUST_CHECK;
/* The copy is complete: the note says so, and the store takes on the source's generation. */
enum err store_end_copy(struct store *store, uint64_t source, uint64_t generation) MUST_CHECK;

/* ---- reading history, from any process, without disturbing the writer ---- */

struct store_reader;
/* The file is opened when something is asked, and again when it was replaced: it need not exist
 * yet. One thread at a time. */
struct store_reader *store_reader_open(const char *url, char why[512]);
void store_reader_close(struct store_reader *reader);
/* The newest `limit` snapshots of one token, newest first, following `previous` from
 * `newest_id`. Returns how many, −1 when the store can't be read. */
int store_reader_snapshots(struct store_reader *reader, token_id token, int64_t newest_id,
                           struct store_snapshot *out, int limit);
/* Newest first; of TOKEN_NONE: the newest of all. */
int store_reader_events(struct store_reader *reader, token_id token, struct store_event *out,
                        int limit);

#endif
