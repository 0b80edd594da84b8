/* The options as people read them: a table for the terminal, a page for the documentation. */
#ifndef MOONWATCH_CLI_CONFIG_TEXT_H
#define MOONWATCH_CLI_CONFIG_TEXT_H

#include "base/options.h"
#include <stdio.h>

/* Every option, its value and where it came from; a secret's value is never shown. `config_path` is
 * named where a value came from that file; NULL: there was none. */
void config_write_table(FILE *out, const struct options *options, const char *config_path);

/* docs/configuration.md. */
void config_write_docs(FILE *out);

#endif
