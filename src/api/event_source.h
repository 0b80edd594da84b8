/*
 * Where the events of GET /events come from. It looks at what the processes share, and puts what is
 * new since the last look into the buffer (event_buffer.h), encoded once for all clients:
 *
 *   tokens     those whose ids the engine put into the ring of changes (page/changes.h); each goes
 *              out once a look, with the newest figures, at most EVENT_TOKENS_MAX of them: the
 * others wait for the next. A reader that the ring left behind, and one whose engine was replaced,
 * compares all tokens with what it last said of them: 10 ns a token log        the log ring the
 * rest   words of the status page, compared with the ones before
 *
 * Incidents are files: they are read aside (aside.h). One thread's.
 */
#ifndef MOONWATCH_API_EVENT_SOURCE_H
#define MOONWATCH_API_EVENT_SOURCE_H

#include "api/api.h"
#include "api/event_buffer.h"

#define EVENT_TOKENS_MAX 400 /* a look; at ten a second more than any upstream gives */
#define EVENT_LINES_MAX  500

struct aside;
struct event_source;

struct event_source_parts {
    const struct token_table *table;
    const struct status_page *page;
    const char *incidents_folder;
    struct aside *aside; /* ends before the source does */
    struct event_buffer *buffer;
};

/* NULL: out of memory. */
struct event_source *event_source_create(const struct event_source_parts *parts);
void event_source_destroy(struct event_source *source);

/* What there is now is not news. */
void event_source_begin(struct event_source *source, instant now);
void event_source_look(struct event_source *source, instant now);

#endif
