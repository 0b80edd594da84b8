/* The circuit breaker: every change of state, what counts and what does not, how long it is open.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "core/breaker.h"

#define START ((instant){1750000000000000LL})

static struct breaker breaker;
static instant now;

static int set_up(void **state)
{
    (void)state;
    breaker_init(&breaker, 1);
    now = START;
    return 0;
}

static void pass(double seconds)
{
    now = instant_add(now, duration_s(seconds));
}

static void end_asking(enum breaker_verdict verdict, instant sent_at, double retry_after_s)
{
    struct breaker_end end = {verdict, sent_at, duration_s(retry_after_s)};
    breaker_on_end(&breaker, &end, now);
}

/* A request that is sent now ends a little later. */
static void answer(enum breaker_verdict verdict)
{
    instant sent_at = now;
    breaker_on_sent(&breaker, now);
    pass(0.1);
    end_asking(verdict, sent_at, 0);
}

static double open_for_s(void)
{
    return duration_to_s(instant_diff(breaker.open_until, now));
}

static void trip(void)
{
    for (int i = 0; i < BREAKER_FAILURES_MAX; i++)
        answer(VERDICT_FAILED);
    assert_int_equal(breaker.state, BREAKER_OPEN);
}

static void relapse(void)
{
    now = breaker.open_until;
    answer(VERDICT_FAILED);
    assert_int_equal(breaker.state, BREAKER_OPEN);
}

static void put_into(enum breaker_state wanted)
{
    breaker_init(&breaker, 1);
    if (wanted == BREAKER_CLOSED)
        return;
    trip();
    if (wanted == BREAKER_OPEN)
        return;
    now = breaker.open_until;
    breaker_on_sent(&breaker, now);
}

/* The whole machine: in each state, what each kind of end makes of it. */
static void every_change_of_state(void **state)
{
    (void)state;
    static const struct {
        enum breaker_state from;
        enum breaker_verdict verdict;
        int times;
        enum breaker_state to;
    } rows[] = {
        {BREAKER_CLOSED, VERDICT_NONE, 100, BREAKER_CLOSED},
        {BREAKER_CLOSED, VERDICT_WELL, 100, BREAKER_CLOSED},
        {BREAKER_CLOSED, VERDICT_DOUBTFUL, 11, BREAKER_CLOSED},
        {BREAKER_CLOSED, VERDICT_DOUBTFUL, 12, BREAKER_OPEN},
        {BREAKER_CLOSED, VERDICT_FAILED, 2, BREAKER_CLOSED},
        {BREAKER_CLOSED, VERDICT_FAILED, 3, BREAKER_OPEN},
        {BREAKER_OPEN, VERDICT_NONE, 1, BREAKER_OPEN},
        {BREAKER_OPEN, VERDICT_WELL, 1, BREAKER_OPEN},
        {BREAKER_OPEN, VERDICT_DOUBTFUL, 1, BREAKER_OPEN},
        {BREAKER_OPEN, VERDICT_FAILED, 1, BREAKER_OPEN},
        {BREAKER_HALF_OPEN, VERDICT_NONE, 1, BREAKER_OPEN},
        {BREAKER_HALF_OPEN, VERDICT_WELL, 1, BREAKER_CLOSED},
        {BREAKER_HALF_OPEN, VERDICT_DOUBTFUL, 1, BREAKER_CLOSED},
        {BREAKER_HALF_OPEN, VERDICT_FAILED, 1, BREAKER_OPEN},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        put_into(rows[i].from);
        for (int k = 0; k < rows[i].times; k++, pass(0.001))
            end_asking(rows[i].verdict, now, 0);
        if (breaker.state != rows[i].to)
            fail_msg("row %zu: %s", i, breaker_state_name(breaker.state));
    }
}

static void a_request_makes_an_open_one_half_open(void **state)
{
    (void)state;
    answer(VERDICT_WELL);
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    assert_true(breaker_ready_at(&breaker).us <= now.us);
    trip();
    assert_int_equal(breaker_ready_at(&breaker).us, breaker.open_until.us);
    now = breaker.open_until;
    breaker_on_sent(&breaker, now);
    assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
    assert_int_equal(breaker_ready_at(&breaker).us, INSTANT_FAR.us);
    assert_true(instant_is_never(breaker.open_until));
}

static void an_answer_between_failures_begins_anew(void **state)
{
    (void)state;
    for (int i = 0; i < 20; i++) {
        answer(VERDICT_FAILED);
        answer(VERDICT_FAILED);
        answer(VERDICT_WELL);
    }
    for (int i = 0; i < 20; i++) {
        for (int k = 0; k < BREAKER_FAILURES_MAX * BREAKER_DOUBTS_A_FAILURE - 1; k++)
            answer(VERDICT_DOUBTFUL);
        answer(VERDICT_WELL);
    }
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    assert_int_equal(breaker.opens, 0);
}

static void failures_and_doubts_add_up(void **state)
{
    (void)state;
    answer(VERDICT_FAILED);
    answer(VERDICT_FAILED);
    for (int i = 0; i < BREAKER_DOUBTS_A_FAILURE - 1; i++)
        answer(VERDICT_DOUBTFUL);
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    answer(VERDICT_DOUBTFUL);
    assert_int_equal(breaker.state, BREAKER_OPEN);
}

/* All that were under way when the trouble began are one failure. */
static void one_trouble_is_one_failure(void **state)
{
    (void)state;
    instant sent_at = now;
    pass(1);
    for (int i = 0; i < 64; i++, pass(0.01))
        end_asking(VERDICT_FAILED, sent_at, 0);
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    answer(VERDICT_FAILED);
    answer(VERDICT_FAILED);
    assert_int_equal(breaker.state, BREAKER_OPEN);
}

