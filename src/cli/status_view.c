/* See status_view.h. */
#include "cli/status_view.h"

#include "cli/figures.h"
#include "cli/terminal.h"
#include "core/core.h"
#include "page/health_view.h"
#include "page/load_view.h"
#include <math.h>

#define NAME_WIDTH 12

static double seconds_since(const _Atomic uint64_t *at_us, instant now)
{
    uint64_t at = page_word(at_us);
    return at == 0 ? NAN : duration_to_s(instant_diff(now, (instant){(int64_t)at}));
}

static double share_of(uint64_t part, uint64_t whole)
{
    return whole == 0 ? NAN : (double)part / (double)whole;
}

/* ---- for a person ---- */

static void print_cell(FILE *out, const char *text, size_t width)
{
    size_t used = terminal_columns(text);
    for (; used < width; used++)
        fputc(' ', out);
    fputs(text, out);
    fputs("  ", out);
}

static void print_heading(FILE *out, const char *title, const char *const columns[], size_t width)
{
    struct terminal_style style = terminal_style(out);
    fprintf(out, "\n%s%-*s%s", style.bold, NAME_WIDTH, title, style.end);
    fputs(style.dim, out);
    for (; *columns != NULL; columns++)
        print_cell(out, *columns, width);
    fprintf(out, "%s\n", style.end);
}

static void print_process(FILE *out, const struct status_page *page, unsigned i, instant now)
{
    const struct page_process *process = &page->processes[i];
    enum process_state state = (enum process_state)page_word(&process->state);
    struct terminal_style style = terminal_style(out);
    char number[32], span[32];
    bool is_well = state == PROCESS_RUNNING;
    fprintf(out, "  %-*s%s", NAME_WIDTH - 2, process_name((enum page_process_id)i),
            is_well ? style.green : style.yellow);
    print_cell(out, process_state_name(state), 10);
    fputs(style.end, out);
    snprintf(number, sizeof number, "%llu", (unsigned long long)page_word(&process->pid));
    print_cell(out, page_word(&process->pid) == 0 ? "–" : number, 10);
    print_cell(out, figure_span(seconds_since(&process->started_at_us, now), span), 10);
    snprintf(number, sizeof number, "%llu", (unsigned long long)page_word(&process->starts));
    print_cell(out, number, 10);
    snprintf(number, sizeof number, "%llu",
             (unsigned long long)page_word(&process->deaths_last_hour));
    print_cell(out, number, 10);
    snprintf(number, sizeof number, "%.1f MB", (double)page_word(&process->resident_bytes) / 1e6);
    print_cell(out, page_word(&process->resident_bytes) == 0 ? "–" : number, 10);
    fputc('\n', out);
}

static void print_processes(FILE *out, const struct status_page *page, instant now)
{
    static const char *const columns[] = {"state",    "pid",    "since", "starts",
                                          "deaths/h", "memory", NULL};
    print_heading(out, "Processes", columns, 10);
    for (unsigned i = PROCESS_SUPERVISOR; i < PROCESS_COUNT; i++)
        print_process(out, page, i, now);
}

static void print_group(FILE *out, const struct status_page *page, unsigned i, instant now)
{
    const struct page_group *group = &page->groups[i];
    char text[32];
    double on_time = share_of(page_word(&group->recent_on_time), page_word(&group->recent));
    fprintf(out, "  %-*s", NAME_WIDTH - 2, token_group_name((enum token_group)i));
    snprintf(text, sizeof text, "%llu", (unsigned long long)page_word(&group->tokens));
    print_cell(out, text, 10);
    print_cell(out, figure_span((double)page_word(&group->target_us) / 1e6, text), 10);
    print_cell(out, figure_span((double)page_word(&group->oldest_age_us) / 1e6, text), 10);
    snprintf(text, sizeof text, "%.1f %%", on_time * 100);
    print_cell(out, isnan(on_time) ? "–" : text, 10);
    snprintf(text, sizeof text, "%llu", (unsigned long long)page_word(&group->deferred));
    print_cell(out, text, 10);
    print_cell(out, figure_span(seconds_since(&group->last_answer_us, now), text), 10);
    fputc('\n', out);
}

