/*
 * The URLs of DexScreener's routes. https://docs.dexscreener.com/api/reference
 *
 *     refresh    BASE/latest/dex/pairs/CHAIN/POOL,POOL…     up to 30 pools
 *     screen     BASE/tokens/v1/CHAIN/TOKEN,TOKEN…          up to 30 tokens
 *     discover   BASE/token-pairs/v1/CHAIN/TOKEN            one token
 */
#ifndef MOONWATCH_FEED_DEXSCREENER_URL_H
#define MOONWATCH_FEED_DEXSCREENER_URL_H

#include "base/address.h"
#include "base/err.h"
#include "base/options.h"
#include "core/lane_kind.h"
#include <stdbool.h>
#include <stddef.h>

#define DEXSCREENER_PATH_MAX 64 /* of a route, without chain and addresses */
#define DEXSCREENER_URL_SIZE                                                                       \
    (2 * OPTION_TEXT_SIZE + DEXSCREENER_PATH_MAX + REQUEST_ADDRESSES_MAX * (ADDRESS_TEXT_MAX + 1))

struct dexscreener_base {
    char url[OPTION_TEXT_SIZE];    /* without a slash at its end */
    char origin[OPTION_TEXT_SIZE]; /* scheme, host and port, for people: no user, no password */
    char chain[OPTION_TEXT_SIZE];
    bool is_tls;
};

/* Reads `feed` and `chain` of the options. ERR_INVALID with a sentence in `why`. */
enum err dexscreener_base_init(struct dexscreener_base *base, const struct options *options,
                               char why[OPTION_MESSAGE_SIZE]) MUST_CHECK;

/* ERR_INVALID when `count` is 0 or more than the route takes. */
enum err dexscreener_url(const struct dexscreener_base *base, enum lane_kind kind,
                         const struct address *addresses, size_t count,
                         char out[DEXSCREENER_URL_SIZE]) MUST_CHECK;

#endif
