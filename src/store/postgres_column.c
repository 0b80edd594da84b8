/* See postgres_column.h. */
#include "store/postgres_column.h"

#include "base/text.h"
#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Dimensions, whether there are NULLs, type of an element; length and lower bound of the one
 * dimension. All 32 bits, in network order, as the length in front of each element. */
#define HEADER_SIZE   20
#define CAPACITY_MIN  4096
#define TEXT_SIZE_MAX 1024

static uint32_t element_type(enum postgres_type type)
{
    switch (type) {
    case POSTGRES_BYTES_ARRAY:
        return POSTGRES_BYTES;
    case POSTGRES_INT2_ARRAY:
        return POSTGRES_INT2;
    case POSTGRES_TEXT_ARRAY:
        return POSTGRES_TEXT;
    case POSTGRES_FLOAT8_ARRAY:
        return POSTGRES_FLOAT8;
    default:
        return POSTGRES_INT8;
    }
}

static void put_u32(uint8_t *at, uint32_t value)
{
    value = htobe32(value);
    memcpy(at, &value, sizeof value);
}

static uint8_t *make_room(struct postgres_column *column, size_t more)
{
    size_t wanted = column->length + more, capacity = column->capacity;
    if (wanted > capacity) {
        capacity = wanted * 2 < CAPACITY_MIN ? CAPACITY_MIN : wanted * 2;
        uint8_t *larger = realloc(column->bytes, capacity);
        if (larger == NULL) {
            column->is_short = true;
            return NULL;
        }
        column->bytes = larger;
        column->capacity = capacity;
    }
    return column->bytes + column->length;
}

void postgres_column_begin(struct postgres_column *column, enum postgres_type type)
{
    column->type = type;
    column->length = column->count = 0;
    column->has_null = column->is_short = false;
    if (make_room(column, HEADER_SIZE) != NULL)
        column->length = HEADER_SIZE;
}

void postgres_column_finish(struct postgres_column *column)
{
    free(column->bytes);
    *column = (struct postgres_column){0};
}

uint8_t *postgres_column_bytes_begin(struct postgres_column *column, size_t most)
{
    uint8_t *at = make_room(column, sizeof(uint32_t) + most);
    return at == NULL ? NULL : at + sizeof(uint32_t);
}

void postgres_column_bytes_end(struct postgres_column *column, size_t length)
{
    put_u32(column->bytes + column->length, (uint32_t)length);
    column->length += sizeof(uint32_t) + length;
    column->count++;
}

static void add(struct postgres_column *column, const void *bytes, size_t length)
{
    uint8_t *at = postgres_column_bytes_begin(column, length);
    if (at == NULL)
        return;
    memcpy(at, bytes, length);
    postgres_column_bytes_end(column, length);
}

void postgres_column_integer(struct postgres_column *column, int64_t value)
{
    uint64_t bits = htobe64((uint64_t)value);
    add(column, &bits, sizeof bits);
}

void postgres_column_small(struct postgres_column *column, int16_t value)
{
    uint16_t bits = htobe16((uint16_t)value);
    add(column, &bits, sizeof bits);
}

void postgres_column_double(struct postgres_column *column, double value)
{
    int64_t bits;
    memcpy(&bits, &value, sizeof bits);
    if (isnan(value))
        postgres_column_null(column);
    else
        postgres_column_integer(column, bits);
}

void postgres_column_null(struct postgres_column *column)
{
    uint8_t *at = make_room(column, sizeof(uint32_t));
    if (at == NULL)
        return;
    put_u32(at, UINT32_MAX);
    column->length += sizeof(uint32_t);
    column->has_null = true;
    column->count++;
}

void postgres_column_text(struct postgres_column *column, const char *text, size_t size)
{
    char valid[TEXT_SIZE_MAX];
    size_t length = strnlen(text, size);
    length = text_copy(valid, sizeof valid, text, length);
    add(column, valid, length);
}

enum err postgres_add_column(struct postgres_values *values, struct postgres_column *column)
{
    if (column->is_short)
        return ERR_NO_MEMORY;
    put_u32(column->bytes, 1);
    put_u32(column->bytes + 4, column->has_null);
    put_u32(column->bytes + 8, element_type(column->type));
    put_u32(column->bytes + 12, column->count);
    put_u32(column->bytes + 16, 1);
    postgres_add_bytes(values, column->type, column->bytes, column->length);
    return OK;
}
