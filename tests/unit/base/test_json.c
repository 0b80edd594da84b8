#include "base/json.h"
#include "base/prng.h"
#include "base/text.h"

#include <locale.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_document(void **state)
{
    (void)state;
    struct json json = {0};
    json_object_open(&json, NULL);
    json_put_string(&json, "name", "Bonk \"dog\"\n");
    json_put_string(&json, "symbol", NULL);
    json_array_open(&json, "pools");
    json_put_int(&json, NULL, 1);
    json_put_int(&json, NULL, INT64_MIN);
    json_array_open(&json, NULL);
    json_array_close(&json);
    json_object_open(&json, NULL);
    json_object_close(&json);
    json_array_close(&json);
    json_put_bool(&json, "active", true);
    json_put_bool(&json, "dead", false);
    json_put_null(&json, "score");
    json_put_double(&json, "price", 0.25);
    json_put_string_n(&json, "cut", "abcdef", 3);
    json_object_close(&json);
    assert_string_equal(json.text,
                        "{\"name\":\"Bonk \\\"dog\\\"\\n\",\"symbol\":null,"
                        "\"pools\":[1,-9223372036854775808,[],{}],\"active\":true,\"dead\":false,"
                        "\"score\":null,\"price\":0.25,\"cut\":\"abc\"}");
    assert_int_equal(json.length, strlen(json.text));
    assert_false(json.failed);
    json_finish(&json);
    assert_null(json.text);
    json_finish(NULL);
}

static void test_reset_keeps_memory(void **state)
{
    (void)state;
    struct json json = {0};
    json_put_string(&json, NULL, "one");
    const char *memory = json.text;
    json_reset(&json);
    assert_int_equal(json.length, 0);
    assert_string_equal(json.text, "");
    json_put_string(&json, NULL, "two");
    assert_ptr_equal(json.text, memory);
    assert_string_equal(json.text, "\"two\"");
    json_finish(&json);
}

static void test_growth(void **state)
{
    (void)state;
    struct json json = {0};
    json_array_open(&json, NULL);
    for (int i = 0; i < 100000; i++)
        json_put_int(&json, NULL, 7);
    json_array_close(&json);
    assert_int_equal(json.length, 2 + 100000 + 99999);
    assert_int_equal(json.text[json.length], '\0');
    json_finish(&json);
}

/* Out of memory drops what follows and says so. */
static void test_failure_is_kept(void **state)
{
    (void)state;
    struct json json = {.failed = true};
    json_object_open(&json, NULL);
    json_put_string(&json, "a", "b");
    assert_true(json.failed);
    assert_null(json.text);
    json_finish(&json);
}

static void test_numbers(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } table[] = {
        {0, "0"},
        {-0.0, "-0"},
        {1, "1"},
        {100000, "100000"},
        {0.1, "0.1"},
        {0.1 + 0.2, "0.30000000000000004"},
        {506678, "506678"},
        {0.000001, "0.000001"},
        {1e-7, "1e-07"},
        {123456789012345, "123456789012345"},
        {1e15, "1e+15"},
        {5e-324, "5e-324"},
        {1.7976931348623157e308, "1.7976931348623157e+308"},
        {NAN, "null"},
        {INFINITY, "null"},
        {-INFINITY, "null"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[32];
        assert_int_equal(json_number_format(table[i].value, text), strlen(table[i].text));
        assert_string_equal(text, table[i].text);
    }
}

static void test_numbers_read_back(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 17);
    for (int i = 0; i < 100000; i++) {
        uint64_t bits = prng_next(&prng);
        double value, again;
        char text[32];
        memcpy(&value, &bits, sizeof value);
        if (i % 2 == 0)
            value = (double)(int64_t)prng_below(&prng, 1000000000) / 1e6; /* as markets have */
        if (!isfinite(value))
            continue;
        size_t length = json_number_format(value, text);
        assert_true(length < sizeof text);
        assert_true(text_parse_double(text, length, &again));
        assert_memory_equal(&value, &again, sizeof value);
    }
}

/* A comma for the decimal point, if this machine knows such a locale. */
static void test_numbers_ignore_the_locale(void **state)
{
    (void)state;
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "nl_NL.UTF-8"};
    const char *found = NULL;
    for (size_t i = 0; i < sizeof names / sizeof names[0] && found == NULL; i++)
        found = setlocale(LC_ALL, names[i]);
    char text[32];
    double value;
    json_number_format(0.5, text);
    assert_string_equal(text, "0.5");
    assert_true(text_parse_double("0.5", 3, &value));
    setlocale(LC_ALL, "C");
}

/* Whatever the bytes: between the quotes there is UTF-8 without quotes or control characters. */
static void test_strings_of_anything(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 18);
    struct json json = {0};
    for (int round = 0; round < 10000; round++) {
        char in[48];
        size_t length = prng_below(&prng, sizeof in);
        for (size_t i = 0; i < length; i++)
            in[i] = (char)prng_next(&prng);
        json_reset(&json);
        json_put_string_n(&json, NULL, in, length);
        assert_true(json.length >= 2 && json.text[0] == '"' && json.text[json.length - 1] == '"');
        for (size_t i = 1; i + 1 < json.length;) {
            uint32_t character;
            size_t taken = text_decode(json.text + i, json.length - 1 - i, &character);
            assert_true(character >= 0x20 && character != '"');
            assert_true(character != 0xfffd || taken == 3); /* written, not found */
            i += taken + (character == '\\');               /* what is escaped is skipped */
        }
    }
    json_finish(&json);
}

/* A given buffer is never grown; the text stays terminated and within it. */
static void test_a_given_buffer(void **state)
{
    (void)state;
    char buffer[24];
    struct json json;
    json_init_fixed(&json, buffer, sizeof buffer);
    assert_string_equal(json.text, "");
    json_array_open(&json, NULL);
    json_put_string(&json, NULL, "0123456789");
    json_array_close(&json);
    assert_false(json.failed);
    assert_string_equal(buffer, "[\"0123456789\"]");
    json_reset(&json);
    json_put_string(&json, NULL, "0123456789abcdefghijk"); /* 23 with its quotes: just fits */
    assert_false(json.failed);
    json_reset(&json);
    json_put_string(&json, NULL, "0123456789abcdefghijkl");
    assert_true(json.failed);
    assert_true(json.length < sizeof buffer);
    assert_int_equal(buffer[json.length], '\0');
    json_reset(&json);
    json_put_int(&json, NULL, 7);
    assert_string_equal(buffer, "7");
    json_finish(&json);
    assert_null(json.text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_document),
        cmocka_unit_test(test_reset_keeps_memory),
        cmocka_unit_test(test_growth),
        cmocka_unit_test(test_failure_is_kept),
        cmocka_unit_test(test_numbers),
        cmocka_unit_test(test_numbers_read_back),
        cmocka_unit_test(test_numbers_ignore_the_locale),
        cmocka_unit_test(test_strings_of_anything),
        cmocka_unit_test(test_a_given_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
