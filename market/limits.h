/*
 * Requests a minute for each client address and kind of request. Counted as Cloudflare does, which
 * stands before the real upstream: a sliding minute, estimated from the present and the previous
 * fixed one (previous · share of it still in the window + present); refused requests do not count.
 * https://blog.cloudflare.com/counting-things-a-lot-of-different-things/
 */
#ifndef MOONWATCH_MARKET_LIMITS_H
#define MOONWATCH_MARKET_LIMITS_H

#include "base/time.h"
#include "market/route.h"
#include <stdbool.h>
#include <stdint.h>

#define LIMIT_CLIENTS_MAX 1024 /* a power of two; beyond it the stalest gives way */
#define LIMIT_PROBES      8

struct limit_count {
    int64_t minute;
    uint32_t present, previous;
};

struct limit_client {
    uint64_t client; /* 0: nobody */
    int64_t last_minute;
    struct limit_count counts[ROUTE_COUNT];
};

struct limits {
    double per_minute; /* 0: no limit */
    struct limit_client clients[LIMIT_CLIENTS_MAX];
};

/* False when this request is one too many. `now` is the market's time, so that its speed scales the
 * limit too. `client` is any number that tells clients apart, not 0. */
bool limits_allow(struct limits *limits, uint64_t client, enum route_kind kind, instant now);

#endif
