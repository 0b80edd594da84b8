/*
 * In a lull, those that are near their target go early.
 *
 * A start, an outage or a peak leaves tokens that are about as old as each other. Sent at their
 * targets they come due together for ever after: a peak for the CPUs and for the upstream, then a
 * lull. So while less is due than a lane has to send in the mean, it sends at the pace that it
 * would have if all ages were even; and with each round a clump is spread a tenth of the target
 * further. That pace is what saved up in the lane's `early`, a request at a time.
 *
 * Fewer tokens than fill a request in that time are left alone: they ride along with each other
 * anyway. So is a lane whose budget cannot keep every target, which has no lulls, and discovery,
 * which has no target that anybody waits for.
 */
#include "core/state.h"

#include "base/mark.h"
#include <math.h>

/* Of the pace that keeps all targets: an even population is not driven along. */
#define PACE    0.99
#define BURST_S 0.02 /* evens out the loop's own delays */

static bool may_go_early(const struct core *core, enum lane_kind lane)
{
    return lane != LANE_DISCOVER && core->lanes[lane].is_feasible && core->lanes[lane].need > 0;
}

static void save_up(struct core *core, enum lane_kind lane)
{
    struct lane_state *state = &core->lanes[lane];
    double passed_s = duration_to_s(instant_diff(core->now, state->early_at));
    double most = fmax(1, BURST_S * state->need);
    state->early = fmin(most, state->early + passed_s * PACE * state->need);
    state->early_at = core->now;
    if (!may_go_early(core, lane))
        state->early = 0;
}

instant early_ready_at(struct core *core, enum lane_kind lane)
{
    save_up(core, lane);
    if (!may_go_early(core, lane))
        return INSTANT_FAR;
    double wait_s = fmax(0, 1 - core->lanes[lane].early) / (PACE * core->lanes[lane].need);
    return instant_add(core->now, duration_us((int64_t)ceil(wait_s * 1e6)));
}

double early_share(struct core *core, enum lane_kind lane)
{
    bool may = early_ready_at(core, lane).us <= core->now.us;
    MARK_IF(MAY_GO_EARLY, may);
    return may ? EARLY_SHARE : 0;
}

void early_sent(struct core *core, enum lane_kind lane)
{
    core->lanes[lane].early = fmax(0, core->lanes[lane].early - 1);
}
