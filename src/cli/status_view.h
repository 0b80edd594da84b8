/* The status page as a person reads it, and as JSON for scripts. */
#ifndef MOONWATCH_CLI_STATUS_VIEW_H
#define MOONWATCH_CLI_STATUS_VIEW_H

#include "base/json.h"
#include "page/status_page.h"
#include <stdio.h>

void status_print(FILE *out, const struct status_page *page, instant now);
void status_json(struct json *json, const struct status_page *page, instant now);

#endif
