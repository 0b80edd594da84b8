#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "feed/handoff.h"
#include "feed/workers.h"
#include "loop_until.h"
#include "sample_answers.h"
#include "scripted_server.h"
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REQUESTS_MAX 4096

/* The server and the owner have this thread, each worker one of its own. */
struct fixture {
    uv_loop_t loop;
    struct scripted_server *server;
    struct options options;
    struct feed_workers *workers;
    bool is_closed;
    enum feed_workers_end end;

    uint64_t received; /* the request that was announced last */
    size_t told_count, wanted, cancelled;
    enum feed_outcome outcome; /* of the newest */
    size_t pairs;
    char detail[FEED_DETAIL_SIZE];
    uint8_t told[REQUESTS_MAX]; /* how often */
    void (*then)(struct fixture *f, const struct feed_answer *answer);

    /* The workers' threads. */
    _Atomic unsigned starts, ends, opened, shut, opened_by[FEED_WORKERS_MAX];
    _Atomic unsigned beats[FEED_WORKERS_MAX];
    _Atomic unsigned tokens_opened;
    _Atomic bool is_to_hang, hangs, is_forbidden;
};

static const char answer_of_one[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n[]";

/* ---- what is told ---- */

static void on_received(void *context, uint64_t request)
{
    ((struct fixture *)context)->received = request;
}

static void on_answer(void *context, const struct feed_answer *answer)
{
    struct fixture *f = context;
    assert_true(f->received == answer->request);
    assert_in_range(answer->request, 0, REQUESTS_MAX - 1);
    f->told[answer->request]++;
    f->told_count++;
    f->cancelled += answer->outcome == FEED_CANCELLED;
    f->outcome = answer->outcome;
    f->pairs = answer->parsed != NULL ? answer->parsed->pair_count : 0;
    snprintf(f->detail, sizeof f->detail, "%s", answer->detail != NULL ? answer->detail : "");
    if (f->then != NULL)
        f->then(f, answer);
}

static void on_start(void *context, unsigned worker)
{
    (void)worker;
    atomic_fetch_add(&((struct fixture *)context)->starts, 1);
}

static void on_beat(void *context, unsigned worker)
{
    struct fixture *f = context;
    atomic_fetch_add(&f->beats[worker], 1);
    if (!atomic_exchange(&f->is_to_hang, false))
        return;
    atomic_store(&f->hangs, true);
    for (;;)
        uv_sleep(1000); /* until the test's process ends */
}

static void on_open(void *context, unsigned worker, const struct feed_order *order)
{
    struct fixture *f = context;
    atomic_fetch_add(&f->opened, 1);
    atomic_fetch_add(&f->opened_by[worker], 1);
    atomic_fetch_add(&f->tokens_opened, (unsigned)order->token_count);
}

static void on_shut(void *context, unsigned worker)
{
    (void)worker;
    atomic_fetch_add(&((struct fixture *)context)->shut, 1);
}

static bool may_send(void *context)
{
    return !atomic_load(&((struct fixture *)context)->is_forbidden);
}

static void on_end(void *context, unsigned worker)
{
    (void)worker;
    atomic_fetch_add(&((struct fixture *)context)->ends, 1);
}

static void on_closed(void *context, enum feed_workers_end end)
{
    struct fixture *f = context;
    f->is_closed = true;
    f->end = end;
}

/* ---- the fixture ---- */

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    uv_loop_init(&f->loop);
    f->server = scripted_server_create(&f->loop);
    options_init(&f->options);
    snprintf(f->options.feed, sizeof f->options.feed, "http://127.0.0.1:%u",
             scripted_server_port(f->server));
    f->options.feed_workers = 2;
    *state = f;
    return f->server == NULL;
}

static bool is_closed(void *context)
{
    return ((struct fixture *)context)->is_closed;
}

static void close_workers(struct fixture *f)
{
    feed_workers_destroy(f->workers, on_closed);
    assert_true(loop_until(&f->loop, is_closed, f));
    f->workers = NULL;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    if (f->workers != NULL)
        close_workers(f);
    scripted_server_destroy(f->server);
    uv_run(&f->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&f->loop), 0);
    assert_int_equal(f->starts, f->ends);
    free(f);
    return 0;
}

static const struct feed_workers_listener *listener_of(struct fixture *f)
{
    static struct feed_workers_listener listener;
    listener = (struct feed_workers_listener){.context = f,
                                              .on_received = on_received,
                                              .on_answer = on_answer,
                                              .on_start = on_start,
                                              .on_beat = on_beat,
                                              .on_open = on_open,
                                              .on_shut = on_shut,
                                              .on_end = on_end,
                                              .may_send = may_send};
    return &listener;
}

