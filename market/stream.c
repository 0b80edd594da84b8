/* Subscribers and their events: see stream.h. */
#include "market/stream.h"
#include "base/clock.h"
#include "base/log.h"
#include "market/chance.h"
#include <errno.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include <wslay/wslay.h>

#define ACCEPT_GUID      "258EAFA5-E914-47DA-95CA-C5AB0DC85B11" /* RFC 6455, 1.3 */
#define ACCEPT_TEXT_SIZE 32
#define KEY_LENGTH       24
#define FRAME_TEXT_MAX   1024
#define JUNK_CHANCE      0.2 /* a tick, while the fault lasts: ten a second */
#define JUNK_LARGE       100000
#define EVENTS_PER_TICK  4096 /* of graduations, and of frames to one subscriber */

struct subscriber {
    struct stream *stream;
    struct subscriber *next, *previous;
    wslay_event_context_ptr frames;
    uv_poll_t poll;
    int socket;
    void *handle;         /* of the HTTP server */
    unsigned char *extra; /* read past the upgrade request */
    size_t extra_length, extra_read;
    bool wants_migrations;
    bool wants_creations;
    bool is_closing;
    uint32_t next_token;  /* the first it was not told of */
    uint32_t live_from;   /* tokens before this one are told at the replay's pace */
    double replay_credit; /* frames */
    instant writable_at;  /* when its socket last took something */
};

struct stream {
    struct stream_settings settings;
    uv_loop_t *loop;
    uv_timer_t timer;
    struct subscriber *subscribers;
    struct prng prng;
    instant next_graduation; /* the market's time */
    instant next_creation;
    instant last_tick;
    uint32_t creations;
    bool is_silent; /* the fault: sockets are neither read nor written */
};

static void update_poll(struct subscriber *subscriber);

/* ---- subscribers ---- */

static void on_poll_closed(uv_handle_t *handle)
{
    struct subscriber *subscriber = handle->data;
    free(subscriber->extra);
    free(subscriber);
}

static void drop(struct subscriber *subscriber)
{
    struct stream *stream = subscriber->stream;
    if (subscriber->next != NULL)
        subscriber->next->previous = subscriber->previous;
    if (subscriber->previous != NULL)
        subscriber->previous->next = subscriber->next;
    else
        stream->subscribers = subscriber->next;
    stream->settings.stats->stream_subscribers--;
    uv_poll_stop(&subscriber->poll);
    wslay_event_context_free(subscriber->frames);
    http_close_upgraded(subscriber->handle);
    uv_close((uv_handle_t *)&subscriber->poll, on_poll_closed);
}

static void reset(struct subscriber *subscriber)
{
    subscriber->stream->settings.stats->stream_dropped++;
    http_reset_socket(subscriber->socket);
    drop(subscriber);
}

