/* What goes wrong, and when. */
#include "sim/parts.h"

#include <stdio.h>

static const char *const fault_names[SIM_FAULT_COUNT] = {
#define X(code, name) [code] = name,
    SIM_FAULT_LIST(X)
#undef X
};

const char *sim_fault_name(enum sim_fault fault)
{
    return fault < SIM_FAULT_COUNT ? fault_names[fault] : "?";
}

bool fault_hits(struct sim *sim, enum sim_fault fault)
{
    return (sim->present_faults >> fault & 1) && prng_unit(&sim->faults) < sim->fault_share[fault];
}

bool fault_is_down(const struct sim *sim)
{
    double t = duration_to_s(instant_diff(sim->now, SIM_EPOCH));
    bool planned = t >= sim->setup->down_from_s && t < sim->setup->down_to_s;
    return planned || (sim->present_faults >> FAULT_DOWN & 1);
}

bool fault_is_planned_stuck(const struct sim *sim)
{
    double t = duration_to_s(instant_diff(sim->now, SIM_EPOCH));
    return t >= sim->setup->stuck_from_s && t < sim->setup->stuck_to_s;
}

bool fault_is_busy(const struct sim *sim)
{
    double t = duration_to_s(instant_diff(sim->now, SIM_EPOCH));
    bool planned = t >= sim->setup->busy_from_s && t < sim->setup->busy_to_s;
    return planned || (sim->present_faults >> FAULT_BUSY & 1);
}

static void change_settings(struct sim *sim)
{
    char why[OPTION_MESSAGE_SIZE], value[32];
    static const char *const names[] = {"hot_interval_sec", "cold_interval_sec", "min_score",
                                        "activation_min_liquidity_usd", "ewma_alpha"};
    static const double low[] = {5, 20, 0.05, 100, 0.1}, high[] = {60, 300, 0.4, 3000, 0.9};
    size_t which = prng_below(&sim->faults, 5);
    double number = low[which] + prng_unit(&sim->faults) * (high[which] - low[which]);
    snprintf(value, sizeof value, "%.3f", number);
    if (options_set(&sim->options, names[which], value, OPTION_FROM_STORE, why) != OK)
        oracle_complain(&sim->oracle, sim->now, "%s", why);
    struct event event = {.kind = EVENT_OPTIONS, .options = {&sim->options}};
    sim_step(sim, &event);
}

static void poison_somebody(struct sim *sim)
{
    uint32_t count = token_table_count(sim->memory.table);
    if (count > 0)
        sim->deaths.poisoned[1 + prng_below(&sim->faults, count)] = 1;
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

void fault_begins_or_ends(struct sim *sim, const struct world_event *world)
{
    enum sim_fault fault = world->fault.fault;
    if (world->fault.begins && fault == FAULT_POISON)
        poison_somebody(sim);
    if (!world->fault.begins) {
        sim->present_faults &= ~(1U << fault);
        if (fault == FAULT_POISON)
            cure_all(sim);
    } else if (fault == FAULT_RESTART) {
        engine_restart_over_table(sim);
        sim->result->faults_injected++;
    } else if (fault == FAULT_SETTINGS) {
        change_settings(sim);
        sim->result->faults_injected++;
    } else {
        double length = prng_exponential(&sim->faults, 120);
        sim->present_faults |= 1U << fault;
        sim->fault_share[fault] = prng_unit(&sim->faults);
        sim->result->faults_injected++;
        agenda_plan(sim, instant_min(sim_after(sim, length), sim->calm_from),
                    (struct world_event){.kind = WORLD_FAULT, .fault = {fault, false}});
    }
    instant next = sim_after(sim, prng_exponential(&sim->faults, 900));
    if (world->fault.begins && instant_before(next, sim->calm_from))
        agenda_plan(sim, next, (struct world_event){.kind = WORLD_FAULT, .fault = {fault, true}});
}

void faults_plan(struct sim *sim)
{
    for (int fault = 0; fault < SIM_FAULT_COUNT; fault++) {
        /* Swarm: each run draws which of the faults it has at all. */
        bool drawn = prng_unit(&sim->faults) < 0.6;
        if ((sim->setup->faults >> fault & 1) && drawn)
            agenda_plan(
                sim, sim_after(sim, prng_exponential(&sim->faults, 600)),
                (struct world_event){.kind = WORLD_FAULT, .fault = {(enum sim_fault)fault, true}});
    }
}

void faults_plan_limits(struct sim *sim)
{
    for (int i = 0; i < SIM_LIMITS_MAX && sim->setup->limits[i].per_minute > 0; i++)
        agenda_plan(
            sim, sim_after(sim, sim->setup->limits[i].from_s),
            (struct world_event){.kind = WORLD_LIMIT, .limit = {sim->setup->limits[i].per_minute}});
}
