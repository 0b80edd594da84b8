#include "core/trust.h"
#include "page/flight.h"

#include "core/core.h"
#include "page/command.h"
#include "page/status_page.h"
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define T0          1790000000000000LL
#define WRITERS     4
#define RECORDS     20000 /* of a writer */
#define KILL_ROUNDS 150
#define KILLERS     2 /* writing processes in a round */

static struct flight *flight; /* shared with children */
static struct flight_record records[FLIGHT_RECORDS];

static int begin(void **state)
{
    (void)state;
    flight = mmap(NULL, sizeof *flight, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    return flight == MAP_FAILED;
}

static int end(void **state)
{
    (void)state;
    return munmap(flight, sizeof *flight);
}

/* A record in which everything follows from `number`, so that a mixed one shows. */
static void record_number(uint64_t number)
{
    struct address subject;
    memset(&subject, (int)(number % 251), sizeof subject);
    struct flight_note note = {.kind = (enum flight_kind)(number % FLIGHT_KIND_COUNT),
                               .process = (unsigned)(number % 3),
                               .what = (unsigned)(number % 241),
                               .from = (unsigned)(number % 239),
                               .to = (unsigned)(number % 233),
                               .number = number,
                               .subject = &subject};
    flight_record(flight, (instant){T0 + (int64_t)number}, &note);
}

static bool is_whole(const struct flight_record *record)
{
    uint64_t number = record->number;
    for (size_t i = 0; i < ADDRESS_BYTES; i++)
        if (record->subject.bytes[i] != number % 251)
            return false;
    return record->serial != 0 && record->at_us == T0 + (int64_t)number &&
           record->kind == number % FLIGHT_KIND_COUNT && record->process == number % 3 &&
           record->what == number % 241 && record->from == number % 239 &&
           record->to == number % 233;
}

/* Reads all, and checks that each is whole and that they are in order. */
static size_t read_whole(struct flight_record *out)
{
    size_t count = flight_read(flight, out, FLIGHT_RECORDS), wrong = 0;
    for (size_t i = 0; i < count; i++)
        wrong += !is_whole(&out[i]) || (i > 0 && out[i].serial <= out[i - 1].serial);
    if (wrong > 0)
        fail_msg("%zu of %zu records are torn or out of order", wrong, count);
    return count;
}

static void test_empty(void **state)
{
    (void)state;
    assert_int_equal(flight_read(flight, records, FLIGHT_RECORDS), 0);
}

static void test_newest_oldest_first(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= 10; i++)
        record_number(i);
    assert_int_equal(flight_read(flight, records, 3), 3);
    assert_int_equal(records[0].number, 8);
    assert_int_equal(records[2].number, 10);
    assert_int_equal(records[2].serial, 10);
    assert_int_equal(read_whole(records), 10);
    assert_int_equal(records[0].number, 1);
    assert_int_equal(flight_read(flight, records, 0), 0);
}

static void test_the_oldest_are_written_over(void **state)
{
    (void)state;
    for (uint64_t i = 1; i <= FLIGHT_RECORDS + 100; i++)
        record_number(i);
    assert_int_equal(read_whole(records), FLIGHT_RECORDS);
    assert_int_equal(records[0].number, 101);
    assert_int_equal(records[FLIGHT_RECORDS - 1].number, FLIGHT_RECORDS + 100);
}

static void test_without_a_subject(void **state)
{
    (void)state;
    static const struct address nobody;
    flight_record(flight, (instant){T0}, &(struct flight_note){.kind = FLIGHT_CLOCK});
    assert_int_equal(flight_read(flight, records, 1), 1);
    assert_true(address_equal(&records[0].subject, &nobody));
}

/* What a writer leaves that dies in the middle: its place is passed over by readers and, a lap
 * later, by writers. */
