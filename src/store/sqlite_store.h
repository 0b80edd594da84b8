/*
 * What the files of the SQLite store share: sqlite.c (opening, healing, transactions),
 * sqlite_write.c (rows out), sqlite_load.c (rows in), sqlite_copy.c (all of them, for another
 * store). Private to them.
 *
 * The writer lock is flock(2) on PATH.lock, held while the store is open; the kernel drops it when
 * the process dies, however it dies. It is a file of its own because closing any descriptor of the
 * database would drop SQLite's own locks on it (https://www.sqlite.org/howtocorrupt.html 2.2).
 */
#ifndef MOONWATCH_STORE_SQLITE_STORE_H
#define MOONWATCH_STORE_SQLITE_STORE_H

#include "store/kept_settings.h"
#include "store/log_record.h"
#include "store/store_impl.h"
#include <limits.h>
#include <sqlite3.h>
#include <sys/stat.h>

/* Longest wait for somebody else's transaction; then ERR_BUSY, and the caller tries again later. */
#define SQLITE_BUSY_MS 250

/* Large pages: rows are appended or written in order, so a page is written for dozens of rows, and
 * costs its system calls once. Appending takes half the time that it does with 4 KiB. */
#define SQLITE_PAGE_BYTES 16384

/* A row of the log: with its header what fits a page, as long as it is the page's only one. */
#define LOG_ROW_MAX (SQLITE_PAGE_BYTES - 64)

/* Page cache of the writer; random access is rare, so a larger one gains nothing. */
#define SQLITE_CACHE_KB 1024

/* The WAL is folded into the file when a commit leaves it longer than this many pages, and cut to
 * this size when it ever grew beyond. */
#define SQLITE_WAL_PAGES 1000
#define SQLITE_WAL_BYTES (64 << 20)

#define STATEMENT_LIST(X)                                                                          \
    X(STATEMENT_BEGIN, "BEGIN IMMEDIATE")                                                          \
    X(STATEMENT_COMMIT, "COMMIT")                                                                  \
    X(STATEMENT_GENERATION, "SELECT value FROM meta WHERE name='generation'")                      \
    X(STATEMENT_SET_GENERATION, "UPDATE meta SET value=?1 WHERE name='generation'")                \
    X(STATEMENT_PUT_TOKEN,                                                                         \
      "INSERT OR REPLACE INTO token(name,symbol,status,log_seq,state,checked_at,fetched_at,score," \
      "liquidity_usd,price_usd,id,mint,created_at) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12," \
      "?13)")                                                                                      \
    X(STATEMENT_CHECKPOINT,                                                                        \
      "UPDATE token SET name=?1,symbol=?2,status=?3,log_seq=?4,state=?5,checked_at=?6,"            \
      "fetched_at=?7,score=?8,liquidity_usd=?9,price_usd=?10 WHERE id=?11")                        \
    X(STATEMENT_APPEND_A, "INSERT OR REPLACE INTO refresh_log_a VALUES(?1,?2,?3)")                 \
    X(STATEMENT_APPEND_B, "INSERT OR REPLACE INTO refresh_log_b VALUES(?1,?2,?3)")                 \
    X(STATEMENT_CLEAR_A, "DELETE FROM refresh_log_a")                                              \
    X(STATEMENT_CLEAR_B, "DELETE FROM refresh_log_b")                                              \
    X(STATEMENT_SET_POSITION, "UPDATE meta SET value=?1 WHERE name='log_position'")                \
    X(STATEMENT_DELETE_POOLS, "DELETE FROM pool WHERE token_id=?1")                                \
    X(STATEMENT_PUT_POOL, "INSERT OR REPLACE INTO pool VALUES(?1,?2,?3,?4,?5,?6,?7)")              \
    X(STATEMENT_PUT_SNAPSHOT, "INSERT OR REPLACE INTO snapshot VALUES(?1,?2,?3,?4,?5,?6,?7,?8)")   \
    X(STATEMENT_PUT_EVENT, "INSERT INTO event(token_id,at,kind,reason) VALUES(?1,?2,?3,?4)")       \
    X(STATEMENT_PUT_SETTING, "INSERT OR REPLACE INTO setting VALUES(?1,?2)")                       \
    X(STATEMENT_PUT_ALERT, "INSERT OR REPLACE INTO alert VALUES(?1,?2)")                           \
    X(STATEMENT_DELETE_ALERT, "DELETE FROM alert WHERE id=?1")                                     \
    X(STATEMENT_PUT_META, "INSERT OR REPLACE INTO meta VALUES(?1,?2)")                             \
    X(STATEMENT_DELETE_SNAPSHOTS,                                                                  \
      "DELETE FROM snapshot WHERE at < ?1 AND id <= (SELECT max(id) FROM (SELECT id FROM snapshot" \
      " ORDER BY id LIMIT ?2))")                                                                   \
    X(STATEMENT_DELETE_EVENTS,                                                                     \
      "DELETE FROM event WHERE at < ?1 AND id <= (SELECT max(id) FROM (SELECT id FROM event"       \
      " ORDER BY id LIMIT ?2))")

enum statement {
#define X(id, sql) id,
    STATEMENT_LIST(X)
#undef X
        STATEMENT_COUNT
};

struct file_identity {
    dev_t device;
    ino_t inode;
};

/* What the file itself says, not SQLite's cache of it: of its first 100 bytes
 * (https://www.sqlite.org/fileformat2.html#the_database_header), and how long it is. */
struct file_head {
    uint32_t page_bytes; /* 0: unknown */
    uint32_t changes, pages, schema_cookie, application;
    int64_t size;
};

