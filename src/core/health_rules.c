/* Health: what is wrong with what we depend on. */
#include "core/state.h"

#include <math.h>

/* ---- from when on something is wrong ---- */

#define SILENT_S     30
#define BREAKER_LONG duration_s(10)
/* Of requests, refused or failed. A limit is learnt with less than one refusal in a hundred
 * (limit.h).
 */
#define SHARE_PERCENT       10
#define SHARE_MOST          50
#define REQUESTS_FEW        3
#define SLOW_S              2 /* the upstream usually takes tenths */
#define SLOW_ALERT_S        5
#define LATENCY_OLD         duration_s(RECENT_SPAN_S) /* of a lane that was not used since */
#define LEARNT_SHARE        0.95
#define STORE_LATE_S        5 /* a change waits for store_commit_sec, a fraction of a second */
#define STORE_SLOW_S        1
#define STORE_DOWN_LONG     duration_s(30)
#define SOURCE_DOWN_S       30 /* it is reconnected after fractions of a second, as a rule */
#define SOURCE_DOWN_ALERT_S 600
#define SOURCE_SILENT_S     1800 /* 50 tokens an hour come: none in half an hour is no chance */
#define OUTSIDE_S           15 /* a dead node's session is ended after 10 s, if it is in the way */
#define FOLLOWS_LATE_S      5  /* as often */
#define FOLLOWS_ALERT_S     60
#define SOURCE_UNOWNED_S    15 /* with a margin over the lease time, as slots */
#define SOURCE_ALERT_S      120
#define CLOCK_OFF_S         1
#define UNKNOWN_LOOKS       3 /* rates are unknown at the first look */
#define LOOK_OLD            duration_s(5)

void health_find(struct core *core, struct finding finding)
{
    findings_add(&core->health.findings, &finding);
}

enum severity health_severity(bool is_worse, enum severity usual, enum severity worse)
{
    return is_worse ? worse : usual;
}

/* How long it has been there already; 0: it is new. */
static duration lasts(const struct core *core, enum finding_cause cause, unsigned subject)
{
    const struct finding *before = findings_get(&core->stats.findings, cause, subject);
    return before == NULL ? duration_us(0) : instant_diff(core->now, before->since);
}

double health_percent(double part, double whole)
{
    return whole > 0 ? 100 * part / whole : 0;
}

/* ---- feeds ---- */

static void find_share(struct core *core, enum finding_cause cause, enum lane_kind lane,
                       const struct recently *part, const struct recently *whole)
{
    double share = health_percent(part->increase, whole->increase);
    if (part->increase < REQUESTS_FEW || share <= SHARE_PERCENT)
        return;
    health_find(core, (struct finding){.cause = cause,
                                       .subject = (uint8_t)lane,
                                       .severity = health_severity(
                                           share > SHARE_MOST, SEVERITY_WARNING, SEVERITY_ERROR),
                                       .value = share,
                                       .limit = SHARE_PERCENT});
}

static void find_slow(struct core *core, enum lane_kind lane)
{
    const struct lane_stats *stats = &core->stats.lanes[lane];
    double latency_s = duration_to_s(stats->latency);
    bool is_new = instant_diff(core->now, stats->last_ok_at).us < LATENCY_OLD.us;
    if (is_new && latency_s > SLOW_S)
        health_find(core,
                    (struct finding){.cause = FINDING_FEED_SLOW,
                                     .subject = (uint8_t)lane,
                                     .severity = health_severity(latency_s > SLOW_ALERT_S,
                                                                 SEVERITY_WARNING, SEVERITY_ERROR),
                                     .value = latency_s,
                                     .limit = SLOW_S});
}

static void find_unanswered(struct core *core, enum lane_kind lane)
{
    instant since = core->health.lanes[lane].unanswered_since;
    double silence_s = duration_to_s(instant_diff(core->now, since));
    if (!instant_is_never(since) && silence_s > SILENT_S)
        health_find(core, (struct finding){.cause = FINDING_FEED_SILENT,
                                           .subject = (uint8_t)lane,
                                           .severity = SEVERITY_ERROR,
                                           .value = silence_s,
                                           .limit = SILENT_S});
}

/* Which is a reason to worry when this lane has more to send than that. */
static void find_learnt(struct core *core, enum lane_kind lane)
{
    const struct lane_stats *stats = &core->stats.lanes[lane];
    double learnt = stats->learned_per_minute, configured = stats->configured_per_minute;
    if (learnt < LEARNT_SHARE * configured) /* NaN is not */
        health_find(core,
                    (struct finding){.cause = FINDING_LIMIT_LEARNT,
                                     .subject = (uint8_t)lane,
                                     .severity = health_severity(!core->lanes[lane].is_feasible,
                                                                 SEVERITY_INFO, SEVERITY_WARNING),
                                     .value = learnt,
                                     .limit = configured});
}

static void look_at_lane(struct core *core, enum lane_kind lane)
{
    const struct lane_health *health = &core->health.lanes[lane];
    find_share(core, FINDING_REFUSED, lane, &health->refused, &health->ended);
    find_share(core, FINDING_FEED_ERRORS, lane, &health->failed, &health->tried);
    find_slow(core, lane);
    find_learnt(core, lane);
    if (health_is_fetching(core))
        find_unanswered(core, lane);
}

