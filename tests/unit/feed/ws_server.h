/*
 * A WebSocket server for tests, on the test's own loop: each connection follows the next of the
 * scripts given; the last one stays. It also watches what a client must never do: two connections
 * at once, frames without a mask, the same mask or key twice.
 */
#ifndef MOONWATCH_TESTS_WS_SERVER_H
#define MOONWATCH_TESTS_WS_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* What is done after the handshake, at the first text message. */
enum ws_manner {
    WS_ANSWER,    /* writes `bytes` (raw frames), then behaves: pongs, closing handshake */
    WS_DROP,      /* writes `bytes`, then drops the connection */
    WS_DEAF,      /* writes `bytes`, then reads nothing but the end: no pongs */
    WS_STUFF,     /* writes `bytes`, then reads nothing at all */
    WS_REFUSE,    /* writes `bytes` in place of the handshake's answer, then drops the connection */
    WS_HANG,      /* never answers the handshake */
    WS_WITH_HEAD, /* writes `bytes` together with the handshake's answer */
    WS_SLOW,      /* as WS_ANSWER, a byte at a time */
    WS_AFTER_PONG /* sends a ping, and writes `bytes` when its pong is there */
};

struct ws_script {
    enum ws_manner manner;
    const char *bytes;
    size_t length;      /* 0: strlen(bytes) */
    const char *accept; /* in place of the right one */
};

struct ws_peer;

struct ws_server {
    uv_loop_t *loop;
    uv_tcp_t tcp;
    int port;
    const struct ws_script *scripts;
    unsigned script_count;
    struct ws_peer *peer; /* the one connected now */
    unsigned connections;
    unsigned subscriptions; /* {"method":"subscribeMigration"} received */
    unsigned pings;         /* received */
    unsigned close_code;    /* received last */
    bool is_wrong;          /* a client did what it must not; `complaint` says what */
    char complaint[128];
    char last_key[64];
    uint8_t last_mask[4];
};

void ws_server_start(struct ws_server *server, uv_loop_t *loop, const struct ws_script *scripts,
                     unsigned script_count);

/* Closes everything; run the loop until it is empty afterwards. */
void ws_server_stop(struct ws_server *server);

#endif
