/* A table in huge pages: which pages of it, how refusals go on, and that all ends when told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/huge.h"
#include <stdlib.h>
#include <string.h>

#define TOKENS_LARGE 100000 /* 50 MB */
#define TOKENS_SMALL 2000
#define CALLS_MAX    256
#define NOW          ((instant){1000000})

static struct table_memory memory;
static struct huge huge;

/* What the kernel was asked for, and what it says. */
static size_t calls[CALLS_MAX];
static _Atomic unsigned call_count;
static enum err answer;
static size_t refused_offset;

static enum err fake_collapse(const struct table_memory *asked, size_t offset)
{
    assert_ptr_equal(asked, &memory);
    assert_true(call_count < CALLS_MAX);
    calls[call_count] = offset;
    atomic_fetch_add(&call_count, 1);
    return offset == refused_offset ? ERR_UNAVAILABLE : answer;
}

static void add_tokens(uint32_t count)
{
    struct address mint = {0};
    for (uint32_t i = 0; i < count; i++) {
        uint32_t id = token_table_count(memory.table) + 1;
        memcpy(mint.bytes, &id, sizeof id);
        if (token_table_is_short(memory.table, 1))
            assert_true(table_memory_grow(&memory, 1));
        assert_int_not_equal(token_table_add(memory.table, &mint), TOKEN_NONE);
    }
}

static int set_up(void **state)
{
    int error;
    (void)state;
    assert_true(table_memory_init(&memory, 1024, &error));
    huge_init(&huge, &memory, fake_collapse);
    atomic_store(&call_count, 0);
    answer = OK;
    refused_offset = SIZE_MAX;
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    huge_finish(&huge);
    table_memory_finish(&memory);
    return 0;
}

/* To the end of the round, if one began. */
static void look(instant now)
{
    huge_look(&huge, now);
    if (huge.has_thread)
        uv_thread_join(&huge.thread);
    huge.has_thread = false;
}

static size_t whole_pages(void)
{
    struct table_range ranges[TABLE_RANGES];
    size_t pages = 0, count = token_table_used(memory.table, ranges);
    for (size_t i = 0; i < count; i++)
        pages += ranges[i].length / TABLE_HUGE_PAGE;
    return pages;
}

static bool is_within_used(size_t offset)
{
    struct table_range ranges[TABLE_RANGES];
    size_t count = token_table_used(memory.table, ranges);
    for (size_t i = 0; i < count; i++)
        if (offset >= ranges[i].offset &&
            offset + TABLE_HUGE_PAGE <= ranges[i].offset + ranges[i].length)
            return offset % TABLE_HUGE_PAGE == 0;
    return false;
}

/* ---- which pages ---- */

static void a_small_table_is_left_alone(void **state)
{
    (void)state;
    add_tokens(TOKENS_SMALL);
    look(NOW);
    assert_int_equal(call_count, 0);
    assert_int_equal(huge_bytes(&huge), 0);
}

static void pages_that_tokens_fill_are_taken_once(void **state)
{
    (void)state;
    add_tokens(TOKENS_LARGE);
    look(NOW);
    assert_true(call_count > 10);
    assert_int_equal(call_count, whole_pages());
    for (unsigned i = 0; i < call_count; i++)
        assert_true(is_within_used(calls[i]));
    assert_int_equal(huge_bytes(&huge), call_count * (size_t)TABLE_HUGE_PAGE);
    look(NOW);
    assert_int_equal(call_count, whole_pages());
}

static void what_comes_later_is_taken_later(void **state)
{
    (void)state;
    add_tokens(TOKENS_LARGE);
    look(NOW);
    unsigned before = call_count;
    add_tokens(TOKENS_LARGE / 4);
    look(NOW);
    assert_true(call_count > before);
    assert_int_equal(call_count, whole_pages());
    assert_int_equal(huge_bytes(&huge), call_count * (size_t)TABLE_HUGE_PAGE);
}

/* ---- refusals ---- */

