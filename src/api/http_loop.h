/*
 * The HTTP thread. The HTTP library could have a thread of its own, but nobody could tell whether
 * that one moves: so it is ours, waits for the library's epoll descriptor, lets the library run and
 * has a heartbeat. Without a thread of its own the library has no means either to be woken when a
 * connection is resumed: that is what http_loop_resume() is for.
 *
 * Its end: no new connections; who has connected is waited for a moment, and what is being answered
 * is answered, at most HTTP_DRAIN_MS long.
 * Whoever waits for the engine or a disk must have been given up before.
 */
#ifndef MOONWATCH_API_HTTP_LOOP_H
#define MOONWATCH_API_HTTP_LOOP_H

#include "page/status_page.h"
#include <microhttpd.h>

#define HTTP_DRAIN_MS  1000 /* of the five seconds that a stop may take */
#define HTTP_LINGER_MS 50   /* between a connection and its request, on any machine near by */

struct http_loop;

struct http_loop_parts {
    struct MHD_Daemon *daemon; /* with epoll, without a thread of its own; outlives the loop */
    struct status_page *page;
    const struct options *options;
    const unsigned *requests_open; /* of the HTTP thread's own count */
};

/* NULL: out of memory or descriptors. */
struct http_loop *http_loop_create(void);
/* False: no threads. */
bool http_loop_start(struct http_loop *loop, const struct http_loop_parts *parts);
void http_loop_stop(struct http_loop *loop);
void http_loop_destroy(struct http_loop *loop); /* after nobody resumes any more */

/* From any thread: the connection goes on at once. */
void http_loop_resume(struct http_loop *loop, struct MHD_Connection *connection);

#endif
