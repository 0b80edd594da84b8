/* See gather.h. */
#include "core/gather.h"

#include <math.h>

double gather_span_s(double shortest_target_s, double requests_per_second)
{
    double span = fmin(shortest_target_s * GATHER_SHARE, GATHER_REQUESTS / requests_per_second);
    return span < GATHER_SPAN_MIN ? 0 : span;
}

instant gather_ready_at(const struct gather *gather)
{
    return gather->is_open ? INSTANT_NEVER : gather->next;
}

void gather_sent(struct gather *gather, instant now)
{
    if (gather->is_open)
        return;
    gather->is_open = true;
    gather->next = instant_add(now, gather->span);
}

void gather_end(struct gather *gather)
{
    gather->is_open = false;
}

void gather_hurry(struct gather *gather)
{
    gather->is_open = false;
    gather->next = INSTANT_NEVER;
}
