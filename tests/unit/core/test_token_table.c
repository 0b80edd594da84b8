/* The token table: index, growth, publication, pools, memory a token. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prng.h"
#include "core/token_layout.h"
#include "page/table_memory.h"
#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct address random_address(struct prng *prng)
{
    struct address address;
    for (int i = 0; i < 4; i++) {
        uint64_t word = prng_next(prng);
        memcpy(&address.bytes[i * 8], &word, 8);
    }
    return address;
}

static int make_table(void **state)
{
    static struct table_memory memory;
    int error;
    assert_true(table_memory_init(&memory, 1024, &error));
    *state = &memory;
    return 0;
}

static int drop_table(void **state)
{
    table_memory_finish(*state);
    return 0;
}

static void finds_every_token_while_growing(void **state)
{
    struct table_memory *memory = *state;
    struct prng prng, again;
    prng_seed(&prng, 1);
    for (uint32_t i = 1; i <= 50000; i++) {
        struct address mint = random_address(&prng);
        if (token_table_is_short(memory->table, 1))
            assert_true(table_memory_grow(memory, 1));
        assert_int_equal(token_table_find(memory->table, &mint), TOKEN_NONE);
        assert_int_equal(token_table_add(memory->table, &mint), i);
    }
    prng_seed(&again, 1);
    for (uint32_t i = 1; i <= 50000; i++) {
        struct address mint = random_address(&again);
        assert_int_equal(token_table_find(memory->table, &mint), i);
        assert_int_equal(token_table_find_shared(memory->table, &mint), i);
    }
}

static void full_table_refuses(void **state)
{
    struct table_memory *memory = *state;
    struct prng prng;
    prng_seed(&prng, 2);
    uint32_t room = token_table_capacity(memory->table);
    for (uint32_t i = 0; i < room; i++) {
        struct address mint = random_address(&prng);
        assert_int_not_equal(token_table_add(memory->table, &mint), TOKEN_NONE);
    }
    struct address mint = random_address(&prng);
    assert_int_equal(token_table_add(memory->table, &mint), TOKEN_NONE);
    assert_true(table_memory_grow(memory, 1));
    assert_int_not_equal(token_table_add(memory->table, &mint), TOKEN_NONE);
}

static token_id add_one(struct token_table *table, uint64_t seed)
{
    struct prng prng;
    prng_seed(&prng, seed);
    struct address mint = random_address(&prng);
    return token_table_add(table, &mint);
}

static void publishes_drafts(void **state)
{
    struct token_table *table = ((struct table_memory *)*state)->table;
    token_id id = add_one(table, 3);
    struct token seen;
    assert_true(isnan(token_column_score(table, id)));

    struct token *draft = token_write_begin(table, id);
    strcpy(draft->name, "Wizard");
    draft->status = TOKEN_ACTIVE;
    draft->state.score = 0.5;
    draft->state.answers = 1;
    assert_true(token_read(table, id, &seen, NULL));
    assert_string_equal(seen.name, ""); /* nothing is seen before the end */
    token_write_end(table, id);

    assert_true(token_read(table, id, &seen, NULL));
    assert_string_equal(seen.name, "Wizard");
    assert_int_equal(token_column_status(table, id), TOKEN_ACTIVE);
    assert_true(token_column_score(table, id) == 0.5f);
    assert_true(token_is_whole(table, id));
    assert_false(token_read(table, id + 1, &seen, NULL));
    assert_false(token_read(table, TOKEN_NONE, &seen, NULL));
}

