/* See alarms.h. */
#include "bench/alarms.h"

#include <math.h>

#define DAY_S 86400.0

struct rule rule_at(size_t index)
{
    static const double fors[RULE_FORS] = {0, 60, 120, 300, 600, 900, 1800};
    static const double keeps[RULE_KEEPS] = {0, 300, 900};
    return (struct rule){fors[index / RULE_KEEPS], keeps[index % RULE_KEEPS]};
}

void tally_add(struct tally *tally, const struct series *series, const bool holds[],
               struct rule rule)
{
    size_t until_fires = (size_t)(rule.for_s / SERIES_STEP_S);
    size_t until_rests = (size_t)(rule.keep_s / SERIES_STEP_S);
    size_t held = 0, not_held = 0;
    bool fires = false;
    double since_s = 0, end_s = series_end_s(series);
    for (size_t i = 0; i + 1 < series->count; i++) {
        held = holds[i] ? held + 1 : 0;
        not_held = holds[i] ? 0 : not_held + 1;
        if (!fires && held > until_fires) {
            fires = true;
            since_s = (double)i * SERIES_STEP_S;
            tally->false_alarms += since_s < series->onset_s;
        } else if (fires && not_held > until_rests) {
            fires = false;
        }
    }
    tally->watched_days += series->onset_s / DAY_S;
    if (series->fate == SERIES_DEGRADES)
        sample_add(&tally->leads, fires ? end_s - fmax(since_s, series->onset_s) : 0);
}

double tally_false_a_day(const struct tally *tally)
{
    return tally->false_alarms / tally->watched_days;
}

double tally_lead_s(const struct tally *tally)
{
    return sample_median(&tally->leads);
}

double tally_mean_lead_s(const struct tally *tally)
{
    double sum = 0;
    for (size_t i = 0; i < tally->leads.count; i++)
        sum += tally->leads.values[i];
    return sum / (double)tally->leads.count;
}

double tally_misses(const struct tally *tally)
{
    size_t missed = 0;
    for (size_t i = 0; i < tally->leads.count; i++)
        missed += tally->leads.values[i] == 0;
    return (double)missed / (double)tally->leads.count;
}
