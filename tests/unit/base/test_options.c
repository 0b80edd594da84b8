#include "base/options.h"
#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct options options;
static char why[OPTION_MESSAGE_SIZE];

static int fresh(void **state)
{
    (void)state;
    options_init(&options);
    why[0] = '\0';
    return 0;
}

static void assert_says(const char *part)
{
    if (strstr(why, part) == NULL)
        fail_msg("\"%s\" does not say \"%s\"", why, part);
}

static const char *value_of(const char *name)
{
    static char text[OPTION_TEXT_SIZE];
    enum option_id id = option_find(name);
    assert_int_not_equal(id, OPTION_COUNT);
    options_get(&options, id, text);
    return text;
}

static enum err set(const char *name, const char *text)
{
    return options_set(&options, name, text, OPTION_FROM_COMMAND_LINE, why);
}

/* ---- the table ---- */

static void test_every_row_is_complete(void **state)
{
    (void)state;
    for (int i = 0; i < OPTION_COUNT; i++) {
        const struct option_row *row = option_row((enum option_id)i);
        assert_int_equal(option_find(row->name), i);
        assert_true(strlen(row->sentence) > 10);
        assert_int_equal(row->sentence[strlen(row->sentence) - 1], '.');
        assert_non_null(row->default_text);
        assert_true(strlen(row->section) > 0);
        assert_true(((row->flags & OPTION_PROCESS) != 0) != ((row->flags & OPTION_SETTING) != 0));
        assert_true((row->type == OPTION_CHOICE) == (row->choices != NULL));
        if (row->type == OPTION_INTEGER || row->type == OPTION_REAL)
            assert_true(row->low < row->high);
    }
    assert_int_equal(option_find("nonsense"), OPTION_COUNT);
    assert_int_equal(option_find(""), OPTION_COUNT);
}

static void test_defaults(void **state)
{
    (void)state;
    assert_true(options.hot_interval_sec == 15 && options.cold_interval_sec == 45);
    assert_true(options.scheduler_enabled);
    assert_string_equal(options.db, "sqlite:moonwatch.db");
    assert_string_equal(options.api_token, "");
    assert_int_equal(options.feed_connections, 8);
    assert_int_equal(options.tx_calculation_mode, TX_MODE_ACCELERATION);
    assert_int_equal(options.feed_http_version, FEED_HTTP_1_1);
    for (int i = 0; i < OPTION_COUNT; i++)
        assert_int_equal(options.origins[i], OPTION_FROM_DEFAULT);
    assert_int_equal(options_check(&options, why), OK);
}

/* What options_get() says, options_set() takes and makes the same of. */
static void test_every_value_reads_back(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 5);
    for (int round = 0; round < 200; round++)
        for (int i = 0; i < OPTION_COUNT; i++) {
            const struct option_row *row = option_row((enum option_id)i);
            char text[OPTION_TEXT_SIZE], again[OPTION_TEXT_SIZE];
            double share = round == 0 ? 0 : round == 1 ? 1 : prng_unit(&prng);
            double number = row->low + share * (row->high - row->low);
            if (row->type == OPTION_REAL)
                snprintf(text, sizeof text, "%.17g", number);
            else if (row->type == OPTION_INTEGER)
                snprintf(text, sizeof text, "%.0f", number);
            else
                options_get(&options, (enum option_id)i, text);
            assert_int_equal(set(row->name, text), OK);
            size_t length = options_get(&options, (enum option_id)i, text);
            assert_int_equal(length, strlen(text));
            assert_int_equal(set(row->name, text), OK);
            options_get(&options, (enum option_id)i, again);
            assert_string_equal(text, again);
        }
}

static void test_damaged_ones_are_mended(void **state)
{
    static struct options damaged;
    (void)state;
    memset(&damaged, 'x', sizeof damaged);
    options_mend(&damaged);
    assert_true(damaged.scheduler_enabled);
    assert_int_equal(*(unsigned char *)&damaged.scheduler_enabled, 1);
    assert_int_equal(strlen(damaged.db), OPTION_TEXT_SIZE - 1);
    assert_int_equal(damaged.feed_workers, 0x7878787878787878);
}

/* ---- values ---- */

struct good {
    const char *name, *text, *value;
};

