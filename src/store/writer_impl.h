/*
 * What the files of the writer share: writer.c (the engine's side, the thread's loop, failures),
 * writer_batch.c (one group commit), writer_hold.c (the leases that it is under),
 * writer_checkpoint.c (rows brought up to date, old log and history dropped). Private to them.
 *
 * `mutex` guards what both threads touch; the two dirty sets need none; the rest is the thread's.
 */
#ifndef MOONWATCH_STORE_WRITER_IMPL_H
#define MOONWATCH_STORE_WRITER_IMPL_H

#include "store/dirty_set.h"
#include "store/fifo.h"
#include "store/writer.h"

/* Most of each kind in one transaction: enough to spread its cost, few enough that a commit stays
 * in the milliseconds and a new token never waits long behind it. */
#define BATCH_ADDITIONS_MAX 2048
#define BATCH_SETTINGS_MAX  128
#define BATCH_ALERTS_MAX    128
#define BATCH_ROWS_MAX      STORE_SNAPSHOTS_MAX
#define BATCH_TOKENS_MAX    8192

#define CHECKPOINT_ROWS_MAX 2048
#define HISTORY_ROWS_MAX    5000
#define REWRITE_ROWS_MAX    2048

#define BACKOFF_MIN_MS 100
#define BACKOFF_MAX_MS 5000

/* Failures of the disk in a row before the file is opened again. */
#define REOPEN_AFTER 3

struct addition {
    token_id id;
    uint64_t tag;
};

struct setting_change {
    char *name, *value; /* owned */
    uint64_t tag;
};

struct alert_change {
    int64_t id;
    char *text; /* owned; NULL: delete */
};

#define LEASE_NONE LEASE_COUNT

/* Of one of several nodes. A lease gets another TERM each time that it may have been another's. */
struct holds {
    bool is_node;
    uint64_t generations[LEASE_COUNT]; /* 0: another's */
    uint32_t terms[LEASE_COUNT];
};

enum row_kind { ROW_SNAPSHOT, ROW_EVENT };

struct queued_row {
    enum row_kind kind;
    uint16_t lease; /* that it needs; LEASE_NONE: none */
    bool is_left_out;
    uint32_t term; /* of the lease when it was queued */
    union {
        struct store_snapshot snapshot;
        struct store_event event;
    };
};

enum notice_kind {
    NOTICE_TOKEN,
    NOTICE_TOKEN_LEFT_OUT,
    NOTICE_FLUSHED,
    NOTICE_SETTING,
    NOTICE_HISTORY,
    NOTICE_STATE,
    NOTICE_ALERT,
    NOTICE_NEW_FILE
};

struct notice {
    enum notice_kind kind;
    int64_t id;
    uint64_t tag;
};

/* Taken out of the queues and kept until it is committed. */
struct batch {
    struct addition additions[BATCH_ADDITIONS_MAX];
    struct setting_change settings[BATCH_SETTINGS_MAX];
    struct alert_change alerts[BATCH_ALERTS_MAX];
    struct queued_row rows[BATCH_ROWS_MAX];
    /* As one of several nodes: of these writes, and which of them are not to be. */
    struct holds holds;
    bool is_lost[LEASE_COUNT + 1]; /* by lease; LEASE_NONE: false */
    uint64_t refreshes_left_out, rows_left_out;
    uint16_t leases[BATCH_TOKENS_MAX];       /* of the tokens */
    token_id tokens[BATCH_TOKENS_MAX];       /* back to the dirty set when the commit fails */
    uint32_t publications[BATCH_TOKENS_MAX]; /* that were written; 0: none */
    uint32_t pool_hashes[BATCH_TOKENS_MAX];  /* of pools that were written; 0: they were not */
    size_t addition_count, setting_count, alert_count, row_count, token_count;
    uint64_t rows_written;
    int64_t newest_snapshot;
    bool is_full; /* more is waiting than one transaction takes */
};

