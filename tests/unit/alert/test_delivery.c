/* Every message to every sink, once each, whatever the receivers do. */
#include "alert/delivery.h"
#include "alert/text.h"
#include "base/log.h"
#include "loop_until.h"
#include "messages.h"
#include "receiver.h"
#include "webhook_check.h"

#include <signal.h>
#include <stdlib.h>

#define TEST_TAG 77

struct kept {
    int64_t id;
    char *text;
};

struct world {
    uv_loop_t loop;
    struct options options;
    struct receiver receiver, other;
    struct delivery *delivery;
    bool is_closed, is_keeper_slow;
    struct kept kept[1024]; /* the store */
    size_t kept_count;
    uint64_t tries[ALERT_SINK_COUNT];
    uint64_t tested; /* tag */
    bool is_well;
    char report[512];
    size_t wanted;
};

static void on_keep(void *context, int64_t id, const char *text)
{
    struct world *world = context;
    size_t i = 0;
    while (i < world->kept_count && world->kept[i].id != id)
        i++;
    if (i == world->kept_count)
        world->kept[world->kept_count++].text = NULL;
    free(world->kept[i].text);
    world->kept[i].id = id;
    world->kept[i].text = text == NULL ? NULL : strdup(text);
    if (text == NULL)
        world->kept[i] = world->kept[--world->kept_count];
}

static void on_try(void *context, enum alert_sink sink, int64_t id,
                   const struct sink_result *result)
{
    (void)id, (void)result;
    ((struct world *)context)->tries[sink]++;
}

static void on_tested(void *context, uint64_t tag, bool is_well, const char *report)
{
    struct world *world = context;
    world->tested = tag;
    world->is_well = is_well;
    snprintf(world->report, sizeof world->report, "%s", report);
}

static void on_closed(void *context)
{
    ((struct world *)context)->is_closed = true;
}

static void set(struct world *world, const char *name, const char *value)
{
    char why[OPTION_MESSAGE_SIZE];
    assert_int_equal(options_set(&world->options, name, value, OPTION_FROM_FILE, why), OK);
    assert_int_equal(options_check(&world->options, why), OK);
}

static void start(struct world *world)
{
    const struct delivery_listener listener = {world, on_keep, on_try, on_tested};
    world->delivery = delivery_create(&world->loop, &world->options, &listener);
    assert_non_null(world->delivery);
}

static void stop(struct world *world)
{
    world->is_closed = false;
    delivery_destroy(world->delivery, on_closed, world);
    world->delivery = NULL;
    while (!world->is_closed)
        uv_run(&world->loop, UV_RUN_ONCE);
}

/* As an engine does that finds this in its store. */
static void start_again(struct world *world)
{
    struct alert_message message;
    start(world);
    for (size_t i = 0; i < world->kept_count; i++)
        assert_true(
            delivery_restore(world->delivery, world->kept[i].id, world->kept[i].text, &message));
    delivery_begin(world->delivery);
}

static void put(struct world *world, int64_t n)
{
    struct alert_message message = message_of(n);
    delivery_put(world->delivery, &message);
    if (!world->is_keeper_slow)
        delivery_kept(world->delivery, message.id);
}

static int set_up(void **state)
{
    static struct world world;
    char url[64];
    signal(SIGPIPE, SIG_IGN);
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_LOGFMT);
    world = (struct world){0};
    assert_int_equal(uv_loop_init(&world.loop), 0);
    receiver_init(&world.receiver, &world.loop);
    receiver_init(&world.other, &world.loop);
    options_init(&world.options);
    snprintf(url, sizeof url, "http://127.0.0.1:%u/hook", world.receiver.port);
    set(&world, "alert_webhook_url", url);
    set(&world, "alert_retry_min_sec", "0.01");
    set(&world, "alert_retry_max_sec", "0.05");
    *state = &world;
    return 0;
}

static int tear_down(void **state)
{
    struct world *world = *state;
    if (world->delivery != NULL)
        stop(world);
    for (size_t i = 0; i < world->kept_count; i++)
        free(world->kept[i].text);
    receiver_finish(&world->receiver);
    receiver_finish(&world->other);
    uv_run(&world->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&world->loop), 0);
    return 0;
}

static bool has_taken(void *context)
{
    struct world *world = context;
    return receiver_taken(&world->receiver, NULL) >= world->wanted;
}

static void await_taken(struct world *world, size_t wanted)
{
    world->wanted = wanted;
    assert_true(loop_until(&world->loop, has_taken, world));
    assert_int_equal(receiver_taken(&world->receiver, NULL), wanted);
}

static bool has_tried(void *context)
{
    struct world *world = context;
    return world->receiver.count >= world->wanted;
}

