/* GET /events over a socket: what is told when something changes, what a client that reconnects
 * gets, who is refused and who is dropped. */
#include "base/clock.h"
#include "base/listen.h"
#include "core/load.h"
#include "page/health_view.h"
#include "world.h"

#include <arpa/inet.h>
#include <ifaddrs.h>
#include <math.h>
#include <netinet/in.h>
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

#define PATIENCE_MS 10000
#define STREAM_SIZE (1 << 20)

static const char plain_request[] = "GET /events HTTP/1.1\r\nHost: localhost\r\n\r\n";

static struct world world;

struct listener {
    int fd;
    char *text; /* all that came so far; NUL-terminated */
    size_t length;
    bool has_ended;
};

static int begin(void **state)
{
    (void)state;
    world_start(&world, "");
    world_add(&world, 1, TOKEN_ACTIVE, 0.9);
    world_add(&world, 2, TOKEN_MONITORING, 0.2);
    return 0;
}

static int end(void **state)
{
    (void)state;
    world_stop(&world);
    return 0;
}

/* ---- listening ---- */

static struct listener listen_with(const char *query, const char *headers)
{
    struct listener listener = {.fd = http_connect(&world), .text = calloc(1, STREAM_SIZE)};
    char request[512];
    int length = snprintf(request, sizeof request,
                          "GET /events%s HTTP/1.1\r\nHost: localhost\r\n%s\r\n", query, headers);
    http_send(listener.fd, request, (size_t)length);
    return listener;
}

static void hear_more(struct listener *listener)
{
    struct pollfd readable = {.fd = listener->fd, .events = POLLIN};
    if (poll(&readable, 1, PATIENCE_MS) != 1)
        fail_msg("nothing more came than: %s", listener->text);
    ssize_t got = recv(listener->fd, listener->text + listener->length,
                       STREAM_SIZE - 1 - listener->length, 0);
    listener->has_ended = got <= 0;
    if (got > 0)
        listener->length += (size_t)got;
}

/* Where `what` begins, once it has come. */
static const char *hear(struct listener *listener, const char *what)
{
    const char *found;
    instant until = instant_add(clock_now(), duration_ms(PATIENCE_MS));
    while ((found = strstr(listener->text, what)) == NULL) {
        if (listener->has_ended || instant_before(until, clock_now()))
            fail_msg("it ended without '%s': %s", what, listener->text);
        hear_more(listener);
    }
    return found;
}

static struct listener listen_to(const char *query)
{
    struct listener listener = listen_with(query, "");
    hear(&listener, "event: hello\n");
    hear(&listener, "\"}\n\n");
    return listener;
}

static void hear_the_end(struct listener *listener)
{
    while (!listener->has_ended)
        hear_more(listener);
}

static void hang_up(struct listener *listener)
{
    close(listener->fd);
    free(listener->text);
}

/* The id of the event that begins at or before `at`. */
static void id_before(const struct listener *listener, const char *at, char out[64])
{
    while (at > listener->text && strncmp(at, "id: ", 4) != 0)
        at--;
    snprintf(out, 64, "%.*s", (int)strcspn(at + 4, "\n"), at + 4);
}

static void put_line(const char *text)
{
    log_ring_put(&world.page->log, &(struct log_entry){.at = clock_now(),
                                                       .level = LOG_INFO,
                                                       .logger = "test",
                                                       .text = text,
                                                       .length = strlen(text)});
}

/* As the engine does. */
static void change(token_id id, enum token_status status, double score)
{
    struct token *token = token_write_begin(world.memory.table, id);
    token->status = (uint8_t)status;
    token->state.score = score;
    token->state.checked_at = token->state.fetched_at = clock_now();
    token_write_end(world.memory.table, id);
    changes_put(&world.page->changes, id);
}

static double counter(enum counter id)
{
    return (double)page_word(&world.page->counters[id]);
}

static void await_clients(double count)
{
    for (int ms = 0; page_get(world.page, GAUGE_EVENT_CLIENTS) != count; ms++) {
        assert_true(ms < PATIENCE_MS);
        usleep(1000);
    }
}

/* ---- what is told ---- */

