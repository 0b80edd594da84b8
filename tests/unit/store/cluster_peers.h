/* Nodes of one database in one process: each a store, without a writer, and a link, all on one
 * loop; and what each has heard. */
#ifndef MOONWATCH_TESTS_CLUSTER_PEERS_H
#define MOONWATCH_TESTS_CLUSTER_PEERS_H

#include "fixture.h"

#include "postgres_group.h"

#include "core/mint_slot.h"
#include "store/cluster_link.h"

#define PEER_WAIT_S     60 /* generous: only a failure waits this long */
#define PEER_TOKENS_MAX 64

struct peer {
    char name[16];
    char url[256];
    struct store *store;
    struct cluster_link *link;
    uint64_t number, session;
    struct cluster_reply reply;
    unsigned replies, failed_replies, notified, settings, orders;
    uint64_t followed;
    struct store_token tokens[PEER_TOKENS_MAX]; /* as heard last, by id */
    unsigned heard[PEER_TOKENS_MAX];
    bool has_pools[PEER_TOKENS_MAX]; /* the last time */
    uint64_t heard_in_all;
    char setting[64];
    struct cluster_order order;
};

struct peers {
    char schema[32];
    uv_loop_t loop;
    uv_timer_t tick;
    struct cluster_request request;
};

static struct peers peers;
static struct peer a, b, c;

static inline void peers_on_tick(uv_timer_t *timer)
{
    (void)timer; /* turns the loop */
}

