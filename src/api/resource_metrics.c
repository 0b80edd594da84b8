/*
 * GET /metrics: Prometheus' text format, version 0.0.4
 * (https://prometheus.io/docs/instrumenting/exposition_formats/). Counters and gauges come from the
 * lists of the status page; the labelled families from the arrays beside them. What nobody has set
 * yet is left out.
 */
#include "api/answer.h"
#include "api/aside.h"
#include "api/freshness.h"
#include "api/handlers.h"
#include "api/page_view.h"
#include "base/clock.h"
#include "base/json.h"
#include "core/core.h"
#include "core/outcome.h"
#include "feed/source.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define PREFIX          "moonwatch_"
#define BEAT_LABEL_SIZE 64

_Static_assert(FEED_OUTCOME_COUNT <= PAGE_OUTCOMES, "the page has a place for every outcome");
_Static_assert(PAIR_ISSUE_COUNT <= PAGE_PAIR_ISSUES, "the page has a place for every issue");
_Static_assert((int)SOURCE_COUNT_COUNT <= PAGE_SOURCE_COUNT,
               "the page has a place for every count");

static void head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP " PREFIX "%s %s\n# TYPE " PREFIX "%s %s\n", name, help, name, type);
}

static void number(FILE *out, double value)
{
    char text[32];
    json_number_format(value, text);
    fprintf(out, " %s\n", text);
}

static void write_lists(FILE *out, const struct status_page *page)
{
    for (enum counter i = 0; i < COUNTER_COUNT; i++) {
        head(out, counter_name(i), "counter", counter_help(i));
        fprintf(out, PREFIX "%s %" PRIu64 "\n", counter_name(i), page_word(&page->counters[i]));
    }
    for (enum gauge i = 0; i < GAUGE_COUNT; i++) {
        double value = page_get(page, i);
        if (!isfinite(value))
            continue;
        head(out, gauge_name(i), "gauge", gauge_help(i));
        fprintf(out, PREFIX "%s", gauge_name(i));
        number(out, value);
    }
}

/* What the load is judged by. */
static void write_readings(FILE *out, const struct status_page *page)
{
    for (unsigned i = 0; i < LOAD_READING_COUNT; i++) {
        char name[64];
        double value = page_bits(&page->load.readings_bits[i]);
        if (!isfinite(value))
            continue;
        snprintf(name, sizeof name, "load_%s", load_reading_name(i));
        head(out, name, "gauge", load_reading_help(i));
        fprintf(out, PREFIX "%s", name);
        number(out, value);
    }
}

static void write_signals(FILE *out, const struct status_page *page)
{
    head(out, "load_signal_level", "gauge", "Load signals: 0 normal, 1 reduced, 2 minimal");
    for (int i = 0; i < LOAD_SIGNAL_COUNT; i++)
        fprintf(out, PREFIX "load_signal_level{signal=\"%s\"} %" PRIu64 "\n",
                load_signal_name((enum load_signal_id)i), page_word(&page->load.signals[i].level));
    head(out, "load_feature_off", "gauge", "1 while an optional feature is off because of load");
    for (unsigned i = 0; i < LOAD_FEATURE_COUNT; i++)
        fprintf(out, PREFIX "load_feature_off{feature=\"%s\"} %d\n",
                load_feature_name((enum load_feature)i),
                (int)(page_word(&page->load.features_off) >> i & 1));
}

/* ---- families by group ---- */

struct group_family {
    const char *name, *type, *help;
    double (*value)(const struct page_group *group);
};

static double group_refreshes(const struct page_group *group)
{
    return (double)page_word(&group->refreshes);
}

static double group_on_time(const struct page_group *group)
{
    return (double)page_word(&group->refreshes_on_time);
}

static double group_target(const struct page_group *group)
{
    return (double)page_word(&group->target_us) / 1e6;
}

static double group_deferred(const struct page_group *group)
{
    return (double)page_word(&group->deferred);
}

