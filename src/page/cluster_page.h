/*
 * What a node shows of its cluster: itself, the nodes that it sees, who works on which slot, and
 * how well it follows what the others commit. The engine writes all of it once a second, and at
 * once when something changed; who reads it gets one look, whole. A daemon that is no node never
 * writes it, and is ALONE.
 *
 * What is in it may be of a damaged page: a reader's copy has texts that end, members that are
 * there, and slots that belong to one of them or to nobody.
 */
#ifndef MOONWATCH_PAGE_CLUSTER_PAGE_H
#define MOONWATCH_PAGE_CLUSTER_PAGE_H

#include "base/err.h"
#include "base/time.h"
#include "core/mint_slot.h"
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct status_page;

#define PAGE_NODES             64 /* cluster/view.h; compared in the engine */
#define PAGE_NODE_NAME_SIZE    64
#define PAGE_NODE_MESSAGE_SIZE 256
#define PAGE_SLOT_FREE         UINT8_MAX

/* X(code, name) */
#define NODE_STATE_LIST(X)                                                                         \
    X(NODE_ALONE, "alone")     /* no node: alone on its database */                                \
    X(NODE_JOINING, "joining") /* has not had a session yet */                                     \
    X(NODE_WORKING, "working")                                                                     \
    X(NODE_RESTING, "resting") /* its lease time is over: nothing may be sent */                   \
    X(NODE_LEAVING, "leaving") /* hands its slots back, and ends */

enum node_state {
#define X(code, name) code,
    NODE_STATE_LIST(X)
#undef X
        NODE_STATE_COUNT
};

struct page_node {
    uint64_t session;
    char name[PAGE_NODE_NAME_SIZE];
    double silent_s;       /* since its renewal was seen to grow */
    double clock_offset_s; /* its clock less ours; NaN: unknown */
    uint32_t capacity;     /* tokens a second, as it tells */
    uint32_t slots;        /* that it holds */
    uint32_t is_self, is_leaving;
};

struct page_cluster {
    instant looked_at; /* when the engine wrote this */
    uint32_t state;    /* enum node_state */
    uint32_t holds_source;
    char name[PAGE_NODE_NAME_SIZE]; /* of this node */
    uint64_t session;               /* 0: none yet */
    double lease_s;
    instant
        valid_until; /* the leases; of a timeline as all instants; INSTANT_NEVER: they are not */
    instant since;   /* of the state */

    /* exchanges with the database */
    instant answered_at; /* the newest that was done; INSTANT_NEVER: none yet */
    uint64_t exchanges, failures, lapses, sessions;
    uint64_t claimed, released, lost; /* leases */
    uint64_t ended;                   /* sessions of others, by this node */
    instant failed_at;                /* the newest failure; INSTANT_NEVER: none yet */
    char message[PAGE_NODE_MESSAGE_SIZE];

    /* following what others commit */
    uint64_t rounds;      /* complete and in the table */
    double behind_s;      /* since the newest of them began; NaN: none yet */
    uint64_t followed;    /* tokens taken over from others' records */
    uint64_t ignored;     /* records of tokens that this node works on itself */
    uint64_t fenced;      /* writes that the database refused: another has the slot */
    uint64_t forwarded;   /* orders for another node, of this one's clients */
    uint64_t ordered;     /* orders of others, done here */
    uint64_t tokens, own; /* in the table; of these, in slots that this node works on */

    /* slots: the sum of the six is MINT_SLOTS */
    uint32_t mine, catching_up, draining, releasing;
    uint32_t others, free;
    uint32_t unowned;     /* of the free ones: for longer than the lease time */
    double free_s;        /* for how long the one that was free the longest is; 0: none is */
    double source_free_s; /* for how long nobody has held the source; 0: somebody does */

    uint32_t count;
    uint32_t source; /* which member holds the source of tokens; PAGE_SLOT_FREE: none */
    struct page_node members[PAGE_NODES]; /* by session, rising */
    uint8_t owners[MINT_SLOTS];           /* which member; PAGE_SLOT_FREE: none */
};

/* As it lies on the page: twice, changed by turns. */
struct page_cluster_turns {
    _Atomic uint64_t turn; /* 0: never written */
    struct page_cluster of[2];
};

/* By the engine's loop alone. */
void cluster_publish(struct status_page *page, const struct page_cluster *cluster);

/* The newest; of a daemon that is no node all zero, but for what is unknown. False: it changes
 * faster than it can be read. */
bool cluster_read(const struct status_page *page, struct page_cluster *out) MUST_CHECK;

/* What health is told of it (core/surroundings.h). What a node saw last says nothing of slots and
 * clocks while it does not hear of the others. */
struct surroundings;
void cluster_surround(const struct page_cluster *cluster, instant now, struct surroundings *around);

/* Of all members' capacity this one's part, 0 to 1; NaN: nobody has any. */
double cluster_share(const struct page_cluster *cluster, uint32_t member);
/* The most that another member's clock differs from ours, either way; NaN: unknown. */
double cluster_clock_off_s(const struct page_cluster *cluster);

const char *node_state_name(enum node_state state);

#endif
