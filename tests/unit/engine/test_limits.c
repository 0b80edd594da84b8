/* What was learnt of a limit, as the store and the status page hand it on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/parts.h"
#include <string.h>

static struct engine engine;
static struct status_page page;

static int start(void **state)
{
    (void)state;
    memset(&engine, 0, sizeof engine);
    status_page_init(&page);
    engine.page = &page;
    return 0;
}

static void what_the_store_has_is_taken(void **state)
{
    (void)state;
    assert_true(engine_take_limit(&engine, "limit.screen", "137.5 294 1750000000000000"));
    const struct known_limit *known = &engine.known_limits[LANE_SCREEN];
    assert_true(known->per_minute == 137.5 && known->configured == 294);
    assert_int_equal(known->at.us, 1750000000000000);
    assert_true(engine.known_limits[LANE_REFRESH].per_minute == 0);
    assert_false(engine_take_limit(&engine, "min_score", "0.2"));
}

static void what_is_no_limit_is_not(void **state)
{
    (void)state;
    static const char *const rows[] = {"",          "137",       "137 294",    "137 294 x",
                                       "nan 294 1", "137 inf 1", "137 294 1 1"};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        assert_true(engine_take_limit(&engine, "limit.screen", rows[i]));
        assert_true(engine.known_limits[LANE_SCREEN].per_minute == 0);
    }
    assert_true(engine_take_limit(&engine, "limit.nonsense", "137 294 1"));
}

static void put(_Atomic uint64_t *where, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    atomic_store(where, bits);
}

/* An engine that died knew better than the store; a page that nobody wrote on knows nothing. */
static void the_newest_is_what_counts(void **state)
{
    (void)state;
    put(&page.lanes[LANE_SCREEN].learned_per_minute_bits, 60);
    put(&page.lanes[LANE_SCREEN].configured_per_minute_bits, 294);
    atomic_store(&page.lanes[LANE_SCREEN].sampled_at_us, 2000);
    engine_inherit_limits(&engine);
    engine_take_limit(&engine, "limit.screen", "137 294 1000");
    engine_take_limit(&engine, "limit.refresh", "137 294 1000");
    assert_true(engine.known_limits[LANE_SCREEN].per_minute == 60);
    assert_true(engine.known_limits[LANE_REFRESH].per_minute == 137);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_the_store_has_is_taken, start),
        cmocka_unit_test_setup(what_is_no_limit_is_not, start),
        cmocka_unit_test_setup(the_newest_is_what_counts, start),
    };
    return cmocka_run_group_tests_name("engine.limits", tests, NULL, NULL);
}
