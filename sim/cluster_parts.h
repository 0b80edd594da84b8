/* What the files of the world of several nodes share; private to them. See cluster.h. */
#ifndef MOONWATCH_SIM_CLUSTER_PARTS_H
#define MOONWATCH_SIM_CLUSTER_PARTS_H

#include "base/prng.h"
#include "cluster/cluster.h"
#include "sim/cluster.h"
#include "sim/cluster_rows.h"
#include "sim/schedule.h"

#define CLUSTER_EPOCH     ((instant){1750000000LL * 1000000})
#define CLUSTER_TICK      duration_ms(50)  /* a turn of a node's loop */
#define CLUSTER_WORK      duration_ms(250) /* it fetches, commits and follows the log so often */
#define CLUSTER_PATIENCE  duration_s(5)    /* with the database */
#define CLUSTER_ANSWER    duration_s(10)   /* with the market */
#define CLUSTER_LATE_S    30.0             /* what was given up is done so much later */
#define CLUSTER_RATE_MOST 0.009            /* of clocks, while that is a fault */
#define HOT_S             15.0             /* intervals of tokens */
#define COLD_S            45.0
#define TOKEN_IDS         UINT32_MAX /* in the log: new tokens, up to an id */

enum message_kind {
    MESSAGE_EXCHANGE,  /* a node asks the database: struct cluster_request */
    MESSAGE_WRITE,     /* struct cluster_write */
    MESSAGE_READ,      /* of the log, from `number2` on */
    MESSAGE_EXCHANGED, /* and what it answers: struct cluster_reply; NULL: it failed */
    MESSAGE_WRITTEN,   /* the same write */
    MESSAGE_ROWS,      /* struct cluster_log_part */
    MESSAGE_NOTICE,
    MESSAGE_ANSWER, /* of the market: struct cluster_fetch */
    MESSAGE_FAULT,  /* begins or ends */
    MESSAGE_SOURCE, /* a token graduates */
    MESSAGE_SETTING /* a person changes one */
};

struct message {
    instant at;
    uint64_t order;
    enum message_kind kind;
    uint32_t node, life; /* of the process that it is from or for */
    uint64_t number, position;
    void *data; /* its own */
};

/* A request to the market that was answered. */
struct cluster_fetch {
    uint32_t token;
    uint64_t number; /* in true order; 0: it failed */
    uint64_t generation;
    instant at; /* by the node's clock */
};

struct cluster_row {
    uint32_t token;
    uint64_t number, generation;
    duration age; /* when it was sent */
};

struct cluster_write {
    uint64_t session, sequence;
    uint32_t first_id, last_id; /* of new tokens; first > last: none */
    uint64_t source_generation, origin;
    uint32_t count;
    struct cluster_row rows[];
};

struct cluster_log_part {
    uint64_t to;
    uint32_t newest_id, count;
    struct {
        uint32_t token;
        duration age;
    } rows[];
};

struct cluster_token {
    uint16_t slot;
    duration interval;
    /* In true time. */
    instant fetched_at;
    uint64_t fetch; /* its number */
    uint32_t node, life;
    instant committed_at; /* NEVER: it was not */
    bool is_dropped;      /* the answer came when the lease time was over, or never */
};

struct world_node {
    uint32_t number, life;
    bool is_present, is_suspended, has_link_broken;
    unsigned away; /* faults that keep it from being there */
    unsigned cut_db, cut_market, deaf;
    bool leaves; /* … and it goes gracefully */
    instant stands_until;
    instant clock_true, clock_local, works_at;
    double rate;             /* of its clock, 1 ± */
    double capacity, factor; /* tokens a second, and what a fault makes of it */
    double bucket;
    instant measured_at, cut_at;
    uint64_t last_session;
    struct cluster cluster;
    struct cluster_actions actions;
    struct prng prng;
    /* By token. */
    instant *known, *sent_at;           /* by its clock; sent: NEVER when nothing is under way */
    uint64_t *dirty, *dirty_generation; /* number of the fetch to be written; 0: none */
    instant *dirty_at;
    uint32_t *dirty_list, dirty_count;
    uint16_t under_way[MINT_SLOTS], unwritten[MINT_SLOTS];
    /* Of the database. */
    uint64_t write, read, sequence; /* numbers of those under way; 0: none */
    instant write_at, read_at;
    uint32_t newest_id, given_id, acknowledged_id; /* as the log says; as it gave; as committed */
};

