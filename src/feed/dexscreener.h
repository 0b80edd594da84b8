/*
 * The DexScreener client: requests out, parsed answers in, through libcurl's multi-socket interface
 * on the caller's libuv loop. Decides nothing: when and what to ask is the core's business.
 *
 * Three kinds of request (routes in dexscreener_url.h): screen asks for up to 30 tokens and gets
 * one main pair each; discover asks for one token and gets all its pools; refresh asks for up to
 * 30 pools. Connections are kept alive. Timeouts for connecting, for the first byte and for the
 * whole; a body limit; gzip through libdeflate when feed_compression is on.
 *
 * A request is waiting, then running, then finished, then told. It runs as soon as one of the
 * feed_connections is free (over HTTP/2, one of FEED_STREAMS_PER_CONNECTION on each), so its
 * timeouts and its latency leave out the wait in our own queue.
 *
 * Whatever is in a loop's thread stays in it: several feeds may run in several threads, each with
 * a loop of its own. The process should ignore SIGPIPE.
 */
#ifndef MOONWATCH_FEED_DEXSCREENER_H
#define MOONWATCH_FEED_DEXSCREENER_H

#include "base/options.h"
#include "base/time.h"
#include "core/lane_kind.h"
#include "feed/dexscreener_parse.h"
#include <uv.h>

/* Servers allow about a hundred; what is over a connection's limit would wait within libcurl. */
#define FEED_STREAMS_PER_CONNECTION 32

#define FEED_DETAIL_SIZE 384

struct feed_answer {
    uint64_t request; /* what feed_send() was given */
    enum feed_outcome outcome;
    int http_status;      /* 0: none came */
    bool has_retry_after; /* Retry-After, in seconds or as a date */
    duration retry_after;
    duration latency;  /* from sending to the last byte; where nothing was sent, from connecting */
    size_t body_bytes; /* decompressed */
    const struct parsed_answer *parsed; /* with FEED_OK; the feed's, for the call */
    const char *detail; /* a sentence about what went wrong, short and printable; NULL: FEED_OK */
};

/* Called from the loop. `on_answer` comes once for each feed_send(), never from within it, and may
 * call everything here; `on_received`, which may be NULL, before the bytes of an answer are looked
 * at, so that whoever wonders what felled us knows what was in hand. `may_send` is asked right
 * before the first byte of a request goes out, however long it has waited for that, and may call
 * nothing here; when it may not, the answer is FEED_CANCELLED. NULL: it always may. */
struct feed_listener {
    void *context;
    bool (*may_send)(void *context);
    void (*on_received)(void *context, uint64_t request);
    void (*on_answer)(void *context, const struct feed_answer *answer);
};

struct feed;

/* NULL with a sentence in `why`. The options are copied. */
struct feed *feed_create(uv_loop_t *loop, const struct options *options,
                         const struct feed_listener *listener, char why[OPTION_MESSAGE_SIZE]);

/* `addresses` are pools for LANE_REFRESH and tokens for the others; copied into the URL.
 * ERR_INVALID: more addresses than the route takes, or none; ERR_FULL: requests_in_flight_max of
 * every kind are under way; ERR_NO_MEMORY. Without OK no answer comes. */
enum err feed_send(struct feed *feed, enum lane_kind kind, const struct address *addresses,
                   size_t count, uint64_t request) MUST_CHECK;

/* Ends a request; its answer comes with FEED_CANCELLED, from the loop. Nothing happens when it is
 * not under way. */
void feed_cancel(struct feed *feed, uint64_t request);

struct feed_stats {
    uint64_t requests;       /* that feed_send() took */
    uint64_t bytes_received; /* on the wire, headers included, TLS not */
    uint64_t connections_opened;
    uint32_t in_flight; /* waiting, running, or not told yet */
    uint64_t issues[PAIR_ISSUE_COUNT];
};
void feed_stats(const struct feed *feed, struct feed_stats *out);

/* Cancels everything without calling on_answer; `on_closed` comes with the feed's context once all
 * handles are closed and the memory is gone. */
void feed_destroy(struct feed *feed, void (*on_closed)(void *context));

#endif
