/*
 * Slots: every token belongs to one of 1,024, for good, by its mint alone. Where several nodes
 * share the tokens, a node works on whole slots (src/cluster), and a database keeps the number with
 * the token: so the hash is the same on every machine and in every release, and must never change.
 * It has no key, unlike address_hash(): who makes mints to order can fill one slot with them, which
 * costs fairness among nodes and nothing else.
 */
#ifndef MOONWATCH_CORE_SLOT_H
#define MOONWATCH_CORE_SLOT_H

#include "base/address.h"

#define SLOT_COUNT 1024

/* 0 … SLOT_COUNT − 1. */
uint16_t slot_of_mint(const struct address *mint);

#endif
