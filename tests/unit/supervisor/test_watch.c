#include "supervisor/watch.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#define T0          1790000000000000LL
#define DEADLINE_MS 500
#define LOOK_MS     (DEADLINE_MS / WATCH_LOOKS_PER_DEADLINE)
#define LATE_MS     (DEADLINE_MS / 4)

static struct status_page page;
static struct watch watch;

static instant at_ms(int64_t ms)
{
    return instant_add((instant){T0}, duration_ms(ms));
}

static void set_state(enum page_process_id process, enum process_state state)
{
    atomic_store(&page.processes[process].state, state);
}

static int fresh(void **state)
{
    (void)state;
    status_page_init(&page);
    watch_init(&watch, duration_ms(DEADLINE_MS));
    set_state(PROCESS_SUPERVISOR, PROCESS_RUNNING);
    set_state(PROCESS_ENGINE, PROCESS_RUNNING);
    set_state(PROCESS_API, PROCESS_RUNNING);
    return 0;
}

static void beat(enum beat who, int64_t ms, int64_t patience_ms)
{
    page_beat(&page, who, at_ms(ms), duration_ms(patience_ms));
}

static struct watch_verdict look(int64_t ms)
{
    return watch_look(&watch, &page, at_ms(ms));
}

static void assert_none(int64_t ms, int64_t due_ms)
{
    struct watch_verdict verdict = look(ms);
    assert_int_equal(verdict.overdue, BEAT_COUNT);
    assert_int_equal(verdict.silent.us, 0);
    assert_int_equal(instant_diff(verdict.due, at_ms(0)).us, due_ms * 1000);
}

static void assert_overdue(int64_t ms, enum beat who, int64_t silent_ms)
{
    struct watch_verdict verdict = look(ms);
    assert_int_equal(verdict.overdue, who);
    assert_int_equal(duration_to_ms(verdict.silent), silent_ms);
    assert_int_equal(verdict.look_at.us, at_ms(ms).us);
}

static void test_nobody_beats(void **state)
{
    (void)state;
    struct watch_verdict verdict = look(0);
    assert_int_equal(verdict.overdue, BEAT_COUNT);
    assert_true(verdict.due.us == INSTANT_FAR.us);
    assert_int_equal(verdict.look_at.us, at_ms(LOOK_MS).us);
}

static void test_one_that_beats_and_stops(void **state)
{
    (void)state;
    beat(BEAT_ENGINE_LOOP, 0, 0);
    assert_none(100, DEADLINE_MS);
    beat(BEAT_ENGINE_LOOP, 200, 0);
    assert_none(225, 700);
    assert_none(350, 700);
    assert_none(475, 700);
    assert_none(600, 700);
    assert_none(699, 700);
    assert_overdue(700, BEAT_ENGINE_LOOP, 500);
    assert_overdue(712, BEAT_ENGINE_LOOP, 512);
}

/* Never later than a beat is due, and never a whole deadline away. */
static void test_when_to_look_again(void **state)
{
    (void)state;
    beat(BEAT_ENGINE_LOOP, 0, 0);
    assert_int_equal(look(0).look_at.us, at_ms(LOOK_MS).us);
    assert_int_equal(look(LOOK_MS).look_at.us, at_ms(2 * LOOK_MS).us);
    assert_int_equal(look(LOOK_MS * 3).look_at.us, at_ms(DEADLINE_MS).us);
}

static void test_patience(void **state)
{
    (void)state;
    beat(BEAT_STORE_THREAD, 0, 30000);
    assert_none(0, 30000);
    for (int64_t ms = LOOK_MS; ms < 30000; ms += LOOK_MS)
        assert_none(ms, 30000);
    assert_overdue(30000, BEAT_STORE_THREAD, 30000);
}

static void test_the_longest_overdue_first(void **state)
{
    (void)state;
    beat(BEAT_API_HTTP, 0, 0);
    beat(BEAT_ENGINE_LOOP, 10, 0);
    beat(BEAT_API_LINK, 5, 0);
    assert_overdue(600, BEAT_API_HTTP, 600);
    page_beat_end(&page, BEAT_API_HTTP);
    assert_overdue(600, BEAT_API_LINK, 595);
}

static void test_only_who_should_move(void **state)
{
    (void)state;
    static const struct {
        enum process_state state;
        bool is_watched;
    } rows[] = {
        {PROCESS_ABSENT, false},  {PROCESS_STARTING, true}, {PROCESS_RUNNING, true},
        {PROCESS_DRAINING, true}, {PROCESS_DYING, false},   {PROCESS_WAITING, false},
    };
    _Static_assert(sizeof rows / sizeof rows[0] == PROCESS_STATE_COUNT, "each state");
    beat(BEAT_ENGINE_LOOP, 0, 0);
    for (size_t i = 0; i < PROCESS_STATE_COUNT; i++) {
        set_state(PROCESS_ENGINE, rows[i].state);
        enum beat overdue = look(DEADLINE_MS).overdue;
        assert_int_equal(overdue, rows[i].is_watched ? BEAT_ENGINE_LOOP : BEAT_COUNT);
    }
}

