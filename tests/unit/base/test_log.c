/* What is logged is caught by putting a pipe, a pseudo-terminal or a file in the place of standard
 * error. */
#include "base/log.h"

#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <pty.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#define CAPTURE_SIZE   65536
#define THREADS        4
#define LINES_A_THREAD 500
#define FILLER_SIZE    6000

static int real_stderr = -1;

static void point_stderr_at(int fd)
{
    fflush(stderr);
    real_stderr = dup(STDERR_FILENO);
    assert_true(dup2(fd, STDERR_FILENO) >= 0);
}

static void restore_stderr(void)
{
    dup2(real_stderr, STDERR_FILENO);
    close(real_stderr);
}

static int make_file(void)
{
    char path[] = "/tmp/moonwatch-test-log-XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    unlink(path);
    return fd;
}

/* What `action` logs into a file. */
static const char *logged(void (*action)(void))
{
    static char text[CAPTURE_SIZE];
    int fd = make_file();
    point_stderr_at(fd);
    action();
    restore_stderr();
    ssize_t length = pread(fd, text, sizeof text - 1, 0);
    assert_true(length >= 0);
    text[length] = '\0';
    close(fd);
    return text;
}

/* The part after the time, which is the only one that changes. */
static const char *after_time(const char *line)
{
    const char *level = strstr(line, "level");
    assert_non_null(level);
    return level;
}

static void log_every_kind(void)
{
    log_warning("feed", "request refused; retrying in 4 s", LOG_STRING("cause", "rate limited"),
                LOG_INT("status", 429), LOG_DOUBLE("share", 0.25), LOG_DOUBLE("eta", NAN),
                LOG_STRING("body", NULL), LOG_STRING("word", "plain"), LOG_STRING("none", ""));
}

static void test_json_line(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_FORMAT_AUTO); /* a file is no terminal */
    const char *line = logged(log_every_kind);
    assert_memory_equal(line, "{\"ts\":\"20", 9);
    assert_string_equal(after_time(line),
                        "level\":\"warning\",\"logger\":\"feed\","
                        "\"msg\":\"request refused; retrying in 4 s\",\"cause\":\"rate limited\","
                        "\"status\":429,\"share\":0.25,\"eta\":null,\"body\":null,"
                        "\"word\":\"plain\",\"none\":\"\"}\n");
}

static void test_logfmt_line(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_FORMAT_LOGFMT);
    const char *line = logged(log_every_kind);
    assert_memory_equal(line, "ts=20", 5);
    assert_string_equal(after_time(line),
                        "level=warning logger=feed msg=\"request refused; retrying in 4 s\" "
                        "cause=\"rate limited\" status=429 share=0.25 eta=null body=null "
                        "word=plain none=\"\"\n");
}

static void log_hostile(void)
{
    log_info("core", "token added", LOG_STRING("name", "a\"b\\c\nlevel=error \x1b[31m\x7f\xff"),
             LOG_STRING("csi", "\xc2\x9b"
                               "31m"),
             LOG_STRING("pair", "k=v"), LOG_STRING("moon", "\xf0\x9f\x8c\x99"));
}

