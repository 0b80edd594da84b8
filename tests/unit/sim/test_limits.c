/*
 * Limits that nobody tells of: the real core against upstreams that count as upstreams do, in
 * virtual time. Five minutes after each change what the limit allows is used, and next to nothing
 * is refused. More is always due than may be sent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../seeds.h"
#include "base/options.h"
#include "sim/sim.h"
#include <math.h>

#define LEARNT_WITHIN 5 /* minutes */
/* Who runs slowly meets each way to count once, in the one test or the other. */
#define KINDS_APART  (IS_SLOW ? 2 : 1)
#define HOUR_MINUTES 60

static struct sim_result result;
static struct options options;

static void set_option(const char *name, const char *value)
{
    char why[OPTION_MESSAGE_SIZE];
    if (options_set(&options, name, value, OPTION_FROM_COMMAND_LINE, why) != OK)
        fail_msg("%s", why);
}

static void configure(const char *per_minute)
{
    options_init(&options);
    set_option("hot_interval_sec", "1");
    set_option("cold_interval_sec", "1");
    set_option("refresh_requests_per_minute", per_minute);
    set_option("screen_requests_per_minute", per_minute);
    set_option("discover_requests_per_minute", per_minute);
    set_option("budget_headroom_percent", "0");
}

struct span {
    int from, to; /* minutes */
    double used, refused;
};

static struct span sum(enum lane_kind lane, int from, int to, double limit)
{
    uint64_t accepted = 0, refused = 0;
    for (int minute = from; minute < to; minute++) {
        accepted += result.minutes[lane][minute].accepted;
        refused += result.minutes[lane][minute].refused;
    }
    return (struct span){from, to, (double)accepted / (limit * (to - from)),
                         (double)refused / (double)(accepted + refused)};
}

static void expect(const struct sim_setup *setup, enum lane_kind lane, const struct span *span,
                   double least_used)
{
    if (span->used >= least_used && span->refused < 0.01)
        return;
    fail_msg("%s, seed %d, %s, minutes %d to %d: used %.3f, refused %.4f",
             limiter_kind_name(setup->limiter), (int)setup->seed, lane_kind_name(lane), span->from,
             span->to, span->used, span->refused);
}

static void run(struct sim_setup *setup)
{
    setup->options = &options;
    setup->hours_old = 7; /* old enough that the quiet ones are cold */
    assert_int_equal(sim_run(setup, &result), OK);
}

/* Refresh and screen: in the discover lane nobody is due so often. */
static void expect_learnt(const struct sim_setup *setup, int from, int to, double limit,
                          double least_used)
{
    for (int lane = LANE_REFRESH; lane <= LANE_SCREEN; lane++) {
        struct span span = sum((enum lane_kind)lane, from, to, limit);
        expect(setup, (enum lane_kind)lane, &span, least_used);
    }
}

/* Configured as documented, 300: the upstream allows 137, then 300, then 60. */
static void a_limit_that_falls_and_rises(void **state)
{
    (void)state;
    for (int kind = 0; kind < LIMITER_KIND_COUNT; kind += KINDS_APART)
        for (uint64_t seed = 1; seed <= SEEDS_OF(2); seed++) {
            struct sim_setup setup = {.seed = seed,
                                      .hours = 0.75,
                                      .tokens = 400,
                                      .active = 150,
                                      .limiter = (enum limiter_kind)kind,
                                      .limits = {{0, 137}, {900, 300}, {1800, 60}}};
            configure("300");
            run(&setup);
            expect_learnt(&setup, LEARNT_WITHIN, 15, 137, 0.95);
            expect_learnt(&setup, 15 + LEARNT_WITHIN, 30, 300, 0.95);
            expect_learnt(&setup, 30 + LEARNT_WITHIN, 45, 60, 0.95);
        }
}

/* One request of 20 is 5 % of it. */
static void a_small_limit(void **state)
{
    (void)state;
    for (int kind = 0; kind < LIMITER_KIND_COUNT; kind++) {
        struct sim_setup setup = {.seed = 1,
                                  .hours = 1,
                                  .tokens = 100,
                                  .active = 40,
                                  .limiter = (enum limiter_kind)kind,
                                  .limits = {{0, 20}}};
        configure("300");
        run(&setup);
        expect_learnt(&setup, LEARNT_WITHIN, HOUR_MINUTES, 20, 0.92);
    }
}

/* Five thousand, or as many as one who runs slowly can look at. */
static void a_large_limit(void **state)
{
    (void)state;
    const double scale = IS_SLOW ? 0.2 : 1;
    for (int kind = 0; kind < SEEDS_OF(LIMITER_KIND_COUNT); kind++) {
        struct sim_setup setup = {.seed = 1,
                                  .hours = 0.4,
                                  .tokens = (uint32_t)(4500 * scale),
                                  .active = (uint32_t)(1000 * scale),
                                  .limiter = (enum limiter_kind)kind,
                                  .limits = {{0, 5000 * scale}, {720, 2500 * scale}}};
        configure(IS_SLOW ? "1600" : "8000");
        run(&setup);
        expect_learnt(&setup, LEARNT_WITHIN, 12, 5000 * scale, 0.95);
        expect_learnt(&setup, 12 + LEARNT_WITHIN, 24, 2500 * scale, 0.95);
    }
}

static void a_limit_that_is_as_configured(void **state)
{
    (void)state;
    for (int kind = KINDS_APART - 1; kind < LIMITER_KIND_COUNT; kind += KINDS_APART) {
        struct sim_setup setup = {.seed = 1,
                                  .hours = 0.5,
                                  .tokens = 400,
                                  .active = 150,
                                  .limiter = (enum limiter_kind)kind,
                                  .limits = {{0, 300}}};
        configure("300");
        set_option("budget_headroom_percent", "2");
        run(&setup);
        expect_learnt(&setup, 0, 30, 300, 0.97);
        assert_true(isnan(result.stats.lanes[LANE_REFRESH].learned_per_minute));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_limit_that_falls_and_rises),
        cmocka_unit_test(a_small_limit),
        cmocka_unit_test(a_large_limit),
        cmocka_unit_test(a_limit_that_is_as_configured),
    };
    return cmocka_run_group_tests_name("sim.limits", tests, NULL, NULL);
}
