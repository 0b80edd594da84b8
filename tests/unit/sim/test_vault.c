/* What a store in memory keeps through crashes, power cuts and mishaps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sim/vault.h"
#include <stdio.h>
#include <string.h>

static struct {
    struct vault *vault;
    struct store *store;
    enum vault_mishap mishap;
    struct store_token loaded;
    uint32_t loaded_count;
    char setting[64];
} world;

static enum vault_mishap draw(void *context)
{
    (void)context;
    return world.mishap;
}

static bool take_token(void *context, const struct store_token *token)
{
    (void)context;
    world.loaded = *token;
    world.loaded_count++;
    return true;
}

static bool take_setting(void *context, const char *name, const char *value)
{
    (void)context, (void)name;
    snprintf(world.setting, sizeof world.setting, "%s", value);
    return true;
}

static const struct store_loader loader = {.on_token = take_token, .on_setting = take_setting};

/* As the next engine finds it. */
static struct store_load_report load(void)
{
    struct store_load_report report;
    world.loaded_count = 0;
    world.setting[0] = '\0';
    world.store = vault_open(world.vault);
    assert_non_null(world.store);
    assert_int_equal(store_load(world.store, &loader, &report), OK);
    return report;
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    world.vault = vault_create(draw, NULL);
    assert_non_null(world.vault);
    load();
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    store_close(world.store);
    vault_destroy(world.vault);
    return 0;
}

static struct store_token token(token_id id, double score, uint8_t pools)
{
    struct store_token made = {.id = id};
    made.token.mint.bytes[0] = (uint8_t)id;
    made.token.pool_count = pools;
    made.token.state.score = score;
    for (uint8_t i = 0; i < pools; i++)
        made.pools[i].pool.address.bytes[0] = (uint8_t)(10 * score + i);
    return made;
}

typedef enum err put(struct store *store, const struct store_token *token);

static void write(put *how, enum store_durability durability, struct store_token what)
{
    assert_int_equal(store_begin(world.store, durability), OK);
    assert_int_equal(how(world.store, &what), OK);
    assert_int_equal(store_commit(world.store), OK);
}

static void reopen(void)
{
    store_close(world.store);
    load();
}

static void expect_score(double score)
{
    assert_int_equal(world.loaded_count, 1);
    assert_true(world.loaded.token.state.score == score);
}

static void what_was_committed_is_there(void **state)
{
    (void)state;
    write(store_put_token, STORE_DURABLE, token(1, 1, 3));
    write(store_append_refresh, STORE_RELAXED, token(1, 2, 3));
    reopen();
    expect_score(2);
    assert_int_equal(world.loaded.token.pool_count, 3);
    assert_int_equal(world.loaded.pools[2].pool.address.bytes[0], 12);
    write(store_put_pools, STORE_RELAXED, token(1, 5, 1));
    reopen();
    assert_int_equal(world.loaded.token.pool_count, 1);
    assert_int_equal(world.loaded.pools[0].pool.address.bytes[0], 50);
    expect_score(2);
}

static void what_was_not_committed_is_not(void **state)
{
    (void)state;
    struct store_token second = token(1, 2, 1), other = token(2, 2, 1);
    write(store_put_token, STORE_DURABLE, token(1, 1, 2));
    assert_int_equal(store_begin(world.store, STORE_DURABLE), OK);
    assert_int_equal(store_put_token(world.store, &second), OK);
    assert_int_equal(store_put_token(world.store, &other), OK);
    assert_int_equal(store_put_setting(world.store, "a", "b"), OK);
    store_rollback(world.store);
    reopen();
    expect_score(1);
    assert_int_equal(world.loaded.token.pool_count, 2);
    assert_string_equal(world.setting, "");
}

static void power_takes_the_newest_relaxed_ones(void **state)
{
    (void)state;
    struct prng prng;
    bool was_lost = false, was_kept = false;
    for (uint64_t seed = 0; seed < 64; seed++) {
        prng_seed(&prng, seed);
        write(store_put_token, STORE_DURABLE, token(1, 1, 1));
        write(store_append_refresh, STORE_RELAXED, token(1, 2, 1));
        write(store_append_refresh, STORE_RELAXED, token(1, 3, 1));
        unsigned lost = vault_cut_power(world.vault, &prng);
        assert_in_range(lost, 0, 2);
        reopen();
        expect_score(3 - lost);
        was_lost = was_lost || lost > 0;
        was_kept = was_kept || lost < 2;
    }
    assert_true(was_lost && was_kept);
}

static void power_takes_nothing_that_was_acknowledged(void **state)
{
    (void)state;
    struct prng prng;
    for (uint64_t seed = 0; seed < 16; seed++) {
        prng_seed(&prng, seed);
        write(store_put_token, STORE_DURABLE, token(1, 1, 1));
        write(store_append_refresh, STORE_RELAXED, token(1, 2, 1));
        assert_int_equal(store_begin(world.store, STORE_DURABLE), OK);
        assert_int_equal(store_put_setting(world.store, "hot", "7"), OK);
        assert_int_equal(store_commit(world.store), OK);
        assert_int_equal(vault_cut_power(world.vault, &prng), 0);
        reopen();
        expect_score(2);
        assert_string_equal(world.setting, "7");
    }
}