static double group_deferred_by_load(const struct page_group *group)
{
    return (double)page_word(&group->deferred_by_load);
}

static double group_oldest_deferred(const struct page_group *group)
{
    return (double)page_word(&group->oldest_deferred_us) / 1e6;
}

static double group_oldest(const struct page_group *group)
{
    return (double)page_word(&group->oldest_age_us) / 1e6;
}

static double group_last(const struct page_group *group)
{
    uint64_t last = page_word(&group->last_answer_us);
    return last == 0 ? NAN : (double)last / 1e6;
}

static const struct group_family group_families[] = {
    {"refreshes_total", "counter", "Answers with data about a token", group_refreshes},
    {"refreshes_on_time_total", "counter", "Of these, within 1.1 times the target of the last",
     group_on_time},
    {"refresh_target_seconds", "gauge", "Target age", group_target},
    {"tokens_deferred", "gauge", "Tokens past their target and not sent", group_deferred},
    {"tokens_deferred_by_load", "gauge", "Of these, not because of the upstream's limit",
     group_deferred_by_load},
    {"oldest_deferred_age_seconds", "gauge", "Age of the oldest of them; 0 without any",
     group_oldest_deferred},
    {"oldest_age_seconds", "gauge", "Age of the oldest, at the engine's last sample", group_oldest},
    {"last_refresh_timestamp_seconds", "gauge", "Last answer with data, Unix time", group_last},
};

static void write_group_families(FILE *out, const struct status_page *page)
{
    for (size_t i = 0; i < sizeof group_families / sizeof group_families[0]; i++) {
        const struct group_family *family = &group_families[i];
        head(out, family->name, family->type, family->help);
        for (int group = 0; group < GROUP_COUNT; group++) {
            double value = family->value(&page->groups[group]);
            if (!isfinite(value))
                continue;
            fprintf(out, PREFIX "%s{group=\"%s\"}", family->name,
                    token_group_name((enum token_group)group));
            number(out, value);
        }
    }
}

static void write_age(FILE *out, int group, const char *quantile, double value)
{
    if (!isfinite(value))
        return;
    fprintf(out, PREFIX "token_age_seconds{group=\"%s\",quantile=\"%s\"}",
            token_group_name((enum token_group)group), quantile);
    number(out, value);
}

static void write_scan(FILE *out, const struct freshness_scan *scan)
{
    head(out, "tokens", "gauge", "Tokens by status");
    for (int i = 0; i < TOKEN_STATUS_COUNT; i++)
        fprintf(out, PREFIX "tokens{status=\"%s\"} %" PRIu32 "\n",
                token_status_name((enum token_status)i), scan->statuses[i]);
    head(out, "group_tokens", "gauge", "Tokens by group");
    for (int i = 0; i < GROUP_COUNT; i++)
        fprintf(out, PREFIX "group_tokens{group=\"%s\"} %" PRIu32 "\n",
                token_group_name((enum token_group)i), scan->groups[i].tokens);
    head(out, "token_age_seconds", "gauge", "Ages of tokens now; quantile 1 is the oldest");
    for (int i = 0; i < GROUP_COUNT; i++) {
        write_age(out, i, "0.5", scan->groups[i].p50_s);
        write_age(out, i, "0.95", scan->groups[i].p95_s);
        write_age(out, i, "0.99", scan->groups[i].p99_s);
        write_age(out, i, "1", scan->groups[i].max_s);
    }
}

/* ---- families by lane ---- */

struct lane_family {
    const char *name, *type, *help;
    double (*value)(const struct page_lane *lane);
};

static double lane_addresses(const struct page_lane *lane)
{
    return (double)page_word(&lane->addresses);
}

static double lane_in_flight(const struct page_lane *lane)
{
    return (double)page_word(&lane->in_flight);
}

static double lane_allowed(const struct page_lane *lane)
{
    return page_bits(&lane->allowed_per_minute_bits);
}

