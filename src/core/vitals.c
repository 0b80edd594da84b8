/* Steps, states and scores of vital signs. See the header. */
#include "core/vitals.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define DAY_S         86400.0
#define USUAL_LEAST   60              /* steps: ten minutes */
#define FOR_STEPS     6               /* a minute, so that a chance line is no news */
#define PAST_STEPS    3               /* one step over a threshold is a peak, and hurts nobody */
#define KEEP          duration_s(900) /* out of sight for so long, it was false */
#define BACK          duration_s(300) /* under the threshold for so long, it is over */
#define ANOMALY_LEAST 1000            /* steps: in a young series much is new */
#define ANOMALY_TOLD  duration_s(60)
#define UNKNOWN_NAME  "unknown"

static const struct {
    const char *name, *unit, *help;
    enum forecast_side side;
} vitals_known[] = {
#define X(code, name, unit, side, help) [code] = {name, unit, help, side},
    VITAL_LIST(X)
#undef X
};

static const char *const states[] = {
#define X(code, name) [code] = name,
    VITAL_STATE_LIST(X)
#undef X
};

const char *vital_name(enum vital vital)
{
    return (unsigned)vital < VITAL_COUNT ? vitals_known[vital].name : UNKNOWN_NAME;
}

const char *vital_unit(enum vital vital)
{
    return (unsigned)vital < VITAL_COUNT ? vitals_known[vital].unit : UNKNOWN_NAME;
}

const char *vital_help(enum vital vital)
{
    return (unsigned)vital < VITAL_COUNT ? vitals_known[vital].help : UNKNOWN_NAME;
}

const char *vital_state_name(enum vital_state state)
{
    return (unsigned)state < VITAL_STATE_COUNT ? states[state] : UNKNOWN_NAME;
}

enum forecast_side vital_side(enum vital vital)
{
    assert((unsigned)vital < VITAL_COUNT);
    return vitals_known[vital].side;
}

_Static_assert(sizeof(struct forecast) + sizeof(struct anomaly) <= FORECAST_BYTES_MAX,
               "a signal is small");

void vitals_init(struct vitals *vitals, instant now)
{
    memset(vitals, 0, sizeof *vitals);
    vitals->started_at = vitals->step_at = now;
    for (int i = 0; i < VITAL_COUNT; i++) {
        struct vital_sign *sign = &vitals->of[i];
        anomaly_init(&sign->anomaly);
        forecast_init(&sign->forecast, INFINITY, vital_side(i));
        sign->stats.reading = sign->stats.value = sign->stats.threshold = sign->stats.anomaly = NAN;
        sign->stats.eta_s = sign->stats.median_lead_s = NAN;
        sign->stats.outlook = *forecast_outlook(&sign->forecast);
    }
}

double vitals_usual(const struct vitals *vitals, enum vital vital)
{
    const struct vital_sign *sign = &vitals->of[vital];
    return sign->steps < USUAL_LEAST ? (double)NAN : sign->usual;
}

/* ---- scores ---- */