static void print_groups(FILE *out, const struct status_page *page, instant now)
{
    static const char *const columns[] = {"tokens",   "target",   "oldest", "on time",
                                          "deferred", "last one", NULL};
    print_heading(out, "Groups", columns, 10);
    for (unsigned i = 0; i < GROUP_COUNT; i++)
        print_group(out, page, i, now);
}

static void print_lanes(FILE *out, const struct status_page *page, instant now)
{
    static const char *const columns[] = {"allowed/min", "learned", "used/min",   "in flight",
                                          "latency",     "resting", "limited by", NULL};
    print_heading(out, "Budgets", columns, 11);
    for (unsigned i = 0; i < LANE_KIND_COUNT; i++) {
        const struct page_lane *lane = &page->lanes[i];
        char text[32];
        double rest = -seconds_since(&lane->paused_until_us, now);
        fprintf(out, "  %-*s", NAME_WIDTH - 2, lane_kind_name((enum lane_kind)i));
        print_cell(out, figure_rate(page_bits(&lane->allowed_per_minute_bits), text), 11);
        print_cell(out, figure_rate(page_bits(&lane->learned_per_minute_bits), text), 11);
        snprintf(text, sizeof text, "%llu", (unsigned long long)page_word(&lane->used_last_minute));
        print_cell(out, text, 11);
        snprintf(text, sizeof text, "%llu", (unsigned long long)page_word(&lane->in_flight));
        print_cell(out, text, 11);
        snprintf(text, sizeof text, "%.0f ms", (double)page_word(&lane->latency_us) / 1000);
        print_cell(out, text, 11);
        print_cell(out, figure_span(rest > 0 ? rest : NAN, text), 11);
        print_cell(out, lane_limit_name((enum lane_limit)page_word(&lane->limit)), 11);
        fputc('\n', out);
    }
}

static void print_load(FILE *out, const struct status_page *page, instant now)
{
    static const char *const columns[] = {"CPU", "ours", "memory", "disk", "lag", "descr.", NULL};
    char why[LOAD_WHY_SIZE], text[32];
    print_heading(out, "Load", columns, 10);
    bool is_known = load_is_known(page, now);
    fprintf(out, "  %-*s", NAME_WIDTH - 2,
            is_known ? load_level_name(load_level_now(page)) : "unknown");
    print_cell(out, figure_percent(load_signal_percent(page, SIGNAL_CPU, now) / 100, text), 10);
    print_cell(out, figure_percent(load_reading(page, READING_OWN_CPU, now), text), 10);
    print_cell(out, figure_percent(load_signal_percent(page, SIGNAL_MEMORY, now) / 100, text), 10);
    print_cell(out, figure_percent(load_reading(page, READING_DISK, now), text), 10);
    snprintf(text, sizeof text, "%.0f ms", load_reading(page, READING_LAG, now) * 1000);
    print_cell(out, is_known ? text : "–", 10);
    snprintf(text, sizeof text, "%.0f", load_reading(page, READING_DESCRIPTORS, now));
    print_cell(out, isnan(load_reading(page, READING_DESCRIPTORS, now)) ? "–" : text, 10);
    load_why(page, now, why);
    fprintf(out, "\n  %s\n", why);
}

static void print_message(FILE *out, const char *title, const char *text)
{
    struct terminal_style style = terminal_style(out);
    if (text[0] == '\0')
        return;
    fprintf(out, "  %-*s%s", NAME_WIDTH - 2, title, style.yellow);
    terminal_write(out, text);
    fprintf(out, "%s\n", style.end);
}

/* ---- nodes ---- */

static void print_name(FILE *out, const char *name)
{
    size_t used = terminal_columns(name);
    fputs("  ", out);
    terminal_write(out, name);
    for (; used < NAME_WIDTH - 2; used++)
        fputc(' ', out);
}

