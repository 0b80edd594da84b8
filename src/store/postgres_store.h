/*
 * What the files of the PostgreSQL store share: postgres.c (opening, healing, transactions),
 * postgres_write.c (rows out), postgres_load.c (rows in), postgres_copy.c (all of them, for another
 * store). Private to them.
 *
 * Rows are gathered in columns (postgres_column.h) and go out as few statements, one after the
 * other without waiting (postgres_link_send()), at the latest before the commit. So a transaction
 * takes two round trips: one to begin, in which the fence is checked, one to commit.
 *
 * A writer is a NODE of the database. Its row in `node` says who may write: each transaction sets
 * `transactions` there under its own generation, so a newer generation fences it, two transactions
 * of a node never overlap, and after a lost connection that number says what became of the commit
 * that was under way, and whether a server that crashed lost earlier ones. An advisory lock, held
 * as long as the connection, tells a second opening at once.
 *
 * A node is ALONE, or, with node=NAME in its URL, one of several that share the tokens by leases of
 * their slots (cluster/view.h); a lock of the database's keeps the two ways apart. What is written
 * of a token's state, in its row and in a log, carries the GENERATION of its slot's lease under
 * which it came about, the node and a position in that node's log. One state is newer than another
 * when its generation is higher, or, of the same generation and so of the same node, its position.
 * No clock is compared. A lease is held by one node at a time, which begins to work under it when
 * it has everything of the generations before; so in the order of generations states are in the
 * order in which they came about. Who is alone takes the next generation of all leases at its
 * opening.
 *
 * A row takes a state that is not older than the one it has, from anybody: checkpoints need no
 * lease. A node's table has, of each token, a state that is at least as new as what its own log
 * has, so its row carries the newest generation under which this node wrote about the slot, though
 * the state may be a later one of another node's.
 */
#ifndef MOONWATCH_STORE_POSTGRES_STORE_H
#define MOONWATCH_STORE_POSTGRES_STORE_H

#include "cluster/view.h"
#include "store/kept_settings.h"
#include "store/log_record.h"
#include "store/postgres_column.h"
#include "store/postgres_schema.h"
#include "store/store_impl.h"

/* The records of a row of the log: what fits a page of the server with the rest of the row, so that
 * it is stored whole. */
#define POSTGRES_LOG_ROW_MAX 7800

/* What is gathered before it goes out: the server works on it while the next is gathered. */
#define POSTGRES_ROWS_MAX  4096
#define POSTGRES_BYTES_MAX (1 << 20)

/* That the row `token` has no newer state than `of`. Of nodes that are none of several, whose
 * generations are all 0, the last one is believed. */
#define POSTGRES_NOT_NEWER(of)                                                                     \
    "(token.generation<" of ".generation OR token.generation=" of ".generation AND "               \
    "(token.node<>" of ".node OR token.log_seq<=" of ".log_seq))"

/* id, name, symbol, status, log_seq, state, checked_at, fetched_at, score, liquidity_usd,
 * price_usd, generation. */
#define POSTGRES_STATE_ARRAYS                                                                      \
    "$1::bigint[],$2::text[],$3::text[],$4::text[],$5::bigint[],$6::bytea[],$7::bigint[],"         \
    "$8::bigint[],$9::float8[],$10::float8[],$11::float8[],$12::bigint[]"

/* Wakes who follows at once (cluster_link.h): there is an order, or another setting. */
#define POSTGRES_ROWS_CHANNEL "moonwatch_rows"

/* Of each record of a row of the log, in `marks`: u32 its generation, with LOG_MARK_POOLS when the
 * token's pools were put with it; u16 the token's slot. Little-endian. */
#define LOG_MARK_SIZE  6
#define LOG_MARK_POOLS UINT32_C(0x80000000)
#define LOG_MARKS_MAX  (POSTGRES_LOG_ROW_MAX / LOG_RECORD_MIN)

