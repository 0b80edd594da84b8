/*
 * An HTTP server that can also misbehave: answers late, never, by half, or with a reset. A thin
 * layer over libmicrohttpd on the caller's libuv loop, in one thread. It accepts connections
 * itself, so that it can refuse them (http_down) and take them again (http_up) on the same port.
 */
#ifndef MOONWATCH_MARKET_HTTP_H
#define MOONWATCH_MARKET_HTTP_H

#include "base/err.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#define HTTP_CONNECTIONS_MAX 2048
#define HTTP_BODY_MAX        65536 /* of a request */
#define HTTP_HANG_MAX_MS     600000
#define HTTP_IDLE_MAX_S      120
#define HTTP_MESSAGE_SIZE    256
#define HTTP_GZIP_FROM_BYTES 256 /* shorter ones are sent as they are */

enum http_delivery {
    HTTP_WHOLE,
    HTTP_HALF,  /* the length of the whole is announced, half is sent, the connection ends */
    HTTP_RESET, /* no answer: a TCP reset */
    HTTP_HANG   /* no answer until the client leaves, at most HTTP_HANG_MAX_MS */
};

struct http_request {
    const char *method;
    const char *path;
    const char *body; /* not NUL-terminated; NULL: none, or HTTP_BODY_MAX was exceeded */
    size_t body_length;
    uint64_t client;           /* tells client addresses apart; never 0 */
    const char *websocket_key; /* NULL unless a WebSocket is asked for */
    const char *(*query)(const struct http_request *request, const char *name); /* NULL: none */
    void *connection;
};

struct http_header {
    const char *name, *value;
};

#define HTTP_HEADERS_MAX 3

/* On an upgraded connection: the socket, and what was read past the request. */
typedef void http_on_upgrade(void *context, int socket, const void *extra, size_t extra_length,
                             void *handle);

struct http_reply {
    int status;
    const char *type;
    struct http_header headers[HTTP_HEADERS_MAX]; /* static texts, or in `scratch` */
    char scratch[32];
    char *body; /* malloc'ed; the server's from now on; NULL: empty */
    size_t length;
    enum http_delivery delivery;
    uint32_t delay_ms;
    http_on_upgrade *on_upgrade; /* with status 101 */
    void *upgrade_context;
};

/* Fills `reply`, which comes zeroed. */
typedef void http_handler(void *context, const struct http_request *request,
                          struct http_reply *reply);

struct http_settings {
    const char *address;           /* IPv4 or IPv6 */
    uint16_t port;                 /* 0: any free one */
    const char *certificate, *key; /* PEM texts; NULL: no TLS */
    http_handler *handler;
    void *context;
};

struct http_server;

/* NULL with a sentence in `why`. */
struct http_server *http_create(uv_loop_t *loop, const struct http_settings *settings,
                                char why[HTTP_MESSAGE_SIZE]);

uint16_t http_port(const struct http_server *server);

struct http_counts {
    uint64_t accepted;
    uint32_t open;
    uint32_t waiting; /* answers that are delayed or hang */
    uint64_t reset;
};
void http_counts(const struct http_server *server, struct http_counts *out);

/* Resets all connections and refuses new ones, until http_up(). Both may be repeated. */
void http_down(struct http_server *server);
enum err http_up(struct http_server *server) MUST_CHECK;

/* Resets a TCP connection at once: the peer sees ECONNRESET. */
void http_reset_socket(int socket);

/* Gives an upgraded connection back, which closes it. */
void http_close_upgraded(void *handle);

/* Ends all connections; upgraded ones must have been given back. The handles on the loop are closed
 * and the memory is freed by the loop's next turns. */
void http_destroy(struct http_server *server);

#endif
