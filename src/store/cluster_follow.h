/*
 * What the files of the thread of rounds share: cluster_follow.c (rounds: tokens, settings),
 * cluster_orders.c (orders, and clocks), cluster_takeover.c (logs of nodes that are gone). Private
 * to them.
 */
#ifndef MOONWATCH_STORE_CLUSTER_FOLLOW_H
#define MOONWATCH_STORE_CLUSTER_FOLLOW_H

#include "core/mint_slot.h"
#include "store/cluster_link_impl.h"

/* At the end of the link. */
#define LAST_ORDERS_S 1

/* Of a member, by its node. Kept when it is a member no more: its log is there. */
struct follow_clock {
    int64_t node;
    duration offset; /* ahead of the database's */
    int64_t seen;    /* the database's clock at the newest renewal that was looked at */
    unsigned slower; /* renewals in a row that made it look so */
};

/* A node that was no member, and did not write, since then. */
struct follow_absent {
    int64_t node, generation, transactions;
    instant since;
};

#define FOLLOW_ABSENT_MAX 256

struct follow {
    struct cluster_link *link;
    struct postgres_store *s; /* its link and node: for reading, without any lock of a node's */
    unsigned failures;        /* in a row */
    bool is_synced;
    bool is_round_wanted;
    token_id last_token;
    struct postgres_position *positions;
    size_t position_count;
    struct {
        struct postgres_position *positions;
        size_t position_count;
        token_id last_token;
        bool is_synced;
    } saved;                     /* as it was before the round */
    uint64_t leases[MINT_SLOTS]; /* their generations, when they were last looked at */
    uint32_t *generations;       /* by id; one more than that of what was delivered, 0: nothing */
    size_t room;
    uint64_t caught_up[MINT_SLOTS];
    struct kept_settings settings;
    int64_t last_order;
    bool has_orders; /* last_order is known */
    struct follow_clock clocks[CLUSTER_NODES_MAX];
    size_t clock_count;
    bool is_offset_known;
    duration offset; /* of our clock, ahead of the database's */
    uint32_t member_count;
    struct cluster_link_member members[CLUSTER_NODES_MAX];
    struct follow_absent absent[FOLLOW_ABSENT_MAX];
    size_t absent_count;
    instant looked_for_gone_at;
    struct link_batch *batch; /* NULL: none */
    bool lacks_pools[CLUSTER_LINK_TOKENS];
    struct store_token token;
    uint64_t refusals_told;
    /* Rows that are refused each time that they are read, and were counted once. */
    uint32_t standing_tokens, standing_settings, standing_clocks;
    uint64_t tokens, stale, refused, resyncs, setting_count, order_count, orders_given,
        orders_missed;
};

enum follow_pools { FOLLOW_NO_POOLS, FOLLOW_POOLS_GIVEN, FOLLOW_POOLS_CHANGED };

void follow_refuse(struct follow *f, const char *table, int64_t key, const char *why);
/* Of the `count`th such row of those that are read each round: counted when there were fewer. */
void follow_refuse_standing(struct follow *f, uint32_t *standing, uint32_t count, const char *table,
                            const char *why);
enum err follow_add(struct follow *f, const struct store_token *token, uint16_t slot,
                    const struct postgres_origin *origin, enum follow_pools pools) MUST_CHECK;
enum err follow_send_batch(struct follow *f) MUST_CHECK;
enum err follow_new_tokens(struct follow *f) MUST_CHECK;

/* cluster_orders.c */
enum err follow_begin_orders(struct follow *f) MUST_CHECK;
enum err follow_give_orders(struct follow *f) MUST_CHECK;
enum err follow_orders(struct follow *f) MUST_CHECK;
enum err follow_clocks(struct follow *f) MUST_CHECK;
/* The instants of a node's token as our clock would have told them. */
void follow_convert(const struct follow *f, struct store_token *token, int64_t node);

/* cluster_takeover.c. On a thread of its own, one at a time. */
enum err follow_look_for_gone(struct follow *f) MUST_CHECK;

#endif
