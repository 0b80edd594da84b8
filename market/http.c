/* libmicrohttpd on libuv: see http.h. */
#include "market/http.h"
#include "market/chance.h"
#include <arpa/inet.h>
#include <assert.h>
#include <errno.h>
#include <libdeflate.h>
#include <microhttpd.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ACCEPTS_PER_TURN 64
#define BACKLOG          1024
#define WAITING_LOOK_MS  250 /* how often waiting answers look whether their client left */
#define GZIP_LEVEL       1

enum exchange_stage { EXCHANGE_READING, EXCHANGE_WAITING, EXCHANGE_DUE, EXCHANGE_DROPPED };

/* One request and its answer. */
struct exchange {
    struct http_server *server;
    struct MHD_Connection *connection;
    enum exchange_stage stage;
    char *body;
    size_t body_length;
    bool is_too_large;
    struct http_reply reply;
    uint64_t due_ms;
    struct exchange *next, *previous; /* among the waiting */
};

/* One connection, for as long as it is open. */
struct link {
    struct MHD_Connection *connection;
    struct link *next, *previous;
};

struct http_server {
    struct http_settings settings;
    uv_loop_t *loop;
    struct MHD_Daemon *daemon;
    struct libdeflate_compressor *compressor;
    struct sockaddr_storage address;
    socklen_t address_length;
    int listener; /* −1: down */
    uv_poll_t *accepting;
    uv_poll_t working;
    uv_timer_t timeout;
    uv_timer_t waiting_timer;
    struct exchange *waiting;
    struct link *links;
    struct http_counts counts;
    unsigned handles_open;
};

/* ---- the loop ---- */

static void run(struct http_server *server);

static void on_timeout(uv_timer_t *timer)
{
    run(timer->data);
}

static void run(struct http_server *server)
{
    MHD_UNSIGNED_LONG_LONG timeout_ms;
    MHD_run(server->daemon);
    if (MHD_get_timeout(server->daemon, &timeout_ms) == MHD_YES)
        uv_timer_start(&server->timeout, on_timeout, timeout_ms, 0);
    else
        uv_timer_stop(&server->timeout);
}

static void on_work(uv_poll_t *poll, int status, int events)
{
    (void)status;
    (void)events;
    run(poll->data);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
    struct http_server *server = poll->data;
    (void)status;
    (void)events;
    for (int i = 0; i < ACCEPTS_PER_TURN && server->listener >= 0; i++) {
        struct sockaddr_storage peer;
        socklen_t length = sizeof peer;
        int socket = accept4(server->listener, (struct sockaddr *)&peer, &length,
                             SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (socket < 0)
            break;
        server->counts.accepted++;
        /* Past the limit of connections it closes the socket itself. */
        MHD_add_connection(server->daemon, socket, (struct sockaddr *)&peer, length);
    }
    run(server);
}

/* ---- connections ---- */

void http_reset_socket(int socket)
{
    /* Linux: dissolving the association sends a reset, with no wait and no closing. */
    struct sockaddr nobody = {.sa_family = AF_UNSPEC};
    if (connect(socket, &nobody, sizeof nobody) != 0)
        shutdown(socket, SHUT_RDWR);
}

static int socket_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    return info == NULL ? -1 : info->connect_fd;
}

static void reset_connection(struct http_server *server, struct MHD_Connection *connection)
{
    int socket = socket_of(connection);
    if (socket < 0)
        return;
    server->counts.reset++;
    http_reset_socket(socket);
}

static void on_connection_notice(void *context, struct MHD_Connection *connection,
                                 void **socket_context, enum MHD_ConnectionNotificationCode code)
{
    struct http_server *server = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        struct link *link = calloc(1, sizeof *link);
        *socket_context = link;
        if (link == NULL)
            return; /* it is served, only a reset of all would miss it */
        link->connection = connection;
        link->next = server->links;
        if (link->next != NULL)
            link->next->previous = link;
        server->links = link;
        server->counts.open++;
        return;
    }
    struct link *link = *socket_context;
    if (link == NULL)
        return;
    if (link->next != NULL)
        link->next->previous = link->previous;
    if (link->previous != NULL)
        link->previous->next = link->next;
    else
        server->links = link->next;
    server->counts.open--;
    free(link);
    *socket_context = NULL;
}

/* ---- waiting answers ---- */

