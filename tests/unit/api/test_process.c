/* The api as a process: this test is its supervisor and its engine, and has no threads. */
#include "api/process.h"
#include "base/clock.h"
#include "page/inherited.h"
#include "world.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define FAR_FD      64 /* above all that is inherited */
#define PATIENCE_MS 20000
#define DEADLINE_MS 600 /* of heartbeats; the machine is busy with other tests */

/* What a supervisor holds. */
static struct world world;
static int page_fd, listen_fd;
static int channel[2]; /* the engine's end, the api's */
static int link_fd;    /* our end of the running api's */
static pid_t api_pid;

/* ---- the child ---- */

struct inheritance {
    int fds[FD_INHERITED_END]; /* −1: none */
};

static struct inheritance all_of_it(int link)
{
    struct inheritance all;
    for (int i = 0; i < FD_INHERITED_END; i++)
        all.fds[i] = -1;
    all.fds[FD_PAGE] = page_fd;
    all.fds[FD_TABLE] = world.memory.fd;
    all.fds[FD_LINK] = link;
    all.fds[FD_COMMAND] = channel[1];
    all.fds[FD_LISTEN] = listen_fd;
    return all;
}

static void become_api(const struct inheritance *inheritance)
{
    int far[FD_INHERITED_END];
    for (int i = FD_PAGE; i < FD_INHERITED_END; i++)
        far[i] = inheritance->fds[i] < 0 ? -1 : fcntl(inheritance->fds[i], F_DUPFD, FAR_FD);
    for (int i = FD_PAGE; i < FAR_FD; i++)
        close(i);
    for (int i = FD_PAGE; i < FD_INHERITED_END; i++) {
        if (far[i] < 0)
            continue;
        dup2(far[i], i);
        close(far[i]);
    }
    exit(inherited_is_whole() ? api_process(&world.options) : 99);
}

