/* See engine_link.h. */
#include "api/engine_link.h"

#include "api/answer.h"
#include "api/http_loop.h"
#include "api/pulse.h"
#include "base/clock.h"
#include "base/log.h"
#include "page/engine_state.h"
#include <errno.h>
#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#define LINK_TICK_MAX_MS   100 /* how late a deadline or another engine may be noticed */
#define LINK_IDLE_MAX_MS   250 /* the same before there was somebody to wait for them */
#define REPLIES_PER_WAKE   256 /* read in one go before deadlines are looked at */
#define PENDING_INDEX_MASK (LINK_PENDING_MAX - 1)
#define SERIAL_START_BITS  52 /* with the index 62: the highest bit is LINK_TAG, and no overflow */

_Static_assert((LINK_PENDING_MAX & PENDING_INDEX_MASK) == 0, "a tag holds its index in low bits");

struct pending {
    uint64_t tag; /* 0: free; grows with each command */
    bool is_due;  /* to be sent again */
    struct link_waiter waiter;
    struct command command;
};

struct engine_link {
    pthread_mutex_t lock;
    pthread_t thread;
    bool thread_runs;
    bool shut;
    int fd;
    int wake_fd;
    struct status_page *page;
    const struct options *options;
    uint64_t serial;
    uint64_t starts;    /* of the engine that runs, or ran last */
    bool engine_was_up; /* at the last look */
    uint32_t due_count;
    uint32_t free_count;
    uint16_t free_list[LINK_PENDING_MAX];
    struct pending pending[LINK_PENDING_MAX];
};

static void pending_finish(struct engine_link *link, struct pending *pending,
                           const struct reply *reply)
{
    struct link_waiter waiter = pending->waiter;
    pending->tag = 0;
    link->due_count -= pending->is_due;
    link->free_list[link->free_count++] = (uint16_t)(pending - link->pending);
    if (waiter.on_reply != NULL)
        waiter.on_reply(waiter.context, waiter.note, reply);
}

static void finish_with(struct engine_link *link, struct pending *pending, uint32_t result,
                        const char *message)
{
    struct reply reply = {.result = result, .tag = pending->tag, .score = NAN};
    snprintf(reply.message, sizeof reply.message, "%s", message);
    pending_finish(link, pending, &reply);
}

static void finish_without_answer(struct engine_link *link, struct pending *pending,
                                  const char *why)
{
    finish_with(link, pending, RESULT_UNAVAILABLE, why);
}

/* ---- another engine ---- */

static void pending_set_due(struct engine_link *link, struct pending *pending)
{
    link->due_count += !pending->is_due;
    pending->is_due = true;
}

/* A restart that another engine's start answers must not be asked of that one again. */
static void send_all_again(struct engine_link *link)
{
    for (int i = 0; i < LINK_PENDING_MAX; i++) {
        struct pending *pending = &link->pending[i];
        if (pending->tag != 0 && pending->command.kind == COMMAND_RESTART)
            finish_with(link, pending, RESULT_DONE, "");
        else if (pending->tag != 0)
            pending_set_due(link, pending);
    }
    if (link->due_count > 0)
        log_info("api", "another engine runs; commands without an answer are sent again",
                 LOG_INT("commands", link->due_count));
}

static void look_at_engine(struct engine_link *link)
{
    bool is_up = engine_is_up(link->page);
    uint64_t starts = engine_starts(link->page);
    if (is_up && (!link->engine_was_up || starts != link->starts))
        send_all_again(link);
    if (is_up)
        link->starts = starts;
    link->engine_was_up = is_up;
}

static struct pending *first_due(struct engine_link *link)
{
    struct pending *first = NULL;
    for (int i = 0; i < LINK_PENDING_MAX; i++) {
        struct pending *pending = &link->pending[i];
        if (pending->tag != 0 && pending->is_due && (first == NULL || pending->tag < first->tag))
            first = pending;
    }
    return first;
}

