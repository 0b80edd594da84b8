/* From everywhere onto the status page, once a second. */
#include "engine/parts.h"

#include "base/clock.h"
#include "page/health_view.h"
#include <math.h>
#include <string.h>

_Static_assert(GROUP_COUNT <= PAGE_GROUPS, "the page has room for all groups");
_Static_assert(LANE_KIND_COUNT <= PAGE_LANES, "the page has room for all lanes");
_Static_assert(GROUP_COUNT <= PAGE_MEMBERS, "the page has a histogram for each group");
_Static_assert(LANE_KIND_COUNT <= PAGE_MEMBERS, "the page has a histogram for each lane");
_Static_assert(FEED_OUTCOME_COUNT <= PAGE_OUTCOMES, "the page has room for all outcomes");
_Static_assert(PAIR_ISSUE_COUNT <= PAGE_PAIR_ISSUES, "the page has room for all issues");
_Static_assert(SOURCE_COUNT_COUNT <= PAGE_SOURCE_COUNT, "the page has room for all counts");
_Static_assert(JOB_COUNT <= PAGE_JOBS, "the page has room for all jobs");

static void put_counter(struct engine *engine, enum counter counter, uint64_t value)
{
    page_put_word(&engine->page->counters[counter], value);
}

static void publish_groups(struct engine *engine, const struct core_stats *stats)
{
    for (int i = 0; i < GROUP_COUNT; i++) {
        const struct group_stats *from = &stats->groups[i];
        struct page_group *to = &engine->page->groups[i];
        page_put_word(&to->tokens, from->tokens);
        page_put_word(&to->refreshes, from->refreshes);
        page_put_word(&to->refreshes_on_time, from->refreshes_on_time);
        page_put_histogram(engine->page, HISTOGRAM_REFRESH_AGE, (unsigned)i, &from->ages);
        page_put_word(&to->recent, from->recent);
        page_put_word(&to->recent_on_time, from->recent_on_time);
        page_put_word(&to->target_us, (uint64_t)from->target.us);
        page_put_word(&to->last_answer_us, (uint64_t)from->last_answer_at.us);
        page_put_word(&to->oldest_age_us, (uint64_t)from->oldest_age.us);
        page_put_word(&to->deferred, from->deferred);
        page_put_word(&to->deferred_by_load, from->deferred_by_load);
        page_put_word(&to->oldest_deferred_us, (uint64_t)from->oldest_deferred_age.us);
    }
}

static void publish_lanes(struct engine *engine, const struct core_stats *stats)
{
    for (int i = 0; i < LANE_KIND_COUNT; i++) {
        const struct lane_stats *from = &stats->lanes[i];
        struct page_lane *to = &engine->page->lanes[i];
        page_put_word(&to->requests, from->requests);
        page_put_word(&to->addresses, from->addresses);
        for (int k = 0; k < FEED_OUTCOME_COUNT; k++)
            page_put_word(&to->outcomes[k], from->outcomes[k]);
        page_put_word(&to->in_flight, from->in_flight);
        page_put_bits(&to->allowed_per_minute_bits, from->allowed_per_minute);
        page_put_bits(&to->configured_per_minute_bits, from->configured_per_minute);
        page_put_bits(&to->learned_per_minute_bits, from->learned_per_minute);
        page_put_word(&to->sampled_at_us, (uint64_t)stats->sampled_at.us);
        page_put_word(&to->used_last_minute, from->used_last_minute);
        page_put_word(&to->latency_us, (uint64_t)from->latency.us);
        page_put_histogram(engine->page, HISTOGRAM_REQUEST_DURATION, (unsigned)i, &from->latencies);
        page_put_word(&to->deferred, from->deferred);
        page_put_word(&to->paused_until_us, (uint64_t)from->rest_until.us);
        for (int k = 0; k < LANE_LIMIT_COUNT; k++)
            page_put_bits(&to->capacities_bits[k], from->capacities[k]);
        page_put_word(&to->limit, from->limit);
    }
}

static void publish_jobs(struct engine *engine, const struct core_stats *stats)
{
    for (int i = 0; i < JOB_COUNT; i++) {
        page_put_word(&engine->page->jobs[i].runs, stats->jobs[i].runs);
        page_put_word(&engine->page->jobs[i].last_run_us, (uint64_t)stats->jobs[i].last_run_at.us);
        page_put_word(&engine->page->jobs[i].interval_us, (uint64_t)stats->jobs[i].interval.us);
        page_put_word(&engine->page->jobs[i].running_since_us,
                      (uint64_t)stats->jobs[i].running_since.us);
        page_put_word(&engine->page->jobs[i].overruns_in_a_row, stats->jobs[i].overruns_in_a_row);
        page_put_word(&engine->page->jobs[i].failures_in_a_row, stats->jobs[i].failures_in_a_row);
    }
}

static void publish_healing(struct engine *engine, const struct core_stats *stats)
{
    /* The feed's deadlines, and the core's own for requests that the feed has lost. */
    static const enum feed_outcome overrun[] = {FEED_CONNECT_TIMEOUT, FEED_FIRST_BYTE_TIMEOUT,
                                                FEED_TIMEOUT, FEED_CANCELLED};
    uint64_t cancelled = 0, overruns = 0;
    for (int i = 0; i < LANE_KIND_COUNT; i++)
        for (size_t k = 0; k < sizeof overrun / sizeof overrun[0]; k++)
            cancelled += stats->lanes[i].outcomes[overrun[k]];
    for (int i = 0; i < JOB_COUNT; i++)
        overruns += stats->jobs[i].overruns;
    put_counter(engine, COUNTER_REQUESTS_CANCELLED, cancelled);
    put_counter(engine, COUNTER_JOBS_RERUN, overruns);
    put_counter(engine, COUNTER_BREAKER_OPENED, stats->breaker.opens);
    page_set(engine->page, GAUGE_BREAKER, stats->breaker.state);
    page_set(engine->page, GAUGE_QUARANTINED, stats->quarantined);
}

