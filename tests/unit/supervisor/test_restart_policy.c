#include "supervisor/restart_policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define T0        1790000000000000LL
#define SEQUENCES 10000
#define DEATHS    40 /* of a sequence */

static const struct restart_limits usual = {
    .backoff_min = {1000000},
    .backoff_max = {60000000},
    .quiet = {600000000},
    .deaths_per_hour_max = 5,
};

static const struct restart_limits unlimited = {
    .backoff_min = {1000000},
    .backoff_max = {60000000},
    .quiet = {600000000},
    .deaths_per_hour_max = 1000,
};

static instant at_s(double s)
{
    return instant_add((instant){T0}, duration_s(s));
}

static void assert_wait(const struct restart_verdict *verdict, instant now, double wait_s)
{
    double waited = duration_to_s(instant_diff(verdict->start_at, now));
    assert_true(waited >= wait_s);
    assert_true(waited <= wait_s * (1 + RESTART_JITTER));
}

struct row {
    double lived_s; /* since the start that answered the death before */
    double wait_s;
    enum start_kind start;
    uint32_t deaths;
    bool is_slowed;
};

static void assert_rows(const struct restart_limits *limits, const struct row *rows, size_t count)
{
    struct restart_policy policy;
    instant now = at_s(0);
    restart_policy_init(&policy, limits, 1);
    for (size_t i = 0; i < count; i++) {
        now = instant_add(now, duration_s(rows[i].lived_s));
        struct restart_verdict verdict = restart_policy_on_death(&policy, now);
        assert_wait(&verdict, now, rows[i].wait_s);
        assert_int_equal(verdict.start, rows[i].start);
        assert_int_equal(verdict.deaths_last_hour, rows[i].deaths);
        assert_int_equal(verdict.is_slowed, rows[i].is_slowed);
        now = verdict.start_at;
    }
}

#define ASSERT_ROWS(limits, ...)                                                                   \
    assert_rows((limits), (const struct row[]){__VA_ARGS__},                                       \
                sizeof((const struct row[]){__VA_ARGS__}) / sizeof(struct row))

static void test_first_at_once_then_backing_off(void **state)
{
    (void)state;
    ASSERT_ROWS(&unlimited, {0, 0, START_WARM, 1, false}, {1, 1, START_COLD, 2, false},
                {1, 2, START_COLD, 3, false}, {1, 4, START_COLD, 4, false},
                {1, 8, START_COLD, 5, false}, {1, 16, START_COLD, 6, false},
                {1, 32, START_COLD, 7, false}, {1, 60, START_COLD, 8, false},
                {1, 60, START_COLD, 9, false});
}

static void test_quiet_begins_anew(void **state)
{
    (void)state;
    ASSERT_ROWS(&unlimited, {0, 0, START_WARM, 1, false}, {100, 1, START_WARM, 2, false},
                {599, 2, START_WARM, 3, false}, {600, 0, START_WARM, 4, false},
                {10, 1, START_COLD, 5, false});
}

/* Even the longest wait is no quiet time. */
static void test_a_wait_is_not_quiet(void **state)
{
    (void)state;
    struct restart_limits patient = {
        .backoff_min = {700000000},
        .backoff_max = {700000000},
        .quiet = {600000000},
        .deaths_per_hour_max = 5,
    };
    ASSERT_ROWS(&patient, {0, 0, START_WARM, 1, false}, {0, 700, START_COLD, 2, false},
                {0, 700, START_COLD, 3, false});
}

static void test_cold_after_a_short_life(void **state)
{
    (void)state;
    ASSERT_ROWS(&unlimited, {0, 0, START_WARM, 1, false}, {59.9, 1, START_COLD, 2, false},
                {60, 2, START_WARM, 3, false}, {0, 4, START_COLD, 4, false});
}

/* Five at full speed; the sixth within an hour, quiet or not, waits longest; an hour later that is
 * over. */
static void test_slowed_by_the_hour(void **state)
{
    (void)state;
    ASSERT_ROWS(&usual, {0, 0, START_WARM, 1, false}, {650, 0, START_WARM, 2, false},
                {650, 0, START_WARM, 3, false}, {650, 0, START_WARM, 4, false},
                {650, 0, START_WARM, 5, false}, {650, 60, START_WARM, 6, true},
                {1400, 0, START_WARM, 5, false}, {3700, 0, START_WARM, 1, false});
}

static void test_deaths_are_forgotten_after_an_hour(void **state)
{
    (void)state;
    struct restart_policy policy;
    restart_policy_init(&policy, &usual, 1);
    assert_int_equal(restart_policy_deaths(&policy, at_s(0)), 0);
    restart_policy_on_death(&policy, at_s(0));
    restart_policy_on_death(&policy, at_s(1800));
    assert_int_equal(restart_policy_deaths(&policy, at_s(1800)), 2);
    assert_int_equal(restart_policy_deaths(&policy, at_s(3599)), 2);
    assert_int_equal(restart_policy_deaths(&policy, at_s(3661)), 1);
    assert_int_equal(restart_policy_deaths(&policy, at_s(5399)), 1);
    assert_int_equal(restart_policy_deaths(&policy, at_s(5461)), 0);
}

/* A clock that goes back is one that we did not read in order. */
static void test_an_earlier_instant(void **state)
{
    (void)state;
    struct restart_policy policy;
    restart_policy_init(&policy, &usual, 1);
    restart_policy_on_death(&policy, at_s(300));
    struct restart_verdict verdict = restart_policy_on_death(&policy, at_s(0));
    assert_int_equal(verdict.deaths_last_hour, 2);
    assert_wait(&verdict, at_s(0), 1);
}