static void test_head(void **state)
{
    (void)state;
    struct listener listener = listen_to("/");
    static const char *const heads[] = {"HTTP/1.1 200 OK\r\n",
                                        "Content-Type: text/event-stream\r\n",
                                        "Cache-Control: no-store\r\n",
                                        "X-Accel-Buffering: no\r\n",
                                        "X-Content-Type-Options: nosniff\r\n",
                                        "\r\n\r\nretry: 1000\nid: "};
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        assert_non_null(strstr(listener.text, heads[i]));
    assert_null(strstr(listener.text, "chunked"));
    assert_non_null(strstr(listener.text, "data: {\"resumed\":false,\"id\":\""));
    hang_up(&listener);
    await_clients(0);
    struct answer_read answer = http_ask(&world, "HEAD", "/events", NULL, NULL);
    assert_int_equal(answer.status, 200);
    http_free(&answer);
    await_clients(0);
}

static void test_tokens(void **state)
{
    (void)state;
    struct listener listener = listen_to("?topics=token");
    char mint[ADDRESS_TEXT_MAX + 1];
    world_mint_text(1, mint);
    change(1, TOKEN_ACTIVE, 0.8);
    const char *event =
        hear(&listener, "event: token\ndata: {\"change\":\"score\",\"item\":{\"mint_address\":\"");
    hear(&listener, "+00:00\"}}\n\n");
    assert_non_null(strstr(event, mint));
    assert_non_null(strstr(event, "\"score\":0.8,"));
    change(1, TOKEN_ACTIVE, 0.8);
    hear(&listener, "{\"change\":\"figures\",");
    change(2, TOKEN_ARCHIVED, 0.2);
    hear(&listener, "{\"change\":\"status\",");
    token_id added = world_add(&world, 3, TOKEN_MONITORING, NAN);
    changes_put(&world.page->changes, added);
    hear(&listener, "{\"change\":\"added\",");
    assert_null(strstr(listener.text, "event: pulse"));
    hang_up(&listener);
}

static void test_filters(void **state)
{
    (void)state;
    char mint[ADDRESS_TEXT_MAX + 1], query[128];
    world_mint_text(2, mint);
    snprintf(query, sizeof query, "?topics=token,load&mints=%s", mint);
    struct listener by_mint = listen_to(query);
    struct listener by_status = listen_to("?topics=token&statuses=active");
    change(2, TOKEN_MONITORING, 0.31);
    change(1, TOKEN_ACTIVE, 0.71);
    change(1, TOKEN_ARCHIVED, 0.72); /* it was active: whoever shows active ones must know */
    hear(&by_status, "\"score\":0.72,");
    change(2, TOKEN_MONITORING, 0.32);
    hear(&by_mint, "\"score\":0.32,");
    assert_null(strstr(by_status.text, "\"score\":0.31,"));
    assert_null(strstr(by_mint.text, "\"score\":0.7"));
    hang_up(&by_mint);
    hang_up(&by_status);
}

/* Nobody wanted them until now: who is fresh gets what comes, who returns what it missed. */
static void test_what_nobody_wanted(void **state)
{
    (void)state;
    char mint[ADDRESS_TEXT_MAX + 1], query[128], id[64];
    world_mint_text(2, mint);
    snprintf(query, sizeof query, "?topics=token&mints=%s", mint);
    struct listener named = listen_to(query);
    change(1, TOKEN_ACTIVE, 0.41); /* before the one that is waited for */
    change(2, TOKEN_MONITORING, 0.42);
    id_before(&named, hear(&named, "\"score\":0.42,"), id);
    snprintf(query, sizeof query, "?topics=token&last_event_id=%s", id);
    struct listener fresh = listen_to("?topics=token");
    struct listener returned = listen_with(query, "");
    hear(&returned, "{\"resumed\":true,");
    change(1, TOKEN_ACTIVE, 0.43);
    hear(&returned, "\"score\":0.43,");
    change(2, TOKEN_MONITORING, 0.44);
    hear(&fresh, "\"score\":0.44,");
    hear(&named, "\"score\":0.44,");
    assert_null(strstr(fresh.text, "\"score\":0.41,"));
    hang_up(&fresh);
    hang_up(&returned);
    await_clients(1);
    change(1, TOKEN_ACTIVE, 0.45);
    change(2, TOKEN_MONITORING, 0.46);
    id_before(&named, hear(&named, "\"score\":0.46,"), id);
    snprintf(query, sizeof query, "?topics=token&last_event_id=%s", id);
    returned = listen_with(query, "");
    hear(&returned, "\"score\":0.45,"); /* it was never told, and is now */
    hang_up(&returned);
    hang_up(&named);
}

