/*
 * Numbers as text, fast: the market writes some twenty of them for each pair it serves. Each
 * function writes at `at`, without a NUL, and returns the end; NUMBER_TEXT_MAX bytes suffice.
 */
#ifndef MOONWATCH_MARKET_NUMBER_H
#define MOONWATCH_MARKET_NUMBER_H

#include <stdint.h>

#define NUMBER_TEXT_MAX 48

char *number_integer(char *at, uint64_t value);

/* With up to `decimals` (0 … 4) digits after the point and no trailing zeros: 98, 0.5, -21.81.
 * Values beyond ±1e15 are written as those. */
char *number_rounded(char *at, double value, unsigned decimals);

/* A price as the upstream writes it: four significant digits below 1, trailing zeros kept
 * (0.000002804); from 1 on `decimals` of them (91.1015, 91.10). Never less than 1e-20. */
char *number_price(char *at, double value, unsigned decimals);

#endif
