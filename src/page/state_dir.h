/*
 * Where an instance keeps what outlives it but is no token: its lock, its incidents, the list of
 * suspects, the control socket. One place says so, for the daemon and for tools that look for it.
 */
#ifndef MOONWATCH_PAGE_STATE_DIR_H
#define MOONWATCH_PAGE_STATE_DIR_H

#include "base/options.h"
#include <limits.h>

/* The option state_dir, else sqlite:PATH's PATH-state, else ./moonwatch-state. */
void state_dir_path(const struct options *options, char out[PATH_MAX]);

/* The database's file; NULL: it is in none. */
const char *database_path(const struct options *options);

#endif
