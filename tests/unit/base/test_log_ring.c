/* The ring of log lines: many writers, those that die in the middle, lines that are too long, and
 * that no secret gets into it. */
#include "base/log_ring.h"

#include "base/clock.h"
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define T0          1790000000000000LL
#define PAGE        4096
#define WRITERS     4
#define LINES       20000 /* of a writer */
#define KILL_ROUNDS 100

/* Records begin at a place that is no multiple of their size, so that some of them lie across two
 * pages of memory. */
#define MEMORY_SIZE (sizeof(struct log_ring) + (2 * PAGE))
#define MISALIGNED  192

static char *memory;
static struct log_ring *ring; /* shared with children */

static int begin(void **state)
{
    (void)state;
    memory = mmap(NULL, MEMORY_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ring = (struct log_ring *)(void *)(memory + MISALIGNED);
    return memory == MAP_FAILED;
}

static int end(void **state)
{
    (void)state;
    log_share(NULL, 0);
    return munmap(memory, MEMORY_SIZE);
}

/* A line in which everything follows from `number`, so that a mixed one shows. */
static size_t text_of(uint64_t number, char out[LOG_TEXT_SIZE])
{
    size_t length = 8 + number % 400;
    memset(out, 'a' + (int)(number % 26), length);
    return length;
}

static void put(uint64_t number)
{
    char text[LOG_TEXT_SIZE], logger[LOG_LOGGER_SIZE];
    snprintf(logger, sizeof logger, "logger%u", (unsigned)(number % 7));
    log_ring_put(ring, &(struct log_entry){.at = {T0 + (int64_t)number},
                                           .level = (enum log_level)(number % LOG_LEVEL_COUNT),
                                           .writer = (unsigned)(number % 3),
                                           .logger = logger,
                                           .text = text,
                                           .length = text_of(number, text)});
}

static bool is_whole(const struct log_line *line)
{
    char text[LOG_TEXT_SIZE], logger[LOG_LOGGER_SIZE];
    uint64_t number = (uint64_t)(line->at.us - T0);
    snprintf(logger, sizeof logger, "logger%u", (unsigned)(number % 7));
    return line->length == text_of(number, text) && memcmp(line->text, text, line->length) == 0 &&
           line->text[line->length] == '\0' && strcmp(line->logger, logger) == 0 &&
           line->writer == number % 3 && line->level == number % LOG_LEVEL_COUNT;
}

struct count {
    size_t whole, torn, missing;
};

static struct count read_all(void)
{
    struct count count = {0};
    struct log_line line;
    uint64_t last = log_ring_last(ring);
    for (uint64_t serial = log_ring_first(ring); serial <= last; serial++) {
        bool is_read = log_ring_read(ring, serial, &line) == LOG_RING_READ;
        count.missing += !is_read;
        count.whole += is_read && is_whole(&line);
        count.torn += is_read && !is_whole(&line);
    }
    return count;
}

static void assert_lines(size_t whole, size_t missing)
{
    struct count count = read_all();
    assert_int_equal(count.torn, 0);
    assert_int_equal(count.whole, whole);
    assert_int_equal(count.missing, missing);
}

static void test_the_oldest_go(void **state)
{
    (void)state;
    assert_lines(0, 0);
    for (uint64_t i = 1; i <= 10; i++)
        put(i);
    assert_lines(10, 0);
    assert_int_equal(log_ring_first(ring), 1);
    for (uint64_t i = 1; i <= LOG_RING_LINES; i++)
        put(i);
    assert_lines(LOG_RING_LINES, 0);
    assert_int_equal(log_ring_first(ring), 11);
    struct log_line line;
    assert_int_equal(log_ring_read(ring, 10, &line), LOG_RING_GONE);
    assert_int_equal(log_ring_read(ring, log_ring_last(ring) + 1, &line), LOG_RING_UNFINISHED);
}

static void test_cleared(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 7; i++)
        put(i);
    assert_int_equal(log_ring_clear(ring), 7);
    assert_lines(0, 0);
    assert_int_equal(log_ring_clear(ring), 0);
    put(8);
    assert_lines(1, 0);
    assert_int_equal(log_ring_clear(ring), 1);
}

