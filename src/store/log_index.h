/*
 * Of refresh logs that were read from their beginning to their end: one record of each token, the
 * newest, and of which node's log it is. Records are copied: some 400 bytes a token.
 */
#ifndef MOONWATCH_STORE_LOG_INDEX_H
#define MOONWATCH_STORE_LOG_INDEX_H

#include "store/log_record.h"

struct log_entry {
    token_id id; /* TOKEN_NONE: free */
    int64_t node;
    int64_t seq;
    uint64_t generation;
    uint16_t slot;
    size_t at; /* of the record in the arena */
    uint16_t length, capacity;
};

/* Open addressing, at most half full. All zero at first. */
struct log_index {
    struct log_entry *entries;
    size_t mask; /* size − 1, a power of two */
    size_t count;
    uint8_t *arena;
    size_t arena_length, arena_capacity;
};

/* Puts it in the place of the one that is kept of the token. False: no memory. */
bool log_index_keep(struct log_index *index, int64_t node,
                    const struct log_record *record) MUST_CHECK;
/* False: there is none. What `out` points to lasts until the next one is kept; `node` may be NULL.
 */
bool log_index_find(const struct log_index *index, token_id id, int64_t *node,
                    struct log_record *out) MUST_CHECK;
void log_index_finish(struct log_index *index);

#endif