static void test_no_backoff_over_the_longest(void **state)
{
    (void)state;
    struct restart_limits odd = usual;
    odd.backoff_min = duration_s(90); /* over the longest */
    ASSERT_ROWS(&odd, {0, 0, START_WARM, 1, false}, {0, 60, START_COLD, 2, false},
                {0, 60, START_COLD, 3, false});
}

/* Daemons of one outage do not come back in step; the same seed gives the same waits. */
static void test_jitter(void **state)
{
    (void)state;
    struct restart_policy a, b, same;
    restart_policy_init(&a, &usual, 1);
    restart_policy_init(&b, &usual, 2);
    restart_policy_init(&same, &usual, 1);
    for (int i = 0; i < 8; i++) {
        instant now = at_s(i);
        int64_t start = restart_policy_on_death(&a, now).start_at.us;
        assert_true(start == restart_policy_on_death(&same, now).start_at.us);
        assert_true(i == 0 || start != restart_policy_on_death(&b, now).start_at.us);
    }
}

static void test_limits_come_from_options(void **state)
{
    (void)state;
    struct options options;
    options_init(&options);
    struct restart_limits limits = restart_limits_of(&options);
    assert_int_equal(limits.backoff_min.us, usual.backoff_min.us);
    assert_int_equal(limits.backoff_max.us, usual.backoff_max.us);
    assert_int_equal(limits.quiet.us, usual.quiet.us);
    assert_int_equal(limits.deaths_per_hour_max, usual.deaths_per_hour_max);
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(start_kind_name(START_NONE), "none");
    assert_string_equal(start_kind_name(START_WARM), "warm");
    assert_string_equal(start_kind_name(START_COLD), "cold");
    assert_string_equal(start_kind_name(START_KIND_COUNT), "unknown");
}

static struct restart_limits random_limits(struct prng *chance)
{
    struct restart_limits limits = {
        .backoff_min = {1000 + (int64_t)prng_below(chance, 5000000)},
        .quiet = {10000 + (int64_t)prng_below(chance, 900000000)},
        .deaths_per_hour_max = 1 + (uint32_t)prng_below(chance, 12),
    };
    limits.backoff_max.us = limits.backoff_min.us + (int64_t)prng_below(chance, 90000000);
    return limits;
}

/* What holds for every death, whatever happened before. `oldest` is the instant of the first death
 * that may count. */
static void assert_invariants(const struct restart_limits *limits, instant now, duration lived,
                              const struct restart_verdict *verdict)
{
    double longest = duration_to_s(limits->backoff_max) * (1 + RESTART_JITTER);
    bool is_quiet = lived.us >= limits->quiet.us;
    int64_t wait_us = instant_diff(verdict->start_at, now).us;
    assert_true(wait_us >= 0);
    assert_true((double)wait_us / 1e6 <= longest);
    assert_true(verdict->deaths_last_hour >= 1);
    assert_true(verdict->is_slowed == (verdict->deaths_last_hour > limits->deaths_per_hour_max));
    assert_int_equal(verdict->start, lived.us >= 60000000 ? START_WARM : START_COLD);
    if (verdict->is_slowed)
        assert_true(wait_us >= limits->backoff_max.us);
    else if (is_quiet)
        assert_int_equal(wait_us, 0);
    else
        assert_true(wait_us >= limits->backoff_min.us);
}

static uint32_t count_since(const instant *deaths, int count, instant from)
{
    uint32_t sum = 0;
    for (int i = 0; i < count; i++)
        sum += !instant_before(deaths[i], from);
    return sum;
}

static void run_sequence(uint64_t seed)
{
    struct prng chance;
    struct restart_policy policy;
    instant deaths[DEATHS], now = at_s(0);
    prng_seed(&chance, seed);
    struct restart_limits limits = random_limits(&chance);
    restart_policy_init(&policy, &limits, seed);
    for (int i = 0; i < DEATHS; i++) {
        static const uint64_t lives_us[] = {1000, 2000000, 120000000, 2000000000};
        uint64_t most_us = lives_us[prng_below(&chance, 4)];
        duration lived = duration_us((int64_t)prng_below(&chance, most_us));
        now = deaths[i] = instant_add(now, lived);
        struct restart_verdict verdict = restart_policy_on_death(&policy, now);
        assert_invariants(&limits, now, i == 0 ? duration_s(1e6) : lived, &verdict);
        uint32_t sure = count_since(deaths, i + 1, instant_add(now, duration_s(-3600)));
        uint32_t most = count_since(deaths, i + 1, instant_add(now, duration_s(-3660)));
        assert_true(verdict.deaths_last_hour >= sure && verdict.deaths_last_hour <= most);
        now = verdict.start_at;
    }
}

static void test_random_sequences(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEQUENCES; seed++)
        run_sequence(seed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_at_once_then_backing_off),
        cmocka_unit_test(test_quiet_begins_anew),
        cmocka_unit_test(test_a_wait_is_not_quiet),
        cmocka_unit_test(test_cold_after_a_short_life),
        cmocka_unit_test(test_slowed_by_the_hour),
        cmocka_unit_test(test_deaths_are_forgotten_after_an_hour),
        cmocka_unit_test(test_an_earlier_instant),
        cmocka_unit_test(test_no_backoff_over_the_longest),
        cmocka_unit_test(test_jitter),
        cmocka_unit_test(test_limits_come_from_options),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_random_sequences),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
