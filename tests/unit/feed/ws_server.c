/* A scripted WebSocket server; see ws_server.h. */
#include "ws_server.h"
#include "feed/handshake.h"
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wslay/wslay.h>

#define INBOX 65536

struct ws_peer {
    struct ws_server *server;
    const struct ws_script *script;
    uv_tcp_t tcp;
    uv_timer_t timer; /* of WS_SLOW */
    unsigned handles;
    wslay_event_context_ptr frames;
    bool is_open; /* the handshake is done */
    bool is_done; /* the script is done */
    bool is_closing;
    char inbox[INBOX];
    size_t inbox_length;
    const char *slow;
    size_t slow_left;
};

struct write {
    uv_write_t request;
    char bytes[];
};

static void complain(struct ws_server *server, const char *what)
{
    server->is_wrong = true;
    snprintf(server->complaint, sizeof server->complaint, "%s", what);
}

static void on_peer_closed(uv_handle_t *handle)
{
    struct ws_peer *peer = handle->data;
    if (--peer->handles == 0) {
        wslay_event_context_free(peer->frames);
        free(peer);
    }
}

static void close_peer(struct ws_peer *peer)
{
    if (peer->is_closing) {
        return;
    }
    peer->is_closing = true;
    if (peer->server->peer == peer) {
        peer->server->peer = NULL;
    }
    uv_close((uv_handle_t *)&peer->tcp, on_peer_closed);
    uv_close((uv_handle_t *)&peer->timer, on_peer_closed);
}

static void on_written(uv_write_t *request, int status)
{
    struct ws_peer *peer = request->data;
    free(request);
    if (status < 0) {
        close_peer(peer);
    }
}

static void on_last_written(uv_write_t *request, int status)
{
    struct ws_peer *peer = request->data;
    (void)status;
    free(request);
    close_peer(peer);
}

static void put(struct ws_peer *peer, const char *bytes, size_t length, uv_write_cb then)
{
    struct write *write = malloc(sizeof *write + length);
    assert(write);
    memcpy(write->bytes, bytes, length);
    write->request.data = peer;
    uv_buf_t buffer = uv_buf_init(write->bytes, (unsigned)length);
    if (uv_write(&write->request, (uv_stream_t *)&peer->tcp, &buffer, 1, then) != 0) {
        free(write);
    }
}

static size_t script_length(const struct ws_script *script)
{
    return script->length ? script->length : script->bytes ? strlen(script->bytes) : 0;
}

static void on_slow(uv_timer_t *timer)
{
    struct ws_peer *peer = timer->data;
    if (peer->slow_left == 0) {
        uv_timer_stop(timer);
        return;
    }
    put(peer, peer->slow, 1, on_written);
    peer->slow++;
    peer->slow_left--;
}

static void put_script(struct ws_peer *peer)
{
    const struct ws_script *script = peer->script;
    size_t length = script_length(script);
    peer->is_done = true;
    if (script->manner == WS_SLOW) {
        peer->slow = script->bytes;
        peer->slow_left = length;
        uv_timer_start(&peer->timer, on_slow, 0, 1);
    } else {
        bool is_last = script->manner == WS_DROP || script->manner == WS_REFUSE;
        put(peer, script->bytes ? script->bytes : "", length,
            is_last ? on_last_written : on_written);
        if (script->manner == WS_STUFF) {
            uv_read_stop((uv_stream_t *)&peer->tcp);
        }
    }
}

/* --- Frames from the client ------------------------------------------------------------------- */

static ssize_t on_want_bytes(wslay_event_context_ptr frames, uint8_t *out, size_t size, int flags,
                             void *user_data)
{
    struct ws_peer *peer = user_data;
    (void)flags;
    size_t n = peer->inbox_length < size ? peer->inbox_length : size;
    if (n == 0) {
        wslay_event_set_error(frames, WSLAY_ERR_WOULDBLOCK);
        return -1;
    }
    memcpy(out, peer->inbox, n);
    memmove(peer->inbox, peer->inbox + n, peer->inbox_length - n);
    peer->inbox_length -= n;
    return (ssize_t)n;
}

