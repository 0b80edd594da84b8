/* What is kept of events, and how clients are sent from it: who gets what, who missed something,
 * who does not read. Sockets are pairs, the time is the test's. */
#include "api/event_client.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define EPOCH  0xabcULL
#define BYTES  4096
#define PLACES 16

static const instant T0 = {1790000000000000LL};

static struct event_buffer *buffer;
static struct event_client client;
static int other_end;
static uint64_t sent;

static int begin(void **state)
{
    (void)state;
    int pair[2];
    buffer = event_buffer_create(EPOCH, BYTES, PLACES);
    sent = 0;
    if (buffer == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) != 0)
        return -1;
    client = (struct event_client){.fd = pair[0], .filter = {.topics = ~0U, .statuses = ~0U}};
    other_end = pair[1];
    return 0;
}

static int end(void **state)
{
    (void)state;
    event_buffer_destroy(buffer);
    close(client.fd);
    close(other_end);
    return 0;
}

static struct address mint_of(int number)
{
    struct address mint;
    memset(&mint, number, sizeof mint);
    return mint;
}

static void add_token(int mint, unsigned statuses, const char *json)
{
    struct address address = mint_of(mint);
    assert_true(event_buffer_add(buffer, &(struct event_news){.topic = TOPIC_TOKEN,
                                                              .statuses = statuses,
                                                              .mint = event_mint(&address),
                                                              .json = json,
                                                              .length = strlen(json)}));
}

static void add(enum event_topic topic, const char *json)
{
    assert_true(event_buffer_add(
        buffer, &(struct event_news){.topic = topic, .json = json, .length = strlen(json)}));
}

/* ---- the buffer ---- */

static void assert_text(uint64_t serial, const char *expected)
{
    const struct event *event = event_buffer_at(buffer, serial);
    struct iovec pieces[2];
    char text[BYTES];
    size_t length = 0;
    int count = event_buffer_text(buffer, event->offset, event->length, pieces);
    for (int i = 0; i < count; i++) {
        memcpy(text + length, pieces[i].iov_base, pieces[i].iov_len);
        length += pieces[i].iov_len;
    }
    text[length] = '\0';
    assert_string_equal(text, expected);
}

static void test_texts(void **state)
{
    (void)state;
    add(TOPIC_LOAD, "{\"level\":\"normal\"}");
    add(TOPIC_ALERT, "{}");
    assert_text(1, "id: abc-1\nevent: load\ndata: {\"level\":\"normal\"}\n\n");
    assert_text(2, "id: abc-2\nevent: alert\ndata: {}\n\n");
    assert_int_equal(event_buffer_first(buffer), 1);
    assert_int_equal(event_buffer_next(buffer), 3);
}

static void test_the_oldest_go(void **state)
{
    (void)state;
    for (int i = 1; i <= PLACES + 3; i++)
        add(TOPIC_LOG, "{}");
    assert_int_equal(event_buffer_first(buffer), 4); /* no place */
    char large[900];
    memset(large, 'x', sizeof large - 1);
    large[sizeof large - 1] = '\0';
    for (int i = 0; i < 100; i++) { /* no room; they wrap around again and again */
        char expected[1000];
        uint64_t serial = event_buffer_next(buffer);
        add(TOPIC_LOG, large);
        snprintf(expected, sizeof expected, "id: abc-%d\nevent: log\ndata: %s\n\n", (int)serial,
                 large);
        assert_text(serial, expected);
        assert_text(serial, expected);
    }
    assert_int_equal(event_buffer_next(buffer) - event_buffer_first(buffer), BYTES / 940);
}

static void test_too_large(void **state)
{
    (void)state;
    static char huge[BYTES];
    memset(huge, 'x', sizeof huge - 1);
    assert_false(event_buffer_add(
        buffer, &(struct event_news){.topic = TOPIC_INCIDENT, .json = huge, .length = BYTES / 4}));
    assert_int_equal(event_buffer_next(buffer), 1);
}

static void test_ids(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",       "abc",     "abc-",  "abc-x",  "abd-1", "abc-1 ",
                                        "abc-01", "abc-1-1", "ABC-1", "abc--1", "-1"};
    char id[EVENT_ID_SIZE];
    uint64_t serial;
    event_id_format(buffer, 7, id);
    assert_string_equal(id, "abc-7");
    assert_true(event_id_parse(buffer, id, &serial));
    assert_int_equal(serial, 7);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++)
        assert_false(event_id_parse(buffer, wrong[i], &serial));
}

