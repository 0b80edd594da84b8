/*
 * Where the events of GET /events come from. It looks at what the processes share, and puts what is
 * new since the last look into the buffer (event_buffer.h), encoded once for all clients.
 *
 * Tokens are those whose ids the engine put into the ring of changes (page/changes.h), and that
 * somebody wants to hear of. Each goes out once a look, with its newest figures. Those that clients
 * name go first, so that what a page shows is prompt among a million; of the others at most
 * EVENT_TOKENS_MAX, and what remains waits for the next look. What nobody wants waits until
 * somebody does. A reader that the ring left behind, and one whose engine was replaced, compares
 * all tokens with what it last said of them, at 10 ns each.
 *
 * Log lines come from the log ring, everything else from words of the status page, which are
 * compared with the ones before. Incidents are files: they are read aside (aside.h).
 *
 * One thread's.
 */
#ifndef MOONWATCH_API_EVENT_SOURCE_H
#define MOONWATCH_API_EVENT_SOURCE_H

#include "api/api.h"
#include "api/event_client.h"

#define EVENT_TOKENS_MAX 1000 /* a look; more than most clients can take */
#define EVENT_NAMED_MAX  4096 /* that are told first in a look */
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

/* A client has come that wants this, or has gone. FRESH: it has not been here before, so that what
 * changed while nobody wanted it is no news to it. */
enum event_arrival { EVENT_CLIENT_FRESH, EVENT_CLIENT_RETURNS };
void event_source_want(struct event_source *source, struct event_filter *filter,
                       enum event_arrival arrival);
void event_source_want_no_more(struct event_source *source, const struct event_filter *filter);

#endif
