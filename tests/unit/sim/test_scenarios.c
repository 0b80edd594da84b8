/* What the whole schedule must show at the upstream's real limits, in virtual time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/lane_kind.h"
#include "sim/sim.h"
#include <math.h>

#define ACTIVE     600 /* with 3.4 pools each */
#define MONITORING 6000
#define MINUTES(n) ((n) / 60.0)

static struct sim_result run(const struct sim_setup *setup)
{
    struct sim_result result;
    assert_int_equal(sim_run(setup, &result), OK);
    assert_string_equal(result.verdict, "ok");
    return result;
}

/* The core counts the same as is counted outside of it, but for those late at the very end. */
static void expect_core_agrees(const struct sim_result *result)
{
    for (int group = GROUP_HOT; group <= GROUP_COLD; group++) {
        const struct group_stats *stats = &result->stats.groups[group];
        double share = (double)stats->refreshes_on_time / (double)stats->refreshes;
        assert_true(fabs(share - result->on_time[group]) < 0.002);
        assert_true(stats->refreshes <= result->refreshes[group]);
    }
}

static void keeps_everybody_on_time_within_the_limits(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        struct sim_setup setup = {.seed = seed,
                                  .hours = MINUTES(10),
                                  .tokens = ACTIVE + MONITORING,
                                  .active = ACTIVE,
                                  .hours_old = 7};
        struct sim_result result = run(&setup);
        print_message("# seed %d: on time: hot %.4f, cold %.4f; full: refresh %.4f, screen %.4f; "
                      "refused %d\n",
                      (int)seed, result.on_time[GROUP_HOT], result.on_time[GROUP_COLD],
                      result.addresses_per_request[LANE_REFRESH] / REQUEST_ADDRESSES_MAX,
                      result.addresses_per_request[LANE_SCREEN] / REQUEST_ADDRESSES_MAX,
                      (int)result.refused);
        assert_int_equal(result.stats.groups[GROUP_HOT].tokens, ACTIVE);
        assert_int_equal(result.stats.groups[GROUP_COLD].tokens, MONITORING);
        /* Every token many times, not only the easy ones. */
        assert_true(result.refreshes[GROUP_HOT] > ACTIVE * 39);
        assert_true(result.refreshes[GROUP_COLD] > MONITORING * 12);
        assert_true(result.on_time[GROUP_HOT] >= 0.99);
        assert_true(result.on_time[GROUP_COLD] >= 0.99);
        assert_true(result.refused <= 1);
        assert_true(result.addresses_per_request[LANE_REFRESH] >= 0.95 * REQUEST_ADDRESSES_MAX);
        assert_true(result.addresses_per_request[LANE_SCREEN] >= 0.95 * REQUEST_ADDRESSES_MAX);
        assert_true(result.addresses_per_request[LANE_DISCOVER] == 1);
        expect_core_agrees(&result);
    }
}

static void an_outage_costs_nobody_its_place(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        /* The quiet ones come of age for the archive in the middle of it. */
        struct sim_setup setup = {.seed = seed,
                                  .hours = MINUTES(14),
                                  .tokens = ACTIVE + MONITORING,
                                  .active = ACTIVE,
                                  .hours_old = 12 - MINUTES(7),
                                  .down_from_s = 120,
                                  .down_to_s = 720};
        char why[OPTION_MESSAGE_SIZE];
        struct options options;
        options_init(&options);
        assert_int_equal(
            options_set(&options, "archiver_interval_sec", "10", OPTION_FROM_COMMAND_LINE, why),
            OK);
        setup.options = &options;
        struct sim_result result = run(&setup);
        print_message("# seed %d: fresh again after %.1f s; at best %.1f s\n", (int)seed,
                      result.fresh_again_after_s, result.least_s);
        assert_int_equal(result.lost_in_outage, 0);
        assert_int_equal(result.stats.demoted, 0);
        assert_true(result.fresh_again_after_s > 0);
        assert_true(result.least_s > 35); /* 6,000 at 30 a request, 300 requests a minute */
        assert_true(result.fresh_again_after_s <= result.least_s * 1.1);
    }
}

/* It kills with the others of its request, and once more alone; then it is known. */
static void a_poisonous_token_kills_twice(void **state)
{
    (void)state;
    static const token_id poisons[] = {ACTIVE / 2, ACTIVE + MONITORING / 2};
    for (size_t i = 0; i < sizeof poisons / sizeof *poisons; i++) {
        struct sim_setup setup = {.seed = 1,
                                  .hours = MINUTES(10),
                                  .tokens = ACTIVE + MONITORING,
                                  .active = ACTIVE,
                                  .hours_old = 7,
                                  .poison = poisons[i],
                                  .poison_from_s = 120};
        struct sim_result result = run(&setup);
        print_message("# token %u: %d deaths; on time: hot %.4f, cold %.4f\n", poisons[i],
                      (int)result.deaths, result.on_time[GROUP_HOT], result.on_time[GROUP_COLD]);
        assert_int_equal(result.deaths, 2);
        assert_int_equal(result.stats.quarantined, 1);
        assert_int_equal(result.stats.suspects, 0);
        assert_true(result.on_time[GROUP_HOT] >= 0.98);
        assert_true(result.on_time[GROUP_COLD] >= 0.98);
    }
}

/* Exports hang for four minutes: the tokens are none the worse for it. */
static void a_job_that_hangs_costs_nobody_anything(void **state)
{
    (void)state;
    char why[OPTION_MESSAGE_SIZE];
    struct options options;
    options_init(&options);
    assert_int_equal(options_set(&options, "job_deadline_sec", "20", OPTION_FROM_COMMAND_LINE, why),
                     OK);
    struct sim_setup setup = {.seed = 1,
                              .hours = MINUTES(10),
                              .tokens = ACTIVE + MONITORING,
                              .active = ACTIVE,
                              .hours_old = 7,
                              .stuck_from_s = 60,
                              .stuck_to_s = 300,
                              .options = &options};
    struct sim_result result = run(&setup);
    print_message("# %d restarts; on time: hot %.4f, cold %.4f\n", (int)result.restarts,
                  result.on_time[GROUP_HOT], result.on_time[GROUP_COLD]);
    /* Three overruns of 20 s each, from the third on one restart. */
    assert_in_range(result.restarts, 3, 4);
    assert_true(result.on_time[GROUP_HOT] >= 0.98);
    assert_true(result.on_time[GROUP_COLD] >= 0.98);
    assert_true(result.stats.jobs[JOB_EXPORT].runs >= 50); /* since the last restart */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_everybody_on_time_within_the_limits),
        cmocka_unit_test(an_outage_costs_nobody_its_place),
        cmocka_unit_test(a_poisonous_token_kills_twice),
        cmocka_unit_test(a_job_that_hangs_costs_nobody_anything),
    };
    return cmocka_run_group_tests_name("sim.scenarios", tests, NULL, NULL);
}
