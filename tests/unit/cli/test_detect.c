/* `moonwatch detect`: what it reads, what it writes, when, and what it says of bad lines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/prng.h"
#include "caught.h"
#include "cli/command.h"
#include "cli/series_lines.h"
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_MS 20000

/* ---- times ---- */

static void reads_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        double t_s;
    } table[] = {
        {"1970-01-01 00:00:00", 0},
        {"1970-01-01", 0},
        {"1969-12-31 23:59:59", -1},
        {"2014-04-10 00:04:00", 1397088240},
        {"2014-04-10T00:04:00Z", 1397088240},
        {"2014-04-10t00:04:00z", 1397088240},
        {"2014-04-10 00:04", 1397088240},
        {"2014-04-10T02:04:00+02:00", 1397088240},
        {"2014-04-09T18:34:00-0530", 1397088240},
        {"2014-04-10T00:04:00.25Z", 1397088240.25},
        {"2014-04-10 00:04:00.000000", 1397088240},
        {"2016-12-31 23:59:60", 1483228800},
        {"2000-02-29 00:00:00", 951782400},
        {"2400-02-29 12:00:00", 13574606400},
        {"0001-01-01 00:00:00", -62135596800},
        {"1397088240", 1397088240},
        {"1397088240.5", 1397088240.5},
        {"-5", -5},
        {"1.4e9", 1400000000},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        double t_s = 0;
        if (!series_time_parse(table[i].text, strlen(table[i].text), &t_s))
            fail_msg("%s is a time", table[i].text);
        if (t_s != table[i].t_s)
            fail_msg("%s is %.3f, not %.3f", table[i].text, table[i].t_s, t_s);
    }
}

static void refuses_what_is_no_time(void **state)
{
    (void)state;
    static const char *const table[] = {
        "",
        "timestamp",
        "2014-04",
        "2014-13-01 00:00:00",
        "2014-00-01 00:00:00",
        "2014-04-31 00:00:00",
        "2013-02-29 00:00:00",
        "1900-02-29 00:00:00",
        "0000-01-01 00:00:00",
        "2014-04-10 24:00:00",
        "2014-04-10 00:60:00",
        "2014-04-10 00:00:61",
        "2014-04-10 00",
        "2014-04-10 00:00:00.",
        "2014-04-10 00:00:00 UTC",
        "2014-04-10 00:00:00+2",
        "2014-04-10 00:00:00+24:00",
        "2014-04-10/00:00:00",
        "2014-04-1x",
        "20x4-04-10",
        "12:00:00",
        "10/04/2014 00:04",
        "1397088240s",
        "inf",
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        double t_s;
        if (series_time_parse(table[i], strlen(table[i]), &t_s))
            fail_msg("%s is no time", table[i]);
    }
}

/* ---- lines ---- */

static void reads_lines(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        enum series_line_kind kind;
        double value;
    } table[] = {
        {"0,1.5", LINE_VALUE, 1.5},
        {" 0 , -2e3 ", LINE_VALUE, -2000},
        {"0,1,more,2", LINE_VALUE, 1},
        {"0,", LINE_GAP, 0},
        {"0, ,", LINE_GAP, 0},
        {"0,NaN", LINE_GAP, 0},
        {"0,null", LINE_GAP, 0},
        {"0,NA", LINE_GAP, 0},
        {"0,None", LINE_GAP, 0},
        {"", LINE_BLANK, 0},
        {" \t", LINE_BLANK, 0},
        {"0", LINE_BAD, 0},
        {"x,1", LINE_BAD, 0},
        {"0,x", LINE_BAD, 0},
        {",1", LINE_BAD, 0},
        {"0,1 2", LINE_BAD, 0},
        {"0,nothing-at-all", LINE_BAD, 0},
        {"0,inf", LINE_BAD, 0},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        struct series_line line = {0};
        series_line_parse(table[i].text, strlen(table[i].text), &line);
        if (line.kind != table[i].kind || (line.kind == LINE_VALUE && line.value != table[i].value))
            fail_msg("'%s' was read as another thing", table[i].text);
        assert_int_equal(line.complaint != NULL, line.kind == LINE_BAD);
    }
}

/* ---- the verb ---- */

/* Runs it on a text. */
static void detect(struct caught *caught, const char *input, size_t length)
{
    char verb[] = "detect";
    char *argv[] = {verb, NULL};
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(fwrite(input, 1, length, file), length);
    assert_int_equal(fflush(file), 0);
    assert_int_equal(lseek(fileno(file), 0, SEEK_SET), 0);
    int kept = dup(STDIN_FILENO);
    assert_true(dup2(fileno(file), STDIN_FILENO) >= 0);
    catch_run(caught, command_detect, 1, argv);
    if (kept >= 0) {
        dup2(kept, STDIN_FILENO);
        close(kept);
    }
    fclose(file);
}

