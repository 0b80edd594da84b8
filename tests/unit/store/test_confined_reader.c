/*
 * Reading the database in a process that can write nothing, as the api does: beside a writer, while
 * it writes, after it died, and while nobody has it open. Writers are processes of their own, since
 * SQLite shares its locks within one.
 */
#include "fixture.h"

#include "base/confine.h"
#include "page/confinement.h"
#include "store/store.h"
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PLACE_SIZE 64
#define EVENTS_MAX 64

static char folder[PLACE_SIZE];
static struct options options;
static struct status_page page;

static int set_up(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/moonwatch-reader-XXXXXX");
    assert_non_null(mkdtemp(folder));
    options_init(&options);
    snprintf(options.db, sizeof options.db, "sqlite:%s/a?b%%c#.db",
             folder); /* a URI's characters */
    status_page_init(&page);
    return 0;
}

static int remove_one(const char *path, const struct stat *status, int kind, struct FTW *walk)
{
    (void)status, (void)kind, (void)walk;
    return remove(path);
}

static int tear_down(void **state)
{
    (void)state;
    return nftw(folder, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

/* ---- the writer ---- */

struct writer {
    pid_t pid;
    int orders, answers;
};

static void add_events(struct store *store, int count)
{
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    for (int i = 0; i < count; i++) {
        struct store_event event = {.token = 1, .at = {1000 + i}, .kind = "kind", .reason = "why"};
        assert_int_equal(store_put_event(store, &event), OK);
    }
    assert_int_equal(store_commit(store), OK);
}

/* An order is how many events to add; 0: close, and end. */
static void be_writer(int orders, int answers)
{
    char why[512], count;
    struct store *store = store_open(options.db, why);
    struct kept kept;
    if (store == NULL || kept_load(store, &kept) != OK)
        _exit(1);
    kept_finish(&kept);
    while (read(orders, &count, 1) == 1) {
        if (count > 0)
            add_events(store, count);
        else
            store_close(store);
        if (write(answers, &count, 1) != 1 || count == 0)
            _exit(count != 0);
    }
    _exit(1);
}

static struct writer start_writer(void)
{
    int orders[2], answers[2];
    assert_int_equal(pipe(orders), 0);
    assert_int_equal(pipe(answers), 0);
    struct writer writer = {.pid = fork(), .orders = orders[1], .answers = answers[0]};
    if (writer.pid == 0)
        be_writer(orders[0], answers[1]);
    close(orders[0]);
    close(answers[1]);
    return writer;
}

static void order(const struct writer *writer, char count)
{
    assert_int_equal(write(writer->orders, &count, 1), 1);
    assert_int_equal(read(writer->answers, &count, 1), 1);
}

static void end_writer(const struct writer *writer)
{
    close(writer->orders);
    close(writer->answers);
    assert_int_equal(waitpid(writer->pid, NULL, 0), writer->pid);
}

/* ---- the reader ---- */

static int write_by_sqlite(void)
{
    sqlite3 *db = NULL;
    int result = sqlite3_open_v2(options.db + strlen("sqlite:"), &db, SQLITE_OPEN_READWRITE, NULL);
    if (result == SQLITE_OK)
        result = sqlite3_exec(db, "INSERT INTO event(token_id,at,kind,reason) VALUES(1,1,'x','y')",
                              NULL, NULL, NULL);
    sqlite3_close_v2(db);
    return result & 0xff;
}

/* 1 when any of the database's files can be opened to be written to. */
static int open_to_write(void)
{
    static const char *const suffixes[] = {"", "-wal", "-shm", ".lock"};
    for (size_t i = 0; i < sizeof suffixes / sizeof suffixes[0]; i++) {
        char path[PLACE_SIZE + 64];
        snprintf(path, sizeof path, "%.99s%s", options.db + strlen("sqlite:"), suffixes[i]);
        if (open(path, O_RDWR) >= 0 || (errno != EPERM && errno != EACCES && errno != ENOENT))
            return 1;
    }
    return 0;
}

enum question { COUNT_EVENTS, WRITE_BY_SQLITE, OPEN_TO_WRITE };

/* Answers until its orders end. */
static void be_reader(int orders, int answers)
{
    char why[512], question;
    struct store_event found[EVENTS_MAX];
    confine_process(PROCESS_API, &options, &page);
    struct store_reader *reader = store_reader_open(options.db, why);
    while (read(orders, &question, 1) == 1) {
        int answer = question == COUNT_EVENTS ? store_reader_events(reader, 1, found, EVENTS_MAX)
                     : question == WRITE_BY_SQLITE ? write_by_sqlite()
                                                   : open_to_write();
        if (write(answers, &answer, sizeof answer) != sizeof answer)
            break;
    }
    store_reader_close(reader);
    _exit(0);
}

static struct writer start_reader(void)
{
    int orders[2], answers[2];
    assert_int_equal(pipe(orders), 0);
    assert_int_equal(pipe(answers), 0);
    struct writer reader = {.pid = fork(), .orders = orders[1], .answers = answers[0]};
    if (reader.pid == 0) {
        close(orders[1]);
        be_reader(orders[0], answers[1]);
    }
    close(orders[0]);
    close(answers[1]);
    return reader;
}

static int ask(const struct writer *reader, enum question question)
{
    char byte = (char)question;
    int answer = -9;
    assert_int_equal(write(reader->orders, &byte, 1), 1);
    assert_int_equal(read(reader->answers, &answer, sizeof answer), sizeof answer);
    return answer;
}

static void expect_no_writes(const struct writer *reader)
{
    if (confine_parts_wanted(0) == 0) {
        print_message("# skipped: this build's runtime needs what is given up\n");
        return;
    }
    int result = ask(reader, WRITE_BY_SQLITE);
    if (result != SQLITE_READONLY && result != SQLITE_CANTOPEN)
        fail_msg("writing came out as %s", sqlite3_errstr(result));
    assert_int_equal(ask(reader, OPEN_TO_WRITE), 0);
}

/* ---- cases ---- */

static void what_is_committed_is_read_at_once(void **state)
{
    (void)state;
    struct writer reader = start_reader();
    assert_int_equal(ask(&reader, COUNT_EVENTS), -1); /* there is no file yet */
    struct writer writer = start_writer();
    for (int i = 1; i <= 20; i++) {
        order(&writer, 2);
        assert_int_equal(ask(&reader, COUNT_EVENTS), 2 * i);
    }
    expect_no_writes(&reader);
    order(&writer, 2);
    assert_int_equal(ask(&reader, COUNT_EVENTS), 42);
    order(&writer, 0);
    end_writer(&writer);
    end_writer(&reader);
}

static void it_reads_after_the_writer_has_closed_and_comes_back(void **state)
{
    (void)state;
    struct writer writer = start_writer();
    order(&writer, 3);
    order(&writer, 0);
    end_writer(&writer);
    struct writer reader = start_reader();
    assert_int_equal(ask(&reader, COUNT_EVENTS), 3);
    expect_no_writes(&reader);
    for (int i = 1; i <= 3; i++) {
        writer = start_writer();
        order(&writer, 1);
        assert_int_equal(ask(&reader, COUNT_EVENTS), 3 + i);
        order(&writer, 0);
        assert_int_equal(ask(&reader, COUNT_EVENTS), 3 + i);
        end_writer(&writer);
    }
    end_writer(&reader);
}

static void it_reads_what_a_killed_writer_left(void **state)
{
    (void)state;
    struct writer reader = start_reader();
    for (int i = 1; i <= 5; i++) {
        struct writer writer = start_writer();
        order(&writer, 4);
        kill(writer.pid, SIGKILL);
        end_writer(&writer);
        assert_int_equal(ask(&reader, COUNT_EVENTS), 4 * i);
        expect_no_writes(&reader);
    }
    end_writer(&reader);
    struct writer late = start_reader(); /* who never saw the writer */
    assert_int_equal(ask(&late, COUNT_EVENTS), 20);
    end_writer(&late);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(what_is_committed_is_read_at_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(it_reads_after_the_writer_has_closed_and_comes_back, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(it_reads_what_a_killed_writer_left, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
