#include "cluster/balance.h"

#include <string.h>

/* ---- shares ---- */

/* A session that was begun and never renewed may be that of a request that came late, whose node
 * has long begun another. */
static bool can_take(const struct cluster_member *member)
{
    return !member->is_leaving && member->renewals > 0;
}

/* Who can fetch nothing gets nothing, unless that holds for all. */
static void weigh(const struct cluster_view *view, uint64_t weights[CLUSTER_NODES_MAX],
                  uint64_t *sum)
{
    *sum = 0;
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct cluster_member *member = &view->members[i];
        weights[i] = can_take(member) ? member->capacity : 0;
        *sum += weights[i];
    }
    if (*sum > 0)
        return;
    for (uint32_t i = 0; i < view->member_count; i++) {
        weights[i] = can_take(&view->members[i]);
        *sum += weights[i];
    }
}

/* Equal remainders: who has more already, then the older session. */
static bool goes_first(const struct balance *balance, const uint64_t *rests, uint32_t a, uint32_t b)
{
    if (rests[a] != rests[b])
        return rests[a] > rests[b];
    if (balance->nodes[a].owned != balance->nodes[b].owned)
        return balance->nodes[a].owned > balance->nodes[b].owned;
    return a < b;
}

static void set_targets(struct balance *balance, const struct cluster_view *view)
{
    uint64_t weights[CLUSTER_NODES_MAX], rests[CLUSTER_NODES_MAX], sum;
    uint32_t left = MINT_SLOTS;
    weigh(view, weights, &sum);
    if (sum == 0)
        return;
    for (uint32_t i = 0; i < balance->count; i++) {
        uint64_t exact = weights[i] * MINT_SLOTS;
        balance->nodes[i].target = (uint16_t)(exact / sum);
        rests[i] = exact % sum;
        left -= balance->nodes[i].target;
    }
    while (left > 0) { /* fewer than there are nodes with a remainder */
        uint32_t best = 0;
        for (uint32_t i = 1; i < balance->count; i++)
            if (goes_first(balance, rests, i, best))
                best = i;
        balance->nodes[best].target++;
        rests[best] = 0;
        left--;
    }
}

static void count_owned(struct balance *balance, const struct cluster_view *view)
{
    for (uint16_t slot = 0; slot < MINT_SLOTS; slot++) {
        const struct cluster_member *owner = cluster_view_member(view, view->leases[slot].session);
        if (owner != NULL)
            balance->nodes[owner - view->members].owned++;
        else
            balance->free_slots++;
    }
}

static bool is_far(uint16_t owned, uint16_t target)
{
    int off = owned > target ? owned - target : target - owned;
    return off > 1 && off * 100 > target * BALANCE_SLACK_PERCENT;
}

void balance_compute(struct balance *balance, const struct cluster_view *view)
{
    memset(balance, 0, sizeof *balance);
    balance->count = view->member_count;
    count_owned(balance, view);
    set_targets(balance, view);
    for (uint32_t i = 0; i < balance->count; i++)
        balance->is_due =
            balance->is_due || is_far(balance->nodes[i].owned, balance->nodes[i].target);
}

/* ---- who takes, who gives ---- */

static uint32_t deficit(const struct balance *balance, uint32_t member)
{
    uint16_t owned = balance->nodes[member].owned, target = balance->nodes[member].target;
    return target > owned ? (uint32_t)(target - owned) : 0;
}

/* The free ones in order, to those who lack some in order. */
uint32_t balance_claims(const struct balance *balance, const struct cluster_view *view,
                        uint32_t member, uint16_t out[MINT_SLOTS])
{
    uint32_t before = 0, seen = 0, count = 0;
    for (uint32_t i = 0; i < member; i++)
        before += deficit(balance, i);
    uint32_t wanted = deficit(balance, member);
    for (uint16_t slot = 0; slot < MINT_SLOTS && count < wanted; slot++)
        if (cluster_view_is_free(view, slot) && seen++ >= before)
            out[count++] = slot;
    return count;
}

uint32_t balance_surplus(const struct balance *balance, const struct cluster_view *view,
                         uint32_t member)
{
    uint16_t owned = balance->nodes[member].owned, target = balance->nodes[member].target;
    bool gives = balance->is_due || view->members[member].is_leaving;
    return gives && owned > target ? (uint32_t)(owned - target) : 0;
}

/* ---- the source ---- */

uint64_t balance_source(const struct cluster_view *view)
{
    uint64_t weights[CLUSTER_NODES_MAX], sum, first = 0;
    weigh(view, weights, &sum);
    for (uint32_t i = 0; i < view->member_count; i++) {
        if (weights[i] == 0)
            continue;
        if (view->members[i].session == view->leases[LEASE_SOURCE].session)
            return view->members[i].session;
        first = first == 0 ? view->members[i].session : first;
    }
    return first;
}
