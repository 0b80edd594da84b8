/*
 * Where `moonwatch top` reads: the daemon's own memory, on its machine. The supervisor hands out
 * read-only descriptors of the status page and of the token table (supervisor/control.h), as
 * `moonwatch ctl status` gets them; from then on looking costs the daemon nothing, and works while
 * its engine or its api is down. Of a daemon elsewhere: ssh there.
 *
 * The control socket stays open: its end tells at once that the supervisor is gone. It is opened
 * anew, and what it hands out mapped anew, every TOP_SOURCE_RENEW_S, since a daemon that has to
 * give up an engine that cannot be awaited goes on with memory of its own.
 */
#ifndef MOONWATCH_CLI_TOP_SOURCE_H
#define MOONWATCH_CLI_TOP_SOURCE_H

#include "base/options.h"
#include "page/status_page.h"
#include "page/table_memory.h"
#include "supervisor/control_client.h"

#define TOP_SOURCE_RENEW_S 20 /* well before a silent client is shut out (CONTROL_IDLE_SEC) */

_Static_assert(PAGE_WHY_SIZE <= CONTROL_WHY_SIZE, "one sentence holds either");

struct top_source {
    int fd;                         /* −1: the daemon is not there */
    const struct status_page *page; /* kept, as it was last, when the daemon is gone; NULL: never */
    struct table_memory memory;     /* .table NULL: never, or it is of another version */
    instant opened_at;              /* on our own clock */
    char why[CONTROL_WHY_SIZE];     /* of fd < 0 */
};

void top_source_init(struct top_source *source);
/* Opens it where it is not open, or for too long; drops what it had for what it gets. True when it
 * did: it may be another daemon's, with a timeline of its own. */
bool top_source_look(struct top_source *source, const struct options *options);
/* The control socket has something to say, and that is its end. */
void top_source_on_end(struct top_source *source);
void top_source_finish(struct top_source *source);

#endif
