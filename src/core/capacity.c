/*
 * What the load leaves of the work: a ceiling for each lane, in requests a second. The lanes need
 * no more than that: who waits when it is low follows from their rule (lane.h).
 *
 * NEED is what a lane must send to keep every target, as far as the upstream lets it. What bounds
 * it, each a number for people to see, the smallest in force:
 *
 *   upstream   its limit (budget.h)
 *   cpu        the CPU time that a token costs the engine is measured (cost.h). It plans with the
 *              CPUs it may use less `cpu_headroom_percent`. Under strain it has proved not to get
 *              as much: then nine tenths of what it did get, again each second, and a tenth more
 *              each second that it keeps up (additive as it were in the logarithm: Chiu and Jain,
 *              1989). When that is less than all need, the lanes get the same share of theirs.
 *   store      shares of the need while a store that writes falls behind
 *   level      under strain, the scale of the load level; and while tokens of low priority are to
 *              wait (all but those of high priority), what keeps those above it on time and
 *              lets lighter ones grow older by the root of how much lighter they are, which is how
 *              the lanes' rule shares out what is there
 *
 * None of ours goes under what keeps the maximum ages, so that nobody starves whatever the load,
 * and tokens of high priority on time: a strain that no shedding relieves must not make it endless.
 */
#include "core/state.h"

#include "base/mark.h"
#include <assert.h>
#include <math.h>

/* Below it what the engine uses is mostly the price of being there, whoever is refreshed. */
#define COST_FROM_CORES 0.05
#define USABLE_DOWN     0.9
#define USABLE_UP       1.1
#define USABLE_LEAST    0.05 /* of the CPUs: from there it can grow again */
#define MAXIMUM_MARGIN  1.1  /* requests are not always full */
#define DISCOVER_LEAST  1.0  /* requests a second: new tokens, and clients that wait */
#define URGENT_WITHIN_S 15.0
#define STORE_REDUCED   0.7
#define STORE_MINIMAL   0.3
#define SPAN_MOST_S     10.0 /* between samples; after a longer pause the rates mean nothing */

void capacity_init(struct core *core)
{
    load_init(&core->load);
    core->cpu = (struct cpu_meter){.usable_cores = NAN};
    cost_init(&core->cpu.cost);
    core->stats.load = core->load;
    core->stats.token_cost_s = NAN;
}

/* ---- the sample ---- */

static void measure_cost(struct core *core, const struct load_sample *sample)
{
    struct cpu_meter *cpu = &core->cpu;
    double span_s = duration_to_s(instant_diff(core->now, cpu->measured_at));
    double tokens = (double)(core->tokens_answered - cpu->tokens_before);
    cpu->tokens_before = core->tokens_answered;
    cpu->measured_at = core->now;
    bool was_loading = cpu->was_loading;
    cpu->was_loading = !core_has_all(core);
    if (was_loading || cpu->was_loading) /* nobody's cost */
        return;
    double used = sample->of[READING_ENGINE_CPU];
    if (isnan(used) || used < COST_FROM_CORES || tokens < 1 || span_s <= 0 || span_s > SPAN_MOST_S)
        return;
    cost_add(&cpu->cost, tokens / span_s, used);
}

static void measure_cores(struct core *core, const struct load_sample *sample)
{
    double cores = sample->of[READING_CORES], used = sample->of[READING_ENGINE_CPU];
    double most = cores * (1 - core->options.cpu_headroom_percent / 100);
    double before = isnan(core->cpu.usable_cores) ? most : core->cpu.usable_cores;
    if (isnan(cores) || isnan(used))
        return;
    double usable = load_is_strained(&core->load) ? fmin(before, used * USABLE_DOWN)
                                                  : fmax(before, used) * USABLE_UP;
    core->cpu.usable_cores = fmin(most, fmax(usable, cores * USABLE_LEAST));
}

static void tell_changes(struct core *core, const struct load_change *changes, size_t count)
{
    /* Whether we are a considerable part of the CPU in use says nothing while little is in use. */
    for (size_t i = 0; i < count; i++)
        if (changes[i].signal != SIGNAL_OWN_CPU)
            core_tell(core, TRANSITION_LOAD, changes[i].from, changes[i].to, changes[i].signal);
}

static void tell_features(struct core *core, unsigned off_before)
{
    for (unsigned i = 0; i < LOAD_FEATURE_COUNT; i++) {
        unsigned before = off_before >> i & 1, now = core->load.features_off >> i & 1;
        MARK_IF(FEATURE_OFF, now > before);
        MARK_IF(FEATURE_ON, now < before);
        if (before != now)
            core_tell(core, TRANSITION_FEATURE, before, now, i);
    }
}

void capacity_on_load(struct core *core, const struct load_sample *sample)
{
    struct load_change changes[LOAD_SIGNAL_COUNT];
    unsigned off_before = core->load.features_off;
    size_t count = load_judge(&core->load, sample, &core->options, core->now, changes);
    tell_changes(core, changes, count);
    tell_features(core, off_before);
    measure_cost(core, sample);
    measure_cores(core, sample);
    capacity_plan(core);
}

