/* Choosing pages: filters, order, and every window against sorting everything. */
#include "api/freshness.h"
#include "api/pick.h"
#include "base/prng.h"
#include "core/load.h"
#include "core/token_layout.h"
#include "world.h"

#include <math.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ALIVE (1u << TOKEN_ACTIVE | 1u << TOKEN_MONITORING)

static struct world world;

static struct pick *pick(const struct pick_query *query)
{
    struct pick *found = pick_tokens(world.memory.table, query);
    assert_non_null(found);
    return found;
}

static void assert_picks(const struct pick_query *query, uint32_t total, const token_id *ids,
                         uint32_t count)
{
    struct pick *found = pick(query);
    assert_int_equal(found->total, total);
    assert_int_equal(found->count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(found->ids[i], ids[i]);
    free(found);
}

/* ids 1 … 8 */
static void fill(void)
{
    world_add(&world, 1, TOKEN_ACTIVE, 0.05);      /* listed whatever its score */
    world_add(&world, 2, TOKEN_MONITORING, 0.10);  /* exactly the minimum */
    world_add(&world, 3, TOKEN_MONITORING, 0.099); /* just under it */
    world_add(&world, 4, TOKEN_ARCHIVED, 0.9);
    world_add(&world, 5, TOKEN_MONITORING, NAN);
    world_add(&world, 6, TOKEN_ACTIVE, NAN);
    world_add(&world, 7, TOKEN_MONITORING, 0.7);
    world_add(&world, 8, TOKEN_ACTIVE, 0.7); /* the same score: by id */
}

static void test_filters(void **state)
{
    (void)state;
    fill();
    struct pick_query query = {.statuses = ALIVE, .min_score = 0.1, .limit = 100};
    assert_picks(&query, 5, (token_id[]){7, 8, 2, 1, 6}, 5);
    query.sort = PICK_SCORE_ASCENDING;
    assert_picks(&query, 5, (token_id[]){6, 1, 2, 7, 8}, 5);
    query.min_score = 0;
    assert_picks(&query, 7, (token_id[]){5, 6, 1, 3, 2, 7, 8}, 7);
    query.sort = PICK_SCORE_DESCENDING;
    assert_picks(&query, 7, (token_id[]){7, 8, 2, 3, 1, 5, 6}, 7);
    query.min_score = 0.7;
    assert_picks(&query, 4, (token_id[]){7, 8, 1, 6}, 4);
    query.min_score = -5;
    query.statuses = 1u << TOKEN_ARCHIVED;
    assert_picks(&query, 1, (token_id[]){4}, 1);
    query.statuses = 0;
    assert_picks(&query, 0, NULL, 0);
}

static void test_pages(void **state)
{
    (void)state;
    struct pick_query query = {.statuses = ALIVE, .min_score = 0.1, .offset = 1, .limit = 2};
    assert_picks(&query, 5, (token_id[]){8, 2}, 2);
    query.offset = 4;
    assert_picks(&query, 5, (token_id[]){6}, 1);
    query.offset = 5;
    assert_picks(&query, 5, NULL, 0);
    query.offset = UINT64_MAX;
    assert_picks(&query, 5, NULL, 0);
    query.offset = INT64_MAX;
    query.limit = 100;
    assert_picks(&query, 5, NULL, 0);
}

static void name_token(token_id id, const char *name, const char *symbol, double liquidity_usd)
{
    struct token *token = token_write_begin(world.memory.table, id);
    snprintf(token->name, sizeof token->name, "%s", name);
    snprintf(token->symbol, sizeof token->symbol, "%s", symbol);
    token->state.metrics.liquidity_usd = liquidity_usd;
    token_write_end(world.memory.table, id);
}

static void test_search(void **state)
{
    (void)state;
    char mint[ADDRESS_TEXT_MAX + 1];
    name_token(1, "Moon Dog", "MDOG", 10);
    name_token(2, "moonlight", "LGT", 30);
    name_token(7, "Cat", "dogcat", 20);
    struct pick_query query = {.statuses = ALIVE, .min_score = -5, .limit = 100};
    query.search = "MOON";
    assert_picks(&query, 2, (token_id[]){2, 1}, 2);
    query.search = "dog";
    assert_picks(&query, 2, (token_id[]){7, 1}, 2);
    query.limit = 1;
    assert_picks(&query, 2, (token_id[]){7}, 1);
    query.search = "no such thing";
    assert_picks(&query, 0, NULL, 0);
    world_mint_text(8, mint);
    query.search = mint;
    assert_picks(&query, 1, (token_id[]){8}, 1);
    query.search = mint + 3; /* any part of it */
    assert_picks(&query, 1, (token_id[]){8}, 1);
}

static void test_groups(void **state)
{
    (void)state;
    struct pick_query query = {
        .statuses = ALIVE, .min_score = -5, .limit = 100, .groups = 1u << GROUP_HOT};
    for (token_id id = 1; id <= 8; id++)
        token_set_group(world.memory.table, id, GROUP_COLD);
    token_set_group(world.memory.table, 3, GROUP_HOT);
    token_set_group(world.memory.table, 7, GROUP_HOT);
    assert_picks(&query, 2, (token_id[]){7, 3}, 2);
}

/* Without it last where it descends, first where it ascends; equal ones by id. */
static void test_sorts(void **state)
{
    (void)state;
    struct token_table *table = world.memory.table;
    instant now = {1780000000000000};
    for (token_id id = 1; id <= 8; id++)
        token_table_links(table, LINKS_PRICE)[id].stamp = instant_add(now, duration_s(-(double)id));
    token_table_links(table, LINKS_PRICE)[2].stamp = INSTANT_NEVER;
    token_table_links(table, LINKS_PRICE)[3].stamp = now;
    token_table_links(table, LINKS_PRICE)[8].stamp = now;
    name_token(3, "", "", 5);
    name_token(8, "", "", 5);
    static const struct {
        enum pick_sort sort;
        token_id ids[7];
    } cases[] = {
        {PICK_AGE_DESCENDING, {2, 7, 6, 5, 1, 3, 8}},
        {PICK_AGE_ASCENDING, {3, 8, 1, 5, 6, 7, 2}},
        {PICK_LIQUIDITY_DESCENDING, {2, 7, 1, 3, 8, 5, 6}}, /* 5 and 6 are without data */
        {PICK_LIQUIDITY_ASCENDING, {5, 6, 3, 8, 1, 7, 2}},
        {PICK_CREATED_DESCENDING, {8, 7, 6, 5, 3, 2, 1}},
        {PICK_CREATED_ASCENDING, {1, 2, 3, 5, 6, 7, 8}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct pick_query query = {
            .statuses = ALIVE, .min_score = -5, .limit = 100, .sort = cases[i].sort, .now = now};
        assert_picks(&query, 7, cases[i].ids, 7);
    }
}

struct ranked {
    float score;
    token_id id;
};

static int by_rank(const void *a, const void *b)
{
    const struct ranked *x = a, *y = b;
    if (x->score != y->score && !isnan(x->score) && !isnan(y->score))
        return x->score > y->score ? -1 : 1;
    if (isnan(x->score) != isnan(y->score))
        return isnan(x->score) ? 1 : -1;
    return (x->id > y->id) - (x->id < y->id);
}

/* More tokens than the heap takes, many with the same score; near pages and far ones. */
static void test_against_sorting(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 42);
    struct token_table *table = world.memory.table;
    for (uint32_t i = token_table_count(table); i < 20000; i++)
        world_add(&world, i + 100, TOKEN_MONITORING,
                  prng_below(&prng, 50) == 0 ? NAN : (double)prng_below(&prng, 5000) / 1000 - 1);
    uint32_t count = token_table_count(table);
    struct ranked *all = malloc(count * sizeof *all);
    uint32_t listed = 0;
    for (token_id id = 1; id <= count; id++)
        if (token_column_status(table, id) != TOKEN_ARCHIVED)
            all[listed++] = (struct ranked){token_column_score(table, id), id};
    qsort(all, listed, sizeof *all, by_rank);
    static const uint64_t offsets[] = {0, 1, 99, 5000, 8191, 8192, 8193, 12345, 19950, 19990};
    for (size_t i = 0; i < sizeof offsets / sizeof offsets[0]; i++) {
        struct pick_query query = {
            .statuses = ALIVE, .min_score = -10, .offset = offsets[i], .limit = 50};
        struct pick *found = pick(&query);
        assert_int_equal(found->total, listed);
        for (uint32_t k = 0; k < found->count; k++)
            assert_int_equal(found->ids[k], all[offsets[i] + k].id);
        free(found);
    }
    free(all);
}

static void test_ages(void **state)
{
    (void)state;
    struct token_table *table = world.memory.table;
    struct freshness *freshness = freshness_create();
    instant now = {1780000000000000};
    uint32_t count = token_table_count(table);
    for (token_id id = 1; id <= count; id++) {
        token_set_group(table, id, id <= 1000 ? GROUP_HOT : GROUP_COLD);
        token_table_links(table, LINKS_PRICE)[id].stamp =
            id <= 1000 ? instant_add(now, duration_ms(-(int64_t)id * 100)) : INSTANT_NEVER;
    }
    const struct freshness_scan *scan = freshness_look(freshness, table, world.page, now);
    assert_int_equal(scan->tokens, count);
    assert_int_equal(scan->groups[GROUP_HOT].tokens, 1000);
    assert_int_equal(scan->groups[GROUP_HOT].never, 0);
    assert_true(fabs(scan->groups[GROUP_HOT].p50_s / 50 - 1) < 0.022);
    assert_true(fabs(scan->groups[GROUP_HOT].p95_s / 95 - 1) < 0.022);
    assert_true(fabs(scan->groups[GROUP_HOT].p99_s / 99 - 1) < 0.022);
    assert_true(scan->groups[GROUP_HOT].max_s == 100);
    assert_int_equal(scan->groups[GROUP_COLD].never, count - 1000);
    assert_true(isnan(scan->groups[GROUP_COLD].p50_s));
    assert_int_equal(scan->groups[GROUP_ARCHIVED].tokens, 0);
    /* Kept for a second, then made anew. */
    token_set_group(table, 1, GROUP_ARCHIVED);
    scan = freshness_look(freshness, table, world.page, instant_add(now, duration_ms(500)));
    assert_int_equal(scan->groups[GROUP_HOT].tokens, 1000);
    scan = freshness_look(freshness, table, world.page, instant_add(now, duration_ms(1000)));
    assert_int_equal(scan->groups[GROUP_HOT].tokens, 999);
    /* While load has statistics spared, ten times as long. */
    atomic_store(&world.page->load.features_off, 1U << FEATURE_STATISTICS);
    token_set_group(table, 2, GROUP_ARCHIVED);
    scan = freshness_look(freshness, table, world.page, instant_add(now, duration_ms(10999)));
    assert_int_equal(scan->groups[GROUP_HOT].tokens, 999);
    scan = freshness_look(freshness, table, world.page, instant_add(now, duration_ms(11000)));
    assert_int_equal(scan->groups[GROUP_HOT].tokens, 998);
    atomic_store(&world.page->load.features_off, 0);
    freshness_destroy(freshness);
}

struct look {
    _Atomic bool has_begun;
    bool slot_found, index_found;
};

static void *look(void *argument)
{
    struct look *look = argument;
    struct token token;
    struct address mint = token_slot(world.memory.table, 44)->mint;
    atomic_store(&look->has_begun, true);
    look->slot_found = token_look(world.memory.table, 43, &token, NULL);
    look->index_found = token_seek(world.memory.table, &mint) == 44;
    return NULL;
}

/* A writer that loses its processor in the middle of a change is waited for; one that died is not
 * waited for long. */
static void test_being_written(void **state)
{
    (void)state;
    struct token_table *table = world.memory.table;
    struct look looks[2] = {0};
    struct address mint = token_slot(world.memory.table, 44)->mint;
    uint32_t buckets = atomic_load(&table->bucket_count);
    _Atomic token_id *bucket =
        bucket_at(table, bucket_for(token_mint_hash(table, &mint), bucket_mask(buckets), buckets));
    token_id first = atomic_load(bucket);
    for (int i = 0; i < 2; i++) {
        bool dies = i == 1;
        atomic_fetch_add(&slot_of(table, 43)->sequence, 1);
        atomic_fetch_add(&table->index_sequence, 1);
        atomic_store(bucket, TOKEN_NONE);
        pthread_t thread;
        assert_int_equal(pthread_create(&thread, NULL, look, &looks[i]), 0);
        while (!atomic_load(&looks[i].has_begun))
            sched_yield();
        if (dies)
            pthread_join(thread, NULL);
        else
            poll(NULL, 0, 2);
        atomic_store(bucket, first);
        atomic_fetch_add(&table->index_sequence, 1);
        atomic_fetch_add(&slot_of(table, 43)->sequence, 1);
        if (!dies)
            pthread_join(thread, NULL);
        assert_int_equal(looks[i].slot_found, !dies);
        assert_int_equal(looks[i].index_found, !dies);
    }
}

static int start(void **state)
{
    (void)state;
    world_start(&world, "");
    return 0;
}

static int stop(void **state)
{
    (void)state;
    world_stop(&world);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters), cmocka_unit_test(test_pages),
        cmocka_unit_test(test_search),  cmocka_unit_test(test_groups),
        cmocka_unit_test(test_sorts),   cmocka_unit_test(test_against_sorting),
        cmocka_unit_test(test_ages),    cmocka_unit_test(test_being_written),
    };
    return cmocka_run_group_tests_name("pick", tests, start, stop);
}
