/* What the status page shows of a node's part in a cluster. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/cluster_show.h"
#include <math.h>
#include <string.h>

#define NOW ((instant){1750000000000000LL})

static struct cluster cluster;
static struct cluster_show show;
static struct page_cluster seen;

static instant at(double s)
{
    return instant_add(NOW, duration_s(s));
}

static int fresh(void **state)
{
    (void)state;
    struct cluster_options options = {.lease = CLUSTER_LEASE_DEFAULT, .nonce = 1};
    cluster_init(&cluster, &options, NOW);
    memset(&show, 0, sizeof show);
    memset(&seen, 0, sizeof seen);
    return 0;
}

static void own(uint16_t from, uint16_t to, uint64_t session)
{
    for (uint16_t lease = from; lease < to; lease++)
        cluster.view.leases[lease] = (struct cluster_lease){session, 1};
}

/* Two members, of which the second is this node; 512 slots each, and 4 of a session that ended. */
static void join(void)
{
    cluster.view.member_count = 2;
    cluster.view.members[0] = (struct cluster_member){.session = 7, .renewals = 3, .capacity = 100};
    cluster.view.members[1] =
        (struct cluster_member){.session = 9, .renewals = 5, .capacity = 300, .is_leaving = true};
    cluster.watch_count = 2;
    cluster.watches[0] = (struct cluster_watch){7, 3, duration_s(2.5)};
    cluster.watches[1] = (struct cluster_watch){9, 5, duration_s(0)};
    own(0, 512, 7);
    own(512, 1020, 9);
    own(1020, 1024, 5);
    own(LEASE_SOURCE, LEASE_COUNT, 7);
    for (uint16_t lease = 512; lease < 1020; lease++)
        cluster.held[lease].state = LEASE_MINE;
    cluster.held[512].state = LEASE_CATCHING_UP;
    cluster.held[513].state = cluster.held[514].state = LEASE_DRAINING;
    cluster.held[515].state = LEASE_RELEASING;
    cluster.session = 9;
    cluster.stats = (struct cluster_stats){.exchanges = 20, .failures = 2, .sessions = 1};
    cluster.is_lapsed = false;
    cluster.valid_until = at(9.3);
    cluster.looked_at = at(-0.25);
    cluster.applied = 17;
    cluster.has_view = true;
}

static void test_before_it_is_let_in(void **state)
{
    (void)state;
    cluster_show(&show, &cluster, NOW, &seen);
    cluster_show(&show, &cluster, at(3), &seen);
    assert_int_equal(seen.state, NODE_JOINING);
    assert_int_equal(seen.since.us, NOW.us);
    assert_int_equal(seen.looked_at.us, at(3).us);
    assert_true(instant_is_never(seen.answered_at) && instant_is_never(seen.valid_until));
    assert_int_equal(seen.count, 0);
    assert_int_equal(seen.free, MINT_SLOTS);
    assert_true(seen.lease_s == 10);
    assert_true(seen.free_s == 0 && seen.source_free_s == 0); /* who knows */
    join();
    own(0, 1, 0);
    cluster_show(&show, &cluster, at(4), &seen);
    assert_true(seen.free_s == 0);
}

static void test_a_member(void **state)
{
    (void)state;
    join();
    cluster_show(&show, &cluster, NOW, &seen);
    assert_int_equal(seen.state, NODE_WORKING);
    assert_int_equal(seen.session, 9);
    assert_int_equal(seen.valid_until.us, at(9.3).us);
    assert_int_equal(seen.answered_at.us, at(-0.25).us);
    assert_int_equal(seen.exchanges, 20);
    assert_int_equal(seen.failures, 2);
    assert_int_equal(seen.rounds, 17);
    assert_int_equal(seen.mine, 504);
    assert_int_equal(seen.catching_up, 1);
    assert_int_equal(seen.draining, 2);
    assert_int_equal(seen.releasing, 1);
    assert_int_equal(seen.others, 512);
    assert_int_equal(seen.free, 4);
    assert_int_equal(seen.source, 0);
    assert_int_equal(seen.holds_source, 0);
    assert_int_equal(seen.owners[511], 0);
    assert_int_equal(seen.owners[512], 1);
    assert_int_equal(seen.owners[1020], PAGE_SLOT_FREE);
    assert_int_equal(seen.count, 2);
    assert_int_equal(seen.members[0].slots, 512);
    assert_int_equal(seen.members[1].slots, 508);
    assert_true(seen.members[0].silent_s == 2.5);
    assert_int_equal(seen.members[0].capacity, 100);
    assert_int_equal(seen.members[0].is_self, 0);
    assert_int_equal(seen.members[1].is_self, 1);
    assert_int_equal(seen.members[1].is_leaving, 1);
    assert_true(isnan(seen.members[0].clock_offset_s));
}

