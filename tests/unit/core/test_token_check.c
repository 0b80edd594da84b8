/*
 * Checking and mending a table whose writer died: every way in which it can be wrong, one at a
 * time. (test_table_memory.c kills real writers.)
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prng.h"
#include "core/token_check.h"
#include "core/token_layout.h"
#include "page/table_memory.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define TOKENS 600
#define HOLE   77 /* an id without a token */

static struct table_memory memory;
static struct token_table *table;
static struct table_check check;
static void *scratch;

/* ---- a table with everything in it ---- */

static struct address address_of(uint64_t seed)
{
    struct address address;
    struct prng prng;
    prng_seed(&prng, seed);
    for (int i = 0; i < 4; i++) {
        uint64_t word = prng_next(&prng);
        memcpy(&address.bytes[i * 8], &word, 8);
    }
    return address;
}

static struct pool pool_of(token_id id, unsigned n)
{
    return (struct pool){.address = address_of((uint64_t)id << 8 | n),
                         .liquidity_usd = (float)(id + n),
                         .dex = 1,
                         .quote = 1,
                         .flags = POOL_COUNTS};
}

static void set_pools(token_id id, size_t count)
{
    struct pool pools[POOLS_MAX];
    for (unsigned i = 0; i < count; i++)
        pools[i] = pool_of(id, i);
    assert_true(token_draft_set_pools(table, pools, count));
}

static void write_token(token_id id, size_t pools)
{
    struct token *draft = token_write_begin(table, id);
    strcpy(draft->name, "Token");
    draft->status = TOKEN_ACTIVE;
    draft->flags = TOKEN_DURABLE;
    draft->created_at.us = 1000;
    draft->state.checked_at.us = 2000 + id;
    draft->state.score = 0.5;
    draft->state.snapshot_id = id;
    draft->state.metrics.primary_dex = 1;
    draft->state.answers = 1;
    set_pools(id, pools);
    token_write_end(table, id);
}

static void mark_stored(token_id id)
{
    struct token token;
    uint32_t publication;
    if (!token_read_publication(table, id, &token, NULL, &publication))
        return;
    token_mark_stored(table, id, publication);
    token_mark_stored_snapshot(table, id, token.state.snapshot_id);
}

static size_t pools_of(token_id id)
{
    return id % 9;
}

static int set_up(void **state)
{
    (void)state;
    int error;
    assert_true(table_memory_init(&memory, 1024, &error));
    table = memory.table;
    assert_int_equal(token_table_dex(table, "orca"), 1);
    assert_int_equal(token_table_quote(table, "SOL"), 1);
    for (token_id id = 1; id <= TOKENS; id++) {
        struct address mint = address_of(1000000 + id);
        if (id == HOLE)
            assert_int_equal(token_table_add_hole(table), id);
        else
            assert_int_equal(token_table_add(table, &mint), id);
    }
    /* Twice, with other numbers of pools: runs are given back. */
    for (token_id id = 1; id <= TOKENS; id++)
        if (id != HOLE)
            write_token(id, (id * 7) % 13);
    for (token_id id = 1; id <= TOKENS; id++)
        if (id != HOLE)
            write_token(id, pools_of(id));
    for (token_id id = 1; id <= TOKENS; id++)
        mark_stored(id);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    free(scratch);
    scratch = NULL;
    table_memory_finish(&memory);
    return 0;
}

/* ---- a restart ---- */

static void begin(void)
{
    free(scratch);
    scratch = calloc(1, table_check_scratch_size(table));
    assert_non_null(scratch);
    table_check_begin(&check, table, scratch);
}

/* In two ranges, as two threads would. */
static void check_slots(void)
{
    token_id count = token_table_count(table);
    assert_int_equal(table_check_header(memory.base, memory.size), TABLE_SOUND);
    begin();
    table_check_slots(&check, 0, 1, count / 3);
    table_check_slots(&check, 1, count / 3 + 1, count);
}

static bool check_index(void)
{
    uint32_t last = token_table_count(table);
    table_check_index(&check, 0, last / 2);
    table_check_index(&check, last / 2 + 1, last);
    return table_repair_index(&check);
}

static void assert_one_bad(token_id id)
{
    assert_int_equal(atomic_load(&check.bad_count), 1);
    assert_int_equal(check.bad[0], id);
    assert_true(table_check_is_bad(&check, id));
    assert_false(table_check_is_bad(&check, id == 1 ? 2 : 1));
}

