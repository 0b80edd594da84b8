/* Several nodes in the simulator: seeds of all faults pass, runs are the same twice, and what a run
 * is meant to show is there. Bugs on purpose are in sim/plants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sim/sim.h"
#include <string.h>

#define ALL_FAULTS ((1U << CLUSTER_FAULT_COUNT) - 1)

static struct sim_result result;

static void run(struct sim_setup setup)
{
    assert_int_equal(sim_run(&setup, &result), OK);
    if (strcmp(result.verdict, "ok") != 0)
        fail_msg("seed %d: %s", (int)setup.seed, result.verdict);
}

static void seeds_of_all_faults_pass(void **state)
{
    (void)state;
    uint64_t takeovers = 0, lapses = 0, fenced = 0;
    for (uint64_t seed = 1; seed <= 6; seed++) {
        run((struct sim_setup){
            .seed = seed, .hours = 0.25, .nodes = SIM_NODES_ANY, .faults = ALL_FAULTS});
        takeovers += result.cluster.takeovers;
        lapses += result.cluster.lapses;
        fenced += result.cluster.fenced;
    }
    assert_true(takeovers > 0 && lapses > 0 && fenced > 0); /* the world is bad enough */
}

static void each_fault_alone_passes(void **state)
{
    (void)state;
    for (int fault = 0; fault < (int)CLUSTER_FAULT_COUNT; fault++) {
        const struct sim_setup setup = {
            .seed = 5, .hours = 0.2, .tokens = 1000, .nodes = 4, .faults = 1U << fault};
        assert_int_equal(sim_run(&setup, &result), OK);
        if (strcmp(result.verdict, "ok") != 0)
            fail_msg("%s: %s", cluster_fault_name((enum cluster_fault)fault), result.verdict);
    }
}

static void the_same_seed_is_the_same_run(void **state)
{
    (void)state;
    const struct sim_setup setup = {
        .seed = 3, .hours = 0.1, .tokens = 1000, .nodes = 5, .faults = ALL_FAULTS};
    run(setup);
    struct sim_result first = result;
    run(setup);
    assert_int_equal(first.trace_hash, result.trace_hash);
    assert_int_equal(first.cluster.fetches, result.cluster.fetches);
}

static void without_faults_nothing_is_repeated_or_lost(void **state)
{
    (void)state;
    for (uint32_t nodes = 1; nodes <= SIM_NODES_MOST; nodes += 19) {
        run((struct sim_setup){.seed = 2, .hours = 0.1, .tokens = 1000, .nodes = nodes});
        assert_int_equal(result.cluster.nodes, nodes);
        assert_int_equal(result.cluster.takeovers, 0);
        assert_int_equal(result.cluster.lapses, 0);
        assert_int_equal(result.cluster.repeated, 0);
        assert_true(result.cluster.acknowledged > 0);
        assert_true(result.cluster.fetches > 1000 * 360 / 45);
    }
}

/* Ticks show it: what was found, the time, the story in words. */
static void count_lines(void *context, instant at, const char *line)
{
    (void)at;
    if (strstr(line, "FAULT kill begins") != NULL)
        ++*(unsigned *)context;
}

static void a_run_can_be_told(void **state)
{
    (void)state;
    unsigned kills = 0;
    run((struct sim_setup){.seed = 1,
                           .hours = 0.2,
                           .tokens = 1000,
                           .nodes = 3,
                           .faults = 1U << CLUSTER_FAULT_KILL,
                           .on_line = count_lines,
                           .context = &kills});
    assert_int_equal(kills, result.injected[CLUSTER_FAULT_KILL]);
    assert_true(kills > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(seeds_of_all_faults_pass),
        cmocka_unit_test(each_fault_alone_passes),
        cmocka_unit_test(the_same_seed_is_the_same_run),
        cmocka_unit_test(without_faults_nothing_is_repeated_or_lost),
        cmocka_unit_test(a_run_can_be_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
