/* Every write over a socket: what reaches the engine, what comes back, who may, and what happens
 * when the engine is slow, full or gone. */
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
static struct world *asked = &world;

static void assert_answer_with(const char *headers, const char *method, const char *target,
                               const char *body, int status, const char *says)
{
    struct answer_read answer = http_ask(asked, method, target, headers, body);
    if (answer.status != status || strstr(answer.body, says) == NULL)
        fail_msg("%s %s %.80s: %d %s, not %d %s", method, target, body != NULL ? body : "",
                 answer.status, answer.body, status, says);
    if (status >= 400)
        assert_non_null(strstr(answer.body, "\"detail\":\""));
    http_free(&answer);
}

static void assert_answer(const char *method, const char *target, const char *body, int status,
                          const char *says)
{
    assert_answer_with(NULL, method, target, body, status, says);
}

static void engine_says(uint32_t result, const char *message)
{
    pthread_mutex_lock(&world.engine.lock);
    world.engine.result = result;
    snprintf(world.engine.message, sizeof world.engine.message, "%s", message);
    pthread_mutex_unlock(&world.engine.lock);
}

static uint64_t commands_heard(void)
{
    pthread_mutex_lock(&world.engine.lock);
    uint64_t commands = world.engine.commands;
    pthread_mutex_unlock(&world.engine.lock);
    return commands;
}

/* ---- tokens ---- */

static void test_add(void **state)
{
    (void)state;
    char mint[ADDRESS_TEXT_MAX + 1], body[256];
    world_mint_text(500, mint);
    snprintf(body, sizeof body, "{\"mint_address\":\"%s\",\"name\":\"Cat\\u0007\",\"symbol\":null}",
             mint);
    assert_answer("POST", "/tokens", body, 201, mint);
    assert_int_equal(world.engine.last.kind, COMMAND_ADD_TOKEN);
    assert_string_equal(world.engine.last.name, "Cat "); /* control characters are gone */
    assert_string_equal(world.engine.last.symbol, "");
    assert_answer("POST", "/tokens/", body, 200, "\"known\"");
}

static void test_add_refused(void **state)
{
    (void)state;
    uint64_t before = commands_heard();
    assert_answer("POST", "/tokens", "{\"mint_address\":\"0\"}", 422, "mint_address: ");
    assert_answer("POST", "/tokens", "{\"mint_address\":5}", 422, "must be text");
    assert_answer("POST", "/tokens", "{}", 422, "mint_address: ");
    assert_answer("POST", "/tokens", "", 400, "not JSON");
    assert_answer("POST", "/tokens", NULL, 400, "not JSON");
    assert_answer("POST", "/tokens", "[]", 400, "must be a JSON object");
    assert_answer("POST", "/tokens", "{", 400, "not JSON");
    assert_answer("POST", "/tokens", "{} {}", 400, "not JSON");
    assert_answer("POST", "/tokens", "{\"a\":1,\"a\":2}", 400, "duplicate");
    assert_answer("POST", "/tokens", "{\"mint_address\":\"\xff\"}", 400, "not JSON");
    assert_answer("POST", "/tokens", "{\"mint_address\":\"a\\u0000\"}", 400, "not JSON");
    char mint[ADDRESS_TEXT_MAX + 1], body[400];
    world_mint_text(501, mint);
    snprintf(body, sizeof body, "{\"mint_address\":\"%s\",\"name\":\"%0100d\"}", mint, 1);
    assert_answer("POST", "/tokens", body, 422, "name is longer than 39 bytes");
    /* Nested deeper than the parser goes. */
    char *deep = malloc(20001);
    memset(deep, '[', 20000);
    deep[20000] = '\0';
    assert_answer("POST", "/tokens", deep, 400, "not JSON");
    free(deep);
    assert_int_equal(commands_heard(), before);
}

