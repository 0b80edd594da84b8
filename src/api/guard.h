/*
 * Who may write (docs: "Who may write"). With an api_token: whoever sends it as a Bearer token.
 * Without: only programs and pages of this machine, that is a loopback peer that names the server
 * by a loopback Host (so that a foreign page cannot reach us through a name of its own that
 * resolves to 127.0.0.1) and, when it is a browser that sends Origin, from our own page.
 */
#ifndef MOONWATCH_API_GUARD_H
#define MOONWATCH_API_GUARD_H

#include "api/request.h"
#include <sys/socket.h>

/* True when the request may write; else it has been refused, with 401 or 403 and what to do. */
bool guard_allows_write(struct request *request);

/* Pure parts. */
bool host_is_loopback(const char *host);                      /* the value of a Host header */
bool origin_is_same(const char *origin, const char *host);    /* the values of both headers */
bool secret_equal(const char *secret, const char *candidate); /* in constant time */

#endif
