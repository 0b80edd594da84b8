/* The simulated upstream's bytes mean what they were made of, or are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "sim/body.h"
#include "sim/upstream.h"
#include <math.h>
#include <string.h>

#define NOW    ((instant){1750000000000000LL})
#define TOKENS 8

static struct {
    struct upstream upstream;
    struct body_writer *writer;
    struct answer_parser *parser;
    struct parsed_answer parsed;
    struct pair pairs[UPSTREAM_PAIRS_MAX];
    struct prng prng;
} world;

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    upstream_init(&world.upstream, 5, LIMITER_SLIDING, 300, NOW);
    world.writer = body_writer_create(TOKENS);
    world.parser = answer_parser_create();
    assert_true(world.writer != NULL && world.parser != NULL);
    prng_seed(&world.prng, 1);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    body_writer_destroy(world.writer);
    answer_parser_destroy(world.parser);
    return 0;
}

static size_t make_pairs(enum lane_kind lane, size_t tokens)
{
    struct address mints[TOKENS];
    for (uint32_t n = 0; n < tokens; n++)
        mints[n] = upstream_mint(&world.upstream, n, LIFE_ACTIVE);
    return upstream_answer(&world.upstream, lane, mints, tokens, NOW, world.pairs);
}

static enum feed_outcome read(enum lane_kind lane, size_t count, enum body_damage damage)
{
    size_t length;
    const char *body =
        body_write(world.writer, lane, world.pairs, count, damage, &world.prng, &length);
    return body_read(world.parser, body, length, &world.parsed);
}

static void assert_near(double value, double expected)
{
    assert_true(isnan(expected) ? isnan(value)
                                : fabs(value - expected) <= 0.01 + 1e-3 * fabs(expected));
}

static void expect_same(const struct pair *a, const struct pair *b)
{
    assert_true(address_equal(&a->pool, &b->pool) && address_equal(&a->base, &b->base) &&
                address_equal(&a->quote, &b->quote));
    assert_string_equal(a->dex, b->dex);
    assert_string_equal(a->quote_symbol, b->quote_symbol);
    assert_near(a->price_usd, b->price_usd);
    assert_near(a->liquidity_usd, b->liquidity_usd);
    assert_near(a->volume_h1_usd, b->volume_h1_usd);
    assert_near(a->volume_m5_usd, b->volume_m5_usd);
    assert_near(a->change_m5_percent, b->change_m5_percent);
    assert_near(a->change_h1_percent, b->change_h1_percent);
    assert_int_equal(a->buys_m5, b->buys_m5);
    assert_int_equal(a->sells_h1, b->sells_h1);
}

static void sound_bytes_mean_what_they_were_made_of(void **state)
{
    (void)state;
    for (int twice = 0; twice < 2; twice++) /* the second time what never changes is kept */
        for (int lane = 0; lane < LANE_KIND_COUNT; lane++) {
            size_t count = make_pairs(LANE_SCREEN, lane == LANE_DISCOVER ? 1 : TOKENS);
            assert_int_equal(read((enum lane_kind)lane, count, BODY_SOUND), FEED_OK);
            assert_int_equal(world.parsed.pair_count, count);
            for (size_t i = 0; i < count; i++)
                expect_same(&world.parsed.pairs[i], &world.pairs[i]);
        }
}

static void nothing_known_is_no_damage(void **state)
{
    (void)state;
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++) {
        assert_int_equal(read((enum lane_kind)lane, 0, BODY_SOUND), FEED_OK);
        assert_int_equal(world.parsed.pair_count, 0);
    }
}

/* A pair whose token is another one, once, must not stay so in what is kept. */
static void what_is_kept_is_of_this_pair(void **state)
{
    (void)state;
    make_pairs(LANE_SCREEN, 1);
    world.pairs[0].base.bytes[31] ^= 0x55;
    assert_int_equal(read(LANE_SCREEN, 1, BODY_SOUND), FEED_OK);
    make_pairs(LANE_SCREEN, 1);
    assert_int_equal(read(LANE_SCREEN, 1, BODY_SOUND), FEED_OK);
    expect_same(&world.parsed.pairs[0], &world.pairs[0]);
}

static void damage_is_seen(void **state)
{
    (void)state;
    size_t count = make_pairs(LANE_SCREEN, TOKENS);
    assert_int_equal(read(LANE_SCREEN, count, DAMAGE_PAGE), FEED_FORBIDDEN);
    assert_int_equal(read(LANE_SCREEN, count, DAMAGE_1015), FEED_RATE_LIMITED);
    assert_int_equal(read(LANE_SCREEN, count, DAMAGE_NOTHING), FEED_MALFORMED);
    assert_int_not_equal(read(LANE_SCREEN, count, DAMAGE_DEEP), FEED_OK);
    assert_int_equal(read(LANE_SCREEN, count, DAMAGE_TYPES), FEED_OK);
    assert_int_equal(world.parsed.pair_count, 0);
    assert_true(world.parsed.issues[PAIR_WRONG_TYPE] > 0);
}

/* Whatever is drawn: an outcome, and pairs with figures that a market can have. */
static void no_damage_gets_through(void **state)
{
    (void)state;
    unsigned refused = 0;
    for (int n = 0; n < 4000; n++) {
        enum body_damage damage = (enum body_damage)(n % BODY_SOUND);
        size_t count = make_pairs(LANE_SCREEN, TOKENS);
        enum feed_outcome outcome = read((enum lane_kind)(n % 2), count, damage);
        assert_in_range(outcome, 0, FEED_OUTCOME_COUNT - 1);
        refused += outcome != FEED_OK;
        for (size_t i = 0; outcome == FEED_OK && i < world.parsed.pair_count; i++) {
            const struct pair *pair = &world.parsed.pairs[i];
            assert_true(isnan(pair->liquidity_usd) ||
                        (pair->liquidity_usd >= 0 && isfinite(pair->liquidity_usd)));
            assert_true(pair->buys_m5 >= 0 && pair->sells_m5 >= 0);
        }
    }
    assert_in_range(refused, 1000, 3000);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(sound_bytes_mean_what_they_were_made_of),
        TEST(nothing_known_is_no_damage),
        TEST(what_is_kept_is_of_this_pair),
        TEST(damage_is_seen),
        TEST(no_damage_gets_through),
    };
    return cmocka_run_group_tests_name("sim.body", tests, NULL, NULL);
}
