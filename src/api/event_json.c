/* See event_json.h. */
#include "api/event_json.h"

#include "api/health_json.h"
#include "api/state_json.h"
#include "api/token_json.h"
#include "core/lane_kind.h"
#include "page/load_view.h"
#include <math.h>

static void json_level(struct json *json, const struct status_page *page, instant now)
{
    bool is_known = load_is_known(page, now);
    json_put_string(json, "level", is_known ? load_level_name(load_level_now(page)) : NULL);
}

void event_json_load(struct json *json, const struct status_page *page, instant now)
{
    char why[LOAD_WHY_SIZE];
    load_why(page, now, why);
    json_object_open(json, NULL);
    json_level(json, page, now);
    json_array_open(json, "reasons");
    json_put_string(json, NULL, why);
    json_array_close(json);
    json_object_close(json);
}

void event_json_health(struct json *json, const struct health_view *view)
{
    json_object_open(json, NULL);
    json_put_string(json, "status", health_name(view->health));
    json_reasons_of(json, &view->findings);
    json_object_close(json);
}

/* ---- the pulse ---- */

static void json_engine(struct json *json, const struct status_page *page)
{
    double generation = page_get(page, GAUGE_GENERATION);
    json_object_open(json, "engine");
    json_put_string(
        json, "state",
        process_state_name((enum process_state)page_word(&page->processes[PROCESS_ENGINE].state)));
    json_put_double(json, "generation", generation);
    json_object_close(json);
}

static void json_pulse_group(struct json *json, const struct page_group *group,
                             const struct group_ages *ages)
{
    json_put_int(json, "tokens", ages->tokens);
    json_put_double(json, "target_s", (double)page_word(&group->target_us) / 1e6);
    json_put_double(json, "age_p50_s", ages->p50_s);
    json_put_double(json, "age_p95_s", ages->p95_s);
    json_put_double(json, "age_max_s", ages->max_s);
    json_put_double(json, "on_time_ratio", group_share_on_time(group));
    json_put_int(json, "deferred", (int64_t)page_word(&group->deferred));
}

static void json_pulse_groups(struct json *json, const struct status_page *page,
                              const struct freshness_scan *scan)
{
    json_object_open(json, "groups");
    for (int i = 0; i < GROUP_COUNT; i++) {
        json_object_open(json, token_group_name((enum token_group)i));
        json_pulse_group(json, &page->groups[i], &scan->groups[i]);
        json_object_close(json);
    }
    json_object_close(json);
}

static void json_pulse_budgets(struct json *json, const struct status_page *page)
{
    json_object_open(json, "budgets");
    for (int i = 0; i < LANE_KIND_COUNT; i++) {
        const struct page_lane *lane = &page->lanes[i];
        json_object_open(json, lane_kind_name((enum lane_kind)i));
        json_put_int(json, "used_per_min", (int64_t)page_word(&lane->used_last_minute));
        json_put_double(json, "allowed_per_min", page_bits(&lane->allowed_per_minute_bits));
        json_object_close(json);
    }
    json_object_close(json);
}

static void json_pulse_tokens(struct json *json, const struct freshness_scan *scan)
{
    json_object_open(json, "tokens");
    json_put_int(json, "total", scan->tokens);
    for (int i = 0; i < TOKEN_STATUS_COUNT; i++)
        json_put_int(json, token_status_name((enum token_status)i), scan->statuses[i]);
    json_object_close(json);
}

void event_json_pulse(struct json *json, const struct status_page *page,
                      const struct freshness_scan *scan, instant now)
{
    struct health_view view;
    health_look(page, now, &view);
    json_object_open(json, NULL);
    json_instant(json, "at", now);
    json_put_string(json, "status", health_name(view.health));
    json_level(json, page, now);
    json_put_bool(json, "paused", page_word(&page->is_paused) != 0);
    json_engine(json, page);
    json_pulse_groups(json, page, scan);
    json_pulse_budgets(json, page);
    json_pulse_tokens(json, scan);
    json_object_close(json);
}