/* Named before it is there. */
static void test_a_stranger(void **state)
{
    (void)state;
    char mint[ADDRESS_TEXT_MAX + 1], query[128];
    world_mint_text(33, mint);
    snprintf(query, sizeof query, "?topics=token&mints=%s", mint);
    struct listener listener = listen_to(query);
    token_id id = world_add(&world, 33, TOKEN_MONITORING, 0.1);
    changes_put(&world.page->changes, id);
    hear(&listener, "{\"change\":\"added\",");
    change(id, TOKEN_MONITORING, 0.2);
    hear(&listener, "\"score\":0.2,");
    hang_up(&listener);
}

static void raise_alert(int64_t id)
{
    struct page_texts *texts = page_text_begin(world.page);
    texts->alerts.message_count = 1;
    texts->alerts.messages[0] = (struct board_message){
        .id = id, .at = clock_now(), .severity = SEVERITY_WARNING, .count = 0};
    page_text_end(world.page);
}

static void test_the_page(void **state)
{
    (void)state;
    raise_alert(41); /* told long ago */
    struct listener listener = listen_to("?topics=alert,load,health,pulse");
    raise_alert(42);
    hear(&listener, "event: alert\ndata: {\"id\":\"42\",");
    assert_null(strstr(listener.text, "\"id\":\"41\""));
    struct findings findings = {0};
    findings_add(&findings, &(struct finding){.cause = FINDING_STORE_DOWN,
                                              .severity = SEVERITY_CRITICAL,
                                              .because = FINDING_CAUSE_COUNT,
                                              .since = clock_now()});
    health_publish(world.page, &findings);
    page_beat(world.page, BEAT_ENGINE_LOOP, clock_now(), duration_us(0));
    hear(&listener, "event: health\ndata: {\"status\":\"critical\",\"reasons\":[\"");
    page_put_word(&world.page->load.sampled_at_us, (uint64_t)clock_now().us);
    page_put_word(&world.page->load.signals[SIGNAL_CPU].level, LOAD_REDUCED);
    hear(&listener, "event: load\ndata: {\"level\":\"reduced\",\"reasons\":[\"");
    const char *pulse = hear(&listener, "event: pulse\ndata: {\"at\":\"");
    hear(&listener, "\"tokens\":{\"total\":2,\"monitoring\":1,\"active\":1,\"archived\":0}}\n\n");
    assert_non_null(strstr(pulse, "\"paused\":false,\"engine\":{\"state\":"));
    assert_non_null(strstr(pulse, "\"groups\":{\"hot\":{\"tokens\":"));
    assert_non_null(strstr(pulse, "\"budgets\":{\"refresh\":{\"used_per_min\":120,"));
    hang_up(&listener);
}

static void test_log_lines(void **state)
{
    (void)state;
    put_line("\"msg\":\"before\"");
    struct listener listener = listen_to("?topics=log");
    struct listener usual = listen_to("");
    put_line("\"msg\":\"after\"");
    hear(&listener, "event: log\ndata: {\"ts\":\"");
    hear(
        &listener,
        "\"level\":\"INFO\",\"logger\":\"test\",\"process\":\"supervisor\",\"msg\":\"after\"}\n\n");
    assert_null(strstr(listener.text, "before"));
    change(1, TOKEN_ACTIVE, 0.5);
    hear(&usual, "event: token");
    assert_null(strstr(usual.text, "event: log")); /* only for whoever asks for it */
    hang_up(&listener);
    hang_up(&usual);
}

/* A writer died in a line: the lines behind it come nevertheless. */
static void test_a_line_that_is_never_finished(void **state)
{
    (void)state;
    struct listener listener = listen_to("?topics=log");
    uint64_t serial = atomic_fetch_add(&world.page->log.next, 1) + 1;
    atomic_store(&world.page->log.records[serial % LOG_RING_LINES].serial,
                 serial | LOG_RING_CLAIMED);
    put_line("\"msg\":\"behind it\"");
    hear(&listener, "behind it");
    hang_up(&listener);
}

/* ---- coming back ---- */

