/*
 * What a load checks of rows, whatever they were read from, and what it makes of those that fail.
 * A complaint is what is wrong with a row (static storage); NULL: nothing.
 */
#ifndef MOONWATCH_STORE_LOAD_CHECKS_H
#define MOONWATCH_STORE_LOAD_CHECKS_H

#include "store/store.h"

/* Mints seen, as 64-bit keyed hashes; 0 is free. All zero but the key at first. */
struct mint_set {
    uint64_t *hashes;
    size_t mask; /* size − 1, a power of two */
    size_t count;
    uint64_t key;
};

/* ERR_INVALID when it stands there already. */
enum err mint_set_add(struct mint_set *set, const struct address *mint) MUST_CHECK;
void mint_set_finish(struct mint_set *set);

/* Of a row's id, with so many tokens loaded before it. `is_alone`: others were left out on purpose.
 */
bool load_is_id(int64_t id, size_t loaded, bool is_alone);

/* A clock that was ahead must not make tokens look fresh for as long as it was: times after `now`
 * become `now`. True when there was one. */
bool load_clamp_times(struct store_token *row, instant now);

/* Adds a pool, of which address, dex and quote are set, to the token's. `liquidity` NaN: unknown.
 */
const char *load_add_pool(struct store_token *row, const struct store_pool *pool, double liquidity,
                          int64_t flags);

/* Of a token whose state is damaged: as one that has never been fetched. */
void load_forget_state(struct store_token *row);

/* Logs once, at the end, what could not be believed. */
void load_summarise(const struct store_load_report *report);

#endif
