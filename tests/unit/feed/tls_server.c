/* A wss:// server in a thread; see tls_server.h. */
#include "tls_server.h"
#include "feed/handshake.h"
#include <arpa/inet.h>
#include <assert.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static X509 *make_certificate(EVP_PKEY *key)
{
    X509 *certificate = X509_new();
    assert(certificate);
    ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
    X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
    X509_set_version(certificate, 2);
    X509_set_pubkey(certificate, key);
    X509_NAME *name = X509_get_subject_name(certificate);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"test", -1, -1, 0);
    X509_set_issuer_name(certificate, name);
    X509_EXTENSION *names = X509V3_EXT_conf_nid(NULL, NULL, NID_subject_alt_name, "IP:127.0.0.1");
    X509_EXTENSION *authority =
        X509V3_EXT_conf_nid(NULL, NULL, NID_basic_constraints, "critical,CA:TRUE");
    X509_add_ext(certificate, names, -1);
    X509_add_ext(certificate, authority, -1);
    X509_EXTENSION_free(names);
    X509_EXTENSION_free(authority);
    int size = X509_sign(certificate, key, EVP_sha256());
    assert(size > 0);
    return certificate;
}

static void make_context(struct tls_server *server)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    X509 *certificate = make_certificate(key);
    SSL_CTX *context = SSL_CTX_new(TLS_server_method());
    assert(context);
    SSL_CTX_use_certificate(context, certificate);
    SSL_CTX_use_PrivateKey(context, key);
    strcpy(server->certificate_path, "/tmp/moonwatch-certificate-XXXXXX");
    int fd = mkstemp(server->certificate_path);
    FILE *file = fdopen(fd, "w");
    assert(file);
    PEM_write_X509(file, certificate);
    fclose(file);
    X509_free(certificate);
    EVP_PKEY_free(key);
    server->context = context;
}

/* False when the client went away. */
static bool answer_handshake(SSL *tls)
{
    char head[4096] = "";
    size_t length = 0;
    while (!strstr(head, "\r\n\r\n")) {
        int n = SSL_read(tls, head + length, (int)(sizeof head - 1 - length));
        if (n <= 0) {
            return false;
        }
        length += (size_t)n;
        head[length] = '\0';
    }
    char key[HANDSHAKE_KEY_TEXT] = "";
    char accept[HANDSHAKE_ACCEPT_TEXT];
    char answer[256];
    const char *at = strstr(head, "Sec-WebSocket-Key: ");
    if (!at || sscanf(at + 19, "%24s", key) != 1) {
        return false;
    }
    handshake_accept(key, accept);
    int size = snprintf(answer, sizeof answer,
                        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                        "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
                        accept);
    return SSL_write(tls, answer, size) == size;
}

static void serve(SSL *tls)
{
    static char message[4 + TLS_SERVER_MESSAGE_BYTES];
    char bytes[64];
    if (SSL_accept(tls) != 1 || !answer_handshake(tls) || SSL_read(tls, bytes, sizeof bytes) <= 0) {
        return;
    }
    memset(message, 'x', sizeof message);
    memcpy(message, "\x82\x7e\x27\x10", 4); /* binary, of 0x2710 bytes */
    for (int i = 0; i < TLS_SERVER_MESSAGES; i++) {
        if (SSL_write(tls, message, sizeof message) <= 0) {
            return;
        }
    }
    SSL_write(tls, "\x88\x02\x03\xe8", 4);
    while (SSL_read(tls, bytes, sizeof bytes) > 0) {
    }
}

static void *run(void *argument)
{
    struct tls_server *server = argument;
    for (int fd; (fd = accept(server->listener, NULL, NULL)) >= 0; close(fd)) {
        SSL *tls = SSL_new(server->context);
        SSL_set_fd(tls, fd);
        serve(tls);
        SSL_free(tls);
    }
    return NULL;
}

void tls_server_start(struct tls_server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    make_context(server);
    server->listener = socket(AF_INET, SOCK_STREAM, 0);
    int status = bind(server->listener, (struct sockaddr *)&address, sizeof address);
    status = status ? status : listen(server->listener, 8);
    status = status ? status : getsockname(server->listener, (struct sockaddr *)&address, &length);
    status = status ? status : pthread_create(&server->thread, NULL, run, server);
    assert(status == 0);
    server->port = ntohs(address.sin_port);
}

void tls_server_stop(struct tls_server *server)
{
    shutdown(server->listener, SHUT_RDWR); /* which ends accept() */
    pthread_join(server->thread, NULL);
    close(server->listener);
    SSL_CTX_free(server->context);
    unlink(server->certificate_path);
}
