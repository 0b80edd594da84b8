#include "caught.h"
#include "cli/command.h"
#include "core/finding.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static struct caught caught;

/* docs/findings.md is what the program prints: `build/moonwatch findings > docs/findings.md` renews
 * it. So what people read of a finding cannot drift from what is found. */
static void test_the_page_is_up_to_date(void **state)
{
    (void)state;
    char *words[] = {(char *)"findings", NULL};
    catch_run(&caught, command_findings, 1, words);
    assert_int_equal(caught.status, EXIT_DONE);
    expect_page(&caught, "findings.md", "build/moonwatch findings");
    for (int cause = 0; cause < FINDING_CAUSE_COUNT; cause++)
        assert_non_null(strstr(caught.out, finding_what_to_do((enum finding_cause)cause)));
}

static void test_no_words(void **state)
{
    (void)state;
    char *words[] = {(char *)"findings", (char *)"more", NULL};
    catch_run(&caught, command_findings, 2, words);
    assert_int_equal(caught.status, EXIT_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_page_is_up_to_date),
        cmocka_unit_test(test_no_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