static void pools_come_and_go(void **state)
{
    struct token_table *table = ((struct table_memory *)*state)->table;
    struct prng prng;
    prng_seed(&prng, 4);
    enum { TOKENS = 50, ROUNDS = 5000 };
    uint8_t counts[TOKENS + 1] = {0};
    float marks[TOKENS + 1] = {0};
    for (int i = 0; i < TOKENS; i++)
        add_one(table, 100 + (uint64_t)i);
    for (int round = 0; round < ROUNDS; round++) {
        token_id id = 1 + (token_id)prng_below(&prng, TOKENS);
        struct pool pools[POOLS_MAX] = {0};
        size_t count = prng_below(&prng, POOLS_MAX + 1);
        for (size_t i = 0; i < count; i++)
            pools[i] =
                (struct pool){.address = random_address(&prng), .liquidity_usd = (float)round};
        token_write_begin(table, id);
        assert_true(token_draft_set_pools(table, pools, count));
        token_write_end(table, id);
        counts[id] = (uint8_t)count;
        marks[id] = (float)round;
    }
    for (token_id id = 1; id <= TOKENS; id++) {
        struct token token;
        struct pool pools[POOLS_MAX];
        assert_true(token_is_whole(table, id));
        assert_true(token_read(table, id, &token, pools));
        assert_int_equal(token.pool_count, counts[id]);
        for (int i = 0; i < counts[id]; i++)
            assert_true(pools[i].liquidity_usd == marks[id]);
    }
    /* Runs given back are used again: what 5,000 rounds took is what 50 tokens can need. */
    assert_true(token_table_bytes_used(table) < 400000);
}

/* More pools than there is memory for: nothing changes, and when it has grown all is well. */
static void pools_without_memory_are_refused(void **state)
{
    struct table_memory *memory = *state;
    struct token_table *table = memory->table;
    static struct pool pools[POOLS_MAX];
    struct prng prng;
    prng_seed(&prng, 9);
    token_id id = TOKEN_NONE;
    bool is_done = true;
    while (is_done) {
        struct address mint = random_address(&prng);
        id = token_table_add(table, &mint);
        assert_int_not_equal(id, TOKEN_NONE);
        token_write_begin(table, id);
        is_done = token_draft_set_pools(table, pools, POOLS_MAX);
        token_write_end(table, id);
    }
    assert_int_equal(token_slot(table, id)->pool_count, 0);
    assert_true(token_is_whole(table, id));
    struct token other = *token_slot(table, id);
    other.pool_count = POOLS_MAX;
    assert_false(token_table_replace(table, id, &other, pools));
    assert_true(token_is_whole(table, id));
    assert_true(table_memory_grow(memory, 64));
    assert_true(token_table_replace(table, id, &other, pools));
    assert_int_equal(token_slot(table, id)->pool_count, POOLS_MAX);
}

/* A draft may think better of it: the run that it had taken is there for others. */
static void pools_are_set_twice_in_a_draft(void **state)
{
    struct table_memory *memory = *state;
    struct token_table *table = memory->table;
    struct pool pools[POOLS_MAX] = {{.liquidity_usd = 1}};
    const struct address mints[] = {{{1}}, {{2}}};
    token_id id = token_table_add(table, &mints[0]);
    token_write_begin(table, id);
    assert_true(token_draft_set_pools(table, pools, 3));
    assert_true(token_draft_set_pools(table, pools, POOLS_MAX));
    token_write_end(table, id);
    assert_int_equal(token_slot(table, id)->pool_count, POOLS_MAX);
    uint32_t used = table->pool_used;
    token_id other = token_table_add(table, &mints[1]);
    token_write_begin(table, other);
    assert_true(token_draft_set_pools(table, pools, 3));
    token_write_end(table, other);
    assert_int_equal(table->pool_used, used);
}

/* The tokens that came took fewer pools than was foreseen for them. */
static void memory_for_pools_is_never_given_back(void **state)
{
    struct table_memory *memory = *state;
    struct token_table *table = memory->table;
    struct table_range ranges[TABLE_RANGES];
    struct prng prng;
    prng_seed(&prng, 10);
    for (int i = 0; i < 100; i++) {
        struct address mint = random_address(&prng);
        assert_int_not_equal(token_table_add(table, &mint), TOKEN_NONE);
    }
    size_t count = token_table_ranges(table, token_table_capacity(table), ranges);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(ranges[i].length, 0);
}