static const struct good good[] = {
    {"hot_interval_sec", "1", "1"},
    {"hot_interval_sec", "86400", "86400"},
    {"hot_interval_sec", "2.5", "2.5"},
    {"hot_interval_sec", "1e1", "10"},
    {"min_score", "-0.5", "-0.5"},
    {"feed_connections", "256", "256"},
    {"scheduler_enabled", "No", "false"},
    {"scheduler_enabled", "ON", "true"},
    {"scheduler_enabled", "0", "false"},
    {"feed_http_version", "2", "2"},
    {"log_level", "WARNING", "warning"},
    {"tx_calculation_mode", "arbitrage_activity", "arbitrage_activity"},
    {"db", "postgresql://host/db?x=1 2", "postgresql://host/db?x=1 2"},
    {"api_token", "", ""},
};

static void test_good_values(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        if (set(good[i].name, good[i].text) != OK)
            fail_msg("%s", why);
        assert_string_equal(value_of(good[i].name), good[i].value);
        assert_string_equal(why, "");
    }
}

struct bad {
    const char *name, *text, *sentence;
};

static const struct bad bad[] = {
    {"hot_interval_sec", "0.99", "hot_interval_sec: \"0.99\" must be a number from 1 to 86400"},
    {"hot_interval_sec", "86401", "must be a number from 1 to 86400"},
    {"hot_interval_sec", "", "must be a number"},
    {"hot_interval_sec", "15s", "must be a number"},
    {"hot_interval_sec", " 15", "must be a number"},
    {"hot_interval_sec", "nan", "must be a number"},
    {"hot_interval_sec", "inf", "must be a number"},
    {"hot_interval_sec", "1,5", "must be a number"},
    {"feed_connections", "8.5", "must be a whole number from 1 to 256"},
    {"feed_connections", "99999999999999999999", "must be a whole number"},
    {"scheduler_enabled", "maybe", "must be true or false"},
    {"scheduler_enabled", "", "must be true or false"},
    {"log_level", "loud", "log_level: \"loud\" must be one of debug|info|warning|error"},
    {"log_level", "", "must be one of"},
    {"log_level", "debug|info", "must be one of"},
    {"db", "", "may not be empty"},
    {"db", "a\nb", "control character"},
    {"chain", "abcdefghijklmnopqrstuvwxyz0123456789", "has 36 bytes; it must have 1 to 31"},
    {"hot_interval_sec", "\x1b[31mred", "\" [31mred\" must be"}, /* no escape gets out */
};

static void test_bad_values_change_nothing(void **state)
{
    (void)state;
    struct options before = options;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(set(bad[i].name, bad[i].text), ERR_INVALID);
        assert_says(bad[i].sentence);
        assert_memory_equal(&before, &options, sizeof options);
    }
}

static void test_unknown_names(void **state)
{
    (void)state;
    assert_int_equal(set("hot_intervall_sec", "1"), ERR_NOT_FOUND);
    assert_says("did you mean \"hot_interval_sec\"?");
    assert_int_equal(set("Hot_interval_sec", "1"), ERR_NOT_FOUND);
    assert_says("did you mean \"hot_interval_sec\"?");
    assert_int_equal(set("w_txx", "1"), ERR_NOT_FOUND);
    assert_says("did you mean \"w_tx\"?");
    assert_int_equal(set("completely_different_thing", "1"), ERR_NOT_FOUND);
    assert_null(strstr(why, "did you mean"));
    assert_int_equal(set("", "1"), ERR_NOT_FOUND);
    char longest[300];
    memset(longest, 'x', sizeof longest);
    longest[299] = '\0';
    assert_int_equal(set(longest, "1"), ERR_NOT_FOUND);
    assert_true(strlen(why) < 200);
}

static void test_a_secret_is_never_repeated(void **state)
{
    (void)state;
    char secret[400];
    memset(secret, 'S', sizeof secret);
    secret[399] = '\0';
    assert_int_equal(set("api_token", secret), ERR_INVALID);
    assert_says("api_token: the value has 399 bytes");
    assert_null(strstr(why, "SSS"));
    assert_int_equal(set("api_token", "SSS\n"), ERR_INVALID);
    assert_null(strstr(why, "SSS"));
}

/* ---- precedence ---- */

/* Every order of every pair of sources ends with the stronger one's value. */
static void test_the_strongest_source_wins(void **state)
{
    (void)state;
    for (int first = 0; first < OPTION_SOURCE_COUNT; first++)
        for (int second = 0; second < OPTION_SOURCE_COUNT; second++) {
            char text[16], strongest[16];
            options_init(&options);
            for (int turn = 0; turn < 2; turn++) {
                enum option_source source = (enum option_source)(turn == 0 ? first : second);
                snprintf(text, sizeof text, "%d", 100 + (int)source);
                assert_int_equal(options_set(&options, "hot_interval_sec", text, source, why), OK);
            }
            int strong = first > second ? first : second;
            snprintf(strongest, sizeof strongest, "%d", 100 + strong);
            assert_string_equal(value_of("hot_interval_sec"), strongest);
            assert_int_equal(options.origins[OPTION_ID_hot_interval_sec], strong);
        }
}

