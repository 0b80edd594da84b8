/*
 * The engine: the shell around the core. It gathers events (answers, new tokens, clients' commands,
 * the store's acknowledgements, the passing of time), calls core_step(), performs the actions and
 * feeds their results back. It decides nothing.
 *
 *   process.c   as a process: what it inherits, its start, its loop, its end
 *   start.c     from an inherited table, or a database, to work
 *   engine.c    what comes in becomes an event, a step, and actions
 *   watch.c     that it moves, what it does, what it has in hand: for others to see
 *   perform.c   each kind of action
 *   commands.c  what clients ask through the api
 *   restore.c   from the table that was left, or from the store, to a core that can step
 *   cold.c      from the store: the first tokens, and the others while it works already
 *   warm.c      a table that was left: checked, and placed in its lanes, by all cores
 *   row_pipe.c  from the thread that reads rows to the one that puts them into the table
 *   huge.c      the table into huge pages, on another thread, when there is time
 *   catch_up.c  what the store does not have of such a table
 *   publish.c   from everywhere onto the status page, once a second
 *   export.c    the file for bots: what is in it; exporter.c writes it on another thread
 *
 * One thread, one libuv loop. The store's thread and the feed workers have theirs. It is started by
 * the supervisor, with the descriptors of page/inherited.h, stands by until it is told to go, and
 * until then touches nothing: another engine may be at work.
 */
#ifndef MOONWATCH_ENGINE_ENGINE_H
#define MOONWATCH_ENGINE_ENGINE_H

#include "base/options.h"

/* Runs until SIGTERM, SIGINT or the end of its supervisor; then drains, commits and returns the
 * exit status: 0; 1 when it could not start or something acknowledged could not be written; 2 when
 * it was not started by a supervisor. Complaints are logged. */
int engine_process(const struct options *options);

#endif
