/* Pair objects: JSON, of the recorded shape and size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "market/body.h"
#include <jansson.h>
#include <string.h>

#define TOKENS 1500

static const instant start_time = {INT64_C(1780000000000000)};
static struct model *model;
static struct bodies *bodies;
static char text[POOLS_MAX * (BODY_PAIR_MAX + 1) + BODY_NAMES_MAX];

static int start(void **state)
{
    (void)state;
    model = model_create(&(struct model_settings){
        .seed = 5, .tokens = TOKENS, .pools_mean = POOLS_MEAN, .start = start_time});
    bodies = bodies_create(model);
    return model == NULL || bodies == NULL;
}

static int finish(void **state)
{
    (void)state;
    bodies_destroy(bodies);
    model_destroy(model);
    return 0;
}

static json_t *main_pair(uint32_t token, instant now, enum body_damage damage)
{
    char *end = body_write_main(bodies, token, now, damage, text);
    json_error_t error;
    json_t *pair = json_loadb(text, (size_t)(end - text), 0, &error);
    if (pair == NULL)
        fail_msg("token %u: %s: %.*s", token, error.text, (int)(end - text), text);
    return pair;
}

static void pairs_are_json_with_the_recorded_keys(void **state)
{
    static const char *const always[] = {
        "chainId", "dexId",  "url",         "pairAddress", "baseToken",    "quoteToken",
        "txns",    "volume", "priceChange", "priceNative", "pairCreatedAt"};
    (void)state;
    for (uint32_t token = 0; token < TOKENS; token++) {
        json_t *pair = main_pair(token, start_time, BODY_SOUND);
        for (size_t i = 0; i < sizeof always / sizeof always[0]; i++)
            assert_non_null(json_object_get(pair, always[i]));
        struct address mint;
        char address[ADDRESS_TEXT_MAX + 1];
        model_mint(model, token, &mint);
        address_format(&mint, address);
        assert_string_equal(
            json_string_value(json_object_get(json_object_get(pair, "baseToken"), "address")),
            address);
        assert_true(json_is_string(json_object_get(pair, "priceNative")));
        assert_int_equal(json_object_size(json_object_get(pair, "volume")), 4);
        json_decref(pair);
    }
}

/* Recorded: 1,291 bytes a pair with info, 770 without. */
static void bodies_are_as_long_as_recorded(void **state)
{
    double with = 0, without = 0;
    unsigned with_count = 0, without_count = 0;
    (void)state;
    for (uint32_t token = 0; token < TOKENS; token++) {
        char *end = body_write_main(bodies, token, start_time, BODY_SOUND, text);
        *end = '\0';
        if (strstr(text, "\"info\":") != NULL) {
            with += (double)(end - text);
            with_count++;
        } else {
            without += (double)(end - text);
            without_count++;
        }
    }
    print_message("# with info %.0f, without %.0f\n", with / with_count, without / without_count);
    assert_true(with / with_count > 1200 && with / with_count < 1380);
    assert_true(without / without_count > 690 && without / without_count < 850);
    double absent = (double)without_count / TOKENS;
    assert_true(absent > 0.24 && absent < 0.32);
}

/* What is prepared and what is written anew are the same pair. */
static void a_prepared_pair_is_the_same(void **state)
{
    static char again[BODY_PAIR_MAX];
    (void)state;
    for (uint32_t token = 0; token < 200; token++) {
        char *end = body_write_main(bodies, token, start_time, BODY_SOUND, text);
        char *end_again = body_write_main(bodies, token, start_time, BODY_SOUND, again);
        assert_int_equal(end - text, end_again - again);
        assert_memory_equal(text, again, (size_t)(end - text));
        end_again = body_write_main(bodies, token, instant_add(start_time, duration_s(30)),
                                    BODY_SOUND, again);
        json_t *pair = json_loadb(again, (size_t)(end_again - again), 0, NULL);
        assert_non_null(pair);
        json_decref(pair);
    }
}

static void all_pools_come_once_each(void **state)
{
    (void)state;
    for (uint32_t token = 0; token < TOKENS; token++) {
        unsigned pairs;
        text[0] = '[';
        char *end = body_write_all(bodies, token, start_time, BODY_SOUND, text + 1, &pairs);
        *end++ = ']';
        json_t *array = json_loadb(text, (size_t)(end - text), 0, NULL);
        assert_int_equal(json_array_size(array), pairs);
        assert_in_range(pairs, 1, POOLS_MAX);
        json_decref(array);
    }
}

