/* Runs in processes of their own: what dies is a verdict, and a failing run becomes smaller. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sim/seeds.h"
#include "sim/shrink.h"
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#define ENOUGH 7 /* tokens, of which the planted bug dies */

static void die_of_many(void *context, const struct sim_view *view)
{
    (void)context;
    assert(token_table_count(view->table) < ENOUGH);
}

static const struct sim_setup sound = {.seed = 5, .hours = 0.2, .faults = SIM_ALL_FAULTS};

static struct sim_setup broken(void)
{
    struct sim_setup setup = sound;
    setup.sample_every_s = 10;
    setup.on_sample = die_of_many;
    return setup;
}

static void a_run_apart_is_the_same_run(void **state)
{
    (void)state;
    static struct sim_result here;
    struct apart run;
    assert_int_equal(sim_run(&sound, &here), OK);
    assert_int_equal(apart_run(&run, &sound, false), OK);
    assert_string_equal(run.found->result.verdict, "ok");
    assert_true(run.found->result.trace_hash == here.trace_hash);
    assert_true(run.found->reached[MARK_PUT_BACK] == 1); /* a request failed */
    apart_finish(&run);
}

static void an_assertion_is_a_verdict(void **state)
{
    (void)state;
    struct sim_setup setup = broken();
    struct apart run;
    assert_int_equal(apart_run(&run, &setup, true), OK);
    const char *verdict = run.found->result.verdict;
    assert_non_null(strstr(verdict, "died of Aborted: "));
    assert_non_null(strstr(verdict, "token_table_count(view->table) < ENOUGH"));
    assert_true(run.found->story.count > APART_LINES);
    assert_true(run.found->story.lines[0][0] != '\0');
    apart_finish(&run);
}

static void the_same_verdict_but_for_numbers(void **state)
{
    (void)state;
    assert_true(apart_is_same("at 1.5 s: token 7 is lost", "at 20.25 s: token 12 is lost"));
    assert_false(apart_is_same("at 1.5 s: token 7 is lost", "at 1.5 s: token 7 is torn"));
    assert_false(apart_is_same("at 1.5 s: token 7", "at 1.5 s: token 7 is torn"));
}

static void many_are_summed_up_in_any_order(void **state)
{
    (void)state;
    struct seeds_setup setup = {.each = sound, .first = 1, .last = 6, .at_once = 1};
    static struct seeds_sum one, three;
    assert_int_equal(seeds_run(&setup, &one), OK);
    setup.at_once = 3;
    assert_int_equal(seeds_run(&setup, &three), OK);
    assert_int_equal(one.runs, 6);
    assert_int_equal(one.failed, 0);
    assert_true(one.faults > 6);
    assert_memory_equal(&one, &three, sizeof one);
}

static void a_stop_ends_them_all(void **state)
{
    (void)state;
    const volatile sig_atomic_t is_stopped = 1;
    const struct seeds_setup setup = {
        .each = sound, .first = 1, .last = UINT64_MAX, .at_once = 2, .is_stopped = &is_stopped};
    static struct seeds_sum sum;
    assert_int_equal(seeds_run(&setup, &sum), OK);
    assert_int_equal(sum.runs, 0);
}

static struct shrunk make_smaller(void)
{
    struct sim_setup setup = broken();
    struct shrunk smaller;
    struct apart run;
    assert_int_equal(apart_run(&run, &setup, false), OK);
    assert_int_equal(shrink(&setup, run.found->result.verdict, NULL, NULL, &smaller), OK);
    apart_finish(&run);
    return smaller;
}

/* Neither faults nor hours have anything to do with it; tokens have. */
static void a_failing_run_becomes_smaller(void **state)
{
    (void)state;
    struct shrunk smaller = make_smaller();
    assert_int_equal(smaller.setup.faults, 0);
    assert_int_equal(smaller.occurrences, 0);
    assert_true(smaller.setup.hours < 0.2);
    assert_true(smaller.setup.tokens >= ENOUGH && smaller.setup.tokens <= 20);
    struct shrunk again = make_smaller();
    assert_int_equal(again.runs, smaller.runs);
    assert_true(again.setup.tokens == smaller.setup.tokens &&
                again.setup.hours == smaller.setup.hours);
    shrunk_finish(&again);
    shrunk_finish(&smaller);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_run_apart_is_the_same_run),
        cmocka_unit_test(an_assertion_is_a_verdict),
        cmocka_unit_test(the_same_verdict_but_for_numbers),
        cmocka_unit_test(many_are_summed_up_in_any_order),
        cmocka_unit_test(a_stop_ends_them_all),
        cmocka_unit_test(a_failing_run_becomes_smaller),
    };
    return cmocka_run_group_tests_name("sim.seeds", tests, NULL, NULL);
}
