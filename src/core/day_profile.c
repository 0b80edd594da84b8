#include "core/day_profile.h"
#include <assert.h>
#include <math.h>
#include <string.h>

#define DAY_S  86400.0
#define SLOT_S (DAY_S / DAY_SLOTS)

void day_profile_init(struct day_profile *profile)
{
    memset(profile, 0, sizeof *profile);
    profile->slot = -1;
}

static void leave_slot(struct day_profile *profile, double visits_most)
{
    int32_t slot = profile->slot;
    double mean = profile->sum / profile->count;
    if (profile->visits[slot] < UINT8_MAX)
        profile->visits[slot]++;
    double share = 1 / fmin(profile->visits[slot], visits_most);
    profile->mean[slot] += share * (mean - profile->mean[slot]);
}

double day_profile_add(struct day_profile *profile, double t_s, double value, double visits_most)
{
    if (!isfinite(t_s))
        return NAN;
    double of_day = fmod(t_s, DAY_S);
    int32_t slot = (int32_t)((of_day < 0 ? of_day + DAY_S : of_day) / SLOT_S);
    slot = slot < DAY_SLOTS ? slot : DAY_SLOTS - 1; /* −1e-20 + a day is a day */
    assert(slot >= 0);
    if (slot != profile->slot) {
        if (profile->slot >= 0)
            leave_slot(profile, visits_most);
        profile->slot = slot;
        profile->sum = profile->count = 0;
    }
    profile->sum += value;
    profile->count++;
    return profile->visits[slot] > 0 ? value - profile->mean[slot] : NAN;
}
