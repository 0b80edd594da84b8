/*
 * The opening handshake of a WebSocket client, RFC 6455 sections 3, 4.1 and 4.2.2: a URL's parts,
 * the request, and the check of the answer. Pure functions over bytes; the network and the random
 * key are websocket.c's.
 */
#ifndef MOONWATCH_FEED_HANDSHAKE_H
#define MOONWATCH_FEED_HANDSHAKE_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HANDSHAKE_KEY_BYTES    16
#define HANDSHAKE_KEY_TEXT     25 /* base64 of 16 bytes, with the NUL */
#define HANDSHAKE_ACCEPT_TEXT  29 /* base64 of SHA-1's 20 bytes, with the NUL */
#define HANDSHAKE_REQUEST_MAX  2048
#define HANDSHAKE_ANSWER_MAX   8192 /* bytes of status line and headers; usual are 200 to 1,000 */
#define HANDSHAKE_HEADERS_MAX  100
#define HANDSHAKE_DETAIL_SIZE  256
#define HANDSHAKE_RETRY_MAX_S  3600 /* a Retry-After beyond this counts as this */
#define HANDSHAKE_URL_TEXT_MAX 512

struct handshake_url {
    char connect[HANDSHAKE_URL_TEXT_MAX]; /* http(s)://host:port, for libcurl */
    char host[HANDSHAKE_URL_TEXT_MAX];   /* of the Host header: with a port that is not the usual */
    char target[HANDSHAKE_URL_TEXT_MAX]; /* path and query */
    char shown[HANDSHAKE_URL_TEXT_MAX];  /* for logs: no query, since keys travel in it */
};

/* ERR_INVALID with a sentence in `why`: another scheme, a fragment (RFC 6455 section 3), a
 * password, something that is no URL. */
enum err handshake_url_parse(const char *url, struct handshake_url *out, char why[512]) MUST_CHECK;

void handshake_key_format(const uint8_t random[HANDSHAKE_KEY_BYTES], char out[HANDSHAKE_KEY_TEXT]);

/* What Sec-WebSocket-Accept must be for a key. */
void handshake_accept(const char *key, char out[HANDSHAKE_ACCEPT_TEXT]);

/* Writes the request; returns its length, 0 when it does not fit. */
size_t handshake_request(const struct handshake_url *url, const char *key,
                         char out[HANDSHAKE_REQUEST_MAX]);

enum handshake_result {
    HANDSHAKE_MORE,     /* the head is not complete yet */
    HANDSHAKE_ACCEPTED, /* what follows `length` bytes is frames */
    HANDSHAKE_REFUSED,  /* HTTP, with a status that is not 101 */
    HANDSHAKE_BROKEN    /* not HTTP, or a 101 that breaks the protocol */
};

struct handshake_answer {
    int status;                         /* 0: none was understood */
    size_t length;                      /* bytes of the head */
    int64_t retry_after_s;              /* −1: none; dates are not understood */
    char detail[HANDSHAKE_DETAIL_SIZE]; /* what was wrong; clean UTF-8 */
};

/* Looks at all bytes received so far; call again with more after HANDSHAKE_MORE. Never MORE once
 * HANDSHAKE_ANSWER_MAX bytes are there. */
enum handshake_result handshake_parse(const char *bytes, size_t length, const char *accept,
                                      struct handshake_answer *out);

#endif
