/* Budgets: never over the limit in any minute, however requests come; rest after refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prng.h"
#include "core/budget.h"
#include <math.h>

#define START     ((instant){1750000000000000LL})
#define SENT_MAX  200000
#define MINUTE_US 60000000LL

static instant sent[SENT_MAX];

static instant at(double seconds)
{
    return instant_add(START, duration_s(seconds));
}

/* The most requests in any 60 s. */
static size_t busiest_minute(size_t count)
{
    size_t most = 0, first = 0;
    for (size_t i = 0; i < count; i++) {
        while (instant_diff(sent[i], sent[first]).us >= MINUTE_US)
            first++;
        if (i - first + 1 > most)
            most = i - first + 1;
    }
    return most;
}

/* Asks at random times, now and then in a rush and now and then after a long pause. */
static size_t ask_at_random(struct budget *budget, struct prng *prng, double seconds)
{
    size_t count = 0;
    instant now = START;
    while (instant_before(now, at(seconds)) && count < SENT_MAX) {
        double pause = prng_below(prng, 200) == 0 ? 30 * prng_unit(prng) : 0.05 * prng_unit(prng);
        now = instant_add(now, duration_s(pause));
        while (count < SENT_MAX && budget_ready_at(budget, now).us <= now.us) {
            budget_take(budget, now);
            sent[count++] = now;
        }
    }
    return count;
}

static void never_over_the_limit(void **state)
{
    (void)state;
    static const double limits[] = {1, 1.5, 2, 10, 59, 60, 61, 300, 301, 6000};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        for (uint64_t seed = 1; seed <= 5; seed++) {
            struct budget budget;
            struct prng prng;
            prng_seed(&prng, seed);
            budget_init(&budget, limits[i], at(-3600));
            size_t count = ask_at_random(&budget, &prng, 1200);
            assert_true(count > 0);
            if ((double)busiest_minute(count) > ceil(limits[i]))
                fail_msg("%zu requests in a minute, of %g", busiest_minute(count), limits[i]);
        }
    }
}

static void uses_what_it_may(void **state)
{
    (void)state;
    static const double limits[] = {1, 10, 60, 300, 6000};
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct budget budget;
        budget_init(&budget, limits[i], START);
        uint64_t count = 0;
        for (instant now = START; instant_before(now, at(600)); count++) {
            budget_take(&budget, now);
            now = budget_ready_at(&budget, now);
        }
        assert_true((double)count >= limits[i] * 10 * 0.98);
    }
}

static void a_pause_saves_up_a_burst_and_no_more(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 300, START);
    instant now = at(1000);
    size_t count = 0;
    for (; budget_ready_at(&budget, now).us <= now.us; count++)
        budget_take(&budget, now);
    assert_int_equal(count, (size_t)BUDGET_BURST_MIN);
    instant next = budget_ready_at(&budget, now);
    assert_in_range(instant_diff(next, now).us, 190000, 210000);
    assert_true(budget_ready_at(&budget, next).us == next.us);
}

static void a_clock_that_goes_back_fills_nothing(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 60, START);
    budget_take(&budget, START);
    assert_true(budget_ready_at(&budget, at(-100)).us > at(-100).us);
    assert_true(budget_ready_at(&budget, at(0.5)).us > at(0.5).us);
    assert_true(budget_ready_at(&budget, at(1.1)).us == at(1.1).us);
}

static instant strike(struct budget *budget, instant now, double asked_s)
{
    const struct budget_rest rest = {duration_s(asked_s), duration_s(5), duration_s(60)};
    budget_strike(budget, now, &rest, now);
    return budget_ready_at(budget, now);
}

static void rests(void **state)
{
    (void)state;
    static const double doubling[] = {5, 10, 20, 40, 60, 60};
    struct budget budget;
    budget_init(&budget, 300, START);
    instant now = at(10);
    for (size_t i = 0; i < sizeof doubling / sizeof *doubling; i++) {
        assert_int_equal(instant_diff(strike(&budget, now, 0), now).us, duration_s(doubling[i]).us);
        now = budget.rest_until;
        assert_true(budget_ready_at(&budget, now).us == now.us);
    }
    budget_succeed(&budget, instant_add(now, duration_s(-1)), now); /* sent before: says nothing */
    assert_int_equal(instant_diff(strike(&budget, now, 0), now).us, duration_s(5).us);
}

