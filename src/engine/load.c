/*
 * The sample of a second: what the machine says (base/machine.h) and what we see of ourselves, for
 * the core to judge (core/load.h) and for people to read. Where the loop may not wait it does not
 * ask: the disk is looked at by the store's thread.
 */
#include "engine/parts.h"

#include "base/clock.h"
#include "base/log.h"
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

_Static_assert((int)LOAD_READING_COUNT <= PAGE_READINGS, "the page has room for all readings");
_Static_assert((int)LOAD_SIGNAL_COUNT <= PAGE_SIGNALS, "the page has room for all signals");
_Static_assert((int)VITAL_COUNT <= PAGE_VITALS, "the page has room for all vital signs");
_Static_assert((int)LANE_LIMIT_COUNT <= PAGE_LIMITS, "the page has room for all limits");

#define LOGGER "load"

/* ---- how late the loop is ---- */

void engine_load_start(struct engine *engine)
{
    machine_init(&engine->load.machine);
    for (int i = 0; i < LOAD_READING_COUNT; i++)
        engine->load.sample.of[i] = NAN;
}

void engine_note_late(struct engine *engine, instant expected)
{
    if (instant_is_never(expected))
        return;
    duration late = instant_diff(clock_now(), expected);
    engine->load.lag_s = fmax(engine->load.lag_s, duration_to_s(late));
    histogram_add(&engine->load.lags, SCALE_DURATIONS, late);
}

/* ---- the sample ---- */

static void look_at_machine(struct engine *engine, instant now)
{
    const struct page_process *processes = engine->page->processes;
    const pid_t pids[] = {getpid(), (pid_t)atomic_load(&processes[PROCESS_SUPERVISOR].pid),
                          (pid_t)atomic_load(&processes[PROCESS_API].pid)};
    double *of = engine->load.sample.of;
    machine_look(&engine->load.machine, pids, sizeof pids / sizeof pids[0], now, of);
    of[READING_OWN_MEMORY] += (double)token_table_bytes_used(engine->memory.table);
}

static void look_at_store(struct engine *engine)
{
    struct writer_stats stats;
    double *of = engine->load.sample.of;
    writer_stats(engine->writer, &stats);
    of[READING_STORE_FILL] = stats.queue_depth / (double)engine->options.store_queue_limit;
    of[READING_STORE_COMMIT] = stats.commits > 0 ? stats.commit_seconds_last : NAN;
    of[READING_STORE_WRITES] = stats.state == WRITER_OK;
    of[READING_STORE_SIZE] = stats.size_bytes > 0 ? (double)stats.size_bytes : NAN;
    of[READING_DISK] = stats.is_disk_known ? stats.disk.used_ratio : NAN;
    of[READING_DISK_FREE] = stats.is_disk_known ? stats.disk.free_bytes : NAN;
}

/* Of those that ended within the last minute; NaN: none did. */
static double refused_share(struct load_watch *watch, uint64_t ended, uint64_t refused)
{
    unsigned slot = (unsigned)(watch->looks % REFUSED_SPAN_S);
    uint64_t ended_lately = ended - watch->past[slot].ended;
    uint64_t refused_lately = refused - watch->past[slot].refused;
    watch->past[slot].ended = ended;
    watch->past[slot].refused = refused;
    return ended_lately == 0 ? NAN : (double)refused_lately / (double)ended_lately;
}

static void look_at_upstream(struct engine *engine)
{
    const struct core_stats *stats = core_stats(engine->core);
    double *of = engine->load.sample.of;
    uint64_t ended = 0, refused = 0;
    double slowest_s = 0;
    for (int i = 0; i < LANE_KIND_COUNT; i++) {
        const struct lane_stats *lane = &stats->lanes[i];
        for (int k = 0; k < FEED_OUTCOME_COUNT; k++)
            ended += lane->outcomes[k];
        refused += lane->outcomes[FEED_RATE_LIMITED] + lane->outcomes[FEED_FORBIDDEN];
        slowest_s = fmax(slowest_s, duration_to_s(lane->latency));
    }
    of[READING_LATENCY] = slowest_s > 0 ? slowest_s : NAN;
    of[READING_REFUSED] = refused_share(&engine->load, ended, refused);
}

/* ---- what else the core cannot see ---- */