static void publish_core(struct engine *engine)
{
    const struct core_stats *stats = core_stats(engine->core);
    publish_groups(engine, stats);
    publish_lanes(engine, stats);
    publish_jobs(engine, stats);
    put_counter(engine, COUNTER_STEPS, stats->steps);
    put_counter(engine, COUNTER_TOKENS_ADDED, stats->tokens_added);
    put_counter(engine, COUNTER_TOKENS_KNOWN, stats->tokens_known);
    put_counter(engine, COUNTER_TOKENS_REFUSED, stats->tokens_refused);
    put_counter(engine, COUNTER_SNAPSHOTS, stats->snapshots);
    put_counter(engine, COUNTER_ACTIVATED, stats->activated);
    put_counter(engine, COUNTER_DEMOTED, stats->demoted);
    put_counter(engine, COUNTER_ARCHIVED, stats->archived);
    put_counter(engine, COUNTER_REACTIVATED, stats->reactivated);
    put_counter(engine, COUNTER_TOKENS_WITHOUT_DATA, stats->without_data);
    publish_healing(engine, stats);
    health_publish(engine->page, &stats->findings);
    page_set(engine->page, GAUGE_ERRORS_LAST_HOUR, stats->errors_last_hour);
    page_set(engine->page, GAUGE_TOKENS_LAST_MINUTE, stats->tokens_last_minute);
}

static void publish_feed(struct engine *engine)
{
    struct feed_stats feed;
    const struct core_stats *stats = core_stats(engine->core);
    feed_workers_stats(engine->workers, &feed);
    put_counter(engine, COUNTER_BYTES_RECEIVED, feed.bytes_received);
    put_counter(engine, COUNTER_CONNECTIONS, feed.connections_opened);
    for (int i = 0; i < PAIR_ISSUE_COUNT; i++)
        page_put_word(&engine->page->pair_issues[i], feed.issues[i] + stats->issues[i]);
}

static void publish_store(struct engine *engine)
{
    struct writer_stats stats;
    writer_stats(engine->writer, &stats);
    put_counter(engine, COUNTER_STORE_COMMITS, stats.commits);
    page_put_histogram(engine->page, HISTOGRAM_COMMIT, 0, &stats.commits_by_duration);
    put_counter(engine, COUNTER_STORE_FAILURES, stats.failures);
    put_counter(engine, COUNTER_STORE_ROWS, stats.rows);
    put_counter(engine, COUNTER_SNAPSHOTS_DROPPED, stats.snapshots_dropped);
    put_counter(engine, COUNTER_EVENTS_DROPPED, stats.events_dropped);
    page_set(engine->page, GAUGE_STORE_QUEUE, stats.queue_depth);
    page_set(engine->page, GAUGE_STORE_DIRTY, stats.dirty_tokens);
    if (stats.commits > 0)
        page_set(engine->page, GAUGE_STORE_COMMIT_SECONDS, stats.commit_seconds_last);
    page_set(engine->page, GAUGE_STORE_SIZE, (double)stats.size_bytes);
    page_set(engine->page, GAUGE_STORE_OK, stats.state == WRITER_OK);
}

static void publish_source(struct engine *engine)
{
    struct source_stats stats;
    if (engine->source == NULL)
        return; /* it starts when all tokens are there */
    source_stats(engine->source, &stats);
    for (int i = 0; i < SOURCE_COUNT_COUNT; i++)
        page_put_word(&engine->page->source_counts[i], stats.counts[i]);
    bool is_expected = stats.state != SOURCE_NONE && stats.state != SOURCE_ENDED;
    page_set(engine->page, GAUGE_SOURCE_LIVE, is_expected ? stats.state == SOURCE_LIVE : NAN);
    if (strcmp(page_texts_now(engine->page)->source_message, stats.message) == 0)
        return;
    struct page_texts *texts = page_text_begin(engine->page);
    memcpy(texts->source_message, stats.message, sizeof texts->source_message);
    page_text_end(engine->page);
}

void engine_publish(struct engine *engine)
{
    publish_core(engine);
    publish_feed(engine);
    publish_store(engine);
    publish_source(engine);
    engine_publish_load(engine);
    engine_publish_alerts(engine);
    page_set(engine->page, GAUGE_CPU_SECONDS, duration_to_s(clock_process_cpu()));
    page_set(engine->page, GAUGE_TABLE_BYTES, (double)token_table_bytes_used(engine->memory.table));
    page_set(engine->page, GAUGE_TABLE_HUGE, (double)huge_bytes(&engine->huge));
    page_set(engine->page, GAUGE_TABLE_CAPACITY, token_table_capacity(engine->memory.table));
}

void engine_publish_options(struct engine *engine)
{
    struct page_texts *texts = page_text_begin(engine->page);
    texts->options = engine->options;
    options_forget_secrets(&texts->options); /* nobody who reads the page needs them */
    page_text_end(engine->page);
}
