/* What is learnt from refusals, one at a time; how it holds against whole upstreams is in
 * tests/unit/sim/test_limits.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/limit.h"
#include <math.h>

#define START   ((instant){1750000000000000LL})
#define CEILING 300.0

static struct limit limit;

static instant at(double seconds)
{
    return instant_add(START, duration_s(seconds));
}

static int start(void **state)
{
    (void)state;
    limit_init(&limit, CEILING, START);
    return 0;
}

/* `per_minute` evenly, each accepted at once. */
static void send(double from_s, double to_s, double per_minute)
{
    for (double t = from_s; t < to_s; t += 60 / per_minute) {
        limit_sent(&limit, at(t));
        limit_accepted(&limit, at(t), at(t));
    }
}

static void refuse(double seconds)
{
    limit_sent(&limit, at(seconds));
    limit_refused(&limit, at(seconds), at(seconds + 0.1));
}

static void grow(double from_s, double to_s)
{
    for (double t = from_s; t < to_s; t++)
        limit_grow(&limit, duration_s(1), at(t));
}

static void assert_near(double value, double expected, double share)
{
    if (!(fabs(value - expected) <= share * expected))
        fail_msg("%g is not near %g", value, expected);
}

static void nothing_is_known_at_first(void **state)
{
    (void)state;
    assert_true(limit.per_minute == CEILING);
    assert_true(isnan(limit_learned(&limit)));
    send(0, 600, CEILING);
    grow(0, 600);
    assert_true(limit.per_minute == CEILING);
    assert_true(isnan(limit_learned(&limit)));
}

static void what_a_minute_held_is_the_limit(void **state)
{
    (void)state;
    send(0, 120, 270);
    refuse(120);
    assert_near(limit_learned(&limit), 270, 0.01);
    assert_near(limit.per_minute, 270 * 0.975, 0.01);
}

static void those_under_way_count_as_one(void **state)
{
    (void)state;
    send(0, 120, 270);
    refuse(120);
    double lowered = limit.per_minute;
    for (int i = 0; i < 20; i++) {
        limit_sent(&limit, at(120.01));
        limit_refused(&limit, at(120.01), at(120.2));
    }
    assert_true(limit.per_minute == lowered);
}

/* Nothing may go before the last minute holds less than what is allowed now. */
static void what_was_sent_before_counts(void **state)
{
    (void)state;
    send(0, 120, 270);
    assert_true(instant_is_never(limit_room_at(&limit, at(120))));
    refuse(120);
    instant room = limit_room_at(&limit, at(120.1));
    assert_in_range(instant_diff(room, at(120)).us, 1500000, 2500000);
    assert_true(instant_is_never(limit_room_at(&limit, room)));
}

/* A window that is full, seen for longer and longer: less and less may have filled it. */
static void being_blocked_bounds_it(void **state)
{
    (void)state;
    send(0, 120, 290);
    refuse(120);
    static const double after_s[] = {1, 3, 7, 15, 31};
    for (size_t i = 0; i < sizeof after_s / sizeof *after_s; i++) {
        refuse(120 + after_s[i]);
        assert_near(limit.per_minute, 290 * (1 - after_s[i] / 60), 0.05);
    }
}

/* A ban of a minute empties every window: that is no limit of 0. */
static void a_ban_is_not_believed(void **state)
{
    (void)state;
    send(0, 120, 290);
    refuse(120);
    for (double t = 121; t < 240; t += 10)
        refuse(t);
    assert_near(limit.plateau, 290 * 0.2, 0.05);
    for (double t = 241; t < 600; t += 10) {
        send(t, t + 10, limit.per_minute);
        grow(t, t + 10);
    }
    assert_true(limit.per_minute > 0.9 * 290);
}

/* One that is refused at once again was not refused by a window. */
static void a_bucket_is_found_by_its_long_run(void **state)
{
    (void)state;
    send(0, 100, 290);
    refuse(100); /* begins a run */
    send(105, 300, 150);
    refuse(300);
    double first = limit.per_minute;
    send(301, 303, 120);
    refuse(303);
    assert_near(limit.per_minute, 0.97 * fmax(0.85 * first, 150 * 0.98), 0.02);
}

/* Those that were let through before a ban began are no limit. */
static void a_few_requests_say_little(void **state)
{
    (void)state;
    send(0, 60, 6);
    refuse(60);
    assert_near(limit.per_minute, 0.8 * CEILING * 0.975, 0.01);
    for (double t = 61; t < 120; t += 5)
        refuse(t);
    assert_near(limit.per_minute, 0.2 * 0.8 * CEILING, 0.05);
}

