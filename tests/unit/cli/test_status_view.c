/* What `moonwatch ctl status` says of nodes. */
#include "cli/status_view.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW ((instant){1750000000000000LL})

static struct status_page page;

static int fresh(void **state)
{
    (void)state;
    status_page_init(&page);
    return 0;
}

static instant at(double s)
{
    return instant_add(NOW, duration_s(s));
}

static struct page_cluster two_nodes(void)
{
    struct page_cluster cluster = {.state = NODE_WORKING,
                                   .name = "oslo",
                                   .session = 9,
                                   .lease_s = 10,
                                   .valid_until = at(7.5),
                                   .exchanges = 1000,
                                   .failures = 3,
                                   .behind_s = 0.4,
                                   .mine = 500,
                                   .others = 512,
                                   .free = 12,
                                   .free_s = 2.5,
                                   .count = 2,
                                   .source = 1};
    cluster.members[0] = (struct page_node){.session = 7,
                                            .name = "be\x1b[2Jrlin",
                                            .silent_s = 1.5,
                                            .clock_offset_s = -0.25,
                                            .capacity = 300,
                                            .slots = 512,
                                            .is_leaving = 1};
    cluster.members[1] = (struct page_node){.session = 9,
                                            .name = "oslo",
                                            .clock_offset_s = NAN,
                                            .capacity = 100,
                                            .slots = 500,
                                            .is_self = 1};
    return cluster;
}

/* To be freed. */
static char *print(void)
{
    char *text = NULL;
    size_t length = 0;
    FILE *out = open_memstream(&text, &length);
    assert_non_null(out);
    status_print(out, &page, NOW);
    assert_int_equal(fclose(out), 0);
    return text;
}

static void expect_in(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("no '%s' in:\n%s", part, text);
}

static void test_a_lone_daemon(void **state)
{
    (void)state;
    struct json json = {0};
    char *text = print();
    assert_null(strstr(text, "Nodes"));
    free(text);
    status_json(&json, &page, NOW);
    expect_in(json.text, "\"node\":null");
    json_finish(&json);
}

static void test_nodes(void **state)
{
    (void)state;
    struct page_cluster cluster = two_nodes();
    strcpy(cluster.message, "the server closed the connection");
    cluster_publish(&page, &cluster);
    char *text = print();
    expect_in(text, "\nNodes ");
    expect_in(text, "75.0 %"); /* of the capacity */
    expect_in(text, "-0.250 s");
    expect_in(text, "leaves");
    expect_in(text, "this one has the source");
    expect_in(text, "working, 500 slots, lease time 7.5 s of 10 s; follows 0.4 s behind");
    expect_in(text, "3 of 1000 exchanges failed");
    expect_in(text, "12 slots are nobody's, the longest for 2.5 s");
    expect_in(text, "the server closed the connection");
    assert_null(strchr(text, '\x1b')); /* a stranger's name */
    free(text);
}

static void test_nodes_for_scripts(void **state)
{
    (void)state;
    struct page_cluster cluster = two_nodes();
    struct json json = {0};
    cluster.state = NODE_RESTING;
    cluster.valid_until = INSTANT_NEVER;
    cluster_publish(&page, &cluster);
    status_json(&json, &page, NOW);
    expect_in(json.text,
              "\"node\":{\"name\":\"oslo\",\"state\":\"resting\",\"slots\":500,"
              "\"slots_free\":12,\"lease_left_s\":0,\"behind_s\":0.4,"
              "\"exchanges\":1000,\"exchanges_failed\":3,\"failure\":\"\",\"members\":[");
    expect_in(json.text, "\"session\":9,\"is_self\":true,\"is_leaving\":false,"
                         "\"holds_source\":true,\"capacity_per_second\":100,\"slots\":500,"
                         "\"renewed_s\":0,\"clock_offset_s\":null}]}");
    json_finish(&json);
    char *text = print();
    expect_in(text, "resting, 500 slots, lease time over; follows");
    free(text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_a_lone_daemon, fresh),
        cmocka_unit_test_setup(test_nodes, fresh),
        cmocka_unit_test_setup(test_nodes_for_scripts, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
