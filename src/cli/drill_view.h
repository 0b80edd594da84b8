/* The results of drills as a table for a person, and as JSON for scripts. */
#ifndef MOONWATCH_CLI_DRILL_VIEW_H
#define MOONWATCH_CLI_DRILL_VIEW_H

#include "drill/runner.h"
#include <stdio.h>

void drill_view_list(FILE *out);
void drill_view_table(FILE *out, const struct runner_run *runs, size_t count);
void drill_view_json(FILE *out, const struct runner_run *runs, size_t count);

#endif