static void a_kernel_without_them_is_asked_three_times(void **state)
{
    (void)state;
    add_tokens(TOKENS_LARGE);
    answer = ERR_INVALID;
    for (int day = 0; day < 10; day++)
        look(instant_add(NOW, duration_s(86400.0 * day)));
    assert_int_equal(call_count, 3);
    assert_int_equal(huge_bytes(&huge), 0);
}

static void short_memory_is_tried_again_after_a_minute(void **state)
{
    (void)state;
    add_tokens(TOKENS_LARGE);
    answer = ERR_UNAVAILABLE;
    look(NOW);
    assert_int_equal(call_count, 3);
    look(instant_add(NOW, duration_s(1))); /* it ended refused: the minute begins here */
    look(instant_add(NOW, duration_s(60)));
    assert_int_equal(call_count, 3);
    answer = OK;
    look(instant_add(NOW, duration_s(62)));
    assert_int_equal(huge_bytes(&huge), whole_pages() * (size_t)TABLE_HUGE_PAGE);
}

static void a_page_that_is_refused_keeps_no_other_from_it(void **state)
{
    (void)state;
    struct table_range ranges[TABLE_RANGES];
    add_tokens(TOKENS_LARGE);
    token_table_used(memory.table, ranges);
    refused_offset = ranges[0].offset + 3 * (size_t)TABLE_HUGE_PAGE;
    look(NOW);
    assert_int_equal(call_count, whole_pages());
    assert_int_equal(huge_bytes(&huge), (whole_pages() - 1) * (size_t)TABLE_HUGE_PAGE);
    refused_offset = SIZE_MAX;
    look(instant_add(NOW, duration_s(1)));
    look(instant_add(NOW, duration_s(62)));
    assert_int_equal(huge_bytes(&huge), whole_pages() * (size_t)TABLE_HUGE_PAGE);
}

/* ---- the end ---- */

static void who_is_told_to_stop_stops(void **state)
{
    (void)state;
    add_tokens(TOKENS_LARGE);
    huge_cancel(&huge);
    look(NOW);
    assert_int_equal(call_count, 0);
    huge_finish(&huge);
    huge_finish(&huge);
}

static void stopping_waits_for_one_page_at_most(void **state)
{
    (void)state;
    add_tokens(TOKENS_LARGE);
    huge_look(&huge, NOW);
    assert_true(huge.has_thread);
    while (atomic_load(&call_count) == 0)
        uv_sleep(1);
    unsigned before = call_count;
    huge_finish(&huge);
    assert_true(call_count <= before + 2); /* one may have begun in between */
    assert_true(call_count < whole_pages());
}

/* ---- the kernel's own ---- */

static void tokens_stay_what_they_are(void **state)
{
    (void)state;
    struct token token;
    huge_init(&huge, &memory, table_memory_collapse);
    add_tokens(TOKENS_LARGE);
    huge_look(&huge, NOW);
    for (token_id id = 1; id <= TOKENS_LARGE; id++) { /* written meanwhile */
        token_write_begin(memory.table, id)->state.answers = id;
        token_write_end(memory.table, id);
    }
    add_tokens(TOKENS_LARGE / 4); /* and grown */
    look(NOW);
    for (token_id id = 1; id <= TOKENS_LARGE; id++) {
        assert_true(token_read(memory.table, id, &token, NULL));
        assert_int_equal(token.state.answers, id);
    }
    print_message("# %zu MB in huge pages\n", (size_t)huge_bytes(&huge) >> 20);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_small_table_is_left_alone),
        CASE(pages_that_tokens_fill_are_taken_once),
        CASE(what_comes_later_is_taken_later),
        CASE(a_kernel_without_them_is_asked_three_times),
        CASE(short_memory_is_tried_again_after_a_minute),
        CASE(a_page_that_is_refused_keeps_no_other_from_it),
        CASE(who_is_told_to_stop_stops),
        CASE(stopping_waits_for_one_page_at_most),
        CASE(tokens_stay_what_they_are),
    };
    return cmocka_run_group_tests_name("engine.huge", tests, NULL, NULL);
}
