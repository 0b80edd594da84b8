/* Names of tokens: what people mint, including the strange ones (emoji, other scripts, markup,
 * quotes, right-to-left, very long). Made from the token's key. */
#ifndef MOONWATCH_MARKET_NAMES_H
#define MOONWATCH_MARKET_NAMES_H

#include <stdint.h>

#define NAME_SIZE   64
#define SYMBOL_SIZE 32
#define HANDLE_SIZE 24

void name_of_token(uint64_t key, char name[NAME_SIZE], char symbol[SYMBOL_SIZE]);

/* What someone would call a token to harm who shows it: markup, formulas, text that turns round,
 * 10 kB of emoji, escapes of halves of characters. JSON strings without their quotes, so that
 * escapes stay what they are; made from the token's key. */
struct hostile_name {
    const char *name, *symbol;
    unsigned repeats; /* how often the name stands one behind the other; 0: once */
};
const struct hostile_name *hostile_name_of(uint64_t key);

/* For its links: lower-case letters and digits. */
void handle_of_token(uint64_t key, char handle[HANDLE_SIZE]);

#endif
