/* See listeners.h. */
#include "bench/listeners.h"

#include "base/clock.h"
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#define EVENTS_KEPT   (1 << 17) /* a power of two; a run has tens of thousands */
#define BEGIN_SIZE    48        /* of an event, that is compared */
#define SCRATCH_SIZE  (256 << 10)
#define FIRST_SIZE    (4 << 20)
#define GREETING_SIZE 2048
#define READY_MAX     64
#define WAIT_MS       100
#define PATIENCE_SEC  10
#define DELAYS        20001 /* a bucket each tenth of a millisecond; the last takes the rest */

/* As the first listener heard it. */
struct heard_event {
    uint64_t number; /* 0: none; from the first one that all get */
    uint32_t length;
    instant origin;
    char begin[BEGIN_SIZE];
};

struct listener {
    int fd;
    bool is_greeted, has_ended;
    uint64_t serial; /* of the event under way */
    uint32_t done;   /* bytes of it */
    char greeting[GREETING_SIZE];
    size_t length;
};

struct listeners {
    struct listener *of;
    size_t count;
    int epoll_fd;
    pthread_t thread;
    atomic_bool is_ending;
    struct heard_event *events;
    char *text; /* of the first, not taken apart yet */
    size_t text_length;
    char scratch[SCRATCH_SIZE];

    pthread_mutex_t lock; /* of what follows */
    uint64_t wrong, deliveries, first_serial, last_serial;
    size_t ended, greeted;
    double bytes;
    uint64_t delays[DELAYS];
    double worst_ms;
};

/* ---- the first listener, as text ---- */

static const struct heard_event *event_of(const struct listeners *listeners, uint64_t serial)
{
    const struct heard_event *event = &listeners->events[serial & (EVENTS_KEPT - 1)];
    return event->number == serial ? event : NULL;
}

static instant origin_of(const char *text, size_t length, instant otherwise)
{
    static const char *const keys[] = {"\"fetched_at\":\"", "data: {\"at\":\""};
    char time[ISO_TIME_SIZE];
    instant origin;
    for (size_t i = 0; i < 2; i++) {
        const char *at = memmem(text, length, keys[i], strlen(keys[i]));
        if (at == NULL)
            continue;
        at += strlen(keys[i]);
        snprintf(time, sizeof time, "%.*s", (int)strcspn(at, "\""), at);
        if (iso_time_parse(time, &origin))
            return origin;
    }
    return otherwise;
}

static void count_delivery(struct listeners *listeners, const struct heard_event *event,
                           instant now)
{
    double ms = duration_to_s(instant_diff(now, event->origin)) * 1e3;
    size_t bucket = ms < 0 ? 0 : (size_t)(ms * 10);
    listeners->deliveries++;
    listeners->delays[bucket < DELAYS ? bucket : DELAYS - 1]++;
    listeners->worst_ms = ms > listeners->worst_ms ? ms : listeners->worst_ms;
}

static void note_event(struct listeners *listeners, const char *text, size_t length)
{
    const char *dash = memchr(text, '-', length);
    uint64_t serial = dash != NULL ? strtoull(dash + 1, NULL, 10) : 0;
    struct heard_event *event = &listeners->events[serial & (EVENTS_KEPT - 1)];
    *event = (struct heard_event){.number = serial,
                                  .length = (uint32_t)length,
                                  .origin = origin_of(text, length, clock_now())};
    memcpy(event->begin, text, length < BEGIN_SIZE ? length : BEGIN_SIZE);
    listeners->last_serial = serial;
    count_delivery(listeners, event, clock_now());
}

/* Takes whole events off the text of the first; returns the bytes they have. */
static size_t take_apart(struct listeners *listeners)
{
    size_t at = 0;
    while (true) {
        const char *begin = listeners->text + at;
        const char *end = memmem(begin, listeners->text_length - at, "\n\n", 2);
        if (end == NULL)
            break;
        size_t length = (size_t)(end + 2 - begin);
        if (strncmp(begin, "id: ", 4) == 0)
            note_event(listeners, begin, length);
        at += length;
    }
    return at;
}

static double quantile(const struct listeners *listeners, double share)
{
    uint64_t wanted = (uint64_t)(share * (double)listeners->deliveries), seen = 0;
    for (size_t i = 0; i < DELAYS; i++) {
        seen += listeners->delays[i];
        if (seen > wanted)
            return (double)i / 10;
    }
    return listeners->worst_ms;
}

/* ---- all of them ---- */

static void lose(struct listeners *listeners, struct listener *listener)
{
    listener->has_ended = true;
    listeners->ended++;
    epoll_ctl(listeners->epoll_fd, EPOLL_CTL_DEL, listener->fd, NULL);
}

