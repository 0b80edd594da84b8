/*
 * Coverage marks: "this branch was reached". The branches that matter are marked where they are
 * taken, each by name, and whoever runs the daemon's code under faults (sim/) asks afterwards which
 * of them it never came to: there its faults are too few, or the branch cannot be reached.
 *
 * A mark is one store of a byte and is in every build, so that what is proven is what runs. The
 * table is the process's, and marks nothing but having been there: nobody decides by it. Threads
 * may mark at once; the store is atomic, and all store the same.
 *
 * Not in loops over tokens or keys that are counted in nanoseconds, and not where several threads
 * come all the time: they would pull the table's cache line to and fro.
 */
#ifndef MOONWATCH_BASE_MARK_H
#define MOONWATCH_BASE_MARK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum mark {
#define X(code, sentence) MARK_##code,
#include "base/marks.def"
#undef X
    MARK_COUNT
};

/* The only variable that is not behind a function: a call would cost more than all that it does. */
extern __attribute__((visibility("hidden"))) uint8_t marks_reached[MARK_COUNT];

#define MARK(code) __atomic_store_n(&marks_reached[MARK_##code], 1, __ATOMIC_RELAXED)
/* Without a branch: there is none to foretell, and none to cover. */
#define MARK_IF(code, when)                                                                        \
    __atomic_store_n(&marks_reached[MARK_##code],                                                  \
                     __atomic_load_n(&marks_reached[MARK_##code], __ATOMIC_RELAXED) |              \
                         (uint8_t)((when) != 0),                                                   \
                     __ATOMIC_RELAXED)

const char *mark_name(enum mark mark);     /* as in marks.def */
const char *mark_sentence(enum mark mark); /* what was reached */
void marks_forget(void);

#endif
