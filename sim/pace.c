/* See pace.h. */
#include "sim/pace.h"

#include <math.h>

/* Requests are not always full, those of several pools least of all; and a lane that was behind
 * has to catch up. */
#define ROOM_SCREEN  1.3
#define ROOM_REFRESH 1.6
#define SETTLED_S    300.0 /* until the calm is one */
#define AGE_SLACK_S  5.0

struct intervals {
    const char *name;
    double hot_s, cold_s;
    double settled; /* so many of them, until everybody has had his turn */
    double factor;  /* so old may who is not late be */
};

static double interval_of(const struct intervals *intervals, enum token_group group)
{
    return group == GROUP_HOT ? intervals->hot_s : intervals->cold_s;
}

/* Tokens that the lanes are to keep fresh with others. */
static bool counts(const struct oracle *oracle, token_id id)
{
    return !(token_slot(oracle->table, id)->flags & TOKEN_HOLE) &&
           token_column_status(oracle->table, id) != TOKEN_ARCHIVED &&
           core_trust(oracle->core, id) == TRUST_ORDINARY;
}

int pace_count_pools(const struct oracle *oracle, token_id id)
{
    const struct pool *pools = token_pools(oracle->table, id);
    int count = 0;
    for (int i = 0; i < token_slot(oracle->table, id)->pool_count; i++)
        count += (pools[i].flags & POOL_COUNTS) != 0;
    return count;
}

static bool can_keep(const struct oracle *oracle, const struct intervals *intervals)
{
    const struct core_stats *stats = core_stats(oracle->core);
    double refresh = 0, screen = 0; /* addresses a second */
    for (token_id id = 1; id <= token_table_count(oracle->table); id++) {
        enum token_group group = token_column_group(oracle->table, id);
        if (!counts(oracle, id))
            continue;
        int pools = pace_count_pools(oracle, id);
        if (group == GROUP_HOT && pools > 0)
            refresh += pools / interval_of(intervals, group);
        else
            screen += 1 / interval_of(intervals, group);
    }
    double refresh_a_second = stats->lanes[LANE_REFRESH].allowed_per_minute / 60;
    double screen_a_second = stats->lanes[LANE_SCREEN].allowed_per_minute / 60;
    return stats->breaker.state == BREAKER_CLOSED &&
           refresh * ROOM_REFRESH <= refresh_a_second * REQUEST_ADDRESSES_MAX &&
           screen * ROOM_SCREEN <= screen_a_second * REQUEST_ADDRESSES_MAX;
}

static void check_ages(struct oracle *oracle, const struct intervals *intervals, instant now)
{
    for (token_id id = 1; id <= token_table_count(oracle->table); id++) {
        const struct token *token = token_slot(oracle->table, id);
        instant since = instant_max(token->state.checked_at, token->state.status_since);
        double limit_s = interval_of(intervals, token_column_group(oracle->table, id));
        limit_s = intervals->factor * limit_s + AGE_SLACK_S;
        double age_s = duration_to_s(instant_diff(now, since));
        if (counts(oracle, id) && age_s > limit_s)
            oracle_complain(oracle, now, "token %u is %.1f s old; %s of %.1f s could be kept", id,
                            age_s, intervals->name, limit_s);
    }
}

/* `since`: when it began to be possible. */
static void check(struct oracle *oracle, const struct intervals *intervals, instant *since,
                  instant now)
{
    if (!can_keep(oracle, intervals)) {
        *since = INSTANT_NEVER;
        return;
    }
    if (instant_is_never(*since))
        *since = now;
    double longest_s = fmax(intervals->hot_s, intervals->cold_s);
    if (duration_to_s(instant_diff(now, *since)) > intervals->settled * longest_s + SETTLED_S)
        check_ages(oracle, intervals, now);
}

void pace_check(struct pace *pace, struct oracle *oracle, const struct options *options,
                instant now)
{
    const struct intervals targets = {"targets", options->hot_interval_sec,
                                      options->cold_interval_sec, 3, 1.5};
    /* Nobody is due before his target. */
    const struct intervals maximum = {
        "a maximum age", fmax(options->maximum_age_sec, options->hot_interval_sec),
        fmax(options->maximum_age_sec, options->cold_interval_sec), 2, 1.25};
    check(oracle, &targets, &pace->targets_since, now);
    check(oracle, &maximum, &pace->maximum_since, now);
}

void pace_forget(struct pace *pace)
{
    *pace = (struct pace){INSTANT_NEVER, INSTANT_NEVER};
}
