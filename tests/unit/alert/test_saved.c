/* A message as the store keeps it. */
#include "alert/saved.h"
#include "messages.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void a_message_comes_back(void **state)
{
    (void)state;
    struct alert_message message = message_of(1), again;
    uint32_t waiting;
    struct json json = {0};
    alert_save(&json, &message, 1U << ALERT_SINK_WEBHOOK | 1U << ALERT_SINK_COMMAND);
    memset(&again, 0xa5, sizeof again);
    assert_int_equal(alert_saved_read(message.id, json.text, &again, &waiting), OK);
    assert_int_equal(waiting, 1U << ALERT_SINK_WEBHOOK | 1U << ALERT_SINK_COMMAND);
    assert_int_equal(again.id, message.id);
    assert_int_equal(again.at.us, message.at.us);
    assert_int_equal(again.kind, message.kind);
    assert_int_equal(again.severity, message.severity);
    assert_int_equal(again.omitted, message.omitted);
    assert_int_equal(again.count, message.count);
    for (size_t i = 0; i < message.count; i++) {
        const struct alert_entry *a = &message.of[i], *b = &again.of[i];
        assert_int_equal(a->finding.cause, b->finding.cause);
        assert_int_equal(a->finding.subject, b->finding.subject);
        assert_int_equal(a->finding.severity, b->finding.severity);
        assert_int_equal(a->finding.because, b->finding.because);
        assert_int_equal(a->finding.since.us, b->finding.since.us);
        assert_true(a->finding.value == b->finding.value ||
                    (isnan(a->finding.value) && isnan(b->finding.value)));
        assert_int_equal(a->change, b->change);
        assert_int_equal(a->before, b->before);
        assert_int_equal(a->ended.us, b->ended.us);
        assert_true(a->penalty == b->penalty && a->flaps == b->flaps && a->onsets == b->onsets);
    }
    json_finish(&json);
}

/* Each message fits into a row, whatever is in it. */
static void the_longest_fits(void **state)
{
    (void)state;
    struct alert_message message = message_of(1);
    for (size_t i = 0; i < ALERT_ENTRIES_MAX; i++) {
        message.of[i] = message.of[0];
        message.of[i].finding.cause = FINDING_GROUP_UNPUNCTUAL;
        message.of[i].finding.value = -0.12345678901234567;
        message.of[i].penalty = 2.9999999999999996;
        message.of[i].onsets = UINT32_MAX;
    }
    message.count = ALERT_ENTRIES_MAX;
    struct json json = {0};
    alert_save(&json, &message, UINT32_MAX);
    assert_in_range(json.length, 1000, 16384);
    json_finish(&json);
}

#define HEAD                                                                                       \
    "{\"at\":5,\"kind\":\"news\",\"severity\":\"error\",\"waiting\":[\"webhook\"],\"alerts\":"

static void what_is_no_message_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        "{}",
        "[]",
        "null",
        HEAD,
        HEAD "{}}",
        HEAD "null}",
        "{\"at\":0,\"kind\":\"news\",\"severity\":\"error\",\"alerts\":[]}",
        "{\"at\":5,\"kind\":\"noise\",\"severity\":\"error\",\"alerts\":[]}",
        "{\"at\":5,\"kind\":\"news\",\"severity\":5,\"alerts\":[]}",
        "{\"at\":5,\"at\":6,\"kind\":\"news\",\"severity\":\"error\",\"alerts\":[]}"};
    (void)state;
    struct alert_message message;
    uint32_t waiting;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(alert_saved_read(1, bad[i], &message, &waiting), ERR_INVALID);
    assert_int_equal(alert_saved_read(0, HEAD "[]}", &message, &waiting), ERR_INVALID);
    char many[8192] = HEAD "[1";
    for (int i = 0; i < ALERT_ENTRIES_MAX; i++)
        strcat(many, ",1");
    strcat(many, "]}");
    assert_int_equal(alert_saved_read(1, many, &message, &waiting), ERR_INVALID);
}

/* Of another version, or damaged: what can be believed is. */
static void what_is_unknown_is_left_out(void **state)
{
    (void)state;
    struct alert_message message;
    uint32_t waiting;
    static const char text[] =
        "{\"at\":5,\"kind\":\"news\",\"severity\":\"error\",\"waiting\":[\"pigeon\",7,\"telegram\"]"
        ","
        "\"alerts\":[17,{\"cause\":\"no_such\",\"severity\":\"error\",\"before\":\"info\","
        "\"change\":\"new\"},"
        "{\"cause\":\"paused\",\"subject\":999,\"severity\":\"error\",\"before\":\"info\","
        "\"change\":\"new\"},"
        "{\"cause\":\"paused\",\"severity\":\"error\",\"before\":\"info\",\"change\":\"new\","
        "\"penalty\":1e300,\"onsets\":-4,\"since\":7}]}";
    assert_int_equal(alert_saved_read(1, text, &message, &waiting), OK);
    assert_int_equal(waiting, 1U << ALERT_SINK_TELEGRAM);
    assert_int_equal(message.count, 1);
    assert_int_equal(message.of[0].finding.cause, FINDING_PAUSED);
    assert_true(message.of[0].penalty == 0 && isnan(message.of[0].finding.value));
    assert_int_equal(message.of[0].onsets, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_comes_back),
        cmocka_unit_test(the_longest_fits),
        cmocka_unit_test(what_is_no_message_is_refused),
        cmocka_unit_test(what_is_unknown_is_left_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
