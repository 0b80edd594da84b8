/* How much a counter rose within the last minute. */
#include "core/recently.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static instant at(double s)
{
    return (instant){1750000000000000 + (int64_t)(s * 1e6)};
}

static void test_table(void **state)
{
    (void)state;
    static const struct {
        double at_s, counter, increase;
    } steps[] = {
        {0, 100, 0}, /* what was before nobody knows */
        {1, 105, 5},    {1.5, 106, 6}, {30, 106, 6},  {59, 110, 10},  {60, 110, 10}, /* since 0 s */
        {61, 110, 4}, /* what came in second 1 is not recent any more */
        {62, 110, 4},   {118, 110, 4}, {119, 110, 0}, {500, 130, 20}, /* who does not look for long
                                                                         counts it all to now */
        {559, 130, 20}, {560, 130, 0}, {560, 131, 1}, {5000, 131, 0},
    };
    struct recently recently;
    recently_init(&recently, duration_s(60));
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        double increase = recently_add(&recently, at(steps[i].at_s), steps[i].counter);
        if (increase != steps[i].increase)
            fail_msg("at %g s: %g and not %g", steps[i].at_s, increase, steps[i].increase);
        assert_true(recently.increase == increase);
    }
}

/* Against counting all of it, second by second. */
static void test_every_second(void **state)
{
    (void)state;
    static double counters[1000];
    struct recently recently;
    recently_init(&recently, duration_s(60));
    for (int i = 0; i < 1000; i++) {
        counters[i] = (i > 0 ? counters[i - 1] : 0) + (i * 7 % 5);
        double since = i >= 60 ? counters[i - 60] : counters[0];
        assert_true(recently_add(&recently, at(i), counters[i]) == counters[i] - since);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_every_second),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
