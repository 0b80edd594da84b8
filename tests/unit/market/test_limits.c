/* The sliding minute. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "market/limits.h"
#include <stdlib.h>
#include <string.h>

static struct limits limits;

static int start(void **state)
{
    (void)state;
    memset(&limits, 0, sizeof limits);
    limits.per_minute = 300;
    return 0;
}

static instant at(double seconds)
{
    return (instant){60000000 * INT64_C(1000) + duration_s(seconds).us};
}

static unsigned allowed(uint64_t client, enum route_kind kind, double seconds, unsigned asked)
{
    unsigned count = 0;
    for (unsigned i = 0; i < asked; i++)
        count += limits_allow(&limits, client, kind, at(seconds));
    return count;
}

static void a_minute_holds_its_number(void **state)
{
    (void)state;
    assert_int_equal(allowed(1, ROUTE_SCREEN, 0, 1000), 300);
    assert_int_equal(allowed(1, ROUTE_SCREEN, 59, 1000), 0);
}

static void kinds_and_clients_are_counted_apart(void **state)
{
    (void)state;
    assert_int_equal(allowed(1, ROUTE_SCREEN, 0, 301), 300);
    assert_int_equal(allowed(1, ROUTE_REFRESH, 0, 301), 300);
    assert_int_equal(allowed(2, ROUTE_SCREEN, 0, 301), 300);
}

static void the_minute_slides(void **state)
{
    (void)state;
    assert_int_equal(allowed(1, ROUTE_SCREEN, 0, 1000), 300);
    assert_int_equal(allowed(1, ROUTE_SCREEN, 60, 1000), 0);
    assert_int_equal(allowed(1, ROUTE_SCREEN, 90, 1000), 150);
    assert_int_equal(allowed(1, ROUTE_SCREEN, 180, 1000), 300);
}

static void a_steady_pace_just_under_it_is_never_refused(void **state)
{
    (void)state;
    for (int i = 0; i < 3000; i++)
        assert_true(limits_allow(&limits, 1, ROUTE_REFRESH, at(i * 60.0 / 298)));
}

static void zero_is_no_limit(void **state)
{
    (void)state;
    limits.per_minute = 0;
    assert_int_equal(allowed(1, ROUTE_SCREEN, 0, 100000), 100000);
}

static void many_clients_need_no_more_room(void **state)
{
    (void)state;
    for (uint64_t client = 1; client < 100 * LIMIT_CLIENTS_MAX; client++)
        assert_true(limits_allow(&limits, client, ROUTE_SCREEN, at(1)));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_minute_holds_its_number, start),
        cmocka_unit_test_setup(kinds_and_clients_are_counted_apart, start),
        cmocka_unit_test_setup(the_minute_slides, start),
        cmocka_unit_test_setup(a_steady_pace_just_under_it_is_never_refused, start),
        cmocka_unit_test_setup(zero_is_no_limit, start),
        cmocka_unit_test_setup(many_clients_need_no_more_room, start)};
    return cmocka_run_group_tests_name("limits", tests, NULL, NULL);
}
