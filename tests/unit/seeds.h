/*
 * How many seeds a test in virtual time tries: `all`, but a fifth of them under a sanitizer, which
 * makes them take several times as long and looks for mistakes that do not hide in one seed, and
 * where nothing is optimised, to see which lines are run.
 */
#ifndef MOONWATCH_TESTS_SEEDS_H
#define MOONWATCH_TESTS_SEEDS_H

#include "base/sanitizer.h"

#if WITH_SANITIZER || !defined(__OPTIMIZE__)
#define SEEDS_OF(all) (((all) + 4) / 5)
#define IS_SLOW       1
#else
#define SEEDS_OF(all) (all)
#define IS_SLOW       0
#endif

#endif
