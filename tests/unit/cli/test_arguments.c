#include "caught.h"
#include "cli/arguments.h"
#include "cli/command.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define WORDS_MAX 16

static struct options options;
static const char *config_path;
static struct caught caught;

/* What the verb of these tests takes of its own. */
static struct {
    bool loud;
    const char *mint, *file, *other;
    int64_t seed;
    double share;
} own;

static enum arguments_result result;
static bool takes_options;
static const char *environment[3];

static int verb(int argc, char *argv[])
{
    const struct argument rows[] = {
        {.name = "loud", .type = ARGUMENT_SWITCH, .target = &own.loud, .sentence = "Says more."},
        {.name = "mint",
         .type = ARGUMENT_TEXT,
         .value_name = "MINT",
         .target = &own.mint,
         .sentence = "Which.",
         .need = ARGUMENT_REQUIRED},
        {.name = "seed",
         .type = ARGUMENT_INTEGER,
         .value_name = "N",
         .target = &own.seed,
         .sentence = "From where.",
         .low = 1,
         .high = 100},
        {.name = "share",
         .type = ARGUMENT_REAL,
         .value_name = "X",
         .target = &own.share,
         .sentence = "How much."},
        {.name = "FILE",
         .type = ARGUMENT_OPERAND,
         .target = &own.file,
         .sentence = "What.",
         .need = ARGUMENT_REQUIRED},
        {.name = "OTHER", .type = ARGUMENT_OPERAND, .target = &own.other, .sentence = "Else."},
    };
    const struct argument_spec spec = {.rows = rows,
                                       .count = sizeof rows / sizeof rows[0],
                                       .options = takes_options ? &options : NULL,
                                       .environment = environment,
                                       .config_path = &config_path};
    result = arguments_parse(argc, argv, &spec);
    return arguments_exit_status(result);
}

static int fresh(void **state)
{
    (void)state;
    memset(&own, 0, sizeof own);
    memset(environment, 0, sizeof environment);
    own.seed = 7;
    takes_options = true;
    config_path = NULL;
    return 0;
}

/* Parses words separated by single spaces. */
static void parse(const char *line)
{
    static char copy[1024];
    char *words[WORDS_MAX] = {(char *)"verb"};
    int count = 1;
    assert_true(strlen(line) < sizeof copy);
    strcpy(copy, line);
    char *rest = copy;
    for (char *word; (word = strsep(&rest, " ")) != NULL && *line != '\0';)
        words[count++] = word;
    catch_run(&caught, verb, count, words);
}

static void assert_complains(const char *line, const char *sentence)
{
    parse(line);
    assert_int_equal(result, ARGUMENTS_WRONG);
    assert_int_equal(caught.status, EXIT_USAGE);
    assert_memory_equal(caught.err, "moonwatch verb: ", 16);
    assert_string_equal(caught.out, "");
    if (strstr(caught.err, sentence) == NULL)
        fail_msg("\"%s\" says \"%s\", not \"%s\"", line, caught.err, sentence);
}

static void test_every_kind(void **state)
{
    (void)state;
    parse("a.txt --loud --mint So1 --seed=9 --share -0.5 b.txt");
    assert_int_equal(result, ARGUMENTS_OK);
    assert_string_equal(caught.err, "");
    assert_true(own.loud && own.seed == 9 && own.share == -0.5);
    assert_string_equal(own.mint, "So1");
    assert_string_equal(own.file, "a.txt");
    assert_string_equal(own.other, "b.txt");
}

static void test_what_is_absent_keeps_its_value(void **state)
{
    (void)state;
    parse("--mint= - ");
    assert_int_equal(result, ARGUMENTS_OK);
    assert_true(!own.loud && own.seed == 7);
    assert_string_equal(own.mint, "");
    assert_string_equal(own.file, "-"); /* a dash alone is a word: standard input */
}

static void test_two_dashes_end_the_flags(void **state)
{
    (void)state;
    parse("--mint x -- --loud");
    assert_int_equal(result, ARGUMENTS_OK);
    assert_false(own.loud);
    assert_string_equal(own.file, "--loud");
}

