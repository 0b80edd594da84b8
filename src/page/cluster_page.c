/* See cluster_page.h. */
#include "page/cluster_page.h"

#include "core/surroundings.h"
#include "page/status_page.h"
#include "page/turns.h"
#include <math.h>
#include <string.h>

#define READ_ATTEMPTS_MAX 1000 /* a copy takes microseconds */

static const char *const state_names[] = {
#define X(code, name) [code] = name,
    NODE_STATE_LIST(X)
#undef X
};

const char *node_state_name(enum node_state state)
{
    return (unsigned)state < NODE_STATE_COUNT ? state_names[state] : "unknown";
}

_Static_assert(sizeof(struct page_cluster) % sizeof(uint64_t) == 0, "whole words");

void cluster_publish(struct status_page *page, const struct page_cluster *cluster)
{
    turns_put(&page->cluster.turn, page->cluster.of, sizeof *cluster, cluster);
}

/* ---- reading ---- */

static void set_alone(struct page_cluster *out)
{
    memset(out, 0, sizeof *out);
    out->state = NODE_ALONE;
    out->source = PAGE_SLOT_FREE;
    out->behind_s = out->lease_s = NAN;
    memset(out->owners, PAGE_SLOT_FREE, sizeof out->owners);
}

/* The page of a dead writer may hold anything. */
static void take_sound(struct page_cluster *cluster)
{
    if (cluster->state >= NODE_STATE_COUNT)
        cluster->state = NODE_JOINING; /* nothing is known of it */
    if (cluster->count > PAGE_NODES)
        cluster->count = PAGE_NODES;
    if (cluster->source >= cluster->count)
        cluster->source = PAGE_SLOT_FREE;
    cluster->name[PAGE_NODE_NAME_SIZE - 1] = '\0';
    cluster->message[PAGE_NODE_MESSAGE_SIZE - 1] = '\0';
    for (uint32_t i = 0; i < PAGE_NODES; i++)
        cluster->members[i].name[PAGE_NODE_NAME_SIZE - 1] = '\0';
    for (unsigned slot = 0; slot < MINT_SLOTS; slot++)
        if (cluster->owners[slot] >= cluster->count)
            cluster->owners[slot] = PAGE_SLOT_FREE;
}

bool cluster_read(const struct status_page *page, struct page_cluster *out)
{
    uint64_t turn;
    if (!turns_take(&page->cluster.turn, page->cluster.of, sizeof *out, out, READ_ATTEMPTS_MAX,
                    &turn))
        return false;
    if (turn == 0)
        set_alone(out);
    else
        take_sound(out);
    return true;
}

/* ---- what it says of health ---- */

double cluster_share(const struct page_cluster *cluster, uint32_t member)
{
    double all = 0;
    for (uint32_t i = 0; i < cluster->count; i++)
        all += cluster->members[i].capacity;
    return all > 0 ? cluster->members[member].capacity / all : NAN;
}

double cluster_clock_off_s(const struct page_cluster *cluster)
{
    double off_s = NAN;
    for (uint32_t i = 0; i < cluster->count; i++)
        if (cluster->members[i].is_self == 0)
            off_s = fmax(off_s, fabs(cluster->members[i].clock_offset_s));
    return off_s;
}

/* The oldest of those that stay. */
static bool is_oldest(const struct page_cluster *cluster)
{
    for (uint32_t i = 0; i < cluster->count; i++)
        if (cluster->members[i].is_leaving == 0)
            return cluster->members[i].is_self != 0;
    return true;
}

static double seconds_since(instant then, instant now)
{
    return duration_to_s(instant_diff(now, then));
}

static void surround_member(const struct page_cluster *cluster, instant now,
                            struct surroundings *around)
{
    around->rests_s = cluster->state == NODE_RESTING ? seconds_since(cluster->since, now) : 0;
    around->unheard_s = seconds_since(cluster->answered_at, now);
    around->behind_s = cluster->behind_s;
    if (around->unheard_s > NODE_UNHEARD_S)
        return;
    around->others_tell = !is_oldest(cluster);
    around->slots_unowned = cluster->unowned;
    around->source_unowned_s = cluster->source_free_s;
    around->clock_off_s = cluster_clock_off_s(cluster);
}

void cluster_surround(const struct page_cluster *cluster, instant now, struct surroundings *around)
{
    around->outside_s = around->rests_s = around->unheard_s = around->behind_s = NAN;
    around->slots_unowned = around->source_unowned_s = around->clock_off_s = NAN;
    around->others_tell = 0;
    if (cluster->state == NODE_JOINING)
        around->outside_s = seconds_since(cluster->since, now);
    else if (cluster->state != NODE_ALONE)
        surround_member(cluster, now, around);
}
