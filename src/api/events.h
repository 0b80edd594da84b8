/*
 * GET /events: the thread that finds what is new (event_source.h), keeps it for a while
 * (event_buffer.h) and sends it to every client (event_client.h).
 *
 * A client's request comes through the HTTP thread as any other, and its headers go out there. Then
 * its connection is suspended for good, and this thread writes to the socket itself: a thousand
 * clients cost the HTTP thread nothing, and who asks for /health does not wait behind them. When a
 * client has gone, does not read, or everything ends, the connection is resumed, so that the
 * library closes it.
 *
 * While nobody has listened for EVENTS_IDLE_SEC, nothing is looked at and nothing is kept.
 *
 * At most events_clients_max clients at a time, events_clients_per_address_max of one address that
 * is not this machine's: from here a proxy may bring many. They do not count among the connections
 * that their address may have (connections.h).
 */
#ifndef MOONWATCH_API_EVENTS_H
#define MOONWATCH_API_EVENTS_H

#include "api/event_client.h"
#include "api/request.h"

#define EVENTS_LOOK_MS   100
#define EVENTS_IDLE_SEC  60
#define EVENTS_BYTES     (8 << 20) /* half a minute at 10,000 tokens */
#define EVENTS_PLACES    (32 << 10)
#define EVENT_SEND_BYTES (128 << 10) /* that the kernel keeps for one client; it takes it twice */

struct events;

struct events_parts {
    struct status_page *page;
    const struct token_table *table;
    const struct options *options;
    const char *incidents_folder;
    struct aside *aside;
    struct http_loop *loop;
};

/* NULL: out of memory, descriptors or threads. */
struct events *events_create(const struct events_parts *parts);

/* Every client is let go, and the thread ends; before the HTTP loop does. */
void events_shut(struct events *events);
void events_destroy(struct events *events); /* after everybody that aside does something for */

/* The HTTP thread's: answers with a stream of what `filter` wants, or refuses: 429, 503. `last_id`
 * as in event_client_begin(). */
void events_answer(struct events *events, struct request *request,
                   const struct event_filter *filter, const char *last_id);

#endif
