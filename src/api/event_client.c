/* See event_client.h. */
#include "api/event_client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define PIECES_MAX 64
#define BATCH_MAX  (256 << 10) /* bytes in one call; more than a socket takes at once */
#define MINT_KEY   0x6d696e74  /* any; both sides use the same */

/* ---- what it wants ---- */

uint64_t event_mint(const struct address *mint)
{
    return address_hash(mint, MINT_KEY);
}

static int compare_mints(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

void event_filter_sort(struct event_filter *filter)
{
    qsort(filter->mints, filter->mint_count, sizeof filter->mints[0], compare_mints);
}

bool event_is_wanted(const struct event_filter *filter, const struct event *event)
{
    if ((filter->topics >> event->topic & 1) == 0)
        return false;
    if (event->topic != TOPIC_TOKEN)
        return true;
    return (filter->statuses & event->statuses) != 0 &&
           (filter->mint_count == 0 || bsearch(&event->mint, filter->mints, filter->mint_count,
                                               sizeof filter->mints[0], compare_mints) != NULL);
}

/* ---- words of its own ---- */

__attribute__((format(printf, 2, 3))) static void say(struct event_client *client,
                                                      const char *format, ...)
{
    va_list arguments;
    size_t room = sizeof client->word - client->words;
    va_start(arguments, format);
    int length = vsnprintf(client->word + client->words, room, format, arguments);
    va_end(arguments);
    if (length > 0 && (size_t)length < room)
        client->words += (size_t)length;
}

static bool is_silent(const struct event_client *client)
{
    return client->spoken == client->words;
}

/* Also says how far it has come: who wants few events must not lose its place by that. */
static void say_alive(struct event_client *client, const struct event_buffer *buffer)
{
    char id[EVENT_ID_SIZE];
    event_id_format(buffer, client->next - 1, id);
    client->words = client->spoken = 0;
    say(client, ": alive\nid: %s\n\n", id);
}

/* NULL: it gets all that it lacks, from *next on. */
static const char *why_not_resumed(const struct event_buffer *buffer, const char *last_id,
                                   uint64_t *next)
{
    uint64_t last;
    if (!event_id_parse(buffer, last_id, &last) || last >= event_buffer_next(buffer))
        return "the last event id is not one of this process, which may have been replaced";
    if (last + 1 < event_buffer_first(buffer))
        return "what was missed is not kept any more";
    *next = last + 1;
    return NULL;
}

void event_client_begin(struct event_client *client, const struct event_buffer *buffer,
                        const char *last_id, instant now)
{
    char id[EVENT_ID_SIZE];
    const char *why = NULL;
    client->next = event_buffer_next(buffer);
    client->done = client->words = client->spoken = 0;
    client->heard_at = now;
    if (last_id[0] != '\0')
        why = why_not_resumed(buffer, last_id, &client->next);
    bool is_resumed = last_id[0] != '\0' && why == NULL;
    event_id_format(buffer, client->next - 1, id);
    say(client, "retry: 1000\nid: %s\nevent: hello\ndata: {\"resumed\":%s,\"id\":\"%s\"}\n\n", id,
        is_resumed ? "true" : "false", id);
    if (why != NULL)
        say(client, "event: reset\ndata: {\"reason\":\"%s\"}\n\n", why);
}

/* ---- sending ---- */

struct batch {
    struct iovec pieces[PIECES_MAX + 2];
    int count;
    size_t length;
};

static void batch_add(struct batch *batch, const struct iovec *piece)
{
    struct iovec *last = batch->count > 0 ? &batch->pieces[batch->count - 1] : NULL;
    if (last != NULL && (char *)last->iov_base + last->iov_len == piece->iov_base)
        last->iov_len += piece->iov_len;
    else
        batch->pieces[batch->count++] = *piece;
    batch->length += piece->iov_len;
}

static bool batch_is_full(const struct batch *batch)
{
    return batch->count >= PIECES_MAX || batch->length >= BATCH_MAX;
}

static void gather_words(const struct event_client *client, struct batch *batch)
{
    if (!is_silent(client))
        batch_add(batch, &(struct iovec){(void *)(uintptr_t)(client->word + client->spoken),
                                         client->words - client->spoken});
}

static void gather_events(struct event_client *client, const struct event_buffer *buffer,
                          struct batch *batch)
{
    size_t done = client->done;
    for (uint64_t serial = client->next;
         serial < event_buffer_next(buffer) && !batch_is_full(batch); serial++) {
        const struct event *event = event_buffer_at(buffer, serial);
        struct iovec pieces[2];
        if (done == 0 && !event_is_wanted(&client->filter, event)) {
            client->next += serial == client->next; /* nothing was gathered yet */
            continue;
        }
        int count = event_buffer_text(buffer, event->offset + done, event->length - done, pieces);
        for (int i = 0; i < count; i++)
            batch_add(batch, &pieces[i]);
        done = 0;
    }
}

/* An event that it has a part of is finished before any words. */
static void gather(struct event_client *client, const struct event_buffer *buffer,
                   struct batch *batch)
{
    batch->count = 0;
    batch->length = 0;
    if (client->done == 0)
        gather_words(client, batch);
    gather_events(client, buffer, batch);
}

/* Takes note of `length` bytes that went out, in the order in which they were gathered. */
static void advance(struct event_client *client, const struct event_buffer *buffer, size_t length,
                    uint64_t *sent)
{
    if (client->done == 0 && !is_silent(client)) {
        size_t words = client->words - client->spoken;
        size_t spoken = length < words ? length : words;
        client->spoken += spoken;
        length -= spoken;
    }
    while (length > 0) {
        const struct event *event = event_buffer_at(buffer, client->next);
        size_t rest = event->length - client->done;
        if (client->done == 0 && !event_is_wanted(&client->filter, event)) {
            client->next++;
        } else if (length < rest) {
            client->done += length;
            length = 0;
        } else {
            length -= rest;
            client->next++;
            client->done = 0;
            (*sent)++;
        }
    }
}

static bool is_due(const struct event_client *client, instant now)
{
    return client->done == 0 && is_silent(client) &&
           duration_to_s(instant_diff(now, client->heard_at)) >= EVENT_ALIVE_SEC;
}

static enum event_client_state wait_more(struct event_client *client, instant now)
{
    if (instant_is_never(client->waits_since))
        client->waits_since = now;
    bool is_slow = duration_to_s(instant_diff(now, client->waits_since)) >= EVENT_STALL_SEC;
    return is_slow ? CLIENT_SLOW : CLIENT_WAITS;
}

enum event_client_state event_client_send(struct event_client *client,
                                          const struct event_buffer *buffer, instant now,
                                          uint64_t *sent)
{
    struct batch batch;
    if (client->next < event_buffer_first(buffer))
        return CLIENT_SLOW;
    while (true) {
        if (is_due(client, now))
            say_alive(client, buffer);
        gather(client, buffer, &batch);
        if (batch.count == 0)
            return CLIENT_HAS_ALL;
        const struct msghdr message = {.msg_iov = batch.pieces, .msg_iovlen = (size_t)batch.count};
        ssize_t length = sendmsg(client->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (length < 0 && errno == EINTR)
            continue;
        if (length < 0)
            return errno == EAGAIN ? wait_more(client, now) : CLIENT_GONE;
        advance(client, buffer, (size_t)length, sent);
        client->waits_since = INSTANT_NEVER;
        client->heard_at = now;
    }
}
