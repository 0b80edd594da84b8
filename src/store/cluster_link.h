/*
 * A node's line to the other nodes of its PostgreSQL database: exchanges (cluster/view.h), what the
 * others have committed, settings, orders. It decides nothing; src/cluster does.
 *
 * Two threads, each with a connection of its own, so that an exchange never waits behind following:
 *
 *     exchange   one request at a time. A connection that fails is made again, after 0.1 to 1 s;
 *                meanwhile each request is answered by CLUSTER_FAILED as soon as that is known, and
 *                5 s after it was begun at the latest, if a connection is made in 3 s a host.
 *     follow     ROUNDS, twice a second and when the database notifies: new tokens, what the other
 *                nodes' logs gained, pools where they changed, settings, orders.
 *
 * A round has a number, which is this process's own. A reply's view.log_at is the number of the
 * next round that begins after the answer was received; what is committed before that is in the
 * round, so on_followed() of that round, or of a later one, says that the token table has it.
 *
 * Rounds begin where the node's own load ended only in what they know: the first one reads all rows
 * and all logs again, as a start does, and so does one that finds that a log was cut off before it
 * was read (this node hung for longer than half of store_checkpoint_sec, or the server lost
 * transactions). Tokens come with the newest state of all logs. A token may come again as it was.
 * Of what is older than what was delivered, by its lease generation (postgres_store.h), nothing is
 * delivered.
 *
 * Instants of followed tokens are in this node's time: each member tells its clock beside the
 * database's when it renews, and so does this node.
 *
 * Rows are checked as those of a load. What fails is counted, told in the log, and left out.
 *
 * Bounds: CLUSTER_LINK_BATCHES batches of CLUSTER_LINK_TOKENS tokens wait for the loop at most;
 * then following waits. So do CLUSTER_LINK_ORDERS orders to be written; beyond that the oldest are
 * dropped and counted. The order's row stands for the newest CLUSTER_ORDERS_KEPT orders: a node
 * that was away for longer than these missed some, which is counted too. Orders of before the start
 * are not heard.
 *
 * cluster_link_*() is called by the loop's thread; callbacks run on it.
 */
#ifndef MOONWATCH_STORE_CLUSTER_LINK_H
#define MOONWATCH_STORE_CLUSTER_LINK_H

#include "base/err.h"
#include "base/time.h"
#include "cluster/view.h"
#include "store/store.h"
#include <uv.h>

#define CLUSTER_LINK_ROUND   duration_ms(500)
#define CLUSTER_LINK_TOKENS  256
#define CLUSTER_LINK_BATCHES 4
#define CLUSTER_LINK_ORDERS  1024
#define CLUSTER_ORDERS_KEPT  1000

/* A node that is no member and writes nothing for so long is gone: another one brings the rows up
 * to its log, and drops that. Should it come back, it goes on as after any stop. */
#define CLUSTER_GONE_AFTER duration_s(600)

#define CLUSTER_NODE_NAME_SIZE  33
#define CLUSTER_ORDER_KIND_SIZE 32
#define CLUSTER_ORDER_BODY_SIZE 512

/* Clocks further apart than this are told in the log, and should be a finding. */
#define CLUSTER_OFFSET_MAX duration_s(1)

/* Something that all nodes are to do, or the one whose token it is about. Every node hears it, also
 * the one that gave it, in the same order. */
struct cluster_order {
    int64_t id;                         /* the database's, rising. Of one to be given: not used */
    char kind[CLUSTER_ORDER_KIND_SIZE]; /* not empty; the meaning is the caller's */
    char body[CLUSTER_ORDER_BODY_SIZE]; /* text */
    char from[CLUSTER_NODE_NAME_SIZE];  /* the node that gave it. Of one to be given: not used */
    duration age;                       /* by the database's clock. Of one to be given: not used */
};

struct cluster_link_member {
    uint64_t session;
    int64_t node; /* its number among the nodes of the database */
    char name[CLUSTER_NODE_NAME_SIZE];
    bool is_offset_known;
    duration offset; /* of its clock: positive, it is ahead of ours */
};

struct cluster_link_stats {
    bool is_connected; /* for exchanges */
    bool is_following; /* the newest round was completed */
    char message[512]; /* of the newest failure, while one of both is false */
    uint64_t exchanges, exchange_failures;
    double exchange_seconds_last, exchange_seconds_max;
    uint64_t round, round_failures; /* number of the newest complete one */
    instant round_at;               /* when it began; INSTANT_NEVER: none yet */
    double round_seconds_last, round_seconds_max;
    uint64_t resyncs; /* rounds that read everything again, the first included */
    uint64_t tokens;  /* delivered */
    uint64_t stale;   /* older than what had been delivered, or than what was the node's own */
    uint64_t rows_refused;
    uint64_t settings, orders; /* delivered */
    uint64_t orders_given, orders_dropped, orders_missed;
    uint64_t logs_taken_over; /* of nodes that are gone for good */
    bool is_offset_known;
    duration offset; /* of our clock: positive, it is ahead of the database's */
    uint32_t member_count;
    struct cluster_link_member members[CLUSTER_NODES_MAX];
};

struct cluster_link_callbacks {
    void *context;
    void (*on_reply)(void *context, const struct cluster_reply *reply);
    /* Who is there or who has what may have changed. */
    void (*on_notified)(void *context);
    /* As other nodes committed them. Pools mean something where has_pools says so. The first time
     * that an id comes it has all of them and its mint; later the mint may be all zero and
     * created_at never, since records of a log do not have them. */
    void (*on_tokens)(void *context, const struct store_token *tokens, size_t count,
                      const bool *has_pools);
    void (*on_followed)(void *context, uint64_t round);
    /* Its value is another than before: all of them in the first round. Also where it was this node
     * that put it. */
    void (*on_setting)(void *context, const char *name, const char *value);
    void (*on_order)(void *context, const struct cluster_order *order);
};

struct cluster_link;

/* `url` as for store_open(), with node=NAME. NULL with a sentence in `why`. Nothing is waited for.
 */
struct cluster_link *cluster_link_start(const char *url, uv_loop_t *loop,
                                        const struct cluster_link_callbacks *callbacks,
                                        char why[512]);

/* Copied. A newer one takes the place of one that has not begun; of one that is under way the reply
 * comes first. */
void cluster_link_exchange(struct cluster_link *link, const struct cluster_request *request);
/* Copied; given once, as soon as there is a connection. */
void cluster_link_order(struct cluster_link *link, const struct cluster_order *order);
void cluster_link_stats(struct cluster_link *link, struct cluster_link_stats *out);

/* Instead of CLUSTER_GONE_AFTER: for tests. */
void cluster_link_set_gone_after(struct cluster_link *link, duration gone_after);

/* A request that waits is sent still, if the newest was not in vain; orders that can be given
 * within a second are. No callback comes any more. Takes as long as what is under way: an answer
 * for which the server takes its time, 4 s, a connection, 3 s a host. The loop must turn once more
 * before it is closed. NULL is fine. */
void cluster_link_stop(struct cluster_link *link);

#endif
