#include "core/alerts.h"

#include "base/mark.h"
#include <assert.h>
#include <math.h>
#include <string.h>

#define HOUR duration_s(3600)

/* The choices of alert_min_severity stand in the order of severities. */
_Static_assert(ALERT_ENTRIES_MAX <= ALERTS_MAX, "a message of before finds room");
_Static_assert(SEVERITY_INFO == 0 && SEVERITY_CRITICAL == 3, "as alert_min_severity has them");

/* ---- names ---- */

#define X(code, name) [code] = name,
static const char *const states[] = {ALERT_STATE_LIST(X)};
static const char *const kinds[] = {ALERT_MESSAGE_LIST(X)};
static const char *const changes[] = {ALERT_CHANGE_LIST(X)};
#undef X

const char *alert_state_name(enum alert_state state)
{
    return (unsigned)state < ALERT_STATE_COUNT ? states[state] : "unknown";
}

const char *alert_message_kind_name(enum alert_message_kind kind)
{
    return (unsigned)kind < ALERT_MESSAGE_KIND_COUNT ? kinds[kind] : "unknown";
}

const char *alert_change_name(enum alert_change change)
{
    return (unsigned)change < ALERT_CHANGE_COUNT ? changes[change] : "unknown";
}

/* ---- one alert ---- */

static bool has_passed(instant from, duration span, instant now)
{
    return instant_diff(now, from).us >= span.us;
}

static double penalty_at(const struct alert *alert, instant now)
{
    double halves =
        duration_to_s(instant_diff(now, alert->penalty_at)) / duration_to_s(ALERT_HALF_LIFE);
    return alert->penalty * exp2(-halves);
}

/* It begins, or begins again. */
static void begin(struct alert *alert, instant now)
{
    alert->penalty = fmin(penalty_at(alert, now) + 1, ALERT_CEILING);
    alert->penalty_at = now;
    MARK_IF(ALERT_FLAPS, alert->penalty > ALERT_SUPPRESS);
    alert->flaps = alert->flaps || alert->penalty > ALERT_SUPPRESS;
    alert->onsets++;
    alert->state = ALERT_FIRING;
    alert->is_held = false;
    if (!alert->is_told)
        alert->worse_at = now;
}

/* What people know of it is over. That it was, and how often, is remembered. */
static void forget(struct alert *alert)
{
    alert->state = ALERT_FREE;
    alert->is_told = alert->is_held = false;
    alert->onsets = 0;
}

static void observe(struct alert *alert, const struct finding *finding, instant now)
{
    bool is_firing = alert->state == ALERT_FIRING;
    instant since = alert->state == ALERT_FREE ? finding->since : alert->finding.since;
    bool was_worse = is_firing && alert->finding.severity > alert->told;
    alert->finding = *finding;
    alert->finding.since = since;
    if (!is_firing)
        begin(alert, now);
    if (alert->is_told && !was_worse && finding->severity > alert->told)
        alert->worse_at = now;
}

static bool calm_down(struct alert *alert, instant now)
{
    if (alert->flaps && penalty_at(alert, now) < ALERT_REUSE) {
        MARK(ALERT_CALMED);
        alert->flaps = false;
    }
    return alert->flaps;
}

/* `wait`: how long it must be good. */
static void settle(struct alerts *alerts, struct alert *alert, duration wait, instant now)
{
    if (alert->state != ALERT_CLEARING || alert->flaps || !has_passed(alert->gone_at, wait, now))
        return;
    if (alert->is_told) {
        alert->state = ALERT_OVER;
        return;
    }
    MARK(ALERT_UNTOLD);
    alerts->untold++;
    forget(alert);
}

/* ---- all of them ---- */

static bool is_of(const struct alert *alert, const struct finding *finding)
{
    return alert->finding.cause == finding->cause && alert->finding.subject == finding->subject;
}

/* Its own, which may be remembered; else the one that is remembered for the longest. NULL: none is
 * free. */
static struct alert *find(struct alerts *alerts, const struct finding *finding)
{
    struct alert *oldest = NULL;
    for (int i = 0; i < ALERTS_MAX; i++) {
        struct alert *alert = &alerts->items[i];
        if ((alert->state != ALERT_FREE || !instant_is_never(alert->gone_at)) &&
            is_of(alert, finding))
            return alert;
        if (alert->state == ALERT_FREE &&
            (oldest == NULL || instant_before(alert->gone_at, oldest->gone_at)))
            oldest = alert;
    }
    if (oldest != NULL)
        *oldest = (struct alert){.state = ALERT_FREE};
    return oldest;
}

