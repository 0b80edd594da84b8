/* Findings as names and sentences. See the header. */
#include "core/finding.h"

#include "base/json.h"
#include "base/text.h"
#include "core/core.h"
#include <assert.h>
#include <math.h>
#include <string.h>

#define UNKNOWN "unknown"

struct row {
    const char *name;
    enum component component;
    enum subject_kind subject;
    enum finding_unit unit;
    const char *sentence, *what_to_do;
};

static const struct row rows[FINDING_CAUSE_COUNT] = {
#define X(code, name, component, subject, unit, sentence, what_to_do)                              \
    [code] = {name, component, subject, unit, sentence, what_to_do},
    FINDING_LIST(X)
#undef X
};

#define X(code, text) [code] = text,
static const char *const severities[] = {SEVERITY_LIST(X)};
static const char *const healths[] = {HEALTH_LIST(X)};
static const char *const components[] = {COMPONENT_LIST(X)};
static const char *const subject_kinds[] = {SUBJECT_LIST(X)};
static const char *const processes[] = {WATCHED_PROCESS_LIST(X)};
static const char *const units[] = {UNIT_LIST(X)};
#undef X

/* ---- names ---- */

static const char *name_of(const char *const names[], size_t count, unsigned value)
{
    return value < count ? names[value] : UNKNOWN;
}

static const struct row *row_of(enum finding_cause cause)
{
    static const struct row unknown = {
        UNKNOWN, COMPONENT_SCHEDULER, SUBJECT_NONE, UNIT_NONE, UNKNOWN, UNKNOWN};
    return (unsigned)cause < FINDING_CAUSE_COUNT ? &rows[cause] : &unknown;
}

const char *finding_name(enum finding_cause cause)
{
    return row_of(cause)->name;
}

const char *finding_sentence(enum finding_cause cause)
{
    return row_of(cause)->sentence;
}

const char *finding_what_to_do(enum finding_cause cause)
{
    return row_of(cause)->what_to_do;
}

enum component finding_component(enum finding_cause cause)
{
    return row_of(cause)->component;
}

enum subject_kind finding_subject_kind(enum finding_cause cause)
{
    return row_of(cause)->subject;
}

enum finding_unit finding_unit(enum finding_cause cause)
{
    return row_of(cause)->unit;
}

const char *severity_name(enum severity severity)
{
    return name_of(severities, SEVERITY_COUNT, (unsigned)severity);
}

const char *health_name(enum health health)
{
    return name_of(healths, HEALTH_COUNT, (unsigned)health);
}

const char *component_name(enum component component)
{
    return name_of(components, COMPONENT_COUNT, (unsigned)component);
}

const char *subject_kind_name(enum subject_kind kind)
{
    return name_of(subject_kinds, SUBJECT_KIND_COUNT, (unsigned)kind);
}

const char *watched_process_name(enum watched_process process)
{
    return name_of(processes, WATCHED_PROCESS_COUNT, (unsigned)process);
}

const char *finding_unit_name(enum finding_unit unit)
{
    return name_of(units, UNIT_COUNT_OF, (unsigned)unit);
}

const char *finding_subject_name(enum finding_cause cause, unsigned subject)
{
    switch (finding_subject_kind(cause)) {
    case SUBJECT_GROUP:
        return token_group_name((enum token_group)subject);
    case SUBJECT_LANE:
        return lane_kind_name((enum lane_kind)subject);
    case SUBJECT_JOB:
        return job_name((enum job)subject);
    case SUBJECT_PROCESS:
        return watched_process_name((enum watched_process)subject);
    case SUBJECT_LOAD:
        return load_signal_name((enum load_signal_id)subject);
    case SUBJECT_SIGNAL:
        return vital_name((enum vital)subject);
    case SUBJECT_NONE:
    case SUBJECT_KIND_COUNT:
        break;
    }
    return "";
}

/* ---- sentences ---- */

struct sentence {
    char *out;
    size_t length;
};

static void say(struct sentence *sentence, const char *text, size_t length)
{
    size_t left = FINDING_TEXT_SIZE - 1 - sentence->length;
    size_t taken = length < left ? length : left;
    memcpy(sentence->out + sentence->length, text, taken);
    sentence->length += taken;
    sentence->out[sentence->length] = '\0';
}

/* As much of it as a person wants: three digits. */
static double rounded(double value)
{
    if (value == 0 || !isfinite(value) || fabs(value) >= 100)
        return round(value);
    double step = pow(10, floor(log10(fabs(value))) - 2);
    /* 1 / step is whole where step is not: so there is no tail of nines. */
    return step < 1 ? round(value * round(1 / step)) / round(1 / step) : round(value / step) * step;
}

