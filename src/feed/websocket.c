/* A WebSocket connection on libcurl, libuv and wslay; see websocket.h. */
#include "feed/websocket.h"
#include "base/text.h"
#include "feed/handshake.h"
#include <assert.h>
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <wslay/wslay.h>

enum state { CONNECTING, SHAKING, OPEN, CLOSING, ENDED };

#define PING_BYTES 8

/* The timers of a connection, in one array so that they are opened and closed alike. */
enum timer {
    TIMER_CURL,     /* libcurl's own timeouts */
    TIMER_DEADLINE, /* of the present state; of the pong while OPEN */
    TIMER_PING,
    TIMER_TURN, /* zero: goes on in the next turn of the loop */
    TIMER_COUNT
};

/* A socket that libcurl wants watched while it connects; it may try several at once. */
struct watched {
    struct websocket *websocket;
    struct watched *next;
    uv_poll_t poll;
    curl_socket_t socket;
};

struct websocket {
    uv_loop_t *loop;
    struct websocket_options options; /* its url is not kept */
    struct websocket_listener listener;
    void *context;
    enum state state;

    CURLM *multi;
    CURL *easy;
    char curl_error[CURL_ERROR_SIZE];
    struct watched *watched;
    uv_timer_t timers[TIMER_COUNT];
    uv_poll_t poll; /* of the connection, once libcurl has made it */
    bool has_poll;

    struct handshake_url url;
    char accept[HANDSHAKE_ACCEPT_TEXT];
    char request[HANDSHAKE_REQUEST_MAX];
    size_t request_length, request_sent;
    char head[HANDSHAKE_ANSWER_MAX];
    size_t head_length, head_used; /* what follows the head is the first frames */

    wslay_event_context_ptr frames;
    size_t turn_bytes; /* read in this turn of the loop */
    CURLcode broken;   /* why reading or writing ended */
    bool at_end;       /* the peer closed its side */
    bool ping_is_out;
    bool close_is_ours;
    uint64_t ping_number;
    char peer_reason[128];

    bool was_open;
    int http_status;
    int64_t retry_after_s;
    char detail[HANDSHAKE_DETAIL_SIZE + CURL_ERROR_SIZE];

    bool destroyed;
    unsigned handles; /* open uv handles */
    void (*on_closed)(void *context);
    void *closed_context;
};

static void on_turn(uv_timer_t *timer);
static void on_deadline(uv_timer_t *timer);
static void on_connection_ready(uv_poll_t *poll, int status, int events);

const char *websocket_end_name(enum websocket_end end)
{
#define X(code, text) [code] = text,
    static const char *const names[] = {WEBSOCKET_END_LIST(X)};
#undef X
    return (unsigned)end < WEBSOCKET_END_COUNT ? names[end] : "unknown";
}

/* --- Ending ----------------------------------------------------------------------------------- */

/* Timers take whole milliseconds; a duration above zero must not become none. */
static uint64_t timer_ms(duration d)
{
    int64_t ms = duration_to_ms(d);
    return ms > 0 ? (uint64_t)ms : 1;
}

static void stop_everything(struct websocket *websocket)
{
    for (int i = 0; i < TIMER_COUNT; i++) {
        uv_timer_stop(&websocket->timers[i]);
    }
    if (websocket->has_poll) {
        uv_poll_stop(&websocket->poll);
    }
    for (struct watched *w = websocket->watched; w; w = w->next) {
        uv_poll_stop(&w->poll);
    }
}

/* The one place where a connection ends. */
static void fail(struct websocket *websocket, enum websocket_end end, const char *detail)
{
    if (websocket->state == ENDED || websocket->destroyed) {
        return;
    }
    websocket->state = ENDED;
    stop_everything(websocket);
    if (detail != websocket->detail) {
        text_copy(websocket->detail, sizeof websocket->detail, detail, strlen(detail));
    }
    const struct websocket_ended ended = {
        .end = end,
        .was_open = websocket->was_open,
        .http_status = websocket->http_status,
        .retry_after_s = websocket->retry_after_s,
        .detail = websocket->detail,
    };
    websocket->listener.on_end(websocket->context, &ended);
}