static void test_refresh(void **state)
{
    (void)state;
    char mint[ADDRESS_TEXT_MAX + 1], target[128];
    world_mint_text(1, mint);
    snprintf(target, sizeof target, "/tokens/%s/refresh", mint);
    assert_answer("POST", target, NULL, 200, "{\"updated_snapshot_id\":77,\"score\":0.625}");
    engine_says(RESULT_UNAVAILABLE, "the upstream rests for 20 s");
    assert_answer("POST", target, "ignored", 503, "the upstream rests for 20 s");
    struct reply reply;
    reply_elsewhere(&reply, "oslo");
    engine_says(reply.result, reply.message);
    assert_answer("POST", target, NULL, 503, "node oslo is to do this and has not said in time");
    reply_elsewhere(&reply, "");
    engine_says(reply.result, reply.message);
    assert_answer("POST", target, NULL, 503, "another node is to do this");
    engine_says(RESULT_DONE, "");
    world_mint_text(999, mint);
    snprintf(target, sizeof target, "/tokens/%s/refresh", mint);
    assert_answer("POST", target, NULL, 404, "token not found");
}

/* ---- settings and jobs ---- */

static void test_settings(void **state)
{
    (void)state;
    assert_answer("PUT", "/settings/min_score", "{\"value\":\"0.25\"}", 200,
                  "{\"key\":\"min_score\",\"value\":\"0.25\"}");
    assert_answer("GET", "/settings/min_score", NULL, 200, "\"0.25\"");
    assert_answer("GET", "/tokens", NULL, 200, "\"min_score\":0.25");
    assert_answer("PUT", "/settings/min_score/", "{\"value\":0.1}", 200, "\"value\":\"0.1\"");
    assert_answer("PUT", "/settings/tx_calculation_mode", "{\"value\":\"arbitrage_activity\"}", 200,
                  "arbitrage_activity");
    uint64_t before = commands_heard();
    assert_answer("PUT", "/settings/min_score", "{\"value\":\"high\"}", 400, "min_score");
    assert_answer("PUT", "/settings/hot_interval_sec", "{\"value\":\"0\"}", 400, "hot_interval");
    assert_answer("PUT", "/settings/min_score", "{\"value\":null}", 400, "value");
    assert_answer("PUT", "/settings/min_score", "{\"value\":[1]}", 400, "value");
    assert_answer("PUT", "/settings/min_score", "{}", 400, "value");
    assert_answer("PUT", "/settings/min_score", "nonsense", 400, "not JSON");
    assert_answer("PUT", "/settings/nonsense", "{\"value\":\"1\"}", 404, "no setting");
    assert_answer("PUT", "/settings/listen", "{\"value\":\"0.0.0.0:1\"}", 404, "start only");
    assert_int_equal(commands_heard(), before);
}

static void test_setting_outranked(void **state)
{
    (void)state;
    page_text_begin(world.page)->options.origins[OPTION_ID_w_tx] = OPTION_FROM_COMMAND_LINE;
    page_text_end(world.page);
    assert_answer("PUT", "/settings/w_tx", "{\"value\":\"0.3\"}", 409, "outranks");
}

static void test_jobs(void **state)
{
    (void)state;
    assert_answer("POST", "/admin/recalculate", NULL, 200, "{\"status\":\"started\"}");
    assert_int_equal(world.engine.last.kind, COMMAND_RECALCULATE);
    assert_answer("POST", "/admin/archive", "", 200, "{\"status\":\"archiver_started\"}");
    assert_int_equal(world.engine.last.kind, COMMAND_ARCHIVE);
    assert_answer("POST", "/admin/activation/", "{}", 200, "{\"status\":\"activation_started\"}");
    assert_int_equal(world.engine.last.kind, COMMAND_ACTIVATION);
    assert_answer("POST", "/notarb/export", NULL, 200, "\"status\":");
    assert_int_equal(world.engine.last.kind, COMMAND_EXPORT);
    assert_answer("GET", "/admin/archive", NULL, 405, "this resource takes POST");
}

/* ---- import ---- */

static char *import_body(uint32_t first, uint32_t count)
{
    char *text = malloc((size_t)count * (ADDRESS_TEXT_MAX + 1) + 1), *at = text;
    for (uint32_t i = 0; i < count; i++) {
        char mint[ADDRESS_TEXT_MAX + 1];
        world_mint_text(first + i, mint);
        at += sprintf(at, "%s\n", mint);
    }
    return text;
}

