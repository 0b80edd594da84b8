/* Score history out of a real store that is written meanwhile. */
#include "store/store.h"
#include "world.h"

#include <jansson.h> /* and so not base/json.h */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static struct world world;
static struct store *store;
static char folder[] = "/tmp/moonwatch-history-XXXXXX";
static char url[128];

static void put_token(token_id id)
{
    struct store_token row = {.id = id};
    assert_true(token_read(world.memory.table, id, &row.token, NULL));
    row.token.pool_count = 0;
    snprintf(row.primary_dex, sizeof row.primary_dex, "raydium");
    assert_int_equal(store_put_token(store, &row), OK);
}

static void put_snapshot(token_id token, int64_t id, int64_t previous)
{
    struct store_snapshot snapshot = {.id = id,
                                      .previous = previous,
                                      .token = token,
                                      .at = {1780000000000000 + id * 1000000},
                                      .score = (double)id / 100,
                                      .metrics = {.liquidity_usd = 1000, .pools = 2},
                                      .primary_dex = "orca"};
    assert_int_equal(store_put_snapshot(store, &snapshot), OK);
}

static void set_newest(token_id id, int64_t snapshot_id)
{
    struct token *token = token_write_begin(world.memory.table, id);
    token->state.snapshot_id = snapshot_id;
    token_write_end(world.memory.table, id);
}

/* The ids ×0.01 of the history's scores, as text; or the error. */
static void assert_history(uint32_t number, const char *query, const char *wanted)
{
    char target[128] = "/tokens/", found[256] = "";
    world_mint_text(number, target + strlen(target));
    strcat(target, query);
    struct answer_read answer = http_ask(&world, "GET", target, NULL, NULL);
    assert_int_equal(answer.status, 200);
    json_t *json = json_loads(answer.body, 0, NULL), *item;
    size_t index;
    json_array_foreach(json_object_get(json, "score_history"), index, item)
    {
        char piece[32];
        double score = json_number_value(json_object_get(item, "score"));
        snprintf(piece, sizeof piece, "%s%.0f", index > 0 ? " " : "", score * 100);
        strcat(found, piece);
    }
    if (json_object_get(json, "score_history_error") != NULL)
        strcat(found, "error");
    if (strcmp(found, wanted) != 0)
        fail_msg("history '%s', not '%s'", found, wanted);
    json_decref(json);
    http_free(&answer);
}

static void test_unreadable(void **state)
{
    (void)state;
    assert_history(1, "", "error"); /* there is no file yet */
    static const char *const others[] = {"history", "life"};
    for (size_t i = 0; i < 2; i++) {
        char target[128] = "/tokens/";
        world_mint_text(1, target + strlen(target));
        snprintf(target + strlen(target), 16, "/%s", others[i]);
        struct answer_read answer = http_ask(&world, "GET", target, NULL, NULL);
        assert_int_equal(answer.status, 503);
        assert_non_null(strstr(answer.body, "{\"detail\":\"the store can't be read"));
        http_free(&answer);
    }
}

static void test_history(void **state)
{
    (void)state;
    char why[512];
    store = store_open(url, why);
    if (store == NULL)
        fail_msg("%s", why);
    assert_int_equal(store_begin(store, STORE_DURABLE), OK);
    put_token(1);
    put_token(2);
    for (int64_t id = 1; id <= 60; id++)
        put_snapshot(id % 2 == 0 ? 2 : 1, id, id - 2 > 0 ? id - 2 : 0);
    assert_int_equal(store_commit(store), OK);
    set_newest(1, 59);
    set_newest(2, 6);
    assert_history(1, "?history_limit=3", "59 57 55");
    assert_history(2, "", "6 4 2");
    assert_history(1, "", "59 57 55 53 51 49 47 45 43 41 39 37 35 33 31 29 27 25 23 21");
}

/* What is written while readers are connected is seen. */
static void test_news(void **state)
{
    (void)state;
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    put_snapshot(2, 61, 6);
    assert_int_equal(store_commit(store), OK);
    set_newest(2, 61);
    assert_history(2, "", "61 6 4 2");
}

/* ---- plots ---- */

static json_t *get(uint32_t number, const char *rest, int status)
{
    char target[256] = "/tokens/";
    world_mint_text(number, target + strlen(target));
    strcat(target, rest);
    struct answer_read answer = http_ask(&world, "GET", target, NULL, NULL);
    if (answer.status != status)
        fail_msg("%s: %d %s", target, answer.status, answer.body);
    json_t *json = json_loads(answer.body, 0, NULL);
    assert_non_null(json);
    http_free(&answer);
    return json;
}

/* The scores of the points × 100. */
static void assert_points(const char *rest, const char *wanted)
{
    char found[256] = "";
    json_t *json = get(1, rest, 200), *point;
    size_t index;
    json_array_foreach(json_object_get(json, "points"), index, point)
    {
        size_t length = strlen(found);
        snprintf(found + length, sizeof found - length, "%s%.0f", index > 0 ? " " : "",
                 json_number_value(json_object_get(point, "score")) * 100);
        assert_int_equal(json_object_size(point), 6);
        assert_true(json_is_object(json_object_get(point, "components")));
        assert_int_equal(json_number_value(json_object_get(point, "liquidity_usd")), 1000);
    }
    if (strcmp(found, wanted) != 0)
        fail_msg("%s: '%s', not '%s'", rest, found, wanted);
    json_decref(json);
}