static void fail_seconds(struct websocket *websocket, enum websocket_end end, const char *what,
                         duration limit)
{
    char text[128];
    snprintf(text, sizeof text, "%s within %.3g s", what, duration_to_s(limit));
    fail(websocket, end, text);
}

static void free_network(struct websocket *websocket)
{
    if (websocket->multi && websocket->easy) {
        curl_multi_remove_handle(websocket->multi, websocket->easy);
    }
    curl_easy_cleanup(websocket->easy);
    curl_multi_cleanup(websocket->multi);
    wslay_event_context_free(websocket->frames);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct websocket *websocket = handle->data;
    assert(websocket->handles > 0);
    if (--websocket->handles > 0) {
        return;
    }
    free_network(websocket);
    if (websocket->on_closed) {
        websocket->on_closed(websocket->closed_context);
    }
    free(websocket);
}

static void on_watched_closed(uv_handle_t *handle)
{
    struct watched *watched = handle->data;
    uv_handle_t carrier = {.data = watched->websocket};
    free(watched);
    on_handle_closed(&carrier);
}

static void unlink_watched(struct watched *watched)
{
    struct watched **at = &watched->websocket->watched;
    while (*at != watched) {
        at = &(*at)->next;
    }
    *at = watched->next;
}

static void close_watched(struct watched *watched)
{
    unlink_watched(watched);
    uv_close((uv_handle_t *)&watched->poll, on_watched_closed);
}

void websocket_destroy(struct websocket *websocket, void (*on_closed)(void *context), void *context)
{
    if (!websocket || websocket->destroyed) {
        return;
    }
    websocket->destroyed = true;
    websocket->on_closed = on_closed;
    websocket->closed_context = context;
    /* libcurl closes its sockets later, when nothing polls them any more: it must not call then. */
    curl_multi_setopt(websocket->multi, CURLMOPT_SOCKETFUNCTION, NULL);
    curl_multi_setopt(websocket->multi, CURLMOPT_TIMERFUNCTION, NULL);
    while (websocket->watched) {
        close_watched(websocket->watched);
    }
    if (websocket->has_poll) {
        uv_close((uv_handle_t *)&websocket->poll, on_handle_closed);
    }
    for (int i = 0; i < TIMER_COUNT; i++) {
        uv_close((uv_handle_t *)&websocket->timers[i], on_handle_closed);
    }
}

/* --- Frames ----------------------------------------------------------------------------------- */

/* -1 as wslay wants it, with the reason why nothing more can be had now. */
static ssize_t no_bytes(struct websocket *websocket, CURLcode code)
{
    if (code == CURLE_AGAIN) {
        wslay_event_set_error(websocket->frames, WSLAY_ERR_WOULDBLOCK);
    } else {
        websocket->broken = code;
        wslay_event_set_error(websocket->frames, WSLAY_ERR_CALLBACK_FAILURE);
    }
    return -1;
}

static ssize_t on_want_bytes(wslay_event_context_ptr frames, uint8_t *out, size_t size, int flags,
                             void *user_data)
{
    struct websocket *websocket = user_data;
    (void)frames;
    (void)flags;
    size_t left = websocket->head_length - websocket->head_used;
    if (websocket->destroyed || websocket->state == ENDED) {
        return no_bytes(websocket, CURLE_AGAIN);
    }
    if (left > 0) {
        size_t n = left < size ? left : size;
        memcpy(out, websocket->head + websocket->head_used, n);
        websocket->head_used += n;
        return (ssize_t)n;
    }
    if (wslay_event_get_queued_msg_count(websocket->frames) > WEBSOCKET_QUEUE_MAX) {
        websocket->turn_bytes = WEBSOCKET_READ_TURN; /* answer first */
    }
    if (websocket->turn_bytes >= WEBSOCKET_READ_TURN) {
        return no_bytes(websocket, CURLE_AGAIN);
    }
    size_t got = 0;
    CURLcode code = curl_easy_recv(websocket->easy, out, size, &got);
    if (code != CURLE_OK || got == 0) {
        websocket->at_end = code == CURLE_OK;
        return no_bytes(websocket, code == CURLE_OK ? CURLE_GOT_NOTHING : code);
    }
    websocket->turn_bytes += got;
    return (ssize_t)got;
}

