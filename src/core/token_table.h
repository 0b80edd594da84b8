/*
 * The token table: every token, in memory that outlives its writer and is read live by others.
 *
 * It is a set of REGIONS in one mapping, each an array that starts at a fixed offset and grows in
 * place: address space is reserved for `capacity_max` tokens, memory is added as tokens come. There
 * are no pointers in it, only indices and offsets from its start, so any process can map it
 * anywhere. A token's id is its index in every region, is never reused, and is its row in the
 * store; 0 is no token.
 *
 *   slots     one fixed-size record a token, under a seqlock of its own
 *   columns   what a page of tokens is chosen by (status, group, smoothed score), in arrays of
 *             their own: choosing a page out of a million is one short scan
 *   links     the FIFO a token stands in, for its price lane and for the discover lane (lane.h),
 *             with the stamp it is sorted by; the price lane's stamp is the token's checked_at
 *   buckets   the index by mint: linear hashing (Litwin, VLDB 1980), so that it grows by one
 *             bucket a token and never has to be rebuilt
 *   pools     pool entries, in runs of 1 … 8, 10, 12, 16, 20, 24 or 30 with a free list each
 *
 * One writer (the engine's core), any number of readers. A slot's sequence number is odd while it
 * is published; token_read() copies and retries (Boehm, "Can seqlocks get along with programming
 * language memory models?", MSPC 2012; words are copied atomically, so no thread checker has to be
 * told to look away). Checksums say after a crash whether a slot is whole. Columns are single words
 * written atomically. Pools are read through their token: the slot's sequence covers them.
 *
 * Memory a token: slot 384, columns 7, links 48, index 8, pools 40 each (3.4 on average): with
 * what runs waste about 585; token_table_bytes_used() is tested to stay under 600 a token.
 */
#ifndef MOONWATCH_CORE_TOKEN_TABLE_H
#define MOONWATCH_CORE_TOKEN_TABLE_H

#include "base/address.h"
#include "base/err.h"
#include "base/time.h"
#include "core/pair.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef uint32_t token_id;

#define TOKEN_NONE      ((token_id)0)
#define POOLS_MAX       30 /* the upstream never gives more of one token */
#define NAME_TABLE_SIZE 256

#define TOKEN_STATUS_LIST(X)                                                                       \
    X(TOKEN_MONITORING, "monitoring")                                                              \
    X(TOKEN_ACTIVE, "active")                                                                      \
    X(TOKEN_ARCHIVED, "archived")

enum token_status {
#define X(code, text) code,
    TOKEN_STATUS_LIST(X)
#undef X
        TOKEN_STATUS_COUNT
};

/* What a token's price is refreshed as; decides its lane and its target. */
#define TOKEN_GROUP_LIST(X)                                                                        \
    X(GROUP_HOT, "hot")                                                                            \
    X(GROUP_COLD, "cold")                                                                          \
    X(GROUP_ARCHIVED, "archived")

enum token_group {
#define X(code, text) code,
    TOKEN_GROUP_LIST(X)
#undef X
        GROUP_COUNT
};

const char *token_status_name(enum token_status status);
bool token_status_parse(const char *text, size_t length, enum token_status *out);
const char *token_group_name(enum token_group group);

/* The four parts of the score (FACTS: tx_accel, vol_momentum, token_freshness,
 * orderflow_imbalance). */
struct components {
    double tx_accel;
    double vol_momentum;
    double token_freshness;
    double orderflow_imbalance;
};

/* The figures of the last answer that carried any, over the pools that entered the score. */
struct metrics {
    double liquidity_usd; /* L_tot */
    double delta_p_5m;    /* fractions, clamped */
    double delta_p_15m;
    double volume_5m_usd;
    double volume_1h_usd;
    double buys_volume_5m_usd;
    double sells_volume_5m_usd;
    double hours_since_creation;
    double primary_liquidity_usd; /* of the pool with the most */
    double price_usd;             /* of that pool; NaN unknown */
    float volume_24h_usd;
    float market_cap_usd; /* NaN unknown */
    uint32_t tx_count_5m;
    uint32_t tx_count_1h;
    uint32_t buys_5m;
    uint8_t primary_dex; /* index into the table's dex names; 0 none */
    uint8_t wsol_pairs;
    uint8_t usdc_pairs;
    uint8_t pools;
};

