/*
 * The store's thread. The engine tells it what changed; it writes, in groups, and never makes the
 * engine wait for a disk.
 *
 * What a token's row needs is not queued: the engine marks a token DIRTY (one bit, so a token
 * waits once however often it changes) and the writer copies its slot from the token table when
 * it writes. So the backlog of a disk that is full for hours is bounded by the number of tokens,
 * and nothing of theirs can be dropped. Snapshots and events are queued, at most
 * store_queue_limit; beyond it the oldest are dropped and counted.
 *
 * New tokens and settings are committed durably, and `on_durable` says so: only then are they
 * acknowledged. When a commit fails the batch is rolled back and everything in it is written again,
 * with backoff from 100 ms to 5 s, until it succeeds or the writer is stopped; the state and its
 * message are for /health and the log.
 *
 * What of a token is stored it notes in the token's slot (token_mark_stored() and its sisters, the
 * only fields of the table that are its own), and in the table which store that is: after a death
 * of this process the next one sees what was not written.
 *
 * One of several nodes (writer_hold()) writes about a token only while it holds the lease of the
 * token's slot, about new tokens while it holds the source's: each transaction makes sure of that
 * (store_hold()). What it may not write is left out, and counted; the rest is written.
 *
 * Threads: writer_*() is called by the engine's thread; callbacks run on it too (through a
 * uv_async_t), all but on_snapshot_durable, on_beat and now. Meanwhile the writer's own thread
 * reads the token table.
 */
#ifndef MOONWATCH_STORE_WRITER_H
#define MOONWATCH_STORE_WRITER_H

#include "base/histogram.h"
#include "base/options.h"
#include "core/token_table.h"
#include "store/store.h"
#include <uv.h>

struct writer;

enum writer_state { WRITER_OK, WRITER_RETRYING };

struct writer_stats {
    enum writer_state state;
    char message[512]; /* why it is retrying */
    uint64_t commits, failures, rows, snapshots_dropped, events_dropped;
    /* Left out, since another node has their slot: refreshes; snapshots and events; new tokens. */
    uint64_t refreshes_left_out, rows_left_out, additions_left_out;
    uint32_t queue_depth;  /* snapshots and events waiting */
    uint32_t dirty_tokens; /* waiting to be appended */
    double commit_seconds_last, commit_seconds_max;
    double commit_seconds_total;
    struct histogram commits_by_duration; /* SCALE_DURATIONS */
    instant last_commit_at;
    instant checkpoint_began_at; /* of the newest complete pass */
    int64_t size_bytes;
    bool is_disk_known; /* and then: */
    struct store_disk disk;
};

struct writer_callbacks {
    void *context;
    /* The token's row is durable; `tag` is what writer_add_token() was given. */
    void (*on_token_durable)(void *context, token_id id, uint64_t tag);
    /* It is not, and will not be: another node listens to the source now, and its id may become
     * another token's. */
    void (*on_token_left_out)(void *context, token_id id, uint64_t tag);
    void (*on_setting_durable)(void *context, uint64_t tag);
    /* What was told before writer_flush(tag) is committed, or was left out. */
    void (*on_flushed)(void *context, uint64_t tag);
    /* The newest committed. From the writer's own thread: nearly every commit has one, and nobody
     * need wake up for it. */
    void (*on_snapshot_durable)(void *context, int64_t snapshot_id);
    void (*on_state)(void *context, const struct writer_stats *stats); /* ok ↔ retrying */
    /* An order of writer_delete_history() is done, or given up because the store cannot write. */
    void (*on_history_deleted)(void *context, uint64_t tag);
    /* A message of writer_put_alert() is durable. */
    void (*on_alert_durable)(void *context, int64_t id);
    /* The file was lost and a new one made. Tokens and settings find their way into it; what else
     * was put is to be put again. */
    void (*on_new_file)(void *context);
    /* From the writer's own thread, at least once a second while it moves. */
    void (*on_beat)(void *context);
    /* The time; NULL: clock_now(). */
    instant (*now)(void *context);
};

