/*
 * What a rule of an alert makes of a series: how early it fires before the crossing, and how often
 * without reason. The rule is Prometheus's: a condition that holds `for` so long fires, and goes on
 * to fire until it did not hold for `keep_firing_for`.
 *
 * LEAD: from the first alarm that lasts until the crossing, but at the earliest from the onset, to
 * the crossing. MISS: no such alarm; its lead is 0. FALSE: an alarm that begins before the onset,
 * or in a healthy series. Alarms that come after the onset and go again are neither.
 */
#ifndef MOONWATCH_BENCH_ALARMS_H
#define MOONWATCH_BENCH_ALARMS_H

#include "bench/sample.h"
#include "bench/series.h"
#include <stdbool.h>

#define RULE_FORS  7
#define RULE_KEEPS 3
#define RULES      (RULE_FORS * RULE_KEEPS)

struct rule {
    double for_s, keep_s;
};

struct tally {
    double watched_days;
    unsigned false_alarms;
    struct sample leads; /* seconds, one a degradation */
};

struct rule rule_at(size_t index); /* of those that are tried, < RULES */

/* `holds` says of each value whether the condition does. */
void tally_add(struct tally *tally, const struct series *series, const bool holds[],
               struct rule rule);

double tally_false_a_day(const struct tally *tally);
double tally_lead_s(const struct tally *tally);      /* median */
double tally_mean_lead_s(const struct tally *tally); /* misses count as 0 */
double tally_misses(const struct tally *tally);      /* share */

#endif