static void test_a_weak_bad_value_is_still_bad(void **state)
{
    (void)state;
    assert_int_equal(set("hot_interval_sec", "10"), OK);
    assert_int_equal(options_set(&options, "hot_interval_sec", "0", OPTION_FROM_FILE, why),
                     ERR_INVALID);
}

/* ---- several options ---- */

static void test_bounds_across_options(void **state)
{
    (void)state;
    static const struct bad together[] = {
        {"source_backoff_min_sec", "60", NULL},
        {"source_backoff_max_sec", "59",
         "source_backoff_min_sec (60) may not be over source_backoff_max_sec (59)"},
        {"feed_timeout_sec", "1", "may not be over feed_timeout_sec (1)"},
        {"maximum_age_sec", "30", "cold_interval_sec (45) may not be over maximum_age_sec (30)"},
        {"arbitrage_min_tx_5m", "200", "must be under arbitrage_optimal_tx_5m"},
        {"alert_retry_min_sec", "301",
         "alert_retry_min_sec (301) may not be over alert_retry_max_sec (300)"},
        {"alert_webhook_url", "https://example.org/hook?key=1", NULL},
        {"alert_webhook_url", "HTTP://127.0.0.1:9/", NULL},
        {"alert_webhook_url", "ftp://secret/", "alert_webhook_url must be a URL: http://HOST"},
        {"alert_webhook_url", "http://", "alert_webhook_url must be a URL"},
        {"alert_webhook_url", "http:///path", "alert_webhook_url must be a URL"},
        {"alert_webhook_url", "http://a b/", "alert_webhook_url must be a URL"},
        {"alert_webhook_url", "secret", "alert_webhook_url must be a URL"},
        {"alert_alertmanager_url", "localhost:9093", "alert_alertmanager_url must be a URL"},
        {"alert_webhook_token", "x", "alert_webhook_url is missing"},
        {"alert_telegram_token", "1:a", "alert_telegram_chat is missing"},
        {"alert_telegram_chat", "-100", "alert_telegram_token is missing"},
        {"alert_telegram_url", "telegram", "alert_telegram_url must be a URL"},
        {"alert_command", "/usr/bin/logger -t moonwatch", NULL},
        {"alert_command", "logger", "alert_command must be a whole path"},
        {"export_mode", "0640", NULL},
        {"export_mode", "600", NULL},
        {"export_mode", "0888", "export_mode must be octal"},
        {"export_mode", "0444", "export_mode must be octal"},
        {"export_mode", "7777", "export_mode must be octal"},
    };
    for (size_t i = 0; i < sizeof together / sizeof together[0]; i++) {
        if (i != 1)
            options_init(&options);
        assert_int_equal(set(together[i].name, together[i].text), OK);
        assert_int_equal(options_check(&options, why),
                         together[i].sentence == NULL ? OK : ERR_INVALID);
        if (together[i].sentence != NULL)
            assert_says(together[i].sentence);
    }
    options_init(&options);
    assert_int_equal(set("alert_telegram_chat", "@moon"), OK);
    assert_int_equal(set("alert_telegram_token", "123456:ABC-DEF_1"), OK);
    assert_int_equal(options_check(&options, why), OK);
    assert_int_equal(set("alert_telegram_token", "../secret"), OK);
    assert_int_equal(options_check(&options, why), ERR_INVALID);
    assert_says("alert_telegram_token is no token of a bot");
    assert_null(strstr(why, "secret"));
    options_init(&options);
    static const char *const weights[] = {"w_tx", "w_vol", "w_fresh", "w_oi"};
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(options_check(&options, why), OK);
        assert_int_equal(set(weights[i], "0"), OK);
    }
    assert_int_equal(options_check(&options, why), ERR_INVALID);
    assert_says("all 0");
}

/* ---- files ---- */

static char path[64];

static void write_file(const char *text, size_t length)
{
    strcpy(path, "/tmp/moonwatch-test-options-XXXXXX");
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, length), length);
    close(fd);
}

static enum err read_bytes(const char *text, size_t length)
{
    write_file(text, length);
    enum err err = options_read_file(&options, path, why);
    unlink(path);
    return err;
}

