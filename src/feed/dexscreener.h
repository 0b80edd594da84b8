/*
 * The DexScreener client: requests out, parsed answers in, through libcurl's multi-socket interface
 * on the caller's libuv loop. Decides nothing: when and what to ask is the core's business.
 *
 * Three kinds of request (FACTS of the API in dexscreener_parse.h): screen asks for up to 30
 * tokens and gets one main pair each; discover asks for one token and gets all its pools; refresh
 * asks for up to 30 pools. Connections are kept alive. Timeouts for connecting, for the first byte
 * and for the whole; a body limit; gzip through libdeflate when feed_compression is on.
 */
#ifndef MOONWATCH_FEED_DEXSCREENER_H
#define MOONWATCH_FEED_DEXSCREENER_H

#include "base/options.h"
#include "base/time.h"
#include "core/lane_kind.h"
#include "feed/dexscreener_parse.h"
#include <uv.h>

struct feed_answer {
    uint64_t request; /* what feed_send() was given */
    enum feed_outcome outcome;
    int http_status;      /* 0: none came */
    bool has_retry_after; /* Retry-After, in seconds or as a date */
    duration retry_after;
    duration latency; /* from sending to the last byte */
    size_t body_bytes;
    const struct parsed_answer *parsed; /* with FEED_OK; the feed's, for the call */
    const char *detail;                 /* a sentence about what went wrong; NULL when FEED_OK */
};

typedef void feed_on_answer(void *context, const struct feed_answer *answer);

struct feed;

/* NULL with a sentence in `why`. The options are copied. `on_answer` is called from the loop, once
 * for each feed_send(), never from within it. */
struct feed *feed_create(uv_loop_t *loop, const struct options *options, feed_on_answer *on_answer,
                         void *context, char why[512]);

/* `addresses` are pools for LANE_REFRESH and tokens for the others; copied into the URL. */
enum err feed_send(struct feed *feed, enum lane_kind kind, const struct address *addresses, size_t count,
                   uint64_t request) MUST_CHECK;

/* Ends a request; its answer comes with FEED_CANCELLED. */
void feed_cancel(struct feed *feed, uint64_t request);

struct feed_stats {
    uint64_t requests, bytes_received, connections_opened;
    uint32_t in_flight;
    uint64_t issues[PAIR_ISSUE_COUNT];
};
void feed_stats(const struct feed *feed, struct feed_stats *out);

/* Cancels everything without calling on_answer; `on_closed` comes once all handles are closed. */
void feed_destroy(struct feed *feed, void (*on_closed)(void *context));

#endif