static void test_strangers_are_escaped(void **state)
{
    (void)state;
    log_setup(LOG_INFO, LOG_FORMAT_LOGFMT);
    assert_string_equal(after_time(logged(log_hostile)),
                        "level=info logger=core msg=\"token added\" "
                        "name=\"a\\\"b\\\\c\\nlevel=error \\u001b[31m\\u007f\xef\xbf\xbd\" "
                        "csi=\"\\u009b31m\" pair=\"k=v\" moon=\"\xf0\x9f\x8c\x99\"\n");
    log_setup(LOG_INFO, LOG_FORMAT_JSON);
    const char *line = logged(log_hostile);
    assert_non_null(strstr(line, "\"name\":\"a\\\"b\\\\c\\nlevel=error \\u001b[31m\\u007f"));
    assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void log_each_level(void)
{
    log_debug("x", "d");
    log_info("x", "i");
    log_warning("x", "w");
    log_error("x", "e");
}

static int count_lines(const char *text)
{
    int lines = 0;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

static void test_threshold(void **state)
{
    (void)state;
    for (int level = LOG_DEBUG; level < LOG_LEVEL_COUNT; level++) {
        log_setup((enum log_level)level, LOG_FORMAT_JSON);
        assert_int_equal(count_lines(logged(log_each_level)), LOG_LEVEL_COUNT - level);
    }
}

static void test_level_names(void **state)
{
    (void)state;
    enum log_level level = LOG_ERROR;
    assert_true(log_level_parse("Warning", &level));
    assert_int_equal(level, LOG_WARNING);
    assert_false(log_level_parse("loud", &level));
    assert_int_equal(level, LOG_WARNING);
    assert_string_equal(log_level_name(LOG_DEBUG), "debug");
    assert_string_equal(log_level_name((enum log_level)77), "unknown");
}

static char filler[FILLER_SIZE + 1];

static void log_long_value(void)
{
    log_info("x", "m", LOG_STRING("long", filler), LOG_STRING("after", "here"));
}

static void log_many_long_values(void)
{
    log_info("x", "m", LOG_STRING("a", filler), LOG_STRING("b", filler), LOG_STRING("c", filler),
             LOG_STRING("d", filler), LOG_STRING("e", "short"));
}

/* A value is cut with "…"; a field that does not fit is left out whole, and the line says so. */
static void test_truncation_is_seen(void **state)
{
    (void)state;
    memset(filler, 'x', FILLER_SIZE);
    log_setup(LOG_INFO, LOG_FORMAT_JSON);
    const char *line = logged(log_long_value);
    assert_non_null(strstr(line, "xxx\xe2\x80\xa6\",\"after\":\"here\"}\n"));
    assert_null(strstr(line, "truncated"));

    line = logged(log_many_long_values);
    assert_true(strlen(line) <= 4096);
    assert_non_null(strstr(line, ",\"e\":\"short\",\"truncated\":true}\n"));
    assert_null(strstr(line, "\"d\":"));
    log_setup(LOG_INFO, LOG_FORMAT_LOGFMT);
    line = logged(log_many_long_values);
    assert_non_null(strstr(line, " e=short truncated=true\n"));

    memset(filler, '\x01', FILLER_SIZE); /* six bytes each when escaped */
    line = logged(log_many_long_values);
    assert_true(strlen(line) <= 4096);
    assert_int_equal(count_lines(line), 1);
}

/* ---- terminals ---- */

static const char *logged_on_terminal(void)
{
    static char text[CAPTURE_SIZE];
    int controller, terminal;
    assert_int_equal(openpty(&controller, &terminal, NULL, NULL, NULL), 0);
    log_setup(LOG_INFO, LOG_FORMAT_AUTO);
    point_stderr_at(terminal);
    log_error("x", "broken");
    restore_stderr();
    ssize_t length = read(controller, text, sizeof text - 1);
    assert_true(length > 0);
    text[length] = '\0';
    close(controller);
    close(terminal);
    return text;
}

static void test_colour_on_terminals_only(void **state)
{
    (void)state;
    unsetenv("NO_COLOR");
    assert_string_equal(after_time(logged_on_terminal()),
                        "level=\x1b[1;31merror\x1b[0m logger=x msg=broken\r\n");
    setenv("NO_COLOR", "1", 1);
    assert_string_equal(after_time(logged_on_terminal()), "level=error logger=x msg=broken\r\n");
    setenv("NO_COLOR", "", 1);
    assert_non_null(strstr(logged_on_terminal(), "\x1b["));
    unsetenv("NO_COLOR");
}

/* ---- many threads, signals, a slow reader ---- */

static void on_alarm(int signal_number)
{
    (void)signal_number;
}

static void *log_lines(void *argument)
{
    for (int i = 0; i < LINES_A_THREAD; i++)
        log_info("thread", "a line that must be whole", LOG_INT("thread", (intptr_t)argument),
                 LOG_INT("line", i));
    return NULL;
}

/* Reads what THREADS threads log; each line must be whole, and each thread's in order. */
static void *read_lines(void *argument)
{
    FILE *in = fdopen(*(int *)argument, "r");
    char line[1024];
    int next[THREADS] = {0};
    intptr_t lines = 0;

    while (fgets(line, sizeof line, in) != NULL) {
        int thread, number, end = 0;
        const char *rest = strstr(line, "\"thread\":");
        if (line[0] != '{' || rest == NULL ||
            sscanf(rest, "\"thread\":%d,\"line\":%d}\n%n", &thread, &number, &end) != 2 ||
            rest[end] != '\0' || number != next[thread]++)
            break;
        lines++;
    }
    fclose(in);
    return (void *)lines;
}

static void set_alarms(long every_us)
{
    struct itimerval timer = {{0, every_us}, {0, every_us}};
    setitimer(ITIMER_REAL, &timer, NULL);
}

/* The reader must not be the one that is interrupted. */
static void start_reader(pthread_t *reader, int *fd)
{
    sigset_t alarm_only, before;
    sigemptyset(&alarm_only);
    sigaddset(&alarm_only, SIGALRM);
    pthread_sigmask(SIG_BLOCK, &alarm_only, &before);
    pthread_create(reader, NULL, read_lines, fd);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
}

/* Alarms without SA_RESTART interrupt writes into a pipe that is mostly full. */
static void log_from_threads(int pipe_flags)
{
    struct sigaction action = {.sa_handler = on_alarm}, before;
    pthread_t writers[THREADS], reader;
    int ends[2];
    void *lines;

    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    fcntl(ends[1], F_SETPIPE_SZ, 4096);
    fcntl(ends[1], F_SETFL, pipe_flags);
    log_setup(LOG_INFO, LOG_FORMAT_JSON);
    sigaction(SIGALRM, &action, &before);
    start_reader(&reader, &ends[0]);
    point_stderr_at(ends[1]);
    close(ends[1]);
    set_alarms(200);
    for (intptr_t i = 0; i < THREADS; i++)
        pthread_create(&writers[i], NULL, log_lines, (void *)i);
    for (int i = 0; i < THREADS; i++)
        pthread_join(writers[i], NULL);
    set_alarms(0);
    restore_stderr();
    pthread_join(reader, &lines);
    sigaction(SIGALRM, &before, NULL);
    assert_int_equal((intptr_t)lines, THREADS * LINES_A_THREAD);
}

static void test_no_line_is_lost_or_mixed(void **state)
{
    (void)state;
    log_from_threads(0);
}

static void test_nor_when_the_pipe_does_not_block(void **state)
{
    (void)state;
    log_from_threads(O_NONBLOCK);
}

/* A closed standard error is no reason to die or to hang. */
static void test_nobody_reads(void **state)
{
    (void)state;
    int ends[2];
    signal(SIGPIPE, SIG_IGN);
    assert_int_equal(pipe(ends), 0);
    close(ends[0]);
    point_stderr_at(ends[1]);
    close(ends[1]);
    log_error("x", "nobody reads this");
    restore_stderr();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_line),
        cmocka_unit_test(test_logfmt_line),
        cmocka_unit_test(test_strangers_are_escaped),
        cmocka_unit_test(test_threshold),
        cmocka_unit_test(test_level_names),
        cmocka_unit_test(test_truncation_is_seen),
        cmocka_unit_test(test_colour_on_terminals_only),
        cmocka_unit_test(test_no_line_is_lost_or_mixed),
        cmocka_unit_test(test_nor_when_the_pipe_does_not_block),
        cmocka_unit_test(test_nobody_reads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
