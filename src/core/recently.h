/* How much a counter rose within the last minute, five minutes or hour. Pure. */
#ifndef MOONWATCH_CORE_RECENTLY_H
#define MOONWATCH_CORE_RECENTLY_H

#include "base/time.h"

#define RECENTLY_SLOTS 60

struct recently {
    duration slot;               /* the span is this × RECENTLY_SLOTS, up to one slot less */
    int64_t number;              /* of the newest slot; −1: nothing seen yet */
    double newest;               /* what the counter was last */
    double increase;             /* within the span, as of the last recently_add() */
    double past[RECENTLY_SLOTS]; /* what it was when each slot began */
};

void recently_init(struct recently *recently, duration span);

/* What the counter, which never falls, is now. Returns the increase; the first time 0. */
double recently_add(struct recently *recently, instant now, double counter);

#endif
