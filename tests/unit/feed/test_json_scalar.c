#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"
#include "feed/json_scalar.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static enum json_number read_text(const char *text, double *out)
{
    return json_number_read(text, strlen(text), out);
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } rows[] = {
        {"0", 0},
        {"-0", 0},
        {"1", 1},
        {"-1.5", -1.5},
        {"0.00001084", 0.00001084},
        {"506678", 506678},
        {"1785786812000", 1785786812000.0},
        {"1e3", 1000},
        {"1E+3", 1000},
        {"12e-1", 1.2},
        {"9007199254740993", 9007199254740992.0},
        {"0.1234567890123456789012345678901234567890", 0.12345678901234568},
        {"123456789012345678901234567890", 1.2345678901234568e29},
        {"1e308", 1e308},
        {"1e-400", 0},
        {"0.0e999999999999", 0},
        {"1e-99999999999999999999", 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double value = NAN;
        assert_int_equal(read_text(rows[i].text, &value), JSON_NUMBER_OK);
        if (value != rows[i].value)
            fail_msg("%s reads as %.17g", rows[i].text, value);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum json_number verdict;
    } rows[] = {
        {"1e999", JSON_NUMBER_TOO_LARGE},
        {"-1e999", JSON_NUMBER_TOO_LARGE},
        {"1e99999999999999999999999", JSON_NUMBER_TOO_LARGE},
        {"NaN", JSON_NUMBER_WORD},
        {"nan", JSON_NUMBER_WORD},
        {"-Infinity", JSON_NUMBER_WORD},
        {"+inf", JSON_NUMBER_WORD},
        {"", JSON_NUMBER_NONE},
        {"-", JSON_NUMBER_NONE},
        {"+1", JSON_NUMBER_NONE},
        {"01", JSON_NUMBER_NONE},
        {"00", JSON_NUMBER_NONE},
        {"-01", JSON_NUMBER_NONE},
        {"1.", JSON_NUMBER_NONE},
        {".5", JSON_NUMBER_NONE},
        {"1e", JSON_NUMBER_NONE},
        {"1e+", JSON_NUMBER_NONE},
        {"0x10", JSON_NUMBER_NONE},
        {" 1", JSON_NUMBER_NONE},
        {"1 ", JSON_NUMBER_NONE},
        {"1,000", JSON_NUMBER_NONE},
        {"1.2.3", JSON_NUMBER_NONE},
        {"--1", JSON_NUMBER_NONE},
        {"infinite improbability", JSON_NUMBER_NONE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double value = 42;
        if (read_text(rows[i].text, &value) != rows[i].verdict)
            fail_msg("\"%s\" has the wrong verdict", rows[i].text);
        assert_true(value == 42);
    }
}

/* The quick conversion against the C library's, which is exact. */
static void test_agrees_with_strtod(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 7);
    for (int i = 0; i < 20000; i++) {
        char text[64];
        double value;
        int digits = (int)prng_below(&prng, 20);
        int power = (int)prng_below(&prng, 60) - 30;
        snprintf(text, sizeof(text), "%s%.*fe%d", prng_below(&prng, 2) ? "-" : "", digits,
                 prng_unit(&prng) * pow(10, (double)prng_below(&prng, 12)), power);
        assert_int_equal(read_text(text, &value), JSON_NUMBER_OK);
        if (value != strtod(text, NULL))
            fail_msg("%s reads as %.17g", text, value);
    }
}

static void test_unescaping(void **state)
{
    (void)state;
    static const struct {
        const char *text, *expected;
    } rows[] = {
        {"plain", "plain"},
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"},
        {"\\u0041\\u00e9\\u20ac", "A\xc3\xa9\xe2\x82\xac"},
        {"\\ud83d\\ude80", "\xf0\x9f\x9a\x80"},
        {"\\ud83d", "\xef\xbf\xbd"},
        {"\\ud83d!", "\xef\xbf\xbd!"},
        {"\\ude80\\ud83d\\u0041", "\xef\xbf\xbd\xef\xbf\xbd"
                                  "A"},
        {"\\ud83d\\n", "\xef\xbf\xbd\n"},
    };
    static const char *const damaged[] = {"\\",      "\\x",     "\\u",          "\\u12",
                                          "\\u12g4", "\\u+123", "\\ud83d\\u12", "\\u 123"};
    char out[JSON_UNESCAPED_MAX];
    size_t length;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_true(json_text_unescape(rows[i].text, strlen(rows[i].text), out, &length));
        assert_int_equal(length, strlen(rows[i].expected));
        assert_memory_equal(out, rows[i].expected, length);
    }
    for (size_t i = 0; i < sizeof(damaged) / sizeof(damaged[0]); i++)
        if (json_text_unescape(damaged[i], strlen(damaged[i]), out, &length))
            fail_msg("%s was taken", damaged[i]);
}

static void test_unescaping_is_bounded(void **state)
{
    (void)state;
    char text[6 * 1000 + 1] = "", out[JSON_UNESCAPED_MAX];
    size_t length = 0;
    for (int i = 0; i < 1000; i++)
        snprintf(text + 6 * (size_t)i, sizeof(text) - 6 * (size_t)i, "\\u20ac");
    assert_true(json_text_unescape(text, 6000, out, &length));
    assert_in_range(length, JSON_UNESCAPED_MAX - 4, JSON_UNESCAPED_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_agrees_with_strtod),
        cmocka_unit_test(test_unescaping),
        cmocka_unit_test(test_unescaping_is_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
