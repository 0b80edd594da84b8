/* Secrets on the command line: overwritten there, kept for the children, the rest as it was. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/options.h"
#include "cli/secrets.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WORDS_MAX 8
#define WORD_SIZE 64
#define TOKEN     "MOONWATCH_API_TOKEN"
#define FEED      "MOONWATCH_FEED"

/* Words as the kernel lays them out, to be looked at when they are out of argv. */
struct line {
    char memory[WORDS_MAX][WORD_SIZE];
    char *argv[WORDS_MAX + 1];
};

static void lay_out(struct line *line, const char *const words[])
{
    size_t count = 0;
    memset(line, 0, sizeof *line);
    for (; words[count] != NULL; count++) {
        snprintf(line->memory[count], WORD_SIZE, "%s", words[count]);
        line->argv[count] = line->memory[count];
    }
    unsetenv(TOKEN);
    unsetenv(FEED);
}

static bool has(const struct line *line, const char *text)
{
    return memmem(line->memory, sizeof line->memory, text, strlen(text)) != NULL;
}

static void each_form_is_found(void **state)
{
    static const char *const forms[][WORDS_MAX] = {
        {"--api-token", "open-sesame", NULL},  {"--api-token=open-sesame", NULL},
        {"--api_token", "open-sesame", NULL},  {"--set", "api_token=open-sesame", NULL},
        {"--set=api-token=open-sesame", NULL},
    };
    struct line line;
    (void)state;
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++) {
        lay_out(&line, forms[i]);
        assert_int_equal(secrets_leave_command_line(line.argv), 1);
        assert_false(has(&line, "sesame"));
        assert_null(line.argv[0]);
        assert_string_equal(getenv(TOKEN), "open-sesame");
    }
}

static void the_rest_stays_in_its_order(void **state)
{
    static const char *const words[] = {
        "--db",     "sqlite:a.db", "--api-token", "sesame", "--hot-interval-sec=10",
        "--config", "file",        NULL};
    struct line line;
    (void)state;
    lay_out(&line, words);
    assert_int_equal(secrets_leave_command_line(line.argv), 1);
    static const char *const left[] = {"--db", "sqlite:a.db", "--hot-interval-sec=10", "--config",
                                       "file"};
    for (size_t i = 0; i < sizeof left / sizeof left[0]; i++)
        assert_string_equal(line.argv[i], left[i]);
    assert_null(line.argv[5]);
}

static void a_password_in_a_url_is_a_secret(void **state)
{
    static const char *const words[] = {"--feed", "https://me:sesame@example.org", "--source",
                                        "wss://example.org/a@b", NULL};
    struct line line;
    (void)state;
    lay_out(&line, words);
    assert_int_equal(secrets_leave_command_line(line.argv), 1);
    assert_false(has(&line, "sesame"));
    assert_string_equal(getenv(FEED), "https://me:sesame@example.org");
    assert_string_equal(line.argv[1], "wss://example.org/a@b");
}

/* As on the command line, the last one counts. */
static void of_several_the_last_counts(void **state)
{
    static const char *const words[] = {"--feed=http://plain.example.org", "--set",
                                        "feed=https://me:sesame@example.org", NULL};
    static const char *const other[] = {"--feed=https://me:sesame@example.org", "--feed",
                                        "http://plain.example.org", NULL};
    struct line line;
    (void)state;
    lay_out(&line, words);
    assert_int_equal(secrets_leave_command_line(line.argv), 2);
    assert_null(line.argv[0]);
    assert_string_equal(getenv(FEED), "https://me:sesame@example.org");
    lay_out(&line, other);
    assert_int_equal(secrets_leave_command_line(line.argv), 2);
    assert_false(has(&line, "sesame"));
    assert_string_equal(getenv(FEED), "http://plain.example.org");
}

static void what_has_no_value_is_left(void **state)
{
    static const char *const words[] = {"--api-token", NULL}, *const pair[] = {"--set", NULL},
                             *const empty[] = {"--api-token=", "--set", "x", NULL};
    struct line line;
    (void)state;
    lay_out(&line, words);
    assert_int_equal(secrets_leave_command_line(line.argv), 0);
    assert_string_equal(line.argv[0], "--api-token");
    lay_out(&line, pair);
    assert_int_equal(secrets_leave_command_line(line.argv), 0);
    lay_out(&line, empty);
    assert_int_equal(secrets_leave_command_line(line.argv), 0);
    assert_string_equal(line.argv[2], "x");
}