static void one_pool_changes_in_place(void **state)
{
    struct token_table *table = ((struct table_memory *)*state)->table;
    token_id id = add_one(table, 5);
    struct pool pools[3] = {{.liquidity_usd = 1}, {.liquidity_usd = 2}, {.liquidity_usd = 3}};
    token_write_begin(table, id);
    assert_true(token_draft_set_pools(table, pools, 3));
    token_write_end(table, id);
    uint32_t first = token_slot(table, id)->pool_first;
    token_write_begin(table, id);
    token_draft_pools(table)[1].liquidity_usd = 20;
    token_write_end(table, id);
    assert_int_equal(token_slot(table, id)->pool_first, first);
    assert_true(token_pools(table, id)[1].liquidity_usd == 20);
    assert_true(token_is_whole(table, id));
}

static void torn_slot_is_noticed(void **state)
{
    struct token_table *table = ((struct table_memory *)*state)->table;
    token_id id = add_one(table, 6);
    assert_true(token_is_whole(table, id));
    struct token *slot = (struct token *)token_slot(table, id);
    slot->state.score = 1e9; /* as a death in the middle of a publication leaves it */
    assert_false(token_is_whole(table, id));
}

static void names_are_kept_once(void **state)
{
    struct token_table *table = ((struct table_memory *)*state)->table;
    uint8_t raydium = token_table_dex(table, "raydium");
    assert_int_equal(token_table_dex(table, "raydium"), raydium);
    assert_string_equal(token_table_dex_name(table, raydium), "raydium");
    char name[16];
    for (int i = 0; i < 400; i++) {
        snprintf(name, sizeof name, "dex%d", i);
        token_table_dex(table, name);
    }
    assert_int_equal(token_table_dex(table, "one more"), 0); /* the list is full: "?" */
    assert_string_equal(token_table_dex_name(table, 0), "?");
    assert_int_equal(token_table_dex(table, "raydium"), raydium);
}

static void memory_a_token_stays_under_600(void **state)
{
    struct table_memory *memory = *state;
    struct prng prng;
    prng_seed(&prng, 7);
    /* FACTS: 3.4 pools on average, median 3, at most 8 seen. */
    static const uint8_t counts[] = {1, 2, 2, 3, 3, 3, 4, 4, 5, 7};
    for (int i = 0; i < 20000; i++) {
        if (token_table_is_short(memory->table, 1))
            assert_true(table_memory_grow(memory, 1));
        struct address mint = random_address(&prng);
        token_id id = token_table_add(memory->table, &mint);
        struct pool pools[POOLS_MAX] = {0};
        token_write_begin(memory->table, id);
        assert_true(token_draft_set_pools(memory->table, pools, counts[i % 10]));
        token_write_end(memory->table, id);
    }
    size_t each = token_table_bytes_used(memory->table) / 20000;
    print_message("# %zu bytes a token\n", each);
    assert_in_range(each, 400, 600);
}

struct reading {
    const struct token_table *table;
    _Atomic bool stop;
    _Atomic long torn, reads;
};

static void *read_all_the_time(void *argument)
{
    struct reading *reading = argument;
    while (!atomic_load(&reading->stop)) {
        struct token token;
        struct pool pools[POOLS_MAX];
        if (!token_read(reading->table, 1, &token, pools))
            continue;
        bool whole = token.state.score == token.state.score_raw;
        for (int i = 0; i < token.pool_count; i++)
            whole = whole && pools[i].liquidity_usd == (float)token.state.score;
        atomic_fetch_add(&reading->reads, 1);
        atomic_fetch_add(&reading->torn, !whole);
    }
    return NULL;
}

