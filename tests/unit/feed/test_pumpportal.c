/* What each kind of frame means, and that damage of any kind is counted, never believed. */
#include "base/prng.h"
#include "feed/pumpportal.h"
#include "feed/source_file.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MINT      "BzqYzBGydDrwjnYVtWfupr8GFoSxpCQdTkjRppBKpump"
#define SIGNATURE "\"signature\":\"5NtFake\""
#define MIGRATION                                                                                  \
    "{" SIGNATURE ",\"mint\":\"" MINT "\",\"txType\":\"migrate\",\"pool\":\"pump-amm\"}"

#ifndef MOONWATCH_SOURCE_ROOT
#define MOONWATCH_SOURCE_ROOT "."
#endif
#define RECORDED MOONWATCH_SOURCE_ROOT "/../shared/data/market/pumpportal"

struct row {
    const char *frame;
    enum source_count meaning;
    const char *text; /* must be within what the parser says; NULL: anything */
};

static const struct row rows[] = {
    /* What the API sends. */
    {MIGRATION, SOURCE_MIGRATIONS, ""},
    {"{\"txType\":\"migrate\",\"mint\":\"" MINT "\"}", SOURCE_MIGRATIONS, ""},
    {" \r\n\t" MIGRATION "\r\n", SOURCE_MIGRATIONS, ""},
    {"{\"txType\":\"create\",\"mint\":\"" MINT "\",\"name\":\"A\",\"solAmount\":0.79}",
     SOURCE_CREATIONS, "create"},
    {"{\"txType\":\"create\",\"mint\":\"none\"}", SOURCE_CREATIONS, NULL},
    {"{\"txType\":\"create\",\"name\":\"a\\u0000b\"}", SOURCE_CREATIONS, NULL},
    {"{\"txType\":\"create\",\"initialBuy\":123456789012345678901234567890}", SOURCE_CREATIONS,
     NULL},
    {"{\"txType\":\"buy\",\"mint\":\"" MINT "\"}", SOURCE_OTHER_EVENTS, "buy"},
    {"{\"message\":\"Subscribed to 'migration' events.\"}", SOURCE_ACKS, "Subscribed"},
    {"{\"message\":\"Successfully subscribed to token creation events.\"}", SOURCE_ACKS, NULL},
    {"{\"message\":\"Successfully unsubscribed from token creation events.\"}", SOURCE_OTHER_EVENTS,
     NULL},
    {"{\"message\":\"'subscribeTokenTrade' and 'subscribeAccountTrade' methods are only available "
     "when connecting with an API key funded with at least 0.02 SOL.\"}",
     SOURCE_REFUSALS, "only available when"},
    {"{\"errors\":\"Invalid API key. PumpSwap data will not be streamed.\"}", SOURCE_REFUSALS,
     "Invalid API key"},
    {"{\"errors\":[\"a\",{\"b\":true}]}", SOURCE_REFUSALS, "[\"a\",{\"b\":true}]"},
    {"{\"errors\":null,\"message\":\"Subscribed to 'migration' events.\"}", SOURCE_ACKS, NULL},
    {"{\"message\":\"Hello\"}", SOURCE_OTHER_EVENTS, "Hello"},
    {"{}", SOURCE_OTHER_EVENTS, NULL},
    {"{\"mint\":\"" MINT "\"}", SOURCE_OTHER_EVENTS, NULL},
    {"{\"message\":17}", SOURCE_OTHER_EVENTS, NULL},
    /* Migrations of nothing. */
    {"{\"txType\":\"migrate\"}", SOURCE_BAD_MINTS, "without a mint"},
    {"{\"txType\":\"migrate\",\"mint\":null}", SOURCE_BAD_MINTS, "no string"},
    {"{\"txType\":\"migrate\",\"mint\":17}", SOURCE_BAD_MINTS, "no string"},
    {"{\"txType\":\"migrate\",\"mint\":[\"" MINT "\"]}", SOURCE_BAD_MINTS, "no string"},
    {"{\"txType\":\"migrate\",\"mint\":\"\"}", SOURCE_BAD_MINTS, NULL},
    {"{\"txType\":\"migrate\",\"mint\":\"0OIl\"}", SOURCE_BAD_MINTS, NULL},
    {"{\"txType\":\"migrate\",\"mint\":\"" MINT "x\"}", SOURCE_BAD_MINTS, NULL},
    {"{\"txType\":\"migrate\",\"mint\":\"" MINT " \"}", SOURCE_BAD_MINTS, NULL},
    {"{\"txType\":\"migrate\",\"mint\":\"" MINT "\\u0000\"}", SOURCE_BAD_MINTS, NULL},
    {"{\"txType\":\"migrate\",\"mint\":\"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz\"}",
     SOURCE_BAD_MINTS, NULL},
    /* Junk. */
    {"", SOURCE_JUNK, NULL},
    {"hello", SOURCE_JUNK, NULL},
    {"<html>", SOURCE_JUNK, NULL},
    {"null", SOURCE_JUNK, "no object"},
    {"17", SOURCE_JUNK, "no object"},
    {"\"" MINT "\"", SOURCE_JUNK, "no object"},
    {"[" MIGRATION "]", SOURCE_JUNK, "no object"},
    {MIGRATION MIGRATION, SOURCE_JUNK, NULL},
    {MIGRATION "]", SOURCE_JUNK, NULL},
    {"{\"txType\":\"migrate\",\"mint\":\"" MINT, SOURCE_JUNK, NULL},
    {"{\"txType\":17,\"mint\":\"" MINT "\"}", SOURCE_JUNK, "txType"},
    {"{\"txType\":[\"migrate\"],\"mint\":\"" MINT "\"}", SOURCE_JUNK, "txType"},
    {"{\"txType\":null,\"mint\":\"" MINT "\"}", SOURCE_JUNK, "txType"},
    {"{\"txType\":\"migrate\",\"mint\":\"" MINT "\",\"mint\":\"" MINT "\"}", SOURCE_JUNK,
     "duplicate"},
    {"{\"txType\":\"migrate\",\"mint\":\"" MINT "\",\"x\":NaN}", SOURCE_JUNK, NULL},
    {"{\"txType\":\"migrate\",\"mint\":\"\xC3\x28\"}", SOURCE_JUNK, NULL},
    {"{\"txType\":\"migrate\",\"name\":\"\\ud800\",\"mint\":\"" MINT "\"}", SOURCE_JUNK, NULL},
};

