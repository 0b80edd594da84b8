/* Nodes of one database on a real server: what one commits the others hear, in time and in order.
 */
#include "cluster_peers.h"

#include "postgres_proxy.h"

#include "store/postgres_schema.h"
#include "store/writer.h"

#define KILLS 3

static void start_two(void)
{
    peer_start(&a, "a");
    peer_start(&b, "b");
    peer_join(&a);
    peer_join(&b);
    peer_claim(&a, LEASE_SOURCE);
}

static void stop_two(void)
{
    peer_stop(&a);
    peer_stop(&b);
}

/* ---- exchanges ---- */

static void exchanges_are_answered(void **state)
{
    (void)state;
    start_two();
    assert_int_equal(b.reply.view.member_count, 2);
    assert_int_equal(b.reply.number, 2);
    PEERS_WAIT(a.notified > 0); /* b has joined */
    peer_claim(&b, 5);
    assert_int_equal(b.reply.view.leases[5].generation, 1);
    uint64_t round = b.reply.view.log_at;
    peer_request(&b);
    peer_exchange(&b);
    assert_true(b.reply.view.log_at > round); /* which was begun */
    struct cluster_link_stats stats = peer_stats(&b);
    assert_true(stats.is_connected && stats.is_following);
    assert_int_equal(stats.exchanges, 4);
    assert_int_equal(stats.exchange_failures, 0);
    peer_follow(&b);
    stats = peer_stats(&b);
    assert_int_equal(stats.member_count, 2);
    assert_string_equal(stats.members[0].name, "a");
    assert_true(stats.members[0].is_offset_known);
    assert_true(llabs(stats.members[0].offset.us) < 1000000);
    assert_int_equal(stats.resyncs, 1);
    stop_two();
}

/* The policy gives up what takes long: the newest is what counts. */
static void a_newer_request_takes_the_place_of_one_that_waits(void **state)
{
    (void)state;
    start_two();
    unsigned before = a.replies;
    for (int i = 0; i < 50; i++)
        cluster_link_exchange(a.link, peer_request(&a));
    PEERS_WAIT(a.reply.number == a.number);
    assert_true(a.replies - before <= 50);
    stop_two();
}

static void a_link_needs_a_name(void **state)
{
    char why[512], url[256];
    const struct cluster_link_callbacks callbacks = {0};
    (void)state;
    server_url(&peers.server, peers.schema, "", url, sizeof url);
    assert_null(cluster_link_start(url, &peers.loop, &callbacks, why));
    assert_non_null(strstr(why, "node=NAME"));
    assert_null(cluster_link_start("postgres://x/y?node=%20", &peers.loop, &callbacks, why));
    assert_non_null(strstr(why, "node="));
    cluster_link_stop(NULL);
}

/* ---- what others commit ---- */

static void tokens_are_followed(void **state)
{
    struct store_token row;
    (void)state;
    start_two();
    peer_claim(&a, slot_of_token(3));
    for (token_id id = 1; id <= 5; id++)
        peer_put(&a, id, 0);
    PEERS_WAIT(peer_n(&b, 5) == 0);
    for (token_id id = 1; id <= 5; id++) {
        assert_int_equal(b.heard[id], 1);
        assert_true(b.has_pools[id]);
        token_make(&row, id, 0);
        token_assert_equal(&b.tokens[id], &row);
    }
    peer_append(&a, 3, 7, WITHOUT_POOLS);
    PEERS_WAIT(peer_n(&b, 3) == 7);
    assert_false(b.has_pools[3]);
    assert_int_equal(b.heard[3], 2);
    token_make(&row, 3, 7);
    assert_int_equal(b.tokens[3].token.state.checked_at.us, row.token.state.checked_at.us);
    assert_string_equal(b.tokens[3].primary_dex, row.primary_dex);
    peer_append(&a, 3, 8, WITH_POOLS);
    PEERS_WAIT(peer_n(&b, 3) == 8);
    assert_true(b.has_pools[3]);
    token_make(&row, 3, 8);
    row.token.mint = b.tokens[3].token.mint; /* a record has none: it is known by its id */
    row.token.created_at = b.tokens[3].token.created_at;
    token_assert_equal(&b.tokens[3], &row);
    peer_follow(&a);
    assert_int_equal(a.heard[3], 1); /* as a new row; of its own log nothing */
    assert_int_equal(peer_stats(&b).resyncs, 1);
    stop_two();
}

static void many_tokens_come_in_batches(void **state)
{
    enum { COUNT = 3000 };
    struct store_token row;
    (void)state;
    start_two();
    uint64_t before = b.followed;
    assert_int_equal(store_begin(a.store, STORE_DURABLE), OK);
    assert_true(peer_hold(&a, (uint16_t[]){LEASE_SOURCE}, 1));
    for (token_id id = 1; id <= COUNT; id++) {
        token_make(&row, id, 0);
        assert_int_equal(store_put_token(a.store, &row), OK);
    }
    assert_int_equal(store_commit(a.store), OK);
    /* Nobody takes them: no more than that is kept, and no round is over. */
    usleep(700000);
    assert_int_equal(b.followed, before);
    PEERS_WAIT(b.heard_in_all == COUNT);
    stop_two();
}

