#include "alert/saved.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

/* ---- out ---- */

static void put_entry(struct json *json, const struct alert_entry *entry)
{
    const struct finding *finding = &entry->finding;
    json_object_open(json, NULL);
    json_put_string(json, "cause", finding_name(finding->cause));
    json_put_int(json, "subject", finding->subject);
    json_put_string(json, "severity", severity_name(finding->severity));
    json_put_string(json, "before", severity_name(entry->before));
    if (finding->because != FINDING_CAUSE_COUNT)
        json_put_string(json, "because", finding_name(finding->because));
    json_put_int(json, "since", finding->since.us);
    json_put_double(json, "value", finding->value);
    json_put_double(json, "limit", finding->limit);
    json_put_string(json, "change", alert_change_name(entry->change));
    json_put_int(json, "ended", entry->ended.us);
    json_put_double(json, "penalty", entry->penalty);
    json_put_int(json, "onsets", entry->onsets);
    json_put_bool(json, "flaps", entry->flaps);
    json_object_close(json);
}

void alert_save(struct json *json, const struct alert_message *message, uint32_t waiting)
{
    json_object_open(json, NULL);
    json_put_int(json, "at", message->at.us);
    json_put_string(json, "kind", alert_message_kind_name(message->kind));
    json_put_string(json, "severity", severity_name(message->severity));
    json_put_int(json, "waited", message->waited);
    json_put_int(json, "omitted", message->omitted);
    json_array_open(json, "waiting");
    for (int sink = 0; sink < ALERT_SINK_COUNT; sink++)
        if (waiting >> sink & 1)
            json_put_string(json, NULL, alert_sink_name((enum alert_sink)sink));
    json_array_close(json);
    json_array_open(json, "alerts");
    for (size_t i = 0; i < message->count; i++)
        put_entry(json, &message->of[i]);
    json_array_close(json);
    json_object_close(json);
}

/* ---- in ---- */

/* Which of `count` names it is; `count`: none of them. */
#define LOOK_UP(function, type)                                                                    \
    static unsigned function(const char *name, unsigned count)                                     \
    {                                                                                              \
        unsigned i = 0;                                                                            \
        while (i < count && (name == NULL || strcmp(type(i), name) != 0))                          \
            i++;                                                                                   \
        return i;                                                                                  \
    }

static const char *cause_at(unsigned i)
{
    return finding_name((enum finding_cause)i);
}

static const char *severity_at(unsigned i)
{
    return severity_name((enum severity)i);
}

static const char *kind_at(unsigned i)
{
    return alert_message_kind_name((enum alert_message_kind)i);
}

static const char *change_at(unsigned i)
{
    return alert_change_name((enum alert_change)i);
}

static const char *sink_at(unsigned i)
{
    return alert_sink_name((enum alert_sink)i);
}

LOOK_UP(find_cause, cause_at)
LOOK_UP(find_severity, severity_at)
LOOK_UP(find_kind, kind_at)
LOOK_UP(find_change, change_at)
LOOK_UP(find_sink, sink_at)

static const char *text_of(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

static int64_t whole_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static double number_of(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    return json_is_number(value) ? json_number_value(value) : (double)NAN;
}

static bool read_entry(const json_t *object, struct alert_entry *out)
{
    unsigned cause = find_cause(text_of(object, "cause"), FINDING_CAUSE_COUNT);
    unsigned severity = find_severity(text_of(object, "severity"), SEVERITY_COUNT);
    unsigned before = find_severity(text_of(object, "before"), SEVERITY_COUNT);
    unsigned change = find_change(text_of(object, "change"), ALERT_CHANGE_COUNT);
    int64_t subject = whole_of(object, "subject"), onsets = whole_of(object, "onsets");
    double penalty = number_of(object, "penalty");
    if (cause == FINDING_CAUSE_COUNT || severity == SEVERITY_COUNT || before == SEVERITY_COUNT ||
        change == ALERT_CHANGE_COUNT || subject < 0 || subject > UINT8_MAX)
        return false;
    *out = (struct alert_entry){.finding = {.cause = (enum finding_cause)cause,
                                            .subject = (uint8_t)subject,
                                            .severity = (enum severity)severity,
                                            .because = (enum finding_cause)find_cause(
                                                text_of(object, "because"), FINDING_CAUSE_COUNT),
                                            .since = {whole_of(object, "since")},
                                            .value = number_of(object, "value"),
                                            .limit = number_of(object, "limit")},
                                .change = (enum alert_change)change,
                                .before = (enum severity)before,
                                .ended = {whole_of(object, "ended")},
                                .penalty = penalty >= 0 && penalty <= ALERT_CEILING ? penalty : 0,
                                .onsets = onsets > 0 && onsets <= UINT32_MAX ? (uint32_t)onsets : 1,
                                .flaps = json_is_true(json_object_get(object, "flaps"))};
    return true;
}

static uint32_t read_waiting(const json_t *names)
{
    uint32_t waiting = 0;
    for (size_t i = 0; i < json_array_size(names); i++) {
        unsigned sink = find_sink(json_string_value(json_array_get(names, i)), ALERT_SINK_COUNT);
        if (sink < ALERT_SINK_COUNT)
            waiting |= 1U << sink;
    }
    return waiting;
}

static uint32_t count_of(const json_t *object, const char *key)
{
    int64_t count = whole_of(object, key);
    return count > 0 && count <= UINT32_MAX ? (uint32_t)count : 0;
}

static enum err read_message(const json_t *root, struct alert_message *out, uint32_t *waiting)
{
    unsigned kind = find_kind(text_of(root, "kind"), ALERT_MESSAGE_KIND_COUNT);
    unsigned severity = find_severity(text_of(root, "severity"), SEVERITY_COUNT);
    const json_t *entries = json_object_get(root, "alerts");
    out->at.us = whole_of(root, "at");
    if (kind == ALERT_MESSAGE_KIND_COUNT || severity == SEVERITY_COUNT || out->at.us <= 0 ||
        !json_is_array(entries) || json_array_size(entries) > ALERT_ENTRIES_MAX)
        return ERR_INVALID;
    out->kind = (enum alert_message_kind)kind;
    out->severity = (enum severity)severity;
    out->waited = count_of(root, "waited");
    out->omitted = count_of(root, "omitted");
    out->count = 0;
    for (size_t i = 0; i < json_array_size(entries); i++)
        out->count += read_entry(json_array_get(entries, i), &out->of[out->count]);
    *waiting = read_waiting(json_object_get(root, "waiting"));
    return OK;
}

enum err alert_saved_read(int64_t id, const char *text, struct alert_message *out,
                          uint32_t *waiting)
{
    json_t *root = id > 0 ? json_loads(text, JSON_REJECT_DUPLICATES, NULL) : NULL;
    if (root == NULL)
        return ERR_INVALID;
    out->id = id;
    enum err err = read_message(root, out, waiting);
    json_decref(root);
    return err;
}
