#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"
#include "feed/dexscreener_parse.h"
#include "sample_answers.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FLIPS_PER_BODY 2000

static void *allocate(size_t size)
{
    void *memory = calloc(1, size);
    if (memory == NULL)
        abort();
    return memory;
}

struct fixture {
    struct answer_parser *parser;
    struct parsed_answer answer;
};

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    f->parser = answer_parser_create();
    *state = f;
    return f->parser == NULL;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    answer_parser_destroy(f->parser);
    free(f);
    return 0;
}

/* In memory of exactly the size promised, so that the address sanitizer sees what is read. */
static enum feed_outcome parse_n(struct fixture *f, const char *body, size_t length)
{
    char *padded = calloc(1, length + ANSWER_PADDING);
    memcpy(padded, body, length);
    enum feed_outcome outcome = answer_parse(f->parser, padded, length, "solana", &f->answer);
    free(padded);
    return outcome;
}

static enum feed_outcome parse(struct fixture *f, const char *body)
{
    return parse_n(f, body, strlen(body));
}

static uint32_t refused(const struct parsed_answer *answer)
{
    uint32_t sum = 0;
    for (int i = 0; i < PAIR_FIRST_REMARK; i++)
        sum += answer->issues[i];
    return sum;
}

static uint32_t remarks(const struct parsed_answer *answer)
{
    uint32_t sum = 0;
    for (int i = PAIR_FIRST_REMARK; i < PAIR_ISSUE_COUNT; i++)
        sum += answer->issues[i];
    return sum;
}

static void assert_address(const struct address *address, const char *expected)
{
    char text[ADDRESS_TEXT_MAX + 1];
    address_format(address, text);
    assert_string_equal(text, expected);
}

static void test_every_field(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(parse(f, "[" SAMPLE_PAIR_FULL "]"), FEED_OK);
    assert_int_equal(f->answer.pair_count, 1);
    assert_int_equal(refused(&f->answer) + remarks(&f->answer), 0);
    const struct pair *pair = &f->answer.pairs[0];
    assert_address(&pair->pool, SAMPLE_POOL_1);
    assert_address(&pair->base, SAMPLE_MINT);
    assert_address(&pair->quote, SAMPLE_WSOL);
    assert_string_equal(pair->base_name, "Moon Watcher");
    assert_string_equal(pair->base_symbol, "WATCH");
    assert_string_equal(pair->quote_symbol, "SOL");
    assert_string_equal(pair->dex, "raydium");
    assert_true(pair->price_usd == 0.007797 && pair->liquidity_usd == 52339.84);
    assert_true(pair->market_cap_usd == 490162871);
    assert_true(pair->volume_m5_usd == 11 && pair->volume_h1_usd == 152.95);
    assert_true(pair->volume_h24_usd == 12059.92);
    assert_true(pair->change_m5_percent == -0.2 && pair->change_h1_percent == -0.35);
    assert_true(isnan(pair->change_m15_percent));
    assert_true(pair->buys_m5 == 3 && pair->sells_m5 == 2);
    assert_true(pair->buys_h1 == 23 && pair->sells_h1 == 18);
    assert_true(pair->created_at_ms == 1734440396000);
}