static void test_damage_is_noticed(void **state)
{
    (void)state;
    struct log_line line;
    for (uint64_t i = 1; i <= 3; i++)
        put(i);
    ring->records[2].text[5] ^= 1;
    assert_int_equal(log_ring_read(ring, 2, &line), LOG_RING_GONE);
    assert_lines(2, 1);
    ring->records[3].length = 60000;
    assert_lines(1, 2);
    memset(ring, 0xff, sizeof *ring);
    put(4);
    assert_int_equal(log_ring_clear(ring), 0);
}

/* ---- through log.h ---- */

/* What `action` logs; standard error is nobody's here. */
static void quietly(void (*action)(void))
{
    int real = dup(STDERR_FILENO), nowhere = open("/dev/null", O_WRONLY);
    dup2(nowhere, STDERR_FILENO);
    log_setup(LOG_INFO, LOG_FORMAT_JSON);
    log_share(ring, 2);
    action();
    log_share(NULL, 0);
    dup2(real, STDERR_FILENO);
    close(nowhere);
    close(real);
}

static struct log_line newest(void)
{
    struct log_line line;
    assert_int_equal(log_ring_read(ring, log_ring_last(ring), &line), LOG_RING_READ);
    return line;
}

static void log_one(void)
{
    log_debug("core", "below the threshold");
    log_warning("feed", "request \"refused\"", LOG_INT("status", 429), LOG_STRING("body", NULL));
}

static void test_lines_of_the_log(void **state)
{
    (void)state;
    quietly(log_one);
    struct log_line line = newest();
    assert_int_equal(log_ring_last(ring), 1);
    assert_string_equal(line.text,
                        "\"msg\":\"request \\\"refused\\\"\",\"status\":429,\"body\":null");
    assert_string_equal(line.logger, "feed");
    assert_int_equal(line.level, LOG_WARNING);
    assert_int_equal(line.writer, 2);
    assert_true(duration_to_s(instant_diff(clock_now(), line.at)) < 60);
}

static void log_too_much(void)
{
    char filler[2000];
    memset(filler, '\x01', sizeof filler - 1); /* six bytes each when escaped */
    filler[sizeof filler - 1] = '\0';
    log_info("a logger whose name is much too long", filler, LOG_STRING("a", filler),
             LOG_STRING("b", "fits"), LOG_STRING("c", filler));
}

static void test_too_long_is_cut_and_marked(void **state)
{
    (void)state;
    quietly(log_too_much);
    struct log_line line = newest();
    assert_string_equal(line.logger, "a logger whose name is ");
    assert_non_null(strstr(line.text, "\\u0001\xe2\x80\xa6\",\"b\":\"fits\",\"truncated\":true"));
    assert_true(line.length <= LOG_TEXT_SIZE);
}

static void log_secrets(void)
{
    log_hide("hunter2-\"x\"");
    log_hide("short"); /* could be a word */
    log_hide("");
    log_info("api", "Bearer hunter2-\"x\"!", LOG_STRING("url", "https://h/hunter2-\"x\""),
             LOG_STRING("twice", "hunter2-\"x\"hunter2-\"x\""), LOG_STRING("word", "short"));
}

static void test_no_secret_gets_in(void **state)
{
    (void)state;
    quietly(log_secrets);
    assert_string_equal(newest().text, "\"msg\":\"Bearer ***!\",\"url\":\"https://h/***\","
                                       "\"twice\":\"******\",\"word\":\"short\"");
}

/* ---- many threads ---- */

static atomic_bool done;

static void *write_many(void *first)
{
    for (uint64_t i = 0; i < LINES; i++)
        put((uint64_t)(uintptr_t)first + i);
    return NULL;
}

static void *read_until_done(void *argument)
{
    (void)argument;
    size_t torn = 0;
    while (!atomic_load(&done))
        torn += read_all().torn;
    return (void *)torn;
}

