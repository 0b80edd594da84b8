/* Until when a token is on time, through changes of the interval. Times in seconds. */
#include "core/promise.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static instant at(double s)
{
    return (instant){1000000000 + (int64_t)(s * 1e6)};
}

static void expect_until(const struct promise *promise, double since, double factor, double until)
{
    double found = duration_to_s(instant_diff(promise_until(promise, at(since), factor), at(0)));
    if (found != until)
        fail_msg("refreshed at %g, × %g: until %g and not %g", since, factor, found, until);
}

static struct promise begun(double interval)
{
    struct promise promise;
    promise_init(&promise, duration_s(interval), at(0));
    return promise;
}

static void test_one_interval(void **state)
{
    (void)state;
    struct promise promise = begun(60);
    expect_until(&promise, 10, 2, 130);
    expect_until(&promise, 10, 3, 190);
    expect_until(&promise, 0, 1.5, 90);
    expect_until(&promise, -1000, 2, 120); /* since before the start: excused by it */
    expect_until(&promise, -1, 2, 120);
    promise_change(&promise, duration_s(60), at(50)); /* no change */
    expect_until(&promise, 10, 2, 130);
    assert_true(promise_interval(&promise).us == 60000000);
}

static void test_shorter(void **state)
{
    (void)state;
    struct promise promise = begun(60);
    promise_change(&promise, duration_s(10), at(110));
    expect_until(&promise, 111, 2, 131); /* refreshed since */
    expect_until(&promise, 109, 2, 130); /* one new interval from the change on, */
    expect_until(&promise, 20, 2, 130);
    expect_until(&promise, 5, 2, 125); /* but never more than he had */
    promise = begun(60);
    promise_change(&promise, duration_s(10), at(130));
    expect_until(&promise, 5, 2, 125); /* late already, and not excused */
}

static void test_longer(void **state)
{
    (void)state;
    struct promise promise = begun(10);
    promise_change(&promise, duration_s(60), at(100));
    expect_until(&promise, 90, 2, 210);
    expect_until(&promise, 20, 2, 140); /* was late, and is not any more */
    expect_until(&promise, -50, 2, 70); /* is still: had until 20 by the start */
}

static void test_several(void **state)
{
    (void)state;
    struct promise promise = begun(60);
    promise_change(&promise, duration_s(10), at(100));
    promise_change(&promise, duration_s(5), at(110));
    expect_until(&promise, 95, 2, 120);  /* 120 by the first change; 120 by the second */
    expect_until(&promise, 105, 2, 120); /* 125, then 120 */
    promise_change(&promise, duration_s(100), at(112));
    expect_until(&promise, 95, 2, 295);
    promise_change(&promise, duration_s(1), at(113));
    expect_until(&promise, 95, 2, 115);
    expect_until(&promise, 113, 2, 115);
    expect_until(&promise, 120, 2, 122);
}

static void test_excused(void **state)
{
    (void)state;
    struct promise promise = begun(10);
    promise_excuse(&promise, at(500));
    expect_until(&promise, 100, 2, 520);
    expect_until(&promise, 499, 2, 520);
    expect_until(&promise, 505, 2, 525);
}

/* From a group with 45 s into one with 15: some of those here had 45. */
static void test_mixed(void **state)
{
    (void)state;
    struct promise promise = begun(15);
    promise_mix(&promise, duration_s(5), at(50)); /* they had less: nothing changes */
    expect_until(&promise, 40, 2, 70);
    promise_mix(&promise, duration_s(45), at(100));
    expect_until(&promise, 20, 2, 110); /* what he had there, */
    expect_until(&promise, 90, 2, 130); /* but at most a full interval here */
    expect_until(&promise, 100, 2, 130);
    expect_until(&promise, 5, 2, 95); /* late there, too */
}

/* Terms without a difference go; when there are too many that have one, somebody is excused. */
static void test_many(void **state)
{
    (void)state;
    struct promise promise = begun(10);
    for (int i = 1; i <= 1000; i++) {
        promise_change(&promise, duration_s(i % 2 == 0 ? 10 : 11), at(i * 40));
        assert_in_range(promise.count, 1, 3);
    }
    expect_until(&promise, 39999, 2, 40020);
    for (int i = 1; i <= 1000; i++) {
        promise_change(&promise, duration_s(100 + i % 2), at(50000 + i));
        assert_in_range(promise.count, 1, PROMISE_TERMS_MAX);
    }
    expect_until(&promise, 51001, 2, 51201);
    instant until = promise_until(&promise, at(50000), 2);
    assert_true(until.us >= at(50200).us && until.us <= at(51201).us);
}

static void test_monotone(void **state)
{
    (void)state;
    struct promise promise = begun(40);
    static const double intervals[] = {7, 90, 3, 3.5, 60, 20, 1};
    for (unsigned i = 0; i < sizeof intervals / sizeof intervals[0]; i++) {
        promise_change(&promise, duration_s(intervals[i]), at(10 + 9 * i));
        instant before = INSTANT_NEVER;
        for (double since = -100; since < 120; since += 0.25) {
            instant until = promise_until(&promise, at(since), 2);
            assert_false(instant_before(until, before));
            before = until;
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_interval), cmocka_unit_test(test_shorter),
        cmocka_unit_test(test_longer),       cmocka_unit_test(test_several),
        cmocka_unit_test(test_excused),      cmocka_unit_test(test_mixed),
        cmocka_unit_test(test_many),         cmocka_unit_test(test_monotone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
