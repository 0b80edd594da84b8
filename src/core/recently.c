/* See the header. */
#include "core/recently.h"

#include <assert.h>

void recently_init(struct recently *recently, duration span)
{
    *recently = (struct recently){.slot = {span.us / RECENTLY_SLOTS}, .number = -1};
}

static void begin(struct recently *recently, int64_t number, double counter)
{
    for (int i = 0; i < RECENTLY_SLOTS; i++)
        recently->past[i] = counter;
    recently->number = number;
    recently->newest = counter;
}

double recently_add(struct recently *recently, instant now, double counter)
{
    int64_t number = now.us / recently->slot.us;
    assert(counter >= recently->newest || recently->number < 0);
    if (recently->number < 0)
        begin(recently, number, counter);
    /* Slots that nobody looked in began with what was seen last. */
    int64_t first =
        number - RECENTLY_SLOTS > recently->number ? number - RECENTLY_SLOTS : recently->number;
    for (int64_t i = first + 1; i <= number; i++)
        recently->past[i % RECENTLY_SLOTS] = recently->newest;
    if (number > recently->number)
        recently->number = number;
    recently->newest = counter;
    recently->increase = counter - recently->past[(recently->number + 1) % RECENTLY_SLOTS];
    return recently->increase;
}
