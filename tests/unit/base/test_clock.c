/* The machine's clocks are replaced by two numbers (the linker's --wrap), so that suspends, steps
 * and days take no time here. */
#include "base/clock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define SECOND 1000000LL

static int64_t wall_us = 1783075526LL * SECOND, boot_us = 500 * SECOND;

int __wrap_clock_gettime(clockid_t id, struct timespec *out);
int __wrap_clock_gettime(clockid_t id, struct timespec *out)
{
    int64_t us = id == CLOCK_REALTIME ? wall_us : boot_us;
    *out = (struct timespec){.tv_sec = us / SECOND, .tv_nsec = us % SECOND * 1000};
    return 0;
}

static void pass(int64_t us)
{
    wall_us += us;
    boot_us += us;
}

/* How far the steady timeline is from the wall clock. */
static int64_t distance_us(void)
{
    return wall_us - clock_now().us;
}

/* Lets time pass in steps of a second until the two agree. */
static int settle(int seconds_max)
{
    int seconds = 0;
    while (llabs(distance_us()) > 0 && seconds < seconds_max) {
        pass(SECOND);
        clock_discipline();
        seconds++;
    }
    return seconds;
}

static void test_starts_at_the_wall_clock(void **state)
{
    (void)state;
    assert_int_equal(clock_now().us, wall_us);
    pass(1234567);
    assert_int_equal(clock_now().us, wall_us);
    assert_false(clock_discipline());
    assert_int_equal(clock_offset().us, 0);
}

static void test_a_step_does_not_move_it(void **state)
{
    (void)state;
    instant before = clock_now();
    wall_us += 3600 * SECOND;
    assert_int_equal(clock_now().us, before.us);
    assert_true(clock_discipline());  /* told once */
    assert_false(clock_discipline()); /* and not again */
    assert_int_equal(clock_now().us, before.us);
    assert_int_equal(clock_offset().us, 3600 * SECOND);

    pass(100 * SECOND); /* 1 % of what passes */
    clock_discipline();
    assert_int_equal(distance_us(), 3600 * SECOND - SECOND);
    wall_us -= 3600 * SECOND; /* and back */
    assert_true(clock_discipline());
    assert_int_equal(distance_us(), -SECOND);
    assert_in_range(settle(200), 99, 101);
}

static void test_a_small_drift_is_followed_in_silence(void **state)
{
    (void)state;
    for (int i = 0; i < 1000; i++) {
        pass(SECOND);
        wall_us += 500; /* 500 ppm, what NTP may do at most */
        assert_false(clock_discipline());
        assert_true(llabs(distance_us()) <= 1000);
    }
    assert_in_range(settle(10), 0, 1);
}

static void test_never_goes_back(void **state)
{
    (void)state;
    instant last = clock_now();
    for (int i = 0; i < 20000; i++) {
        pass(rand() % 3000);
        if (i % 7 == 0)
            wall_us += rand() % 20000000 - 10000000;
        if (i % 3 == 0)
            clock_discipline();
        instant now = clock_now();
        assert_false(instant_before(now, last));
        last = now;
    }
    settle(1000000);
}

/* CLOCK_BOOTTIME goes on through a suspend, and so do we. */
static void test_a_suspend_counts(void **state)
{
    (void)state;
    instant before = clock_now();
    pass(8 * 3600 * SECOND);
    assert_int_equal(clock_now().us - before.us, 8 * 3600 * SECOND);
    assert_false(clock_discipline());
}

static void test_iso_time(void **state)
{
    (void)state;
    static const struct {
        int64_t us;
        const char *text;
    } table[] = {
        {1783075526083219LL, "2026-07-03T10:45:26.083219+00:00"},
        {0, "1970-01-01T00:00:00.000000+00:00"},
        {-1, "1969-12-31T23:59:59.999999+00:00"},
        {951782400000000LL, "2000-02-29T00:00:00.000000+00:00"},
        {253402300799999999LL, "9999-12-31T23:59:59.999999+00:00"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        char text[ISO_TIME_SIZE];
        instant parsed;
        assert_int_equal(iso_time_format((instant){table[i].us}, text), strlen(table[i].text));
        assert_string_equal(text, table[i].text);
        assert_true(iso_time_parse(text, &parsed));
        assert_int_equal(parsed.us, table[i].us);
    }
}

static void test_iso_time_forms(void **state)
{
    (void)state;
    static const char *const same[] = {
        "2026-07-03T10:45:26Z",          "2026-07-03T10:45:26.0Z",
        "2026-07-03T10:45:26+00:00",     "2026-07-03T12:45:26+02:00",
        "2026-07-03T05:15:26.000-05:30", "2026-07-03T10:45:26.000000000Z",
    };
    static const char *const bad[] = {
        "",
        "now",
        "2026-07-03",
        "2026-07-03T10:45:26",
        "2026-07-03 10:45:26Z",
        "2026-02-30T10:45:26Z",
        "2026-13-01T10:45:26Z",
        "2026-07-03T24:00:01Z",
        "2026-07-03T10:60:26Z",
        "2026-07-03T10:45:26.Z",
        "2026-07-03T10:45:26Zx",
        "2026-07-03T10:45:26+1:00",
        "2026-07-03T10:45:26+99:00",
        "-026-07-03T10:45:26Z",
        "2026-7-3T10:45:26Z",
    };
    instant parsed;
    for (size_t i = 0; i < sizeof same / sizeof same[0]; i++) {
        assert_true(iso_time_parse(same[i], &parsed));
        assert_int_equal(parsed.us, 1783075526LL * SECOND);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (iso_time_parse(bad[i], &parsed))
            fail_msg("\"%s\" was taken for a time", bad[i]);
}

static void test_time_arithmetic(void **state)
{
    (void)state;
    instant t = {10 * SECOND};
    assert_int_equal(instant_add(t, duration_s(0.25)).us, 10250000);
    assert_int_equal(instant_diff((instant){3}, (instant){5}).us, -2);
    assert_int_equal(duration_to_ms(duration_us(1999)), 1);
    assert_true(instant_is_never(INSTANT_NEVER) && instant_before(INSTANT_NEVER, t));
    assert_true(instant_before(t, INSTANT_FAR));
    assert_int_equal(instant_min(t, INSTANT_FAR).us, t.us);
    assert_int_equal(instant_max(t, INSTANT_NEVER).us, t.us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_starts_at_the_wall_clock),
        cmocka_unit_test(test_a_step_does_not_move_it),
        cmocka_unit_test(test_a_small_drift_is_followed_in_silence),
        cmocka_unit_test(test_never_goes_back),
        cmocka_unit_test(test_a_suspend_counts),
        cmocka_unit_test(test_iso_time),
        cmocka_unit_test(test_iso_time_forms),
        cmocka_unit_test(test_time_arithmetic),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
