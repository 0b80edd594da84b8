/*
 * A refresh as bytes, and many of them as a row of the log: SQLite takes 1.2 µs for a row of 300
 * bytes and 0.5 for as many bytes of a row that is a page long.
 *
 * A record, little-endian like the state in it (state.h):
 *
 *     offset  0  u16  length of what follows
 *             2  u32  id of the token
 *             6  u8   status, enum token_status
 *             7  u8   length of the name, and the name
 *             …  u8   length of the symbol, and the symbol
 *             …       the state, to the end
 *
 * Every refresh has a POSITION, one more than the one before; a row knows its first record's and
 * its last one's. Damage costs the record that it hits, or, where it hits a length, the rest of the
 * row.
 */
#ifndef MOONWATCH_STORE_LOG_RECORD_H
#define MOONWATCH_STORE_LOG_RECORD_H

#include "store/state.h"

#define LOG_RECORD_MIN (8 + 1 + STATE_FIXED_SIZE)
#define LOG_RECORD_MAX (8 + TOKEN_NAME_SIZE + TOKEN_SYMBOL_SIZE + STATE_BLOB_MAX)

/* Returns the length. Names are cut where token's end. */
size_t log_record_encode(const struct store_token *token, uint8_t out[LOG_RECORD_MAX]);

/* One record of a row. */
struct log_record {
    int64_t position;
    const uint8_t *bytes; /* behind the length */
    size_t length;
    /* Not in the bytes; a PostgreSQL store's (postgres_store.h), else 0: */
    uint64_t generation; /* of the lease of the token's slot */
    uint16_t slot;
    bool has_pools; /* the token's pools were put with it */
};

/* A walk over a row's records. */
struct log_walk {
    const uint8_t *at, *end;
    int64_t next, last; /* positions */
};

/* Over the records from position `first` to `last`; over none where that can't be. */
struct log_walk log_walk_begin(const void *bytes, size_t length, int64_t first, int64_t last);
/* The next record of the row. False: there is none. */
bool log_walk_next(struct log_walk *walk, struct log_record *out);
/* Once there is none: whether the row ended where it should. */
bool log_walk_is_whole(const struct log_walk *walk);

/* 0 where there is none. */
token_id log_record_token(const struct log_record *record);
/* Sets id, name, symbol, status, state and primary_dex. NULL when all is well, else what is wrong
 * (static storage); `out` is undefined then. */
const char *log_record_decode(const struct log_record *record, struct store_token *out);

#endif
