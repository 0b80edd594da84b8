/*
 * Tokens that kill the simulated engine, and what its shell remembers over deaths: who was in hand.
 * One that was in hand at one death is a suspect until it is cleared; one that was so again, while
 * it was a suspect, goes into quarantine. That is the rule that the real shell has, too.
 */
#ifndef MOONWATCH_SIM_DEATHS_H
#define MOONWATCH_SIM_DEATHS_H

#include "core/core.h"

/* Alone it is known after the second, so a third is one too many. */
#define DEATHS_A_TOKEN_MAX 2

struct deaths {
    uint32_t size;         /* of each array; by id */
    uint8_t *poisoned;     /* its answer kills */
    uint8_t *killed;       /* how often it did */
    uint8_t *suspected_in; /* a bit for each kind of lane */
    uint8_t *quarantined;
};

bool deaths_init(struct deaths *deaths, uint32_t size);
void deaths_finish(struct deaths *deaths);

/* The engine died with these in hand. */
void deaths_note(struct deaths *deaths, enum lane_kind lane, const token_id *ids, size_t count);
void deaths_clear(struct deaths *deaths, token_id id);
/* People found the cause: nobody is poisonous any more, and all are released. */
void deaths_cure(struct deaths *deaths, token_id id);

#endif