static void test_nothing_is_missed(void **state)
{
    (void)state;
    struct listener listener = listen_to("?topics=log");
    put_line("\"msg\":\"one\"");
    char id[64], query[128];
    id_before(&listener, hear(&listener, "\"msg\":\"one\""), id);
    hang_up(&listener);
    await_clients(0);
    put_line("\"msg\":\"two\"");
    put_line("\"msg\":\"three\"");
    char header[128];
    snprintf(header, sizeof header, "Last-Event-ID: %s\r\n", id);
    struct listener again = listen_with("?topics=log", header);
    const char *two = hear(&again, "\"msg\":\"two\"");
    assert_true(hear(&again, "\"msg\":\"three\"") > two);
    assert_non_null(strstr(again.text, "{\"resumed\":true,"));
    assert_null(strstr(again.text, "\"msg\":\"one\""));
    assert_null(strstr(again.text, "event: reset"));
    hang_up(&again);
    snprintf(query, sizeof query, "?topics=log&last_event_id=%s", id);
    struct listener by_query = listen_with(query, "");
    hear(&by_query, "\"msg\":\"two\"");
    hang_up(&by_query);
}

static void test_what_is_gone_is_told(void **state)
{
    (void)state;
    struct listener listener = listen_with("?topics=log", "Last-Event-ID: 1234-5\r\n");
    hear(&listener, "{\"resumed\":false,");
    hear(&listener, "event: reset\ndata: {\"reason\":\"");
    hang_up(&listener);
}

/* The next engine may have changed tokens whose ids the last one never put into the ring. */
static void test_another_engine(void **state)
{
    (void)state;
    world_engine_state(&world, PROCESS_RUNNING, 1);
    struct listener listener = listen_to("?topics=token");
    change(1, TOKEN_ACTIVE, 0.55);
    hear(&listener, "\"score\":0.55,");
    world_engine_state(&world, PROCESS_WAITING, 1);
    struct token *token = token_write_begin(world.memory.table, 2);
    token->state.score = 0.66;
    token_write_end(world.memory.table, 2);
    world_engine_state(&world, PROCESS_RUNNING, 2);
    hear(&listener, "\"score\":0.66,");
    hang_up(&listener);
}

/* More changed than the ring holds. */
static void test_left_behind(void **state)
{
    (void)state;
    struct listener listener = listen_to("?topics=token");
    struct token *token = token_write_begin(world.memory.table, 2);
    token->state.score = 0.77;
    token_write_end(world.memory.table, 2);
    atomic_fetch_add(&world.page->changes.next, CHANGES_KEPT + 1); /* its id among them, and gone */
    hear(&listener, "\"score\":0.77,");
    hang_up(&listener);
}

/* ---- the end ---- */

static void test_the_api_ends(void **state)
{
    (void)state;
    world_start(&world, "");
    struct listener listeners[3];
    for (int i = 0; i < 3; i++)
        listeners[i] = listen_to("");
    world_stop(&world);
    for (int i = 0; i < 3; i++) {
        hear_the_end(&listeners[i]);
        hang_up(&listeners[i]);
    }
}

/* ---- who is refused ---- */

static void assert_refused(const char *query, int status, const char *says)
{
    char target[8192];
    snprintf(target, sizeof target, "/events%s", query);
    struct answer_read answer = http_ask(&world, "GET", target, NULL, NULL);
    if (answer.status != status || strstr(answer.body, says) == NULL)
        fail_msg("%s: %d %s", target, answer.status, answer.body);
    http_free(&answer);
}

static void test_refusals(void **state)
{
    (void)state;
    assert_refused("?topics=tokens", 400, "unknown topic 'tokens'");
    assert_refused("?topics=token,", 400, "unknown topic ''");
    assert_refused("?statuses=dead", 400, "unknown status 'dead'");
    assert_refused("?mints=abc", 422, "'abc' in mints is no mint address");
    char query[8000] = "?mints=", mint[ADDRESS_TEXT_MAX + 1];
    for (uint32_t i = 0; i <= 100; i++) {
        world_mint_text(i, mint);
        snprintf(query + strlen(query), sizeof query - strlen(query), "%s%s", i > 0 ? "," : "",
                 mint);
    }
    assert_refused(query, 400, "mints is malformed or too long");
    struct answer_read answer = http_ask(&world, "POST", "/events", NULL, "");
    assert_int_equal(answer.status, 405);
    http_free(&answer);
}

static void test_too_many(void **state)
{
    (void)state;
    world_start_for(&world, 3, 1); /* of an address that is not this machine's */
    struct listener listeners[3];
    for (int i = 0; i < 3; i++)
        listeners[i] = listen_to("");
    assert_refused("", 503, "3 clients listen already, as many as events_clients_max allows");
    assert_int_equal(counter(COUNTER_EVENT_CLIENTS_REFUSED), 1);
    hang_up(&listeners[0]);
    await_clients(2);
    listeners[0] = listen_to("");
    for (int i = 0; i < 3; i++)
        hang_up(&listeners[i]);
    world_stop(&world);
}

