#include "api/metric_values.h"

#include "feed/source.h"
#include <assert.h>
#include <math.h>

_Static_assert(FEED_OUTCOME_COUNT <= PAGE_OUTCOMES, "the page has a place for every outcome");
_Static_assert(PAIR_ISSUE_COUNT <= PAGE_PAIR_ISSUES, "the page has a place for every issue");
_Static_assert((int)SOURCE_COUNT_COUNT <= PAGE_SOURCE_COUNT,
               "the page has a place for every count");

/* ---- dimensions ---- */

static const char *const version_names[] = {MOONWATCH_VERSION};
static const char *const statistic_names[] = {"median", "p95", "p99", "max"};
_Static_assert(sizeof statistic_names / sizeof statistic_names[0] == STATISTIC_COUNT, "all named");

/* From the feed's list, without linking the feed. */
static const char *const frame_names[] = {
#define X(id, name) [id] = name,
    SOURCE_COUNT_LIST(X)
#undef X
};

#define X(code, name, member) name,
static const char *const slot_state_names[] = {SLOT_STATE_LIST(X)};
static const char *const lease_move_names[] = {LEASE_MOVE_LIST(X)};
static const char *const order_end_names[] = {ORDER_END_LIST(X)};
#undef X

#define X(code, label, count, name)                                                                \
    static const char *name_##code(unsigned i)                                                     \
    {                                                                                              \
        return name;                                                                               \
    }
DIMENSION_LIST(X)
#undef X

static const struct {
    const char *label;
    unsigned count;
    const char *(*name)(unsigned i);
} dimensions[] = {[BY_NOTHING] = {NULL, 1, NULL},
#define X(code, label, count, name) [code] = {label, (count), name_##code},
                  DIMENSION_LIST(X)
#undef X
};

const char *dimension_label(enum dimension dimension)
{
    assert((unsigned)dimension < DIMENSION_COUNT);
    return dimensions[dimension].label;
}

unsigned dimension_count(enum dimension dimension)
{
    assert((unsigned)dimension < DIMENSION_COUNT);
    return dimensions[dimension].count;
}

const char *dimension_name(enum dimension dimension, unsigned i)
{
    assert(dimension != BY_NOTHING && i < dimension_count(dimension));
    return dimensions[dimension].name(i);
}

/* ---- values ---- */

#define UNUSED __attribute__((unused))
#define VALUE(name, expression)                                                                    \
    double metric_##name(const struct metric_view *view UNUSED, unsigned i UNUSED,                 \
                         unsigned j UNUSED)                                                        \
    {                                                                                              \
        return expression;                                                                         \
    }

/* 0: not found. */
static double severity_of(const struct findings *findings, enum finding_cause cause)
{
    double worst = 0;
    for (uint32_t i = 0; i < findings->count; i++)
        if (findings->of[i].cause == cause)
            worst = fmax(worst, findings->of[i].severity + 1);
    return worst;
}

static double seconds(const _Atomic uint64_t *us)
{
    return (double)page_word(us) / 1e6;
}

static double number(const _Atomic uint64_t *word)
{
    return (double)page_word(word);
}

/* Where 0 stands for what is not known, or has not happened. */
static double known(const _Atomic uint64_t *word)
{
    return page_word(word) == 0 ? NAN : number(word);
}

static double not_negative(double value)
{
    return value < 0 ? NAN : value;
}

static double statistic_of(const struct group_ages *ages, enum statistic statistic)
{
    const double of[] = {[STATISTIC_MEDIAN] = ages->p50_s,
                         [STATISTIC_P95] = ages->p95_s,
                         [STATISTIC_P99] = ages->p99_s,
                         [STATISTIC_MAX] = ages->max_s};
    return of[statistic];
}

/* Before its first run a job counts from a time of its own choice, for when that is due. */
static double last_run_of(const struct page_job *job)
{
    return page_word(&job->runs) == 0 ? NAN : seconds(&job->last_run_us);
}

/* Those that were ever started: a part of another process is none. */
static double of_process(const struct metric_view *view, unsigned process, double value)
{
    return page_word(&view->page->processes[process].starts) == 0 ? NAN : value;
}

/* Of a daemon that is alone nothing of nodes is known. */
static double of_node(const struct metric_view *view, double value)
{
    return view->cluster->state == NODE_ALONE ? NAN : value;
}

static double lease_left_s(const struct metric_view *view)
{
    double left_s = duration_to_s(instant_diff(view->cluster->valid_until, view->now));
    return instant_is_never(view->cluster->valid_until) ? 0 : fmax(0, left_s);
}

static double own_capacity(const struct page_cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->count; i++)
        if (cluster->members[i].is_self != 0)
            return cluster->members[i].capacity;
    return NAN;
}

#define X(code, name, member) (double)cluster->member,
static double slots_of(const struct page_cluster *cluster, unsigned i)
{
    return (const double[]){SLOT_STATE_LIST(X)}[i];
}

static double moves_of(const struct page_cluster *cluster, unsigned i)
{
    return (const double[]){LEASE_MOVE_LIST(X)}[i];
}

static double orders_of(const struct page_cluster *cluster, unsigned i)
{
    return (const double[]){ORDER_END_LIST(X)}[i];
}
#undef X

VALUE(counter, number(&view->page->counters[i]))
VALUE(gauge, page_get(view->page, (enum gauge)i))
VALUE(reading, page_bits(&view->page->load.readings_bits[i]))