/* ---- a client ---- */

static const char *taken(void)
{
    static char text[1 << 20];
    size_t length = 0;
    ssize_t got;
    while ((got = read(other_end, text + length, sizeof text - 1 - length)) > 0)
        length += (size_t)got;
    text[length] = '\0';
    return text;
}

static void assert_gets(const char *expected)
{
    assert_int_equal(event_client_send(&client, buffer, T0, &sent), CLIENT_HAS_ALL);
    assert_string_equal(taken(), expected);
}

static void test_from_now_on(void **state)
{
    (void)state;
    add(TOPIC_LOG, "{\"n\":1}");
    event_client_begin(&client, buffer, "", T0);
    assert_gets(
        "retry: 1000\nid: abc-1\nevent: hello\ndata: {\"resumed\":false,\"id\":\"abc-1\"}\n\n");
    assert_gets("");
    add(TOPIC_LOG, "{\"n\":2}");
    assert_gets("id: abc-2\nevent: log\ndata: {\"n\":2}\n\n");
    assert_int_equal(sent, 1);
}

static void test_resumed(void **state)
{
    (void)state;
    for (int i = 0; i < 3; i++)
        add(TOPIC_LOG, "{}");
    event_client_begin(&client, buffer, "abc-1", T0);
    assert_gets(
        "retry: 1000\nid: abc-1\nevent: hello\ndata: {\"resumed\":true,\"id\":\"abc-1\"}\n\n"
        "id: abc-2\nevent: log\ndata: {}\n\nid: abc-3\nevent: log\ndata: {}\n\n");
}

static void test_resumed_at_the_end(void **state)
{
    (void)state;
    add(TOPIC_LOG, "{}");
    event_client_begin(&client, buffer, "abc-1", T0);
    assert_gets(
        "retry: 1000\nid: abc-1\nevent: hello\ndata: {\"resumed\":true,\"id\":\"abc-1\"}\n\n");
}

static void assert_is_reset(const char *last_id, const char *why)
{
    event_client_begin(&client, buffer, last_id, T0);
    assert_int_equal(event_client_send(&client, buffer, T0, &sent), CLIENT_HAS_ALL);
    const char *text = taken();
    assert_non_null(strstr(text, "event: hello\ndata: {\"resumed\":false,"));
    assert_non_null(strstr(text, "\n\nevent: reset\ndata: {\"reason\":\""));
    assert_non_null(strstr(text, why));
    assert_null(strstr(text, "event: log"));
}

static void test_what_was_missed_is_gone(void **state)
{
    (void)state;
    for (int i = 0; i < PLACES + 5; i++)
        add(TOPIC_LOG, "{}");
    assert_is_reset("abc-4", "not kept any more");
    assert_is_reset("abc-99", "not one of this process");
    assert_is_reset("abd-20", "not one of this process");
    event_buffer_forget(buffer);
    assert_is_reset("abc-20", "not kept any more");
    event_client_begin(&client, buffer, "abc-21", T0);
    event_client_send(&client, buffer, T0, &sent);
    assert_non_null(strstr(taken(), "\"resumed\":true")); /* it has the newest */
}

static void test_filters(void **state)
{
    (void)state;
    struct address first = mint_of(9), second = mint_of(4);
    client.filter = (struct event_filter){.topics = 1U << TOPIC_TOKEN | 1U << TOPIC_LOAD,
                                          .statuses = 2,
                                          .mint_count = 2,
                                          .mints = {event_mint(&first), event_mint(&second)}};
    event_filter_sort(&client.filter);
    event_client_begin(&client, buffer, "", T0);
    event_client_send(&client, buffer, T0, &sent);
    taken();
    add_token(4, 2, "4");
    add_token(5, 2, "5");
    add_token(9, 1, "9 of another status");
    add(TOPIC_LOG, "{}");
    add_token(9, 3, "9 that was of another");
    add(TOPIC_LOAD, "{}");
    add(TOPIC_PULSE, "{}");
    assert_gets("id: abc-1\nevent: token\ndata: 4\n\n"
                "id: abc-5\nevent: token\ndata: 9 that was of another\n\n"
                "id: abc-6\nevent: load\ndata: {}\n\n");
    assert_int_equal(sent, 3);
}

