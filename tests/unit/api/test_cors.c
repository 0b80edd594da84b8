/* Pages of another origin, and OPTIONS. */
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define ORIGIN "https://example.org"
#define ALLOW  "Access-Control-Allow-Origin"

static const char *const targets[] = {"/health",  "/tokens", "/tokens.csv", "/settings",
                                      "/metrics", "/app/",   "/nobody",     "/tokens?limit=0"};

static void assert_header(const struct answer_read *answer, const char *name, const char *wanted)
{
    const char *value = http_header(answer, name);
    if (wanted == NULL && value != NULL)
        fail_msg("%s: %s", name, value);
    if (wanted != NULL && (value == NULL || strcmp(value, wanted) != 0))
        fail_msg("%s: %s, not %s", name, value, wanted);
}

/* Twice: what is kept must not gather headers. */
static void assert_allows(const struct world *world, const char *wanted)
{
    for (size_t i = 0; i < 2 * sizeof targets / sizeof targets[0]; i++) {
        struct answer_read answer =
            http_ask(world, "GET", targets[i / 2], "Origin: " ORIGIN "\r\n", NULL);
        assert_header(&answer, ALLOW, wanted);
        const char *first = strstr(answer.head, ALLOW);
        assert_true(first == NULL || strstr(first + 1, ALLOW) == NULL);
        http_free(&answer);
    }
}

static void test_off(void **state)
{
    (void)state;
    struct world world;
    world_start_open(&world, "", "");
    assert_allows(&world, NULL);
    struct answer_read answer =
        http_ask(&world, "OPTIONS", "/tokens", "Origin: " ORIGIN "\r\n", NULL);
    assert_int_equal(answer.status, 204);
    assert_header(&answer, "Allow", "GET, HEAD, POST");
    assert_header(&answer, "Access-Control-Allow-Methods", NULL);
    http_free(&answer);
    answer = http_ask(&world, "OPTIONS", "/nobody", NULL, NULL);
    assert_int_equal(answer.status, 404);
    http_free(&answer);
    world_stop(&world);
}

static void test_on(void **state)
{
    (void)state;
    struct world world;
    world_start_open(&world, "secret", ORIGIN);
    assert_allows(&world, ORIGIN);
    struct answer_read answer = http_ask(&world, "OPTIONS", "/settings/min_score",
                                         "Origin: " ORIGIN "\r\n"
                                         "Access-Control-Request-Method: PUT\r\n"
                                         "Access-Control-Request-Headers: authorization\r\n",
                                         NULL);
    assert_int_equal(answer.status, 204);
    assert_int_equal(answer.body_length, 0);
    assert_header(&answer, ALLOW, ORIGIN);
    assert_header(&answer, "Access-Control-Allow-Methods", "GET, HEAD, PUT");
    assert_non_null(strstr(http_header(&answer, "Access-Control-Allow-Headers"), "Authorization"));
    http_free(&answer);
    /* Who writes needs the token all the same. */
    answer = http_ask(&world, "POST", "/admin/archive", "Origin: " ORIGIN "\r\n", "");
    assert_int_equal(answer.status, 401);
    http_free(&answer);
    answer = http_ask(&world, "POST", "/admin/archive",
                      "Origin: " ORIGIN "\r\nAuthorization: Bearer secret\r\n", "");
    assert_int_equal(answer.status, 200);
    assert_header(&answer, ALLOW, ORIGIN);
    http_free(&answer);
    world_stop(&world);
}

/* Reading is all that it opens: without a token, writes are for our own pages. */
static void test_no_writes(void **state)
{
    (void)state;
    struct world world;
    world_start_open(&world, "", "*");
    assert_allows(&world, "*");
    struct answer_read answer =
        http_ask(&world, "POST", "/admin/archive", "Host: localhost\r\nOrigin: " ORIGIN "\r\n", "");
    assert_int_equal(answer.status, 403);
    http_free(&answer);
    world_stop(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_off),
        cmocka_unit_test(test_on),
        cmocka_unit_test(test_no_writes),
    };
    return cmocka_run_group_tests_name("cors", tests, NULL, NULL);
}