static ssize_t on_give_bytes(wslay_event_context_ptr frames, const uint8_t *bytes, size_t length,
                             int flags, void *user_data)
{
    struct websocket *websocket = user_data;
    size_t sent = 0;
    (void)frames;
    (void)flags;
    CURLcode code = curl_easy_send(websocket->easy, bytes, length, &sent);
    return code == CURLE_OK && sent > 0
               ? (ssize_t)sent
               : no_bytes(websocket, code == CURLE_OK ? CURLE_AGAIN : code);
}

static int on_want_mask(wslay_event_context_ptr frames, uint8_t *out, size_t length,
                        void *user_data)
{
    (void)frames;
    (void)user_data;
    return getrandom(out, length, 0) == (ssize_t)length ? 0 : -1;
}

static void on_pong(struct websocket *websocket, const struct wslay_event_on_msg_recv_arg *arg)
{
    /* One that we did not ask for, or that answers an older ping, says nothing about now. */
    if (!websocket->ping_is_out || arg->msg_length != PING_BYTES ||
        memcmp(arg->msg, &websocket->ping_number, PING_BYTES) != 0) {
        return;
    }
    websocket->ping_is_out = false;
    if (websocket->state == OPEN) {
        uv_timer_stop(&websocket->timers[TIMER_DEADLINE]);
    }
    websocket->listener.on_pong(websocket->context);
}

static void keep_reason(struct websocket *websocket, const struct wslay_event_on_msg_recv_arg *arg)
{
    char reason[96] = "";
    /* The payload is the code's two bytes, then the reason. */
    if (arg->msg_length > 2) {
        text_copy(reason, sizeof reason, (const char *)arg->msg + 2, arg->msg_length - 2);
    }
    snprintf(websocket->peer_reason, sizeof websocket->peer_reason, "%s%s", reason[0] ? ": " : "",
             reason);
}

static void on_frame_message(wslay_event_context_ptr frames,
                             const struct wslay_event_on_msg_recv_arg *arg, void *user_data)
{
    struct websocket *websocket = user_data;
    (void)frames;
    if (websocket->destroyed || websocket->state == ENDED) {
        return;
    }
    switch (arg->opcode) {
    case WSLAY_TEXT_FRAME:
    case WSLAY_BINARY_FRAME:
        websocket->listener.on_message(
            websocket->context, arg->opcode == WSLAY_TEXT_FRAME ? WEBSOCKET_TEXT : WEBSOCKET_BINARY,
            arg->msg_length ? (const char *)arg->msg : "", arg->msg_length);
        break;
    case WSLAY_PONG:
        on_pong(websocket, arg);
        break;
    case WSLAY_CONNECTION_CLOSE:
        keep_reason(websocket, arg);
        break;
    default: /* wslay has queued the pong that a ping asks for */
        break;
    }
}

/* --- The open connection ---------------------------------------------------------------------- */

static void fail_broken(struct websocket *websocket)
{
    char text[CURL_ERROR_SIZE + 64];
    if (!websocket->at_end && websocket->broken == CURLE_OK) {
        fail(websocket, WEBSOCKET_BAD_FRAME, "frames that break the protocol");
        return;
    }
    if (websocket->at_end) {
        snprintf(text, sizeof text, "the peer dropped the connection");
    } else {
        snprintf(text, sizeof text, "the connection broke (%s)",
                 curl_easy_strerror(websocket->broken));
    }
    fail(websocket, WEBSOCKET_DROPPED, text);
}

