/* DexScreener's routes: limits, faults, answers. */
#ifndef MOONWATCH_MARKET_UPSTREAM_H
#define MOONWATCH_MARKET_UPSTREAM_H

#include "market/body.h"
#include "market/fault.h"
#include "market/http.h"
#include "market/journal.h"
#include "market/limits.h"
#include "market/market_time.h"
#include "market/stats.h"

struct upstream {
    const struct model *model;
    struct bodies *bodies;
    struct limits *limits;
    struct faults *faults;
    struct market_stats *stats;
    struct market_time time;
    uint32_t latency_ms;
    FILE *journal;    /* NULL: none is kept */
    uint32_t cache_s; /* /tokens/v1 answers may be this old, in the market's time; 0: never */
};

/* `now` is the real time. */
void upstream_answer(struct upstream *upstream, const struct http_request *request,
                     const struct route *route, struct http_reply *reply, instant now);

#endif
