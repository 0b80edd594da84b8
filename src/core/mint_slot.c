/* See mint_slot.h. */
#include "core/mint_slot.h"

uint16_t mint_slot(const struct address *mint)
{
    uint64_t hash = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < ADDRESS_BYTES; i++)
        hash = (hash ^ mint->bytes[i]) * UINT64_C(0x100000001b3);
    hash = (hash ^ hash >> 33) * UINT64_C(0xff51afd7ed558ccd);
    hash = (hash ^ hash >> 33) * UINT64_C(0xc4ceb9fe1a85ec53);
    return (uint16_t)((hash ^ hash >> 33) % MINT_SLOTS);
}
