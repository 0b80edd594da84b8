/*
 * What the shell knows and the core cannot see, for health (health.h): it comes with the sample of
 * each second. NaN, but for what is counted: not known, or there is nothing that it could be about.
 */
#ifndef MOONWATCH_CORE_SURROUNDINGS_H
#define MOONWATCH_CORE_SURROUNDINGS_H

#include "core/finding.h"

struct surroundings {
    double store_commits, store_failures, store_dropped; /* ever */
    double store_waiting;   /* rows and tokens that are not committed yet */
    double source_down_s;   /* for how long it has not spoken to us; 0: it does */
    double source_silent_s; /* for how long one that is live has named no token */
    double deaths_last_hour[WATCHED_PROCESS_COUNT];
};

#endif
