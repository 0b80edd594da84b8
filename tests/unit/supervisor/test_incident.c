#include "supervisor/incident.h"

#include "base/log.h"
#include "core/lane_kind.h"
#include "folder.h"
#include "supervisor/incident_text.h"
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <cmocka.h>

#define NOW ((instant){1790000000000000})

static struct folder folder;
static int folder_fd;
static struct status_page page;
static struct incidents incidents;
static struct incident incident;

/* The next write(2) is interrupted, or takes so many bytes at most. */
static bool is_interrupted;
static size_t write_most;

ssize_t __real_write(int fd, const void *bytes, size_t length);
ssize_t __wrap_write(int fd, const void *bytes, size_t length);

ssize_t __wrap_write(int fd, const void *bytes, size_t length)
{
    if (is_interrupted) {
        is_interrupted = false;
        errno = EINTR;
        return -1;
    }
    return __real_write(fd, bytes, length < write_most ? length : write_most);
}

/* No memory for a listing. */
static bool is_out_of_memory;

DIR *__real_fdopendir(int fd);
DIR *__wrap_fdopendir(int fd);

DIR *__wrap_fdopendir(int fd)
{
    if (!is_out_of_memory)
        return __real_fdopendir(fd);
    errno = ENOMEM;
    return NULL;
}

static int begin(void **state)
{
    (void)state;
    folder_make(&folder);
    folder_fd = open(folder.path, O_RDONLY | O_DIRECTORY);
    status_page_init(&page);
    is_interrupted = false;
    write_most = SIZE_MAX;
    return 0;
}

static int end(void **state)
{
    (void)state;
    close(folder_fd);
    folder_remove(&folder);
    return 0;
}

static const struct incident_death usual_death = {
    .at = {1790000000000000},
    .process = PROCESS_ENGINE,
    .cause = INCIDENT_SIGNAL,
    .pid = 4711,
    .signal = SIGSEGV,
    .beat = BEAT_COUNT,
    .generation = 7,
};

static const struct incident_healing usual_healing = {
    .action = HEALING_EMERGENCY_RESTART,
    .start = START_WARM,
    .attempts = 1,
    .replaced_after = {14000},
};

static void begin_incident(const struct incident_death *death)
{
    incident_begin(&incidents, &incident, &page, death);
}

static bool finish_incident(void)
{
    return incident_finish(&incidents, &incident, &usual_healing, &page);
}

static void one_incident(void)
{
    begin_incident(&usual_death);
    assert_true(finish_incident());
}

static bool exists(const char *name)
{
    return access(folder_path(&folder, name), F_OK) == 0;
}

static void set_in_hand(uint32_t count)
{
    page.hands[0].lane = LANE_REFRESH;
    page.hands[0].request = 99;
    for (uint32_t i = 0; i < IN_HAND_MAX; i++)
        memset(page.hands[0].mints[i].bytes, (int)i + 1, ADDRESS_BYTES);
    atomic_store(&page.hands[0].count, count);
}

static void record(int64_t at_ms, uint64_t number)
{
    struct flight_note note = {
        .kind = FLIGHT_REQUEST_ENDED, .process = PROCESS_ENGINE, .number = number};
    flight_record(&page.flight, instant_add(NOW, duration_ms(at_ms)), &note);
}

/* ---- the sentence ---- */

static void assert_message(const struct incident_death *death,
                           const struct incident_healing *healing, const char *expected)
{
    char message[INCIDENT_MESSAGE_SIZE];
    incident.death = *death;
    size_t length = incident_message(&incident, healing, message);
    assert_string_equal(message, expected);
    assert_int_equal(length, strlen(expected));
}

