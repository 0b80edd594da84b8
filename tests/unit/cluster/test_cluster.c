/* A node's part in a cluster, step by step: two nodes, each with a clock of its own, and the rows
 * of a database as a model (sim/cluster_rows.h). The simulator does the rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "cluster/cluster.h"
#include "sim/cluster_rows.h"
#include <stdlib.h>
#include <string.h>

#define START   ((instant){1750000000000000LL})
#define LOOK_S  0.5
#define OWNER_S 9.3  /* 10 s less 2 % and a look */
#define WATCH_S 10.2 /* 10 s and 2 % */

struct node {
    struct cluster cluster;
    struct cluster_actions actions;
    struct cluster_request request; /* the newest */
    uint64_t nonce;
    unsigned requests, begun, drains, stopped, lapsed, renewed, left, unbroken;
    bool is_cut;       /* nothing reaches the database */
    bool holds_drains; /* what it is to drain stays under way */
    bool follows_not;  /* applies no log */
};

static struct node a, b;
static struct cluster_rows rows;
static struct cluster_reply reply;
static instant now;

static void note_actions(struct node *node)
{
    for (uint32_t i = 0; i < node->actions.count; i++) {
        const struct cluster_action *action = &node->actions.items[i];
        node->begun += action->kind == CLUSTER_BEGIN;
        node->unbroken += action->kind == CLUSTER_BEGIN && action->is_unbroken;
        node->drains += action->kind == CLUSTER_DRAIN;
        node->stopped += action->kind == CLUSTER_STOP;
        node->lapsed += action->kind == CLUSTER_LAPSED;
        node->renewed += action->kind == CLUSTER_RENEWED;
        node->left += action->kind == CLUSTER_LEFT;
        if (action->kind == CLUSTER_EXCHANGE) {
            node->requests++;
            node->request = *action->request;
        }
    }
}

static void step(struct node *node, struct cluster_event event)
{
    event.now = now;
    cluster_step(&node->cluster, &event, &node->actions);
    note_actions(node);
}

static void step_kind(struct node *node, enum cluster_event_kind kind)
{
    step(node, (struct cluster_event){.kind = kind});
}

static void answer(struct node *node)
{
    cluster_rows_exchange(&rows, &node->request, &reply);
    step(node, (struct cluster_event){.kind = CLUSTER_REPLIED, .reply = &reply});
}

static void drain(struct node *node)
{
    for (uint16_t lease = 0; lease < LEASE_COUNT && !node->holds_drains; lease++)
        if (cluster_lease_state(&node->cluster, lease) == LEASE_DRAINING)
            step(node, (struct cluster_event){.kind = CLUSTER_DRAINED, .lease = lease});
}

/* Everything that a node can do at this moment, answered at once. */
static void turn(struct node *node)
{
    if (node->nonce == 0)
        return;
    for (unsigned tries = 0; tries < 8; tries++) {
        unsigned before = node->requests;
        if (!instant_before(now, cluster_deadline(&node->cluster)))
            step_kind(node, CLUSTER_TIME);
        if (node->cluster.under_way != 0 && !node->is_cut)
            answer(node);
        if (!node->follows_not)
            step(node,
                 (struct cluster_event){.kind = CLUSTER_APPLIED, .position = rows.view.log_at});
        drain(node);
        if (before == node->requests && (node->cluster.under_way == 0 || node->is_cut))
            return;
    }
}

/* In steps that are shorter than anything the nodes do. */
static void pass(double seconds)
{
    for (instant end = instant_add(now, duration_s(seconds)); instant_before(now, end);) {
        now = instant_add(now, duration_ms(10));
        turn(&a);
        turn(&b);
    }
}

static void start_as(struct node *node, uint64_t nonce, uint64_t replaces, uint32_t capacity)
{
    const struct cluster_options options = {
        .lease = CLUSTER_LEASE_DEFAULT, .nonce = nonce, .replaces = replaces, .capacity = capacity};
    memset(node, 0, sizeof *node);
    node->nonce = nonce;
    cluster_init(&node->cluster, &options, now);
    turn(node);
}

static int set_up(void **state)
{
    (void)state;
    memset(&rows, 0, sizeof rows);
    memset(&a, 0, sizeof a);
    memset(&b, 0, sizeof b);
    rows.view.log_at = 5;
    now = START;
    start_as(&a, 100, 0, 1000);
    return 0;
}