static double lane_configured(const struct page_lane *lane)
{
    return page_bits(&lane->configured_per_minute_bits);
}

static double lane_learned(const struct page_lane *lane)
{
    return page_bits(&lane->learned_per_minute_bits);
}

static double lane_used(const struct page_lane *lane)
{
    return (double)page_word(&lane->used_last_minute);
}

static double lane_latency(const struct page_lane *lane)
{
    return (double)page_word(&lane->latency_us) / 1e6;
}

static double lane_deferred(const struct page_lane *lane)
{
    return (double)page_word(&lane->deferred);
}

static const struct lane_family lane_families[] = {
    {"request_addresses_total", "counter", "Addresses asked for in these requests", lane_addresses},
    {"requests_in_flight", "gauge", "Requests under way", lane_in_flight},
    {"requests_allowed_per_minute", "gauge", "The budget in force", lane_allowed},
    {"limit_configured_per_minute", "gauge", "The limit as configured, less the headroom",
     lane_configured},
    {"limit_learned_per_minute", "gauge",
     "The upstream's own limit as far as it was refused; absent while nothing below the configured "
     "one is known",
     lane_learned},
    {"requests_used_last_minute", "gauge", "Requests sent in the last minute", lane_used},
    {"request_latency_seconds", "gauge", "From sending to the last byte, smoothed", lane_latency},
    {"lane_deferred_tokens", "gauge", "Tokens of the lane past their target and not sent",
     lane_deferred},
};

static void write_lane_families(FILE *out, const struct status_page *page)
{
    for (size_t i = 0; i < sizeof lane_families / sizeof lane_families[0]; i++) {
        const struct lane_family *family = &lane_families[i];
        head(out, family->name, family->type, family->help);
        for (int lane = 0; lane < LANE_KIND_COUNT; lane++) {
            double value = family->value(&page->lanes[lane]);
            if (!isfinite(value))
                continue;
            fprintf(out, PREFIX "%s{kind=\"%s\"}", family->name,
                    lane_kind_name((enum lane_kind)lane));
            number(out, value);
        }
    }
}

static void write_capacities(FILE *out, const struct status_page *page)
{
    head(out, "lane_capacity_per_second", "gauge",
         "Requests a second that a bound allows; none: it does not bound this kind");
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++)
        for (int limit = 0; limit < LANE_LIMIT_COUNT; limit++) {
            double value = page_bits(&page->lanes[lane].capacities_bits[limit]);
            if (!isfinite(value))
                continue;
            fprintf(out, PREFIX "lane_capacity_per_second{kind=\"%s\",limit=\"%s\"}",
                    lane_kind_name((enum lane_kind)lane), lane_limit_name((enum lane_limit)limit));
            number(out, value);
        }
}

static void write_requests(FILE *out, const struct status_page *page)
{
    head(out, "requests_sent_total", "counter", "Requests sent to the upstream");
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++)
        fprintf(out, PREFIX "requests_sent_total{kind=\"%s\"} %" PRIu64 "\n",
                lane_kind_name((enum lane_kind)lane), page_word(&page->lanes[lane].requests));
    head(out, "requests_total", "counter", "Requests to the upstream by how they ended");
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++) {
        for (int outcome = 0; outcome < FEED_OUTCOME_COUNT; outcome++)
            fprintf(out, PREFIX "requests_total{kind=\"%s\",outcome=\"%s\"} %" PRIu64 "\n",
                    lane_kind_name((enum lane_kind)lane),
                    feed_outcome_name((enum feed_outcome)outcome),
                    page_word(&page->lanes[lane].outcomes[outcome]));
    }
}

/* From the feed's list, without linking the feed. */
static const char *const source_count_names[] = {
#define X(id, name) [id] = name,
    SOURCE_COUNT_LIST(X)
#undef X
};

