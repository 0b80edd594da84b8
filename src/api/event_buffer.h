/*
 * What GET /events sends, encoded once and kept for a while: whoever reconnects gets what it
 * missed. Events have serials, 1, 2, 3…; the newest are kept, as many as fit the bytes and the
 * places. All clients are sent from here (event_client.h), so a slow one takes no memory of its
 * own.
 *
 * An event's text is complete: id, name and data of a server-sent event
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html). Ids are "<epoch>-<serial>"; the
 * epoch is another with each api process. One thread's.
 */
#ifndef MOONWATCH_API_EVENT_BUFFER_H
#define MOONWATCH_API_EVENT_BUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

/* X(code, name) */
#define EVENT_TOPIC_LIST(X)                                                                        \
    X(TOPIC_TOKEN, "token")                                                                        \
    X(TOPIC_ALERT, "alert")                                                                        \
    X(TOPIC_LOAD, "load")                                                                          \
    X(TOPIC_INCIDENT, "incident")                                                                  \
    X(TOPIC_HEALTH, "health")                                                                      \
    X(TOPIC_LOG, "log")                                                                            \
    X(TOPIC_PULSE, "pulse")

enum event_topic {
#define X(code, name) code,
    EVENT_TOPIC_LIST(X)
#undef X
        TOPIC_COUNT
};

const char *event_topic_name(enum event_topic topic);
bool event_topic_parse(const char *text, size_t length, enum event_topic *out);

#define EVENT_ID_SIZE 48

struct event {
    uint64_t offset; /* of its text, in all that was ever added */
    uint64_t mint;   /* a hash of TOPIC_TOKEN's, event_client.h */
    uint32_t length;
    uint8_t topic;
    uint8_t statuses; /* of TOPIC_TOKEN: a bit for the one it has, and one for the one it had */
};

/* What is added: `json` is one line. */
struct event_news {
    enum event_topic topic;
    unsigned statuses;
    uint64_t mint;
    const char *json;
    size_t length;
};

struct event_buffer;

/* Room for `bytes` of text and `places` events, powers of two. NULL: out of memory. */
struct event_buffer *event_buffer_create(uint64_t epoch, size_t bytes, size_t places);
void event_buffer_destroy(struct event_buffer *buffer);

/* The oldest go. False: larger than a quarter of the buffer; it is left out. */
bool event_buffer_add(struct event_buffer *buffer, const struct event_news *news);

/* Forgets the texts; serials go on. */
void event_buffer_forget(struct event_buffer *buffer);

/* Serials from first to next − 1 are kept. */
uint64_t event_buffer_first(const struct event_buffer *buffer);
uint64_t event_buffer_next(const struct event_buffer *buffer);
const struct event *event_buffer_at(const struct event_buffer *buffer, uint64_t serial);

/* Bytes of the text from `offset` on; returns how many pieces they lie in, 1 or 2. */
int event_buffer_text(const struct event_buffer *buffer, uint64_t offset, size_t length,
                      struct iovec out[2]);

void event_id_format(const struct event_buffer *buffer, uint64_t serial, char out[EVENT_ID_SIZE]);
/* False: not an id of this buffer's. */
bool event_id_parse(const struct event_buffer *buffer, const char *text, uint64_t *serial);

#endif
