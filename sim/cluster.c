/* A run of several nodes: what comes next, and the end. See cluster.h. */
#include "sim/cluster_parts.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FNV_PRIME       0x100000001b3ULL
#define LINE_SIZE       256
#define TOKENS_LEAST    1000
#define TOKENS_MOST     5000
#define HOT_SHARE       0.2
#define SPARE_LEAST     2.0 /* times what keeping all tokens fresh takes */
#define SPARE_MOST      4.0
#define CAPACITY_SPREAD 4.0 /* the largest node over the smallest */
#define SOURCE_MEAN_S   8.0
#define SETTING_MEAN_S  60.0

/* ---- what all of them use ---- */

double world_seconds(const struct world *world, instant at)
{
    (void)world;
    return duration_to_s(instant_diff(at, CLUSTER_EPOCH));
}

void world_trace(struct world *world, uint64_t number)
{
    uint64_t hash = (world->result->trace_hash ^ number) * FNV_PRIME;
    world->result->trace_hash = hash ^ hash >> 32;
}

void world_say(struct world *world, const char *format, ...)
{
    char line[LINE_SIZE];
    va_list arguments;
    if (world->setup->on_line == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    world->setup->on_line(world->setup->context, world->now, line);
}

/* ---- messages, by time ---- */

static bool goes_before(const struct message *a, const struct message *b)
{
    return a->at.us != b->at.us ? a->at.us < b->at.us : a->order < b->order;
}

static bool has_room(struct world *world)
{
    if (world->heap_count < world->heap_capacity)
        return true;
    size_t capacity = world->heap_capacity == 0 ? 1024 : 2 * world->heap_capacity;
    struct message *heap = realloc(world->heap, capacity * sizeof *heap);
    if (heap == NULL) {
        world->is_out_of_memory = true;
        return false;
    }
    world->heap = heap;
    world->heap_capacity = capacity;
    return true;
}

static void put(struct world *world, struct message message)
{
    if (!has_room(world)) {
        free(message.data);
        return;
    }
    size_t at = world->heap_count++;
    while (at > 0 && goes_before(&message, &world->heap[(at - 1) / 2])) {
        world->heap[at] = world->heap[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    world->heap[at] = message;
}

static struct message take(struct world *world)
{
    struct message first = world->heap[0], last = world->heap[--world->heap_count];
    size_t at = 0, count = world->heap_count;
    for (size_t child = 1; child < count; child = 2 * at + 1) {
        child += child + 1 < count && goes_before(&world->heap[child + 1], &world->heap[child]);
        if (!goes_before(&world->heap[child], &last))
            break;
        world->heap[at] = world->heap[child];
        at = child;
    }
    world->heap[at] = last;
    return first;
}

void world_send(struct world *world, struct message message, duration after)
{
    message.at = instant_add(world->now, after);
    message.order = ++world->order;
    put(world, message);
}

/* ---- the beginning ---- */

static int by_slot(const void *a, const void *b)
{
    const struct cluster_token *x = a, *y = b;
    return (int)x->slot - (int)y->slot;
}

static bool make_tokens(struct world *world, double *load)
{
    world->tokens = calloc(world->token_count, sizeof *world->tokens);
    if (world->tokens == NULL)
        return false;
    for (uint32_t i = 0; i < world->token_count; i++) {
        struct address mint;
        for (size_t at = 0; at < sizeof mint.bytes; at++)
            mint.bytes[at] = (uint8_t)prng_next(&world->prng);
        double interval_s = prng_unit(&world->prng) < HOT_SHARE ? HOT_S : COLD_S;
        world->tokens[i].slot = mint_slot(&mint);
        world->tokens[i].interval = duration_s(interval_s);
        *load += 1 / interval_s;
    }
    qsort(world->tokens, world->token_count, sizeof *world->tokens, by_slot);
    for (uint32_t i = 0, slot = 0; slot <= MINT_SLOTS; slot++) {
        while (i < world->token_count && world->tokens[i].slot < slot)
            i++;
        world->slot_first[slot] = i;
    }
    return true;
}

static bool make_nodes(struct world *world, double load)
{
    double sum = 0, spare = SPARE_LEAST + (SPARE_MOST - SPARE_LEAST) * prng_unit(&world->prng);
    world->nodes = calloc(world->node_count, sizeof *world->nodes);
    if (world->nodes == NULL)
        return false;
    for (uint32_t i = 0; i < world->node_count; i++) {
        if (!node_prepare(world, &world->nodes[i], i))
            return false;
        world->nodes[i].capacity = pow(CAPACITY_SPREAD, prng_unit(&world->prng));
        sum += world->nodes[i].capacity;
    }
    for (uint32_t i = 0; i < world->node_count; i++)
        world->nodes[i].capacity *= load * spare / sum;
    return true;
}

static uint32_t drawn_nodes(struct world *world)
{
    uint32_t drawn = 1 + (uint32_t)prng_below(&world->prng, SIM_NODES_MOST);
    return world->setup->nodes == SIM_NODES_ANY ? drawn : world->setup->nodes;
}

static uint32_t drawn_tokens(struct world *world)
{
    uint32_t drawn =
        TOKENS_LEAST + (uint32_t)prng_below(&world->prng, TOKENS_MOST - TOKENS_LEAST + 1);
    return world->setup->tokens == 0 ? drawn : world->setup->tokens;
}

static void send_every(struct world *world, enum message_kind kind, double mean_s)
{
    world_send(world, (struct message){.kind = kind},
               duration_s(prng_exponential(&world->prng, mean_s)));
}

static bool begin(struct world *world)
{
    const struct sim_setup *setup = world->setup;
    double load = 0;
    prng_seed(&world->prng, setup->seed ^ 0xc1057e5ULL);
    world->now = world->ticks_at = world->checked_at = world->disturbed_at = CLUSTER_EPOCH;
    world->end = instant_add(world->now, duration_s(setup->hours * 3600));
    world->calm_from = instant_add(world->now, duration_s(schedule_calm_from_s(setup)));
    world->node_count = drawn_nodes(world);
    world->token_count = drawn_tokens(world);
    world->setting_at = world->now;
    for (uint32_t i = 0; i < LEASE_COUNT; i++)
        world->covered_at[i] = world->now;
    if (!make_tokens(world, &load) || !make_nodes(world, load) || !faults_begin(world))
        return false;
    for (uint32_t i = 0; i < world->node_count; i++)
        node_start(world, &world->nodes[i], 0);
    send_every(world, MESSAGE_SOURCE, SOURCE_MEAN_S);
    send_every(world, MESSAGE_SETTING, SETTING_MEAN_S);
    world->result->cluster.nodes = world->node_count;
    world->result->cluster.tokens = world->token_count;
    return true;
}

/* ---- running ---- */

/* For a process that is gone: nobody hears it. One that stands still hears it later, if the
 * connection outlives that. */
static void deliver(struct world *world, struct message *message)
{
    struct world_node *node = &world->nodes[message->node];
    if (!node->is_present || node->life != message->life)
        return;
    if (!node_stands(world, node))
        return node_receive(world, node, message);
    if (node->is_suspended)
        return;
    struct message later = *message;
    later.at = node->stands_until;
    message->data = NULL;
    put(world, later);
}

static void act(struct world *world, struct message *message)
{
    world->result->events++;
    switch (message->kind) {
    case MESSAGE_EXCHANGE:
    case MESSAGE_WRITE:
    case MESSAGE_READ:
        base_receive(world, message);
        break;
    case MESSAGE_FAULT:
        faults_receive(world, message);
        break;
    case MESSAGE_SOURCE:
        checks_on_source(world);
        send_every(world, MESSAGE_SOURCE, SOURCE_MEAN_S);
        break;
    case MESSAGE_SETTING:
        base_change_setting(world);
        send_every(world, MESSAGE_SETTING, SETTING_MEAN_S);
        break;
    default:
        deliver(world, message);
    }
    free(message->data);
}

static void start_who_is_back(struct world *world, struct world_node *node)
{
    if (!node->is_present && node->away == 0)
        node_start(world, node, 0);
}

static void tick(struct world *world)
{
    world->ticks_at = instant_add(world->ticks_at, CLUSTER_TICK);
    for (uint32_t i = 0; i < world->node_count; i++) {
        struct world_node *node = &world->nodes[i];
        start_who_is_back(world, node);
        if (node->is_present && !node_stands(world, node))
            node_tick(world, node);
    }
    checks_on_tick(world);
}

static void run(struct world *world)
{
    while (instant_before(world->now, world->end) && world->verdict[0] == '\0' &&
           !world->is_out_of_memory) {
        if (world->heap_count > 0 && !instant_before(world->ticks_at, world->heap[0].at)) {
            struct message message = take(world);
            world->now = instant_max(world->now, message.at);
            act(world, &message);
        } else {
            world->now = world->ticks_at;
            tick(world);
        }
    }
}

/* ---- the end ---- */

static void summarise(struct world *world)
{
    struct sim_result *result = world->result;
    if (world->verdict[0] == '\0')
        checks_on_end(world);
    for (uint32_t i = 0; i < world->node_count; i++)
        node_kill(world, &world->nodes[i]); /* its counts are added */
    result->simulated_s = world_seconds(world, world->now);
    result->actions = result->cluster.fetches = world->fetches;
    result->fenced = result->cluster.fenced;
    snprintf(result->verdict, sizeof result->verdict, "%s",
             world->verdict[0] == '\0' ? "ok" : world->verdict);
}

static void finish(struct world *world)
{
    for (size_t i = 0; i < world->heap_count; i++)
        free(world->heap[i].data);
    for (uint32_t i = 0; world->nodes != NULL && i < world->node_count; i++)
        node_finish(&world->nodes[i]);
    free(world->nodes);
    free(world->tokens);
    free(world->heap);
    free(world->schedule);
    free(world->log);
    free(world->origins);
    free(world);
}

enum err cluster_run(const struct sim_setup *setup, struct sim_result *out)
{
    struct world *world = calloc(1, sizeof *world);
    if (world == NULL)
        return ERR_NO_MEMORY;
    memset(out, 0, sizeof *out);
    out->cluster.balanced_s = -1;
    world->setup = setup;
    world->result = out;
    enum err err = begin(world) ? OK : ERR_NO_MEMORY;
    if (err == OK)
        run(world);
    if (world->is_out_of_memory)
        err = ERR_NO_MEMORY;
    if (err == OK)
        summarise(world);
    finish(world);
    return err;
}
