/*
 * What it costs to decide who is next: the core's lanes, as the engine uses them, with 1,000 to
 * 1,000,000 tokens. Nanoseconds of CPU time for each token that is chosen for a request and put
 * back when the answer has come, and how often memory was asked for meanwhile.
 *
 * The population is that of a busy day: a tenth is hot (a target of 15 s, 2 to 7 pools), the others
 * are cold (45 s), with weights as liquidity and volume make them, in any order of ids. The budget
 * is a tenth short of what all targets take, so every choice is a contest of all classes. Time is
 * virtual and goes on by what a request takes of the budget. An answer comes after
 * LATENCY_US and moves the token's weight. Before it is measured each population has been chosen
 * twice over, so that neighbours in a FIFO lie anywhere in memory.
 */
#include "base/prng.h"
#include "bench/allocations.h"
#include "bench/bench.h"
#include "bench/collapse.h"
#include "core/lane.h"
#include "core/lane_kind.h"
#include "page/table_memory.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define NOW           ((instant){INT64_C(1790000000000000)})
#define WEIGHT_MIN    0.02 /* as the core has it */
#define HOT_EVERY     10
#define POOLS_MEAN    3.4 /* of a hot token */
#define HOT_TARGET_S  15.0
#define COLD_TARGET_S 45.0
#define MAXIMUM_S     3600.0
#define SHARE_OF_NEED 0.9 /* what the budget is of what keeping all targets takes */
#define LATENCY_US    50000
#define IN_FLIGHT_MAX 64    /* requests_in_flight_max */
#define WEIGHTS       65536 /* prepared, and used in turn: drawing one is not deciding */
#define ROUND_TOKENS  100000
#define BAR_NS        100
#define BAR_GROWTH    1.5
#define FIGURE_AT     "decision ns at %s tokens"
#define SMALLEST      "1,000"
#define LARGEST       "1,000,000"

enum { HOT, COLD };

struct request {
    double sent_us;
    token_id ids[REQUEST_ADDRESSES_MAX];
    size_t count;
};

/* Requests of a group under way, the oldest first. */
struct flight {
    struct request requests[IN_FLIGHT_MAX];
    unsigned sent, answered;
};

struct population {
    const char *size; /* the tokens, as people read it */
    uint32_t tokens;
    struct table_memory memory;
    struct lanes lanes;
    const uint8_t *costs;
    instant now;
    double request_us[2]; /* from one request of a group to the next */
    double next_us[2];    /* after the start */
    struct flight flights[2];
    unsigned weight_turn;
    uint64_t chosen;
    struct sample ns;
};

static double weights[WEIGHTS];

static double share(double part)
{
    return part < 1 ? part : 1;
}

/* As the core weighs: liquidity, volume, momentum and score, with a floor. */
static void draw_weights(struct prng *prng)
{
    for (int i = 0; i < WEIGHTS; i++)
        weights[i] = WEIGHT_MIN + 0.4 * share(prng_pareto(prng, 0.8) / 100) +
                     0.3 * share(prng_pareto(prng, 0.8) / 1000) +
                     0.2 * share(prng_exponential(prng, 0.2)) + 0.1 * prng_unit(prng);
}

static int group_of(token_id id)
{
    return id % HOT_EVERY == 0 ? HOT : COLD;
}

static double weight_for(struct population *population, token_id id)
{
    double value = weights[population->weight_turn++ % WEIGHTS];
    return value * REQUEST_ADDRESSES_MAX / (group_of(id) == HOT ? population->costs[id] : 1);
}

/* ---- a population ---- */

static struct lane_group settings(double target_s)
{
    return (struct lane_group){duration_s(target_s), duration_s(MAXIMUM_S), RANK_NORMAL};
}

static void add_token(struct population *population, struct prng *prng)
{
    static const uint8_t pools[] = {2, 2, 3, 3, 3, 3, 4, 4, 5, 5};
    struct address mint;
    for (size_t i = 0; i < sizeof mint.bytes; i += sizeof(uint64_t)) {
        uint64_t word = prng_next(prng);
        memcpy(&mint.bytes[i], &word, sizeof word);
    }
    token_id id = token_table_add(population->memory.table, &mint);
    bool is_hot = group_of(id) == HOT;
    token_table_costs(population->memory.table)[id] = is_hot ? pools[prng_below(prng, 10)] : 0;
    double age_s = prng_unit(prng) * (is_hot ? HOT_TARGET_S : COLD_TARGET_S);
    lanes_place(&population->lanes, id, (unsigned)group_of(id), weight_for(population, id),
                instant_add(NOW, duration_s(-age_s)));
}

/* How far apart requests are: the budget is short of what 3.4 pools a hot token and one address a
 * cold one take. */
static void set_pace(struct population *population)
{
    double hot = (double)population->tokens / HOT_EVERY, cold = population->tokens - hot;
    double slots = 1e6 * REQUEST_ADDRESSES_MAX / SHARE_OF_NEED;
    population->request_us[HOT] = slots * HOT_TARGET_S / (hot * POOLS_MEAN);
    population->request_us[COLD] = slots * COLD_TARGET_S / cold;
}

