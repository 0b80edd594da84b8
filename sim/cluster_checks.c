/* What must hold among several nodes, in true time. See cluster.h. */
#include "sim/cluster_parts.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#define LEASE_S          10.0
#define UNCOVERED_MOST_S (LEASE_S + 2)
#define NOTICED_S        10.0 /* a market that cannot be reached is noticed first */
#define BALANCED_S       30.0
#define BALANCED_PERCENT 5.0
#define SETTINGS_S       1.0
#define AGES_SETTLED_S   60.0
#define AGE_SLACK        2.0 /* tokens that fell due at once wait for each other: late, by health.h */
#define AGE_SLACK_S      2.0
#define INTERVAL_SHARE   0.95 /* of an interval must have passed: clocks, and ages that travel */
#define JUMP_FORGOTTEN_S 120.0
#define CHECK_S          1.0

void checks_complain(struct world *world, const char *format, ...)
{
    va_list arguments;
    if (world->verdict[0] != '\0')
        return;
    va_start(arguments, format);
    vsnprintf(world->verdict, sizeof world->verdict, format, arguments);
    va_end(arguments);
    size_t length = 0;
    while (world->verdict[length] != '\0')
        length++;
    snprintf(world->verdict + length, sizeof world->verdict - length, " (at %.1f s)",
             world_seconds(world, world->now));
}

static double since_s(const struct world *world, instant at)
{
    return duration_to_s(instant_diff(world->now, at));
}

/* By its own clock, whether it stands still or not: it would go on where it stopped. */
static bool could_work(const struct world *world, const struct world_node *node, uint16_t lease)
{
    return node->is_present && cluster_may_work(&node->cluster, lease, node_clock(world, node));
}

/* ---- one at a time ---- */

static void check_alone(struct world *world, const struct world_node *node, uint16_t lease)
{
    for (uint32_t i = 0; i < world->node_count; i++)
        if (&world->nodes[i] != node && could_work(world, &world->nodes[i], lease))
            checks_complain(world, "nodes %u and %u both work on slot %u", i, node->number, lease);
}

/* Who claims may begin at once: whoever had it must have stopped. */
void checks_on_claim(struct world *world, uint16_t lease)
{
    for (uint32_t i = 0; i < world->node_count; i++)
        if (world->nodes[i].cluster.session != world->rows.view.leases[lease].session &&
            could_work(world, &world->nodes[i], lease))
            checks_complain(world, "lease %u is claimed while node %u works on it", lease, i);
}

/* What was committed before the slot was claimed is known to whoever claimed it; and all that its
 * owner fetched, if it gave the slot away. */
static void check_interval(struct world *world, const struct world_node *node,
                           const struct cluster_token *token, uint32_t number)
{
    double age_s = since_s(world, token->fetched_at);
    bool is_own = token->node == node->number && token->life == node->life;
    bool was_given = world->was_handed_over[token->slot] && !token->is_dropped &&
                     !instant_before(token->fetched_at, world->claimed_before[token->slot]) &&
                     instant_before(token->fetched_at, world->claimed_at[token->slot]);
    bool is_committed =
        !instant_is_never(token->committed_at) &&
        (is_own || !instant_before(world->claimed_at[token->slot], token->committed_at));
    /* Ages travel as differences of clocks: the writer's, or the reader's, was wrong. */
    bool has_jumped =
        !instant_is_never(world->jumped_at) && since_s(world, world->jumped_at) < JUMP_FORGOTTEN_S;
    if (instant_is_never(token->fetched_at) || has_jumped ||
        age_s >= INTERVAL_SHARE * duration_to_s(token->interval))
        return;
    if (is_committed || was_given)
        checks_complain(world, "token %u is fetched by node %u, %.1f s after node %u did", number,
                        node->number, age_s, token->node);
    else
        world->result->cluster.repeated++;
}

void checks_on_fetch(struct world *world, const struct world_node *node, uint32_t number)
{
    struct cluster_token *token = &world->tokens[number];
    check_alone(world, node, token->slot);
    check_interval(world, node, token, number);
    token->fetched_at = world->now;
    token->fetch = world->fetches;
    token->node = node->number;
    token->life = node->life;
    token->committed_at = INSTANT_NEVER;
    token->is_dropped = false;
    world_trace(world, (uint64_t)number << 32 ^ node->number);
}

/* A token graduates: whoever listens gives it an id. */
void checks_on_source(struct world *world)
{
    struct world_node *listener = NULL;
    for (uint32_t i = 0; i < world->node_count; i++) {
        struct world_node *node = &world->nodes[i];
        if (!could_work(world, node, LEASE_SOURCE))
            continue;
        if (listener != NULL)
            checks_complain(world, "nodes %u and %u both listen to the source", listener->number,
                            node->number);
        listener = node;
    }
    if (listener != NULL && listener->cut_market == 0 && !node_stands(world, listener))
        node_on_source(world, listener);
}

/* ---- nobody left out ---- */

static bool is_well(const struct world *world, const struct world_node *node)
{
    return node->is_present && !node->leaves && !node_stands(world, node) && node->cut_db == 0 &&
           node->deaf == 0 && node->cut_market == 0;
}

