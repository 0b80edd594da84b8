/*
 * GET /health/resources: what there is of CPU, memory, disk and descriptors, and how much of it is
 * in use. GET /health/priority: what the load leaves of the work, and what waits because of it.
 */
#include "api/handlers.h"
#include "api/health_json.h"
#include "api/load_json.h"
#include "api/token_json.h"
#include "core/core.h"
#include "page/load_view.h"
#include <math.h>

#define MIB 1048576.0

/* ---- /health/resources ---- */

static void json_reading(const struct health_page *look, const char *key, unsigned reading,
                         double factor)
{
    json_put_double(look->json, key, load_reading(look->page, reading, look->now) * factor);
}

static void json_memory(const struct health_page *look)
{
    json_object_open(look->json, "memory");
    json_reading(look, "usage_mb", READING_OWN_MEMORY, 1 / MIB);
    json_put_double(look->json, "usage_percent",
                    load_signal_percent(look->page, SIGNAL_MEMORY, look->now));
    json_reading(look, "machine_percent", READING_MEMORY, 100);
    json_reading(look, "cgroup_percent", READING_CGROUP_MEMORY, 100);
    json_reading(look, "limit_mb", READING_MEMORY_LIMIT, 1 / MIB);
    json_object_close(look->json);
}

static void json_cpu(const struct health_page *look)
{
    json_object_open(look->json, "cpu");
    json_put_double(look->json, "usage_percent",
                    load_signal_percent(look->page, SIGNAL_CPU, look->now));
    json_reading(look, "machine_percent", READING_CPU, 100);
    json_reading(look, "cgroup_percent", READING_CGROUP_CPU, 100);
    json_reading(look, "own_percent", READING_OWN_CPU, 100);
    json_reading(look, "wait_percent", READING_WAIT, 100);
    json_reading(look, "cores", READING_CORES, 1);
    json_reading(look, "engine_cores", READING_ENGINE_CPU, 1);
    json_object_close(look->json);
}

static void json_disk(const struct health_page *look)
{
    json_object_open(look->json, "disk");
    json_reading(look, "usage_percent", READING_DISK, 100);
    json_reading(look, "free_mb", READING_DISK_FREE, 1 / MIB);
    json_object_close(look->json);
    json_object_open(look->json, "file_descriptors");
    json_reading(look, "open", READING_DESCRIPTORS, 1);
    json_reading(look, "max", READING_DESCRIPTORS_MAX, 1);
    json_object_close(look->json);
}

static void json_pressure(const struct health_page *look, const char *key, unsigned first)
{
    json_object_open(look->json, key);
    json_reading(look, "cpu_percent", first, 100);
    json_reading(look, "memory_percent", first + 1, 100);
    json_reading(look, "io_percent", first + 2, 100);
    json_object_close(look->json);
}

static void json_own(const struct health_page *look)
{
    json_object_open(look->json, "pressure");
    json_pressure(look, "machine", READING_CPU_PRESSURE);
    json_pressure(look, "cgroup", READING_CGROUP_CPU_PRESSURE);
    json_object_close(look->json);
    json_reading(look, "loop_lag_ms", READING_LAG, 1000);
    json_object_open(look->json, "store");
    json_reading(look, "queue_percent", READING_STORE_FILL, 100);
    json_reading(look, "commit_ms", READING_STORE_COMMIT, 1000);
    json_object_close(look->json);
    json_object_open(look->json, "upstream");
    json_reading(look, "latency_ms", READING_LATENCY, 1000);
    json_reading(look, "refused_percent", READING_REFUSED, 100);
    json_object_close(look->json);
    json_put_int(look->json, "unreadable",
                 (int64_t)page_word(&look->page->counters[COUNTER_LOAD_UNREADABLE]));
}

void json_resources(const struct health_page *look)
{
    json_memory(look);
    json_cpu(look);
    json_disk(look);
    json_own(look);
}

void handle_resources(struct request *request)
{
    answer_health(request, COMPONENT_BIT(COMPONENT_RESOURCES), json_resources);
}

