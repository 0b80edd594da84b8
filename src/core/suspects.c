/* Suspects and their trials. See the header. */
#include "core/suspects.h"

#include <assert.h>
#include <math.h>
#include <string.h>

#define DOUBLINGS_MAX 16 /* beyond any ceiling */

enum link_family lane_family(enum lane_kind lane)
{
    return lane == LANE_DISCOVER ? LINKS_DISCOVER : LINKS_PRICE;
}

/* The end when it is none. */
static uint32_t index_of(const struct suspects *suspects, token_id id)
{
    uint32_t i = 0;
    while (i < suspects->count && suspects->items[i].id != id)
        i++;
    return i;
}

bool suspects_has(const struct suspects *suspects, token_id id)
{
    return index_of(suspects, id) < suspects->count;
}

struct suspect *suspects_find(struct suspects *suspects, token_id id)
{
    uint32_t i = index_of(suspects, id);
    return i < suspects->count ? &suspects->items[i] : NULL;
}

struct suspect *suspects_add(struct suspects *suspects, token_id id)
{
    assert(suspects->count < SUSPECTS_MAX && !suspects_has(suspects, id));
    struct suspect *suspect = &suspects->items[suspects->count++];
    *suspect = (struct suspect){.id = id};
    return suspect;
}

void suspects_remove(struct suspects *suspects, token_id id)
{
    uint32_t i = index_of(suspects, id);
    assert(i < suspects->count);
    suspects->count--;
    memmove(&suspects->items[i], &suspects->items[i + 1],
            (suspects->count - i) * sizeof *suspects->items);
}

bool suspects_has_under_way(const struct suspects *suspects, enum lane_kind lane)
{
    for (uint32_t i = 0; i < suspects->count; i++) {
        const struct trial *trial = &suspects->items[i].trials[lane_family(lane)];
        if (trial->state == TRIAL_UNDER_WAY && trial->lane == lane)
            return true;
    }
    return false;
}

void suspect_try(struct suspect *suspect, enum link_family family)
{
    if (suspect->trials[family].state == TRIAL_NONE)
        suspect->trials[family] = (struct trial){.state = TRIAL_WAITING};
}

static struct trial *under_way(struct suspect *suspect, enum lane_kind lane)
{
    struct trial *trial = &suspect->trials[lane_family(lane)];
    assert(trial->state == TRIAL_UNDER_WAY && trial->lane == lane);
    return trial;
}

void suspect_sent(struct suspect *suspect, enum lane_kind lane)
{
    struct trial *trial = &suspect->trials[lane_family(lane)];
    assert(trial->state == TRIAL_WAITING);
    trial->state = TRIAL_UNDER_WAY;
    trial->lane = lane;
}

bool suspect_passed(struct suspect *suspect, enum lane_kind lane)
{
    under_way(suspect, lane)->state = TRIAL_NONE;
    for (int i = 0; i < LINK_FAMILY_COUNT; i++)
        if (suspect->trials[i].state != TRIAL_NONE)
            return false;
    return true;
}

void suspect_failed(struct suspect *suspect, enum lane_kind lane, instant now)
{
    struct trial *trial = under_way(suspect, lane);
    double wait_us = (double)SUSPECT_RETRY_FIRST.us * exp2(trial->failures);
    trial->state = TRIAL_WAITING;
    trial->not_before =
        instant_add(now, duration_us((int64_t)fmin(wait_us, (double)SUSPECT_RETRY_MOST.us)));
    if (trial->failures < DOUBLINGS_MAX)
        trial->failures++;
}
