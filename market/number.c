/* Fast numbers: see number.h. */
#include "market/number.h"
#include <string.h>

#define VALUE_MAX   1e15
#define PRICE_MIN   1e-20
#define SIGNIFICANT 1000 /* the smallest four-digit number */

static const uint64_t power[] = {1, 10, 100, 1000, 10000};

char *number_integer(char *at, uint64_t value)
{
    char digits[20];
    unsigned length = 0;
    do {
        digits[length++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    while (length > 0)
        *at++ = digits[--length];
    return at;
}

static char *put_digits(char *at, uint64_t value, unsigned count)
{
    for (unsigned i = count; i-- > 0; value /= 10)
        at[i] = (char)('0' + value % 10);
    return at + count;
}

static char *put_fraction(char *at, uint64_t fraction, unsigned decimals)
{
    *at = '.';
    return put_digits(at + 1, fraction, decimals);
}

static uint64_t scaled(double value, unsigned decimals)
{
    if (!(value < VALUE_MAX)) /* a NaN as well */
        value = VALUE_MAX;
    return (uint64_t)(value * (double)power[decimals] + 0.5);
}

char *number_rounded(char *at, double value, unsigned decimals)
{
    uint64_t units = scaled(value < 0 ? -value : value, decimals);
    if (value < 0 && units > 0)
        *at++ = '-';
    at = number_integer(at, units / power[decimals]);
    uint64_t fraction = units % power[decimals];
    if (fraction == 0)
        return at;
    for (; fraction % 10 == 0; fraction /= 10)
        decimals--;
    return put_fraction(at, fraction, decimals);
}

char *number_price(char *at, double value, unsigned decimals)
{
    if (value >= 1) {
        uint64_t units = scaled(value, decimals);
        at = number_integer(at, units / power[decimals]);
        return put_fraction(at, units % power[decimals], decimals);
    }
    value = value > PRICE_MIN ? value : PRICE_MIN;
    unsigned zeros = 0;
    value *= 1e4;
    for (; value < SIGNIFICANT; value *= 10)
        zeros++;
    uint64_t digits = (uint64_t)(value + 0.5);
    if (digits == 10 * SIGNIFICANT) {
        if (zeros == 0) {
            memcpy(at, "1.0000", 2 + decimals);
            return at + 2 + decimals;
        }
        digits = SIGNIFICANT;
        zeros--;
    }
    memcpy(at, "0.00000000000000000000000000", 2 + zeros);
    return put_digits(at + 2 + zeros, digits, 4);
}
