/* FNV-1a over the bytes (http://www.isthe.com/chongo/tech/comp/fnv/), whose 64 bits are folded:
 * the ends of mints are chosen by who makes them ("…pump"), so every byte must count. */
#include "core/slot.h"

#define FNV_OFFSET 0xcbf29ce484222325ULL
#define FNV_PRIME  0x100000001b3ULL

uint16_t slot_of_mint(const struct address *mint)
{
    uint64_t hash = FNV_OFFSET;
    for (size_t i = 0; i < ADDRESS_BYTES; i++)
        hash = (hash ^ mint->bytes[i]) * FNV_PRIME;
    hash ^= hash >> 32;
    hash ^= hash >> 16;
    return (uint16_t)(hash % SLOT_COUNT);
}