static ssize_t on_give_bytes(wslay_event_context_ptr frames, const uint8_t *bytes, size_t length,
                             int flags, void *user_data)
{
    (void)frames;
    (void)flags;
    put(user_data, (const char *)bytes, length, on_written);
    return (ssize_t)length;
}

static void on_text(struct ws_peer *peer, const char *text, size_t length)
{
    static const char wanted[] = "{\"method\":\"subscribeMigration\"}";
    if (length == strlen(wanted) && memcmp(text, wanted, length) == 0) {
        peer->server->subscriptions++;
    }
    if (peer->is_done) {
        return;
    }
    if (peer->script->manner == WS_AFTER_PONG) {
        const struct wslay_event_msg ping = {WSLAY_PING, (const uint8_t *)"are you there", 13};
        wslay_event_queue_msg(peer->frames, &ping);
    } else {
        put_script(peer);
    }
}

static void on_pong(struct ws_peer *peer, const struct wslay_event_on_msg_recv_arg *arg)
{
    if (peer->script->manner != WS_AFTER_PONG) {
        return;
    }
    if (arg->msg_length != 13 || memcmp(arg->msg, "are you there", 13) != 0) {
        complain(peer->server, "a pong with other bytes than its ping");
    }
    put_script(peer);
}

static void on_message(wslay_event_context_ptr frames,
                       const struct wslay_event_on_msg_recv_arg *arg, void *user_data)
{
    struct ws_peer *peer = user_data;
    (void)frames;
    switch (arg->opcode) {
    case WSLAY_TEXT_FRAME:
        on_text(peer, (const char *)arg->msg, arg->msg_length);
        break;
    case WSLAY_PING:
        peer->server->pings++;
        break;
    case WSLAY_PONG:
        on_pong(peer, arg);
        break;
    case WSLAY_CONNECTION_CLOSE:
        peer->server->close_code = arg->status_code;
        break;
    default:
        break;
    }
}

static void check_mask(struct ws_peer *peer)
{
    struct ws_server *server = peer->server;
    const uint8_t *frame = (const uint8_t *)peer->inbox;
    if (peer->inbox_length < 6) {
        return;
    }
    if (!(frame[1] & 0x80)) {
        complain(server, "a frame without a mask");
    } else if ((frame[1] & 0x7f) < 126) {
        if (memcmp(frame + 2, server->last_mask, 4) == 0) {
            complain(server, "the same mask twice");
        }
        memcpy(server->last_mask, frame + 2, 4);
    }
}

static void take_frames(struct ws_peer *peer)
{
    if (peer->is_done && peer->script->manner == WS_DEAF) {
        peer->inbox_length = 0;
        return;
    }
    check_mask(peer);
    if (wslay_event_recv(peer->frames) != 0 || wslay_event_send(peer->frames) != 0) {
        close_peer(peer);
        return;
    }
    if (wslay_event_get_close_received(peer->frames)) {
        close_peer(peer);
    }
}

/* --- The handshake ---------------------------------------------------------------------------- */

static bool read_key(struct ws_peer *peer, char key[HANDSHAKE_KEY_TEXT])
{
    const char *at = strstr(peer->inbox, "Sec-WebSocket-Key: ");
    if (!at || sscanf(at + 19, "%24[A-Za-z0-9+/=]", key) != 1 || strlen(key) != 24 ||
        !strstr(peer->inbox, "Upgrade: websocket\r\n") ||
        !strstr(peer->inbox, "Sec-WebSocket-Version: 13\r\n") ||
        !strstr(peer->inbox, "GET /api/data?key=1 HTTP/1.1\r\nHost: 127.0.0.1:")) {
        complain(peer->server, "a handshake that is none");
        return false;
    }
    if (strcmp(key, peer->server->last_key) == 0) {
        complain(peer->server, "the same key twice");
    }
    snprintf(peer->server->last_key, sizeof peer->server->last_key, "%s", key);
    return true;
}