static void start_api(const struct inheritance *changed)
{
    int pair[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
    struct inheritance inheritance = changed != NULL ? *changed : all_of_it(-1);
    inheritance.fds[FD_LINK] = pair[1];
    fflush(stdout);
    api_pid = fork();
    if (api_pid == 0)
        become_api(&inheritance);
    close(pair[1]);
    link_fd = pair[0];
}

static struct report next_report(void)
{
    struct report report = {.kind = UINT32_MAX};
    struct pollfd readable = {.fd = link_fd, .events = POLLIN};
    assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
    assert_int_equal(recv(link_fd, &report, sizeof report, 0), sizeof report);
    report.why[sizeof report.why - 1] = '\0';
    return report;
}

static void start_well(void)
{
    start_api(NULL);
    struct report report = next_report();
    assert_int_equal(report.kind, REPORT_READY);
}

/* Its exit status; 1000 + the signal that ended it. */
static int wait_for_api(void)
{
    int status;
    assert_int_equal(waitpid(api_pid, &status, 0), api_pid);
    api_pid = 0;
    close(link_fd);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

static int stop_api(int number)
{
    kill(api_pid, number);
    return wait_for_api();
}

/* ---- asking ---- */

static void assert_get(const char *target, int status, const char *says)
{
    struct answer_read answer = http_ask(&world, "GET", target, NULL, NULL);
    if (answer.status != status || strstr(answer.body, says) == NULL)
        fail_msg("%s: %d %s, not %d %s", target, answer.status, answer.body, status, says);
    http_free(&answer);
}

static int send_text(const char *text)
{
    int fd = http_connect(&world);
    http_send(fd, text, strlen(text));
    return fd;
}

static void assert_next(int fd, const char *method, int status)
{
    struct answer_read answer = http_read(fd, method);
    assert_int_equal(answer.status, status);
    http_free(&answer);
    close(fd);
}

static struct command next_command(void)
{
    struct command command;
    struct pollfd readable = {.fd = channel[0], .events = POLLIN};
    assert_int_equal(poll(&readable, 1, PATIENCE_MS), 1);
    assert_int_equal(recv(channel[0], &command, sizeof command, 0), sizeof command);
    return command;
}

static void reply_to(const struct command *command)
{
    struct reply reply = {.result = RESULT_DONE, .tag = command->tag, .score = NAN};
    assert_int_equal(send(channel[0], &reply, sizeof reply, 0), sizeof reply);
}

#define ARCHIVE "POST /admin/archive HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n"

/* ---- tests ---- */

static void test_serves(void **state)
{
    (void)state;
    start_well();
    assert_get("/health", 200, "{\"status\":\"ok\"}");
    assert_get("/tokens", 200, "\"total\":1,");
    int fd = send_text(ARCHIVE);
    struct command command = next_command();
    assert_int_equal(command.kind, COMMAND_ARCHIVE);
    reply_to(&command);
    assert_next(fd, "POST", 200);
    /* What comes later is seen as well: the table grows under its reader. */
    for (uint32_t i = 2; i <= 5000; i++)
        world_add(&world, i, TOKEN_MONITORING, 0.2);
    assert_get("/tokens?limit=1", 200, "\"total\":5000,");
    assert_int_equal(stop_api(SIGTERM), API_DONE);
}

static void test_beats(void **state)
{
    (void)state;
    start_well();
    uint64_t first[BEAT_COUNT];
    double worst = 0;
    for (int i = 0; i < BEAT_COUNT; i++)
        first[i] = atomic_load(&world.page->beats[i].at_us);
    instant until = instant_add(clock_now(), duration_ms(2 * DEADLINE_MS));
    while (instant_before(clock_now(), until)) {
        for (int beat = BEAT_API_HTTP; beat <= BEAT_API_LINK; beat++) {
            double age = page_beat_age_s(world.page, (enum beat)beat, clock_now());
            assert_true(age >= 0);
            worst = fmax(worst, age);
        }
        usleep(1000);
    }
    assert_true(worst < DEADLINE_MS / 1e3);
    for (int beat = BEAT_API_HTTP; beat <= BEAT_API_LINK; beat++)
        assert_true(atomic_load(&world.page->beats[beat].at_us) > first[beat]);
    assert_int_not_equal(atomic_load(&world.page->beats[BEAT_API_HTTP].thread),
                         atomic_load(&world.page->beats[BEAT_API_LINK].thread));
    /* One that ends as it should is awaited by nobody. */
    assert_int_equal(stop_api(SIGTERM), API_DONE);
    for (int beat = BEAT_API_HTTP; beat <= BEAT_API_LINK; beat++)
        assert_true(page_beat_age_s(world.page, (enum beat)beat, clock_now()) < 0);
}

static void test_supervisor_dies(void **state)
{
    (void)state;
    start_well();
    static const char noise[] = "whatever it may say";
    assert_int_equal(send(link_fd, noise, sizeof noise, 0), sizeof noise);
    assert_get("/health", 200, "ok");
    shutdown(link_fd, SHUT_RDWR);
    assert_int_equal(wait_for_api(), API_DONE);
}

/* The next api serves who came while there was none; what the dead one asked for does no harm. */
static void test_replaced(void **state)
{
    (void)state;
    start_well();
    int asked = send_text(ARCHIVE);
    struct command stale = next_command();
    assert_int_equal(stop_api(SIGKILL), 1000 + SIGKILL);
    int waiting = send_text("GET /tokens HTTP/1.1\r\nHost: localhost\r\n\r\n");
    reply_to(&stale);
    start_well();
    assert_next(asked, "POST", 0);
    assert_next(waiting, "GET", 200);
    int fd = send_text(ARCHIVE);
    struct command command = next_command();
    assert_int_not_equal(command.tag, stale.tag);
    reply_to(&stale);
    reply_to(&command);
    assert_next(fd, "POST", 200);
    assert_int_equal(stop_api(SIGTERM), API_DONE);
}

/* A stop answers what waits, and leaves the socket open for the next one. */
static void test_stops_cleanly(void **state)
{
    (void)state;
    start_well();
    int fd = send_text(ARCHIVE);
    next_command();
    kill(api_pid, SIGTERM);
    assert_next(fd, "POST", 503);
    assert_int_equal(wait_for_api(), API_DONE);
    int waiting = send_text("GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    start_well();
    assert_next(waiting, "GET", 200);
    assert_int_equal(stop_api(SIGTERM), API_DONE);
}

/* Lists need nobody else, so all that were begun are made; who is still to be let in is the next
 * one's. */
static void test_stops_with_lists_under_way(void **state)
{
    int fds[24];
    const size_t count = sizeof fds / sizeof fds[0];
    (void)state;
    start_well();
    for (size_t i = 0; i < count; i++)
        fds[i] = send_text("GET /tokens HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_int_equal(stop_api(SIGTERM), API_DONE);
    start_well();
    for (size_t i = 0; i < count; i++)
        assert_next(fds[i], "GET", 200);
    assert_int_equal(stop_api(SIGTERM), API_DONE);
}

static void assert_refused(const struct inheritance *inheritance, const char *why)
{
    start_api(inheritance);
    struct report report = next_report();
    assert_int_equal(report.kind, REPORT_REFUSED);
    assert_non_null(strstr(report.why, why));
    assert_int_equal(wait_for_api(), API_REFUSED);
}

static void test_refuses(void **state)
{
    (void)state;
    struct inheritance inheritance = all_of_it(-1);
    world.page->layout++;
    assert_refused(NULL, "the status page has layout");
    world.page->layout--;
    world.page->magic++;
    assert_refused(NULL, "this is no status page");
    world.page->magic--;
    inheritance.fds[FD_TABLE] = page_fd;
    assert_refused(&inheritance, "the token table can't be mapped");
    inheritance = all_of_it(-1);
    inheritance.fds[FD_LISTEN] = channel[1];
    assert_refused(&inheritance, "does not listen");
    inheritance.fds[FD_LISTEN] = -1;
    assert_refused(&inheritance, "does not listen");
    inheritance = all_of_it(-1);
    inheritance.fds[FD_PAGE] = -1;
    start_api(&inheritance);
    assert_int_equal(wait_for_api(), 99);
}

/* ---- a writer that dies in the middle ---- */

#define WRITTEN 20 /* tokens that it writes again and again */
#define DEATHS  25

static void write_until_killed(void)
{
    static const struct pool pools[POOLS_MAX];
    struct token_table *table = world.memory.table;
    for (uint32_t turn = 0;; turn++) {
        token_id id = 1 + turn % WRITTEN;
        struct token *token = token_write_begin(table, id);
        token->state.score = 0.5 + turn % 7;
        token->state.fetched_at = clock_now();
        token_draft_set_pools(table, pools, 1 + turn % 20);
        token_write_end(table, id);
    }
}

/* Of pools that can't be read, when the token is no longer what it was and not yet another. */
static void die_in_the_middle(void)
{
    struct token token = *token_slot(world.memory.table, 1);
    void *pools = mmap(NULL, sizeof(struct pool), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    token.pool_count = 1;
    signal(SIGSEGV, SIG_DFL);
    token_table_replace(world.memory.table, 1, &token, pools);
}

/* Splits buckets of the index all the time. */
static void add_until_killed(void)
{
    for (uint32_t number = 1000000;; number++) {
        struct address mint = world_mint(number);
        if (!token_table_is_short(world.memory.table, 8))
            token_table_add(world.memory.table, &mint);
    }
}

/* Returns when it has begun. */
static pid_t start_writer(void (*writes)(void))
{
    int began[2];
    char byte = 0;
    assert_int_equal(pipe(began), 0);
    fflush(stdout);
    pid_t writer = fork();
    if (writer == 0) {
        if (write(began[1], &byte, 1) == 1)
            writes();
        _exit(1); /* it was to die; the tests go on in the parent alone */
    }
    assert_int_equal(read(began[0], &byte, 1), 1);
    close(began[0]);
    close(began[1]);
    return writer;
}

static void kill_a_writer(void (*writes)(void), unsigned after_us)
{
    pid_t writer = start_writer(writes);
    usleep(after_us);
    kill(writer, SIGKILL);
    waitpid(writer, NULL, 0);
}

/* Looks at every token that was being written: there, or said to be half written, or (a bucket was
 * being split) not found. Returns how many can't be read. */
static unsigned count_torn(void)
{
    unsigned torn = 0;
    for (token_id id = 1; id <= WRITTEN; id++) {
        struct token token;
        char target[128] = "/tokens/";
        torn += !token_read(world.memory.table, id, &token, NULL);
        address_format(&token_slot(world.memory.table, id)->mint, target + strlen(target));
        struct answer_read answer = http_ask(&world, "GET", target, NULL, NULL);
        assert_true(answer.status == 200 || answer.status == 404 || answer.status == 503);
        http_free(&answer);
    }
    return torn;
}

/* Nobody mends a table here, so each writer gets one of its own. */
static void renew_table(uint32_t capacity)
{
    int error;
    table_memory_finish(&world.memory);
    assert_true(table_memory_init(&world.memory, capacity, &error));
    for (uint32_t i = 1; i <= 2 * WRITTEN; i++)
        world_add(&world, i, TOKEN_ACTIVE, 0.9);
}

/* How many of them are found by their mints. */
static unsigned count_found(void)
{
    unsigned found = 0;
    for (token_id id = 1; id <= WRITTEN; id++)
        found += token_table_find_shared(world.memory.table,
                                         &token_slot(world.memory.table, id)->mint) == id;
    return found;
}

static void expect_all_but(unsigned torn)
{
    assert_get("/tokens?limit=100", 200, "\"meta\":{\"total\":40,");
    assert_in_range(count_torn(), torn, 1);
    assert_get("/tokens.csv", 200, "mint_address,");
    assert_get("/metrics", 200, "moonwatch_tokens{status=\"active\"} 40");
    assert_get("/health/freshness", 200, "\"age_counts\"");
}

static void test_writer_dies_in_the_middle(void **state)
{
    (void)state;
    renew_table(1024);
    start_well();
    waitpid(start_writer(die_in_the_middle), NULL, 0);
    expect_all_but(1);
    assert_int_equal(stop_api(SIGTERM), API_DONE);
}

/* Wherever it is; mostly in the middle, too. */
static void test_writer_dies(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DEATHS; i++) {
        renew_table(1024);
        start_well();
        kill_a_writer(write_until_killed, 1000 + 137 * i);
        expect_all_but(0);
        assert_int_equal(stop_api(SIGTERM), API_DONE);
    }
}

/* Whoever is in another bucket is still found. */
static void test_adder_dies(void **state)
{
    (void)state;
    for (unsigned i = 0; i < DEATHS; i++) {
        renew_table(100000);
        start_well();
        kill_a_writer(add_until_killed, 2000 + 137 * i);
        assert_in_range(count_found(), WRITTEN - 2, WRITTEN);
        assert_get("/tokens?limit=100", 200, "\"items\":[{");
        assert_int_equal(stop_api(SIGTERM), API_DONE);
    }
}

/* ---- the whole ---- */

static int start(void **state)
{
    (void)state;
    int error;
    char why[512];
    struct listen_socket listening;
    page_fd = -1;
    world.page = status_page_create(&page_fd);
    if (world.page == NULL || !table_memory_init(&world.memory, 1024, &error))
        return -1;
    clock_share(&world.page->clock);
    options_init(&world.options);
    world.options.heartbeat_deadline_ms = DEADLINE_MS;
    world_fill_page(&world);
    world_add(&world, 1, TOKEN_ACTIVE, 0.9);
    if (!listen_open("127.0.0.1:0", false, &listening, why) ||
        socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, channel) != 0)
        return -1;
    listen_fd = listening.fd;
    world.port = listening.port;
    return 0;
}

/* What a test that failed has left running. */
static int end_api(void **state)
{
    (void)state;
    if (api_pid > 0)
        stop_api(SIGKILL);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    close(listen_fd);
    close(channel[0]);
    close(channel[1]);
    table_memory_finish(&world.memory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_teardown(test_serves, end_api),
        cmocka_unit_test_teardown(test_beats, end_api),
        cmocka_unit_test_teardown(test_supervisor_dies, end_api),
        cmocka_unit_test_teardown(test_replaced, end_api),
        cmocka_unit_test_teardown(test_stops_cleanly, end_api),
        cmocka_unit_test_teardown(test_stops_with_lists_under_way, end_api),
        cmocka_unit_test_teardown(test_refuses, end_api),
        cmocka_unit_test_teardown(test_writer_dies_in_the_middle, end_api),
        cmocka_unit_test_teardown(test_writer_dies, end_api),
        cmocka_unit_test_teardown(test_adder_dies, end_api),
    };
    return cmocka_run_group_tests_name("process", tests, start, stop);
}
