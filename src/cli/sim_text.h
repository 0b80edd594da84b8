/*
 * What `moonwatch sim` is told, from text and back to it: kinds of faults, ranges of seeds, the
 * numbers of single faults; and the one command that runs a run again.
 */
#ifndef MOONWATCH_CLI_SIM_TEXT_H
#define MOONWATCH_CLI_SIM_TEXT_H

#include "sim/sim.h"
#include <stdio.h>

#define SIM_SEED_MOST 9000000000000000LL /* JSON's numbers are doubles */

/* All kinds of a run with so many nodes (sim.h). */
uint64_t sim_text_all_faults(uint32_t nodes);

/* all, none, or names with commas between; `nodes` as for the run. */
bool sim_text_faults(const char *text, uint32_t nodes, uint64_t *out);

/* A number of nodes, or any: drawn from the seed. */
bool sim_text_nodes(const char *text, uint32_t *out);

/* "7", "1..200", or "1.." for without end. */
bool sim_text_seeds(const char *text, uint64_t *first, uint64_t *last);

/* "0,3,17" of a schedule of so many: what is not named is dropped. The caller's to free(); NULL: a
 * number is too high, or it is no list. */
bool *sim_text_keep(const char *text, size_t occurrences);

/* `occurrences`: of sim_schedule(), when some are dropped. Returns the length, or that of a longer
 * one than fits. */
size_t sim_text_replay(const struct sim_setup *setup, size_t occurrences, char *out, size_t size);

#endif
