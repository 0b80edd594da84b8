/* What goes wrong, and when. See schedule.h. */
#include "sim/parts.h"

#include "sim/schedule.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CRASH_WITHIN     300  /* actions */
#define PLAGUE_SHARE_MAX 0.25 /* of the tokens */
#define ORDERS_MAX       4    /* at once */
#define STEP_MAX_S       86400.0

bool fault_is_present(const struct sim *sim, enum sim_fault fault)
{
    return sim->present_faults >> fault & 1;
}

bool fault_hits(struct sim *sim, enum sim_fault fault)
{
    bool is_hit = fault_is_present(sim, fault) &&
                  prng_unit(&sim->fault_prng[fault]) < sim->fault_share[fault];
    sim->fault_hits[fault] += is_hit;
    return is_hit;
}

/* Whoever comes by one that leaves nobody out. */
static bool feels(struct sim *sim, enum sim_fault fault)
{
    bool is_present = fault_is_present(sim, fault);
    sim->fault_hits[fault] += is_present;
    return is_present;
}

static bool is_planned(const struct sim *sim, double from_s, double to_s)
{
    double now_s = sim_seconds(sim);
    return now_s >= from_s && now_s < to_s;
}

bool fault_is_down(struct sim *sim)
{
    return feels(sim, SIM_FAULT_DOWN) ||
           is_planned(sim, sim->setup->down_from_s, sim->setup->down_to_s);
}

bool fault_is_planned_stuck(const struct sim *sim)
{
    return is_planned(sim, sim->setup->stuck_from_s, sim->setup->stuck_to_s);
}

bool fault_is_busy(struct sim *sim)
{
    return feels(sim, SIM_FAULT_BUSY) ||
           is_planned(sim, sim->setup->busy_from_s, sim->setup->busy_to_s);
}

/* ---- those that need more than to be present ---- */

static void change_settings(struct sim *sim)
{
    char why[OPTION_MESSAGE_SIZE], value[32];
    static const char *const names[SETTINGS_CHANGED] = {"hot_interval_sec",
                                                        "cold_interval_sec",
                                                        "min_score",
                                                        "activation_min_liquidity_usd",
                                                        "ewma_alpha",
                                                        "refresh_requests_per_minute",
                                                        "screen_requests_per_minute",
                                                        "discover_requests_per_minute"};
    static const double low[] = {5, 20, 0.05, 100, 0.1, 20, 20, 20},
                        high[] = {60, 300, 0.4, 3000, 0.9, 300, 300, 300};
    struct prng *prng = &sim->fault_prng[SIM_FAULT_SETTINGS];
    unsigned which = (unsigned)prng_below(prng, SETTINGS_CHANGED);
    double number = low[which] * pow(high[which] / low[which], prng_unit(prng));
    if (!children_engine_works(sim))
        return; /* nobody is there to take it */
    snprintf(value, sizeof value, "%.3f", number);
    trace_line(sim, "%s is set to %s", names[which], value);
    if (options_set(&sim->options, names[which], value, OPTION_FROM_STORE, why) != OK)
        oracle_complain(&sim->oracle, sim->now, "%s", why);
    struct event event = {.kind = EVENT_OPTIONS, .options = {&sim->options}};
    sim_step(sim, &event);
    if (sim->disk == NULL || sim->core == NULL)
        return; /* it died of it, and nobody was told that it is so */
    checks_put_setting(sim, which, strtod(value, NULL));
    writer_put_setting(disk_writer(sim->disk), names[which], value,
                       sim->settings[which].puts * SETTINGS_CHANGED + which);
}

static void set_pause(struct sim *sim, bool is_paused)
{
    struct event event = {.kind = EVENT_PAUSE, .pause = {is_paused}};
    atomic_store(&sim->page->is_paused, is_paused);
    sim_step(sim, &event);
}

static void poison_somebody(struct sim *sim, enum sim_fault fault)
{
    uint32_t count = token_table_count(sim->memory.table);
    if (count > 0)
        sim->poisoned[1 + prng_below(&sim->fault_prng[fault], count)] = 1;
}

static void poison_many(struct sim *sim, double share)
{
    uint32_t count = (uint32_t)(token_table_count(sim->memory.table) * share * PLAGUE_SHARE_MAX);
    for (uint32_t i = 0; i <= count; i++)
        poison_somebody(sim, SIM_FAULT_PLAGUE);
}

static void release(struct sim *sim, struct suspect *suspect)
{
    token_id id = token_table_find(sim->memory.table, &suspect->mint);
    struct event event = {.kind = EVENT_RELEASE, .release = {id}};
    suspect_release(suspect);
    suspects_note(sim);
    if (id == TOKEN_NONE)
        return;
    sim->killed[id] = sim->killed[id] > 0; /* it is known, and goes back after another one */
    sim_step(sim, &event);
}

/* People found the cause: nobody is poisonous any more, and all are released. */
static void cure_all(struct sim *sim)
{
    memset(sim->poisoned, 0, sim->oracle.statuses_size);
    memset(sim->killed, 0, sim->oracle.statuses_size);
    for (size_t i = 0; i < SUSPECTS_MAX; i++)
        if (atomic_load(&sim->page->suspects.rows[i].state) == SUSPECT_QUARANTINED)
            release(sim, &sim->page->suspects.rows[i]);
}

void fault_release_expired(struct sim *sim)
{
    struct suspect *suspect;
    while ((suspect = suspects_expired(&sim->page->suspects, sim->now)) != NULL)
        release(sim, suspect);
}

