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
        cmocka_unit_test(test_unreadable),
        cmocka_unit_test(test_history),
        cmocka_unit_test(test_news),
    };
    return cmocka_run_group_tests_name("history", tests, start, stop);
}
