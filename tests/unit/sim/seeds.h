/*
 * How many seeds a test of the simulation tries: `all`, but a fifth of them under a sanitizer,
 * which makes them take several times as long and looks for mistakes that do not hide in one seed.
 */
#ifndef MOONWATCH_TESTS_SIM_SEEDS_H
#define MOONWATCH_TESTS_SIM_SEEDS_H

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SEEDS_OF(all) (((all) + 4) / 5)
#else
#define SEEDS_OF(all) (all)
#endif

#endif
