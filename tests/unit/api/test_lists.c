/* Lists that are kept: as fresh as if they were made for each request, tagged, compressed. */
#include "api/list_cache.h"
#include "base/clock.h"
#include "world.h"

#include <libdeflate.h>
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define LIST    "/tokens?limit=50"
#define READERS 6
#define ROUNDS  300

static struct world world;

static struct answer_read get(const char *target, const char *headers, int status)
{
    struct answer_read answer = http_ask(&world, "GET", target, headers, NULL);
    if (answer.status != status)
        fail_msg("%s: %d %s", target, answer.status, answer.body);
    return answer;
}

static void get_tag(const char *target, const char *headers, char out[64])
{
    struct answer_read answer = get(target, headers, 200);
    snprintf(out, 64, "%s", http_header(&answer, "ETag"));
    http_free(&answer);
}

static void set_score(token_id id, double score)
{
    struct token *token = token_write_begin(world.memory.table, id);
    token->state.score = score;
    token_write_end(world.memory.table, id);
}

/* The tag is that of the content: it comes back with it. */
static void test_tags(void **state)
{
    (void)state;
    static const char *const targets[] = {LIST, "/settings", "/settings/schema", "/openapi.json",
                                          "/notarb/pools"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        char tag[64], again[64], known[128];
        get_tag(targets[i], NULL, tag);
        get_tag(targets[i], NULL, again);
        assert_string_equal(tag, again);
        snprintf(known, sizeof known, "If-None-Match: \"other\", W/%s\r\n", tag);
        struct answer_read answer = get(targets[i], known, 304);
        assert_int_equal(answer.body_length, 0);
        assert_string_equal(http_header(&answer, "ETag"), tag);
        http_free(&answer);
        answer = get(targets[i], "If-None-Match: \"other\"\r\n", 200);
        assert_string_equal(http_header(&answer, "Cache-Control"), "no-cache");
        assert_string_equal(http_header(&answer, "Vary"), "Accept-Encoding");
        http_free(&answer);
    }
    char before[64], changed[64], back[64];
    set_score(1, 0.5);
    get_tag(LIST, NULL, before);
    set_score(1, 0.75);
    get_tag(LIST, NULL, changed);
    set_score(1, 0.5);
    get_tag(LIST, NULL, back);
    assert_string_not_equal(before, changed);
    assert_string_equal(before, back);
}

static void test_packed(void **state)
{
    (void)state;
    static char unpacked[1 << 20];
    struct answer_read plain = get(LIST, NULL, 200);
    struct answer_read packed = get(LIST, "Accept-Encoding: br, gzip;q=0.5\r\n", 200);
    assert_string_equal(http_header(&packed, "Content-Encoding"), "gzip");
    assert_true(packed.body_length * 3 < plain.body_length);
    size_t length = 0;
    struct libdeflate_decompressor *unpacker = libdeflate_alloc_decompressor();
    assert_int_equal(libdeflate_gzip_decompress(unpacker, packed.body, packed.body_length, unpacked,
                                                sizeof unpacked, &length),
                     LIBDEFLATE_SUCCESS);
    libdeflate_free_decompressor(unpacker);
    assert_int_equal(length, plain.body_length);
    assert_memory_equal(unpacked, plain.body, length);
    char *tag = strdup(http_header(&plain, "ETag")); /* another form has another tag */
    assert_string_not_equal(tag, http_header(&packed, "ETag"));
    free(tag);
    http_free(&plain);
    http_free(&packed);
    static const char *const others[] = {"Accept-Encoding: gzip;q=0\r\n",
                                         "Accept-Encoding: identity\r\n",
                                         "Accept-Encoding: xgzip, gzipx\r\n"};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct answer_read answer = get(LIST, others[i], 200);
        assert_null(http_header(&answer, "Content-Encoding"));
        http_free(&answer);
    }
    /* What is short stays as it is. */
    struct answer_read answer = get("/settings/weights", "Accept-Encoding: gzip\r\n", 200);
    assert_null(http_header(&answer, "Content-Encoding"));
    http_free(&answer);
}

