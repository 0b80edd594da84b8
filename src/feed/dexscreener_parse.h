/*
 * DexScreener answers: bytes in, pairs out. Pure.
 * https://docs.dexscreener.com/api/reference
 *
 * Every shape of the API is taken: a bare array of pairs (/tokens/v1, /token-pairs/v1), an object
 * with "pairs" as an array or null (/latest/dex/…), one with "pair", and a pair by itself. Absent
 * and null fields mean the same. Strings where numbers are documented, and the other way round,
 * are understood when they are numbers as JSON writes them. One bad pair never costs its
 * neighbours; damaged JSON costs the whole answer, since nothing after the damage can be believed.
 *
 * What a bad field does. Every element of the answer is either a pair in `pairs` or counted once
 * among the issues before PAIR_FIRST_REMARK, by the first of these rows that holds:
 *
 *     chainId          absent: the route named the chain; another one: PAIR_OTHER_CHAIN
 *     pairAddress      absent or no address: PAIR_NO_ADDRESS
 *     baseToken        the same for its address; its name and symbol are only ignored
 *     quoteToken       a wrong address is ignored, a wrong symbol refuses (it decides what counts)
 *     dexId            wrong type refuses (it decides what counts)
 *     priceUsd, txns.{m5,h1}.{buys,sells}, volume.{m5,h1,h24}, liquidity.usd
 *                      wrong type refuses; negative: PAIR_NEGATIVE
 *     priceChange.{m5,m15,h1}
 *                      wrong type refuses; any sign
 *     marketCap, pairCreatedAt
 *                      wrong type or negative is ignored
 *     any number       PAIR_NOT_FINITE: NaN and Infinity in words, over FIGURE_MAX, counts over
 *                      COUNT_MAX; numbers too small for a double are 0
 *     the rest         is not looked at
 *
 * Where "ignored", the field counts as absent and PAIR_FIELD_IGNORED is counted. A key that comes
 * twice counts once, the first time, and PAIR_DUPLICATE_KEY. Names are copied with text_copy();
 * halves of surrogate pairs, which a token's name may hold, become U+FFFD.
 *
 * Remarks on data quality (the pair is kept): PAIR_NO_TRANSACTIONS, liquidity over 10,000 USD and
 * no transaction within the hour; PAIR_NO_MOVE, over 200 transactions in m5 or h1 and no price
 * change over that time; PAIR_NO_VOLUME, transactions in m5 or h1 and no volume in it.
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

/* No market has more; sums over pools and products of two figures stay finite. */
#define FIGURE_MAX 1e30

/* Doubles count exactly up to here, and sums over pools fit 64 bits. */
#define COUNT_MAX ((int64_t)1 << 53)

struct parsed_answer {
    struct pair pairs[ANSWER_PAIRS_MAX];
    size_t pair_count;
    uint32_t issues[PAIR_ISSUE_COUNT];
};

struct answer_parser;

/* Keeps its scratch memory from answer to answer; one a thread. NULL: out of memory. */
struct answer_parser *answer_parser_create(void);
void answer_parser_destroy(struct answer_parser *parser);

/* `body` must be followed by ANSWER_PADDING readable bytes. `chain` is "solana".
 *
 * FEED_OK           `out` holds pairs and issues
 * FEED_NOT_JSON     begins neither as an object nor as an array
 * FEED_MALFORMED    JSON that is cut off or damaged where we read it; `out` is empty
 * FEED_WRONG_SHAPE  JSON of something else: no "pairs", no "pair", or a list of which nothing is
 *                   like a pair; `out` holds issues only */
#define ANSWER_PADDING 64
enum feed_outcome answer_parse(struct answer_parser *parser, const char *body, size_t length,
                               const char *chain, struct parsed_answer *out);

#ifdef __cplusplus
}
#endif

#endif
