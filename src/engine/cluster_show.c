/* See cluster_show.h. */
#include "engine/cluster_show.h"

#include <math.h>
#include <string.h>

_Static_assert(PAGE_NODES == CLUSTER_NODES_MAX, "the page has room for all nodes");

/* ---- this node ---- */

static enum node_state state_of(const struct cluster *cluster)
{
    if (cluster->is_leaving)
        return NODE_LEAVING;
    if (!cluster->is_lapsed)
        return NODE_WORKING;
    return cluster->stats.sessions == 0 ? NODE_JOINING : NODE_RESTING;
}

static void show_state(struct cluster_show *show, const struct cluster *cluster, instant now,
                       struct page_cluster *out)
{
    enum node_state state = state_of(cluster);
    if (state != show->state) {
        show->state = state;
        show->since = now;
    }
    out->looked_at = now;
    out->state = (uint32_t)state;
    out->since = show->since;
    out->session = cluster->session;
    out->lease_s = duration_to_s(cluster->options.lease);
    out->valid_until = cluster->is_lapsed ? INSTANT_NEVER : cluster->valid_until;
    out->holds_source = cluster_lease_state(cluster, LEASE_SOURCE) == LEASE_MINE;
}

static void show_exchanges(const struct cluster *cluster, struct page_cluster *out)
{
    const struct cluster_stats *stats = &cluster->stats;
    out->answered_at = cluster->looked_at;
    out->exchanges = stats->exchanges;
    out->failures = stats->failures;
    out->lapses = stats->lapses;
    out->sessions = stats->sessions;
    out->claimed = stats->claimed;
    out->released = stats->released;
    out->lost = stats->lost;
    out->ended = stats->ended;
    out->rounds = cluster->applied;
}

/* ---- members ---- */

/* What the shell said of it is kept. */
static struct page_node node_before(const struct page_cluster *before, uint64_t session)
{
    for (uint32_t i = 0; i < before->count; i++)
        if (before->members[i].session == session)
            return before->members[i];
    return (struct page_node){.session = session, .clock_offset_s = NAN};
}

static double silence_of(const struct cluster *cluster, uint64_t session)
{
    for (uint32_t i = 0; i < cluster->watch_count; i++)
        if (cluster->watches[i].session == session)
            return duration_to_s(cluster->watches[i].silent);
    return NAN;
}

static void show_members(const struct cluster *cluster, struct page_cluster *out)
{
    struct page_node nodes[PAGE_NODES];
    const struct cluster_view *view = &cluster->view;
    for (uint32_t i = 0; i < view->member_count; i++) {
        const struct cluster_member *member = &view->members[i];
        nodes[i] = node_before(out, member->session);
        nodes[i].silent_s = silence_of(cluster, member->session);
        nodes[i].capacity = member->capacity;
        nodes[i].slots = 0;
        nodes[i].is_self = member->session == cluster->session;
        nodes[i].is_leaving = member->is_leaving;
    }
    out->count = view->member_count;
    memset(out->members, 0, sizeof out->members);
    memcpy(out->members, nodes, out->count * sizeof nodes[0]);
}

/* ---- leases ---- */

static uint32_t member_of(const struct cluster_view *view, uint64_t session)
{
    const struct cluster_member *member = cluster_view_member(view, session);
    return session == 0 || member == NULL ? PAGE_SLOT_FREE : (uint32_t)(member - view->members);
}

/* For how long it has been seen to be nobody's. */
static double free_s(struct cluster_show *show, uint16_t lease, bool is_free, instant now)
{
    if (!is_free)
        show->free_since[lease] = INSTANT_NEVER;
    else if (instant_is_never(show->free_since[lease]))
        show->free_since[lease] = now;
    return is_free ? duration_to_s(instant_diff(now, show->free_since[lease])) : 0;
}

static bool is_seen_free(const struct cluster *cluster, uint32_t owner)
{
    return cluster->has_view && owner == PAGE_SLOT_FREE;
}

static void count_slot(struct page_cluster *out, enum lease_state state, uint32_t owner)
{
    out->mine += state == LEASE_MINE;
    out->catching_up += state == LEASE_CATCHING_UP;
    out->draining += state == LEASE_DRAINING;
    out->releasing += state == LEASE_RELEASING;
    out->others += state == LEASE_OTHER && owner != PAGE_SLOT_FREE;
    out->free += state == LEASE_OTHER && owner == PAGE_SLOT_FREE;
    if (owner != PAGE_SLOT_FREE)
        out->members[owner].slots++;
}

static void show_slot(struct cluster_show *show, const struct cluster *cluster, uint16_t slot,
                      struct page_cluster *out)
{
    uint32_t owner = member_of(&cluster->view, cluster->view.leases[slot].session);
    double since_s = free_s(show, slot, is_seen_free(cluster, owner), out->looked_at);
    count_slot(out, cluster_lease_state(cluster, slot), owner);
    out->owners[slot] = (uint8_t)owner;
    out->free_s = fmax(out->free_s, since_s);
    out->unowned += since_s > duration_to_s(cluster_watch_time(cluster->options.lease));
}

static void show_leases(struct cluster_show *show, const struct cluster *cluster,
                        struct page_cluster *out)
{
    out->mine = out->catching_up = out->draining = out->releasing = 0;
    out->others = out->free = out->unowned = 0;
    out->free_s = 0;
    for (uint16_t slot = 0; slot < MINT_SLOTS; slot++)
        show_slot(show, cluster, slot, out);
    out->source = member_of(&cluster->view, cluster->view.leases[LEASE_SOURCE].session);
    out->source_free_s =
        free_s(show, LEASE_SOURCE, is_seen_free(cluster, out->source), out->looked_at);
}

void cluster_show(struct cluster_show *show, const struct cluster *cluster, instant now,
                  struct page_cluster *out)
{
    show_state(show, cluster, now, out);
    show_exchanges(cluster, out);
    show_members(cluster, out);
    show_leases(show, cluster, out);
}