static void open_workers(struct fixture *f)
{
    char why[OPTION_MESSAGE_SIZE] = "";
    f->workers = feed_workers_create(&f->loop, &f->options, listener_of(f), why);
    if (f->workers == NULL || !feed_workers_await(f->workers, why))
        fail_msg("%s", why);
}

static enum err send_of(struct fixture *f, uint64_t request, size_t count, size_t tokens)
{
    static struct address address;
    struct address addresses[REQUEST_ADDRESSES_MAX + 1];
    assert_true(address_parse(SAMPLE_WSOL, strlen(SAMPLE_WSOL), &address));
    for (size_t i = 0; i < sizeof addresses / sizeof addresses[0]; i++)
        addresses[i] = address;
    const struct feed_order order = {.request = request,
                                     .kind = LANE_SCREEN,
                                     .addresses = addresses,
                                     .count = count,
                                     .tokens = addresses,
                                     .token_count = tokens};
    return feed_workers_send(f->workers, &order);
}

static void send_one(struct fixture *f, uint64_t request)
{
    assert_int_equal(send_of(f, request, 1, 1), OK);
}

static bool are_told(void *context)
{
    const struct fixture *f = context;
    return f->told_count >= f->wanted;
}

static void run_until_told(struct fixture *f, size_t count)
{
    f->wanted = count;
    assert_true(loop_until(&f->loop, are_told, f));
    assert_int_equal(f->told_count, count);
}

static void push(struct fixture *f, const char *body)
{
    scripted_server_push_answer(f->server, "200 OK", "", body, strlen(body));
}

static void push_silence(struct fixture *f)
{
    scripted_server_push(f->server, &(struct script){.bytes = "", .length = 0});
}

/* ---- the queue between two threads ---- */

#define GIVEN_MAX 20000

static void *give_all(void *argument)
{
    struct handoff *handoff = argument;
    for (uintptr_t i = 1; i <= GIVEN_MAX; i++) {
        while (atomic_load(&handoff->given) - atomic_load(&handoff->taken) > handoff->mask)
            sched_yield();
        handoff_give(handoff, (void *)i); /* NOLINT(performance-no-int-to-ptr): never followed */
    }
    return NULL;
}

static void test_handoff(void **state)
{
    struct handoff handoff;
    pthread_t giver;
    (void)state;
    assert_int_equal(handoff_init(&handoff, 5), OK);
    assert_int_equal(handoff.mask, 7);
    assert_null(handoff_take(&handoff));
    assert_int_equal(pthread_create(&giver, NULL, give_all, &handoff), 0);
    for (uintptr_t i = 1; i <= GIVEN_MAX;) {
        uintptr_t taken = (uintptr_t)handoff_take(&handoff);
        if (taken == 0) {
            sched_yield();
            continue;
        }
        assert_true(taken == i);
        i++;
    }
    pthread_join(giver, NULL);
    assert_null(handoff_take(&handoff));
    handoff_finish(&handoff);
}

/* ---- answers ---- */

static void test_an_answer(void **state)
{
    struct fixture *f = *state;
    struct feed_stats stats;
    push(f, SAMPLE_ARRAY);
    open_workers(f);
    assert_int_equal(send_of(f, 7, 2, 1), OK);
    run_until_told(f, 1);
    assert_int_equal(f->outcome, FEED_OK);
    assert_int_equal(f->pairs, 3);
    assert_string_equal(f->detail, "");
    assert_int_equal(f->opened, 1);
    assert_int_equal(f->shut, 1);
    assert_int_equal(f->tokens_opened, 1);
    feed_workers_stats(f->workers, &stats);
    assert_int_equal(stats.requests, 1);
    assert_int_equal(stats.connections_opened, 1);
    assert_int_equal(stats.in_flight, 0);
    assert_true(stats.bytes_received > strlen(SAMPLE_ARRAY));
}

static void test_a_failure(void **state)
{
    struct fixture *f = *state;
    scripted_server_push_answer(f->server, "503 No", "Retry-After: 7\r\n", "no", 2);
    open_workers(f);
    send_one(f, 1);
    run_until_told(f, 1);
    assert_int_equal(f->outcome, FEED_SERVER_ERROR);
    assert_non_null(strstr(f->detail, "HTTP status 503"));
}

