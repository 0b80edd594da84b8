/* See upstream.h. */
#include "bench/upstream.h"

#include "base/clock.h"
#include "bench/process.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#define CONNECTIONS_MAX 1024 /* highest descriptor of one */
#define EVENTS_MAX      64
#define REQUEST_MAX     8192 /* 30 addresses take 1.5 kB */

struct connection {
    uint32_t arming; /* that was in force when it was accepted */
    size_t length;
    char text[REQUEST_MAX];
};

struct upstream {
    int epoll, listening;
    unsigned port;
    _Atomic uint64_t requests;
    _Atomic uint32_t arming;
    _Atomic int64_t first_us;                        /* 0: not yet */
    struct connection *connections[CONNECTIONS_MAX]; /* by descriptor */
};

static void hang_up(struct upstream *upstream, int fd)
{
    free(upstream->connections[fd]);
    upstream->connections[fd] = NULL;
    close(fd);
}

static void watch(struct upstream *upstream, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    epoll_ctl(upstream->epoll, EPOLL_CTL_ADD, fd, &event);
}

static void accept_all(struct upstream *upstream)
{
    const int on = 1;
    int fd;
    while ((fd = accept4(upstream->listening, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
        struct connection *connection = fd < CONNECTIONS_MAX ? calloc(1, sizeof *connection) : NULL;
        if (connection == NULL) {
            close(fd);
            continue;
        }
        connection->arming = atomic_load(&upstream->arming);
        upstream->connections[fd] = connection;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        watch(upstream, fd);
    }
}

static void note_arrival(struct upstream *upstream, const struct connection *connection, instant at)
{
    int64_t nobody = 0;
    if (connection->arming == atomic_load(&upstream->arming))
        atomic_compare_exchange_strong(&upstream->first_us, &nobody, at.us);
}

static bool answer(int fd, const char *request)
{
    static const char by_pool[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                  "Content-Length: 38\r\n\r\n"
                                  "{\"schemaVersion\":\"1.0.0\",\"pairs\":null}";
    static const char by_token[] = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                                   "Content-Length: 2\r\n\r\n[]";
    const char *text = strncmp(request, "GET /latest", 11) == 0 ? by_pool : by_token;
    size_t length = strlen(text);
    return send(fd, text, length, MSG_NOSIGNAL) == (ssize_t)length;
}

/* Answers every whole request in the buffer; false: the connection is of no more use. */
static bool answer_whole(struct upstream *upstream, struct connection *connection, int fd)
{
    char *end;
    connection->text[connection->length] = '\0';
    while ((end = strstr(connection->text, "\r\n\r\n")) != NULL) {
        if (!answer(fd, connection->text))
            return false;
        end += 4;
        connection->length -= (size_t)(end - connection->text);
        memmove(connection->text, end, connection->length + 1);
        atomic_fetch_add(&upstream->requests, 1);
    }
    return connection->length < REQUEST_MAX - 1;
}

static void on_readable(struct upstream *upstream, int fd)
{
    struct connection *connection = upstream->connections[fd];
    ssize_t size = recv(fd, connection->text + connection->length,
                        REQUEST_MAX - 1 - connection->length, MSG_DONTWAIT);
    if (size < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (size > 0) {
        note_arrival(upstream, connection, clock_now());
        connection->length += (size_t)size;
    }
    if (size <= 0 || !answer_whole(upstream, connection, fd))
        hang_up(upstream, fd);
}

static void *serve(void *context)
{
    struct upstream *upstream = context;
    struct epoll_event events[EVENTS_MAX];
    while (true) {
        int count = epoll_wait(upstream->epoll, events, EVENTS_MAX, -1);
        for (int i = 0; i < count; i++) {
            if (events[i].data.fd == upstream->listening)
                accept_all(upstream);
            else
                on_readable(upstream, events[i].data.fd);
        }
    }
    return NULL;
}

static bool open_sockets(struct upstream *upstream)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    upstream->epoll = epoll_create1(EPOLL_CLOEXEC);
    upstream->listening = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (bind(upstream->listening, (struct sockaddr *)&address, sizeof address) != 0 ||
        listen(upstream->listening, SOMAXCONN) != 0 ||
        getsockname(upstream->listening, (struct sockaddr *)&address, &length) != 0)
        return false;
    upstream->port = ntohs(address.sin_port);
    watch(upstream, upstream->listening);
    return true;
}

struct upstream *upstream_start(void)
{
    static struct upstream upstream;
    pthread_t thread;
    if (upstream.port != 0)
        return &upstream;
    if (open_sockets(&upstream) && pthread_create(&thread, NULL, serve, &upstream) == 0)
        return &upstream;
    fprintf(stderr, "bench: no socket to play the upstream on: %s\n", strerror(errno));
    return NULL;
}

unsigned upstream_port(const struct upstream *upstream)
{
    return upstream->port;
}

uint64_t upstream_requests(const struct upstream *upstream)
{
    return atomic_load(&upstream->requests);
}

void upstream_arm(struct upstream *upstream)
{
    atomic_fetch_add(&upstream->arming, 1);
    atomic_store(&upstream->first_us, 0);
}

instant upstream_first(struct upstream *upstream, duration patience)
{
    instant until = instant_add(clock_now(), patience);
    while (atomic_load(&upstream->first_us) == 0 && instant_before(clock_now(), until))
        sleep_ms(1);
    return (instant){atomic_load(&upstream->first_us)};
}