/* In the order they came in, as far as the socket takes them. */
static void send_due(struct engine_link *link)
{
    while (link->due_count > 0) {
        struct pending *pending = first_due(link);
        if (send(link->fd, &pending->command, sizeof pending->command,
                 MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
            return;
        pending->is_due = false;
        link->due_count--;
    }
}

/* ---- deadlines and replies ---- */

static void finish_overdue(struct engine_link *link, instant now)
{
    char why[ENGINE_WHY_SIZE] = "the engine did not answer in time";
    if (!engine_is_up(link->page))
        engine_down_why(link->page, now, why);
    for (int i = 0; i < LINK_PENDING_MAX; i++) {
        struct pending *pending = &link->pending[i];
        if (pending->tag != 0 && instant_before(pending->waiter.deadline, now))
            finish_without_answer(link, pending, why);
    }
}

static void finish_all(struct engine_link *link, const char *why)
{
    for (int i = 0; i < LINK_PENDING_MAX; i++) {
        if (link->pending[i].tag != 0)
            finish_without_answer(link, &link->pending[i], why);
    }
}

static void on_reply(struct engine_link *link, struct reply *reply, size_t size)
{
    if (size != sizeof *reply)
        return;
    struct pending *pending = &link->pending[reply->tag & PENDING_INDEX_MASK];
    if (reply->tag == 0 || pending->tag != reply->tag)
        return; /* too late: its wait has ended */
    reply->message[sizeof reply->message - 1] = '\0';
    pending_finish(link, pending, reply);
}

/* False once the engine has closed its end. */
static bool read_replies(struct engine_link *link)
{
    for (int i = 0; i < REPLIES_PER_WAKE; i++) {
        struct reply reply;
        ssize_t size = recv(link->fd, &reply, sizeof reply, MSG_DONTWAIT);
        if (size < 0)
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
        if (size == 0)
            return false;
        on_reply(link, &reply, (size_t)size);
    }
    return true;
}

/* One turn, under the lock: what came, who waits too long, who is to be asked again. Says what to
 * wait for at the socket. */
static void link_turn(struct engine_link *link, struct pollfd *socket)
{
    if (socket->revents != 0 && !read_replies(link)) {
        socket->fd = -1;
        link->shut = true;
        log_error("api", "the command socket was closed; writes answer 503");
        finish_all(link, "the engine is not running");
    }
    finish_overdue(link, clock_now());
    look_at_engine(link);
    send_due(link);
    socket->events = link->due_count > 0 ? POLLIN | POLLOUT : POLLIN;
}

static void *link_run(void *argument)
{
    struct engine_link *link = argument;
    int most_ms = LINK_IDLE_MAX_MS;
    struct pollfd fds[] = {{.fd = link->wake_fd, .events = POLLIN},
                           {.fd = link->fd, .events = POLLIN}};
    pulse_begin(link->page, BEAT_API_LINK, link->options);
    while (fds[0].revents == 0) {
        int turn_ms = pulse_turn_ms(link->options);
        poll(fds, 2, turn_ms < most_ms ? turn_ms : most_ms);
        pulse();
        engine_link_lock(link);
        link_turn(link, &fds[1]);
        most_ms = link->free_count < LINK_PENDING_MAX ? LINK_TICK_MAX_MS : LINK_IDLE_MAX_MS;
        engine_link_unlock(link);
    }
    pulse_end();
    return NULL;
}

/* Tags of an api that died may still be answered. */
static uint64_t first_serial(void)
{
    uint64_t random = 0;
    if (getrandom(&random, sizeof random, 0) != sizeof random)
        random = (uint64_t)clock_now().us; /* no two apis start in the same microsecond */
    return random & ((1ULL << SERIAL_START_BITS) - 1);
}

struct engine_link *engine_link_create(int fd, struct status_page *page,
                                       const struct options *options)
{
    struct engine_link *link = calloc(1, sizeof *link);
    if (link == NULL) {
        close(fd);
        return NULL;
    }
    link->fd = fd;
    link->page = page;
    link->options = options;
    link->serial = first_serial();
    link->starts = engine_starts(page);
    link->engine_was_up = engine_is_up(page);
    pthread_mutex_init(&link->lock, NULL);
    for (int i = LINK_PENDING_MAX - 1; i >= 0; i--)
        link->free_list[link->free_count++] = (uint16_t)i;
    link->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    const struct pulse_thread thread = {page, BEAT_API_LINK, link_run, link};
    if (link->wake_fd < 0 || !pulse_thread_start(&thread, &link->thread)) {
        engine_link_destroy(link);
        return NULL;
    }
    link->thread_runs = true;
    return link;
}

void engine_link_shut(struct engine_link *link)
{
    if (link == NULL || !link->thread_runs)
        return;
    engine_link_lock(link);
    link->shut = true;
    finish_all(link, "shutting down");
    engine_link_unlock(link);
    eventfd_write(link->wake_fd, 1);
    pthread_join(link->thread, NULL);
    link->thread_runs = false;
}

void engine_link_destroy(struct engine_link *link)
{
    if (link == NULL)
        return;
    engine_link_shut(link);
    if (link->wake_fd >= 0)
        close(link->wake_fd);
    close(link->fd);
    pthread_mutex_destroy(&link->lock);
    free(link);
}

void engine_link_lock(struct engine_link *link)
{
    pthread_mutex_lock(&link->lock);
}

void engine_link_unlock(struct engine_link *link)
{
    pthread_mutex_unlock(&link->lock);
}

enum err engine_link_send(struct engine_link *link, struct command *command,
                          const struct link_waiter *waiter)
{
    if (link->shut)
        return ERR_UNAVAILABLE;
    if (link->free_count == 0)
        return ERR_BUSY;
    uint16_t index = link->free_list[link->free_count - 1];
    command->tag = ++link->serial * LINK_PENDING_MAX | index;
    command->until_us = waiter->deadline.us;
    if (send(link->fd, command, sizeof *command, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == ENOBUFS || errno == EINTR
                   ? ERR_BUSY
                   : ERR_UNAVAILABLE;
    link->free_count--;
    link->pending[index] =
        (struct pending){.tag = command->tag, .waiter = *waiter, .command = *command};
    return OK;
}

void engine_link_forget(struct engine_link *link, const void *context)
{
    for (int i = 0; i < LINK_PENDING_MAX; i++) {
        if (link->pending[i].tag != 0 && link->pending[i].waiter.context == context)
            link->pending[i].waiter.on_reply = NULL;
    }
}

/* ---- one command for one request ---- */

static void request_on_reply(void *context, uint64_t note, const struct reply *reply)
{
    (void)note;
    struct request *request = context;
    request->reply = *reply;
    http_loop_resume(request->api->loop, request->connection);
}

void engine_ask(struct request *request, struct command *command, duration patience,
                request_step *next)
{
    struct engine_link *link = request->api->link;
    struct link_waiter waiter = {.on_reply = request_on_reply,
                                 .context = request,
                                 .deadline = instant_add(clock_now(), patience)};
    engine_link_lock(link);
    enum err err = engine_link_send(link, command, &waiter);
    if (err == OK) {
        request->next = next;
        request->waits = true;
        MHD_suspend_connection(request->connection);
    }
    engine_link_unlock(link);
    if (err == ERR_BUSY)
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "too many writes are under way; try again");
    else if (err != OK)
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "the engine is not running");
}

bool refuse_unless_done(struct request *request, unsigned invalid_status)
{
    const char *message = request->reply.message;
    switch (request->reply.result) {
    case RESULT_DONE:
    case RESULT_CREATED:
    case RESULT_KNOWN:
        return false;
    case RESULT_NOT_FOUND:
        refuse(request, MHD_HTTP_NOT_FOUND, "%s", message[0] != '\0' ? message : "not found");
        return true;
    case RESULT_INVALID:
        refuse(request, invalid_status, "%s", message[0] != '\0' ? message : "invalid value");
        return true;
    default:
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "%s",
               message[0] != '\0' ? message : "not available now");
        return true;
    }
}
