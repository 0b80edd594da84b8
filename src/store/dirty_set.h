/*
 * A set of token ids: a bit each, marked by one thread and taken by another without a lock. It
 * grows in chunks that never move, so no mark is ever lost; 1 bit a token, and 512 KiB of address
 * space. A mark made while its token is being taken is found by the next take.
 */
#ifndef MOONWATCH_STORE_DIRTY_SET_H
#define MOONWATCH_STORE_DIRTY_SET_H

#include "core/token_table.h"

struct dirty_set;

struct dirty_set *dirty_set_create(void); /* NULL: out of memory */
void dirty_set_destroy(struct dirty_set *set);

/* True when it was not marked before. What the marker wrote before, the taker sees; sequentially
 * consistent, so that a marker and a taker who also look at a flag can't miss each other. */
bool dirty_set_mark(struct dirty_set *set, token_id id);
bool dirty_set_clear(struct dirty_set *set, token_id id); /* true when it was marked */

/* Takes marked ids out, rising, from *from on and below `end`, at most `most`; returns how many and
 * leaves *from behind the last place looked at. */
size_t dirty_set_take(struct dirty_set *set, token_id *from, token_id end, token_id *out,
                      size_t most);

/* The first marked id from `from` on and below `end`, which stays marked; TOKEN_NONE: there is
 * none.
 */
token_id dirty_set_next(struct dirty_set *set, token_id from, token_id end);

uint32_t dirty_set_count(const struct dirty_set *set);

#endif