/* Only a WebSocket is expected to speak: a file has said what it says. */
static void look_at_source(const struct engine *engine, instant now, struct surroundings *around)
{
    struct source_stats stats;
    around->source_down_s = around->source_silent_s = NAN;
    if (engine->source == NULL)
        return; /* it starts when all tokens are there */
    source_stats(engine->source, &stats);
    double lasts_s = duration_to_s(instant_diff(now, stats.state_since));
    bool is_down = stats.state == SOURCE_WAITING || stats.state == SOURCE_CONNECTING;
    if (stats.state == SOURCE_LIVE || is_down)
        around->source_down_s = is_down ? lasts_s : 0;
    if (stats.state == SOURCE_LIVE && strncmp(engine->options.source, "ws", 2) == 0)
        around->source_silent_s =
            fmin(lasts_s, duration_to_s(instant_diff(now, stats.last_token_at)));
}

/* What is on the page: cluster.c writes it before. */
static void look_at_cluster(const struct engine *engine, instant now, struct surroundings *around)
{
    struct page_cluster cluster;
    if (!cluster_read(engine->page, &cluster))
        cluster.state = NODE_ALONE; /* nobody else writes it: cannot be */
    cluster_surround(&cluster, now, around);
}

static struct surroundings look_around(const struct engine *engine, instant now)
{
    struct surroundings around;
    struct writer_stats writer;
    writer_stats(engine->writer, &writer);
    around.store_commits = (double)writer.commits;
    around.store_failures = (double)writer.failures;
    around.store_dropped = (double)(writer.snapshots_dropped + writer.events_dropped);
    around.store_waiting = writer.queue_depth + (double)writer.dirty_tokens;
    look_at_source(engine, now, &around);
    look_at_cluster(engine, now, &around);
    for (int i = 0; i < WATCHED_PROCESS_COUNT; i++)
        around.deaths_last_hour[i] =
            (double)page_word(&engine->page->processes[i].deaths_last_hour);
    return around;
}

void engine_look_at_load(struct engine *engine)
{
    struct load_watch *watch = &engine->load;
    instant now = clock_now();
    look_at_machine(engine, now);
    look_at_store(engine);
    look_at_upstream(engine);
    watch->sample.of[READING_LAG] = watch->lag_s;
    watch->lag_s = 0;
    watch->looks++;
    struct surroundings around = look_around(engine, now);
    struct event event = {.kind = EVENT_LOAD, .load = {&watch->sample, &around}};
    engine_step(engine, &event);
}

/* ---- what comes of it ---- */

/* What a machine does that others keep busy is no trouble of ours. */
static bool is_trouble(const struct action *action)
{
    unsigned signal = action->transition.id;
    return action->transition.to > action->transition.from &&
           (signal == SIGNAL_STRAIN || signal == SIGNAL_STORE || signal == SIGNAL_DISK ||
            signal == SIGNAL_DESCRIPTORS);
}

static void tell_level(struct engine *engine, const struct action *action)
{
    const char *signal = load_signal_name((enum load_signal_id)action->transition.id);
    const char *from = transition_state_name(TRANSITION_LOAD, action->transition.from);
    const char *to = transition_state_name(TRANSITION_LOAD, action->transition.to);
    const struct load *load = &core_stats(engine->core)->load;
    LOG_AT(is_trouble(action) ? LOG_WARNING : LOG_INFO, LOGGER, "a load signal changed its level",
           LOG_STRING("signal", signal), LOG_STRING("from", from), LOG_STRING("to", to),
           LOG_DOUBLE("percent", load->signals[action->transition.id].percent),
           LOG_DOUBLE("work_planned", load->scale));
    struct store_event event = {.token = TOKEN_NONE, .at = engine->actions.now, .kind = "load"};
    snprintf(event.reason, sizeof event.reason, "%s: %s to %s", signal, from, to);
    writer_add_event(engine->writer, &event);
}

static void set_log_detail(const struct engine *engine, enum feature_state state)
{
    enum log_level level = (enum log_level)engine->options.log_level;
    if (state == FEATURE_OFF && level < LOG_WARNING)
        level = LOG_WARNING;
    log_setup(level, (enum log_format)engine->options.log_format);
}

/* The line about logs is logged before they end, and after they are back. */
static void tell_feature(const struct engine *engine, const struct action *action)
{
    enum load_feature feature = (enum load_feature)action->transition.id;
    enum feature_state state = (enum feature_state)action->transition.to;
    if (feature == FEATURE_LOG_DETAIL && state == FEATURE_ON)
        set_log_detail(engine, state);
    log_info(LOGGER, "an optional feature goes or comes back with the load",
             LOG_STRING("feature", load_feature_name(feature)),
             LOG_STRING("state", feature_state_name(state)),
             LOG_STRING("off_means", load_feature_sentence(feature)));
    if (feature == FEATURE_LOG_DETAIL && state == FEATURE_OFF)
        set_log_detail(engine, state);
}

