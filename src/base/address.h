/*
 * Solana addresses (mints, pools): 32 bytes, written in base58 with 32 to 44 characters.
 * Base58 is Bitcoin's alphabet (no 0, O, I, l), big-endian, one '1' for each leading zero byte:
 * https://datatracker.ietf.org/doc/html/draft-msporny-base58-03
 */
#ifndef MOONWATCH_BASE_ADDRESS_H
#define MOONWATCH_BASE_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define ADDRESS_BYTES    32
#define ADDRESS_TEXT_MIN 32
#define ADDRESS_TEXT_MAX 44

struct address {
    uint8_t bytes[ADDRESS_BYTES];
};

/* Parses exactly `length` characters. False unless they are base58 of exactly 32 bytes. */
bool address_parse(const char *text, size_t length, struct address *out);

/* Writes the text and a NUL; returns the length without it (32 to 44). */
size_t address_format(const struct address *address, char out[ADDRESS_TEXT_MAX + 1]);

/* Why `text` is no mint, as a sentence for a person; NULL when it is one. Static storage. */
const char *address_complaint(const char *text, size_t length);

static inline bool address_equal(const struct address *a, const struct address *b)
{
    return memcmp(a->bytes, b->bytes, ADDRESS_BYTES) == 0;
}

/* A keyed 64-bit hash: addresses are chosen by strangers, so a table's key must be random. */
uint64_t address_hash(const struct address *address, uint64_t key);

#endif