static void answer_head(struct ws_peer *peer)
{
    char key[HANDSHAKE_KEY_TEXT];
    char accept[HANDSHAKE_ACCEPT_TEXT];
    static char head[262144];
    const struct ws_script *script = peer->script;
    if (!read_key(peer, key)) {
        close_peer(peer);
        return;
    }
    handshake_accept(key, accept);
    int length = snprintf(head, sizeof head,
                          "HTTP/1.1 101 Switching Protocols\r\nupgrade: WebSocket\r\n"
                          "connection: keep-alive, upgrade\r\nsec-websocket-accept: %s\r\n\r\n",
                          script->accept ? script->accept : accept);
    if (script->manner == WS_WITH_HEAD) {
        memcpy(head + length, script->bytes, script_length(script));
        length += (int)script_length(script);
        peer->is_done = true;
    }
    put(peer, head, (size_t)length, on_written);
    peer->is_open = true;
    peer->inbox_length = 0;
}

static void take_head(struct ws_peer *peer)
{
    peer->inbox[peer->inbox_length] = '\0';
    if (!strstr(peer->inbox, "\r\n\r\n")) {
        return;
    }
    if (peer->script->manner == WS_REFUSE) {
        put_script(peer);
    } else if (peer->script->manner != WS_HANG) {
        answer_head(peer);
    }
}

/* --- The connection --------------------------------------------------------------------------- */

static void on_room(uv_handle_t *handle, size_t suggested, uv_buf_t *out)
{
    struct ws_peer *peer = handle->data;
    (void)suggested;
    *out =
        uv_buf_init(peer->inbox + peer->inbox_length, (unsigned)(INBOX - 1 - peer->inbox_length));
}

static void on_bytes(uv_stream_t *stream, ssize_t n, const uv_buf_t *buffer)
{
    struct ws_peer *peer = stream->data;
    (void)buffer;
    if (n < 0) {
        close_peer(peer);
        return;
    }
    peer->inbox_length += (size_t)n;
    if (peer->is_open) {
        take_frames(peer);
    } else {
        take_head(peer);
    }
}

static void on_connection(uv_stream_t *stream, int status)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_want_bytes,
        .send_callback = on_give_bytes,
        .on_msg_recv_callback = on_message,
    };
    struct ws_server *server = stream->data;
    struct ws_peer *peer = calloc(1, sizeof *peer);
    assert(status == 0 && peer);
    if (server->peer) {
        complain(server, "two connections at once");
    }
    unsigned last = server->script_count - 1;
    peer->server = server;
    peer->script = &server->scripts[server->connections < last ? server->connections : last];
    server->connections++;
    server->peer = peer;
    uv_tcp_init(server->loop, &peer->tcp);
    uv_timer_init(server->loop, &peer->timer);
    peer->tcp.data = peer;
    peer->timer.data = peer;
    peer->handles = 2;
    wslay_event_context_server_init(&peer->frames, &callbacks, peer);
    uv_accept(stream, (uv_stream_t *)&peer->tcp);
    uv_read_start((uv_stream_t *)&peer->tcp, on_room, on_bytes);
}

void ws_server_start(struct ws_server *server, uv_loop_t *loop, const struct ws_script *scripts,
                     unsigned script_count)
{
    struct sockaddr_in address;
    int length = sizeof address;
    memset(server, 0, sizeof *server);
    server->loop = loop;
    server->scripts = scripts;
    server->script_count = script_count;
    uv_tcp_init(loop, &server->tcp);
    server->tcp.data = server;
    uv_ip4_addr("127.0.0.1", 0, &address);
    int status = uv_tcp_bind(&server->tcp, (struct sockaddr *)&address, 0);
    status = status ? status : uv_listen((uv_stream_t *)&server->tcp, 8, on_connection);
    status =
        status ? status : uv_tcp_getsockname(&server->tcp, (struct sockaddr *)&address, &length);
    assert(status == 0);
    server->port = ntohs(address.sin_port);
}

void ws_server_stop(struct ws_server *server)
{
    if (server->peer) {
        close_peer(server->peer);
    }
    if (!uv_is_closing((uv_handle_t *)&server->tcp)) {
        uv_close((uv_handle_t *)&server->tcp, NULL);
    }
}