static void await_tries(struct world *world, size_t wanted)
{
    world->wanted = wanted;
    assert_true(loop_until(&world->loop, has_tried, world));
}

static bool is_settled(void *context)
{
    struct world *world = context;
    struct delivery_stats stats;
    delivery_stats(world->delivery, &stats);
    uint32_t waiting = 0;
    for (int sink = 0; sink < ALERT_SINK_COUNT; sink++)
        waiting += stats.sinks[sink].waiting;
    return waiting == 0;
}

static void await_settled(struct world *world)
{
    assert_true(loop_until(&world->loop, is_settled, world));
}

static struct sink_stats stats_of(struct world *world, enum alert_sink sink)
{
    struct delivery_stats stats;
    delivery_stats(world->delivery, &stats);
    return stats.sinks[sink];
}

/* ---- the webhook ---- */

static void a_message_arrives(void **state)
{
    struct world *world = *state;
    set(world, "alert_webhook_token", "t0ken");
    start_again(world);
    put(world, 1);
    await_taken(world, 1);
    const struct received *post = &world->receiver.posts[0];
    assert_string_equal(post->path, "/hook");
    assert_string_equal(post->bearer, "t0ken");
    assert_string_equal(post->key, "\"1700000000000001\"");
    json_decref(check_webhook(post->body));
    await_settled(world);
    assert_int_equal(stats_of(world, ALERT_SINK_WEBHOOK).delivered, 1);
    assert_int_equal(stats_of(world, ALERT_SINK_LOG).delivered, 1);
}

static void assert_once_and_in_order(const struct world *world, int64_t count)
{
    int64_t last = 0;
    for (int64_t n = 1; n <= count; n++) {
        char key[64];
        snprintf(key, sizeof key, "\"%lld\"", (long long)(MESSAGE_AT + n));
        assert_int_equal(receiver_taken(&world->receiver, key), 1);
    }
    for (size_t i = 0; i < world->receiver.count; i++) {
        int64_t id = strtoll(world->receiver.posts[i].key + 1, NULL, 10);
        if (world->receiver.posts[i].status != 200)
            continue;
        assert_true(id > last);
        last = id;
    }
}

/* 500s, then hanging, then a restart, then it answers: all of them, once each, in their order. */
static void a_receiver_that_fails_gets_all_once(void **state)
{
    struct world *world = *state;
    set(world, "alert_timeout_sec", "0.2");
    start_again(world);
    world->receiver.status = 500;
    for (int64_t n = 1; n <= 5; n++)
        put(world, n);
    await_tries(world, 5);
    world->receiver.status = RECEIVER_HANG;
    await_tries(world, world->receiver.count + 2);
    stop(world);
    start_again(world);
    put(world, 6);
    await_tries(world, world->receiver.count + 1);
    assert_int_equal(receiver_taken(&world->receiver, NULL), 0);
    world->receiver.status = 200;
    await_taken(world, 6);
    await_settled(world);
    assert_once_and_in_order(world, 6);
    stop(world);
    start_again(world); /* there is nothing left to send */
    assert_true(is_settled(world));
    put(world, 7);
    await_taken(world, 7);
    assert_once_and_in_order(world, 7);
}

static void a_wait_that_is_asked_for_is_kept(void **state)
{
    struct world *world = *state;
    start_again(world);
    world->receiver.status = 503;
    world->receiver.headers = "Retry-After: 100\r\n";
    put(world, 1);
    await_tries(world, 1);
    world->wanted = 1;
    while (world->tries[ALERT_SINK_WEBHOOK] == 0)
        uv_run(&world->loop, UV_RUN_ONCE);
    double wait =
        duration_to_s(instant_diff(stats_of(world, ALERT_SINK_WEBHOOK).next_at, clock_now()));
    assert_true(wait > 90 && wait <= 100);
    assert_string_equal(stats_of(world, ALERT_SINK_WEBHOOK).detail, "HTTP 503");
}

static void what_is_refused_does_not_keep_others_back(void **state)
{
    struct world *world = *state;
    start_again(world);
    world->receiver.status = 400;
    put(world, 1);
    await_settled(world);
    assert_int_equal(world->receiver.count, DELIVERY_REFUSALS_MAX);
    assert_int_equal(stats_of(world, ALERT_SINK_WEBHOOK).given_up, 1);
    world->receiver.status = 200;
    put(world, 2);
    await_taken(world, 1);
    struct delivered recent[4];
    await_settled(world);
    assert_int_equal(delivery_recent(world->delivery, recent, 4), 2);
    assert_int_equal(recent[0].sinks[ALERT_SINK_WEBHOOK], DELIVERY_DONE);
    assert_int_equal(recent[1].sinks[ALERT_SINK_WEBHOOK], DELIVERY_GIVEN_UP);
    assert_int_equal(recent[1].sinks[ALERT_SINK_TELEGRAM], DELIVERY_NOT_WANTED);
}