static void look_at_feeds(struct core *core)
{
    duration open = lasts(core, FINDING_BREAKER_OPEN, 0);
    double errors = core->stats.errors_last_hour;
    if (core->breaker.state != BREAKER_CLOSED)
        health_find(core,
                    (struct finding){.cause = FINDING_BREAKER_OPEN,
                                     .severity = health_severity(open.us > BREAKER_LONG.us,
                                                                 SEVERITY_WARNING, SEVERITY_ERROR),
                                     .value = NAN,
                                     .limit = NAN});
    if (errors > core->options.health_errors_per_hour)
        health_find(core, (struct finding){.cause = FINDING_ERRORS,
                                           .severity = SEVERITY_ERROR,
                                           .value = errors,
                                           .limit = core->options.health_errors_per_hour});
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++)
        look_at_lane(core, lane);
}

/* ---- levels of load ---- */

static bool has_looked(const struct core *core)
{
    return !instant_is_never(core->health.looked_at) &&
           instant_diff(core->now, core->health.looked_at).us <= LOOK_OLD.us;
}

struct level_rule {
    enum finding_cause cause;
    uint8_t subject;
    enum load_signal_id signal;
    enum severity reduced, minimal;
};

static void find_level(struct core *core, const struct level_rule *rule)
{
    const struct load_signal *signal = &core->load.signals[rule->signal];
    if (signal->level == LOAD_NORMAL || isnan(signal->percent))
        return;
    health_find(core, (struct finding){
                          .cause = rule->cause,
                          .subject = rule->subject,
                          .severity = signal->level == LOAD_MINIMAL ? rule->minimal : rule->reduced,
                          .value = signal->percent,
                          .limit = load_limit(rule->signal, signal->level, &core->options)});
}

/* ---- store ---- */

static void find_store_waits(struct core *core)
{
    instant since = core->health.waiting_since;
    double waits_s = duration_to_s(instant_diff(core->now, since));
    if (!instant_is_never(since) && waits_s > STORE_LATE_S)
        health_find(core, (struct finding){.cause = FINDING_STORE_LATE,
                                           .severity = SEVERITY_ERROR,
                                           .value = waits_s,
                                           .limit = STORE_LATE_S});
}

static void find_count(struct core *core, enum finding_cause cause, double count)
{
    if (count > 0)
        health_find(
            core, (struct finding){
                      .cause = cause, .severity = SEVERITY_WARNING, .value = count, .limit = NAN});
}

static void look_at_store(struct core *core)
{
    static const struct level_rule behind = {FINDING_STORE_BEHIND, 0, SIGNAL_STORE,
                                             SEVERITY_WARNING, SEVERITY_CRITICAL};
    static const struct level_rule disk = {FINDING_DISK_SHORT, 0, SIGNAL_DISK, SEVERITY_WARNING,
                                           SEVERITY_CRITICAL};
    const double *sample = core->health.sample.of;
    duration down = lasts(core, FINDING_STORE_DOWN, 0);
    if (sample[READING_STORE_WRITES] == 0)
        health_find(core,
                    (struct finding){.cause = FINDING_STORE_DOWN,
                                     .severity = health_severity(down.us > STORE_DOWN_LONG.us,
                                                                 SEVERITY_ERROR, SEVERITY_CRITICAL),
                                     .value = NAN,
                                     .limit = NAN});
    if (sample[READING_STORE_COMMIT] > STORE_SLOW_S)
        health_find(core, (struct finding){.cause = FINDING_STORE_SLOW,
                                           .severity = SEVERITY_WARNING,
                                           .value = sample[READING_STORE_COMMIT],
                                           .limit = STORE_SLOW_S});
    find_store_waits(core);
    find_level(core, &behind);
    find_count(core, FINDING_STORE_ERRORS, core->health.store_failures.increase);
    find_count(core, FINDING_STORE_DROPPED, core->health.store_dropped.increase);
    find_level(core, &disk);
}

/* ---- source ---- */

static void look_at_source(struct core *core)
{
    const struct surroundings *around = &core->health.around;
    if (around->source_down_s > SOURCE_DOWN_S)
        health_find(core, (struct finding){.cause = FINDING_SOURCE_DOWN,
                                           .severity = health_severity(
                                               around->source_down_s > SOURCE_DOWN_ALERT_S,
                                               SEVERITY_WARNING, SEVERITY_ERROR),
                                           .value = around->source_down_s,
                                           .limit = SOURCE_DOWN_S});
    if (around->source_silent_s > SOURCE_SILENT_S)
        health_find(core, (struct finding){.cause = FINDING_SOURCE_SILENT,
                                           .severity = SEVERITY_WARNING,
                                           .value = around->source_silent_s,
                                           .limit = SOURCE_SILENT_S});
}

/* ---- the cluster ---- */

struct limit_rule {
    enum finding_cause cause;
    double limit, alert_s; /* above it, and worse above this */
    enum severity usual, worse;
    bool is_of_all; /* every node finds it, and one of them is enough to tell people */
};