static void leave_waiting(struct exchange *exchange)
{
    struct http_server *server = exchange->server;
    if (exchange->next != NULL)
        exchange->next->previous = exchange->previous;
    if (exchange->previous != NULL)
        exchange->previous->next = exchange->next;
    else
        server->waiting = exchange->next;
    exchange->next = exchange->previous = NULL;
    server->counts.waiting--;
}

static void wake(struct exchange *exchange, enum exchange_stage stage)
{
    leave_waiting(exchange);
    exchange->stage = stage;
    MHD_resume_connection(exchange->connection);
}

static bool has_left(struct exchange *exchange)
{
    char byte;
    int socket = socket_of(exchange->connection);
    ssize_t got = recv(socket, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
    return got == 0 || (got < 0 && errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR);
}

static void on_waiting(uv_timer_t *timer)
{
    struct http_server *server = timer->data;
    uint64_t now_ms = uv_now(server->loop);
    uint64_t next_ms = WAITING_LOOK_MS;
    struct exchange *next;
    for (struct exchange *exchange = server->waiting; exchange != NULL; exchange = next) {
        next = exchange->next;
        if (has_left(exchange))
            wake(exchange, EXCHANGE_DROPPED);
        else if (exchange->due_ms <= now_ms)
            wake(exchange, exchange->reply.delivery == HTTP_HANG ? EXCHANGE_DROPPED : EXCHANGE_DUE);
        else if (exchange->due_ms - now_ms < next_ms)
            next_ms = exchange->due_ms - now_ms;
    }
    if (server->waiting != NULL)
        uv_timer_start(timer, on_waiting, next_ms, 0);
    run(server);
}

static void wait_for(struct exchange *exchange, uint32_t delay_ms)
{
    struct http_server *server = exchange->server;
    exchange->stage = EXCHANGE_WAITING;
    exchange->due_ms = uv_now(server->loop) + delay_ms;
    exchange->next = server->waiting;
    if (exchange->next != NULL)
        exchange->next->previous = exchange;
    server->waiting = exchange;
    server->counts.waiting++;
    MHD_suspend_connection(exchange->connection);
    uint64_t due_ms = delay_ms < WAITING_LOOK_MS ? delay_ms : WAITING_LOOK_MS;
    if (!uv_is_active((uv_handle_t *)&server->waiting_timer) ||
        uv_timer_get_due_in(&server->waiting_timer) > due_ms)
        uv_timer_start(&server->waiting_timer, on_waiting, due_ms, 0);
}

/* ---- answers ---- */

static bool takes_gzip(struct MHD_Connection *connection)
{
    const char *accepted =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_ACCEPT_ENCODING);
    return accepted != NULL && strstr(accepted, "gzip") != NULL;
}

static void compress_body(struct exchange *exchange)
{
    struct http_server *server = exchange->server;
    struct http_reply *reply = &exchange->reply;
    size_t bound = libdeflate_gzip_compress_bound(server->compressor, reply->length);
    char *packed = malloc(bound);
    if (packed == NULL)
        return;
    size_t length =
        libdeflate_gzip_compress(server->compressor, reply->body, reply->length, packed, bound);
    if (length == 0 || length >= reply->length) {
        free(packed);
        return;
    }
    free(reply->body);
    reply->body = packed;
    reply->length = length;
    for (unsigned i = 0; i < HTTP_HEADERS_MAX; i++) {
        if (reply->headers[i].name != NULL)
            continue;
        reply->headers[i] = (struct http_header){MHD_HTTP_HEADER_CONTENT_ENCODING, "gzip"};
        return;
    }
}

/* A body that stops short. */
struct half {
    size_t length;
    char bytes[];
};

static ssize_t read_half(void *context, uint64_t position, char *out, size_t room)
{
    struct half *half = context;
    if (position >= half->length)
        return MHD_CONTENT_READER_END_WITH_ERROR;
    size_t length = half->length - position < room ? half->length - position : room;
    memcpy(out, half->bytes + position, length);
    return (ssize_t)length;
}

static struct MHD_Response *half_response(struct http_reply *reply)
{
    struct half *half = malloc(sizeof *half + reply->length / 2);
    if (half == NULL)
        return NULL;
    half->length = reply->length / 2;
    memcpy(half->bytes, reply->body, half->length);
    free(reply->body);
    reply->body = NULL;
    return MHD_create_response_from_callback(reply->length, 16384, read_half, half, free);
}