/* The headers and the hello are read byte for byte; what comes behind them is events. Returns what
 * of the bytes belongs to the greeting. */
static size_t greet(struct listeners *listeners, struct listener *listener, const char *bytes,
                    size_t length)
{
    static const char hello[] = "event: hello\n";
    for (size_t i = 0; i < length && listener->length < GREETING_SIZE - 1; i++) {
        listener->greeting[listener->length++] = bytes[i];
        listener->greeting[listener->length] = '\0';
        if (bytes[i] != '\n' || strstr(listener->greeting, hello) == NULL ||
            strcmp(listener->greeting + listener->length - 2, "\n\n") != 0)
            continue;
        const char *id = strstr(listener->greeting, "\"id\":\"");
        const char *dash = id != NULL ? strchr(id, '-') : NULL;
        listener->serial = dash != NULL ? strtoull(dash + 1, NULL, 10) + 1 : 0;
        listener->is_greeted = true;
        listeners->greeted++;
        return i + 1;
    }
    return length;
}

/* Reads on with the first listener until it has heard this event, too. */
static const struct heard_event *await_first(struct listeners *listeners, uint64_t serial);

static void follow(struct listeners *listeners, struct listener *listener, const char *bytes,
                   size_t length, instant now)
{
    while (length > 0 && !listener->has_ended) {
        const struct heard_event *event = await_first(listeners, listener->serial);
        if (event == NULL) {
            listeners->wrong++;
            lose(listeners, listener);
            return;
        }
        size_t rest = event->length - listener->done, taken = length < rest ? length : rest;
        size_t begin = listener->done < BEGIN_SIZE ? BEGIN_SIZE - listener->done : 0;
        if (begin > taken)
            begin = taken;
        listeners->wrong += memcmp(bytes, event->begin + listener->done, begin) != 0;
        listener->done += (uint32_t)taken;
        bytes += taken;
        length -= taken;
        if (listener->done < event->length)
            return;
        count_delivery(listeners, event, now);
        listener->done = 0;
        listener->serial++;
    }
}

/* False: nothing is there now. */
static bool hear(struct listeners *listeners, struct listener *listener)
{
    ssize_t got = recv(listener->fd, listeners->scratch, SCRATCH_SIZE, MSG_DONTWAIT);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        return false;
    if (got <= 0) {
        lose(listeners, listener);
        return false;
    }
    size_t skipped = 0, length = (size_t)got;
    listeners->bytes += (double)length;
    if (!listener->is_greeted)
        skipped = greet(listeners, listener, listeners->scratch, length);
    bool is_first = listener == &listeners->of[0];
    if (is_first && listeners->text_length + length - skipped <= FIRST_SIZE) {
        memcpy(listeners->text + listeners->text_length, listeners->scratch + skipped,
               length - skipped);
        listeners->text_length += length - skipped;
        size_t whole = take_apart(listeners);
        memmove(listeners->text, listeners->text + whole, listeners->text_length - whole);
        listeners->text_length -= whole;
    } else {
        follow(listeners, listener, listeners->scratch + skipped, length - skipped, clock_now());
    }
    return length == SCRATCH_SIZE;
}

static const struct heard_event *await_first(struct listeners *listeners, uint64_t serial)
{
    /* The caller's bytes are in the scratch: the first one's must not be put over them. */
    static char kept[SCRATCH_SIZE];
    const struct heard_event *event = event_of(listeners, serial);
    instant until = instant_add(clock_now(), duration_s(PATIENCE_SEC));
    while (event == NULL && !listeners->of[0].has_ended && instant_before(clock_now(), until)) {
        memcpy(kept, listeners->scratch, SCRATCH_SIZE);
        hear(listeners, &listeners->of[0]);
        memcpy(listeners->scratch, kept, SCRATCH_SIZE);
        event = event_of(listeners, serial);
    }
    return event;
}

static void *run(void *argument)
{
    struct listeners *listeners = argument;
    struct epoll_event ready[READY_MAX];
    while (!atomic_load(&listeners->is_ending)) {
        int count = epoll_wait(listeners->epoll_fd, ready, READY_MAX, WAIT_MS);
        pthread_mutex_lock(&listeners->lock);
        while (!listeners->of[0].has_ended && hear(listeners, &listeners->of[0]))
            continue;
        for (int i = 0; i < count; i++) {
            struct listener *listener = ready[i].data.ptr;
            if (listener != &listeners->of[0] && !listener->has_ended)
                hear(listeners, listener);
        }
        pthread_mutex_unlock(&listeners->lock);
    }
    return NULL;
}