static void test_causes(void **state)
{
    (void)state;
    static const struct {
        struct incident_death death;
        const char *sentence;
    } rows[] = {
        {{.process = PROCESS_ENGINE, .cause = INCIDENT_SIGNAL, .signal = SIGSEGV},
         "the engine died of SIGSEGV; it was replaced after 14 ms (warm)"},
        {{.process = PROCESS_ENGINE, .cause = INCIDENT_SIGNAL, .signal = 200},
         "the engine died of signal 200; it was replaced after 14 ms (warm)"},
        {{.process = PROCESS_API, .cause = INCIDENT_EXIT, .exit_status = 3},
         "the api ended with status 3; it was replaced after 14 ms (warm)"},
        {{.process = PROCESS_ENGINE,
          .cause = INCIDENT_HANG,
          .beat = BEAT_STORE_THREAD,
          .silent = {30000500}},
         "the engine did not move for 30.0 s (store thread); it was killed and replaced after "
         "14 ms (warm)"},
        {{.process = PROCESS_ENGINE,
          .cause = INCIDENT_STOPPED,
          .beat = BEAT_COUNT,
          .silent = {512345}},
         "the engine was stopped from outside and did not move for 512 ms; it was killed and "
         "replaced after 14 ms (warm)"},
        {{.process = PROCESS_ENGINE, .cause = INCIDENT_OUT_OF_MEMORY},
         "the engine was killed by the kernel, which was out of memory; it was replaced after "
         "14 ms (warm)"},
        {{.process = PROCESS_ENGINE, .cause = INCIDENT_MEMORY_CEILING},
         "the engine grew over its memory ceiling and did not end; it was killed and replaced "
         "after 14 ms (warm)"},
        {{.process = PROCESS_API, .cause = INCIDENT_NOT_DRAINED},
         "the api did not end in time after it was told to; it was killed and replaced after "
         "14 ms (warm)"},
        {{.process = PROCESS_ENGINE, .cause = INCIDENT_UNAWAITABLE},
         "the engine did not even end when killed: it waits in the kernel; it was replaced after "
         "14 ms (warm)"},
        {{.process = PROCESS_ENGINE, .cause = INCIDENT_CAUSE_COUNT},
         "the engine died; it was replaced after 14 ms (warm)"},
    };
    incident.in_hand_count = 0;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_message(&rows[i].death, &usual_healing, rows[i].sentence);
}

static void test_what_was_in_hand(void **state)
{
    (void)state;
    struct incident_death death = usual_death;
    death.cause = INCIDENT_HANG;
    death.beat = BEAT_ENGINE_LOOP;
    death.silent = duration_ms(512);
    incident.in_hand_count = 1;
    assert_message(&death, &usual_healing,
                   "the engine did not move for 512 ms (engine loop) while it handled an answer "
                   "about 1 token; it was killed and replaced after 14 ms (warm)");
    incident.in_hand_count = 30;
    assert_message(&usual_death, &usual_healing,
                   "the engine died of SIGSEGV while it handled an answer about 30 tokens; it was "
                   "replaced after 14 ms (warm)");
    incident.in_hand_count = 0;
}

static void test_healing_in_words(void **state)
{
    (void)state;
    struct incident_healing healing = usual_healing;
    healing.replaced_after = duration_us(870);
    assert_message(&usual_death, &healing,
                   "the engine died of SIGSEGV; it was replaced after 870 us (warm)");
    healing = (struct incident_healing){.action = HEALING_EMERGENCY_RESTART,
                                        .start = START_COLD,
                                        .attempts = 3,
                                        .replaced_after = duration_ms(9999)};
    assert_message(&usual_death, &healing,
                   "the engine died of SIGSEGV; it was replaced after 9999 ms (cold, 3 attempts)");
    healing.start = START_NONE; /* of an api */
    assert_message(&usual_death, &healing,
                   "the engine died of SIGSEGV; it was replaced after 9999 ms (3 attempts)");
    healing.attempts = 1;
    assert_message(&usual_death, &healing,
                   "the engine died of SIGSEGV; it was replaced after 9999 ms");
    healing = (struct incident_healing){.action = HEALING_NONE};
    assert_message(&usual_death, &healing, "the engine died of SIGSEGV; it was not replaced");
    strcpy(healing.why, "we were told to end");
    assert_message(&usual_death, &healing,
                   "the engine died of SIGSEGV; it was not replaced: we were told to end");
    struct incident_death death = usual_death;
    death.cause = INCIDENT_HANG;
    death.silent = duration_us(10);
    assert_message(&death, &healing,
                   "the engine did not move for 10 us; it was killed and not replaced: we were "
                   "told to end");
}