/* ---- /health/priority ---- */

static void json_signals(const struct health_page *look)
{
    json_object_open(look->json, "signals");
    for (int i = 0; i < LOAD_SIGNAL_COUNT; i++) {
        enum load_signal_id signal = (enum load_signal_id)i;
        json_object_open(look->json, load_signal_name(signal));
        json_put_string(look->json, "level",
                        load_level_name(load_signal_level(look->page, signal)));
        json_put_double(look->json, "percent", load_signal_percent(look->page, signal, look->now));
        json_instant(look->json, "since",
                     (instant){(int64_t)page_word(&look->page->load.signals[i].since_us)});
        json_object_close(look->json);
    }
    json_object_close(look->json);
}

static void json_capacity(struct json *json, const struct page_lane *lane)
{
    uint64_t limit = page_word(&lane->limit);
    json_object_open(json, "per_minute"); /* null: that bounds nothing */
    for (int i = 0; i < LANE_LIMIT_COUNT; i++)
        json_put_double(json, lane_limit_name((enum lane_limit)i),
                        page_bits(&lane->capacities_bits[i]) * 60);
    json_object_close(json);
    json_put_string(json, "limited_by", lane_limit_name((enum lane_limit)limit));
    json_put_double(json, "allowed_per_minute", page_bits(&lane->allowed_per_minute_bits));
    json_put_int(json, "used_last_minute", (int64_t)page_word(&lane->used_last_minute));
    json_put_int(json, "deferred", (int64_t)page_word(&lane->deferred));
}

static void json_capacities(const struct health_page *look)
{
    json_object_open(look->json, "capacity");
    for (int i = 0; i < LANE_KIND_COUNT; i++) {
        json_object_open(look->json, lane_kind_name((enum lane_kind)i));
        json_capacity(look->json, &look->page->lanes[i]);
        json_object_close(look->json);
    }
    json_object_close(look->json);
}

static void json_features(const struct health_page *look)
{
    json_array_open(look->json, "features");
    for (unsigned i = 0; i < LOAD_FEATURE_COUNT; i++) {
        enum load_feature feature = (enum load_feature)i;
        json_object_open(look->json, NULL);
        json_put_string(look->json, "name", load_feature_name(feature));
        json_put_bool(look->json, "on", !load_feature_is_off(look->page, feature));
        json_put_string(look->json, "off_means", load_feature_sentence(feature));
        json_object_close(look->json);
    }
    json_array_close(look->json);
}

static void json_deferred(const struct health_page *look)
{
    json_object_open(look->json, "groups");
    for (int i = 0; i < GROUP_COUNT; i++) {
        const struct page_group *group = &look->page->groups[i];
        uint64_t oldest = page_word(&group->oldest_deferred_us);
        json_object_open(look->json, token_group_name((enum token_group)i));
        json_put_int(look->json, "deferred", (int64_t)page_word(&group->deferred));
        json_put_int(look->json, "deferred_by_load", (int64_t)page_word(&group->deferred_by_load));
        json_put_double(look->json, "oldest_deferred_age_s",
                        oldest == 0 ? NAN : (double)oldest / 1e6);
        json_object_close(look->json);
    }
    json_object_close(look->json);
}

static void json_priority(const struct health_page *look)
{
    json_load(look->json, look->page, look->now);
    json_signals(look);
    json_capacities(look);
    json_features(look);
    json_deferred(look);
    json_object_open(look->json, "priority");
    json_put_double(look->json, "high", look->texts->options.priority_high);
    json_put_double(look->json, "low", look->texts->options.priority_low);
    json_object_close(look->json);
    json_put_double(look->json, "token_cpu_us", page_get(look->page, GAUGE_TOKEN_COST) * 1e6);
}

void handle_priority(struct request *request)
{
    answer_health(request, COMPONENT_BIT(COMPONENT_RESOURCES) | COMPONENT_BIT(COMPONENT_SCHEDULER),
                  json_priority);
}