static void assert_clean(const char *text)
{
    for (; *text; text++) {
        assert_true((unsigned char)*text >= 0x20 && *text != 0x7f);
    }
}

static void test_meanings(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        /* An exact copy on the heap, so that reading beyond it is seen. */
        size_t length = strlen(rows[i].frame);
        char *copy = malloc(length ? length : 1);
        assert_non_null(copy);
        memcpy(copy, rows[i].frame, length);
        struct pumpportal_frame frame;
        pumpportal_parse(copy, length, &frame);
        free(copy);
        if (frame.meaning != rows[i].meaning ||
            (rows[i].text && !strstr(frame.text, rows[i].text))) {
            fail_msg("%s: is %s, \"%s\"", rows[i].frame, source_count_name(frame.meaning),
                     frame.text);
        }
        assert_clean(frame.text);
    }
}

static void test_token(void **state)
{
    struct pumpportal_frame frame;
    char mint[ADDRESS_TEXT_MAX + 1];
    static const char text[] =
        "{\"txType\":\"migrate\",\"mint\":\"" MINT "\",\"name\":\"A\\n\\u0007"
        "0123456789012345678901234567890123456789\",\"symbol\":5}";
    (void)state;
    pumpportal_parse(text, strlen(text), &frame);
    assert_int_equal(frame.meaning, SOURCE_MIGRATIONS);
    address_format(&frame.token.mint, mint);
    assert_string_equal(mint, MINT);
    assert_clean(frame.token.name);
    assert_memory_equal(frame.token.name, "A  0123", 7);
    assert_true(strlen(frame.token.name) < TOKEN_NAME_SIZE);
    assert_string_equal(frame.token.symbol, "");
}

static char *repeat(const char *piece, size_t times, const char *end)
{
    size_t length = strlen(piece);
    char *text = malloc(length * times + strlen(end) + 1);
    assert_non_null(text);
    for (size_t i = 0; i < times; i++) {
        memcpy(text + i * length, piece, length);
    }
    strcpy(text + length * times, end);
    return text;
}

static void test_huge_and_nested(void **state)
{
    (void)state;
    struct pumpportal_frame frame;
    char *text = repeat(" ", PUMPPORTAL_FRAME_MAX, MIGRATION);
    pumpportal_parse(text, strlen(text), &frame);
    assert_int_equal(frame.meaning, SOURCE_TOO_LARGE);
    pumpportal_parse(text + strlen(MIGRATION), PUMPPORTAL_FRAME_MAX, &frame);
    assert_int_equal(frame.meaning, SOURCE_MIGRATIONS);
    free(text);

    text = repeat("{\"a\":", PUMPPORTAL_FRAME_MAX / 5, "");
    pumpportal_parse(text, strlen(text), &frame);
    assert_int_equal(frame.meaning, SOURCE_JUNK);
    free(text);

    text = repeat("[", PUMPPORTAL_FRAME_MAX, "");
    pumpportal_parse(text, strlen(text), &frame);
    assert_int_equal(frame.meaning, SOURCE_JUNK);
    free(text);

    text = repeat("A", 5000, "\"}");
    memcpy(text, "{\"errors\":\"", 11);
    pumpportal_parse(text, strlen(text), &frame);
    assert_int_equal(frame.meaning, SOURCE_REFUSALS);
    assert_true(strlen(frame.text) < PUMPPORTAL_TEXT_SIZE);
    free(text);
}

