/* What the shell does with the actions of the core. */
#include "sim/parts.h"

#include <string.h>

#define LATENCY_MEAN_S 0.08
#define JOB_MEAN_S     0.05

static void count_fullness(struct sim *sim, const struct action *action)
{
    sim->requests[action->fetch.lane]++;
    sim->addresses[action->fetch.lane] += action->fetch.count;
}

static enum feed_outcome admit(struct sim *sim, enum lane_kind lane)
{
    enum feed_outcome outcome = upstream_admit(&sim->upstream, lane, sim->now);
    int64_t minute = instant_diff(sim->now, SIM_EPOCH).us / 60000000;
    if (minute >= SIM_MINUTES_MAX)
        return outcome;
    struct sim_minute *counted = &sim->result->minutes[lane][minute];
    counted->accepted += outcome == FEED_OK;
    counted->refused += outcome != FEED_OK;
    return outcome;
}

static void perform_fetch(struct sim *sim, const struct action *action)
{
    struct world_event event = {.kind = WORLD_ANSWER};
    event.answer.request = action->fetch.request;
    event.answer.lane = action->fetch.lane;
    event.answer.count = (uint8_t)action->fetch.count;
    memcpy(event.answer.addresses, action->fetch.addresses,
           action->fetch.count * sizeof(struct address));
    count_fullness(sim, action);
    trace_number(sim, action->fetch.request);
    trace_bytes(sim, event.answer.addresses, action->fetch.count * sizeof(struct address));

    double latency = 0.02 + prng_exponential(&sim->world, LATENCY_MEAN_S);
    event.answer.outcome = admit(sim, action->fetch.lane);
    if (fault_is_down(sim))
        event.answer.outcome = FEED_UNREACHABLE;
    else if (fault_hits(sim, FAULT_ERRORS))
        event.answer.outcome = FEED_SERVER_ERROR;
    else if (fault_hits(sim, FAULT_REFUSED)) {
        event.answer.outcome = FEED_RATE_LIMITED;
        event.answer.retry_after = duration_s((double)prng_below(&sim->faults, 4));
    }
    if (fault_hits(sim, FAULT_SLOW))
        latency += prng_unit(&sim->faults) * 15;
    if (fault_hits(sim, FAULT_LOST))
        return;
    event.answer.latency = duration_s(latency);
    agenda_plan(sim, sim_after(sim, latency), event);
    if (fault_hits(sim, FAULT_TWICE))
        agenda_plan(sim, sim_after(sim, latency + 0.5), event);
}

static void count_loss(struct sim *sim, const struct action *action)
{
    double t = duration_to_s(instant_diff(sim->now, SIM_EPOCH));
    if (t >= sim->setup->down_from_s && t < sim->setup->down_to_s &&
        (strcmp(action->history.event, "archived") == 0 ||
         strcmp(action->history.event, "demoted") == 0))
        sim->result->lost_in_outage++;
}

/* Stuck ones end long after their deadline, or never. */
static void perform_job(struct sim *sim, enum job job, uint64_t run)
{
    double length = prng_exponential(&sim->world, JOB_MEAN_S);
    if (fault_is_planned_stuck(sim))
        return;
    if (fault_hits(sim, FAULT_STUCK))
        length += sim->options.job_deadline_sec * (1 + prng_unit(&sim->faults));
    agenda_plan(sim, sim_after(sim, length),
                (struct world_event){.kind = WORLD_JOB, .job = {job, run}});
}

void perform_action(struct sim *sim, const struct action *action)
{
    sim->result->actions++;
    trace_number(sim, action->kind);
    oracle_on_action(&sim->oracle, action, sim->now);
    bool is_stored = sim->disk != NULL && disk_perform(sim->disk, action, sim->now);
    switch (action->kind) {
    case ACTION_FETCH:
        perform_fetch(sim, action);
        return;
    case ACTION_ADD_TOKEN: {
        if (is_stored)
            return;
        struct world_event event = {.kind = WORLD_DURABLE};
        event.durable.id = action->add_token.id;
        event.durable.tag = action->add_token.tag;
        double wait = 0.01 + prng_unit(&sim->world) * 0.05;
        agenda_plan(sim, sim_after(sim, fault_hits(sim, FAULT_STORE) ? wait + 30 : wait), event);
        return;
    }
    case ACTION_SAVE:
        trace_number(sim, action->save.id);
        return;
    case ACTION_SNAPSHOT:
        trace_number(sim, (uint64_t)action->snapshot.snapshot_id);
        return;
    case ACTION_HISTORY:
        trace_number(sim, action->history.id);
        trace_bytes(sim, action->history.reason, strlen(action->history.reason));
        count_loss(sim, action);
        return;
    case ACTION_REPLY:
        clients_close(sim, action);
        return;
    case ACTION_TRANSITION:
        trace_number(sim, action->transition.what);
        trace_number(sim, action->transition.to);
        trace_number(sim, action->transition.id);
        return;
    case ACTION_ALERT:
        trace_number(sim, action->alert.message->kind);
        trace_number(sim, action->alert.message->count);
        return;
    case ACTION_LIMIT:
        trace_number(sim, action->limit.lane);
        trace_number(sim, (uint64_t)action->limit.per_minute);
        return;
    case ACTION_EXPORT:
        perform_job(sim, JOB_EXPORT, action->export.run);
        return;
    case ACTION_RETENTION:
        if (!is_stored)
            perform_job(sim, JOB_RETENTION, action->retention.run);
        return;
    case ACTION_SUSPECT_CLEARED:
        deaths_clear(&sim->deaths, action->suspect_cleared.id);
        return;
    case ACTION_RESTART:
        sim->is_restart_asked = true;
        return;
    case ACTION_CANCEL:
    case ACTION_JOB_CANCEL:
    case ACTION_KIND_COUNT:
        return;
    }
}

void sim_step(struct sim *sim, struct event *event)
{
    event->now = sim->now;
    if (sim->present_faults >> FAULT_CLOCK & 1)
        event->now = instant_add(sim->now, duration_s(-prng_unit(&sim->faults) * 3));
    if (token_table_is_short(sim->memory.table, 64) && !table_memory_grow(&sim->memory, 64))
        oracle_complain(&sim->oracle, sim->now, "no memory for the table");
    core_step(sim->core, event, &sim->actions);
    sim->result->events++;
    for (size_t i = 0; i < sim->actions.count; i++)
        perform_action(sim, &sim->actions.items[i]);
    if (!sim->is_restart_asked)
        return;
    sim->is_restart_asked = false;
    sim->result->restarts++;
    engine_restart_over_table(sim);
}
