/*
 * One WebSocket connection as a client (RFC 6455), on the caller's libuv loop.
 *
 * libcurl (CONNECT_ONLY, multi interface) brings names, TCP, proxies from the environment and TLS,
 * with the peer verified; handshake.c the opening handshake; wslay the frames. What is ours is the
 * life of the connection:
 *
 *     CONNECTING → SHAKING → OPEN → CLOSING → ENDED
 *
 * Each of these but OPEN has a deadline, and OPEN has pings: one unanswered for `pong_timeout` ends
 * the connection. An object is one connection: after on_end() it is only good for being destroyed.
 *
 * Limits: HANDSHAKE_ANSWER_MAX bytes of handshake, `message_max` bytes a message (all its fragments
 * together), WEBSOCKET_READ_TURN bytes a turn of the loop, WEBSOCKET_QUEUE_MAX answers that the
 * peer does not take. The process must ignore SIGPIPE.
 */
#ifndef MOONWATCH_FEED_WEBSOCKET_H
#define MOONWATCH_FEED_WEBSOCKET_H

#include "base/err.h"
#include "base/time.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define WEBSOCKET_READ_TURN 262144 /* bytes; about a millisecond, then others get a turn */
#define WEBSOCKET_QUEUE_MAX 64     /* frames waiting for the peer to read; pongs mostly */

struct websocket_options {
    const char *url;            /* ws:// or wss://; copied */
    duration connect_timeout;   /* name, TCP, proxy, TLS */
    duration handshake_timeout; /* from then to the end of the answer's head */
    duration ping_interval;
    duration pong_timeout;
    duration close_timeout; /* for the closing handshake */
    size_t message_max;     /* bytes */
    const char *ca_file;    /* certificates to trust instead of the system's; NULL: the system's */
};

#define WEBSOCKET_END_LIST(X)                                                                      \
    X(WEBSOCKET_UNREACHABLE, "unreachable") /* no name, no route, refused, proxy */                \
    X(WEBSOCKET_TLS, "tls")                 /* certificate or TLS handshake */                     \
    X(WEBSOCKET_CONNECT_TIMEOUT, "connect_timeout")                                                \
    X(WEBSOCKET_HANDSHAKE_TIMEOUT, "handshake_timeout")                                            \
    X(WEBSOCKET_REFUSED, "refused")             /* an HTTP status that is not 101 */               \
    X(WEBSOCKET_BAD_HANDSHAKE, "bad_handshake") /* no HTTP, or a 101 that breaks the protocol */   \
    X(WEBSOCKET_NO_PONG, "no_pong")                                                                \
    X(WEBSOCKET_DROPPED, "dropped")     /* the connection broke without a closing frame */         \
    X(WEBSOCKET_BAD_FRAME, "bad_frame") /* the peer broke the protocol of frames */                \
    X(WEBSOCKET_BAD_TEXT, "bad_text")   /* a text message that is not UTF-8 */                     \
    X(WEBSOCKET_TOO_LARGE, "too_large") /* a message over message_max */                           \
    X(WEBSOCKET_STUFFED, "stuffed")     /* the peer does not read what it asks for */              \
    X(WEBSOCKET_CLOSED_BY_PEER, "closed_by_peer")                                                  \
    X(WEBSOCKET_CLOSED, "closed") /* by websocket_close() */                                       \
    X(WEBSOCKET_NO_MEMORY, "no_memory")

enum websocket_end {
#define X(code, text) code,
    WEBSOCKET_END_LIST(X)
#undef X
        WEBSOCKET_END_COUNT
};

const char *websocket_end_name(enum websocket_end end);

struct websocket_ended {
    enum websocket_end end;
    bool was_open;
    int http_status;       /* of the handshake's answer; 0 none */
    int64_t retry_after_s; /* that a refusal asked for; −1 none */
    const char *detail;    /* a sentence, clean UTF-8; for the call */
};

enum websocket_kind { WEBSOCKET_TEXT, WEBSOCKET_BINARY };

/* Called from the loop. websocket_destroy() is allowed within each of them. */
struct websocket_listener {
    void (*on_open)(void *context);
    void (*on_message)(void *context, enum websocket_kind kind, const char *bytes, size_t length);
    void (*on_pong)(void *context);
    void (*on_end)(void *context, const struct websocket_ended *ended); /* once */
};

struct websocket;

/* Starts connecting. NULL with a sentence in `why` for a URL that can never work. */
struct websocket *websocket_connect(uv_loop_t *loop, const struct websocket_options *options,
                                    const struct websocket_listener *listener, void *context,
                                    char why[512]);

/* Queues a text message. ERR_UNAVAILABLE unless open. */
enum err websocket_send_text(struct websocket *websocket, const char *text,
                             size_t length) MUST_CHECK;

/* Starts the closing handshake with 1001 (going away); on_end() comes within close_timeout. Without
 * an open connection it comes in the next turn. */
void websocket_close(struct websocket *websocket);

/* Drops the connection at once. No callback but `on_closed` comes any more. */
void websocket_destroy(struct websocket *websocket, void (*on_closed)(void *context),
                       void *context);

#endif
