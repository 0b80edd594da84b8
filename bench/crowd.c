/* See crowd.h. */
#include "bench/crowd.h"

#include <string.h>

#define BASE          58
#define FIRST_MOST    15 /* the largest first digit: 16 · 58^43 < 2^256 */
#define NUMBER_AT     1
#define NUMBER_DIGITS 4
#define POOL_AT       (NUMBER_AT + NUMBER_DIGITS)
#define FILL_AT       (POOL_AT + 1)

static const char digits[BASE + 1] = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";

/* splitmix64's mixer */
static uint64_t mix(uint64_t x)
{
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static unsigned hot_every = CROWD_HOT_EVERY;

void crowd_set_hot_every(unsigned tokens)
{
    hot_every = tokens;
}

bool crowd_is_hot(uint32_t token)
{
    return token % hot_every == 0;
}

unsigned crowd_pools(uint32_t token)
{
    static const uint8_t counts[] = {2, 2, 3, 3, 3, 4, 4, 4, 4, 5}; /* 3.4 on average */
    return crowd_is_hot(token) ? counts[token / hot_every % sizeof counts] : 1;
}

void crowd_text(uint32_t token, unsigned pool, char out[CROWD_TEXT])
{
    uint64_t key = mix((uint64_t)token << 8 | pool);
    out[0] = digits[1 + key % FIRST_MOST];
    for (int i = NUMBER_DIGITS; i-- > 0; token /= BASE)
        out[NUMBER_AT + i] = digits[token % BASE];
    out[POOL_AT] = digits[pool];
    for (int i = FILL_AT; i < CROWD_TEXT; i++) {
        key = mix(key + (uint64_t)i);
        out[i] = digits[key % BASE];
    }
}

static int digit_of(char c)
{
    const char *at = c == '\0' ? NULL : strchr(digits, c);
    return at == NULL ? -1 : (int)(at - digits);
}

bool crowd_find(const char text[CROWD_TEXT], uint32_t *token, unsigned *pool)
{
    uint32_t number = 0;
    for (int i = 0; i < NUMBER_DIGITS; i++) {
        int digit = digit_of(text[NUMBER_AT + i]);
        if (digit < 0)
            return false;
        number = number * BASE + (uint32_t)digit;
    }
    int digit = digit_of(text[POOL_AT]);
    *token = number;
    *pool = digit < 0 ? 0 : (unsigned)digit;
    return digit >= 0 && *pool <= crowd_pools(number);
}