static void say_number(struct sentence *sentence, double value, const char *unit)
{
    char text[32];
    if (!isfinite(value)) {
        say(sentence, UNKNOWN, strlen(UNKNOWN));
        return;
    }
    say(sentence, text, json_number_format(rounded(value), text));
    say(sentence, unit, strlen(unit));
}

static void say_seconds(struct sentence *sentence, double value)
{
    if (value < 120)
        say_number(sentence, value, " s");
    else if (value < 7200)
        say_number(sentence, value / 60, " min");
    else
        say_number(sentence, value / 3600, " h");
}

static void say_value(struct sentence *sentence, enum finding_unit unit, double value)
{
    switch (unit) {
    case UNIT_SECONDS:
        say_seconds(sentence, value);
        return;
    case UNIT_PERCENT:
        say_number(sentence, value, " %");
        return;
    case UNIT_PER_MINUTE:
        say_number(sentence, value, " a minute");
        return;
    case UNIT_NONE:
    case UNIT_COUNT:
    case UNIT_COUNT_OF:
        break;
    }
    say_number(sentence, value, "");
}

static void say_slot(struct sentence *sentence, const struct finding *finding, const char *slot,
                     size_t length)
{
    const char *who = finding_subject_name(finding->cause, finding->subject);
    assert(length == 3 || length == 5);
    if (length == 3 && memcmp(slot, "who", length) == 0)
        say(sentence, who, strlen(who));
    else if (length == 5 && memcmp(slot, "value", length) == 0)
        say_value(sentence, finding_unit(finding->cause), finding->value);
    else
        say_value(sentence, finding_unit(finding->cause), finding->limit);
}

static void fill_in(const struct finding *finding, const char *text, char *out)
{
    struct sentence sentence = {out, 0};
    out[0] = '\0';
    for (const char *open; (open = strchr(text, '{')) != NULL;) {
        const char *close = strchr(open, '}');
        assert(close != NULL);
        say(&sentence, text, (size_t)(open - text));
        say_slot(&sentence, finding, open + 1, (size_t)(close - open - 1));
        text = close + 1;
    }
    say(&sentence, text, strlen(text));
}

void finding_text(const struct finding *finding, char out[FINDING_TEXT_SIZE])
{
    fill_in(finding, finding_sentence(finding->cause), out);
}

void finding_advice(const struct finding *finding, char out[FINDING_TEXT_SIZE])
{
    fill_in(finding, finding_what_to_do(finding->cause), out);
}

/* ---- many of them ---- */

static int order(const struct finding *a, const struct finding *b)
{
    int by_cause = (int)a->cause - (int)b->cause;
    return by_cause != 0 ? by_cause : (int)a->subject - (int)b->subject;
}

static void drop_least_severe(struct findings *findings)
{
    uint32_t least = 0;
    for (uint32_t i = 1; i < findings->count; i++)
        if (findings->of[i].severity < findings->of[least].severity)
            least = i;
    findings->count--;
    memmove(&findings->of[least], &findings->of[least + 1],
            (findings->count - least) * sizeof findings->of[0]);
    findings->left_out++;
}

void findings_add(struct findings *findings, const struct finding *finding)
{
    uint32_t at = 0;
    assert(finding->cause < FINDING_CAUSE_COUNT);
    if (findings->count == FINDINGS_MAX)
        drop_least_severe(findings);
    while (at < findings->count && order(&findings->of[at], finding) < 0)
        at++;
    bool is_there = at < findings->count && order(&findings->of[at], finding) == 0;
    if (!is_there) {
        memmove(&findings->of[at + 1], &findings->of[at],
                (findings->count - at) * sizeof findings->of[0]);
        findings->count++;
    }
    findings->of[at] = *finding;
}

const struct finding *findings_get(const struct findings *findings, enum finding_cause cause,
                                   unsigned subject)
{
    for (uint32_t i = 0; i < findings->count; i++)
        if (findings->of[i].cause == cause && findings->of[i].subject == subject)
            return &findings->of[i];
    return NULL;
}

bool finding_is_unready(enum finding_cause cause)
{
    switch (cause) {
    case FINDING_SCHEDULER_OFF:
    case FINDING_PAUSED:
    case FINDING_LOADING:
    case FINDING_GROUP_SILENT:
    case FINDING_GROUP_OVERDUE:
    case FINDING_STORE_DOWN:
    case FINDING_NODE_OUTSIDE:
    case FINDING_NODE_RESTS:
    case FINDING_ENGINE_DOWN:
        return true;
    default:
        return false;
    }
}

enum health findings_health(const struct findings *findings)
{
    enum severity worst = SEVERITY_INFO;
    for (uint32_t i = 0; i < findings->count; i++)
        if (findings->of[i].severity > worst)
            worst = findings->of[i].severity;
    return worst == SEVERITY_CRITICAL ? HEALTH_CRITICAL
           : worst > SEVERITY_INFO    ? HEALTH_DEGRADED
                                      : HEALTH_HEALTHY;
}
