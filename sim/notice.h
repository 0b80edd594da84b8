/*
 * An oracle of noticing: a fault that hits often, and for a while, must be seen by the daemon and
 * told to people, as a finding (core/finding.h) or, where no figure of theirs is wrong, in a
 * counter of what was refused. Of each kind a row (notice.c) says what shows it, how many hits, and
 * for how long. Only while one engine works all the time: another one knows nothing of before.
 */
#ifndef MOONWATCH_SIM_NOTICE_H
#define MOONWATCH_SIM_NOTICE_H

#include "sim/oracle.h"
#include "sim/sim.h"

/* Findings are looked at once a second, and follow rates over up to five minutes: a fault that
 * began after an hour without any is a tenth of them within thirty seconds. */
#define NOTICE_WITHIN_S 120.0

struct notice {
    struct {
        instant since; /* INSTANT_NEVER: it is not there, or nobody is to notice it */
        uint64_t hits, count;
        bool is_seen;
    } of[SIM_FAULT_COUNT];
};

/* The world as it is. */
struct notice_view {
    uint64_t present;     /* faults: a bit each */
    const uint64_t *hits; /* by kind, ever: how often it was felt */
    const struct core_stats *stats;
    instant now;
};

void notice_look(struct notice *notice, struct oracle *oracle, const struct notice_view *view);
void notice_forget(struct notice *notice); /* another engine begins */

#endif