static void on_upgraded(void *context, struct MHD_Connection *connection, void *request_context,
                        const char *extra, size_t extra_length, MHD_socket socket,
                        struct MHD_UpgradeResponseHandle *handle)
{
    struct exchange *exchange = request_context;
    (void)context;
    (void)connection;
    exchange->reply.on_upgrade(exchange->reply.upgrade_context, socket, extra, extra_length,
                               handle);
}

static struct MHD_Response *make_response(struct exchange *exchange)
{
    struct http_reply *reply = &exchange->reply;
    if (reply->status == MHD_HTTP_SWITCHING_PROTOCOLS)
        return MHD_create_response_for_upgrade(on_upgraded, NULL);
    if (reply->length >= HTTP_GZIP_FROM_BYTES && takes_gzip(exchange->connection))
        compress_body(exchange);
    if (reply->delivery == HTTP_HALF && reply->length > 1)
        return half_response(reply);
    struct MHD_Response *response = MHD_create_response_from_buffer(
        reply->length, reply->body,
        reply->body != NULL ? MHD_RESPMEM_MUST_FREE : MHD_RESPMEM_PERSISTENT);
    if (response != NULL)
        reply->body = NULL;
    return response;
}

static enum MHD_Result send_reply(struct exchange *exchange)
{
    struct http_reply *reply = &exchange->reply;
    if (reply->delivery == HTTP_RESET || exchange->stage == EXCHANGE_DROPPED) {
        reset_connection(exchange->server, exchange->connection);
        return MHD_NO;
    }
    struct MHD_Response *response = make_response(exchange);
    if (response == NULL)
        return MHD_NO;
    if (reply->type != NULL)
        MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, reply->type);
    for (unsigned i = 0; i < HTTP_HEADERS_MAX; i++)
        if (reply->headers[i].name != NULL)
            MHD_add_response_header(response, reply->headers[i].name, reply->headers[i].value);
    enum MHD_Result result =
        MHD_queue_response(exchange->connection, (unsigned)reply->status, response);
    MHD_destroy_response(response);
    return result;
}

/* ---- requests ---- */

static uint64_t client_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    uint64_t client = 1;
    if (info == NULL || info->client_addr == NULL)
        return client;
    if (info->client_addr->sa_family == AF_INET) {
        const struct sockaddr_in *ip4 = (const struct sockaddr_in *)(const void *)info->client_addr;
        client = chance_mix(ip4->sin_addr.s_addr + UINT64_C(1));
    } else if (info->client_addr->sa_family == AF_INET6) {
        const struct sockaddr_in6 *ip6 =
            (const struct sockaddr_in6 *)(const void *)info->client_addr;
        uint64_t halves[2];
        memcpy(halves, &ip6->sin6_addr, sizeof halves);
        client = chance_mix(halves[0] ^ chance_mix(halves[1]));
    }
    return client != 0 ? client : 1;
}

static const char *query_value(const struct http_request *request, const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_GET_ARGUMENT_KIND, name);
}

static const char *websocket_key(struct MHD_Connection *connection)
{
    const char *upgrade =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, MHD_HTTP_HEADER_UPGRADE);
    if (upgrade == NULL || strcasecmp(upgrade, "websocket") != 0)
        return NULL;
    return MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Sec-WebSocket-Key");
}

static void handle_request(struct exchange *exchange, const char *method, const char *path)
{
    struct http_server *server = exchange->server;
    struct http_request request = {.method = method,
                                   .path = path,
                                   .body = exchange->is_too_large ? NULL : exchange->body,
                                   .body_length = exchange->body_length,
                                   .client = client_of(exchange->connection),
                                   .websocket_key = websocket_key(exchange->connection),
                                   .query = query_value,
                                   .connection = exchange->connection};
    server->settings.handler(server->settings.context, &request, &exchange->reply);
}