static void test_options(void **state)
{
    (void)state;
    parse("f --mint x --hot-interval-sec 10 --cold-interval-sec=40 --set w_tx=0.5 "
          "--set=min-score=0.2 --api-token s3cret=");
    assert_int_equal(result, ARGUMENTS_OK);
    assert_true(options.hot_interval_sec == 10 && options.cold_interval_sec == 40);
    assert_true(options.w_tx == 0.5 && options.min_score == 0.2);
    assert_string_equal(options.api_token, "s3cret=");
    assert_int_equal(options.origins[OPTION_ID_w_tx], OPTION_FROM_COMMAND_LINE);
}

static void test_complaints(void **state)
{
    (void)state;
    static const char *const table[][2] = {
        {"", "--mint MINT is missing"},
        {"--mint x", "FILE is missing"},
        {"f --mint", "--mint needs a value: --mint MINT"},
        {"f g h --mint x", "\"h\" is one word too many"},
        {"f --mint x --laud", "there is no --laud; did you mean --loud?"},
        {"f --mint x --loud=yes", "--loud takes no value"},
        {"f --mint x --seed 0", "--seed: \"0\" must be a whole number from 1 to 100"},
        {"f --mint x --seed 1.5", "must be a whole number"},
        {"f --mint x --share many", "--share: \"many\" must be a number"},
        {"f --mint x -l", "flags begin with two dashes"},
        {"f --mint x --hot-intervl-sec 3", "did you mean --hot-interval-sec?"},
        {"f --mint x --hot-interval-sec 0", "must be a number from 1 to 86400"},
        {"f --mint x --hot-interval-sec", "--hot-interval-sec needs a value"},
        {"f --mint x --set", "--set needs key=value"},
        {"f --mint x --set w_tx", "--set needs key=value"},
        {"f --mint x --set w_txx=1", "did you mean \"w_tx\"?"},
        {"f --mint x --config", "--config needs a value"},
        {"f --mint x --config /nonexistent", "No such file"},
        {"f --mint x --w-tx 0 --w-vol 0 --w-fresh 0 --w-oi 0", "all 0"},
        {"f --mint x --\x1b[31m", "there is no -- [31m"},
        {"f --mint x --=3", "there is no --"},
    };
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
        assert_complains(table[i][0], table[i][1]);
}

static void test_a_verb_without_options(void **state)
{
    (void)state;
    takes_options = false;
    environment[0] = "MOONWATCH_NONSENSE=1"; /* not even read */
    parse("f --mint x");
    assert_int_equal(result, ARGUMENTS_OK);
    assert_complains("f --mint x --hot-interval-sec 3", "there is no --hot-interval-sec");
    assert_complains("f --mint x --set a=b", "there is no --set");
    assert_complains("f --mint x --config y", "there is no --config");
}

/* Command line over environment over file. */
static void test_sources(void **state)
{
    (void)state;
    char path[] = "/tmp/moonwatch-test-arguments-XXXXXX", line[256];
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    dprintf(fd, "hot_interval_sec = 1\ncold_interval_sec = 2\nmin_score = 0.3\n");
    close(fd);
    environment[0] = "MOONWATCH_HOT_INTERVAL_SEC=3";
    environment[1] = "MOONWATCH_COLD_INTERVAL_SEC=4";
    snprintf(line, sizeof line, "f --mint x --config %s --hot-interval-sec 5", path);
    parse(line);
    unlink(path);
    assert_int_equal(result, ARGUMENTS_OK);
    assert_true(options.hot_interval_sec == 5 && options.cold_interval_sec == 4);
    assert_true(options.min_score == 0.3);
    assert_non_null(config_path);

    environment[1] = "MOONWATCH_COLD_INTERVAL_SEC=never";
    assert_complains("f --mint x", "environment variable MOONWATCH_COLD_INTERVAL_SEC");
}

static void test_help(void **state)
{
    (void)state;
    parse("--help --nonsense");
    assert_int_equal(result, ARGUMENTS_HELPED);
    assert_int_equal(caught.status, EXIT_DONE);
    assert_non_null(strstr(caught.out, "--mint MINT"));
    assert_non_null(strstr(caught.out, "Which."));
    for (int i = 0; i < OPTION_COUNT; i++) {
        char flag[128];
        snprintf(flag, sizeof flag, "--%s ", option_row((enum option_id)i)->name);
        for (char *c = flag; *c != '\0'; c++)
            *c = *c == '_' ? '-' : *c;
        assert_non_null(strstr(caught.out, flag));
    }
    takes_options = false;
    parse("-h");
    assert_int_equal(result, ARGUMENTS_HELPED);
    assert_null(strstr(caught.out, "hot-interval"));
}

