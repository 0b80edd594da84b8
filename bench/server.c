/* See server.h. */
#include "bench/server.h"

#include "bench/answers.h"
#include "bench/certificate.h"
#include "bench/process.h"
#include <arpa/inet.h>
#include <errno.h>
#include <libdeflate.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS_MAX  8192 /* highest descriptor of one */
#define EVENTS_MAX       64
#define REQUEST_MAX      8192 /* 30 addresses take 1.5 kB */
#define HEADERS_MAX      512
#define SEND_BUFFER      (1 << 20) /* an answer goes out in one piece */
#define COMPRESSION      1         /* libdeflate's fastest: still smaller than it must be */
#define DISCOVER_PATH    "/token-pairs/"
#define CERTIFICATE_NAME "upstream.pem"

struct connection {
    SSL *tls; /* NULL: plain */
    size_t in_length;
    char *out; /* from here on it is still to be sent */
    size_t out_length;
    char in[REQUEST_MAX];
    char answer[HEADERS_MAX + ANSWERS_BODY_MAX];
};

struct server {
    enum server_kind kind;
    int cpu, epoll, listening;
    unsigned port;
    pthread_t thread;
    _Atomic uint64_t asked;
    struct answers *answers;
    SSL_CTX *context;
    struct libdeflate_compressor *compressor;
    char certificate[PATH_MAX];
    char body[ANSWERS_BODY_MAX];
    struct connection *connections[CONNECTIONS_MAX]; /* by descriptor */
};

/* ---- connections ---- */

static void hang_up(struct server *server, int fd)
{
    struct connection *connection = server->connections[fd];
    server->connections[fd] = NULL;
    SSL_free(connection->tls);
    free(connection);
    close(fd);
}

static void watch(const struct server *server, int fd, int operation, uint32_t events)
{
    struct epoll_event event = {.events = events, .data.fd = fd};
    epoll_ctl(server->epoll, operation, fd, &event);
}

static struct connection *make_connection(struct server *server, int fd)
{
    struct connection *connection = fd < CONNECTIONS_MAX ? calloc(1, sizeof *connection) : NULL;
    if (connection == NULL || server->kind == SERVER_PLAIN)
        return connection;
    connection->tls = SSL_new(server->context);
    if (connection->tls != NULL && SSL_set_fd(connection->tls, fd) == 1) {
        SSL_set_accept_state(connection->tls);
        return connection;
    }
    SSL_free(connection->tls);
    free(connection);
    return NULL;
}