/* NaN in all that may be unknown, 0 in what is counted. */
struct metrics metrics_unknown(void);

/* What of a token is written to the store as one blob; versioned by STATE_VERSION. */
#define TOKEN_STATE_VERSION 1

struct token_state {
    instant checked_at;    /* last answer about it, with data or without; the lanes' age */
    instant fetched_at;    /* last answer with data: what clients see; never before the first */
    instant scored_at;     /* last stored snapshot */
    instant discovered_at; /* last answer with all its pools */
    instant status_since;
    int64_t low_score_us; /* time observed under min_score while active, outages left out */
    int64_t snapshot_id;  /* its newest snapshot; each names the one before; 0 none */
    struct components raw;
    struct components smoothed;
    double score_raw;
    double score;        /* smoothed: THE score */
    double score_stored; /* the score of the newest snapshot */
    struct metrics metrics;
    uint32_t answers; /* with data, since the first; 0: raw, smoothed and metrics mean nothing */
};

enum token_flags {
    TOKEN_DURABLE = 1,       /* its row is in the store: may be acknowledged */
    TOKEN_POOLS_CHANGED = 2, /* its pools are newer than the store's */
    TOKEN_HOLE = 4,          /* no token: its row in the store was refused; only its id is taken */
    TOKEN_QUARANTINED = 8,   /* asking for it killed us: not asked for, until it is released */
};

struct token {
    struct address mint;
    char name[TOKEN_NAME_SIZE];
    char symbol[TOKEN_SYMBOL_SIZE];
    instant created_at; /* first seen */
    uint8_t status;     /* enum token_status */
    uint8_t flags;      /* enum token_flags */
    uint8_t pool_count;
    uint8_t pool_class;  /* which size of run they stand in */
    uint32_t pool_first; /* index of the run in the pools region */
    struct token_state state;
};

enum pool_flags {
    POOL_COUNTS = 1,   /* enters the score when liquid enough */
    POOL_EXTERNAL = 2, /* counts, and is on none of pump.fun's own venues */
    POOL_PUMP_SOL = 4, /* SOL-quoted on pumpfun, pumpfun-amm or pumpswap */
    POOL_MISSING = 8,  /* asked for and absent from the last answer */
};

struct pool {
    struct address address;
    float liquidity_usd; /* NaN unknown */
    uint8_t dex;         /* indices into the table's names */
    uint8_t quote;
    uint8_t flags; /* enum pool_flags */
    uint8_t spare;
};

/* Whether it can be right: times, ranges, finite numbers. Without an answer the figures mean
 * nothing, whatever they are. Of the state: NULL when all is well, else what is wrong (static
 * storage). */
const char *token_state_complaint(const struct token_state *state);
bool token_is_sound(const struct token *token);
bool pool_is_sound(const struct pool *pool);

struct token_table;

/* ---- making and growing; the memory is the caller's ---- */

/* Bytes of address space to reserve for `capacity_max` tokens. */
size_t token_table_reserve_size(uint32_t capacity_max);

/* Bytes at the start that must be backed before token_table_init(). */
size_t token_table_header_size(void);

/* Lays an empty table into zeroed memory of which only the header is sure to be backed.
 * `hash_key` should be random. */
struct token_table *token_table_init(void *memory, uint32_t capacity_max, uint64_t hash_key);

/* The most tokens for which that much was reserved; 0: no table has this size. */
uint32_t token_table_capacity_for(size_t reserved);

/* Makes a table forget its tokens while others may be reading it: first they find nobody, then the
 * caller takes the memory behind the header back (it must read as zero), and inits it. */
void token_table_retire(struct token_table *table);

/* The byte ranges that must be backed by memory before `capacity` tokens fit; returns how many
 * (at most TABLE_RANGES). Back them, then call token_table_set_capacity(). */
#define TABLE_RANGES    10
#define TABLE_HUGE_PAGE (2 << 20) /* each begins at one; between them is only address space */
struct table_range {
    size_t offset, length;
};
size_t token_table_ranges(const struct token_table *table, uint32_t capacity,
                          struct table_range out[TABLE_RANGES]);