static void test_a_place_that_stays_claimed(void **state)
{
    (void)state;
    flight->records[5].serial = 5 | FLIGHT_CLAIMED;
    for (uint64_t i = 1; i <= 10; i++)
        record_number(i);
    assert_int_equal(flight->next, 11); /* one number was lost on it */
    assert_int_equal(read_whole(records), 10);
    assert_int_equal(flight_read(flight, records, 7), 7);
    assert_int_equal(records[0].number, 4); /* and not one fewer */
    for (uint64_t i = 1; i <= 3 * FLIGHT_RECORDS; i++)
        record_number(i);
    assert_int_equal(read_whole(records), FLIGHT_RECORDS - 1);
    assert_int_equal(flight->dropped, 0);
}

/* A writer that was not running for a whole lap must not write over what is newer. */
static void test_lapped(void **state)
{
    (void)state;
    flight->records[1].serial = FLIGHT_RECORDS + 1;
    record_number(1);
    assert_int_equal(flight->records[1].serial, FLIGHT_RECORDS + 1);
    assert_int_equal(flight->records[2].serial, 2);
}

static void test_a_recorder_written_over(void **state)
{
    (void)state;
    memset(flight, 0xff, sizeof *flight);
    flight->dropped = 0;
    record_number(1);
    assert_int_equal(flight->dropped, 1);
    assert_int_equal(flight_read(flight, records, FLIGHT_RECORDS), 0);
    memset(flight, 0, sizeof *flight);
    flight->next = UINT64_MAX;
    assert_int_equal(flight_read(flight, records, FLIGHT_RECORDS), 0);
    record_number(1);
    record_number(2);
    assert_int_equal(flight_read(flight, records, FLIGHT_RECORDS), 2);
}

static void test_one_that_is_being_replaced(void **state)
{
    (void)state;
    record_number(1);
    flight->records[1].serial = 1 | FLIGHT_CLAIMED;
    assert_int_equal(flight_read(flight, records, 1), 0);
    flight->records[1].serial = 1 + FLIGHT_RECORDS;
    assert_int_equal(flight_read(flight, records, 1), 0);
}

/* ---- many threads ---- */

static atomic_bool done;

static void *write_many(void *first)
{
    for (uint64_t i = 0; i < RECORDS; i++)
        record_number((uint64_t)(uintptr_t)first + i);
    return NULL;
}

static void *read_until_done(void *out)
{
    intptr_t torn = 0;
    while (!atomic_load(&done)) {
        size_t count = flight_read(flight, out, FLIGHT_RECORDS);
        for (size_t i = 0; i < count; i++)
            torn += !is_whole(&((struct flight_record *)out)[i]);
    }
    return (void *)torn;
}

static void test_many_threads(void **state)
{
    (void)state;
    static struct flight_record copies[FLIGHT_RECORDS];
    pthread_t writers[WRITERS], reader;
    void *torn;
    atomic_store(&done, false);
    pthread_create(&reader, NULL, read_until_done, copies);
    for (uintptr_t i = 0; i < WRITERS; i++)
        pthread_create(&writers[i], NULL, write_many, (void *)(1 + i * RECORDS));
    for (int i = 0; i < WRITERS; i++)
        pthread_join(writers[i], NULL);
    atomic_store(&done, true);
    pthread_join(reader, &torn);
    assert_int_equal((intptr_t)torn, 0);
    assert_int_equal(flight->dropped, 0);
    assert_true(read_whole(records) > FLIGHT_RECORDS / 2);
    for (uint64_t i = 1; i <= FLIGHT_RECORDS; i++)
        assert_false(flight->records[i - 1].serial & FLIGHT_CLAIMED); /* all were finished */
}

/* ---- killed in the middle ---- */

static pid_t start_writer(uint64_t first)
{
    pid_t pid = fork();
    if (pid == 0)
        for (;; first++)
            record_number(first);
    return pid;
}

static size_t claimed_places(void)
{
    size_t count = 0;
    for (size_t i = 0; i < FLIGHT_RECORDS; i++)
        count += (flight->records[i].serial & FLIGHT_CLAIMED) != 0;
    return count;
}

