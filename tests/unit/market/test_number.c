/* Numbers as the upstream writes them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "market/number.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void rounds(void **state)
{
    static const struct {
        double value;
        unsigned decimals;
        const char *text;
    } cases[] = {{0, 2, "0"},
                 {98, 2, "98"},
                 {0.5, 2, "0.5"},
                 {0.984, 2, "0.98"},
                 {-21.81, 2, "-21.81"},
                 {-0.001, 2, "0"},
                 {5535.82, 2, "5535.82"},
                 {506678.4, 0, "506678"},
                 {342.4893, 4, "342.4893"},
                 {0.99999, 2, "1"},
                 {1877730425.98, 2, "1877730425.98"},
                 {1e300, 0, "1000000000000000"},
                 {NAN, 0, "1000000000000000"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[NUMBER_TEXT_MAX + 1];
        *number_rounded(text, cases[i].value, cases[i].decimals) = '\0';
        assert_string_equal(text, cases[i].text);
    }
}

static void prices(void **state)
{
    static const struct {
        double value;
        unsigned decimals;
        const char *text;
    } cases[] = {{0.000002804, 4, "0.000002804"},
                 {0.0002104, 2, "0.0002104"},
                 {0.00005500, 4, "0.00005500"},
                 {91.1015, 4, "91.1015"},
                 {91.10, 2, "91.10"},
                 {0.03687, 2, "0.03687"},
                 {0.5, 2, "0.5000"},
                 {0.99999, 2, "1.00"},
                 {0.099999, 2, "0.1000"},
                 {1.0, 4, "1.0000"},
                 {0, 4, "0.00000000000000000001000"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[NUMBER_TEXT_MAX + 1];
        *number_price(text, cases[i].value, cases[i].decimals) = '\0';
        assert_string_equal(text, cases[i].text);
    }
}

static void reads_back(void **state)
{
    (void)state;
    for (double value = 1e-18; value < 1e12; value *= 1.37) {
        char text[NUMBER_TEXT_MAX + 1];
        *number_price(text, value, 4) = '\0';
        double error = fabs(strtod(text, NULL) - value) / value;
        assert_true(error <= 0.0005001);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(rounds), cmocka_unit_test(prices),
                                       cmocka_unit_test(reads_back)};
    return cmocka_run_group_tests_name("number", tests, NULL, NULL);
}
