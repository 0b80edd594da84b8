/*
 * Who is who. A million tokens need no table: the first eight bytes of an address are its class,
 * token and pool number, enciphered with the market's seed; the other 24 are a hash of them. So an
 * address is made from the numbers, and the numbers are read back from an address; one that was
 * not made here fails the comparison of all 32 bytes. Most mints end in "pump", as the real ones.
 */
#ifndef MOONWATCH_MARKET_IDENTITY_H
#define MOONWATCH_MARKET_IDENTITY_H

#include "base/address.h"

enum identity_class {
    IDENTITY_MINT,
    IDENTITY_POOL,
    IDENTITY_CREATED, /* a token that is created and never graduates */
    IDENTITY_STRANGER /* traders, bonding curves, the other token of a pair, quote tokens */
};

struct identity {
    enum identity_class class;
    uint32_t token;
    uint8_t pool; /* only of pools and strangers; else 0 */
};

void identity_address(uint64_t seed, const struct identity *identity, struct address *out);

/* False: nobody of this market. */
bool identity_find(uint64_t seed, const struct address *address, struct identity *out);

#define SIGNATURE_TEXT_SIZE 88 /* with the NUL */

/* A transaction's signature: base58 of 64 bytes, the `n`-th of this market. */
void identity_signature(uint64_t seed, uint64_t n, char out[SIGNATURE_TEXT_SIZE]);

#endif