static void assert_token_right(token_id id)
{
    struct token token;
    struct pool pools[POOLS_MAX];
    struct address mint = address_of(1000000 + id);
    assert_true(token_is_whole(table, id));
    assert_true(token_read(table, id, &token, pools));
    assert_memory_equal(&token.mint, &mint, sizeof mint);
    assert_int_equal(token.pool_count, pools_of(id));
    for (unsigned i = 0; i < token.pool_count; i++) {
        struct pool pool = pool_of(id, i);
        assert_memory_equal(&pools[i], &pool, sizeof pool);
    }
    assert_int_equal(token_table_find(table, &mint), id);
    assert_int_equal(token_table_find_shared(table, &mint), id);
    assert_int_equal(token_column_status(table, id), token.status);
    assert_true(token_column_score(table, id) == (float)token.state.score);
}

static void assert_all_right(void)
{
    for (token_id id = 1; id <= TOKENS; id++)
        if (id != HOLE)
            assert_token_right(id);
}

/* The whole restart of a table that is to be believed. */
static bool restart(void)
{
    check_slots();
    assert_int_equal(atomic_load(&check.bad_count), 0);
    assert_int_equal(table_repair_runs(&check), TABLE_SOUND);
    bool was_rebuilt = check_index();
    assert_all_right();
    return was_rebuilt;
}

static void a_sound_table_stays_as_it_is(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++) {
        assert_false(restart());
        assert_int_equal(atomic_load(&check.tokens), TOKENS - 1);
        assert_int_equal(atomic_load(&check.holes), 1);
        assert_int_equal(atomic_load(&check.newest_snapshot), TOKENS);
        assert_int_equal(atomic_load(&check.behind_count), 0);
        assert_int_equal(table_next_behind(&check, 1), TOKEN_NONE);
    }
}

/* A restart believes the index and the runs that these leave. */
static void a_table_with_tokens_in_old_holes_is_sound(void **state)
{
    (void)state;
    for (token_id id = 7; id <= TOKENS; id += 5) {
        struct address mint = address_of(1000000 + id);
        if (id == HOLE)
            continue;
        token_table_drop(table, id);
        token_table_fill_hole(table, id, &mint);
        write_token(id, pools_of(id));
        mark_stored(id);
    }
    assert_false(restart());
    assert_int_equal(atomic_load(&check.tokens), TOKENS - 1);
}

/* Ids of snapshots are of one node each. */
static void the_newest_snapshot_is_one_of_our_own(void **state)
{
    (void)state;
    begin();
    check.snapshot_end = 40;
    table_check_slots(&check, 0, 1, token_table_count(table));
    assert_int_equal(atomic_load(&check.newest_snapshot), 39);
}

static void an_empty_table_is_sound(void **state)
{
    (void)state;
    int error;
    table_memory_finish(&memory);
    assert_true(table_memory_init(&memory, 1024, &error));
    table = memory.table;
    assert_int_equal(table_check_header(memory.base, memory.size), TABLE_SOUND);
    begin();
    assert_int_equal(table_repair_runs(&check), TABLE_SOUND);
    table_check_index(&check, 0, 0);
    assert_false(table_repair_index(&check));
}

/* ---- the header ---- */

struct field {
    const char *name;
    size_t offset, size;
    enum table_fault fault;
};

#define FIELD(member, fault)                                                                       \
    {                                                                                              \
#member, offsetof(struct token_table, member), sizeof((struct token_table *)0)->member,    \
            fault                                                                                  \
    }

static const struct field FIELDS[] = {
    FIELD(constants.magic, TABLE_NO_TABLE),
    FIELD(constants.layout, TABLE_OTHER_LAYOUT),
    FIELD(constants.capacity_max, TABLE_BAD_CONSTANTS),
    FIELD(constants.hash_key, TABLE_BAD_CONSTANTS),
    FIELD(constants.offsets, TABLE_BAD_CONSTANTS),
    FIELD(constants_check, TABLE_BAD_CONSTANTS),
    FIELD(capacity_check, TABLE_BAD_CAPACITY),
    FIELD(capacity, TABLE_BAD_CAPACITY),
    FIELD(pool_capacity, TABLE_BAD_CAPACITY),
    FIELD(dexes.entries[0], TABLE_BAD_NAMES),
    FIELD(dexes.entries[1], TABLE_BAD_NAMES),
    FIELD(quotes.entries[1], TABLE_BAD_NAMES),
};

