/* The ring of changed tokens: each id once and in order, and whoever falls behind is told. */
#include "page/changes.h"

#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define BURSTS 500
#define SMALL  3000
#define LARGE  (3 * CHANGES_KEPT) /* each tenth burst: more than the ring holds */
#define MOST   100

static struct changes changes;
static uint32_t ids[CHANGES_KEPT];

static int begin(void **state)
{
    (void)state;
    memset(&changes, 0, sizeof changes);
    return 0;
}

static void put_from(uint32_t first, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        changes_put(&changes, first + i);
}

static void test_in_order(void **state)
{
    (void)state;
    uint64_t at = changes_end(&changes);
    size_t count;
    assert_true(changes_read(&changes, &at, ids, MOST, &count));
    assert_int_equal(count, 0);
    put_from(7, 150);
    assert_true(changes_read(&changes, &at, ids, MOST, &count));
    assert_int_equal(count, MOST);
    assert_int_equal(ids[0], 7);
    assert_int_equal(ids[99], 106);
    assert_true(changes_read(&changes, &at, ids, MOST, &count));
    assert_int_equal(count, 50);
    assert_int_equal(ids[49], 156);
    assert_int_equal(at, 150);
}

static void test_behind(void **state)
{
    (void)state;
    uint64_t at = 0;
    size_t count;
    put_from(1, CHANGES_KEPT - 1);
    assert_true(changes_read(&changes, &at, ids, CHANGES_KEPT, &count));
    assert_int_equal(count, CHANGES_KEPT - 1);
    put_from(1, CHANGES_KEPT);
    assert_false(changes_read(&changes, &at, ids, CHANGES_KEPT, &count)); /* the oldest may go */
    assert_int_equal(count, 0);
    put_from(1, CHANGES_KEPT + 1);
    assert_false(changes_read(&changes, &at, ids, MOST, &count));
    assert_int_equal(at, changes_end(&changes));
    put_from(5, 1);
    assert_true(changes_read(&changes, &at, ids, MOST, &count));
    assert_int_equal(count, 1);
    assert_int_equal(ids[0], 5);
}

static _Atomic uint64_t reader_at;
static atomic_bool is_all;

/* Goes on when the reader has come to the end of a burst. */
static void *put_all(void *argument)
{
    (void)argument;
    for (uint32_t i = 0, id = 0; i < BURSTS; i++) {
        uint32_t count = i % 10 == 9 ? LARGE : SMALL;
        put_from(id, count);
        id += count;
        while (atomic_load(&reader_at) < id)
            sched_yield();
    }
    atomic_store(&is_all, true);
    return NULL;
}

/* What is read is what was put there, however fast the writer is: rising without a gap, but for
 * those places where the reader was told that it fell behind. */
static void test_while_it_is_written(void **state)
{
    (void)state;
    pthread_t writer;
    uint64_t at = 0, wrong = 0, read = 0;
    pthread_create(&writer, NULL, put_all, NULL);
    while (!atomic_load(&is_all)) {
        size_t count;
        uint64_t from = at;
        bool is_read = changes_read(&changes, &at, ids, MOST, &count);
        atomic_store(&reader_at, at);
        if (!is_read)
            continue;
        for (size_t i = 0; i < count; i++)
            wrong += ids[i] != from + i;
        read += count;
    }
    pthread_join(writer, NULL);
    assert_int_equal(wrong, 0);
    assert_in_range(read, BURSTS / 10 * 9 * SMALL, at);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_in_order, begin),
        cmocka_unit_test_setup(test_behind, begin),
        cmocka_unit_test_setup(test_while_it_is_written, begin),
    };
    return cmocka_run_group_tests_name("changes", tests, NULL, NULL);
}