static void test_absent_fields(void **state)
{
    struct fixture *f = *state;
    static const char *const bodies[] = {
        "[{\"pairAddress\":\"" SAMPLE_POOL_1 "\",\"baseToken\":{\"address\":\"" SAMPLE_MINT "\"}}]",
        "[{\"chainId\":null,\"dexId\":null,\"pairAddress\":\"" SAMPLE_POOL_1 "\",\"priceUsd\":null,"
        "\"baseToken\":{\"address\":\"" SAMPLE_MINT "\",\"name\":null,\"symbol\":null},"
        "\"quoteToken\":null,\"txns\":null,\"volume\":null,\"priceChange\":null,"
        "\"liquidity\":null,\"marketCap\":null,\"pairCreatedAt\":null}]",
        "[{\"pairAddress\":\"" SAMPLE_POOL_1 "\",\"baseToken\":{\"address\":\"" SAMPLE_MINT "\"},"
        "\"quoteToken\":{},\"txns\":{\"m5\":null,\"h1\":{\"buys\":null}},\"volume\":{\"m5\":null},"
        "\"priceChange\":{},\"liquidity\":{\"usd\":null}}]",
    };
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        assert_int_equal(parse(f, bodies[i]), FEED_OK);
        assert_int_equal(f->answer.pair_count, 1);
        assert_int_equal(refused(&f->answer) + remarks(&f->answer), 0);
        const struct pair *pair = &f->answer.pairs[0];
        assert_true(isnan(pair->price_usd) && isnan(pair->liquidity_usd));
        assert_true(isnan(pair->market_cap_usd) && isnan(pair->volume_m5_usd));
        assert_true(isnan(pair->change_m5_percent) && isnan(pair->volume_h24_usd));
        assert_true(pair->buys_m5 == 0 && pair->sells_h1 == 0 && pair->created_at_ms == 0);
        assert_string_equal(pair->dex, "");
        assert_string_equal(pair->base_name, "");
    }
}

static void test_shapes(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *body;
        enum feed_outcome outcome;
        size_t pairs;
    } rows[] = {
        {SAMPLE_ARRAY, FEED_OK, 3},
        {" \r\n\t" SAMPLE_ARRAY "\n", FEED_OK, 3},
        {SAMPLE_PAIRS, FEED_OK, 3},
        {"[]", FEED_OK, 0},
        {"{\"schemaVersion\":\"1.0.0\",\"pairs\":null}", FEED_OK, 0},
        {"{\"pairs\":[]}", FEED_OK, 0},
        {"{\"pair\":" SAMPLE_PAIR_FULL "}", FEED_OK, 1},
        {"{\"pair\":null}", FEED_OK, 0},
        {"{\"pairs\":null,\"pair\":null}", FEED_OK, 0},
        {"{\"pairs\":null,\"pair\":" SAMPLE_PAIR_FULL "}", FEED_OK, 1},
        {SAMPLE_BOTH, FEED_OK, 1},
        {"{\"pair\":" SAMPLE_PAIR_FULL ",\"pairs\":[" SAMPLE_PAIR_FULL "," SAMPLE_PAIR_FRESH "]}",
         FEED_OK, 2},
        {SAMPLE_PAIR_FULL, FEED_OK, 1},
        {"{\"p\\u0061irs\":[" SAMPLE_PAIR_FULL "]}", FEED_OK, 1},
        {"", FEED_MALFORMED, 0},
        {" \n ", FEED_MALFORMED, 0},
        {SAMPLE_ARRAY "]", FEED_MALFORMED, 0},
        {SAMPLE_ARRAY SAMPLE_ARRAY, FEED_MALFORMED, 0},
        {"{\"pairs\":[" SAMPLE_PAIR_FULL "}", FEED_MALFORMED, 0},
        {"[" SAMPLE_PAIR_FULL " " SAMPLE_PAIR_FRESH "]", FEED_MALFORMED, 0},
        {"{\"pairs\" []}", FEED_MALFORMED, 0},
        {"[", FEED_MALFORMED, 0},
        {"{", FEED_MALFORMED, 0},
        {"{}", FEED_WRONG_SHAPE, 0},
        {"{\"pairs\":7}", FEED_WRONG_SHAPE, 0},
        {"{\"pairs\":{\"a\":1}}", FEED_WRONG_SHAPE, 0},
        {"{\"error\":\"out of order\"}", FEED_WRONG_SHAPE, 0},
        {"[1,2]", FEED_WRONG_SHAPE, 0},
        {"[null]", FEED_WRONG_SHAPE, 0},
        {"[[[]]]", FEED_WRONG_SHAPE, 0},
        {"[{\"url\":\"https://x\",\"chainId\":\"solana\",\"tokenAddress\":\"" SAMPLE_MINT "\"}]",
         FEED_WRONG_SHAPE, 0},
        {"null", FEED_WRONG_SHAPE, 0},
        {"\"slow down\"", FEED_WRONG_SHAPE, 0},
        {"error code: 1015", FEED_NOT_JSON, 0},
        {"<!DOCTYPE html><html>", FEED_NOT_JSON, 0},
        {"nullify", FEED_NOT_JSON, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        enum feed_outcome outcome = parse(f, rows[i].body);
        if (outcome != rows[i].outcome || f->answer.pair_count != rows[i].pairs)
            fail_msg("%.60s: %s, %zu pairs", rows[i].body, feed_outcome_name(outcome),
                     f->answer.pair_count);
    }
}