static unsigned works(const struct node *node)
{
    unsigned count = 0;
    for (uint16_t slot = 0; slot < MINT_SLOTS; slot++)
        count += cluster_may_work(&node->cluster, slot, now);
    return count;
}

/* ---- alone ---- */

static void alone_it_takes_everything(void **state)
{
    (void)state;
    assert_int_equal(works(&a), MINT_SLOTS);
    assert_true(cluster_may_work(&a.cluster, LEASE_SOURCE, now));
    assert_int_equal(a.begun, LEASE_COUNT);
    assert_int_equal(a.renewed, 1);
    assert_int_equal(a.unbroken, 0);
    assert_int_equal(cluster_generation(&a.cluster, 0), 1);
}

static void it_looks_often_and_renews_at_a_third(void **state)
{
    (void)state;
    unsigned requests = a.requests;
    uint64_t renewals = rows.view.members[0].renewals;
    pass(20);
    assert_in_range(a.requests - requests, 39, 41);
    assert_in_range(rows.view.members[0].renewals - renewals, 5, 6);
    assert_int_equal(a.lapsed, 0);
}

static void it_counts_its_lease_from_before_it_asked(void **state)
{
    (void)state;
    pass(3.2);
    a.is_cut = true;
    pass(0.4);
    assert_true(a.request.is_renewal);
    instant sent_at = a.cluster.sent_at;
    pass(4); /* and is answered late */
    a.is_cut = false;
    answer(&a);
    a.is_cut = true;
    now = instant_add(sent_at, duration_s(OWNER_S - 0.01));
    assert_true(cluster_may_work(&a.cluster, 3, now));
    assert_true(cluster_may_take(&a.cluster, 3, 1, now));
    assert_false(cluster_may_take(&a.cluster, 3, 2, now)); /* another generation's */
    now = instant_add(sent_at, duration_s(OWNER_S));
    assert_false(cluster_may_work(&a.cluster, 3, now));
    assert_false(cluster_may_take(&a.cluster, 3, 1, now));
    step_kind(&a, CLUSTER_TIME);
    assert_int_equal(a.lapsed, 1);
}

static void a_look_that_is_no_renewal_prolongs_nothing(void **state)
{
    (void)state;
    pass(1);
    assert_false(a.request.is_renewal);
    instant until = a.cluster.valid_until;
    pass(1);
    assert_int_equal(a.cluster.valid_until.us, until.us);
}

static void a_database_that_is_gone_costs_the_lease_time_only(void **state)
{
    (void)state;
    a.is_cut = true;
    pass(60);
    assert_int_equal(works(&a), 0);
    assert_int_equal(a.lapsed, 1);
    assert_int_equal(a.stopped, 0);
    a.is_cut = false;
    pass(6);
    assert_int_equal(works(&a), MINT_SLOTS); /* nobody had them meanwhile */
    assert_int_equal(a.renewed, 2);
    assert_int_equal(cluster_generation(&a.cluster, 0), 1);
}

static void what_fails_is_asked_again_a_look_later(void **state)
{
    (void)state;
    a.is_cut = true;
    while (a.cluster.under_way == 0)
        pass(0.01);
    unsigned requests = a.requests;
    uint64_t failures = a.cluster.stats.failures;
    reply = (struct cluster_reply){.number = a.request.number, .outcome = CLUSTER_FAILED};
    step(&a, (struct cluster_event){.kind = CLUSTER_REPLIED, .reply = &reply});
    assert_int_equal(a.cluster.stats.failures, failures + 1);
    assert_int_equal(a.requests, requests);
    pass(LOOK_S);
    assert_int_equal(a.requests, requests + 1);
}

static void an_answer_to_what_was_given_up_says_nothing(void **state)
{
    (void)state;
    a.is_cut = true;
    while (!a.request.is_renewal || a.cluster.under_way == 0)
        pass(0.01);
    cluster_rows_exchange(&rows, &a.request, &reply);
    instant until = a.cluster.valid_until;
    pass(5.1); /* half a lease time */
    assert_true(a.request.number > reply.number);
    step(&a, (struct cluster_event){.kind = CLUSTER_REPLIED, .reply = &reply});
    assert_int_equal(a.cluster.valid_until.us, until.us);
}

static void a_notice_makes_it_look_at_once(void **state)
{
    (void)state;
    pass(0.1);
    unsigned requests = a.requests;
    step_kind(&a, CLUSTER_NOTIFIED);
    assert_int_equal(a.requests, requests + 1);
    step_kind(&a, CLUSTER_NOTIFIED); /* one is under way */
    assert_int_equal(a.requests, requests + 1);
}

