/*
 * What is read of the core for its vital signs (vitals.h), where each hurts, and what is done
 * before it does. Memory or the disk that is foretold to run out is taken as short already: what
 * can be spared is shed (load.h), history past its time is deleted at once, and, where it is our
 * own memory that grows, the engine asks to be replaced at a moment when nothing is under way, or
 * at the latest two minutes before. An engine that was replaced looks for half an hour before it
 * asks again: then a restart did not help.
 */
#include "core/state.h"

#include <math.h>

#define LATENCY_LEAST_S     0.5 /* a threshold under it would tell of trifles */
#define COMMIT_MOST_S       1.0 /* as health has it */
#define ANSWERS_OLD         duration_s(60)
#define TRIED_LEAST         3   /* requests: a share of fewer says nothing */
#define RECENT_LEAST        20  /* refreshes */
#define OURS_LEAST          0.1 /* of the memory: a restart cannot free what is not ours */
#define OURS_SHARE          0.5 /* of its growth */
#define RESTART_AT_LATEST_S 120
#define RESTART_NOT_BEFORE  duration_s(1800)

#define RESTART_REASON "memory is foretold to run out, and it is ours that grows"

void foresee_init(struct core *core)
{
    vitals_init(&core->vitals, core->now);
}

/* ---- readings ---- */

static double refresh_latency(const struct core *core)
{
    const struct lane_stats *lane = &core->stats.lanes[LANE_REFRESH];
    bool is_new = !instant_is_never(lane->last_ok_at) &&
                  instant_diff(core->now, lane->last_ok_at).us <= ANSWERS_OLD.us;
    return is_new ? duration_to_s(lane->latency) : (double)NAN;
}

static double error_rate(const struct core *core)
{
    double tried = 0, failed = 0;
    for (int i = 0; i < LANE_KIND_COUNT; i++) {
        tried += core->health.lanes[i].tried.increase;
        failed += core->health.lanes[i].failed.increase;
    }
    return tried < TRIED_LEAST ? (double)NAN : failed / tried;
}

static double on_time_share(const struct core *core)
{
    double recent = 0, on_time = 0;
    for (int i = GROUP_HOT; i <= GROUP_COLD; i++) {
        recent += core->stats.groups[i].recent;
        on_time += core->stats.groups[i].recent_on_time;
    }
    return recent < RECENT_LEAST ? (double)NAN : on_time / recent;
}

static double deferred_age(const struct core *core)
{
    double most = 0;
    for (int i = GROUP_HOT; i <= GROUP_COLD; i++) {
        const struct group_stats *group = &core->stats.groups[i];
        if (group->target.us > 0)
            most = fmax(most, (double)group->oldest_deferred_age.us / (double)group->target.us);
    }
    return health_is_fetching(core) ? most : (double)NAN;
}

static void read_all(const struct core *core, const struct load_sample *sample,
                     double out[VITAL_COUNT])
{
    const struct load_signal *signals = core->load.signals;
    out[VITAL_REFRESH_LATENCY] = refresh_latency(core);
    out[VITAL_UPSTREAM_LATENCY] = sample->of[READING_LATENCY];
    out[VITAL_ERROR_RATE] = error_rate(core);
    out[VITAL_ON_TIME] = on_time_share(core);
    out[VITAL_DEFERRED_AGE] = deferred_age(core);
    out[VITAL_CPU] = signals[SIGNAL_CPU].percent / 100;
    out[VITAL_MEMORY] = signals[SIGNAL_MEMORY].percent / 100;
    out[VITAL_OWN_MEMORY] = sample->of[READING_OWN_MEMORY] / sample->of[READING_MEMORY_LIMIT];
    out[VITAL_LOOP_LAG] = sample->of[READING_LAG];
    out[VITAL_COMMIT_TIME] = sample->of[READING_STORE_COMMIT];
    out[VITAL_DATABASE_SIZE] = sample->of[READING_STORE_SIZE];
    out[VITAL_DISK] = sample->of[READING_DISK];
}

/* ---- where it hurts ---- */

/* NaN, before anything is usual, is no threshold. */
static double over_usual(const struct core *core, enum vital vital)
{
    double usual = vitals_usual(&core->vitals, vital);
    double most = usual * (1 + core->options.forecast_latency_rise_percent / 100);
    return isnan(usual) ? INFINITY : fmax(most, LATENCY_LEAST_S);
}

/* Where the file system would be full, if nobody else wrote to it. */
static double database_most(const struct load_sample *sample)
{
    double most = sample->of[READING_STORE_SIZE] + sample->of[READING_DISK_FREE];
    return isnan(most) ? INFINITY : most;
}

