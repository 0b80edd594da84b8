/* See state_json.h. */
#include "api/state_json.h"

#include "api/token_json.h"
#include "core/lane_kind.h"
#include <math.h>

_Static_assert(GROUP_COUNT == PAGE_GROUPS, "the page has a place for every group");
_Static_assert(LANE_KIND_COUNT == PAGE_LANES, "the page has a place for every lane");

double group_share_on_time(const struct page_group *group)
{
    uint64_t refreshes = page_word(&group->recent);
    return refreshes == 0 ? NAN : (double)page_word(&group->recent_on_time) / (double)refreshes;
}

static void json_ages(struct json *json, const struct group_ages *ages)
{
    json_object_open(json, "age_s");
    json_put_double(json, "p50", ages->p50_s);
    json_put_double(json, "p95", ages->p95_s);
    json_put_double(json, "p99", ages->p99_s);
    json_put_double(json, "max", ages->max_s);
    json_object_close(json);
}

static void json_age_steps(struct json *json, const struct group_ages *ages)
{
    json_object_open(json, "age_counts");
    json_put_double(json, "step_s", ages->step_s);
    json_array_open(json, "counts");
    for (unsigned i = 0; i < AGE_STEPS; i++)
        json_put_int(json, NULL, ages->steps[i]);
    json_array_close(json);
    json_object_close(json);
}

static void json_group(struct json *json, const char *name, const struct page_group *group,
                       const struct group_ages *ages)
{
    json_object_open(json, name);
    json_put_int(json, "tokens", ages->tokens);
    json_put_double(json, "target_s", (double)page_word(&group->target_us) / 1e6);
    json_ages(json, ages);
    json_age_steps(json, ages);
    json_put_int(json, "never_refreshed", ages->never);
    json_put_double(json, "share_on_time", group_share_on_time(group));
    json_put_int(json, "deferred", (int64_t)page_word(&group->deferred));
    json_put_double(json, "oldest_age_s", (double)page_word(&group->oldest_age_us) / 1e6);
    json_put_int(json, "refreshes", (int64_t)page_word(&group->refreshes));
    json_instant(json, "last_refresh_at", (instant){(int64_t)page_word(&group->last_answer_us)});
    json_object_close(json);
}

void json_groups(struct json *json, const struct status_page *page,
                 const struct freshness_scan *scan)
{
    json_object_open(json, "groups");
    for (int i = 0; i < GROUP_COUNT; i++)
        json_group(json, token_group_name((enum token_group)i), &page->groups[i], &scan->groups[i]);
    json_object_close(json);
}

static void json_budget(struct json *json, const char *name, const struct page_lane *lane)
{
    uint64_t requests = page_word(&lane->requests), addresses = page_word(&lane->addresses);
    json_object_open(json, name);
    json_put_double(json, "allowed_per_minute", page_bits(&lane->allowed_per_minute_bits));
    json_put_double(json, "configured_per_minute", page_bits(&lane->configured_per_minute_bits));
    json_put_double(json, "learned_per_minute", page_bits(&lane->learned_per_minute_bits));
    json_put_int(json, "used_last_minute", (int64_t)page_word(&lane->used_last_minute));
    json_put_int(json, "in_flight", (int64_t)page_word(&lane->in_flight));
    json_put_int(json, "deferred", (int64_t)page_word(&lane->deferred));
    json_put_double(json, "latency_ms", (double)page_word(&lane->latency_us) / 1e3);
    json_put_int(json, "requests", (int64_t)requests);
    json_put_int(json, "addresses", (int64_t)addresses);
    json_put_double(json, "addresses_per_request",
                    requests > 0 ? (double)addresses / (double)requests : NAN);
    json_instant(json, "paused_until", (instant){(int64_t)page_word(&lane->paused_until_us)});
    json_object_close(json);
}

void json_budgets(struct json *json, const struct status_page *page)
{
    json_object_open(json, "budgets");
    for (int i = 0; i < LANE_KIND_COUNT; i++)
        json_budget(json, lane_kind_name((enum lane_kind)i), &page->lanes[i]);
    json_object_close(json);
}
