#include "feed/gunzip.h"
#include <libdeflate.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* JSON of markets compresses to about a sixth. */
#define EXPECTED_RATIO 8
#define CAPACITY_MIN   ((size_t)4096)
#define MEMBER_MIN     18 /* bytes of header and trailer */

enum err gunzip_init(struct gunzip *gunzip, size_t padding)
{
    *gunzip = (struct gunzip){.padding = padding};
    gunzip->decompressor = libdeflate_alloc_decompressor();
    return gunzip->decompressor != NULL ? OK : ERR_NO_MEMORY;
}

void gunzip_finish(struct gunzip *gunzip)
{
    if (gunzip == NULL)
        return;
    if (gunzip->decompressor != NULL)
        libdeflate_free_decompressor(gunzip->decompressor);
    free(gunzip->out);
    *gunzip = (struct gunzip){0};
}

static size_t at_most(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t at_least(size_t a, size_t b)
{
    return a > b ? a : b;
}

/* Room for `capacity` bytes and the padding; keeps what was written. */
static enum err reserve(struct gunzip *gunzip, size_t capacity)
{
    if (capacity <= gunzip->capacity)
        return OK;
    char *out = realloc(gunzip->out, capacity + gunzip->padding);
    if (out == NULL)
        return ERR_NO_MEMORY;
    gunzip->out = out;
    gunzip->capacity = capacity;
    return OK;
}

/* The last four bytes tell the size. They may lie: it is where to start, no more. */
static size_t guess_capacity(const uint8_t *in, size_t length, size_t limit)
{
    uint32_t told;
    memcpy(&told, in + length - sizeof(told), sizeof(told));
    size_t expected = at_least(CAPACITY_MIN, EXPECTED_RATIO * length);
    return at_most(limit, told <= expected ? at_least(told, CAPACITY_MIN) : expected);
}

/* One member: used[0] of the input and used[1] of the output move on. */
static enum err run_member(struct gunzip *gunzip, const uint8_t *in, size_t length, size_t limit,
                           size_t used[2])
{
    for (;;) {
        size_t in_taken = 0, out_made = 0;
        enum libdeflate_result result = libdeflate_gzip_decompress_ex(
            gunzip->decompressor, in + used[0], length - used[0], gunzip->out + used[1],
            at_most(gunzip->capacity, limit) - used[1], &in_taken, &out_made);
        if (result == LIBDEFLATE_SUCCESS) {
            used[0] += in_taken;
            used[1] += out_made;
            return OK;
        }
        if (result != LIBDEFLATE_INSUFFICIENT_SPACE)
            return ERR_CORRUPT;
        if (gunzip->capacity >= limit)
            return ERR_TOO_LARGE;
        enum err err = reserve(gunzip, at_most(limit, 2 * gunzip->capacity));
        if (err != OK)
            return err;
    }
}

enum err gunzip_run(struct gunzip *gunzip, const void *in, size_t length, size_t limit,
                    size_t *out_length)
{
    size_t used[2] = {0, 0};
    *out_length = 0;
    if (length < MEMBER_MIN)
        return ERR_CORRUPT;
    if (gunzip->capacity > GUNZIP_KEEP_BYTES) {
        free(gunzip->out);
        gunzip->out = NULL;
        gunzip->capacity = 0;
    }
    enum err err = reserve(gunzip, guess_capacity(in, length, limit));
    while (err == OK && used[0] < length)
        err = run_member(gunzip, in, length, limit, used);
    if (err != OK)
        return err;
    memset(gunzip->out + used[1], 0, gunzip->padding);
    *out_length = used[1];
    return OK;
}
