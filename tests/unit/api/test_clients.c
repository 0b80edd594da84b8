/* Clients that are slow, many, partial, huge or hostile; and reads while the writer writes. */
#include "api/connections.h"
#include "api/request.h"
#include "base/clock.h"
#include "world.h"

#include <math.h>
#include <poll.h>
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

static void send_text(int fd, const char *text)
{
    http_send(fd, text, strlen(text));
}

static void assert_next(int fd, const char *method, int status)
{
    struct answer_read answer = http_read(fd, method);
    if (answer.status != status)
        fail_msg("%d, not %d: %s%s", answer.status, status, answer.head, answer.body);
    http_free(&answer);
}

static void assert_alive(void)
{
    struct answer_read answer = http_ask(&world, "GET", "/version", NULL, NULL);
    assert_int_equal(answer.status, 200);
    http_free(&answer);
}

static void test_pipelining(void **state)
{
    (void)state;
    int fd = http_connect(&world);
    send_text(fd, "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
                  "GET /tokens?limit=1 HTTP/1.1\r\nHost: localhost\r\n\r\n"
                  "HEAD /tokens HTTP/1.1\r\nHost: localhost\r\n\r\n"
                  "POST /admin/archive HTTP/1.1\r\nHost: localhost\r\nContent-Length: 2\r\n\r\n{}"
                  "DELETE /tokens HTTP/1.1\r\nHost: localhost\r\nContent-Length: 3\r\n\r\nabc"
                  "GET /version HTTP/1.1\r\nHost: localhost\r\n\r\n");
    assert_next(fd, "GET", 200);
    assert_next(fd, "GET", 200);
    assert_next(fd, "HEAD", 200);
    assert_next(fd, "POST", 200);
    assert_next(fd, "DELETE", 405);
    assert_next(fd, "GET", 200);
    close(fd);
}

static void test_byte_by_byte(void **state)
{
    (void)state;
    int fd = http_connect(&world);
    static const char ask[] = "PUT /settings/min_score HTTP/1.1\r\nHost: localhost\r\n"
                              "Content-Length: 15\r\n\r\n{\"value\":\"0.1\"}";
    for (size_t i = 0; i < sizeof ask - 1; i++)
        http_send(fd, ask + i, 1);
    assert_next(fd, "PUT", 200);
    close(fd);
}

/* Connections that never finish what they began do not keep others waiting. */
static void test_partial(void **state)
{
    (void)state;
    static const char *const begun[] = {
        "",
        "G",
        "GET /tokens HTT",
        "GET /tokens HTTP/1.1\r\nHost: loc",
        "POST /tokens HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\n{\"mint",
        "POST /tokens/import HTTP/1.1\r\nHost: localhost\r\nContent-Length: 500\r\n\r\nabc\nab",
        "POST /tokens HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n{"};
    enum { CLIENTS = 140 };
    int fds[CLIENTS];
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = http_connect(&world);
        send_text(fds[i], begun[(size_t)i % (sizeof begun / sizeof begun[0])]);
    }
    assert_alive();
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    assert_alive();
}

static bool is_open(int fd)
{
    char byte;
    return recv(fd, &byte, 1, MSG_DONTWAIT) < 0;
}

/* Who takes too long over headers or a body is shut out; who waits for us is not. */
static void test_deadlines(void **state)
{
    (void)state;
    pthread_mutex_lock(&world.engine.lock);
    uint64_t before = world.engine.commands;
    world.engine.is_mute = true;
    pthread_mutex_unlock(&world.engine.lock);
    int head = http_connect(&world), body = http_connect(&world), import = http_connect(&world);
    int waits = http_connect(&world);
    send_text(head, "GET /version HTTP/1.1\r\nHost: localhost\r\n\r\nGET /tok");
    assert_next(head, "GET", 200);
    send_text(body, "POST /tokens HTTP/1.1\r\nHost: localhost\r\nContent-Length: 50\r\n\r\n{");
    send_text(import, "POST /tokens/import HTTP/1.1\r\nHost: localhost\r\n"
                      "Content-Length: 50\r\n\r\n#");
    send_text(waits, "POST /admin/archive HTTP/1.1\r\nHost: localhost\r\n"
                     "Content-Length: 0\r\n\r\n");
    assert_true(engine_heard(&world, before + 1)); /* and so it has read all of the above */
    struct connections *connections = world.api->connections;
    instant now = clock_now();
    assert_int_equal(connections_reap(connections, instant_add(now, duration_s(20))), 0);
    assert_int_equal(connections_reap(connections, instant_add(now, duration_s(31))), 2);
    assert_next(head, "GET", 0);
    assert_next(body, "POST", 0);
    assert_true(is_open(import));
    assert_true(is_open(waits));
    assert_int_equal(connections_reap(connections, instant_add(now, duration_s(601))), 1);
    assert_next(import, "POST", 0);
    assert_next(waits, "POST", 503); /* the engine stays mute; we say so */
    pthread_mutex_lock(&world.engine.lock);
    world.engine.is_mute = false;
    pthread_mutex_unlock(&world.engine.lock);
    close(head);
    close(body);
    close(import);
    close(waits);
}

