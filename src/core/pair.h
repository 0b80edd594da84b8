/*
 * What the feed hands to the core: one trading pair (a pool and its market figures), parsed,
 * checked and copied out of the answer, so that nothing points into bytes from the network.
 * Field by field from DexScreener's pair object:
 * https://docs.dexscreener.com/api/reference
 *
 * A figure the answer does not carry is NaN (doubles) or 0 (counts). Figures that no market can
 * have (negative liquidity or counts, non-finite numbers) never get here: the parser refuses the
 * pair and counts why.
 */
#ifndef MOONWATCH_CORE_PAIR_H
#define MOONWATCH_CORE_PAIR_H

#include "base/address.h"
#include <stdint.h>

#define TOKEN_NAME_SIZE   40 /* bytes with the NUL; Metaplex allows 32 */
#define TOKEN_SYMBOL_SIZE 16 /* Metaplex allows 10 */
#define DEX_NAME_SIZE     16
#define QUOTE_NAME_SIZE   16

struct pair {
    struct address pool;  /* pairAddress; `url` is lower-cased and useless */
    struct address base;  /* baseToken.address: the token that priceUsd prices */
    struct address quote; /* quoteToken.address */
    char base_name[TOKEN_NAME_SIZE];
    char base_symbol[TOKEN_SYMBOL_SIZE];
    char quote_symbol[QUOTE_NAME_SIZE];
    char dex[DEX_NAME_SIZE];
    double price_usd;
    double liquidity_usd;
    double market_cap_usd;
    double volume_m5_usd;
    double volume_h1_usd;
    double volume_h24_usd;
    double change_m5_percent;
    double change_m15_percent; /* in the documents' spirit; not seen in 252 recorded pairs */
    double change_h1_percent;
    int64_t buys_m5, sells_m5;
    int64_t buys_h1, sells_h1;
    int64_t created_at_ms; /* Unix; 0 unknown */
};

#endif
