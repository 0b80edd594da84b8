/*
 * Points in time and spans of time, as types of their own so that they cannot be mixed up.
 *
 * An `instant` counts microseconds since the Unix epoch on the daemon's STEADY timeline: it starts
 * at the wall clock and then follows the monotonic one, so it never goes back and a clock that
 * jumps does not move it (see clock.h). Ages are differences of instants; what is shown to people
 * and stored is the instant itself. INSTANT_NEVER sorts before every real instant.
 */
#ifndef MOONWATCH_BASE_TIME_H
#define MOONWATCH_BASE_TIME_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    int64_t us;
} instant;

typedef struct {
    int64_t us;
} duration;

#define INSTANT_NEVER                                                                              \
    (instant)                                                                                      \
    {                                                                                              \
        0                                                                                          \
    }
#define INSTANT_FAR                                                                                \
    (instant)                                                                                      \
    {                                                                                              \
        INT64_MAX                                                                                  \
    }

static inline duration duration_us(int64_t us)
{
    return (duration){us};
}

static inline duration duration_ms(int64_t ms)
{
    return (duration){ms * 1000};
}

/* Fractions of a second are kept to the microsecond. */
static inline duration duration_s(double s)
{
    return (duration){(int64_t)(s * 1e6)};
}

static inline double duration_to_s(duration d)
{
    return (double)d.us / 1e6;
}

static inline int64_t duration_to_ms(duration d)
{
    return d.us / 1000;
}

/* These two wrap around: an instant that stands in shared memory may be anything, and what comes of
 * it, too; but it must not be undefined. */
static inline instant instant_add(instant t, duration d)
{
    return (instant){(int64_t)((uint64_t)t.us + (uint64_t)d.us)};
}

/* a − b; negative when b is later. */
static inline duration instant_diff(instant a, instant b)
{
    return (duration){(int64_t)((uint64_t)a.us - (uint64_t)b.us)};
}

static inline bool instant_before(instant a, instant b)
{
    return a.us < b.us;
}

static inline instant instant_min(instant a, instant b)
{
    return a.us < b.us ? a : b;
}

static inline instant instant_max(instant a, instant b)
{
    return a.us > b.us ? a : b;
}

static inline bool instant_is_never(instant t)
{
    return t.us <= 0;
}

#endif
