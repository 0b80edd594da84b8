/*
 * The only place that reads the machine's clocks. Never called from src/core.
 *
 * clock_now() is the steady timeline of time.h: CLOCK_BOOTTIME plus an offset taken from the wall
 * clock once, at the first call, so suspends count and steps of the wall clock do not. When the
 * wall clock is found away from the steady one (it was stepped), the offset is slewed towards it by
 * at most 1 % of the time that passes: months of running stay true, and time never goes back.
 */
#ifndef MOONWATCH_BASE_CLOCK_H
#define MOONWATCH_BASE_CLOCK_H

#include "base/time.h"
#include <stddef.h>

/*
 * The line that the offset follows: from `offset` at `start` (of CLOCK_BOOTTIME) towards `target`.
 * It may lie in shared memory, so that several processes have one timeline (clock_share()).
 */
struct clock_line {
    _Atomic uint32_t sequence; /* 0: not begun; 1: being written, as every odd number */
    uint32_t spare;
    _Atomic int64_t start_us;
    _Atomic int64_t offset_us;
    _Atomic int64_t target_us;
    _Atomic int64_t seen_us; /* wall clock minus steady timeline, as last seen */
};

/* From now on this process follows `shared`; before other threads read the clock. A line not yet
 * begun goes on from the process's own. One process alone disciplines it. */
void clock_share(struct clock_line *shared);

/* Safe from any thread. */
instant clock_now(void);

/* The same on the line of other processes, which has begun: for who may only look at it. */
instant clock_now_on(const struct clock_line *other);

/* Wall clock minus steady timeline as last seen by clock_discipline(). */
duration clock_offset(void);

/* Call about once a second, from one thread: looks at the wall clock and slews. Returns true once
 * for each step of more than a second, so that it can be logged and counted. */
bool clock_discipline(void);

/* For drills: this process reads the wall clock so much wrong from now on. */
void clock_mislead(duration error);

/* From now on clock_now() says what `now` says: for who lives in a time of his own (the simulator).
 * Before there are other threads. NULL: the machine's again. */
void clock_pretend(instant (*now)(void *context), void *context);

/* CPU time used by this process, for "CPU seconds per refresh". */
duration clock_process_cpu(void);
duration clock_thread_cpu(void); /* of the calling thread */

#define ISO_TIME_SIZE 40

/* ISO 8601 in UTC with microseconds and offset: 2026-07-03T10:45:26.083219+00:00. Returns length.
 */
size_t iso_time_format(instant t, char out[ISO_TIME_SIZE]);

/* Accepts the form above with or without fraction, and "Z" for the offset. False: not a time. */
bool iso_time_parse(const char *text, instant *out);

#endif