#define PEERS_WAIT(condition)                                                                      \
    do {                                                                                           \
        instant give_up = instant_add(clock_now(), duration_s(PEER_WAIT_S));                       \
        while (!(condition)) {                                                                     \
            if (!instant_before(clock_now(), give_up))                                             \
                fail_msg("waited in vain for: %s", #condition);                                    \
            uv_run(&peers.loop, UV_RUN_ONCE);                                                      \
        }                                                                                          \
    } while (0)

static inline int peers_set_up(void **state)
{
    (void)state;
    if (!server_add_schema(&server, peers.schema) || uv_loop_init(&peers.loop) != 0)
        return -1;
    uv_timer_init(&peers.loop, &peers.tick);
    uv_timer_start(&peers.tick, peers_on_tick, 1, 1);
    return 0;
}

static inline void peer_stop(struct peer *peer)
{
    cluster_link_stop(peer->link);
    store_close(peer->store);
    peer->link = NULL;
    peer->store = NULL;
}

static inline int peers_tear_down(void **state)
{
    (void)state;
    peer_stop(&a); /* those that a test that failed has left */
    peer_stop(&b);
    peer_stop(&c);
    uv_close((uv_handle_t *)&peers.tick, NULL);
    uv_run(&peers.loop, UV_RUN_DEFAULT);
    return uv_loop_close(&peers.loop) == 0 && (server.pid != 0 || server_start(&server)) ? 0 : -1;
}

static inline void peers_execute(const char *sql)
{
    assert_true(server_execute(&server, peers.schema, sql));
}

static inline int64_t peers_query(const char *sql)
{
    return server_ask(&server, peers.schema, sql);
}

/* ---- what is heard ---- */

static inline void peer_on_reply(void *context, const struct cluster_reply *reply)
{
    struct peer *peer = context;
    peer->reply = *reply;
    peer->replies++;
    peer->failed_replies += reply->outcome == CLUSTER_FAILED;
}

static inline void peer_on_notified(void *context)
{
    ((struct peer *)context)->notified++;
}

static inline void peer_on_tokens(void *context, const struct store_token *tokens, size_t count,
                                  const bool *has_pools)
{
    struct peer *peer = context;
    assert_in_range(count, 1, CLUSTER_LINK_TOKENS);
    peer->heard_in_all += count;
    for (size_t i = 0; i < count; i++) {
        assert_int_not_equal(tokens[i].id, TOKEN_NONE);
        if (tokens[i].id >= PEER_TOKENS_MAX)
            continue;
        peer->tokens[tokens[i].id] = tokens[i];
        peer->has_pools[tokens[i].id] = has_pools[i];
        peer->heard[tokens[i].id]++;
    }
}

static inline void peer_on_followed(void *context, uint64_t round)
{
    struct peer *peer = context;
    assert_true(round > peer->followed);
    peer->followed = round;
}

static inline void peer_on_setting(void *context, const char *name, const char *value)
{
    struct peer *peer = context;
    snprintf(peer->setting, sizeof peer->setting, "%s=%s", name, value);
    peer->settings++;
}

static inline void peer_on_order(void *context, const struct cluster_order *order)
{
    struct peer *peer = context;
    assert_true(order->id > peer->order.id);
    peer->order = *order;
    peer->orders++;
}

/* ---- beginning and end ---- */

static inline void peer_name(struct peer *peer, const char *name)
{
    char more[32];
    memset(peer, 0, sizeof *peer);
    snprintf(peer->name, sizeof peer->name, "%s", name);
    snprintf(more, sizeof more, "&node=%s", name);
    server_url(&server, peers.schema, more, peer->url, sizeof peer->url);
}

static inline void peer_load(struct peer *peer, struct kept *kept)
{
    assert_int_equal(kept_load(peer->store, kept), OK);
}

static inline void peer_open(struct peer *peer)
{
    struct kept kept;
    peer->store = open_or_fail(peer->url);
    peer_load(peer, &kept);
    kept_finish(&kept);
}

static inline void peer_link(struct peer *peer)
{
    char why[512];
    const struct cluster_link_callbacks callbacks = {.context = peer,
                                                     .on_reply = peer_on_reply,
                                                     .on_notified = peer_on_notified,
                                                     .on_tokens = peer_on_tokens,
                                                     .on_followed = peer_on_followed,
                                                     .on_setting = peer_on_setting,
                                                     .on_order = peer_on_order};
    peer->link = cluster_link_start(peer->url, &peers.loop, &callbacks, why);
    if (peer->link == NULL)
        fail_msg("%s", why);
}

/* With a first round behind it. */
static inline void peer_start(struct peer *peer, const char *name)
{
    peer_name(peer, name);
    peer_open(peer);
    peer_link(peer);
    PEERS_WAIT(peer->followed > 0);
}

static inline struct cluster_link_stats peer_stats(struct peer *peer)
{
    struct cluster_link_stats stats;
    cluster_link_stats(peer->link, &stats);
    return stats;
}

/* A round that begins after this. */
static inline void peer_follow(struct peer *peer)
{
    uint64_t next = peer->followed + 2;
    PEERS_WAIT(peer->followed >= next);
}

/* Figures of a round are there at its end, after the news that it brought. */
static inline void peer_expect_resyncs(struct peer *peer, uint64_t count)
{
    peer_follow(peer);
    assert_int_equal(peer_stats(peer).resyncs, count);
}

/* ---- leases ---- */

static inline struct cluster_request *peer_request(struct peer *peer)
{
    memset(&peers.request, 0, sizeof peers.request);
    peers.request.number = ++peer->number;
    peers.request.session = peer->session;
    peers.request.is_renewal = true;
    peers.request.capacity = 100;
    return &peers.request;
}

static inline void peer_exchange(struct peer *peer)
{
    unsigned before = peer->replies;
    cluster_link_exchange(peer->link, &peers.request);
    PEERS_WAIT(peer->replies > before);
}

static inline void peer_join(struct peer *peer)
{
    static uint64_t nonce;
    peer_request(peer)->nonce = ++nonce;
    peer_exchange(peer);
    assert_int_equal(peer->reply.outcome, CLUSTER_DONE);
    peer->session = peer->reply.session;
    assert_true(peer->session > 0);
    peer_request(peer);
    peer_exchange(peer);
}

/* Claims the lease, once it is free; what was committed before is followed. */
static inline void peer_claim(struct peer *peer, uint16_t lease)
{
    struct cluster_request *request = peer_request(peer);
    request->claim_count = 1;
    request->claims[0] = (struct cluster_change){lease, peer->reply.view.leases[lease].generation};
    peer_exchange(peer);
    assert_int_equal(peer->reply.view.leases[lease].session, peer->session);
    uint64_t round = peer->reply.view.log_at;
    PEERS_WAIT(peer->followed >= round);
}

static inline void peer_release(struct peer *peer, uint16_t lease)
{
    struct cluster_request *request = peer_request(peer);
    request->release_count = 1;
    request->releases[0] =
        (struct cluster_change){lease, peer->reply.view.leases[lease].generation};
    peer_exchange(peer);
    assert_int_equal(peer->reply.view.leases[lease].session, 0);
}

static inline void peer_give(struct peer *from, struct peer *to, uint16_t lease)
{
    peer_release(from, lease);
    peer_request(to);
    peer_exchange(to);
    peer_claim(to, lease);
}

static inline uint16_t slot_of_token(token_id id)
{
    struct address mint = address_of(id);
    return mint_slot(&mint);
}

/* ---- writing ---- */

/* As its view says that it holds them. False: one is another's. */
static inline bool peer_hold(struct peer *peer, const uint16_t *leases, uint32_t count)
{
    struct cluster_change changes[8];
    bool held[8], holds = true;
    for (uint32_t i = 0; i < count; i++)
        changes[i] =
            (struct cluster_change){leases[i], peer->reply.view.leases[leases[i]].generation};
    assert_int_equal(store_hold(peer->store, changes, count, held), OK);
    for (uint32_t i = 0; i < count; i++)
        holds = holds && held[i];
    return holds;
}

static inline void peer_put(struct peer *peer, token_id id, uint32_t n)
{
    struct store_token row;
    token_make(&row, id, n);
    assert_int_equal(store_begin(peer->store, STORE_DURABLE), OK);
    assert_true(peer_hold(peer, (uint16_t[]){LEASE_SOURCE}, 1));
    assert_int_equal(store_put_token(peer->store, &row), OK);
    assert_int_equal(store_commit(peer->store), OK);
}

enum with_pools { WITHOUT_POOLS, WITH_POOLS };

static inline void peer_append(struct peer *peer, token_id id, uint32_t n, enum with_pools pools)
{
    struct store_token row;
    token_make(&row, id, n);
    assert_int_equal(store_begin(peer->store, STORE_RELAXED), OK);
    assert_true(peer_hold(peer, (uint16_t[]){slot_of_token(id)}, 1));
    assert_int_equal(store_append_refresh(peer->store, &row), OK);
    if (pools == WITH_POOLS)
        assert_int_equal(store_put_pools(peer->store, &row), OK);
    assert_int_equal(store_commit(peer->store), OK);
}

static inline void peer_checkpoint(struct peer *peer, token_id id, uint32_t n)
{
    struct store_token row;
    token_make(&row, id, n);
    assert_int_equal(store_begin(peer->store, STORE_RELAXED), OK);
    assert_int_equal(store_checkpoint_token(peer->store, &row), OK);
    assert_int_equal(store_commit(peer->store), OK);
}

/* What a writer does after every row of a pass was brought up to date. */
static inline void peer_drop_log(struct peer *peer)
{
    for (int part = 0; part < 2; part++) {
        store_start_pass(peer->store);
        assert_int_equal(store_begin(peer->store, STORE_RELAXED), OK);
        assert_int_equal(store_end_pass(peer->store), OK);
        assert_int_equal(store_commit(peer->store), OK);
    }
}

/* `n` of the state that it heard last. */
static inline int64_t peer_n(const struct peer *peer, token_id id)
{
    return peer->heard[id] == 0 ? -1 : peer->tokens[id].token.state.low_score_us;
}

#endif
