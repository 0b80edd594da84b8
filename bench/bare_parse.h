/*
 * simdjson's on-demand parser as its documents say it is used, for the bare program: the fields of
 * a pair that the daemon reads, nothing checked, nothing decided.
 */
#ifndef MOONWATCH_BENCH_BARE_PARSE_H
#define MOONWATCH_BENCH_BARE_PARSE_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define BARE_PADDING   64
#define BARE_PAIRS_MAX 64

/* Points into the body or the parser's memory, until the next parse. */
struct bare_text {
    const char *bytes;
    size_t length;
};

struct bare_pair {
    struct bare_text chain, dex, pool, mint, name, symbol, quote, quote_symbol;
    double price_usd, liquidity_usd, market_cap_usd;
    double volume_m5_usd, volume_h1_usd, volume_h24_usd;
    double change_m5_percent, change_h1_percent;
    int64_t buys_m5, sells_m5, buys_h1, sells_h1, created_at_ms;
};

struct bare_parser;

struct bare_parser *bare_parser_create(void);

/* `body` is followed by BARE_PADDING readable bytes. Returns how many pairs; −1: no JSON. */
int bare_parse(struct bare_parser *parser, const char *body, size_t length,
               struct bare_pair out[BARE_PAIRS_MAX]);

#ifdef __cplusplus
}
#endif

#endif
