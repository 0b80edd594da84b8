/* Addresses that carry their own meaning: see identity.h. */
#include "market/identity.h"
#include "market/chance.h"

/* The value of "pump" in base58 digits, and 58^4. */
#define PUMP_DIGITS    (((47u * 58 + 52) * 58 + 44) * 58 + 47)
#define PUMP_MODULUS   (58u * 58 * 58 * 58)
#define PUMP_SHARE     0.97
#define CIPHER_ROUNDS  6
#define SIGNATURE_SALT UINT64_C(0x5167)

static uint64_t encipher(uint64_t seed, uint64_t plain)
{
    uint32_t left = (uint32_t)(plain >> 32);
    uint32_t right = (uint32_t)plain;
    for (uint64_t round = 0; round < CIPHER_ROUNDS; round++) {
        uint32_t next = left ^ (uint32_t)chance_at(seed + round, right);
        left = right;
        right = next;
    }
    return (uint64_t)left << 32 | right;
}

static uint64_t decipher(uint64_t seed, uint64_t cipher)
{
    uint32_t left = (uint32_t)(cipher >> 32);
    uint32_t right = (uint32_t)cipher;
    for (uint64_t round = CIPHER_ROUNDS; round-- > 0;) {
        uint32_t before = right ^ (uint32_t)chance_at(seed + round, left);
        right = left;
        left = before;
    }
    return (uint64_t)left << 32 | right;
}

static void store_big_endian(uint8_t *bytes, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(bytes, &value, sizeof value);
}

static uint64_t load_big_endian(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return __builtin_bswap64(value);
}

/* value − value mod 58^4 + "pump". A middle bit set and the top one cleared keep borrow and carry
 * within the last eight bytes. */
static void end_in_pump(uint8_t bytes[ADDRESS_BYTES])
{
    uint64_t low = load_big_endian(bytes + 24);
    low = (low & INT64_MAX) | UINT64_C(1) << 40;
    store_big_endian(bytes + 24, low);
    uint64_t remainder = 0;
    for (int i = 0; i < ADDRESS_BYTES; i++)
        remainder = (remainder << 8 | bytes[i]) % PUMP_MODULUS;
    store_big_endian(bytes + 24, low - remainder + PUMP_DIGITS);
}

void identity_address(uint64_t seed, const struct identity *identity, struct address *out)
{
    uint64_t plain =
        (uint64_t)identity->token << 32 | (uint64_t)identity->class << 8 | identity->pool;
    uint64_t key = chance_at(seed, plain);
    store_big_endian(out->bytes, encipher(seed, plain));
    for (uint64_t i = 1; i < ADDRESS_BYTES / 8; i++)
        store_big_endian(out->bytes + 8 * i, chance_at(key, i));
    bool minted = identity->class == IDENTITY_MINT || identity->class == IDENTITY_CREATED;
    if (minted && chance_unit(key, 0) < PUMP_SHARE)
        end_in_pump(out->bytes);
}

bool identity_find(uint64_t seed, const struct address *address, struct identity *out)
{
    uint64_t plain = decipher(seed, load_big_endian(address->bytes));
    if ((plain & 0xffffffff) >> 8 > IDENTITY_STRANGER)
        return false;
    *out = (struct identity){.class = (enum identity_class)((plain >> 8) & 0xff),
                             .token = (uint32_t)(plain >> 32),
                             .pool = (uint8_t)plain};
    struct address mine;
    identity_address(seed, out, &mine);
    return address_equal(&mine, address);
}

/* 87 digits whose first is at least '3' lie between 2^504 and 2^512: exactly 64 bytes, with no
 * arithmetic on them. */
void identity_signature(uint64_t seed, uint64_t n, char out[SIGNATURE_TEXT_SIZE])
{
    static const char digits[] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    uint64_t key = chance_at(seed ^ SIGNATURE_SALT, n);
    for (uint64_t i = 0; i < SIGNATURE_TEXT_SIZE - 1; i++)
        out[i] = digits[chance_at(key, i) % 58];
    if (out[0] < '3')
        out[0] = '3';
    out[SIGNATURE_TEXT_SIZE - 1] = '\0';
}