/* We ended it because of what the peer sent; our closing frame says why. */
static void fail_by_our_code(struct websocket *websocket)
{
    switch (wslay_event_get_status_code_sent(websocket->frames)) {
    case WSLAY_CODE_MESSAGE_TOO_BIG: {
        char text[96];
        snprintf(text, sizeof text, "a message over %zu bytes", websocket->options.message_max);
        fail(websocket, WEBSOCKET_TOO_LARGE, text);
        break;
    }
    case WSLAY_CODE_INVALID_FRAME_PAYLOAD_DATA:
        fail(websocket, WEBSOCKET_BAD_TEXT, "a text message that is not UTF-8");
        break;
    default:
        fail(websocket, WEBSOCKET_BAD_FRAME, "frames that break the protocol");
    }
}

static void fail_closed(struct websocket *websocket)
{
    if (websocket->close_is_ours) {
        fail(websocket, WEBSOCKET_CLOSED, "closed");
        return;
    }
    uint16_t code = wslay_event_get_status_code_received(websocket->frames);
    char text[192];
    if (code == WSLAY_CODE_NO_STATUS_RCVD) {
        snprintf(text, sizeof text, "the peer closed the connection");
    } else {
        snprintf(text, sizeof text, "the peer closed the connection with code %u%s", code,
                 websocket->peer_reason);
    }
    fail(websocket, WEBSOCKET_CLOSED_BY_PEER, text);
}

static void start_deadline(struct websocket *websocket, duration limit)
{
    uv_timer_start(&websocket->timers[TIMER_DEADLINE], on_deadline, timer_ms(limit), 0);
}

/* Ends what is over, or waits for what is still to come. */
static void settle(struct websocket *websocket)
{
    wslay_event_context_ptr frames = websocket->frames;
    bool wants_write = wslay_event_want_write(frames);
    bool received = wslay_event_get_close_received(frames);
    if (received && !wants_write) {
        fail_closed(websocket);
        return;
    }
    if (!received && !wslay_event_get_read_enabled(frames) && !wants_write) {
        fail_by_our_code(websocket);
        return;
    }
    if (wslay_event_get_queued_msg_count(frames) > WEBSOCKET_QUEUE_MAX) {
        fail(websocket, WEBSOCKET_STUFFED, "the peer does not read what it asks for");
        return;
    }
    if (websocket->state == OPEN && (received || !wslay_event_get_read_enabled(frames))) {
        websocket->state = CLOSING;
        start_deadline(websocket, websocket->options.close_timeout);
    }
}

static void watch_connection(struct websocket *websocket)
{
    if (websocket->state == ENDED || websocket->destroyed) {
        return;
    }
    bool sending = websocket->state == SHAKING ? websocket->request_sent < websocket->request_length
                                               : wslay_event_want_write(websocket->frames);
    int status = uv_poll_start(&websocket->poll, UV_READABLE | (sending ? UV_WRITABLE : 0),
                               on_connection_ready);
    if (status != 0) {
        fail(websocket, WEBSOCKET_DROPPED, uv_strerror(status));
    }
}

static void exchange_frames(struct websocket *websocket)
{
    int result = 0;
    websocket->turn_bytes = 0;
    if (wslay_event_want_read(websocket->frames)) {
        result = wslay_event_recv(websocket->frames);
    }
    if (websocket->destroyed || websocket->state == ENDED) {
        return;
    }
    /* What was received before the connection broke may have been a closing frame. */
    if (result == 0 || wslay_event_get_close_received(websocket->frames)) {
        int sent = wslay_event_send(websocket->frames);
        result = result == 0 ? sent : result;
    }
    if (result == WSLAY_ERR_NOMEM) {
        fail(websocket, WEBSOCKET_NO_MEMORY, "out of memory");
    } else if (result != 0 && !wslay_event_get_close_received(websocket->frames)) {
        fail_broken(websocket);
    } else if (result != 0) {
        fail_closed(websocket);
    } else {
        settle(websocket);
    }
    if (websocket->turn_bytes >= WEBSOCKET_READ_TURN && websocket->state != ENDED &&
        !websocket->destroyed) {
        /* TLS may hold bytes that no poll will ever announce. */
        uv_timer_start(&websocket->timers[TIMER_TURN], on_turn, 0, 0);
    }
}