/* What was appended and not checkpointed goes with its part of the log. */
static void a_pass_drops_what_was_before_it(void **state)
{
    (void)state;
    write(store_put_token, STORE_DURABLE, token(1, 1, 1));
    write(store_append_refresh, STORE_RELAXED, token(1, 2, 1));
    assert_int_equal(store_next_replayed(world.store), 1);
    assert_int_equal(store_next_replayed(world.store), TOKEN_NONE);
    store_start_pass(world.store);
    assert_int_equal(store_begin(world.store, STORE_RELAXED), OK);
    assert_int_equal(store_end_pass(world.store), OK);
    assert_int_equal(store_commit(world.store), OK);
    reopen();
    expect_score(1);
    write(store_append_refresh, STORE_RELAXED, token(1, 3, 1));
    store_start_pass(world.store);
    write(store_checkpoint_token, STORE_RELAXED, token(1, 3, 1));
    assert_int_equal(store_begin(world.store, STORE_RELAXED), OK);
    assert_int_equal(store_end_pass(world.store), OK);
    assert_int_equal(store_commit(world.store), OK);
    reopen();
    expect_score(3);
}

static void who_was_replaced_is_fenced(void **state)
{
    (void)state;
    struct store *old = world.store;
    write(store_put_token, STORE_DURABLE, token(1, 1, 1));
    uint64_t before = load().generation;
    assert_int_equal(store_begin(old, STORE_DURABLE), ERR_FENCED);
    assert_int_equal(vault_fenced(world.vault), 1);
    assert_int_equal(vault_stale_commits(world.vault), 0);
    store_close(old);
    reopen();
    struct table_store identity;
    store_identify(world.store, &identity);
    assert_int_equal(identity.generation, before + 1);
}

static void a_commit_of_the_replaced_would_be_seen(void **state)
{
    (void)state;
    struct store *old = world.store;
    struct store_token late = token(1, 1, 1);
    assert_int_equal(store_begin(old, STORE_DURABLE), OK);
    assert_int_equal(store_put_token(old, &late), OK);
    load();
    assert_int_equal(store_commit(old), OK);
    assert_int_equal(vault_stale_commits(world.vault), 1);
    store_close(old);
}

static void who_died_writes_nothing(void **state)
{
    (void)state;
    struct store_token half = token(1, 2, 1);
    write(store_put_token, STORE_DURABLE, token(1, 1, 1));
    assert_int_equal(store_begin(world.store, STORE_DURABLE), OK);
    assert_int_equal(store_put_token(world.store, &half), OK);
    vault_break(world.store);
    assert_int_equal(store_begin(world.store, STORE_DURABLE), ERR_FENCED);
    reopen();
    expect_score(1);
}

static enum err try(enum vault_mishap mishap, double score)
{
    struct store_token what = token(1, score, 1);
    world.mishap = mishap;
    enum err err = store_begin(world.store, STORE_DURABLE);
    if (err == OK)
        err = store_put_token(world.store, &what);
    if (err == OK)
        err = store_commit(world.store);
    if (err != OK)
        store_rollback(world.store);
    world.mishap = VAULT_WELL;
    reopen();
    return err;
}

static void mishaps_are_what_they_are_called(void **state)
{
    (void)state;
    assert_int_equal(try(VAULT_WELL, 1), OK);
    assert_int_equal(try(VAULT_BUSY, 2), ERR_BUSY);
    expect_score(1);
    assert_int_equal(try(VAULT_FULL, 3), ERR_FULL);
    expect_score(1);
    assert_int_equal(try(VAULT_LOST, 4), ERR_IO);
    expect_score(1);
    assert_int_equal(try(VAULT_UNTOLD, 5), ERR_IO);
    expect_score(5);
}

static void an_oracle_can_look(void **state)
{
    (void)state;
    uint8_t status = 9;
    struct address mint = token(1, 1, 0).token.mint;
    assert_false(vault_status(world.vault, 1, &status));
    write(store_put_token, STORE_DURABLE, token(1, 1, 0));
    assert_true(vault_status(world.vault, 1, &status));
    assert_int_equal(status, TOKEN_MONITORING);
    assert_true(vault_holds(world.vault, 1, &mint));
    assert_false(vault_holds(world.vault, 2, &mint));
    mint.bytes[3] = 1;
    assert_false(vault_holds(world.vault, 1, &mint));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_was_committed_is_there),
        TEST(what_was_not_committed_is_not),
        TEST(power_takes_the_newest_relaxed_ones),
        TEST(power_takes_nothing_that_was_acknowledged),
        TEST(a_pass_drops_what_was_before_it),
        TEST(who_was_replaced_is_fenced),
        TEST(a_commit_of_the_replaced_would_be_seen),
        TEST(who_died_writes_nothing),
        TEST(mishaps_are_what_they_are_called),
        TEST(an_oracle_can_look),
    };
    return cmocka_run_group_tests_name("sim.vault", tests, NULL, NULL);
}