/* Groups and ages change without the table's version: such lists are made anew. */
static void test_groups(void **state)
{
    (void)state;
    for (int round = 0; round < 2; round++) {
        token_set_group(world.memory.table, 5, round == 0 ? GROUP_HOT : GROUP_COLD);
        struct answer_read answer = get("/tokens?group=hot&min_score=-1", NULL, 200);
        assert_non_null(strstr(answer.body, round == 0 ? "\"total\":1," : "\"total\":0,"));
        http_free(&answer);
    }
    static const char *const youngest[] = {"T7", "T8"};
    instant now = clock_now();
    for (int round = 0; round < 2; round++) {
        token_table_links(world.memory.table, LINKS_PRICE)[7 + round].stamp =
            instant_add(now, duration_ms(-1000 + 500 * round));
        struct answer_read answer = get("/tokens?sort=age_asc&min_score=-1&limit=1", NULL, 200);
        if (strstr(answer.body, youngest[round]) == NULL)
            fail_msg("%s: %s", youngest[round], answer.body);
        http_free(&answer);
    }
}

/* More lists than are kept, in turn. */
static void test_many_lists(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++) {
        char target[64], wanted[64];
        snprintf(target, sizeof target, "/tokens?limit=1&offset=%d", i % 40);
        snprintf(wanted, sizeof wanted, "\"offset\":%d,", i % 40);
        struct answer_read answer = get(target, NULL, 200);
        assert_non_null(strstr(answer.body, wanted));
        http_free(&answer);
    }
}

/* ---- many readers and a writer ---- */

static _Atomic uint32_t written; /* the score that token 1 has at least, in thousandths */

static void *read_lists(void *argument)
{
    int *stale = argument;
    for (int i = 0; i < ROUNDS; i++) {
        uint32_t least = atomic_load(&written);
        struct answer_read answer = http_ask(&world, "GET", LIST, NULL, NULL);
        const char *score = strstr(answer.body, "\"score\":");
        *stale += answer.status != 200 || score == NULL ||
                  strtod(score + strlen("\"score\":"), NULL) * 1000 < least - 0.5;
        http_free(&answer);
    }
    return NULL;
}

/* No list is older than the request for it. */
static void test_as_fresh_as_asked(void **state)
{
    (void)state;
    pthread_t threads[READERS];
    int stale[READERS] = {0};
    atomic_store(&written, 1000);
    set_score(1, 1);
    for (int i = 0; i < READERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, read_lists, &stale[i]), 0);
    for (uint32_t score = 1001; score < 3000; score++) {
        set_score(1, score / 1000.0);
        atomic_store(&written, score);
        struct timespec moment = {0, 200000};
        nanosleep(&moment, NULL);
    }
    for (int i = 0; i < READERS; i++) {
        pthread_join(threads[i], NULL);
        assert_int_equal(stale[i], 0);
    }
}

/* From here on lists are made aside. */
static void test_of_many(void **state)
{
    struct token_table *table = world.memory.table;
    for (uint32_t i = token_table_count(table); i <= LIST_AT_ONCE_MAX; i++)
        world_add(&world, i + 1, TOKEN_MONITORING, 0.5);
    assert_true(token_table_count(table) > LIST_AT_ONCE_MAX);
    test_tags(state);
    test_many_lists(state);
}

static int start(void **state)
{
    (void)state;
    world_start(&world, "");
    for (uint32_t i = 1; i <= 300; i++)
        world_add(&world, i, TOKEN_MONITORING, 0.5);
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
        cmocka_unit_test(test_tags),
        cmocka_unit_test(test_packed),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_many_lists),
        cmocka_unit_test(test_as_fresh_as_asked),
        cmocka_unit_test(test_of_many),
        cmocka_unit_test(test_as_fresh_as_asked),
    };
    return cmocka_run_group_tests_name("lists", tests, start, stop);
}