static bool fill(struct population *population)
{
    struct prng prng;
    int error;
    prng_seed(&prng, 1);
    population->now = NOW;
    if (!table_memory_init(&population->memory, population->tokens, &error)) {
        fprintf(stderr, "bench: no memory for %u tokens: %s\n", population->tokens,
                strerror(error));
        return false;
    }
    lanes_init(&population->lanes, population->memory.table, LINKS_PRICE, WEIGHT_MIN);
    lanes_set_group(&population->lanes, HOT, settings(HOT_TARGET_S));
    lanes_set_group(&population->lanes, COLD, settings(COLD_TARGET_S));
    population->costs = token_table_costs(population->memory.table);
    for (uint32_t i = 0; i < population->tokens; i++)
        add_token(population, &prng);
    void *scratch = malloc(lanes_scratch_size(population->tokens)); /* without it: slower */
    lanes_sort(&population->lanes, population->tokens, NOW, scratch);
    free(scratch);
    collapse_table(&population->memory);
    set_pace(population);
    return true;
}

/* ---- deciding ---- */

static void put_back(struct population *population, const struct request *request)
{
    for (size_t i = 0; i < request->count; i++)
        lanes_prefetch(&population->lanes, request->ids[i]);
    for (size_t i = 0; i < request->count; i++) {
        token_id id = request->ids[i];
        (void)lanes_insert(&population->lanes, id, (unsigned)group_of(id),
                           weight_for(population, id), population->now);
    }
}

static void take_answers(struct population *population, struct flight *flight, double now_us)
{
    while (flight->answered < flight->sent) {
        const struct request *request = &flight->requests[flight->answered % IN_FLIGHT_MAX];
        bool is_full = flight->sent - flight->answered == IN_FLIGHT_MAX;
        if (!is_full && request->sent_us + LATENCY_US > now_us)
            return;
        put_back(population, request);
        flight->answered++;
    }
}

static void send_one(struct population *population, int group)
{
    struct flight *flight = &population->flights[group];
    double now_us = population->next_us[group];
    take_answers(population, flight, now_us);
    struct request *request = &flight->requests[flight->sent++ % IN_FLIGHT_MAX];
    const struct lane_query query = {.now = population->now,
                                     .groups = 1U << group,
                                     .slots = REQUEST_ADDRESSES_MAX,
                                     .costs = group == HOT ? population->costs : NULL};
    request->sent_us = now_us;
    request->count = lanes_select(&population->lanes, &query, request->ids);
    population->chosen += request->count;
}

static void choose(struct population *population, uint64_t tokens)
{
    uint64_t goal = population->chosen + tokens;
    while (population->chosen < goal) {
        int group = population->next_us[HOT] <= population->next_us[COLD] ? HOT : COLD;
        population->now = instant_add(NOW, duration_us((int64_t)population->next_us[group]));
        send_one(population, group);
        population->next_us[group] += population->request_us[group];
    }
}

static double cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void measure(struct population *population)
{
    uint64_t before = population->chosen;
    double began_ns = cpu_ns();
    choose(population, ROUND_TOKENS);
    sample_add(&population->ns, (cpu_ns() - began_ns) / (double)(population->chosen - before));
}

/* ---- figures ---- */

static void report_size(struct report *report, const struct population *population)
{
    char name[64];
    snprintf(name, sizeof name, FIGURE_AT, population->size);
    struct figure *figure = report_add_sample(report, name, "ns", &population->ns);
    if (strcmp(population->size, SMALLEST) == 0)
        return;
    snprintf(name, sizeof name, FIGURE_AT, SMALLEST);
    figure_compare(figure, report, name);
    if (strcmp(population->size, LARGEST) != 0)
        return;
    figure->bar_kind = BAR_VALUE_MOST;
    figure->bar = BAR_NS;
}

/* What is not of one size. */
static void report_bars(struct report *report, uint64_t allocated)
{
    char name[64];
    snprintf(name, sizeof name, FIGURE_AT, LARGEST);
    struct figure *figure = report_add(report, "decision growth", "×");
    figure->value = report_find(report, name)->ratio;
    figure->bar_kind = BAR_VALUE_MOST;
    figure->bar = BAR_GROWTH;
    snprintf(figure->note, sizeof figure->note, "from " SMALLEST " to " LARGEST " tokens");
    figure = report_add(report, "decision allocations", "times");
    figure->value = (double)allocated;
    figure->bar_kind = BAR_VALUE_MOST;
}

static bool prepare(struct population *population)
{
    if (!fill(population))
        return false;
    choose(population, 2 * (uint64_t)population->tokens);
    return true;
}

void bench_decision(struct bench *bench)
{
    static struct population populations[] = {{.size = SMALLEST, .tokens = 1000},
                                              {.size = "10,000", .tokens = 10000},
                                              {.size = "100,000", .tokens = 100000},
                                              {.size = LARGEST, .tokens = 1000000}};
    const size_t count = sizeof populations / sizeof populations[0];
    struct prng prng;
    prng_seed(&prng, 2);
    draw_weights(&prng);
    for (size_t i = 0; i < count; i++)
        if (!prepare(&populations[i]))
            return;
    uint64_t allocated = allocations();
    for (int round = 0; round < bench_rounds(bench, 101, 21); round++)
        for (size_t i = 0; i < count; i++)
            measure(&populations[i]);
    allocated = allocations() - allocated;
    for (size_t i = 0; i < count; i++)
        report_size(&bench->report, &populations[i]);
    report_bars(&bench->report, allocated);
    for (size_t i = 0; i < count; i++)
        table_memory_finish(&populations[i].memory);
}
