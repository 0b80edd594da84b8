/*
 * Bodies for the crowd (crowd.h) as DexScreener writes them, put together as fast as memory can be
 * copied: an upstream that must not be the limit. Texts of pairs are the simulated market's, with
 * `info` (1.3 kB each), written once at a row of moments; in an answer they get the addresses that
 * were asked for. Prices, volumes and counts go from moment to moment as time goes on, so that a
 * token's next answer is another one.
 */
#ifndef MOONWATCH_BENCH_ANSWERS_H
#define MOONWATCH_BENCH_ANSWERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ANSWERS_BODY_MAX (64 * 3072) /* 30 pairs and room */

struct answers;

/* NULL with a sentence on stderr: out of memory. Takes a fraction of a second. */
/* Real time in which the market lives through 15 s; unless answers_set_moment_ms() said otherwise.
 */
#define ANSWERS_MOMENT_MS 500
/* From now on, for the whole program; while nobody is answered. */
void answers_set_moment_ms(unsigned ms);

struct answers *answers_create(void);
void answers_destroy(struct answers *answers);

/* Bytes of a pair, on average. */
double answers_pair_bytes(const struct answers *answers);

/* The body for the path of a request ("/tokens/v1/solana/A,B"); `now_ms` of any clock. Returns its
 * length; 0: no such route. */
size_t answers_write(const struct answers *answers, const char *path, size_t length,
                     uint64_t now_ms, char out[ANSWERS_BODY_MAX]);

#endif
