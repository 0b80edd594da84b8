/* Shares of slots: exact, still where nothing changes, and with the fewest moves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/prng.h"
#include "cluster/balance.h"
#include <string.h>

static struct cluster_view view;
static struct balance balance;

static int set_up(void **state)
{
    (void)state;
    memset(&view, 0, sizeof view);
    return 0;
}

static void join(uint64_t session, uint32_t capacity)
{
    view.members[view.member_count++] =
        (struct cluster_member){.session = session, .renewals = 1, .capacity = capacity};
}

static uint32_t owned(uint64_t session)
{
    uint32_t count = 0;
    for (int slot = 0; slot < MINT_SLOTS; slot++)
        count += view.leases[slot].session == session;
    return count;
}

/* One round of what all nodes do: they give what they have too many of, and take what is free. */
static uint32_t play_round(void)
{
    uint16_t claims[CLUSTER_NODES_MAX][MINT_SLOTS];
    uint32_t counts[CLUSTER_NODES_MAX], moves = 0;
    balance_compute(&balance, &view);
    for (uint32_t i = 0; i < view.member_count; i++)
        counts[i] = balance_claims(&balance, &view, i, claims[i]);
    for (uint32_t i = 0; i < view.member_count; i++)
        for (uint32_t k = 0; k < counts[i]; k++) {
            assert_true(cluster_view_is_free(&view, claims[i][k])); /* nobody else's */
            view.leases[claims[i][k]].session = view.members[i].session;
        }
    for (uint32_t i = 0; i < view.member_count; i++) {
        uint32_t surplus = balance_surplus(&balance, &view, i);
        for (uint16_t slot = MINT_SLOTS; slot-- > 0 && surplus > 0;)
            if (view.leases[slot].session == view.members[i].session) {
                view.leases[slot].session = 0;
                surplus--;
                moves++;
            }
    }
    return moves;
}

/* Until it is still; returns how many slots were given away. */
static uint32_t settle(void)
{
    uint32_t moves = 0;
    for (int round = 0; round < 4; round++)
        moves += play_round();
    assert_int_equal(play_round(), 0);
    for (uint16_t slot = 0; slot < MINT_SLOTS; slot++)
        assert_false(cluster_view_is_free(&view, slot));
    return moves;
}

static void one_node_takes_all(void **state)
{
    (void)state;
    join(7, 100);
    assert_int_equal(settle(), 0);
    assert_int_equal(owned(7), MINT_SLOTS);
}

static void shares_are_in_proportion_to_capacity(void **state)
{
    (void)state;
    join(1, 100);
    join(2, 200);
    join(3, 725);
    settle();
    assert_int_equal(owned(1), 100); /* 1,024 · 100/1,025 = 99.9 */
    assert_int_equal(owned(2), 200); /* 199.8 */
    assert_int_equal(owned(3), 724); /* 724.3 */
}

/* Whatever the capacities: within one slot of the exact share. */
static void shares_are_exact_within_a_slot(void **state)
{
    (void)state;
    struct prng prng;
    prng_seed(&prng, 3);
    for (int round = 0; round < 200; round++) {
        uint64_t sum = 0;
        set_up(NULL);
        uint32_t nodes = 1 + (uint32_t)prng_below(&prng, CLUSTER_NODES_MAX);
        for (uint32_t i = 0; i < nodes; i++) {
            join(i + 1, 1 + (uint32_t)prng_below(&prng, round % 2 ? 10 : UINT32_MAX));
            sum += view.members[i].capacity;
        }
        settle();
        for (uint32_t i = 0; i < nodes; i++) {
            double exact = (double)view.members[i].capacity * MINT_SLOTS / (double)sum;
            assert_true(owned(i + 1) > exact - 1.001 && owned(i + 1) < exact + 1.001);
        }
    }
}

static void who_joins_costs_only_its_own_share(void **state)
{
    (void)state;
    join(1, 10);
    join(2, 10);
    join(3, 10);
    settle();
    join(4, 10);
    assert_int_equal(settle(), 256);
    assert_int_equal(owned(4), 256);
}

static void who_dies_costs_no_move_of_others(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 4; i++)
        join(i, 10);
    settle();
    struct cluster_view before = view;
    view.member_count--; /* 4 */
    assert_int_equal(settle(), 0);
    for (int slot = 0; slot < MINT_SLOTS; slot++)
        if (before.leases[slot].session != 4)
            assert_int_equal(view.leases[slot].session, before.leases[slot].session);
}

static void who_leaves_gives_everything(void **state)
{
    (void)state;
    join(1, 10);
    join(2, 10);
    settle();
    view.members[0].is_leaving = true;
    assert_int_equal(settle(), 512);
    assert_int_equal(owned(2), MINT_SLOTS);
    view.members[1].is_leaving = true; /* nobody is left to take them */
    play_round();
    assert_int_equal(owned(0), MINT_SLOTS);
}

static void who_can_fetch_nothing_gets_nothing(void **state)
{
    (void)state;
    join(1, 10);
    join(2, 0);
    settle();
    assert_int_equal(owned(1), MINT_SLOTS);
    view.members[0].capacity = 0; /* nobody can: all the same */
    settle();
    assert_int_equal(owned(1), 512);
    assert_int_equal(owned(2), 512);
}

static void who_has_not_renewed_yet_gets_nothing(void **state)
{
    (void)state;
    join(1, 10);
    join(2, 10);
    view.members[1].renewals = 0;
    settle();
    assert_int_equal(owned(1), MINT_SLOTS);
}

static void small_changes_move_nothing(void **state)
{
    (void)state;
    join(1, 1000);
    join(2, 1000);
    settle();
    view.members[0].capacity = 1030; /* 519.6 and 504.4 of 512: 1.5 % */
    assert_int_equal(settle(), 0);
    view.members[0].capacity = 1100; /* 536.4: 4.6 % */
    assert_int_equal(settle(), 24);
    assert_int_equal(owned(1), 536);
}

static void the_source_stays_where_it_can(void **state)
{
    (void)state;
    assert_int_equal(balance_source(&view), 0);
    join(3, 10);
    join(5, 10);
    assert_int_equal(balance_source(&view), 3);
    view.leases[LEASE_SOURCE].session = 5;
    assert_int_equal(balance_source(&view), 5);
    view.members[1].capacity = 0; /* it can fetch nothing */
    assert_int_equal(balance_source(&view), 3);
    view.members[0].is_leaving = true; /* better it than nobody */
    assert_int_equal(balance_source(&view), 5);
    view.members[1].is_leaving = true;
    assert_int_equal(balance_source(&view), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(one_node_takes_all, set_up),
        cmocka_unit_test_setup(shares_are_in_proportion_to_capacity, set_up),
        cmocka_unit_test_setup(shares_are_exact_within_a_slot, set_up),
        cmocka_unit_test_setup(who_joins_costs_only_its_own_share, set_up),
        cmocka_unit_test_setup(who_dies_costs_no_move_of_others, set_up),
        cmocka_unit_test_setup(who_leaves_gives_everything, set_up),
        cmocka_unit_test_setup(who_can_fetch_nothing_gets_nothing, set_up),
        cmocka_unit_test_setup(who_has_not_renewed_yet_gets_nothing, set_up),
        cmocka_unit_test_setup(small_changes_move_nothing, set_up),
        cmocka_unit_test_setup(the_source_stays_where_it_can, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