/* As long as it may be: cut, and still terminated. */
static void test_a_long_reason(void **state)
{
    (void)state;
    char message[INCIDENT_MESSAGE_SIZE];
    struct incident_healing healing = {.action = HEALING_NONE};
    memset(healing.why, 'w', sizeof healing.why - 1);
    incident.death = usual_death;
    incident.in_hand_count = 1;
    incident.death.cause = INCIDENT_STOPPED;
    incident.death.silent.us = INT64_MAX;
    incident.death.beat = BEAT_API_LINK;
    size_t length = incident_message(&incident, &healing, message);
    assert_int_equal(length, strlen(message));
    assert_true(length < sizeof message);
    incident.in_hand_count = 0;
}

static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i < INCIDENT_CAUSE_COUNT; i++)
        assert_string_not_equal(incident_cause_name((enum incident_cause)i), "unknown");
    for (int i = 0; i < HEALING_ACTION_COUNT; i++)
        assert_string_not_equal(healing_action_name((enum healing_action)i), "unknown");
    assert_string_equal(incident_cause_name(INCIDENT_CAUSE_COUNT), "unknown");
    assert_string_equal(healing_action_name(HEALING_ACTION_COUNT), "unknown");
}

/* ---- what is copied ---- */

static void test_copies_at_the_death(void **state)
{
    (void)state;
    incidents_init(&incidents, folder_fd, 100);
    set_in_hand(3);
    record(-1000, 41);
    page.crashes[PROCESS_ENGINE].signal = SIGSEGV;
    page.crashes[PROCESS_ENGINE].frame_count = 2;
    page.crashes[PROCESS_ENGINE].is_filled = 1;
    begin_incident(&usual_death);
    assert_int_equal(page.crashes[PROCESS_ENGINE].is_filled, 0);
    assert_int_equal(page.hands[0].count, 3);

    /* the next process writes over all of it */
    set_in_hand(1);
    memset(page.hands[0].mints, 0xee, sizeof page.hands[0].mints);
    record(1, 42);
    assert_int_equal(incident.number, 1);
    assert_int_equal(incident.crash.frame_count, 2);
    assert_int_equal(incident.in_hand_count, 3);
    assert_int_equal(incident.in_hand[2].bytes[0], 3);
    assert_int_equal(incident.in_hand_lane, LANE_REFRESH);
    assert_int_equal(incident.in_hand_request, 99);
    assert_int_equal(incident.transition_count, 1);
    assert_int_equal(incident.transitions[0].number, 41);
}

static void test_only_the_engine_has_something_in_hand(void **state)
{
    (void)state;
    struct incident_death death = usual_death;
    death.process = PROCESS_API;
    incidents_init(&incidents, folder_fd, 100);
    set_in_hand(3);
    begin_incident(&death);
    assert_int_equal(incident.in_hand_count, 0);
}

/* A worker fell while the loop handled another answer: that one has nothing to do with it. */
static void test_only_who_fell_had_it_in_hand(void **state)
{
    (void)state;
    struct incident_death death = usual_death;
    incidents_init(&incidents, folder_fd, 100);
    set_in_hand(3);
    page.hands[0].thread = 1000;
    page.hands[1].thread = death.thread = 1001;
    page.hands[1].request = 7;
    page.hands[1].count = 2;
    begin_incident(&death);
    assert_int_equal(incident.in_hand_count, 2);
    assert_int_equal(incident.in_hand_request, 7);
    death.thread = 0; /* nobody knows */
    begin_incident(&death);
    assert_int_equal(incident.in_hand_count, 5);
    assert_int_equal(incident.in_hand_request, 99);
}

