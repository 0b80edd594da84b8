/*
 * A table whose writer died, anywhere, by kill -9: what of it can be believed, and mending the
 * rest.
 *
 *     table_check_header()     is it a table of ours, are its numbers possible?
 *     table_check_begin()
 *     table_check_slots()      any ranges, in any order, in any number of threads
 *     table_repair_runs()      which pool entries are free follows from whose are taken
 *       … bad slots are replaced, and checked again …
 *     table_check_index()      any ranges, any threads
 *     table_repair_index()
 *
 * What is believed: a slot with an even sequence whose two checksums are right, whose figures are
 * possible. What is not believed but derived again: columns,
 * free runs, the draft. The index is checked, and built again when it is wrong: readers use it
 * while we look. The lanes are follow.c's.
 *
 * A death tears one slot at most; a table with more than BAD_SLOTS_MAX is not to be believed at
 * all.
 *
 * Pure functions over the caller's memory. Meanwhile nobody writes to the table, and anybody reads.
 */
#ifndef MOONWATCH_CORE_TOKEN_CHECK_H
#define MOONWATCH_CORE_TOKEN_CHECK_H

#include "core/token_table.h"

#define BAD_SLOTS_MAX 16

/* Each thread that checks slots takes notes of its own: notes that are everybody's would wander
 * between the cores at every token. */
#define CHECK_WORKERS_MAX 8

#define TABLE_FAULT_LIST(X)                                                                        \
    X(TABLE_SOUND, "it is sound")                                                                  \
    X(TABLE_NO_TABLE, "it is no token table")                                                      \
    X(TABLE_OTHER_LAYOUT, "another version of the program laid it out")                            \
    X(TABLE_BAD_CONSTANTS, "the constants of its header are damaged")                              \
    X(TABLE_BAD_SIZE, "its size is not what its header says")                                      \
    X(TABLE_BAD_CAPACITY, "its capacity is damaged")                                               \
    X(TABLE_BAD_COUNT, "its number of tokens is damaged")                                          \
    X(TABLE_BAD_NAMES, "a name in its lists is damaged")                                           \
    X(TABLE_BAD_SLOTS, "too many of its slots are damaged")                                        \
    X(TABLE_SHARED_POOLS, "two of its tokens have the same pools")

enum table_fault {
#define X(code, text) code,
    TABLE_FAULT_LIST(X)
#undef X
        TABLE_FAULT_COUNT
};

const char *table_fault_text(enum table_fault fault);

/* Of `size` mapped bytes, which may be anything. */
enum table_fault table_check_header(const void *memory, size_t size);

/* For a process that only reads, while the engine writes: only what never changes. */
enum table_fault table_check_constants(const void *memory, size_t size);

struct table_check {
    struct token_table *table;
    uint32_t *hashes;                       /* of mints, by id */
    uint64_t *pool_bits[CHECK_WORKERS_MAX]; /* entries that are taken */
    _Atomic bool is_shared;                 /* one of them twice */
    _Atomic uint64_t *behind;               /* tokens that the store does not have as they are */
    _Atomic uint32_t tokens, holes, behind_count;
    /* Below `snapshot_end`, which the caller may set after table_check_begin(): where the ids of
     * another node's snapshots begin. 0: there are no others. */
    _Atomic int64_t newest_snapshot;
    int64_t snapshot_end;
    _Atomic uint32_t bad_count;
    token_id bad[BAD_SLOTS_MAX];
    _Atomic uint32_t chained; /* tokens found in the index, where they belong */
};

/* Bytes of scratch memory, which must be zero, and stays in use as long as the check. The header
 * must be sound. */
size_t table_check_scratch_size(const struct token_table *table);
void table_check_begin(struct table_check *check, struct token_table *table, void *scratch);

/* Ids first … last. True when none of them was bad. `worker` is the calling thread's own number. */
bool table_check_slots(struct table_check *check, uint32_t worker, token_id first, token_id last);
/* These, by one thread alone, before any range: leaves the sound ones in `ids`, and says how many.
 * No slot may be checked twice. */
size_t table_check_some(struct table_check *check, token_id *ids, size_t count);
bool table_check_is_bad(const struct table_check *check, token_id id);

/* After all slots: free runs, draft. From here on the table can be written to. TABLE_BAD_SLOTS,
 * TABLE_SHARED_POOLS (no death does that): nothing was changed, the table is not to be believed. */
enum table_fault table_repair_runs(struct table_check *check);

/* Buckets first … last of token_table_count() + 1. */
void table_check_index(struct table_check *check, uint32_t first, uint32_t last);
/* After all buckets. True when it had to be built again. */
bool table_repair_index(struct table_check *check);

/* The next token, from `from` on, that the store does not have as it is: it is not durable, or its
 * state or its newest snapshot was not written. TOKEN_NONE: no more. */
token_id table_next_behind(const struct table_check *check, token_id from);

#endif