/* Of members that stay; at another place when one before them is gone. */
static void test_what_the_shell_said_stays(void **state)
{
    (void)state;
    join();
    cluster_show(&show, &cluster, NOW, &seen);
    strcpy(seen.name, "b");
    strcpy(seen.members[1].name, "b");
    seen.members[1].clock_offset_s = 0.5;
    seen.followed = 11;
    cluster.view.members[0] = cluster.view.members[1];
    cluster.view.member_count = 1;
    cluster_show(&show, &cluster, at(1), &seen);
    assert_int_equal(seen.count, 1);
    assert_string_equal(seen.name, "b");
    assert_string_equal(seen.members[0].name, "b");
    assert_true(seen.members[0].clock_offset_s == 0.5);
    assert_string_equal(seen.members[1].name, "");
    assert_int_equal(seen.followed, 11);
    assert_int_equal(seen.free, 516); /* those of the session that ended, too */
}

/* Each slot from when it was nobody's. */
static void test_free_slots(void **state)
{
    (void)state;
    join();
    cluster_show(&show, &cluster, NOW, &seen);
    assert_true(seen.free_s == 0 && seen.unowned == 0);
    own(3, 4, 0);
    cluster_show(&show, &cluster, at(6), &seen);
    assert_true(seen.free_s == 6 && seen.unowned == 0);
    own(1020, 1023, 7);
    cluster_show(&show, &cluster, at(10.5), &seen);
    assert_true(seen.free_s == 10.5);
    assert_int_equal(seen.unowned, 1); /* 1023; slot 3 has been free for 4.5 s */
    assert_int_equal(seen.free, 2);
    own(0, MINT_SLOTS, 7);
    own(LEASE_SOURCE, LEASE_COUNT, 0);
    cluster_show(&show, &cluster, at(11), &seen);
    assert_true(seen.free_s == 0 && seen.unowned == 0 && seen.source_free_s == 0);
    assert_int_equal(seen.source, PAGE_SLOT_FREE);
    own(8, 9, 0);
    cluster_show(&show, &cluster, at(14), &seen);
    assert_true(seen.source_free_s == 3);
    assert_true(seen.free_s == 0); /* newly */
}

static void test_states(void **state)
{
    (void)state;
    join();
    cluster_show(&show, &cluster, NOW, &seen);
    cluster.is_lapsed = true;
    cluster_show(&show, &cluster, at(10), &seen);
    assert_int_equal(seen.state, NODE_RESTING);
    assert_int_equal(seen.since.us, at(10).us);
    assert_true(instant_is_never(seen.valid_until));
    cluster_show(&show, &cluster, at(12), &seen);
    assert_int_equal(seen.since.us, at(10).us);
    cluster.session = 0; /* ended by others */
    cluster_show(&show, &cluster, at(13), &seen);
    assert_int_equal(seen.state, NODE_RESTING);
    cluster.is_lapsed = false;
    cluster.is_leaving = true;
    cluster_show(&show, &cluster, at(15), &seen);
    assert_int_equal(seen.state, NODE_LEAVING);
    assert_int_equal(seen.since.us, at(15).us);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_before_it_is_let_in, fresh),
        cmocka_unit_test_setup(test_a_member, fresh),
        cmocka_unit_test_setup(test_what_the_shell_said_stays, fresh),
        cmocka_unit_test_setup(test_free_slots, fresh),
        cmocka_unit_test_setup(test_states, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
