/* GET /logs and its filters, /logs/meta, DELETE /logs. */
#include "base/clock.h"
#include "world.h"

#include <jansson.h> /* and so not base/json.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define T0 1790000000000000LL /* 2026-09-21T14:13:20Z */

static struct world world;

static void put(int second, enum log_level level, unsigned writer, const char *logger,
                const char *text)
{
    log_ring_put(&world.page->log, &(struct log_entry){.at = {T0 + second * 1000000LL},
                                                       .level = level,
                                                       .writer = writer,
                                                       .logger = logger,
                                                       .text = text,
                                                       .length = strlen(text)});
}

static int begin(void **state)
{
    (void)state;
    world_start(&world, "");
    put(1, LOG_INFO, PROCESS_SUPERVISOR, "supervisor", "\"msg\":\"one\",\"pid\":7");
    put(2, LOG_WARNING, PROCESS_ENGINE, "feed", "\"msg\":\"two \\\"quoted\\\"\"");
    put(3, LOG_ERROR, PROCESS_API, "api", "\"msg\":\"three\",\"path\":\"/Tmp\"");
    put(4, LOG_INFO, PROCESS_ENGINE, "feed", "\"msg\":\"four\"");
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_stop(&world);
    return 0;
}

static json_t *ask(const char *method, const char *target, int status)
{
    struct answer_read answer = http_ask(&world, method, target, NULL, NULL);
    if (answer.status != status)
        fail_msg("%s %s: %d %s", method, target, answer.status, answer.body);
    json_t *json = json_loads(answer.body, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(json);
    http_free(&answer);
    return json;
}

static const char *string(const json_t *json, const char *key)
{
    return json_string_value(json_object_get(json, key));
}

/* The messages' first words. */
static void assert_lines(const char *target, const char *expected)
{
    json_t *lines = ask("GET", target, 200), *line;
    char found[256] = "";
    size_t index;
    assert_true(json_is_array(lines));
    json_array_foreach(lines, index, line)
    {
        const char *message = string(line, "msg");
        snprintf(found + strlen(found), sizeof found - strlen(found), "%s%.*s",
                 index > 0 ? " " : "", (int)strcspn(message, " "), message);
    }
    if (strcmp(found, expected) != 0)
        fail_msg("%s: '%s', not '%s'", target, found, expected);
    json_decref(lines);
}

static void test_shape(void **state)
{
    (void)state;
    json_t *lines = ask("GET", "/logs/", 200);
    assert_int_equal(json_array_size(lines), 4);
    const json_t *line = json_array_get(lines, 0);
    assert_int_equal(json_object_size(line), 6);
    assert_string_equal(string(line, "ts"), "2026-09-21T14:13:21.000000+00:00");
    assert_string_equal(string(line, "level"), "INFO");
    assert_string_equal(string(line, "logger"), "supervisor");
    assert_string_equal(string(line, "process"), "supervisor");
    assert_string_equal(string(line, "msg"), "one");
    assert_int_equal(json_integer_value(json_object_get(line, "pid")), 7);
    assert_string_equal(string(json_array_get(lines, 1), "msg"), "two \"quoted\"");
    assert_string_equal(string(json_array_get(lines, 1), "process"), "engine");
    json_decref(lines);
}

static void test_filters(void **state)
{
    (void)state;
    assert_lines("/logs", "one two three four");
    assert_lines("/logs?limit=2", "three four");
    assert_lines("/logs?levels=INFO", "one four");
    assert_lines("/logs/?levels=warning,Error", "two three");
    assert_lines("/logs?levels=CRITICAL", ""); /* known to clients, never ours */
    assert_lines("/logs?loggers=feed,nobody", "two four");
    assert_lines("/logs?loggers=fee", "");
    assert_lines("/logs?contains=THREE", "three");
    assert_lines("/logs?contains=%2ftmp", "three");
    assert_lines("/logs?contains=%22quoted%22", "two");
    assert_lines("/logs?since=2026-09-21T14:13:23Z", "three four");
    assert_lines("/logs?since=2026-09-21T14:13:23.000001%2B00:00&levels=info", "four");
    assert_lines("/logs?levels=&loggers=&contains=&since=&limit=&nonsense=1", "one two three four");
}

static void assert_refused(const char *target, int status, const char *says)
{
    json_t *json = ask("GET", target, status);
    if (strstr(string(json, "detail"), says) == NULL)
        fail_msg("GET %s says '%s'", target, string(json, "detail"));
    json_decref(json);
}

static void test_refusals(void **state)
{
    (void)state;
    assert_refused("/logs?limit=0", 422, "limit must be");
    assert_refused("/logs?limit=501", 422, "from 1 to 500");
    assert_refused("/logs?limit=x", 422, "limit must be");
    assert_refused("/logs?since=yesterday", 422, "since must be a time");
    assert_refused("/logs?levels=loud", 400, "unknown level 'loud'");
    assert_refused("/logs?levels=info,,error", 400, "unknown level ''");
    assert_refused("/logs?contains=%zz", 400, "contains is malformed");
}

static void test_meta(void **state)
{
    (void)state;
    json_t *json = ask("GET", "/logs/meta/", 200);
    json_t *loggers = json_object_get(json, "loggers");
    static const char *const names[] = {"api", "feed", "supervisor"};
    assert_int_equal(json_array_size(loggers), 3);
    for (size_t i = 0; i < 3; i++)
        assert_string_equal(json_string_value(json_array_get(loggers, i)), names[i]);
    json_decref(json);
}

static void test_clear(void **state)
{
    (void)state;
    json_t *json = ask("DELETE", "/logs/", 200);
    assert_int_equal(json_integer_value(json_object_get(json, "cleared")), 4);
    json_decref(json);
    assert_lines("/logs", "");
    put(5, LOG_INFO, PROCESS_API, "api", "\"msg\":\"five\"");
    assert_lines("/logs", "five");
    json = ask("DELETE", "/logs", 200);
    assert_int_equal(json_integer_value(json_object_get(json, "cleared")), 1);
    json_decref(json);
}

static void test_a_stranger_clears_nothing(void **state)
{
    (void)state;
    struct answer_read answer =
        http_ask(&world, "DELETE", "/logs/", "Origin: http://evil.example\r\n", NULL);
    assert_int_equal(answer.status, 403);
    http_free(&answer);
    assert_lines("/logs", "one two three four");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_shape, begin, end),
        cmocka_unit_test_setup_teardown(test_filters, begin, end),
        cmocka_unit_test_setup_teardown(test_refusals, begin, end),
        cmocka_unit_test_setup_teardown(test_meta, begin, end),
        cmocka_unit_test_setup_teardown(test_clear, begin, end),
        cmocka_unit_test_setup_teardown(test_a_stranger_clears_nothing, begin, end),
    };
    return cmocka_run_group_tests_name("logs", tests, NULL, NULL);
}
