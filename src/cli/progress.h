/*
 * How far a long work is: on a terminal a bar that stays on its line, elsewhere a plain line every
 * few seconds. The verb calls progress_clear() before it writes anything itself.
 */
#ifndef MOONWATCH_CLI_PROGRESS_H
#define MOONWATCH_CLI_PROGRESS_H

#include "base/time.h"
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#define PROGRESS_BAR_MS   100  /* between two drawings of the bar */
#define PROGRESS_PLAIN_MS 5000 /* between two plain lines */

struct progress {
    FILE *out;
    const char *verb;
    const char *unit; /* "lines" */
    bool is_terminal;
    instant began, shown;
    bool is_drawn;
};

struct progress_state {
    uint64_t count;       /* units done */
    uint64_t done, total; /* of the work, in any measure (bytes); total 0: unknown */
    const char *note;     /* after the figures; "" none */
};

void progress_begin(struct progress *progress, FILE *out, const char *verb, const char *unit);

/* Shows the state if it is time; `now` is any steady time. */
void progress_update(struct progress *progress, const struct progress_state *state, instant now);

/* Takes the bar away, so that a line can be written; it comes back with the next update. */
void progress_clear(struct progress *progress);

/* The figures as text: "42 %, 420000 lines, 12345/s, 0:47 left". Returns the length. */
size_t progress_text(const struct progress_state *state, const char *unit, duration elapsed,
                     char out[160]);

#endif
