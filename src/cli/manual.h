/*
 * Manual pages, in mdoc(7): one a command, moonwatch(1) over all, and moonwatch.conf(5) of all
 * options. All is in commands.def, the commands' own tables (arguments_visit()) and options.def;
 * there is nothing to keep in step.
 */
#ifndef MOONWATCH_CLI_MANUAL_H
#define MOONWATCH_CLI_MANUAL_H

#include "cli/command.h"
#include <stdio.h>

void manual_write_all(FILE *out);
void manual_write_command(FILE *out, const struct command_row *command);
void manual_write_options(FILE *out);

#endif