static void print_member(FILE *out, const struct page_cluster *cluster, uint32_t i)
{
    const struct page_node *member = &cluster->members[i];
    struct terminal_style style = terminal_style(out);
    char text[32];
    print_name(out, member->name[0] != '\0' ? member->name : "?");
    snprintf(text, sizeof text, "%u", member->slots);
    print_cell(out, text, 10);
    snprintf(text, sizeof text, "%u", member->capacity);
    print_cell(out, text, 10);
    print_cell(out, figure_percent(cluster_share(cluster, i), text), 10);
    print_cell(out, figure_span(member->silent_s, text), 10);
    snprintf(text, sizeof text, "%+.3f s", member->clock_offset_s);
    print_cell(out, isnan(member->clock_offset_s) ? "–" : text, 10);
    fprintf(out, "%s%s%s%s%s\n", style.dim, member->is_self != 0 ? "this one " : "",
            cluster->source == i ? "has the source " : "", member->is_leaving != 0 ? "leaves " : "",
            style.end);
}

static void print_lease(FILE *out, const struct page_cluster *cluster, instant now)
{
    struct terminal_style style = terminal_style(out);
    enum node_state state = (enum node_state)cluster->state;
    double left_s = duration_to_s(instant_diff(cluster->valid_until, now));
    char text[32];
    print_name(out, "");
    fprintf(out, "%s%s%s, %u slots, lease time ",
            state == NODE_WORKING ? style.green : style.yellow, node_state_name(state), style.end,
            cluster->mine);
    if (left_s > 0)
        fprintf(out, "%s of %g s; ", figure_span(left_s, text), cluster->lease_s);
    else
        fputs("over; ", out);
    fprintf(out, "follows %s behind; ", figure_span(cluster->behind_s, text));
    fprintf(out, "%llu of %llu exchanges failed\n", (unsigned long long)cluster->failures,
            (unsigned long long)cluster->exchanges);
    if (cluster->free > 0 && cluster->state != NODE_JOINING) {
        print_name(out, "");
        fprintf(out, "%s%u slots are nobody's, the longest for %s%s\n", style.yellow, cluster->free,
                figure_span(cluster->free_s, text), style.end);
    }
}

static void print_nodes(FILE *out, const struct page_cluster *cluster, instant now)
{
    static const char *const columns[] = {"slots", "tokens/s", "share", "renewed", "clock", NULL};
    print_heading(out, "Nodes", columns, 10);
    for (uint32_t i = 0; i < cluster->count; i++)
        print_member(out, cluster, i);
    print_lease(out, cluster, now);
    print_message(out, "database", cluster->message);
}

/* Of a daemon that is alone there is nothing to say. */
static void print_cluster(FILE *out, const struct status_page *page, instant now)
{
    static struct page_cluster cluster;
    if (cluster_read(page, &cluster) && cluster.state != NODE_ALONE)
        print_nodes(out, &cluster, now);
}

/* ---- the rest ---- */

static void print_suspects(FILE *out, const struct status_page *page, instant now)
{
    for (size_t i = 0; i < SUSPECTS_MAX; i++) {
        const struct suspect *row = &page->suspects.rows[i];
        uint32_t state = atomic_load_explicit(&row->state, memory_order_acquire);
        char mint[ADDRESS_TEXT_MAX + 1], span[32];
        if (state == SUSPECT_NONE)
            continue;
        address_format(&row->mint, mint);
        double left = duration_to_s(instant_diff((instant){atomic_load(&row->until_us)}, now));
        fprintf(out, "  %-*s%s, in hand at %u death%s%s%s\n", NAME_WIDTH - 2,
                suspect_state_name((enum suspect_state)state), mint, row->deaths,
                row->deaths == 1 ? "" : "s", state == SUSPECT_QUARANTINED ? ", for another " : "",
                state == SUSPECT_QUARANTINED ? figure_span(left, span) : "");
    }
}

