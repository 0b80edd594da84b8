/* See event_buffer.h. */
#include "api/event_buffer.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HEAD_SIZE  128
#define SHARE_MAX  4 /* of the buffer, that one event may take */
#define EVENT_END  "\n\n"
#define END_LENGTH (sizeof EVENT_END - 1)

struct event_buffer {
    uint64_t epoch;
    char *bytes;
    size_t size;
    struct event *events;
    size_t places;
    uint64_t first, next;
    uint64_t end; /* offset behind the newest text */
};

static const char *const topic_names[] = {
#define X(code, name) [code] = name,
    EVENT_TOPIC_LIST(X)
#undef X
};

const char *event_topic_name(enum event_topic topic)
{
    assert((unsigned)topic < TOPIC_COUNT);
    return topic_names[topic];
}

bool event_topic_parse(const char *text, size_t length, enum event_topic *out)
{
    for (int i = 0; i < TOPIC_COUNT; i++)
        if (strlen(topic_names[i]) == length && memcmp(topic_names[i], text, length) == 0) {
            *out = (enum event_topic)i;
            return true;
        }
    return false;
}

struct event_buffer *event_buffer_create(uint64_t epoch, size_t bytes, size_t places)
{
    assert((bytes & (bytes - 1)) == 0 && (places & (places - 1)) == 0);
    struct event_buffer *buffer = calloc(1, sizeof *buffer);
    if (buffer == NULL)
        return NULL;
    buffer->epoch = epoch;
    buffer->size = bytes;
    buffer->places = places;
    buffer->first = buffer->next = 1;
    buffer->bytes = malloc(bytes); /* memory is taken as it fills */
    buffer->events = malloc(places * sizeof buffer->events[0]);
    if (buffer->bytes != NULL && buffer->events != NULL)
        return buffer;
    event_buffer_destroy(buffer);
    return NULL;
}

void event_buffer_destroy(struct event_buffer *buffer)
{
    if (buffer == NULL)
        return;
    free(buffer->bytes);
    free(buffer->events);
    free(buffer);
}

uint64_t event_buffer_first(const struct event_buffer *buffer)
{
    return buffer->first;
}

uint64_t event_buffer_next(const struct event_buffer *buffer)
{
    return buffer->next;
}

const struct event *event_buffer_at(const struct event_buffer *buffer, uint64_t serial)
{
    assert(serial >= buffer->first && serial < buffer->next);
    return &buffer->events[serial & (buffer->places - 1)];
}

void event_buffer_forget(struct event_buffer *buffer)
{
    buffer->first = buffer->next;
}

int event_buffer_text(const struct event_buffer *buffer, uint64_t offset, size_t length,
                      struct iovec out[2])
{
    size_t at = offset & (buffer->size - 1), whole = buffer->size - at;
    out[0] = (struct iovec){buffer->bytes + at, length < whole ? length : whole};
    out[1] = (struct iovec){buffer->bytes, length - out[0].iov_len};
    return out[1].iov_len > 0 ? 2 : 1;
}

static void append(struct event_buffer *buffer, const char *text, size_t length)
{
    struct iovec pieces[2];
    event_buffer_text(buffer, buffer->end, length, pieces);
    memcpy(pieces[0].iov_base, text, pieces[0].iov_len);
    memcpy(pieces[1].iov_base, text + pieces[0].iov_len, pieces[1].iov_len);
    buffer->end += length;
}

/* The oldest go until it fits. */
static void make_room(struct event_buffer *buffer, size_t length)
{
    while (buffer->first < buffer->next &&
           (buffer->next - buffer->first == buffer->places ||
            buffer->end + length - event_buffer_at(buffer, buffer->first)->offset > buffer->size))
        buffer->first++;
}

bool event_buffer_add(struct event_buffer *buffer, const struct event_news *news)
{
    char id[EVENT_ID_SIZE], head[HEAD_SIZE];
    event_id_format(buffer, buffer->next, id);
    size_t head_length = (size_t)snprintf(head, sizeof head, "id: %s\nevent: %s\ndata: ", id,
                                          event_topic_name(news->topic));
    size_t length = head_length + news->length + END_LENGTH;
    if (length > buffer->size / SHARE_MAX)
        return false;
    make_room(buffer, length);
    buffer->events[buffer->next & (buffer->places - 1)] =
        (struct event){.offset = buffer->end,
                       .mint = news->mint,
                       .length = (uint32_t)length,
                       .topic = (uint8_t)news->topic,
                       .statuses = (uint8_t)news->statuses};
    append(buffer, head, head_length);
    append(buffer, news->json, news->length);
    append(buffer, EVENT_END, END_LENGTH);
    buffer->next++;
    return true;
}

void event_id_format(const struct event_buffer *buffer, uint64_t serial, char out[EVENT_ID_SIZE])
{
    snprintf(out, EVENT_ID_SIZE, "%" PRIx64 "-%" PRIu64, buffer->epoch, serial);
}

/* What we would write ourselves, and nothing else. */
bool event_id_parse(const struct event_buffer *buffer, const char *text, uint64_t *serial)
{
    char written[EVENT_ID_SIZE];
    const char *dash = strchr(text, '-');
    if (dash == NULL)
        return false;
    *serial = strtoull(dash + 1, NULL, 10);
    event_id_format(buffer, *serial, written);
    return strcmp(text, written) == 0;
}
