/* How patience is measured. */
#include "drill/patience.h"

#include "drill/drill.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define NEAR 1e-9

static void a_load_becomes_a_factor(void **state)
{
    static const struct {
        const char *loadavg;
        long processors;
        double factor;
    } rows[] = {
        {"0.00 0.01 0.05 1/234 5678\n", 2, 1}, /* we ourselves run */
        {"9.99 9.99 9.99 2/234 5678\n", 2, 1}, /* the past does not count */
        {"0.00 0.01 0.05 3/234 5678\n", 2, 1.5},
        {"0.00 0.01 0.05 10/234 5678\n", 4, 2.5},
        {"0.00 0.01 0.05 400/999 5678\n", 2, PATIENCE_BUSY_MAX},
        {"0.00 0.01 0.05 10/234 5678\n", 0, 1},
        {"0.00 0.01 0.05 10/234 5678\n", -1, 1}, /* sysconf(3) does not know */
        {"0.00 0.01 0.05\n", 2, 1},
        {"", 2, 1},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_float_equal(patience_of_load(rows[i].loadavg, rows[i].processors), rows[i].factor,
                           NEAR);
}

static void the_factor_is_bounded(void **state)
{
    (void)state;
    double factor = patience_factor();
    assert_true(factor >= 1);
    assert_true(patience_worst() >= factor);
}

/* Never before its time; and it does end. */
static void patience_ends(void **state)
{
    struct patience patience;
    double began_s = now_s();
    (void)state;
    patience_start(&patience, 0.05);
    assert_false(patience_is_over(&patience));
    while (!patience_is_over(&patience))
        rest_ms(1);
    assert_true(now_s() - began_s >= 0.05);
    assert_true(patience_is_over(&patience)); /* and stays so */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_load_becomes_a_factor),
        cmocka_unit_test(the_factor_is_bounded),
        cmocka_unit_test(patience_ends),
    };
    return cmocka_run_group_tests_name("patience", tests, NULL, NULL);
}