enum err websocket_send_text(struct websocket *websocket, const char *text, size_t length)
{
    if (websocket->state != OPEN || websocket->destroyed) {
        return ERR_UNAVAILABLE;
    }
    const struct wslay_event_msg message = {
        .opcode = WSLAY_TEXT_FRAME,
        .msg = (const uint8_t *)text,
        .msg_length = length,
    };
    if (wslay_event_queue_msg(websocket->frames, &message) != 0) {
        return ERR_UNAVAILABLE;
    }
    /* Sent from the loop: the caller may be within a callback of the frames. */
    watch_connection(websocket);
    return OK;
}

/* --- The handshake ---------------------------------------------------------------------------- */

static enum err begin_frames(struct websocket *websocket)
{
    const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_want_bytes,
        .send_callback = on_give_bytes,
        .genmask_callback = on_want_mask,
        .on_msg_recv_callback = on_frame_message,
    };
    if (wslay_event_context_client_init(&websocket->frames, &callbacks, websocket) != 0) {
        return ERR_NO_MEMORY;
    }
    wslay_event_config_set_max_recv_msg_length(websocket->frames, websocket->options.message_max);
    return OK;
}

static void on_ping_due(uv_timer_t *timer)
{
    struct websocket *websocket = timer->data;
    if (websocket->state != OPEN || websocket->ping_is_out) {
        return;
    }
    websocket->ping_number++;
    const struct wslay_event_msg ping = {
        .opcode = WSLAY_PING,
        .msg = (const uint8_t *)&websocket->ping_number,
        .msg_length = PING_BYTES,
    };
    if (wslay_event_queue_msg(websocket->frames, &ping) != 0) {
        fail(websocket, WEBSOCKET_NO_MEMORY, "out of memory");
        return;
    }
    websocket->ping_is_out = true;
    start_deadline(websocket, websocket->options.pong_timeout);
    watch_connection(websocket);
}

static void open_connection(struct websocket *websocket)
{
    if (begin_frames(websocket) != OK) {
        fail(websocket, WEBSOCKET_NO_MEMORY, "out of memory");
        return;
    }
    websocket->state = OPEN;
    websocket->was_open = true;
    uv_timer_stop(&websocket->timers[TIMER_DEADLINE]);
    uint64_t interval = timer_ms(websocket->options.ping_interval);
    uv_timer_start(&websocket->timers[TIMER_PING], on_ping_due, interval, interval);
    websocket->listener.on_open(websocket->context);
    if (!websocket->destroyed && websocket->state != ENDED) {
        exchange_frames(websocket); /* frames may have come with the head */
    }
}

static void judge_head(struct websocket *websocket)
{
    struct handshake_answer answer;
    enum handshake_result result =
        handshake_parse(websocket->head, websocket->head_length, websocket->accept, &answer);
    websocket->http_status = answer.status;
    websocket->retry_after_s = answer.retry_after_s;
    switch (result) {
    case HANDSHAKE_MORE:
        break;
    case HANDSHAKE_ACCEPTED:
        websocket->head_used = answer.length;
        open_connection(websocket);
        break;
    case HANDSHAKE_REFUSED:
        fail(websocket, WEBSOCKET_REFUSED, answer.detail);
        break;
    case HANDSHAKE_BROKEN:
        fail(websocket, WEBSOCKET_BAD_HANDSHAKE, answer.detail);
        break;
    }
}

/* False when there is nothing to go on with now. */
static bool send_request(struct websocket *websocket)
{
    while (websocket->request_sent < websocket->request_length) {
        size_t sent = 0;
        CURLcode code =
            curl_easy_send(websocket->easy, websocket->request + websocket->request_sent,
                           websocket->request_length - websocket->request_sent, &sent);
        if (code != CURLE_OK) {
            if (code != CURLE_AGAIN) {
                websocket->broken = code;
                fail_broken(websocket);
            }
            return false;
        }
        websocket->request_sent += sent;
    }
    return true;
}