static void pools_exist_from_their_creation_on(void **state)
{
    struct token_life token;
    struct pool_life pool;
    (void)state;
    for (uint32_t i = 0; i < 300; i++) {
        model_token(model, i, &token);
        for (unsigned j = 0; j < token.pools; j++) {
            struct identity identity = {IDENTITY_POOL, i, (uint8_t)j};
            model_pool(&token, j, &pool);
            assert_true(body_pool_exists(bodies, &identity, pool.created_at));
            assert_false(
                body_pool_exists(bodies, &identity, instant_add(pool.created_at, duration_us(-1))));
        }
        struct identity beyond = {IDENTITY_POOL, i, (uint8_t)token.pools};
        assert_false(body_pool_exists(bodies, &beyond, INSTANT_FAR));
    }
    struct identity nobody = {IDENTITY_POOL, TOKENS, 0};
    assert_false(body_pool_exists(bodies, &nobody, INSTANT_FAR));
}

static void damage_is_done_where_it_is_asked_for(void **state)
{
    bool was_broken = false;
    (void)state;
    for (uint32_t token = 0; token < 100; token++) {
        json_t *pair = main_pair(token, start_time, BODY_NULLS);
        assert_true(json_is_null(json_object_get(pair, "liquidity")));
        json_decref(pair);
        char *end = body_write_main(bodies, token, start_time, BODY_DUPLICATE_KEYS, text);
        assert_null(json_loadb(text, (size_t)(end - text), JSON_REJECT_DUPLICATES, NULL));
        end = body_write_main(bodies, token, start_time, BODY_NANS, text);
        pair = json_loadb(text, (size_t)(end - text), 0, NULL);
        was_broken = was_broken || pair == NULL;
        json_decref(pair);
    }
    assert_true(was_broken);
}

static const char *own_name(const json_t *pair, uint32_t token)
{
    struct address mint;
    char address[ADDRESS_TEXT_MAX + 1];
    model_mint(model, token, &mint);
    address_format(&mint, address);
    const json_t *base = json_object_get(pair, "baseToken");
    const json_t *own = strcmp(json_string_value(json_object_get(base, "address")), address) == 0
                            ? base
                            : json_object_get(pair, "quoteToken");
    assert_string_equal(json_string_value(json_object_get(own, "address")), address);
    return json_string_value(json_object_get(own, "name"));
}

/* What the others are called stays as it is. Halves of characters are no text for jansson. */
static void names_are_replaced(void **state)
{
    size_t longest = 0, refused = 0;
    unsigned scripts = 0;
    (void)state;
    for (uint32_t token = 0; token < 200; token++) {
        struct token_life life;
        model_token(model, token, &life);
        for (unsigned i = 0; i < life.pools; i++) {
            struct identity pool = {IDENTITY_POOL, token, (uint8_t)i};
            char *end = body_write_pool(bodies, &pool, start_time, BODY_NAMES, text);
            json_t *pair = json_loadb(text, (size_t)(end - text), JSON_ALLOW_NUL, NULL);
            refused += pair == NULL;
            const char *name = pair == NULL ? "" : own_name(pair, token);
            longest = strlen(name) > longest ? strlen(name) : longest;
            scripts += strcmp(name, "<script>alert(1)</script>") == 0;
            json_decref(pair);
            end = body_write_pool(bodies, &pool, start_time, BODY_NO_UTF8, text);
            assert_non_null(memmem(text, (size_t)(end - text), "\xff\xfe", 2));
            assert_null(json_loadb(text, (size_t)(end - text), 0, NULL));
        }
    }
    assert_int_equal(longest, 10240);
    assert_true(scripts > 0 && refused > 0 && refused < 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(pairs_are_json_with_the_recorded_keys),
                                       cmocka_unit_test(bodies_are_as_long_as_recorded),
                                       cmocka_unit_test(a_prepared_pair_is_the_same),
                                       cmocka_unit_test(all_pools_come_once_each),
                                       cmocka_unit_test(pools_exist_from_their_creation_on),
                                       cmocka_unit_test(damage_is_done_where_it_is_asked_for),
                                       cmocka_unit_test(names_are_replaced)};
    return cmocka_run_group_tests_name("body", tests, start, finish);
}
