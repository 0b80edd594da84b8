#include "receiver.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define REQUEST_MAX 65536

struct connection {
    uv_tcp_t handle;
    struct receiver *receiver;
    char bytes[REQUEST_MAX + 1];
    size_t length;
    struct connection *next;
};

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void drop(struct connection *connection)
{
    struct connection **at = (struct connection **)&connection->receiver->connections;
    while (*at != connection)
        at = &(*at)->next;
    *at = connection->next;
    uv_close((uv_handle_t *)&connection->handle, on_closed);
}

static void on_written(uv_write_t *write, int status)
{
    (void)status;
    free(write->data);
    free(write);
}

static void answer(struct connection *connection)
{
    const struct receiver *receiver = connection->receiver;
    char *text = malloc(1024);
    uv_write_t *write = malloc(sizeof *write);
    if (text == NULL || write == NULL)
        abort();
    snprintf(text, 1024, "HTTP/1.1 %d Told\r\nContent-Length: %zu\r\n%s\r\n%s", receiver->status,
             strlen(receiver->answer), receiver->headers, receiver->answer);
    uv_buf_t buffer = uv_buf_init(text, (unsigned)strlen(text));
    write->data = text;
    uv_write(write, (uv_stream_t *)&connection->handle, &buffer, 1, on_written);
}

static void copy_header(const char *head, const char *name, char *out, size_t size)
{
    const char *at = strcasestr(head, name);
    out[0] = '\0';
    if (at == NULL)
        return;
    at += strlen(name);
    snprintf(out, size, "%.*s", (int)strcspn(at, "\r\n"), at);
}

static void keep(struct receiver *receiver, const char *head, const char *body, size_t length)
{
    if (receiver->count == RECEIVER_POSTS_MAX)
        abort();
    struct received *post = &receiver->posts[receiver->count++];
    snprintf(post->path, sizeof post->path, "%.*s", (int)strcspn(head + 5, " "), head + 5);
    copy_header(head, "\r\nIdempotency-Key: ", post->key, sizeof post->key);
    copy_header(head, "\r\nAuthorization: Bearer ", post->bearer, sizeof post->bearer);
    post->body = strndup(body, length);
    post->status = receiver->status;
}

/* True: a whole request was there. */
static bool take_request(struct connection *connection)
{
    char *head_end = strstr(connection->bytes, "\r\n\r\n");
    char length_text[32];
    if (head_end == NULL)
        return false;
    *head_end = '\0';
    copy_header(connection->bytes, "\r\nContent-Length: ", length_text, sizeof length_text);
    size_t body = (size_t)strtoul(length_text, NULL, 10);
    size_t head = (size_t)(head_end - connection->bytes) + 4;
    bool is_whole = connection->length >= head + body;
    if (is_whole)
        keep(connection->receiver, connection->bytes, connection->bytes + head, body);
    *head_end = '\r';
    if (!is_whole)
        return false;
    memmove(connection->bytes, connection->bytes + head + body,
            connection->length - head - body + 1);
    connection->length -= head + body;
    return true;
}

static void on_alloc(uv_handle_t *handle, size_t size, uv_buf_t *buffer)
{
    struct connection *connection = handle->data;
    (void)size;
    *buffer = uv_buf_init(connection->bytes + connection->length,
                          (unsigned)(REQUEST_MAX - connection->length));
}

static void on_read(uv_stream_t *stream, ssize_t size, const uv_buf_t *buffer)
{
    struct connection *connection = stream->data;
    (void)buffer;
    if (size < 0) {
        drop(connection);
        return;
    }
    connection->length += (size_t)size;
    connection->bytes[connection->length] = '\0';
    while (take_request(connection))
        if (connection->receiver->status != RECEIVER_HANG)
            answer(connection);
}

static void on_connection(uv_stream_t *listener, int status)
{
    struct receiver *receiver = listener->data;
    struct connection *connection = calloc(1, sizeof *connection);
    if (status != 0 || connection == NULL)
        abort();
    connection->receiver = receiver;
    connection->next = receiver->connections;
    receiver->connections = connection;
    uv_tcp_init(receiver->loop, &connection->handle);
    connection->handle.data = connection;
    uv_accept(listener, (uv_stream_t *)&connection->handle);
    uv_read_start((uv_stream_t *)&connection->handle, on_alloc, on_read);
}

void receiver_init(struct receiver *receiver, uv_loop_t *loop)
{
    struct sockaddr_in address;
    int size = sizeof address;
    *receiver = (struct receiver){.loop = loop, .status = 200, .headers = "", .answer = ""};
    uv_ip4_addr("127.0.0.1", 0, &address);
    uv_tcp_init(loop, &receiver->listener);
    receiver->listener.data = receiver;
    if (uv_tcp_bind(&receiver->listener, (struct sockaddr *)&address, 0) != 0 ||
        uv_listen((uv_stream_t *)&receiver->listener, 16, on_connection) != 0)
        abort();
    uv_tcp_getsockname(&receiver->listener, (struct sockaddr *)&address, &size);
    receiver->port = ntohs(address.sin_port);
}

size_t receiver_taken(const struct receiver *receiver, const char *key)
{
    size_t count = 0;
    for (size_t i = 0; i < receiver->count; i++)
        count += receiver->posts[i].status / 100 == 2 &&
                 (key == NULL || strcmp(receiver->posts[i].key, key) == 0);
    return count;
}

void receiver_finish(struct receiver *receiver)
{
    while (receiver->connections != NULL)
        drop(receiver->connections);
    uv_close((uv_handle_t *)&receiver->listener, NULL);
    for (size_t i = 0; i < receiver->count; i++)
        free(receiver->posts[i].body);
}