static void test_not_to_be_sent(void **state)
{
    struct fixture *f = *state;
    struct scripted_server_stats server;
    push(f, SAMPLE_ARRAY);
    open_workers(f);
    atomic_store(&f->is_forbidden, true);
    send_one(f, 1);
    run_until_told(f, 1);
    assert_int_equal(f->outcome, FEED_CANCELLED);
    atomic_store(&f->is_forbidden, false);
    send_one(f, 2);
    run_until_told(f, 2);
    assert_int_equal(f->outcome, FEED_OK);
    scripted_server_stats(f->server, &server);
    assert_int_equal(server.requests, 1);
}

static void send_another(struct fixture *f, const struct feed_answer *answer)
{
    if (answer->request + 20 < 2000)
        send_one(f, answer->request + 20);
}

/* All are told once; both workers work; and what was once allocated is enough. */
static void test_many(void **state)
{
    struct fixture *f = *state;
    struct feed_stats stats;
    push(f, SAMPLE_ARRAY);
    f->options.requests_in_flight_max = 7; /* of each of three kinds: 21 in all */
    open_workers(f);
    f->then = send_another;
    for (uint64_t i = 0; i < 20; i++)
        send_one(f, i);
    run_until_told(f, 2000);
    for (int i = 0; i < 2000; i++)
        assert_int_equal(f->told[i], 1);
    assert_int_equal(f->pairs, 3);
    assert_true(f->opened_by[0] > 100);
    assert_true(f->opened_by[1] > 100);
    assert_int_equal(f->opened, 2000);
    assert_int_equal(f->shut, 2000);
    feed_workers_stats(f->workers, &stats);
    assert_int_equal(stats.requests, 2000);
    assert_int_equal(stats.in_flight, 0);
}

static void test_connections_are_shared_out(void **state)
{
    struct fixture *f = *state;
    struct scripted_server_stats server;
    scripted_server_push(
        f->server,
        &(struct script){.bytes = answer_of_one, .length = strlen(answer_of_one), .delay_ms = 10});
    f->options.feed_connections = 5;
    open_workers(f);
    for (uint64_t i = 0; i < 60; i++)
        send_one(f, i);
    run_until_told(f, 60);
    scripted_server_stats(f->server, &server);
    assert_int_equal(server.most_open, 5);
    assert_int_equal(server.connections, 5);
}

static void test_how_many(void **state)
{
    struct fixture *f = *state;
    struct options *options = &f->options;
    unsigned cores = uv_available_parallelism();
    options->feed_connections = 256;
    options->feed_workers = 0;
    unsigned expected = cores > 1 ? cores - 1 : 1;
    assert_int_equal(feed_workers_count(options),
                     expected < FEED_WORKERS_MAX ? expected : FEED_WORKERS_MAX);
    options->feed_workers = 5;
    assert_int_equal(feed_workers_count(options), 5);
    options->feed_connections = 3;
    assert_int_equal(feed_workers_count(options), 3);
}

/* ---- limits ---- */

static void test_refused_sends(void **state)
{
    struct fixture *f = *state;
    push_silence(f);
    f->options.requests_in_flight_max = 2;
    open_workers(f);
    assert_int_equal(send_of(f, 0, 0, 1), ERR_INVALID);
    assert_int_equal(send_of(f, 0, REQUEST_ADDRESSES_MAX + 1, 1), ERR_INVALID);
    assert_int_equal(send_of(f, 0, 1, REQUEST_ADDRESSES_MAX + 1), ERR_INVALID);
    for (uint64_t i = 0; i < 6; i++)
        send_one(f, i);
    assert_int_equal(send_of(f, 6, 1, 1), ERR_FULL);
}

static void test_bad_base_url(void **state)
{
    struct fixture *f = *state;
    char why[OPTION_MESSAGE_SIZE] = "";
    snprintf(f->options.feed, sizeof f->options.feed, "ftp://example.com");
    f->workers = feed_workers_create(&f->loop, &f->options, listener_of(f), why);
    assert_non_null(f->workers);
    assert_false(feed_workers_await(f->workers, why));
    assert_non_null(strstr(why, "http"));
}

/* ---- cancelling ---- */

static bool are_requests_there(void *context)
{
    const struct fixture *f = context;
    struct scripted_server_stats server;
    scripted_server_stats(f->server, &server);
    return server.requests >= f->wanted;
}