/* A client that asks and does not read. */
static void test_no_reader(void **state)
{
    (void)state;
    int fd = http_connect(&world);
    static const char ask[] = "GET /tokens?limit=100 HTTP/1.1\r\nHost: localhost\r\n\r\n";
    for (int i = 0; i < 200; i++)
        if (send(fd, ask, sizeof ask - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
            break;
    assert_alive();
    close(fd);
    assert_alive();
}

static void assert_refused_or_closed(const char *text, size_t length)
{
    int fd = http_connect(&world);
    http_send(fd, text, length);
    shutdown(fd, SHUT_WR);
    struct answer_read answer = http_read(fd, "GET");
    if (answer.status != 0 && (answer.status < 400 || answer.status >= 600))
        fail_msg("%.60s: %d", text, answer.status);
    http_free(&answer);
    close(fd);
    assert_alive();
}

static void test_damaged(void **state)
{
    (void)state;
    static const char *const requests[] = {
        "\r\n\r\n\r\n",
        "GET\r\n\r\n",
        "GET /tokens\r\n\r\n",
        "GET /tokens HTTP/9.9\r\nHost: x\r\n\r\n",
        "GET /tokens HTTP/1.1\r\n\r\n", /* no Host */
        "POST /tokens HTTP/1.1\r\nHost: localhost\r\nContent-Length: -5\r\n\r\n",
        "POST /tokens HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999999999999\r\n\r\n",
        "POST /tokens HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5x\r\n\r\nabcde",
        "POST /tokens HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        "GET /%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /tokens?status=%ff HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "GET /tokens/\xff\xfe HTTP/1.1\r\nHost: localhost\r\n\r\n",
        "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", /* TLS */
    };
    for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++)
        assert_refused_or_closed(requests[i], strlen(requests[i]));
    static const char with_nul[] = "GET /tok\0ens HTTP/1.1\r\nHost: localhost\r\n\r\n";
    assert_refused_or_closed(with_nul, sizeof with_nul - 1);
}

static void test_huge_headers(void **state)
{
    (void)state;
    static char text[(1 << 20) + 1];
    size_t size = sizeof text - 1;
    int start = sprintf(text, "GET /tokens HTTP/1.1\r\nHost: localhost\r\nX: ");
    memset(text + start, 'a', size - (size_t)start);
    assert_refused_or_closed(text, size);
    start = sprintf(text, "GET /tokens/");
    memset(text + start, 'a', size - (size_t)start);
    assert_refused_or_closed(text, size);
    /* Many small ones. */
    char *at = text + sprintf(text, "GET /tokens HTTP/1.1\r\nHost: localhost\r\n");
    while (at < text + size - 64)
        at += sprintf(at, "A: b\r\n");
    at += sprintf(at, "\r\n");
    assert_refused_or_closed(text, (size_t)(at - text));
}

static void test_huge_bodies(void **state)
{
    (void)state;
    /* Said beforehand: refused before any of it is read. */
    int fd = http_connect(&world);
    send_text(fd, "POST /tokens HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n");
    assert_next(fd, "POST", 413);
    close(fd);
    fd = http_connect(&world);
    send_text(fd, "POST /tokens/import HTTP/1.1\r\nHost: localhost\r\n"
                  "Content-Length: 1000000000\r\nExpect: 100-continue\r\n\r\n");
    assert_next(fd, "POST", 413);
    close(fd);
    /* Found out on the way: read to its end, then refused. */
    fd = http_connect(&world);
    send_text(fd, "POST /tokens HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    char *chunk = malloc(10000);
    memset(chunk, ' ', 10000);
    for (int i = 0; i < 8; i++) {
        send_text(fd, "2710\r\n");
        http_send(fd, chunk, 10000);
        send_text(fd, "\r\n");
    }
    send_text(fd, "0\r\n\r\n");
    assert_next(fd, "POST", 413);
    close(fd);
    /* Without end: cut off. */
    fd = http_connect(&world);
    send_text(fd, "POST /tokens HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n");
    bool is_cut = false;
    for (int i = 0; i < 10000 && !is_cut; i++)
        is_cut = send(fd, "2710\r\n", 6, MSG_NOSIGNAL) < 0 ||
                 send(fd, chunk, 10000, MSG_NOSIGNAL) < 0 || send(fd, "\r\n", 2, MSG_NOSIGNAL) < 0;
    assert_true(is_cut);
    close(fd);
    free(chunk);
    assert_alive();
}

/* More connections from one address than it may have: the others are turned away, and when they
 * leave there is room again. */
static void test_many_connections(void **state)
{
    (void)state;
    enum { CLIENTS = 400 };
    int fds[CLIENTS], answered = 0;
    for (int i = 0; i < CLIENTS; i++) {
        fds[i] = http_connect(&world);
        send_text(fds[i], "GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n");
    }
    for (int i = 0; i < CLIENTS; i++) {
        struct answer_read answer = http_read(fds[i], "GET");
        answered += answer.status == 200;
        http_free(&answer);
    }
    assert_in_range(answered, 200, 256);
    for (int i = 0; i < CLIENTS; i++)
        close(fds[i]);
    /* The server learns of closed connections in its own time. */
    for (int i = 0; i < 1000; i++) {
        struct answer_read answer = http_ask(&world, "GET", "/health", NULL, NULL);
        int status = answer.status;
        http_free(&answer);
        if (status == 200)
            return;
        poll(NULL, 0, 10);
    }
    fail_msg("no room again");
}

/* ---- reads while the writer writes ---- */

#define READERS          4
#define ASKS_OF_A_READER 150

static atomic_bool readers_done;

static void *write_slots(void *argument)
{
    (void)argument;
    struct token_table *table = world.memory.table;
    for (uint32_t round = 1; !atomic_load(&readers_done); round++) {
        token_id id = 1 + round % token_table_count(table);
        struct token *token = token_write_begin(table, id);
        /* Both say the same: a torn read would show. */
        token->state.score = (double)(round % 1000) / 1000;
        token->state.metrics.liquidity_usd = token->state.score;
        struct pool pools[POOLS_MAX];
        size_t count = round % POOLS_MAX + 1;
        for (size_t i = 0; i < count; i++)
            pools[i] = (struct pool){.address = world_mint((uint32_t)count), .liquidity_usd = 1};
        token_draft_set_pools(table, pools, count);
        token_write_end(table, id);
        token_set_group(table, id, round % GROUP_COUNT);
        if (round % 64 == 0 && token_table_count(table) < 900)
            world_add(&world, 1000 + round, TOKEN_MONITORING, 0.5);
        if (round % 16 != 0)
            continue; /* far more often than an engine's settings change, and not without pause */
        page_text_begin(world.page)->options.min_score = round % 32 == 0 ? 0.0 : -1.0;
        page_text_end(world.page);
    }
    return NULL;
}

static void check_items(const char *body)
{
    for (const char *at = body; (at = strstr(at, "\"score\":")) != NULL; at++) {
        double score, liquidity;
        if (sscanf(at, "\"score\":%lf,\"liquidity_usd\":%lf", &score, &liquidity) == 2 &&
            liquidity < 2 && score != liquidity)
            fail_msg("torn: %.80s", at);
    }
}

static void *read_all(void *argument)
{
    unsigned turn = *(unsigned *)argument;
    static const char *const targets[] = {"/tokens?limit=100",
                                          "/health/freshness",
                                          "/notarb/pools",
                                          "/tokens?search=t1&sort=liquidity_desc",
                                          "/tokens.csv",
                                          "/settings",
                                          NULL};
    char token[128] = "/tokens/";
    world_mint_text(1 + turn, token + 8);
    for (int i = 0; i < ASKS_OF_A_READER; i++) {
        const char *target = targets[(turn + (unsigned)i) % 7];
        struct answer_read answer =
            http_ask(&world, "GET", target != NULL ? target : token, NULL, NULL);
        if (answer.status != 200) {
            fprintf(stderr, "%s answered %d: %s%s\n", target != NULL ? target : token,
                    answer.status, answer.head, answer.body);
            abort();
        }
        check_items(answer.body);
        http_free(&answer);
    }
    return NULL;
}

static void test_reads_while_writing(void **state)
{
    (void)state;
    pthread_t writer, readers[READERS];
    unsigned turns[READERS];
    atomic_store(&readers_done, false);
    assert_int_equal(pthread_create(&writer, NULL, write_slots, NULL), 0);
    for (unsigned i = 0; i < READERS; i++) {
        turns[i] = i;
        assert_int_equal(pthread_create(&readers[i], NULL, read_all, &turns[i]), 0);
    }
    for (unsigned i = 0; i < READERS; i++)
        pthread_join(readers[i], NULL);
    atomic_store(&readers_done, true);
    pthread_join(writer, NULL);
}

static int start(void **state)
{
    (void)state;
    world_start(&world, "");
    for (uint32_t i = 1; i <= 300; i++)
        world_add(&world, i, i % 3 == 0 ? TOKEN_ACTIVE : TOKEN_MONITORING, i % 7 == 0 ? NAN : 0.5);
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
        cmocka_unit_test(test_deadlines), /* first: it counts connections */
        cmocka_unit_test(test_pipelining),       cmocka_unit_test(test_byte_by_byte),
        cmocka_unit_test(test_partial),          cmocka_unit_test(test_no_reader),
        cmocka_unit_test(test_damaged),          cmocka_unit_test(test_huge_headers),
        cmocka_unit_test(test_huge_bodies),      cmocka_unit_test(test_reads_while_writing),
        cmocka_unit_test(test_many_connections), /* last: it takes all there are */
    };
    return cmocka_run_group_tests_name("clients", tests, start, stop);
}
