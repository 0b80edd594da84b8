/*
 * What nodes tell each other, and the one thing they ask of the database: an EXCHANGE, a
 * transaction that does what a node wants done and reads the rows that all nodes decide by.
 *
 *     members   a row a running node: its SESSION (a number that is given once), a count of its
 *               renewals, its capacity
 *     leases    a row a slot (core/mint_slot.h), and one for the source: the session that holds it,
 * a GENERATION that grows each time another takes it
 *
 * A lease is free when its session is none, or one that is no member any more: renewing its
 * member's row renews all leases of a node, and ending a session frees all of them at once. The
 * database keeps no time for them. Reads must come from the server that is written to: a copy that
 * lags would show renewals too late.
 */
#ifndef MOONWATCH_CLUSTER_VIEW_H
#define MOONWATCH_CLUSTER_VIEW_H

#include "core/mint_slot.h"
#include <stdbool.h>

#define CLUSTER_NODES_MAX 64
#define LEASE_SOURCE      MINT_SLOTS /* who listens to the source of tokens and gives them ids */
#define LEASE_COUNT       (MINT_SLOTS + 1)

struct cluster_member {
    uint64_t session;  /* > 0 */
    uint64_t renewals; /* since it was begun; 0: nothing is given to it yet */
    uint32_t capacity; /* tokens a second that it can keep fresh */
    bool is_leaving;
};

struct cluster_lease {
    uint64_t session; /* 0: none */
    uint64_t generation;
};

/* All of it at one moment, after what the exchange did. */
struct cluster_view {
    uint32_t member_count;
    struct cluster_member members[CLUSTER_NODES_MAX]; /* by session, rising */
    struct cluster_lease leases[LEASE_COUNT];
    uint64_t log_at; /* how far the log of refreshes and new tokens was written then */
    uint64_t settings_version;
};

/* A lease with the generation that it must still have: else nothing is done about it. */
struct cluster_change {
    uint16_t lease;
    uint64_t generation;
};

/* To be done in this order, all or nothing; a change whose condition does not hold is left out. One
 * that comes after one with a higher number of the same session was given up: nothing of it is
 * done; nor of one whose session was ended. */
struct cluster_request {
    uint64_t number;   /* of the reply; rising */
    uint64_t session;  /* 0: begin one … */
    uint64_t nonce;    /* … for this start of a node, once however often it is asked for … */
    uint64_t replaces; /* … and end this one, whose process is known to be dead; 0: none */
    bool is_renewal;   /* count a renewal, and store: */
    uint32_t capacity;
    bool is_leaving;
    bool is_last; /* end the own session: the node holds nothing any more */
    /* Sessions to be ended, if their renewals are still so many. */
    uint32_t end_count;
    struct {
        uint64_t session, renewals;
    } ends[CLUSTER_NODES_MAX];
    /* Own ones to be free; then free ones to be the own, with the next generation. */
    uint32_t release_count, claim_count;
    struct cluster_change releases[LEASE_COUNT], claims[LEASE_COUNT];
};

enum cluster_outcome {
    CLUSTER_DONE,  /* `session` and `view` hold; the own session may be missing in it: ended */
    CLUSTER_FULL,  /* no session: there are CLUSTER_NODES_MAX already */
    CLUSTER_FAILED /* done or not, who knows: the connection broke, the server refused */
};

struct cluster_reply {
    uint64_t number; /* of the request */
    enum cluster_outcome outcome;
    uint64_t session; /* the own one */
    struct cluster_view view;
};

/* NULL: no such session. */
const struct cluster_member *cluster_view_member(const struct cluster_view *view, uint64_t session);
bool cluster_view_is_free(const struct cluster_view *view, uint16_t lease);

#endif
