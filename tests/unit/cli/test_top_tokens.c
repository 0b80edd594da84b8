/* Which tokens `moonwatch top` lists, and in which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cli/top_tokens.h"
#include "page/table_memory.h"
#include <stdio.h>
#include <string.h>

#define TOKENS (2 * TOP_TOKENS_MAX + 7)

static const instant now = {1000000000};
static struct table_memory memory;
static struct top_tokens tokens;

/* Token `id` has figures that order it, some way, by its id; each third is active, the 5th, 10th …
 * has no data. */
static void add(token_id id)
{
    struct address mint = {{0}};
    mint.bytes[0] = 1;
    memcpy(mint.bytes + 1, &id, sizeof id);
    assert_int_equal(token_table_add(memory.table, &mint), id);
    struct token *token = token_write_begin(memory.table, id);
    token->status = id % 3 == 0 ? TOKEN_ACTIVE : TOKEN_MONITORING;
    token->created_at = (instant){id};
    snprintf(token->name, sizeof token->name, "Number %u", id);
    if (id % 5 != 0) {
        token->state.answers = 1;
        token->state.checked_at = (instant){now.us - id};
        token->state.fetched_at = token->state.checked_at;
        token->state.score = id * 1e-3;
        token->state.metrics.liquidity_usd = TOKENS - id;
        token->state.metrics.volume_5m_usd = id % 100;
    }
    token_write_end(memory.table, id);
    token_table_links(memory.table, LINKS_PRICE)[id].stamp =
        id % 5 != 0 ? (instant){now.us - id} : INSTANT_NEVER;
}

static int set_up(void **state)
{
    int error = 0;
    (void)state;
    assert_true(table_memory_init(&memory, TOKENS, &error));
    for (token_id id = 1; id <= TOKENS; id++)
        add(id);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    table_memory_finish(&memory);
    return 0;
}

static struct top_query all_by(enum top_sort sort)
{
    return (struct top_query){.statuses = 1u << TOKEN_ACTIVE | 1u << TOKEN_MONITORING |
                                          1u << TOKEN_ARCHIVED,
                              .sort = sort};
}

static void choose(const struct top_query *query)
{
    top_tokens_choose(&tokens, memory.table, query, now);
}

static void test_best_first(void **state)
{
    (void)state;
    struct top_query query = all_by(TOP_BY_SCORE);
    choose(&query);
    assert_int_equal(tokens.matching, TOKENS);
    assert_int_equal(tokens.count, TOP_TOKENS_MAX);
    token_id expected = TOKENS;
    for (uint32_t i = 0; i < tokens.count; i++, expected--) {
        expected -= expected % 5 == 0;
        assert_int_equal(tokens.ids[i], expected);
    }
}

/* What is not known comes last, whichever way; equal ones in the order they came. */
static void test_reversed(void **state)
{
    (void)state;
    struct top_query query = all_by(TOP_BY_SCORE);
    query.is_reversed = true;
    choose(&query);
    assert_int_equal(tokens.ids[0], 1);
    assert_int_equal(tokens.ids[4], 6);
    query.search[0] = '7'; /* "Number 7", 17 …: few enough to be listed to the end */
    query.search[1] = '5';
    choose(&query);
    assert_true(tokens.count > 10 && tokens.count < TOP_TOKENS_MAX);
    const token_id last = tokens.ids[tokens.count - 1], before = tokens.ids[tokens.count - 2];
    assert_int_equal(last % 5, 0);
    assert_true(before < last);
}

static void test_each_figure(void **state)
{
    (void)state;
    struct top_query query = all_by(TOP_BY_AGE);
    choose(&query);
    assert_int_equal(tokens.ids[0], TOKENS);
    query.sort = TOP_BY_LIQUIDITY;
    choose(&query);
    assert_int_equal(tokens.ids[0], 1);
    query.sort = TOP_BY_VOLUME;
    choose(&query);
    assert_int_equal(tokens.ids[0], 99);
    assert_int_equal(tokens.ids[1], 199);
    query.sort = TOP_BY_BIRTH;
    choose(&query);
    assert_int_equal(tokens.ids[0], TOKENS);
    for (int i = 0; i < TOP_SORT_COUNT; i++) {
        query.sort = (enum top_sort)i;
        choose(&query);
        assert_int_equal(tokens.count, TOP_TOKENS_MAX);
        for (uint32_t k = 1; k < tokens.count; k++)
            assert_true(tokens.values[k - 1] >= tokens.values[k]);
    }
}

static void test_filters(void **state)
{
    (void)state;
    struct top_query query = all_by(TOP_BY_SCORE);
    query.statuses = 1u << TOKEN_ACTIVE;
    choose(&query);
    assert_int_equal(tokens.matching, TOKENS / 3);
    query.statuses = 1u << TOKEN_ARCHIVED;
    choose(&query);
    assert_int_equal(tokens.matching, 0);
    assert_int_equal(tokens.count, 0);
    query = all_by(TOP_BY_SCORE);
    strcpy(query.search, "nUMBER 1234");
    choose(&query);
    assert_int_equal(tokens.count, 1);
    assert_int_equal(tokens.ids[0], 1234);
}

static void test_rests_after_a_long_pass(void **state)
{
    (void)state;
    assert_true(top_tokens_are_old(&(struct top_tokens){0}, now));
    struct top_tokens slow = {.chosen_at = now, .took = duration_ms(100)};
    assert_false(top_tokens_are_old(&slow, instant_add(now, duration_ms(1999))));
    assert_true(top_tokens_are_old(&slow, instant_add(now, duration_ms(2000))));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_best_first),
        cmocka_unit_test(test_reversed),
        cmocka_unit_test(test_each_figure),
        cmocka_unit_test(test_filters),
        cmocka_unit_test(test_rests_after_a_long_pass),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