/* A pair in which one field is replaced, between two good ones. */
static void parse_with(struct fixture *f, const char *field, const char *value)
{
    static const struct {
        const char *name, *good;
    } parts[] = {
        {"chainId", "\"solana\""},
        {"dexId", "\"orca\""},
        {"pairAddress", "\"" SAMPLE_POOL_3 "\""},
        {"baseToken", "{\"address\":\"" SAMPLE_MINT "\",\"name\":\"N\",\"symbol\":\"S\"}"},
        {"quoteToken", "{\"address\":\"" SAMPLE_WSOL "\",\"symbol\":\"SOL\"}"},
        {"priceUsd", "\"1.5\""},
        {"txns", "{\"m5\":{\"buys\":1,\"sells\":1},\"h1\":{\"buys\":2,\"sells\":2}}"},
        {"volume", "{\"m5\":5,\"h1\":6,\"h24\":7}"},
        {"priceChange", "{\"m5\":1,\"h1\":2}"},
        {"liquidity", "{\"usd\":900}"},
        {"marketCap", "5000"},
        {"pairCreatedAt", "1700000000000"},
    };
    char body[16384], *at = body, *end = body + sizeof(body);
    bool found = false;
    at += snprintf(at, (size_t)(end - at), "[" SAMPLE_PAIR_FULL ",{");
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        bool replaced = strcmp(parts[i].name, field) == 0;
        found = found || replaced;
        at += snprintf(at, (size_t)(end - at), "%s\"%s\":%s", i > 0 ? "," : "", parts[i].name,
                       replaced ? value : parts[i].good);
    }
    assert_true(found);
    at += snprintf(at, (size_t)(end - at), "}," SAMPLE_PAIR_FRESH "]");
    assert_true(at < end);
    if (parse(f, body) != FEED_OK)
        fail_msg("%s: %s costs the whole answer", field, value);
}

