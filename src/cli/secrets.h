/*
 * What was given as an option on the command line, and is secret, does not stay there: everybody on
 * the machine may read /proc/PID/cmdline for as long as a process lives. The environment, which
 * only its owner may read, takes it along to the children.
 */
#ifndef MOONWATCH_CLI_SECRETS_H
#define MOONWATCH_CLI_SECRETS_H

#include "base/options.h"

/* To be called once `argv` has been parsed, while there is one thread. Words that hold a secret (of
 * an option that is one, or in a URL) are overwritten where they lie, and those of their options
 * taken out of `argv`, which ends with NULL as before; MOONWATCH_… in the environment has their
 * values. Returns how many options that were. */
int secrets_leave_command_line(char *argv[]);

/* For who does not need it: what is secret of the URL of a database on a server is overwritten in
 * `options`, and in the environment where it lies, which /proc/PID/environ shows. The same for a
 * password that libpq would take from there. */
void secrets_forget_database(struct options *options);

#endif
