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

/* ---- a busy machine ---- */

#define BUSY_FROM_S   120.0
#define BUSY_TO_S     420.0
#define MAXIMUM_AGE_S 200.0

static struct busy_watch {
    double oldest_s;             /* of all, while busy and until all is well */
    uint64_t high, high_on_time; /* looks at tokens of high priority, while busy */
    double least_scale;
    uint32_t most_deferred, deferred_by_load;
    double well_after_s; /* nobody is deferred but for the usual; −1: never */
} watch;

/* As FACTS have it, without the part of waiting. */
static double priority_of(const struct token *token)
{
    const struct metrics *metrics = &token->state.metrics;
    double momentum = fabs(metrics->delta_p_5m) + fabs(metrics->delta_p_15m);
    return 0.4 * fmin(1, metrics->liquidity_usd / 100000) +
           0.3 * fmin(1, (double)metrics->volume_24h_usd / 1000000) +
           0.2 * fmin(1, momentum / 0.20) + 0.1 * fmin(1, fmax(0, token->state.score));
}

static void watch_token(const struct sim_view *view, token_id id, bool is_busy)
{
    const struct token *token = token_slot(view->table, id);
    double age_s = duration_to_s(instant_diff(view->now, token_column_checked(view->table, id)));
    watch.oldest_s = fmax(watch.oldest_s, age_s);
    if (!is_busy || token->state.answers < 2 || !(priority_of(token) >= 0.8))
        return;
    double target_s = token_column_group(view->table, id) == GROUP_HOT ? 15 : 45;
    watch.high++;
    watch.high_on_time += age_s <= target_s * 1.1;
}

static void watch_load(void *context, const struct sim_view *view)
{
    (void)context;
    bool is_busy = view->at_s > BUSY_FROM_S + 10 && view->at_s < BUSY_TO_S;
    uint32_t deferred = 0;
    for (token_id id = 1; id <= token_table_count(view->table); id++)
        watch_token(view, id, is_busy);
    for (int group = GROUP_HOT; group <= GROUP_COLD; group++) {
        deferred += view->stats->groups[group].deferred;
        watch.deferred_by_load += view->stats->groups[group].deferred_by_load;
    }
    watch.least_scale = fmin(watch.least_scale, view->stats->load.scale);
    if (deferred > watch.most_deferred)
        watch.most_deferred = deferred;
    if (view->at_s >= BUSY_TO_S && watch.well_after_s < 0 && deferred < (ACTIVE + MONITORING) / 100)
        watch.well_after_s = view->at_s - BUSY_TO_S;
}

/* Less is planned, those of low priority grow older, nobody older than the maximum, and what was
 * put off comes back. */
static void a_busy_machine_makes_the_light_ones_wait(void **state)
{
    (void)state;
    char why[OPTION_MESSAGE_SIZE];
    struct options options;
    options_init(&options);
    assert_int_equal(options_set(&options, "maximum_age_sec", "200", OPTION_FROM_COMMAND_LINE, why),
                     OK);
    for (uint64_t seed = 1; seed <= 2; seed++) {
        watch = (struct busy_watch){.least_scale = 1, .well_after_s = -1};
        struct sim_setup setup = {.seed = seed,
                                  .hours = MINUTES(12),
                                  .tokens = ACTIVE + MONITORING,
                                  .active = ACTIVE,
                                  .hours_old = 7,
                                  .busy_from_s = BUSY_FROM_S,
                                  .busy_to_s = BUSY_TO_S,
                                  .sample_every_s = 1,
                                  .on_sample = watch_load,
                                  .options = &options};
        struct sim_result result = run(&setup);
        print_message("# seed %d: least scale %.2f, oldest %.1f s, at most %u deferred, of %llu "
                      "looks at high priority %.4f on time, well again after %.0f s\n",
                      (int)seed, watch.least_scale, watch.oldest_s, watch.most_deferred,
                      (unsigned long long)watch.high,
                      (double)watch.high_on_time / (double)watch.high, watch.well_after_s);
        assert_true(watch.least_scale < 0.5);
        assert_true(watch.most_deferred > MONITORING / 4);
        assert_true(watch.deferred_by_load > 0);
        assert_true((double)watch.high_on_time >= 0.95 * (double)watch.high);
        assert_true(watch.oldest_s <= MAXIMUM_AGE_S * 1.05);
        assert_true(watch.well_after_s >= 0 && watch.well_after_s <= 90);
        assert_int_equal(result.stats.demoted, 0);
    }
}