static void every_bit_of_the_header_counts(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof FIELDS / sizeof *FIELDS; i++) {
        for (size_t bit = 0; bit < FIELDS[i].size * 8; bit++) {
            unsigned char *byte = (unsigned char *)memory.base + FIELDS[i].offset + bit / 8;
            *byte ^= (unsigned char)(1U << bit % 8);
            if (table_check_header(memory.base, memory.size) != FIELDS[i].fault)
                fail_msg("%s, bit %zu: %s", FIELDS[i].name, bit,
                         table_fault_text(table_check_header(memory.base, memory.size)));
            *byte ^= (unsigned char)(1U << bit % 8);
        }
    }
    assert_false(restart());
}

static void a_count_is_believed_only_with_its_twin(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 1, TOKENS - 1, TOKENS + 2, 1025, UINT32_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        atomic_store(&table->count, counts[i]);
        assert_int_equal(table_check_header(memory.base, memory.size), TABLE_BAD_COUNT);
    }
    atomic_store(&table->count, TOKENS);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        atomic_store(&table->bucket_count, counts[i]);
        assert_int_equal(table_check_header(memory.base, memory.size), TABLE_BAD_COUNT);
    }
    atomic_store(&table->bucket_count, TOKENS + 1);
    table->pool_used = UINT32_MAX;
    assert_int_equal(table_check_header(memory.base, memory.size), TABLE_BAD_COUNT);
}

static void counts_of_names_are_checked(void **state)
{
    (void)state;
    static const uint32_t counts[] = {0, 3, 256, 257, UINT32_MAX};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        atomic_store(&table->dexes.count, counts[i]);
        assert_int_equal(table_check_header(memory.base, memory.size), TABLE_BAD_NAMES);
    }
}

static void other_sizes_are_no_tables(void **state)
{
    (void)state;
    static const uint64_t zeros[16384];
    assert_int_equal(table_check_header(memory.base, 10), TABLE_NO_TABLE);
    assert_int_equal(table_check_header(zeros, sizeof zeros), TABLE_NO_TABLE);
    assert_int_equal(table_check_header(memory.base, memory.size - 4096), TABLE_BAD_SIZE);
    assert_int_equal(table_check_constants(memory.base, memory.size), TABLE_SOUND);
}

/* As another program might lay it out, and sign it. */
static void other_places_are_another_layout(void **state)
{
    (void)state;
    table->constants.offsets[REGION_COUNT - 1] += 64;
    table->constants_check = checksum(0, &table->constants, sizeof table->constants);
    assert_int_equal(table_check_constants(memory.base, memory.size), TABLE_OTHER_LAYOUT);
}

static void a_slot_that_is_being_written_is_not_whole(void **state)
{
    (void)state;
    assert_true(token_is_whole(table, 43));
    assert_false(token_is_changing(table, 43));
    assert_false(token_is_changing(table, TOKEN_NONE));
    assert_false(token_index_is_changing(table));
    atomic_fetch_add(&slot_of(table, 43)->sequence, 1);
    atomic_fetch_add(&table->index_sequence, 1);
    assert_false(token_is_whole(table, 43));
    assert_true(token_is_changing(table, 43));
    assert_true(token_index_is_changing(table));
}

/* ---- slots ---- */

static void flip(void *memory_at, size_t bit)
{
    ((unsigned char *)memory_at)[bit / 8] ^= (unsigned char)(1U << bit % 8);
}

static bool is_bad_now(token_id id)
{
    begin();
    return !table_check_slots(&check, 0, id, id);
}

