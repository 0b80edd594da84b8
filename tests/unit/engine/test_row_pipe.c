/* Rows from one thread to another: all of them, whole, in order; and an end when one is refused. */
#include "../store/fixture.h"

#include "engine/row_pipe.h"

#define ROWS 10000

struct sink {
    token_id next;
    token_id refused; /* TOKEN_NONE: none */
    uint32_t taken;
};

static bool put(void *context, const struct store_token *row)
{
    struct sink *sink = context;
    struct store_token expected;
    if (row->id == sink->refused)
        return false;
    token_make(&expected, row->id, row->id);
    assert_int_equal(row->id, sink->next++);
    token_assert_equal(row, &expected);
    sink->taken++;
    return true;
}

static uint32_t push(struct row_pipe *pipe, uint32_t count)
{
    struct store_token row;
    for (token_id id = 1; id <= count; id++) {
        token_make(&row, id, id);
        if (!row_pipe_push(pipe, &row))
            return id;
    }
    return count;
}

static void rows_arrive_whole_and_in_order(void **state)
{
    static const uint32_t counts[] = {0, 1, 63, 64, 65, 511, 512, 513, ROWS};
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        struct sink sink = {.next = 1};
        struct row_pipe *pipe = row_pipe_create(put, &sink);
        assert_non_null(pipe);
        assert_int_equal(push(pipe, counts[i]), counts[i]);
        assert_true(row_pipe_destroy(pipe));
        assert_int_equal(sink.taken, counts[i]);
    }
}

static void a_refusal_ends_it(void **state)
{
    (void)state;
    struct sink sink = {.next = 1, .refused = 100};
    struct row_pipe *pipe = row_pipe_create(put, &sink);
    assert_true(push(pipe, ROWS) < ROWS);
    assert_false(row_pipe_destroy(pipe));
    assert_int_equal(sink.taken, 99);
}

static void a_refused_last_row_is_told(void **state)
{
    (void)state;
    struct sink sink = {.next = 1, .refused = 3};
    struct row_pipe *pipe = row_pipe_create(put, &sink);
    assert_int_equal(push(pipe, 3), 3);
    assert_false(row_pipe_destroy(pipe));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_arrive_whole_and_in_order),
        cmocka_unit_test(a_refusal_ends_it),
        cmocka_unit_test(a_refused_last_row_is_told),
    };
    return cmocka_run_group_tests_name("engine.row_pipe", tests, NULL, NULL);
}
