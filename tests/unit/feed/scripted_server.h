/*
 * A small HTTP/1.1 server on the test's own loop that answers each request with the next script:
 * these bytes, after this delay, in pieces, and then this end. When the scripts have run out the
 * last one is used again. Bodies of requests are not read: GET only.
 */
#ifndef MOONWATCH_TESTS_SCRIPTED_SERVER_H
#define MOONWATCH_TESTS_SCRIPTED_SERVER_H

#include <stddef.h>
#include <uv.h>

#define SCRIPTED_REQUEST_SIZE 8192

enum script_end {
    SCRIPT_KEEP_OPEN, /* wait for the next request; with half an answer, that is hanging */
    SCRIPT_CLOSE,
    SCRIPT_RESET
};

struct script {
    const void *bytes; /* the whole answer, head and body; copied */
    size_t length;
    unsigned delay_ms;          /* before the first byte */
    size_t piece_bytes;         /* 0: all at once */
    unsigned piece_interval_ms; /* between pieces */
    enum script_end end;
};

struct scripted_server_stats {
    size_t requests;
    size_t connections;
    size_t open_connections;
    size_t most_open;
};

struct scripted_server;

/* Listens on 127.0.0.1. NULL: it cannot. */
struct scripted_server *scripted_server_create(uv_loop_t *loop);
unsigned scripted_server_port(const struct scripted_server *server);
void scripted_server_push(struct scripted_server *server, const struct script *script);

/* An answer of this status line ("200 OK") with these header lines (each with its "\r\n", or "")
 * and this body, its Content-Length counted. */
void scripted_server_push_answer(struct scripted_server *server, const char *status,
                                 const char *headers, const void *body, size_t length);

/* Forgets the scripts that are waiting; an answer under way goes on. */
void scripted_server_clear(struct scripted_server *server);

/* What each new connection is told before it has said anything; static storage. */
void scripted_server_greet(struct scripted_server *server, const char *greeting);

void scripted_server_stats(const struct scripted_server *server, struct scripted_server_stats *out);
/* The head of the request that came last. */
const char *scripted_server_last_request(const struct scripted_server *server);

/* Closes everything; run the loop on until it has no handles. */
void scripted_server_destroy(struct scripted_server *server);

#endif