static void test_many_threads(void **state)
{
    (void)state;
    pthread_t writers[WRITERS], reader;
    void *torn;
    atomic_store(&done, false);
    pthread_create(&reader, NULL, read_until_done, NULL);
    for (uintptr_t i = 0; i < WRITERS; i++)
        pthread_create(&writers[i], NULL, write_many, (void *)(1 + i * LINES));
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    atomic_store(&done, true);
    pthread_join(reader, &torn);
    assert_null(torn);
    assert_int_equal(ring->lost, 0);
    assert_true(read_all().whole > LOG_RING_LINES / 2);
}

/* ---- killed in the middle ---- */

/* The first record that lies across two pages; its serial is its place. */
static uint64_t first_across(void)
{
    uint64_t place = 1;
    while ((size_t)((char *)&ring->records[place] - memory) / PAGE ==
           (size_t)((char *)&ring->records[place + 1] - 1 - memory) / PAGE)
        place++;
    return place;
}

/* A process whose memory ends in the middle of a record: it dies there, each time. */
static void die_writing(uint64_t place)
{
    pid_t pid = fork();
    if (pid == 0) {
        size_t page = (size_t)((char *)&ring->records[place + 1] - 1 - memory) / PAGE * PAGE;
        signal(SIGSEGV, SIG_DFL);
        mprotect(memory + page, PAGE, PROT_NONE);
        put(399); /* a long one */
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
}

static void test_a_death_in_the_middle(void **state)
{
    (void)state;
    uint64_t place = first_across();
    for (uint64_t i = 1; i < place; i++)
        put(i);
    die_writing(place);
    struct log_line line;
    assert_int_equal(ring->next, place); /* it had begun */
    assert_int_equal(log_ring_read(ring, place, &line), LOG_RING_UNFINISHED);
    assert_int_equal(((struct log_record *)&ring->records[place])->at_us, T0 + 399);
    put(place + 1); /* who comes later is not bothered */
    assert_lines(place, 1);
    for (uint64_t i = 1; i <= 2 * LOG_RING_LINES; i++)
        put(i);
    assert_lines(LOG_RING_LINES - 1, 1); /* one place is lost for good */
    assert_int_equal(ring->lost, 0);
}

static pid_t start_writer(uint64_t first)
{
    pid_t pid = fork();
    if (pid == 0)
        for (;; first++)
            put(first);
    return pid;
}

static void test_killed_at_any_moment(void **state)
{
    (void)state;
    for (uint64_t round = 1; round <= KILL_ROUNDS; round++) {
        uint64_t before = atomic_load(&ring->next);
        pid_t pids[] = {start_writer(round << 20), start_writer(round << 21)};
        while (atomic_load(&ring->next) < before + 500 + round * 7)
            assert_int_equal(read_all().torn, 0);
        for (size_t i = 0; i < sizeof pids / sizeof pids[0]; i++) {
            kill(pids[i], SIGKILL);
            waitpid(pids[i], NULL, 0);
        }
        put(round);
        struct log_line line = newest();
        assert_true(is_whole(&line) && line.at.us == T0 + (int64_t)round);
    }
    struct count count = read_all();
    assert_int_equal(count.torn, 0);
    assert_true(count.missing <= 4 * KILL_ROUNDS);
    assert_int_equal(ring->lost, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_the_oldest_go, begin, end),
        cmocka_unit_test_setup_teardown(test_cleared, begin, end),
        cmocka_unit_test_setup_teardown(test_damage_is_noticed, begin, end),
        cmocka_unit_test_setup_teardown(test_lines_of_the_log, begin, end),
        cmocka_unit_test_setup_teardown(test_too_long_is_cut_and_marked, begin, end),
        cmocka_unit_test_setup_teardown(test_no_secret_gets_in, begin, end),
        cmocka_unit_test_setup_teardown(test_many_threads, begin, end),
        cmocka_unit_test_setup_teardown(test_a_death_in_the_middle, begin, end),
        cmocka_unit_test_setup_teardown(test_killed_at_any_moment, begin, end),
    };
    return cmocka_run_group_tests_name("log_ring", tests, NULL, NULL);
}
