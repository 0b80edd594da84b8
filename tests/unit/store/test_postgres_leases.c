/* Leases on a real server: exchanges do what the model does (sim/cluster_rows.h), also when several
 * are under way at once; nodes of src/cluster share the slots through it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"

#include "postgres_group.h"

#include "base/prng.h"
#include "sim/cluster_rows.h"
#include "store/postgres_leases.h"
#include "store/postgres_schema.h"
#include <pthread.h>

#define STEPS    150
#define THREADS  4
#define ATTEMPTS 30

static const struct postgres_self SELF = {7, "seven"};
static char schema[32];
static struct postgres_link links[THREADS + 1];
static struct cluster_reply reply, expected;
static struct cluster_request request;

static bool connect_link(struct postgres_link *link)
{
    char url[256];
    server_url(&server, schema, "", url, sizeof url);
    return postgres_link_init(link, url) == OK && postgres_link_connect(link, "test") == OK;
}

static int set_up(void **state)
{
    (void)state;
    if (!server_add_schema(&server, schema))
        return -1;
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
        if (!connect_link(&links[i]))
            return -1;
    struct postgres_schema made;
    return postgres_schema_open(&links[0], &made) == OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof links / sizeof links[0]; i++)
        postgres_link_close(&links[i]);
    return 0;
}

static void exchange(struct postgres_link *link)
{
    enum err err = postgres_leases_exchange(link, &SELF, &request, &reply);
    if (err != OK)
        fail_msg("%s", link->message);
}

static uint64_t join(uint64_t nonce)
{
    memset(&request, 0, sizeof request);
    request.number = 1;
    request.nonce = nonce;
    request.capacity = 1000;
    exchange(&links[0]);
    return reply.session;
}

/* ---- the model ---- */

/* Something of everything, with wrong sessions, generations and numbers among it. */
static void draw_request(struct prng *prng, const struct cluster_view *view, uint64_t number)
{
    memset(&request, 0, sizeof request);
    request.number = prng_below(prng, 10) == 0 ? number / 2 : number;
    request.nonce = 1 + prng_below(prng, 80);
    if (prng_below(prng, 3) == 0)
        request.replaces = prng_below(prng, 20);
    else if (view->member_count > 0)
        request.session = view->members[prng_below(prng, view->member_count)].session;
    request.session += prng_below(prng, 20) == 0;
    request.is_renewal = prng_below(prng, 2);
    request.capacity = (uint32_t)prng_next(prng);
    request.is_leaving = prng_below(prng, 4) == 0;
    request.is_last = prng_below(prng, 25) == 0;
    for (uint32_t i = 0; i < view->member_count && prng_below(prng, 6) == 0; i++) {
        uint64_t session = view->members[i].session;
        if (session == request.session)
            continue; /* nobody ends itself so */
        request.ends[request.end_count].session = session;
        request.ends[request.end_count++].renewals =
            view->members[i].renewals + (prng_below(prng, 2) == 0);
    }
    for (uint16_t lease = 0; lease < LEASE_COUNT; lease++) {
        struct cluster_change change = {lease, view->leases[lease].generation};
        change.generation += prng_below(prng, 30) == 0;
        if (prng_below(prng, 8) == 0)
            request.claims[request.claim_count++] = change;
        else if (prng_below(prng, 8) == 0)
            request.releases[request.release_count++] = change;
    }
}

static void expect_same_view(const struct cluster_view *a, const struct cluster_view *b)
{
    assert_int_equal(a->member_count, b->member_count);
    for (uint32_t i = 0; i < a->member_count; i++) {
        assert_int_equal(a->members[i].session, b->members[i].session);
        assert_int_equal(a->members[i].renewals, b->members[i].renewals);
        assert_int_equal(a->members[i].capacity, b->members[i].capacity);
        assert_int_equal(a->members[i].is_leaving, b->members[i].is_leaving);
    }
    for (int lease = 0; lease < LEASE_COUNT; lease++) {
        assert_int_equal(a->leases[lease].session, b->leases[lease].session);
        assert_int_equal(a->leases[lease].generation, b->leases[lease].generation);
    }
}

/* Sessions are numbered alike while no join is refused or repeated: the server's sequence may skip
 * some, so the model is told where it stands. */
static void an_exchange_does_what_the_model_does(void **state)
{
    (void)state;
    static struct cluster_rows rows;
    struct prng prng;
    memset(&rows, 0, sizeof rows);
    prng_seed(&prng, 1);
    for (uint64_t step = 1; step <= STEPS; step++) {
        draw_request(&prng, &rows.view, step);
        exchange(&links[step % THREADS]);
        if (request.session == 0 && reply.session > rows.last_session)
            rows.last_session = reply.session - 1;
        cluster_rows_exchange(&rows, &request, &expected);
        assert_int_equal(reply.number, request.number);
        assert_int_equal(reply.outcome, expected.outcome);
        assert_int_equal(reply.session, expected.session);
        expect_same_view(&reply.view, &expected.view);
    }
}

static void a_full_cluster_lets_nobody_in(void **state)
{
    (void)state;
    for (uint64_t nonce = 1; nonce <= CLUSTER_NODES_MAX; nonce++)
        assert_true(join(nonce) > 0);
    assert_int_equal(join(1000), 0);
    assert_int_equal(reply.outcome, CLUSTER_FULL);
    assert_int_equal(reply.view.member_count, CLUSTER_NODES_MAX);
}