static void test_refused_pairs(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *field, *value;
        enum pair_issue issue;
    } rows[] = {
        {"chainId", "\"ethereum\"", PAIR_OTHER_CHAIN},
        {"chainId", "\"\"", PAIR_OTHER_CHAIN},
        {"chainId", "1", PAIR_WRONG_TYPE},
        {"dexId", "{}", PAIR_WRONG_TYPE},
        {"dexId", "[\"orca\"]", PAIR_WRONG_TYPE},
        {"dexId", "true", PAIR_WRONG_TYPE},
        {"pairAddress", "null", PAIR_NO_ADDRESS},
        {"pairAddress", "\"\"", PAIR_NO_ADDRESS},
        {"pairAddress", "\"0x88e6A0c2dDD26FEEb64F039a2c41296FcB3f5640\"", PAIR_NO_ADDRESS},
        {"pairAddress", "\"9x4rnzcvnq3hkpzybpdexzqmjuta5onvt8kwfvyc2sld\"", PAIR_NO_ADDRESS},
        {"pairAddress", "12", PAIR_WRONG_TYPE},
        {"pairAddress", "\"" SAMPLE_POOL_1 "\"", PAIR_DUPLICATE},
        {"baseToken", "null", PAIR_NO_ADDRESS},
        {"baseToken", "{}", PAIR_NO_ADDRESS},
        {"baseToken", "\"" SAMPLE_MINT "\"", PAIR_WRONG_TYPE},
        {"baseToken", "{\"address\":\"nope\"}", PAIR_NO_ADDRESS},
        {"baseToken", "{\"address\":{}}", PAIR_WRONG_TYPE},
        {"quoteToken", "[]", PAIR_WRONG_TYPE},
        {"quoteToken", "{\"symbol\":[]}", PAIR_WRONG_TYPE},
        {"priceUsd", "true", PAIR_WRONG_TYPE},
        {"priceUsd", "\"\"", PAIR_WRONG_TYPE},
        {"priceUsd", "\"cheap\"", PAIR_WRONG_TYPE},
        {"priceUsd", "\"1,5\"", PAIR_WRONG_TYPE},
        {"priceUsd", "\" 1.5\"", PAIR_WRONG_TYPE},
        {"priceUsd", "\"0x1p3\"", PAIR_WRONG_TYPE},
        {"priceUsd", "\"-1.5\"", PAIR_NEGATIVE},
        {"priceUsd", "\"NaN\"", PAIR_NOT_FINITE},
        {"priceUsd", "\"Infinity\"", PAIR_NOT_FINITE},
        {"priceUsd", "\"-inf\"", PAIR_NOT_FINITE},
        {"priceUsd", "1e999", PAIR_NOT_FINITE},
        {"priceUsd", "\"1e999\"", PAIR_NOT_FINITE},
        {"priceUsd", "1e31", PAIR_NOT_FINITE},
        {"txns", "[]", PAIR_WRONG_TYPE},
        {"txns", "{\"m5\":[]}", PAIR_WRONG_TYPE},
        {"txns", "{\"m5\":{\"buys\":-1}}", PAIR_NEGATIVE},
        {"txns", "{\"m5\":{\"buys\":1.5}}", PAIR_WRONG_TYPE},
        {"txns", "{\"h1\":{\"sells\":99999999999999999999}}", PAIR_NOT_FINITE},
        {"txns", "{\"h1\":{\"sells\":9007199254740994}}", PAIR_NOT_FINITE},
        {"txns", "{\"h1\":{\"sells\":\"many\"}}", PAIR_WRONG_TYPE},
        {"volume", "12", PAIR_WRONG_TYPE},
        {"volume", "{\"h24\":-0.01}", PAIR_NEGATIVE},
        {"volume", "{\"m5\":1e400}", PAIR_NOT_FINITE},
        {"priceChange", "{\"m5\":{}}", PAIR_WRONG_TYPE},
        {"priceChange", "{\"h1\":\"nan\"}", PAIR_NOT_FINITE},
        {"priceChange", "{\"m15\":-1e300}", PAIR_NOT_FINITE},
        {"liquidity", "{\"usd\":-1}", PAIR_NEGATIVE},
        {"liquidity", "900", PAIR_WRONG_TYPE},
        {"liquidity", "{\"usd\":false}", PAIR_WRONG_TYPE},
        {"marketCap", "1e999", PAIR_NOT_FINITE},
        {"pairCreatedAt", "1e300", PAIR_NOT_FINITE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        parse_with(f, rows[i].field, rows[i].value);
        if (f->answer.pair_count != 2 || f->answer.issues[rows[i].issue] != 1 ||
            refused(&f->answer) != 1)
            fail_msg("%s: %s: %zu pairs, %u of %s, %u refused", rows[i].field, rows[i].value,
                     f->answer.pair_count, f->answer.issues[rows[i].issue],
                     pair_issue_name(rows[i].issue), refused(&f->answer));
        assert_address(&f->answer.pairs[0].pool, SAMPLE_POOL_1);
        assert_address(&f->answer.pairs[1].pool, SAMPLE_POOL_2);
    }
}

