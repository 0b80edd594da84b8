/*
 * An oracle of ages, for the calm end of a run. While the budgets of all lanes could keep an
 * interval for everybody, and have been able to for so long that whoever was late has had his turn,
 * nobody is older than that interval. It is asked for twice: of the target intervals in force, and
 * of the maximum age, which small budgets can keep when they cannot keep the targets.
 */
#ifndef MOONWATCH_SIM_PACE_H
#define MOONWATCH_SIM_PACE_H

#include "sim/oracle.h"

struct pace {
    instant targets_since, maximum_since; /* so long they could be kept; INSTANT_NEVER: not now */
};

/* Now and then, in the calm; before it, pace_forget(). */
void pace_check(struct pace *pace, struct oracle *oracle, const struct options *options,
                instant now);
void pace_forget(struct pace *pace);

/* How many of a token's pools are asked for when it is hot. */
int pace_count_pools(const struct oracle *oracle, token_id id);

#endif