static void test_import(void **state)
{
    (void)state;
    char *body = import_body(10000, 5000);
    assert_answer("POST", "/tokens/import", body, 200,
                  "{\"added\":5000,\"known\":0,\"refused\":[]");
    assert_answer("POST", "/tokens/import", body, 200,
                  "{\"added\":0,\"known\":5000,\"refused\":[]");
    free(body);
    char mints[2][ADDRESS_TEXT_MAX + 1], mixed[1024], longer[400];
    world_mint_text(20001, mints[0]);
    world_mint_text(20002, mints[1]);
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    snprintf(mixed, sizeof mixed, "# a list\r\n\r\n  %s\r\nnonsense\n\xff\xfe\n%s\n\t%s", mints[0],
             longer, mints[1]);
    assert_answer("POST", "/tokens/import", mixed, 200,
                  "{\"added\":2,\"known\":0,\"refused\":[{\"line\":4,\"reason\":");
    assert_answer("POST", "/tokens/import", mixed, 200, "{\"line\":6,\"reason\":\"the line is too");
    assert_answer("POST", "/tokens/import", mixed, 200, "\"refused_total\":3");
    assert_answer("POST", "/tokens/import", "", 200, "{\"added\":0,\"known\":0,\"refused\":[]");
    assert_answer("POST", "/tokens/import", NULL, 200, "{\"added\":0,\"known\":0,\"refused\":[]");
}

static void test_import_many_refused(void **state)
{
    (void)state;
    char *body = malloc(3 * 1500 + 1);
    for (int i = 0; i < 1500; i++)
        memcpy(body + 3 * i, "no\n", 4);
    struct answer_read answer = http_ask(&world, "POST", "/tokens/import", NULL, body);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body, "\"refused_total\":1500"));
    assert_non_null(strstr(answer.body, "{\"line\":1000,"));
    assert_null(strstr(answer.body, "{\"line\":1001,"));
    http_free(&answer);
    free(body);
}

static void test_import_stopped(void **state)
{
    (void)state;
    char *body = import_body(30000, 2000);
    engine_says(RESULT_UNAVAILABLE, "the disk is full");
    assert_answer("POST", "/tokens/import", body, 503, "stopped at line 1: the disk is full");
    engine_says(RESULT_DONE, "");
    free(body);
}

/* Sent a byte at a time, with lines split everywhere. */
static void test_import_in_pieces(void **state)
{
    (void)state;
    char *body = import_body(40000, 3);
    int fd = http_connect(&world);
    char head[128];
    int length = snprintf(head, sizeof head,
                          "POST /tokens/import HTTP/1.1\r\nHost: localhost\r\n"
                          "Transfer-Encoding: chunked\r\n\r\n");
    http_send(fd, head, (size_t)length);
    for (const char *at = body; *at != '\0'; at++) {
        char chunk[8];
        length = snprintf(chunk, sizeof chunk, "1\r\n%c\r\n", *at);
        http_send(fd, chunk, (size_t)length);
    }
    http_send(fd, "0\r\n\r\n", 5);
    struct answer_read answer = http_read(fd, "POST");
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(answer.body, "\"added\":3"));
    http_free(&answer);
    close(fd);
    free(body);
}

/* ---- an engine that is slow, full or gone ---- */

static void test_deaf_engine(void **state)
{
    (void)state;
    pthread_mutex_lock(&world.engine.lock);
    world.engine.is_deaf = true;
    pthread_mutex_unlock(&world.engine.lock);
    enum { CLIENTS = 200 };
    int fds[CLIENTS], sent = 0;
    static const char ask[] = "POST /admin/archive HTTP/1.1\r\nHost: localhost\r\n"
                              "Content-Length: 0\r\n\r\n";
    for (; sent < CLIENTS; sent++) {
        fds[sent] = http_connect(&world);
        http_send(fds[sent], ask, sizeof ask - 1);
    }
    /* Reads go on meanwhile. */
    assert_answer("GET", "/tokens?limit=1", NULL, 200, "\"items\":");
    /* Some are turned away at once, the others when their patience ends or the engine hears. */
    pthread_mutex_lock(&world.engine.lock);
    world.engine.is_deaf = false;
    pthread_cond_broadcast(&world.engine.heard);
    pthread_mutex_unlock(&world.engine.lock);
    for (int i = 0; i < sent; i++) {
        struct answer_read answer = http_read(fds[i], "POST");
        assert_true(answer.status == 200 || answer.status == 503);
        http_free(&answer);
        close(fds[i]);
    }
}

