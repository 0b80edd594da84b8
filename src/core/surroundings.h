/*
 * What the shell knows and the core cannot see, for health (health.h): it comes with the sample of
 * each second. NaN, but for what is counted: not known, or there is nothing that it could be about.
 */
#ifndef MOONWATCH_CORE_SURROUNDINGS_H
#define MOONWATCH_CORE_SURROUNDINGS_H

#include "core/finding.h"

#define NODE_UNHEARD_S 3 /* an exchange is done twice a second */

struct surroundings {
    double store_commits, store_failures, store_dropped; /* ever */
    double store_waiting;   /* rows and tokens that are not committed yet */
    double source_down_s;   /* for how long it has not spoken to us; 0: it does */
    double source_silent_s; /* for how long one that is live has named no token */
    double deaths_last_hour[WATCHED_PROCESS_COUNT];
    /* Of a node, one of several; else NaN or 0. Seconds, 0: it is well. */
    double outside_s;        /* for how long it has asked to be let in among the nodes */
    double rests_s;          /* for how long its lease time is over */
    double unheard_s;        /* since the database answered an exchange */
    double behind_s;         /* what others wrote is in the table but for so long */
    double others_tell;      /* 1: the next three are an older node's to tell people of */
    double slots_unowned;    /* how many were nobody's for longer than the lease time */
    double source_unowned_s; /* for how long nobody holds the source */
    double clock_off_s;      /* the most that another node's clock differs from ours, either way */
};

#endif
