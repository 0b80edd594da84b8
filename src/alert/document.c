#include "alert/document.h"

#include "base/clock.h"
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define ZERO_TIME "0001-01-01T00:00:00Z" /* Go's, for what has no end yet */
#define RECEIVER  "moonwatch"

static void put_time(struct json *json, const char *key, instant t)
{
    char text[ISO_TIME_SIZE];
    iso_time_format(t, text);
    json_put_string(json, key, instant_is_never(t) ? ZERO_TIME : text);
}

static void put_labels(struct json *json, const char *key, const struct alert_labels *labels)
{
    json_object_open(json, key);
    for (size_t i = 0; i < labels->count; i++)
        json_put_string(json, labels->of[i].name, labels->of[i].value);
    json_object_close(json);
}

static void put_annotations(struct json *json, const struct alert_item *item)
{
    json_object_open(json, "annotations");
    json_put_string(json, "summary", item->summary);
    json_put_string(json, "description", item->description);
    json_object_close(json);
}

static void put_generator(struct json *json, const struct alert_origin *origin)
{
    char url[ALERT_INSTANCE_SIZE + 16];
    snprintf(url, sizeof url, "%s/alerts", origin->url);
    json_put_string(json, "generatorURL", url);
}

/* ---- the webhook ---- */

static void put_item(struct json *json, const struct alert_item *item,
                     const struct alert_origin *origin)
{
    char fingerprint[20];
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, alert_fingerprint(&item->labels));
    json_object_open(json, NULL);
    json_put_string(json, "status", item->is_resolved ? "resolved" : "firing");
    put_labels(json, "labels", &item->labels);
    put_annotations(json, item);
    put_time(json, "startsAt", item->starts);
    put_time(json, "endsAt", item->is_resolved ? item->ends : INSTANT_NEVER);
    put_generator(json, origin);
    json_put_string(json, "fingerprint", fingerprint);
    json_object_close(json);
}

static bool has_label(const struct alert_labels *labels, const struct alert_label *wanted)
{
    for (size_t i = 0; i < labels->count; i++)
        if (strcmp(labels->of[i].name, wanted->name) == 0 &&
            strcmp(labels->of[i].value, wanted->value) == 0)
            return true;
    return false;
}

/* Those of the first that all others have too. `item` is theirs in turn. */
static void put_common_labels(struct json *json, const struct alert_message *message,
                              const struct alert_origin *origin, const struct alert_item *first,
                              struct alert_item *item)
{
    bool is_common[ALERT_LABELS_MAX];
    memset(is_common, true, sizeof is_common);
    for (size_t n = 1; n < alert_item_count(message); n++) {
        alert_item(message, n, origin, item);
        for (size_t i = 0; i < first->labels.count; i++)
            is_common[i] = is_common[i] && has_label(&item->labels, &first->labels.of[i]);
    }
    json_object_open(json, "commonLabels");
    for (size_t i = 0; i < first->labels.count; i++)
        if (is_common[i])
            json_put_string(json, first->labels.of[i].name, first->labels.of[i].value);
    json_object_close(json);
}

/* Texts with numbers in them are common to one alert alone. */
static void put_common_annotations(struct json *json, const struct alert_message *message,
                                   const struct alert_item *first)
{
    json_object_open(json, "commonAnnotations");
    if (alert_item_count(message) == 1) {
        json_put_string(json, "summary", first->summary);
        json_put_string(json, "description", first->description);
    }
    json_object_close(json);
}

static void put_group(struct json *json, const struct alert_origin *origin)
{
    char key[ALERT_INSTANCE_SIZE + 64];
    snprintf(key, sizeof key, "{}:{instance=\"%s\", job=\"moonwatch\"}", origin->instance);
    json_put_string(json, "groupKey", key);
    json_object_open(json, "groupLabels");
    json_put_string(json, "instance", origin->instance);
    json_put_string(json, "job", "moonwatch");
    json_object_close(json);
}

static bool is_firing(const struct alert_message *message)
{
    for (size_t n = 0; n < message->count; n++)
        if (message->of[n].change != ALERT_IS_OVER)
            return true;
    return message->kind == ALERT_TEST;
}

void alert_webhook_json(struct json *json, const struct alert_message *message,
                        const struct alert_origin *origin)
{
    struct alert_item first = {0}, item;
    if (alert_item_count(message) > 0)
        alert_item(message, 0, origin, &first);
    json_object_open(json, NULL);
    json_put_string(json, "version", "4");
    put_group(json, origin);
    json_put_int(json, "truncatedAlerts", message->omitted);
    json_put_string(json, "status", is_firing(message) ? "firing" : "resolved");
    json_put_string(json, "receiver", RECEIVER);
    put_common_labels(json, message, origin, &first, &item);
    put_common_annotations(json, message, &first);
    json_put_string(json, "externalURL", origin->url);
    json_array_open(json, "alerts");
    for (size_t n = 0; n < alert_item_count(message); n++) {
        alert_item(message, n, origin, &item);
        put_item(json, &item, origin);
    }
    json_array_close(json);
    json_object_close(json);
}

/* ---- the API ---- */

static void put_posted(struct json *json, const struct alert_item *item, instant ends,
                       const struct alert_origin *origin)
{
    json_object_open(json, NULL);
    put_labels(json, "labels", &item->labels);
    put_annotations(json, item);
    put_time(json, "startsAt", item->starts);
    put_time(json, "endsAt", ends);
    put_generator(json, origin);
    json_object_close(json);
}

void alert_api_json(struct json *json, const struct alert_message *message,
                    const struct alert_origin *origin)
{
    struct alert_item item;
    duration life = message->kind == ALERT_TEST ? ALERT_TEST_LIFE : ALERT_API_LIFE;
    json_array_open(json, NULL);
    for (size_t n = 0; n < alert_item_count(message); n++) {
        alert_item(message, n, origin, &item);
        put_posted(json, &item, item.is_resolved ? item.ends : instant_add(message->at, life),
                   origin);
        if (alert_item_before(message, n, origin, &item))
            put_posted(json, &item, item.ends, origin);
    }
    json_array_close(json);
}
