/*
 * How much a token's freshness is worth: the value part of the priority (liquidity, volume,
 * momentum, score; the age does the waiting), with a floor so that nobody starves. The lanes divide
 * it by the cost, the share of a request that the token takes, and put tokens into classes of it.
 */
#ifndef MOONWATCH_CORE_WEIGHT_H
#define MOONWATCH_CORE_WEIGHT_H

#include "core/token_table.h"

double weight_of_value(const struct token *token); /* 0.02 … 1.02 */

#endif
