/* What goes wrong, and when. See schedule.h. */
#include "sim/parts.h"

#include "sim/schedule.h"
#include <stdio.h>

bool fault_is_present(const struct sim *sim, enum sim_fault fault)
{
    return sim->present_faults >> fault & 1;
}

bool fault_hits(struct sim *sim, enum sim_fault fault)
{
    return fault_is_present(sim, fault) &&
           prng_unit(&sim->fault_prng[fault]) < sim->fault_share[fault];
}

static bool is_planned(const struct sim *sim, double from_s, double to_s)
{
    double now_s = sim_seconds(sim);
    return now_s >= from_s && now_s < to_s;
}

bool fault_is_down(const struct sim *sim)
{
    return fault_is_present(sim, FAULT_DOWN) ||
           is_planned(sim, sim->setup->down_from_s, sim->setup->down_to_s);
}

bool fault_is_planned_stuck(const struct sim *sim)
{
    return is_planned(sim, sim->setup->stuck_from_s, sim->setup->stuck_to_s);
}

bool fault_is_busy(const struct sim *sim)
{
    return fault_is_present(sim, FAULT_BUSY) ||
           is_planned(sim, sim->setup->busy_from_s, sim->setup->busy_to_s);
}

/* ---- those that need more than to be present ---- */

static void change_settings(struct sim *sim)
{
    char why[OPTION_MESSAGE_SIZE], value[32];
    static const char *const names[] = {"hot_interval_sec", "cold_interval_sec", "min_score",
                                        "activation_min_liquidity_usd", "ewma_alpha"};
    static const double low[] = {5, 20, 0.05, 100, 0.1}, high[] = {60, 300, 0.4, 3000, 0.9};
    struct prng *prng = &sim->fault_prng[FAULT_SETTINGS];
    size_t which = prng_below(prng, 5);
    double number = low[which] + prng_unit(prng) * (high[which] - low[which]);
    snprintf(value, sizeof value, "%.3f", number);
    trace_line(sim, "%s is set to %s", names[which], value);
    if (options_set(&sim->options, names[which], value, OPTION_FROM_STORE, why) != OK)
        oracle_complain(&sim->oracle, sim->now, "%s", why);
    struct event event = {.kind = EVENT_OPTIONS, .options = {&sim->options}};
    sim_step(sim, &event);
}

static void poison_somebody(struct sim *sim)
{
    uint32_t count = token_table_count(sim->memory.table);
    if (count > 0)
        sim->deaths.poisoned[1 + prng_below(&sim->fault_prng[FAULT_POISON], count)] = 1;
}

static void cure_all(struct sim *sim)
{
    for (token_id id = 1; id <= token_table_count(sim->memory.table); id++) {
        bool is_released = sim->deaths.quarantined[id];
        deaths_cure(&sim->deaths, id);
        if (is_released) {
            struct event event = {.kind = EVENT_RELEASE, .release = {id}};
            sim_step(sim, &event);
        }
    }
}

/* ---- beginning and end ---- */

static void begin(struct sim *sim, const struct sim_occurrence *occurrence)
{
    enum sim_fault fault = occurrence->fault;
    sim->result->faults_injected++;
    sim->result->injected[fault]++;
    sim->fault_share[fault] = occurrence->share;
    prng_seed(&sim->fault_prng[fault], occurrence->seed);
    trace_line(sim, "FAULT %s begins, for %.1f s, share %.2f", sim_fault_name(fault),
               occurrence->to_s - occurrence->from_s, occurrence->share);
    if (occurrence->to_s > occurrence->from_s)
        sim->present_faults |= 1U << fault;
    switch ((int)fault) {
    case FAULT_RESTART:
        return engine_restart_over_table(sim);
    case FAULT_SETTINGS:
        return change_settings(sim);
    case FAULT_POISON:
        return poison_somebody(sim);
    case FAULT_FLOOD:
        return workload_flood(sim, occurrence->share);
    case FAULT_LIMIT:
        return upstream_set_limit(&sim->upstream, SIM_LIMIT * (0.2 + 0.7 * occurrence->share));
    case FAULT_SUSPEND:
        sim->asleep_until = sim_at(occurrence->to_s);
        return;
    default:
        return;
    }
}

static void end(struct sim *sim, const struct sim_occurrence *occurrence)
{
    trace_line(sim, "FAULT %s ends", sim_fault_name(occurrence->fault));
    sim->present_faults &= ~(1U << occurrence->fault);
    if (occurrence->fault == FAULT_POISON)
        cure_all(sim);
    if (occurrence->fault == FAULT_LIMIT)
        upstream_set_limit(&sim->upstream, SIM_LIMIT);
}

void fault_begins_or_ends(struct sim *sim, const struct world_event *world)
{
    const struct sim_occurrence *occurrence = &sim->schedule[world->fault.number];
    if (world->fault.begins)
        begin(sim, occurrence);
    else
        end(sim, occurrence);
}

static void plan(struct sim *sim, double at_s, uint32_t number, bool begins)
{
    agenda_plan(sim, sim_at(at_s),
                (struct world_event){.kind = WORLD_FAULT, .fault = {number, begins}});
}

bool faults_plan(struct sim *sim)
{
    sim->schedule = sim_schedule(sim->setup, &sim->schedule_count);
    if (sim->schedule == NULL)
        return false;
    for (uint32_t i = 0; i < sim->schedule_count; i++) {
        const struct sim_occurrence *occurrence = &sim->schedule[i];
        if (sim->setup->dropped != NULL && sim->setup->dropped[i])
            continue;
        plan(sim, occurrence->from_s, i, true);
        if (occurrence->to_s > occurrence->from_s)
            plan(sim, occurrence->to_s, i, false);
    }
    return true;
}

void faults_plan_limits(struct sim *sim)
{
    for (int i = 0; i < SIM_LIMITS_MAX && sim->setup->limits[i].per_minute > 0; i++)
        agenda_plan(
            sim, sim_at(sim->setup->limits[i].from_s),
            (struct world_event){.kind = WORLD_LIMIT, .limit = {sim->setup->limits[i].per_minute}});
}
