/* Groups and budgets of the engine as JSON. */
#ifndef MOONWATCH_API_STATE_JSON_H
#define MOONWATCH_API_STATE_JSON_H

#include "api/freshness.h"
#include "base/json.h"
#include "page/status_page.h"

/* {"hot":{tokens, target_s, age_s{p50,p95,p99,max}, age_counts{step_s, counts[]}, never_refreshed,
 * share_on_time, deferred, oldest_age_s, refreshes, last_refresh_at},…} */
void json_groups(struct json *json, const struct status_page *page,
                 const struct freshness_scan *scan);

/* {"refresh":{allowed_per_minute, configured_per_minute, learned_per_minute (null: nothing below
 * the configured), used_last_minute, in_flight, deferred, latency_ms, requests, addresses,
 * addresses_per_request, paused_until},…} */
void json_budgets(struct json *json, const struct status_page *page);

/* The share of refreshes on time in the last five minutes; NaN without any. */
double group_share_on_time(const struct page_group *group);

#endif
