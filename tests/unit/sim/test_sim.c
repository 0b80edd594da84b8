/* Seeds with all faults, and that a seed is a run. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "../seeds.h"
#include "sim/sim.h"

#define SEEDS SEEDS_OF(IS_SLOW ? 60 : 100)
/* Who runs slowly has a small population: each shape of request and of answer is in it, and time
 * goes with the tokens. 0: drawn. */
#define TOKENS (IS_SLOW ? 300 : 0)

static struct sim_result run(uint64_t seed, double hours, uint64_t faults)
{
    struct sim_setup setup = {.seed = seed, .hours = hours, .tokens = TOKENS, .faults = faults};
    struct sim_result result;
    assert_int_equal(sim_run(&setup, &result), OK);
    return result;
}

static void holds_whatever_happens(void **state)
{
    (void)state;
    uint64_t injected = 0, activated = 0, demoted = 0, deaths = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct sim_result result = run(seed, 1, SIM_ALL_FAULTS);
        if (result.verdict[0] != 'o' || result.verdict[1] != 'k')
            fail_msg("seed %d: %s", (int)seed, result.verdict);
        injected += result.faults_injected;
        activated += result.stats.activated;
        demoted += result.stats.demoted;
        deaths += result.deaths;
        assert_true(result.simulated_s >= 3600);
    }
    /* The runs are not idle ones. */
    assert_true(injected > SEEDS * 5);
    assert_true(deaths > SEEDS);
    assert_true(activated > SEEDS * (IS_SLOW ? 10 : 100) && demoted > SEEDS * (IS_SLOW ? 5 : 50));
}

static void each_fault_alone(void **state)
{
    (void)state;
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++)
        for (uint64_t seed = 101; seed < 101 + SEEDS_OF(2); seed++) {
            struct sim_result result = run(seed, 0.25, SIM_FAULT_BIT(fault));
            if (result.verdict[0] != 'o' || result.verdict[1] != 'k')
                fail_msg("%s, seed %d: %s", sim_fault_name((enum sim_fault)fault), (int)seed,
                         result.verdict);
        }
}

/* Half a day in which tokens come of age: archived, and back when they come alive. */
static void a_long_calm_life(void **state)
{
    (void)state;
    struct sim_setup setup = {.seed = 7, .hours = 16, .tokens = 120};
    struct sim_result result;
    assert_int_equal(sim_run(&setup, &result), OK);
    assert_string_equal(result.verdict, "ok");
    assert_true(result.stats.archived > 10);
    assert_true(result.stats.reactivated > 0);
    assert_int_equal(result.refused, 0);
}

static void the_same_seed_is_the_same_run(void **state)
{
    (void)state;
    struct sim_result a = run(3, 0.5, SIM_ALL_FAULTS), b = run(3, 0.5, SIM_ALL_FAULTS);
    assert_true(a.trace_hash == b.trace_hash);
    assert_true(a.events == b.events && a.actions == b.actions);
    uint64_t hashes[8];
    for (uint64_t seed = 0; seed < 8; seed++) {
        hashes[seed] = run(seed, 0.25, SIM_ALL_FAULTS).trace_hash;
        for (uint64_t other = 0; other < seed; other++)
            assert_true(hashes[other] != hashes[seed]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(holds_whatever_happens),
        cmocka_unit_test(each_fault_alone),
        cmocka_unit_test(a_long_calm_life),
        cmocka_unit_test(the_same_seed_is_the_same_run),
    };
    return cmocka_run_group_tests_name("sim.sim", tests, NULL, NULL);
}