static void a_full_cluster_lets_nobody_in(void **state)
{
    (void)state;
    while (rows.view.member_count < CLUSTER_NODES_MAX) {
        const struct cluster_request join = {.nonce = 1000 + rows.view.member_count};
        cluster_rows_exchange(&rows, &join, &reply);
    }
    start_as(&b, 200, 0, 1000);
    assert_int_equal(b.cluster.session, 0);
    assert_int_equal(b.cluster.stats.failures, 1);
    pass(12); /* the others never renew */
    assert_true(b.cluster.session != 0);
}

/* ---- two ---- */

static void who_joins_gets_its_share(void **state)
{
    (void)state;
    start_as(&b, 200, 0, 1000);
    pass(8);
    assert_int_equal(works(&a), 512);
    assert_int_equal(works(&b), 512);
    assert_int_equal(a.stopped, 0); /* each was drained */
    assert_int_equal(a.drains, 512);
    assert_true(cluster_may_work(&a.cluster, LEASE_SOURCE, now)); /* stays */
}

static void few_are_handed_over_at_a_time(void **state)
{
    (void)state;
    a.holds_drains = true;
    start_as(&b, 200, 0, 1000);
    pass(30);
    assert_int_equal(a.drains, CLUSTER_MOVES_MAX);
    assert_int_equal(works(&a), MINT_SLOTS - CLUSTER_MOVES_MAX);
    assert_int_equal(works(&b), 0);
    uint16_t draining = MINT_SLOTS - 1;
    assert_int_equal(cluster_lease_state(&a.cluster, draining), LEASE_DRAINING);
    assert_true(cluster_may_take(&a.cluster, draining, 1, now)); /* what was under way */
}

static void nobody_begins_before_the_log_is_applied(void **state)
{
    (void)state;
    start_as(&b, 200, 0, 1000);
    b.follows_not = true;
    b.cluster.applied = 0;
    rows.view.log_at = 77;
    pass(5);
    assert_int_equal(works(&b), 0);
    uint16_t slot = MINT_SLOTS - 1;
    assert_int_equal(cluster_lease_state(&b.cluster, slot), LEASE_CATCHING_UP);
    step(&b, (struct cluster_event){.kind = CLUSTER_APPLIED, .position = 76});
    assert_int_equal(works(&b), 0);
    step(&b, (struct cluster_event){.kind = CLUSTER_APPLIED, .position = 77});
    assert_true(cluster_may_work(&b.cluster, slot, now));
}

/* Nothing was sent for it, so nothing must be waited for. */
static void what_was_never_begun_is_given_back_at_once(void **state)
{
    (void)state;
    start_as(&b, 200, 0, 1000);
    b.follows_not = true;
    b.cluster.applied = 0;
    pass(5);
    assert_true(cluster_lease_state(&b.cluster, MINT_SLOTS - 1) == LEASE_CATCHING_UP);
    step_kind(&b, CLUSTER_LEAVE);
    pass(2);
    assert_int_equal(b.drains, 0);
    assert_int_equal(b.left, 1);
    assert_int_equal(works(&a), MINT_SLOTS);
}

static void who_is_cut_off_stops_before_the_other_begins(void **state)
{
    (void)state;
    start_as(&b, 200, 0, 1000);
    pass(20);
    a.is_cut = true;
    instant cut_at = now;
    while (works(&a) > 0) {
        assert_int_equal(works(&b), 512);
        pass(0.01);
    }
    while (works(&b) < MINT_SLOTS)
        pass(0.01);
    assert_true(duration_to_s(instant_diff(now, cut_at)) < WATCH_S + 2 * LOOK_S + 0.1);
    assert_int_equal(b.cluster.stats.ended, 1);
    assert_true(cluster_may_work(&b.cluster, LEASE_SOURCE, now));
    a.is_cut = false; /* it learns that it has nothing, and begins anew */
    pass(10);
    assert_int_equal(a.stopped, 513);
    assert_int_equal(works(&a), 512);
    assert_int_equal(a.cluster.stats.sessions, 2);
}