static void test_recorded_lines(void **state)
{
    static const struct row lines[] = {
        {"{\"t_wall\": 1783089926.08, \"raw\": \"{\\\"txType\\\":\\\"migrate\\\",\\\"mint\\\":"
         "\\\"" MINT "\\\"}\"}",
         SOURCE_MIGRATIONS, ""},
        {MIGRATION, SOURCE_MIGRATIONS, ""},
        {"{\"t_wall\":1,\"raw\":\"hello\"}", SOURCE_JUNK, NULL},
        {"{\"t_wall\":1,\"raw\":{}}", SOURCE_JUNK, "raw"},
        {"{\"t_wall\":1,\"raw\":\"{\\\"raw\\\":\\\"{}\\\"}\"}", SOURCE_OTHER_EVENTS, NULL},
        {"{\"t_wall\":1}", SOURCE_OTHER_EVENTS, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
        struct pumpportal_frame frame;
        pumpportal_parse_recorded(lines[i].frame, strlen(lines[i].frame), &frame);
        if (frame.meaning != lines[i].meaning) {
            fail_msg("%s: is %s", lines[i].frame, source_count_name(frame.meaning));
        }
    }
}

/* Every damage is taken without a crash, and a mint that comes out of it is the one that went in.
 */
static void test_damage(void **state)
{
    struct prng prng;
    char mint[ADDRESS_TEXT_MAX + 1];
    (void)state;
    prng_seed(&prng, 7);
    for (int i = 0; i < 100000; i++) {
        char text[] = MIGRATION;
        size_t length = strlen(text);
        for (uint64_t n = prng_below(&prng, 4); n > 0; n--) {
            text[prng_below(&prng, length)] ^= (char)(1 << prng_below(&prng, 8));
        }
        length = prng_below(&prng, 4) ? length : (size_t)prng_below(&prng, length);
        struct pumpportal_frame frame;
        pumpportal_parse(text, length, &frame);
        assert_in_range(frame.meaning, 0, SOURCE_FRAME_COUNTS - 1);
        if (frame.meaning == SOURCE_MIGRATIONS) {
            address_format(&frame.token.mint, mint);
            assert_non_null(memmem(text, length, mint, strlen(mint)));
        }
    }
}

static void read_recorded(const char *name, uint64_t counts[SOURCE_COUNT_COUNT], uint64_t *lines)
{
    char path[512];
    static char line[SOURCE_LINE_MAX];
    snprintf(path, sizeof path, RECORDED "/%s", name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    while (fgets(line, sizeof line, file)) {
        struct pumpportal_frame frame;
        pumpportal_parse_recorded(line, strlen(line), &frame);
        counts[frame.meaning]++;
        ++*lines;
        bool says_migrate = strstr(line, "\\\"txType\\\":\\\"migrate\\\"") != NULL;
        assert_int_equal(frame.meaning == SOURCE_MIGRATIONS, says_migrate);
    }
    fclose(file);
}

static void test_recorded_frames(void **state)
{
    uint64_t counts[SOURCE_COUNT_COUNT] = {0};
    uint64_t lines = 0;
    uint64_t sum = 0;
    (void)state;
    DIR *folder = opendir(RECORDED);
    if (!folder) {
        /* Not by skip(): this cmocka calls that "not ok", which counts as a failure. */
        print_message("# skipped: no recorded data\n");
        return;
    }
    for (const struct dirent *entry; (entry = readdir(folder));) {
        if (strstr(entry->d_name, ".jsonl")) {
            read_recorded(entry->d_name, counts, &lines);
        }
    }
    closedir(folder);
    for (int i = 0; i < SOURCE_FRAME_COUNTS; i++) {
        sum += counts[i];
    }
    assert_int_equal(sum, lines);
    assert_int_equal(counts[SOURCE_MIGRATIONS], 6);
    assert_int_equal(counts[SOURCE_CREATIONS], 130);
    assert_int_equal(counts[SOURCE_ACKS], 4);
    assert_int_equal(counts[SOURCE_REFUSALS], 3);
    assert_int_equal(counts[SOURCE_JUNK] + counts[SOURCE_OTHER_EVENTS], 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_meanings),        cmocka_unit_test(test_token),
        cmocka_unit_test(test_huge_and_nested), cmocka_unit_test(test_recorded_lines),
        cmocka_unit_test(test_damage),          cmocka_unit_test(test_recorded_frames),
    };
    return cmocka_run_group_tests_name("pumpportal", tests, NULL, NULL);
}