static void take_findings(struct alerts *alerts, const struct findings *findings,
                          const struct options *options, instant now)
{
    bool is_seen[ALERTS_MAX] = {false}, is_flapping = false;
    for (size_t i = 0; i < findings->count; i++) {
        const struct finding *finding = &findings->of[i];
        if ((int)finding->severity < options->alert_min_severity)
            continue;
        struct alert *alert = find(alerts, finding);
        if (alert == NULL) {
            MARK(ALERTS_FULL);
            alerts->overflowed++;
            continue;
        }
        alerts->onsets += alert->state == ALERT_FREE;
        observe(alert, finding, now);
        is_seen[alert - alerts->items] = true;
    }
    for (int i = 0; i < ALERTS_MAX; i++) {
        struct alert *alert = &alerts->items[i];
        if (alert->state == ALERT_FIRING && !is_seen[i]) {
            alert->state = ALERT_CLEARING;
            alert->gone_at = now;
        }
        is_flapping = (calm_down(alert, now) && alert->is_told) || is_flapping;
    }
    duration wait = is_flapping ? HOUR : duration_s(options->alert_resolve_sec);
    for (int i = 0; i < ALERTS_MAX; i++)
        settle(alerts, &alerts->items[i], wait, now);
}

/* ---- whether something is to be said ---- */

struct outlook {
    bool has_news;    /* something is new or worse, and may be told */
    bool has_over;    /* something is over */
    bool is_known;    /* people know of something that is not over */
    bool is_firing;   /* something is there, known or not */
    bool is_urgent;   /* something is worse than all that they know of */
    bool is_gathered; /* what is urgent has waited for what comes with it */
    int worst_known;  /* enum severity; −1: nothing */
};

static bool is_known(const struct alert *alert)
{
    return alert->is_told && (alert->state == ALERT_FIRING || alert->state == ALERT_CLEARING);
}

/* People know what it follows from, and it is no worse. */
static bool is_explained(const struct alerts *alerts, const struct finding *finding)
{
    for (int i = 0; i < ALERTS_MAX; i++) {
        const struct alert *reason = &alerts->items[i];
        if (is_known(reason) && reason->finding.cause == finding->because &&
            reason->told >= finding->severity) {
            MARK(ALERT_EXPLAINED);
            return true;
        }
    }
    return false;
}

static bool is_news(const struct alerts *alerts, const struct alert *alert,
                    const struct options *options, instant now)
{
    if (alert->state != ALERT_FIRING || is_explained(alerts, &alert->finding))
        return false;
    if (alert->is_told)
        return alert->finding.severity > alert->told;
    return instant_is_never(alert->told_at) ||
           has_passed(alert->told_at, duration_s(options->alert_cooldown_sec), now);
}

static struct outlook look(const struct alerts *alerts, const struct options *options, instant now)
{
    struct outlook outlook = {.worst_known = -1};
    for (int i = 0; i < ALERTS_MAX; i++) {
        const struct alert *alert = &alerts->items[i];
        outlook.has_over = outlook.has_over || alert->state == ALERT_OVER;
        outlook.is_firing = outlook.is_firing || alert->state == ALERT_FIRING;
        if (!is_known(alert))
            continue;
        outlook.is_known = true;
        if ((int)alert->told > outlook.worst_known)
            outlook.worst_known = alert->told;
    }
    for (int i = 0; i < ALERTS_MAX; i++) {
        const struct alert *alert = &alerts->items[i];
        if (!is_news(alerts, alert, options, now))
            continue;
        outlook.has_news = true;
        if ((int)alert->finding.severity <= outlook.worst_known)
            continue;
        outlook.is_urgent = true;
        if (has_passed(alert->worse_at, ALERT_GATHER, now))
            outlook.is_gathered = true;
    }
    return outlook;
}

static int64_t sent_in_hour(const struct alerts *alerts, instant now)
{
    int64_t count = 0;
    for (int i = 0; i < ALERT_HOURLY_MAX; i++)
        if (!instant_is_never(alerts->sent[i]) && !has_passed(alerts->sent[i], HOUR, now))
            count++;
    return count;
}

/* ALERT_MESSAGE_KIND_COUNT: nothing is due. */
static enum alert_message_kind due(const struct alerts *alerts, const struct outlook *outlook,
                                   instant now)
{
    duration waited = instant_diff(now, alerts->last_message_at);
    if (outlook->is_urgent)
        return outlook->is_gathered ? ALERT_NEWS : ALERT_MESSAGE_KIND_COUNT;
    if (outlook->has_over && !outlook->is_known && !outlook->is_firing)
        return ALERT_RESOLVED;
    if ((outlook->has_news && waited.us >= alerts->gap.us) ||
        (outlook->has_over && waited.us >= 2 * alerts->gap.us))
        return ALERT_NEWS;
    if (outlook->is_known && has_passed(alerts->last_message_at, alerts->repeat_after, now))
        return ALERT_REPEAT;
    return ALERT_MESSAGE_KIND_COUNT;
}