/* A clock that jumps is worth one look. */
static void a_jump_ends_nobody(void **state)
{
    (void)state;
    start_as(&b, 200, 0, 1000);
    pass(20);
    struct node kept = a; /* it does not hear of it: its clock does not jump */
    a.nonce = 0;
    now = instant_add(now, duration_s(3600));
    pass(2);
    assert_int_equal(b.cluster.stats.ended, 0);
    assert_int_equal(rows.view.member_count, 2);
    a = kept;
    now = instant_add(now, duration_s(0.1));
    pass(20); /* it has lapsed by this clock, and is renewed */
    assert_int_equal(rows.view.member_count, 2);
}

/* It was dead for who watched; and then it renewed. */
static void who_renews_in_time_is_not_ended(void **state)
{
    (void)state;
    start_as(&b, 200, 0, 1000);
    pass(20);
    a.nonce = 0; /* stands still */
    b.is_cut = true;
    for (unsigned looks = 0; looks < 21; looks++) { /* looks that reach the database by hand */
        now = instant_add(now, duration_s(LOOK_S));
        step_kind(&b, CLUSTER_TIME);
        if (b.request.end_count > 0)
            break;
        answer(&b);
    }
    while (b.request.end_count == 0) {
        now = instant_add(now, duration_s(LOOK_S));
        step_kind(&b, CLUSTER_TIME);
        if (b.request.end_count == 0)
            answer(&b);
    }
    rows.view.members[0].renewals++;
    answer(&b);
    assert_int_equal(rows.view.member_count, 2);
}

static void who_leaves_hands_back_at_once(void **state)
{
    (void)state;
    start_as(&b, 200, 0, 1000);
    pass(20);
    step_kind(&a, CLUSTER_LEAVE);
    pass(2);
    assert_int_equal(a.left, 1);
    assert_int_equal(works(&b), MINT_SLOTS);
    assert_true(cluster_may_work(&b.cluster, LEASE_SOURCE, now));
    assert_int_equal(rows.view.member_count, 1);
    unsigned requests = a.requests;
    step_kind(&a, CLUSTER_NOTIFIED); /* it has left for good */
    pass(20);
    assert_int_equal(a.requests, requests);
    assert_int_equal(a.left, 1);
    assert_int_equal(cluster_deadline(&a.cluster).us, INSTANT_FAR.us);
}

/* The answer to its first exchange of the session comes when it is to leave already. */
static void who_leaves_without_leases_leaves(void **state)
{
    (void)state;
    memset(&b, 0, sizeof b);
    b.is_cut = true;
    const struct cluster_options options = {
        .lease = CLUSTER_LEASE_DEFAULT, .nonce = 300, .capacity = 10};
    cluster_init(&b.cluster, &options, now);
    b.nonce = 300;
    turn(&b);
    step_kind(&b, CLUSTER_LEAVE);
    b.is_cut = false;
    pass(3);
    assert_int_equal(b.left, 1);
    assert_int_equal(b.begun, 0);
    assert_int_equal(rows.view.member_count, 1);
}

static void capacity_moves_slots(void **state)
{
    (void)state;
    start_as(&b, 200, 0, 1000);
    pass(20);
    step(&a, (struct cluster_event){.kind = CLUSTER_MEASURED, .capacity = 1020}); /* noise */
    pass(5);
    assert_int_equal(rows.view.members[0].capacity, 1000);
    step(&a, (struct cluster_event){.kind = CLUSTER_MEASURED, .capacity = 3000});
    pass(10);
    assert_int_equal(works(&a), 768);
    assert_int_equal(works(&b), 256);
    step(&a, (struct cluster_event){.kind = CLUSTER_MEASURED, .capacity = 0}); /* no market */
    pass(4); /* all at once, and the source */
    assert_int_equal(works(&b), MINT_SLOTS);
    assert_true(cluster_may_work(&b.cluster, LEASE_SOURCE, now));
}

/* ---- starts ---- */

static void a_process_that_is_known_dead_is_replaced_at_once(void **state)
{
    (void)state;
    uint64_t session = a.cluster.session;
    start_as(&a, 101, session, 1000);
    assert_int_equal(works(&a), MINT_SLOTS);
    assert_int_equal(rows.view.member_count, 1);
    assert_int_equal(cluster_generation(&a.cluster, 0), 2);
}

static void a_process_that_may_live_is_waited_for(void **state)
{
    (void)state;
    start_as(&a, 101, 0, 1000);
    pass(9);
    assert_true(works(&a) <= 512); /* free ones there are none */
    pass(3);
    assert_int_equal(works(&a), MINT_SLOTS);
}

