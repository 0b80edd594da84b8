/* GET /health/feeds: the upstream, how requests to it ended, and the source of new tokens. */
#include "api/handlers.h"
#include "api/health_json.h"
#include "api/state_json.h"
#include "api/token_json.h"
#include "core/core.h"
#include "feed/source.h"
#include <math.h>

/* From the feed's list, without linking the feed. */
static const char *const frame_names[] = {
#define X(id, name) [id] = name,
    SOURCE_COUNT_LIST(X)
#undef X
};

static void json_outcomes(const struct health_page *look)
{
    json_object_open(look->json, "outcomes");
    for (int i = 0; i < LANE_KIND_COUNT; i++) {
        json_object_open(look->json, lane_kind_name((enum lane_kind)i));
        for (int k = 0; k < FEED_OUTCOME_COUNT; k++)
            json_put_int(look->json, feed_outcome_name((enum feed_outcome)k),
                         (int64_t)page_word(&look->page->lanes[i].outcomes[k]));
        json_object_close(look->json);
    }
    json_object_close(look->json);
}

static void json_issues(const struct health_page *look)
{
    json_object_open(look->json, "pair_issues");
    for (int i = 0; i < PAIR_ISSUE_COUNT; i++)
        json_put_int(look->json, pair_issue_name((enum pair_issue)i),
                     (int64_t)page_word(&look->page->pair_issues[i]));
    json_object_close(look->json);
}

static void json_source(const struct health_page *look)
{
    double live = page_get(look->page, GAUGE_SOURCE_LIVE);
    json_object_open(look->json, "source");
    if (isnan(live))
        json_put_null(look->json, "live");
    else
        json_put_bool(look->json, "live", live != 0);
    json_text(look->json, "message", look->texts->source_message);
    json_object_open(look->json, "frames");
    for (int i = 0; i < SOURCE_COUNT_COUNT; i++)
        json_put_int(look->json, frame_names[i], (int64_t)page_word(&look->page->source_counts[i]));
    json_object_close(look->json);
    json_object_close(look->json);
}

void json_feeds(const struct health_page *look)
{
    double breaker = page_get(look->page, GAUGE_BREAKER);
    json_put_string(look->json, "breaker",
                    isnan(breaker) ? NULL : breaker_state_name((enum breaker_state)breaker));
    json_text(look->json, "message", look->texts->feed_message);
    json_put_double(look->json, "errors_last_hour", page_get(look->page, GAUGE_ERRORS_LAST_HOUR));
    json_budgets(look->json, look->page);
    json_outcomes(look);
    json_issues(look);
    json_source(look);
}

void handle_feeds(struct request *request)
{
    answer_health(request, COMPONENT_BIT(COMPONENT_FEEDS) | COMPONENT_BIT(COMPONENT_SOURCE),
                  json_feeds);
}
