/*
 * The HTTP API: a process of its own (process.h), or threads in somebody else's. It reads the token
 * table and the status page live and the store's history through a connection of its own, all
 * read-only; it hands writes to the engine as commands (page/command.h). So a list never waits for
 * a database, and a slow client never for the engine, nor the engine for a client.
 *
 * One file a resource (api/resource_*.c), one row a route (api/routes.def). The HTTP itself is
 * libmicrohttpd's.
 */
#ifndef MOONWATCH_API_API_H
#define MOONWATCH_API_API_H

#include "base/listen.h"
#include "base/options.h"
#include "core/token_table.h"
#include "page/status_page.h"

struct api;

struct api_world {
    const struct token_table *table;
    struct status_page *page; /* only its API counters are written */
    const char *store_url;    /* for history; opened lazily, reopened when it vanishes */
    int command_fd;           /* SOCK_SEQPACKET, non-blocking; the api's from now on */
    const struct options *options;
    const struct listen_socket *listening; /* open already, the api's from now on; NULL: it opens */
};

/* Listens on options->listen and answers until api_stop(). NULL with a sentence in `why` (address
 * in use, not loopback without a token…). The threads of HTTP and of the command socket beat. */
struct api *api_start(const struct api_world *world, char why[512]);
uint16_t api_port(const struct api *api); /* the one bound, when port 0 was asked for */
void api_stop(struct api *api);

#endif
