/* Ages that could be kept, and were not; and those that could not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "oracle_world.h"
#include "sim/pace.h"

#define LONG_AFTER 4000.0 /* whoever was late has had his turn */

static struct pace pace;

static int begin(void **state)
{
    set_up(state);
    struct core_stats *stats = (struct core_stats *)core_stats(world.core);
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++)
        stats->lanes[lane].allowed_per_minute = 300;
    stats->breaker.state = BREAKER_CLOSED;
    pace_forget(&pace);
    return 0;
}

/* All were refreshed at `at_s`. */
static void refresh(double at_s)
{
    for (token_id id = 1; id <= TOKENS; id++) {
        token_write_begin(world.memory.table, id)->state.checked_at = later(at_s);
        token_write_end(world.memory.table, id);
    }
}

static void check(double at_s)
{
    pace_check(&pace, &world.oracle, &world.options, later(at_s));
}

static void whoever_is_late_is_found(void **state)
{
    (void)state;
    check(0);
    refresh(LONG_AFTER - 60);
    check(LONG_AFTER);
    expect_content();
    refresh(LONG_AFTER - 100);
    check(LONG_AFTER);
    expect_complaint("token 1 is 100.0 s old; targets of 72.5 s could be kept");
}

static void a_calm_that_is_new_is_none_yet(void **state)
{
    (void)state;
    refresh(-5000);
    check(0);
    check(400); /* and everybody has his turn */
    expect_content();
    pace_forget(&pace);
    check(LONG_AFTER);
    expect_content();
}

static void small_budgets_keep_no_targets_but_the_maximum(void **state)
{
    (void)state;
    struct core_stats *stats = (struct core_stats *)core_stats(world.core);
    stats->lanes[LANE_SCREEN].allowed_per_minute = 0.1; /* three addresses a minute */
    world.options.maximum_age_sec = 300;
    check(0);
    refresh(LONG_AFTER - 200);
    check(LONG_AFTER);
    expect_content(); /* targets cannot be kept */
    refresh(-5000);
    check(LONG_AFTER);
    expect_complaint("a maximum age of");
}

static void an_open_breaker_excuses(void **state)
{
    (void)state;
    struct core_stats *stats = (struct core_stats *)core_stats(world.core);
    stats->breaker.state = BREAKER_OPEN;
    refresh(-5000);
    check(0);
    check(LONG_AFTER);
    expect_content();
}

#define PACE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PACE_TEST(whoever_is_late_is_found),
        PACE_TEST(a_calm_that_is_new_is_none_yet),
        PACE_TEST(small_budgets_keep_no_targets_but_the_maximum),
        PACE_TEST(an_open_breaker_excuses),
    };
    return cmocka_run_group_tests_name("sim.pace", tests, NULL, NULL);
}