static void accept_all(struct server *server)
{
    const int on = 1, size = SEND_BUFFER;
    int fd;
    while ((fd = accept4(server->listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *connection = make_connection(server, fd);
        if (connection == NULL) {
            close(fd);
            continue;
        }
        server->connections[fd] = connection;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
        watch(server, fd, EPOLL_CTL_ADD, EPOLLIN);
    }
}

/* Bytes; 0: later; −1: the connection is of no more use. */
static ssize_t judge_tls(const SSL *tls, int result)
{
    int error = result > 0 ? SSL_ERROR_NONE : SSL_get_error(tls, result);
    if (error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE)
        return 0;
    return result > 0 ? result : -1;
}

static ssize_t judge_plain(ssize_t result)
{
    if (result < 0 && (errno == EAGAIN || errno == EINTR))
        return 0;
    return result > 0 ? result : -1;
}

static ssize_t take(struct connection *connection, int fd)
{
    char *at = connection->in + connection->in_length;
    size_t room = REQUEST_MAX - 1 - connection->in_length;
    if (connection->tls == NULL)
        return judge_plain(recv(fd, at, room, MSG_DONTWAIT));
    return judge_tls(connection->tls, SSL_read(connection->tls, at, (int)room));
}

static ssize_t give(struct connection *connection, int fd)
{
    if (connection->tls == NULL)
        return judge_plain(send(fd, connection->out, connection->out_length, MSG_NOSIGNAL));
    return judge_tls(connection->tls,
                     SSL_write(connection->tls, connection->out, (int)connection->out_length));
}

/* ---- answers ---- */

static uint64_t now_ms(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC_COARSE, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* Status line and headers right before the body, which stands at HEADERS_MAX. */
static void put_headers(struct connection *connection, int status, const char *encoding,
                        size_t length)
{
    char headers[HEADERS_MAX];
    int size = snprintf(headers, sizeof headers,
                        "HTTP/1.1 %d %s\r\n"
                        "Content-Type: application/json; charset=utf-8\r\n"
                        "Connection: keep-alive\r\n"
                        "Cache-Control: public, max-age=30\r\n%s"
                        "Content-Length: %zu\r\n\r\n",
                        status, status == 200 ? "OK" : "Not Found", encoding, length);
    connection->out = connection->answer + HEADERS_MAX - size;
    connection->out_length = (size_t)size + length;
    memcpy(connection->out, headers, (size_t)size);
}

static void count_asked(struct server *server, const char *path, size_t length)
{
    uint64_t addresses = 1;
    for (size_t i = 0; i < length; i++)
        addresses += path[i] == ',';
    if (length < strlen(DISCOVER_PATH) || memcmp(path, DISCOVER_PATH, strlen(DISCOVER_PATH)) != 0)
        atomic_fetch_add_explicit(&server->asked, addresses, memory_order_relaxed);
}

static void make_answer(struct server *server, struct connection *connection, const char *path,
                        size_t path_length)
{
    char *body = connection->answer + HEADERS_MAX;
    bool is_plain = server->kind == SERVER_PLAIN;
    size_t length =
        answers_write(server->answers, path, path_length, now_ms(), is_plain ? body : server->body);
    count_asked(server, path, path_length);
    if (length == 0) {
        put_headers(connection, 404, "", 0);
    } else if (is_plain) {
        put_headers(connection, 200, "", length);
    } else {
        length = libdeflate_gzip_compress(server->compressor, server->body, length, body,
                                          ANSWERS_BODY_MAX);
        put_headers(connection, 200, "Content-Encoding: gzip\r\n", length);
    }
}

/* Takes the next whole request out of the buffer. */
static bool answer_next(struct server *server, struct connection *connection)
{
    char *end = memmem(connection->in, connection->in_length, "\r\n\r\n", 4);
    if (end == NULL)
        return false;
    char *path = memchr(connection->in, ' ', (size_t)(end - connection->in));
    char *path_end = path == NULL ? NULL : memchr(path + 1, ' ', (size_t)(end - path - 1));
    if (path_end == NULL)
        put_headers(connection, 404, "", 0);
    else
        make_answer(server, connection, path + 1, (size_t)(path_end - path - 1));
    end += 4;
    connection->in_length -= (size_t)(end - connection->in);
    memmove(connection->in, end, connection->in_length);
    return true;
}

/* Sends what there is to send, and answers what was asked; false: it is over. */
static bool go_on(struct server *server, struct connection *connection, int fd)
{
    do {
        while (connection->out_length > 0) {
            ssize_t sent = give(connection, fd);
            if (sent <= 0) {
                watch(server, fd, EPOLL_CTL_MOD, EPOLLIN | EPOLLOUT);
                return sent == 0;
            }
            connection->out += sent;
            connection->out_length -= (size_t)sent;
        }
    } while (answer_next(server, connection));
    return true;
}

static void on_ready(struct server *server, int fd, uint32_t events)
{
    struct connection *connection = server->connections[fd];
    ssize_t size = take(connection, fd);
    if (events & EPOLLOUT)
        watch(server, fd, EPOLL_CTL_MOD, EPOLLIN);
    if (size > 0)
        connection->in_length += (size_t)size;
    if (size < 0 || connection->in_length == REQUEST_MAX - 1 || !go_on(server, connection, fd))
        hang_up(server, fd);
}

static void stay_on(int cpu)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    CPU_SET((size_t)cpu, &set);
    if (cpu >= 0)
        pthread_setaffinity_np(pthread_self(), sizeof set, &set);
}

static void *serve(void *context)
{
    struct server *server = context;
    struct epoll_event events[EVENTS_MAX];
    stay_on(server->cpu);
    while (true) {
        int count = epoll_wait(server->epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == server->listening)
                accept_all(server);
            else
                on_ready(server, events[i].data.fd, events[i].events);
        }
    }
    return NULL;
}

/* ---- start ---- */

static bool open_sockets(struct server *server)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    server->epoll = epoll_create1(EPOLL_CLOEXEC);
    server->listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(server->listening, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(server->listening, SOMAXCONN) != 0 ||
        getsockname(server->listening, (struct sockaddr *)&address, &length) != 0)
        return false;
    server->port = ntohs(address.sin_port);
    watch(server, server->listening, EPOLL_CTL_ADD, EPOLLIN);
    return true;
}

static bool prepare_tls(struct server *server, const char *folder)
{
    if (server->kind == SERVER_PLAIN)
        return true;
    snprintf(server->certificate, sizeof server->certificate, "%s",
             path_in(folder, CERTIFICATE_NAME));
    server->compressor = libdeflate_alloc_compressor(COMPRESSION);
    server->context = certificate_make(server->certificate);
    return server->compressor != NULL && server->context != NULL;
}

/* One whose thread has not begun. */
static void free_server(struct server *server)
{
    answers_destroy(server->answers);
    SSL_CTX_free(server->context);
    libdeflate_free_compressor(server->compressor);
    if (server->epoll > 0)
        close(server->epoll);
    if (server->listening > 0)
        close(server->listening);
    free(server);
}

/* Some clients keep a connection for each token. */
static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max < CONNECTIONS_MAX ? limit.rlim_max : CONNECTIONS_MAX;
    setrlimit(RLIMIT_NOFILE, &limit);
}

struct server *server_start(enum server_kind kind, int cpu, const char *folder)
{
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL)
        return NULL;
    raise_limit();
    server->kind = kind;
    server->cpu = cpu;
    server->answers = answers_create();
    if (server->answers != NULL && prepare_tls(server, folder) && open_sockets(server) &&
        pthread_create(&server->thread, NULL, serve, server) == 0)
        return server;
    fprintf(stderr, "bench: no upstream to measure with: %s\n", strerror(errno));
    free_server(server);
    return NULL;
}

unsigned server_port(const struct server *server)
{
    return server->port;
}

const char *server_certificate(const struct server *server)
{
    return server->certificate;
}

double server_pair_bytes(const struct server *server)
{
    return answers_pair_bytes(server->answers);
}

uint64_t server_asked(const struct server *server)
{
    return atomic_load(&server->asked);
}

double server_cpu_s(const struct server *server)
{
    clockid_t clock;
    struct timespec t = {0};
    if (pthread_getcpuclockid(server->thread, &clock) == 0)
        clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}
