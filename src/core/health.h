/*
 * Health: what is wrong now, judged once a second from what the core really does, in the words of
 * finding.h. Intervals, limits and levels are read where they are kept, so health cannot differ
 * from what the scheduler does.
 *
 *   scheduler   A token that is due is LATE past `health_late_intervals` × the interval in force,
 * an alert past `health_alert_intervals` ×. promise.h says what that means after a change of the
 * interval, a start or a pause; one whose status has just changed has its new group's interval from
 * then on. Who is under way still waits. Archived tokens ride along where there is room, and are
 * never late. jobs        late, stuck (it overran its deadline; the core has cancelled it), failed.
 *   feeds       the breaker, refusals, failures, latency, silence, a limit learnt below the one
 *               configured; errors of the last hour: requests that ended without a usable answer,
 *               but for refusals, which are how a limit is learnt, and for the probes of an open
 *               breaker, which is a finding itself; commits that failed; jobs that failed or
 *               overran.
 *   store, source, processes: as the shell sees them (surroundings.h).
 *   resources   the levels of load.h. That others keep the machine busy while we keep up is worth
 *               knowing, and nothing is wrong.
 *
 * What nobody can see (a finding about an engine that is down) the readers of the page add
 * (page/health_view.h).
 */
#ifndef MOONWATCH_CORE_HEALTH_H
#define MOONWATCH_CORE_HEALTH_H

#include "core/core.h"
#include "core/promise.h"
#include "core/recently.h"

/* What is kept of one lane's past. */
struct lane_health {
    struct recently ended, refused; /* of a minute */
    struct recently tried, failed;  /* of five: without refusals */
    uint64_t requests_at_answer;    /* how many had been sent when the last answer came */
    instant answered_at;
    instant unanswered_since; /* something is sent and nothing is answered; INSTANT_NEVER: not */
};

struct health_state {
    struct promise promises[GROUP_COUNT];
    duration came_from[GROUP_COUNT]; /* longest interval of those that came over, their status
                                        unchanged, since the last second */
    instant fetching_since;          /* INSTANT_FAR: nothing is fetched */
    duration job_intervals[JOB_COUNT];
    instant job_intervals_since[JOB_COUNT];
    struct lane_health lanes[LANE_KIND_COUNT];
    struct recently tokens;                                /* answered, of a minute */
    struct recently errors, store_failures, store_dropped; /* of an hour */
    uint64_t errors_ever, failed_before;
    instant looked_at; /* when the shell looked last; INSTANT_NEVER: it never did */
    struct load_sample sample;
    struct surroundings around;
    unsigned unknown_looks[LOAD_SIGNAL_COUNT]; /* in a row */
    instant waiting_since;                     /* for the store; INSTANT_NEVER: nothing waits */
    double commits_before;
    instant found_at[FINDING_CAUSE_COUNT]; /* last */
    struct findings findings;              /* of this second */
};

/* The tokens of a group that are late. */
struct lateness {
    uint32_t count;  /* counted to hundreds in each FIFO */
    bool is_alert;   /* somebody is past health_alert_intervals, too */
    duration oldest; /* the age of the oldest of them */
};

/* Of the hot or of the cold ones. */
struct lateness health_lateness(const struct core *core, enum token_group group);

#endif