/* ---- the plan ---- */

static double tokens_a_request(const struct core *core, enum lane_kind lane)
{
    return lane == LANE_DISCOVER ? 1
                                 : REQUEST_ADDRESSES_MAX / fmax(1, core->lanes[lane].token_cost);
}

/* Of priority `on_time` and above to their targets; see lanes_need(). */
static double need_of(struct core *core, enum lane_kind lane, double on_time)
{
    double slots = lane == LANE_DISCOVER ? 1 : tokens_a_request(core, lane);
    double tokens = lanes_need(follow_lanes(core, lane), follow_group_mask(lane), on_time * slots);
    if (lane == LANE_DISCOVER)
        tokens += (lanes_count(&core->discover, DISCOVER_URGENT) +
                   lanes_count(&core->discover, DISCOVER_WANTED)) /
                  URGENT_WITHIN_S;
    return tokens / tokens_a_request(core, lane);
}

static double least_of(struct core *core, enum lane_kind lane)
{
    double high = need_of(core, lane, core->options.priority_high);
    if (lane == LANE_DISCOVER)
        return fmax(high, DISCOVER_LEAST);
    double living = need_of(core, lane, INFINITY) * MAXIMUM_MARGIN;
    return fmax(fmax(high, living), 1 / URGENT_WITHIN_S);
}

struct needs {
    double requests[LANE_KIND_COUNT]; /* a second */
    double tokens;                    /* of all lanes */
};

static double by_cpu(const struct core *core, const struct needs *needs, enum lane_kind lane)
{
    struct cost_line cost = cost_line(&core->cpu.cost);
    if (isnan(core->cpu.usable_cores) || isnan(cost.token_s))
        return INFINITY;
    double tokens = fmax(0, core->cpu.usable_cores - cost.idle_cores) / cost.token_s;
    if (tokens < needs->tokens)
        return needs->requests[lane] * tokens / needs->tokens;
    double spare = tokens - needs->tokens; /* anybody may catch up with that */
    return needs->requests[lane] + spare / tokens_a_request(core, lane);
}

static double by_store(const struct core *core, const struct needs *needs, enum lane_kind lane)
{
    static const double shares[LOAD_LEVEL_COUNT] = {INFINITY, STORE_REDUCED, STORE_MINIMAL};
    enum load_level level = core->load.signals[SIGNAL_STORE].level;
    return level == LOAD_NORMAL ? INFINITY : needs->requests[lane] * shares[level];
}

static double by_level(struct core *core, const struct needs *needs, enum lane_kind lane)
{
    const struct load *load = &core->load;
    double most = load->scale < 1 ? needs->requests[lane] * load->scale : INFINITY;
    if (load->defer == LOAD_NORMAL)
        return most;
    double on_time =
        load->defer == LOAD_REDUCED ? core->options.priority_low : core->options.priority_high;
    return fmin(most, need_of(core, lane, on_time));
}

static void plan_lane(struct core *core, const struct needs *needs, enum lane_kind lane)
{
    struct budget *budget = &core->lanes[lane].budget;
    struct lane_stats *stats = &core->stats.lanes[lane];
    double least = least_of(core, lane);
    double ceiling = INFINITY;
    stats->capacities[LIMIT_UPSTREAM] = budget->upstream;
    stats->capacities[LIMIT_CPU] = fmax(least, by_cpu(core, needs, lane));
    stats->capacities[LIMIT_STORE] = fmax(least, by_store(core, needs, lane));
    stats->capacities[LIMIT_LEVEL] = fmax(least, by_level(core, needs, lane));
    stats->limit = LIMIT_UPSTREAM;
    for (int limit = LIMIT_UPSTREAM + 1; limit < LANE_LIMIT_COUNT; limit++) {
        ceiling = fmin(ceiling, stats->capacities[limit]);
        if (stats->capacities[limit] < stats->capacities[stats->limit])
            stats->limit = (enum lane_limit)limit;
    }
    MARK_IF(BOUND_BY_CPU, stats->limit == LIMIT_CPU);
    MARK_IF(BOUND_BY_STORE, stats->limit == LIMIT_STORE);
    MARK_IF(BOUND_BY_LEVEL, stats->limit == LIMIT_LEVEL);
    budget_set_ceiling(budget, ceiling, core->now);
}

void capacity_plan(struct core *core)
{
    struct needs needs = {.tokens = 0};
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++) {
        needs.requests[lane] = fmin(need_of(core, lane, 0), core->lanes[lane].budget.upstream);
        needs.tokens += needs.requests[lane] * tokens_a_request(core, lane);
    }
    for (int lane = 0; lane < LANE_KIND_COUNT; lane++)
        plan_lane(core, &needs, lane);
    core->stats.load = core->load;
    core->stats.token_cost_s = cost_line(&core->cpu.cost).token_s;
}
