/* The market's own time: starts at the wall clock and runs `speed` times as fast. */
#ifndef MOONWATCH_MARKET_TIME_H
#define MOONWATCH_MARKET_TIME_H

#include "base/time.h"

struct market_time {
    instant start;
    double speed;
};

static inline instant market_now(const struct market_time *time, instant now)
{
    double elapsed_us = (double)instant_diff(now, time->start).us * time->speed;
    return instant_add(time->start, duration_us((int64_t)elapsed_us));
}

#endif