/* But so many are, for a window that stays full. */
static void a_minute_that_stays_full_at_once_is_believed(void **state)
{
    (void)state;
    send(0, 4, CEILING);
    for (double t = 4; t < 12; t *= 1.5)
        refuse(t);
    assert_near(limit.plateau, 20, 0.01);
}

/* Slowly near the plateau, fast beyond it; never above the ceiling, and then nothing is learnt. */
static void it_rises_as_a_cubic_does(void **state)
{
    (void)state;
    send(0, 120, 137);
    limit.per_minute = 140;
    refuse(120);
    double plateau = limit.plateau, before = limit.per_minute, steps[4];
    for (int i = 0; i < 4; i++) {
        send(125 + 60 * i, 185 + 60 * i, limit.per_minute);
        grow(125 + 60 * i, 185 + 60 * i);
        steps[i] = limit.per_minute - before;
        before = limit.per_minute;
    }
    assert_true(steps[0] > 0 && steps[0] < 0.04 * plateau);
    assert_true(steps[1] < 0.1 * plateau);
    assert_true(steps[2] > steps[1] && steps[3] > steps[2]);
    send(365, 900, CEILING);
    grow(365, 900);
    assert_true(limit.per_minute == CEILING);
    assert_true(isnan(limit_learned(&limit)));
}

/* What refused us for another reason has ended; hours of a request a minute would be no healing. */
static void next_to_nothing_is_left_within_the_hour(void **state)
{
    (void)state;
    limit_recall(&limit, 1, duration_s(0));
    int t = 0;
    for (; t < 7200 && limit.per_minute < 0.9 * CEILING; t++) {
        send(t, t + 1, limit.per_minute);
        limit_grow(&limit, duration_s(1), at(t));
    }
    assert_in_range(t, 600, 2700);
}

static void it_does_not_rise_far_above_what_is_sent(void **state)
{
    (void)state;
    send(0, 120, 100);
    limit.per_minute = 100;
    refuse(120);
    for (int t = 121; t < 4000; t += 60) {
        send(t, t + 60, 90);
        grow(t, t + 60);
    }
    assert_true(limit.per_minute < 130);
}

static void another_ceiling_forgets(void **state)
{
    (void)state;
    send(0, 120, 137);
    refuse(120);
    limit_set_ceiling(&limit, CEILING);
    assert_false(isnan(limit_learned(&limit)));
    limit_set_ceiling(&limit, 500);
    assert_true(isnan(limit_learned(&limit)));
    assert_true(limit.per_minute == 500);
}

static void what_was_known_counts_less_with_age(void **state)
{
    (void)state;
    static const struct {
        double age_s, plateau;
    } rows[] = {{0, 137},           {60, 137.1},         {86400, 218.5},
                {2 * 86400, 245.7}, {30 * 86400, 294.7}, {-100, 137}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        limit_init(&limit, CEILING, START);
        limit_recall(&limit, 137, duration_s(rows[i].age_s));
        assert_near(limit.plateau, rows[i].plateau, 0.001);
        assert_near(limit.per_minute, 0.975 * rows[i].plateau, 0.001);
    }
}

static void nonsense_is_not_recalled(void **state)
{
    (void)state;
    static const double rows[] = {NAN, 0, -1, 300, 1e9, INFINITY};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        limit_recall(&limit, rows[i], duration_us(0));
        assert_true(isnan(limit_learned(&limit)));
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup(name, start)
    const struct CMUnitTest tests[] = {
        TEST(nothing_is_known_at_first),
        TEST(what_a_minute_held_is_the_limit),
        TEST(those_under_way_count_as_one),
        TEST(what_was_sent_before_counts),
        TEST(being_blocked_bounds_it),
        TEST(a_ban_is_not_believed),
        TEST(a_bucket_is_found_by_its_long_run),
        TEST(a_few_requests_say_little),
        TEST(a_minute_that_stays_full_at_once_is_believed),
        TEST(it_rises_as_a_cubic_does),
        TEST(next_to_nothing_is_left_within_the_hour),
        TEST(it_does_not_rise_far_above_what_is_sent),
        TEST(another_ceiling_forgets),
        TEST(what_was_known_counts_less_with_age),
        TEST(nonsense_is_not_recalled),
    };
    return cmocka_run_group_tests_name("core.limit", tests, NULL, NULL);
}
