/* Turns of requests: how far apart, when one begins, when it goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/gather.h"

#define START ((instant){1750000000000000LL})

static instant at(double seconds)
{
    return instant_add(START, duration_s(seconds));
}

static void span_follows_target_and_pace(void **state)
{
    (void)state;
    static const struct {
        double target_s, per_second, span_s;
    } cases[] = {
        {15, 5, 0.75}, /* a twentieth of the target */
        {15, 1, 0.75}, /* whoever sends little waits no longer for it */
        {45, 5, 0.8},  /* four requests */
        {15, 20, 0.2}, /* four requests */
        {3, 5, 0.15},  /* short targets are kept as well */
        {15, 1400, 0}, /* awake anyway */
        {1, 1, 0},     /* too short to wait */
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_float_equal(gather_span_s(cases[i].target_s, cases[i].per_second), cases[i].span_s,
                           1e-9);
}

static void turns_keep_apart_and_go_on_until_their_end(void **state)
{
    (void)state;
    struct gather gather = {.span = duration_ms(750)};
    assert_true(instant_is_never(gather_ready_at(&gather))); /* the first begins at once */
    gather_sent(&gather, at(1));
    gather_sent(&gather, at(1.2)); /* the same turn, which had to wait for something */
    assert_true(instant_is_never(gather_ready_at(&gather)));
    gather_end(&gather);
    assert_int_equal(gather_ready_at(&gather).us, at(1.75).us);
    gather_sent(&gather, at(5)); /* nobody was due before */
    gather_end(&gather);
    assert_int_equal(gather_ready_at(&gather).us, at(5.75).us);
}

static void who_is_in_a_hurry_waits_for_nobody(void **state)
{
    (void)state;
    struct gather gather = {.span = duration_ms(750)};
    gather_sent(&gather, at(1));
    gather_hurry(&gather);
    assert_true(instant_is_never(gather_ready_at(&gather)));
    gather_sent(&gather, at(2));
    gather_end(&gather);
    assert_int_equal(gather_ready_at(&gather).us, at(2.75).us);
    gather_hurry(&gather);
    assert_true(instant_is_never(gather_ready_at(&gather)));
}

static void without_a_span_nothing_waits(void **state)
{
    (void)state;
    struct gather gather = {.span = duration_us(0)};
    gather_sent(&gather, at(1));
    gather_end(&gather);
    assert_int_equal(gather_ready_at(&gather).us, at(1).us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(span_follows_target_and_pace),
        cmocka_unit_test(turns_keep_apart_and_go_on_until_their_end),
        cmocka_unit_test(who_is_in_a_hurry_waits_for_nobody),
        cmocka_unit_test(without_a_span_nothing_waits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
