/* Hours of the daemon's life over the real store, in virtual time: nothing grows without reason. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/log.h"
#include "sim/day.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DRIFT_MAX   0.02
#define KEPT_MAX    1.1
#define WAL_MAX     (2 * 1000 * 16384) /* twice what SQLite is told to fold it at */
#define LOG_SECONDS 60                 /* store_checkpoint_sec */

static char folder[64];

static int set_up(void **state)
{
    (void)state;
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_LOGFMT);
    strcpy(folder, "/tmp/moonwatch-day-XXXXXX");
    return mkdtemp(folder) == NULL;
}

static int tear_down(void **state)
{
    char command[128];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void drifts_little(const char *what, double ratio)
{
    if (!(fabs(ratio - 1) <= DRIFT_MAX))
        fail_msg("%s: the last hour is %.4f of the first", what, ratio);
}

/* A log row a refresh, until a pass has brought the rows up. */
static double refreshes_a_second(const struct day_result *result)
{
    const struct day_sample *last = &result->samples[result->count - 1];
    return (double)last->snapshots_made / last->at_s;
}

static void nothing_grows_without_reason(void **state)
{
    (void)state;
    static struct day_result result;
    const struct day_setup setup = {.seed = 1,
                                    .hours = 1.5,
                                    .retention_hours = 1,
                                    .active = 50,
                                    .arrivals_per_hour = 50,
                                    .life_hours = 1,
                                    .folder = folder};
    assert_int_equal(day_run(&setup, &result), OK);
    assert_string_equal(result.sim.verdict, "ok");
    const struct day_sample *last = &result.samples[result.count - 1];
    const struct day_verdict *verdict = &result.verdict;
    /* It was no idle day. */
    assert_true(last->tokens > 150 && last->followed < last->tokens - 50);
    assert_true(result.sim.stats.archived > 50 && last->commits > 5000);
    assert_true((double)last->rows[DAY_SNAPSHOT] < 0.5 * (double)last->snapshots_made);

    if (last->allocated_bytes > 0) { /* else a sanitizer allocates, and tells nobody */
        drifts_little("allocated memory", verdict->allocated);
        drifts_little("resident memory", verdict->resident);
    }
    drifts_little("table a token", verdict->table_bytes);
    assert_int_equal(verdict->descriptors_least, verdict->descriptors_most);
    /* What the retention promises: nothing is deleted too early, and little too late. */
    assert_true(verdict->kept_least >= 1 && verdict->kept_most <= KEPT_MAX);
    assert_true(verdict->file <= KEPT_MAX);
    assert_true(verdict->wal_most <= WAL_MAX);
    assert_true((double)verdict->log_most <= 2 * LOG_SECONDS * refreshes_a_second(&result));
}

static void too_few_hours_show_nothing(void **state)
{
    (void)state;
    static struct day_result result;
    struct day_setup setup = {.hours = 0.5, .life_hours = 1, .retention_hours = 1};
    assert_int_equal(day_run(&setup, &result), ERR_INVALID);
    setup.hours = 100;
    assert_int_equal(day_run(&setup, &result), ERR_INVALID);
}

static void the_same_day_comes_again(void **state)
{
    (void)state;
    uint64_t hashes[2];
    for (int i = 0; i < 2; i++) {
        char url[128];
        snprintf(url, sizeof url, "sqlite:%s/again-%d.db", folder, i);
        struct sim_setup setup = {.seed = 5, .hours = 0.5, .tokens = 60, .database = url};
        struct sim_result result;
        assert_int_equal(sim_run(&setup, &result), OK);
        assert_string_equal(result.verdict, "ok");
        hashes[i] = result.trace_hash;
    }
    assert_true(hashes[0] == hashes[1]);
}

/* All that may go wrong beside the store; an engine that dies finds it as it left it. */
static void the_store_has_what_the_table_holds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 3; seed++) {
        char url[128];
        snprintf(url, sizeof url, "sqlite:%s/faults-%d.db", folder, (int)seed);
        struct sim_setup setup = {
            .seed = seed, .hours = 1, .tokens = 200, .faults = SIM_ALL_FAULTS, .database = url};
        struct sim_result result;
        assert_int_equal(sim_run(&setup, &result), OK);
        assert_string_equal(result.verdict, "ok");
    }
}

static void a_store_that_cannot_be_opened_is_a_complaint(void **state)
{
    (void)state;
    struct sim_setup setup = {
        .seed = 5, .hours = 0.1, .tokens = 60, .database = "sqlite:/no/such/folder/x.db"};
    struct sim_result result;
    assert_int_not_equal(sim_run(&setup, &result), OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_grows_without_reason),
        cmocka_unit_test(too_few_hours_show_nothing),
        cmocka_unit_test(the_same_day_comes_again),
        cmocka_unit_test(the_store_has_what_the_table_holds),
        cmocka_unit_test(a_store_that_cannot_be_opened_is_a_complaint),
    };
    return cmocka_run_group_tests_name("sim.day", tests, set_up, tear_down);
}