static void test_understood_and_ignored_fields(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *field, *value;
        uint32_t ignored;
    } rows[] = {
        {"priceUsd", "1.5", 0},
        {"priceUsd", "\"1e-320\"", 0},
        {"priceUsd", "\"0\"", 0},
        {"txns", "{\"m5\":{\"buys\":\"17\",\"sells\":2.0}}", 0},
        {"txns", "{\"h24\":{\"buys\":-1},\"d7\":[]}", 0},
        {"volume", "{\"m5\":\"18942.12\",\"h6\":\"nonsense\"}", 0},
        {"priceChange", "{\"m5\":\"-12.5\",\"h1\":506678}", 0},
        {"priceChange", "{\"m15\":-99.99}", 0},
        {"liquidity", "{\"usd\":\"900\",\"base\":-5,\"quote\":[]}", 0},
        {"pairCreatedAt", "\"1700000000000\"", 0},
        {"dexId", "123", 0},
        {"marketCap", "-1", 1},
        {"marketCap", "{}", 1},
        {"marketCap", "\"large\"", 1},
        {"pairCreatedAt", "\"2024-01-01\"", 1},
        {"pairCreatedAt", "-5", 1},
        {"pairCreatedAt", "[1]", 1},
        {"baseToken", "{\"address\":\"" SAMPLE_MINT "\",\"name\":[],\"symbol\":{\"a\":[{}]}}", 2},
        {"quoteToken", "{\"address\":\"So1\",\"symbol\":\"SOL\"}", 1},
        {"quoteToken", "{\"address\":7,\"symbol\":\"SOL\"}", 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        parse_with(f, rows[i].field, rows[i].value);
        if (f->answer.pair_count != 3 || refused(&f->answer) != 0 ||
            f->answer.issues[PAIR_FIELD_IGNORED] != rows[i].ignored)
            fail_msg("%s: %s: %zu pairs, %u ignored", rows[i].field, rows[i].value,
                     f->answer.pair_count, f->answer.issues[PAIR_FIELD_IGNORED]);
    }
    parse_with(f, "txns", "{\"m5\":{\"buys\":\"17\",\"sells\":2.0}}");
    assert_true(f->answer.pairs[1].buys_m5 == 17 && f->answer.pairs[1].sells_m5 == 2);
    parse_with(f, "priceChange", "{\"m15\":\"-99.99\"}");
    assert_true(f->answer.pairs[1].change_m15_percent == -99.99);
    parse_with(f, "pairCreatedAt", "-5");
    assert_true(f->answer.pairs[1].created_at_ms == 0);
    parse_with(f, "marketCap", "-1");
    assert_true(isnan(f->answer.pairs[1].market_cap_usd));
}

static void test_duplicate_keys(void **state)
{
    struct fixture *f = *state;
    parse_with(f, "priceUsd", "\"2\",\"priceUsd\":\"3\",\"pric\\u0065Usd\":[]");
    assert_int_equal(f->answer.pair_count, 3);
    assert_int_equal(f->answer.issues[PAIR_DUPLICATE_KEY], 2);
    assert_true(f->answer.pairs[1].price_usd == 2);
    parse_with(f, "liquidity", "{\"usd\":700,\"usd\":-1},\"liquidity\":{\"usd\":5}");
    assert_int_equal(f->answer.issues[PAIR_DUPLICATE_KEY], 2);
    assert_true(f->answer.pairs[1].liquidity_usd == 700);
    assert_int_equal(parse(f, "{\"pairs\":[" SAMPLE_PAIR_FULL "],\"pairs\":null}"), FEED_OK);
    assert_int_equal(f->answer.pair_count, 1);
    assert_int_equal(f->answer.issues[PAIR_DUPLICATE_KEY], 1);
}

