/* What the records of the flight recorder say. See flight.h. */
#include "base/text.h"
#include "core/breaker.h"
#include "core/core.h"
#include "core/trust.h"
#include "page/command.h"
#include "page/flight.h"
#include "page/status_page.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static const char *const kind_names[] = {
#define X(code, name, sentence) [code] = name,
    FLIGHT_LIST(X)
#undef X
};

static const char *const sentences[] = {
#define X(code, name, sentence) [code] = sentence,
    FLIGHT_LIST(X)
#undef X
};

static const char *const healing_names[] = {
#define X(code, name) [code] = name,
    FLIGHT_HEALING_LIST(X)
#undef X
};

static const char *const alert_names[] = {
#define X(code, name) [code] = name,
    FLIGHT_ALERT_LIST(X)
#undef X
};

static const char *const stage_names[] = {
#define X(code, name) [code] = name,
    START_STAGE_LIST(X)
#undef X
};

/* State 0 and state 1. */
static const char *const pause_names[] = {"running", "paused"};
static const char *const trouble_names[] = {"working", "failing"};
static const char *const limit_names[] = {"rose", "fell"};

const char *flight_kind_name(enum flight_kind kind)
{
    return (unsigned)kind < FLIGHT_KIND_COUNT ? kind_names[kind] : "unknown";
}

#define NAME_AMONG(names, value) name_among((names), sizeof(names) / sizeof(names)[0], (value))

/* NULL: the value has no name there. */
static const char *name_among(const char *const names[], size_t count, unsigned value)
{
    return value < count ? names[value] : NULL;
}

static const char *name_of_what(enum flight_kind kind, unsigned value)
{
    switch (kind) {
    case FLIGHT_PROCESS:
    case FLIGHT_START:
    case FLIGHT_HEALING:
        return process_name((enum page_process_id)value);
    case FLIGHT_REQUEST_SENT:
    case FLIGHT_REQUEST_ENDED:
    case FLIGHT_LIMIT:
        return lane_kind_name((enum lane_kind)value);
    case FLIGHT_JOB:
        return job_name((enum job)value);
    case FLIGHT_ALERT:
        return alert_sink_name((enum alert_sink)value);
    case FLIGHT_COMMAND:
        return command_kind_name(value);
    case FLIGHT_LOAD:
        return load_signal_name((enum load_signal_id)value);
    case FLIGHT_FEATURE:
        return load_feature_name((enum load_feature)value);
    case FLIGHT_FORECAST:
        return vital_name((enum vital)value);
    default:
        return NULL;
    }
}

/* Of `from` and `to`. */
static const char *name_of_state(enum flight_kind kind, unsigned value)
{
    switch (kind) {
    case FLIGHT_PROCESS:
        return process_state_name((enum process_state)value);
    case FLIGHT_REQUEST_ENDED:
        return feed_outcome_name((enum feed_outcome)value);
    case FLIGHT_LIFE:
        return token_status_name((enum token_status)value);
    case FLIGHT_SUSPECT:
        return trust_name((enum trust)value);
    case FLIGHT_BREAKER:
        return breaker_state_name((enum breaker_state)value);
    case FLIGHT_JOB:
        return job_state_name((enum job_run_state)value);
    case FLIGHT_START:
        return NAME_AMONG(stage_names, value);
    case FLIGHT_LOAD:
        return load_level_name((enum load_level)value);
    case FLIGHT_FEATURE:
        return feature_state_name((enum feature_state)value);
    case FLIGHT_FORECAST:
        return vital_state_name((enum vital_state)value);
    case FLIGHT_PAUSE:
        return NAME_AMONG(pause_names, value);
    case FLIGHT_STORE:
    case FLIGHT_SOURCE:
        return NAME_AMONG(trouble_names, value);
    case FLIGHT_LIMIT:
        return NAME_AMONG(limit_names, value);
    case FLIGHT_HEALING:
        return NAME_AMONG(healing_names, value);
    case FLIGHT_ALERT:
        return NAME_AMONG(alert_names, value);
    default:
        return NULL;
    }
}

struct sentence {
    char *out;
    size_t size, length;
};

static void put(struct sentence *sentence, const char *text)
{
    sentence->length += text_copy(sentence->out + sentence->length,
                                  sentence->size - sentence->length, text, strlen(text));
}

static void put_named(struct sentence *sentence, const char *name, unsigned value)
{
    char text[16];
    snprintf(text, sizeof text, "%u", value);
    put(sentence, name != NULL ? name : text);
}

static void put_subject(struct sentence *sentence, const struct address *subject)
{
    static const struct address nobody;
    char text[ADDRESS_TEXT_MAX + 1] = "-";
    if (!address_equal(subject, &nobody))
        address_format(subject, text);
    put(sentence, text);
}

static void put_number(struct sentence *sentence, char field, uint64_t number)
{
    char text[32];
    if (field == 'd')
        snprintf(text, sizeof text, "%" PRId64, (int64_t)number);
    else
        snprintf(text, sizeof text, "%" PRIu64, number);
    put(sentence, text);
}

static void put_field(struct sentence *sentence, const struct flight_record *record, char field)
{
    enum flight_kind kind = (enum flight_kind)record->kind;
    if (field == 'w')
        put_named(sentence, name_of_what(kind, record->what), record->what);
    else if (field == 'f')
        put_named(sentence, name_of_state(kind, record->from), record->from);
    else if (field == 't')
        put_named(sentence, name_of_state(kind, record->to), record->to);
    else if (field == 's')
        put_subject(sentence, &record->subject);
    else
        put_number(sentence, field, record->number);
}

size_t flight_describe(const struct flight_record *record, char *out, size_t size)
{
    struct sentence sentence = {out, size, 0};
    const char *at = record->kind < FLIGHT_KIND_COUNT ? sentences[record->kind] : "unknown";
    out[0] = '\0';
    for (; *at != '\0'; at++) {
        if (*at == '%')
            put_field(&sentence, record, *++at);
        else
            put(&sentence, (const char[]){*at, '\0'});
    }
    return sentence.length;
}
