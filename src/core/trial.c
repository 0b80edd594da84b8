/* Suspects and their trials. See the header. */
#include "core/trial.h"

#include "base/mark.h"
#include <assert.h>
#include <math.h>
#include <string.h>

#define DOUBLINGS_MAX 16 /* beyond any ceiling */

enum link_family lane_family(enum lane_kind lane)
{
    return lane == LANE_DISCOVER ? LINKS_DISCOVER : LINKS_PRICE;
}

/* The end when it is none. */
static uint32_t index_of(const struct trials *suspects, token_id id)
{
    uint32_t i = 0;
    while (i < suspects->count && suspects->items[i].id != id)
        i++;
    return i;
}

bool trials_has(const struct trials *suspects, token_id id)
{
    return index_of(suspects, id) < suspects->count;
}

struct defendant *trials_find(struct trials *suspects, token_id id)
{
    uint32_t i = index_of(suspects, id);
    return i < suspects->count ? &suspects->items[i] : NULL;
}

struct defendant *trials_add(struct trials *suspects, token_id id)
{
    assert(suspects->count < TRIALS_MAX && !trials_has(suspects, id));
    struct defendant *suspect = &suspects->items[suspects->count++];
    *suspect = (struct defendant){.id = id};
    return suspect;
}

void trials_remove(struct trials *suspects, token_id id)
{
    uint32_t i = index_of(suspects, id);
    assert(i < suspects->count);
    suspects->count--;
    memmove(&suspects->items[i], &suspects->items[i + 1],
            (suspects->count - i) * sizeof *suspects->items);
}

bool trials_has_under_way(const struct trials *suspects, enum lane_kind lane)
{
    for (uint32_t i = 0; i < suspects->count; i++) {
        const struct trial *trial = &suspects->items[i].trials[lane_family(lane)];
        if (trial->state == TRIAL_UNDER_WAY && trial->lane == lane)
            return true;
    }
    return false;
}

void trial_try(struct defendant *suspect, enum link_family family)
{
    if (suspect->trials[family].state == TRIAL_NONE)
        suspect->trials[family] = (struct trial){.state = TRIAL_WAITING};
}

static struct trial *under_way(struct defendant *suspect, enum lane_kind lane)
{
    struct trial *trial = &suspect->trials[lane_family(lane)];
    assert(trial->state == TRIAL_UNDER_WAY && trial->lane == lane);
    return trial;
}

void trial_sent(struct defendant *suspect, enum lane_kind lane)
{
    struct trial *trial = &suspect->trials[lane_family(lane)];
    assert(trial->state == TRIAL_WAITING);
    trial->state = TRIAL_UNDER_WAY;
    trial->lane = lane;
}

bool trial_passed(struct defendant *suspect, enum lane_kind lane)
{
    under_way(suspect, lane)->state = TRIAL_NONE;
    for (int i = 0; i < LINK_FAMILY_COUNT; i++)
        if (suspect->trials[i].state != TRIAL_NONE) {
            MARK(TRIAL_HALF_PASSED);
            return false;
        }
    return true;
}

void trial_failed(struct defendant *suspect, enum lane_kind lane, instant now)
{
    struct trial *trial = under_way(suspect, lane);
    double wait_us = (double)TRIAL_RETRY_FIRST.us * exp2(trial->failures);
    trial->state = TRIAL_WAITING;
    trial->not_before =
        instant_add(now, duration_us((int64_t)fmin(wait_us, (double)TRIAL_RETRY_MOST.us)));
    MARK(TRIAL_FAILED);
    MARK_IF(TRIAL_WAITS_LONGEST, wait_us >= (double)TRIAL_RETRY_MOST.us);
    if (trial->failures < DOUBLINGS_MAX)
        trial->failures++;
}
