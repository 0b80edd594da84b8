#include "page/status_page.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define CHANGES 20000
#define READERS 2

static struct status_page page;

static int fresh(void **state)
{
    (void)state;
    memset(&page, 0xff, sizeof page);
    status_page_init(&page);
    return 0;
}

static void test_init(void **state)
{
    (void)state;
    assert_true(page.magic == STATUS_PAGE_MAGIC);
    assert_int_equal(page.layout, STATUS_PAGE_LAYOUT);
    assert_int_equal(page.size, sizeof page);
    for (int i = 0; i < COUNTER_COUNT; i++)
        assert_int_equal(page.counters[i], 0);
    assert_true(page_texts_now(&page)->options.hot_interval_sec == 15);
}

/* Nobody has measured yet: unknown, which is not zero. */
static void test_gauges_begin_unknown(void **state)
{
    (void)state;
    for (int i = 0; i < GAUGE_COUNT; i++)
        assert_true(isnan(page_get(&page, (enum gauge)i)));
    page_set(&page, GAUGE_STORE_OK, 0);
    assert_true(page_get(&page, GAUGE_STORE_OK) == 0);
    page_set(&page, GAUGE_LOOP_LAG, -1.5e-9);
    assert_true(page_get(&page, GAUGE_LOOP_LAG) == -1.5e-9);
}

/* Memory is there before it is needed, but for the log's: that comes with the lines. */
static void test_memory(void **state)
{
    (void)state;
    int fd;
    struct status_page *made = status_page_create(&fd);
    assert_non_null(made);
    struct stat file;
    size_t rest = sizeof *made - sizeof made->log;
    size_t unit = (size_t)sysconf(_SC_PAGESIZE);
    assert_int_equal(fstat(fd, &file), 0);
    assert_in_range(file.st_blocks * 512, rest, rest + 2 * unit);
    log_ring_put(&made->log, &(struct log_entry){.logger = "x", .text = "", .length = 0});
    assert_int_equal(fstat(fd, &file), 0);
    assert_in_range(file.st_blocks * 512, rest, rest + 3 * unit);
    status_page_detach(made);
    close(fd);
}

static void test_counters(void **state)
{
    (void)state;
    page_add(&page, COUNTER_STEPS, 3);
    page_add(&page, COUNTER_STEPS, 4);
    assert_int_equal(page.counters[COUNTER_STEPS], 7);
}

/* As Prometheus wants them: https://prometheus.io/docs/concepts/data_model/ */
static void assert_metric_name(const char *name)
{
    assert_true(strlen(name) > 0);
    assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_0123456789"), strlen(name));
}

static void test_names(void **state)
{
    (void)state;
    for (int i = 0; i < COUNTER_COUNT; i++) {
        const char *name = counter_name((enum counter)i);
        assert_metric_name(name);
        assert_string_equal(name + strlen(name) - 6, "_total");
        for (int j = 0; j < i; j++)
            assert_string_not_equal(name, counter_name((enum counter)j));
    }
    for (int i = 0; i < GAUGE_COUNT; i++) {
        assert_metric_name(gauge_name((enum gauge)i));
    }
    assert_string_equal(counter_name((enum counter)999), "unknown");
    assert_string_equal(gauge_name((enum gauge) - 1), "unknown");
}

static void test_histograms(void **state)
{
    (void)state;
    struct histogram histogram = {0};
    histogram_add(&histogram, SCALE_AGES, duration_s(14));
    histogram_add(&histogram, SCALE_AGES, duration_s(7000));
    page_put_histogram(&page, HISTOGRAM_REFRESH_AGE, 1, &histogram);
    struct histogram read = page_histogram(&page, HISTOGRAM_REFRESH_AGE, 1);
    assert_memory_equal(&read, &histogram, sizeof read);
    read = page_histogram(&page, HISTOGRAM_REFRESH_AGE, 0);
    assert_int_equal(read.sum_us, 0);
    assert_int_equal(page_histogram_scale(HISTOGRAM_REFRESH_AGE), SCALE_AGES);

    page_add_duration(&page, HISTOGRAM_API_REQUEST, duration_ms(3));
    page_add_duration(&page, HISTOGRAM_API_REQUEST, duration_ms(4));
    page_add_duration(&page, HISTOGRAM_API_REQUEST, duration_ms(-1));
    read = page_histogram(&page, HISTOGRAM_API_REQUEST, 0);
    assert_int_equal(read.counts[histogram_index(SCALE_DURATIONS, duration_ms(3))], 2);
    assert_int_equal(read.counts[0], 1);
    assert_int_equal(read.sum_us, 7000);
}