/* A request that was given up is done after the next one: as if it had never been sent. */
static void what_comes_after_a_newer_one_is_not_done(void **state)
{
    (void)state;
    pass(3.2);
    a.is_cut = true;
    pass(0.4);
    struct cluster_request old = a.request;
    assert_true(old.is_renewal);
    pass(5.1);
    a.is_cut = false;
    pass(0.1);
    uint64_t renewals = rows.view.members[0].renewals;
    cluster_rows_exchange(&rows, &old, &reply);
    assert_int_equal(rows.view.members[0].renewals, renewals);
}

/* Its session was ended, but nobody else took what it had. */
static void what_nobody_else_had_is_unbroken(void **state)
{
    (void)state;
    const struct cluster_request join = {.nonce = 999};
    cluster_rows_exchange(&rows, &join, &reply);
    const struct cluster_request end = {
        .number = 1,
        .end_count = 1,
        .session = reply.session,
        .ends = {{a.cluster.session, rows.view.members[0].renewals}}};
    cluster_rows_exchange(&rows, &end, &reply);
    pass(2);
    assert_int_equal(works(&a), MINT_SLOTS);
    assert_int_equal(a.unbroken, LEASE_COUNT);
    assert_int_equal(a.stopped, LEASE_COUNT);
}

/* A request that was given up can still be done, later; and a session that nobody uses gets
 * nothing.
 */
static void what_comes_late_does_no_harm(void **state)
{
    (void)state;
    const struct cluster_request join = {.nonce = 555, .capacity = 1000};
    cluster_rows_exchange(&rows, &join, &reply);
    pass(8);
    assert_int_equal(works(&a), MINT_SLOTS);
    pass(4);
    assert_int_equal(rows.view.member_count, 1); /* never renewed, and ended */
    rows.view.leases[9].session = 0;             /* as if a late release … */
    pass(1);
    assert_int_equal(works(&a), MINT_SLOTS); /* … it is lost, and claimed again */
    assert_int_equal(cluster_generation(&a.cluster, 9), 2);
    assert_int_equal(a.stopped, 1);
    assert_false(cluster_rows_let_in(&rows, 9, 1));
    step(&a, (struct cluster_event){.kind = CLUSTER_DRAINED, .lease = 9}); /* nobody asked */
    assert_int_equal(cluster_lease_state(&a.cluster, 9), LEASE_MINE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(alone_it_takes_everything, set_up),
        cmocka_unit_test_setup(it_looks_often_and_renews_at_a_third, set_up),
        cmocka_unit_test_setup(it_counts_its_lease_from_before_it_asked, set_up),
        cmocka_unit_test_setup(a_look_that_is_no_renewal_prolongs_nothing, set_up),
        cmocka_unit_test_setup(a_database_that_is_gone_costs_the_lease_time_only, set_up),
        cmocka_unit_test_setup(what_fails_is_asked_again_a_look_later, set_up),
        cmocka_unit_test_setup(an_answer_to_what_was_given_up_says_nothing, set_up),
        cmocka_unit_test_setup(a_notice_makes_it_look_at_once, set_up),
        cmocka_unit_test_setup(a_full_cluster_lets_nobody_in, set_up),
        cmocka_unit_test_setup(who_joins_gets_its_share, set_up),
        cmocka_unit_test_setup(few_are_handed_over_at_a_time, set_up),
        cmocka_unit_test_setup(nobody_begins_before_the_log_is_applied, set_up),
        cmocka_unit_test_setup(what_was_never_begun_is_given_back_at_once, set_up),
        cmocka_unit_test_setup(who_is_cut_off_stops_before_the_other_begins, set_up),
        cmocka_unit_test_setup(a_jump_ends_nobody, set_up),
        cmocka_unit_test_setup(who_renews_in_time_is_not_ended, set_up),
        cmocka_unit_test_setup(who_leaves_hands_back_at_once, set_up),
        cmocka_unit_test_setup(who_leaves_without_leases_leaves, set_up),
        cmocka_unit_test_setup(capacity_moves_slots, set_up),
        cmocka_unit_test_setup(a_process_that_is_known_dead_is_replaced_at_once, set_up),
        cmocka_unit_test_setup(a_process_that_may_live_is_waited_for, set_up),
        cmocka_unit_test_setup(what_nobody_else_had_is_unbroken, set_up),
        cmocka_unit_test_setup(what_comes_after_a_newer_one_is_not_done, set_up),
        cmocka_unit_test_setup(what_comes_late_does_no_harm, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
