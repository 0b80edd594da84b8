/* A database with many tokens, written through the store's own code, as the daemon would. */
#ifndef MOONWATCH_BENCH_POPULATE_H
#define MOONWATCH_BENCH_POPULATE_H

#include <stdbool.h>
#include <stdint.h>

/* `url` as for --db; the file must not exist. A tenth of the tokens is active, the others are
 * monitored; each has a pool and figures. False with a sentence on stderr. */
bool populate(const char *url, uint32_t tokens);
/* The crowd (crowd.h): its hot tokens are active and have all their pools. Ages are spread over the
 * default intervals, as those of a population that is kept fresh. */
bool populate_crowd(const char *url, uint32_t tokens);

#endif