static void test_texts(void **state)
{
    (void)state;
    struct page_texts texts;
    struct page_texts *draft = page_text_begin(&page);
    strcpy(draft->store_message, "disk full; retrying in 4 s");
    draft->options.hot_interval_sec = 10;
    assert_true(page_read_texts(&page, &texts)); /* not in force yet */
    assert_string_equal(texts.store_message, "");
    page_text_end(&page);
    assert_true(page_read_texts(&page, &texts));
    assert_string_equal(texts.store_message, "disk full; retrying in 4 s");
    assert_string_equal(texts.feed_message, "");
    assert_true(texts.options.hot_interval_sec == 10);
}

/* The writer died between begin and end: what was in force stays so, and the next writer begins
 * with that. */
static void test_a_dead_writer(void **state)
{
    (void)state;
    struct page_texts texts;
    strcpy(page_text_begin(&page)->source_message, "live");
    page_text_end(&page);
    memset(page_text_begin(&page)->source_message, 'x', PAGE_TEXT_SIZE); /* not even a NUL */
    assert_true(page_read_texts(&page, &texts));
    assert_string_equal(texts.source_message, "live");

    strcpy(page_text_begin(&page)->feed_message, "fine");
    page_text_end(&page);
    assert_true(page_read_texts(&page, &texts));
    assert_string_equal(texts.feed_message, "fine");
    assert_string_equal(texts.source_message, "live");
}

static atomic_bool done;

/* All of what a reader sees must be of one change. */
static void *read_until_done(void *argument)
{
    struct page_texts texts;
    intptr_t torn = 0;
    (void)argument;
    while (!atomic_load(&done)) {
        if (!page_read_texts(&page, &texts))
            continue;
        char letter = texts.store_message[0];
        for (int i = 0; i < PAGE_TEXT_SIZE - 1; i++)
            torn += texts.store_message[i] != letter || texts.feed_message[i] != letter;
        torn += letter != 0 && texts.options.hot_interval_sec != letter;
    }
    return (void *)torn;
}

static void test_readers_see_whole_changes(void **state)
{
    (void)state;
    pthread_t readers[READERS];
    atomic_store(&done, false);
    for (int i = 0; i < READERS; i++)
        pthread_create(&readers[i], NULL, read_until_done, NULL);
    for (int i = 0; i < CHANGES; i++) {
        char letter = (char)('a' + i % 26);
        struct page_texts *draft = page_text_begin(&page);
        memset(draft->store_message, letter, PAGE_TEXT_SIZE - 1);
        draft->options.hot_interval_sec = letter;
        memset(draft->feed_message, letter, PAGE_TEXT_SIZE - 1);
        page_text_end(&page);
    }
    atomic_store(&done, true);
    for (int i = 0; i < READERS; i++) {
        void *torn;
        pthread_join(readers[i], &torn);
        assert_int_equal((intptr_t)torn, 0);
    }
}

/* ---- a writer in another process ---- */

#define KILL_ROUNDS 100

static void change_to(struct status_page *shared, char letter)
{
    struct page_texts *draft = page_text_begin(shared);
    memset(draft->store_message, letter, PAGE_TEXT_SIZE - 1);
    draft->options.hot_interval_sec = letter;
    memset(draft->feed_message, letter, PAGE_TEXT_SIZE - 1);
    page_text_end(shared);
}

static pid_t start_changing(struct status_page *shared)
{
    pid_t pid = fork();
    if (pid == 0)
        for (unsigned i = 0;; i++)
            change_to(shared, (char)('a' + i % 26));
    return pid;
}

static void assert_whole(const struct status_page *shared)
{
    struct page_texts texts;
    if (!page_read_texts(shared, &texts))
        return; /* they changed all the time */
    for (int i = 0; i < PAGE_TEXT_SIZE - 1; i++) {
        assert_int_equal(texts.store_message[i], texts.store_message[0]);
        assert_int_equal(texts.feed_message[i], texts.store_message[0]);
    }
    assert_true(texts.store_message[0] == 0 ||
                texts.options.hot_interval_sec == texts.store_message[0]);
}

/* Killed in the middle of a change, again and again: readers see whole changes throughout, and the
 * next writer begins with one. */