static void test_remarks(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *txns, *volume, *change, *liquidity;
        uint32_t quiet, still, free;
    } rows[] = {
        {"{}", "{}", "{}", "{\"usd\":10000.5}", 1, 0, 0},
        {"{}", "{}", "{}", "{\"usd\":10000}", 0, 0, 0},
        {"{\"h1\":{\"buys\":1}}", "{\"h1\":1}", "{}", "{\"usd\":20000}", 0, 0, 0},
        {"{\"m5\":{\"buys\":100,\"sells\":101}}", "{\"m5\":1}", "{}", "{}", 0, 1, 0},
        {"{\"m5\":{\"buys\":100,\"sells\":101}}", "{\"m5\":1}", "{\"m5\":0}", "{}", 0, 1, 0},
        {"{\"m5\":{\"buys\":100,\"sells\":101}}", "{\"m5\":1}", "{\"m5\":0.1}", "{}", 0, 0, 0},
        {"{\"m5\":{\"buys\":100,\"sells\":100}}", "{\"m5\":1}", "{}", "{}", 0, 0, 0},
        {"{\"m5\":{\"sells\":1}}", "{\"m5\":0}", "{}", "{}", 0, 0, 1},
        {"{\"h1\":{\"sells\":1}}", "{}", "{}", "{}", 0, 0, 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char body[2048];
        snprintf(body, sizeof(body),
                 "[{\"pairAddress\":\"" SAMPLE_POOL_1 "\",\"baseToken\":{\"address\":\"" SAMPLE_MINT
                 "\"},\"txns\":%s,\"volume\":%s,\"priceChange\":%s,\"liquidity\":%s}]",
                 rows[i].txns, rows[i].volume, rows[i].change, rows[i].liquidity);
        assert_int_equal(parse(f, body), FEED_OK);
        assert_int_equal(f->answer.pair_count, 1);
        assert_int_equal(f->answer.issues[PAIR_NO_TRANSACTIONS], rows[i].quiet);
        assert_int_equal(f->answer.issues[PAIR_NO_MOVE], rows[i].still);
        assert_int_equal(f->answer.issues[PAIR_NO_VOLUME], rows[i].free);
    }
}

static void test_names_from_strangers(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *written, *read;
    } rows[] = {
        {"\\ud83d\\ude80 to the \\\"moon\\\"", "\xf0\x9f\x9a\x80 to the \"moon\""},
        {"cut \\ud83d", "cut \xef\xbf\xbd"},
        {"a\\nb\\u0000c\\u001bd", "a b c d"},
        {"caf\xc3\xa9", "caf\xc3\xa9"},
        {"0123456789012345678901234567890123456789x", "012345678901234567890123456789012345678"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char value[512];
        snprintf(value, sizeof(value), "{\"address\":\"" SAMPLE_MINT "\",\"name\":\"%s\"}",
                 rows[i].written);
        parse_with(f, "baseToken", value);
        assert_int_equal(f->answer.pair_count, 3);
        assert_string_equal(f->answer.pairs[1].base_name, rows[i].read);
    }
}

static void test_invalid_utf8_costs_the_answer(void **state)
{
    struct fixture *f = *state;
    static const char *const names[] = {"\xff", "\xc3", "\xed\xa0\x80", "\xf8\x88\x80\x80\x80",
                                        "\xc0\xaf"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char body[512];
        snprintf(body, sizeof(body), "[{\"baseToken\":{\"name\":\"%s\"}}]", names[i]);
        assert_int_equal(parse(f, body), FEED_MALFORMED);
    }
}

