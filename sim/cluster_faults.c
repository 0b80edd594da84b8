/* What goes wrong among several nodes. See cluster.h. */
#include "sim/cluster_parts.h"

#include <math.h>
#include <stdlib.h>

#define JUMP_MOST_S  60.0
#define SLOW_MOST_S  3.0
#define FACTOR_POWER 2.0 /* capacities change by up to so many powers of two */
#define MASS_LEAST   0.3 /* of the nodes */

static const struct {
    const char *name;
    double length_s;
} kinds[CLUSTER_FAULT_COUNT] = {
#define X(code, name, length_s) [code] = {name, length_s},
    CLUSTER_FAULT_LIST(X)
#undef X
};

const char *cluster_fault_name(enum cluster_fault fault)
{
    return fault < CLUSTER_FAULT_COUNT ? kinds[fault].name : "?";
}

double cluster_fault_length_s(enum cluster_fault fault)
{
    return kinds[fault].length_s;
}

bool faults_of_base(const struct world *world)
{
    for (int fault = CLUSTER_FAULT_DOWN; fault < CLUSTER_FAULT_COUNT; fault++)
        if (world->active[fault] > 0)
            return true;
    return false;
}

static bool is_of_network(enum cluster_fault fault)
{
    return fault == CLUSTER_FAULT_CUT_DB || fault == CLUSTER_FAULT_DEAF ||
           fault >= CLUSTER_FAULT_DOWN;
}

bool faults_begin(struct world *world)
{
    world->schedule = sim_schedule(world->setup, &world->schedule_count);
    if (world->schedule == NULL)
        return false;
    for (size_t i = 0; i < world->schedule_count; i++) {
        const struct sim_occurrence *occurrence = &world->schedule[i];
        if (world->setup->dropped != NULL && world->setup->dropped[i])
            continue;
        world_send(world, (struct message){.kind = MESSAGE_FAULT, .number = i, .position = 0},
                   duration_s(occurrence->from_s));
        if (occurrence->to_s > occurrence->from_s)
            world_send(world, (struct message){.kind = MESSAGE_FAULT, .number = i, .position = 1},
                       duration_s(occurrence->to_s));
    }
    return true;
}

static struct world_node *hit(struct world *world, const struct sim_occurrence *occurrence)
{
    return &world->nodes[(uint32_t)(occurrence->share * world->node_count)];
}

/* ---- one node ---- */

static void die(struct world *world, struct world_node *node)
{
    world->result->deaths += node->is_present;
    node_kill(world, node);
}

static void go(struct world *world, struct world_node *node, bool gracefully)
{
    node->away++;
    if (gracefully && !node_stands(world, node))
        node_leave(world, node);
    else if (!gracefully)
        die(world, node);
}

static void come_back(struct world_node *node)
{
    node->away--; /* the next tick starts it; one that is still leaving, when it has left */
}

static void stand_still(struct world *world, struct world_node *node, instant until, bool suspends)
{
    (void)world;
    node->stands_until = instant_max(node->stands_until, until);
    node->is_suspended = node->is_suspended || suspends;
}

static void restart(struct world *world, struct world_node *node)
{
    bool is_present = node->is_present;
    die(world, node);
    if (is_present && node->away == 0)
        node_start(world, node, node->last_session);
}

/* ---- many ---- */

/* The same ones at the beginning and at the end: drawn from the occurrence. */
static void go_many(struct world *world, const struct sim_occurrence *occurrence, bool begins)
{
    struct prng prng;
    prng_seed(&prng, occurrence->seed);
    double share = MASS_LEAST + (1 - MASS_LEAST) * prng_unit(&prng);
    bool gracefully = prng_unit(&prng) < 0.5;
    for (uint32_t i = 0; i < world->node_count; i++) {
        if (prng_unit(&prng) >= share)
            continue;
        if (begins)
            go(world, &world->nodes[i], gracefully);
        else
            come_back(&world->nodes[i]);
    }
}

/* ---- one at a time ---- */

static void count(unsigned *active, bool begins)
{
    *active += begins ? 1U : -1U;
}

static void change(struct world *world, const struct sim_occurrence *occurrence, bool begins)
{
    struct world_node *node = hit(world, occurrence);
    struct prng prng;
    instant until = instant_add(CLUSTER_EPOCH, duration_s(occurrence->to_s));
    prng_seed(&prng, occurrence->seed);
    double drawn = prng_unit(&prng), rate = CLUSTER_RATE_MOST * (2 * drawn - 1);
    switch ((enum cluster_fault)occurrence->fault) {
    case CLUSTER_FAULT_KILL:
    case CLUSTER_FAULT_LEAVE:
        if (begins)
            return go(world, node, (int)occurrence->fault == CLUSTER_FAULT_LEAVE);
        return come_back(node);
    case CLUSTER_FAULT_RESTART:
        return restart(world, node);
    case CLUSTER_FAULT_PAUSE:
    case CLUSTER_FAULT_SUSPEND:
        if (begins)
            return stand_still(world, node, until, (int)occurrence->fault == CLUSTER_FAULT_SUSPEND);
        node->is_suspended = node->is_suspended && node_stands(world, node);
        return;
    case CLUSTER_FAULT_JUMP:
        return node_set_clock(world, node, node->rate, duration_s(drawn * JUMP_MOST_S));
    case CLUSTER_FAULT_RATE:
        return node_set_clock(world, node, begins ? 1 + rate : 1, duration_us(0));
    case CLUSTER_FAULT_CUT_DB:
        return count(&node->cut_db, begins);
    case CLUSTER_FAULT_CUT_MARKET:
        return count(&node->cut_market, begins);
    case CLUSTER_FAULT_DEAF:
        count(&node->deaf, begins);
        node->has_link_broken = node->has_link_broken && node->deaf > 0;
        return;
    case CLUSTER_FAULT_CAPACITY:
        node->factor = begins ? exp2(FACTOR_POWER * (2 * drawn - 1)) : 1;
        return;
    case CLUSTER_FAULT_MASS:
        return go_many(world, occurrence, begins);
    case CLUSTER_FAULT_SLOW:
        world->slow_s = drawn * SLOW_MOST_S;
        return;
    case CLUSTER_FAULT_DOWN:
    case CLUSTER_FAULT_LOST:
    case CLUSTER_FAULT_READ_ONLY:
    case CLUSTER_FAULT_LATE:
    case CLUSTER_FAULT_COUNT:
        return; /* that they are active is all */
    }
}

void faults_receive(struct world *world, const struct message *message)
{
    const struct sim_occurrence *occurrence = &world->schedule[message->number];
    bool begins = message->position == 0;
    bool lasts = occurrence->to_s > occurrence->from_s;
    if (lasts)
        count(&world->active[occurrence->fault], begins);
    world_say(world, "FAULT %s %s, node %u",
              cluster_fault_name((enum cluster_fault)occurrence->fault), begins ? "begins" : "ends",
              hit(world, occurrence)->number);
    world->disturbed_at = world->now;
    if (!begins && is_of_network((enum cluster_fault)occurrence->fault))
        world->settled_at = instant_max(
            world->settled_at, instant_add(world->now, (int)occurrence->fault == CLUSTER_FAULT_LATE
                                                           ? duration_s(CLUSTER_LATE_S)
                                                           : CLUSTER_PATIENCE));
    world->result->faults_injected += begins;
    world->result->injected[occurrence->fault] += begins;
    change(world, occurrence, begins);
}