static bool somebody_is_well(const struct world *world)
{
    for (uint32_t i = 0; i < world->node_count; i++)
        if (is_well(world, &world->nodes[i]))
            return true;
    return false;
}

static void note_covered(struct world *world)
{
    for (uint32_t i = 0; i < world->node_count; i++) {
        const struct world_node *node = &world->nodes[i];
        instant now = node_clock(world, node);
        if (!node->is_present || node_stands(world, node) || node->cut_market > 0)
            continue;
        for (uint16_t lease = 0; lease < LEASE_COUNT; lease++)
            if (cluster_may_work(&node->cluster, lease, now))
                world->covered_at[lease] = world->now;
    }
}

static void check_covered(struct world *world)
{
    if (faults_of_base(world) || !somebody_is_well(world))
        return;
    double most_s =
        UNCOVERED_MOST_S + (world->active[CLUSTER_FAULT_CUT_MARKET] > 0 ? NOTICED_S : 0);
    instant disturbed_at = instant_max(world->disturbed_at, world->settled_at);
    for (uint16_t lease = 0; lease < LEASE_COUNT; lease++) {
        instant from = instant_max(world->covered_at[lease], disturbed_at);
        double gap_s = since_s(world, from);
        world->result->cluster.uncovered_s = fmax(world->result->cluster.uncovered_s, gap_s);
        if (gap_s > most_s)
            checks_complain(world, "nobody works on lease %u for %.1f s", lease, gap_s);
    }
}

static void check_ages(struct world *world)
{
    for (uint32_t i = 0; i < world->token_count; i++) {
        const struct cluster_token *token = &world->tokens[i];
        double age_s = since_s(world, token->fetched_at);
        if (age_s > AGE_SLACK * duration_to_s(token->interval) + AGE_SLACK_S)
            checks_complain(world, "token %u is %.1f s old, of %.0f s", i, age_s,
                            duration_to_s(token->interval));
    }
}

/* ---- balance ---- */

static uint32_t count_owned(const struct world *world, uint64_t session)
{
    uint32_t owned = 0;
    for (uint16_t slot = 0; slot < MINT_SLOTS; slot++)
        owned += session != 0 && world->rows.view.leases[slot].session == session;
    return owned;
}

/* Slots are whole: one more or less is as good. Returns the number of a node that is not; or the
 * number of nodes. */
static uint32_t find_unbalanced(const struct world *world)
{
    double sum = 0;
    for (uint32_t i = 0; i < world->node_count; i++)
        sum += node_capacity(&world->nodes[i]);
    for (uint32_t i = 0; i < world->node_count; i++) {
        double share = node_capacity(&world->nodes[i]) * MINT_SLOTS / sum;
        double owned = count_owned(world, world->nodes[i].cluster.session);
        if (fabs(owned - share) > 1 + share * BALANCED_PERCENT / 100)
            return i;
    }
    return world->node_count;
}

static void check_balance(struct world *world)
{
    double calm_s = since_s(world, world->calm_from);
    uint32_t node = find_unbalanced(world);
    if (node == world->node_count) {
        if (world->result->cluster.balanced_s < 0)
            world->result->cluster.balanced_s = calm_s;
        return;
    }
    world->result->cluster.balanced_s = -1;
    if (calm_s > BALANCED_S)
        checks_complain(world, "node %u has %u slots %.1f s after the faults", node,
                        count_owned(world, world->nodes[node].cluster.session), calm_s);
}

/* Once it is balanced and nothing changes, nothing moves. */
static void check_still(struct world *world)
{
    uint64_t moves = world->result->cluster.moves;
    double calm_s = since_s(world, world->calm_from);
    if (calm_s < BALANCED_S + CHECK_S)
        world->moves_before = moves;
    else if (moves != world->moves_before)
        checks_complain(world, "%llu leases moved though nothing changed",
                        (unsigned long long)(moves - world->moves_before));
}

/* ---- settings ---- */

static void check_settings(struct world *world)
{
    if (faults_of_base(world) || since_s(world, world->setting_at) < SETTINGS_S)
        return;
    for (uint32_t i = 0; i < world->node_count; i++) {
        const struct world_node *node = &world->nodes[i];
        if (!is_well(world, node) || since_s(world, world->disturbed_at) < LEASE_S)
            continue;
        if (node->cluster.view.settings_version != world->rows.view.settings_version)
            checks_complain(world, "node %u has not heard of a setting for %.1f s", i,
                            since_s(world, world->setting_at));
    }
}

/* ---- when ---- */

void checks_on_tick(struct world *world)
{
    if (since_s(world, world->checked_at) < CHECK_S)
        return;
    world->checked_at = world->now;
    note_covered(world);
    check_covered(world);
    check_settings(world);
    if (instant_before(world->now, world->calm_from))
        return;
    check_balance(world);
    check_still(world);
    if (since_s(world, world->calm_from) > AGES_SETTLED_S)
        check_ages(world);
}

void checks_on_end(struct world *world)
{
    if (world->acknowledged_id > world->newest_id ||
        (world->acknowledged_id > 0 &&
         world->origins[world->acknowledged_id] != world->acknowledged_origin))
        checks_complain(world, "new token %u was acknowledged, and is lost",
                        world->acknowledged_id);
}
