/*
 * The open connections, and how long each may take over a request. The HTTP library ends a
 * connection that is silent; one that sends a byte now and then would keep its place for ever, so
 * a thread looks once a second for those that are past their deadline and shuts them down.
 *
 * Deadlines: CONNECTION_HEAD_SEC from the end of one request to the end of the next one's headers;
 * then as long as the route gives for the body; none while we work on the answer or send it.
 *
 * And how many each address has, those apart that listen to /events, which have limits of their
 * own. But for deadlines this is the HTTP thread's.
 */
#ifndef MOONWATCH_API_CONNECTIONS_H
#define MOONWATCH_API_CONNECTIONS_H

#include "base/time.h"
#include <microhttpd.h>
#include <stddef.h>

#define CONNECTION_HEAD_SEC 30

struct connections;

/* An address may have `most_of_address`. NULL: out of memory or threads. */
struct connections *connections_create(unsigned most_of_address);
void connections_destroy(struct connections *connections); /* after the daemon has stopped */

/* To be given to the library as MHD_OPTION_NOTIFY_CONNECTION with the connections as context. */
void connections_on_change(void *context, struct MHD_Connection *connection, void **entry,
                           enum MHD_ConnectionNotificationCode change);

/* To be given to the library as what decides who is let in, with the connections as context. */
enum MHD_Result connections_admit(void *context, const struct sockaddr *address, socklen_t size);

/* It does not count among those of its address any more. */
void connection_set_apart(struct connections *connections, struct MHD_Connection *connection);

/* INSTANT_FAR: none. */
void connection_set_deadline(struct MHD_Connection *connection, instant deadline);

/* What the thread does each second. Returns how many were shut down. */
size_t connections_reap(struct connections *connections, instant now);

#endif
