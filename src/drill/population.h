/*
 * The tokens of a drill. All are the market's, so that it has data about each. The first
 * POPULATION_IMPORTED are acknowledged before the fault; the others are added one by one while the
 * drill goes on (witness.h), so that some are acknowledged in the middle of it.
 */
#ifndef MOONWATCH_DRILL_POPULATION_H
#define MOONWATCH_DRILL_POPULATION_H

#include <stdbool.h>
#include <stdint.h>

#define POPULATION_IMPORTED 200
#define POPULATION_MAX      8192

struct drill;

/* Reads the market's mints. */
void population_read(struct drill *drill);
/* POST /tokens/import of mints[from … from + count). */
void population_import(struct drill *drill, unsigned from, unsigned count);

/* How many were acknowledged so far. */
uint32_t population_acknowledged(const struct drill *drill);
/* Every acknowledged token, but for the spared one, has data from after the fault's end. */
bool population_is_fresh(struct drill *drill);
/* Says who is not. */
void population_show_stale(struct drill *drill);
/* When this one was fetched last: instant in microseconds, 0 never. */
int64_t population_fetched_us(struct drill *drill, const char *mint);

/* Acknowledged ones that GET /tokens/{mint} does not know. */
uint32_t population_lost(struct drill *drill);
/* Those that do not stand in the store, when nobody has it open; it must be sound, too. */
uint32_t population_lost_in_store(struct drill *drill);

#endif
