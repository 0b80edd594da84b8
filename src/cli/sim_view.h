/* What `moonwatch sim` says: a failing run and how it came to that on stderr, the result as the one
 * line of JSON on stdout that ends its output. */
#ifndef MOONWATCH_CLI_SIM_VIEW_H
#define MOONWATCH_CLI_SIM_VIEW_H

#include "sim/apart.h"
#include "sim/seeds.h"
#include "sim/shrink.h"

/* The last lines before the verdict, the verdict, the command that runs it again. */
void sim_view_failure(FILE *out, const struct sim_setup *setup, size_t occurrences,
                      const struct sim_result *result, const struct apart_story *story);

/* Marks that no seed reached, each with its sentence. */
void sim_view_unreached(FILE *out, const struct seeds_sum *sum);

/* In one sentence: seeds, virtual years, faults, failures. */
size_t sim_view_sum(const struct seeds_sum *sum, char *out, size_t size);

/* False: it could not be written. */
bool sim_view_result(const struct sim_setup *setup, const struct sim_result *result, double wall_s);
/* `nodes`: as of their setup. */
bool sim_view_seeds(uint32_t nodes, const struct seeds_sum *sum, const char *verdict,
                    double wall_s);

#endif
