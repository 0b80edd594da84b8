/* Incidents as a person reads them: from the state folder, whether a daemon runs or not. */
#ifndef MOONWATCH_CLI_INCIDENT_VIEW_H
#define MOONWATCH_CLI_INCIDENT_VIEW_H

#include "base/options.h"
#include <stdbool.h>
#include <stdio.h>

#define INCIDENTS_SHOWN 20

/* The newest, newest first; as a table, or as one JSON array. */
void incidents_print(FILE *out, const struct options *options, bool as_json);

#endif
