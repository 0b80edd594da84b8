/* Answers as they come, and whether they are on time, counted outside the core. */
#include "sim/parts.h"

#define ON_TIME_FACTOR 1.1 /* × target */

static size_t spoil(struct sim *sim, size_t count)
{
    if (fault_hits(sim, FAULT_EMPTY))
        return 0;
    if (fault_hits(sim, FAULT_WRONG))
        for (size_t i = 0; i < count; i += 2)
            sim->pairs[i].base.bytes[31] ^= 0x55;
    if (fault_hits(sim, FAULT_PARTIAL))
        count = (size_t)prng_below(&sim->faults, count + 1);
    return count;
}

static double target_s(const struct sim *sim, enum token_group group)
{
    return group == GROUP_HOT    ? sim->options.hot_interval_sec
           : group == GROUP_COLD ? sim->options.cold_interval_sec
                                 : sim->options.archived_interval_sec;
}

static void count_refresh(struct sim *sim, enum token_group group, double age_s)
{
    sim->result->refreshes[group]++;
    sim->on_time[group] += age_s <= ON_TIME_FACTOR * target_s(sim, group);
}

/* The tokens of an answer, each once, with their groups before the core sees it. */
struct answered {
    token_id ids[UPSTREAM_PAIRS_MAX];
    enum token_group groups[UPSTREAM_PAIRS_MAX];
    size_t count;
};

static void list_answered(const struct sim *sim, const struct event *event, struct answered *out)
{
    out->count = 0;
    for (size_t i = 0; i < event->answer.pair_count; i++) {
        token_id id = token_table_find(sim->memory.table, &event->answer.pairs[i].base);
        /* Pairs of a token follow each other. */
        if (id == TOKEN_NONE || (out->count > 0 && out->ids[out->count - 1] == id))
            continue;
        out->groups[out->count] = token_column_group(sim->memory.table, id);
        out->ids[out->count++] = id;
    }
}

static void count_answered(struct sim *sim, const struct answered *answered)
{
    for (size_t i = 0; i < answered->count; i++) {
        token_id id = answered->ids[i];
        instant before = sim->answered_at[id];
        const struct token_state *state = &token_slot(sim->memory.table, id)->state;
        if (state->fetched_at.us < sim->now.us)
            continue; /* the core did not take it */
        if (!instant_is_never(before))
            count_refresh(sim, answered->groups[i], duration_to_s(instant_diff(sim->now, before)));
        sim->answered_at[id] = sim->now;
    }
}

/* Who is late when the run ends would never be counted otherwise. */
void answers_count_late_at_end(struct sim *sim)
{
    for (token_id id = 1; id <= token_table_count(sim->memory.table); id++) {
        enum token_group group = token_column_group(sim->memory.table, id);
        double age_s = duration_to_s(instant_diff(sim->now, sim->answered_at[id]));
        if (!instant_is_never(sim->answered_at[id]) && !sim->deaths.quarantined[id] &&
            age_s > ON_TIME_FACTOR * target_s(sim, group))
            count_refresh(sim, group, age_s);
    }
}

/* True when the engine dies of this answer. */
static bool dies_of(struct sim *sim, uint64_t request, const struct answered *answered)
{
    token_id ids[REQUEST_ADDRESSES_MAX];
    size_t count = core_request_tokens(sim->core, request, ids);
    size_t i = 0;
    while (i < answered->count && !sim->deaths.poisoned[answered->ids[i]])
        i++;
    if (count == 0 || i == answered->count)
        return false; /* nobody opens an answer that is not waited for */
    deaths_note(&sim->deaths, core_request_lane(sim->core, request), ids, count);
    for (size_t k = 0; k < count; k++)
        if (sim->deaths.killed[ids[k]] > DEATHS_A_TOKEN_MAX)
            oracle_complain(&sim->oracle, sim->now, "token %u killed us for the third time",
                            ids[k]);
    sim->result->deaths++;
    return true;
}

void answers_on_answer(struct sim *sim, struct world_event *world)
{
    struct event event = {.kind = EVENT_ANSWER};
    event.answer.request = world->answer.request;
    event.answer.outcome = world->answer.outcome;
    event.answer.retry_after = world->answer.retry_after;
    event.answer.latency = world->answer.latency;
    if (fault_is_down(sim))
        event.answer.outcome = FEED_UNREACHABLE;
    if (event.answer.outcome == FEED_OK) {
        size_t count = upstream_answer(&sim->upstream, world->answer.lane, world->answer.addresses,
                                       world->answer.count, sim->now, sim->pairs);
        event.answer.pairs = sim->pairs;
        event.answer.pair_count = spoil(sim, count);
    }
    struct answered answered;
    list_answered(sim, &event, &answered);
    if (dies_of(sim, world->answer.request, &answered)) {
        engine_restart_over_table(sim);
        return;
    }
    if (answered.count > 0)
        sim->oracle.data_at = sim->now;
    sim_step(sim, &event);
    count_answered(sim, &answered);
}