static void print_notes(FILE *out, const struct status_page *page, instant now)
{
    static const char *const nothing[] = {NULL};
    static struct page_texts texts;
    bool has_suspects = suspects_count(&page->suspects, SUSPECT_NONE) < SUSPECTS_MAX;
    bool is_paused = page_word(&page->is_paused) != 0;
    if (!page_read_texts(page, &texts))
        return;
    if (!has_suspects && !is_paused && texts.options.scheduler_enabled &&
        texts.store_message[0] == '\0' && texts.feed_message[0] == '\0')
        return;
    print_heading(out, "Notes", nothing, 0);
    if (!texts.options.scheduler_enabled)
        print_message(out, "scheduler", "off (scheduler_enabled = false): nothing is fetched");
    if (is_paused)
        print_message(out, "scheduler", "paused: nothing is fetched; moonwatch ctl resume");
    print_message(out, "feed", texts.feed_message);
    print_message(out, "store", texts.store_message);
    print_suspects(out, page, now);
}

/* What is wrong, the worst first, and what to do about it. */
static void print_findings(FILE *out, const struct findings *findings, enum severity severity)
{
    struct terminal_style style = terminal_style(out);
    for (uint32_t i = 0; i < findings->count; i++) {
        char text[FINDING_TEXT_SIZE], advice[FINDING_TEXT_SIZE];
        if (findings->of[i].severity != severity)
            continue;
        finding_text(&findings->of[i], text);
        finding_advice(&findings->of[i], advice);
        fprintf(out, "  %-*s%s%s%s\n", NAME_WIDTH - 2, severity_name(severity),
                severity > SEVERITY_INFO ? style.yellow : "", text, style.end);
        if (severity > SEVERITY_INFO)
            fprintf(out, "  %-*s%s%s%s\n", NAME_WIDTH - 2, "", style.dim, advice, style.end);
    }
}

static void print_health(FILE *out, const struct status_page *page, instant now)
{
    struct terminal_style style = terminal_style(out);
    struct health_view view;
    health_look(page, now, &view);
    fprintf(out, "\n%s%-*s%s%s%s%s\n", style.bold, NAME_WIDTH, "Health", style.end,
            view.health == HEALTH_HEALTHY ? style.green : style.yellow, health_name(view.health),
            style.end);
    for (int severity = SEVERITY_CRITICAL; severity >= SEVERITY_INFO; severity--)
        print_findings(out, &view.findings, (enum severity)severity);
}

void status_print(FILE *out, const struct status_page *page, instant now)
{
    print_health(out, page, now);
    print_processes(out, page, now);
    print_groups(out, page, now);
    print_lanes(out, page, now);
    print_load(out, page, now);
    print_cluster(out, page, now);
    print_notes(out, page, now);
    uint64_t incident = page_word(&page->incident);
    if (incident != 0)
        fprintf(out, "\n  %llu incident%s so far; moonwatch ctl incidents tells of them.\n",
                (unsigned long long)incident, incident == 1 ? "" : "s");
    fputc('\n', out);
}

/* ---- for scripts ---- */

static void json_processes(struct json *json, const struct status_page *page, instant now)
{
    json_array_open(json, "processes");
    for (unsigned i = PROCESS_SUPERVISOR; i < PROCESS_COUNT; i++) {
        const struct page_process *process = &page->processes[i];
        json_object_open(json, NULL);
        json_put_string(json, "name", process_name((enum page_process_id)i));
        json_put_string(json, "state",
                        process_state_name((enum process_state)page_word(&process->state)));
        json_put_int(json, "pid", (int64_t)page_word(&process->pid));
        json_put_int(json, "starts", (int64_t)page_word(&process->starts));
        /* The engine's is the store's, which outlives daemons; others count from 1. */
        json_put_double(json, "generation",
                        i == PROCESS_ENGINE ? page_get(page, GAUGE_GENERATION)
                                            : (double)page_word(&process->starts));
        json_put_double(json, "uptime_s", seconds_since(&process->started_at_us, now));
        json_put_double(json, "ready_s", seconds_since(&process->ready_at_us, now));
        json_put_int(json, "deaths_last_hour", (int64_t)page_word(&process->deaths_last_hour));
        json_put_double(json, "next_start_s", -seconds_since(&process->next_start_at_us, now));
        json_put_int(json, "resident_bytes", (int64_t)page_word(&process->resident_bytes));
        json_object_close(json);
    }
    json_array_close(json);
}

