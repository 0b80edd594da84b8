/*
 * What is usual at this time of the day, from the days before: the day in slots, for each the mean
 * of the value over its visits, which count less the longer ago they were. What the present visit
 * brings is not in it before the slot is left, so nothing is compared with itself.
 */
#ifndef MOONWATCH_CORE_DAY_PROFILE_H
#define MOONWATCH_CORE_DAY_PROFILE_H

#include <stdint.h>

#define DAY_SLOTS                                                                                  \
    96 /* of 15 minutes: the morning's rise takes longer, and most series are coarser */

struct day_profile {
    double mean[DAY_SLOTS];
    uint8_t visits[DAY_SLOTS]; /* finished ones, up to what counts */
    int32_t slot;              /* of the newest value; -1: none */
    uint32_t count;            /* of its values in this visit */
    double sum;
};

void day_profile_init(struct day_profile *profile);

/* Value minus what is usual at `t_s`, seconds since 1970; NaN while that is not known, or with no
 * finite time. `visits_most`: a day's share is 1/visits_most, or 1/n on the n-th day. */
double day_profile_add(struct day_profile *profile, double t_s, double value, double visits_most);

#endif
