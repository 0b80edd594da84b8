/* What a reader of the page is told of the nodes. */
#include "core/surroundings.h"
#include "page/status_page.h"

#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#define CHANGES 20000

static struct status_page page;

static int fresh(void **state)
{
    (void)state;
    status_page_init(&page);
    return 0;
}

static void test_alone(void **state)
{
    (void)state;
    struct page_cluster seen;
    memset(&seen, 0xff, sizeof seen);
    assert_true(cluster_read(&page, &seen));
    assert_int_equal(seen.state, NODE_ALONE);
    assert_int_equal(seen.count, 0);
    assert_int_equal(seen.source, PAGE_SLOT_FREE);
    assert_true(isnan(seen.behind_s));
    for (int slot = 0; slot < MINT_SLOTS; slot++)
        assert_int_equal(seen.owners[slot], PAGE_SLOT_FREE);
}

static struct page_cluster two_nodes(void)
{
    struct page_cluster cluster = {.state = NODE_WORKING, .name = "b", .session = 9, .count = 2};
    cluster.members[0] = (struct page_node){.session = 7, .name = "a", .clock_offset_s = NAN};
    cluster.members[1] = (struct page_node){.session = 9, .name = "b", .is_self = 1};
    cluster.source = 1;
    memset(cluster.owners + 512, 1, 512);
    return cluster;
}

static void test_the_newest_is_read(void **state)
{
    (void)state;
    struct page_cluster cluster = two_nodes(), seen;
    cluster_publish(&page, &cluster);
    cluster.lapses = 3;
    cluster.owners[0] = PAGE_SLOT_FREE;
    cluster_publish(&page, &cluster);
    assert_true(cluster_read(&page, &seen));
    assert_memory_equal(&seen, &cluster, sizeof seen);
}

/* The page of a dead writer may hold anything. */
static void test_a_damaged_page(void **state)
{
    (void)state;
    struct page_cluster cluster = two_nodes(), seen;
    cluster.state = 77;
    cluster.source = 2;
    cluster.owners[3] = 2;
    memset(cluster.name, 'x', sizeof cluster.name);
    memset(cluster.message, 'x', sizeof cluster.message);
    memset(cluster.members[1].name, 'x', sizeof cluster.members[1].name);
    cluster_publish(&page, &cluster);
    assert_true(cluster_read(&page, &seen));
    assert_int_equal(seen.state, NODE_JOINING);
    assert_int_equal(seen.source, PAGE_SLOT_FREE);
    assert_int_equal(seen.owners[2], 0);
    assert_int_equal(seen.owners[3], PAGE_SLOT_FREE);
    assert_int_equal(seen.owners[1023], 1);
    assert_int_equal(strlen(seen.name), PAGE_NODE_NAME_SIZE - 1);
    assert_int_equal(strlen(seen.message), PAGE_NODE_MESSAGE_SIZE - 1);
    assert_int_equal(strlen(seen.members[1].name), PAGE_NODE_NAME_SIZE - 1);
    cluster.count = UINT32_MAX;
    memset(cluster.owners, 0xfe, sizeof cluster.owners);
    cluster_publish(&page, &cluster);
    assert_true(cluster_read(&page, &seen));
    assert_int_equal(seen.count, PAGE_NODES);
    assert_int_equal(seen.owners[0], PAGE_SLOT_FREE);
}

#define NOW ((instant){1750000000000000LL})

static struct surroundings surround(const struct page_cluster *cluster, double s)
{
    struct surroundings around;
    memset(&around, 0, sizeof around);
    cluster_surround(cluster, instant_add(NOW, duration_s(s)), &around);
    return around;
}

static void test_what_health_is_told(void **state)
{
    (void)state;
    struct page_cluster cluster = two_nodes();
    cluster.since = cluster.answered_at = NOW;
    cluster.unowned = 5;
    cluster.source_free_s = 6;
    cluster.behind_s = 0.5;
    cluster.members[0].clock_offset_s = -1.5;
    cluster.members[1].clock_offset_s = 7; /* its own: it is nobody else's */
    struct surroundings around = surround(&cluster, 2);
    assert_true(around.unheard_s == 2 && around.rests_s == 0 && around.behind_s == 0.5);
    assert_true(around.slots_unowned == 5 && around.source_unowned_s == 6);
    assert_true(around.clock_off_s == 1.5 && isnan(around.outside_s));
    assert_true(around.others_tell == 1); /* the first member is another */
    cluster.members[0].is_leaving = 1;
    assert_true(surround(&cluster, 2).others_tell == 0);
    /* It does not hear of the others any more. */
    cluster.state = NODE_RESTING;
    around = surround(&cluster, 11);
    assert_true(around.unheard_s == 11 && around.rests_s == 11);
    assert_true(isnan(around.slots_unowned) && isnan(around.source_unowned_s));
    assert_true(isnan(around.clock_off_s));
    cluster.state = NODE_JOINING;
    around = surround(&cluster, 4);
    assert_true(around.outside_s == 4 && isnan(around.unheard_s) && isnan(around.behind_s));
    cluster.state = NODE_ALONE;
    around = surround(&cluster, 4);
    assert_true(isnan(around.outside_s) && isnan(around.rests_s) && isnan(around.slots_unowned));
}

static void test_shares(void **state)
{
    (void)state;
    struct page_cluster cluster = two_nodes();
    assert_true(isnan(cluster_share(&cluster, 0)));
    cluster.members[0].capacity = 100;
    cluster.members[1].capacity = 300;
    assert_true(cluster_share(&cluster, 1) == 0.75);
    assert_true(isnan(cluster_clock_off_s(&cluster)));
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(node_state_name(NODE_RESTING), "resting");
    assert_string_equal(node_state_name(NODE_STATE_COUNT), "unknown");
}

static void *write_many(void *context)
{
    struct page_cluster cluster = two_nodes();
    (void)context;
    for (uint64_t i = 1; i <= CHANGES; i++) {
        cluster.exchanges = cluster.members[63].session = i;
        memset(cluster.owners, (int)(i % 2), sizeof cluster.owners);
        cluster_publish(&page, &cluster);
    }
    return NULL;
}

/* All of one look, or all of another. */
static void test_a_reader_sees_one_look(void **state)
{
    (void)state;
    pthread_t writer;
    struct page_cluster first = two_nodes();
    cluster_publish(&page, &first);
    assert_int_equal(pthread_create(&writer, NULL, write_many, NULL), 0);
    for (uint64_t before = 0; before < CHANGES;) {
        struct page_cluster seen;
        if (!cluster_read(&page, &seen) || seen.exchanges == 0)
            continue; /* it changed too fast, or is what was there first */
        assert_true(seen.exchanges >= before);
        assert_true(seen.members[63].session == seen.exchanges);
        assert_int_equal(seen.owners[0], seen.exchanges % 2);
        assert_memory_equal(seen.owners, seen.owners + 1, MINT_SLOTS - 1); /* all the same */
        before = seen.exchanges;
    }
    pthread_join(writer, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_alone, fresh),
        cmocka_unit_test_setup(test_the_newest_is_read, fresh),
        cmocka_unit_test_setup(test_a_damaged_page, fresh),
        cmocka_unit_test(test_what_health_is_told),
        cmocka_unit_test(test_shares),
        cmocka_unit_test(test_names),
        cmocka_unit_test_setup(test_a_reader_sees_one_look, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
