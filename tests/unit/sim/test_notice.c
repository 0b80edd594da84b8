/* A fault that hits and is neither found nor counted is a complaint; one that is, is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "oracle_world.h"
#include "sim/notice.h"

static struct notice notice;
static struct core_stats stats;
static uint64_t hits[SIM_FAULT_COUNT];

static int begin(void **state)
{
    memset(&notice, 0, sizeof notice);
    memset(&stats, 0, sizeof stats);
    memset(hits, 0, sizeof hits);
    return set_up(state);
}

static void look(uint64_t present, double at_s)
{
    const struct notice_view view = {present, hits, &stats, later(at_s)};
    notice_look(&notice, &world.oracle, &view);
}

/* It is there for so long and hits so often. */
static void suffer(enum sim_fault fault, uint64_t times, double for_s)
{
    look(SIM_FAULT_BIT(fault), 0);
    hits[fault] += times;
    look(SIM_FAULT_BIT(fault), for_s);
}

static void find(enum finding_cause cause)
{
    stats.findings = (struct findings){.count = 1, .of[0] = {.cause = cause}};
}

static void an_outage_that_nobody_finds(void **state)
{
    (void)state;
    suffer(SIM_FAULT_DOWN, 100, NOTICE_WITHIN_S - 1);
    expect_content(); /* there is time yet */
    look(SIM_FAULT_BIT(SIM_FAULT_DOWN), NOTICE_WITHIN_S);
    expect_complaint("\"down\" hit 100 times in 120.0 s, and nobody noticed");
}

static void an_outage_that_is_found(void **state)
{
    (void)state;
    find(FINDING_BREAKER_OPEN);
    suffer(SIM_FAULT_DOWN, 100, 10);
    stats.findings.count = 0; /* it need not be there all the time */
    look(SIM_FAULT_BIT(SIM_FAULT_DOWN), NOTICE_WITHIN_S);
    expect_content();
}

static void another_finding_does_not_do(void **state)
{
    (void)state;
    find(FINDING_QUARANTINED);
    suffer(SIM_FAULT_REFUSED, 100, NOTICE_WITHIN_S);
    expect_complaint("\"refused\" hit 100 times");
}

static void what_hardly_hits_need_not_be_found(void **state)
{
    (void)state;
    suffer(SIM_FAULT_ERRORS, 3, 10 * NOTICE_WITHIN_S);
    expect_content();
}

static void what_is_counted_is_noticed(void **state)
{
    (void)state;
    suffer(SIM_FAULT_QUOTE, 10, 1);
    expect_complaint("\"quote\" hit 10 times");
    notice_forget(&notice);
    look(SIM_FAULT_BIT(SIM_FAULT_QUOTE), 0);
    hits[SIM_FAULT_QUOTE] += 10;
    stats.issues[PAIR_QUOTE_SIDE]++;
    look(SIM_FAULT_BIT(SIM_FAULT_QUOTE), 1);
    expect_content();
}

/* A pair whose token was changed before it was turned round has it on neither side. */
static void a_pair_that_is_wrong_in_two_ways_is_counted_once(void **state)
{
    const uint64_t both = SIM_FAULT_BIT(SIM_FAULT_QUOTE) | SIM_FAULT_BIT(SIM_FAULT_WRONG);
    (void)state;
    look(both, 0);
    hits[SIM_FAULT_QUOTE] += 10;
    hits[SIM_FAULT_WRONG] += 10;
    stats.issues[PAIR_NOT_ASKED] += 10;
    look(both, 1);
    expect_content();
}

static void each_is_noticed_anew(void **state)
{
    (void)state;
    find(FINDING_JOB_FAILED);
    suffer(SIM_FAULT_FAILING, 5, 10);
    stats.findings.count = 0;
    look(0, 11); /* it is over */
    look(SIM_FAULT_BIT(SIM_FAULT_FAILING), 100);
    hits[SIM_FAULT_FAILING] += 5;
    look(SIM_FAULT_BIT(SIM_FAULT_FAILING), 110);
    expect_complaint("\"failing\" hit 5 times in 10.0 s");
}

static void a_pause_excuses(void **state)
{
    (void)state;
    stats.is_paused = true;
    suffer(SIM_FAULT_DOWN, 100, 10 * NOTICE_WITHIN_S);
    expect_content();
}

#define NOTICE_TEST(name) cmocka_unit_test_setup_teardown(name, begin, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        NOTICE_TEST(an_outage_that_nobody_finds),
        NOTICE_TEST(an_outage_that_is_found),
        NOTICE_TEST(another_finding_does_not_do),
        NOTICE_TEST(what_hardly_hits_need_not_be_found),
        NOTICE_TEST(what_is_counted_is_noticed),
        NOTICE_TEST(a_pair_that_is_wrong_in_two_ways_is_counted_once),
        NOTICE_TEST(each_is_noticed_anew),
        NOTICE_TEST(a_pause_excuses),
    };
    return cmocka_run_group_tests_name("sim.notice", tests, NULL, NULL);
}
