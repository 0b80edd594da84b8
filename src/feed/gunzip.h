/*
 * Answers compressed with gzip, through libdeflate, into memory that is kept from one to the next.
 * A stranger chose the bytes: the output never exceeds the limit, whatever the input claims.
 * https://www.rfc-editor.org/rfc/rfc1952
 */
#ifndef MOONWATCH_FEED_GUNZIP_H
#define MOONWATCH_FEED_GUNZIP_H

#include "base/err.h"
#include <stddef.h>

struct libdeflate_decompressor;

/* Output memory over this is given back at the next call. */
#define GUNZIP_KEEP_BYTES ((size_t)1 << 20)

struct gunzip {
    struct libdeflate_decompressor *decompressor;
    char *out; /* the last result, followed by `padding` zeroes; owned */
    size_t capacity;
    size_t padding;
};

/* ERR_NO_MEMORY. `padding` zeroes follow each result. */
enum err gunzip_init(struct gunzip *gunzip, size_t padding) MUST_CHECK;
void gunzip_finish(struct gunzip *gunzip);

/* Decompresses all members of `in`. ERR_TOO_LARGE: more than `limit` bytes; ERR_CORRUPT: no gzip,
 * cut off, or followed by something else; ERR_NO_MEMORY. */
enum err gunzip_run(struct gunzip *gunzip, const void *in, size_t length, size_t limit,
                    size_t *out_length) MUST_CHECK;

#endif