/* ---- beginning and end ---- */

static bool connect_one(struct listeners *listeners, size_t number, unsigned port)
{
    static const char request[] = "GET /events?topics=token,alert,load,incident,health,log,pulse "
                                  "HTTP/1.1\r\nHost: localhost\r\n\r\n";
    struct listener *listener = &listeners->of[number];
    struct sockaddr_in to = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = listener};
    listener->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    return listener->fd >= 0 && connect(listener->fd, (struct sockaddr *)&to, sizeof to) == 0 &&
           send(listener->fd, request, sizeof request - 1, MSG_NOSIGNAL) > 0 &&
           epoll_ctl(listeners->epoll_fd, EPOLL_CTL_ADD, listener->fd, &event) == 0;
}

static size_t greeted(struct listeners *listeners)
{
    pthread_mutex_lock(&listeners->lock);
    size_t count = listeners->greeted;
    pthread_mutex_unlock(&listeners->lock);
    return count;
}

static bool await_greeting(struct listeners *listeners, size_t count)
{
    instant until = instant_add(clock_now(), duration_s(PATIENCE_SEC));
    while (greeted(listeners) < count) {
        if (!instant_before(clock_now(), until)) {
            fprintf(stderr, "events: %zu of %zu listeners were greeted\n", greeted(listeners),
                    count);
            return false;
        }
        usleep(1000);
    }
    return true;
}

static void allow_descriptors(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* The first one hears all that any other does: it comes first. */
struct listeners *listeners_start(unsigned port, size_t count)
{
    struct listeners *listeners = calloc(1, sizeof *listeners);
    if (listeners == NULL)
        return NULL;
    allow_descriptors();
    listeners->of = calloc(count, sizeof *listeners->of);
    listeners->events = calloc(EVENTS_KEPT, sizeof *listeners->events);
    listeners->text = malloc(FIRST_SIZE);
    listeners->count = count;
    listeners->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    pthread_mutex_init(&listeners->lock, NULL);
    for (size_t i = 0; i < count; i++)
        listeners->of[i].fd = -1;
    if (!connect_one(listeners, 0, port) ||
        pthread_create(&listeners->thread, NULL, run, listeners) != 0) {
        fprintf(stderr, "events: no first listener: %s\n", strerror(errno));
        return NULL;
    }
    bool is_well = await_greeting(listeners, 1);
    for (size_t i = 1; is_well && i < count; i++)
        is_well = connect_one(listeners, i, port);
    if (is_well && await_greeting(listeners, count))
        return listeners;
    fprintf(stderr, "events: not all listeners are connected: %s\n", strerror(errno));
    listeners_stop(listeners);
    return NULL;
}

void listeners_forget(struct listeners *listeners)
{
    pthread_mutex_lock(&listeners->lock);
    memset(listeners->delays, 0, sizeof listeners->delays);
    listeners->wrong = listeners->deliveries = 0;
    listeners->bytes = listeners->worst_ms = 0;
    listeners->first_serial = listeners->last_serial;
    pthread_mutex_unlock(&listeners->lock);
}

static double cpu_of(pthread_t thread)
{
    clockid_t clock;
    struct timespec time;
    if (pthread_getcpuclockid(thread, &clock) != 0 || clock_gettime(clock, &time) != 0)
        return 0;
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

struct listeners_heard listeners_heard(struct listeners *listeners)
{
    pthread_mutex_lock(&listeners->lock);
    struct listeners_heard heard = {.events = listeners->last_serial - listeners->first_serial,
                                    .deliveries = listeners->deliveries,
                                    .wrong = listeners->wrong,
                                    .ended = listeners->ended,
                                    .bytes = listeners->bytes,
                                    .median_ms = quantile(listeners, 0.5),
                                    .p99_ms = quantile(listeners, 0.99),
                                    .worst_ms = listeners->worst_ms,
                                    .cpu_s = cpu_of(listeners->thread)};
    pthread_mutex_unlock(&listeners->lock);
    return heard;
}

void listeners_stop(struct listeners *listeners)
{
    if (listeners == NULL)
        return;
    atomic_store(&listeners->is_ending, true);
    pthread_join(listeners->thread, NULL);
    for (size_t i = 0; i < listeners->count; i++)
        if (listeners->of[i].fd >= 0)
            close(listeners->of[i].fd);
    close(listeners->epoll_fd);
    pthread_mutex_destroy(&listeners->lock);
    free(listeners->of);
    free(listeners->events);
    free(listeners->text);
    free(listeners);
}
