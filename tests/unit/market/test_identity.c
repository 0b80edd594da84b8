/* Addresses carry their meaning, and only ours do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"
#include "market/identity.h"
#include <string.h>

#define SEED 42

static void goes_there_and_back(void **state)
{
    static const uint32_t tokens[] = {0, 1, 999, 16777215, UINT32_MAX};
    (void)state;
    for (unsigned class = IDENTITY_MINT; class <= IDENTITY_STRANGER; class ++) {
        for (size_t i = 0; i < sizeof tokens / sizeof tokens[0]; i++) {
            struct identity identity = {class, tokens[i], (uint8_t)(i * 7)};
            struct identity found;
            struct address address;
            identity_address(SEED, &identity, &address);
            assert_true(identity_find(SEED, &address, &found));
            assert_int_equal(found.class, identity.class);
            assert_int_equal(found.token, identity.token);
            assert_int_equal(found.pool, identity.pool);
            assert_false(identity_find(SEED + 1, &address, &found));
        }
    }
}

static void most_mints_end_in_pump(void **state)
{
    unsigned pump = 0;
    (void)state;
    for (uint32_t token = 0; token < 2000; token++) {
        struct address address;
        char text[ADDRESS_TEXT_MAX + 1];
        identity_address(SEED, &(struct identity){IDENTITY_MINT, token, 0}, &address);
        size_t length = address_format(&address, text);
        pump += strcmp(text + length - 4, "pump") == 0;
    }
    assert_in_range(pump, 1900, 1980);
}

static void strangers_are_nobody(void **state)
{
    struct prng prng;
    struct address address;
    struct identity found;
    (void)state;
    prng_seed(&prng, 7);
    for (int i = 0; i < 100000; i++) {
        for (int word = 0; word < 4; word++) {
            uint64_t bits = prng_next(&prng);
            memcpy(address.bytes + 8 * word, &bits, sizeof bits);
        }
        assert_false(identity_find(SEED, &address, &found));
    }
    memset(&address, 0, sizeof address);
    assert_false(identity_find(SEED, &address, &found));
}

static void a_changed_byte_is_noticed(void **state)
{
    struct address address;
    struct identity found;
    (void)state;
    for (int byte = 0; byte < ADDRESS_BYTES; byte++) {
        identity_address(SEED, &(struct identity){IDENTITY_POOL, 12, 3}, &address);
        address.bytes[byte] ^= 4;
        assert_false(identity_find(SEED, &address, &found));
    }
}

static void signatures_look_like_signatures(void **state)
{
    char first[SIGNATURE_TEXT_SIZE];
    char second[SIGNATURE_TEXT_SIZE];
    (void)state;
    identity_signature(SEED, 1, first);
    identity_signature(SEED, 2, second);
    assert_int_equal(strlen(first), 87);
    assert_null(strpbrk(first, "0OIl"));
    assert_true(strcmp(first, second) != 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(goes_there_and_back), cmocka_unit_test(most_mints_end_in_pump),
        cmocka_unit_test(strangers_are_nobody), cmocka_unit_test(a_changed_byte_is_noticed),
        cmocka_unit_test(signatures_look_like_signatures)};
    return cmocka_run_group_tests_name("identity", tests, NULL, NULL);
}
