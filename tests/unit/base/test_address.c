#include "base/address.h"
#include "base/prng.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#define RANDOM_ADDRESSES 20000

struct known {
    const char *text;
    uint8_t first, last; /* bytes */
};

/* Programs and mints that everybody knows, and the two ends of the range. */
static const struct known known[] = {
    {"11111111111111111111111111111111", 0x00, 0x00},
    {"So11111111111111111111111111111111111111112", 0x06, 0x01},
    {"EPjFWdd5AufqSSqeM2qN1xzybapC8G4wEGGkZwyTDt1v", 0xc6, 0x61},
    {"TokenkegQfeZyiNwAJbNbGKPFXCWuBvf9Ss623VQ5DA", 0x06, 0xa9},
    {"JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFG", 0xff, 0xff},
};

static void test_known_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        struct address address;
        char text[ADDRESS_TEXT_MAX + 1];
        assert_true(address_parse(known[i].text, strlen(known[i].text), &address));
        assert_int_equal(address.bytes[0], known[i].first);
        assert_int_equal(address.bytes[31], known[i].last);
        assert_int_equal(address_format(&address, text), strlen(known[i].text));
        assert_string_equal(text, known[i].text);
        assert_null(address_complaint(text, strlen(text)));
    }
}

struct refused {
    const char *text;
    const char *complaint; /* a part of it */
};

static const struct refused refused[] = {
    {"", "empty"},
    {"1", "too short"},
    {"1111111111111111111111111111111", "too short"},
    {"So111111111111111111111111111111111111111121111", "too long"},
    /* One more than the greatest, and the greatest that 44 characters can say. */
    {"JEKNVnkbo3jma5nREBBJCDoXFVeKkD56V3xKrvRmWxFH", "32 bytes"},
    {"zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz", "32 bytes"},
    /* A leading 1 too many and one too few. */
    {"111111111111111111111111111111111", "32 bytes"},
    {"1So11111111111111111111111111111111111111112", "32 bytes"},
    {"21111111111111111111111111111111", "32 bytes"},
    {"0o11111111111111111111111111111111111111112", "0, O, I and l"},
    {"So1111111111111111111111111111l111111111112", "0, O, I and l"},
    {"So11111111111111111111111111111111111I11112", "0, O, I and l"},
    {"So111111111111111111O1111111111111111111112", "0, O, I and l"},
    {"So1111111111111111111111111111111111111 112", "not base58"},
    {"So111111111111111111111111111111111111\xc3\xa9"
     "112",
     "not base58"},
    {"../../../../../../../../../../etc/passwd", "not base58"},
};

static void test_refused_addresses(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        struct address address;
        memset(&address, 0xaa, sizeof address);
        const char *complaint = address_complaint(refused[i].text, strlen(refused[i].text));
        assert_false(address_parse(refused[i].text, strlen(refused[i].text), &address));
        assert_int_equal(address.bytes[7], 0xaa); /* untouched */
        assert_non_null(complaint);
        if (strstr(complaint, refused[i].complaint) == NULL)
            fail_msg("%s: \"%s\"", refused[i].text, complaint);
    }
}

static void test_nul_byte_is_no_digit(void **state)
{
    (void)state;
    char text[] = "So11111111111111111111111111111111111111112";
    struct address address;
    text[20] = '\0';
    assert_false(address_parse(text, sizeof text - 1, &address));
    assert_non_null(address_complaint(text, sizeof text - 1));
}

/* Base58 as the document describes it, a byte at a time. */
static size_t slow_format(const struct address *address, char out[ADDRESS_TEXT_MAX + 1])
{
    static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    uint8_t digits[ADDRESS_TEXT_MAX + 1] = {0};
    size_t count = 0, length = 0;

    for (size_t i = 0; i < ADDRESS_BYTES; i++) {
        unsigned carry = address->bytes[i];
        for (size_t j = 0; j < count || carry > 0; j++) {
            if (j == count)
                count++;
            carry += (unsigned)digits[j] * 256;
            digits[j] = (uint8_t)(carry % 58);
            carry /= 58;
        }
    }
    for (size_t i = 0; i < ADDRESS_BYTES && address->bytes[i] == 0; i++)
        out[length++] = '1';
    for (size_t i = count; i-- > 0;)
        out[length++] = alphabet[digits[i]];
    out[length] = '\0';
    return length;
}

static struct address random_address(struct prng *prng)
{
    struct address address;
    for (size_t i = 0; i < ADDRESS_BYTES; i++)
        address.bytes[i] = (uint8_t)prng_next(prng);
    /* Leading zeros and small numbers are where conversions go wrong. */
    if (prng_below(prng, 4) == 0)
        memset(address.bytes, 0, prng_below(prng, ADDRESS_BYTES + 1));
    if (prng_below(prng, 8) == 0)
        memset(address.bytes, 0xff, prng_below(prng, ADDRESS_BYTES + 1));
    return address;
}

static void test_random_addresses_agree_with_the_definition(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 58);
    for (int i = 0; i < RANDOM_ADDRESSES; i++) {
        struct address address = random_address(&prng), parsed;
        char text[ADDRESS_TEXT_MAX + 1], slow[2 * ADDRESS_TEXT_MAX];
        size_t length = address_format(&address, text);
        assert_int_equal(length, slow_format(&address, slow));
        assert_string_equal(text, slow);
        assert_true(address_parse(text, length, &parsed));
        assert_true(address_equal(&address, &parsed));
    }
}

/* Two texts are never the same address: what parses formats as it was. */
static void test_a_damaged_text_is_refused_or_another_address(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 59);
    for (int i = 0; i < RANDOM_ADDRESSES; i++) {
        struct address address = random_address(&prng), parsed;
        char text[ADDRESS_TEXT_MAX + 1], again[ADDRESS_TEXT_MAX + 1];
        size_t length = address_format(&address, text);
        text[prng_below(&prng, length)] = (char)prng_below(&prng, 256);
        if (!address_parse(text, length, &parsed))
            continue;
        assert_int_equal(address_format(&parsed, again), length);
        assert_memory_equal(text, again, length);
    }
}

static void test_hash_depends_on_key_and_every_byte(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 60);
    struct address address = random_address(&prng);
    uint64_t hash = address_hash(&address, 1);
    assert_true(hash == address_hash(&address, 1));
    assert_true(hash != address_hash(&address, 2));
    for (size_t i = 0; i < ADDRESS_BYTES * 8; i++) {
        struct address other = address;
        other.bytes[i / 8] ^= (uint8_t)(1u << i % 8);
        int changed = __builtin_popcountll(hash ^ address_hash(&other, 1));
        assert_in_range(changed, 8, 56); /* about half of 64 */
    }
}

/* Neighbouring addresses spread evenly over a small table. */
static void test_hash_spreads(void **state)
{
    (void)state;
    unsigned filled[64] = {0};
    struct address address = {{0}};
    for (unsigned i = 0; i < 6400; i++) {
        address.bytes[31] = (uint8_t)i;
        address.bytes[30] = (uint8_t)(i >> 8);
        filled[address_hash(&address, 7) % 64]++;
    }
    for (int i = 0; i < 64; i++)
        assert_in_range(filled[i], 50, 160);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known_addresses),
        cmocka_unit_test(test_refused_addresses),
        cmocka_unit_test(test_nul_byte_is_no_digit),
        cmocka_unit_test(test_random_addresses_agree_with_the_definition),
        cmocka_unit_test(test_a_damaged_text_is_refused_or_another_address),
        cmocka_unit_test(test_hash_depends_on_key_and_every_byte),
        cmocka_unit_test(test_hash_spreads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
