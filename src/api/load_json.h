/* Load as JSON: shared by /health/resources, /health/priority and the dashboard. */
#ifndef MOONWATCH_API_LOAD_JSON_H
#define MOONWATCH_API_LOAD_JSON_H

#include "base/json.h"
#include "page/status_page.h"

/* "load": {level, since, why, scale, deferral, keeps_up, sampled_at}. What is unknown is null. */
void json_load(struct json *json, const struct status_page *page, instant now);

#endif