static void test_mute_engine(void **state)
{
    (void)state;
    uint64_t before = commands_heard();
    pthread_mutex_lock(&world.engine.lock);
    world.engine.is_mute = true;
    pthread_mutex_unlock(&world.engine.lock);
    /* A client that leaves while it waits. */
    int gone = http_connect(&world);
    static const char ask[] = "POST /admin/archive HTTP/1.1\r\nHost: localhost\r\n"
                              "Content-Length: 0\r\n\r\n";
    http_send(gone, ask, sizeof ask - 1);
    assert_true(engine_heard(&world, before + 1));
    close(gone);
    assert_answer("POST", "/admin/recalculate", NULL, 503, "did not answer in time");
    pthread_mutex_lock(&world.engine.lock);
    world.engine.is_mute = false;
    pthread_mutex_unlock(&world.engine.lock);
    assert_answer("POST", "/admin/recalculate", NULL, 200, "started");
}

/* An import whose client leaves in the middle, with commands in flight. */
static void test_import_abandoned(void **state)
{
    (void)state;
    uint64_t before = commands_heard();
    pthread_mutex_lock(&world.engine.lock);
    world.engine.is_mute = true;
    pthread_mutex_unlock(&world.engine.lock);
    int fd = http_connect(&world);
    static const char head[] = "POST /tokens/import HTTP/1.1\r\nHost: localhost\r\n"
                               "Content-Length: 100000\r\n\r\n";
    char *body = import_body(50000, 20);
    http_send(fd, head, sizeof head - 1);
    http_send(fd, body, strlen(body));
    assert_true(engine_heard(&world, before + 20));
    close(fd);
    free(body);
    pthread_mutex_lock(&world.engine.lock);
    world.engine.is_mute = false;
    pthread_mutex_unlock(&world.engine.lock);
    assert_answer("POST", "/admin/recalculate", NULL, 200, "started");
}

/* Replies that nobody waits for, of no sense or of the wrong size, harm nobody. */
static void test_stray_replies(void **state)
{
    (void)state;
    struct reply reply = {.tag = UINT64_MAX, .result = 99};
    for (uint64_t tag = 0; tag < 2000; tag += 7) {
        reply.tag = tag;
        send(world.engine.fd, &reply, sizeof reply, MSG_NOSIGNAL);
    }
    send(world.engine.fd, "x", 1, MSG_NOSIGNAL);
    engine_says(99, "of no known kind");
    assert_answer("POST", "/admin/recalculate", NULL, 503, "of no known kind");
    engine_says(RESULT_DONE, "");
    assert_answer("POST", "/admin/recalculate", NULL, 200, "started");
}

/* The last test: the engine dies while a write waits. */
static void test_engine_gone(void **state)
{
    (void)state;
    uint64_t before = commands_heard();
    pthread_mutex_lock(&world.engine.lock);
    world.engine.is_mute = true;
    pthread_mutex_unlock(&world.engine.lock);
    int fd = http_connect(&world);
    static const char ask[] = "POST /admin/archive HTTP/1.1\r\nHost: localhost\r\n"
                              "Content-Length: 0\r\n\r\n";
    http_send(fd, ask, sizeof ask - 1);
    assert_true(engine_heard(&world, before + 1));
    shutdown(world.engine.fd, SHUT_RDWR);
    struct answer_read answer = http_read(fd, "POST");
    assert_int_equal(answer.status, 503);
    http_free(&answer);
    close(fd);
    assert_answer("POST", "/admin/archive", NULL, 503, "the engine is not running");
    assert_answer("POST", "/tokens/import", "\n\nxyz\n", 200, "\"refused_total\":1");
    assert_answer("GET", "/tokens", NULL, 200, "\"items\":");
    assert_answer("GET", "/health", NULL, 200, "ok");
}

/* ---- who may write ---- */

