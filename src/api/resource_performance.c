/* GET /health/performance: how much is done, how fast, and how late. */
#include "api/handlers.h"
#include "api/health_json.h"
#include "api/state_json.h"
#include "core/core.h"
#include "page/load_view.h"

static void json_requests(const struct health_page *look)
{
    json_object_open(look->json, "requests");
    for (int i = 0; i < LANE_KIND_COUNT; i++) {
        const struct page_lane *lane = &look->page->lanes[i];
        json_object_open(look->json, lane_kind_name((enum lane_kind)i));
        json_put_int(look->json, "last_minute", (int64_t)page_word(&lane->used_last_minute));
        json_put_double(look->json, "allowed_per_minute",
                        page_bits(&lane->allowed_per_minute_bits));
        json_put_double(look->json, "latency_ms", (double)page_word(&lane->latency_us) / 1e3);
        json_object_close(look->json);
    }
    json_object_close(look->json);
}

static void json_punctuality(const struct health_page *look)
{
    json_object_open(look->json, "share_on_time");
    for (int i = 0; i < GROUP_COUNT; i++)
        json_put_double(look->json, token_group_name((enum token_group)i),
                        group_share_on_time(&look->page->groups[i]));
    json_object_close(look->json);
}

void json_performance(const struct health_page *look)
{
    json_put_double(look->json, "tokens_per_minute",
                    page_get(look->page, GAUGE_TOKENS_LAST_MINUTE));
    json_put_double(look->json, "errors_last_hour", page_get(look->page, GAUGE_ERRORS_LAST_HOUR));
    json_requests(look);
    json_punctuality(look);
    json_put_double(look->json, "loop_lag_ms",
                    load_reading(look->page, READING_LAG, look->now) * 1e3);
    json_put_double(look->json, "token_cpu_us", page_get(look->page, GAUGE_TOKEN_COST) * 1e6);
    json_put_double(look->json, "commit_ms",
                    page_get(look->page, GAUGE_STORE_COMMIT_SECONDS) * 1e3);
}

void handle_performance(struct request *request)
{
    answer_health(request,
                  COMPONENT_BIT(COMPONENT_SCHEDULER) | COMPONENT_BIT(COMPONENT_FEEDS) |
                      COMPONENT_BIT(COMPONENT_RESOURCES) | COMPONENT_BIT(COMPONENT_FORECAST),
                  json_performance);
}
