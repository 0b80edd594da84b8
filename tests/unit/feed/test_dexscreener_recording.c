#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/dexscreener_parse.h"
#include "feed/dexscreener_recording.h"
#include "sample_answers.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PROFILE                                                                                    \
    "{\"url\":\"u\",\"chainId\":\"solana\",\"tokenAddress\":\"t\",\"links\":[{\"url\":\"l\"}]}"

/* Pairs that come out of a recording, or -1 when it is refused. */
static int count_pairs(const char *text, char why[RECORDING_WHY_SIZE])
{
    char *answer;
    size_t length;
    why[0] = '\0';
    if (recording_find_answer(text, strlen(text), &answer, &length, why) != OK) {
        assert_null(answer);
        return -1;
    }
    struct answer_parser *parser = answer_parser_create();
    struct parsed_answer *parsed = calloc(1, sizeof(*parsed));
    int pairs = -2;
    if (answer_parse(parser, answer, length, "solana", parsed) == FEED_OK)
        pairs = (int)parsed->pair_count;
    free(parsed);
    answer_parser_destroy(parser);
    free(answer);
    return pairs;
}

static void test_found(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int pairs;
    } rows[] = {
        {SAMPLE_ARRAY, 3},
        {SAMPLE_PAIRS, 3},
        {SAMPLE_PAIR_FULL, 1},
        {"{\"pair\":" SAMPLE_PAIR_FULL "}", 1},
        {"[]", 0},
        {"{\"pairs\":[]}", 0},
        {"{\"schemaVersion\":\"1.0.0\",\"pairs\":null}", 0},
        {"{\"name\":\"x\",\"url\":\"u\",\"headers\":{\"a\":[]},\"body\":" SAMPLE_PAIRS "}", 3},
        {"{\"chain\":\"solana\",\"limit\":10,\"raw\":" SAMPLE_PAIRS "}", 3},
        {"{\"other\":{\"pairs\":\"no\",\"a\":[1]},\"dexscreener\":" SAMPLE_ARRAY "}", 3},
        {"{\"response\":{\"data\":" SAMPLE_ARRAY "}}", 3},
        {"[{\"request\":1,\"body\":" SAMPLE_ARRAY "}]", 3},
        {"{\"rentEpoch\":18446744073709552000,\"dexscreener\":" SAMPLE_PAIRS "}", 3},
        {"{\"body\":\"{\\\"pairs\\\":null}\"}", 0},
        {"[{\"pairAddress\":\"" SAMPLE_POOL_1 "\",\"baseToken\":{\"address\":\"" SAMPLE_MINT
         "\",\"name\":\"\\ud83d\"}}]",
         1},
        {"[{\"priceUsd\":1e999,\"pairAddress\":\"" SAMPLE_POOL_1 "\"}]", 0},
    };
    char why[RECORDING_WHY_SIZE];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int pairs = count_pairs(rows[i].text, why);
        if (pairs != rows[i].pairs)
            fail_msg("%.80s: %d pairs; %s", rows[i].text, pairs, why);
    }
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } rows[] = {
        {"", "no JSON: line"},
        {"<html>", "no JSON: line 1"},
        {"{\"pairs\":[", "no JSON: line 1"},
        {"[{}\n,]", "line 2"},
        {"{}", "an object with the keys (none)"},
        {"[1,2,3]", "an array of 3"},
        {"{\"name\":1,\"a\":2,\"b\":3,\"c\":4,\"d\":5}", "\"name\", \"a\", \"b\", \"c\"…"},
        {"[" PROFILE "," PROFILE "]", "it is a list of 2 objects with the keys \"url\""},
        {"{\"headers\":{},\"body\":[" PROFILE "]}", "\"body\" is a list of 1 objects"},
        {"{\"pairs\":[\"SOL/USDC\"]}", "no pairs"},
        {"{\"a\":{\"b\":{\"c\":{\"d\":{\"e\":" SAMPLE_ARRAY "}}}}}", "no pairs"},
        {"{\"a\\u001b[31m\":1}", "\"a [31m\""},
    };
    char why[RECORDING_WHY_SIZE];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        assert_int_equal(count_pairs(rows[i].text, why), -1);
        if (strstr(why, rows[i].words) == NULL)
            fail_msg("%.60s: %s", rows[i].text, why);
    }
}

/* An answer that stands by itself keeps what jansson would lose. */
static void test_untouched(void **state)
{
    (void)state;
    static const char text[] = " [{\"pairAddress\":\"x\",\"pairAddress\":\"y\",\"n\":1.10}]\n";
    char why[RECORDING_WHY_SIZE], *answer;
    size_t length;
    assert_int_equal(recording_find_answer(text, strlen(text), &answer, &length, why), OK);
    assert_int_equal(length, strlen(text));
    assert_memory_equal(answer, text, length);
    for (size_t i = 0; i < ANSWER_PADDING; i++)
        assert_int_equal(answer[length + i], 0);
    free(answer);
}

static void test_wide_and_deep(void **state)
{
    (void)state;
    enum { COUNT = 100000 };
    char why[RECORDING_WHY_SIZE], *text = calloc(3, COUNT);
    text[0] = '[';
    for (size_t i = 0; i < COUNT; i++)
        memcpy(text + 1 + 2 * i, "1,", 2);
    text[2 * COUNT] = ']';
    assert_int_equal(count_pairs(text, why), -1);
    assert_non_null(strstr(why, "array of 100000"));
    memset(text, '[', COUNT);
    text[COUNT] = '\0';
    assert_int_equal(count_pairs(text, why), -1);
    assert_non_null(strstr(why, "no JSON"));
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_found),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_untouched),
        cmocka_unit_test(test_wide_and_deep),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