static void test_writers_are_killed(void **state)
{
    (void)state;
    int fd;
    struct status_page *shared = status_page_create(&fd);
    assert_non_null(shared);
    for (uint32_t round = 1; round <= KILL_ROUNDS; round++) {
        struct page_texts texts;
        uint32_t before = atomic_load(&shared->text_turn);
        pid_t pid = start_changing(shared);
        while (atomic_load(&shared->text_turn) - before < 20 + round * 3)
            assert_whole(shared);
        kill(pid, SIGKILL);
        waitpid(pid, NULL, 0);
        assert_whole(shared);
        assert_true(page_read_texts(shared, &texts)); /* nobody changes them now */
        change_to(shared, 'Z');
        assert_true(page_read_texts(shared, &texts));
        assert_int_equal(texts.store_message[0], 'Z');
    }
    status_page_detach(shared);
    close(fd);
}

/* ---- the page between processes ---- */

static char why[PAGE_WHY_SIZE];

static void assert_refused(int fd, const char *part)
{
    why[0] = '\0';
    assert_null(status_page_attach(fd, PAGE_READ_ONLY, why));
    if (strstr(why, part) == NULL)
        fail_msg("\"%s\" is not in: %s", part, why);
}

static void test_create_and_attach(void **state)
{
    (void)state;
    int fd;
    struct status_page *own = status_page_create(&fd);
    assert_non_null(own);
    struct status_page *writer = status_page_attach(fd, PAGE_READ_WRITE, why);
    struct status_page *reader = status_page_attach(fd, PAGE_READ_ONLY, why);
    assert_true(writer != NULL && reader != NULL && writer != own);
    page_add(writer, COUNTER_STEPS, 5);
    assert_int_equal(reader->counters[COUNTER_STEPS], 5);
    assert_int_equal(own->counters[COUNTER_STEPS], 5);
    status_page_detach(own);
    status_page_detach(writer);
    assert_int_equal(reader->counters[COUNTER_STEPS], 5); /* it outlives its writers */
    status_page_detach(reader);
    status_page_detach(NULL);
    close(fd);
}

/* Who is handed the descriptor can't pull the page from under the others. */
static void test_nobody_cuts_it_short(void **state)
{
    (void)state;
    int fd;
    struct status_page *own = status_page_create(&fd);
    assert_int_equal(ftruncate(fd, 0), -1);
    assert_int_equal(ftruncate(fd, 2 * (off_t)sizeof *own), -1);
    status_page_detach(own);
    close(fd);
}

static int file_of(const void *bytes, size_t length, size_t size)
{
    int fd = memfd_create("test", MFD_CLOEXEC);
    assert_int_equal(write(fd, bytes, length), (ssize_t)length);
    assert_int_equal(ftruncate(fd, (off_t)size), 0);
    return fd;
}

static void test_pages_that_are_none(void **state)
{
    (void)state;
    static const char garbage[4096] = "garbage";
    int fd = file_of(garbage, sizeof garbage, sizeof page);
    assert_refused(fd, "no status page");
    close(fd);
    fd = file_of(garbage, 8, 8);
    assert_refused(fd, "no status page");
    close(fd);
    assert_refused(-1, "no status page");
    assert_refused(fd, "no status page"); /* closed */
    fd = open("/dev", O_RDONLY | O_DIRECTORY);
    assert_null(status_page_attach(fd, PAGE_READ_ONLY, why));
    close(fd);
}

static void test_pages_of_other_versions(void **state)
{
    (void)state;
    page.layout++;
    int fd = file_of(&page, sizeof page, sizeof page);
    assert_refused(fd, "of another version; restart it");
    close(fd);
    page.layout--;
    page.size++;
    fd = file_of(&page, sizeof page, sizeof page + 8);
    assert_refused(fd, "of another version; restart it");
    close(fd);
    page.size--;
    fd = file_of(&page, 4096, 4096); /* what is mapped behind it can't be read */
    assert_refused(fd, "cut short: 4096 of ");
    close(fd);
    fd = file_of(&page, sizeof page, sizeof page);
    assert_non_null(status_page_attach(fd, PAGE_READ_ONLY, why));
    close(fd);
}

static void test_a_page_that_may_not_be_mapped(void **state)
{
    (void)state;
    char path[] = "/tmp/moonwatch-test-XXXXXX";
    int writable = mkstemp(path);
    assert_int_equal(write(writable, &page, sizeof page), sizeof page);
    int fd = open(path, O_RDONLY);
    assert_null(status_page_attach(fd, PAGE_READ_WRITE, why));
    assert_non_null(strstr(why, "can't be mapped: Permission denied"));
    close(fd);
    close(writable);
    unlink(path);
}

