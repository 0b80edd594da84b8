/*
 * Writing on other threads: the file is whole, a run that hangs hinders nobody, and a cancelled one
 * replaces nothing. A file system that hangs is a FIFO without a reader in a temporary file's
 * place.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "engine/exporter.h"
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define WAIT_STEPS   30000 /* of a millisecond: only a failure waits this long */
#define POOL_THREADS 4

static struct {
    char folder[64], path[96], fifos[EXPORTS_MAX][112];
    uv_loop_t loop;
    struct exporter *exporter;
    unsigned done;
    uint64_t newest_run;
    int newest_error;
} world;

static void on_done(void *context, uint64_t run, int error)
{
    assert_ptr_equal(context, &world);
    world.done++;
    world.newest_run = run;
    world.newest_error = error;
}

static int set_up(void **state)
{
    (void)state;
    memset(&world, 0, sizeof world);
    strcpy(world.folder, "/tmp/moonwatch-export-XXXXXX");
    assert_non_null(mkdtemp(world.folder));
    snprintf(world.path, sizeof world.path, "%s/pools.json", world.folder);
    snprintf(world.fifos[0], sizeof world.fifos[0], "%s.new", world.path);
    snprintf(world.fifos[1], sizeof world.fifos[1], "%s.new1", world.path);
    assert_int_equal(uv_loop_init(&world.loop), 0);
    world.exporter =
        exporter_create(&world.loop, &(struct exporter_target){world.path, 0640}, on_done, &world);
    assert_non_null(world.exporter);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    char command[128];
    exporter_destroy(world.exporter);
    assert_int_equal(uv_loop_close(&world.loop), 0);
    snprintf(command, sizeof command, "rm -rf '%s'", world.folder);
    return system(command);
}

static void write_text(uint64_t run, const char *text)
{
    exporter_write(world.exporter, run, text, strlen(text));
}

static void turn(void)
{
    uv_run(&world.loop, UV_RUN_NOWAIT);
    uv_sleep(1);
}

static void wait_for_done(unsigned wanted)
{
    for (int i = 0; i < WAIT_STEPS && world.done < wanted; i++)
        turn();
    assert_int_equal(world.done, wanted);
}

static void wait_until_idle(void)
{
    for (int i = 0; i < WAIT_STEPS && !exporter_is_idle(world.exporter); i++)
        turn();
    assert_true(exporter_is_idle(world.exporter));
}

static void expect_file(const char *wanted)
{
    char text[256] = "";
    FILE *file = fopen(world.path, "r");
    if (file != NULL) {
        text[fread(text, 1, sizeof text - 1, file)] = '\0';
        fclose(file);
    }
    assert_string_equal(text, wanted);
}

static void make_hang(unsigned slot)
{
    assert_int_equal(mkfifo(world.fifos[slot], 0600), 0);
}

/* With a reader the writer's open() returns; what it then writes to a FIFO is no file. */
static int let_go(unsigned slot)
{
    int fd = open(world.fifos[slot], O_RDONLY | O_NONBLOCK);
    assert_true(fd >= 0);
    return fd;
}

static void replaces_the_file(void **state)
{
    (void)state;
    write_text(1, "one");
    wait_for_done(1);
    assert_int_equal(world.newest_run, 1);
    assert_int_equal(world.newest_error, 0);
    expect_file("one");
    write_text(2, "two");
    wait_for_done(2);
    expect_file("two");
    assert_int_not_equal(access(world.fifos[0], F_OK), 0);
}

