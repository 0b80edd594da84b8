/*
 * DexScreener answers: bytes in, pairs out. Pure.
 * https://docs.dexscreener.com/api/reference
 *
 * Every shape of the API is taken: a bare array of pairs (/tokens/v1, /token-pairs/v1), an object
 * with "pairs" as an array or null (/latest/dex/…), and "pair". Absent and null fields mean the
 * same. Strings where numbers are documented, and the other way round, are understood when they are
 * numbers; every other surprise refuses the pair and is counted. One bad pair never costs its
 * neighbours; damaged JSON costs the whole answer, since nothing after the damage can be believed.
 */
#ifndef MOONWATCH_FEED_DEXSCREENER_PARSE_H
#define MOONWATCH_FEED_DEXSCREENER_PARSE_H

#include "core/outcome.h"
#include "core/pair.h"
#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* An answer carries at most 30 pairs as documented; search and legacy routes too. */
#define ANSWER_PAIRS_MAX 128

struct parsed_answer {
    struct pair pairs[ANSWER_PAIRS_MAX];
    size_t pair_count;
    uint32_t issues[PAIR_ISSUE_COUNT];
};

struct answer_parser;

/* Keeps its scratch memory from answer to answer; one a thread. NULL: out of memory. */
struct answer_parser *answer_parser_create(void);
void answer_parser_destroy(struct answer_parser *parser);

/* `body` must be followed by ANSWER_PADDING readable bytes. `chain` is "solana". Returns FEED_OK,
 * FEED_NOT_JSON, FEED_MALFORMED or FEED_WRONG_SHAPE. */
#define ANSWER_PADDING 64
enum feed_outcome answer_parse(struct answer_parser *parser, const char *body, size_t length,
                               const char *chain, struct parsed_answer *out);

#ifdef __cplusplus
}
#endif

#endif
