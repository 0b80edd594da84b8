/*
 * A server on the test's own loop that answers any request with the same bytes, in pieces, and then
 * ends its side: what a peer of ours may send. One connection at a time.
 */
#ifndef MOONWATCH_TESTS_FUZZ_PEER_H
#define MOONWATCH_TESTS_FUZZ_PEER_H

#include "fuzz.h"
#include <uv.h>

#define PEER_HEAD_MAX   8192
#define PEER_PIECES_MAX 64 /* longer ones, where there would be more */
#define PEER_FRONT_MAX  512

struct peer {
    uv_loop_t *loop;
    uv_tcp_t server, tcp;
    int port;
    bool is_open, has_answered;
    /* Of the answer to come: */
    const uint8_t *bytes;
    size_t length, piece; /* 0: all at once */
    bool reads_nothing;   /* once it answers */
    /* Writes what is to stand in front of the bytes, given the head of the request; or NULL. */
    size_t (*front)(const char *head, size_t body_length, char out[PEER_FRONT_MAX]);

    char head[PEER_HEAD_MAX + 1];
    size_t head_length;
    char *all; /* with what stands in front */
    size_t all_length, sent;
    uv_write_t write;
    uv_shutdown_t shutdown;
};

void peer_start(struct peer *peer, uv_loop_t *loop);
/* Until the next one. */
void peer_expect(struct peer *peer, const struct input *input, size_t piece);
/* Drops the connection, where there is one, and waits until it is gone. */
void peer_drop(struct peer *peer);

#endif
