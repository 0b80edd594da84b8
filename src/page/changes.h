/*
 * Which tokens changed lately: ids in a ring, so that whoever shows changes need not look at every
 * token for them. The engine's thread puts an id after its core has published the token; readers
 * follow at their own pace, each with a position. One that falls behind by more than CHANGES_KEPT
 * is told, and looks at all tokens once.
 */
#ifndef MOONWATCH_PAGE_CHANGES_H
#define MOONWATCH_PAGE_CHANGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHANGES_KEPT 8192 /* a power of two; a sixth of a second at 50,000 tokens a second */

struct changes {
    _Atomic uint64_t next; /* ids put so far */
    _Atomic uint32_t ids[CHANGES_KEPT];
};

/* One writer. */
void changes_put(struct changes *changes, uint32_t id);

/* Where the next id will stand. */
uint64_t changes_end(const struct changes *changes);

/* Copies at most `most` ids from *position on, which moves. False: some were written over before
 * they were read; *position is at the end then, and nothing was copied. */
bool changes_read(const struct changes *changes, uint64_t *position, uint32_t *out, size_t most,
                  size_t *count);

#endif