static void shake(struct websocket *websocket)
{
    if (!send_request(websocket)) {
        return;
    }
    while (websocket->state == SHAKING && !websocket->destroyed) {
        size_t got = 0;
        CURLcode code = curl_easy_recv(websocket->easy, websocket->head + websocket->head_length,
                                       sizeof websocket->head - websocket->head_length, &got);
        if (code == CURLE_AGAIN) {
            return;
        }
        if (code != CURLE_OK || got == 0) {
            websocket->broken = code;
            websocket->at_end = code == CURLE_OK;
            fail_broken(websocket);
            return;
        }
        websocket->head_length += got;
        judge_head(websocket);
    }
}

static void progress(struct websocket *websocket)
{
    if (websocket->destroyed || websocket->state == ENDED) {
        return;
    }
    if (websocket->state == SHAKING) {
        shake(websocket);
    } else if (websocket->state != CONNECTING) {
        exchange_frames(websocket);
    }
    if (websocket->has_poll) {
        watch_connection(websocket);
    }
}

/* libuv calls every error of a socket a bad file descriptor; the socket knows better. */
static const char *describe_error(const struct websocket *websocket, int status)
{
    uv_os_fd_t socket;
    int error = 0;
    socklen_t size = sizeof error;
    if (uv_fileno((const uv_handle_t *)&websocket->poll, &socket) == 0 &&
        getsockopt(socket, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error != 0) {
        status = uv_translate_sys_error(error);
    }
    return uv_strerror(status);
}

static void on_connection_ready(uv_poll_t *poll, int status, int events)
{
    (void)events;
    struct websocket *websocket = poll->data;
    if (status < 0) {
        fail(websocket, WEBSOCKET_DROPPED, describe_error(websocket, status));
        return;
    }
    progress(websocket);
}

static void begin_closing(struct websocket *websocket)
{
    websocket->state = CLOSING;
    wslay_event_queue_close(websocket->frames, WSLAY_CODE_GOING_AWAY, NULL, 0);
    start_deadline(websocket, websocket->options.close_timeout);
    watch_connection(websocket);
}

static void on_turn(uv_timer_t *timer)
{
    struct websocket *websocket = timer->data;
    if (websocket->close_is_ours &&
        (websocket->state == CONNECTING || websocket->state == SHAKING)) {
        fail(websocket, WEBSOCKET_CLOSED, "closed");
    } else if (websocket->close_is_ours && websocket->state == OPEN) {
        begin_closing(websocket); /* it opened since it was told to close */
    } else {
        progress(websocket);
    }
}

static void on_pong_missing(struct websocket *websocket)
{
    /* When the whole process stood still, the pong may be waiting to be read. */
    exchange_frames(websocket);
    if (websocket->state == OPEN && websocket->ping_is_out && !websocket->destroyed) {
        fail_seconds(websocket, WEBSOCKET_NO_PONG, "no answer to a ping",
                     websocket->options.pong_timeout);
    }
}

static void on_deadline(uv_timer_t *timer)
{
    struct websocket *websocket = timer->data;
    switch (websocket->state) {
    case CONNECTING:
        fail_seconds(websocket, WEBSOCKET_CONNECT_TIMEOUT, "no connection",
                     websocket->options.connect_timeout);
        break;
    case SHAKING:
        fail_seconds(websocket, WEBSOCKET_HANDSHAKE_TIMEOUT, "no answer to the handshake",
                     websocket->options.handshake_timeout);
        break;
    case OPEN:
        on_pong_missing(websocket);
        break;
    case CLOSING:
        if (websocket->close_is_ours || wslay_event_get_close_received(websocket->frames)) {
            fail_closed(websocket);
        } else {
            fail_by_our_code(websocket);
        }
        break;
    case ENDED:
        break;
    }
}

void websocket_close(struct websocket *websocket)
{
    if (websocket->state == ENDED || websocket->state == CLOSING || websocket->close_is_ours) {
        return;
    }
    websocket->close_is_ours = true;
    if (websocket->state != OPEN) {
        uv_timer_start(&websocket->timers[TIMER_TURN], on_turn, 0, 0);
        return;
    }
    begin_closing(websocket);
}

/* --- Connecting ------------------------------------------------------------------------------- */

static void fail_connecting(struct websocket *websocket, CURLcode code)
{
    char text[CURL_ERROR_SIZE + 64];
    enum websocket_end end;
    switch (code) {
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_USE_SSL_FAILED:
        end = WEBSOCKET_TLS;
        break;
    case CURLE_OPERATION_TIMEDOUT:
        end = WEBSOCKET_CONNECT_TIMEOUT;
        break;
    default:
        end = WEBSOCKET_UNREACHABLE;
    }
    snprintf(text, sizeof text, "%s",
             websocket->curl_error[0] ? websocket->curl_error : curl_easy_strerror(code));
    fail(websocket, end, text);
}

/* libcurl has made the connection; from here on it only carries bytes. */
static void on_connected(struct websocket *websocket)
{
    curl_socket_t socket = CURL_SOCKET_BAD;
    curl_easy_getinfo(websocket->easy, CURLINFO_ACTIVESOCKET, &socket);
    int status = socket == CURL_SOCKET_BAD
                     ? UV_EBADF
                     : uv_poll_init_socket(websocket->loop, &websocket->poll, socket);
    if (status != 0) {
        fail(websocket, WEBSOCKET_UNREACHABLE, uv_strerror(status));
        return;
    }
    websocket->poll.data = websocket;
    websocket->has_poll = true;
    websocket->handles++;
    websocket->state = SHAKING;
    start_deadline(websocket, websocket->options.handshake_timeout);
    progress(websocket);
}

static void look_for_connection(struct websocket *websocket)
{
    int left;
    CURLMsg *message;
    while (!websocket->destroyed && websocket->state == CONNECTING &&
           (message = curl_multi_info_read(websocket->multi, &left))) {
        if (message->msg != CURLMSG_DONE) {
            continue;
        }
        if (message->data.result == CURLE_OK) {
            on_connected(websocket);
        } else {
            fail_connecting(websocket, message->data.result);
        }
    }
}

static void on_watched_ready(uv_poll_t *poll, int status, int events)
{
    const struct watched *watched = poll->data;
    struct websocket *websocket = watched->websocket;
    int flags = status < 0 ? CURL_CSELECT_ERR : 0;
    int running;
    flags |= events & UV_READABLE ? CURL_CSELECT_IN : 0;
    flags |= events & UV_WRITABLE ? CURL_CSELECT_OUT : 0;
    curl_multi_socket_action(websocket->multi, watched->socket, flags, &running);
    look_for_connection(websocket);
}

static struct watched *watch_new(struct websocket *websocket, curl_socket_t socket)
{
    struct watched *watched = calloc(1, sizeof *watched);
    if (!watched || uv_poll_init_socket(websocket->loop, &watched->poll, socket) != 0) {
        free(watched);
        return NULL;
    }
    watched->websocket = websocket;
    watched->socket = socket;
    watched->poll.data = watched;
    watched->next = websocket->watched;
    websocket->watched = watched;
    websocket->handles++;
    curl_multi_assign(websocket->multi, socket, watched);
    return watched;
}

/* libcurl says which sockets it wants watched, and for what. */
static int on_curl_socket(CURL *easy, curl_socket_t socket, int what, void *user_data,
                          void *socket_data)
{
    struct websocket *websocket = user_data;
    struct watched *watched = socket_data;
    (void)easy;
    if (what == CURL_POLL_REMOVE) {
        if (watched) {
            curl_multi_assign(websocket->multi, socket, NULL);
            uv_poll_stop(&watched->poll);
            close_watched(watched);
        }
        return 0;
    }
    if (!watched) {
        watched = watch_new(websocket, socket);
    }
    int events = (what & CURL_POLL_IN ? UV_READABLE : 0) | (what & CURL_POLL_OUT ? UV_WRITABLE : 0);
    if (!watched || uv_poll_start(&watched->poll, events, on_watched_ready) != 0) {
        return -1;
    }
    return 0;
}

static void on_curl_time(uv_timer_t *timer)
{
    struct websocket *websocket = timer->data;
    int running;
    curl_multi_socket_action(websocket->multi, CURL_SOCKET_TIMEOUT, 0, &running);
    look_for_connection(websocket);
}

static int on_curl_timeout(CURLM *multi, long timeout_ms, void *user_data)
{
    struct websocket *websocket = user_data;
    uv_timer_t *timer = &websocket->timers[TIMER_CURL];
    (void)multi;
    if (timeout_ms < 0) {
        uv_timer_stop(timer);
    } else {
        uv_timer_start(timer, on_curl_time, (uint64_t)timeout_ms, 0);
    }
    return 0;
}

static bool configure_curl(struct websocket *websocket)
{
    CURL *easy = websocket->easy;
    CURLM *multi = websocket->multi;
    long connect_ms = (long)timer_ms(websocket->options.connect_timeout);
    bool is_set = true;
    is_set &= curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_curl_socket) == CURLM_OK;
    is_set &= curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, websocket) == CURLM_OK;
    is_set &= curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_curl_timeout) == CURLM_OK;
    is_set &= curl_multi_setopt(multi, CURLMOPT_TIMERDATA, websocket) == CURLM_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, websocket->curl_error) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    /* Without it, giving up on a name that does not resolve would block until it does. */
    is_set &= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, connect_ms) == CURLE_OK;
    /* A proxy must tunnel, and TLS must not agree on HTTP/2, where this handshake means nothing. */
    is_set &= curl_easy_setopt(easy, CURLOPT_HTTPPROXYTUNNEL, 1L) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_1_1) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK;
    return is_set && curl_easy_setopt(easy, CURLOPT_CONNECT_ONLY, 1L) == CURLE_OK &&
           curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK &&
           (!websocket->options.ca_file ||
            curl_easy_setopt(easy, CURLOPT_CAINFO, websocket->options.ca_file) == CURLE_OK) &&
           curl_easy_setopt(easy, CURLOPT_URL, websocket->url.connect) == CURLE_OK &&
           curl_multi_add_handle(multi, easy) == CURLM_OK;
}