/* ---- the front ---- */

static void run_line(const char *word, const char *second)
{
    char *words[] = {(char *)"moonwatch", (char *)word, (char *)second, NULL};
    catch_run(&caught, command_line, word == NULL ? 1 : second == NULL ? 2 : 3, words);
}

static void test_front(void **state)
{
    (void)state;
    run_line("--version", NULL);
    assert_int_equal(caught.status, EXIT_DONE);
    assert_string_equal(caught.out, "moonwatch " MOONWATCH_VERSION "\n");

    run_line("--help", NULL);
    assert_int_equal(caught.status, EXIT_DONE);
    assert_non_null(strstr(caught.out, "\n  config "));

    run_line(NULL, NULL);
    assert_int_equal(caught.status, EXIT_USAGE);
    assert_non_null(strstr(caught.err, "Usage:"));

    run_line("confg", NULL);
    assert_int_equal(caught.status, EXIT_USAGE);
    assert_non_null(strstr(caught.err, "did you mean \"config\"?"));

    run_line("\x1b[2Jdance", NULL);
    assert_int_equal(caught.status, EXIT_USAGE);
    assert_null(strchr(caught.err, '\x1b'));
}

/* Each verb explains itself, and says no to what it does not know. */
static void test_every_verb(void **state)
{
    (void)state;
#define COMMAND(name, synopsis, sentence) #name,
    static const char *const names[] = {
#include "cli/commands.def"
    };
#undef COMMAND
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const struct command_row *row = command_find(names[i]);
        assert_non_null(row);
        assert_int_equal(row->sentence[strlen(row->sentence) - 1], '.');
        run_line(names[i], "--help");
        assert_int_equal(caught.status, EXIT_DONE);
        assert_non_null(strstr(caught.out, row->sentence));
        run_line(names[i], "--no-such-flag-anywhere");
        assert_int_equal(caught.status, EXIT_USAGE);
        assert_non_null(strstr(caught.err, "there is no --no-such-flag-anywhere"));
    }
}

/* Verbs that the supervisor starts: nobody is told of them, and by hand they only say whose they
 * are, whatever is asked of them. */
static void test_hidden_verbs(void **state)
{
    (void)state;
#define COMMAND(name, synopsis, sentence)
#define HIDDEN(name, synopsis, sentence) #name,
    static const char *const names[] = {
#include "cli/commands.def"
    };
#undef COMMAND
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        static const char *const seconds[] = {NULL, "--help", "--no-such-flag-anywhere"};
        char listed[64], typo[64];
        for (size_t k = 0; k < sizeof seconds / sizeof seconds[0]; k++) {
            run_line(names[i], seconds[k]);
            assert_int_equal(caught.status, EXIT_USAGE);
            assert_string_equal(caught.out, "");
            assert_non_null(strstr(caught.err, "its supervisor starts"));
        }
        run_line("--help", NULL);
        snprintf(listed, sizeof listed, "\n  %s ", names[i]);
        assert_null(strstr(caught.out, listed));
        snprintf(typo, sizeof typo, "%sx", names[i]);
        run_line(typo, NULL);
        snprintf(listed, sizeof listed, "did you mean \"%s\"?", names[i]);
        assert_null(strstr(caught.err, listed));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_every_kind, fresh),
        cmocka_unit_test_setup(test_what_is_absent_keeps_its_value, fresh),
        cmocka_unit_test_setup(test_two_dashes_end_the_flags, fresh),
        cmocka_unit_test_setup(test_options, fresh),
        cmocka_unit_test_setup(test_complaints, fresh),
        cmocka_unit_test_setup(test_a_verb_without_options, fresh),
        cmocka_unit_test_setup(test_sources, fresh),
        cmocka_unit_test_setup(test_help, fresh),
        cmocka_unit_test(test_front),
        cmocka_unit_test(test_every_verb),
        cmocka_unit_test(test_hidden_verbs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