static void a_line_for_each_line(void **state)
{
    (void)state;
    static const struct {
        const char *input, *output;
        int status;
    } table[] = {
        {"timestamp,value\n2014-04-10 00:04:00,91.958\n",
         "timestamp,value,anomaly_score\n2014-04-10 00:04:00,91.958,0.000000\n", EXIT_DONE},
        {"\xEF\xBB\xBFwhen,what\r\n0,1\r\n1,\r\n",
         "when,what,anomaly_score\n0,1,0.000000\n1,,0.000000\n", EXIT_DONE},
        {"0, 1e0", "timestamp,value,anomaly_score\n0, 1e0,0.000000\n", EXIT_DONE},
        {"t,v\n\n0,1\n\n", "t,v,anomaly_score\n\n0,1,0.000000\n\n", EXIT_DONE},
        {"t,v\n0,1\nyesterday,2\nnothing\n3,?\n4,4\n",
         "t,v,anomaly_score\n0,1,0.000000\nyesterday,2,\nnothing,,\n3,?,\n4,4,0.000000\n",
         EXIT_FAILED},
        {"0,1\nt,v\n", "timestamp,value,anomaly_score\n0,1,0.000000\nt,v,\n", EXIT_FAILED},
        {"", "", EXIT_DONE},
    };
    static struct caught caught;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        detect(&caught, table[i].input, strlen(table[i].input));
        assert_string_equal(caught.out, table[i].output);
        assert_int_equal(caught.status, table[i].status);
        assert_int_equal(strlen(caught.err) > 0, table[i].status == EXIT_FAILED);
    }
}

static void says_what_is_wrong_and_where(void **state)
{
    (void)state;
    static struct caught caught;
    const char *input = "t,v\n0,1\n\nyesterday,2\n";
    detect(&caught, input, strlen(input));
    assert_string_equal(caught.err, "moonwatch detect: line 4: no time; it is 2014-04-10 00:04:00, "
                                    "2014-04-10T00:04:00Z or seconds since 1970; no score for it\n"
                                    "moonwatch detect: 1 of 4 lines have no score\n");
}

static void many_bad_lines_are_counted(void **state)
{
    (void)state;
    static struct caught caught;
    static char input[1000 * 4];
    for (size_t i = 0; i < sizeof input; i += 4)
        memcpy(input + i, "0,x\n", 4);
    detect(&caught, input, sizeof input);
    assert_non_null(strstr(caught.err, "only counted"));
    assert_non_null(strstr(caught.err, "1000 of 1000 lines have no score"));
    assert_true(strlen(caught.err) < 4096);
}

/* Lines over the limit, those that fill the buffer, and bytes of any kind. */
static void survives_any_bytes(void **state)
{
    (void)state;
    static struct caught caught;
    static char input[3 * SERIES_BUFFER_SIZE];
    static const char last[] = "7,7,0.000000\n";
    const size_t lengths[] = {SERIES_LINE_MAX,    SERIES_LINE_MAX + 1,    SERIES_BUFFER_SIZE - 1,
                              SERIES_BUFFER_SIZE, SERIES_BUFFER_SIZE + 1, 2 * SERIES_BUFFER_SIZE};
    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        memset(input, 'x', sizeof input);
        memcpy(input + lengths[i], "\n7,7\n", 5);
        detect(&caught, input, lengths[i] + 5);
        assert_int_equal(caught.status, EXIT_FAILED);
        assert_string_equal(caught.out + strlen(caught.out) - strlen(last), last);
        assert_non_null(strstr(caught.err, "1 of 2 lines"));
    }
    static const char alphabet[] = "0123456789,,..-: \n\r\tTZe\xff"; /* and its NUL */
    struct prng prng;
    prng_seed(&prng, 1);
    for (size_t i = 0; i < 20000; i++)
        input[i] = alphabet[prng_below(&prng, sizeof alphabet)];
    detect(&caught, input, 20000);
}

static void read_line(int fd, char *out, size_t size)
{
    size_t length = 0;
    while (length + 1 < size) {
        struct pollfd ready = {.fd = fd, .events = POLLIN};
        assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
        assert_int_equal(read(fd, out + length, 1), 1);
        if (out[length++] == '\n')
            break;
    }
    out[length] = '\0';
}

/* A sender that waits for the answer before it goes on. */
static void answers_while_the_pipe_pauses(void **state)
{
    (void)state;
    int in[2], out[2], status;
    char line[128], want[128];
    assert_true(pipe(in) == 0 && pipe(out) == 0);
    fflush(NULL);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        char verb[] = "detect";
        char *argv[] = {verb, NULL};
        dup2(in[0], STDIN_FILENO);
        dup2(out[1], STDOUT_FILENO);
        close(in[1]);
        close(out[0]);
        _exit(command_detect(1, argv));
    }
    close(in[0]);
    close(out[1]);
    assert_int_equal(write(in[1], "timestamp,value\n", 16), 16);
    read_line(out[0], line, sizeof line);
    assert_string_equal(line, "timestamp,value,anomaly_score\n");
    for (int i = 0; i < 5; i++) {
        int length = snprintf(line, sizeof line, "%d,5\n", i);
        assert_int_equal(write(in[1], line, (size_t)length), length);
        snprintf(want, sizeof want, "%d,5,0.000000\n", i);
        read_line(out[0], line, sizeof line);
        assert_string_equal(line, want);
    }
    close(in[1]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), EXIT_DONE);
    close(out[0]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_times),
        cmocka_unit_test(refuses_what_is_no_time),
        cmocka_unit_test(reads_lines),
        cmocka_unit_test(a_line_for_each_line),
        cmocka_unit_test(says_what_is_wrong_and_where),
        cmocka_unit_test(many_bad_lines_are_counted),
        cmocka_unit_test(survives_any_bytes),
        cmocka_unit_test(answers_while_the_pipe_pauses),
    };
    return cmocka_run_group_tests_name("cli.detect", tests, NULL, NULL);
}
