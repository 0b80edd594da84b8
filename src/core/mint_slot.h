/*
 * The slot of a token: one of MINT_SLOTS shares of all tokens, by a hash of the mint. Nodes that
 * share a database share tokens by their slots, and rows in it carry them, so the hash is the same
 * in every process, on every machine and in every version: FNV-1a
 * (https://datatracker.ietf.org/doc/html/draft-eastlake-fnv), whose bits are then mixed by
 * MurmurHash3's finalizer. It has no key: whoever mints tokens for one slot makes one node busier.
 */
#ifndef MOONWATCH_CORE_MINT_SLOT_H
#define MOONWATCH_CORE_MINT_SLOT_H

#include "base/address.h"

#define MINT_SLOTS 1024

uint16_t mint_slot(const struct address *mint);

#endif
