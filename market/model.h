/*
 * The market itself: lives and prices. Pure, and a FUNCTION of (seed, token, pool, moment): nothing
 * evolves between two requests, so a token costs eight bytes and any moment costs the same.
 *
 * A token's clock is its TRADES. Their rate falls with a power of the token's age (so that activity
 * fades as recorded), on a time warped by bursts (so that busy minutes cluster), plus revivals,
 * which are short lives of their own. Prices, volumes, buys and sells are functions of their
 * number: a window without trades shows no change, busy windows are the volatile ones, and windows
 * are differences of one growing count, hence monotone. README.md says which recorded figures the
 * constants come from.
 */
#ifndef MOONWATCH_MARKET_MODEL_H
#define MOONWATCH_MARKET_MODEL_H

#include "base/err.h"
#include "base/time.h"
#include "market/identity.h"
#include <stdbool.h>
#include <stdint.h>

#define TOKENS_MAX 16777216 /* eight bytes each */
#define POOLS_MAX  30       /* an answer holds no more */
#define POOLS_MEAN 3.4
#define SUPPLY     1e9 /* of every token of pump.fun */

enum window { WINDOW_M5, WINDOW_H1, WINDOW_H6, WINDOW_H24, WINDOW_COUNT };

enum dex {
    DEX_PUMPSWAP,
    DEX_PUMPFUN,
    DEX_RAYDIUM,
    DEX_METEORA,
    DEX_ORCA,
    DEX_METEORADBC,
    DEX_COUNT
};

enum quote { QUOTE_SOL, QUOTE_USDC, QUOTE_USDT, QUOTE_JUP, QUOTE_OTHER, QUOTE_COUNT };

struct model;

struct model_settings {
    uint64_t seed;
    uint32_t tokens;   /* that graduated before the start */
    double pools_mean; /* 2 … POOLS_MAX */
    instant start;
};

/* NULL: out of memory. */
struct model *model_create(const struct model_settings *settings);
void model_destroy(struct model *model);

uint64_t model_seed(const struct model *model);
uint32_t model_token_count(const struct model *model);
void model_mint(const struct model *model, uint32_t token, struct address *out);

/* A token leaves the bonding curve now; ERR_FULL at TOKENS_MAX. */
enum err model_graduate(struct model *model, instant now, uint32_t *token) MUST_CHECK;

/* What is fixed about a token. */
struct token_life {
    uint64_t key;
    uint32_t token;
    instant graduated_at;
    instant curve_opened_at;
    bool is_major;
    unsigned pools;        /* that it will have one day */
    double market_cap_log; /* at graduation, ln USD */
    double fade;           /* what becomes of it in two days, ln */
    double fade_bend;      /* power of its course: under 1, early */
    double fade_scale_s;   /* the age at which its activity begins to fade */
    double trades;         /* in its first two days */
    double trades_per_s;   /* that never fade: bots and holders */
    double trade_usd;      /* size of one */
    double liquidity_usd;  /* of its first pool, at graduation */
    double walk;           /* deviation of its price over all its trades, ln */
    unsigned walk_octaves;
    double walk_start; /* where the walk is at the first trade, and its share of buying */
    double bought_start;
};

void model_token(const struct model *model, uint32_t token, struct token_life *out);

/* What is fixed about a pool. */
struct pool_life {
    struct token_life token;
    uint64_t key;
    uint8_t pool;
    enum dex dex;
    enum quote quote;
    const char *label; /* "DLMM"; NULL: none */
    bool is_reversed;  /* the token is the quote side */
    bool lacks_price;  /* no priceUsd */
    bool lacks_liquidity;
    bool lacks_market_cap;
    bool has_odd_start; /* its first trade was at an absurd price */
    double share;       /* of the token's trades */
    double depth;       /* liquidity over that of the first pool */
    double spread;      /* how far its price strays from the token's */
    instant created_at;
};

/* `pool` below token->pools. */
void model_pool(const struct token_life *token, unsigned pool, struct pool_life *out);

/* The pool with the most liquidity among those that exist, and until when that holds. */
unsigned model_main_pool(const struct token_life *token, instant now, instant *holds_until);

struct pool_figures {
    double price_usd;
    double price_native;
    uint32_t buys[WINDOW_COUNT];
    uint32_t sells[WINDOW_COUNT];
    double volume_usd[WINDOW_COUNT];
    double change_percent[WINDOW_COUNT]; /* means nothing in a window without trades */
    double liquidity_usd;
    double liquidity_base;
    double liquidity_quote;
    double market_cap_usd;
};

/* `now` not before the pool's creation. */
void model_figures(const struct model *model, const struct pool_life *pool, instant now,
                   struct pool_figures *out);

#endif