static void test_cancel(void **state)
{
    struct fixture *f = *state;
    push_silence(f);
    f->options.feed_connections = 2;
    open_workers(f);
    send_one(f, 0);
    send_one(f, 1);
    f->wanted = 2;
    assert_true(loop_until(&f->loop, are_requests_there, f));
    for (uint64_t i = 2; i < 40; i++)
        send_one(f, i);
    feed_workers_cancel(f->workers, 99);
    for (uint64_t i = 0; i < 40; i++)
        feed_workers_cancel(f->workers,
                            i); /* those that the threads have, and those on their way */
    assert_int_equal(f->told_count, 0);
    run_until_told(f, 40);
    assert_int_equal(f->cancelled, 40);
    for (int i = 0; i < 40; i++)
        assert_int_equal(f->told[i], 1);
}

/* ---- the end ---- */

static void test_destroy_under_way(void **state)
{
    struct fixture *f = *state;
    push_silence(f);
    open_workers(f);
    for (uint64_t i = 0; i < 30; i++)
        send_one(f, i);
    f->wanted = 2;
    assert_true(loop_until(&f->loop, are_requests_there, f));
    close_workers(f);
    assert_int_equal(f->end, FEED_WORKERS_ENDED);
    assert_int_equal(f->told_count, 0);
    assert_int_equal(f->ends, 2);
}

static void destroy_at_once(struct fixture *f, const struct feed_answer *answer)
{
    (void)answer;
    feed_workers_destroy(f->workers, on_closed);
    assert_int_equal(send_of(f, 50, 1, 1), ERR_UNAVAILABLE);
}

static void test_destroy_from_an_answer(void **state)
{
    struct fixture *f = *state;
    push(f, SAMPLE_ARRAY);
    open_workers(f);
    f->then = destroy_at_once;
    for (uint64_t i = 0; i < 20; i++)
        send_one(f, i);
    assert_true(loop_until(&f->loop, is_closed, f));
    assert_int_equal(f->told_count, 1);
    f->workers = NULL;
}

static void test_destroy_before_all_are_ready(void **state)
{
    struct fixture *f = *state;
    char why[OPTION_MESSAGE_SIZE] = "";
    f->workers = feed_workers_create(&f->loop, &f->options, listener_of(f), why);
    assert_non_null(f->workers);
    close_workers(f);
    assert_int_equal(f->end, FEED_WORKERS_ENDED);
}

static bool has_hung(void *context)
{
    return atomic_load(&((struct fixture *)context)->hangs);
}

/* Its thread stays, and what it may touch with it: the loop and the fixture are left, too. */
static void test_one_hangs(void **state)
{
    struct fixture *f = *state;
    f->options.heartbeat_deadline_ms = 20;
    open_workers(f);
    atomic_store(&f->is_to_hang, true);
    while (!has_hung(f))
        uv_sleep(1);
    uint64_t began = uv_hrtime();
    close_workers(f);
    assert_int_equal(f->end, FEED_WORKERS_LEFT_BEHIND);
    /* Timers are of whole milliseconds, and the first may have begun. */
    assert_true(uv_hrtime() - began >= (FEED_WORKERS_END_MS - 2) * UINT64_C(1000000));
    assert_int_equal(f->ends, 1);
    scripted_server_destroy(f->server);
    uv_run(&f->loop, UV_RUN_DEFAULT);
}

static bool do_both_beat(void *context)
{
    struct fixture *f = context;
    return atomic_load(&f->beats[0]) >= 5 && atomic_load(&f->beats[1]) >= 5;
}

static void test_beats(void **state)
{
    struct fixture *f = *state;
    f->options.heartbeat_deadline_ms = 20;
    open_workers(f);
    while (!do_both_beat(f))
        uv_sleep(1);
    assert_int_equal(f->starts, 2);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_handoff),
        TEST(test_an_answer),
        TEST(test_a_failure),
        TEST(test_not_to_be_sent),
        TEST(test_many),
        TEST(test_connections_are_shared_out),
        TEST(test_how_many),
        TEST(test_refused_sends),
        TEST(test_bad_base_url),
        TEST(test_cancel),
        TEST(test_destroy_under_way),
        TEST(test_destroy_from_an_answer),
        TEST(test_destroy_before_all_are_ready),
        TEST(test_beats),
        cmocka_unit_test_setup(test_one_hangs, setup), /* last: a thread stays */
    };
    signal(SIGPIPE, SIG_IGN);
    unsetenv("http_proxy");
    unsetenv("all_proxy");
    unsetenv("ALL_PROXY");
    return cmocka_run_group_tests(tests, NULL, NULL);
}