void token_table_set_capacity(struct token_table *table, uint32_t capacity);

/* The byte ranges that hold tokens now, the header's not among them; returns how many. The
 * writer's. */
size_t token_table_used(const struct token_table *table, struct table_range out[TABLE_RANGES]);

/* True when fewer than `headroom` tokens (or pool entries for them) still fit. */
bool token_table_is_short(const struct token_table *table, uint32_t headroom);

/* ---- the writer's side (the core) ---- */

uint32_t token_table_count(const struct token_table *table);    /* ids are 1 … count */
uint32_t token_table_capacity(const struct token_table *table); /* tokens that fit now */
uint32_t token_table_capacity_max(const struct token_table *table);
token_id token_table_find(const struct token_table *table, const struct address *mint);

/* For qsort() and bsearch() of ids: rising. */
int token_compare_ids(const void *a, const void *b);

/* A new token, monitoring, without data. TOKEN_NONE when the table is full. Must not exist yet. */
token_id token_table_add(struct token_table *table, const struct address *mint);

/* Takes an id without a token, so that the ids after it stay those of the store. */
token_id token_table_add_hole(struct token_table *table);
/* The hole becomes a token, as token_table_add() makes them. The mint must not exist yet. */
void token_table_fill_hole(struct token_table *table, token_id id, const struct address *mint);

/* The token becomes a hole. */
void token_table_drop(struct token_table *table, token_id id);

/* The slot, for the writer's own reading. */
const struct token *token_slot(const struct token_table *table, token_id id);
const struct pool *token_pools(const struct token_table *table, token_id id);

/* Asks for the memory of a token that will be read soon: in a large table each line of
 * it would be waited for in turn. Reads nothing itself. */
static inline void token_prefetch(const struct token_table *table, token_id id)
{
    const char *token = (const char *)token_slot(table, id);
    for (size_t at = 0; at < sizeof(struct token); at += 64)
        __builtin_prefetch(token + at);
}

/* The same for its columns, which an answer changes. */
void token_prefetch_columns(const struct token_table *table, token_id id);

/* Changing a token: begin gives a draft of it, end publishes the draft with its columns and
 * checksums in one go. One at a time. Only the publication is seen by readers, or torn by a death.
 */
struct token *token_write_begin(struct token_table *table, token_id id);
void token_write_end(struct token_table *table, token_id id);

/* Inside begin and end: the draft's pools, `draft->pool_count` of them, to be changed in place. */
struct pool *token_draft_pools(struct token_table *table);
/* Inside begin and end: replaces them; `count` ≤ POOLS_MAX. False when there is no room for a
 * larger run: the old ones stay. */
bool token_draft_set_pools(struct token_table *table, const struct pool *pools, size_t count);

/* Publishes `token`, a changed copy of the slot, with the pools that it has. Needs no draft: may be
 * called for different tokens by several threads. */
void token_publish(struct token_table *table, token_id id, const struct token *token);

/* After a check that found the slot bad: puts there what the store has of it, whatever is there
 * now. False when there is no room for its pools. */
bool token_table_replace(struct token_table *table, token_id id, const struct token *token,
                         const struct pool *pools);
void token_table_make_hole(struct token_table *table, token_id id);

void token_set_group(struct token_table *table, token_id id, enum token_group group);

/* The index of a name in the table's list of DEX or quote names; 0 is "?", which also takes every
 * name past the 255th. */
uint8_t token_table_dex(struct token_table *table, const char *name);
uint8_t token_table_quote(struct token_table *table, const char *name);

/* ---- any reader's side ---- */

/* A consistent copy of a token and (where `pools` is not NULL) its pools. False: no such token, a
 * hole, or it is being written by a process that died in the middle. */
bool token_read(const struct token_table *table, token_id id, struct token *out,
                struct pool pools[POOLS_MAX]);
bool token_is_whole(const struct token_table *table,
                    token_id id); /* sequence even, checksum right */