/* %s: refresh_log_NUMBER_PART */
#define POSTGRES_STATEMENT_LIST(X)                                                                 \
    X(PG_BEGIN, "BEGIN")                                                                           \
    X(PG_RELAX, "SET LOCAL synchronous_commit=off")                                                \
    X(PG_FENCE, "UPDATE node SET transactions=$1 WHERE number=$2 AND generation=$3 RETURNING "     \
                "transactions")                                                                    \
    X(PG_COMMIT, "COMMIT")                                                                         \
    X(PG_PUT_TOKENS,                                                                               \
      "INSERT INTO token(id,name,symbol,status,log_seq,state,checked_at,fetched_at,score,"         \
      "liquidity_usd,price_usd,generation,mint,slot,created_at,node) SELECT u.*,$16::bigint FROM " \
      "unnest(" POSTGRES_STATE_ARRAYS ",$13::text[],$14::smallint[],$15::bigint[]) AS u "          \
      "ON CONFLICT(id) DO UPDATE SET mint=excluded.mint,name=excluded.name,"                       \
      "symbol=excluded.symbol,status=excluded.status,slot=excluded.slot,"                          \
      "created_at=excluded.created_at,log_seq=excluded.log_seq,state=excluded.state,"              \
      "checked_at=excluded.checked_at,fetched_at=excluded.fetched_at,score=excluded.score,"        \
      "liquidity_usd=excluded.liquidity_usd,price_usd=excluded.price_usd,node=excluded.node,"      \
      "generation=excluded.generation WHERE " POSTGRES_NOT_NEWER("excluded"))                      \
    X(PG_CHECKPOINT,                                                                               \
      "UPDATE token SET name=u.name,symbol=u.symbol,status=u.status,log_seq=u.log_seq,"            \
      "state=u.state,checked_at=u.checked_at,fetched_at=u.fetched_at,score=u.score,"               \
      "liquidity_usd=u.liquidity_usd,price_usd=u.price_usd,node=u.node,generation=u.generation "   \
      "FROM (SELECT *,$13::bigint AS node FROM unnest(" POSTGRES_STATE_ARRAYS ") AS v(id,name,"    \
      "symbol,status,log_seq,state,checked_at,fetched_at,score,liquidity_usd,price_usd,"           \
      "generation)) AS u WHERE token.id=u.id AND " POSTGRES_NOT_NEWER("u") " RETURNING token.id")  \
    X(PG_DELETE_POOLS, "DELETE FROM pool WHERE token_id=ANY($1::bigint[])")                        \
    X(PG_PUT_POOLS,                                                                                \
      "INSERT INTO pool(token_id,n,address,dex,quote,liquidity_usd,flags) SELECT * FROM "          \
      "unnest($1::bigint[],$2::smallint[],$3::text[],$4::text[],$5::text[],$6::float8[],"          \
      "$7::smallint[]) ON CONFLICT(token_id,n) DO UPDATE SET address=excluded.address,"            \
      "dex=excluded.dex,quote=excluded.quote,liquidity_usd=excluded.liquidity_usd,"                \
      "flags=excluded.flags")                                                                      \
    X(PG_PUT_SNAPSHOTS,                                                                            \
      "INSERT INTO snapshot(id,previous,token_id,at,score,liquidity_usd,price_usd,figures) "       \
      "SELECT * FROM unnest($1::bigint[],$2::bigint[],$3::bigint[],$4::bigint[],"                  \
      "$5::float8[],$6::float8[],$7::float8[],$8::bytea[]) ON CONFLICT DO NOTHING")                \
    X(PG_PUT_EVENTS,                                                                               \
      "INSERT INTO event(id,token_id,at,kind,reason) SELECT * FROM unnest($1::bigint[],"           \
      "$2::bigint[],$3::bigint[],$4::text[],$5::text[]) ON CONFLICT DO NOTHING")                   \
    X(PG_PUT_SETTING,                                                                              \
      "INSERT INTO setting(name,value) VALUES($1,$2) ON CONFLICT(name) DO UPDATE SET "             \
      "value=excluded.value")                                                                      \
    X(PG_NOTIFY, "SELECT pg_notify('" POSTGRES_ROWS_CHANNEL "','')")                               \
    X(PG_PUT_ALERT, "INSERT INTO alert(id,node,text) VALUES($1,$2,$3) ON CONFLICT(id) DO UPDATE "  \
                    "SET text=excluded.text")                                                      \
    X(PG_DELETE_ALERT, "DELETE FROM alert WHERE id=$1 AND node=$2")                                \
    X(PG_SET_POSITION, "UPDATE node SET log_position=$1 WHERE number=$2")                          \
    X(PG_PUT_COPY,                                                                                 \
      "INSERT INTO moonwatch(name,value) VALUES('copy_source',$1::bigint),"                        \
      "('copy_part',$2::bigint),('copy_position',$3::bigint) ON CONFLICT(name) DO UPDATE SET "     \
      "value=excluded.value")                                                                      \
    X(PG_SET_GENERATION, "UPDATE node SET generation=$1 WHERE number=$2")                          \
    X(PG_APPEND_A,                                                                                 \
      "INSERT INTO %s(seq,first,records,marks) SELECT * FROM unnest($1::bigint[],$2::bigint[],"    \
      "$3::bytea[],$4::bytea[]) ON CONFLICT(seq) DO UPDATE SET first=excluded.first,"              \
      "records=excluded.records,marks=excluded.marks")                                             \
    X(PG_APPEND_B,                                                                                 \
      "INSERT INTO %s(seq,first,records,marks) SELECT * FROM unnest($1::bigint[],$2::bigint[],"    \
      "$3::bytea[],$4::bytea[]) ON CONFLICT(seq) DO UPDATE SET first=excluded.first,"              \
      "records=excluded.records,marks=excluded.marks")                                             \
    X(PG_CLEAR_A, "TRUNCATE %s")                                                                   \
    X(PG_CLEAR_B, "TRUNCATE %s")

