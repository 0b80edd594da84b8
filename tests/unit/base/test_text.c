#include "base/prng.h"
#include "base/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MARK "\xef\xbf\xbd" /* U+FFFD */

struct copied {
    const char *in;
    size_t length, size;
    const char *out;
};

static const struct copied copied[] = {
    {"Bonk", 4, 16, "Bonk"},
    {"", 0, 16, ""},
    {"Bonk", 4, 4, "Bon"},
    {"Bonk", 4, 1, ""},
    {"a\nb\tc\x1b[31m\x7f", 11, 32, "a b c [31m "},
    {"a\0b", 3, 16, "a b"},
    {"\xc2\x9b"
     "31m", /* C1: the one-character CSI */
     5, 16, " 31m"},
    {"\xe6\x97\xa5\xe6\x9c\xac", 6, 16, "\xe6\x97\xa5\xe6\x9c\xac"},
    {"\xe6\x97\xa5\xe6\x9c\xac", 6, 6, "\xe6\x97\xa5"}, /* never half a character */
    {"\xf0\x9f\x9a\x80", 4, 5, "\xf0\x9f\x9a\x80"},
    {"\xf0\x9f\x9a\x80", 4, 4, ""},
    {"\xff", 1, 16, MARK},
    {"a\xc3", 2, 16, "a" MARK},                       /* cut in its middle */
    {"\xc0\xaf", 2, 16, MARK MARK},                   /* overlong "/" */
    {"\xe0\x80\xaf", 3, 16, MARK MARK MARK},          /* overlong */
    {"\xed\xa0\x80", 3, 16, MARK MARK MARK},          /* a surrogate */
    {"\xf4\x90\x80\x80", 4, 16, MARK MARK MARK MARK}, /* past U+10FFFF */
    {"\xf0\x9f\x9a|", 4, 16, MARK "|"},               /* one mark for a begun character */
};

static void test_copy(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof copied / sizeof copied[0]; i++) {
        char out[64];
        size_t length = text_copy(out, copied[i].size, copied[i].in, copied[i].length);
        assert_string_equal(out, copied[i].out);
        assert_int_equal(length, strlen(copied[i].out));
    }
    assert_int_equal(text_copy(NULL, 0, "x", 1), 0);
}

/* Valid, without control characters, and the same when copied again. */
static void assert_clean(const char *text)
{
    char again[256];
    text_copy(again, sizeof again, text, strlen(text));
    assert_string_equal(again, text);
    for (const char *c = text; *c != '\0'; c++)
        assert_true((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void test_copy_of_anything_is_clean(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 3);
    for (int round = 0; round < 20000; round++) {
        char in[64], out[128];
        size_t length = prng_below(&prng, sizeof in);
        size_t size = 1 + prng_below(&prng, sizeof out);
        for (size_t i = 0; i < length; i++)
            in[i] = (char)(prng_below(&prng, 2) == 0 ? prng_below(&prng, 128)
                                                     : 128 + prng_below(&prng, 128));
        size_t written = text_copy(out, size, in, length);
        assert_true(written < size);
        assert_int_equal(strlen(out), written);
        assert_clean(out);
    }
}

static void test_escape(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"a", "a"},
        {"\"", "\\\""},
        {"\\", "\\\\"},
        {"\n", "\\n"},
        {"\t", "\\t"},
        {"\r", "\\r"},
        {"\x01", "\\u0001"},
        {"\x1b", "\\u001b"},
        {"\u202e", "\\u202e"},
        {"\u2066", "\\u2066"},
        {"\u061c", "\\u061c"},
        {"\u2027", "\u2027"},
        {"\u202f", "\u202f"},
        {"\x7f", "\\u007f"},
        {"\xc2\x9b", "\\u009b"},
        {"\xff", MARK},
        {"\xe6\x97\xa5", "\xe6\x97\xa5"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char out[TEXT_ESCAPED_SIZE];
        size_t length;
        assert_int_equal(text_escape(table[i][0], strlen(table[i][0]), out, &length),
                         strlen(table[i][0]));
        assert_int_equal(length, strlen(table[i][1]));
        assert_memory_equal(out, table[i][1], length);
    }
}

static void test_equal_nocase(void **state)
{
    (void)state;
    assert_true(text_equal_nocase("WSOL", "wSol"));
    assert_true(text_equal_nocase("", ""));
    assert_false(text_equal_nocase("WSOL", "WSO"));
    assert_false(text_equal_nocase("SOL", "SOLX"));
    assert_false(text_equal_nocase("\xc3\x84", "\xc3\xa4")); /* ASCII only */
    assert_false(text_equal_nocase("@", "`"));
}

static void test_distance(void **state)
{
    (void)state;
    assert_int_equal(text_distance("", ""), 0);
    assert_int_equal(text_distance("", "abc"), 3);
    assert_int_equal(text_distance("kitten", "sitting"), 3);
    assert_int_equal(text_distance("hot_intervl_sec", "hot_interval_sec"), 1);
    assert_int_equal(text_distance("flaw", "lawn"), 2);
    assert_int_equal(text_distance("rnu", "run"), 1);
    assert_int_equal(text_distance("ab", "ba"), 1);
    assert_int_equal(text_distance("sttaus", "status"), 1);
    assert_int_equal(text_distance("ca", "abc"), 3);
    char longest[64], longer[65];
    memset(longest, 'a', sizeof longest);
    memset(longer, 'a', sizeof longer);
    longest[63] = longer[64] = '\0';
    assert_int_equal(text_distance(longest, ""), 63);
    assert_true(text_distance(longer, "a") == TEXT_FAR);
    assert_true(text_distance("a", longer) == TEXT_FAR);
    assert_true(text_is_slip(1, 2));
    assert_false(text_is_slip(4, 4));
}

static void test_parse_double(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double value;
    } good[] = {{"0", 0},       {"-0.5", -0.5},           {"1e3", 1000}, {"15", 15},
                {"1E-2", 0.01}, {"506678.25", 506678.25}, {".5", 0.5}};
    static const char *const bad[] = {"",    " 1",    "1 ",  "+1",    "0x10", "1,5", "nan",
                                      "inf", "1e999", "--1", "1.2.3", "e5",   "1f",  "infinity"};
    double value = 42;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_true(text_parse_double(good[i].text, strlen(good[i].text), &value));
        assert_true(value == good[i].value);
    }
    value = 42;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (text_parse_double(bad[i], strlen(bad[i]), &value) || value != 42)
            fail_msg("\"%s\" was taken", bad[i]);
    assert_true(text_parse_double("12345", 2, &value) && value == 12); /* no NUL needed */
}

