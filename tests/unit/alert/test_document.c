/* What a message looks like: as JSON, as text, in labels. */
#include "alert/document.h"
#include "alert/text.h"
#include "base/options.h"
#include "messages.h"
#include "webhook_check.h"

static struct alert_origin origin = {"moon:8000", "http://moon:8000"};

static void the_webhook_is_version_4(void **state)
{
    (void)state;
    struct alert_message message = message_of(1);
    struct json json = {0};
    alert_webhook_json(&json, &message, &origin);
    json_t *root = check_webhook(json.text);
    assert_string_equal(text_at(root, "groupKey"),
                        "{}:{instance=\"moon:8000\", job=\"moonwatch\"}");
    assert_int_equal(json_integer_value(json_object_get(root, "truncatedAlerts")), 2);
    const json_t *alerts = json_object_get(root, "alerts");
    assert_int_equal(json_array_size(alerts), 3);
    const json_t *late = json_array_get(alerts, 1);
    const json_t *labels = json_object_get(late, "labels");
    assert_string_equal(text_at(labels, "alertname"), "group_late");
    assert_string_equal(text_at(labels, "severity"), "error");
    assert_string_equal(text_at(labels, "component"), "scheduler");
    assert_string_equal(text_at(labels, "subject"), "hot");
    assert_string_equal(text_at(json_object_get(late, "annotations"), "summary"),
                        "a hot token that is due was refreshed 47.5 s ago, over 30 s");
    assert_string_equal(text_at(late, "generatorURL"), "http://moon:8000/alerts");
    json_decref(root);
    json_finish(&json);
}

static void every_kind_is_well_formed(void **state)
{
    (void)state;
    for (int kind = 0; kind < ALERT_MESSAGE_KIND_COUNT; kind++)
        for (size_t count = 1; count <= 3; count++) {
            struct alert_message message = message_of(kind);
            struct json json = {0};
            message.kind = (enum alert_message_kind)kind;
            message.count = kind == ALERT_TEST ? 0 : count;
            if (kind == ALERT_RESOLVED)
                for (size_t i = 0; i < count; i++) {
                    message.of[i].change = ALERT_IS_OVER;
                    message.of[i].ended = message.at;
                }
            alert_webhook_json(&json, &message, &origin);
            json_decref(check_webhook(json.text));
            json_finish(&json);
        }
}

/* What became worse has other labels: the alert with the old ones is over. */
static void the_api_gets_the_old_severity_resolved(void **state)
{
    (void)state;
    struct alert_message message = message_of(1);
    struct json json = {0};
    alert_api_json(&json, &message, &origin);
    json_t *root = json_loads(json.text, JSON_REJECT_DUPLICATES, NULL);
    assert_int_equal(json_array_size(root), 4);
    const json_t *now = json_array_get(root, 1), *before = json_array_get(root, 2);
    assert_string_equal(text_at(json_object_get(now, "labels"), "severity"), "error");
    assert_string_equal(text_at(json_object_get(before, "labels"), "severity"), "warning");
    assert_int_equal(time_at(before, "endsAt").us, message.at.us);
    assert_int_equal(time_at(now, "endsAt").us, instant_add(message.at, ALERT_API_LIFE).us);
    assert_int_equal(time_at(json_array_get(root, 3), "endsAt").us, message.of[2].ended.us);
    json_decref(root);
    json_finish(&json);
}

/* As computed by github.com/prometheus/common/model, LabelSet.Fingerprint(). */
static void fingerprints_are_prometheus_own(void **state)
{
    (void)state;
    static const struct alert_labels none = {0};
    assert_int_equal(alert_fingerprint(&none), UINT64_C(14695981039346656037));
    struct alert_message message = message_of(1);
    struct alert_item item, other;
    alert_item(&message, 0, &origin, &item);
    alert_item(&message, 1, &origin, &other);
    assert_true(alert_fingerprint(&item.labels) != alert_fingerprint(&other.labels));
    message.of[0].finding.value = 99; /* of what changes by the second nothing is in it */
    message.of[0].onsets = 99;
    alert_item(&message, 0, &origin, &other);
    assert_int_equal(alert_fingerprint(&item.labels), alert_fingerprint(&other.labels));
}

