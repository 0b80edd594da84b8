#include "core/peaks.h"
#include <assert.h>
#include <math.h>
#include <stdbool.h>

void peaks_init(struct peaks *peaks, uint32_t kept)
{
    assert(kept > 1 && kept <= PEAKS_MOST);
    *peaks = (struct peaks){.kept = kept, .recent = -INFINITY};
}

static double beyond_all(const struct peaks *peaks, double value)
{
    uint32_t middle = peaks->count / 2;
    double spread = peaks->size[0] - peaks->size[middle];
    double excess = (value - peaks->size[0]) * log(middle + 1.0);
    return excess < PEAKS_BEYOND_MOST * spread ? excess / spread : PEAKS_BEYOND_MOST;
}

double peaks_surprise(const struct peaks *peaks, double value, double beyond)
{
    uint32_t count = peaks->count, rank = 0;
    if (count == 0 || !(value > peaks->size[count - 1]))
        return 0;
    while (peaks->size[rank] >= value)
        rank++;
    double surprise = log((peaks->kept + 1.0) / (rank + 1.0));
    if (rank == 0)
        return surprise + beyond * beyond_all(peaks, value);
    double below = peaks->size[rank], above = peaks->size[rank - 1];
    double share = value < above ? (value - below) / (above - below) : 0;
    return surprise + share * log((rank + 1.0) / rank);
}

static void move(struct peaks *peaks, uint32_t from, uint32_t to)
{
    peaks->size[to] = peaks->size[from];
    peaks->at[to] = peaks->at[from];
}

/* The bar falls to what was largest since, and no lower: the list stays full. */
static void forget(struct peaks *peaks, uint64_t now)
{
    uint32_t left = 0, count = peaks->count;
    uint64_t oldest = now;
    for (uint32_t i = 0; i < count; i++) {
        if (peaks->at[i] + PEAKS_HORIZON <= now)
            continue;
        if (i == peaks->newest)
            peaks->newest = left;
        if (peaks->at[i] < oldest)
            oldest = peaks->at[i];
        move(peaks, i, left++);
    }
    double least = left > 0 ? fmin(peaks->size[left - 1], peaks->recent) : peaks->recent;
    for (; left < count; left++) {
        peaks->size[left] = least;
        peaks->at[left] = now;
    }
    if (peaks->newest_at + PEAKS_HORIZON <= now)
        peaks->newest_at = 0;
    peaks->oldest_at = oldest;
    peaks->recent = -INFINITY;
}

/* Where the value goes; false: nowhere. */
static bool place_for(struct peaks *peaks, double value, uint64_t now, double apart,
                      uint32_t *place)
{
    if (peaks->newest_at != 0 && (double)(now - peaks->newest_at) < apart) {
        *place = peaks->newest;
        return value > peaks->size[peaks->newest];
    }
    bool is_full = peaks->count == peaks->kept;
    *place = is_full ? peaks->kept - 1 : peaks->count;
    if (is_full && !(value > peaks->size[peaks->kept - 1]))
        return false;
    peaks->count += !is_full;
    peaks->newest_at = now;
    return true;
}

void peaks_add(struct peaks *peaks, double value, uint64_t now, double apart)
{
    uint32_t place;
    if (value > peaks->recent)
        peaks->recent = value;
    if (peaks->count > 0 && peaks->oldest_at + PEAKS_HORIZON <= now)
        forget(peaks, now);
    if (!place_for(peaks, value, now, apart, &place))
        return;
    for (; place > 0 && peaks->size[place - 1] < value; place--)
        move(peaks, place - 1, place);
    peaks->size[place] = value;
    peaks->at[place] = now;
    peaks->newest = place;
}