static ssize_t on_recv(wslay_event_context_ptr frames, uint8_t *out, size_t room, int flags,
                       void *context)
{
    struct subscriber *subscriber = context;
    (void)flags;
    size_t left = subscriber->extra_length - subscriber->extra_read;
    if (left > 0) {
        size_t length = left < room ? left : room;
        memcpy(out, subscriber->extra + subscriber->extra_read, length);
        subscriber->extra_read += length;
        return (ssize_t)length;
    }
    ssize_t got = recv(subscriber->socket, out, room, MSG_DONTWAIT);
    if (got > 0)
        return got;
    bool is_dry = got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    wslay_event_set_error(frames, is_dry ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

static ssize_t on_send(wslay_event_context_ptr frames, const uint8_t *data, size_t length,
                       int flags, void *context)
{
    struct subscriber *subscriber = context;
    (void)flags;
    ssize_t sent = send(subscriber->socket, data, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent > 0) {
        subscriber->writable_at = clock_now();
        return sent;
    }
    bool is_full = sent < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    wslay_event_set_error(frames, is_full ? WSLAY_ERR_WOULDBLOCK : WSLAY_ERR_CALLBACK_FAILURE);
    return -1;
}

/* Text or binary; what cannot be queued is seen by the lag. */
static void queue_frame(struct subscriber *subscriber, uint8_t opcode, const void *data,
                        size_t length)
{
    struct wslay_event_msg message = {.opcode = opcode, .msg = data, .msg_length = length};
    if (wslay_event_queue_msg(subscriber->frames, &message) != 0)
        subscriber->is_closing = true;
}

static void queue_text(struct subscriber *subscriber, const char *text)
{
    queue_frame(subscriber, WSLAY_TEXT_FRAME, text, strlen(text));
}

/* ---- what clients say ---- */

static void subscribe_migrations(struct subscriber *subscriber)
{
    const struct stream *stream = subscriber->stream;
    queue_text(subscriber, "{\"message\":\"Subscribed to 'migration' events.\"}");
    if (subscriber->wants_migrations)
        return;
    subscriber->wants_migrations = true;
    subscriber->live_from = model_token_count(stream->settings.model);
    subscriber->next_token = stream->settings.replay_per_s > 0 ? 0 : subscriber->live_from;
}

static void obey(struct subscriber *subscriber, const char *method)
{
    if (strcmp(method, "subscribeMigration") == 0) {
        subscribe_migrations(subscriber);
    } else if (strcmp(method, "subscribeNewToken") == 0) {
        subscriber->wants_creations = true;
        queue_text(subscriber,
                   "{\"message\":\"Successfully subscribed to token creation events.\"}");
    } else if (strcmp(method, "unsubscribeMigration") == 0) {
        subscriber->wants_migrations = false;
        queue_text(subscriber, "{\"message\":\"Unsubscribed from 'migration' events.\"}");
    } else if (strcmp(method, "unsubscribeNewToken") == 0) {
        subscriber->wants_creations = false;
        queue_text(subscriber,
                   "{\"message\":\"Successfully unsubscribed from token creation events.\"}");
    } else if (strcmp(method, "subscribeTokenTrade") == 0 ||
               strcmp(method, "subscribeAccountTrade") == 0) {
        queue_text(subscriber,
                   "{\"message\":\"'subscribeTokenTrade' and 'subscribeAccountTrade' methods are "
                   "only available when connecting with an API key funded with at least 0.02 "
                   "SOL.\"}");
    } else {
        queue_text(subscriber, "{\"errors\":\"Invalid message\"}");
    }
}

static void on_message(wslay_event_context_ptr frames,
                       const struct wslay_event_on_msg_recv_arg *message, void *context)
{
    struct subscriber *subscriber = context;
    (void)frames;
    if (wslay_is_ctrl_frame(message->opcode))
        return; /* pongs and closing answers are wslay's business */
    json_t *object = json_loadb((const char *)message->msg, message->msg_length, 0, NULL);
    const char *method = json_string_value(json_object_get(object, "method"));
    obey(subscriber, method != NULL ? method : "");
    json_decref(object);
}

/* ---- events ---- */

static void queue_migration(struct subscriber *subscriber, uint32_t token)
{
    const struct model *model = subscriber->stream->settings.model;
    char signature[SIGNATURE_TEXT_SIZE];
    char mint[ADDRESS_TEXT_MAX + 1];
    char text[FRAME_TEXT_MAX];
    struct address address;
    identity_signature(model_seed(model), token, signature);
    model_mint(model, token, &address);
    address_format(&address, mint);
    snprintf(text, sizeof text,
             "{\"signature\":\"%s\",\"mint\":\"%s\",\"txType\":\"migrate\",\"pool\":\"pump-amm\"}",
             signature, mint);
    queue_text(subscriber, text);
    subscriber->stream->settings.stats->stream_events++;
}

static void stranger(const struct stream *stream, uint32_t number, uint8_t role,
                     char out[ADDRESS_TEXT_MAX + 1])
{
    struct address address;
    identity_address(model_seed(stream->settings.model),
                     &(struct identity){IDENTITY_STRANGER, number, role}, &address);
    address_format(&address, out);
}

/* The recorded members; the names of created tokens are not the market's business. */
static void format_creation(const struct stream *stream, uint32_t number, char out[FRAME_TEXT_MAX])
{
    uint64_t seed = model_seed(stream->settings.model);
    char signature[SIGNATURE_TEXT_SIZE];
    char mint[ADDRESS_TEXT_MAX + 1];
    char trader[ADDRESS_TEXT_MAX + 1];
    char curve[ADDRESS_TEXT_MAX + 1];
    struct address address;
    identity_signature(seed, UINT64_C(1) << 32 | number, signature);
    identity_address(seed, &(struct identity){.class = IDENTITY_CREATED, .token = number},
                     &address);
    address_format(&address, mint);
    stranger(stream, number, 0xfe, trader);
    stranger(stream, number, 0xff, curve);
    double sol = 0.02 + 2 * chance_unit(seed ^ 0xc4ea, number);
    double bought = 1073000000 * sol / (30 + sol);
    snprintf(
        out, FRAME_TEXT_MAX,
        "{\"signature\":\"%s\",\"mint\":\"%s\",\"traderPublicKey\":\"%s\",\"txType\":\"create\","
        "\"initialBuy\":%.6f,\"solAmount\":%.9f,\"bondingCurveKey\":\"%s\","
        "\"vTokensInBondingCurve\":%.6f,\"vSolInBondingCurve\":%.14f,\"marketCapSol\":%.15f,"
        "\"name\":\"Created %u\",\"symbol\":\"NEW%u\",\"uri\":\"https://ipfs.io/ipfs/%s\","
        "\"is_mayhem_mode\":false,\"pool\":\"pump\"}",
        signature, mint, trader, bought, sol, curve, 1073000000 - bought, 30 + sol,
        (30 + sol) / (1073000000 - bought) * 1e9, number, number, curve);
}

static bool has_room(const struct subscriber *subscriber)
{
    return wslay_event_get_queued_msg_length(subscriber->frames) < STREAM_QUEUE_MAX;
}

/* Those before `live_from` at the replay's pace, the others at once. */
static void tell_migrations(struct subscriber *subscriber, double elapsed_s)
{
    const struct stream_settings *settings = &subscriber->stream->settings;
    uint32_t count = model_token_count(settings->model);
    subscriber->replay_credit += elapsed_s * settings->replay_per_s;
    if (subscriber->replay_credit > EVENTS_PER_TICK)
        subscriber->replay_credit = EVENTS_PER_TICK;
    for (int i = 0; i < EVENTS_PER_TICK && subscriber->next_token < count; i++) {
        bool is_replay = subscriber->next_token < subscriber->live_from;
        if (!has_room(subscriber) || (is_replay && subscriber->replay_credit < 1))
            return;
        subscriber->replay_credit -= is_replay;
        queue_migration(subscriber, subscriber->next_token++);
    }
}

static void tell_creation(struct stream *stream)
{
    char text[FRAME_TEXT_MAX];
    format_creation(stream, stream->creations++, text);
    for (struct subscriber *one = stream->subscribers; one != NULL; one = one->next)
        if (one->wants_creations && has_room(one)) {
            queue_text(one, text);
            stream->settings.stats->stream_events++;
        }
}

static void queue_large_junk(struct subscriber *subscriber)
{
    char *large = malloc(JUNK_LARGE);
    if (large == NULL)
        return;
    memset(large, 'x', JUNK_LARGE);
    queue_frame(subscriber, WSLAY_TEXT_FRAME, large, JUNK_LARGE);
    free(large);
}

static void queue_junk(struct subscriber *subscriber)
{
    static const char *const junk[] = {
        "not json at all",
        "{\"signature\":\"5x",
        "[]",
        "null",
        "{}",
        "{\"message\":17}",
        "{\"signature\":\"x\",\"mint\":\"0OIl\",\"txType\":\"migrate\",\"pool\":\"pump-amm\"}",
        "{\"mint\":null,\"txType\":\"migrate\"}",
        "{\"txType\":\"buy\",\"mint\":\"abc\"}",
        "<html><body>502 Bad Gateway</body></html>"};
    struct stream *stream = subscriber->stream;
    size_t count = sizeof junk / sizeof junk[0];
    size_t which = prng_below(&stream->prng, count + 2);
    stream->settings.stats->stream_junk++;
    if (which == count)
        queue_frame(subscriber, WSLAY_BINARY_FRAME, "\0\1\2\377", 4);
    else if (which > count)
        queue_large_junk(subscriber);
    else
        queue_text(subscriber, junk[which]);
}

/* ---- time ---- */

static instant wait_from(struct stream *stream, instant from, double per_hour)
{
    if (per_hour <= 0)
        return INSTANT_FAR;
    return instant_add(from, duration_s(prng_exponential(&stream->prng, 3600 / per_hour)));
}

enum err stream_graduate(struct stream *stream, uint32_t *token)
{
    const struct stream_settings *settings = &stream->settings;
    enum err err = model_graduate(settings->model, market_now(&settings->time, clock_now()), token);
    if (err == OK)
        settings->stats->graduations++;
    return err;
}

static void let_time_pass(struct stream *stream, instant market)
{
    double per_hour = stream->settings.graduations_per_hour;
    uint32_t token;
    for (int i = 0; i < EVENTS_PER_TICK && !instant_before(market, stream->next_graduation); i++) {
        stream->next_graduation = wait_from(stream, stream->next_graduation, per_hour);
        if (stream_graduate(stream, &token) != OK) {
            log_warning("market", "no room for more tokens; graduations end");
            stream->settings.graduations_per_hour = per_hour = 0;
            stream->next_graduation = stream->next_creation = INSTANT_FAR;
        }
    }
    for (int i = 0; i < EVENTS_PER_TICK && !instant_before(market, stream->next_creation); i++) {
        stream->next_creation =
            wait_from(stream, stream->next_creation, per_hour * CREATIONS_PER_GRADUATION);
        tell_creation(stream);
    }
}

static bool is_stalled(const struct subscriber *subscriber, instant now)
{
    uint32_t count = model_token_count(subscriber->stream->settings.model);
    uint32_t lag = subscriber->next_token < subscriber->live_from ? count - subscriber->live_from
                                                                  : count - subscriber->next_token;
    if (subscriber->wants_migrations && subscriber->next_token >= subscriber->live_from &&
        lag > STREAM_LAG_MAX)
        return true;
    return wslay_event_want_write(subscriber->frames) &&
           duration_to_s(instant_diff(now, subscriber->writable_at)) > STREAM_STALL_S;
}

static void tick_subscriber(struct subscriber *subscriber, double elapsed_s, instant now)
{
    struct faults *faults = subscriber->stream->settings.faults;
    struct fault fault;
    if (subscriber->wants_migrations)
        tell_migrations(subscriber, elapsed_s);
    if (has_room(subscriber) && prng_unit(&subscriber->stream->prng) < JUNK_CHANCE &&
        faults_strike_type(faults, FAULT_STREAM_JUNK, now, &fault))
        queue_junk(subscriber);
    if (is_stalled(subscriber, now)) {
        log_warning("market", "a subscriber does not read; dropped");
        reset(subscriber);
        return;
    }
    update_poll(subscriber);
}

static void fall_silent(struct stream *stream, instant now)
{
    for (struct subscriber *one = stream->subscribers; one != NULL; one = one->next) {
        uv_poll_stop(&one->poll);
        one->writable_at = now; /* the fault is ours, not the subscriber's */
    }
}

static void on_tick(uv_timer_t *timer)
{
    struct stream *stream = timer->data;
    instant now = clock_now();
    instant market = market_now(&stream->settings.time, now);
    double elapsed_s = duration_to_s(instant_diff(market, stream->last_tick));
    struct fault fault;
    stream->last_tick = market;
    faults_expire(stream->settings.faults, now);
    let_time_pass(stream, market);
    if (stream->subscribers != NULL &&
        faults_strike_type(stream->settings.faults, FAULT_STREAM_DROP, now, &fault))
        stream_drop_all(stream);
    stream->is_silent =
        faults_strike_type(stream->settings.faults, FAULT_STREAM_SILENT, now, &fault);
    if (stream->is_silent) {
        fall_silent(stream, now);
        return;
    }
    struct subscriber *next;
    for (struct subscriber *one = stream->subscribers; one != NULL; one = next) {
        next = one->next;
        tick_subscriber(one, elapsed_s, now);
    }
}

/* ---- connections ---- */

static void on_socket(uv_poll_t *poll, int status, int events)
{
    struct subscriber *subscriber = poll->data;
    bool has_failed = status < 0;
    if (!has_failed && (events & (UV_READABLE | UV_DISCONNECT)))
        has_failed = wslay_event_recv(subscriber->frames) != 0;
    if (!has_failed && wslay_event_want_write(subscriber->frames))
        has_failed = wslay_event_send(subscriber->frames) != 0;
    bool is_over =
        !wslay_event_want_read(subscriber->frames) && !wslay_event_want_write(subscriber->frames);
    if (has_failed || is_over || subscriber->is_closing) {
        drop(subscriber);
        return;
    }
    update_poll(subscriber);
}

static void update_poll(struct subscriber *subscriber)
{
    int events = UV_READABLE;
    if (subscriber->stream->is_silent)
        return;
    if (wslay_event_want_write(subscriber->frames))
        events |= UV_WRITABLE;
    else
        subscriber->writable_at = clock_now(); /* nothing waits: it cannot be late */
    uv_poll_start(&subscriber->poll, events, on_socket);
}

static bool keep_extra(struct subscriber *subscriber, const void *extra, size_t length)
{
    if (length == 0)
        return true;
    subscriber->extra = malloc(length);
    if (subscriber->extra == NULL)
        return false;
    memcpy(subscriber->extra, extra, length);
    subscriber->extra_length = length;
    return true;
}

static void on_upgrade(void *context, int socket, const void *extra, size_t extra_length,
                       void *handle)
{
    static const struct wslay_event_callbacks callbacks = {
        .recv_callback = on_recv, .send_callback = on_send, .on_msg_recv_callback = on_message};
    struct stream *stream = context;
    struct subscriber *subscriber = calloc(1, sizeof *subscriber);
    if (subscriber == NULL || !keep_extra(subscriber, extra, extra_length) ||
        wslay_event_context_server_init(&subscriber->frames, &callbacks, subscriber) != 0 ||
        uv_poll_init(stream->loop, &subscriber->poll, socket) != 0) {
        if (subscriber != NULL && subscriber->frames != NULL)
            wslay_event_context_free(subscriber->frames);
        free(subscriber != NULL ? subscriber->extra : NULL);
        free(subscriber);
        http_close_upgraded(handle);
        return;
    }
    wslay_event_config_set_max_recv_msg_length(subscriber->frames, STREAM_MESSAGE_MAX);
    subscriber->stream = stream;
    subscriber->socket = socket;
    subscriber->handle = handle;
    subscriber->poll.data = subscriber;
    subscriber->writable_at = clock_now();
    subscriber->next = stream->subscribers;
    if (subscriber->next != NULL)
        subscriber->next->previous = subscriber;
    stream->subscribers = subscriber;
    stream->settings.stats->stream_accepted++;
    stream->settings.stats->stream_subscribers++;
    if (extra_length > 0 && !stream->is_silent)
        on_socket(&subscriber->poll, 0, UV_READABLE);
    else
        update_poll(subscriber);
}

/* Sec-WebSocket-Accept (RFC 6455, 4.2.2): base64 of SHA-1 of the key and a fixed text. */
static void accept_text(const char *key, char out[ACCEPT_TEXT_SIZE])
{
    unsigned char digest[SHA_DIGEST_LENGTH];
    char text[KEY_LENGTH + sizeof ACCEPT_GUID];
    int length = snprintf(text, sizeof text, "%s" ACCEPT_GUID, key);
    SHA1((const unsigned char *)text, (size_t)length, digest);
    EVP_EncodeBlock((unsigned char *)out, digest, sizeof digest);
}

static void refuse(struct http_reply *reply, int status, const char *text)
{
    reply->status = status;
    reply->type = "text/plain; charset=UTF-8";
    reply->body = strdup(text);
    reply->length = reply->body == NULL ? 0 : strlen(text);
}

void stream_answer(struct stream *stream, const struct http_request *request,
                   struct http_reply *reply)
{
    struct fault fault;
    struct market_stats *stats = stream->settings.stats;
    stats->requests[ROUTE_STREAM]++;
    if (request->websocket_key == NULL || strlen(request->websocket_key) != KEY_LENGTH) {
        refuse(reply, 400, "400 Bad Request: a WebSocket was expected");
    } else if (faults_strike_type(stream->settings.faults, FAULT_STREAM_REFUSE, clock_now(),
                                  &fault)) {
        refuse(reply, fault.status, "refused");
    } else if (stats->stream_subscribers >= STREAM_SUBSCRIBERS_MAX) {
        refuse(reply, 503, "503 Service Unavailable: too many subscribers");
    } else {
        accept_text(request->websocket_key, reply->scratch);
        reply->status = 101;
        reply->headers[0] = (struct http_header){"Upgrade", "websocket"};
        reply->headers[1] = (struct http_header){"Sec-WebSocket-Accept", reply->scratch};
        reply->on_upgrade = on_upgrade;
        reply->upgrade_context = stream;
    }
    stats->by_status[ROUTE_STREAM][stats_status_place(reply->status)]++;
}

void stream_check_faults(struct stream *stream)
{
    on_tick(&stream->timer);
}

void stream_drop_all(struct stream *stream)
{
    while (stream->subscribers != NULL)
        reset(stream->subscribers);
}

struct stream *stream_create(uv_loop_t *loop, const struct stream_settings *settings)
{
    struct stream *stream = calloc(1, sizeof *stream);
    if (stream == NULL)
        return NULL;
    stream->settings = *settings;
    stream->loop = loop;
    prng_seed(&stream->prng, model_seed(settings->model) ^ UINT64_C(0x57ea));
    stream->last_tick = settings->time.start;
    stream->next_graduation =
        wait_from(stream, settings->time.start, settings->graduations_per_hour);
    stream->next_creation = wait_from(stream, settings->time.start,
                                      settings->graduations_per_hour * CREATIONS_PER_GRADUATION);
    uv_timer_init(loop, &stream->timer);
    stream->timer.data = stream;
    uv_timer_start(&stream->timer, on_tick, STREAM_TICK_MS, STREAM_TICK_MS);
    return stream;
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(handle->data);
}

void stream_destroy(struct stream *stream)
{
    if (stream == NULL)
        return;
    while (stream->subscribers != NULL)
        drop(stream->subscribers);
    uv_timer_stop(&stream->timer);
    uv_close((uv_handle_t *)&stream->timer, on_timer_closed);
}