static void the_text_is_for_people(void **state)
{
    (void)state;
    char text[ALERT_TEXT_SIZE];
    struct alert_message message = message_of(1);
    size_t length = alert_text(&message, &origin, text);
    assert_int_equal(length, strlen(text));
    static const char beginning[] =
        "moonwatch moon:8000: error (1 new, 1 worse, 1 resolved)\n\n"
        "new error: the upstream is in trouble and is left alone but for a probe now and then "
        "(comes and goes: 7 times)\n";
    assert_memory_equal(text, beginning, sizeof beginning - 1);
    assert_non_null(strstr(text, "\n\nresolved warning: the export job last began 20 s ago, over "
                                 "10 s\n\nand 2 more: GET /alerts"));
    message.kind = ALERT_TEST;
    message.count = 0;
    message.omitted = 0;
    alert_text(&message, &origin, text);
    assert_non_null(strstr(text, "moonwatch moon:8000: a test\n\ntest error: a test: "));
    message = message_of(1);
    message.kind = ALERT_RESOLVED;
    alert_title(&message, &origin, text);
    assert_string_equal(text, "moonwatch moon:8000: all is well again");
}

static void a_long_text_counts_what_it_leaves_out(void **state)
{
    (void)state;
    char text[ALERT_TEXT_SIZE];
    struct alert_message message = message_of(1);
    message.kind = ALERT_DIGEST;
    message.waited = 9;
    message.omitted = 5;
    for (size_t i = 0; i < ALERT_ENTRIES_MAX; i++)
        message.of[i] = message.of[0];
    message.count = ALERT_ENTRIES_MAX;
    size_t length = alert_text(&message, &origin, text);
    assert_in_range(length, ALERT_TEXT_SIZE / 2, ALERT_TEXT_SIZE - 1);
    size_t shown = 0;
    for (const char *at = text; (at = strstr(at, "new error: ")) != NULL; at++)
        shown++;
    const char *rest = strstr(text, "\n\nand ");
    assert_non_null(rest);
    assert_int_equal(strtoul(rest + 6, NULL, 10), ALERT_ENTRIES_MAX - shown + 5);
    assert_non_null(strstr(text, "a digest: 9 changes waited for the hour's limit"));
}

static void the_origin_is_where_the_api_listens(void **state)
{
    static const struct {
        const char *listen, *url_begins, *ends;
    } cases[] = {{"127.0.0.1:8000", "http://127.0.0.1:8000", ":8000"},
                 {"[::1]:80", "http://[::1]:80", ":80"},
                 {"0.0.0.0:8001", "http://", ":8001"},
                 {"[::]:8002", "http://", ":8002"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct options options;
        struct alert_origin of;
        options_init(&options);
        snprintf(options.listen, sizeof options.listen, "%s", cases[i].listen);
        alert_origin_init(&of, &options);
        assert_memory_equal(of.url, cases[i].url_begins, strlen(cases[i].url_begins));
        assert_null(strstr(of.url, "0.0.0.0"));
        assert_null(strstr(of.url, "[::]"));
        assert_string_equal(of.url + strlen(of.url) - strlen(cases[i].ends), cases[i].ends);
        assert_string_equal(of.instance + strlen(of.instance) - strlen(cases[i].ends),
                            cases[i].ends);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_webhook_is_version_4),
        cmocka_unit_test(every_kind_is_well_formed),
        cmocka_unit_test(the_api_gets_the_old_severity_resolved),
        cmocka_unit_test(fingerprints_are_prometheus_own),
        cmocka_unit_test(the_text_is_for_people),
        cmocka_unit_test(a_long_text_counts_what_it_leaves_out),
        cmocka_unit_test(the_origin_is_where_the_api_listens),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
