/* `moonwatch size`: the table, which docs/cluster.md shows; one row; JSON; what it refuses. */
#include "caught.h"
#include "cli/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct caught caught;

static void size(const char *a, const char *b, const char *c)
{
    char *words[] = {(char *)"size", (char *)a, (char *)b, (char *)c, NULL};
    int count = 1;
    while (words[count] != NULL)
        count++;
    catch_run(&caught, command_size, count, words);
}

static void the_page_shows_the_table(void **state)
{
    static char page[CAUGHT_SIZE];
    (void)state;
    size(NULL, NULL, NULL);
    assert_int_equal(caught.status, EXIT_DONE);
    assert_non_null(strstr(caught.out, "1,000,000"));
    FILE *file = fopen(SOURCE_ROOT "/docs/cluster.md", "re");
    assert_non_null(file);
    size_t length = fread(page, 1, sizeof page - 1, file);
    fclose(file);
    page[length] = '\0';
    if (strstr(page, caught.out) == NULL)
        fail_msg("docs/cluster.md shows another table than build/moonwatch size prints");
}

static void one_row_has_the_ages_of_so_many_nodes(void **state)
{
    (void)state;
    size("--tokens=10000", "--nodes=2", NULL);
    assert_int_equal(caught.status, EXIT_DONE);
    assert_non_null(strstr(caught.out, "with so many nodes"));
    assert_non_null(strstr(caught.out, "\n    10,000       4        5  refresh"));
    assert_null(strstr(caught.out, "20,000"));
    assert_null(strstr(caught.out, "at most"));
}

static void more_nodes_than_a_cluster_takes_are_said(void **state)
{
    (void)state;
    size("--tokens=1000000", NULL, NULL);
    assert_non_null(strstr(caught.out, "A cluster takes 64 nodes at most"));
}

static void as_json(void **state)
{
    (void)state;
    size("--tokens=100000", "--hot-percent=0", "--json");
    assert_int_equal(caught.status, EXIT_DONE);
    assert_non_null(strstr(caught.out, "{\"sizes\":[{\"tokens\":100000,\"nodes\":16,"));
    assert_non_null(strstr(caught.out, "\"fits_cluster\":true,\"bound_by\":\"screen\""));
    size("--tokens=100000", "--new-per-hour=10000000", "--json");
    assert_non_null(strstr(caught.out, "\"fits_cluster\":false,\"bound_by\":\"discover\""));
    size("--nodes=1", "--new-per-hour=10000000", "--json");
    assert_non_null(strstr(caught.out, "\"discover_s\":null"));
}

static void what_makes_no_sense_is_refused(void **state)
{
    static const char *const wrong[] = {
        "--tokens=0",     "--tokens=many",      "--nodes=0",
        "--pools=31",     "--hot-percent=101",  "--cores=0",
        "--cold-inter=3", "--hot-interval=nan", "--headroom-percent=100"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        size(wrong[i], NULL, NULL);
        assert_int_equal(caught.status, EXIT_USAGE);
        assert_non_null(strstr(caught.err, "moonwatch size: "));
        assert_string_equal(caught.out, "");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_page_shows_the_table),
        cmocka_unit_test(one_row_has_the_ages_of_so_many_nodes),
        cmocka_unit_test(more_nodes_than_a_cluster_takes_are_said),
        cmocka_unit_test(as_json),
        cmocka_unit_test(what_makes_no_sense_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