static void json_groups_of(struct json *json, const struct status_page *page)
{
    json_object_open(json, "groups");
    for (unsigned i = 0; i < GROUP_COUNT; i++) {
        const struct page_group *group = &page->groups[i];
        json_object_open(json, token_group_name((enum token_group)i));
        json_put_int(json, "tokens", (int64_t)page_word(&group->tokens));
        json_put_double(json, "target_s", (double)page_word(&group->target_us) / 1e6);
        json_put_double(json, "oldest_age_s", (double)page_word(&group->oldest_age_us) / 1e6);
        json_put_double(json, "on_time",
                        share_of(page_word(&group->recent_on_time), page_word(&group->recent)));
        json_put_int(json, "deferred", (int64_t)page_word(&group->deferred));
        json_put_int(json, "deferred_by_load", (int64_t)page_word(&group->deferred_by_load));
        json_put_int(json, "refreshes", (int64_t)page_word(&group->refreshes));
        json_object_close(json);
    }
    json_object_close(json);
}

static void json_budgets_of(struct json *json, const struct status_page *page)
{
    json_object_open(json, "budgets");
    for (unsigned i = 0; i < LANE_KIND_COUNT; i++) {
        const struct page_lane *lane = &page->lanes[i];
        json_object_open(json, lane_kind_name((enum lane_kind)i));
        json_put_double(json, "allowed_per_minute", page_bits(&lane->allowed_per_minute_bits));
        json_put_double(json, "configured_per_minute",
                        page_bits(&lane->configured_per_minute_bits));
        json_put_double(json, "learned_per_minute", page_bits(&lane->learned_per_minute_bits));
        json_put_int(json, "used_last_minute", (int64_t)page_word(&lane->used_last_minute));
        json_put_int(json, "requests", (int64_t)page_word(&lane->requests));
        json_put_int(json, "in_flight", (int64_t)page_word(&lane->in_flight));
        json_put_double(json, "latency_s", (double)page_word(&lane->latency_us) / 1e6);
        json_put_string(json, "limited_by",
                        lane_limit_name((enum lane_limit)page_word(&lane->limit)));
        json_object_close(json);
    }
    json_object_close(json);
}

static void json_readings(struct json *json, const struct status_page *page, instant now)
{
    char why[LOAD_WHY_SIZE];
    load_why(page, now, why);
    json_put_string(json, "level",
                    load_is_known(page, now) ? load_level_name(load_level_now(page)) : NULL);
    json_put_string(json, "why", why);
    json_put_double(json, "scale", load_scale_now(page));
    json_put_string(json, "deferral", load_deferral_name(load_deferral_now(page)));
    json_put_int(json, "features_off", load_features_off(page));
    json_object_open(json, "readings");
    for (unsigned i = 0; i < LOAD_READING_COUNT; i++)
        json_put_double(json, load_reading_name(i), load_reading(page, i, now));
    json_object_close(json);
}

static void json_numbers(struct json *json, const struct status_page *page, instant now)
{
    static const enum gauge load[] = {GAUGE_CPU_SECONDS, GAUGE_LOOP_LAG,
                                      GAUGE_STORE_QUEUE, GAUGE_STORE_DIRTY,
                                      GAUGE_TABLE_BYTES, GAUGE_STORE_COMMIT_SECONDS,
                                      GAUGE_STORE_SIZE,  GAUGE_BREAKER};
    json_object_open(json, "load");
    for (size_t i = 0; i < sizeof load / sizeof load[0]; i++)
        json_put_double(json, gauge_name(load[i]), page_get(page, load[i]));
    json_readings(json, page, now);
    json_object_close(json);
    json_object_open(json, "counters");
    for (int i = 0; i < COUNTER_COUNT; i++)
        json_put_int(json, counter_name((enum counter)i), (int64_t)page_word(&page->counters[i]));
    json_object_close(json);
}