static void what_is_secret_of_a_text(void **state)
{
    static const struct {
        const char *text, *user;
    } cases[] = {
        {"https://a:b@example.org/x", "a:b"},
        {"https://a@example.org", "a"},
        {"https://a:b@c@example.org", "a:b@c"},
        {"https://example.org/@x", ""},
        {"https://example.org?a=@", ""},
        {"a@b", ""},
        {"sqlite:a@b://c", ""},
        {"://x@", "x"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *begin;
        size_t length = option_url_user(cases[i].text, &begin);
        assert_int_equal(length, strlen(cases[i].user));
        assert_memory_equal(begin, cases[i].user, length);
    }
}

static void none_is_left_where_they_are_forgotten(void **state)
{
    struct options options;
    char why[OPTION_MESSAGE_SIZE];
    (void)state;
    options_init(&options);
    for (enum option_id id = 0; id < OPTION_COUNT; id++)
        if ((option_row(id)->flags & OPTION_SECRET) != 0)
            assert_int_equal(
                options_set(&options, option_row(id)->name, "open-sesame", OPTION_FROM_FILE, why),
                OK);
    assert_int_equal(
        options_set(&options, "feed", "https://open:sesame@example.org/x", OPTION_FROM_FILE, why),
        OK);
    options_forget_secrets(&options);
    assert_string_equal(options.feed, "https://" OPTION_MASK "@example.org/x");
    assert_string_equal(options.listen, "127.0.0.1:8000");
    assert_null(memmem(&options, sizeof options, "sesame", 6));
}

/* The api, which has none, judges settings all the same. */
static void settings_are_judged_without_them(void **state)
{
    struct options options;
    char why[OPTION_MESSAGE_SIZE];
    (void)state;
    options_init(&options);
    assert_int_equal(options_set(&options, "alert_telegram_token", "1:a", OPTION_FROM_FILE, why),
                     OK);
    assert_int_equal(options_set(&options, "alert_telegram_chat", "1", OPTION_FROM_FILE, why), OK);
    assert_int_equal(options_check(&options, why), OK);
    options_forget_secrets(&options);
    assert_int_equal(options_check_settings(&options, why), OK);
    assert_int_equal(options_set(&options, "hot_interval_sec", "5000", OPTION_FROM_STORE, why), OK);
    assert_int_equal(options_check_settings(&options, why), ERR_INVALID);
}

static void the_password_of_a_database_is_forgotten(void **state)
{
    struct options options;
    (void)state;
    options_init(&options);
    strcpy(options.db, "postgresql://moon:sesame@host/name");
    setenv("MOONWATCH_DB", options.db, 1);
    setenv("PGPASSWORD", "sesame", 1);
    const char *url = getenv("MOONWATCH_DB"), *password = getenv("PGPASSWORD");
    secrets_forget_database(&options);
    assert_string_equal(options.db, "postgresql://***********@host/name");
    assert_null(strstr(url, "sesame")); /* where it lay */
    assert_string_equal(password, "******");
    strcpy(options.db, "sqlite:moonwatch.db");
    setenv("MOONWATCH_DB", options.db, 1);
    secrets_forget_database(&options);
    assert_string_equal(options.db, "sqlite:moonwatch.db");
    assert_string_equal(getenv("MOONWATCH_DB"), options.db);
    unsetenv("MOONWATCH_DB");
    unsetenv("PGPASSWORD");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_form_is_found),
        cmocka_unit_test(the_rest_stays_in_its_order),
        cmocka_unit_test(a_password_in_a_url_is_a_secret),
        cmocka_unit_test(of_several_the_last_counts),
        cmocka_unit_test(what_has_no_value_is_left),
        cmocka_unit_test(what_is_secret_of_a_text),
        cmocka_unit_test(none_is_left_where_they_are_forgotten),
        cmocka_unit_test(settings_are_judged_without_them),
        cmocka_unit_test(the_password_of_a_database_is_forgotten),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
