/*
 * The engine: the shell around the core. It gathers events (answers, new tokens, clients' commands,
 * the store's acknowledgements, the passing of time), calls core_step(), performs the actions and
 * feeds their results back. It decides nothing.
 *
 *   engine.c    its parts, its loop, its start and end
 *   perform.c   each kind of action
 *   commands.c  what clients ask through the api
 *   restore.c   from the table that was left, or from the store, to a core that can step
 *   warm.c      a table that was left: checked, and placed in its lanes, by all cores
 *   catch_up.c  what the store does not have of such a table
 *   publish.c   from everywhere onto the status page, once a second
 *   export.c    the file for bots
 *
 * One thread, one libuv loop. The store's thread and the api's have their own.
 */
#ifndef MOONWATCH_ENGINE_ENGINE_H
#define MOONWATCH_ENGINE_ENGINE_H

#include "base/options.h"

/* Runs until SIGTERM or SIGINT; then drains, commits and returns the exit status: 0, or 1 when it
 * could not start or something acknowledged could not be written. Complaints are logged. */
int engine_run(const struct options *options);

#endif
