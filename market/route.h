/* The upstream's paths: text in, request out. Pure. */
#ifndef MOONWATCH_MARKET_ROUTE_H
#define MOONWATCH_MARKET_ROUTE_H

#include "base/address.h"
#include <stdbool.h>

#define ROUTE_ADDRESSES_MAX 30 /* per request, as documented */

/* The name is what fault filters and statistics call it. */
#define ROUTE_LIST(X)                                                                              \
    X(ROUTE_SCREEN, "screen")     /* /tokens/v1/{chain}/{tokens}: a main pair for each */          \
    X(ROUTE_DISCOVER, "discover") /* /token-pairs/v1/{chain}/{token}: all its pairs */             \
    X(ROUTE_REFRESH, "refresh")   /* /latest/dex/pairs/{chain}/{pools} */                          \
    X(ROUTE_LEGACY, "legacy")     /* /latest/dex/tokens/{tokens}: 30 pairs for all of them */      \
    X(ROUTE_STREAM, "stream")     /* /api/data: PumpPortal's WebSocket */                          \
    X(ROUTE_UNKNOWN, "unknown")   /* any other path */

enum route_kind {
#define X(code, name) code,
    ROUTE_LIST(X)
#undef X
        ROUTE_COUNT
};

const char *route_name(enum route_kind kind);

struct route {
    enum route_kind kind;
    bool is_solana;    /* the only chain with anything on it */
    bool has_too_many; /* addresses; `count` is then ROUTE_ADDRESSES_MAX */
    unsigned asked;    /* parts of the list, addresses or not */
    unsigned count;    /* those that are addresses, without repetitions */
    struct address addresses[ROUTE_ADDRESSES_MAX];
};

void route_parse(const char *path, struct route *out);

#endif