static void take_body(struct exchange *exchange, const char *data, size_t length)
{
    if (exchange->is_too_large || exchange->body_length + length > HTTP_BODY_MAX) {
        exchange->is_too_large = true;
        return;
    }
    char *grown = realloc(exchange->body, exchange->body_length + length);
    if (grown == NULL) {
        exchange->is_too_large = true;
        return;
    }
    memcpy(grown + exchange->body_length, data, length);
    exchange->body = grown;
    exchange->body_length += length;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *path, const char *method, const char *version,
                                  const char *data, size_t *data_length, void **request_context)
{
    struct exchange *exchange = *request_context;
    (void)version;
    if (exchange == NULL) {
        exchange = calloc(1, sizeof *exchange);
        if (exchange == NULL)
            return MHD_NO;
        exchange->server = context;
        exchange->connection = connection;
        *request_context = exchange;
        return MHD_YES;
    }
    if (*data_length > 0) {
        take_body(exchange, data, *data_length);
        *data_length = 0;
        return MHD_YES;
    }
    if (exchange->stage != EXCHANGE_READING)
        return send_reply(exchange);
    handle_request(exchange, method, path);
    bool hangs = exchange->reply.delivery == HTTP_HANG;
    if (!hangs && exchange->reply.delay_ms == 0)
        return send_reply(exchange);
    wait_for(exchange, hangs ? HTTP_HANG_MAX_MS : exchange->reply.delay_ms);
    return MHD_YES;
}

static void on_request_done(void *context, struct MHD_Connection *connection,
                            void **request_context, enum MHD_RequestTerminationCode code)
{
    struct exchange *exchange = *request_context;
    (void)context;
    (void)connection;
    (void)code;
    if (exchange == NULL)
        return;
    if (exchange->stage == EXCHANGE_WAITING)
        leave_waiting(exchange);
    free(exchange->reply.body);
    free(exchange->body);
    free(exchange);
    *request_context = NULL;
}

/* ---- start and end ---- */

static bool parse_address(struct http_server *server)
{
    struct sockaddr_in ip4;
    struct sockaddr_in6 ip6;
    if (uv_ip4_addr(server->settings.address, server->settings.port, &ip4) == 0) {
        memcpy(&server->address, &ip4, sizeof ip4);
        server->address_length = sizeof ip4;
        return true;
    }
    if (uv_ip6_addr(server->settings.address, server->settings.port, &ip6) != 0)
        return false;
    memcpy(&server->address, &ip6, sizeof ip6);
    server->address_length = sizeof ip6;
    return true;
}