static void test_writers_are_killed(void **state)
{
    (void)state;
    for (uint64_t round = 1; round <= KILL_ROUNDS; round++) {
        pid_t pids[KILLERS];
        uint64_t before = flight->next;
        for (uint64_t i = 0; i < KILLERS; i++)
            pids[i] = start_writer((round * KILLERS + i) << 32);
        while (atomic_load(&flight->next) < before + 2000 + round * 7)
            read_whole(records);
        for (int i = 0; i < KILLERS; i++) {
            kill(pids[i], SIGKILL);
            waitpid(pids[i], NULL, 0);
        }
        read_whole(records);
        record_number(round); /* who comes later is not bothered */
        assert_true(flight_read(flight, records, 1) == 1 && records[0].number == round);
    }
    assert_true(claimed_places() <= KILL_ROUNDS * KILLERS);
    assert_true(read_whole(records) >= FLIGHT_RECORDS - 2 * claimed_places());
    assert_int_equal(flight->dropped, 0);
}

/* ---- sentences ---- */

static const struct address some_mint = {{1, 2, 3}};

static void assert_sentence(const struct flight_note *note, const char *expected)
{
    char text[200];
    flight_record(flight, (instant){T0}, note);
    assert_int_equal(flight_read(flight, records, 1), 1);
    size_t length = flight_describe(&records[0], text, sizeof text);
    assert_string_equal(text, expected);
    assert_int_equal(length, strlen(expected));
}

static void test_sentences(void **state)
{
    (void)state;
    static const struct {
        struct flight_note note;
        const char *sentence;
    } rows[] = {
        {{FLIGHT_PROCESS, 0, PROCESS_ENGINE, PROCESS_STARTING, PROCESS_RUNNING, 4711, NULL},
         "engine: starting to running (pid 4711)"},
        {{FLIGHT_START, 0, PROCESS_ENGINE, 0, STAGE_TABLE, 12, NULL},
         "engine start: all tokens in their lanes (pid 12)"},
        {{FLIGHT_REQUEST_SENT, 0, LANE_REFRESH, 0, 30, 7, &some_mint},
         "request 7 sent in refresh, 30 addresses, first "
         "4wBqdyVLMGTKbKcoyRpuTrcVt8oQxwqd7DH1SoFLTGT"},
        {{FLIGHT_REQUEST_ENDED, 0, LANE_SCREEN, 0, FEED_RATE_LIMITED, 7, NULL},
         "request 7 of screen ended: rate_limited"},
        {{FLIGHT_LIFE, 0, 0, TOKEN_MONITORING, TOKEN_ACTIVE, 0, &some_mint},
         "4wBqdyVLMGTKbKcoyRpuTrcVt8oQxwqd7DH1SoFLTGT is active now"},
        {{FLIGHT_JOB, 0, JOB_RETENTION, 0, 1, 5, NULL}, "job retention: idle to running (run 5)"},
        {{FLIGHT_BREAKER, 0, 0, 0, 1, 0, NULL}, "breaker: closed to open"},
        {{FLIGHT_SUSPECT, 0, 0, TRUST_SUSPECT, TRUST_QUARANTINE, 0, NULL},
         "-: suspicion suspect to quarantine"},
        {{FLIGHT_PAUSE, 0, 0, 0, 1, 0, NULL}, "scheduler: running to paused"},
        {{FLIGHT_LOAD, 0, SIGNAL_MEMORY, LOAD_NORMAL, LOAD_MINIMAL, 0, NULL},
         "load, memory: normal to minimal"},
        {{FLIGHT_FEATURE, 0, FEATURE_STATISTICS, FEATURE_ON, FEATURE_OFF, 0, NULL},
         "optional feature statistics: off"},
        {{FLIGHT_FORECAST, 0, VITAL_DISK, VITAL_QUIET, VITAL_FORETOLD, 0, NULL},
         "the threshold of disk: quiet to foretold"},
        {{FLIGHT_STORE, 0, 0, 1, 0, 0, NULL}, "store: failing to working"},
        {{FLIGHT_SOURCE, 0, 0, 0, 1, 0, NULL}, "source: working to failing"},
        {{FLIGHT_LIMIT, 0, LANE_SCREEN, 0, 1, 137, NULL},
         "the upstream's limit of screen fell: 137 a minute"},
        {{FLIGHT_ALERT, 0, ALERT_SINK_TELEGRAM, 0, FLIGHT_ALERT_DELIVERED, 12, NULL},
         "message 12 to people, telegram: delivered"},
        {{FLIGHT_COMMAND, 0, COMMAND_REFRESH, 0, 0, 99, NULL}, "command refresh (tag 99)"},
        {{FLIGHT_HEALING, 0, PROCESS_ENGINE, 0, HEALED_BY_QUARANTINE, 2, NULL},
         "healing: quarantine of engine (2)"},
        {{FLIGHT_CLOCK, 0, 0, 0, 0, (uint64_t)-3000000, NULL},
         "the wall clock was set by -3000000 us"},
        {{FLIGHT_FAULT, 0, 4, 0, 0, 1, NULL}, "fault point 4 armed (1)"},
    };
    _Static_assert(sizeof rows / sizeof rows[0] == FLIGHT_KIND_COUNT, "a sentence of each kind");
    for (size_t i = 0; i < FLIGHT_KIND_COUNT; i++) {
        assert_int_equal(rows[i].note.kind, i);
        assert_sentence(&rows[i].note, rows[i].sentence);
    }
}

