/* History asked of another process: what is answered, and what is not waited for. */
#include "fixture.h"

#include "store/relay.h"
#include <fcntl.h>
#include <sys/socket.h>

static struct place place;
static struct relay *relay;
static struct store_reader *reader;
static int pair[2];

static int set_up(void **state)
{
    char url[32], why[512];
    (void)state;
    log_setup(LOG_LEVEL_COUNT, LOG_FORMAT_LOGFMT);
    place_init(&place);
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, pair) != 0)
        return -1;
    snprintf(url, sizeof url, RELAY_SCHEME "%d", pair[1]);
    reader = store_reader_open(url, why);
    return reader != NULL ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    store_reader_close(reader);
    relay_stop(relay);
    relay = NULL;
    for (int i = 0; i < 2; i++)
        if (pair[i] >= 0)
            close(pair[i]);
    place_finish(&place);
    return 0;
}

static void start_relay(void)
{
    char why[512] = "";
    relay = relay_start(place.url, pair[0], why);
    if (relay == NULL)
        fail_msg("%s", why);
}

/* Snapshots 1 … count of token 1, and as many events. */
static void fill(int64_t count)
{
    struct kept kept;
    struct store *store = open_or_fail(place.url);
    assert_int_equal(kept_load(store, &kept), OK);
    kept_finish(&kept);
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    for (int64_t id = 1; id <= count; id++) {
        struct store_snapshot snapshot = {
            .id = id, .previous = id - 1, .token = 1, .at = {id}, .score = (double)id};
        struct store_event event = {.token = 1, .at = {id}, .kind = "kind", .reason = "why"};
        assert_int_equal(store_put_snapshot(store, &snapshot), OK);
        assert_int_equal(store_put_event(store, &event), OK);
    }
    assert_int_equal(store_commit(store), OK);
    store_close(store);
}

static void history_comes_as_from_the_store(void **state)
{
    struct store_snapshot snapshots[8];
    struct store_event events[8];
    (void)state;
    fill(20);
    start_relay();
    assert_int_equal(store_reader_snapshots(reader, 1, 20, snapshots, 8), 8);
    assert_int_equal(snapshots[0].id, 20);
    assert_true(snapshots[7].score == 13);
    assert_int_equal(store_reader_snapshots(reader, 2, 20, snapshots, 8), 0);
    assert_int_equal(store_reader_events(reader, 1, events, 8), 8);
    assert_string_equal(events[0].reason, "why");
    assert_int_equal(events[0].at.us, 20);
    assert_int_equal(store_reader_events(reader, TOKEN_NONE, events, 3), 3);
}

static void an_answer_has_a_limit(void **state)
{
    static struct store_snapshot snapshots[RELAY_ITEMS_MAX + 50];
    (void)state;
    fill(RELAY_ITEMS_MAX + 50);
    start_relay();
    assert_int_equal(
        store_reader_snapshots(reader, 1, RELAY_ITEMS_MAX + 50, snapshots, RELAY_ITEMS_MAX + 50),
        RELAY_ITEMS_MAX);
    assert_int_equal(snapshots[RELAY_ITEMS_MAX - 1].id, 51);
}

static void a_store_that_cannot_be_read_is_told(void **state)
{
    struct store_event events[2];
    (void)state;
    start_relay();
    assert_int_equal(store_reader_events(reader, 1, events, 2), -1);
}

/* The engine that had the question in hand died; the next one answers the next question. */
static void stale_answers_are_thrown_away(void **state)
{
    static const char noise[] = "an answer to somebody else, longer than what begins each answer";
    struct store_event events[2];
    (void)state;
    fill(3);
    assert_true(send(pair[0], noise, sizeof noise, 0) > 0);
    assert_true(send(pair[0], "", 1, 0) > 0);
    start_relay();
    assert_int_equal(store_reader_events(reader, 1, events, 2), 2);
}

static void noise_is_no_question(void **state)
{
    struct store_event events[2];
    (void)state;
    fill(3);
    assert_true(send(pair[1], "?", 1, 0) > 0);
    start_relay();
    assert_int_equal(store_reader_events(reader, 1, events, 2), 2);
}

static void an_end_is_noticed_on_either_side(void **state)
{
    struct store_event events[2];
    (void)state;
    close(pair[0]);
    pair[0] = -1;
    assert_int_equal(store_reader_events(reader, 1, events, 2), -1);
}

static void nobody_answers_for_ever(void **state)
{
    struct store_event events[2];
    (void)state;
    instant began = clock_now();
    assert_int_equal(store_reader_events(reader, 1, events, 2), -1);
    assert_true(duration_to_ms(instant_diff(clock_now(), began)) >= RELAY_ANSWER_MS - 1);
}

static void what_is_no_relay_is_refused(void **state)
{
    char why[512];
    (void)state;
    assert_null(store_reader_open(RELAY_SCHEME "x", why));
    assert_null(store_open(RELAY_SCHEME "3", why));
    assert_non_null(strstr(why, "names no database"));
    assert_null(relay_start("mysql:x", pair[0], why));
    relay_stop(NULL);
}

int main(void)
{
#define ROW(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        ROW(history_comes_as_from_the_store),
        ROW(an_answer_has_a_limit),
        ROW(a_store_that_cannot_be_read_is_told),
        ROW(stale_answers_are_thrown_away),
        ROW(noise_is_no_question),
        ROW(an_end_is_noticed_on_either_side),
        ROW(nobody_answers_for_ever),
        ROW(what_is_no_relay_is_refused),
    };
    return cmocka_run_group_tests_name("relay", tests, NULL, NULL);
}