enum postgres_statement {
#define X(id, sql) id,
    POSTGRES_STATEMENT_LIST(X)
#undef X
        PG_STATEMENT_COUNT
};

#define PG_COLUMNS_MAX 15

enum postgres_rows_of {
    ROWS_TOKENS,
    ROWS_CHECKPOINTS,
    ROWS_CLEARED_POOLS,
    ROWS_POOLS,
    ROWS_SNAPSHOTS,
    ROWS_EVENTS,
    ROWS_LOG,
    ROWS_COUNT
};

/* Rows of one statement. Their keys rise: a statement must not meet a row twice. */
struct postgres_rows {
    struct postgres_column columns[PG_COLUMNS_MAX];
    uint32_t count;
    token_id last;
};

/* A token that was checkpointed, should its row turn out to be missing: a store_token without the
 * pools that it has not. */
struct postgres_kept {
    uint8_t *bytes;
    size_t length, capacity;
    uint32_t count;
    token_id *found; /* of them, by the server */
    size_t found_count, found_capacity;
};

/* How far the log of a node was read; it is known again by its last row. */
struct postgres_position {
    int64_t node;
    int64_t generation, transactions; /* of the node's row, before it was read */
    int64_t kept;                     /* its log_position */
    int64_t after;                    /* the newest record; 0: none yet */
    uint64_t hash;                    /* of the row that it is in */
};

