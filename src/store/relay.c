/* See relay.h. */
#include "store/relay.h"

#include "base/clock.h"
#include "base/text.h"
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

enum question_kind { QUESTION_SNAPSHOTS, QUESTION_EVENTS };

struct question {
    uint64_t tag;
    int64_t newest_id;
    uint32_t kind; /* enum question_kind */
    token_id token;
    int32_t limit;
    uint32_t spare;
};

struct answer {
    uint64_t tag;
    int32_t count; /* −1: the store could not be read */
    uint32_t kind;
    union {
        struct store_snapshot snapshots[RELAY_ITEMS_MAX];
        struct store_event events[RELAY_ITEMS_MAX];
    };
};

static size_t item_size(uint32_t kind)
{
    return kind == QUESTION_EVENTS ? sizeof(struct store_event) : sizeof(struct store_snapshot);
}

static int clip(int32_t limit)
{
    return limit < 0 || limit > RELAY_ITEMS_MAX ? RELAY_ITEMS_MAX : limit;
}

/* ---- the engine's side ---- */

struct relay {
    int fd;
    int wake; /* eventfd */
    pthread_t thread;
    struct store_reader *reader;
    struct answer answer;
};

static void answer_question(struct relay *relay, const struct question *question)
{
    struct answer *answer = &relay->answer;
    int limit = clip(question->limit);
    answer->tag = question->tag;
    answer->kind = question->kind;
    if (question->kind == QUESTION_EVENTS)
        answer->count = store_reader_events(relay->reader, question->token, answer->events, limit);
    else
        answer->count = store_reader_snapshots(relay->reader, question->token, question->newest_id,
                                               answer->snapshots, limit);
    size_t items = answer->count > 0 ? (size_t)answer->count : 0;
    size_t length = offsetof(struct answer, snapshots) + items * item_size(answer->kind);
    /* Who does not take it has stopped waiting. */
    (void)!send(relay->fd, answer, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static void *run(void *argument)
{
    struct relay *relay = argument;
    struct pollfd fds[] = {{.fd = relay->fd, .events = POLLIN},
                           {.fd = relay->wake, .events = POLLIN}};
    pthread_setname_np(pthread_self(), "history");
    while (true) {
        struct question question;
        if (poll(fds, 2, -1) < 0 && errno != EINTR)
            return NULL;
        if (fds[1].revents != 0)
            return NULL;
        ssize_t length = recv(relay->fd, &question, sizeof question, MSG_DONTWAIT);
        if (length == sizeof question)
            answer_question(relay, &question);
        else if (length == 0)
            return NULL; /* the other end is closed for good */
    }
}

struct relay *relay_start(const char *url, int fd, char why[STORE_MESSAGE_SIZE])
{
    struct relay *relay = calloc(1, sizeof *relay);
    if (relay == NULL) {
        snprintf(why, STORE_MESSAGE_SIZE, "out of memory");
        return NULL;
    }
    relay->fd = fd;
    relay->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    relay->reader = store_reader_open(url, why);
    if (relay->reader != NULL && relay->wake >= 0 &&
        pthread_create(&relay->thread, NULL, run, relay) == 0)
        return relay;
    if (relay->reader != NULL)
        snprintf(why, STORE_MESSAGE_SIZE, "no thread to read history with");
    store_reader_close(relay->reader);
    if (relay->wake >= 0)
        close(relay->wake);
    free(relay);
    return NULL;
}

void relay_stop(struct relay *relay)
{
    const uint64_t one = 1;
    if (relay == NULL)
        return;
    (void)!write(relay->wake, &one, sizeof one);
    pthread_join(relay->thread, NULL);
    store_reader_close(relay->reader);
    close(relay->wake);
    free(relay);
}

/* ---- the api's side ---- */

struct relay_reader {
    struct store_reader base;
    int fd;
    uint64_t tag;
    struct answer answer;
};

/* Answers to questions that are not waited for any more are thrown away. */
static bool await_answer(struct relay_reader *r, instant give_up)
{
    while (true) {
        struct pollfd fd = {.fd = r->fd, .events = POLLIN};
        int64_t left = duration_to_ms(instant_diff(give_up, clock_now()));
        if (left <= 0 || left > RELAY_ANSWER_MS)
            return false;
        if (poll(&fd, 1, (int)left) <= 0)
            continue;
        ssize_t length = recv(r->fd, &r->answer, sizeof r->answer, MSG_DONTWAIT);
        if (length == 0)
            return false;
        if (length >= (ssize_t)offsetof(struct answer, snapshots) && r->answer.tag == r->tag)
            return r->answer.count >= 0 && r->answer.count <= RELAY_ITEMS_MAX &&
                   (size_t)length == offsetof(struct answer, snapshots) +
                                         (size_t)r->answer.count * item_size(r->answer.kind);
    }
}

static int ask(struct relay_reader *r, struct question *question)
{
    instant give_up = instant_add(clock_now(), duration_ms(RELAY_ANSWER_MS));
    question->tag = ++r->tag;
    if (send(r->fd, question, sizeof *question, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        return -1;
    if (!await_answer(r, give_up) || r->answer.kind != question->kind)
        return -1;
    return r->answer.count < question->limit ? r->answer.count : question->limit;
}

static int snapshots(struct store_reader *reader, token_id token, int64_t newest_id,
                     struct store_snapshot *out, int limit)
{
    struct relay_reader *r = (struct relay_reader *)reader;
    struct question question = {
        .kind = QUESTION_SNAPSHOTS, .token = token, .newest_id = newest_id, .limit = clip(limit)};
    int count = ask(r, &question);
    if (count > 0)
        memcpy(out, r->answer.snapshots, (size_t)count * sizeof *out);
    return count;
}

static int events(struct store_reader *reader, token_id token, struct store_event *out, int limit)
{
    struct relay_reader *r = (struct relay_reader *)reader;
    struct question question = {.kind = QUESTION_EVENTS, .token = token, .limit = clip(limit)};
    int count = ask(r, &question);
    if (count > 0)
        memcpy(out, r->answer.events, (size_t)count * sizeof *out);
    return count;
}

static void reader_close(struct store_reader *reader)
{
    free(reader);
}

static const struct store_reader_methods METHODS = {
    .close = reader_close,
    .snapshots = snapshots,
    .events = events,
};

struct store_reader *relay_reader_open(const char *descriptor, char why[STORE_MESSAGE_SIZE])
{
    int64_t fd;
    struct relay_reader *r = calloc(1, sizeof *r);
    if (r == NULL || !text_parse_int(descriptor, strlen(descriptor), &fd) || fd < 0 ||
        fd > INT32_MAX) {
        snprintf(why, STORE_MESSAGE_SIZE, "%s", r == NULL ? "out of memory" : "no descriptor");
        free(r);
        return NULL;
    }
    r->base.methods = &METHODS;
    r->fd = (int)fd;
    /* Another reader's answers may lie in the socket: its tags were others. */
    r->tag = (uint64_t)clock_now().us << 8;
    return &r->base;
}