static void test_parse_int(void **state)
{
    (void)state;
    int64_t value = 42;
    assert_true(text_parse_int("9223372036854775807", 19, &value) && value == INT64_MAX);
    assert_true(text_parse_int("-9223372036854775808", 20, &value) && value == INT64_MIN);
    value = 42;
    static const char *const bad[] = {"", "9223372036854775808", "1.0", "1e3", " 1", "0x1", "-"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (text_parse_int(bad[i], strlen(bad[i]), &value) || value != 42)
            fail_msg("\"%s\" was taken", bad[i]);
}

static void test_trim(void **state)
{
    static const struct {
        const char *text, *trimmed;
    } rows[] = {{"", ""}, {" \t\r", ""}, {"a", "a"}, {" \ta b\r ", "a b"}, {"\na ", "\na"}};
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *text = rows[i].text;
        size_t length = strlen(text);
        text_trim(&text, &length);
        assert_int_equal(length, strlen(rows[i].trimmed));
        assert_memory_equal(text, rows[i].trimmed, length);
    }
}

static void test_mark(void **state)
{
    static const char marked[] = "\xEF\xBB\xBFx";
    const char *text = marked;
    size_t length = 4;
    (void)state;
    text_skip_mark(&text, &length);
    assert_int_equal(length, 1);
    assert_ptr_equal(text, marked + 3);
    text_skip_mark(&text, &length);
    assert_int_equal(length, 1);
    length = 2;
    text = marked;
    text_skip_mark(&text, &length); /* a part of it is none */
    assert_int_equal(length, 2);
}

static void finds_parts_in_any_case(void **state)
{
    (void)state;
    static const struct {
        const char *text, *part;
        bool found;
    } rows[] = {
        {"Moon Dog", "moon", true},
        {"Moon Dog", "DOG", true},
        {"Moon Dog", "n d", true},
        {"Moon Dog", "", true},
        {"", "", true},
        {"", "a", false},
        {"aaab", "aab", true},
        {"aaa", "aaaa", false},
        {"Moon", "moons", false},
        {"\xc3\x9c"
         "ber",
         "BER", true},
        {"[", "{", false},
        {"@", "`", false},
        {"ab", "b", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (text_contains_nocase(rows[i].text, rows[i].part) != rows[i].found)
            fail_msg("'%s' in '%s'", rows[i].part, rows[i].text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(finds_parts_in_any_case),
        cmocka_unit_test(test_trim),
        cmocka_unit_test(test_mark),
        cmocka_unit_test(test_copy),
        cmocka_unit_test(test_copy_of_anything_is_clean),
        cmocka_unit_test(test_escape),
        cmocka_unit_test(test_equal_nocase),
        cmocka_unit_test(test_distance),
        cmocka_unit_test(test_parse_double),
        cmocka_unit_test(test_parse_int),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
