/*
 * What each process of ours gives up (base/confine.h), in one place to be reviewed:
 *
 *                 supervisor          engine                       api
 *     files       all                 writes the database's,       reads the database's and the
 *                                     the export's folder;         state folder; writes none
 *                                     reads the source's file
 *     programs    its children        none *                       none
 *     sockets     any                 connects; binds no TCP       none but those it inherits
 *     signals     to its children     none *                       none
 *     memory      …                   none is written and run *    none is written and run
 *
 * and the system's files, to be read. All: no_new_privs, and none of the calls that nobody here
 * needs.
 *
 * * With alert_command the engine runs a program of the owner's, which inherits what the engine
 * gave up. It is to read its own configuration and write its own log, so the engine then keeps
 * files, programs, signals and memory; no_new_privs holds for both (no sudo, no setgid mailer:
 *   sandbox=off where one is needed).
 *
 * The status page is told what came of it; a kernel that has not all of it is said so in the log.
 */
#ifndef MOONWATCH_PAGE_CONFINEMENT_H
#define MOONWATCH_PAGE_CONFINEMENT_H

#include "base/options.h"
#include "page/status_page.h"

/* For the rest of the calling process's life; before it has threads. Does nothing when the option
 * sandbox is off. */
void confine_process(enum page_process_id process, const struct options *options,
                     struct status_page *page);

#endif
