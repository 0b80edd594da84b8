/* Nodes of one database on a real server: what one commits the others hear, in time and in order.
 */
#include "cluster_peers.h"

#include "store/postgres_schema.h"
#include "store/writer.h"

#define KILLS  3U
#define TOLD_S 5 /* what takes milliseconds on an idle machine */

/* a is node 1, b is node 2. */
static void start_two(void)
{
    peer_start(&a, "a");
    peer_start(&b, "b");
    peer_join(&a);
    peer_join(&b);
    peer_claim(&a, LEASE_SOURCE);
}

/* And token 1, whose slot, which is returned, is a's. */
static uint16_t start_two_with_token(void)
{
    uint16_t slot = slot_of_token(1);
    start_two();
    peer_put(&a, 1, 0);
    peer_claim(&a, slot);
    return slot;
}

static void stop_two(void)
{
    peer_stop(&a);
    peer_stop(&b);
}

/* Connections of the nodes' links. */
static void query_terminate(const char *what)
{
    char sql[160];
    snprintf(sql, sizeof sql,
             "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name "
             "LIKE 'moonwatch _ %s'",
             what);
    peers_query(sql);
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

/* Who leaves frees its leases with its last words. */
static void what_is_asked_at_the_end_is_sent(void **state)
{
    const struct cluster_order order = {.kind = "pause"};
    (void)state;
    start_two();
    peer_claim(&b, 5);
    peer_request(&b)->is_last = true;
    cluster_link_order(b.link, &order);
    cluster_link_exchange(b.link, &peers.request);
    peer_stop(&b);
    assert_int_equal(peers_query("SELECT count(*) FROM cluster_member"), 1);
    PEERS_WAIT(a.orders == 1);
    peer_request(&a);
    peer_exchange(&a);
    peer_claim(&a, 5);
    assert_int_equal(a.reply.view.leases[5].generation, 2);
    /* Without its database it does not wait for it. */
    server_kill(&server, SIGKILL);
    peer_request(&a);
    peer_exchange(&a);
    cluster_link_exchange(a.link, peer_request(&a));
    instant began = clock_now();
    peer_stop(&a);
    assert_true(duration_to_s(instant_diff(clock_now(), began)) < 5);
}

static void a_link_needs_a_name(void **state)
{
    char why[512], url[256];
    const struct cluster_link_callbacks callbacks = {0};
    (void)state;
    server_url(&server, peers.schema, "", url, sizeof url);
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
    (void)state;
    uint16_t slot = start_two_with_token();
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

/* ---- which of two states is the newer one ---- */

static int64_t stored_n(token_id id)
{
    struct kept kept;
    peer_name(&c, "c");
    c.store = open_or_fail(c.url);
    peer_load(&c, &kept);
    int64_t n = kept.tokens[id].token.state.low_score_us;
    kept_finish(&kept);
    store_close(c.store);
    c.store = NULL;
    return n;
}

/* Both have the row to write: what was a's is written last. */
static void a_late_checkpoint_undoes_nothing(void **state)
{
    (void)state;
    uint16_t slot = start_two_with_token();
    peer_append(&a, 1, 1, WITHOUT_POOLS);
    peer_give(&a, &b, slot);
    peer_append(&b, 1, 2, WITHOUT_POOLS);
    peer_checkpoint(&b, 1, 2);
    peer_checkpoint(&a, 1, 1);
    assert_int_equal(peers_query("SELECT node FROM token WHERE id=1"),
                     peers_query("SELECT number FROM node WHERE name='b'"));
    assert_int_equal(peers_query("SELECT count(*) FROM pool WHERE token_id=1"), 1);
    peer_drop_log(&b);
    peer_drop_log(&a);
    assert_int_equal(stored_n(1), 2);
    /* One whose row is gone is put all the same. */
    peers_execute("DELETE FROM token");
    peer_checkpoint(&a, 1, 1);
    assert_int_equal(stored_n(1), 1);
    peer_checkpoint(&b, 1, 2);
    assert_int_equal(stored_n(1), 2);
    stop_two();
}

/* Whatever the nodes' numbers are, and whichever clock was ahead. */
static void a_start_takes_the_newest_of_all_logs(void **state)
{
    (void)state;
    start_two();
    for (token_id id = 1; id <= 2; id++) {
        struct peer *first = id == 1 ? &a : &b, *second = id == 1 ? &b : &a;
        uint16_t slot = slot_of_token(id);
        peer_put(&a, id, 0);
        peer_claim(first, slot);
        peer_append(first, id, 1, WITHOUT_POOLS);
        peer_append(first, id, 500, WITHOUT_POOLS);
        peer_give(first, second, slot);
        peer_append(second, id, 20, WITHOUT_POOLS); /* checked at 20, by its clock */
        assert_int_equal(stored_n(id), 20);
    }
    peer_checkpoint(&a, 1, 500); /* a's row is older than b's log */
    assert_int_equal(stored_n(1), 20);
    stop_two();
}

/* Logs that end where they began for who did not look in between. */
static void a_log_that_was_cut_off_is_made_up_for(void **state)
{
    (void)state;
    (void)start_two_with_token();
    peer_append(&a, 1, 1, WITHOUT_POOLS);
    PEERS_WAIT(peer_n(&b, 1) == 1);
    for (uint32_t n = 2; peer_stats(&b).resyncs == 1; n++) {
        uint64_t round = b.followed;
        PEERS_WAIT(b.followed > round); /* the next one is half a second away */
        peer_append(&a, 1, n, WITHOUT_POOLS);
        peer_checkpoint(&a, 1, n);
        peer_drop_log(&a);
        PEERS_WAIT(peer_n(&b, 1) == n);
    }
    peer_append(&a, 1, 1000, WITHOUT_POOLS);
    PEERS_WAIT(peer_n(&b, 1) == 1000);
    peer_follow(&b);
    assert_int_equal(peer_stats(&b).rows_refused, 0);
    stop_two();
}

/* a's log has two records of the token, which b has read. */
static void start_two_that_read(void)
{
    (void)start_two_with_token();
    peer_append(&a, 1, 1, WITHOUT_POOLS);
    peer_append(&a, 1, 2, WITHOUT_POOLS);
    PEERS_WAIT(peer_n(&b, 1) == 2);
}

/* As after a crash that took the newest transactions: positions are given anew. */
static void a_log_that_was_rewound_is_noticed(void **state)
{
    enum store_file file;
    (void)state;
    start_two_that_read();
    peers_execute("DELETE FROM refresh_log_1_a WHERE seq=2;"
                  "DELETE FROM refresh_log_1_b WHERE seq=2");
    assert_int_equal(store_reopen(a.store, &file), OK);
    peer_append(&a, 1, 3, WITHOUT_POOLS);
    PEERS_WAIT(peer_n(&b, 1) == 3);
    peer_expect_resyncs(&b, 2);
    stop_two();
}

/* The same, and as many new ones were committed before anybody looked. */
static void a_log_that_grew_anew_is_noticed(void **state)
{
    (void)state;
    start_two_that_read();
    uint64_t round = b.followed;
    PEERS_WAIT(b.followed > round + 1); /* by then their count is known */
    peers_execute("UPDATE refresh_log_1_a SET records=(SELECT records FROM refresh_log_1_a "
                  "WHERE seq=1) WHERE seq=2");
    query_terminate("follow");
    PEERS_WAIT(peer_n(&b, 1) == 1);
    peer_expect_resyncs(&b, 2);
    stop_two();
}

static void garbage_is_counted_and_passed_over(void **state)
{
    (void)state;
    (void)start_two_with_token();
    peer_append(&a, 1, 1, WITH_POOLS);
    PEERS_WAIT(peer_n(&b, 1) == 1);
    /* At once: what a round sees of it half decides what the next ones look at. */
    peers_execute(
        /* No records, records of no token, marks of no lease, positions of nowhere. */
        "INSERT INTO refresh_log_1_a(seq,first,records) VALUES(2,2,'\\x00');"
        "INSERT INTO refresh_log_1_b(seq,first,records) VALUES(3,3,'\\x0500ffffffff07');"
        "INSERT INTO refresh_log_1_a(seq,first,records,marks) SELECT 4,4,records,"
        "'\\xffffff7f0000' FROM refresh_log_1_a WHERE seq=1;"
        "INSERT INTO refresh_log_1_a(seq,first,records,marks) SELECT 5,5,records,"
        "'\\x01000000ffff' FROM refresh_log_1_a WHERE seq=1;"
        "INSERT INTO refresh_log_1_a(seq,first,records,marks) SELECT 6,6,records,'\\x01' FROM "
        "refresh_log_1_a WHERE seq=1;"
        "INSERT INTO refresh_log_1_a(seq,first,records) VALUES(9000000000000000000,"
        "9000000000000000000,'\\x00');"
        "INSERT INTO pool(token_id,n,address,dex,quote,flags) VALUES(1,9,'0','x','y',99);"
        "INSERT INTO token SELECT 4000000000,mint,name,symbol,status,slot,created_at,node,log_seq,"
        "state FROM token WHERE id=1;"
        "INSERT INTO token SELECT 2,'none',name,symbol,status,slot,created_at,node,log_seq,state "
        "FROM token WHERE id=1;"
        "INSERT INTO setting VALUES('long',repeat('x',5000));"
        "INSERT INTO cluster_order SELECT value+1,1,'a','','',0 FROM moonwatch WHERE name='order';"
        "INSERT INTO cluster_order SELECT value+2,2,'a',repeat('x',100),'',0 FROM moonwatch WHERE "
        "name='order';"
        "INSERT INTO cluster_order SELECT 9000000000000000000,3,'a','x','',0;"
        "UPDATE moonwatch SET value=value+2 WHERE name='order';"
        "UPDATE cluster_member SET clock=9223372036854775807 WHERE name='a';"
        "UPDATE node SET transactions=transactions+1");
    peer_follow(&b);
    struct cluster_link_stats stats = peer_stats(&b);
    assert_in_range(stats.rows_refused, 11, 100);
    assert_int_equal(stats.round_failures, 0);
    assert_int_equal(b.orders, 0);
    assert_int_equal(b.settings, 0);
    assert_int_equal(b.heard[1], 2);
    assert_int_equal(b.heard[2], 0);
    /* What is sound is heard all the same. */
    peers_execute("DELETE FROM refresh_log_1_a WHERE seq>6");
    enum store_file file;
    assert_int_equal(store_reopen(a.store, &file), OK);
    peer_append(&a, 1, 2, WITH_POOLS);
    PEERS_WAIT(peer_n(&b, 1) == 2);
    peer_put(&a, 3, 5);
    PEERS_WAIT(peer_n(&b, 3) == 5);
    assert_int_equal(peer_stats(&b).round_failures, 0);
    stop_two();
}

static void instants_are_told_in_the_own_time(void **state)
{
    struct store_token row;
    (void)state;
    (void)start_two_with_token();
    peer_append(&a, 1, 1, WITHOUT_POOLS);
    PEERS_WAIT(peer_n(&b, 1) == 1);
    token_make(&row, 1, 1); /* the clocks are one */
    assert_int_equal(b.tokens[1].token.state.checked_at.us, row.token.state.checked_at.us);
    peers_execute("UPDATE cluster_member SET clock=clock+5000000 WHERE name='a'");
    peer_follow(&b);
    struct cluster_link_stats stats = peer_stats(&b);
    assert_true(llabs(stats.members[0].offset.us - 5000000) < 1000000);
    peer_append(&a, 1, 2, WITHOUT_POOLS);
    PEERS_WAIT(peer_n(&b, 1) == 2);
    token_make(&row, 1, 2);
    int64_t off = row.token.state.checked_at.us - b.tokens[1].token.state.checked_at.us;
    assert_true(llabs(off - 5000000) < 1000000);
    assert_int_equal(row.token.state.fetched_at.us - b.tokens[1].token.state.fetched_at.us, off);
    assert_int_equal(b.tokens[1].token.state.scored_at.us, 0); /* never stays never */
    stop_two();
}

/* ---- a node that is gone for good ---- */

static int64_t log_rows_of_b(void)
{
    return peers_query("SELECT (SELECT count(*) FROM refresh_log_2_a)+"
                       "(SELECT count(*) FROM refresh_log_2_b)");
}

static void the_log_of_a_node_that_is_gone_is_taken_over(void **state)
{
    uint16_t slot = slot_of_token(1);
    (void)state;
    start_two();
    peer_put(&a, 1, 0);
    peer_put(&a, 2, 0);
    peer_claim(&b, slot);
    peer_append(&b, 1, 1, WITHOUT_POOLS);
    peer_append(&b, 1, 2, WITHOUT_POOLS);
    /* While it is a member, however long it is silent, nobody touches its log. */
    cluster_link_set_gone_after(a.link, duration_ms(100));
    peer_follow(&a);
    peer_follow(&a);
    assert_true(log_rows_of_b() > 0);
    peer_request(&b)->is_last = true;
    peer_exchange(&b);
    /* Nor while it runs. */
    peer_follow(&a);
    peer_follow(&a);
    assert_true(log_rows_of_b() > 0);
    peer_stop(&b);
    PEERS_WAIT(peer_stats(&a).logs_taken_over == 1);
    assert_int_equal(log_rows_of_b(), 0);
    assert_int_equal(peers_query("SELECT log_seq FROM token WHERE id=1"), 2);
    assert_int_equal(peers_query("SELECT node FROM token WHERE id=1"), 2);
    assert_int_equal(stored_n(1), 2);
    assert_int_equal(peer_n(&a, 1), 2);
    /* Who comes back goes on behind it. */
    peer_start(&b, "b");
    peer_join(&b);
    peer_claim(&b, slot);
    peer_append(&b, 1, 3, WITHOUT_POOLS);
    PEERS_WAIT(peer_n(&a, 1) == 3);
    stop_two();
}

/* The way back: no node may come in, and all that they had is one's own. */
static void who_is_alone_afterwards_has_everything(void **state)
{
    struct kept kept;
    token_id id;
    char url[256];
    (void)state;
    start_two();
    peer_put(&a, 1, 0);
    peer_claim(&b, slot_of_token(1));
    peer_append(&b, 1, 1, WITHOUT_POOLS);
    stop_two();
    server_url(&server, peers.schema, "", url, sizeof url);
    peer_name(&c, "c");
    for (uint32_t n = 1; n <= 2; n++) {
        c.store = open_or_fail(url);
        peer_load(&c, &kept);
        assert_int_equal(kept.tokens[1].token.state.low_score_us, n);
        kept_finish(&kept);
        for (; (id = store_next_replayed(c.store)) != TOKEN_NONE;)
            peer_checkpoint(&c, id, n);
        peer_drop_log(&c);
        assert_int_equal(log_rows_of_b(), 0);
        /* What it writes is newer than all that was. */
        struct store_token row;
        token_make(&row, 1, 2);
        assert_int_equal(store_begin(c.store, STORE_DURABLE), OK);
        assert_int_equal(store_append_refresh(c.store, &row), OK);
        assert_int_equal(store_commit(c.store), OK);
        store_close(c.store);
        c.store = NULL;
    }
    peer_start(&b, "b");
    assert_int_equal(peer_n(&b, 1), 2);
    peer_stop(&b);
}

/* ---- history ---- */

/* Each names the one before, whoever wrote that. */
static void a_history_goes_from_node_to_node(void **state)
{
    enum { MOVES = 6 };
    struct store_snapshot found[MOVES + 1];
    struct store_event events[MOVES + 1];
    int64_t previous = 0;
    char why[512];
    (void)state;
    start_two();
    peer_put(&a, 1, 0);
    for (int i = 0; i < MOVES; i++) {
        struct peer *peer = i % 2 == 0 ? &a : &b;
        struct store_snapshot snapshot = {.id = ((int64_t)(i % 2) << NODE_ID_SHIFT) + 1 + i / 2,
                                          .previous = previous,
                                          .token = 1,
                                          .at = {1710000000000000 + i}};
        struct store_event event = {.token = 1, .at = snapshot.at, .kind = "moved"};
        if (i == 0)
            peer_claim(&a, slot_of_token(1));
        else
            peer_give(i % 2 == 0 ? &b : &a, peer, slot_of_token(1));
        assert_int_equal(store_begin(peer->store, STORE_RELAXED), OK);
        assert_true(peer_hold(peer, (uint16_t[]){slot_of_token(1)}, 1));
        assert_int_equal(store_put_snapshot(peer->store, &snapshot), OK);
        assert_int_equal(store_put_event(peer->store, &event), OK);
        assert_int_equal(store_commit(peer->store), OK);
        previous = snapshot.id;
    }
    struct store_reader *reader = store_reader_open(b.url, why);
    assert_int_equal(store_reader_snapshots(reader, 1, previous, found, MOVES + 1), MOVES);
    assert_int_equal(store_reader_events(reader, 1, events, MOVES + 1), MOVES);
    for (int i = 0; i < MOVES; i++) {
        assert_int_equal(found[i].at.us, 1710000000000000 + MOVES - 1 - i);
        assert_int_equal(events[i].at.us, found[i].at.us);
    }
    store_reader_close(reader);
    stop_two();
}

/* ---- settings and orders ---- */

static void put_setting(struct peer *peer, const char *value)
{
    assert_int_equal(store_begin(peer->store, STORE_DURABLE), OK);
    assert_int_equal(store_put_setting(peer->store, "hot_interval_sec", value), OK);
    assert_int_equal(store_commit(peer->store), OK);
}

static void settings_and_orders_arrive_soon(void **state)
{
    const struct cluster_order order = {.kind = "refresh", .body = "some mint"};
    (void)state;
    start_two();
    instant began = clock_now();
    put_setting(&a, "10");
    PEERS_WAIT(b.settings == 1);
    assert_string_equal(b.setting, "hot_interval_sec=10");
    assert_true(duration_to_s(instant_diff(clock_now(), began)) < TOLD_S);
    PEERS_WAIT(a.settings == 1);
    peer_follow(&b);
    assert_int_equal(b.settings, 1); /* once */
    began = clock_now();
    cluster_link_order(a.link, &order);
    PEERS_WAIT(b.orders == 1 && a.orders == 1);
    assert_true(duration_to_s(instant_diff(clock_now(), began)) < TOLD_S);
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

/* ---- all of it, by chance ---- */

#define CHANCE_TOKENS 6
#define CHANCE_STEPS  220

static struct peer *const PEERS[] = {&a, &b, &c};

/* A node's table: what it wrote itself, and what it heard since. */
static void chance_append(struct peer *peer, token_id id, uint32_t n)
{
    enum with_pools pools = n % 3 == 0 ? WITH_POOLS : WITHOUT_POOLS;
    peer_append(peer, id, n, pools);
    token_make(&peer->tokens[id], id, n);
    peer->heard[id]++;
}

/* Rows of all tokens, as a writer's pass brings them up to the log, and the log dropped. */
static void chance_pass(struct peer *peer)
{
    for (token_id id = 1; id <= CHANCE_TOKENS; id++)
        peer_checkpoint(peer, id, (uint32_t)peer_n(peer, id));
    peer_drop_log(peer);
}

static void chance_step(struct prng *prng, uint32_t truth[], struct peer *owners[])
{
    token_id id = 1 + (token_id)prng_below(prng, CHANCE_TOKENS);
    struct peer *other = PEERS[prng_below(prng, 3)];
    switch (prng_below(prng, 12)) {
    case 0:
    case 1:
        if (other == owners[id])
            break;
        peer_give(owners[id], other, slot_of_token(id));
        assert_int_equal(peer_n(other, id), truth[id]);
        owners[id] = other;
        break;
    case 2:
        chance_pass(other);
        break;
    case 3:
        query_terminate("follow");
        break;
    case 4: /* late, of a token that may be another's by now */
        peer_checkpoint(other, id, (uint32_t)peer_n(other, id));
        break;
    default:
        chance_append(owners[id], id, ++truth[id]);
    }
}

/* Whatever happens: who takes a slot has the newest of its tokens, nobody's table goes back, all
 * hear it in the end, and so does a start. */
static void whatever_happens_the_newest_wins(void **state)
{
    uint32_t truth[CHANCE_TOKENS + 1] = {0};
    struct peer *owners[CHANCE_TOKENS + 1] = {NULL};
    struct kept kept;
    struct prng prng;
    (void)state;
    start_two();
    peer_start(&c, "c");
    peer_join(&c);
    for (token_id id = 1; id <= CHANCE_TOKENS; id++) {
        for (token_id before = 1; before < id; before++)
            assert_int_not_equal(slot_of_token(before), slot_of_token(id));
        peer_put(&a, id, 0);
        owners[id] = PEERS[id % 3];
        peer_claim(owners[id], slot_of_token(id));
    }
    prng_seed(&prng, 20);
    for (int step = 0; step < CHANCE_STEPS; step++) {
        uint32_t known[3][CHANCE_TOKENS + 1];
        for (int i = 0; i < 3; i++)
            for (token_id id = 1; id <= CHANCE_TOKENS; id++)
                known[i][id] = (uint32_t)(peer_n(PEERS[i], id) + 1);
        chance_step(&prng, truth, owners);
        for (int i = 0; i < 3; i++)
            for (token_id id = 1; id <= CHANCE_TOKENS; id++)
                assert_true((uint32_t)(peer_n(PEERS[i], id) + 1) >= known[i][id]);
    }
    for (int i = 0; i < 3; i++)
        for (token_id id = 1; id <= CHANCE_TOKENS; id++)
            PEERS_WAIT(peer_n(PEERS[i], id) == truth[id]);
    peer_load(&b, &kept);
    for (token_id id = 1; id <= CHANCE_TOKENS; id++)
        assert_int_equal(kept.tokens[id].token.state.low_score_us, truth[id]);
    assert_int_equal(kept.report.rows_refused, 0);
    kept_finish(&kept);
    for (int i = 0; i < 3; i++)
        assert_int_equal(peer_stats(PEERS[i]).rows_refused, 0);
    stop_two();
    peer_stop(&c);
}

/* ---- a server that dies ---- */

static void links_outlive_their_server(void **state)
{
    const struct cluster_order order = {.kind = "pause", .body = ""};
    enum store_file file;
    (void)state;
    (void)start_two_with_token();
    for (uint32_t kill = 1; kill <= KILLS; kill++) {
        server_kill(&server, SIGKILL);
        unsigned failed = b.failed_replies;
        instant began = clock_now();
        peer_request(&b);
        peer_exchange(&b);
        assert_int_equal(b.failed_replies, failed + 1);
        assert_true(duration_to_s(instant_diff(clock_now(), began)) < 5);
        assert_false(peer_stats(&b).is_connected);
        cluster_link_order(b.link, &order); /* that waits for its database */
        assert_true(server_start(&server));
        do {
            peer_request(&b);
            peer_exchange(&b);
        } while (b.reply.outcome == CLUSTER_FAILED);
        assert_int_equal(b.reply.session, b.session);
        PEERS_WAIT(store_reopen(a.store, &file) == OK);
        peer_append(&a, 1, kill, WITHOUT_POOLS);
        PEERS_WAIT(b.orders == kill);
        PEERS_WAIT(a.orders == kill);
        PEERS_WAIT(peer_n(&b, 1) == kill);
    }
    stop_two();
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, peers_set_up, peers_tear_down)
    const struct CMUnitTest tests[] = {
        ROW(exchanges_are_answered),
        ROW(a_newer_request_takes_the_place_of_one_that_waits),
        ROW(what_is_asked_at_the_end_is_sent),
        ROW(a_link_needs_a_name),
        ROW(tokens_are_followed),
        ROW(many_tokens_come_in_batches),
        ROW(a_takeover_moves_what_was_committed),
        ROW(a_late_checkpoint_undoes_nothing),
        ROW(a_start_takes_the_newest_of_all_logs),
        ROW(a_log_that_was_cut_off_is_made_up_for),
        ROW(a_log_that_was_rewound_is_noticed),
        ROW(a_log_that_grew_anew_is_noticed),
        ROW(garbage_is_counted_and_passed_over),
        ROW(instants_are_told_in_the_own_time),
        ROW(the_log_of_a_node_that_is_gone_is_taken_over),
        ROW(who_is_alone_afterwards_has_everything),
        ROW(a_history_goes_from_node_to_node),
        ROW(settings_and_orders_arrive_soon),
        ROW(whatever_happens_the_newest_wins),
        ROW(links_outlive_their_server),
    };
    return cmocka_run_group_tests_name("cluster_link", tests, server_start_group,
                                       server_stop_group);
}