static void every_bit_of_a_slot_counts(void **state)
{
    (void)state;
    token_id id = 44; /* it has eight pools */
    struct slot *slot = slot_of(table, id);
    struct pool *pools = pool_at(table, slot->token.pool_first);
    assert_int_equal(slot->token.pool_count, 8);
    for (size_t bit = 0; bit < sizeof slot->token * 8; bit++) {
        flip(&slot->token, bit);
        assert_true(is_bad_now(id));
        flip(&slot->token, bit);
    }
    for (size_t bit = 0; bit < 8 * sizeof *pools * 8; bit++) {
        flip(pools, bit);
        assert_true(is_bad_now(id));
        flip(pools, bit);
    }
    for (size_t bit = 0; bit < 64; bit++) {
        flip(&slot->check, bit); /* and pools_check behind it */
        assert_true(is_bad_now(id));
        flip(&slot->check, bit);
    }
    atomic_fetch_add(&slot->sequence, 1);
    check_slots();
    assert_one_bad(id);
    atomic_store(&slot->sequence, 0);
    assert_true(is_bad_now(id));
}

static void a_slot_of_another_token_is_bad(void **state)
{
    (void)state;
    *slot_of(table, 10) = *slot_of(table, 11);
    check_slots();
    assert_one_bad(10);
}

typedef void spoil(struct token *token);

static void spoil_status(struct token *token)
{
    token->status = TOKEN_STATUS_COUNT;
}
static void spoil_flags(struct token *token)
{
    token->flags |= 64;
}
static void spoil_name(struct token *token)
{
    memset(token->name, 'x', sizeof token->name);
}
static void spoil_symbol(struct token *token)
{
    memset(token->symbol, 'x', sizeof token->symbol);
}
static void spoil_birth(struct token *token)
{
    token->created_at.us = -1;
}
static void spoil_check(struct token *token)
{
    token->state.checked_at.us = INT64_MAX;
}
static void spoil_score(struct token *token)
{
    token->state.score = (double)NAN;
}
static void spoil_raw(struct token *token)
{
    token->state.raw.tx_accel = (double)INFINITY;
}
static void spoil_price(struct token *token)
{
    token->state.metrics.price_usd = -1;
}
static void spoil_dex(struct token *token)
{
    token->state.metrics.primary_dex = 2;
}
static void spoil_snapshot(struct token *token)
{
    token->state.snapshot_id = INT64_MAX;
}
static void spoil_count(struct token *token)
{
    token->pool_count = 9;
}
static void spoil_most(struct token *token)
{
    token->pool_count = POOLS_MAX + 1;
}
static void spoil_class(struct token *token)
{
    token->pool_class = RUN_CLASSES;
}
static void spoil_first(struct token *token)
{
    token->pool_first = UINT32_MAX;
}
static void spoil_end(struct token *token)
{
    token->pool_first = table->pool_used - 7;
}

/* Its checksum is right all the same: a bug of ours wrote it. */
static void figures_that_cannot_be_are_bad(void **state)
{
    (void)state;
    static spoil *const spoils[] = {
        spoil_status, spoil_flags, spoil_name,  spoil_symbol, spoil_birth,    spoil_check,
        spoil_score,  spoil_raw,   spoil_price, spoil_dex,    spoil_snapshot, spoil_count,
        spoil_most,   spoil_class, spoil_first, spoil_end,
    };
    for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) {
        struct token before = *token_slot(table, 44), spoilt = before;
        spoils[i](&spoilt);
        token_publish(table, 44, &spoilt);
        check_slots();
        assert_one_bad(44);
        token_publish(table, 44, &before);
    }
    assert_false(is_bad_now(44));
}

static void pools_that_cannot_be_are_bad(void **state)
{
    (void)state;
    for (int i = 0; i < 4; i++) {
        write_token(44, 8);
        token_write_begin(table, 44);
        struct pool *pool = &token_draft_pools(table)[3];
        if (i == 0)
            pool->liquidity_usd = -1;
        else if (i == 1)
            pool->dex = 2;
        else if (i == 2)
            pool->quote = 200;
        else
            pool->flags = 128;
        token_write_end(table, 44);
        check_slots();
        assert_one_bad(44);
    }
}

static void shared_pools_make_the_table_bad(void **state)
{
    (void)state;
    /* Checksums cannot see it where neither has written yet: both have no pools in their runs. */
    for (token_id id = 44; id <= 53; id += 9) {
        struct token token = *token_slot(table, id);
        token.pool_count = 0;
        token.pool_first = token_slot(table, 44)->pool_first + (id == 53);
        token_publish(table, id, &token);
        slot_of(table, id)->pools_check = checksum(id, NULL, 0);
    }
    for (int two_threads = 0; two_threads < 2; two_threads++) {
        begin();
        assert_true(table_check_slots(&check, 0, 1, 50));
        assert_true(table_check_slots(&check, two_threads ? 1 : 0, 51, TOKENS));
        assert_int_equal(table_repair_runs(&check), TABLE_SHARED_POOLS);
    }
}