/* Its place is told again and again, although nothing of all that is for it. */
static void test_signs_of_life(void **state)
{
    (void)state;
    client.filter.topics = 1U << TOPIC_LOAD;
    event_client_begin(&client, buffer, "", T0);
    event_client_send(&client, buffer, T0, &sent);
    taken();
    for (int i = 0; i < 5; i++)
        add(TOPIC_LOG, "{}");
    instant later = instant_add(T0, duration_s(EVENT_ALIVE_SEC - 1));
    event_client_send(&client, buffer, later, &sent);
    assert_string_equal(taken(), "");
    later = instant_add(T0, duration_s(EVENT_ALIVE_SEC));
    event_client_send(&client, buffer, later, &sent);
    assert_string_equal(taken(), ": alive\nid: abc-5\n\n");
    event_client_send(&client, buffer, later, &sent);
    assert_string_equal(taken(), "");
}

/* ---- one that does not read ---- */

static void fill_socket(void)
{
    static char text[900];
    const int size = 4096;
    memset(text, 'x', sizeof text - 1);
    setsockopt(client.fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size);
    event_client_begin(&client, buffer, "", T0);
    for (int i = 0; i < 1000; i++) {
        add(TOPIC_LOG, text);
        if (event_client_send(&client, buffer, T0, &sent) == CLIENT_WAITS)
            return;
    }
    fail_msg("the socket takes everything");
}

static void test_it_goes_on_where_it_was(void **state)
{
    (void)state;
    fill_socket();
    static char all[1 << 20];
    size_t length = 0;
    enum event_client_state now;
    do {
        length += (size_t)snprintf(all + length, sizeof all - length, "%s", taken());
        now = event_client_send(&client, buffer, T0, &sent);
    } while (now == CLIENT_WAITS);
    assert_int_equal(now, CLIENT_HAS_ALL);
    snprintf(all + length, sizeof all - length, "%s", taken());
    uint64_t serial = 1;
    for (const char *at = strstr(all, "\nevent: hello"); (at = strstr(at, "\n\nid: ")) != NULL;) {
        char id[EVENT_ID_SIZE + 8];
        at += 2;
        snprintf(id, sizeof id, "id: abc-%d\nevent: log\ndata: xxx", (int)serial++);
        assert_memory_equal(at, id, strlen(id)); /* none twice, none left out, none in pieces */
        assert_int_equal(strspn(strstr(at, "data: ") + 6, "x"), 899);
    }
    assert_int_equal(serial, event_buffer_next(buffer));
    assert_int_equal(sent, serial - 1);
}

static void test_it_takes_nothing_for_too_long(void **state)
{
    (void)state;
    fill_socket();
    instant later = instant_add(T0, duration_s(EVENT_STALL_SEC - 1));
    assert_int_equal(event_client_send(&client, buffer, later, &sent), CLIENT_WAITS);
    later = instant_add(T0, duration_s(EVENT_STALL_SEC));
    assert_int_equal(event_client_send(&client, buffer, later, &sent), CLIENT_SLOW);
}

static void test_it_falls_out_of_the_buffer(void **state)
{
    (void)state;
    fill_socket();
    for (int i = 0; i <= PLACES; i++)
        add(TOPIC_LOG, "{}");
    assert_int_equal(event_client_send(&client, buffer, T0, &sent), CLIENT_SLOW);
}

static void test_it_has_hung_up(void **state)
{
    (void)state;
    event_client_begin(&client, buffer, "", T0);
    shutdown(other_end, SHUT_RDWR);
    assert_int_equal(event_client_send(&client, buffer, T0, &sent), CLIENT_GONE);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, begin, end)

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_texts),
        CASE(test_the_oldest_go),
        CASE(test_too_large),
        CASE(test_ids),
        CASE(test_from_now_on),
        CASE(test_resumed),
        CASE(test_resumed_at_the_end),
        CASE(test_what_was_missed_is_gone),
        CASE(test_filters),
        CASE(test_signs_of_life),
        CASE(test_it_goes_on_where_it_was),
        CASE(test_it_takes_nothing_for_too_long),
        CASE(test_it_falls_out_of_the_buffer),
        CASE(test_it_has_hung_up),
    };
    return cmocka_run_group_tests_name("event_buffer", tests, NULL, NULL);
}