struct checkpoint {
    struct dirty_set *set; /* rows of these tokens are behind the log */
    token_id ids[CHECKPOINT_ROWS_MAX];
    bool is_running;
    token_id next;
    instant began_at;
    instant slice_at; /* when the next slice is due */
    bool is_dropping; /* the pass is over, the log behind it can go */
};

struct history {
    bool is_wanted;
    instant snapshots_before, events_before;
    uint64_t tag;
};

/* A new file is being filled from the token table. */
struct rewrite {
    bool is_running;
    token_id next, end;
};

struct writer {
    struct store *store;
    struct token_table *table;
    struct writer_callbacks callbacks;
    duration commit_interval, checkpoint_interval;
    size_t queue_limit;

    bool has_loop;  /* and a thread, once it has begun */
    bool has_begun; /* the store is loaded: it may be written to */
    uv_thread_t thread;
    uv_async_t async;
    uv_mutex_t mutex;
    uv_cond_t wake;
    struct dirty_set *dirty;
    _Atomic bool is_marked; /* a token was marked since the last batch began */

    /* Under the mutex. */
    struct fifo additions, settings, alerts, rows, notices, flushes;
    size_t flushing; /* of the flushes: the batch has all that they are about, unless it is full */
    struct holds holds;
    instant waiting_since; /* of what has no hurry; INSTANT_NEVER: nothing */
    token_id known_end;    /* tokens below it have been given to us */
    struct history history;
    bool is_rewrite_wanted;
    bool is_stopping;
    instant stop_deadline;
    struct writer_stats stats;

    /* The thread's. */
    struct batch batch;
    struct checkpoint checkpoint;
    struct rewrite rewrite;
    struct history history_running;
    struct store_token row; /* the one being copied */
    struct pool row_pools[POOLS_MAX];
    uint32_t publication; /* of the one being copied */
    instant retry_at;     /* INSTANT_NEVER: not failing */
    unsigned failures_in_a_row;
    bool is_reopen_wanted;
    uint64_t told_lost[LEASE_COUNT]; /* generations of which the log was told that they are lost */
    instant disk_seen_at;
    bool is_idle; /* the newest turn found nothing to write */
};

instant writer_now(const struct writer *writer);

/* Copies a token into writer->row. False: no such token. */
bool writer_read_token(struct writer *writer, token_id id);
uint32_t writer_hash_pools(const struct store_token *row);

/* Notes in the table which store this is. */
void writer_note_store(struct writer *writer, uint64_t is_behind);

/* Notices a row that the store refused as such: left out, so that it can't stop the rest. */
enum err writer_tolerate(struct writer *writer, enum err err);

void writer_notify(struct writer *writer, enum notice_kind kind, int64_t id, uint64_t tag);

void batch_fill(struct writer *writer);
bool batch_is_empty(const struct writer *writer);
enum err batch_write(struct writer *writer) MUST_CHECK; /* on success with notices and counts */
void batch_put_back(struct writer *writer);             /* after a failure */
void batch_end_flushes(struct writer *writer);          /* after a success */
/* writer_hold.c. The lease for what is about a token; LEASE_NONE where there are no several nodes.
 * hold_*() are about writer->batch: what is written, once the transaction has begun. */
uint16_t writer_lease_of(const struct writer *writer, const struct holds *holds, token_id id);
bool hold_is_node(struct writer *writer);
enum err hold_leases(struct writer *writer) MUST_CHECK;
bool hold_lets_in(struct writer *writer, uint16_t lease); /* of a token; counted where not */
void hold_notify(struct writer *writer);                  /* under the mutex, after the commit */

enum err rewrite_slice(struct writer *writer) MUST_CHECK;

/* When there is something to do; INSTANT_FAR: nothing. */
instant checkpoint_due(const struct writer *writer);
enum err checkpoint_step(struct writer *writer, instant now) MUST_CHECK;
enum err checkpoint_all(struct writer *writer, instant deadline) MUST_CHECK;
bool checkpoint_is_done(const struct writer *writer);
enum err history_step(struct writer *writer) MUST_CHECK;
void history_end(struct writer *writer); /* done, or given up */

#endif