static void readers_never_see_half_a_change(void **state)
{
    struct token_table *table = ((struct table_memory *)*state)->table;
    add_one(table, 8);
    struct reading reading = {.table = table};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, read_all_the_time, &reading), 0);
    for (int i = 0; atomic_load(&reading.reads) < 2000 || i < 20000; i++) {
        struct pool pools[POOLS_MAX] = {0};
        size_t count = (size_t)i % 9;
        for (size_t k = 0; k < count; k++)
            pools[k].liquidity_usd = (float)(i % 1000);
        struct token *draft = token_write_begin(table, 1);
        draft->state.score = draft->state.score_raw = i % 1000;
        assert_true(token_draft_set_pools(table, pools, count));
        token_write_end(table, 1);
    }
    atomic_store(&reading.stop, true);
    pthread_join(thread, NULL);
    assert_int_equal(atomic_load(&reading.torn), 0);
}

static void every_change_has_a_version(void **state)
{
    struct token_table *table = ((struct table_memory *)*state)->table;
    uint64_t before = token_table_version(table);
    add_one(table, 8);
    uint64_t added = token_table_version(table);
    assert_true(added != before);
    struct token *draft = token_write_begin(table, 1);
    draft->state.score = 1;
    assert_true(token_table_version(table) == added); /* nothing is published yet */
    token_write_end(table, 1);
    uint64_t written = token_table_version(table);
    assert_true(written != added);
    struct token token = *token_slot(table, 1);
    token_publish(table, 1, &token);
    assert_true(token_table_version(table) != written);
}

static void says_for_how_many_memory_is(void **state)
{
    static const uint32_t capacities[] = {125000, 1000000, 1000001, 400000000};
    (void)state;
    for (size_t i = 0; i < sizeof capacities / sizeof capacities[0]; i++) {
        size_t size = token_table_reserve_size(capacities[i]);
        uint32_t capacity = token_table_capacity_for(size);
        assert_int_equal(token_table_reserve_size(capacity), size);
        assert_int_equal(token_table_capacity_for(size + 1), 0);
    }
}

/* Whoever reads while it is emptied finds nobody, and nothing of what was stored is believed. */
static void retired_has_nobody(void **state)
{
    struct token_table *table = ((struct table_memory *)*state)->table;
    struct table_store store = {0}, found;
    struct prng prng;
    prng_seed(&prng, 5);
    struct address mint = random_address(&prng);
    add_one(table, 5);
    token_table_set_store(table, &store);
    assert_true(token_table_store(table, &found));
    assert_memory_equal(&found, &store, sizeof store);
    token_table_retire(table);
    assert_int_equal(token_table_count(table), 0);
    assert_int_equal(token_table_capacity(table), 0);
    assert_int_equal(token_table_find_shared(table, &mint), TOKEN_NONE);
    assert_false(token_table_store(table, &found));
}

static void columns_are_what_was_published(void **state)
{
    struct token_table *table = ((struct table_memory *)*state)->table;
    uint8_t statuses[3];
    float scores[3];
    for (unsigned i = 0; i < 3; i++) {
        token_id id = add_one(table, 10 + i);
        struct token *draft = token_write_begin(table, id);
        draft->status = i == 1 ? TOKEN_ARCHIVED : TOKEN_ACTIVE;
        draft->state.score = 0.25 * i;
        draft->state.answers = 1;
        token_write_end(table, id);
    }
    token_columns_read(table, 1, 3, statuses, scores);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(statuses[i], i == 1 ? TOKEN_ARCHIVED : TOKEN_ACTIVE);
        assert_true(scores[i] == 0.25F * (float)i);
    }
}

static void ids_are_sorted_as_numbers(void **state)
{
    token_id ids[] = {3, 1, UINT32_MAX, 2, 1};
    static const token_id sorted[] = {1, 1, 2, 3, UINT32_MAX};
    (void)state;
    qsort(ids, 5, sizeof ids[0], token_compare_ids);
    assert_memory_equal(ids, sorted, sizeof sorted);
}

static struct address mint_of(unsigned n)
{
    struct prng prng;
    prng_seed(&prng, 1000 + n);
    return random_address(&prng);
}

