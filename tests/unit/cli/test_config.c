#include "caught.h"
#include "cli/command.h"
#include "cli/config_text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct caught caught;

static void config(const char *first, const char *second)
{
    char *words[] = {(char *)"config", (char *)first, (char *)second, NULL};
    catch_run(&caught, command_config, first == NULL ? 1 : second == NULL ? 2 : 3, words);
}

static const char *row_of(const char *name)
{
    char start[128];
    snprintf(start, sizeof start, "\n  %s ", name);
    const char *row = strstr(caught.out, start);
    assert_non_null(row);
    return row + 1;
}

/* Where in its row the last column begins. */
static size_t column_of(const char *name, const char *source)
{
    const char *row = row_of(name);
    const char *found = strstr(row, source);
    assert_true(found != NULL && found < strchr(row, '\n'));
    return (size_t)(found - row);
}

static void test_table(void **state)
{
    (void)state;
    config("--hot-interval-sec", "10");
    assert_int_equal(caught.status, EXIT_DONE);
    size_t column = column_of("db", "default");
    for (int i = 0; i < OPTION_COUNT; i++)
        if (i != OPTION_ID_hot_interval_sec)
            assert_int_equal(column_of(option_row((enum option_id)i)->name, "default\n"), column);
    assert_int_equal(column_of("hot_interval_sec", "command line"), column);
    assert_non_null(strstr(row_of("hot_interval_sec"), " 10 "));
    assert_non_null(strstr(caught.out, "1 of them not at their default"));
    assert_null(strchr(caught.out, '\x1b')); /* no colours into a file */
}

static void test_secrets_are_masked(void **state)
{
    (void)state;
    config("--api-token", "open-sesame");
    assert_int_equal(caught.status, EXIT_DONE);
    assert_null(strstr(caught.out, "sesame"));
    assert_non_null(strstr(row_of("api_token"), "********"));
    config("--feed", "https://me:sesame@example.org/api");
    assert_null(strstr(caught.out, "sesame"));
    assert_non_null(strstr(row_of("feed"), "https://********@example.org/api"));
    config("--check", "--alert-webhook-url=https://me:sesame@example.org");
    assert_null(strstr(caught.out, "sesame"));
    config(NULL, NULL);
    assert_memory_equal(strstr(row_of("api_token"), "("), "(empty)", 7);
}

static void test_check(void **state)
{
    (void)state;
    config("--check", NULL);
    assert_int_equal(caught.status, EXIT_DONE);
    config("--check", "--hot-interval-sec=0");
    assert_int_equal(caught.status, EXIT_USAGE);
    assert_string_equal(caught.out, "");
}

/* docs/configuration.md is what the program prints: `build/moonwatch config --docs` renews it. */
static void test_the_page_is_up_to_date(void **state)
{
    (void)state;
    config("--docs", NULL);
    assert_int_equal(caught.status, EXIT_DONE);
    expect_page(&caught, "configuration.md", "build/moonwatch config --docs");
}

static void test_the_page_has_everything(void **state)
{
    (void)state;
    config("--docs", NULL);
    for (int i = 0; i < OPTION_COUNT; i++) {
        char cell[OPTION_TEXT_SIZE + 8], variable[OPTION_TEXT_SIZE];
        snprintf(cell, sizeof cell, "\n| `%s` |", option_row((enum option_id)i)->name);
        assert_non_null(strstr(caught.out, cell));
        option_environment_name((enum option_id)i, variable);
        snprintf(cell, sizeof cell, "| `%s` |\n", variable);
        assert_non_null(strstr(caught.out, cell));
    }
}

/* Into a full disk: told, not swallowed. */
static int config_into_full_disk(int argc, char *argv[])
{
    int full = dup(STDOUT_FILENO);
    assert_non_null(freopen("/dev/full", "w", stdout));
    int status = command_config(argc, argv);
    dup2(full, STDOUT_FILENO);
    close(full);
    clearerr(stdout);
    return status;
}

static void test_output_that_fails(void **state)
{
    (void)state;
    char *words[] = {(char *)"config", NULL};
    catch_run(&caught, config_into_full_disk, 1, words);
    assert_int_equal(caught.status, EXIT_FAILED);
    assert_non_null(strstr(caught.err, "No space left"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_secrets_are_masked),
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_the_page_is_up_to_date),
        cmocka_unit_test(test_the_page_has_everything),
        cmocka_unit_test(test_output_that_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
