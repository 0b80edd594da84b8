/* Freshness in virtual time. See the header. */
#include "sim/freshness.h"

#include "base/prng.h"
#include "core/lane.h"
#include "core/lane_kind.h"
#include "page/table_memory.h"
#include "sim/optimum.h"
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PARETO_SHAPE    1.2
#define MAXIMUM_S       3600.0
#define WARM_UP_S       (3 * 3600.0)
#define MEASURED_S      (6 * 3600.0)
#define SWING_SEGMENT_S 5400.0
#define EPOCH_S         1000000.0 /* some time after INSTANT_NEVER */

static const struct {
    double share, target_s;
} tiers[] = {{0.01, 5}, {0.09, 30}, {0.90, 300}};
#define TIERS 3

/* The weighted mean age in windows, as it goes on: it grows with time, and falls with refreshes. */
struct watch {
    double weights;  /* Σ weight */
    double stamps;   /* Σ weight · time of the last refresh */
    double at_s;     /* up to here … */
    double aged;     /* … this is ∫ weight · age of the window … */
    double window_s; /* … that began here */
    double ratio_most;
};

struct run {
    const struct freshness_setup *setup;
    struct table_memory memory;
    struct lanes lanes;
    struct optimum_token *tokens; /* by id − 1 */
    double load;                  /* requests a second that keeping all targets takes */
    double from_s, to_s;          /* measured */
    double aged;                  /* ∫ weight · age, so far */
    struct watch watch;
    double oldest_s;
    uint64_t refreshes;
    uint64_t decision_ns;
};

static const char *const policy_names[POLICY_COUNT] = {
#define X(code, name) [code] = name,
    FRESHNESS_POLICY_LIST(X)
#undef X
};

enum freshness_policy freshness_policy_find(const char *name)
{
    int i = 0;
    while (i < POLICY_COUNT && strcmp(policy_names[i], name) != 0)
        i++;
    return (enum freshness_policy)i;
}

const char *freshness_policy_name(enum freshness_policy policy)
{
    return policy_names[policy];
}

/* ---- the rules of thumb ---- */

static double key_edf(const struct lane_head *head)
{
    return 1 + head->age_s - head->target_s;
}

static double key_fifo(const struct lane_head *head)
{
    return head->age_s;
}

static double key_priority(const struct lane_head *head)
{
    return head->weight;
}

static instant at(double seconds)
{
    return (instant){(int64_t)((EPOCH_S + seconds) * 1e6)};
}

static double seconds_of(instant t)
{
    return (double)t.us / 1e6 - EPOCH_S;
}

/* ---- the population ---- */

static int heavier_first(const void *a, const void *b)
{
    double x = ((const struct optimum_token *)a)->weight;
    double y = ((const struct optimum_token *)b)->weight;
    return (x < y) - (x > y);
}

static bool make_population(struct run *run)
{
    uint32_t count = run->setup->tokens;
    struct prng prng;
    int error;
    prng_seed(&prng, run->setup->seed);
    run->tokens = calloc(count, sizeof *run->tokens);
    if (run->tokens == NULL || !table_memory_init(&run->memory, count, &error))
        return false;
    lanes_init(&run->lanes, run->memory.table, LINKS_PRICE, 1);
    for (unsigned i = 0; i < TIERS; i++)
        lanes_set_group(&run->lanes, i,
                        (struct lane_group){.target = duration_s(tiers[i].target_s),
                                            .maximum = duration_s(MAXIMUM_S),
                                            .rank = RANK_NORMAL});
    for (uint32_t i = 0; i < count; i++)
        run->tokens[i].weight = prng_pareto(&prng, PARETO_SHAPE);
    qsort(run->tokens, count, sizeof *run->tokens, heavier_first);
    for (uint32_t i = 0; i < count; i++) {
        double rank = (double)i / count;
        unsigned tier = rank < tiers[0].share ? 0 : rank < tiers[0].share + tiers[1].share ? 1 : 2;
        struct optimum_token *token = &run->tokens[i];
        token->cost = 1.0 / REQUEST_ADDRESSES_MAX;
        token->target_s = tiers[tier].target_s;
        token->maximum_s = MAXIMUM_S;
        run->load += token->cost / token->target_s;
        struct address mint = {{0}};
        memcpy(mint.bytes, &i, sizeof i);
        token_id id = token_table_add(run->memory.table, &mint);
        double age = prng_unit(&prng) * token->target_s;
        lanes_place(&run->lanes, id, tier, token->weight, at(-age));
    }
    lanes_sort(&run->lanes, count, at(0), NULL);
    return true;
}

static unsigned tier_of(const struct optimum_token *token)
{
    unsigned tier = 0;
    while (tiers[tier].target_s != token->target_s)
        tier++;
    return tier;
}

/* ---- running ---- */

static double capacity_at(const struct run *run, double now)
{
    double capacity = run->setup->capacity * run->load;
    if (run->setup->swing[0] == 0)
        return capacity;
    int segment = (int)floor((now + WARM_UP_S) / SWING_SEGMENT_S);
    return capacity * run->setup->swing[segment % 3];
}

/* What a token's age from its last refresh to `now` adds to the integral of weighted age. */
static void account(struct run *run, const struct optimum_token *token, double refreshed,
                    double now)
{
    double age = now - refreshed;
    double before = fmax(run->from_s - refreshed, 0); /* its age when measuring began */
    if (now <= run->from_s)
        return;
    run->aged += token->weight * (age * age - before * before) / 2;
    run->oldest_s = fmax(run->oldest_s, age);
}

/* ---- in windows ---- */

static double window_end(const struct run *run)
{
    return run->watch.window_s + FRESHNESS_WINDOW_S;
}