/* The page is what a dying process left. */
static void test_damaged_page(void **state)
{
    (void)state;
    incidents_init(&incidents, folder_fd, 100);
    memset(&page.hands, 0xff, sizeof page.hands);
    memset(&page.crashes, 0xff, sizeof page.crashes);
    memset(&page.flight.records, 0xff, sizeof page.flight.records);
    for (uint64_t i = 1; i <= FLIGHT_RECORDS; i++)
        page.flight.records[i % FLIGHT_RECORDS].serial = i;
    page.flight.next = FLIGHT_RECORDS;
    begin_incident(&usual_death);
    assert_int_equal(incident.in_hand_count, IN_HAND_MAX);
    assert_true(finish_incident());
    json_t *root = json_loads(folder_read(&folder, "000001.json"), 0, NULL);
    assert_non_null(root);
    assert_int_equal(json_array_size(json_object_get(root, "backtrace")), CRASH_FRAMES_MAX);
    assert_int_equal(json_array_size(json_object_get(root, "in_hand")), IN_HAND_MAX);
    assert_int_equal(json_array_size(json_object_get(root, "transitions")),
                     INCIDENT_TRANSITIONS_MIN); /* times of no sense count as old */
    json_decref(root);
    page.flight.next = UINT64_MAX;
    begin_incident(&usual_death);
    assert_int_equal(incident.transition_count, 0);
}

static void assert_transitions(uint32_t count, uint64_t first, uint64_t last)
{
    begin_incident(&usual_death);
    assert_int_equal(incident.transition_count, count);
    assert_int_equal(incident.transitions[0].number, first);
    assert_int_equal(incident.transitions[count - 1].number, last);
}

static void test_how_many_transitions(void **state)
{
    (void)state;
    incidents_init(&incidents, folder_fd, 100);
    for (uint64_t i = 1; i <= 100; i++)
        record(-31000, i);
    assert_transitions(INCIDENT_TRANSITIONS_MIN, 37, 100);
    for (uint64_t i = 101; i <= 200; i++)
        record(-30000, i);
    assert_transitions(100, 101, 200);
    for (uint64_t i = 201; i <= 1000; i++)
        record(-10, i);
    assert_transitions(INCIDENT_TRANSITIONS_MAX, 489, 1000);
}

static void test_no_transitions(void **state)
{
    (void)state;
    incidents_init(&incidents, folder_fd, 100);
    begin_incident(&usual_death);
    assert_int_equal(incident.transition_count, 0);
}

/* ---- the file ---- */

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    assert_non_null(text);
    return text;
}

static json_int_t number_of(const json_t *object, const char *key)
{
    assert_true(json_is_integer(json_object_get(object, key)));
    return json_integer_value(json_object_get(object, key));
}

static void assert_null_field(const json_t *object, const char *key)
{
    assert_true(json_is_null(json_object_get(object, key)));
}

