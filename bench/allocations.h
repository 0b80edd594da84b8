/*
 * How often memory was asked for: malloc(), calloc() and realloc() of everything that is linked
 * into the driver go through here (the linker's --wrap), so that "no allocation" is counted and not
 * believed. What shared libraries ask for among themselves does not.
 */
#ifndef MOONWATCH_BENCH_ALLOCATIONS_H
#define MOONWATCH_BENCH_ALLOCATIONS_H

#include <stdint.h>

/* Since the start, by all threads. */
uint64_t allocations(void);

#endif