/* Takes over `store`, loaded, which it closes at the end. What it needs of the options is copied.
 * NULL: out of memory or threads; `store` is the caller's still. */
struct writer *writer_start(struct store *store, struct token_table *table, uv_loop_t *loop,
                            const struct options *options,
                            const struct writer_callbacks *callbacks);

/* The same in two steps, while the store is still being loaded by somebody else: until the second
 * nothing is written, and what is told is kept. One that is stopped in between writes nothing: what
 * the store has is not known whole. False: no thread. */
struct writer *writer_prepare(struct store *store, struct token_table *table, uv_loop_t *loop,
                              const struct options *options,
                              const struct writer_callbacks *callbacks);
bool writer_begin(struct writer *writer) MUST_CHECK;

/* Without a thread or a loop, for who has a time of his own (the simulator): what the thread would
 * do at this time is done by writer_turn(), callbacks come from within, and writer_due() says when
 * it is to be called. A turn takes no time; a stop does not wait for a store that fails. */
struct writer *writer_start_alone(struct store *store, struct token_table *table,
                                  const struct options *options,
                                  const struct writer_callbacks *callbacks);
instant writer_due(struct writer *writer); /* ≤ now: at once; INSTANT_FAR: nothing to do */
void writer_turn(struct writer *writer);

/* Every new token, in the order of their ids. */
void writer_add_token(struct writer *writer, token_id id, uint64_t tag);
/* Its state changed. Whether its list of pools did too is found out here: from TOKEN_POOLS_CHANGED,
 * which stays set, and by comparing with what was written last. */
void writer_mark_dirty(struct writer *writer, token_id id);
void writer_add_snapshot(struct writer *writer, const struct store_snapshot *snapshot);
/* The same of what the token's slot holds now. */
void writer_take_snapshot(struct writer *writer, token_id id, int64_t snapshot_id,
                          int64_t previous);
/* Of one that was lost: the slot's figures are newer than the score that it was made for, and it
 * gets their time. */
void writer_take_lost_snapshot(struct writer *writer, token_id id, int64_t previous);
void writer_add_event(struct writer *writer, const struct store_event *event);
void writer_put_setting(struct writer *writer, const char *name, const char *value, uint64_t tag);
/* Durably, as soon as possible; `text` NULL: it is deleted, and nobody is told. */
void writer_put_alert(struct writer *writer, int64_t id, const char *text);
/* In slices between other work. A newer order takes the place of one that is not done, which then
 * never is. A failure ends it: what is old now will be old at the next order, and a disk that is
 * full must not look like a deletion that hangs. */
void writer_delete_history(struct writer *writer, instant snapshots_before, instant events_before,
                           uint64_t tag);
/* Writes every token anew: the store does not have what the table's marks say. */
void writer_rewrite(struct writer *writer);
void writer_stats(struct writer *writer, struct writer_stats *out);

/* From the first call on the writer is one of several nodes: these are all the leases that it
 * writes under, with their generations, until the next call. Of a lease that is not among them, or
 * that has come back after it may have been another's (its generation is not the next one), all
 * that waits is dropped; so what is newer than that must be told after the call. Before
 * writer_begin(): with no leases, for a writer that must not write as if it were alone. */
void writer_hold(struct writer *writer, const struct cluster_change *leases, uint32_t count);
/* As soon as possible, all that was told before; on_flushed() then. While more is told than can be
 * written, later. */
void writer_flush(struct writer *writer, uint64_t tag);

/* Commits what is left, trying until `deadline`, ends the thread and closes the store; the last
 * callbacks come from within. Returns the number of new tokens and settings that could not be
 * written; 0 is a clean end. The loop must turn once more before it is closed. */
uint32_t writer_stop(struct writer *writer, instant deadline);

#endif
