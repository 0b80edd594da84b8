/*
 * A wss:// server for tests, in a thread, with a certificate that it signs itself for 127.0.0.1. To
 * each client that completes the handshake and sends a frame it sends TLS_SERVER_MESSAGES messages,
 * and then a closing frame.
 */
#ifndef MOONWATCH_TESTS_TLS_SERVER_H
#define MOONWATCH_TESTS_TLS_SERVER_H

#include <pthread.h>

/* Together more than is read in one turn of the loop. */
#define TLS_SERVER_MESSAGES      200
#define TLS_SERVER_MESSAGE_BYTES 10000

struct tls_server {
    int port;
    int listener;
    char certificate_path[64];
    void *context; /* SSL_CTX */
    pthread_t thread;
};

void tls_server_start(struct tls_server *server);
void tls_server_stop(struct tls_server *server);

#endif