static void rests_as_long_as_asked(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 300, START);
    /* Longer than the ceiling too; never shorter than promised; for a day it is an hour. */
    static const struct {
        double asked_s, rests_s;
    } rows[] = {{90, 90}, {1, 90}, {86400, 3600}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_int_equal(instant_diff(strike(&budget, at(1), rows[i].asked_s), at(1)).us,
                         duration_s(rows[i].rests_s).us);
}

static void what_was_under_way_is_one_strike(void **state)
{
    (void)state;
    const struct budget_rest rest = {{0}, duration_s(1), duration_s(60)};
    struct budget budget;
    budget_init(&budget, 300, START);
    budget_strike(&budget, at(1), &rest, at(2));
    budget_strike(&budget, at(1.5), &rest, at(2.5));
    assert_int_equal(budget.rest_until.us, at(3).us);
    budget_strike(&budget, at(3), &rest, at(4));
    assert_int_equal(budget.rest_until.us, at(6).us);
}

static void many_strikes_stay_at_the_ceiling(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 300, START);
    for (int i = 0; i < 100000; i++)
        strike(&budget, START, 0);
    assert_int_equal(instant_diff(budget.rest_until, START).us, duration_s(60).us);
}

/* 20 a minute have no room again within a second, however the upstream counts. */
static void a_slow_budget_rests_longer(void **state)
{
    (void)state;
    const struct budget_rest rest = {{0}, duration_s(1), duration_s(60)};
    struct budget budget;
    budget_init(&budget, 20, START);
    budget_refused(&budget, START, &rest, START);
    assert_in_range(instant_diff(budget.rest_until, START).us, 6000000, 8000000);
}

/* What is saved up over a rest would come in a burst. */
static void after_a_rest_one_goes_first(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 300, START);
    instant ready = strike(&budget, START, 30);
    budget_take(&budget, ready);
    assert_in_range(instant_diff(budget_ready_at(&budget, ready), ready).us, 190000, 210000);
}

static void a_rate_changes_and_keeps_what_was_saved(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 60, START);
    budget_take(&budget, START);
    budget_set_rate(&budget, 6000, START);
    assert_in_range(instant_diff(budget_ready_at(&budget, START), START).us, 9000, 11000);
    budget_set_rate(&budget, 6, at(100));
    assert_true(budget.level <= budget.burst);
    size_t count = 0;
    for (; budget_ready_at(&budget, at(100)).us <= at(100).us; count++)
        budget_take(&budget, at(100));
    assert_true(count <= BUDGET_BURST_MIN);
}

static void the_lower_of_limit_and_ceiling_is_in_force(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 600, START);
    double limit = budget.per_second;
    budget_set_ceiling(&budget, 2, START);
    assert_true(budget.per_second == 2);
    budget_take(&budget, START);
    assert_in_range(instant_diff(budget_ready_at(&budget, START), START).us, 499000, 501000);
    budget_set_rate(&budget, 60, START); /* the upstream's limit changes under it */
    assert_true(budget.per_second == 1);
    budget_set_rate(&budget, 600, START);
    assert_true(budget.per_second == 2);
    budget_set_ceiling(&budget, INFINITY, START);
    assert_true(budget.per_second == limit);
    budget_set_ceiling(&budget, 1000, START);
    assert_true(budget.per_second == limit);
}

/* What was saved up at the old rate stays as it was. */
static void a_ceiling_takes_effect_from_now_on(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 600, START);
    budget_take(&budget, START);
    budget_set_ceiling(&budget, 0.01, at(0.05));
    budget_set_ceiling(&budget, INFINITY, at(0.05));
    assert_true(budget_ready_at(&budget, at(0.11)).us <= at(0.11).us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_over_the_limit),
        cmocka_unit_test(uses_what_it_may),
        cmocka_unit_test(a_pause_saves_up_a_burst_and_no_more),
        cmocka_unit_test(a_clock_that_goes_back_fills_nothing),
        cmocka_unit_test(rests),
        cmocka_unit_test(rests_as_long_as_asked),
        cmocka_unit_test(what_was_under_way_is_one_strike),
        cmocka_unit_test(a_slow_budget_rests_longer),
        cmocka_unit_test(after_a_rest_one_goes_first),
        cmocka_unit_test(many_strikes_stay_at_the_ceiling),
        cmocka_unit_test(a_rate_changes_and_keeps_what_was_saved),
        cmocka_unit_test(the_lower_of_limit_and_ceiling_is_in_force),
        cmocka_unit_test(a_ceiling_takes_effect_from_now_on),
    };
    return cmocka_run_group_tests_name("core.budget", tests, NULL, NULL);
}
