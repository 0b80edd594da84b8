/*
 * The day's rhythm of a signal: its mean in each half hour of the day, learnt as it goes. It counts
 * as KNOWN once two days have been seen and it foretells at least half of how far the signal strays
 * from the mean of a day; before that, and for signals without a rhythm, it says nothing. What it
 * says is the difference between two times of the day. Time is seconds since any midnight (UTC's,
 * for the epoch).
 */
#ifndef MOONWATCH_CORE_SEASON_H
#define MOONWATCH_CORE_SEASON_H

#include <stdbool.h>
#include <stdint.h>

#define SEASON_SLOTS 48 /* half hours: a working day begins and ends within one */

struct season {
    float slots[SEASON_SLOTS]; /* mean of about the last three days */
    uint32_t slots_done;       /* since the start, at most counted to two days */
    double mean;               /* of about the last day */
    double error, error_blind; /* of the profile, and of the mean alone; mean of about a day */
    double t_s;                /* of the newest value */
    int slot;                  /* being gathered, with the sum and number of its values */
    uint32_t gathered;
    double sum;
};

void season_init(struct season *season);
/* `t_s` grows from call to call; `value` is finite. */
void season_add(struct season *season, double t_s, double value);
bool season_is_known(const struct season *season);
/* Its value at any time, between the slots' middles by interpolation. */
double season_at(const struct season *season, double t_s);

#endif