static enum err read_text(const char *text)
{
    return read_bytes(text, strlen(text));
}

static void test_file(void **state)
{
    (void)state;
    if (read_text("\xef\xbb\xbf# A comment\n"
                  "\n"
                  "hot_interval_sec = 10\n"
                  "   cold_interval_sec=40   # said why\r\n"
                  "export MOONWATCH_DB=\"sqlite:/var/lib/moon watch/#1.db\"\n"
                  "MOONWATCH_FEED='http://localhost:1/$x\\n'  # a comment\n"
                  "SCHEDULER_ENABLED=false\n"
                  "source = file:mints.txt?follow#x\n"
                  "feed-connections = 4\n"
                  "api_token = \"a\\\"b\\\\c\"\n"
                  "export_path =\n"
                  "env=last line without an end") != OK)
        fail_msg("%s", why);
    assert_true(options.hot_interval_sec == 10 && options.cold_interval_sec == 40);
    assert_string_equal(options.db, "sqlite:/var/lib/moon watch/#1.db");
    assert_string_equal(options.feed, "http://localhost:1/$x\\n");
    assert_false(options.scheduler_enabled);
    assert_string_equal(options.source, "file:mints.txt?follow#x");
    assert_int_equal(options.feed_connections, 4);
    assert_string_equal(options.api_token, "a\"b\\c");
    assert_string_equal(options.env, "last line without an end");
    assert_int_equal(options.origins[OPTION_ID_hot_interval_sec], OPTION_FROM_FILE);
}

struct bad_file {
    const char *text;
    const char *line, *sentence;
};

static const struct bad_file bad_files[] = {
    {"hot_interval_sec 10\n", ":1: ", "\"key = value\" is expected"},
    {"# one\nhot_interval_sec = 10\n\nhot_intervl_sec = 3\n",
     ":4: ", "did you mean \"hot_interval_sec\"?"},
    {"hot_interval_sec = 10\ncold_interval_sec = x\n", ":2: ", "from 1 to 86400"},
    {"db = \"never closed\n", ":1: ", "quotes"},
    {"db = \"closed\" and more\n", ":1: ", "quotes"},
    {"db = 'never closed\\\n", ":1: ", "quotes"},
    {"db = \"\\", ":1: ", "quotes"},
    {"=5\n", ":1: ", "no option \"\""},
    {"db = \"a\\nb\"\n", ":1: ", "control character"},
    {"hot_interval_sec = 10 cold_interval_sec = 5\n", ":1: ", "must be a number"},
};

static void test_bad_files_name_the_line_and_change_nothing(void **state)
{
    (void)state;
    struct options before = options;
    for (size_t i = 0; i < sizeof bad_files / sizeof bad_files[0]; i++) {
        enum err err = read_text(bad_files[i].text);
        assert_true(err == ERR_INVALID || err == ERR_NOT_FOUND);
        assert_says(path);
        assert_says(bad_files[i].line);
        assert_says(bad_files[i].sentence);
        assert_memory_equal(&before, &options, sizeof options);
    }
}

static void test_file_limits(void **state)
{
    (void)state;
    static char text[64 * 1024];
    memset(text, 'x', 2000);
    text[2000] = '\0';
    assert_int_equal(read_text(text), ERR_TOO_LARGE);
    assert_says(":1: the line is longer than 1023 bytes");
    memset(text, '\n', sizeof text - 1);
    assert_int_equal(read_text(text), ERR_TOO_LARGE);
    assert_says("more than 10000 lines");
    assert_int_equal(read_bytes("env = a\0b\n", 10), ERR_INVALID);
    assert_says(":1: the line has a NUL byte");
    assert_int_equal(read_text(""), OK);
    assert_int_equal(options_read_file(&options, "/nonexistent/file", why), ERR_IO);
    assert_says("/nonexistent/file: No such file or directory");
    assert_int_equal(options_read_file(&options, "/tmp", why), ERR_IO);
    assert_says("/tmp");
}

/* Any bytes: an answer, no crash, and nothing changed unless it was OK. */
static void test_file_of_anything(void **state)
{
    (void)state;
    static const char alphabet[] = "hot_interval_sec=10 \"'\\#\n\n\r\texport MOONWATCH_DB\xff\x01";
    struct prng prng;
    prng_seed(&prng, 6);
    for (int round = 0; round < 2000; round++) {
        char text[200];
        size_t length = prng_below(&prng, sizeof text);
        for (size_t i = 0; i < length; i++)
            text[i] = alphabet[prng_below(&prng, sizeof alphabet)];
        if (read_bytes(text, length) != OK)
            assert_true(strlen(why) > 0);
    }
}

