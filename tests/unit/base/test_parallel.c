/* Work in pieces: each piece once, by workers with numbers of their own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/parallel.h"
#include <stdatomic.h>
#include <string.h>

#define PIECES_MAX 5000

struct tally {
    _Atomic uint32_t done[PIECES_MAX];
    _Atomic uint32_t busy[PARALLEL_THREADS_MAX];
    _Atomic uint32_t collisions;
};

static void work(void *context, uint32_t worker, uint32_t piece)
{
    struct tally *tally = context;
    if (atomic_fetch_add(&tally->busy[worker], 1) != 0)
        atomic_fetch_add(&tally->collisions, 1);
    atomic_fetch_add(&tally->done[piece], 1);
    atomic_fetch_sub(&tally->busy[worker], 1);
}

static void each_piece_is_done_once(void **state)
{
    static const uint32_t counts[] = {0, 1, 2, 3, 100, PIECES_MAX};
    static struct tally tally;
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        memset(&tally, 0, sizeof tally);
        parallel_do(counts[i], work, &tally);
        for (uint32_t piece = 0; piece < PIECES_MAX; piece++)
            assert_int_equal(atomic_load(&tally.done[piece]), piece < counts[i]);
        assert_int_equal(atomic_load(&tally.collisions), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(each_piece_is_done_once)};
    return cmocka_run_group_tests_name("base.parallel", tests, NULL, NULL);
}