static void only_the_probe_counts_in_a_half_open_one(void **state)
{
    (void)state;
    instant old = now;
    trip();
    now = breaker.open_until;
    breaker_on_sent(&breaker, now);
    instant probe = now;
    pass(0.1);
    end_asking(VERDICT_WELL, old, 0);
    end_asking(VERDICT_FAILED, old, 0);
    assert_int_equal(breaker.state, BREAKER_HALF_OPEN);
    end_asking(VERDICT_WELL, probe, 0);
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    /* And what is older than its closing is no news of trouble. */
    for (int i = 0; i < BREAKER_FAILURES_MAX; i++, pass(0.1))
        end_asking(VERDICT_FAILED, probe, 0);
    assert_int_equal(breaker.state, BREAKER_CLOSED);
}

static void opens_for_longer_each_time_up_to_a_ceiling(void **state)
{
    (void)state;
    static const double doubled[] = {0.25, 0.5, 1, 2, 2, 2};
    trip();
    for (size_t i = 0; i < sizeof doubled / sizeof *doubled; i++) {
        assert_true(open_for_s() >= doubled[i] / 2 && open_for_s() <= doubled[i]);
        relapse();
    }
    for (int i = 0; i < 100000; i++)
        relapse();
    assert_true(open_for_s() >= 1 && open_for_s() <= 2);
    assert_int_equal(breaker.opens, 100007);
}

/* One that answers a probe and then nothing again is no healthy one. */
static void only_a_second_answer_makes_it_forget(void **state)
{
    (void)state;
    trip();
    for (int i = 0; i < 4; i++)
        relapse();
    now = breaker.open_until;
    answer(VERDICT_WELL);
    assert_int_equal(breaker.state, BREAKER_CLOSED);
    trip();
    assert_true(open_for_s() >= 1);
    now = breaker.open_until;
    answer(VERDICT_WELL);
    answer(VERDICT_WELL);
    trip();
    assert_true(open_for_s() <= 0.25);
}

static void is_open_as_long_as_it_is_asked_to(void **state)
{
    (void)state;
    /* Asked for, the first is enough. */
    end_asking(VERDICT_FAILED, now, 30);
    assert_int_equal(breaker.state, BREAKER_OPEN);
    assert_int_equal(breaker.open_until.us, instant_add(now, duration_s(30)).us);
    /* Those that were under way may ask for longer, not for less. */
    end_asking(VERDICT_FAILED, START, 5);
    assert_int_equal(breaker.open_until.us, instant_add(now, duration_s(30)).us);
    end_asking(VERDICT_FAILED, START, 90);
    assert_int_equal(breaker.open_until.us, instant_add(now, duration_s(90)).us);
    /* The probe may, too; less than the backoff is not honoured. */
    now = breaker.open_until;
    breaker_on_sent(&breaker, now);
    end_asking(VERDICT_FAILED, now, 60);
    assert_int_equal(breaker.open_until.us, instant_add(now, duration_s(60)).us);
    now = breaker.open_until;
    breaker_on_sent(&breaker, now);
    end_asking(VERDICT_FAILED, now, 0.001);
    assert_true(open_for_s() > 0.1);
    /* A day is too long to be silent. */
    now = breaker.open_until;
    breaker_on_sent(&breaker, now);
    end_asking(VERDICT_FAILED, now, 86400);
    assert_int_equal(instant_diff(breaker.open_until, now).us, BREAKER_ASKED_MOST.us);
}

static void jitter_comes_from_the_seed(void **state)
{
    (void)state;
    instant until[3];
    static const uint64_t seeds[3] = {1, 1, 2};
    for (int i = 0; i < 3; i++) {
        breaker_init(&breaker, seeds[i]);
        now = START;
        trip();
        until[i] = breaker.open_until;
    }
    assert_int_equal(until[0].us, until[1].us);
    assert_int_not_equal(until[0].us, until[2].us);
}

static void every_outcome_has_a_verdict(void **state)
{
    (void)state;
    static const char letters[] = "NWDF"; /* in the order of the enum */
    char verdicts[FEED_OUTCOME_COUNT + 3] = "";
    for (int i = 0; i <= FEED_OUTCOME_COUNT + 1; i++)
        verdicts[i] = letters[breaker_verdict((enum feed_outcome)i)];
    /* ok, 429, 403, 404, 4xx, 5xx, other status; not JSON, malformed, wrong shape, too large, bad
     * encoding; unreachable, TLS, four ways of not answering; cancelled, empty; none at all, twice
     */
    assert_string_equal(verdicts, "WWWDDFF"
                                  "DDDDD"
                                  "FFFFFF"
                                  "NW"
                                  "NN");
    assert_string_equal(breaker_state_name(BREAKER_HALF_OPEN), "half_open");
    assert_string_equal(breaker_state_name(BREAKER_STATE_COUNT), "unknown");
}

#define TEST(name) cmocka_unit_test_setup(name, set_up)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_change_of_state),
        TEST(a_request_makes_an_open_one_half_open),
        TEST(an_answer_between_failures_begins_anew),
        TEST(failures_and_doubts_add_up),
        TEST(one_trouble_is_one_failure),
        TEST(only_the_probe_counts_in_a_half_open_one),
        TEST(opens_for_longer_each_time_up_to_a_ceiling),
        TEST(only_a_second_answer_makes_it_forget),
        TEST(is_open_as_long_as_it_is_asked_to),
        TEST(jitter_comes_from_the_seed),
        TEST(every_outcome_has_a_verdict),
    };
    return cmocka_run_group_tests_name("core.breaker", tests, NULL, NULL);
}
