/* Faults are drawn beforehand: one that is left out changes none of the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sim/schedule.h"
#include <stdlib.h>
#include <string.h>

static struct sim_occurrence *draw(uint64_t seed, double hours, uint64_t faults, size_t *count)
{
    struct sim_setup setup = {.seed = seed, .hours = hours, .faults = faults};
    struct sim_occurrence *all = sim_schedule(&setup, count);
    assert_non_null(all);
    return all;
}

static bool is_same(const struct sim_occurrence *a, const struct sim_occurrence *b)
{
    return a->fault == b->fault && a->from_s == b->from_s && a->to_s == b->to_s &&
           a->share == b->share && a->seed == b->seed;
}

static void they_come_by_time_and_end_before_the_calm(void **state)
{
    (void)state;
    size_t count, total = 0;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct sim_setup setup = {.hours = 4};
        struct sim_occurrence *all = draw(seed, 4, SIM_ALL_FAULTS, &count);
        for (size_t i = 0; i < count; i++) {
            assert_true(i == 0 || all[i - 1].from_s <= all[i].from_s);
            assert_true(all[i].from_s <= all[i].to_s);
            assert_true(all[i].to_s <= schedule_calm_from_s(&setup));
            assert_true(all[i].share >= 0 && all[i].share < 1);
        }
        total += count;
        free(all);
    }
    assert_true(total > 20 * 100);
}

static void a_kind_that_is_left_out_changes_no_other(void **state)
{
    (void)state;
    for (int left_out = 0; left_out < SIM_FAULT_COUNT; left_out++) {
        size_t count, count_without, k = 0;
        struct sim_occurrence *all = draw(7, 6, SIM_ALL_FAULTS, &count);
        struct sim_occurrence *without =
            draw(7, 6, SIM_ALL_FAULTS & ~SIM_FAULT_BIT(left_out), &count_without);
        for (size_t i = 0; i < count; i++)
            if (all[i].fault != (enum sim_fault)left_out)
                assert_true(k < count_without && is_same(&all[i], &without[k++]));
        assert_int_equal(k, count_without);
        free(all);
        free(without);
    }
}

static void every_kind_is_drawn_by_some_seed(void **state)
{
    (void)state;
    size_t count;
    uint64_t seen = 0, missing = 0;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        uint64_t of_run = 0;
        struct sim_occurrence *all = draw(seed, 6, SIM_ALL_FAULTS, &count);
        for (size_t i = 0; i < count; i++)
            of_run |= SIM_FAULT_BIT(all[i].fault);
        seen |= of_run;
        missing |= SIM_ALL_FAULTS & ~of_run;
        free(all);
    }
    assert_int_equal(seen, SIM_ALL_FAULTS);
    assert_int_equal(missing, SIM_ALL_FAULTS); /* swarm: each is missing somewhere, too */
}

/* What was dropped does not happen; all of it dropped is a run without faults. */
static void what_is_dropped_does_not_happen(void **state)
{
    (void)state;
    size_t count;
    struct sim_result result;
    struct sim_setup setup = {.seed = 3, .hours = 0.5, .tokens = 50, .faults = SIM_ALL_FAULTS};
    struct sim_occurrence *all = draw(3, 0.5, SIM_ALL_FAULTS, &count);
    bool *dropped = malloc(count * sizeof *dropped);
    assert_non_null(dropped);
    assert_true(count > 4);
    memset(dropped, true, count * sizeof *dropped);
    setup.dropped = dropped;
    assert_int_equal(sim_run(&setup, &result), OK);
    assert_string_equal(result.verdict, "ok");
    assert_int_equal(result.faults_injected, 0);
    dropped[2] = false;
    assert_int_equal(sim_run(&setup, &result), OK);
    assert_string_equal(result.verdict, "ok");
    assert_int_equal(result.faults_injected, 1);
    assert_int_equal(result.injected[all[2].fault], 1);
    free(dropped);
    free(all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(they_come_by_time_and_end_before_the_calm),
        cmocka_unit_test(a_kind_that_is_left_out_changes_no_other),
        cmocka_unit_test(every_kind_is_drawn_by_some_seed),
        cmocka_unit_test(what_is_dropped_does_not_happen),
    };
    return cmocka_run_group_tests_name("sim.schedule", tests, NULL, NULL);
}
