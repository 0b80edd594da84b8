/*
 * How many slots each node should hold, and who takes which. Pure: every node computes the same
 * from the same rows, and where two see different rows the database decides (a claim takes only
 * what is free), so that balance never matters for safety.
 *
 * The shares are exact, by largest remainder (Hamilton's method): in proportion to capacity within
 * one slot. Rendezvous hashing would need no rows, but its shares are proportional on average
 * only: of 1,024 slots over 20 nodes each gets 51 ± 7, and 5 % are asked for. Which slots a node
 * holds follows from what it has: it gives what it has too many of and takes what is free, so
 * nothing moves between two nodes that both stay as they are.
 *
 * Nothing is given while every node is near its share (BALANCE_SLACK_PERCENT, one slot at least);
 * once one is not, all go to their exact shares. Free slots are always taken.
 */
#ifndef MOONWATCH_CLUSTER_BALANCE_H
#define MOONWATCH_CLUSTER_BALANCE_H

#include "cluster/view.h"

#define BALANCE_SLACK_PERCENT 2

struct balance {
    uint32_t count;
    bool is_due; /* somebody is far from its share: who has too many gives them */
    uint16_t free_slots;
    struct {
        uint16_t owned, target;
    } nodes[CLUSTER_NODES_MAX]; /* as the view's members */
};

void balance_compute(struct balance *balance, const struct cluster_view *view);

/* The slots that the member of this number should claim, rising; returns how many. Distinct members
 * get distinct ones. */
uint32_t balance_claims(const struct balance *balance, const struct cluster_view *view,
                        uint32_t member, uint16_t out[MINT_SLOTS]);

/* How many slots the member of this number should give away. */
uint32_t balance_surplus(const struct balance *balance, const struct cluster_view *view,
                         uint32_t member);

/* The session that should listen to the source: who does, while it can; 0: nobody can. */
uint64_t balance_source(const struct cluster_view *view);

#endif