/* By group. */
VALUE(group_refreshes, number(&view->page->groups[i].refreshes))
VALUE(group_on_time, number(&view->page->groups[i].refreshes_on_time))
VALUE(group_target, seconds(&view->page->groups[i].target_us))
VALUE(group_last, known(&view->page->groups[i].last_answer_us) / 1e6)
VALUE(group_oldest, seconds(&view->page->groups[i].oldest_age_us))
VALUE(group_deferred, number(&view->page->groups[i].deferred))
VALUE(group_deferred_by_load, number(&view->page->groups[i].deferred_by_load))
VALUE(group_oldest_deferred, seconds(&view->page->groups[i].oldest_deferred_us))
VALUE(group_tokens, view->scan->groups[i].tokens)
VALUE(status_tokens, view->scan->statuses[i])

VALUE(group_age, statistic_of(&view->scan->groups[i], (enum statistic)j))

/* By lane. */
VALUE(lane_requests, number(&view->page->lanes[i].requests))
VALUE(lane_outcome, number(&view->page->lanes[i].outcomes[j]))
VALUE(lane_addresses, number(&view->page->lanes[i].addresses))
VALUE(lane_latency, seconds(&view->page->lanes[i].latency_us))
VALUE(lane_in_flight, number(&view->page->lanes[i].in_flight))
VALUE(lane_allowed, page_bits(&view->page->lanes[i].allowed_per_minute_bits) / 60)
VALUE(lane_configured, page_bits(&view->page->lanes[i].configured_per_minute_bits) / 60)
VALUE(lane_learned, page_bits(&view->page->lanes[i].learned_per_minute_bits) / 60)
VALUE(lane_used, number(&view->page->lanes[i].used_last_minute) / 60)
VALUE(lane_deferred, number(&view->page->lanes[i].deferred))
VALUE(lane_capacity, page_bits(&view->page->lanes[i].capacities_bits[j])) /* ∞: it bounds nothing */

VALUE(pair_issues, number(&view->page->pair_issues[i]))
VALUE(source_frames, number(&view->page->source_counts[i]))

/* Load. */
VALUE(signal_level, number(&view->page->load.signals[i].level))
VALUE(feature_off, (double)(page_word(&view->page->load.features_off) >> i & 1))

/* Alerts. */
VALUE(sink_is_on, number(&view->page->sinks[i].is_on))
VALUE(sink_delivered, number(&view->page->sinks[i].delivered))
VALUE(sink_failed, number(&view->page->sinks[i].failed))
VALUE(sink_refused, number(&view->page->sinks[i].refused))
VALUE(sink_waiting, number(&view->page->sinks[i].waiting))

/* Forecasts. */
VALUE(vital_state, number(&view->page->vitals[i].state))
VALUE(vital_value, page_bits(&view->page->vitals[i].value_bits))
VALUE(vital_threshold, page_bits(&view->page->vitals[i].threshold_bits))
VALUE(vital_level, page_bits(&view->page->vitals[i].level_bits))
VALUE(vital_slope, page_bits(&view->page->vitals[i].slope_bits))
VALUE(vital_anomaly, page_bits(&view->page->vitals[i].anomaly_bits))
VALUE(vital_eta, page_bits(&view->page->vitals[i].eta_bits))
VALUE(vital_confidence, page_bits(&view->page->vitals[i].confidence_bits))
VALUE(vital_hits, number(&view->page->vitals[i].hits))
VALUE(vital_false, number(&view->page->vitals[i].false_alarms))
VALUE(vital_missed, number(&view->page->vitals[i].missed))
VALUE(vital_lead, page_bits(&view->page->vitals[i].median_lead_bits))

/* Logs. */
VALUE(log_lines, number(&view->page->log.next))
VALUE(log_lines_lost, number(&view->page->log.lost))

/* The engine. */
VALUE(is_paused, number(&view->page->is_paused))
VALUE(health, view->health->health)
VALUE(component_health, health_of(view->health, 1U << i).health)
VALUE(finding_severity, severity_of(&view->health->findings, (enum finding_cause)i))
VALUE(job_runs, number(&view->page->jobs[i].runs))
VALUE(job_last_run, last_run_of(&view->page->jobs[i]))
VALUE(job_interval, seconds(&view->page->jobs[i].interval_us))

/* Processes. */
VALUE(one, 1)
VALUE(process_up,
      of_process(view, i, page_word(&view->page->processes[i].state) == PROCESS_RUNNING))
VALUE(process_starts, of_process(view, i, number(&view->page->processes[i].starts)))
VALUE(process_resident, of_process(view, i, known(&view->page->processes[i].resident_bytes)))
VALUE(heartbeat_age, not_negative(page_beat_age_s(view->page, (enum beat)i, view->now)))

/* Nodes. */
VALUE(node_state, of_node(view, view->cluster->state == i + 1))
VALUE(node_members, of_node(view, view->cluster->count))
VALUE(node_slots, of_node(view, slots_of(view->cluster, i)))
VALUE(node_unowned, of_node(view, view->cluster->unowned))
VALUE(node_tokens, of_node(view, (double)view->cluster->own))
VALUE(node_capacity, of_node(view, own_capacity(view->cluster)))
VALUE(node_source, of_node(view, view->cluster->holds_source))
VALUE(node_lease_left, of_node(view, lease_left_s(view)))
VALUE(node_exchanges, of_node(view, (double)view->cluster->exchanges))
VALUE(node_failures, of_node(view, (double)view->cluster->failures))
VALUE(node_lapses, of_node(view, (double)view->cluster->lapses))
VALUE(node_moves, of_node(view, moves_of(view->cluster, i)))
VALUE(node_behind, of_node(view, view->cluster->behind_s))
VALUE(node_followed, of_node(view, (double)view->cluster->followed))
VALUE(node_ignored, of_node(view, (double)view->cluster->ignored))
VALUE(node_fenced, of_node(view, (double)view->cluster->fenced))
VALUE(node_orders, of_node(view, orders_of(view->cluster, i)))
VALUE(node_clock, of_node(view, cluster_clock_off_s(view->cluster)))