/* ---- a start after a stop ---- */

#define WARM_S 40.0 /* when all have been answered once */

static struct start_watch {
    uint64_t refreshes, on_time;  /* until WARM_S */
    double dearest_s, cheapest_s; /* of a token, as measured since */
    uint64_t before;              /* refreshes until the second before */
    uint64_t first_peak;          /* the most in a second of the second round … */
    uint64_t last_peak;           /* … and of the last two minutes */
} start;

static void watch_start(void *context, const struct sim_view *view)
{
    (void)context;
    uint64_t refreshes = 0, on_time = 0;
    for (int group = GROUP_HOT; group <= GROUP_COLD; group++) {
        refreshes += view->stats->groups[group].refreshes;
        on_time += view->stats->groups[group].refreshes_on_time;
    }
    uint64_t in_a_second = refreshes - start.before;
    uint64_t *peak = view->at_s < 2 * WARM_S ? &start.first_peak : &start.last_peak;
    start.before = refreshes;
    if (view->at_s > WARM_S && (view->at_s < 2 * WARM_S || view->at_s > 480) && in_a_second > *peak)
        *peak = in_a_second;
    if (view->at_s <= WARM_S) {
        start.refreshes = refreshes;
        start.on_time = on_time;
        return;
    }
    start.dearest_s = fmax(start.dearest_s, view->stats->token_cost_s);
    start.cheapest_s = fmin(start.cheapest_s, view->stats->token_cost_s);
}

/* All are an hour old, and asked for within seconds: then hardly anybody is, until they come due
 * again, as close together. The CPUs can do six times what is needed, and nobody may be late. What
 * an engine uses in the lull must not make them look too few for the next peak. */
static void a_start_after_a_stop_makes_nobody_late_later(void **state)
{
    (void)state;
    static const char *const settings[][2] = {{"refresh_requests_per_minute", "3000"},
                                              {"screen_requests_per_minute", "3000"}};
    const double token_s = 0.0017;
    char why[OPTION_MESSAGE_SIZE];
    struct options options;
    options_init(&options);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        assert_int_equal(
            options_set(&options, settings[i][0], settings[i][1], OPTION_FROM_COMMAND_LINE, why),
            OK);
    start = (struct start_watch){.cheapest_s = INFINITY};
    struct sim_setup setup = {.seed = 1,
                              .hours = MINUTES(10),
                              .tokens = ACTIVE + MONITORING,
                              .active = ACTIVE,
                              .hours_old = 7,
                              .stale_s = 3600,
                              .token_cores = token_s,
                              .idle_cores = 0.06,
                              .sample_every_s = 1,
                              .on_sample = watch_start,
                              .limits = {{0, LIMITER_MOST}},
                              .options = &options};
    struct sim_result result = run(&setup);
    const struct group_stats *groups = result.stats.groups;
    uint64_t refreshes =
        groups[GROUP_HOT].refreshes + groups[GROUP_COLD].refreshes - start.refreshes;
    uint64_t on_time =
        groups[GROUP_HOT].refreshes_on_time + groups[GROUP_COLD].refreshes_on_time - start.on_time;
    print_message("# on time since the first round: %.5f; a token seemed to cost %.2f to %.2f ms\n",
                  (double)on_time / (double)refreshes, start.cheapest_s * 1e3,
                  start.dearest_s * 1e3);
    print_message(
        "# at most %d refreshes a second in the second round, %d in the end, %.0f needed\n",
        (int)start.first_peak, (int)start.last_peak, ACTIVE / 15.0 + MONITORING / 45.0);
    assert_true((double)on_time >= 0.9999 * (double)refreshes);
    assert_true(start.last_peak < 2 * (ACTIVE / 15.0 + MONITORING / 45.0));
    assert_true(start.first_peak > 2 * start.last_peak);
    assert_true(start.dearest_s < 1.5 * token_s && start.cheapest_s > 0.5 * token_s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keeps_everybody_on_time_within_the_limits),
        cmocka_unit_test(an_outage_costs_nobody_its_place),
        cmocka_unit_test(a_poisonous_token_kills_twice),
        cmocka_unit_test(a_job_that_hangs_costs_nobody_anything),
        cmocka_unit_test(a_busy_machine_makes_the_light_ones_wait),
        cmocka_unit_test(a_start_after_a_stop_makes_nobody_late_later),
    };
    return cmocka_run_group_tests_name("sim.scenarios", tests, NULL, NULL);
}