enum err http_up(struct http_server *server)
{
    if (server->listener >= 0)
        return OK;
    int on = 1;
    int listener = socket(server->address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (listener < 0)
        return ERR_IO;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    server->accepting = malloc(sizeof *server->accepting);
    /* The port that was chosen at first stays ours. */
    if (server->accepting == NULL ||
        bind(listener, (struct sockaddr *)&server->address, server->address_length) != 0 ||
        listen(listener, BACKLOG) != 0 ||
        getsockname(listener, (struct sockaddr *)&server->address, &server->address_length) != 0 ||
        uv_poll_init(server->loop, server->accepting, listener) != 0) {
        int cause = errno;
        free(server->accepting);
        server->accepting = NULL;
        close(listener);
        errno = cause;
        return ERR_IO;
    }
    server->accepting->data = server;
    uv_poll_start(server->accepting, UV_READABLE, on_connection);
    server->listener = listener;
    return OK;
}

static void on_accepting_closed(uv_handle_t *handle)
{
    free(handle);
}

static void stop_listening(struct http_server *server)
{
    if (server->listener < 0)
        return;
    uv_poll_stop(server->accepting);
    uv_close((uv_handle_t *)server->accepting, on_accepting_closed);
    server->accepting = NULL;
    close(server->listener);
    server->listener = -1;
}

void http_down(struct http_server *server)
{
    stop_listening(server);
    while (server->waiting != NULL)
        wake(server->waiting, EXCHANGE_DROPPED);
    for (struct link *link = server->links; link != NULL; link = link->next)
        reset_connection(server, link->connection);
    uv_timer_start(&server->timeout, on_timeout, 0, 0);
}

static struct MHD_Daemon *start_daemon(struct http_server *server)
{
    const struct http_settings *settings = &server->settings;
    unsigned flags =
        MHD_USE_EPOLL | MHD_USE_NO_LISTEN_SOCKET | MHD_ALLOW_UPGRADE | MHD_ALLOW_SUSPEND_RESUME;
    struct MHD_OptionItem tls[] = {
        {MHD_OPTION_HTTPS_MEM_CERT, 0, (void *)(uintptr_t)settings->certificate},
        {MHD_OPTION_HTTPS_MEM_KEY, 0, (void *)(uintptr_t)settings->key},
        {MHD_OPTION_END, 0, NULL}};
    if (settings->certificate != NULL)
        flags |= MHD_USE_TLS;
    else
        tls[0].option = MHD_OPTION_END;
    return MHD_start_daemon(flags, 0, NULL, NULL, on_request, server, MHD_OPTION_CONNECTION_LIMIT,
                            HTTP_CONNECTIONS_MAX, MHD_OPTION_CONNECTION_TIMEOUT, HTTP_IDLE_MAX_S,
                            MHD_OPTION_NOTIFY_COMPLETED, on_request_done, server,
                            MHD_OPTION_NOTIFY_CONNECTION, on_connection_notice, server,
                            MHD_OPTION_ARRAY, tls, MHD_OPTION_END);
}

static void watch_daemon(struct http_server *server)
{
    int epoll = MHD_get_daemon_info(server->daemon, MHD_DAEMON_INFO_EPOLL_FD)->epoll_fd;
    uv_poll_init(server->loop, &server->working, epoll);
    uv_timer_init(server->loop, &server->timeout);
    uv_timer_init(server->loop, &server->waiting_timer);
    server->working.data = server->timeout.data = server->waiting_timer.data = server;
    server->handles_open = 3;
    uv_poll_start(&server->working, UV_READABLE, on_work);
}

struct http_server *http_create(uv_loop_t *loop, const struct http_settings *settings,
                                char why[HTTP_MESSAGE_SIZE])
{
    struct http_server *server = calloc(1, sizeof *server);
    if (server == NULL)
        goto no_memory;
    server->loop = loop;
    server->settings = *settings;
    server->listener = -1;
    server->compressor = libdeflate_alloc_compressor(GZIP_LEVEL);
    if (server->compressor == NULL)
        goto no_memory;
    if (!parse_address(server)) {
        snprintf(why, HTTP_MESSAGE_SIZE, "not an IP address: %.60s", settings->address);
        goto fail;
    }
    if (http_up(server) != OK) {
        snprintf(why, HTTP_MESSAGE_SIZE, "cannot listen on %.60s port %u: %s", settings->address,
                 settings->port, strerror(errno));
        goto fail;
    }
    server->daemon = start_daemon(server);
    if (server->daemon != NULL) {
        watch_daemon(server);
        return server;
    }
    snprintf(why, HTTP_MESSAGE_SIZE, "cannot start the HTTP server%s",
             settings->certificate != NULL ? " (are certificate and key a pair in PEM?)" : "");
    goto fail;
no_memory:
    snprintf(why, HTTP_MESSAGE_SIZE, "out of memory");
fail:
    if (server != NULL) {
        stop_listening(server);
        libdeflate_free_compressor(server->compressor);
        free(server);
    }
    return NULL;
}

uint16_t http_port(const struct http_server *server)
{
    const struct sockaddr_in *ip4 = (const struct sockaddr_in *)&server->address;
    const struct sockaddr_in6 *ip6 = (const struct sockaddr_in6 *)&server->address;
    return ntohs(server->address.ss_family == AF_INET ? ip4->sin_port : ip6->sin6_port);
}

void http_counts(const struct http_server *server, struct http_counts *out)
{
    *out = server->counts;
}

void http_close_upgraded(void *handle)
{
    MHD_upgrade_action(handle, MHD_UPGRADE_ACTION_CLOSE);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct http_server *server = handle->data;
    if (--server->handles_open > 0)
        return;
    libdeflate_free_compressor(server->compressor);
    free(server);
}

void http_destroy(struct http_server *server)
{
    if (server == NULL)
        return;
    stop_listening(server);
    while (server->waiting != NULL)
        wake(server->waiting, EXCHANGE_DROPPED);
    MHD_run(server->daemon);
    uv_poll_stop(&server->working);
    uv_timer_stop(&server->timeout);
    uv_timer_stop(&server->waiting_timer);
    MHD_stop_daemon(server->daemon);
    uv_close((uv_handle_t *)&server->working, on_handle_closed);
    uv_close((uv_handle_t *)&server->timeout, on_handle_closed);
    uv_close((uv_handle_t *)&server->waiting_timer, on_handle_closed);
}
