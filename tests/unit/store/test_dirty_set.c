/* The set of tokens that wait: what is marked is taken, once, and never lost. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prng.h"
#include "store/dirty_set.h"
#include <pthread.h>

static void takes_in_order_within_bounds(void **state)
{
    (void)state;
    static const token_id IDS[] = {1, 63, 64, 65, 65535, 65536, 1000000, UINT32_MAX - 1};
    enum { COUNT = sizeof IDS / sizeof *IDS };
    struct dirty_set *set = dirty_set_create();
    token_id out[COUNT + 1], from = 1;
    for (size_t i = COUNT; i-- > 0;)
        assert_true(dirty_set_mark(set, IDS[i]));
    assert_false(dirty_set_mark(set, 64));
    assert_int_equal(dirty_set_count(set), COUNT);
    assert_int_equal(dirty_set_take(set, &from, 65, out, COUNT), 3);
    assert_int_equal(from, 65);
    assert_int_equal(dirty_set_take(set, &from, 65, out, COUNT), 0);
    assert_int_equal(dirty_set_take(set, &from, UINT32_MAX, out + 3, 2), 2);
    assert_int_equal(dirty_set_take(set, &from, UINT32_MAX, out + 5, COUNT), 3);
    assert_int_equal(from, UINT32_MAX);
    assert_memory_equal(out, IDS, sizeof IDS);
    assert_int_equal(dirty_set_count(set), 0);
    dirty_set_destroy(set);
    dirty_set_destroy(NULL);
}

static void clears_one(void **state)
{
    (void)state;
    struct dirty_set *set = dirty_set_create();
    assert_false(dirty_set_clear(set, 9));
    dirty_set_mark(set, 9);
    dirty_set_mark(set, 10);
    assert_true(dirty_set_clear(set, 9));
    assert_false(dirty_set_clear(set, 9));
    assert_int_equal(dirty_set_count(set), 1);
    dirty_set_destroy(set);
}

#define RACE_TOKENS 200000
#define RACE_MARKS  2000000

struct race {
    struct dirty_set *set;
    _Atomic uint32_t written[RACE_TOKENS]; /* by the marker */
    _Atomic bool is_over;
};

static void *mark_all(void *argument)
{
    struct race *race = argument;
    struct prng prng;
    prng_seed(&prng, 5);
    for (uint32_t n = 1; n <= RACE_MARKS; n++) {
        token_id id = 1 + (token_id)prng_below(&prng, RACE_TOKENS - 1);
        atomic_store_explicit(&race->written[id], n, memory_order_relaxed);
        dirty_set_mark(race->set, id);
    }
    race->is_over = true;
    return NULL;
}

static void take_all(struct race *race, uint32_t *seen)
{
    token_id ids[512], from = 1;
    for (size_t count = 1; from < RACE_TOKENS;) {
        count = dirty_set_take(race->set, &from, RACE_TOKENS, ids, 512);
        for (size_t i = 0; i < count; i++)
            seen[ids[i]] = atomic_load_explicit(&race->written[ids[i]], memory_order_relaxed);
    }
}

static void loses_no_mark_to_a_race(void **state)
{
    (void)state;
    static struct race race;
    static uint32_t seen[RACE_TOKENS];
    pthread_t thread;
    race.set = dirty_set_create();
    assert_int_equal(pthread_create(&thread, NULL, mark_all, &race), 0);
    while (!race.is_over)
        take_all(&race, seen);
    pthread_join(thread, NULL);
    take_all(&race, seen);
    for (token_id id = 1; id < RACE_TOKENS; id++)
        assert_int_equal(seen[id], race.written[id]);
    assert_int_equal(dirty_set_count(race.set), 0);
    dirty_set_destroy(race.set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_in_order_within_bounds),
        cmocka_unit_test(clears_one),
        cmocka_unit_test(loses_no_mark_to_a_race),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
