/* moonwatch copy: what it prints, and its exit status. What it copies:
 * tests/unit/store/test_copy.c. */
#include "caught.h"
#include "cli/command.h"
#include "store/store.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct caught caught;
static char folder[64], from[96], to[96];

static int set_up(void **state)
{
    (void)state;
    strcpy(folder, "/tmp/moonwatch-copy-XXXXXX");
    assert_non_null(mkdtemp(folder));
    snprintf(from, sizeof from, "sqlite:%s/from.db", folder);
    snprintf(to, sizeof to, "sqlite:%s/to.db", folder);
    return 0;
}

static int tear_down(void **state)
{
    char command[96];
    (void)state;
    snprintf(command, sizeof command, "rm -rf '%s'", folder);
    return system(command);
}

static void run(char *first, char *second)
{
    char *words[] = {(char *)"copy", first, second, NULL};
    catch_run(&caught, command_copy, second == NULL ? 2 : 3, words);
}

static void fill(void)
{
    char why[512];
    struct store *store = store_open(from, why);
    assert_non_null(store);
    assert_int_equal(store_begin(store, STORE_DURABLE), OK);
    for (int64_t id = 1; id <= 10000; id++) {
        struct store_snapshot snapshot = {.id = id, .token = 1, .at = {id}};
        assert_int_equal(store_put_snapshot(store, &snapshot), OK);
    }
    assert_int_equal(store_put_setting(store, "min_score", "0.25"), OK);
    assert_int_equal(store_commit(store), OK);
    store_close(store);
}

static void test_it_says_what_was_copied(void **state)
{
    (void)state;
    fill();
    run(from, to);
    assert_string_equal(caught.err, "");
    assert_int_equal(caught.status, EXIT_DONE);
    assert_non_null(strstr(caught.out, "tokens                0  "));
    assert_non_null(strstr(caught.out, "snapshots         10000  "));
    assert_non_null(strstr(caught.out, "10001 rows copied in "));
    assert_non_null(strstr(caught.out, "are equal\n"));
}

static void test_it_says_why_not(void **state)
{
    (void)state;
    run(from, to);
    assert_int_equal(caught.status, EXIT_FAILED);
    assert_non_null(strstr(caught.err, "moonwatch copy: /tmp/"));
    assert_non_null(strstr(caught.err, "from.db is not there; check the path\n"));
    assert_string_equal(caught.out, "");
}

/* /proc/PID/cmdline is everybody's to read. */
static void test_a_password_is_shown_nowhere(void **state)
{
    char url[] = "postgresql://somebody:hush@127.0.0.1:1/x";
    (void)state;
    fill();
    run(from, url);
    assert_int_equal(caught.status, EXIT_FAILED);
    assert_non_null(strstr(caught.err, "127.0.0.1:1"));
    assert_null(strstr(caught.err, "hush"));
    assert_null(strstr(url, "hush"));
    assert_non_null(strstr(url, "@127.0.0.1:1/x"));
}

static void test_both_are_needed(void **state)
{
    (void)state;
    run(from, NULL);
    assert_int_equal(caught.status, EXIT_USAGE);
    assert_non_null(strstr(caught.err, "TO"));
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(test_it_says_what_was_copied),
        ROW(test_it_says_why_not),
        ROW(test_a_password_is_shown_nowhere),
        ROW(test_both_are_needed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
