/* The command socket while engines come and go: nothing that a client asked for is lost or answered
 * twice, and nobody waits for ever. */
#include "api/request.h"
#include "base/clock.h"
#include "page/inherited.h"
#include "world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static struct world world;
static uint64_t starts = 1;

static int send_post(const char *target, const char *body)
{
    char text[512];
    int fd = http_connect(&world);
    int length = snprintf(text, sizeof text,
                          "POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n\r\n%s",
                          target, strlen(body), body);
    http_send(fd, text, (size_t)length);
    return fd;
}

static void assert_answer(int fd, int status, const char *says)
{
    struct answer_read answer = http_read(fd, "POST");
    if (answer.status != status || strstr(answer.body, says) == NULL)
        fail_msg("%d %s, not %d %s", answer.status, answer.body, status, says);
    http_free(&answer);
}

/* The connection goes on, so the request before had one answer and no second one. */
static void assert_goes_on(int fd)
{
    static const char ask[] = "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n";
    http_send(fd, ask, sizeof ask - 1);
    assert_answer(fd, 200, "{\"status\":\"ok\"}");
    close(fd);
}

static void engine_dies(void)
{
    world_engine_state(&world, PROCESS_WAITING, starts);
}

static void engine_starts_again(void)
{
    engine_become(&world, ENGINE_ANSWERS);
    world_engine_state(&world, PROCESS_STARTING, ++starts);
    world_engine_state(&world, PROCESS_RUNNING, starts);
}

/* Until the link's thread has turned that many times. */
static void wait_for_link(int turns)
{
    const _Atomic uint64_t *beat = &world.page->beats[BEAT_API_LINK].at_us;
    for (; turns > 0; turns--) {
        uint64_t before = atomic_load(beat);
        while (atomic_load(beat) == before)
            usleep(1000);
    }
}

static struct command last_command(void)
{
    pthread_mutex_lock(&world.engine.lock);
    struct command command = world.engine.last;
    pthread_mutex_unlock(&world.engine.lock);
    return command;
}

/* An engine takes a command and dies: the next one gets it. */
static void test_sent_again(void **state)
{
    (void)state;
    char mint[ADDRESS_TEXT_MAX + 1], body[128];
    world_mint_text(700, mint);
    snprintf(body, sizeof body, "{\"mint_address\":\"%s\"}", mint);
    uint64_t before = engine_commands(&world);
    engine_become(&world, ENGINE_IS_MUTE);
    int fd = send_post("/tokens", body);
    assert_true(engine_heard(&world, before + 1));
    struct command first = last_command();
    engine_dies();
    engine_starts_again();
    assert_answer(fd, 201, mint);
    assert_int_equal(engine_commands(&world), before + 2);
    struct command second = last_command();
    assert_memory_equal(&first, &second, sizeof first);
    assert_goes_on(fd);
}

/* It is so fast that nobody saw it gone. */
static void test_replaced_unseen(void **state)
{
    (void)state;
    uint64_t before = engine_commands(&world);
    engine_become(&world, ENGINE_IS_MUTE);
    int fd = send_post("/admin/archive", "");
    assert_true(engine_heard(&world, before + 1));
    engine_become(&world, ENGINE_ANSWERS);
    world_engine_state(&world, PROCESS_RUNNING, ++starts);
    assert_answer(fd, 200, "archiver_started");
    assert_goes_on(fd);
}

/* Sent while none runs: it lies in the socket, and is sent again when one comes. The engine answers
 * both; the client hears one. */
static void test_sent_to_nobody(void **state)
{
    (void)state;
    uint64_t before = engine_commands(&world);
    engine_dies();
    engine_become(&world, ENGINE_IS_DEAF);
    int fd = send_post("/admin/recalculate", "");
    int read = http_connect(&world);
    assert_goes_on(read); /* the socket has it by now: one thread serves both */
    engine_starts_again();
    assert_answer(fd, 200, "started");
    assert_goes_on(fd);
    int next = send_post("/admin/activation", "");
    assert_answer(next, 200, "activation_started");
    assert_goes_on(next);
    assert_true(engine_heard(&world, before + 2));
}