static void many_bad_slots_make_the_table_bad(void **state)
{
    (void)state;
    for (token_id id = 1; id <= BAD_SLOTS_MAX + 1; id++) {
        slot_of(table, id * 3)->check ^= 1;
        check_slots();
        assert_int_equal(atomic_load(&check.bad_count), id);
    }
    assert_int_equal(table_repair_runs(&check), TABLE_BAD_SLOTS);
    assert_true(table_check_is_bad(&check, TOKENS)); /* nobody is believed any more */
}

static void columns_are_derived_again(void **state)
{
    (void)state;
    for (token_id id = 1; id <= TOKENS; id++) {
        ((uint8_t *)token_region(table, REGION_STATUS))[id] = 99;
        ((float *)token_region(table, REGION_SCORE))[id] = 1e30F;
    }
    assert_false(restart());
    assert_int_equal(token_column_status(table, HOLE), TOKEN_ARCHIVED);
    assert_true(isnan(token_column_score(table, HOLE)));
}

static void what_the_store_lacks_is_found(void **state)
{
    (void)state;
    struct token undurable = *token_slot(table, 64);
    undurable.flags = 0;
    token_publish(table, 64, &undurable);
    mark_stored(64); /* in the log, say, and never acknowledged */
    write_token(127, pools_of(127));
    token_mark_stored_snapshot(table, 600, 599);
    assert_false(restart());
    assert_int_equal(atomic_load(&check.behind_count), 3);
    assert_int_equal(table_next_behind(&check, 1), 64);
    assert_int_equal(table_next_behind(&check, 65), 127);
    assert_int_equal(table_next_behind(&check, 127), 127);
    assert_int_equal(table_next_behind(&check, 128), 600);
    assert_int_equal(table_next_behind(&check, 601), TOKEN_NONE);
}

static void snapshots_are_told_by_half_a_number(void **state)
{
    (void)state;
    static const int64_t ids[] = {1, 5, 4294967295, 4294967297, 10000000000};
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        token_mark_stored_snapshot(table, 1, ids[i]);
        assert_int_equal(token_stored_snapshot(table, 1, ids[i]), ids[i]);
        assert_int_equal(token_stored_snapshot(table, 1, ids[i] + 1000000), ids[i]);
    }
    token_mark_stored_snapshot(table, 1, 0);
    assert_int_equal(token_stored_snapshot(table, 1, 1000), 0);
    token_mark_stored_snapshot(table, 1, 2000);
    assert_int_equal(token_stored_snapshot(table, 1, 1000), 0); /* there is none so young */
    /* Another node's, whose ids are others: known where it is the token's newest. */
    struct token followed = *token_slot(table, 1);
    followed.state.snapshot_id = (INT64_C(2) << 48) + 7;
    token_publish(table, 1, &followed);
    assert_int_not_equal(token_stored_snapshot(table, 1, 1000), followed.state.snapshot_id);
    token_mark_stored_snapshot(table, 1, followed.state.snapshot_id);
    assert_int_equal(token_stored_snapshot(table, 1, 1000), followed.state.snapshot_id);
}

/* ---- replacing ---- */

static void replace(token_id id)
{
    struct token token = {.mint = address_of(1000000 + id), .status = TOKEN_ACTIVE};
    struct pool pools[POOLS_MAX];
    token.flags = TOKEN_DURABLE;
    token.pool_count = (uint8_t)pools_of(id);
    token.state.answers = 1;
    for (unsigned i = 0; i < token.pool_count; i++)
        pools[i] = pool_of(id, i);
    assert_true(token_table_replace(table, id, &token, pools));
}

static void a_bad_slot_is_replaced(void **state)
{
    (void)state;
    memset(&slot_of(table, 44)->token, 0xff, sizeof(struct token));
    atomic_store(&slot_of(table, 44)->sequence, 77);
    check_slots();
    assert_one_bad(44);
    assert_int_equal(table_repair_runs(&check), TABLE_SOUND);
    uint32_t used = table->pool_used;
    replace(44);
    assert_true(token_is_stored(table, 44));
    assert_true(table_check_slots(&check, 0, 44, 44));
    assert_int_equal(table->pool_used, used); /* its old run was free, and is its new one */
    assert_false(check_index());
    assert_all_right();
    assert_false(restart());
}

