/* See peer.h. */
#include "peer.h"
#include <netinet/in.h>

static void on_closed(uv_handle_t *handle)
{
    struct peer *peer = handle->data;
    peer->is_open = false;
}

/* With a reset, so that no port has to rest afterwards. */
static void shut(struct peer *peer)
{
    if (peer->is_open && !uv_is_closing((uv_handle_t *)&peer->tcp))
        uv_tcp_close_reset(&peer->tcp, on_closed);
}

static void send_piece(struct peer *peer);

static void on_written(uv_write_t *request, int status)
{
    if (status == 0)
        send_piece(request->data);
}

static void on_ended(uv_shutdown_t *request, int status)
{
    (void)request, (void)status;
}

static void send_piece(struct peer *peer)
{
    size_t left = peer->all_length - peer->sent;
    size_t size = peer->piece == 0 || peer->piece > left ? left : peer->piece;
    uv_buf_t buffer = uv_buf_init(peer->all + peer->sent, (unsigned)size);
    if (uv_is_closing((uv_handle_t *)&peer->tcp))
        return;
    peer->sent += size;
    if (size == 0)
        uv_shutdown(&peer->shutdown, (uv_stream_t *)&peer->tcp, on_ended);
    else
        uv_write(&peer->write, (uv_stream_t *)&peer->tcp, &buffer, 1, on_written);
}

static void answer(struct peer *peer)
{
    char front[PEER_FRONT_MAX];
    size_t length = peer->front != NULL ? peer->front(peer->head, peer->length, front) : 0;
    peer->has_answered = true;
    peer->all_length = length + peer->length;
    peer->all = malloc(peer->all_length + 1);
    assert(peer->all != NULL);
    memcpy(peer->all, front, length);
    if (peer->length > 0)
        memcpy(peer->all + length, peer->bytes, peer->length);
    if (peer->reads_nothing)
        uv_read_stop((uv_stream_t *)&peer->tcp);
    send_piece(peer);
}

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    static char rest[65536];
    struct peer *peer = handle->data;
    size_t room = PEER_HEAD_MAX - peer->head_length;
    (void)suggested;
    bool is_head = !peer->has_answered && room > 0;
    *out = is_head ? uv_buf_init(peer->head + peer->head_length, (unsigned)room)
                   : uv_buf_init(rest, sizeof rest);
}

static void on_read(uv_stream_t *stream, ssize_t got, const uv_buf_t *buffer)
{
    struct peer *peer = stream->data;
    if (got < 0) {
        shut(peer);
        return;
    }
    if (peer->has_answered || buffer->base < peer->head ||
        buffer->base > peer->head + PEER_HEAD_MAX)
        return;
    peer->head_length += (size_t)got;
    peer->head[peer->head_length] = '\0';
    if (strstr(peer->head, "\r\n\r\n") != NULL)
        answer(peer);
}

static void on_connection(uv_stream_t *stream, int status)
{
    struct peer *peer = stream->data;
    assert(status == 0 && !peer->is_open);
    uv_tcp_init(peer->loop, &peer->tcp);
    peer->tcp.data = peer;
    peer->is_open = true;
    if (uv_accept(stream, (uv_stream_t *)&peer->tcp) != 0)
        abort();
    uv_tcp_nodelay(&peer->tcp, 1);
    uv_read_start((uv_stream_t *)&peer->tcp, on_room, on_read);
}

void peer_start(struct peer *peer, uv_loop_t *loop)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int size = sizeof address;
    peer->loop = loop;
    peer->write.data = peer;
    if (uv_tcp_init(loop, &peer->server) != 0 ||
        uv_tcp_bind(&peer->server, (struct sockaddr *)&address, 0) != 0 ||
        uv_listen((uv_stream_t *)&peer->server, 8, on_connection) != 0 ||
        uv_tcp_getsockname(&peer->server, (struct sockaddr *)&address, &size) != 0)
        abort();
    peer->server.data = peer;
    peer->port = ntohs(address.sin_port);
}

void peer_expect(struct peer *peer, const struct input *input, size_t piece)
{
    peer->bytes = input->at;
    peer->length = input->left;
    peer->piece = piece == 0 || peer->length / piece < PEER_PIECES_MAX
                      ? piece
                      : peer->length / PEER_PIECES_MAX;
    peer->has_answered = false;
    peer->head_length = peer->sent = 0;
}

void peer_drop(struct peer *peer)
{
    shut(peer);
    while (peer->is_open)
        uv_run(peer->loop, UV_RUN_ONCE);
    free(peer->all);
    peer->all = NULL;
}
