/*
 * What the files of a cluster's link share: cluster_link.c (the loop's side, what is handed over),
 * cluster_exchange.c (the thread of exchanges), cluster_follow.c (the thread of rounds). Private to
 * them.
 *
 * `mutex` guards what is under it; the rest is one thread's, or as it was at the start.
 */
#ifndef MOONWATCH_STORE_CLUSTER_LINK_IMPL_H
#define MOONWATCH_STORE_CLUSTER_LINK_IMPL_H

#include "store/cluster_link.h"
#include "store/fifo.h"
#include "store/postgres_store.h"

#define LINK_BACKOFF_MIN_MS 100
#define LINK_BACKOFF_MAX_MS 1000

/* An exchange is answered, or failed, before the policy gives it up. */
#define EXCHANGE_ANSWER_S 4

enum link_news_kind { NEWS_TOKENS, NEWS_FOLLOWED, NEWS_SETTING, NEWS_ORDER };

struct link_batch {
    size_t count;
    bool has_pools[CLUSTER_LINK_TOKENS];
    struct store_token tokens[CLUSTER_LINK_TOKENS];
};

/* What the follower hands to the loop, in order, with what it points to. */
struct link_news {
    enum link_news_kind kind;
    union {
        struct link_batch *batch;
        uint64_t round;
        struct {
            char *name, *value;
        } setting;
        struct cluster_order order;
    };
};

/* News that are no batches may be so many before following waits. */
#define LINK_NEWS_MAX 4096

struct waiting_order {
    struct cluster_order order;
    uint64_t nonce;
};

struct follow;

struct cluster_link {
    struct cluster_link_callbacks callbacks;
    char url[POSTGRES_URL_SIZE];
    char name[POSTGRES_NODE_SIZE]; /* of the node */
    uv_async_t async;
    uv_thread_t exchanging, following;
    bool has_exchanging, has_following;
    uv_thread_t takeover; /* the follower's */
    bool has_takeover;
    int wake; /* of the follower: eventfd(2) */

    uv_mutex_t mutex;
    uv_cond_t asked;   /* there is a request, or the end */
    uv_cond_t drained; /* the loop has taken news */
    bool is_stopping;
    bool has_request, has_reply, is_notified;
    struct cluster_request request;
    struct cluster_reply reply;
    struct fifo news;
    uint32_t batches; /* among the news */
    struct fifo orders;
    uint64_t rounds_begun;
    bool is_round_wanted;
    bool is_taking_over;
    duration gone_after;
    /* As last seen: generations of the leases that are this node's, for the follower. */
    uint64_t own[LEASE_COUNT];
    struct cluster_link_stats stats;
};

/* Connects, and finds (or makes) the node; `answer_s`: how long the server may take. */
enum err link_connect(struct postgres_link *to, const struct cluster_link *link, const char *what,
                      double answer_s, int64_t *node) MUST_CHECK;

bool link_is_stopping(struct cluster_link *link);
/* Notes why; `is_exchange`: of which of both threads. */
void link_fail(struct cluster_link *link, const char *message);

struct link_news *link_make_news(enum link_news_kind kind);
/* Takes it over. Waits while too much waits already. False: the link is being stopped, and it was
 * freed. */
bool link_hand_over(struct cluster_link *link, struct link_news *news) MUST_CHECK;

/* The follower is to begin a round at once. */
void link_want_round(struct cluster_link *link);

void cluster_exchange_run(void *link);
void cluster_follow_run(void *link);

#endif
