/* The market's answers, read by the daemon's own parser: sound ones leave nothing to remark, and
 * damaged ones cost no more than themselves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/dexscreener_parse.h"
#include "market/body.h"
#include <math.h>
#include <string.h>

#define TOKENS 1000

static const instant start_time = {INT64_C(1780000000000000)};
static struct model *model;
static struct bodies *bodies;
static struct answer_parser *parser;
static struct parsed_answer answer;
static char text[POOLS_MAX * (BODY_PAIR_MAX + 1) + ANSWER_PADDING];

static int start(void **state)
{
    (void)state;
    model = model_create(&(struct model_settings){
        .seed = 11, .tokens = TOKENS, .pools_mean = POOLS_MEAN, .start = start_time});
    bodies = bodies_create(model);
    parser = answer_parser_create();
    return model == NULL || bodies == NULL || parser == NULL;
}

static int finish(void **state)
{
    (void)state;
    answer_parser_destroy(parser);
    bodies_destroy(bodies);
    model_destroy(model);
    return 0;
}

static enum feed_outcome parse_all_of(uint32_t token, enum body_damage damage, unsigned *pairs)
{
    text[0] = '[';
    char *end = body_write_all(bodies, token, start_time, damage, text + 1, pairs);
    *end++ = ']';
    memset(end, 0, ANSWER_PADDING);
    return answer_parse(parser, text, (size_t)(end - text), "solana", &answer);
}

static void check_first_pool(const struct pair *pair, uint32_t token)
{
    struct token_life life;
    struct pool_life pool;
    struct pool_figures figures;
    struct address mint;
    model_mint(model, token, &mint);
    model_token(model, token, &life);
    model_pool(&life, 0, &pool);
    model_figures(model, &pool, start_time, &figures);
    assert_true(address_equal(&pair->base, &mint));
    assert_string_equal(pair->dex, "pumpswap");
    assert_string_equal(pair->quote_symbol, "SOL");
    assert_int_equal(pair->buys_h1, figures.buys[WINDOW_H1]);
    assert_int_equal(pair->sells_m5, figures.sells[WINDOW_M5]);
    assert_true(fabs(pair->liquidity_usd - figures.liquidity_usd) < 0.006);
    assert_true(fabs(pair->volume_h24_usd - figures.volume_usd[WINDOW_H24]) < 0.006);
    if (!pool.lacks_price)
        assert_true(fabs(pair->price_usd / figures.price_usd - 1) < 0.005);
    assert_int_equal(pair->created_at_ms / 1000, pool.created_at.us / 1000000);
}

/* Two remarks are no mistakes: a quiet hour, and a move that rounds to zero, which is rare. */
static void sound_answers_are_understood(void **state)
{
    unsigned coincidences = 0;
    (void)state;
    for (uint32_t token = 0; token < TOKENS; token++) {
        unsigned pairs;
        assert_int_equal(parse_all_of(token, BODY_SOUND, &pairs), FEED_OK);
        assert_int_equal(answer.pair_count, pairs);
        for (int issue = 0; issue < PAIR_ISSUE_COUNT; issue++)
            if (answer.issues[issue] != 0 && issue != PAIR_NO_MOVE && issue != PAIR_NO_TRANSACTIONS)
                fail_msg("token %u: %u pairs with issue %d: %s", token, answer.issues[issue], issue,
                         text);
        coincidences += answer.issues[PAIR_NO_MOVE];
        check_first_pool(&answer.pairs[0], token);
    }
    assert_true(coincidences <= TOKENS / 50);
}

static void damaged_answers_are_seen_as_such(void **state)
{
    (void)state;
    for (uint32_t token = 0; token < TOKENS; token++) {
        unsigned pairs;
        assert_int_equal(parse_all_of(token, BODY_NULLS, &pairs), FEED_OK);
        assert_int_equal(answer.pair_count, pairs);
        assert_true(isnan(answer.pairs[0].price_usd));
        assert_int_equal(parse_all_of(token, BODY_DUPLICATE_KEYS, &pairs), FEED_OK);
        assert_true(answer.issues[PAIR_DUPLICATE_KEY] > 0);
        enum feed_outcome outcome = parse_all_of(token, BODY_NANS, &pairs);
        assert_true(outcome == FEED_MALFORMED || answer.pair_count < pairs ||
                    answer.issues[PAIR_FIELD_IGNORED] > 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sound_answers_are_understood),
                                       cmocka_unit_test(damaged_answers_are_seen_as_such)};
    return cmocka_run_group_tests_name("contract", tests, start, finish);
}