/* Snapshots 1, 3, … 59 of token 1 are two seconds apart from 20:26:41 on. */
static void test_plot(void **state)
{
    (void)state;
    assert_points("/history?from=2026-05-28T20:27:31Z&to=2026-05-28T20:27:39Z", "51 53 55 57 59");
    assert_points("/history?from=2026-05-28T20:27:31%2B00:00&to=2026-05-28T20:27:39+00:00",
                  "51 53 55 57 59");
    /* The newest of each step, from the end on. */
    assert_points("/history/?from=2026-05-28T20:27:30Z&to=2026-05-28T20:27:39Z&step=4", "51 55 59");
    assert_points("/history?from=2026-05-28T20:27:40Z&to=2026-05-28T20:27:50Z", "");
    assert_points("/history?from=2026-05-28T20:26:40Z&to=2026-05-28T20:27:40Z&step=20", "19 39 59");
    json_t *json = get(1, "/history?from=1970-01-02T00:00:00Z&to=2026-05-28T20:27:39Z&step=1", 200);
    assert_true(json_number_value(json_object_get(json, "step_s")) > 890000);
    assert_int_equal(json_array_size(json_object_get(json, "points")), 1);
    json_decref(json);
    /* Without a range: the last day; the present is its last point. */
    json = get(1, "/history", 200);
    json_t *points = json_object_get(json, "points");
    assert_int_equal(json_array_size(points), 1);
    assert_true(json_number_value(json_object_get(json_array_get(points, 0), "score")) == 0.9);
    json_decref(json);
    static const char *const bad[] = {"step=0",
                                      "step=x",
                                      "from=yesterday",
                                      "to=now",
                                      "from=0",
                                      "to=2026-13-01T00:00:00Z",
                                      "from=2026-05-28T20:27:39Z&to=2026-05-28T20:27:38Z",
                                      "from=1969-12-31T23:59:59Z"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        char rest[128];
        snprintf(rest, sizeof rest, "/history?%s", bad[i]);
        json_decref(get(1, rest, 422));
    }
    json_decref(get(99, "/history", 404));
}

static void put_event(token_id token, int64_t at_s, const char *kind, const char *reason)
{
    struct store_event event = {.token = token, .at = {at_s * 1000000}};
    snprintf(event.kind, sizeof event.kind, "%s", kind);
    snprintf(event.reason, sizeof event.reason, "%s", reason);
    assert_int_equal(store_put_event(store, &event), OK);
}

static void assert_event(const json_t *events, size_t index, const char *text)
{
    char found[128];
    const json_t *event = json_array_get(events, index);
    const char *from = json_string_value(json_object_get(event, "from"));
    snprintf(found, sizeof found, "%s %s->%s %s",
             json_string_value(json_object_get(event, "at")) + 11, from == NULL ? "-" : from,
             json_string_value(json_object_get(event, "to")),
             json_string_value(json_object_get(event, "reason")));
    assert_string_equal(found, text);
}

static void test_life(void **state)
{
    (void)state;
    assert_int_equal(store_begin(store, STORE_RELAXED), OK);
    put_event(1, 1780000000, "added", "seen");
    put_event(2, 1780000001, "added", "seen");
    put_event(1, 1780000002, "activated", "qualifies");
    put_event(1, 1780000003, "archived", "low_score_timeout");
    assert_int_equal(store_commit(store), OK);
    json_t *json = get(1, "/life", 200), *events = json_object_get(json, "events");
    assert_int_equal(json_array_size(events), 3);
    assert_event(events, 0, "20:26:43.000000+00:00 active->archived low_score_timeout");
    assert_event(events, 1, "20:26:42.000000+00:00 monitoring->active qualifies");
    assert_event(events, 2, "20:26:40.000000+00:00 -->monitoring seen");
    json_decref(json);
    json_decref(get(99, "/life", 404));
}

static int start(void **state)
{
    (void)state;
    if (mkdtemp(folder) == NULL)
        return -1;
    snprintf(url, sizeof url, "sqlite:%s/history.db", folder);
    world_start_at(&world, "", "127.0.0.1:0", url);
    world_add(&world, 1, TOKEN_ACTIVE, 0.9);
    world_add(&world, 2, TOKEN_MONITORING, 0.5);
    return 0;
}

static int stop(void **state)
{
    (void)state;
    world_stop(&world);
    store_close(store);
    static const char *const files[] = {"history.db", "history.db-wal", "history.db-shm",
                                        "history.db.lock"};
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", folder, files[i]);
        unlink(path);
    }
    rmdir(folder);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unreadable), cmocka_unit_test(test_history),
        cmocka_unit_test(test_news),       cmocka_unit_test(test_plot),
        cmocka_unit_test(test_life),
    };
    return cmocka_run_group_tests_name("history", tests, start, stop);
}