enum vault_mishap fault_of_store(void *context)
{
    struct sim *sim = context;
    if (feels(sim, SIM_FAULT_FILLED))
        return VAULT_FULL;
    if (fault_hits(sim, SIM_FAULT_STORE))
        return VAULT_BUSY;
    if (fault_hits(sim, SIM_FAULT_FULL))
        return VAULT_FULL;
    if (fault_hits(sim, SIM_FAULT_IO))
        return prng_below(&sim->fault_prng[SIM_FAULT_IO], 2) == 0 ? VAULT_LOST : VAULT_UNTOLD;
    return VAULT_WELL;
}

/* What ctl can order of jobs, and a message to see whether it arrives. */
static void give_orders(struct sim *sim)
{
    struct prng *prng = &sim->fault_prng[SIM_FAULT_OPERATOR];
    uint64_t count = 1 + prng_below(prng, ORDERS_MAX);
    for (uint64_t i = 0; i < count; i++) {
        uint64_t which = prng_below(prng, JOB_COUNT + 1);
        struct event event = {.kind = EVENT_ALERT_TEST};
        if (which < JOB_COUNT)
            event = (struct event){.kind = EVENT_JOB_WANTED, .job_wanted = {(enum job)which}};
        trace_line(sim, "by order: %s",
                   which < JOB_COUNT ? job_name((enum job)which) : "a message");
        sim_step(sim, &event);
    }
}

/* While a supervisor lives time goes on steadily, whatever becomes of the clock on the wall; the
 * next one takes it from there (base/clock.h). By a second, or up to a day, either way. */
static void step_clock(struct sim *sim, double share)
{
    double size_s = pow(STEP_MAX_S, prng_unit(&sim->fault_prng[SIM_FAULT_STEP]));
    sim->clock_step = duration_s(share < 0.5 ? size_s : -size_s);
}

static void set_limit(struct sim *sim, double per_minute)
{
    upstream_set_limit(&sim->upstream, per_minute);
    sim->limit_changed_at = sim->now;
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
        sim->present_faults |= SIM_FAULT_BIT(fault);
    switch ((int)fault) {
    case SIM_FAULT_RESTART:
        return children_restart(sim, occurrence->share > 0.5);
    case SIM_FAULT_PAUSE:
        return set_pause(sim, true);
    case SIM_FAULT_CRASH:
        sim->crash_after = 1 + prng_below(&sim->fault_prng[fault], CRASH_WITHIN);
        return;
    case SIM_FAULT_HANG:
        return children_hang(sim, HANG_MORTAL);
    case SIM_FAULT_ZOMBIE:
        return children_hang(sim, HANG_UNDEAD);
    case SIM_FAULT_POWER:
        return children_cut_power(sim);
    case SIM_FAULT_SETTINGS:
        return change_settings(sim);
    case SIM_FAULT_POISON:
        return poison_somebody(sim, fault);
    case SIM_FAULT_PLAGUE:
        return poison_many(sim, occurrence->share);
    case SIM_FAULT_OPERATOR:
        return give_orders(sim);
    case SIM_FAULT_STEP:
        return step_clock(sim, occurrence->share);
    case SIM_FAULT_STARVED:
        return children_starve(sim, sim_at(occurrence->to_s));
    case SIM_FAULT_SHARE:
        return shares_take(sim, occurrence->share);
    case SIM_FAULT_FLOOD:
        return workload_flood(sim, occurrence->share);
    case SIM_FAULT_LIMIT:
        return set_limit(sim, SIM_LIMIT * (0.2 + 0.7 * occurrence->share));
    case SIM_FAULT_SUSPEND:
        sim->asleep_until = sim_at(occurrence->to_s);
        return;
    default:
        return;
    }
}

static void end(struct sim *sim, const struct sim_occurrence *occurrence)
{
    trace_line(sim, "FAULT %s ends", sim_fault_name(occurrence->fault));
    sim->present_faults &= ~SIM_FAULT_BIT(occurrence->fault);
    if (occurrence->fault == SIM_FAULT_POISON || occurrence->fault == SIM_FAULT_PLAGUE)
        cure_all(sim);
    if (occurrence->fault == SIM_FAULT_STARVED)
        children_feed(sim);
    if (occurrence->fault == SIM_FAULT_PAUSE)
        set_pause(sim, false);
    if (occurrence->fault == SIM_FAULT_ZOMBIE)
        children_wake_left(sim);
    if (occurrence->fault == SIM_FAULT_POWER)
        children_restore_power(sim);
    if (occurrence->fault == SIM_FAULT_LIMIT)
        set_limit(sim, SIM_LIMIT);
    if (occurrence->fault == SIM_FAULT_SHARE)
        shares_give_back(sim);
}

/* Whose beginning or end the engine is told of: an order that nobody reads would be none. */
static bool is_order(enum sim_fault fault)
{
    return fault == SIM_FAULT_PAUSE || fault == SIM_FAULT_SETTINGS || fault == SIM_FAULT_OPERATOR ||
           fault == SIM_FAULT_SHARE || fault == SIM_FAULT_POISON || fault == SIM_FAULT_PLAGUE ||
           fault == SIM_FAULT_RESTART;
}

void fault_begins_or_ends(struct sim *sim, const struct world_event *world)
{
    const struct sim_occurrence *occurrence = &sim->schedule[world->fault.number];
    if (is_order(occurrence->fault))
        children_feed(sim);
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