static json_t *load(const char *name)
{
    json_t *root = json_loads(folder_read(&folder, name), JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    return root;
}

static void assert_death_fields(const json_t *root)
{
    assert_int_equal(number_of(root, "number"), 1);
    assert_string_equal(text_of(root, "at"), "2026-09-21T14:13:20.000000+00:00");
    assert_string_equal(text_of(root, "process"), "engine");
    assert_int_equal(number_of(root, "pid"), 4711);
    assert_int_equal(number_of(root, "generation"), 7);
    assert_string_equal(text_of(root, "cause"), "signal");
    assert_string_equal(text_of(root, "signal"), "SIGSEGV");
    assert_null_field(root, "exit_status");
    assert_null_field(root, "beat");
    assert_int_equal(number_of(root, "silent_us"), 0);
    assert_string_equal(text_of(root, "message"),
                        "the engine died of SIGSEGV while it handled an answer about 2 tokens; it "
                        "was replaced after 14 ms (warm)");
    assert_string_equal(text_of(root, "fault_address"), "0xdeadbeef");
}

static void assert_lists(const json_t *root)
{
    const json_t *in_hand = json_object_get(root, "in_hand");
    const json_t *transition = json_array_get(json_object_get(root, "transitions"), 0);
    assert_int_equal(json_array_size(in_hand), 2);
    assert_int_equal(strlen(json_string_value(json_array_get(in_hand, 1))), 43);
    assert_string_equal(text_of(transition, "at"), "2026-09-21T14:13:19.000000+00:00");
    assert_string_equal(text_of(transition, "process"), "engine");
    assert_string_equal(text_of(transition, "kind"), "request_ended");
    assert_string_equal(text_of(transition, "text"), "request 41 of refresh ended: ok");
    assert_int_equal(json_array_size(json_object_get(root, "backtrace")), 2);
}

static void assert_healing_fields(const json_t *root)
{
    const json_t *healing = json_object_get(root, "healing");
    assert_string_equal(text_of(healing, "action"), "emergency_restart");
    assert_string_equal(text_of(healing, "start"), "warm");
    assert_string_equal(text_of(healing, "why"), "its table was whole");
    assert_int_equal(number_of(healing, "replaced_after_us"), 14000);
    assert_int_equal(number_of(healing, "attempts"), 1);
    assert_int_equal(number_of(root, "suspects"), 2);
    assert_int_equal(number_of(root, "quarantined"), 1);
}

static void test_the_file(void **state)
{
    (void)state;
    struct incident_healing healing = usual_healing;
    struct stat file;
    strcpy(healing.why, "its table was whole");
    healing.suspects_now = 2;
    healing.quarantined = 1;
    incidents_init(&incidents, folder_fd, 100);
    set_in_hand(2);
    record(-1000, 41);
    page.crashes[PROCESS_ENGINE] = (struct crash_report){
        .is_filled = 1, .signal = SIGSEGV, .fault_address = 0xdeadbeef, .frame_count = 2};
    begin_incident(&usual_death);
    assert_true(incident_finish(&incidents, &incident, &healing, &page));
    assert_int_equal(stat(folder_path(&folder, "000001.json"), &file), 0);
    assert_int_equal(file.st_mode & 07777, 0600);
    assert_int_equal(page.incident, 1);
    assert_int_equal(page.counters[COUNTER_INCIDENTS], 1);
    assert_int_equal(page.counters[COUNTER_INCIDENTS_LOST], 0);
    assert_int_equal(incident.number, 0);
    json_t *root = load("000001.json");
    assert_death_fields(root);
    assert_lists(root);
    assert_healing_fields(root);
    json_decref(root);
}

static void test_what_does_not_apply_is_null(void **state)
{
    (void)state;
    struct incident_death death = {.at = NOW,
                                   .process = PROCESS_API,
                                   .cause = INCIDENT_EXIT,
                                   .exit_status = 9,
                                   .beat = BEAT_API_HTTP};
    struct incident_healing healing = {.action = HEALING_NONE};
    incidents_init(&incidents, folder_fd, 100);
    begin_incident(&death);
    assert_true(incident_finish(&incidents, &incident, &healing, &page));
    json_t *root = load("000001.json");
    assert_null_field(root, "signal");
    assert_int_equal(number_of(root, "exit_status"), 9);
    assert_string_equal(text_of(root, "beat"), "api http thread");
    assert_null_field(root, "fault_address");
    assert_null_field(json_object_get(root, "healing"), "why");
    assert_null_field(json_object_get(root, "healing"), "replaced_after_us");
    json_decref(root);
}

static void test_hostile_texts(void **state)
{
    (void)state;
    struct incident_healing healing = usual_healing;
    strcpy(healing.why, "\"\\\n\x01\xff\xc3</script>");
    incidents_init(&incidents, folder_fd, 100);
    begin_incident(&usual_death);
    assert_true(incident_finish(&incidents, &incident, &healing, &page));
    json_t *root = load("000001.json");
    json_decref(root);
}

/* ---- numbers ---- */

static void assert_next(uint64_t next)
{
    incidents_init(&incidents, folder_fd, 100);
    assert_int_equal(incidents.next, next);
}

static void test_numbers_go_on(void **state)
{
    (void)state;
    assert_next(1);
    one_incident();
    one_incident();
    assert_next(3);
    one_incident();
    assert_true(exists("000003.json"));
    folder_write(&folder, "999999.json", "{}");
    assert_next(1000000);
    one_incident();
    assert_true(exists("1000000.json"));
    assert_next(1000001);
}

static void test_garbage_in_the_folder(void **state)
{
    (void)state;
    static const char *const names[] = {
        "000007.jsonx",
        "000008.tmp",
        "0000009.json",
        "00010.json",
        "+00011.json",
        "-00012.json",
        "000013",
        ".json",
        "000014.json.json",
        "9999999999999999999.json", /* one digit too many */
        "99999999999999999999999.json",
        "000000.json",
        "readme \n'\"",
        "\xff\xfe",
    };
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        folder_write(&folder, names[i], "garbage");
    assert_next(1);
    assert_int_equal(mkdir(folder_path(&folder, "000015.json"), 0700), 0);
    assert_int_equal(symlink("/etc/passwd", folder_path(&folder, "000016.json")), 0);
    assert_next(17);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_true(exists(names[i])); /* not ours to delete */
}

static void test_the_oldest_go(void **state)
{
    (void)state;
    incidents_init(&incidents, folder_fd, 3);
    for (int i = 0; i < 5; i++)
        one_incident();
    assert_false(exists("000001.json"));
    assert_false(exists("000002.json"));
    assert_true(exists("000003.json"));
    assert_true(exists("000005.json"));
    incidents_init(&incidents, folder_fd, 1); /* fewer from now on */
    assert_false(exists("000003.json"));
    assert_false(exists("000004.json"));
    assert_true(exists("000005.json"));
    assert_int_equal(incidents.next, 6);
}

/* What can't be deleted stays, and is no reason to stop. */
static void test_an_old_one_that_stays(void **state)
{
    (void)state;
    assert_int_equal(mkdir(folder_path(&folder, "000001.json"), 0700), 0);
    incidents_init(&incidents, folder_fd, 1);
    one_incident();
    one_incident();
    assert_true(exists("000001.json"));
    assert_false(exists("000002.json"));
    assert_true(exists("000003.json"));
}

/* ---- a folder that takes nothing ---- */

static void assert_lost(void)
{
    uint64_t lost = page.counters[COUNTER_INCIDENTS_LOST];
    uint64_t newest = page.incident;
    begin_incident(&usual_death);
    assert_false(finish_incident());
    incidents_retry(&incidents, &page);
    assert_int_equal(page.counters[COUNTER_INCIDENTS_LOST], lost);
    incidents_finish(&incidents, &page);
    assert_int_equal(page.counters[COUNTER_INCIDENTS_LOST], lost + 1);
    incidents_finish(&incidents, &page); /* once */
    assert_int_equal(page.counters[COUNTER_INCIDENTS_LOST], lost + 1);
    assert_int_equal(page.incident, newest);
    assert_int_equal(incident.number, 0);
}

static bool finish_on_a_full_disk(void)
{
    struct rlimit before;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    struct rlimit small = {.rlim_cur = 100, .rlim_max = before.rlim_max};
    begin_incident(&usual_death);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    bool is_kept = finish_incident();
    incidents_retry(&incidents, &page);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    return is_kept;
}

static void test_a_full_disk(void **state)
{
    (void)state;
    incidents_init(&incidents, folder_fd, 100);
    assert_false(finish_on_a_full_disk());
    assert_int_equal(page.counters[COUNTER_INCIDENTS], 0);
    assert_false(exists("unfinished.tmp"));
    assert_false(exists("000001.json"));
    incidents_retry(&incidents, &page); /* room again */
    assert_true(exists("000001.json"));
    assert_int_equal(page.incident, 1);
    incidents_retry(&incidents, &page); /* there is nothing any more */
    assert_int_equal(page.counters[COUNTER_INCIDENTS], 1);
    assert_int_equal(page.counters[COUNTER_INCIDENTS_LOST], 0);
}

/* The newest has the one place. */
static void test_a_full_disk_for_long(void **state)
{
    (void)state;
    incidents_init(&incidents, folder_fd, 100);
    assert_false(finish_on_a_full_disk());
    assert_false(finish_on_a_full_disk());
    assert_int_equal(page.counters[COUNTER_INCIDENTS_LOST], 1);
    incidents_retry(&incidents, &page);
    assert_false(exists("000001.json"));
    assert_true(exists("000002.json"));
    assert_int_equal(page.incident, 2);
}

static void test_no_folder(void **state)
{
    (void)state;
    assert_int_equal(rmdir(folder.path), 0);
    incidents_init(&incidents, folder_fd, 100);
    assert_lost();
    incidents_init(&incidents, -1, 100);
    assert_int_equal(incidents.next, 1);
    assert_lost();
}

static void test_no_listing(void **state)
{
    (void)state;
    folder_write(&folder, "file", "");
    int fd = open(folder_path(&folder, "file"), O_RDONLY);
    incidents_init(&incidents, fd, 100);
    assert_lost();
    close(fd);
}

/* Numbers begin anew then; what was there is written over, which is better than nothing. */
static void test_no_memory_for_the_listing(void **state)
{
    (void)state;
    is_out_of_memory = true;
    incidents_init(&incidents, folder_fd, 100);
    is_out_of_memory = false;
    assert_int_equal(incidents.next, 1);
    one_incident();
}

static void test_names_that_are_taken(void **state)
{
    (void)state;
    incidents_init(&incidents, folder_fd, 100);
    assert_int_equal(mkdir(folder_path(&folder, "000001.json"), 0700), 0);
    assert_lost();
    assert_false(exists("unfinished.tmp"));
    assert_int_equal(symlink("victim", folder_path(&folder, "unfinished.tmp")), 0);
    assert_lost();
    assert_false(exists("victim"));
}

static void test_a_text_over_its_limit(void **state)
{
    (void)state;
    incidents_init(&incidents, folder_fd, 100);
    json_init_fixed(&incidents.json, incidents.text, 64);
    begin_incident(&usual_death);
    assert_false(finish_incident());
    assert_int_equal(page.counters[COUNTER_INCIDENTS_LOST], 1); /* no try would help */
}

static void test_interrupted_writes(void **state)
{
    (void)state;
    incidents_init(&incidents, folder_fd, 100);
    write_most = 100;
    begin_incident(&usual_death);
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_LOGFMT); /* its writes are not meant */
    is_interrupted = true;
    assert_true(finish_incident());
    log_setup(LOG_ERROR, LOG_FORMAT_LOGFMT);
    assert_false(is_interrupted);
    write_most = 0; /* takes nothing, and says so */
    begin_incident(&usual_death);
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_LOGFMT);
    assert_false(finish_incident());
    write_most = SIZE_MAX;
    json_t *root = load("000001.json");
    json_decref(root);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_causes),
        TEST(test_what_was_in_hand),
        TEST(test_healing_in_words),
        TEST(test_a_long_reason),
        TEST(test_names),
        TEST(test_copies_at_the_death),
        TEST(test_only_the_engine_has_something_in_hand),
        TEST(test_only_who_fell_had_it_in_hand),
        TEST(test_damaged_page),
        TEST(test_how_many_transitions),
        TEST(test_no_transitions),
        TEST(test_the_file),
        TEST(test_what_does_not_apply_is_null),
        TEST(test_hostile_texts),
        TEST(test_numbers_go_on),
        TEST(test_garbage_in_the_folder),
        TEST(test_the_oldest_go),
        TEST(test_an_old_one_that_stays),
        TEST(test_a_full_disk),
        TEST(test_a_full_disk_for_long),
        TEST(test_no_folder),
        TEST(test_no_listing),
        TEST(test_no_memory_for_the_listing),
        TEST(test_names_that_are_taken),
        TEST(test_a_text_over_its_limit),
        TEST(test_interrupted_writes),
    };
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_LOGFMT);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