/* We were stopped: so, for all we know, were they. */
static void test_own_lateness(void **state)
{
    (void)state;
    beat(BEAT_ENGINE_LOOP, 0, 0);
    beat(BEAT_API_HTTP, 0, 3000);
    assert_none(0, DEADLINE_MS); /* looks again at 125 */
    assert_none(LOOK_MS + LATE_MS + 1, LOOK_MS + LATE_MS + 1 + DEADLINE_MS);
    assert_int_equal(watch.lateness, 1);
    assert_none(375, 751);
    assert_none(500, 751);
    assert_none(625, 751);
    assert_none(750, 751);
    assert_overdue(751, BEAT_ENGINE_LOOP, 500); /* as far as we know */
    assert_int_equal(watch.lateness, 1);
}

static void test_a_little_late_is_not_late(void **state)
{
    (void)state;
    beat(BEAT_ENGINE_LOOP, -300, 0);
    assert_none(0, 200);
    assert_overdue(LOOK_MS + LATE_MS, BEAT_ENGINE_LOOP, 550);
    assert_int_equal(watch.lateness, 0);
}

/* A laptop that slept all night: nobody dies of it. */
static void test_a_suspended_machine(void **state)
{
    (void)state;
    const int64_t night_ms = 8LL * 3600 * 1000;
    beat(BEAT_ENGINE_LOOP, 0, 0);
    assert_none(100, 500);
    assert_none(night_ms, night_ms + DEADLINE_MS);
    beat(BEAT_ENGINE_LOOP, night_ms + 50, 0);
    assert_none(night_ms + 100, night_ms + 50 + DEADLINE_MS);
}

static void test_before_it_asked(void **state)
{
    (void)state;
    beat(BEAT_ENGINE_LOOP, 0, 0);
    assert_none(100, 500);
    assert_none(101, 500);
    assert_int_equal(watch.lateness, 0);
}

/* Beats written after we read the clock are no damage; those far ahead of it are. */
static void test_beats_of_the_future(void **state)
{
    (void)state;
    beat(BEAT_ENGINE_LOOP, 1, 0);
    assert_none(0, 501);
    atomic_store(&page.beats[BEAT_ENGINE_LOOP].at_us, UINT64_MAX / 2);
    assert_overdue(0, BEAT_ENGINE_LOOP, 0);
    atomic_store(&page.beats[BEAT_ENGINE_LOOP].at_us, UINT64_MAX);
    assert_overdue(0, BEAT_ENGINE_LOOP, 0);
}

static void test_patience_has_an_end(void **state)
{
    (void)state;
    beat(BEAT_ENGINE_LOOP, 0, 0);
    atomic_store(&page.beats[BEAT_ENGINE_LOOP].patience_us, UINT64_MAX);
    assert_none(0, WATCH_PATIENCE_MAX_SEC * 1000LL);
}

static void test_expect_and_forget(void **state)
{
    (void)state;
    beat(BEAT_API_HTTP, 0, 0);
    watch_expect(&page, BEAT_ENGINE_LOOP, at_ms(0), duration_ms(300));
    assert_int_equal(page.beats[BEAT_ENGINE_LOOP].thread, 0);
    watch_expect(&page, BEAT_STORE_THREAD, at_ms(0), duration_ms(400));
    assert_overdue(300, BEAT_ENGINE_LOOP, 300);
    watch_forget(&page, PROCESS_ENGINE);
    assert_none(400, 500);
    assert_overdue(500, BEAT_API_HTTP, 500);
}

/* ---- starved or hung ---- */

static bool is_starved_at(int64_t ms, int64_t used_ms)
{
    const struct thread_cpu cpu = {.is_runnable = true, .used = duration_ms(used_ms)};
    watch.asked_for = at_ms(ms); /* it is not late itself */
    struct watch_verdict verdict = look(ms);
    assert_int_equal(verdict.overdue, BEAT_ENGINE_LOOP);
    return watch_is_starved(&watch, &page, &verdict, &cpu);
}