struct log_entry {
    uint32_t token, id;
    instant fetched_at; /* by the database's clock, as the writer said */
};

struct world {
    const struct sim_setup *setup;
    struct sim_result *result;
    struct prng prng;
    instant now, end, calm_from, ticks_at;
    uint32_t node_count, token_count;
    struct world_node *nodes;
    struct cluster_token *tokens;
    uint32_t slot_first[MINT_SLOTS + 1];
    struct message *heap;
    size_t heap_count, heap_capacity;
    uint64_t order, numbers, fetches;
    bool is_out_of_memory;
    struct sim_occurrence *schedule;
    size_t schedule_count;
    unsigned active[CLUSTER_FAULT_COUNT];
    double slow_s;
    /* The database. */
    struct cluster_rows rows;
    struct log_entry *log;
    size_t log_capacity;
    uint64_t *origins; /* of ids */
    size_t origins_capacity;
    uint32_t newest_id;
    uint64_t sequences[1 << 16]; /* the newest write of each session */
    instant claimed_at[LEASE_COUNT], claimed_before[LEASE_COUNT], setting_at;
    bool is_released[LEASE_COUNT], was_handed_over[LEASE_COUNT]; /* by who had it */
    uint64_t owners[LEASE_COUNT];                                /* who had it last */
    /* Checks. */
    instant covered_at[LEASE_COUNT], checked_at, disturbed_at, jumped_at;
    instant settled_at;    /* what was under way in a fault of the network is given up then */
    uint64_t moves_before; /* the calm */
    uint64_t acknowledged_origin;
    uint32_t acknowledged_id;
    char verdict[256];
};

/* cluster.c */
void world_send(struct world *world, struct message message, duration after);
void world_trace(struct world *world, uint64_t number);
void world_say(struct world *world, const char *format, ...) __attribute__((format(printf, 2, 3)));
double world_seconds(const struct world *world, instant at);

/* cluster_node.c */
bool node_prepare(struct world *world, struct world_node *node, uint32_t number);
void node_finish(struct world_node *node);
void node_kill(struct world *world, struct world_node *node);
void node_start(struct world *world, struct world_node *node, uint64_t replaces);
void node_leave(struct world *world, struct world_node *node);
void node_tick(struct world *world, struct world_node *node);
void node_receive(struct world *world, struct world_node *node, const struct message *message);
void node_set_clock(struct world *world, struct world_node *node, double rate, duration jump);
instant node_clock(const struct world *world, const struct world_node *node);
bool node_stands(const struct world *world, const struct world_node *node);
void node_on_source(struct world *world, struct world_node *node);
double node_capacity(const struct world_node *node);

/* cluster_base.c */
void base_ask(struct world *world, struct world_node *node, struct message message);
void base_receive(struct world *world, const struct message *message);
void base_change_setting(struct world *world);

/* cluster_faults.c */
bool faults_begin(struct world *world);
void faults_receive(struct world *world, const struct message *message);
bool faults_of_base(const struct world *world);

/* cluster_checks.c */
void checks_complain(struct world *world, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
void checks_on_fetch(struct world *world, const struct world_node *node, uint32_t token);
void checks_on_source(struct world *world);
void checks_on_claim(struct world *world, uint16_t lease);
void checks_on_tick(struct world *world);
void checks_on_end(struct world *world);

#endif