/* Whether the capacity is what it has been since a window before this one. */
static bool is_steady(const struct run *run)
{
    double from_s = run->watch.window_s - FRESHNESS_WINDOW_S;
    return run->watch.window_s >= run->from_s &&
           capacity_at(run, from_s) == capacity_at(run, window_end(run));
}

static void close_window(struct run *run)
{
    struct watch *watch = &run->watch;
    if (is_steady(run)) {
        double optimum = optimum_mean_age(run->tokens, run->setup->tokens,
                                          capacity_at(run, watch->window_s), NULL);
        double mean = watch->aged / watch->weights / FRESHNESS_WINDOW_S;
        watch->ratio_most = fmax(watch->ratio_most, mean / optimum);
    }
    watch->window_s = window_end(run);
    watch->aged = 0;
}

static void pass_until(struct run *run, double now)
{
    struct watch *watch = &run->watch;
    while (watch->at_s < now) {
        double to_s = fmin(now, window_end(run));
        double middle_s = (watch->at_s + to_s) / 2;
        watch->aged += (watch->weights * middle_s - watch->stamps) * (to_s - watch->at_s);
        watch->at_s = to_s;
        if (to_s == window_end(run))
            close_window(run);
    }
}

static void begin_watch(struct run *run)
{
    struct watch *watch = &run->watch;
    const struct lane_link *links = token_table_links(run->memory.table, LINKS_PRICE);
    for (uint32_t i = 0; i < run->setup->tokens; i++) {
        watch->weights += run->tokens[i].weight;
        watch->stamps += run->tokens[i].weight * seconds_of(links[i + 1].stamp);
    }
}

static size_t choose(struct run *run, double now, token_id out[REQUEST_ADDRESSES_MAX])
{
    struct lane_query query = {.now = at(now), .groups = 7, .slots = REQUEST_ADDRESSES_MAX};
    switch (run->setup->policy) {
    case POLICY_EDF:
        query.policy = key_edf;
        break;
    case POLICY_FIFO:
        query.policy = key_fifo;
        break;
    case POLICY_PRIORITY:
        query.policy = key_priority;
        break;
    case POLICY_MIX: {
        query.policy = key_priority;
        query.slots = REQUEST_ADDRESSES_MAX * 8 / 10;
        size_t count = lanes_select(&run->lanes, &query, out);
        query.policy = key_fifo;
        query.slots = REQUEST_ADDRESSES_MAX - (uint32_t)count;
        return count + lanes_select(&run->lanes, &query, out + count);
    }
    case POLICY_INDEX:
    case POLICY_COUNT:
        break;
    }
    return lanes_select(&run->lanes, &query, out);
}

static uint64_t wall_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

static void send_one(struct run *run, double now)
{
    token_id chosen[REQUEST_ADDRESSES_MAX];
    pass_until(run, now);
    uint64_t before = wall_ns();
    size_t count = choose(run, now, chosen);
    run->decision_ns += wall_ns() - before;
    const struct lane_link *links = token_table_links(run->memory.table, LINKS_PRICE);
    for (size_t i = 0; i < count; i++) {
        const struct optimum_token *token = &run->tokens[chosen[i] - 1];
        double refreshed = seconds_of(links[chosen[i]].stamp);
        account(run, token, refreshed, now);
        run->watch.stamps += token->weight * (now - refreshed);
        (void)lanes_insert(&run->lanes, chosen[i], tier_of(token), token->weight, at(now));
    }
    run->refreshes += count;
}

static double optimum_over(const struct run *run)
{
    double sum = 0, weights = 0;
    for (double t = run->from_s; t < run->to_s; t += SWING_SEGMENT_S) {
        double length = fmin(SWING_SEGMENT_S, run->to_s - t);
        sum +=
            length * optimum_mean_age(run->tokens, run->setup->tokens, capacity_at(run, t), NULL);
        weights += length;
    }
    return sum / weights;
}

static void summarise(struct run *run, struct freshness_result *out)
{
    const struct lane_link *links = token_table_links(run->memory.table, LINKS_PRICE);
    double weights = 0;
    for (uint32_t i = 0; i < run->setup->tokens; i++) {
        account(run, &run->tokens[i], seconds_of(links[i + 1].stamp), run->to_s);
        weights += run->tokens[i].weight;
    }
    out->weighted_mean_age_s = run->aged / weights / (run->to_s - run->from_s);
    out->optimum_s = optimum_over(run);
    out->ratio = out->weighted_mean_age_s / out->optimum_s;
    out->ratio_most = run->watch.ratio_most;
    out->maximum_age_s = run->oldest_s;
    out->refreshes = run->refreshes;
    out->decision_ns = run->refreshes == 0 ? 0 : (double)run->decision_ns / (double)run->refreshes;
}

enum err freshness_run(const struct freshness_setup *setup, struct freshness_result *out)
{
    struct run run = {.setup = setup, .memory = {.fd = -1}};
    if (setup->tokens == 0 || setup->tokens > FRESHNESS_TOKENS_MAX || !(setup->capacity > 0))
        return ERR_INVALID;
    run.from_s = WARM_UP_S;
    run.to_s = WARM_UP_S + (setup->hours > 0 ? setup->hours * 3600 : MEASURED_S);
    enum err err = make_population(&run) ? OK : ERR_NO_MEMORY;
    if (err == OK)
        begin_watch(&run);
    for (double now = 0; err == OK && now < run.to_s; now += 1 / capacity_at(&run, now))
        send_one(&run, now);
    if (err == OK)
        summarise(&run, out);
    table_memory_finish(&run.memory);
    free(run.tokens);
    return err;
}
