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
    static char page[CAUGHT_SIZE];
    char *words[] = {(char *)"findings", NULL};
    FILE *file = fopen(SOURCE_ROOT "/docs/findings.md", "r");
    assert_non_null(file);
    page[fread(page, 1, sizeof page - 1, file)] = '\0';
    fclose(file);
    catch_run(&caught, command_findings, 1, words);
    assert_int_equal(caught.status, EXIT_DONE);
    if (strcmp(page, caught.out) != 0)
        fail_msg("docs/findings.md is old: build/moonwatch findings > it");
    for (int cause = 0; cause < FINDING_CAUSE_COUNT; cause++)
        assert_non_null(strstr(page, finding_what_to_do((enum finding_cause)cause)));
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