static double median_lead(const struct vital_sign *sign)
{
    float sorted[VITAL_LEADS];
    unsigned count = sign->stats.hits < VITAL_LEADS ? sign->stats.hits : VITAL_LEADS;
    for (unsigned i = 0; i < count; i++) {
        unsigned at = i;
        for (; at > 0 && sorted[at - 1] > sign->leads_s[i]; at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = sign->leads_s[i];
    }
    return count == 0 ? (double)NAN : (sorted[(count - 1) / 2] + sorted[count / 2]) / 2.0;
}

static void note_hit(struct vital_sign *sign, instant reached)
{
    double lead_s = duration_to_s(instant_diff(reached, sign->stats.since));
    sign->leads_s[sign->stats.hits++ % VITAL_LEADS] = (float)fmax(lead_s, 0);
    sign->stats.median_lead_s = median_lead(sign);
}

/* ---- states ---- */

/* The one place where the state of a sign changes. */
static void change_state(struct vital_sign *sign, enum vital_state to, instant now)
{
    struct vital_stats *stats = &sign->stats;
    instant reached = instant_add(now, duration_s(-(PAST_STEPS - 1) * VITAL_STEP_S));
    if (stats->state == VITAL_FORETOLD && to == VITAL_REACHED)
        note_hit(sign, reached);
    else if (stats->state == VITAL_FORETOLD)
        stats->false_alarms++;
    else if (to == VITAL_REACHED)
        stats->missed++;
    stats->state = to;
    stats->since = now;
}

static bool is_longer_ago(instant then, instant now, duration span)
{
    return instant_diff(now, then).us >= span.us;
}

static enum vital_state next_state(const struct vital_sign *sign, instant now)
{
    assert(sign->stats.state < VITAL_STATE_COUNT);
    switch (sign->stats.state) {
    case VITAL_QUIET:
        if (sign->past >= PAST_STEPS)
            return VITAL_REACHED;
        return sign->held >= FOR_STEPS ? VITAL_FORETOLD : VITAL_QUIET;
    case VITAL_FORETOLD:
        if (sign->past >= PAST_STEPS)
            return VITAL_REACHED;
        return is_longer_ago(sign->in_sight_at, now, KEEP) ? VITAL_QUIET : VITAL_FORETOLD;
    case VITAL_REACHED:
        break;
    case VITAL_STATE_COUNT:
        __builtin_unreachable();
    }
    return is_longer_ago(sign->past_at, now, BACK) ? VITAL_QUIET : VITAL_REACHED;
}

/* ---- steps ---- */

static bool is_past(const struct vital_stats *stats, enum forecast_side side)
{
    return side == FORECAST_RISES ? stats->value >= stats->threshold
                                  : stats->value <= stats->threshold;
}

static void note_usual(struct vital_sign *sign, double value)
{
    double memory = fmin(++sign->steps, DAY_S / VITAL_STEP_S);
    sign->usual += (value - sign->usual) / memory;
}

/* In sight, past it, or neither; what is unknown says nothing. */
static void look(struct vital_sign *sign, enum vital vital, const struct options *options,
                 instant now)
{
    struct vital_stats *stats = &sign->stats;
    const struct outlook *outlook = &stats->outlook;
    bool past = is_past(stats, vital_side(vital));
    bool in_sight = !past && outlook->eta_s <= options->forecast_horizon_sec &&
                    outlook->confidence >= options->forecast_confidence;
    sign->past = past ? sign->past + 1 : 0;
    sign->held = in_sight ? sign->held + 1 : 0;
    if (past)
        sign->past_at = now;
    if (in_sight || past) {
        sign->in_sight_at = now;
        sign->in_sight_eta_s = in_sight ? outlook->eta_s : 0;
    }
}

/* While it is foretold, and out of sight for a while, what was foretold stands. */
static double eta_of(const struct vital_sign *sign, instant now)
{
    const struct vital_stats *stats = &sign->stats;
    double elapsed_s = duration_to_s(instant_diff(now, sign->in_sight_at));
    if (stats->state != VITAL_FORETOLD)
        return stats->outlook.eta_s;
    return fmax(0, sign->in_sight_eta_s - elapsed_s);
}

static void note_anomaly(struct vital_sign *sign, instant now)
{
    struct vital_stats *stats = &sign->stats;
    double score = anomaly_add(&sign->anomaly, (double)now.us / 1e6, stats->value);
    stats->anomaly = isnan(stats->value) ? (double)NAN : score;
    if (stats->anomaly >= ANOMALY_ALERT && sign->steps >= ANOMALY_LEAST)
        sign->anomalous_at = now;
    stats->is_anomalous = !instant_is_never(sign->anomalous_at) &&
                          instant_diff(now, sign->anomalous_at).us < ANOMALY_TOLD.us;
}

/* True when its state changed. */
static bool step(struct vital_sign *sign, enum vital vital, const struct options *options,
                 instant now)
{
    struct vital_stats *stats = &sign->stats;
    stats->value = sign->known == 0 ? (double)NAN : sign->sum / sign->known;
    sign->sum = sign->known = 0;
    note_anomaly(sign, now);
    forecast_set_threshold(&sign->forecast, stats->threshold);
    if (forecast_add(&sign->forecast, (double)now.us / 1e6, stats->value)) {
        note_usual(sign, stats->value);
        stats->outlook = *forecast_outlook(&sign->forecast);
        look(sign, vital, options, now);
    }
    enum vital_state to = next_state(sign, now);
    bool is_changed = to != stats->state;
    if (is_changed)
        change_state(sign, to, now);
    stats->eta_s = eta_of(sign, now);
    return is_changed;
}

size_t vitals_read(struct vitals *vitals, const double readings[VITAL_COUNT],
                   const double thresholds[VITAL_COUNT], const struct options *options, instant now,
                   struct vital_change changes[VITAL_COUNT])
{
    size_t count = 0;
    instant due = instant_add(vitals->step_at, duration_s(VITAL_STEP_S));
    bool is_due = !instant_before(now, due);
    for (int i = 0; i < VITAL_COUNT; i++) {
        struct vital_sign *sign = &vitals->of[i];
        enum vital_state from = sign->stats.state;
        if (isfinite(readings[i])) {
            sign->sum += readings[i];
            sign->known++;
        }
        sign->stats.reading = readings[i];
        sign->stats.threshold = thresholds[i];
        if (is_due && step(sign, i, options, now))
            changes[count++] = (struct vital_change){i, from, sign->stats.state};
    }
    if (is_due)
        vitals->step_at = now;
    return count;
}
