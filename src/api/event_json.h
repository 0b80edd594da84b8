/* The data of some events of GET /events, as JSON on one line. */
#ifndef MOONWATCH_API_EVENT_JSON_H
#define MOONWATCH_API_EVENT_JSON_H

#include "api/freshness.h"
#include "base/json.h"
#include "page/health_view.h"

/* {"level","reasons"}: level is null while it is unknown. */
void event_json_load(struct json *json, const struct status_page *page, instant now);

/* {"status","reasons"} */
void event_json_health(struct json *json, const struct health_view *view);

/* What a status line needs: {"at","status","level","paused","engine":{state,generation},
 * "groups":{hot:{tokens,target_s,age_p50_s,age_p95_s,age_max_s,on_time_ratio,deferred},…},
 * "budgets":{refresh:{used_per_min,allowed_per_min},…},"tokens":{total,active,…}} */
void event_json_pulse(struct json *json, const struct status_page *page,
                      const struct freshness_scan *scan, instant now);

#endif
