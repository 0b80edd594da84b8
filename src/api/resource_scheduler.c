/* GET /health/scheduler: the groups, what is answered, and the jobs. */
#include "api/handlers.h"
#include "api/health_json.h"
#include "api/token_json.h"
#include "core/core.h"
#include <math.h>

/* `lane` is the one that serves the group. */
static void json_group(const struct health_page *look, enum token_group group, enum lane_kind lane)
{
    const struct page_group *from = &look->page->groups[group];
    uint64_t latency_us = page_word(&look->page->lanes[lane].latency_us); /* 0: unknown */
    json_object_open(look->json, group == GROUP_HOT ? "hot_group" : "cold_group");
    json_instant(look->json, "last_run", (instant){(int64_t)page_word(&from->last_answer_us)});
    json_put_double(look->json, "interval_seconds", (double)page_word(&from->target_us) / 1e6);
    json_put_double(look->json, "average_processing_time",
                    latency_us > 0 ? (double)latency_us / 1e6 : NAN);
    json_put_int(look->json, "executions_count",
                 (int64_t)page_word(&look->page->lanes[lane].requests));
    json_put_int(look->json, "tokens", (int64_t)page_word(&from->tokens));
    json_put_double(look->json, "oldest_age_seconds",
                    (double)page_word(&from->oldest_age_us) / 1e6);
    json_put_int(look->json, "refreshes", (int64_t)page_word(&from->refreshes));
    json_object_close(look->json);
}

static unsigned count_of(const struct findings *findings, enum finding_cause cause)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < findings->count; i++)
        count += findings->of[i].cause == cause;
    return count;
}

static void json_totals(const struct health_page *look)
{
    unsigned active = 0;
    for (int i = 0; i < JOB_COUNT; i++)
        active += page_word(&look->page->jobs[i].running_since_us) != 0;
    json_object_open(look->json, "performance");
    json_put_double(look->json, "tokens_per_minute",
                    page_get(look->page, GAUGE_TOKENS_LAST_MINUTE));
    json_put_double(look->json, "total_errors_last_hour",
                    page_get(look->page, GAUGE_ERRORS_LAST_HOUR));
    json_put_int(look->json, "active_jobs", active);
    json_put_int(look->json, "stuck_jobs", count_of(&look->health.findings, FINDING_JOB_STUCK));
    json_object_close(look->json);
}

static void json_job(const struct health_page *look, enum job job)
{
    const struct page_job *from = &look->page->jobs[job];
    uint64_t interval_us = page_word(&from->interval_us);
    uint64_t runs = page_word(&from->runs);
    json_object_open(look->json, job_name(job));
    json_put_int(look->json, "runs", (int64_t)runs);
    json_instant(look->json, "last_run",
                 runs > 0 ? (instant){(int64_t)page_word(&from->last_run_us)} : INSTANT_NEVER);
    json_put_double(look->json, "interval_seconds",
                    interval_us > 0 ? (double)interval_us / 1e6 : NAN);
    json_instant(look->json, "running_since",
                 (instant){(int64_t)page_word(&from->running_since_us)});
    json_put_int(look->json, "overruns_in_a_row", (int64_t)page_word(&from->overruns_in_a_row));
    json_put_int(look->json, "failures_in_a_row", (int64_t)page_word(&from->failures_in_a_row));
    json_object_close(look->json);
}

void json_scheduler(const struct health_page *look)
{
    json_put_bool(look->json, "enabled", look->texts->options.scheduler_enabled);
    json_put_bool(look->json, "paused", page_word(&look->page->is_paused) != 0);
    json_group(look, GROUP_HOT, LANE_REFRESH);
    json_group(look, GROUP_COLD, LANE_SCREEN);
    json_totals(look);
    json_object_open(look->json, "jobs");
    for (int job = 0; job < JOB_COUNT; job++)
        json_job(look, (enum job)job);
    json_object_close(look->json);
}

void handle_scheduler(struct request *request)
{
    answer_health(request, COMPONENT_BIT(COMPONENT_SCHEDULER) | COMPONENT_BIT(COMPONENT_JOBS),
                  json_scheduler);
}