/* Anything, in any order: each mint is found where it is, and nowhere else. */
static void tokens_are_dropped_and_fill_holes(void **state)
{
    struct token_table *table = ((struct table_memory *)*state)->table;
    static unsigned mints[1025]; /* by id; 0: a hole */
    static token_id ids[4096];   /* by mint */
    struct prng prng;
    struct token token;
    unsigned known = 0;
    prng_seed(&prng, 7);
    for (int i = 0; i < 3000; i++) {
        token_id count = token_table_count(table);
        token_id id = count == 0 ? TOKEN_NONE : (token_id)(1 + prng_below(&prng, count));
        struct address mint = mint_of(known + 1);
        if (count < 1000 && (id == TOKEN_NONE || prng_below(&prng, 4) == 0)) {
            bool is_token = prng_below(&prng, 2);
            id = is_token ? token_table_add(table, &mint) : token_table_add_hole(table);
            mints[id] = is_token ? ++known : 0;
        } else if (mints[id] == 0) {
            token_table_fill_hole(table, id, &mint);
            mints[id] = ++known;
        } else {
            struct pool pools[3] = {{.liquidity_usd = 1}};
            token_write_begin(table, id);
            assert_true(token_draft_set_pools(table, pools, prng_below(&prng, 4)));
            token_write_end(table, id);
            ids[mints[id]] = TOKEN_NONE;
            mints[id] = 0;
            token_table_drop(table, id);
        }
        ids[mints[id]] = id;
        assert_int_equal(token_read(table, id, &token, NULL), mints[id] != 0);
        assert_int_equal(token_slot(table, id)->pool_count, 0);
    }
    for (unsigned n = 1; n <= known; n++) {
        struct address mint = mint_of(n);
        assert_int_equal(token_table_find(table, &mint), ids[n]);
        assert_int_equal(token_table_find_shared(table, &mint), ids[n]);
    }
    for (token_id id = 1; id <= token_table_count(table); id++)
        assert_int_equal(token_is_whole(table, id), mints[id] != 0);
    assert_true(known > 1000);
}

static void what_others_wrote_is_stored(void **state)
{
    struct token_table *table = ((struct table_memory *)*state)->table;
    token_id id = add_one(table, 3);
    token_mark_stored_pools(table, id, 4711);
    token_write_begin(table, id)->state.snapshot_id = 12;
    token_write_end(table, id);
    assert_false(token_is_stored(table, id));
    token_mark_followed(table, id, false);
    assert_true(token_is_stored(table, id));
    assert_int_equal(token_stored_snapshot(table, id, 100), 12);
    assert_int_equal(token_stored_pools(table, id), 4711);
    token_mark_followed(table, id, true);
    assert_int_equal(token_stored_pools(table, id), 0); /* whoever writes next looks */
}

static void unknown_figures_are_no_numbers(void **state)
{
    struct metrics metrics = metrics_unknown();
    (void)state;
    assert_true(isnan(metrics.liquidity_usd) && isnan(metrics.price_usd) &&
                isnan(metrics.volume_5m_usd) && isnan(metrics.volume_1h_usd));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, make_table, drop_table)
    const struct CMUnitTest tests[] = {
        CASE(finds_every_token_while_growing),
        CASE(full_table_refuses),
        CASE(publishes_drafts),
        CASE(pools_come_and_go),
        CASE(pools_without_memory_are_refused),
        CASE(pools_are_set_twice_in_a_draft),
        CASE(memory_for_pools_is_never_given_back),
        CASE(one_pool_changes_in_place),
        CASE(torn_slot_is_noticed),
        CASE(names_are_kept_once),
        CASE(memory_a_token_stays_under_600),
        CASE(readers_never_see_half_a_change),
        CASE(every_change_has_a_version),
        CASE(says_for_how_many_memory_is),
        CASE(retired_has_nobody),
        CASE(columns_are_what_was_published),
        CASE(ids_are_sorted_as_numbers),
        CASE(tokens_are_dropped_and_fill_holes),
        CASE(what_others_wrote_is_stored),
        CASE(unknown_figures_are_no_numbers),
    };
    return cmocka_run_group_tests_name("token_table", tests, NULL, NULL);
}