static void test_over_limit(void **state)
{
    struct fixture *f = *state;
    size_t wanted = ANSWER_PAIRS_MAX + 20, size = wanted * 256;
    char *body = allocate(size), *at = body;
    at += sprintf(at, "[");
    for (size_t i = 0; i < wanted; i++) {
        struct address pool = {{1, (uint8_t)(i >> 8), (uint8_t)i}};
        char text[ADDRESS_TEXT_MAX + 1];
        address_format(&pool, text);
        at += sprintf(at, "%s{\"pairAddress\":\"%s\",\"baseToken\":{\"address\":\"%s\"}}",
                      i > 0 ? "," : "", text, SAMPLE_MINT);
    }
    sprintf(at, "]");
    assert_int_equal(parse(f, body), FEED_OK);
    assert_int_equal(f->answer.pair_count, ANSWER_PAIRS_MAX);
    assert_int_equal(f->answer.issues[PAIR_OVER_LIMIT], 20);
    assert_int_equal(refused(&f->answer), 20);
    free(body);
}

static void test_depth_and_size(void **state)
{
    struct fixture *f = *state;
    enum { DEPTH = 200000, TEXT = 3000000 };
    size_t size = TEXT + 4096;
    char *body = allocate(size);

    memset(body, '[', DEPTH);
    assert_in_range(parse_n(f, body, DEPTH), FEED_MALFORMED, FEED_WRONG_SHAPE);
    memset(body + DEPTH, ']', DEPTH);
    assert_int_equal(parse_n(f, body, 2 * (size_t)DEPTH), FEED_WRONG_SHAPE);

    size_t length = (size_t)sprintf(body, "[{\"info\":");
    memset(body + length, '[', DEPTH);
    memset(body + length + DEPTH, ']', DEPTH);
    length += 2 * (size_t)DEPTH;
    length += (size_t)sprintf(body + length, "}," SAMPLE_PAIR_FULL "]");
    assert_int_equal(parse_n(f, body, length), FEED_OK);
    assert_int_equal(f->answer.pair_count, 1);
    assert_int_equal(f->answer.issues[PAIR_NO_ADDRESS], 1);

    length = (size_t)sprintf(body, "[{\"pairAddress\":\"" SAMPLE_POOL_1
                                   "\",\"baseToken\":{\"address\":\"" SAMPLE_MINT "\",\"name\":\"");
    memset(body + length, 'x', TEXT);
    length += TEXT;
    length += (size_t)sprintf(body + length, "\"}}]");
    assert_int_equal(parse_n(f, body, length), FEED_OK);
    assert_int_equal(strlen(f->answer.pairs[0].base_name), TOKEN_NAME_SIZE - 1);

    memset(body, '9', TEXT);
    length =
        (size_t)sprintf(body, "[{\"pairAddress\":\"" SAMPLE_POOL_1
                              "\",\"baseToken\":{\"address\":\"" SAMPLE_MINT "\"},\"priceUsd\":");
    body[length] = '9';
    snprintf(body + TEXT, sizeof("}]"), "}]");
    assert_int_equal(parse_n(f, body, TEXT + 2), FEED_OK);
    assert_int_equal(f->answer.issues[PAIR_NOT_FINITE], 1);
    free(body);
    assert_int_equal(parse(f, SAMPLE_ARRAY), FEED_OK);
}

static bool is_figure(double figure)
{
    return isnan(figure) || (figure >= 0 && figure <= FIGURE_MAX);
}

static bool is_change(double figure)
{
    return isnan(figure) || fabs(figure) <= FIGURE_MAX;
}