/* More than the socket takes at once. */
static void test_many_sent_again(void **state)
{
    (void)state;
    enum { CLIENTS = 200 };
    int fds[CLIENTS];
    uint64_t before = engine_commands(&world);
    engine_become(&world, ENGINE_IS_MUTE);
    for (uint64_t i = 0; i < CLIENTS; i++) {
        fds[i] = send_post("/admin/archive", "");
        assert_true(engine_heard(&world, before + i + 1));
    }
    engine_dies();
    engine_become(&world, ENGINE_IS_DEAF);
    world_engine_state(&world, PROCESS_RUNNING, ++starts);
    wait_for_link(3); /* the socket is full; the test holds, whatever was sent by then */
    engine_become(&world, ENGINE_ANSWERS);
    for (int i = 0; i < CLIENTS; i++) {
        assert_answer(fds[i], 200, "archiver_started");
        close(fds[i]);
    }
    assert_int_equal(engine_commands(&world), before + 2 * CLIENTS);
}

static void test_nobody_comes(void **state)
{
    (void)state;
    engine_dies();
    engine_become(&world, ENGINE_IS_DEAF);
    atomic_store(&world.page->processes[PROCESS_ENGINE].next_start_at_us,
                 (uint64_t)instant_add(clock_now(), duration_s(60)).us);
    instant began = clock_now();
    int fd = send_post("/admin/archive", "");
    assert_answer(fd, 503, "the engine is not running (waiting); the next start is in 5");
    double waited = duration_to_s(instant_diff(clock_now(), began));
    assert_true(waited >= 5 && waited < 9);
    /* The next engine finds it in the socket, and by its deadline knows that it is too late. */
    engine_starts_again();
    assert_goes_on(fd);
    int next = send_post("/admin/recalculate", "");
    assert_answer(next, 200, "started");
    close(next);
    struct command command = last_command();
    assert_int_equal(command.kind, COMMAND_RECALCULATE);
    assert_true(command.until_us > clock_now().us);
}

static void test_import_goes_on(void **state)
{
    (void)state;
    enum { LINES = 500 };
    static char body[LINES * (ADDRESS_TEXT_MAX + 1) + 1], head[128];
    char *at = body;
    for (uint32_t i = 0; i < LINES; i++) {
        char mint[ADDRESS_TEXT_MAX + 1];
        world_mint_text(9000 + i, mint);
        at += sprintf(at, "%s\n", mint);
    }
    uint64_t before = engine_commands(&world);
    engine_become(&world, ENGINE_IS_MUTE);
    int fd = http_connect(&world);
    int length = snprintf(head, sizeof head,
                          "POST /tokens/import HTTP/1.1\r\nHost: localhost\r\n"
                          "Content-Length: %zu\r\n\r\n",
                          strlen(body));
    http_send(fd, head, (size_t)length);
    http_send(fd, body, strlen(body));
    assert_true(engine_heard(&world, before + 64));
    engine_dies();
    engine_starts_again();
    assert_answer(fd, 200, "{\"added\":500,\"known\":0,\"refused\":[]");
    assert_goes_on(fd);
}

/* Another api asks with other tags, none of which a supervisor could take for its own. */
static void test_tags(void **state)
{
    (void)state;
    static struct world other;
    world_start(&other, "");
    struct answer_read answer = http_ask(&other, "POST", "/admin/archive", NULL, NULL);
    assert_int_equal(answer.status, 200);
    http_free(&answer);
    uint64_t theirs = other.engine.last.tag;
    world_stop(&other);
    close(send_post("/admin/archive", ""));
    int fd = send_post("/admin/archive", "");
    assert_answer(fd, 200, "archiver_started");
    close(fd);
    uint64_t ours = last_command().tag;
    assert_int_not_equal(ours >> 20, theirs >> 20);
    assert_int_equal((ours | theirs) & LINK_TAG, 0);
    /* What the api before us asked for is answered to us: nobody hears it. */
    struct reply stale = {.tag = theirs, .result = RESULT_INVALID};
    for (int i = 0; i < 50; i++)
        send(world.engine.fd, &stale, sizeof stale, MSG_NOSIGNAL);
    fd = send_post("/admin/archive", "");
    assert_answer(fd, 200, "archiver_started");
    assert_goes_on(fd);
}

static int start(void **state)
{
    (void)state;
    world_start(&world, "");
    world_engine_state(&world, PROCESS_RUNNING, starts);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    world_stop(&world);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sent_again),     cmocka_unit_test(test_replaced_unseen),
        cmocka_unit_test(test_sent_to_nobody), cmocka_unit_test(test_many_sent_again),
        cmocka_unit_test(test_import_goes_on), cmocka_unit_test(test_tags),
        cmocka_unit_test(test_nobody_comes),
    };
    return cmocka_run_group_tests_name("engine_link", tests, start, stop);
}