static void write_counts(FILE *out, const struct status_page *page)
{
    head(out, "pair_issues_total", "counter", "What was wrong with pairs in answers");
    for (int i = 0; i < PAIR_ISSUE_COUNT; i++)
        fprintf(out, PREFIX "pair_issues_total{issue=\"%s\"} %" PRIu64 "\n",
                pair_issue_name((enum pair_issue)i), page_word(&page->pair_issues[i]));
    head(out, "source_frames_total", "counter", "What became of the source's frames");
    for (int i = 0; i < SOURCE_COUNT_COUNT; i++)
        fprintf(out, PREFIX "source_frames_total{kind=\"%s\"} %" PRIu64 "\n", source_count_names[i],
                page_word(&page->source_counts[i]));
}

/* ---- processes ---- */

struct process_family {
    const char *name, *type, *help;
    double (*value)(const struct page_process *process);
};

static double process_up(const struct page_process *process)
{
    return page_word(&process->state) == PROCESS_RUNNING;
}

static double process_starts(const struct page_process *process)
{
    return (double)page_word(&process->starts);
}

static double process_resident(const struct page_process *process)
{
    uint64_t bytes = page_word(&process->resident_bytes);
    return bytes == 0 ? NAN : (double)bytes;
}

static const struct process_family process_families[] = {
    {"process_up", "gauge", "1 while the process is at work", process_up},
    {"process_starts_total", "counter", "Times the process was started", process_starts},
    {"process_resident_bytes", "gauge", "Memory of the process", process_resident},
};

/* Those that were ever started: a part of another process is none. */
static void write_processes(FILE *out, const struct status_page *page)
{
    for (size_t i = 0; i < sizeof process_families / sizeof process_families[0]; i++) {
        const struct process_family *family = &process_families[i];
        head(out, family->name, family->type, family->help);
        for (int id = 0; id < PROCESS_COUNT; id++) {
            double value = family->value(&page->processes[id]);
            if (page_word(&page->processes[id].starts) == 0 || !isfinite(value))
                continue;
            fprintf(out, PREFIX "%s{process=\"%s\"}", family->name,
                    process_name((enum page_process_id)id));
            number(out, value);
        }
    }
}

/* "engine_loop": scripts split lines at spaces. */
static const char *beat_label(enum beat beat, char out[BEAT_LABEL_SIZE])
{
    snprintf(out, BEAT_LABEL_SIZE, "%s", beat_name(beat));
    for (char *at = out; *at != '\0'; at++)
        *at = *at == ' ' ? '_' : *at;
    return out;
}

static void write_beats(FILE *out, const struct status_page *page, instant now)
{
    head(out, "heartbeat_age_seconds", "gauge", "Since a thread that must move last did");
    for (int beat = 0; beat < BEAT_COUNT; beat++) {
        double age = page_beat_age_s(page, (enum beat)beat, now);
        char label[BEAT_LABEL_SIZE];
        if (age < 0)
            continue;
        fprintf(out, PREFIX "heartbeat_age_seconds{thread=\"%s\"}",
                beat_label((enum beat)beat, label));
        number(out, age);
    }
}

static void show_metrics(struct request *request)
{
    struct api *api = request->api;
    const struct status_page *page = api->world.page;
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    if (out == NULL) {
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
        return;
    }
    write_lists(out, page);
    write_scan(out, freshness_look(api->freshness, api->world.table, page, clock_now()));
    write_group_families(out, page);
    write_requests(out, page);
    write_lane_families(out, page);
    write_capacities(out, page);
    write_readings(out, page);
    write_signals(out, page);
    write_counts(out, page);
    write_processes(out, page);
    write_beats(out, page, clock_now());
    if (fclose(out) == 0)
        answer_text(request, MHD_HTTP_OK, "text/plain; version=0.0.4; charset=utf-8", text, length);
    else
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
    free(text);
}

void handle_metrics(struct request *request)
{
    aside_handle(request->api->scans, request, show_metrics);
}
