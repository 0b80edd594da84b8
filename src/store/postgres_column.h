/*
 * A column of many rows as one value: an array in the binary form that servers take
 * (src/backend/utils/adt/arrayfuncs.c of PostgreSQL describes it), which a statement spreads out
 * with unnest(). A thousand rows so cost one statement.
 */
#ifndef MOONWATCH_STORE_POSTGRES_COLUMN_H
#define MOONWATCH_STORE_POSTGRES_COLUMN_H

#include "store/postgres_link.h"

struct postgres_column {
    enum postgres_type type; /* of the array */
    uint8_t *bytes;
    size_t length, capacity;
    uint32_t count;
    bool has_null;
    bool is_short; /* of memory: something was left out, and it must not be sent */
};

/* Empty, with the memory that it has. `type` is one of POSTGRES_…_ARRAY. */
void postgres_column_begin(struct postgres_column *column, enum postgres_type type);
void postgres_column_finish(struct postgres_column *column);

void postgres_column_integer(struct postgres_column *column, int64_t value); /* INT8_ARRAY */
void postgres_column_small(struct postgres_column *column, int16_t value);   /* INT2_ARRAY */
void postgres_column_double(struct postgres_column *column, double value);   /* NaN: NULL */
void postgres_column_null(struct postgres_column *column);
/* Made valid where it is not UTF-8; at most `size` bytes, to the first NUL. */
void postgres_column_text(struct postgres_column *column, const char *text, size_t size);
/* Room for `most` bytes, of which postgres_column_bytes_end() says how many were taken; NULL: there
 * is no memory. */
uint8_t *postgres_column_bytes_begin(struct postgres_column *column, size_t most);
void postgres_column_bytes_end(struct postgres_column *column, size_t length);

/* Adds it to a statement's values. ERR_NO_MEMORY when it is not whole. */
enum err postgres_add_column(struct postgres_values *values,
                             struct postgres_column *column) MUST_CHECK;

#endif