static void a_bad_slot_becomes_a_hole(void **state)
{
    (void)state;
    struct token token;
    struct address mint = address_of(1000000 + 44);
    slot_of(table, 44)->check ^= 1;
    check_slots();
    assert_int_equal(table_repair_runs(&check), TABLE_SOUND);
    token_table_make_hole(table, 44);
    assert_true(table_check_slots(&check, 0, 44, 44));
    assert_int_equal(atomic_load(&check.holes), 2);
    assert_true(check_index());
    assert_int_equal(token_table_find(table, &mint), TOKEN_NONE);
    assert_false(token_read(table, 44, &token, NULL));
    assert_int_equal(token_table_add(table, &mint), TOKENS + 1); /* it may come again */
    assert_token_right(45);
}

/* ---- the index ---- */

static token_id *bucket_of(token_id id)
{
    uint32_t count = atomic_load(&table->bucket_count);
    uint32_t hash = token_mint_hash(table, &slot_of(table, id)->token.mint);
    return (token_id *)token_region(table, REGION_BUCKETS) +
           bucket_for(hash, bucket_mask(count), count);
}

static token_id *chain_of(token_id id)
{
    return (token_id *)token_region(table, REGION_CHAIN) + id;
}

static void a_loop_in_a_chain_is_mended(void **state)
{
    (void)state;
    *chain_of(*bucket_of(5)) = *bucket_of(5);
    assert_true(restart());
    assert_false(restart());
}

static void a_lost_token_is_found_again(void **state)
{
    (void)state;
    *bucket_of(5) = TOKEN_NONE; /* index_grow() empties a bucket before it fills two */
    atomic_fetch_add(&table->index_sequence, 1);
    assert_true(restart());
}

static void a_token_in_a_foreign_bucket_is_moved(void **state)
{
    (void)state;
    token_id other = 6;
    while (bucket_of(other) == bucket_of(5))
        other++;
    *chain_of(*bucket_of(5)) = *bucket_of(other);
    assert_true(restart());
}

static void nonsense_in_the_index_is_mended(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 5);
    for (int round = 0; round < 50; round++) {
        for (int i = 0; i < 20; i++) {
            token_id id = 1 + (token_id)prng_below(&prng, TOKENS);
            token_id *place = prng_below(&prng, 2) ? chain_of(id) : bucket_of(id == HOLE ? 1 : id);
            *place = (token_id)prng_below(&prng, 3) ? (token_id)prng_next(&prng)
                                                    : (token_id)prng_below(&prng, TOKENS + 1);
        }
        assert_true(restart());
    }
}

/* The slot was published, and its writer died before the index knew of it. */
static void an_addition_that_was_not_finished_is(void **state)
{
    (void)state;
    struct address mint = address_of(42);
    token_id id = token_table_add(table, &mint);
    *bucket_of(id) = *chain_of(id);
    atomic_fetch_sub(&table->bucket_count, 1);
    assert_true(restart());
    assert_int_equal(token_table_find(table, &mint), id);
    struct address next = address_of(43);
    assert_int_equal(token_table_add(table, &next), id + 1);
    assert_false(restart());
    assert_int_equal(table_next_behind(&check, 1), id);
}

static void a_sequence_left_odd_is_made_even(void **state)
{
    (void)state;
    atomic_fetch_add(&table->index_sequence, 1);
    assert_false(restart());
}

/* ---- free runs ---- */

/* Whatever is given out now is nobody's yet. */
static void take_many_runs(void)
{
    struct prng prng;
    prng_seed(&prng, 6);
    for (int i = 0; i < 300; i++) {
        struct address mint = address_of(9000000 + (uint64_t)i);
        token_id id = token_table_add(table, &mint);
        write_token(id, prng_below(&prng, POOLS_MAX + 1));
    }
    assert_all_right();
}

static void broken_free_lists_are_made_anew(void **state)
{
    (void)state;
    for (size_t i = 0; i < RUN_CLASSES; i++)
        table->run_free[i] = (uint32_t)(i % 2 ? 1 : UINT32_MAX); /* token 1's, or nobody's */
    assert_false(restart());
    take_many_runs();
    assert_false(restart());
}

