/*
 * How a run's daemon is configured, drawn from its seed: people change settings, and not all begin
 * with the defaults. Within an hour nobody is archived by them, no maximum age is reached and no
 * job fails three times in a row; so these are short ones now and then, budgets are small, and
 * messages to people are frequent. Each is drawn in one of two runs.
 */
#ifndef MOONWATCH_SIM_HABITS_H
#define MOONWATCH_SIM_HABITS_H

#include "base/options.h"

/* `options` are the defaults. False: one was refused. */
bool habits_draw(struct options *options, uint64_t seed);

#endif