static void a_takeover_moves_what_was_committed(void **state)
{
    uint16_t slot = slot_of_token(1);
    (void)state;
    start_two();
    peer_put(&a, 1, 0);
    peer_claim(&a, slot);
    peer_append(&a, 1, 1, WITHOUT_POOLS);
    peer_append(&a, 1, 2, WITH_POOLS);
    peer_give(&a, &b, slot);
    assert_int_equal(peer_n(&b, 1), 2); /* when the claim's round is over, not a moment later */
    peer_append(&b, 1, 3, WITHOUT_POOLS);
    PEERS_WAIT(peer_n(&a, 1) == 3);
    peer_give(&b, &a, slot);
    peer_append(&a, 1, 4, WITHOUT_POOLS);
    PEERS_WAIT(peer_n(&b, 1) == 4);
    stop_two();
}

/* ---- settings and orders ---- */

static void put_setting(struct peer *peer, const char *value)
{
    assert_int_equal(store_begin(peer->store, STORE_DURABLE), OK);
    assert_int_equal(store_put_setting(peer->store, "hot_interval_sec", value), OK);
    assert_int_equal(store_commit(peer->store), OK);
}

static void settings_and_orders_arrive_within_a_second(void **state)
{
    const struct cluster_order order = {.kind = "refresh", .body = "some mint"};
    (void)state;
    start_two();
    instant began = clock_now();
    put_setting(&a, "10");
    PEERS_WAIT(b.settings == 1);
    assert_string_equal(b.setting, "hot_interval_sec=10");
    assert_true(duration_to_s(instant_diff(clock_now(), began)) < 1);
    PEERS_WAIT(a.settings == 1);
    peer_follow(&b);
    assert_int_equal(b.settings, 1); /* once */
    began = clock_now();
    cluster_link_order(a.link, &order);
    PEERS_WAIT(b.orders == 1 && a.orders == 1);
    assert_true(duration_to_s(instant_diff(clock_now(), began)) < 1);
    assert_string_equal(b.order.kind, "refresh");
    assert_string_equal(b.order.body, "some mint");
    assert_string_equal(b.order.from, "a");
    assert_true(b.order.age.us >= 0 && b.order.age.us < 10000000);
    for (int i = 0; i < 300; i++)
        cluster_link_order(i % 2 == 0 ? a.link : b.link, &order);
    PEERS_WAIT(b.orders == 301 && a.orders == 301);
    assert_int_equal(a.order.id, b.order.id);
    /* Who comes later hears none of them. */
    peer_start(&c, "c");
    assert_int_equal(c.orders, 0);
    assert_int_equal(c.settings, 1);
    peer_stop(&c);
    stop_two();
}

/* ---- a server that dies ---- */

static void links_outlive_their_server(void **state)
{
    const struct cluster_order order = {.kind = "pause", .body = ""};
    uint16_t slot = slot_of_token(1);
    enum store_file file;
    (void)state;
    start_two();
    peer_put(&a, 1, 0);
    peer_claim(&a, slot);
    for (uint32_t kill = 1; kill <= KILLS; kill++) {
        server_kill(&peers.server, SIGKILL);
        unsigned failed = b.failed_replies;
        instant began = clock_now();
        peer_request(&b);
        peer_exchange(&b);
        assert_int_equal(b.failed_replies, failed + 1);
        assert_true(duration_to_s(instant_diff(clock_now(), began)) < 5);
        assert_false(peer_stats(&b).is_connected);
        cluster_link_order(b.link, &order); /* that waits for its database */
        assert_true(server_start(&peers.server));
        do {
            peer_request(&b);
            peer_exchange(&b);
        } while (b.reply.outcome == CLUSTER_FAILED);
        assert_int_equal(b.reply.session, b.session);
        PEERS_WAIT(store_reopen(a.store, &file) == OK);
        peer_append(&a, 1, kill, WITHOUT_POOLS);
        PEERS_WAIT(peer_n(&b, 1) == kill && a.orders == kill && b.orders == kill);
    }
    stop_two();
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, peers_set_up, peers_tear_down)
    const struct CMUnitTest tests[] = {
        ROW(exchanges_are_answered),
        ROW(a_newer_request_takes_the_place_of_one_that_waits),
        ROW(a_link_needs_a_name),
        ROW(tokens_are_followed),
        ROW(many_tokens_come_in_batches),
        ROW(a_takeover_moves_what_was_committed),
        ROW(settings_and_orders_arrive_within_a_second),
        ROW(links_outlive_their_server),
    };
    return cmocka_run_group_tests_name("cluster_link", tests, peers_start_server,
                                       peers_stop_server);
}
