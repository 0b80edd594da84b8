/*
 * One node's part in a cluster: which slots it may work on now, and what it asks of the database
 * next. Pure, as the core is: events with their time come in, actions go out, nothing is allocated,
 * no clock is read. docs/cluster.md tells the whole; this is what makes it safe:
 *
 *   - A node counts its lease from before it SENT the renewal, less a margin, and others count from
 *     when they SAW the renewal, with a margin: whatever messages do, it stops before they start.
 *     No clock is compared with another, only rates: CLUSTER_RATE_PERCENT apart at most.
 *   - Silence is counted look by look, each for no more than the time between two looks: a clock
 *     that jumps, or a node that slept, believes nobody dead for it. Who is believed dead is ended
 *     by the database only if it has not renewed since.
 *   - A slot is given away by steps that have no way back: no new requests (ACTION_DRAIN), all
 *     that was fetched is committed (EVENT_DRAINED), released; claimed by another, with the next
 *     generation; worked on once the log is applied up to what it was at the claim.
 *   - Every write carries the generation; the database refuses those of another.
 *
 * A lease of a node:
 *
 *     other ──claimed──▶ catching up ──log applied──▶ mine ──to be given──▶ draining ──▶ releasing
 *       ▲                     └──────────────to be given────────────────────────────────▶ │
 *       └─────────────────── released, or the session was ended ──────────────────────────┘
 */
#ifndef MOONWATCH_CLUSTER_CLUSTER_H
#define MOONWATCH_CLUSTER_CLUSTER_H

#include "base/time.h"
#include "cluster/view.h"

#define CLUSTER_LEASE_DEFAULT duration_s(10)
#define CLUSTER_RENEWALS      3  /* a lease time: one may be lost */
#define CLUSTER_LOOKS         20 /* a lease time */
/* Clocks may run so much faster or slower than true time: base/clock.h slews by up to 1 %, and an
 * oscillator is off by a tenth of that at worst. */
#define CLUSTER_RATE_PERCENT 2
/* Handed over at a time: their tokens rest for a moment. */
#define CLUSTER_MOVES_MAX 256
/* Capacity that changes by less is not told: others would move slots for noise. */
#define CLUSTER_CAPACITY_PERCENT 3

enum lease_state {
    LEASE_OTHER,
    LEASE_CATCHING_UP,
    LEASE_MINE,
    LEASE_DRAINING,
    LEASE_RELEASING,
};

struct cluster_options {
    duration lease;
    uint64_t nonce;    /* no other start of any node has it: random */
    uint64_t replaces; /* the session of a process before this one that is known to be dead; or 0 */
    uint32_t capacity; /* see cluster_member; 0: not known yet */
};

enum cluster_event_kind {
    CLUSTER_TIME,     /* cluster_deadline() has come */
    CLUSTER_REPLIED,  /* `reply` */
    CLUSTER_NOTIFIED, /* the database says that rows changed */
    CLUSTER_DRAINED,  /* of `lease` nothing is under way and all is committed */
    CLUSTER_APPLIED,  /* the log is in the token table up to `position` */
    CLUSTER_MEASURED, /* `capacity` */
    CLUSTER_LEAVE,    /* hand everything back */
};

struct cluster_event {
    enum cluster_event_kind kind;
    instant now;
    union {
        const struct cluster_reply *reply;
        uint16_t lease;
        uint64_t position;
        uint32_t capacity;
    };
};

enum cluster_action_kind {
    CLUSTER_EXCHANGE, /* send `request`; one that is under way is given up */
    CLUSTER_BEGIN,    /* work on `lease` */
    CLUSTER_DRAIN,    /* send nothing for `lease` any more, commit what comes; then say DRAINED */
    CLUSTER_STOP,     /* `lease` is lost: drop what is under way for it */
    CLUSTER_LAPSED,   /* the lease time is over: nothing may be sent, answers are dropped … */
    CLUSTER_RENEWED,  /* … until here */
    CLUSTER_LEFT,     /* everything was handed back */
};

struct cluster_action {
    enum cluster_action_kind kind;
    union {
        const struct cluster_request *request; /* the cluster's, until the next step */
        uint16_t lease;
    };
    /* BEGIN: nobody else has had it since this node did: what waits to be written may be written
     * with the new generation. */
    bool is_unbroken;
};

/* A step can begin each lease and at once find that it is to be given, and few things more. */
#define CLUSTER_ACTIONS_MAX (2 * LEASE_COUNT + 8)

struct cluster_actions {
    uint32_t count;
    struct cluster_action items[CLUSTER_ACTIONS_MAX];
};

struct cluster_stats {
    uint64_t exchanges, failures; /* of these: failed or given up */
    uint64_t lapses;              /* lease times that were over before they were renewed */
    uint64_t sessions;            /* begun */
    uint64_t ended;               /* sessions of others, by this node */
    uint64_t claimed, released, lost;
};

/* For how long a member was seen not to renew. */
struct cluster_watch {
    uint64_t session, renewals;
    duration silent;
};

/* To be embedded; what is in it is cluster.c's, but for `stats` and `view`. */
struct cluster {
    struct cluster_options options;
    struct cluster_stats stats;
    struct cluster_view view; /* as last seen */
    bool has_view, is_leaving, has_left, is_lapsed;
    uint64_t session;    /* 0: none */
    uint64_t applied;    /* position in the log */
    uint32_t capacity;   /* measured; as told to others: in the view */
    instant valid_until; /* the leases, by this node's clock */
    instant renewed_at;  /* when the renewal was sent that they count from */
    instant next_exchange;
    /* The one under way; number 0: none. */
    uint64_t under_way, last_number;
    instant sent_at;
    bool is_renewal_under_way;
    struct {
        uint8_t state; /* enum lease_state */
        uint64_t generation;
        uint64_t needs; /* while catching up: a position in the log */
    } held[LEASE_COUNT];
    struct cluster_watch watches[CLUSTER_NODES_MAX]; /* as the view's members */
    uint32_t watch_count;
    instant looked_at;
    struct cluster_request request;
};

void cluster_init(struct cluster *cluster, const struct cluster_options *options, instant now);

/* `actions` is emptied first. */
void cluster_step(struct cluster *cluster, const struct cluster_event *event,
                  struct cluster_actions *actions);

/* When CLUSTER_TIME is due; INSTANT_FAR: never. */
instant cluster_deadline(const struct cluster *cluster);

/* Whether something may be sent for this lease at this moment: to be asked right before. */
bool cluster_may_work(const struct cluster *cluster, uint16_t lease, instant now);

/* Whether an answer may be taken that was asked for under this generation. */
bool cluster_may_take(const struct cluster *cluster, uint16_t lease, uint64_t generation,
                      instant now);

enum lease_state cluster_lease_state(const struct cluster *cluster, uint16_t lease);

/* That writes about the lease carry; of one that is another's, the last that was ours. */
uint64_t cluster_generation(const struct cluster *cluster, uint16_t lease);

/* The owner's side of a lease time, and the others'. */
duration cluster_owner_time(duration lease);
duration cluster_watch_time(duration lease);

#endif
