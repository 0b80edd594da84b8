/* See events.h. */
#include "api/events.h"

#include "api/answer.h"
#include "api/connections.h"
#include "api/event_source.h"
#include "api/http_loop.h"
#include "api/peers.h"
#include "api/pulse.h"
#include "base/clock.h"
#include "base/listen.h"
#include "base/log.h"
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#define LOGGER        "api"
#define READY_AT_ONCE 64
#define BLOCK_SIZE    512 /* of the library's buffer for a stream, which it never fills */

enum stream_state {
    STREAM_NEW,     /* its headers are not out yet */
    STREAM_LISTENS, /* the events thread's */
    STREAM_ENDED    /* the library closes it */
};

struct stream {
    struct event_client client;
    struct events *events;
    struct MHD_Connection *connection;
    struct peer *peer;
    char last_id[EVENT_ID_SIZE];
    _Atomic enum stream_state state;
    size_t place;        /* in `clients` */
    bool is_polled;      /* for when its socket takes more */
    struct stream *next; /* in the inbox */
};

struct events {
    struct events_parts parts;
    struct event_buffer *buffer;
    struct event_source *source;
    int epoll_fd, wake_fd;
    pthread_t thread;
    bool thread_runs;

    pthread_mutex_t lock;
    struct stream *inbox; /* newest first */
    bool is_shut;

    /* the HTTP thread's */
    struct peers listeners;
    size_t stream_count;

    /* the events thread's */
    struct stream **clients; /* room for events_clients_max */
    size_t client_count;
    bool is_looking;
    instant look_at, alone_since;
};

/* ---- the HTTP thread's side: a stream's beginning and end ---- */

/* Takes the connection out of the library's hands once the headers are out; false: too late. */
static bool hand_over(struct stream *stream)
{
    struct events *events = stream->events;
    pthread_mutex_lock(&events->lock);
    bool is_taken = !events->is_shut;
    if (is_taken) {
        atomic_store(&stream->state, STREAM_LISTENS);
        MHD_suspend_connection(stream->connection);
        stream->next = events->inbox;
        events->inbox = stream;
    }
    pthread_mutex_unlock(&events->lock);
    if (is_taken)
        eventfd_write(events->wake_fd, 1);
    return is_taken;
}

/* The library asks for the stream's bytes: first when the headers are out, then when it was
 * resumed. It never gets any. */
static ssize_t on_content(void *context, uint64_t position, char *buffer, size_t size)
{
    (void)position, (void)buffer, (void)size;
    struct stream *stream = context;
    if (atomic_load(&stream->state) == STREAM_NEW && hand_over(stream))
        return 0;
    return MHD_CONTENT_READER_END_OF_STREAM;
}

static void count_streams(struct events *events)
{
    page_set(events->parts.page, GAUGE_EVENT_CLIENTS, (double)events->stream_count);
}

/* The library is done with it. */
static void on_free(void *context)
{
    struct stream *stream = context;
    struct events *events = stream->events;
    peers_leave(&events->listeners, stream->peer);
    events->stream_count--;
    count_streams(events);
    free(stream);
}

/* True: it has been refused. Who comes from this machine may be a proxy for many. */
static bool is_too_many(struct events *events, struct request *request,
                        const struct sockaddr *address)
{
    const struct options *options = events->parts.options;
    unsigned of_address = peers_count(&events->listeners, peer_key_of(address));
    bool is_local = address != NULL && address_is_loopback(address);
    if (events->stream_count >= (size_t)options->events_clients_max)
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE,
               "%zu clients listen already, as many as events_clients_max allows; try again later",
               events->stream_count);
    else if (!is_local && of_address >= (size_t)options->events_clients_per_address_max)
        refuse(request, MHD_HTTP_TOO_MANY_REQUESTS,
               "%u clients of your address listen already, as many as "
               "events_clients_per_address_max allows; close one of them",
               of_address);
    else
        return false;
    page_add(events->parts.page, COUNTER_EVENT_CLIENTS_REFUSED, 1);
    return true;
}

/* Its length is not known, and nobody else writes into it: no chunks. */
static struct MHD_Response *make_response(struct stream *stream)
{
    struct MHD_Response *response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_SIZE,
                                                                      on_content, stream, on_free);
    if (response == NULL)
        return NULL;
    MHD_set_response_options(response, MHD_RF_HTTP_1_0_COMPATIBLE_STRICT, MHD_RO_END);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, "text/event-stream");
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Accel-Buffering", "no");
    response_protect(response, POLICY_API);
    return response;
}

static const union MHD_ConnectionInfo *info_of(struct request *request,
                                               enum MHD_ConnectionInfoType what)
{
    return MHD_get_connection_info(request->connection, what);
}

