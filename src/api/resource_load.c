/*
 * GET /health/resources: what there is of CPU, memory, disk and descriptors, and how much of it is
 * in use. GET /health/priority: what the load leaves of the work, and what waits because of it.
 *
 * A signal over its first limit is an alert. That the machine is busy while we keep up is worth
 * knowing and nothing worse: it degrades nothing of ours.
 */
#include "api/answer.h"
#include "api/handlers.h"
#include "api/load_json.h"
#include "api/page_view.h"
#include "api/token_json.h"
#include "base/clock.h"
#include "core/core.h"
#include "page/load_view.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#define MIB 1048576.0

/* ---- alerts ---- */

struct look {
    struct json *json;
    const struct status_page *page;
    instant now;
};

/* What is to be said of a signal, and how bad its highest level is. */
static const struct alert_kind {
    enum load_signal_id signal;
    enum health worst;
    const char *message;
} alert_kinds[] = {
    {SIGNAL_CPU, HEALTH_DEGRADED, "the machine's CPU, or the cgroup's, is nearly used up"},
    {SIGNAL_MEMORY, HEALTH_CRITICAL, "memory is nearly used up"},
    {SIGNAL_DISK, HEALTH_CRITICAL, "the disk of the database is nearly full: history is shortened"},
    {SIGNAL_DESCRIPTORS, HEALTH_CRITICAL, "a process of ours is about to run out of descriptors"},
    {SIGNAL_STRAIN, HEALTH_CRITICAL, "the engine does not keep up: work is shed"},
    {SIGNAL_STORE, HEALTH_CRITICAL, "the store falls behind: history is about to be dropped"},
};
#define ALERT_KINDS (sizeof alert_kinds / sizeof alert_kinds[0])

static enum health health_of(const struct look *look, const struct alert_kind *kind)
{
    enum load_level level = load_signal_level(look->page, kind->signal);
    if (kind->signal == SIGNAL_CPU && load_keeps_up(look->page))
        return HEALTH_HEALTHY;
    if (level == LOAD_NORMAL)
        return HEALTH_HEALTHY;
    return level == LOAD_MINIMAL ? kind->worst : HEALTH_DEGRADED;
}

static void json_alert_head(struct json *json, const char *level, const char *message,
                            const char *component, instant since)
{
    char correlation[96];
    snprintf(correlation, sizeof correlation, "load-%s-%" PRId64, component, since.us);
    json_put_string(json, "level", level);
    json_put_string(json, "message", message);
    json_put_string(json, "component", component);
    json_instant(json, "timestamp", since);
    json_put_string(json, "correlation_id", correlation);
}

static void json_alert(const struct look *look, const struct alert_kind *kind)
{
    struct json *json = look->json;
    const struct page_signal *signal = &look->page->load.signals[kind->signal];
    instant since = {(int64_t)page_word(&signal->since_us)};
    bool is_critical = health_of(look, kind) == HEALTH_CRITICAL;
    json_object_open(json, NULL);
    json_alert_head(json, is_critical ? "critical" : "warning", kind->message,
                    load_signal_name(kind->signal), since);
    json_object_open(json, "context");
    json_put_string(json, "level", load_level_name(load_signal_level(look->page, kind->signal)));
    json_put_double(json, "percent", load_signal_percent(look->page, kind->signal, look->now));
    json_object_close(json);
    json_object_close(json);
}

static void json_alert_of_silence(const struct look *look)
{
    char why[LOAD_WHY_SIZE];
    load_why(look->page, look->now, why);
    json_object_open(look->json, NULL);
    json_alert_head(look->json, "warning", why, "load",
                    (instant){(int64_t)page_word(&look->page->load.sampled_at_us)});
    json_object_open(look->json, "context");
    json_object_close(look->json);
    json_object_close(look->json);
}

/* "alerts", and "status": the worst of them. What nobody looks at is no sign of health. */
static void json_health(const struct look *look)
{
    bool is_known = load_is_known(look->page, look->now);
    enum health worst = is_known ? HEALTH_HEALTHY : HEALTH_DEGRADED;
    json_array_open(look->json, "alerts");
    if (!is_known)
        json_alert_of_silence(look);
    for (size_t i = 0; i < ALERT_KINDS && is_known; i++) {
        enum health health = health_of(look, &alert_kinds[i]);
        worst = health > worst ? health : worst;
        if (load_signal_level(look->page, alert_kinds[i].signal) > LOAD_NORMAL)
            json_alert(look, &alert_kinds[i]);
    }
    json_array_close(look->json);
    json_put_string(look->json, "status", health_name(worst));
}

/* ---- /health/resources ---- */

static void json_reading(const struct look *look, const char *key, unsigned reading, double factor)
{
    json_put_double(look->json, key, load_reading(look->page, reading, look->now) * factor);
}

static void json_memory(const struct look *look)
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

static void json_cpu(const struct look *look)
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

static void json_disk(const struct look *look)
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

static void json_pressure(const struct look *look, const char *key, unsigned first)
{
    json_object_open(look->json, key);
    json_reading(look, "cpu_percent", first, 100);
    json_reading(look, "memory_percent", first + 1, 100);
    json_reading(look, "io_percent", first + 2, 100);
    json_object_close(look->json);
}

static void json_own(const struct look *look)
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

void handle_resources(struct request *request)
{
    struct json json = {0};
    struct look look = {&json, request->api->world.page, clock_now()};
    json_object_open(&json, NULL);
    json_health(&look);
    json_memory(&look);
    json_cpu(&look);
    json_disk(&look);
    json_own(&look);
    json_instant(&json, "last_check",
                 (instant){(int64_t)page_word(&look.page->load.sampled_at_us)});
    json_object_close(&json);
    answer_json(request, MHD_HTTP_OK, &json);
}

/* ---- /health/priority ---- */

static void json_signals(const struct look *look)
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

static void json_capacities(const struct look *look)
{
    json_object_open(look->json, "capacity");
    for (int i = 0; i < LANE_KIND_COUNT; i++) {
        json_object_open(look->json, lane_kind_name((enum lane_kind)i));
        json_capacity(look->json, &look->page->lanes[i]);
        json_object_close(look->json);
    }
    json_object_close(look->json);
}

static void json_features(const struct look *look)
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

static void json_deferred(const struct look *look)
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

void handle_priority(struct request *request)
{
    struct page_texts texts;
    if (!page_view(request, &texts))
        return;
    struct json json = {0};
    struct look look = {&json, request->api->world.page, clock_now()};
    json_object_open(&json, NULL);
    json_health(&look);
    json_load(&json, look.page, look.now);
    json_signals(&look);
    json_capacities(&look);
    json_features(&look);
    json_deferred(&look);
    json_object_open(&json, "priority");
    json_put_double(&json, "high", texts.options.priority_high);
    json_put_double(&json, "low", texts.options.priority_low);
    json_object_close(&json);
    json_put_double(&json, "token_cpu_us", page_get(look.page, GAUGE_TOKEN_COST) * 1e6);
    json_object_close(&json);
    answer_json(request, MHD_HTTP_OK, &json);
}
