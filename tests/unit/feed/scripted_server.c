#include "tests/unit/feed/scripted_server.h"
#include <assert.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

struct queued_script {
    struct script script;
    STAILQ_ENTRY(queued_script) link;
};

struct scripted_server {
    uv_tcp_t listener;
    uv_loop_t *loop;
    unsigned port;
    const char *greeting;
    size_t handles; /* open ones, the listener's included */
    struct scripted_server_stats stats;
    char last_request[SCRIPTED_REQUEST_SIZE];
    STAILQ_HEAD(, queued_script) scripts;
    LIST_HEAD(, connection) connections;
};

struct connection {
    uv_tcp_t tcp;
    uv_timer_t timer;
    struct scripted_server *server;
    bool is_closing;
    unsigned handles;
    char request[SCRIPTED_REQUEST_SIZE];
    size_t received;
    struct script script; /* the one under way; its bytes are owned */
    size_t sent;
    LIST_ENTRY(connection) link;
};

void scripted_server_clear(struct scripted_server *server)
{
    struct queued_script *queued;
    while ((queued = STAILQ_FIRST(&server->scripts)) != NULL) {
        STAILQ_REMOVE_HEAD(&server->scripts, link);
        free((void *)queued->script.bytes);
        free(queued);
    }
}

static void free_server(struct scripted_server *server)
{
    if (--server->handles > 0)
        return;
    scripted_server_clear(server);
    free(server);
}

static void on_connection_closed(uv_handle_t *handle)
{
    struct connection *connection = handle->data;
    if (--connection->handles > 0)
        return;
    struct scripted_server *server = connection->server;
    free((void *)connection->script.bytes);
    free(connection);
    free_server(server);
}

static void close_connection(struct connection *connection, enum script_end how)
{
    if (connection->is_closing)
        return;
    connection->is_closing = true;
    connection->server->stats.open_connections--;
    LIST_REMOVE(connection, link);
    uv_close((uv_handle_t *)&connection->timer, on_connection_closed);
    if (how != SCRIPT_RESET || uv_tcp_close_reset(&connection->tcp, on_connection_closed) != 0)
        uv_close((uv_handle_t *)&connection->tcp, on_connection_closed);
}

struct piece {
    uv_write_t write;
    struct connection *connection;
    bool is_last;
    char bytes[];
};

static void on_timer(uv_timer_t *timer);

static void on_written(uv_write_t *write, int status)
{
    struct piece *piece = write->data;
    struct connection *connection = piece->connection;
    bool is_last = piece->is_last;
    free(piece);
    if (connection->is_closing)
        return;
    if (status < 0)
        close_connection(connection, SCRIPT_CLOSE);
    else if (!is_last)
        uv_timer_start(&connection->timer, on_timer, connection->script.piece_interval_ms, 0);
    else if (connection->script.end != SCRIPT_KEEP_OPEN)
        close_connection(connection, connection->script.end);
}

static void send_piece(struct connection *connection)
{
    const struct script *script = &connection->script;
    size_t length = script->length - connection->sent;
    if (script->piece_bytes > 0 && length > script->piece_bytes)
        length = script->piece_bytes;
    struct piece *piece = malloc(sizeof(*piece) + length);
    assert(piece != NULL);
    memcpy(piece->bytes, (const char *)script->bytes + connection->sent, length);
    connection->sent += length;
    piece->connection = connection;
    piece->is_last = connection->sent == script->length;
    piece->write.data = piece;
    uv_buf_t buffer = uv_buf_init(piece->bytes, (unsigned)length);
    if (uv_write(&piece->write, (uv_stream_t *)&connection->tcp, &buffer, 1, on_written) != 0) {
        free(piece);
        close_connection(connection, SCRIPT_CLOSE);
    }
}

static void on_timer(uv_timer_t *timer)
{
    struct connection *connection = timer->data;
    if (connection->script.length > 0)
        send_piece(connection);
    else if (connection->script.end != SCRIPT_KEEP_OPEN)
        close_connection(connection, connection->script.end);
}

static struct script copy_script(const struct script *script)
{
    struct script copy = *script;
    void *bytes = malloc(script->length + 1);
    assert(bytes != NULL);
    if (script->length > 0)
        memcpy(bytes, script->bytes, script->length);
    copy.bytes = bytes;
    return copy;
}

static void answer(struct connection *connection)
{
    struct scripted_server *server = connection->server;
    struct queued_script *queued = STAILQ_FIRST(&server->scripts);
    server->stats.requests++;
    memcpy(server->last_request, connection->request, sizeof(server->last_request));
    connection->received = 0;
    connection->sent = 0;
    free((void *)connection->script.bytes);
    connection->script = (struct script){0};
    if (queued == NULL)
        return;
    connection->script = copy_script(&queued->script);
    if (STAILQ_NEXT(queued, link) != NULL) {
        STAILQ_REMOVE_HEAD(&server->scripts, link);
        free((void *)queued->script.bytes);
        free(queued);
    }
    uv_timer_start(&connection->timer, on_timer, connection->script.delay_ms, 0);
}