const char *token_table_dex_name(const struct token_table *table, uint8_t index);
const char *token_table_quote_name(const struct token_table *table, uint8_t index);
enum token_status token_column_status(const struct token_table *table, token_id id);
enum token_group token_column_group(const struct token_table *table, token_id id);
float token_column_score(const struct token_table *table, token_id id); /* NaN: none yet */
/* Both columns of `count` tokens from `first` on, for scans over all of them. */
void token_columns_read(const struct token_table *table, token_id first, uint32_t count,
                        uint8_t *statuses, float *scores);
instant token_column_checked(const struct token_table *table, token_id id); /* price lane's stamp */
size_t token_table_bytes_used(const struct token_table *table);

/* A reader's: who publishes writes its mint anew each time, the same. */
struct address token_mint_shared(const struct token_table *table, token_id id);

/* Another one after each publication and addition: while it stays, what was read of tokens, pools
 * and the columns of status and score holds. Groups and links change without it. */
uint64_t token_table_version(const struct token_table *table);

/* A reader must look tokens up by mint without the writer's help; safe while it grows. */
token_id token_table_find_shared(const struct token_table *table, const struct address *mint);

/* Whether the writer is in the middle of it just now: it may have lost its processor there, for
 * milliseconds, which both looks above do not wait for; or have died there. */
bool token_is_changing(const struct token_table *table, token_id id);
bool token_index_is_changing(const struct token_table *table);

/* ---- the store's thread's side: what of a token is in the store ---- */

/* The store that the table was read from or is written to, and whether that must be written anew
 * from this table, whatever the marks of its tokens say: a new file is being filled. */
struct table_store {
    uint64_t identity;
    uint64_t generation; /* of its newest opening */
    uint64_t is_behind;  /* 0 or 1; a word, so that there is no padding */
};

void token_table_set_store(struct token_table *table, const struct table_store *store);
/* False: never set, or torn by a death. */
bool token_table_store(const struct token_table *table, struct table_store *out);

/* A token is STORED when the store has its present publication: its state, and its pools where they
 * changed. What is not can be told, and written, after a death. `publication` is the one that was
 * written, from token_read_publication(). */
bool token_read_publication(const struct token_table *table, token_id id, struct token *out,
                            struct pool pools[POOLS_MAX], uint32_t *publication);
void token_mark_stored(struct token_table *table, token_id id, uint32_t publication);
bool token_is_stored(const struct token_table *table, token_id id);

/* A hash of its list of pools as the store has it; 0: not known. */
void token_mark_stored_pools(struct token_table *table, token_id id, uint32_t hash);
uint32_t token_stored_pools(const struct token_table *table, token_id id);

/* Its newest snapshot in the store; 0: none. `newest` is the store's newest of this node's: the
 * slot keeps 32 bits, so a snapshot that has 2^32 others after it is taken for a newer one; and one
 * of another node's that is not the newest of the token's state for one of this node's. */
#define SNAPSHOT_NODE_SHIFT 48 /* ids are a node's own, which is told from here on */
void token_mark_stored_snapshot(struct token_table *table, token_id id, int64_t snapshot_id);
int64_t token_stored_snapshot(const struct token_table *table, token_id id, int64_t newest);

/* The store has it as it is published now: another node wrote it there. For the core, of tokens
 * that this node does not write. `has_pools`: its pools came with it. */
void token_mark_followed(struct token_table *table, token_id id, bool has_pools);

/* ---- for lane.c: the links of a lane family ---- */
enum link_family { LINKS_PRICE, LINKS_DISCOVER, LINK_FAMILY_COUNT };
struct lane_link {
    instant stamp; /* what the FIFO is sorted by */
    token_id next, prev;
    token_id ahead; /* who will probably come some turns later: a hint, may be anybody */
    uint8_t fifo;   /* that it stands in, plus 1; 0: in none */
    uint8_t spare;
    uint16_t slot; /* of its mint, for a core that is one of several nodes (share.c) */
};
struct lane_link *token_table_links(struct token_table *table, enum link_family family);
/* Addresses that a refresh of a token asks for: its pools that count. A column of its own, so that
 * a lane can see what fits into a request without touching slots. */
uint8_t *token_table_costs(struct token_table *table);

#endif
