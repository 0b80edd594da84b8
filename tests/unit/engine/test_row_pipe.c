/* Rows from one thread to another: all of them, whole, in order; and an end when no more are
 * wanted. */
#include "../store/fixture.h"

#include "engine/row_pipe.h"
#include <pthread.h>
#include <stdatomic.h>

#define ROWS 10000

struct reader {
    struct row_pipe *pipe;
    uint32_t count, pushed;
    _Atomic uint32_t news;
    pthread_t thread;
};

static void on_news(void *context)
{
    struct reader *reader = context;
    atomic_fetch_add(&reader->news, 1);
}

static void *push_all(void *argument)
{
    struct reader *reader = argument;
    struct store_token row;
    for (token_id id = 1; id <= reader->count; id++) {
        token_make(&row, id, id);
        reader->pushed++;
        if (!row_pipe_push(reader->pipe, &row))
            break;
    }
    row_pipe_end(reader->pipe);
    return NULL;
}

static void start(struct reader *reader, uint32_t count)
{
    *reader = (struct reader){.count = count};
    reader->pipe = row_pipe_create(on_news, reader);
    assert_non_null(reader->pipe);
    assert_int_equal(pthread_create(&reader->thread, NULL, push_all, reader), 0);
}

static void stop(struct reader *reader)
{
    pthread_join(reader->thread, NULL);
    row_pipe_destroy(reader->pipe);
}

static uint32_t take_all(struct reader *reader, uint32_t most)
{
    const struct row_block *block;
    uint32_t taken = 0;
    while (taken < most && (block = row_pipe_take(reader->pipe, ROWS_AWAITED)) != NULL) {
        for (size_t i = 0; i < block->count; i++) {
            struct store_token expected;
            taken++;
            token_make(&expected, taken, taken);
            assert_int_equal(block->rows[i].id, taken);
            token_assert_equal(&block->rows[i], &expected);
        }
        row_pipe_give_back(reader->pipe);
    }
    return taken;
}

static void rows_arrive_whole_and_in_order(void **state)
{
    static const uint32_t counts[] = {0, 1, 63, 64, 65, 511, 512, 513, ROWS};
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct reader reader;
        start(&reader, counts[i]);
        assert_int_equal(take_all(&reader, UINT32_MAX), counts[i]);
        assert_true(row_pipe_is_over(reader.pipe));
        stop(&reader);
        assert_int_equal(atomic_load(&reader.news), counts[i] / ROWS_A_BLOCK + 1);
    }
}

static void nothing_at_hand_is_no_end(void **state)
{
    struct reader reader = {0};
    (void)state;
    reader.pipe = row_pipe_create(on_news, &reader);
    assert_null(row_pipe_take(reader.pipe, ROWS_AT_HAND));
    assert_false(row_pipe_is_over(reader.pipe));
    row_pipe_end(reader.pipe);
    assert_true(row_pipe_is_over(reader.pipe));
    row_pipe_destroy(reader.pipe);
}

static void a_reader_that_waits_for_room_ends_when_no_more_is_wanted(void **state)
{
    struct reader reader;
    (void)state;
    start(&reader, ROWS);
    assert_int_equal(take_all(&reader, 1), ROWS_A_BLOCK);
    row_pipe_close(reader.pipe);
    pthread_join(reader.thread, NULL);
    assert_true(reader.pushed < ROWS);
    row_pipe_destroy(reader.pipe);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_arrive_whole_and_in_order),
        cmocka_unit_test(nothing_at_hand_is_no_end),
        cmocka_unit_test(a_reader_that_waits_for_room_ends_when_no_more_is_wanted),
    };
    return cmocka_run_group_tests_name("engine.row_pipe", tests, NULL, NULL);
}
