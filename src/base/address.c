/*
 * Base58 by limbs: ten characters are one 64-bit number (58^10 < 2^59), so parsing is five
 * multiplications of a 256-bit number; five characters are one 32-bit number (58^5 < 2^30), so
 * formatting adds up products with known powers, as Firedancer's does
 * (https://github.com/firedancer-io/firedancer, src/ballet/base58).
 */
#include "base/address.h"

#include <endian.h>

#define PARSE_GROUP  10
#define FORMAT_GROUP 5
#define GROUPS       9 /* of five characters: 58^45 > 2^256 */
#define POWER_5      656356768u
#define NO_DIGIT     0xff

static const char alphabet[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/* clang-format off */
#define N NO_DIGIT
static const uint8_t digit_of[128] = {
    N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N,
    N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N,
    N, N, N, N, N, N, N, N, N, N, N, N, N, N, N, N,
    N, 0, 1, 2, 3, 4, 5, 6, 7, 8, N, N, N, N, N, N,
    N, 9,10,11,12,13,14,15,16, N,17,18,19,20,21, N,
   22,23,24,25,26,27,28,29,30,31,32, N, N, N, N, N,
    N,33,34,35,36,37,38,39,40,41,42,43, N,44,45,46,
   47,48,49,50,51,52,53,54,55,56,57, N, N, N, N, N,
};
#undef N
/* clang-format on */

static uint8_t digit_at(const char *text)
{
    uint8_t byte = (uint8_t)*text;
    return byte < sizeof digit_of ? digit_of[byte] : NO_DIGIT;
}

/* limbs × factor + more; false when that is over 256 bits. limbs[0] is the least. */
static bool multiply_add(uint64_t limbs[4], uint64_t factor, uint64_t more)
{
    for (int i = 0; i < 4; i++) {
        unsigned __int128 sum = (unsigned __int128)limbs[i] * factor + more;
        limbs[i] = (uint64_t)sum;
        more = (uint64_t)(sum >> 64);
    }
    return more == 0;
}

static size_t leading_ones(const char *text, size_t length)
{
    size_t count = 0;
    while (count < length && text[count] == '1')
        count++;
    return count;
}

static size_t leading_zero_bytes(const struct address *address)
{
    size_t count = 0;
    while (count < ADDRESS_BYTES && address->bytes[count] == 0)
        count++;
    return count;
}

static bool parse_limbs(const char *text, size_t length, uint64_t limbs[4])
{
    while (length > 0) {
        size_t group = length % PARSE_GROUP == 0 ? PARSE_GROUP : length % PARSE_GROUP;
        uint64_t value = 0, power = 1;
        for (size_t i = 0; i < group; i++) {
            uint8_t digit = digit_at(text + i);
            if (digit == NO_DIGIT)
                return false;
            value = value * 58 + digit;
            power *= 58;
        }
        if (!multiply_add(limbs, power, value))
            return false;
        text += group;
        length -= group;
    }
    return true;
}

bool address_parse(const char *text, size_t length, struct address *out)
{
    uint64_t limbs[4] = {0};
    struct address parsed;

    if (length < ADDRESS_TEXT_MIN || length > ADDRESS_TEXT_MAX || !parse_limbs(text, length, limbs))
        return false;
    for (int i = 0; i < 4; i++) {
        uint64_t big_endian = htobe64(limbs[3 - i]);
        memcpy(parsed.bytes + 8 * i, &big_endian, 8);
    }
    if (leading_ones(text, length) != leading_zero_bytes(&parsed))
        return false;
    *out = parsed;
    return true;
}

/* 2^224, 2^192, … 1 in nine digits of base 58^5, the greatest first. Their sums, each times a limb,
 * stay below 2^64. */
static const uint32_t power_digits[8][GROUPS] = {
    {0u, 513735u, 77223048u, 437087610u, 300156666u, 605448490u, 214625350u, 141436834u,
     379377856u},
    {0u, 0u, 78508u, 646269101u, 118408823u, 91512303u, 209184527u, 413102373u, 153715680u},
    {0u, 0u, 0u, 11997u, 486083817u, 3737691u, 294005210u, 247894721u, 289024608u},
    {0u, 0u, 0u, 0u, 1833u, 324463681u, 385795061u, 551597588u, 21339008u},
    {0u, 0u, 0u, 0u, 0u, 280u, 127692781u, 389432875u, 357132832u},
    {0u, 0u, 0u, 0u, 0u, 0u, 42u, 537767569u, 410450016u},
    {0u, 0u, 0u, 0u, 0u, 0u, 0u, 6u, 356826688u},
    {0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 1u}};

/* The number in groups of five characters. No division depends on the one before but for a carry.
 */
static void to_groups(const struct address *address, uint64_t groups[GROUPS])
{
    memset(groups, 0, GROUPS * sizeof *groups);
    for (int i = 0; i < 8; i++) {
        uint32_t limb;
        memcpy(&limb, address->bytes + 4 * i, 4);
        limb = be32toh(limb);
        for (int k = 0; k < GROUPS; k++)
            groups[k] += (uint64_t)limb * power_digits[i][k];
    }
    for (int k = GROUPS - 1; k > 0; k--) {
        groups[k - 1] += groups[k] / POWER_5;
        groups[k] %= POWER_5;
    }
}

size_t address_format(const struct address *address, char out[ADDRESS_TEXT_MAX + 1])
{
    uint64_t groups[GROUPS];
    char digits[GROUPS * FORMAT_GROUP];

    to_groups(address, groups);
    for (int group = 0; group < GROUPS; group++) {
        uint32_t rest = (uint32_t)groups[group];
        for (int i = FORMAT_GROUP - 1; i >= 0; i--) {
            digits[group * FORMAT_GROUP + i] = (char)(rest % 58);
            rest /= 58;
        }
    }
    size_t first = 0;
    while (first < sizeof digits && digits[first] == 0)
        first++;
    size_t length = leading_zero_bytes(address);
    memset(out, alphabet[0], length);
    for (size_t i = first; i < sizeof digits; i++)
        out[length++] = alphabet[(uint8_t)digits[i]];
    out[length] = '\0';
    return length;
}

const char *address_complaint(const char *text, size_t length)
{
    struct address ignored;

    if (length == 0)
        return "the mint is empty";
    for (size_t i = 0; i < length; i++)
        if (digit_at(text + i) == NO_DIGIT)
            return strchr("0OIl", text[i]) != NULL && text[i] != '\0'
                       ? "the mint has one of 0, O, I and l, which base58 does not use"
                       : "the mint has a character that is not base58";
    if (length < ADDRESS_TEXT_MIN)
        return "the mint is too short: 32 to 44 characters of base58 are expected";
    if (length > ADDRESS_TEXT_MAX)
        return "the mint is too long: 32 to 44 characters of base58 are expected";
    return address_parse(text, length, &ignored)
               ? NULL
               : "the mint is base58, but not of exactly 32 bytes";
}

/* Both halves of the 128-bit product: each bit of either factor reaches most of the result. */
static uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

uint64_t address_hash(const struct address *address, uint64_t key)
{
    uint64_t words[4];
    memcpy(words, address->bytes, sizeof words);

    uint64_t a = fold(words[0] ^ key ^ 0xa0761d6478bd642fULL, words[1] ^ 0xe7037ed1a0b428dbULL);
    uint64_t b = fold(words[2] ^ a ^ 0x8ebc6af09c88c6e3ULL, words[3] ^ key);
    return fold(a ^ b ^ 0x589965cc75374cc3ULL, key ^ 0x1d8e4e27c47d124fULL);
}