static void test_rules_without_token(void **state)
{
    (void)state;
    const char *target = "/admin/recalculate";
    char origin[128];
    snprintf(origin, sizeof origin, "Origin: http://127.0.0.1:%u\r\n", world.port);
    assert_answer_with(origin, "POST", target, NULL, 200, "started");
    assert_answer_with("Origin: http://evil.example\r\n", "POST", target, NULL, 403, "origin");
    assert_answer_with("Origin: null\r\n", "POST", target, NULL, 403, "origin");
    assert_answer_with("Origin: http://127.0.0.1:1\r\n", "POST", target, NULL, 403, "origin");
    assert_answer_with("Host: evil.example\r\n", "POST", target, NULL, 403, "loopback");
    /* Reads are open, whatever they send. */
    assert_answer_with("Origin: http://evil.example\r\n", "GET", "/tokens", NULL, 200, "items");
    int fd = http_connect(&world);
    static const char ask[] = "POST /admin/recalculate HTTP/1.1\r\nHost: evil.example\r\n"
                              "Content-Length: 0\r\n\r\n"
                              "POST /admin/recalculate HTTP/1.0\r\nContent-Length: 0\r\n\r\n";
    http_send(fd, ask, sizeof ask - 1);
    for (int i = 0; i < 2; i++) {
        struct answer_read answer = http_read(fd, "POST");
        assert_int_equal(answer.status, 403);
        http_free(&answer);
    }
    close(fd);
}

static void test_rules_with_token(void **state)
{
    (void)state;
    static struct world secured;
    world_start(&secured, "s3cret");
    asked = &secured;
    const char *target = "/admin/recalculate";
    assert_answer_with("Authorization: Bearer s3cret\r\n", "POST", target, NULL, 200, "started");
    assert_answer_with("Authorization: bearer s3cret\r\nOrigin: http://x\r\n", "POST", target, NULL,
                       200, "started");
    assert_answer_with("Authorization: Bearer s3cre\r\n", "POST", target, NULL, 401, "not the");
    assert_answer_with("Authorization: Bearer s3cret2\r\n", "POST", target, NULL, 401, "not the");
    assert_answer_with("Authorization: Basic s3cret\r\n", "POST", target, NULL, 401, "Bearer");
    assert_answer_with(NULL, "GET", "/settings", NULL, 200, "hot_interval_sec");
    struct answer_read answer = http_ask(asked, "POST", target, NULL, NULL);
    assert_int_equal(answer.status, 401);
    assert_string_equal(http_header(&answer, "WWW-Authenticate"), "Bearer");
    assert_null(strstr(answer.body, "s3cret"));
    http_free(&answer);
    asked = &world;
    world_stop(&secured);
}

static void test_refused_start(void **state)
{
    (void)state;
    struct options options;
    char why[512];
    int fds[2];
    options_init(&options);
    snprintf(options.listen, sizeof options.listen, "0.0.0.0:0");
    assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds), 0);
    struct api_world view = {.table = world.memory.table,
                             .page = world.page,
                             .store_url = "sqlite:none",
                             .command_fd = fds[1],
                             .options = &options};
    assert_null(api_start(&view, why));
    assert_non_null(strstr(why, "MOONWATCH_API_TOKEN"));
    /* The descriptor was the api's: it is closed. */
    char byte;
    assert_int_equal(recv(fds[0], &byte, 1, 0), 0);
    close(fds[0]);
}

static int start(void **state)
{
    (void)state;
    world_start(&world, "");
    world_add(&world, 1, TOKEN_ACTIVE, 0.9);
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
        cmocka_unit_test(test_add),
        cmocka_unit_test(test_add_refused),
        cmocka_unit_test(test_refresh),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_setting_outranked),
        cmocka_unit_test(test_jobs),
        cmocka_unit_test(test_import),
        cmocka_unit_test(test_import_many_refused),
        cmocka_unit_test(test_import_stopped),
        cmocka_unit_test(test_import_in_pieces),
        cmocka_unit_test(test_rules_without_token),
        cmocka_unit_test(test_rules_with_token),
        cmocka_unit_test(test_refused_start),
        cmocka_unit_test(test_deaf_engine),
        cmocka_unit_test(test_mute_engine),
        cmocka_unit_test(test_import_abandoned),
        cmocka_unit_test(test_stray_replies),
        cmocka_unit_test(test_engine_gone),
    };
    return cmocka_run_group_tests_name("writes", tests, start, stop);
}