/* One that hangs delays nobody. */
static void each_sink_has_its_own_place(void **state)
{
    struct world *world = *state;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", world->other.port);
    set(world, "alert_alertmanager_url", url);
    world->other.status = RECEIVER_HANG;
    start_again(world);
    for (int64_t n = 1; n <= 20; n++)
        put(world, n);
    await_taken(world, 20);
    assert_int_equal(stats_of(world, ALERT_SINK_ALERTMANAGER).waiting, 20);
    assert_int_equal(world->other.count, 1);
    assert_string_equal(world->other.posts[0].path, "/api/v2/alerts");
}

/* A store that does not write is no reason to be silent; but one that does is waited for. */
static void what_is_not_kept_is_sent_all_the_same(void **state)
{
    struct world *world = *state;
    world->is_keeper_slow = true;
    start_again(world);
    instant began = clock_now();
    put(world, 1);
    uv_run(&world->loop, UV_RUN_NOWAIT);
    assert_int_equal(world->receiver.count, 0);
    await_taken(world, 1);
    double waited = duration_to_s(instant_diff(clock_now(), began));
    assert_true(waited >= duration_to_s(DELIVERY_KEEP_PATIENCE));
}

static void nothing_is_sent_before_there_is_a_store(void **state)
{
    struct world *world = *state;
    struct alert_message message = message_of(1);
    start(world);
    delivery_put(world->delivery, &message);
    delivery_kept(world->delivery, message.id);
    for (int i = 0; i < 10; i++)
        uv_run(&world->loop, UV_RUN_NOWAIT);
    assert_int_equal(world->receiver.count, 0);
    assert_false(delivery_restore(world->delivery, 5, "no message", &message));
    delivery_begin(world->delivery);
    await_taken(world, 1);
}

/* ---- limits ---- */

static void too_many_are_dropped_the_least_severe_first(void **state)
{
    struct world *world = *state;
    world->receiver.status = RECEIVER_HANG;
    start_again(world);
    put(world, 0); /* under way: never dropped */
    for (int64_t n = 1; n <= DELIVERY_MESSAGES_MAX; n++) {
        struct alert_message message = message_of(n);
        message.severity = n == 100 || n == 101 ? SEVERITY_INFO : SEVERITY_ERROR;
        delivery_put(world->delivery, &message);
        delivery_kept(world->delivery, message.id);
    }
    put(world, 1000);
    struct delivery_stats stats;
    delivery_stats(world->delivery, &stats);
    assert_int_equal(stats.dropped, 2);
    assert_int_equal(stats.sinks[ALERT_SINK_WEBHOOK].waiting, DELIVERY_MESSAGES_MAX);
    for (size_t i = 0; i < world->kept_count; i++)
        assert_true(world->kept[i].id != MESSAGE_AT + 100 && world->kept[i].id != MESSAGE_AT + 101);
    put(world, 1001); /* of as severe ones the oldest */
    delivery_stats(world->delivery, &stats);
    assert_int_equal(stats.dropped, 3);
    for (size_t i = 0; i < world->kept_count; i++)
        assert_int_not_equal(world->kept[i].id, MESSAGE_AT + 1);
}

static void what_is_done_is_kept_for_a_while(void **state)
{
    struct world *world = *state;
    start_again(world);
    for (int64_t n = 1; n <= DELIVERY_KEPT_MAX + 10; n++) {
        put(world, n);
        await_taken(world, (size_t)n);
    }
    await_settled(world);
    assert_int_equal(world->kept_count, DELIVERY_KEPT_MAX);
    struct delivered recent[DELIVERY_KEPT_MAX + 10];
    assert_int_equal(delivery_recent(world->delivery, recent, DELIVERY_KEPT_MAX + 10),
                     DELIVERY_KEPT_MAX);
    assert_int_equal(recent[0].message->id, MESSAGE_AT + DELIVERY_KEPT_MAX + 10);
    size_t before = world->kept_count;
    for (size_t i = 0; i < world->kept_count; i++)
        free(world->kept[i].text);
    world->kept_count = 0; /* the store lost its file */
    delivery_keep_again(world->delivery);
    assert_int_equal(world->kept_count, before);
}

/* ---- Telegram ---- */

static void await_test(struct world *world);

