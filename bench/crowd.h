/*
 * The crowd: a population of tokens of any size whose addresses say who they are, so that the
 * upstream of the benchmarks (answers.h), the database that the daemon starts from (populate.h)
 * and the bare program that we are compared with (bare.c) agree on it without a table.
 *
 * Tokens are numbered from 0. Every CROWD_HOT_EVERYth is hot, with 2 to 5 pools that count, 3.4 on
 * average; the others are cold and have one. Addresses are base58 of 32 bytes, 44 characters each:
 * a first one that keeps the number below 2^256, the token's number, the pool's, then digits that
 * look like any others.
 */
#ifndef MOONWATCH_BENCH_CROWD_H
#define MOONWATCH_BENCH_CROWD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CROWD_TEXT      44
#define CROWD_HOT_EVERY 4        /* unless crowd_set_hot_every() said otherwise */
#define CROWD_MAX       11000000 /* four digits */

/* Pools are numbered from 1; 0 is the mint. */
enum { CROWD_MINT, CROWD_FIRST_POOL };

/* From now on, for the whole program; before a database or an answer is made of the crowd. */
void crowd_set_hot_every(unsigned tokens);

bool crowd_is_hot(uint32_t token);
unsigned crowd_pools(uint32_t token);

/* Writes CROWD_TEXT characters and no NUL. */
void crowd_text(uint32_t token, unsigned pool, char out[CROWD_TEXT]);
/* Who it is. False: nobody of the crowd. */
bool crowd_find(const char text[CROWD_TEXT], uint32_t *token, unsigned *pool);

#endif