static void on_alloc(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct connection *connection = handle->data;
    (void)suggested;
    *out = uv_buf_init(connection->request + connection->received,
                       (unsigned)(sizeof(connection->request) - 1 - connection->received));
}

static void on_read(uv_stream_t *stream, ssize_t count, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    (void)buffer;
    if (count < 0) {
        close_connection(connection, SCRIPT_CLOSE);
        return;
    }
    connection->received += (size_t)count;
    connection->request[connection->received] = '\0';
    if (strstr(connection->request, "\r\n\r\n") != NULL)
        answer(connection);
}

static void greet(struct connection *connection)
{
    uv_buf_t buffer = uv_buf_init((char *)connection->server->greeting,
                                  (unsigned)strlen(connection->server->greeting));
    int written = uv_try_write((uv_stream_t *)&connection->tcp, &buffer, 1);
    assert(written == (int)buffer.len);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct scripted_server *server = listener->data;
    struct connection *connection = calloc(1, sizeof(*connection));
    assert(status == 0 && connection != NULL);
    connection->server = server;
    connection->handles = 2;
    connection->tcp.data = connection;
    connection->timer.data = connection;
    uv_tcp_init(server->loop, &connection->tcp);
    uv_timer_init(server->loop, &connection->timer);
    LIST_INSERT_HEAD(&server->connections, connection, link);
    server->handles++;
    server->stats.connections++;
    if (++server->stats.open_connections > server->stats.most_open)
        server->stats.most_open = server->stats.open_connections;
    if (uv_accept(listener, (uv_stream_t *)&connection->tcp) != 0 ||
        uv_read_start((uv_stream_t *)&connection->tcp, on_alloc, on_read) != 0)
        close_connection(connection, SCRIPT_CLOSE);
    else if (server->greeting != NULL)
        greet(connection);
}

struct scripted_server *scripted_server_create(uv_loop_t *loop)
{
    struct scripted_server *server = calloc(1, sizeof(*server));
    struct sockaddr_storage bound = {0};
    struct sockaddr_in address;
    int length = sizeof(bound);
    if (server == NULL)
        return NULL;
    server->loop = loop;
    server->handles = 1;
    server->listener.data = server;
    STAILQ_INIT(&server->scripts);
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_init(loop, &server->listener);
    if (uv_tcp_bind(&server->listener, (struct sockaddr *)&address, 0) != 0 ||
        uv_listen((uv_stream_t *)&server->listener, 128, on_connection) != 0 ||
        uv_tcp_getsockname(&server->listener, (struct sockaddr *)&bound, &length) != 0) {
        scripted_server_destroy(server);
        return NULL;
    }
    server->port = ntohs(((struct sockaddr_in *)&bound)->sin_port);
    return server;
}

unsigned scripted_server_port(const struct scripted_server *server)
{
    return server->port;
}

void scripted_server_push(struct scripted_server *server, const struct script *script)
{
    struct queued_script *queued = calloc(1, sizeof(*queued));
    assert(queued != NULL);
    queued->script = copy_script(script);
    STAILQ_INSERT_TAIL(&server->scripts, queued, link);
}

void scripted_server_push_answer(struct scripted_server *server, const char *status,
                                 const char *headers, const void *body, size_t length)
{
    size_t room = strlen(status) + strlen(headers) + length + 128;
    char *bytes = malloc(room);
    assert(bytes != NULL);
    int head = snprintf(bytes, room, "HTTP/1.1 %s\r\n%sContent-Length: %zu\r\n\r\n", status,
                        headers, length);
    memcpy(bytes + head, body, length);
    scripted_server_push(server, &(struct script){.bytes = bytes, .length = (size_t)head + length});
    free(bytes);
}

void scripted_server_greet(struct scripted_server *server, const char *greeting)
{
    server->greeting = greeting;
}

void scripted_server_stats(const struct scripted_server *server, struct scripted_server_stats *out)
{
    *out = server->stats;
}

const char *scripted_server_last_request(const struct scripted_server *server)
{
    return server->last_request;
}

static void on_listener_closed(uv_handle_t *handle)
{
    free_server(handle->data);
}

void scripted_server_destroy(struct scripted_server *server)
{
    if (server == NULL)
        return;
    while (!LIST_EMPTY(&server->connections))
        close_connection(LIST_FIRST(&server->connections), SCRIPT_CLOSE);
    uv_close((uv_handle_t *)&server->listener, on_listener_closed);
}
