/* Paths and methods to routes; percent-decoding; and the table itself. */
#include "api/router.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

struct route_case {
    const char *method, *path;
    enum route_match match;
    const char *pattern, *argument; /* of ROUTE_FOUND; `argument` is Allow for ROUTE_NOT_METHOD */
};

static const struct route_case cases[] = {
    {"GET", "/health", ROUTE_FOUND, "/health", ""},
    {"GET", "/health/", ROUTE_FOUND, "/health", ""},
    {"HEAD", "/health", ROUTE_FOUND, "/health", ""},
    {"GET", "/", ROUTE_FOUND, "/", ""},
    {"GET", "/app/", ROUTE_FOUND, "/app", ""},
    {"GET", "/app/health", ROUTE_FOUND, "/app/{page}", "health"},
    {"GET", "/app/assets/index.js", ROUTE_FOUND, "/app/assets/{file}", "index.js"},
    {"GET", "/app/tokens/Mint", ROUTE_FOUND, "/app/tokens/{mint}", "Mint"},
    {"GET", "/tokens", ROUTE_FOUND, "/tokens", ""},
    {"GET", "/tokens/", ROUTE_FOUND, "/tokens", ""},
    {"GET", "/tokens/abc", ROUTE_FOUND, "/tokens/{mint}", "abc"},
    {"GET", "/tokens/a%62c/", ROUTE_FOUND, "/tokens/{mint}", "abc"},
    {"GET", "/tokens/a%2Fb", ROUTE_FOUND, "/tokens/{mint}", "a/b"},
    {"GET", "/tokens/abc/pools", ROUTE_FOUND, "/tokens/{mint}/pools", "abc"},
    {"POST", "/tokens/abc/refresh/", ROUTE_FOUND, "/tokens/{mint}/refresh", "abc"},
    {"POST", "/tokens/import", ROUTE_FOUND, "/tokens/import", ""},
    {"GET", "/settings/weights", ROUTE_FOUND, "/settings/weights", ""},
    {"GET", "/settings/defaults", ROUTE_FOUND, "/settings/defaults", ""},
    {"PUT", "/settings/min_score", ROUTE_FOUND, "/settings/{key}", "min_score"},
    {"GET", "", ROUTE_UNKNOWN, NULL, NULL},
    {"GET", "health", ROUTE_UNKNOWN, NULL, NULL},
    {"GET", "/Health", ROUTE_UNKNOWN, NULL, NULL},
    {"GET", "/health//", ROUTE_UNKNOWN, NULL, NULL},
    {"GET", "//health", ROUTE_UNKNOWN, NULL, NULL},
    {"GET", "/health%00", ROUTE_UNKNOWN, NULL, NULL},
    {"GET", "/%68ealth", ROUTE_UNKNOWN, NULL, NULL},
    {"GET", "/tokens/abc/pools/x", ROUTE_UNKNOWN, NULL, NULL},
    {"GET", "/tokens/../health", ROUTE_UNKNOWN, NULL, NULL},
    {"GET", "http://127.0.0.1/health", ROUTE_UNKNOWN, NULL, NULL},
    {"POST", "/health", ROUTE_NOT_METHOD, NULL, "GET, HEAD"},
    {"DELETE", "/tokens", ROUTE_NOT_METHOD, NULL, "GET, HEAD, POST"},
    {"DELETE", "/settings/x", ROUTE_NOT_METHOD, NULL, "GET, HEAD, PUT"},
    {"OPTIONS", "/tokens/abc/refresh", ROUTE_NOT_METHOD, NULL, "POST"},
    {"get", "/health", ROUTE_NOT_METHOD, NULL, "GET, HEAD"},
    {"GET", "/tokens/a%", ROUTE_MALFORMED, NULL, NULL},
    {"GET", "/tokens/a%4", ROUTE_MALFORMED, NULL, NULL},
    {"GET", "/tokens/a%zz", ROUTE_MALFORMED, NULL, NULL},
    {"GET", "/tokens/a%00b", ROUTE_MALFORMED, NULL, NULL},
    {"GET", "/tokens/%ff", ROUTE_MALFORMED, NULL, NULL},
    {"GET", "/tokens/%0a", ROUTE_MALFORMED, NULL, NULL},
};

static void test_routes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct route_result found;
        route_find(cases[i].method, cases[i].path, &found);
        if (found.match != cases[i].match)
            fail_msg("%s %s: match %d", cases[i].method, cases[i].path, found.match);
        if (cases[i].match == ROUTE_FOUND) {
            assert_string_equal(found.route->pattern, cases[i].pattern);
            assert_string_equal(found.argument, cases[i].argument);
        }
        if (cases[i].match == ROUTE_NOT_METHOD)
            assert_string_equal(found.allow, cases[i].argument);
    }
}

static void test_long_argument(void **state)
{
    (void)state;
    char path[1024] = "/tokens/";
    struct route_result found;
    memset(path + 8, 'a', 500);
    route_find("GET", path, &found);
    assert_int_equal(found.match, ROUTE_MALFORMED);
}

/* As long as a hundred mints. */
static void test_long_text(void **state)
{
    (void)state;
    char text[5000], out[sizeof text];
    memset(text, 'a', sizeof text);
    assert_true(percent_decode(text, 4500, out, sizeof out));
    assert_int_equal(strlen(out), 4500);
    text[4499] = '\n';
    assert_false(percent_decode(text, 4500, out, sizeof out));
    assert_false(percent_decode(text, 4499, out, 4499));
}

/* Every row can be reached: none is shadowed by one before it. */
static void test_table(void **state)
{
    (void)state;
    size_t count;
    const struct route *routes = route_table(&count);
    for (size_t i = 0; i < count; i++) {
        struct route_result found;
        route_find(routes[i].method, routes[i].pattern, &found);
        assert_int_equal(found.match, ROUTE_FOUND);
        if (found.route != &routes[i])
            fail_msg("%s %s is shadowed by %s", routes[i].method, routes[i].pattern,
                     found.route->pattern);
        assert_true(routes[i].access == ACCESS_WRITE || strcmp(routes[i].method, "GET") == 0);
        assert_true(strlen(routes[i].sentence) > 0);
    }
}

/* What stands below a row is that row's, and nothing is left undescribed. */
static void test_notes(void **state)
{
    (void)state;
    size_t count;
    const struct route *routes = route_table(&count);
    for (size_t i = 0; i < count; i++) {
        unsigned answers = 0, bodies = 0;
        for (const struct route_note *note = route_notes(&routes[i]); note->kind != NOTE_ROUTE;
             note++) {
            answers += note->kind == NOTE_ANSWER;
            bodies += note->kind == NOTE_BODY;
        }
        if (answers == 0)
            fail_msg("%s %s has no ANSWER", routes[i].method, routes[i].pattern);
        if (bodies != (routes[i].body != BODY_NONE))
            fail_msg("%s %s: a BODY that is not read, or none", routes[i].method,
                     routes[i].pattern);
    }
    struct route_result found;
    route_find("GET", "/tokens", &found);
    assert_int_equal(route_query(found.route, "limit")->high, 100);
    assert_null(route_query(found.route, "history_limit"));
    route_find("GET", "/tokens/x", &found);
    assert_int_equal(route_query(found.route, "history_limit")->high, 200);
    assert_null(route_query(found.route, "limit"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_notes),         cmocka_unit_test(test_routes),
        cmocka_unit_test(test_long_argument), cmocka_unit_test(test_long_text),
        cmocka_unit_test(test_table),
    };
    return cmocka_run_group_tests_name("router", tests, NULL, NULL);
}
