#include "caught.h"
#include "cli/command.h"
#include "page/status_page.h"

#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct caught caught;

static void metrics(const char *word)
{
    char *words[] = {(char *)"metrics", (char *)word, NULL};
    catch_run(&caught, command_metrics, word == NULL ? 1 : 2, words);
}

/* docs/metrics.md is what the program prints: `build/moonwatch metrics` renews it. */
static void test_the_page_is_up_to_date(void **state)
{
    (void)state;
    metrics(NULL);
    assert_int_equal(caught.status, EXIT_DONE);
    expect_page(&caught, "metrics.md", "build/moonwatch metrics");
}

static bool ends_with(const char *name, const char *end)
{
    size_t length = strlen(name), tail = strlen(end);
    return length > tail && strcmp(name + length - tail, end) == 0;
}

/* As Prometheus would have them (https://prometheus.io/docs/practices/naming/): a counter's name
 * ends with _total and no other does, what is counted in is a base unit, nothing stands twice. */
static void test_names_are_sound(void **state)
{
    (void)state;
    static const char *const bad_units[] = {"_ms",    "_us", "_minutes", "_minute",
                                            "_hours", "_kb", "_mb",      "_percent"};
    metrics(NULL);
    unsigned rows = 0;
    for (char *line = strtok(caught.out, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char name[96], type[16];
        if (sscanf(line, "| `moonwatch_%95[^`]` | %15s |", name, type) != 2)
            continue;
        rows++;
        assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789"), strlen(name));
        if (ends_with(name, "_total") != (strcmp(type, "counter") == 0))
            fail_msg("%s: a %s", name, type);
        for (size_t i = 0; i < sizeof bad_units / sizeof bad_units[0]; i++)
            if (ends_with(name, bad_units[i]))
                fail_msg("%s: in no base unit", name);
        /* The last cell is the sentence. */
        const char *help = strstr(line, " | ");
        for (int cell = 0; cell < 3; cell++)
            help = strstr(help + 3, " | ");
        assert_true(strlen(help) > 10 && isupper((unsigned char)help[3]) | isdigit(help[3]));
    }
    assert_true(rows >= COUNTER_COUNT + GAUGE_COUNT + HISTOGRAM_COUNT);
}

static void test_no_words(void **state)
{
    (void)state;
    metrics("more");
    assert_int_equal(caught.status, EXIT_USAGE);
    metrics("--help");
    assert_int_equal(caught.status, EXIT_DONE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_page_is_up_to_date),
        cmocka_unit_test(test_names_are_sound),
        cmocka_unit_test(test_no_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
