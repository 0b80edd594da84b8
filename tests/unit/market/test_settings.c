/* The command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "market/settings.h"
#include <string.h>

#define ARGUMENTS_MAX 12

static enum err parse(const char *const texts[], struct settings *out, char *why)
{
    char name[] = "moonwatch-market";
    char *arguments[ARGUMENTS_MAX] = {name};
    int count = 1;
    for (; texts[count - 1] != NULL; count++)
        arguments[count] = (char *)(uintptr_t)texts[count - 1];
    return settings_parse(count, arguments, out, why);
}

static void defaults_hold(void **state)
{
    struct settings settings;
    char why[SETTINGS_MESSAGE_SIZE];
    (void)state;
    assert_int_equal(parse((const char *[]){"--port", "0", NULL}, &settings, why), OK);
    assert_int_equal(settings.tokens, 1000);
    assert_false(settings.has_control_port);
    assert_string_equal(settings.address, "127.0.0.1");
    assert_true(settings.requests_per_minute == 300 && settings.speed == 1);
    assert_true(settings.graduations_per_hour == 50 && settings.replay_per_s == 200);
}

static void values_are_read(void **state)
{
    struct settings settings;
    char why[SETTINGS_MESSAGE_SIZE];
    (void)state;
    assert_int_equal(
        parse((const char *[]){"--port=81", "--control-port", "82", "--speed", "2.5", "--rpm=0",
                               "--no-replay", "--seed", "9", "--pools=5", NULL},
              &settings, why),
        OK);
    assert_int_equal(settings.port, 81);
    assert_int_equal(settings.control_port, 82);
    assert_true(settings.has_control_port && settings.speed == 2.5);
    assert_true(settings.requests_per_minute == 0 && settings.replay_per_s == 0);
    assert_true(settings.seed == 9 && settings.pools_mean == 5);
}

static void mistakes_are_named(void **state)
{
    static const struct {
        const char *const arguments[4];
        const char *says;
    } cases[] = {{{NULL}, "--port is needed"},
                 {{"--port", NULL}, "needs a value"},
                 {{"--port", "x", NULL}, "--port x: must be a whole number from 0 to 65535"},
                 {{"--port", "70000", NULL}, "must be"},
                 {{"--port", "1.5", NULL}, "whole"},
                 {{"--port=1", "--speed=0", NULL}, "must be"},
                 {{"--port=1", "--speed=nan", NULL}, "must be"},
                 {{"--port=1", "--prot=1", NULL}, "unknown argument: --prot"},
                 {{"--port=1", "--control_port=1", NULL}, "unknown argument"},
                 {{"--port=1", "stray", NULL}, "unknown argument: stray"},
                 {{"--port=1", "--tls-key=k", NULL}, "go together"}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct settings settings;
        char why[SETTINGS_MESSAGE_SIZE] = "";
        assert_int_equal(parse(cases[i].arguments, &settings, why), ERR_INVALID);
        if (strstr(why, cases[i].says) == NULL)
            fail_msg("\"%s\" does not say \"%s\"", why, cases[i].says);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(defaults_hold),
                                       cmocka_unit_test(values_are_read),
                                       cmocka_unit_test(mistakes_are_named)};
    return cmocka_run_group_tests_name("settings", tests, NULL, NULL);
}
