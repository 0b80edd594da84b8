/* What shells need to complete `moonwatch …`: from commands.def, the commands' own tables
 * (arguments_visit()) and options.def. */
#ifndef MOONWATCH_CLI_COMPLETION_H
#define MOONWATCH_CLI_COMPLETION_H

#include <stdio.h>

void completion_write_bash(FILE *out);
void completion_write_zsh(FILE *out);

#endif