static void find_above(struct core *core, const struct limit_rule *rule, double value)
{
    bool is_told = rule->is_of_all && core->health.around.others_tell > 0;
    enum severity severity = health_severity(value > rule->alert_s, rule->usual, rule->worse);
    if (value > rule->limit) /* NaN is not */
        health_find(core, (struct finding){.cause = rule->cause,
                                           .severity = is_told ? SEVERITY_INFO : severity,
                                           .value = value,
                                           .limit = rule->limit > 0 ? rule->limit : NAN});
}

static void look_at_cluster(struct core *core)
{
    static const struct limit_rule outside = {FINDING_NODE_OUTSIDE, OUTSIDE_S,         INFINITY,
                                              SEVERITY_CRITICAL,    SEVERITY_CRITICAL, false},
                                   rests = {FINDING_NODE_RESTS, 0,    INFINITY, SEVERITY_CRITICAL,
                                            SEVERITY_CRITICAL,  false},
                                   unheard = {FINDING_NODE_UNHEARD, NODE_UNHEARD_S, INFINITY,
                                              SEVERITY_ERROR,       SEVERITY_ERROR, false},
                                   late = {FINDING_FOLLOWS_LATE, FOLLOWS_LATE_S, FOLLOWS_ALERT_S,
                                           SEVERITY_WARNING,     SEVERITY_ERROR, false},
                                   slots = {FINDING_SLOTS_UNOWNED, 0,   INFINITY, SEVERITY_CRITICAL,
                                            SEVERITY_CRITICAL,     true},
                                   source = {FINDING_SOURCE_UNOWNED, SOURCE_UNOWNED_S,
                                             SOURCE_ALERT_S,         SEVERITY_WARNING,
                                             SEVERITY_ERROR,         true},
                                   clock = {FINDING_CLOCK_OFF, CLOCK_OFF_S,      INFINITY,
                                            SEVERITY_WARNING,  SEVERITY_WARNING, true};
    const struct surroundings *around = &core->health.around;
    find_above(core, &outside, around->outside_s);
    find_above(core, &rests, around->rests_s);
    find_above(core, &unheard, around->unheard_s);
    find_above(core, &late, around->behind_s);
    find_above(core, &slots, around->slots_unowned);
    find_above(core, &source, around->source_unowned_s);
    find_above(core, &clock, around->clock_off_s);
}

/* ---- processes ---- */

static void look_at_process(struct core *core, enum watched_process process)
{
    double deaths = core->health.around.deaths_last_hour[process];
    double most = core->options.max_restarts_per_hour;
    if (!(deaths > 0)) /* NaN is not */
        return;
    bool loops = deaths > most;
    health_find(core, (struct finding){
                          .cause = loops ? FINDING_CRASH_LOOP : FINDING_RESTARTED,
                          .subject = (uint8_t)process,
                          .severity = health_severity(loops, SEVERITY_WARNING, SEVERITY_CRITICAL),
                          .value = deaths,
                          .limit = most});
}

static void look_at_processes(struct core *core)
{
    for (int i = 0; i < WATCHED_PROCESS_COUNT && has_looked(core); i++)
        look_at_process(core, i);
    find_count(core, FINDING_QUARANTINED, core->stats.quarantined);
}

/* ---- resources ---- */

static const enum load_signal_id resources[] = {SIGNAL_CPU, SIGNAL_MEMORY, SIGNAL_DESCRIPTORS};

static void look_at_resource(struct core *core, enum load_signal_id signal)
{
    bool is_harmless = signal == SIGNAL_CPU && !load_is_strained(&core->load);
    struct level_rule rule = {FINDING_LOAD_HIGH, (uint8_t)signal, signal, SEVERITY_WARNING,
                              SEVERITY_CRITICAL};
    if (signal == SIGNAL_CPU)
        rule.reduced = rule.minimal = is_harmless ? SEVERITY_INFO : SEVERITY_WARNING;
    find_level(core, &rule);
    if (core->health.unknown_looks[signal] > UNKNOWN_LOOKS)
        health_find(core, (struct finding){.cause = FINDING_LOAD_UNKNOWN,
                                           .subject = (uint8_t)signal,
                                           .severity = SEVERITY_WARNING,
                                           .value = NAN,
                                           .limit = NAN});
}

static void look_at_resources(struct core *core)
{
    static const struct level_rule strain = {FINDING_STRAINED, 0, SIGNAL_STRAIN, SEVERITY_WARNING,
                                             SEVERITY_CRITICAL};
    find_level(core, &strain);
    for (size_t i = 0; i < sizeof resources / sizeof resources[0]; i++)
        look_at_resource(core, resources[i]);
}

/* ---- all of them ---- */

void health_apply_rules(struct core *core)
{
    health_look_at_scheduler(core);
    health_look_at_jobs(core);
    look_at_feeds(core);
    if (has_looked(core)) {
        look_at_store(core);
        look_at_source(core);
        look_at_cluster(core);
        look_at_resources(core);
    }
    look_at_processes(core);
    foresee_find(core);
}