static void tell_forecast(const struct engine *engine, const struct action *action)
{
    enum vital vital = (enum vital)action->transition.id;
    const struct vital_stats *stats = &core_stats(engine->core)->vitals[vital];
    bool is_news = action->transition.to != VITAL_QUIET;
    LOG_AT(is_news ? LOG_WARNING : LOG_INFO, "forecast", "what is foretold of a signal changed",
           LOG_STRING("signal", vital_name(vital)),
           LOG_STRING("from", vital_state_name(action->transition.from)),
           LOG_STRING("to", vital_state_name(action->transition.to)),
           LOG_DOUBLE("value", stats->value), LOG_DOUBLE("threshold", stats->threshold),
           LOG_DOUBLE("eta_seconds", stats->eta_s));
}

void engine_tell_load(struct engine *engine, const struct action *action)
{
    if (action->transition.what == TRANSITION_LOAD)
        tell_level(engine, action);
    else if (action->transition.what == TRANSITION_FORECAST)
        tell_forecast(engine, action);
    else
        tell_feature(engine, action);
}

/* ---- onto the status page ---- */

static void publish_signals(struct page_load *page, const struct load *load)
{
    for (int i = 0; i < LOAD_SIGNAL_COUNT; i++) {
        page_put_word(&page->signals[i].level, load->signals[i].level);
        page_put_bits(&page->signals[i].percent_bits, load->signals[i].percent);
        page_put_word(&page->signals[i].since_us, (uint64_t)load->signals[i].since.us);
    }
    page_put_word(&page->level_since_us, (uint64_t)load->level_since.us);
    page_put_word(&page->features_off, load->features_off);
}

static void publish_vital(struct page_vital *page, const struct vital_stats *stats)
{
    page_put_word(&page->state, stats->state);
    page_put_word(&page->since_us, (uint64_t)stats->since.us);
    page_put_bits(&page->value_bits, stats->reading);
    page_put_bits(&page->threshold_bits, isfinite(stats->threshold) ? stats->threshold : NAN);
    page_put_bits(&page->level_bits, stats->outlook.level);
    page_put_bits(&page->slope_bits, stats->outlook.slope_per_s);
    page_put_bits(&page->anomaly_bits, stats->anomaly);
    page_put_bits(&page->eta_bits, stats->eta_s);
    page_put_bits(&page->confidence_bits, stats->outlook.confidence);
    page_put_word(&page->hits, stats->hits);
    page_put_word(&page->false_alarms, stats->false_alarms);
    page_put_word(&page->missed, stats->missed);
    page_put_bits(&page->median_lead_bits, stats->median_lead_s);
}

void engine_publish_load(struct engine *engine)
{
    const struct core_stats *stats = core_stats(engine->core);
    struct page_load *page = &engine->page->load;
    publish_signals(page, &stats->load);
    for (int i = 0; i < VITAL_COUNT; i++)
        publish_vital(&engine->page->vitals[i], &stats->vitals[i]);
    for (int i = 0; i < LOAD_READING_COUNT; i++)
        page_put_bits(&page->readings_bits[i], engine->load.sample.of[i]);
    page_put_word(&page->sampled_at_us, engine->load.looks == 0 ? 0 : (uint64_t)clock_now().us);
    page_put_word(&engine->page->counters[COUNTER_LOAD_CHANGES], stats->load.changes);
    page_put_word(&engine->page->counters[COUNTER_LOAD_UNREADABLE], engine->load.machine.bad_texts);
    page_set(engine->page, GAUGE_LOAD_LEVEL, stats->load.level);
    page_set(engine->page, GAUGE_LOAD_SCALE, stats->load.scale);
    page_set(engine->page, GAUGE_LOAD_DEFERS, stats->load.defer);
    page_set(engine->page, GAUGE_TOKEN_COST, stats->token_cost_s);
    page_put_histogram(engine->page, HISTOGRAM_LOOP_LAG, 0, &engine->load.lags);
    if (engine->load.looks > 0)
        page_set(engine->page, GAUGE_LOOP_LAG, engine->load.sample.of[READING_LAG]);
}