/* ---- the environment ---- */

static enum err read_environment(const char *a, const char *b)
{
    char *environment[] = {(char *)"PATH=/bin", (char *)a, (char *)b, NULL};
    return options_read_environment(&options, environment, why);
}

static void test_environment(void **state)
{
    (void)state;
    assert_int_equal(read_environment("MOONWATCH_HOT_INTERVAL_SEC=7", "HOT_INTERVAL_SEC=9"), OK);
    assert_true(options.hot_interval_sec == 7);
    assert_int_equal(options.origins[OPTION_ID_hot_interval_sec], OPTION_FROM_ENVIRONMENT);
    assert_int_equal(read_environment("MOONWATCH_ENV=a=b", NULL), OK);
    assert_string_equal(options.env, "a=b");
    assert_int_equal(read_environment("MOONWATCH_NO_VALUE", NULL), OK); /* no variable at all */
}

static void test_scheduler_enabled(void **state)
{
    (void)state;
    assert_int_equal(read_environment("SCHEDULER_ENABLED=false", NULL), OK);
    assert_false(options.scheduler_enabled);
    options_init(&options); /* the newer name wins, wherever it stands */
    assert_int_equal(
        read_environment("MOONWATCH_SCHEDULER_ENABLED=true", "SCHEDULER_ENABLED=false"), OK);
    assert_true(options.scheduler_enabled);
    assert_int_equal(read_environment("SCHEDULER_ENABLED=perhaps", NULL), ERR_INVALID);
    assert_says("environment variable SCHEDULER_ENABLED");
    assert_says("must be true or false");
}

static void test_bad_environment(void **state)
{
    (void)state;
    struct options before = options;
    assert_int_equal(read_environment("MOONWATCH_HOT_INTERVAL_SEC=7", "MOONWATCH_COLD_INTERVAL=1"),
                     ERR_NOT_FOUND);
    assert_says("environment variable MOONWATCH_COLD_INTERVAL");
    assert_memory_equal(&before, &options, sizeof options);
    assert_int_equal(read_environment("MOONWATCH_HOT_INTERVL_SEC=7", NULL), ERR_NOT_FOUND);
    assert_says("did you mean \"hot_interval_sec\"?");
    assert_int_equal(read_environment("MOONWATCH_HOT_INTERVAL_SEC=", NULL), ERR_INVALID);
    assert_says("environment variable MOONWATCH_HOT_INTERVAL_SEC: hot_interval_sec: \"\" must be");
    assert_int_equal(read_environment("MOONWATCH_=7", NULL), ERR_NOT_FOUND);
}

static void test_names(void **state)
{
    (void)state;
    char name[OPTION_TEXT_SIZE];
    assert_int_equal(option_environment_name(OPTION_ID_hot_interval_sec, name), 26);
    assert_string_equal(name, "MOONWATCH_HOT_INTERVAL_SEC");
    assert_string_equal(option_source_name(OPTION_FROM_COMMAND_LINE), "command line");
    assert_string_equal(option_source_name((enum option_source)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_every_row_is_complete, fresh),
        cmocka_unit_test_setup(test_defaults, fresh),
        cmocka_unit_test_setup(test_every_value_reads_back, fresh),
        cmocka_unit_test(test_damaged_ones_are_mended),
        cmocka_unit_test_setup(test_good_values, fresh),
        cmocka_unit_test_setup(test_bad_values_change_nothing, fresh),
        cmocka_unit_test_setup(test_unknown_names, fresh),
        cmocka_unit_test_setup(test_a_secret_is_never_repeated, fresh),
        cmocka_unit_test_setup(test_the_strongest_source_wins, fresh),
        cmocka_unit_test_setup(test_a_weak_bad_value_is_still_bad, fresh),
        cmocka_unit_test_setup(test_bounds_across_options, fresh),
        cmocka_unit_test_setup(test_file, fresh),
        cmocka_unit_test_setup(test_bad_files_name_the_line_and_change_nothing, fresh),
        cmocka_unit_test_setup(test_file_limits, fresh),
        cmocka_unit_test_setup(test_file_of_anything, fresh),
        cmocka_unit_test_setup(test_environment, fresh),
        cmocka_unit_test_setup(test_scheduler_enabled, fresh),
        cmocka_unit_test_setup(test_bad_environment, fresh),
        cmocka_unit_test_setup(test_names, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
