/* `moonwatch forecast`: what it reads, what it writes, and what it says of bad lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "caught.h"
#include "cli/command.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ARGUMENTS_MAX 8

static struct caught caught;

/* Runs it on a text. */
static void forecast(const char *input, const char *arguments)
{
    char words[128];
    char verb[] = "forecast", *argv[ARGUMENTS_MAX + 1] = {verb};
    int argc = 1;
    snprintf(words, sizeof words, "%s", arguments);
    for (char *word = strtok(words, " "); word != NULL; word = strtok(NULL, " "))
        argv[argc++] = word;
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(input, 1, strlen(input), file), strlen(input));
    assert_int_equal(fflush(file), 0);
    assert_int_equal(lseek(fileno(file), 0, SEEK_SET), 0);
    int kept = dup(STDIN_FILENO);
    assert_true(dup2(fileno(file), STDIN_FILENO) >= 0);
    catch_run(&caught, command_forecast, argc, argv);
    if (kept >= 0) {
        dup2(kept, STDIN_FILENO);
        close(kept);
    }
    fclose(file);
}

static void test_a_line_for_each_line(void **state)
{
    (void)state;
    static const struct {
        const char *input, *arguments, *output;
        int status;
    } table[] = {
        {"timestamp,value\n0,1\n", "--threshold 5",
         "timestamp,value,eta_s,confidence\n0,1,,0.0000\n", EXIT_DONE},
        {"0,5\n", "--threshold 5", "timestamp,value,eta_s,confidence\n0,5,0.0,1.0000\n", EXIT_DONE},
        {"0,9\n1,5\n", "--threshold 5", /* it begins above: falling hurts */
         "timestamp,value,eta_s,confidence\n0,9,,0.0000\n1,5,0.0,1.0000\n", EXIT_DONE},
        {"0,9\n", "--threshold 5 --side above",
         "timestamp,value,eta_s,confidence\n0,9,0.0,1.0000\n", EXIT_DONE},
        {"t,v\n0,\n\n1,1\n1,1\n", "--threshold 5", /* a gap, nothing, and the same time twice */
         "t,v,eta_s,confidence\n0,,,\n\n1,1,,0.0000\n1,1,,\n", EXIT_DONE},
        {"t,v\n0,1\nnothing\nyesterday,2\n", "--threshold 5",
         "t,v,eta_s,confidence\n0,1,,0.0000\nnothing,,,\nyesterday,2,,\n", EXIT_FAILED},
        {"", "--threshold 5", "", EXIT_DONE},
        {"0,1\n", "--threshold 5 --side left", "", EXIT_USAGE},
        {"0,1\n", "", "", EXIT_USAGE},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        forecast(table[i].input, table[i].arguments);
        assert_string_equal(caught.out, table[i].output);
        assert_int_equal(caught.status, table[i].status);
        assert_true(strlen(caught.err) > 0 || table[i].status == EXIT_DONE);
    }
}

/* One an hour, 15 s apart, from 0; after three hours seven are left to 10. */
static void test_a_crossing_is_seen_coming(void **state)
{
    (void)state;
    static char input[32768];
    size_t length = 0;
    for (int i = 0; i < 720; i++)
        length += (size_t)snprintf(input + length, sizeof input - length, "%d,%.4f\n", i * 15,
                                   i / 240.0 + (i % 7) * 0.001);
    forecast(input, "--threshold 10");
    assert_int_equal(caught.status, EXIT_DONE);
    const char *last = strrchr(caught.out, ','), *eta = last;
    while (*--eta != ',') {
    }
    assert_true(fabs(strtod(eta + 1, NULL) - 7 * 3600) < 0.02 * 7 * 3600);
    assert_true(strtod(last + 1, NULL) > 0.99);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_line_for_each_line),
        cmocka_unit_test(test_a_crossing_is_seen_coming),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
