/* Manual pages and completions have every command and every flag, since they come from the same
 * tables; the pages please mandoc, and the scripts their shells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "caught.h"
#include "cli/arguments.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static struct caught caught;

static const char *output_of(const char *verb, const char *first, const char *second)
{
    char words[3][64];
    char *argv[] = {words[0], first != NULL ? words[1] : NULL, second != NULL ? words[2] : NULL,
                    NULL};
    snprintf(words[0], sizeof words[0], "%s", verb);
    snprintf(words[1], sizeof words[1], "%s", first != NULL ? first : "");
    snprintf(words[2], sizeof words[2], "%s", second != NULL ? second : "");
    int argc = 1 + (first != NULL) + (second != NULL);
    catch_run(&caught, command_find(verb)->run, argc, argv);
    assert_string_equal(caught.err, "");
    assert_int_equal(caught.status, EXIT_DONE);
    return caught.out;
}

static void expect_in(const char *text, const char *part)
{
    if (strstr(text, part) == NULL)
        fail_msg("not there: %s\n%s", part, text);
}

/* Gives the text to a program's standard input. */
static void expect_content(const char *program, const char *text)
{
    char command[128];
    snprintf(command, sizeof command, "%s 2>&1", program);
    FILE *pipe = popen(command, "w"); // NOLINT(cert-env33-c)
    assert_non_null(pipe);
    fputs(text, pipe);
    int status = pclose(pipe);
    if (status != 0)
        fail_msg("%s is not content: %d", program, WEXITSTATUS(status));
}

static void find_flags(void *context, const struct command_row *command,
                       const struct argument_spec *spec)
{
    const char *page = context;
    char flag[128];
    (void)command;
    for (size_t i = 0; i < spec->count; i++) {
        snprintf(flag, sizeof flag, argument_is_flag(&spec->rows[i]) ? ".It Fl -%s" : ".It Ar %s",
                 spec->rows[i].name);
        expect_in(page, flag);
    }
    if (spec->options != NULL)
        expect_in(page, "It takes all options of\n.Xr moonwatch.conf 5");
}

static void test_a_page_for_each_command(void **state)
{
    const struct command_row *command;
    (void)state;
    for (size_t i = 0; (command = command_at(i)) != NULL; i++) {
        char name[64];
        if (command->audience != COMMAND_FOR_PEOPLE)
            continue;
        char *page = strdup(output_of("help", command->name, "--man"));
        arguments_visit(command, find_flags, page);
        expect_content("mandoc -Tlint -Wwarning", page);
        expect_content("mandoc -Tutf8 >/dev/null", page);
        free(page);
        snprintf(name, sizeof name, ".It Xr moonwatch-%s 1\n", command->name);
        expect_in(output_of("help", "--man", NULL), name);
    }
    expect_content("mandoc -Tlint -Wwarning", caught.out);
}

static void test_a_page_of_all_options(void **state)
{
    (void)state;
    output_of("help", "options", "--man");
    for (int i = 0; i < OPTION_COUNT; i++) {
        char item[OPTION_TEXT_SIZE + 16], variable[OPTION_TEXT_SIZE];
        snprintf(item, sizeof item, ".It Cm %s Ar ", option_row((enum option_id)i)->name);
        expect_in(caught.out, item);
        option_environment_name((enum option_id)i, variable);
        expect_in(caught.out, variable);
    }
    expect_content("mandoc -Tlint -Wwarning", caught.out);
}

static void find_flags_in_script(void *context, const struct command_row *command,
                                 const struct argument_spec *spec)
{
    char flag[128];
    expect_in(context, command->name);
    for (size_t i = 0; i < spec->count; i++) {
        snprintf(flag, sizeof flag, "--%s", spec->rows[i].name);
        if (argument_is_flag(&spec->rows[i]))
            expect_in(context, flag);
    }
}

static void test_completions(void **state)
{
    static const struct {
        const char *shell, *check;
    } shells[] = {{"bash", "bash -n"}, {"zsh", "zsh -n /dev/stdin"}};
    (void)state;
    for (size_t k = 0; k < 2; k++) {
        const struct command_row *command;
        char *script = strdup(output_of("completion", shells[k].shell, NULL));
        for (size_t i = 0; (command = command_at(i)) != NULL; i++)
            if (command->audience == COMMAND_FOR_PEOPLE)
                arguments_visit(command, find_flags_in_script, script);
        for (int i = 0; i < OPTION_COUNT; i++) {
            char flag[ARGUMENT_FLAG_SIZE], text[ARGUMENT_FLAG_SIZE + 2];
            argument_option_flag(option_row((enum option_id)i), flag);
            snprintf(text, sizeof text, "--%s", flag);
            expect_in(script, text);
        }
        expect_content(shells[k].check, script);
        free(script);
    }
}

static void test_help(void **state)
{
    (void)state;
    expect_in(output_of("help", NULL, NULL), "Commands:");
    expect_in(output_of("help", "ctl", NULL), "Usage: moonwatch ctl REQUEST");
    expect_in(caught.out, "--hot-interval-sec X");
    char help[] = "help", unknown[] = "explian", hidden[] = "engine";
    catch_run(&caught, command_help, 2, (char *[]){help, unknown, NULL});
    assert_int_equal(caught.status, EXIT_USAGE);
    expect_in(caught.err, "did you mean \"explain\"?");
    catch_run(&caught, command_help, 2, (char *[]){help, hidden, NULL});
    assert_int_equal(caught.status, EXIT_USAGE);
    char completion[] = "completion", fish[] = "fish";
    catch_run(&caught, command_completion, 2, (char *[]){completion, fish, NULL});
    assert_int_equal(caught.status, EXIT_USAGE);
    expect_in(caught.err, "bash and zsh");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_page_for_each_command),
        cmocka_unit_test(test_a_page_of_all_options),
        cmocka_unit_test(test_completions),
        cmocka_unit_test(test_help),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