/* The last message of an hour is kept for what matters most. */
static bool may_send(const struct alerts *alerts, enum alert_message_kind kind,
                     const struct outlook *outlook, const struct options *options, instant now)
{
    int64_t most = options->alert_max_per_hour;
    if (!outlook->is_urgent && kind != ALERT_RESOLVED && most > 1)
        most--;
    return sent_in_hour(alerts, now) < most;
}

static void hold(struct alerts *alerts, const struct options *options, instant now)
{
    for (int i = 0; i < ALERTS_MAX; i++) {
        struct alert *alert = &alerts->items[i];
        if (alert->is_held || !(alert->state == ALERT_OVER || is_news(alerts, alert, options, now)))
            continue;
        MARK(ALERT_HELD);
        alert->is_held = true;
        alerts->waiting++;
    }
}

/* ---- what is said ---- */

static bool is_told_of(const struct alert *alert)
{
    return alert->state == ALERT_FIRING || alert->state == ALERT_OVER || is_known(alert);
}

static enum alert_change change_of(const struct alert *alert)
{
    if (alert->state == ALERT_OVER)
        return ALERT_IS_OVER;
    if (!alert->is_told)
        return ALERT_IS_NEW;
    return alert->state == ALERT_FIRING && alert->finding.severity > alert->told ? ALERT_IS_WORSE
                                                                                 : ALERT_GOES_ON;
}

static enum severity worst_of(const struct alert *alert)
{
    return alert->is_told && alert->told > alert->finding.severity ? alert->told
                                                                   : alert->finding.severity;
}

/* Changes before what goes on, then the worst, then in the order of causes. */
static bool comes_before(const struct alert *a, const struct alert *b)
{
    bool a_goes_on = change_of(a) == ALERT_GOES_ON, b_goes_on = change_of(b) == ALERT_GOES_ON;
    if (a_goes_on != b_goes_on)
        return b_goes_on;
    if (worst_of(a) != worst_of(b))
        return worst_of(a) > worst_of(b);
    if (a->finding.cause != b->finding.cause)
        return a->finding.cause < b->finding.cause;
    return a->finding.subject < b->finding.subject;
}

static size_t choose(struct alerts *alerts, struct alert *chosen[ALERTS_MAX])
{
    size_t count = 0;
    for (int i = 0; i < ALERTS_MAX; i++) {
        struct alert *alert = &alerts->items[i];
        if (!is_told_of(alert))
            continue;
        size_t at = count++;
        for (; at > 0 && comes_before(alert, chosen[at - 1]); at--)
            chosen[at] = chosen[at - 1];
        chosen[at] = alert;
    }
    return count;
}

static void add_entry(struct alert_message *message, const struct alert *alert, instant now)
{
    struct alert_entry *entry = &message->of[message->count++];
    *entry = (struct alert_entry){.finding = alert->finding,
                                  .change = change_of(alert),
                                  .before = alert->told,
                                  .ended = alert->gone_at,
                                  .penalty = penalty_at(alert, now),
                                  .onsets = alert->onsets,
                                  .flaps = alert->flaps};
    MARK_IF(ALERT_WORSE, entry->change == ALERT_IS_WORSE);
    entry->finding.severity = worst_of(alert);
    if (entry->change != ALERT_IS_OVER)
        entry->ended = INSTANT_NEVER;
}

static void mark_told(struct alert *alert, instant now)
{
    if (alert->state == ALERT_OVER) {
        forget(alert);
        return;
    }
    if (!alert->is_told)
        alert->told_at = now;
    alert->told = worst_of(alert);
    alert->is_told = true;
    alert->is_held = false;
}

/* What is not over counts, where there is such. */
static enum severity severity_of(const struct alert_message *message)
{
    enum severity worst[2] = {SEVERITY_INFO, SEVERITY_INFO};
    size_t counts[2] = {0, 0};
    for (size_t i = 0; i < message->count; i++) {
        bool is_over = message->of[i].change == ALERT_IS_OVER;
        counts[is_over]++;
        if (message->of[i].finding.severity > worst[is_over])
            worst[is_over] = message->of[i].finding.severity;
    }
    return counts[0] > 0 ? worst[0] : worst[1];
}

static int64_t next_id(struct alerts *alerts, instant now)
{
    alerts->last_id = now.us > alerts->last_id ? now.us : alerts->last_id + 1;
    return alerts->last_id;
}

