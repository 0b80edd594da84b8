/*
 * What is learnt of the upstream's limits, remembered: on the status page, which outlives an
 * engine, and in the store, which outlives everything, as settings that are no options:
 *
 *     limit.LANE = "per minute, under which configured limit, when (microseconds)"
 *
 * of one of several nodes limit.LANE.NODE: each has an address of its own, and limits are per
 * address.
 */
#include "engine/parts.h"

#include "base/log.h"
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PREFIX "limit."

#define LIMIT_NAME_SIZE 64

static void name_limit(const struct engine *engine, enum lane_kind lane, char out[LIMIT_NAME_SIZE])
{
    char node[STORE_NODE_SIZE];
    bool is_shared = store_is_shared(engine->options.db, node);
    snprintf(out, LIMIT_NAME_SIZE, PREFIX "%s%s%s", lane_kind_name(lane), is_shared ? "." : "",
             is_shared ? node : "");
}

/* ---- into the store, and to people ---- */

static void keep(struct engine *engine, const struct action *action)
{
    char name[LIMIT_NAME_SIZE], value[96];
    name_limit(engine, action->limit.lane, name);
    snprintf(value, sizeof value, "%.17g %.17g %" PRId64, action->limit.per_minute,
             action->limit.configured, engine->actions.now.us);
    writer_put_setting(engine->writer, name, value, LIMIT_TAG);
}

static void tell(struct engine *engine, const struct action *action)
{
    enum lane_kind lane = action->limit.lane;
    bool is_lower = action->limit.per_minute < action->limit.before;
    engine_note(engine, &(struct flight_note){.kind = FLIGHT_LIMIT,
                                              .what = lane,
                                              .from = !is_lower,
                                              .to = is_lower,
                                              .number = (uint64_t)action->limit.per_minute});
    LOG_AT(is_lower ? LOG_WARNING : LOG_INFO, "budget",
           is_lower ? "the upstream refuses requests; its limit is taken to be lower"
                    : "the upstream allows more requests again",
           LOG_STRING("kind", lane_kind_name(lane)),
           LOG_DOUBLE("before_per_minute", action->limit.before),
           LOG_DOUBLE("per_minute", action->limit.per_minute),
           LOG_DOUBLE("configured_per_minute", action->limit.configured));
}

void engine_perform_limit(struct engine *engine, const struct action *action)
{
    if (action->limit.per_minute != action->limit.before)
        tell(engine, action);
    keep(engine, action);
}

/* ---- and back ---- */

static bool parse(const char *value, struct known_limit *out)
{
    char *end;
    out->per_minute = strtod(value, &end);
    out->configured = strtod(end, &end);
    const char *time = end;
    out->at = (instant){strtoll(time, &end, 10)};
    return end != time && *end == '\0' && isfinite(out->per_minute) && isfinite(out->configured);
}

static void take_newer(struct known_limit *known, const struct known_limit *other)
{
    if (instant_before(known->at, other->at))
        *known = *other;
}

bool engine_take_limit(struct engine *engine, const char *name, const char *value)
{
    if (strncmp(name, PREFIX, strlen(PREFIX)) != 0)
        return false;
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++) {
        char own[LIMIT_NAME_SIZE];
        name_limit(engine, (enum lane_kind)lane, own);
        if (strcmp(name, own) != 0)
            continue;
        struct known_limit known;
        if (parse(value, &known))
            take_newer(&engine->known_limits[lane], &known);
        else
            log_warning("budget", "a stored limit is not valid; it is learnt again",
                        LOG_STRING("name", name), LOG_STRING("value", value));
    }
    return true;
}

void engine_inherit_limits(struct engine *engine)
{
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++) {
        const struct page_lane *left = &engine->page->lanes[lane];
        engine->known_limits[lane] =
            (struct known_limit){page_bits(&left->learned_per_minute_bits),
                                 page_bits(&left->configured_per_minute_bits),
                                 {(int64_t)atomic_load(&left->sampled_at_us)}};
    }
}

bool engine_limit_event(const struct engine *engine, enum lane_kind lane, struct event *out)
{
    const struct known_limit *known = &engine->known_limits[lane];
    *out = (struct event){.kind = EVENT_LIMIT_KNOWN,
                          .limit_known = {.lane = lane,
                                          .per_minute = known->per_minute,
                                          .configured = known->configured,
                                          .at = known->at}};
    return known->per_minute > 0 && known->per_minute < known->configured;
}

void engine_recall_limits(struct engine *engine)
{
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++) {
        struct event event;
        if (engine_limit_event(engine, (enum lane_kind)lane, &event))
            engine_step(engine, &event);
    }
}