static void test_no_descriptors_left(void **state)
{
    (void)state;
    struct rlimit before, none = {0, 0};
    int fd = 7;
    getrlimit(RLIMIT_NOFILE, &before);
    none.rlim_max = before.rlim_max;
    setrlimit(RLIMIT_NOFILE, &none);
    struct status_page *own = status_page_create(&fd);
    int error = errno;
    setrlimit(RLIMIT_NOFILE, &before);
    assert_null(own);
    assert_int_equal(fd, -1);
    assert_int_equal(error, EMFILE);
}

static void test_no_room_for_a_page(void **state)
{
    (void)state;
    struct rlimit before, small;
    int fd = 7;
    signal(SIGXFSZ, SIG_IGN);
    getrlimit(RLIMIT_FSIZE, &before);
    small = (struct rlimit){4096, before.rlim_max};
    setrlimit(RLIMIT_FSIZE, &small);
    struct status_page *own = status_page_create(&fd);
    int error = errno;
    setrlimit(RLIMIT_FSIZE, &before);
    assert_null(own);
    assert_int_equal(fd, -1);
    assert_int_equal(error, EFBIG);
}

/* ---- beats ---- */

static void test_beats(void **state)
{
    (void)state;
    instant now = {1790000000000000};
    assert_true(page_beat_age_s(&page, BEAT_STORE_THREAD, now) < 0);
    page_beat(&page, BEAT_STORE_THREAD, now, duration_s(30));
    assert_int_equal(page.beats[BEAT_STORE_THREAD].thread, syscall(SYS_gettid));
    assert_int_equal(page.beats[BEAT_STORE_THREAD].patience_us, 30000000);
    now = instant_add(now, duration_ms(1500));
    assert_true(page_beat_age_s(&page, BEAT_STORE_THREAD, now) == 1.5);
    page_beat(&page, BEAT_STORE_THREAD, instant_add(now, duration_s(1)), duration_us(0));
    assert_true(page_beat_age_s(&page, BEAT_STORE_THREAD, now) == 0); /* read before it beat */
    page_beat_end(&page, BEAT_STORE_THREAD);
    assert_true(page_beat_age_s(&page, BEAT_STORE_THREAD, now) < 0);
}

static void test_names_of_processes(void **state)
{
    (void)state;
    assert_string_equal(process_name(PROCESS_SUPERVISOR), "supervisor");
    assert_string_equal(process_name(PROCESS_COUNT), "unknown");
    assert_string_equal(process_state_name(PROCESS_WAITING), "waiting");
    assert_string_equal(process_state_name(PROCESS_STATE_COUNT), "unknown");
    assert_string_equal(beat_name(BEAT_API_LINK), "api link thread");
    assert_string_equal(beat_name(BEAT_COUNT), "unknown");
    assert_int_equal(beat_process(BEAT_STORE_THREAD), PROCESS_ENGINE);
    assert_int_equal(beat_process(BEAT_API_HTTP), PROCESS_API);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_init, fresh),
        cmocka_unit_test_setup(test_gauges_begin_unknown, fresh),
        cmocka_unit_test(test_memory),
        cmocka_unit_test_setup(test_counters, fresh),
        cmocka_unit_test_setup(test_names, fresh),
        cmocka_unit_test_setup(test_histograms, fresh),
        cmocka_unit_test_setup(test_texts, fresh),
        cmocka_unit_test_setup(test_a_dead_writer, fresh),
        cmocka_unit_test_setup(test_readers_see_whole_changes, fresh),
        cmocka_unit_test_setup(test_writers_are_killed, fresh),
        cmocka_unit_test_setup(test_create_and_attach, fresh),
        cmocka_unit_test_setup(test_nobody_cuts_it_short, fresh),
        cmocka_unit_test_setup(test_pages_that_are_none, fresh),
        cmocka_unit_test_setup(test_pages_of_other_versions, fresh),
        cmocka_unit_test_setup(test_a_page_that_may_not_be_mapped, fresh),
        cmocka_unit_test_setup(test_no_descriptors_left, fresh),
        cmocka_unit_test_setup(test_no_room_for_a_page, fresh),
        cmocka_unit_test_setup(test_beats, fresh),
        cmocka_unit_test_setup(test_names_of_processes, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