/* Records are what somebody left who died: any value must make some sentence. */
static void test_values_out_of_range(void **state)
{
    (void)state;
    static const struct {
        struct flight_note note;
        const char *sentence;
    } rows[] = {
        {{FLIGHT_KIND_COUNT, 0, 0, 0, 0, 0, NULL}, "unknown"},
        {{FLIGHT_PROCESS, 0, 200, 201, 202, UINT64_MAX, NULL},
         "unknown: unknown to unknown (pid 18446744073709551615)"},
        {{FLIGHT_PAUSE, 0, 0, 200, 201, 0, NULL}, "scheduler: 200 to 201"},
        {{FLIGHT_STORE, 0, 0, 2, 255, 0, NULL}, "store: 2 to 255"},
        {{FLIGHT_HEALING, 0, 200, 0, 201, 0, NULL}, "healing: 201 of unknown (0)"},
        {{FLIGHT_COMMAND, 0, 200, 0, 0, 0, NULL}, "command 200 (tag 0)"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_sentence(&rows[i].note, rows[i].sentence);
    for (int value = 0; value < 256; value++)
        for (int kind = 0; kind < 256; kind++) {
            char text[200];
            struct flight_record record;
            memset(&record, value, sizeof record);
            record.kind = (uint8_t)kind;
            size_t length = flight_describe(&record, text, sizeof text);
            assert_int_equal(length, strlen(text));
            assert_true(length > 0);
        }
}

static void test_a_short_buffer(void **state)
{
    (void)state;
    char text[200];
    struct flight_record record = {.kind = FLIGHT_PAUSE};
    for (size_t size = 1; size < 40; size++) {
        memset(text, 'x', sizeof text);
        size_t length = flight_describe(&record, text, size);
        assert_true(length < size);
        assert_int_equal(text[length], '\0');
        assert_int_equal(text[size], 'x');
    }
    assert_string_equal(text, "scheduler: running to running");
}

static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i < FLIGHT_KIND_COUNT; i++)
        assert_string_not_equal(flight_kind_name((enum flight_kind)i), "unknown");
    assert_string_equal(flight_kind_name(FLIGHT_CLOCK), "clock");
    assert_string_equal(flight_kind_name(FLIGHT_KIND_COUNT), "unknown");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_empty),
        TEST(test_newest_oldest_first),
        TEST(test_the_oldest_are_written_over),
        TEST(test_without_a_subject),
        TEST(test_a_place_that_stays_claimed),
        TEST(test_lapped),
        TEST(test_a_recorder_written_over),
        TEST(test_one_that_is_being_replaced),
        TEST(test_many_threads),
        TEST(test_writers_are_killed),
        TEST(test_sentences),
        TEST(test_values_out_of_range),
        TEST(test_a_short_buffer),
        TEST(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
