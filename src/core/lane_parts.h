/* What lane.c and lane_start.c share; private to them. */
#ifndef MOONWATCH_CORE_LANE_PARTS_H
#define MOONWATCH_CORE_LANE_PARTS_H

#include "core/lane.h"

/* Before every stamp: nobody has been counted as due yet. */
#define LANE_NOT_COUNTED ((instant){INT64_MIN})

/* lane.c */
unsigned lane_fifo_index(const struct lanes *lanes, unsigned group, double weight);
/* The latest stamp that has reached its target. */
instant lane_due_before(const struct lanes *lanes, unsigned group, instant now);

/* Readers show ages from stamps while we run: one atomic word. */
static inline void lane_set_stamp(struct lane_link *link, instant stamp)
{
    atomic_store_explicit((_Atomic int64_t *)&link->stamp.us, stamp.us, memory_order_relaxed);
}

#endif