/* Whatever the umask, and whatever mode a file left over from a death has. */
static void has_the_mode_it_should(void **state)
{
    (void)state;
    struct stat file;
    mode_t mask = umask(0077);
    write_text(1, "one");
    wait_for_done(1);
    assert_int_equal(stat(world.path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0640);
    umask(0);
    close(open(world.fifos[0], O_WRONLY | O_CREAT, 0606));
    write_text(2, "two");
    wait_for_done(2);
    assert_int_equal(stat(world.path, &file), 0);
    assert_int_equal(file.st_mode & 07777, 0640);
    umask(mask);
}

static void tells_what_failed(void **state)
{
    (void)state;
    assert_int_equal(mkdir(world.path, 0700), 0); /* a file can't be renamed over a folder */
    write_text(1, "one");
    wait_for_done(1);
    assert_int_equal(world.newest_error, EISDIR);
    assert_int_not_equal(access(world.fifos[0], F_OK), 0);
    assert_int_equal(symlink("/dev/null", world.fifos[0]), 0);
    write_text(2, "two");
    wait_for_done(2);
    assert_int_equal(world.newest_error, ELOOP);
}

/* A second name of a file of ours, put where it writes; the next one has a fresh place. */
static void writes_into_no_file_of_another_name(void **state)
{
    char other[112];
    struct stat file;
    (void)state;
    snprintf(other, sizeof other, "%s/other", world.folder);
    close(open(other, O_WRONLY | O_CREAT, 0600));
    assert_int_equal(truncate(other, 100), 0);
    assert_int_equal(link(other, world.fifos[0]), 0);
    write_text(1, "one");
    wait_for_done(1);
    assert_int_equal(world.newest_error, EPERM);
    assert_int_equal(stat(other, &file), 0);
    assert_int_equal(file.st_size, 100);
    assert_int_equal(file.st_mode & 0777, 0600);
    write_text(2, "two");
    wait_for_done(2);
    expect_file("two");
}

static void one_that_hangs_hinders_nobody(void **state)
{
    (void)state;
    make_hang(0);
    write_text(1, "one");
    for (int i = 0; i < 20; i++)
        turn();
    exporter_cancel(world.exporter, 1);
    write_text(2, "two");
    wait_for_done(1);
    assert_int_equal(world.newest_run, 2);
    expect_file("two");
    assert_false(exporter_is_idle(world.exporter));
    /* It is forgotten when it returns. */
    int fd = let_go(0);
    wait_until_idle();
    close(fd);
    assert_int_equal(world.done, 1);
    expect_file("two");
    assert_int_not_equal(access(world.fifos[0], F_OK), 0);
}

static void when_all_hang_the_newest_waits(void **state)
{
    (void)state;
    for (unsigned i = 0; i < EXPORTS_MAX; i++) {
        make_hang(i);
        write_text(i + 1, "hangs");
        exporter_cancel(world.exporter, i + 1);
    }
    write_text(10, "ten");
    exporter_cancel(world.exporter, 10);
    write_text(11, "eleven");
    write_text(12, "twelve");
    int fds[EXPORTS_MAX];
    for (unsigned i = 0; i < EXPORTS_MAX; i++) {
        for (int k = 0; k < 20; k++)
            turn();
        assert_int_equal(world.done, 0);
    }
    for (unsigned i = 0; i < EXPORTS_MAX; i++)
        fds[i] = let_go(i);
    wait_for_done(1);
    wait_until_idle();
    for (unsigned i = 0; i < EXPORTS_MAX; i++)
        close(fds[i]);
    assert_int_equal(world.newest_run, 12);
    expect_file("twelve");
}

static uv_sem_t go;

static void occupy(uv_work_t *work)
{
    (void)work;
    uv_sem_wait(&go);
}

/* It was cancelled before a thread came to it. */
static void a_cancelled_one_replaces_nothing(void **state)
{
    (void)state;
    uv_work_t others[POOL_THREADS];
    write_text(1, "one");
    wait_for_done(1);
    assert_int_equal(uv_sem_init(&go, 0), 0);
    for (int i = 0; i < POOL_THREADS; i++)
        assert_int_equal(uv_queue_work(&world.loop, &others[i], occupy, NULL), 0);
    write_text(2, "two");
    exporter_cancel(world.exporter, 2);
    for (int i = 0; i < POOL_THREADS; i++)
        uv_sem_post(&go);
    uv_run(&world.loop, UV_RUN_DEFAULT);
    uv_sem_destroy(&go);
    assert_int_equal(world.done, 1);
    expect_file("one");
}

static void a_stop_tells_nothing_more(void **state)
{
    (void)state;
    make_hang(0);
    write_text(1, "one");
    for (int i = 0; i < 20; i++)
        turn();
    exporter_stop(world.exporter);
    assert_false(exporter_is_idle(world.exporter));
    int fd = let_go(0);
    wait_until_idle();
    close(fd);
    assert_int_equal(world.done, 0);
    exporter_stop(NULL);
    exporter_destroy(NULL);
    assert_true(exporter_is_idle(NULL));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(replaces_the_file),
        TEST(has_the_mode_it_should),
        TEST(tells_what_failed),
        TEST(writes_into_no_file_of_another_name),
        TEST(one_that_hangs_hinders_nobody),
        TEST(when_all_hang_the_newest_waits),
        TEST(a_cancelled_one_replaces_nothing),
        TEST(a_stop_tells_nothing_more),
    };
    return cmocka_run_group_tests_name("engine.exporter", tests, NULL, NULL);
}