static uint32_t free_entries(void)
{
    uint32_t sum = 0;
    for (uint8_t i = 0; i < RUN_CLASSES; i++)
        for (uint32_t at = table->run_free[i]; at != 0;
             at = atomic_load(&free_run_at(table, at - 1)->next))
            sum += run_size(i);
    return sum;
}

static void no_entry_is_lost(void **state)
{
    (void)state;
    uint32_t taken = 0;
    for (token_id id = 1; id <= TOKENS; id++)
        taken += run_size(token_slot(table, id)->pool_class);
    assert_false(restart());
    uint32_t before = free_entries();
    assert_true(before > 100);
    assert_int_equal(taken + before, table->pool_used);
    uint32_t lists[RUN_CLASSES];
    memcpy(lists, table->run_free, sizeof lists);
    assert_false(restart());
    assert_int_equal(free_entries(), before);
    assert_memory_equal(lists, table->run_free, sizeof lists); /* runs keep their lengths */
}

static void a_draft_that_died_gives_its_run_back(void **state)
{
    (void)state;
    token_write_begin(table, 20);
    set_pools(20, POOLS_MAX);
    assert_false(restart());
    write_token(20, pools_of(20)); /* a draft can be begun again */
    take_many_runs();
    assert_false(restart());
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* Those that are to be first, in any order; then the others in ranges that have them left out. */
static void some_are_checked_before_the_others(void **state)
{
    token_id ids[60];
    (void)state;
    for (token_id i = 0; i < 60; i++)
        ids[i] = 400 - 5 * i;
    ((struct token *)(uintptr_t)token_slot(table, 395))->state.score =
        1e9; /* behind its checksum's back */
    begin();
    assert_int_equal(table_check_some(&check, ids, 60), 59);
    assert_int_equal(ids[0], 400);
    assert_int_equal(ids[1], 390);
    assert_int_equal(ids[58], 105);
    assert_one_bad(395);
    assert_int_equal(atomic_load(&check.tokens), 59);
}

/* A reader of another process has checked nothing of this. */
static void readers_stay_within_a_damaged_index(void **state)
{
    static const uint32_t counts[] = {0, 1, UINT32_MAX, UINT32_MAX / 2};
    struct address stranger = address_of(5);
    (void)state;
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
        atomic_store(&table->bucket_count, counts[i]);
        assert_int_equal(token_table_find_shared(table, &stranger), TOKEN_NONE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(a_sound_table_stays_as_it_is),
        CASE(a_table_with_tokens_in_old_holes_is_sound),
        CASE(the_newest_snapshot_is_one_of_our_own),
        CASE(an_empty_table_is_sound),
        CASE(other_places_are_another_layout),
        CASE(a_slot_that_is_being_written_is_not_whole),
        CASE(readers_stay_within_a_damaged_index),
        CASE(some_are_checked_before_the_others),
        CASE(every_bit_of_the_header_counts),
        CASE(a_count_is_believed_only_with_its_twin),
        CASE(counts_of_names_are_checked),
        CASE(other_sizes_are_no_tables),
        CASE(every_bit_of_a_slot_counts),
        CASE(a_slot_of_another_token_is_bad),
        CASE(figures_that_cannot_be_are_bad),
        CASE(pools_that_cannot_be_are_bad),
        CASE(shared_pools_make_the_table_bad),
        CASE(many_bad_slots_make_the_table_bad),
        CASE(columns_are_derived_again),
        CASE(what_the_store_lacks_is_found),
        CASE(snapshots_are_told_by_half_a_number),
        CASE(a_bad_slot_is_replaced),
        CASE(a_bad_slot_becomes_a_hole),
        CASE(a_loop_in_a_chain_is_mended),
        CASE(a_lost_token_is_found_again),
        CASE(a_token_in_a_foreign_bucket_is_moved),
        CASE(nonsense_in_the_index_is_mended),
        CASE(an_addition_that_was_not_finished_is),
        CASE(a_sequence_left_odd_is_made_even),
        CASE(broken_free_lists_are_made_anew),
        CASE(no_entry_is_lost),
        CASE(a_draft_that_died_gives_its_run_back),
    };
    return cmocka_run_group_tests_name("core.token_check", tests, NULL, NULL);
}