/* An address of this machine that is none of loopback; false: it has none. */
static bool find_address(char out[64])
{
    struct ifaddrs *all;
    bool is_found = false;
    assert_int_equal(getifaddrs(&all), 0);
    for (const struct ifaddrs *at = all; at != NULL && !is_found; at = at->ifa_next)
        if (at->ifa_addr != NULL && at->ifa_addr->sa_family == AF_INET &&
            !address_is_loopback(at->ifa_addr))
            is_found =
                inet_ntop(AF_INET,
                          &((const struct sockaddr_in *)(const void *)at->ifa_addr)->sin_addr, out,
                          64) != NULL;
    freeifaddrs(all);
    return is_found;
}

static int connect_to(const char *address)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(world.port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(inet_pton(AF_INET, address, &to.sin_addr), 1);
    assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    http_send(fd, plain_request, sizeof plain_request - 1);
    return fd;
}

static void test_too_many_of_one_address(void **state)
{
    (void)state;
    char address[64];
    if (!find_address(address)) {
        print_message("# skipped: this machine has no address but loopback's\n");
        return;
    }
    world_start_at(&world, "secret", "0.0.0.0:0", "sqlite:none");
    int fds[65];
    for (int i = 0; i < 64; i++)
        fds[i] = connect_to(address);
    await_clients(64);
    fds[64] = connect_to(address);
    struct answer_read answer = http_read(fds[64], "GET");
    assert_int_equal(answer.status, 429);
    assert_non_null(strstr(answer.body, "64 clients of your address listen already"));
    http_free(&answer);
    for (int i = 0; i < 65; i++)
        close(fds[i]);
    world_stop(&world);
}

/* They have a limit of their own: whoever listens may still ask. */
static void test_listeners_are_apart(void **state)
{
    (void)state;
    enum { MANY = 400 };
    struct listener listeners[MANY];
    for (int i = 0; i < MANY; i++) {
        listeners[i] = (struct listener){.fd = http_connect(&world)};
        http_send(listeners[i].fd, plain_request, sizeof plain_request - 1);
        await_clients(i + 1);
    }
    struct answer_read answer = http_ask(&world, "GET", "/health", NULL, NULL);
    assert_int_equal(answer.status, 200);
    http_free(&answer);
    for (int i = 0; i < MANY; i++)
        close(listeners[i].fd);
}

/* ---- who does not read ---- */

static void test_a_slow_client_is_dropped(void **state)
{
    (void)state;
    static char line[LOG_TEXT_SIZE];
    snprintf(line, sizeof line, "\"msg\":\"%0400d\"", 0);
    struct listener slow = listen_to("?topics=log"), quick = listen_to("?topics=token");
    for (int turn = 0; counter(COUNTER_EVENT_CLIENTS_DROPPED) == 0; turn++) {
        assert_true(turn < 300);
        for (int i = 0; i < 450; i++) /* a look tells of so many */
            put_line(line);
        usleep(100000);
    }
    await_clients(1);
    change(1, TOKEN_ACTIVE, 0.123);
    hear(&quick, "\"score\":0.123,");
    struct answer_read answer = http_ask(&world, "GET", "/metrics", NULL, NULL);
    assert_non_null(strstr(answer.body, "\nmoonwatch_event_clients_dropped_total 1\n"));
    assert_non_null(strstr(answer.body, "\nmoonwatch_event_clients 1\n"));
    http_free(&answer);
    hang_up(&slow);
    hang_up(&quick);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_head),
        CASE(test_tokens),
        CASE(test_filters),
        CASE(test_what_nobody_wanted),
        CASE(test_a_stranger),
        CASE(test_the_page),
        CASE(test_log_lines),
        CASE(test_a_line_that_is_never_finished),
        CASE(test_nothing_is_missed),
        CASE(test_what_is_gone_is_told),
        CASE(test_another_engine),
        CASE(test_left_behind),
        cmocka_unit_test(test_the_api_ends),
        CASE(test_refusals),
        cmocka_unit_test(test_too_many),
        cmocka_unit_test(test_too_many_of_one_address),
        CASE(test_listeners_are_apart),
        CASE(test_a_slow_client_is_dropped),
    };
    return cmocka_run_group_tests_name("events", tests, NULL, NULL);
}