static void note_sent(struct alerts *alerts, enum alert_message_kind kind,
                      const struct options *options, instant at)
{
    duration first = duration_s(options->alert_repeat_sec);
    alerts->gap.us *= 2;
    if (has_passed(alerts->last_message_at, HOUR, at) || alerts->gap.us == 0)
        alerts->gap = duration_s(options->alert_cooldown_sec);
    if (alerts->gap.us > HOUR.us)
        alerts->gap = HOUR;
    alerts->sent[alerts->next_sent] = at;
    alerts->next_sent = (alerts->next_sent + 1) % ALERT_HOURLY_MAX;
    alerts->last_message_at = at;
    if (kind != ALERT_REPEAT || alerts->repeat_after.us == 0)
        alerts->repeat_after = first;
    if (kind == ALERT_REPEAT)
        alerts->repeat_after.us *= 2;
    if (alerts->repeat_after.us > ALERT_REPEAT_MAX.us)
        alerts->repeat_after = ALERT_REPEAT_MAX;
}

static void make(struct alerts *alerts, enum alert_message_kind kind, const struct options *options,
                 instant now, struct alert_message *out)
{
    struct alert *chosen[ALERTS_MAX];
    size_t count = choose(alerts, chosen);
    size_t taken = count < ALERT_ENTRIES_MAX ? count : ALERT_ENTRIES_MAX;
    out->id = next_id(alerts, now);
    out->at = now;
    out->kind = kind == ALERT_NEWS && alerts->waiting > 0 ? ALERT_DIGEST : kind;
    out->waited = alerts->waiting;
    out->omitted = (uint32_t)(count - taken);
    out->count = 0;
    for (size_t i = 0; i < taken; i++)
        add_entry(out, chosen[i], now);
    for (size_t i = 0; i < taken; i++)
        mark_told(chosen[i], now);
    out->severity = severity_of(out);
    assert(out->count > 0);
    MARK_IF(ALERT_TOLD_NEWS, out->kind == ALERT_NEWS);
    MARK_IF(ALERT_TOLD_DIGEST, out->kind == ALERT_DIGEST);
    MARK_IF(ALERT_TOLD_REPEAT, out->kind == ALERT_REPEAT);
    MARK_IF(ALERT_TOLD_RESOLVED, out->kind == ALERT_RESOLVED);
    alerts->waiting = 0;
    alerts->messages++;
    note_sent(alerts, kind, options, now);
}

/* ---- the interface ---- */

void alerts_init(struct alerts *alerts)
{
    memset(alerts, 0, sizeof *alerts);
}

bool alerts_step(struct alerts *alerts, const struct findings *findings,
                 const struct options *options, instant now, struct alert_message *out)
{
    take_findings(alerts, findings, options, now);
    struct outlook outlook = look(alerts, options, now);
    enum alert_message_kind kind = due(alerts, &outlook, now);
    if (kind == ALERT_MESSAGE_KIND_COUNT)
        return false;
    if (!may_send(alerts, kind, &outlook, options, now)) {
        hold(alerts, options, now);
        return false;
    }
    make(alerts, kind, options, now, out);
    return true;
}

/* People know it; whether it is still there is seen with the next findings. */
static void restore_entry(struct alerts *alerts, const struct alert_entry *entry, instant at,
                          instant now)
{
    struct alert *alert = find(alerts, &entry->finding);
    assert(alert != NULL); /* what was there has just been forgotten, and an entry takes one */
    MARK(ALERT_RESTORED);
    *alert = (struct alert){.state = ALERT_CLEARING,
                            .finding = entry->finding,
                            .told = entry->finding.severity,
                            .is_told = true,
                            .told_at = at,
                            .gone_at = now,
                            .penalty = entry->penalty,
                            .penalty_at = at,
                            .flaps = entry->flaps,
                            .onsets = entry->onsets};
    if (entry->change == ALERT_IS_OVER)
        forget(alert);
}

void alerts_restore(struct alerts *alerts, const struct alert_message *message,
                    const struct options *options, instant now)
{
    instant at = instant_min(message->at, now); /* the clock may have been set back */
    if (message->id > alerts->last_id)
        alerts->last_id = message->id;
    if (message->kind == ALERT_TEST)
        return;
    for (int i = 0; i < ALERTS_MAX; i++) /* each message says all */
        if (alerts->items[i].state != ALERT_FREE)
            forget(&alerts->items[i]);
    for (size_t i = 0; i < message->count; i++)
        restore_entry(alerts, &message->of[i], at, now);
    note_sent(alerts, message->kind, options, at);
}

void alerts_make_test(struct alerts *alerts, instant now, struct alert_message *out)
{
    out->id = next_id(alerts, now);
    out->at = now;
    out->kind = ALERT_TEST;
    out->severity = SEVERITY_INFO;
    out->waited = out->omitted = 0;
    out->count = 0;
}

size_t alerts_active(const struct alerts *alerts, const struct alert *out[ALERTS_MAX])
{
    size_t count = 0;
    for (int i = 0; i < ALERTS_MAX; i++)
        if (alerts->items[i].state != ALERT_FREE)
            out[count++] = &alerts->items[i];
    return count;
}