struct postgres_store {
    struct store base;
    struct postgres_link link;
    struct postgres_schema schema;
    int64_t node;          /* its number */
    int64_t backend;       /* process of the server's that holds our lock */
    uint64_t generation;   /* of this opening */
    int64_t transactions;  /* of this generation that are committed, as far as known */
    int64_t log_position;  /* newest record, committed or not */
    int64_t log_committed; /* newest committed record */
    int64_t event_id, event_committed;
    int log_part;          /* appends go to: 0 …_a, 1 …_b */
    bool is_other_empty;   /* the other part, as committed */
    bool is_other_cleared; /* in this transaction */
    bool in_transaction;
    bool has_relaxed; /* the server knows synchronous_commit */
    bool has_notify;  /* one of several, and the server knows pg_notify() */
    bool is_alone;
    bool has_foreign_logs; /* alone, and a load has found other nodes' logs and replayed them */
    /* What this transaction writes under, alone: what all do; 0: not held. */
    uint64_t held[LEASE_COUNT];
    uint64_t labels[MINT_SLOTS]; /* the newest under which this node wrote about the slot */
    bool is_replay_lost;         /* the log could not be read: everything is to be written again */
    int64_t day;                 /* for which partitions were made */
    int64_t size_known;          /* of the database … */
    int64_t size_sent;           /* … and what was sent since */
    instant size_at;
    struct postgres_rows rows[ROWS_COUNT];
    struct postgres_kept kept;
    /* The row of the log that is being filled. */
    int64_t log_first;
    size_t log_length; /* 0: none */
    uint8_t log_bytes[POSTGRES_LOG_ROW_MAX];
    uint8_t log_marks[LOG_MARKS_MAX * LOG_MARK_SIZE];
    uint32_t log_count;  /* records of it */
    token_id log_newest; /* whose record is the last one */
    struct kept_settings settings;
    /* Of the load, in order of ids. */
    token_id *replayed;
    size_t replayed_count, replayed_next;
    /* The log being read after a resumption. */
    bool is_log_unread;
    int reading_part;
    int64_t reading_after;
    PGresult *reading;
    int reading_row;
    struct log_walk reading_walk;
    struct postgres_position reading_position;
    char healing[STORE_MESSAGE_SIZE];
};

static inline struct postgres_store *postgres_of(struct store *store)
{
    return (struct postgres_store *)store;
}

/* First id of the node's own; its ids are less than the next node's. */
static inline int64_t postgres_first_id(int64_t node)
{
    return (node - 1) << NODE_ID_SHIFT;
}

void postgres_table_of_log(int64_t node, int part, char out[64]);

/* postgres_lock.c */
struct postgres_holder {
    int64_t backend; /* process of the server's; 0: nobody */
    char name[64];   /* of the session */
};
enum err postgres_find_holder(struct postgres_store *s, struct postgres_holder *out);
/* ERR_BUSY, with the sentence for who comes second. */
enum err postgres_refuse_lock(struct postgres_store *s, const struct postgres_holder *holder);
/* Which opening a connection is of; the server shows it among its sessions. */
void postgres_name_session(const struct postgres_store *s, long process, char out[64]);
/* ERR_BUSY when another session has it; one that is left over from us, or is that of the process
 * `unawaited`, is ended. */
enum err postgres_take_lock(struct postgres_store *s, pid_t unawaited);

/* Keeps who is alone and who is one of several apart: ERR_BUSY, with a sentence, while there are
 * others of the other way. Until the connection ends. */
enum err postgres_take_way(struct postgres_link *link, int64_t identity, bool is_alone);

/* postgres_write.c */
enum err postgres_hold(struct store *store, const struct cluster_change *leases, uint32_t count,
                       bool *held);
enum err postgres_put_token(struct store *store, const struct store_token *token);
enum err postgres_append_refresh(struct store *store, const struct store_token *token);
enum err postgres_put_pools(struct store *store, const struct store_token *token);
enum err postgres_checkpoint_token(struct store *store, const struct store_token *token);
enum err postgres_put_snapshot(struct store *store, const struct store_snapshot *snapshot);
enum err postgres_put_event(struct store *store, const struct store_event *event);
enum err postgres_put_setting(struct store *store, const char *name, const char *value);
enum err postgres_put_alert(struct store *store, int64_t id, const char *text);
void postgres_start_pass(struct store *store);
enum err postgres_end_pass(struct store *store);
enum err postgres_delete_history(struct store *store, instant snapshots_before,
                                 instant events_before, uint32_t most, bool *more);