static void test_starved_is_not_hung(void **state)
{
    (void)state;
    beat(BEAT_ENGINE_LOOP, 0, 0);
    atomic_store(&page.beats[BEAT_ENGINE_LOOP].cpu_us, 7000000);
    assert_true(is_starved_at(DEADLINE_MS, 7000));
    assert_true(is_starved_at(DEADLINE_MS, 7000 + DEADLINE_MS / 2 - 1));
    assert_false(is_starved_at(DEADLINE_MS, 7000 + DEADLINE_MS / 2));
    const int64_t most_ms = WATCH_STARVED_MAX * (int64_t)DEADLINE_MS;
    assert_true(is_starved_at(most_ms - 1, 7000));
    assert_false(is_starved_at(most_ms, 7000));
}

/* The night is not counted as time that it got no CPU: it is waited for as after any other silence.
 */
static void test_starved_after_a_night(void **state)
{
    (void)state;
    const int64_t night_ms = 8LL * 3600 * 1000;
    const struct thread_cpu idle = {.is_runnable = true};
    beat(BEAT_ENGINE_LOOP, 0, 0);
    assert_none(100, 500);
    assert_none(night_ms, night_ms + DEADLINE_MS);
    for (int64_t ms = night_ms + LOOK_MS; ms < night_ms + DEADLINE_MS; ms += LOOK_MS)
        assert_none(ms, night_ms + DEADLINE_MS);
    struct watch_verdict verdict = look(night_ms + DEADLINE_MS);
    assert_int_equal(verdict.overdue, BEAT_ENGINE_LOOP);
    assert_int_equal(verdict.silent.us, DEADLINE_MS * 1000);
    assert_true(watch_is_starved(&watch, &page, &verdict, &idle));
}

static void test_asleep_is_hung(void **state)
{
    (void)state;
    const struct thread_cpu asleep = {.is_runnable = false};
    beat(BEAT_ENGINE_LOOP, 0, 0);
    struct watch_verdict verdict = look(DEADLINE_MS);
    assert_false(watch_is_starved(&watch, &page, &verdict, &asleep));
}

static void test_a_beat_of_the_future_is_no_excuse(void **state)
{
    (void)state;
    beat(BEAT_ENGINE_LOOP, 3600 * 1000, 0);
    assert_false(is_starved_at(0, 0));
}

static void test_who_starves_is_waited_for(void **state)
{
    (void)state;
    beat(BEAT_ENGINE_LOOP, 0, 0);
    assert_overdue(500, BEAT_ENGINE_LOOP, 500);
    assert_true(watch_wait_for(&watch, &page, BEAT_ENGINE_LOOP, at_ms(500)));
    assert_none(500, 500 + LOOK_MS);
    assert_overdue(500 + LOOK_MS, BEAT_ENGINE_LOOP, 500 + LOOK_MS);
    assert_false(watch_wait_for(&watch, &page, BEAT_ENGINE_LOOP, at_ms(500 + LOOK_MS)));
    beat(BEAT_ENGINE_LOOP, 700, 0);
    assert_none(750, 700 + DEADLINE_MS);
}

static void test_who_starves_hides_nobody(void **state)
{
    (void)state;
    beat(BEAT_ENGINE_LOOP, 0, 0);
    beat(BEAT_API_HTTP, 1, 0);
    assert_overdue(501, BEAT_ENGINE_LOOP, 501);
    assert_true(watch_wait_for(&watch, &page, BEAT_ENGINE_LOOP, at_ms(501)));
    assert_overdue(501, BEAT_API_HTTP, 500);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_nobody_beats, fresh),
        cmocka_unit_test_setup(test_one_that_beats_and_stops, fresh),
        cmocka_unit_test_setup(test_when_to_look_again, fresh),
        cmocka_unit_test_setup(test_patience, fresh),
        cmocka_unit_test_setup(test_the_longest_overdue_first, fresh),
        cmocka_unit_test_setup(test_only_who_should_move, fresh),
        cmocka_unit_test_setup(test_own_lateness, fresh),
        cmocka_unit_test_setup(test_a_little_late_is_not_late, fresh),
        cmocka_unit_test_setup(test_a_suspended_machine, fresh),
        cmocka_unit_test_setup(test_before_it_asked, fresh),
        cmocka_unit_test_setup(test_beats_of_the_future, fresh),
        cmocka_unit_test_setup(test_patience_has_an_end, fresh),
        cmocka_unit_test_setup(test_expect_and_forget, fresh),
        cmocka_unit_test_setup(test_starved_is_not_hung, fresh),
        cmocka_unit_test_setup(test_starved_after_a_night, fresh),
        cmocka_unit_test_setup(test_asleep_is_hung, fresh),
        cmocka_unit_test_setup(test_a_beat_of_the_future_is_no_excuse, fresh),
        cmocka_unit_test_setup(test_who_starves_is_waited_for, fresh),
        cmocka_unit_test_setup(test_who_starves_hides_nobody, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
