/* What the market did, counted; GET /stats on the control port shows it. */
#ifndef MOONWATCH_MARKET_STATS_H
#define MOONWATCH_MARKET_STATS_H

#include "market/route.h"
#include <stdint.h>

#define STATS_STATUS_LIST(X) X(200) X(400) X(403) X(404) X(405) X(429) X(500) X(502) X(503)

enum { /* places in `by_status`; the last is for any other, and for requests without an answer */
#define X(status) STATS_STATUS_##status,
       STATS_STATUS_LIST(X)
#undef X
           STATS_STATUS_OTHER,
       STATS_STATUS_COUNT
};

struct market_stats {
    uint64_t requests[ROUTE_COUNT];
    uint64_t by_status[ROUTE_COUNT][STATS_STATUS_COUNT];
    uint64_t addresses_asked[ROUTE_COUNT];
    uint64_t pairs_served[ROUTE_COUNT];
    uint64_t tokens_served; /* addresses that got an answer */
    uint64_t body_bytes;    /* before compression */
    uint64_t faults_struck;
    uint64_t graduations; /* since the start */
    uint64_t stream_accepted, stream_dropped, stream_events, stream_junk;
    uint32_t stream_subscribers;
};

static inline unsigned stats_status_place(int status)
{
    switch (status) {
#define X(number)                                                                                  \
    case number:                                                                                   \
        return STATS_STATUS_##number;
        STATS_STATUS_LIST(X)
#undef X
    default:
        return STATS_STATUS_OTHER;
    }
}

#endif
