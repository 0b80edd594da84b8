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

static void rests(void **state)
{
    (void)state;
    duration first = duration_s(5), most = duration_s(60);
    static const double doubling[] = {5, 10, 20, 40, 60, 60};
    struct budget budget;
    budget_init(&budget, 300, START);
    instant now = at(10);
    for (size_t i = 0; i < sizeof doubling / sizeof *doubling; i++) {
        budget_strike(&budget, now, duration_us(0), first, most);
        assert_int_equal(instant_diff(budget_ready_at(&budget, now), now).us,
                         duration_s(doubling[i]).us);
        now = budget.rest_until;
        assert_true(budget_ready_at(&budget, now).us == now.us);
    }
    budget_succeed(&budget);
    budget_strike(&budget, now, duration_us(0), first, most);
    assert_int_equal(instant_diff(budget.rest_until, now).us, duration_s(5).us);

    /* As long as it was asked to, longer than the ceiling too; never shorter than promised. */
    budget_strike(&budget, now, duration_s(90), first, most);
    assert_int_equal(instant_diff(budget.rest_until, now).us, duration_s(90).us);
    budget_strike(&budget, now, duration_s(1), first, most);
    assert_int_equal(instant_diff(budget.rest_until, now).us, duration_s(90).us);
}

static void many_strikes_stay_at_the_ceiling(void **state)
{
    (void)state;
    struct budget budget;
    budget_init(&budget, 300, START);
    for (int i = 0; i < 100000; i++)
        budget_strike(&budget, START, duration_us(0), duration_ms(250), duration_s(2));
    assert_int_equal(instant_diff(budget.rest_until, START).us, duration_s(2).us);
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
    assert_true(budget.per_second < 1);
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
        cmocka_unit_test(many_strikes_stay_at_the_ceiling),
        cmocka_unit_test(a_rate_changes_and_keeps_what_was_saved),
        cmocka_unit_test(the_lower_of_limit_and_ceiling_is_in_force),
        cmocka_unit_test(a_ceiling_takes_effect_from_now_on),
    };
    return cmocka_run_group_tests_name("core.budget", tests, NULL, NULL);
}
