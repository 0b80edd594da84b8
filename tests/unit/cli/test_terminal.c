/* What of a stranger's text may stand on a screen, and how wide it is there; and numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cli/figures.h"
#include "cli/terminal.h"
#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

struct clip_row {
    const char *text;
    size_t columns;
    const char *shown;
    size_t used;
};

static void expect_rows(const struct clip_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char shown[64];
        size_t used = terminal_clip(rows[i].text, rows[i].columns, shown, sizeof shown);
        assert_string_equal(shown, rows[i].shown);
        assert_int_equal(used, rows[i].used);
    }
}

static void test_clip(void **state)
{
    static const struct clip_row rows[] = {
        {"", 5, "", 0},
        {"plain", 5, "plain", 5},
        {"plain", 4, "pla…", 4},
        {"plain", 1, "…", 1},
        {"plain", 0, "", 0},
        {"猫币", 4, "猫币", 4},
        {"猫币", 3, "猫…", 3},
        {"猫币", 2, "…", 1},
        {"🚀🚀🚀", 5, "🚀🚀…", 5},
        {"a\x1b[31mb\x07\x9b", 20, "a [31mb \uFFFD", 9}, /* escapes, bell; a bare C1 */
        {"a\xc2\x85\xc2\x9b"
         "b\u2028c",
         20, "a  b?c", 6},                                 /* C1, a separator of lines */
        {"\u202eevil\u2066\u200f\u061c!", 20, "evil!", 5}, /* what turns the direction */
        {"z\u0301\u0302\u0303\u200d\ufe0fa", 20, "za", 2}, /* heaps of marks, joiners */
        {"\xff\xc3(", 20, "\uFFFD\uFFFD(", 3},             /* no UTF-8 */
        {"é–●", 20, "é–●", 3},
    };
    (void)state;
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    expect_rows(rows, sizeof rows / sizeof rows[0]);
}

static void test_clip_in_ascii(void **state)
{
    static const struct clip_row rows[] = {
        {"plain text", 5, "plai.", 5},
        {"● – ▶█░", 20, "* - >#.", 7},
        {"é猫", 20, "??", 2},
        {"\u202eevil", 20, "evil", 4},
    };
    (void)state;
    assert_non_null(setlocale(LC_CTYPE, "C"));
    expect_rows(rows, sizeof rows / sizeof rows[0]);
}

/* It never writes beyond the end, nor half a character there. */
static void test_clip_into_little_room(void **state)
{
    (void)state;
    assert_non_null(setlocale(LC_CTYPE, "C.UTF-8"));
    for (size_t size = 1; size < 24; size++) {
        char shown[32];
        memset(shown, '#', sizeof shown);
        terminal_clip("猫币é🚀ab", 20, shown, size);
        assert_true(strlen(shown) < size);
        assert_int_equal(shown[size], '#');
        assert_null(strstr(shown, "\uFFFD"));
    }
}

/* What is written to pipes, too: no locale is asked. */
static void test_write(void **state)
{
    static const struct {
        const char *text, *plain, *wrapped;
    } rows[] = {
        {"a\x1b[31mb\u202ec\r\n", "a [31mbc  ", "a [31mbc  \n"},
        {"é\xc2\x9b 猫\u2066!", "é  猫!", "é  猫!\n"},
        {"\xff", "\uFFFD", "\uFFFD\n"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char text[64] = "";
        FILE *out = fmemopen(text, sizeof text, "w");
        terminal_write(out, rows[i].text);
        fclose(out);
        assert_string_equal(text, rows[i].plain);
        out = fmemopen(text, sizeof text, "w");
        terminal_write_wrapped(out, rows[i].text, (struct terminal_wrap){.width = 60});
        fclose(out);
        assert_string_equal(text, rows[i].wrapped);
    }
}

static void test_figures(void **state)
{
    char text[FIGURE_SIZE];
    (void)state;
    assert_string_equal(figure_span(7.04, text), "7.0 s");
    assert_string_equal(figure_span(99.96, text), "2 min");
    assert_string_equal(figure_span(7300, text), "2 h");
    assert_string_equal(figure_span(864000, text), "10 d");
    assert_string_equal(figure_span(NAN, text), "–");
    assert_string_equal(figure_count(7, text), "7");
    assert_string_equal(figure_count(123456, text), "123,456");
    assert_string_equal(figure_count(UINT64_MAX, text), "18,446,744,073,709,551,615");
    assert_string_equal(figure_rate(294.4, text), "294");
    assert_string_equal(figure_percent(0.9999, text), "100.0 %");
    assert_string_equal(figure_change(-0.05, text), "-5.0 %");
    assert_string_equal(figure_change(0.125, text), "+12.5 %");
    assert_string_equal(figure_money(950, text), "$950");
    assert_string_equal(figure_money(1234, text), "$1.2k");
    assert_string_equal(figure_money(999950, text), "$1000k");
    assert_string_equal(figure_money(3.4e6, text), "$3.4M");
    assert_string_equal(figure_money(1e30, text), "$1.0e+30");
    assert_string_equal(figure_money(NAN, text), "–");
    assert_string_equal(figure_bytes(12.3e6, text), "12.3 MB");
    assert_string_equal(figure_bytes(5, text), "5 B");
    assert_string_equal(figure_price(0.00001234, text), "$1.23e-05");
    assert_string_equal(figure_price(1500, text), "$1.5k");
    assert_string_equal(figure_ms(0.0312, text), "31 ms");
    assert_string_equal(figure_ms(0.0031, text), "3.1 ms");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_clip),
        cmocka_unit_test(test_clip_in_ascii),
        cmocka_unit_test(test_clip_into_little_room),
        cmocka_unit_test(test_write),
        cmocka_unit_test(test_figures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
