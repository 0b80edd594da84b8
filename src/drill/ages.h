/*
 * The ages of all tokens, seen from outside: a few times a second through the shared token table,
 * against the optimum (sim/optimum.h) of the capacity that was in force. A lane is a problem of its
 * own: its tokens, their weights and costs, the requests that it sent.
 *
 * The RATIO is that of the weighted mean age over a window of the length of the target interval to
 * the optimum of the requests that were sent in it: the quasi-static optimum, since it takes that
 * capacity for lasting. Windows that see a step of the capacity are left out: the ages that one
 * capacity left behind are no fault of the next.
 *
 * HEAVY tokens are those that the optimum keeps at their target while the capacity is short. Each
 * of their refreshes is judged, at all times: on time is within 1.1 × the target of the one before.
 */
#ifndef MOONWATCH_DRILL_AGES_H
#define MOONWATCH_DRILL_AGES_H

#include "base/time.h"
#include <stdint.h>

struct drill;
struct ages;

#define AGES_TOKENS_MAX 8192

enum ages_lane { AGES_REFRESH, AGES_SCREEN, AGES_LANE_COUNT };

const char *ages_lane_name(enum ages_lane lane);

/* What has been seen so far. */
struct ages_report {
    uint32_t tokens[AGES_LANE_COUNT];
    double need[AGES_LANE_COUNT];       /* requests a second that keep every target */
    double sent[AGES_LANE_COUNT];       /* requests a second in the newest window */
    double ratio[AGES_LANE_COUNT];      /* newest; NaN: a step is in the window */
    double ratio_most[AGES_LANE_COUNT]; /* of all windows; 0: none */
    unsigned windows;
    double oldest_s;     /* of any token, ever */
    double oldest_now_s; /* at the newest look */
    uint32_t heavy;      /* tokens */
    uint64_t heavy_refreshes, heavy_on_time;
};

/* Maps the table of the drill's daemon, whose options must have one target for hot and cold. */
struct ages *ages_open(struct drill *drill);
/* Looks at everybody. */
void ages_look(struct drill *drill, struct ages *ages);
/* The capacity is another from here on, whatever the page says of it. */
void ages_step(struct ages *ages);
/* Who is heavy at this share of what each lane needs. */
void ages_choose_heavy(struct ages *ages, double share);
const struct ages_report *ages_report(const struct ages *ages);

#endif
