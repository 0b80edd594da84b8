/*
 * Is a body what Alertmanager's webhook receivers take? Strictly: every field of version 4 with its
 * type, no other, as the structs behind the documentation have them
 * (https://github.com/prometheus/alertmanager, notify/webhook/webhook.go: Message, and
 * template/template.go: Data, Alert).
 */
#ifndef MOONWATCH_TESTS_WEBHOOK_CHECK_H
#define MOONWATCH_TESTS_WEBHOOK_CHECK_H

#include "alert/item.h"
#include "base/clock.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

struct field {
    const char *name;
    json_type type;
};

static inline void check_fields(const json_t *object, const struct field *fields, size_t count)
{
    assert_true(json_is_object(object));
    assert_int_equal(json_object_size(object), count);
    for (size_t i = 0; i < count; i++) {
        const json_t *value = json_object_get(object, fields[i].name);
        if (value == NULL || json_typeof(value) != fields[i].type)
            fail_msg("no %s, or of another type", fields[i].name);
    }
}

static inline const char *text_at(const json_t *object, const char *key)
{
    return json_string_value(json_object_get(object, key));
}

/* Labels and annotations: names as Prometheus takes them, values text. */
static inline void check_pairs(const json_t *object)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)object, key, value)
    {
        assert_true(key[0] != '\0' && strspn(key, "abcdefghijklmnopqrstuvwxyz_") == strlen(key));
        assert_true(json_is_string(value) && json_string_length(value) > 0);
    }
}

static inline instant time_at(const json_t *object, const char *key)
{
    instant t = INSTANT_NEVER;
    const char *text = text_at(object, key);
    if (strcmp(text, "0001-01-01T00:00:00Z") != 0 && !iso_time_parse(text, &t))
        fail_msg("%s: no time: %s", key, text);
    return t;
}

static inline bool check_alert(const json_t *alert)
{
    static const struct field fields[] = {
        {"status", JSON_STRING},     {"labels", JSON_OBJECT}, {"annotations", JSON_OBJECT},
        {"startsAt", JSON_STRING},   {"endsAt", JSON_STRING}, {"generatorURL", JSON_STRING},
        {"fingerprint", JSON_STRING}};
    check_fields(alert, fields, sizeof fields / sizeof fields[0]);
    check_pairs(json_object_get(alert, "labels"));
    check_pairs(json_object_get(alert, "annotations"));
    bool is_resolved = strcmp(text_at(alert, "status"), "resolved") == 0;
    assert_true(is_resolved || strcmp(text_at(alert, "status"), "firing") == 0);
    instant starts = time_at(alert, "startsAt"), ends = time_at(alert, "endsAt");
    assert_false(instant_is_never(starts));
    assert_int_equal(is_resolved, !instant_is_never(ends));
    assert_true(!is_resolved || !instant_before(ends, starts));
    assert_int_equal(strlen(text_at(alert, "fingerprint")), 16);
    assert_int_equal(strspn(text_at(alert, "fingerprint"), "0123456789abcdef"), 16);
    assert_non_null(text_at(json_object_get(alert, "labels"), "alertname"));
    return is_resolved;
}

/* What is common is so in each alert, and is not left out. */
static inline void check_common(const json_t *common, const json_t *alerts, const char *part)
{
    const char *key;
    json_t *value;
    json_t *first = json_object_get(json_array_get(alerts, 0), part);
    json_object_foreach(first, key, value)
    {
        bool is_common = true;
        for (size_t i = 0; i < json_array_size(alerts); i++)
            is_common =
                is_common &&
                json_equal(value,
                           json_object_get(json_object_get(json_array_get(alerts, i), part), key));
        assert_int_equal(is_common, json_object_get(common, key) != NULL);
        assert_true(!is_common || json_equal(value, json_object_get(common, key)));
    }
    json_object_foreach((json_t *)common, key, value) assert_non_null(json_object_get(first, key));
}

/* Returns the document; the caller's to json_decref(). */
static inline json_t *check_webhook(const char *body)
{
    static const struct field fields[] = {
        {"version", JSON_STRING},      {"groupKey", JSON_STRING},
        {"status", JSON_STRING},       {"truncatedAlerts", JSON_INTEGER},
        {"receiver", JSON_STRING},     {"groupLabels", JSON_OBJECT},
        {"commonLabels", JSON_OBJECT}, {"commonAnnotations", JSON_OBJECT},
        {"externalURL", JSON_STRING},  {"alerts", JSON_ARRAY}};
    json_error_t error;
    json_t *root = json_loads(body, JSON_REJECT_DUPLICATES, &error);
    if (root == NULL)
        fail_msg("no JSON: %s", error.text);
    check_fields(root, fields, sizeof fields / sizeof fields[0]);
    assert_string_equal(text_at(root, "version"), "4");
    check_pairs(json_object_get(root, "groupLabels"));
    const json_t *alerts = json_object_get(root, "alerts");
    size_t resolved = 0;
    for (size_t i = 0; i < json_array_size(alerts); i++)
        resolved += check_alert(json_array_get(alerts, i));
    assert_string_equal(text_at(root, "status"),
                        resolved == json_array_size(alerts) ? "resolved" : "firing");
    check_common(json_object_get(root, "commonLabels"), alerts, "labels");
    return root;
}

#endif