static void json_suspects(struct json *json, const struct status_page *page)
{
    json_array_open(json, "suspects");
    for (size_t i = 0; i < SUSPECTS_MAX; i++) {
        const struct suspect *row = &page->suspects.rows[i];
        uint32_t state = atomic_load_explicit(&row->state, memory_order_acquire);
        char mint[ADDRESS_TEXT_MAX + 1];
        if (state == SUSPECT_NONE)
            continue;
        address_format(&row->mint, mint);
        json_object_open(json, NULL);
        json_put_string(json, "mint_address", mint);
        json_put_string(json, "state", suspect_state_name((enum suspect_state)state));
        json_put_int(json, "deaths", row->deaths);
        json_object_close(json);
    }
    json_array_close(json);
}

static void json_finding(struct json *json, const struct finding *finding)
{
    char text[FINDING_TEXT_SIZE], advice[FINDING_TEXT_SIZE];
    finding_text(finding, text);
    finding_advice(finding, advice);
    json_object_open(json, NULL);
    json_put_string(json, "cause", finding_name(finding->cause));
    json_put_string(json, "subject", finding_subject_name(finding->cause, finding->subject));
    json_put_string(json, "level", severity_name(finding->severity));
    json_put_string(json, "component", component_name(finding_component(finding->cause)));
    json_put_string(json, "message", text);
    json_put_string(json, "what_to_do", advice);
    json_object_close(json);
}

static void json_health_of(struct json *json, const struct status_page *page, instant now)
{
    struct health_view view;
    health_look(page, now, &view);
    json_object_open(json, "health");
    json_put_string(json, "status", health_name(view.health));
    json_array_open(json, "findings");
    for (uint32_t i = 0; i < view.findings.count; i++)
        json_finding(json, &view.findings.of[i]);
    json_array_close(json);
    json_object_close(json);
}

static void json_member(struct json *json, const struct page_cluster *cluster, uint32_t i)
{
    const struct page_node *member = &cluster->members[i];
    json_object_open(json, NULL);
    json_put_string(json, "name", member->name);
    json_put_int(json, "session", (int64_t)member->session);
    json_put_bool(json, "is_self", member->is_self != 0);
    json_put_bool(json, "is_leaving", member->is_leaving != 0);
    json_put_bool(json, "holds_source", cluster->source == i);
    json_put_int(json, "capacity_per_second", member->capacity);
    json_put_int(json, "slots", member->slots);
    json_put_double(json, "renewed_s", member->silent_s);
    json_put_double(json, "clock_offset_s", member->clock_offset_s);
    json_object_close(json);
}

static void json_node_of(struct json *json, const struct page_cluster *cluster, instant now)
{
    json_object_open(json, "node");
    json_put_string(json, "name", cluster->name);
    json_put_string(json, "state", node_state_name((enum node_state)cluster->state));
    json_put_int(json, "slots", cluster->mine);
    json_put_int(json, "slots_free", cluster->free);
    json_put_double(json, "lease_left_s",
                    fmax(0, duration_to_s(instant_diff(cluster->valid_until, now))));
    json_put_double(json, "behind_s", cluster->behind_s);
    json_put_int(json, "exchanges", (int64_t)cluster->exchanges);
    json_put_int(json, "exchanges_failed", (int64_t)cluster->failures);
    json_put_string(json, "failure", cluster->message);
    json_array_open(json, "members");
    for (uint32_t i = 0; i < cluster->count; i++)
        json_member(json, cluster, i);
    json_array_close(json);
    json_object_close(json);
}

/* "node": null of a daemon that is alone. */
static void json_cluster_of(struct json *json, const struct status_page *page, instant now)
{
    static struct page_cluster cluster;
    if (cluster_read(page, &cluster) && cluster.state != NODE_ALONE)
        json_node_of(json, &cluster, now);
    else
        json_put_null(json, "node");
}

void status_json(struct json *json, const struct status_page *page, instant now)
{
    json_object_open(json, NULL);
    json_health_of(json, page, now);
    json_processes(json, page, now);
    json_groups_of(json, page);
    json_budgets_of(json, page);
    json_numbers(json, page, now);
    json_cluster_of(json, page, now);
    json_put_bool(json, "paused", page_word(&page->is_paused) != 0);
    json_put_int(json, "incidents", (int64_t)page_word(&page->incident));
    json_suspects(json, page);
    json_object_close(json);
}