/* A row of the log that is being filled: of the transaction under way, not yet in the file. */
struct log_row {
    int64_t first; /* position of the first record; the last one's is log_position */
    size_t length; /* 0: empty */
    uint8_t bytes[LOG_ROW_MAX];
};

struct sqlite_store {
    struct store base;
    sqlite3 *db; /* NULL between a failed reopening and the next */
    sqlite3_stmt *statements[STATEMENT_COUNT];
    char path[PATH_MAX];
    int lock_fd;
    struct file_identity file;
    struct file_identity wal;
    struct file_head head; /* as last seen */
    uint64_t generation;
    bool is_generation_owed; /* the file could not be written at the start: it has the one before */
    int64_t log_position;    /* newest row, committed or not */
    int64_t log_committed;   /* newest committed row */
    struct log_row log_row;
    int wal_pages;         /* SQLITE_WAL_PAGES; fewer in tests */
    int log_part;          /* appends go to: 0 refresh_log_a, 1 refresh_log_b */
    bool is_other_empty;   /* the other part, as committed */
    bool is_other_cleared; /* in this transaction */
    bool in_transaction;
    bool is_new_wanted; /* the old file was given up, the new one is not complete yet */
    bool is_synchronous_full;
    int bound; /* SQLITE_OK, or how the first binding failed since the last statement ran */
    bool is_sync_failed;     /* what the -wal got since its last sync may not be on the disk */
    enum err failure;        /* the newest one since the last commit */
    unsigned damage_reports; /* ERR_CORRUPT since the last commit that went well */
    bool is_overwritten;     /* by somebody else: no check would make it ours again */
    struct kept_settings settings; /* for the day a new file has to be made */
    token_id *replayed;            /* by the load, in order of ids */
    size_t replayed_count, replayed_next;
    sqlite3_stmt *replaying; /* the log being read by sqlite_next_replayed() */
    struct log_walk replaying_row;
    bool is_log_unread; /* the start was a resumption */
    char message[STORE_MESSAGE_SIZE];
    char healing[STORE_MESSAGE_SIZE]; /* what the reopening under way has done so far */
};

static inline struct sqlite_store *sqlite_of(struct store *store)
{
    return (struct sqlite_store *)store;
}

/* The error behind a result code, and its sentence in the message: "can't <doing> PATH: <what>;
 * <advice>". */
enum err sqlite_fail(struct sqlite_store *s, int result, const char *doing);

/* Without a store: the code alone. */
enum err sqlite_err(int result);

/* After columns were read: was there too little memory for one? It is NULL then, which must not be
 * taken for damage. https://www.sqlite.org/c3ref/column_blob.html */
static inline bool sqlite_lacks_memory(const struct sqlite_store *s)
{
    return sqlite3_errcode(s->db) == SQLITE_NOMEM;
}

/* Notes what became of a binding: the statement must not run without it. */
static inline void sqlite_bound(struct sqlite_store *s, int result)
{
    if (s->bound == SQLITE_OK)
        s->bound = result;
}

/* The error with a sentence of its own: "PATH <sentence>". */
enum err sqlite_fail_with(struct sqlite_store *s, enum err err, const char *sentence);

/* Steps a statement that returns no rows, and resets it. */
enum err sqlite_run(struct sqlite_store *s, enum statement id);

enum err sqlite_put_token(struct store *store, const struct store_token *token);
enum err sqlite_append_refresh(struct store *store, const struct store_token *token);
enum err sqlite_flush_log(struct sqlite_store *s); /* before a commit */
enum err sqlite_put_pools(struct store *store, const struct store_token *token);
enum err sqlite_checkpoint_token(struct store *store, const struct store_token *token);
enum err sqlite_put_snapshot(struct store *store, const struct store_snapshot *snapshot);
enum err sqlite_put_event(struct store *store, const struct store_event *event);
enum err sqlite_put_setting(struct store *store, const char *name, const char *value);
enum err sqlite_put_alert(struct store *store, int64_t id, const char *text);
void sqlite_start_pass(struct store *store);
enum err sqlite_end_pass(struct store *store);
enum err sqlite_delete_history(struct store *store, instant snapshots_before, instant events_before,
                               uint32_t most, bool *more);
enum err sqlite_load(struct store *store, const struct store_loader *loader,
                     struct store_load_report *report);
enum err sqlite_resume(struct store *store, const struct store_loader *loader,
                       struct store_load_report *report);
enum err sqlite_load_some(struct store *store, const token_id *ids, size_t count,
                          const struct store_loader *loader);
token_id sqlite_next_replayed(struct store *store);

/* Tokens one by one as sqlite_load() would deliver them, but for their times, which stay as they
 * are stored (sqlite_load.c). */
struct load;
enum err sqlite_walk_begin(struct sqlite_store *s, struct store_load_report *report,
                           struct load **out);
/* NULL in *out after the last; ERR_CORRUPT then when not all could be read. */
enum err sqlite_walk_next(struct load *walk, const struct store_token **out);
void sqlite_walk_end(struct load *walk);

/* Rows of history: id,previous,token_id,at,score,figures and token_id,at,kind,reason
 * (sqlite_reader.c). */
void sqlite_read_snapshot(sqlite3_stmt *row, struct store_snapshot *out);
void sqlite_read_event(sqlite3_stmt *row, struct store_event *out);

/* For copies (sqlite_copy.c). */
enum err sqlite_scan_open(struct store *store, enum store_part part, int64_t after,
                          struct store_scan **out);
enum err sqlite_extent(struct store *store, enum store_part part, struct store_extent *out);
enum err sqlite_get_copy(struct store *store, struct store_copy *out);
enum err sqlite_put_copy(struct store *store, const struct store_copy *copy);
enum err sqlite_end_copy(struct store *store, uint64_t source, uint64_t generation);

#endif