/* What was gathered goes out. */
enum err postgres_send_rows(struct postgres_store *s);
/* Waits until the server has done all that was sent; rows that a checkpoint did not find are put.
 */
enum err postgres_settle_rows(struct postgres_store *s);
void postgres_forget_rows(struct postgres_store *s);
void postgres_finish_rows(struct postgres_store *s);

/* postgres_load.c */
enum err postgres_load(struct store *store, const struct store_loader *loader,
                       struct store_load_report *report);
enum err postgres_resume(struct store *store, const struct store_loader *loader,
                         struct store_load_report *report);
enum err postgres_load_some(struct store *store, const token_id *ids, size_t count,
                            const struct store_loader *loader);
token_id postgres_next_replayed(struct store *store);
/* Tokens one by one as postgres_load() would deliver them, but for their times, which stay as they
 * are stored. */
struct load;
enum err postgres_walk_begin(struct postgres_store *s, struct store_load_report *report,
                             struct load **out);
/* The same of the tokens behind `after`, without the logs; `is_quiet`: what is refused is not told.
 */
enum err postgres_walk_new(struct postgres_store *s, token_id after, bool is_quiet,
                           struct store_load_report *report, struct load **out);
enum err postgres_walk_next(struct load *walk, const struct store_token **out); /* NULL: the end */
void postgres_walk_end(struct load *walk);

/* How the newest token's state came about. */
struct postgres_origin {
    int64_t node;
    uint64_t generation;
};
struct postgres_origin postgres_walk_origin(const struct load *walk);

/* Of all nodes, once the walk has begun. */
const struct postgres_position *postgres_walk_positions(const struct load *walk, size_t *count);

/* The logs of nodes, row by row. */
#define POSTGRES_NODE_COLUMNS "number,generation,transactions,log_position"
#define POSTGRES_LOG_COLUMNS  "seq,first,records,marks"
void postgres_read_position(const PGresult *nodes, int row, struct postgres_position *out);
/* A row that is next: its records, of which log_walk_next() and postgres_log_mark() tell. NULL, or
 * why it is none (static storage): then it is passed over. */
const char *postgres_log_row(const PGresult *rows, int row, struct postgres_position *position,
                             struct log_walk *out);
uint64_t postgres_log_hash(const PGresult *rows, int row);
/* Of the record: generation, pools, slot. NULL, or what is wrong with it. */
const char *postgres_log_mark(const PGresult *rows, int row, struct log_record *record);

/* token_id, address, dex, quote, liquidity_usd, flags. Adds the pool; NULL, or what is wrong. */
#define POSTGRES_POOL_COLUMNS "token_id,address,dex,quote,liquidity_usd,flags"
const char *postgres_read_pool(const PGresult *pools, int row, struct store_token *token);
enum err postgres_ask_for_ids(struct postgres_link *link, const token_id *ids, size_t count,
                              const char *sql, PGresult **out);

/* postgres_reader.c: rows of id,previous,token_id,at,score,figures and token_id,at,kind,reason. */
void postgres_read_snapshot(const PGresult *rows, int row, struct store_snapshot *out);
void postgres_read_event(const PGresult *rows, int row, struct store_event *out);

/* postgres_copy.c */
enum err postgres_scan_open(struct store *store, enum store_part part, int64_t after,
                            struct store_scan **out);
enum err postgres_extent(struct store *store, enum store_part part, struct store_extent *out);
enum err postgres_get_copy(struct store *store, struct store_copy *out);
enum err postgres_put_copy(struct store *store, const struct store_copy *copy);
enum err postgres_end_copy(struct store *store, uint64_t source, uint64_t generation);

#endif