static void take_thresholds(const struct core *core, const struct load_sample *sample,
                            double out[VITAL_COUNT])
{
    const struct options *options = &core->options;
    out[VITAL_REFRESH_LATENCY] = over_usual(core, VITAL_REFRESH_LATENCY);
    out[VITAL_UPSTREAM_LATENCY] = over_usual(core, VITAL_UPSTREAM_LATENCY);
    out[VITAL_ERROR_RATE] = options->forecast_error_percent / 100;
    out[VITAL_ON_TIME] = options->forecast_on_time_percent / 100;
    out[VITAL_DEFERRED_AGE] = options->health_alert_intervals;
    out[VITAL_CPU] = options->forecast_cpu_percent / 100;
    out[VITAL_MEMORY] = options->forecast_memory_percent / 100;
    out[VITAL_OWN_MEMORY] = INFINITY; /* a part of memory: only its slope is asked for */
    out[VITAL_LOOP_LAG] = options->load_lag_ms / 1000;
    out[VITAL_COMMIT_TIME] = COMMIT_MOST_S;
    out[VITAL_DATABASE_SIZE] = database_most(sample);
    out[VITAL_DISK] = options->disk_minimal_percent / 100;
}

/* ---- what is done before ---- */

static bool is_coming(const struct core *core, enum vital vital)
{
    return core->vitals.of[vital].stats.state != VITAL_QUIET;
}

static void act_on(struct core *core, const struct vital_change *change)
{
    core_tell(core, TRANSITION_FORECAST, change->from, change->to, change->vital);
    bool is_room = change->vital == VITAL_DISK || change->vital == VITAL_DATABASE_SIZE;
    if (is_room && change->to != VITAL_QUIET)
        jobs_want(core, JOB_RETENTION);
}

static bool grows_by_us(const struct core *core)
{
    const struct vital_stats *all = &core->vitals.of[VITAL_MEMORY].stats;
    const struct vital_stats *ours = &core->vitals.of[VITAL_OWN_MEMORY].stats;
    return ours->value >= OURS_LEAST && ours->outlook.slope_per_s > 0 &&
           ours->outlook.slope_per_s >= OURS_SHARE * all->outlook.slope_per_s;
}

static bool is_quiet_moment(const struct core *core)
{
    return core->free_count == REQUESTS_MAX;
}

static void restart_in_time(struct core *core)
{
    const struct vital_stats *memory = &core->vitals.of[VITAL_MEMORY].stats;
    duration age = instant_diff(core->now, core->vitals.started_at);
    if (memory->state != VITAL_FORETOLD || age.us < RESTART_NOT_BEFORE.us || !grows_by_us(core))
        return;
    if (is_quiet_moment(core) || memory->eta_s <= RESTART_AT_LATEST_S)
        core_ask_for_restart(core, RESTART_REASON);
}

void foresee_on_load(struct core *core, const struct load_sample *sample)
{
    double readings[VITAL_COUNT], thresholds[VITAL_COUNT];
    struct vital_change changes[VITAL_COUNT];
    read_all(core, sample, readings);
    take_thresholds(core, sample, thresholds);
    size_t count =
        vitals_read(&core->vitals, readings, thresholds, &core->options, core->now, changes);
    for (size_t i = 0; i < count; i++)
        act_on(core, &changes[i]);
    core->load.is_memory_foreseen = is_coming(core, VITAL_MEMORY);
    core->load.is_disk_foreseen =
        is_coming(core, VITAL_DISK) || is_coming(core, VITAL_DATABASE_SIZE);
    restart_in_time(core);
    for (int i = 0; i < VITAL_COUNT; i++)
        core->stats.vitals[i] = core->vitals.of[i].stats;
}

/* ---- what people are told ---- */

/* As health has it: CPUs that others use up are no trouble while we keep up. */
static enum severity severity_of(const struct core *core, enum vital vital)
{
    bool is_exhaustion =
        vital == VITAL_MEMORY || vital == VITAL_DISK || vital == VITAL_DATABASE_SIZE;
    if (vital == VITAL_CPU && !load_is_strained(&core->load))
        return SEVERITY_INFO;
    return is_exhaustion ? SEVERITY_ERROR : SEVERITY_WARNING;
}

void foresee_find(struct core *core)
{
    for (int i = 0; i < VITAL_COUNT; i++) {
        const struct vital_stats *stats = &core->vitals.of[i].stats;
        if (stats->state == VITAL_FORETOLD)
            health_find(core, (struct finding){.cause = FINDING_FORECAST,
                                               .subject = (uint8_t)i,
                                               .severity = severity_of(core, i),
                                               .value = stats->eta_s,
                                               .limit = core->options.forecast_horizon_sec});
        if (stats->is_anomalous)
            health_find(core, (struct finding){.cause = FINDING_ANOMALY,
                                               .subject = (uint8_t)i,
                                               .severity = SEVERITY_INFO,
                                               .value = 100 * stats->anomaly,
                                               .limit = 100 * ANOMALY_ALERT});
    }
}
