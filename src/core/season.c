/* See season.h. */
#include "core/season.h"

#include <math.h>
#include <string.h>

#define DAY_S      86400.0
#define SLOT_S     (DAY_S / SEASON_SLOTS)
#define DAYS_LEAST 2         /* one day is no rhythm */
#define RENEWAL    (1.0 / 3) /* of a slot a day: follows a rhythm that changes within a week */
#define SHARE_MOST 0.5       /* of the blind error that may be left */

void season_init(struct season *season)
{
    memset(season, 0, sizeof *season);
    season->slot = -1;
}

static double slots_since_midnight(double t_s)
{
    double t = fmod(t_s, DAY_S); /* exact, however large the time is */
    return (t < 0 ? t + DAY_S : t) / SLOT_S;
}

/* A slot is over: how well was it foretold, and what is to be foretold of it tomorrow? */
static void close_slot(struct season *season)
{
    float *slot = &season->slots[season->slot];
    double value = season->sum / season->gathered;
    bool is_first = season->slots_done < SEASON_SLOTS;
    if (!is_first) {
        season->error += (fabs(value - *slot) - season->error) / SEASON_SLOTS;
        season->error_blind += (fabs(value - season->mean) - season->error_blind) / SEASON_SLOTS;
    }
    *slot += (float)((value - *slot) * (is_first ? 1 : RENEWAL));
    if (season->slots_done < DAYS_LEAST * SEASON_SLOTS)
        season->slots_done++;
}

void season_add(struct season *season, double t_s, double value)
{
    int slot = (int)slots_since_midnight(t_s) % SEASON_SLOTS;
    if (season->slot < 0) {
        season->mean = value;
    } else {
        double share = fmin((t_s - season->t_s) / DAY_S, 1);
        season->mean += share * (value - season->mean);
    }
    if (slot != season->slot) {
        if (season->gathered > 0)
            close_slot(season);
        season->slot = slot;
        season->gathered = 0;
        season->sum = 0;
    }
    season->sum += value;
    season->gathered++;
    season->t_s = t_s;
}

bool season_is_known(const struct season *season)
{
    return season->slots_done >= DAYS_LEAST * SEASON_SLOTS &&
           season->error < SHARE_MOST * season->error_blind;
}

double season_at(const struct season *season, double t_s)
{
    double place = slots_since_midnight(t_s) - 0.5;
    double below = floor(place), share = place - below;
    int left = ((int)below + SEASON_SLOTS) % SEASON_SLOTS;
    int right = (left + 1) % SEASON_SLOTS;
    return season->slots[left] * (1 - share) + season->slots[right] * share;
}