/* Whatever came in: what comes out is what the header promises. */
static void assert_sane(const struct fixture *f, enum feed_outcome outcome)
{
    assert_true(outcome == FEED_OK || outcome == FEED_NOT_JSON || outcome == FEED_MALFORMED ||
                outcome == FEED_WRONG_SHAPE);
    assert_in_range(f->answer.pair_count, 0, ANSWER_PAIRS_MAX);
    if (outcome != FEED_OK)
        assert_int_equal(f->answer.pair_count, 0);
    for (size_t i = 0; i < f->answer.pair_count; i++) {
        const struct pair *pair = &f->answer.pairs[i];
        assert_true(is_figure(pair->price_usd) && is_figure(pair->liquidity_usd));
        assert_true(is_figure(pair->market_cap_usd) && is_figure(pair->volume_m5_usd));
        assert_true(is_figure(pair->volume_h1_usd) && is_figure(pair->volume_h24_usd));
        assert_true(is_change(pair->change_m5_percent) && is_change(pair->change_h1_percent));
        assert_true(is_change(pair->change_m15_percent) && pair->created_at_ms >= 0);
        assert_true(pair->buys_m5 >= 0 && pair->sells_m5 >= 0);
        assert_true(pair->buys_h1 >= 0 && pair->sells_h1 >= 0);
        assert_non_null(memchr(pair->base_name, '\0', sizeof(pair->base_name)));
        assert_non_null(memchr(pair->base_symbol, '\0', sizeof(pair->base_symbol)));
        assert_non_null(memchr(pair->quote_symbol, '\0', sizeof(pair->quote_symbol)));
        assert_non_null(memchr(pair->dex, '\0', sizeof(pair->dex)));
    }
}

static const char *const whole_bodies[] = {SAMPLE_ARRAY, SAMPLE_PAIRS, SAMPLE_BOTH,
                                           "{\"pair\":" SAMPLE_PAIR_SPARSE "}"};
#define WHOLE_BODIES (sizeof(whole_bodies) / sizeof(whole_bodies[0]))

static void test_cut_off_at_every_byte(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < WHOLE_BODIES; i++) {
        size_t length = strlen(whole_bodies[i]);
        for (size_t cut = 0; cut < length; cut++)
            if (parse_n(f, whole_bodies[i], cut) != FEED_MALFORMED)
                fail_msg("body %zu cut at %zu of %zu was taken", i, cut, length);
    }
}

static void test_flipped_bits(void **state)
{
    struct fixture *f = *state;
    struct prng prng;
    prng_seed(&prng, 20260703);
    for (size_t i = 0; i < WHOLE_BODIES; i++) {
        size_t length = strlen(whole_bodies[i]);
        char *body = strdup(whole_bodies[i]);
        for (int flip = 0; flip < FLIPS_PER_BODY; flip++) {
            size_t at = prng_below(&prng, length);
            char bit = (char)(1 << prng_below(&prng, 8));
            body[at] ^= bit;
            assert_sane(f, parse_n(f, body, length));
            body[at] ^= bit;
        }
        free(body);
    }
}

static void test_random_damage(void **state)
{
    struct fixture *f = *state;
    static const char spice[] = "{}[]\",:0eE-\\nu\x80\xff\x01 ";
    struct prng prng;
    prng_seed(&prng, 5);
    for (int round = 0; round < FLIPS_PER_BODY; round++) {
        const char *whole = whole_bodies[prng_below(&prng, WHOLE_BODIES)];
        size_t length = strlen(whole);
        char *body = strdup(whole);
        for (uint64_t changes = 1 + prng_below(&prng, 8); changes > 0; changes--)
            body[prng_below(&prng, length)] = spice[prng_below(&prng, sizeof(spice) - 1)];
        assert_sane(f, parse_n(f, body, length));
        free(body);
    }
    assert_int_equal(parse(f, SAMPLE_ARRAY), FEED_OK);
    assert_int_equal(f->answer.pair_count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_field),
        cmocka_unit_test(test_absent_fields),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_refused_pairs),
        cmocka_unit_test(test_understood_and_ignored_fields),
        cmocka_unit_test(test_duplicate_keys),
        cmocka_unit_test(test_remarks),
        cmocka_unit_test(test_names_from_strangers),
        cmocka_unit_test(test_invalid_utf8_costs_the_answer),
        cmocka_unit_test(test_over_limit),
        cmocka_unit_test(test_depth_and_size),
        cmocka_unit_test(test_cut_off_at_every_byte),
        cmocka_unit_test(test_flipped_bits),
        cmocka_unit_test(test_random_damage),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