static enum err prepare_request(struct websocket *websocket)
{
    uint8_t random[HANDSHAKE_KEY_BYTES];
    char key[HANDSHAKE_KEY_TEXT];
    if (getrandom(random, sizeof random, 0) != (ssize_t)sizeof random) {
        return ERR_IO;
    }
    handshake_key_format(random, key);
    handshake_accept(key, websocket->accept);
    websocket->request_length = handshake_request(&websocket->url, key, websocket->request);
    return websocket->request_length > 0 ? OK : ERR_TOO_LARGE;
}

static void open_timers(struct websocket *websocket)
{
    uv_update_time(websocket->loop); /* or the time before the loop ran would count */
    for (int i = 0; i < TIMER_COUNT; i++) {
        uv_timer_init(websocket->loop, &websocket->timers[i]);
        websocket->timers[i].data = websocket;
        websocket->handles++;
    }
    start_deadline(websocket, websocket->options.connect_timeout);
}

struct websocket *websocket_connect(uv_loop_t *loop, const struct websocket_options *options,
                                    const struct websocket_listener *listener, void *context,
                                    char why[512])
{
    struct websocket *websocket = calloc(1, sizeof *websocket);
    if (!websocket) {
        snprintf(why, 512, "out of memory");
        return NULL;
    }
    websocket->loop = loop;
    websocket->options = *options;
    websocket->listener = *listener;
    websocket->context = context;
    websocket->retry_after_s = -1;
    if (handshake_url_parse(options->url, &websocket->url, why) != OK) {
        free(websocket);
        return NULL;
    }
    enum err err = prepare_request(websocket);
    if (err != OK) {
        snprintf(why, 512, "no handshake can be made: %s", err_text(err));
        free(websocket);
        return NULL;
    }
    websocket->multi = curl_multi_init();
    websocket->easy = curl_easy_init();
    if (!websocket->multi || !websocket->easy) {
        snprintf(why, 512, "out of memory");
        free_network(websocket);
        free(websocket);
        return NULL;
    }
    open_timers(websocket);
    if (!configure_curl(websocket)) {
        snprintf(why, 512, "libcurl cannot use \"%.400s\"", websocket->url.shown);
        websocket_destroy(websocket, NULL, NULL);
        return NULL;
    }
    return websocket;
}