void events_answer(struct events *events, struct request *request,
                   const struct event_filter *filter, const char *last_id)
{
    const union MHD_ConnectionInfo *client = info_of(request, MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    const union MHD_ConnectionInfo *socket = info_of(request, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (client == NULL || socket == NULL) {
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "who asks can't be told");
        return;
    }
    const struct sockaddr *address = client->client_addr;
    if (is_too_many(events, request, address))
        return;
    struct stream *stream = calloc(1, sizeof *stream);
    struct MHD_Response *response = stream != NULL ? make_response(stream) : NULL;
    if (response == NULL) {
        free(stream);
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
        return;
    }
    stream->events = events;
    stream->connection = request->connection;
    stream->client.fd = socket->connect_fd;
    stream->client.filter = *filter;
    strncpy(stream->last_id, last_id, sizeof stream->last_id - 1);
    stream->peer = peers_enter(&events->listeners, peer_key_of(address));
    events->stream_count++;
    count_streams(events);
    connection_set_apart(request->api->connections, request->connection);
    answer(request, MHD_HTTP_OK, response);
}

/* ---- the events thread's side ---- */

/* Gives a client back; it must not be touched any more. */
static void let_go(struct events *events, struct stream *stream)
{
    events->clients[stream->place] = events->clients[--events->client_count];
    events->clients[stream->place]->place = stream->place;
    event_source_want_no_more(events->source, &stream->client.filter);
    /* What is still told of its socket until that is closed must not find a stream. */
    struct epoll_event nobody = {.data.ptr = NULL};
    if (epoll_ctl(events->epoll_fd, EPOLL_CTL_DEL, stream->client.fd, NULL) != 0)
        epoll_ctl(events->epoll_fd, EPOLL_CTL_MOD, stream->client.fd, &nobody);
    atomic_store(&stream->state, STREAM_ENDED);
    http_loop_resume(events->parts.loop, stream->connection);
}

/* What the kernel still has for it goes nowhere. */
static void drop(struct events *events, struct stream *stream)
{
    const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
    setsockopt(stream->client.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    page_add(events->parts.page, COUNTER_EVENT_CLIENTS_DROPPED, 1);
    log_info(LOGGER, "a client of /events does not read and is dropped",
             LOG_INT("clients_left", events->client_count - 1));
    let_go(events, stream);
}

static void poll_stream(const struct events *events, struct stream *stream, int operation)
{
    struct epoll_event event = {.events = EPOLLRDHUP | (stream->is_polled ? EPOLLOUT : 0U),
                                .data.ptr = stream};
    epoll_ctl(events->epoll_fd, operation, stream->client.fd, &event);
}

static void poll_for_room(const struct events *events, struct stream *stream, bool is_wanted)
{
    if (stream->is_polled == is_wanted)
        return;
    stream->is_polled = is_wanted;
    poll_stream(events, stream, EPOLL_CTL_MOD);
}

/* False: it is one no more. */
static bool serve(struct events *events, struct stream *stream, instant now)
{
    uint64_t sent = 0;
    enum event_client_state state = event_client_send(&stream->client, events->buffer, now, &sent);
    page_add(events->parts.page, COUNTER_EVENTS_SENT, sent);
    switch (state) {
    case CLIENT_HAS_ALL:
    case CLIENT_WAITS:
        poll_for_room(events, stream, state == CLIENT_WAITS);
        return true;
    case CLIENT_SLOW:
        drop(events, stream);
        return false;
    case CLIENT_GONE:
        break;
    }
    let_go(events, stream);
    return false;
}

static void serve_all(struct events *events, instant now)
{
    for (size_t i = 0; i < events->client_count;) {
        i += serve(events, events->clients[i], now);
        pulse();
    }
}

/* What there was before anybody listened is not news. */
static void begin_looking(struct events *events, instant now)
{
    if (events->is_looking)
        return;
    event_source_begin(events->source, now);
    events->is_looking = true;
    events->look_at = now;
}

static void take_in(struct events *events, struct stream *stream, instant now)
{
    const int size = EVENT_SEND_BYTES;
    setsockopt(stream->client.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    stream->place = events->client_count;
    events->clients[events->client_count++] = stream;
    poll_stream(events, stream, EPOLL_CTL_ADD);
    event_source_want(events->source, &stream->client.filter,
                      stream->last_id[0] == '\0' ? EVENT_CLIENT_FRESH : EVENT_CLIENT_RETURNS);
    event_client_begin(&stream->client, events->buffer, stream->last_id, now);
    serve(events, stream, now);
}

/* False: it is shut. */
static bool take_inbox(struct events *events, instant now)
{
    pthread_mutex_lock(&events->lock);
    struct stream *stream = events->inbox;
    bool is_shut = events->is_shut;
    events->inbox = NULL;
    pthread_mutex_unlock(&events->lock);
    if (stream != NULL)
        begin_looking(events, now);
    while (stream != NULL) {
        struct stream *next = stream->next;
        take_in(events, stream, now);
        stream = next;
        pulse();
    }
    return !is_shut;
}

/* Nothing is kept for whoever does not come back within a while. */
static void stop_looking(struct events *events)
{
    events->is_looking = false;
    event_buffer_forget(events->buffer);
}

static void look(struct events *events, instant now)
{
    if (!events->is_looking || instant_before(now, events->look_at))
        return;
    events->look_at = instant_add(now, duration_ms(EVENTS_LOOK_MS));
    if (events->client_count > 0)
        events->alone_since = now;
    else if (duration_to_s(instant_diff(now, events->alone_since)) >= EVENTS_IDLE_SEC)
        stop_looking(events);
    uint64_t before = event_buffer_next(events->buffer);
    if (events->is_looking)
        event_source_look(events->source, now);
    page_add(events->parts.page, COUNTER_EVENTS, event_buffer_next(events->buffer) - before);
    serve_all(events, now);
}

static int wait_ms(const struct events *events)
{
    int most = pulse_turn_ms(events->parts.options);
    if (!events->is_looking)
        return most;
    int64_t ms = duration_to_ms(instant_diff(events->look_at, clock_now())) + 1;
    return ms < 0 ? 0 : ms < most ? (int)ms : most;
}

static void on_ready(struct events *events, const struct epoll_event *ready, instant now)
{
    struct stream *stream = ready->data.ptr;
    eventfd_t count;
    if (stream == NULL)
        eventfd_read(events->wake_fd, &count);
    else if ((ready->events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0)
        let_go(events, stream);
    else
        serve(events, stream, now);
}

static void *run(void *argument)
{
    struct events *events = argument;
    struct epoll_event ready[READY_AT_ONCE];
    pulse_begin(events->parts.page, BEAT_API_EVENTS, events->parts.options);
    do {
        int count = epoll_wait(events->epoll_fd, ready, READY_AT_ONCE, wait_ms(events));
        pulse();
        instant now = clock_now();
        for (int i = 0; i < count; i++)
            on_ready(events, &ready[i], now);
        look(events, now);
    } while (take_inbox(events, clock_now()));
    while (events->client_count > 0)
        let_go(events, events->clients[0]);
    pulse_end();
    return NULL;
}

/* ---- beginning and end of all ---- */

static bool make_parts(struct events *events)
{
    events->buffer = event_buffer_create((uint64_t)clock_now().us, EVENTS_BYTES, EVENTS_PLACES);
    const struct event_source_parts parts = {.table = events->parts.table,
                                             .page = events->parts.page,
                                             .incidents_folder = events->parts.incidents_folder,
                                             .aside = events->parts.aside,
                                             .buffer = events->buffer};
    struct epoll_event wake = {.events = EPOLLIN};
    events->source = event_source_create(&parts);
    events->clients =
        calloc((size_t)events->parts.options->events_clients_max, sizeof(struct stream *));
    events->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    events->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    return events->buffer != NULL && events->source != NULL && events->clients != NULL &&
           events->epoll_fd >= 0 && events->wake_fd >= 0 &&
           epoll_ctl(events->epoll_fd, EPOLL_CTL_ADD, events->wake_fd, &wake) == 0;
}

struct events *events_create(const struct events_parts *parts)
{
    struct events *events = calloc(1, sizeof *events);
    if (events == NULL)
        return NULL;
    events->parts = *parts;
    events->epoll_fd = events->wake_fd = -1;
    pthread_mutex_init(&events->lock, NULL);
    count_streams(events);
    const struct pulse_thread thread = {parts->page, BEAT_API_EVENTS, run, events};
    events->thread_runs = make_parts(events) && pulse_thread_start(&thread, &events->thread);
    if (events->thread_runs)
        return events;
    events_destroy(events);
    return NULL;
}

void events_shut(struct events *events)
{
    if (events == NULL || !events->thread_runs)
        return;
    pthread_mutex_lock(&events->lock);
    events->is_shut = true;
    pthread_mutex_unlock(&events->lock);
    eventfd_write(events->wake_fd, 1);
    pthread_join(events->thread, NULL);
    events->thread_runs = false;
}

void events_destroy(struct events *events)
{
    if (events == NULL)
        return;
    events_shut(events);
    if (events->epoll_fd >= 0)
        close(events->epoll_fd);
    if (events->wake_fd >= 0)
        close(events->wake_fd);
    event_source_destroy(events->source);
    event_buffer_destroy(events->buffer);
    free(events->clients);
    pthread_mutex_destroy(&events->lock);
    free(events);
}