static void telegram_is_spoken_to_as_it_wants(void **state)
{
    struct world *world = *state;
    char url[64];
    snprintf(url, sizeof url, "http://127.0.0.1:%u/", world->receiver.port);
    set(world, "alert_webhook_url", "");
    world->options.alert_telegram_token[0] = '\0';
    snprintf(world->options.alert_telegram_chat, 64, "@moon");
    set(world, "alert_telegram_token", "12:AB-c");
    set(world, "alert_telegram_url", url);
    world->receiver.answer = "{\"ok\":true}";
    start_again(world);
    put(world, 1);
    await_taken(world, 1);
    assert_string_equal(world->receiver.posts[0].path, "/bot12:AB-c/sendMessage");
    json_t *root = json_loads(world->receiver.posts[0].body, 0, NULL);
    assert_string_equal(text_at(root, "chat_id"), "@moon");
    assert_in_range(strlen(text_at(root, "text")), 100, ALERT_TEXT_SIZE - 1);
    assert_null(json_object_get(root, "parse_mode"));
    json_decref(root);
    await_settled(world);
    /* 429 says in its body how long to wait; 200 of something that is not Telegram is none. */
    world->receiver.status = 429;
    world->receiver.answer = "{\"ok\":false,\"parameters\":{\"retry_after\":50}}";
    put(world, 2);
    while (world->tries[ALERT_SINK_TELEGRAM] < 2)
        uv_run(&world->loop, UV_RUN_ONCE);
    double wait =
        duration_to_s(instant_diff(stats_of(world, ALERT_SINK_TELEGRAM).next_at, clock_now()));
    assert_true(wait > 45 && wait <= 50);
    world->receiver.status = 200;
    world->receiver.answer = "<html>";
    struct alert_message test = message_of(3);
    test.kind = ALERT_TEST;
    delivery_test(world->delivery, &test, TEST_TAG);
    await_test(world);
    assert_string_equal(world->report,
                        "log: delivered; telegram: failed (HTTP 200 without \"ok\")");
    assert_null(strstr(world->report, "12:AB-c"));
}

/* ---- tests ---- */

static bool is_tested(void *context)
{
    return ((struct world *)context)->tested == TEST_TAG;
}

static void await_test(struct world *world)
{
    assert_true(loop_until(&world->loop, is_tested, world));
}

static void a_test_says_how_each_sink_did(void **state)
{
    struct world *world = *state;
    set(world, "alert_retry_min_sec", "0.01");
    set(world, "alert_retry_max_sec", "3600");
    set(world, "alert_alertmanager_url", "http://127.0.0.1:1");
    start_again(world);
    world->receiver.status = 500;
    put(world, 1); /* fails, and waits */
    await_tries(world, 1);
    world->receiver.status = 204;
    struct alert_message test = message_of(2);
    test.kind = ALERT_TEST;
    test.count = 0;
    delivery_test(world->delivery, &test, TEST_TAG);
    await_test(world);
    assert_false(world->is_well);
    assert_string_equal(world->report,
                        "log: delivered; webhook: delivered; alertmanager: failed (Couldn't "
                        "connect to server)");
    for (size_t i = 0; i < world->kept_count; i++)
        assert_int_not_equal(world->kept[i].id, test.id);
}

static void a_test_without_sinks_is_over_at_once(void **state)
{
    struct world *world = *state;
    set(world, "alert_webhook_url", "");
    start_again(world);
    struct alert_message test = message_of(1);
    test.kind = ALERT_TEST;
    delivery_test(world->delivery, &test, TEST_TAG);
    assert_int_equal(world->tested, TEST_TAG);
    assert_true(world->is_well);
    assert_string_equal(world->report, "log: delivered");
}

/* ---- odd answers ---- */

static void an_endless_answer_is_not_read_on(void **state)
{
    struct world *world = *state;
    static char page[900];
    memset(page, 'x', sizeof page - 1);
    world->receiver.answer = page;
    start_again(world);
    put(world, 1);
    await_taken(world, 1);
    await_settled(world);
    world->receiver.status = 302; /* nobody is followed */
    world->receiver.headers = "Location: http://127.0.0.1:1/\r\n";
    world->receiver.answer = "";
    put(world, 2);
    await_tries(world, 4);
    assert_string_equal(stats_of(world, ALERT_SINK_WEBHOOK).detail, "HTTP 302");
    world->receiver.status = 200;
    await_taken(world, 2);
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(a_message_arrives),
        ROW(a_receiver_that_fails_gets_all_once),
        ROW(a_wait_that_is_asked_for_is_kept),
        ROW(what_is_refused_does_not_keep_others_back),
        ROW(each_sink_has_its_own_place),
        ROW(what_is_not_kept_is_sent_all_the_same),
        ROW(nothing_is_sent_before_there_is_a_store),
        ROW(too_many_are_dropped_the_least_severe_first),
        ROW(what_is_done_is_kept_for_a_while),
        ROW(telegram_is_spoken_to_as_it_wants),
        ROW(a_test_says_how_each_sink_did),
        ROW(a_test_without_sinks_is_over_at_once),
        ROW(an_endless_answer_is_not_read_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