/* ---- at once ---- */

struct claimer {
    pthread_t thread;
    struct postgres_link *link;
    uint64_t session;
    uint32_t claimed; /* generations that it made */
    struct cluster_request request;
    struct cluster_reply reply;
    enum err err;
};

/* Claims all that is free, and releases all that it has. */
static void *claim_and_release(void *argument)
{
    struct claimer *claimer = argument;
    struct cluster_request *own = &claimer->request;
    for (uint64_t i = 0; i < ATTEMPTS && claimer->err == OK; i++) {
        const struct cluster_view *view = &claimer->reply.view;
        memset(own, 0, sizeof *own);
        own->session = claimer->session;
        own->number = 2 + i;
        for (uint16_t lease = 0; lease < LEASE_COUNT; lease++) {
            struct cluster_change change = {lease, view->leases[lease].generation};
            if (view->leases[lease].session == claimer->session)
                own->releases[own->release_count++] = change;
            else
                own->claims[own->claim_count++] = change;
        }
        claimer->err = postgres_leases_exchange(claimer->link, &SELF, own, &claimer->reply);
        for (uint16_t lease = 0; lease < LEASE_COUNT; lease++)
            claimer->claimed += view->leases[lease].session == claimer->session;
        /* What it had before was released, so all that it has now is newly claimed. */
    }
    return NULL;
}

static void a_lease_goes_to_one_of_many(void **state)
{
    (void)state;
    static struct claimer claimers[THREADS];
    uint64_t generations = 0, claimed = 0;
    memset(claimers, 0, sizeof claimers);
    for (int i = 0; i < THREADS; i++) {
        claimers[i].session = join(100 + (uint64_t)i);
        claimers[i].link = &links[i + 1];
        claimers[i].reply = reply;
    }
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&claimers[i].thread, NULL, claim_and_release, &claimers[i]),
                         0);
    for (int i = 0; i < THREADS; i++)
        pthread_join(claimers[i].thread, NULL);
    for (int i = 0; i < THREADS; i++) {
        if (claimers[i].err != OK)
            fail_msg("%s", claimers[i].link->message);
        claimed += claimers[i].claimed;
    }
    join(100);
    for (int lease = 0; lease < LEASE_COUNT; lease++)
        generations += reply.view.leases[lease].generation;
    assert_int_equal(claimed, generations); /* each was somebody's, once */
    assert_true(claimed > LEASE_COUNT);
}

/* ---- writers ---- */

static void a_writer_holds_what_it_writes_about(void **state)
{
    (void)state;
    uint64_t session = join(7), other = join(8);
    bool holds[2];
    memset(&request, 0, sizeof request);
    request.session = session;
    request.number = 2;
    request.claim_count = 2;
    request.claims[0] = (struct cluster_change){5, 0};
    request.claims[1] = (struct cluster_change){6, 0};
    exchange(&links[0]);
    const struct cluster_change own[] = {{5, 1}, {6, 1}}, old[] = {{5, 1}, {6, 0}};
    assert_int_equal(postgres_link_run(&links[1], "BEGIN", "try"), OK);
    assert_int_equal(postgres_leases_hold(&links[1], old, 2, holds), OK);
    assert_true(holds[0]);
    assert_false(holds[1]);
    assert_int_equal(postgres_leases_hold(&links[1], own, 2, holds), OK);
    assert_true(holds[0] && holds[1]);
    /* Its session is ended while it writes: nobody takes the slot before it has committed. */
    memset(&request, 0, sizeof request);
    request.session = other;
    request.number = 2;
    request.end_count = 1;
    request.ends[0].session = session;
    request.claim_count = 1;
    request.claims[0] = (struct cluster_change){5, 1};
    exchange(&links[0]);
    assert_int_equal(reply.view.member_count, 1);
    assert_int_equal(reply.view.leases[5].session, session);
    assert_int_equal(postgres_link_run(&links[1], "COMMIT", "try"), OK);
    request.number = 3;
    exchange(&links[0]);
    assert_int_equal(reply.view.leases[5].session, other);
    assert_int_equal(postgres_leases_hold(&links[1], own, 2, holds), OK);
    assert_false(holds[0]);
    assert_true(holds[1]);
}

static void a_server_that_is_gone_is_a_failure(void **state)
{
    (void)state;
    join(7);
    server_kill(&server, SIGKILL);
    memset(&request, 0, sizeof request);
    request.session = 1;
    request.number = 9;
    assert_true(postgres_leases_exchange(&links[0], &SELF, &request, &reply) != OK);
    assert_int_equal(reply.outcome, CLUSTER_FAILED);
    assert_int_equal(reply.number, 9);
    assert_true(server_start(&server));
    assert_true(connect_link(&links[0]));
    request.is_renewal = true;
    exchange(&links[0]); /* who had joined is there */
    assert_int_equal(reply.view.member_count, 1);
    assert_int_equal(reply.view.members[0].renewals, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_exchange_does_what_the_model_does, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_cluster_lets_nobody_in, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lease_goes_to_one_of_many, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_writer_holds_what_it_writes_about, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_server_that_is_gone_is_a_failure, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, server_start_group, server_stop_group);
}
