/* Every read of the API over a socket: shapes, types, nulls, limits, errors. */
#include "api/notarb.h"
#include "base/clock.h"
#include "core/core.h"
#include "core/token_layout.h"
#include "page/health_view.h"
#include "world.h"

#include <jansson.h> /* and so not base/json.h */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define NOBODY "11111111111111111111111111111111" /* an address of zeros */

static struct world world;

/* ---- asking ---- */

static json_t *get_as(const char *target, int status)
{
    struct answer_read answer = http_ask(&world, "GET", target, NULL, NULL);
    if (answer.status != status)
        fail_msg("GET %s: %d %s", target, answer.status, answer.body);
    assert_string_equal(http_header(&answer, "Content-Type"), "application/json");
    assert_string_equal(http_header(&answer, "X-Content-Type-Options"), "nosniff");
    assert_non_null(strstr(http_header(&answer, "Content-Security-Policy"), "frame-ancestors"));
    assert_null(http_header(&answer, "Access-Control-Allow-Origin"));
    json_error_t error;
    json_t *json = json_loads(answer.body, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL)
        fail_msg("GET %s: %s in %s", target, error.text, answer.body);
    http_free(&answer);
    return json;
}

static json_t *get(const char *target)
{
    return get_as(target, 200);
}

static void assert_refused(const char *target, int status, const char *says)
{
    json_t *json = get_as(target, status);
    const char *detail = json_string_value(json_object_get(json, "detail"));
    if (detail == NULL || strstr(detail, says) == NULL)
        fail_msg("GET %s says '%s'", target, detail);
    assert_int_equal(json_object_size(json), 1);
    json_decref(json);
}

/* The keys of `json` are exactly those in the space-separated list. */
static void assert_keys(const json_t *json, const char *keys)
{
    char copy[512];
    size_t count = 0;
    assert_true(json_is_object(json));
    snprintf(copy, sizeof copy, "%s", keys);
    for (char *key = strtok(copy, " "); key != NULL; key = strtok(NULL, " "), count++)
        if (json_object_get(json, key) == NULL)
            fail_msg("no '%s'", key);
    assert_int_equal(json_object_size(json), count);
}

static double number(const json_t *json, const char *key)
{
    const json_t *member = json_object_get(json, key);
    if (!json_is_number(member))
        fail_msg("'%s' is no number", key);
    return json_number_value(member);
}

static const char *string(const json_t *json, const char *key)
{
    const json_t *member = json_object_get(json, key);
    if (!json_is_string(member))
        fail_msg("'%s' is no text", key);
    return json_string_value(member);
}

static void assert_null_member(const json_t *json, const char *key)
{
    if (!json_is_null(json_object_get(json, key)))
        fail_msg("'%s' is not null", key);
}

static void assert_time(const json_t *json, const char *key)
{
    instant t;
    assert_true(iso_time_parse(string(json, key), &t));
}

/* ---- the simple ones ---- */

static void test_health(void **state)
{
    (void)state;
    for (int i = 0; i < 2; i++) {
        struct answer_read answer =
            http_ask(&world, "GET", i == 0 ? "/health" : "/health/?x=1", NULL, NULL);
        assert_int_equal(answer.status, 200);
        assert_string_equal(answer.body, "{\"status\":\"ok\"}");
        assert_null(http_header(&answer, "Connection"));
        http_free(&answer);
    }
}

static void test_version(void **state)
{
    (void)state;
    json_t *json = get("/version/");
    assert_keys(json, "name version env");
    assert_string_equal(string(json, "name"), "moonwatch");
    assert_string_equal(string(json, "env"), "test");
    json_decref(json);
}

/* ---- tokens ---- */

#define ITEM_KEYS                                                                                  \
    "mint_address name symbol status score liquidity_usd delta_p_5m delta_p_15m n_5m primary_dex " \
    "fetched_at scored_at last_processed_at solscan_url raw_components smoothed_components "       \
    "scoring_model created_at"
#define COMPONENT_KEYS "tx_accel vol_momentum token_freshness orderflow_imbalance"
#define METRIC_KEYS                                                                                \
    "L_tot delta_p_5m delta_p_15m n_5m tx_count_5m tx_count_1h volume_5m volume_1h "               \
    "buys_volume_5m sells_volume_5m hours_since_creation primary_dex primary_liq_usd ws_pairs "    \
    "usdc_pairs pools fetched_at"

static void test_list_shape(void **state)
{
    (void)state;
    json_t *json = get("/tokens");
    assert_keys(json, "total items meta");
    json_t *meta = json_object_get(json, "meta");
    assert_keys(meta, "total limit offset page page_size has_prev has_next sort min_score");
    assert_int_equal(number(json, "total"), 4);
    assert_int_equal(number(meta, "total"), 4);
    assert_int_equal(number(meta, "limit"), 50);
    assert_int_equal(number(meta, "page"), 1);
    assert_true(json_is_false(json_object_get(meta, "has_prev")));
    assert_true(json_is_false(json_object_get(meta, "has_next")));
    assert_string_equal(string(meta, "sort"), "score_desc");
    assert_true(number(meta, "min_score") == 0.1);
    json_t *item = json_array_get(json_object_get(json, "items"), 0);
    assert_keys(item, ITEM_KEYS);
    assert_string_equal(string(item, "symbol"), "T1");
    assert_string_equal(string(item, "status"), "active");
    assert_true(number(item, "score") == 0.9);
    assert_true(number(item, "liquidity_usd") == 45232.9);
    assert_int_equal(number(item, "n_5m"), 140);
    assert_string_equal(string(item, "primary_dex"), "raydium");
    assert_string_equal(string(item, "scoring_model"), "hybrid_momentum");
    assert_keys(json_object_get(item, "raw_components"), COMPONENT_KEYS);
    assert_keys(json_object_get(item, "smoothed_components"), COMPONENT_KEYS);
    assert_true(number(json_object_get(item, "smoothed_components"), "orderflow_imbalance") ==
                -0.2);
    static const char *const times[] = {"fetched_at", "scored_at", "last_processed_at",
                                        "created_at"};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        assert_time(item, times[i]);
    char mint[ADDRESS_TEXT_MAX + 1], url[128];
    world_mint_text(1, mint);
    assert_string_equal(string(item, "mint_address"), mint);
    snprintf(url, sizeof url, "https://solscan.io/token/%s", mint);
    assert_string_equal(string(item, "solscan_url"), url);
    json_decref(json);
}

static void test_list_unknown(void **state)
{
    (void)state;
    json_t *json = get("/tokens?min_score=0&sort=score_asc&limit=1&nonsense=%zz");
    json_t *item = json_array_get(json_object_get(json, "items"), 0);
    assert_keys(item, ITEM_KEYS);
    static const char *const unknown[] = {"score",
                                          "liquidity_usd",
                                          "delta_p_5m",
                                          "delta_p_15m",
                                          "n_5m",
                                          "primary_dex",
                                          "fetched_at",
                                          "scored_at",
                                          "last_processed_at",
                                          "raw_components",
                                          "smoothed_components"};
    for (size_t i = 0; i < sizeof unknown / sizeof unknown[0]; i++)
        assert_null_member(item, unknown[i]);
    json_decref(json);
}

static void assert_symbols(const char *target, const char *symbols)
{
    json_t *json = get(target);
    char found[256] = "";
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(json, "items"), index, item)
    {
        strcat(found, index > 0 ? " " : "");
        strcat(found, string(item, "symbol"));
    }
    if (strcmp(found, symbols) != 0)
        fail_msg("%s: %s", target, found);
    json_decref(json);
}

static void test_list_queries(void **state)
{
    (void)state;
    assert_symbols("/tokens", "T1 T3 T2 T6");
    assert_symbols("/tokens?sort=score_asc", "T6 T2 T3 T1");
    assert_symbols("/tokens?min_score=0.5", "T1 T3 T6");
    assert_symbols("/tokens?min_score=-1", "T1 T3 T2 T4 T6 T7");
    assert_symbols("/tokens?status=archived", "T5");
    assert_symbols("/tokens?statuses=archived,active", "T1 T5 T6");
    assert_symbols("/tokens?statuses=monitoring", "T3 T2");
    assert_symbols("/tokens?status=active&statuses=archived", "T1 T6");
    assert_symbols("/tokens?limit=1&offset=1", "T3");
    assert_symbols("/tokens/?offset=1000", "");
    assert_symbols("/tokens?search=t3", "T3");
    assert_symbols("/tokens?search=%D0%BB&min_score=-1", "");
    assert_symbols("/tokens?sort=created_desc", "T6 T3 T2 T1");
    assert_symbols("/tokens?sort=created_asc&limit=2", "T1 T2");
    assert_symbols("/tokens?group=hot", "");
    assert_symbols("/tokens?status=&limit=", "T1 T3 T2 T6");
    assert_symbols("/tokens?%6cimit=0", "T1 T3 T2 T6"); /* a name that is not encoded otherwise */
    json_t *json = get("/tokens?limit=2&offset=2");
    json_t *meta = json_object_get(json, "meta");
    assert_int_equal(number(meta, "page"), 2);
    assert_int_equal(number(meta, "page_size"), 2);
    assert_true(json_is_true(json_object_get(meta, "has_prev")));
    assert_true(json_is_false(json_object_get(meta, "has_next")));
    json_decref(json);
}

static void test_list_refusals(void **state)
{
    (void)state;
    static const char *const out_of_range[] = {"limit=0",
                                               "limit=101",
                                               "limit=-1",
                                               "limit=x",
                                               "limit=1.5",
                                               "limit=5x",
                                               "offset=-1",
                                               "offset=x",
                                               "min_score=x",
                                               "min_score=nan",
                                               "min_score=inf",
                                               "min_score=1e999",
                                               "limit=99999999999999999999",
                                               "min_score=1,5"};
    for (size_t i = 0; i < sizeof out_of_range / sizeof out_of_range[0]; i++) {
        char target[64];
        snprintf(target, sizeof target, "/tokens?%s", out_of_range[i]);
        assert_refused(target, 422, " must be ");
    }
    assert_refused("/tokens?sort=name", 400, "score_desc");
    assert_refused("/tokens?group=warm", 400, "hot, cold and archived");
    assert_refused("/tokens?search=%ff", 400, "search is malformed");
    assert_refused(
        "/tokens?search=0123456789012345678901234567890123456789012345678901234567890123", 400,
        "too long");
    assert_refused("/tokens?status=dead", 400, "unknown status 'dead'");
    assert_refused("/tokens?statuses=active,,archived", 400, "unknown status ''");
    assert_refused("/tokens?statuses=active,%22%3Cx", 400, "unknown status");
    assert_refused("/tokens?limit=%zz", 400, "malformed");
    assert_refused("/tokens?limit=%ff", 400, "malformed");
    assert_refused("/tokens?limit=5%00", 400, "malformed");
}

static void token_target(char out[128], uint32_t number, const char *rest)
{
    char mint[ADDRESS_TEXT_MAX + 1];
    world_mint_text(number, mint);
    snprintf(out, 128, "/tokens/%s%s", mint, rest);
}

static void test_token(void **state)
{
    (void)state;
    char target[128];
    token_target(target, 1, "");
    json_t *json = get(target);
    assert_keys(json, "mint_address name symbol status score liquidity_usd metrics score_history "
                      "pools solscan_url");
    json_t *metrics = json_object_get(json, "metrics");
    assert_keys(metrics, METRIC_KEYS);
    assert_true(number(metrics, "L_tot") == 45232.9);
    assert_int_equal(number(metrics, "ws_pairs"), 2);
    assert_int_equal(number(metrics, "usdc_pairs"), 1);
    assert_int_equal(number(metrics, "pools"), 3);
    assert_time(metrics, "fetched_at");
    json_t *history = json_object_get(json, "score_history");
    assert_int_equal(json_array_size(history), 5);
    assert_keys(json_array_get(history, 0), "created_at score metrics");
    assert_true(number(json_array_get(history, 0), "score") == 0.5);
    assert_keys(json_object_get(json_array_get(history, 0), "metrics"), METRIC_KEYS);
    assert_string_equal(
        string(json_object_get(json_array_get(history, 0), "metrics"), "primary_dex"), "orca");
    assert_true(number(json_array_get(history, 4), "score") == 0.1);
    json_t *pools = json_object_get(json, "pools");
    assert_int_equal(json_array_size(pools), 4);
    static const char *const dexes[] = {"raydium", "pumpswap", "meteora", "pumpfun"};
    for (size_t i = 0; i < 4; i++) {
        json_t *pool = json_array_get(pools, i);
        assert_keys(pool, "address dex quote solscan_url");
        assert_string_equal(string(pool, "dex"), dexes[i]);
        assert_non_null(strstr(string(pool, "solscan_url"), "https://solscan.io/address/"));
    }
    json_decref(json);
}

static void test_token_history(void **state)
{
    (void)state;
    char target[128];
    token_target(target, 1, "?history_limit=2");
    json_t *json = get(target);
    assert_int_equal(json_array_size(json_object_get(json, "score_history")), 2);
    json_decref(json);
    token_target(target, 1, "?history_limit=201");
    assert_refused(target, 422, "from 1 to 200");
    token_target(target, 1, "?history_limit=0");
    assert_refused(target, 422, "from 1 to 200");
    /* A snapshot that is not committed yet is waited for, but not for ever. */
    atomic_store(&world.page->newest_snapshot, 1);
    token_target(target, 1, "");
    json = get(target);
    assert_int_equal(json_array_size(json_object_get(json, "score_history")), 5);
    json_decref(json);
    atomic_store(&world.page->newest_snapshot, 1000000);
}

/* What is explained is what is listed: the same figures through the same code. */
static void test_token_explain(void **state)
{
    (void)state;
    char target[128];
    token_target(target, 1, "/explain");
    json_t *json = get(target);
    assert_keys(json, "status status_reason score smoothed_score components activates why_not");
    assert_string_equal(string(json, "status"), "active");
    assert_non_null(strstr(string(json, "status_reason"), "; so since 20"));
    assert_true(number(json, "smoothed_score") == 0.9);
    json_t *parts = json_object_get(json, "components"), *part;
    size_t index;
    double total = 0;
    static const char *const names[] = {"tx_accel", "vol_momentum", "token_freshness",
                                        "orderflow_imbalance"};
    assert_int_equal(json_array_size(parts), 4);
    json_array_foreach(parts, index, part)
    {
        assert_keys(part, "name raw smoothed weight contribution sentence");
        assert_string_equal(string(part, "name"), names[index]);
        assert_true(number(part, "weight") == 0.25);
        assert_true(fabs(number(part, "contribution") - 0.25 * number(part, "smoothed")) < 1e-6);
        total += 0.25 * number(part, "raw");
    }
    assert_true(fabs(total - number(json, "score")) < 1e-6);
    assert_string_equal(string(json_array_get(parts, 0), "sentence"),
                        "140 transactions in 5 minutes against 1400 in an hour: ln(1 + 140 / 5) / "
                        "ln(1 + 1400 / 60), at most 10.");
    json_decref(json);
    token_target(target, 7, "/explain/"); /* without data */
    json = get(target);
    assert_null_member(json, "score");
    assert_null_member(json, "smoothed_score");
    assert_null_member(json_array_get(json_object_get(json, "components"), 3), "raw");
    assert_true(json_is_false(json_object_get(json, "activates")));
    assert_int_equal(json_array_size(json_object_get(json, "why_not")), 2);
    json_decref(json);
    token_target(target, 99, "/explain");
    assert_refused(target, 404, "token not found");
}

static void test_token_without_data(void **state)
{
    (void)state;
    char target[128];
    token_target(target, 7, "/");
    json_t *json = get(target);
    assert_null_member(json, "score");
    assert_keys(json_object_get(json, "metrics"), METRIC_KEYS);
    assert_null_member(json_object_get(json, "metrics"), "pools");
    assert_null_member(json_object_get(json, "metrics"), "L_tot");
    assert_int_equal(json_array_size(json_object_get(json, "score_history")), 0);
    assert_int_equal(json_array_size(json_object_get(json, "pools")), 0);
    json_decref(json);
}

/* What a dead engine has left half written is there, and will be read again. */
static void test_token_half_written(void **state)
{
    (void)state;
    char target[128];
    token_target(target, 3, "");
    struct address mint = world_mint(3);
    struct slot *slot = slot_of(world.memory.table, token_table_find(world.memory.table, &mint));
    atomic_fetch_add(&slot->sequence, 1);
    assert_refused(target, 503, "died while it wrote this token");
    atomic_fetch_sub(&slot->sequence, 1);
    json_decref(get(target));
}

static void test_token_unknown(void **state)
{
    (void)state;
    char target[128];
    token_target(target, 999, "");
    assert_refused(target, 404, "token not found");
    token_target(target, 999, "/pools");
    assert_refused(target, 404, "token not found");
    assert_refused("/tokens/nonsense", 404, "token not found");
    assert_refused("/tokens/%E6%9C%88", 404, "token not found");
    assert_refused("/tokens/%ff", 400, "malformed");
}

static void test_pools(void **state)
{
    (void)state;
    char target[128];
    token_target(target, 1, "/pools");
    json_t *json = get(target);
    assert_int_equal(json_array_size(json), 4);
    json_decref(json);
}

static void test_csv(void **state)
{
    (void)state;
    struct answer_read answer = http_ask(&world, "GET", "/tokens.csv", NULL, NULL);
    assert_int_equal(answer.status, 200);
    assert_string_equal(http_header(&answer, "Content-Type"), "text/csv; charset=utf-8");
    assert_non_null(strstr(answer.body, "mint_address,name,symbol,status,score"));
    assert_non_null(strstr(answer.body, ",\"Token 1\",\"T1\",active,0.9,45232.9,"));
    assert_non_null(strstr(answer.body, "\"'=cmd|\"\"x\"\"\""));
    size_t lines = 0;
    for (const char *at = answer.body; (at = strstr(at, "\r\n")) != NULL; at += 2)
        lines++;
    assert_int_equal(lines, 8);
    http_free(&answer);
}

/* ---- settings, bots, state ---- */

static void test_settings_schema(void **state)
{
    (void)state;
    json_t *json = get("/settings/schema"), *all = get("/settings"), *row;
    size_t index;
    assert_int_equal(json_array_size(json), json_object_size(all));
    json_array_foreach(json, index, row)
    {
        const char *type = string(row, "type");
        bool is_choice = strcmp(type, "choice") == 0;
        assert_keys(row, is_choice ? "key type default min max unit sentence section choices"
                                   : "key type default min max unit sentence section");
        assert_non_null(json_object_get(all, string(row, "key")));
        if (strcmp(string(row, "key"), "hot_interval_sec") != 0)
            continue;
        assert_string_equal(type, "number");
        assert_string_equal(string(row, "default"), "15");
        assert_string_equal(string(row, "unit"), "seconds");
        assert_string_equal(string(row, "section"), "Freshness: targets and budgets");
        assert_true(number(row, "min") == 1 && number(row, "max") == 86400);
    }
    json_decref(all);
    json_decref(json);
}

static void test_settings(void **state)
{
    (void)state;
    json_t *json = get("/settings/");
    size_t settings = 0;
    for (enum option_id id = 0; id < OPTION_COUNT; id++) {
        const struct option_row *row = option_row(id);
        bool is_setting = (row->flags & OPTION_SETTING) != 0;
        settings += is_setting;
        assert_int_equal(json_object_get(json, row->name) != NULL, is_setting);
    }
    assert_int_equal(json_object_size(json), settings);
    assert_string_equal(string(json, "hot_interval_sec"), "15");
    assert_null(json_object_get(json, "api_token"));
    json_decref(json);
    json = get("/settings/defaults");
    assert_int_equal(json_object_size(json), settings);
    json_decref(json);
    json = get("/settings/min_score");
    assert_keys(json, "key value");
    assert_string_equal(string(json, "key"), "min_score");
    json_decref(json);
    json = get("/settings/weights/");
    assert_keys(json, "hybrid_momentum legacy active_model");
    assert_keys(json_object_get(json, "hybrid_momentum"), "w_tx w_vol w_fresh w_oi");
    json_decref(json);
    assert_refused("/settings/nonsense", 404, "no setting 'nonsense'");
    assert_refused("/settings/api_token", 404, "start only");
}

static void test_notarb(void **state)
{
    (void)state;
    json_t *json = get("/notarb/pools");
    /* T1 0.9 and T3 0.6 reach 0.5; none of the pools on the bonding curve; most liquid first. */
    assert_int_equal(json_array_size(json), 2);
    assert_int_equal(json_array_size(json_array_get(json, 0)), 3);
    struct address most_liquid = world_mint(1 * 10 + 2 + 0x40000000);
    char text[ADDRESS_TEXT_MAX + 1];
    address_format(&most_liquid, text);
    assert_string_equal(json_string_value(json_array_get(json_array_get(json, 0), 0)), text);
    json_decref(json);
    json = get("/notarb/markets.json");
    assert_keys(json, "metadata tokens");
    json_t *metadata = json_object_get(json, "metadata");
    assert_keys(metadata, "generated_at generator min_score_threshold total_tokens");
    assert_time(metadata, "generated_at");
    assert_true(number(metadata, "min_score_threshold") == 0.5);
    assert_int_equal(number(metadata, "total_tokens"), 2);
    assert_keys(json_array_get(json_object_get(json, "tokens"), 0),
                "mint_address symbol name score pools");
    json_decref(json);
    json_decref(get("/notarb/markets"));
    json = get("/notarb/file-info");
    assert_keys(json, "path exists size_bytes modified_at");
    assert_true(json_is_false(json_object_get(json, "exists")));
    json_decref(json);
}

/* What strangers call their tokens ends no remark; what has no room is cut, and says so. */
static void test_notarb_as_toml(void **state)
{
    struct notarb_token tokens[2] = {{.pool_count = 2}, {.pool_count = 1}};
    char text[1024], cut[64];
    (void)state;
    strcpy(tokens[0].token.symbol, "A\nmarkets=[]");
    strcpy(tokens[0].token.name, "\x7f\"\\]\r\n[[group]]\x1b");
    tokens[0].token.state.score = 1.5;
    size_t length = notarb_write_toml(text, sizeof text, tokens, 2, (instant){1783075526083219});
    assert_int_equal(length, strlen(text));
    assert_string_equal(
        text, "update_timestamp = 2026-07-03T10:45:26.083219+00:00\n"
              "\n# A markets=[]  \"\\]  [[group]] , mint " NOBODY
              ", score 1.500\n[[group]]\nmarkets = [\"" NOBODY "\", \"" NOBODY "\"]\n"
              "\n#  , mint " NOBODY ", score 0.000\n[[group]]\nmarkets = [\"" NOBODY "\"]\n");
    assert_int_equal(notarb_write_toml(cut, sizeof cut, tokens, 2, (instant){0}), sizeof cut - 1);
    /* Other pools, another digest; other scores, the same. */
    uint64_t digest = notarb_digest(tokens, 2);
    tokens[1].token.state.score = 2;
    assert_true(notarb_digest(tokens, 2) == digest);
    assert_true(notarb_digest(tokens, 1) != digest);
    tokens[1].pools[0].bytes[31] = 1;
    assert_true(notarb_digest(tokens, 2) != digest);
}

static void test_freshness(void **state)
{
    (void)state;
    json_t *json = get("/health/freshness");
    json_t *hot = json_object_get(json_object_get(json, "groups"), "hot");
    assert_keys(json_object_get(hot, "age_s"), "p50 p95 p99 max");
    assert_true(number(hot, "target_s") == 15);
    assert_true(number(hot, "share_on_time") == 0.995);
    json_t *steps = json_object_get(hot, "age_counts"), *count;
    size_t i, counted = 0;
    assert_true(number(steps, "step_s") == 1.5);
    assert_int_equal(json_array_size(json_object_get(steps, "counts")), 21);
    json_array_foreach(json_object_get(steps, "counts"), i, count) counted +=
        (size_t)json_integer_value(count);
    assert_int_equal(counted + (size_t)number(hot, "never_refreshed"), number(hot, "tokens"));
    json_t *refresh = json_object_get(json_object_get(json, "budgets"), "refresh");
    assert_true(number(refresh, "allowed_per_minute") == 294);
    assert_int_equal(number(refresh, "used_last_minute"), 120);
    assert_true(number(refresh, "addresses_per_request") == 29);
    assert_non_null(json_object_get(json_object_get(json, "groups"), "archived"));
    json_decref(json);
}

/* ---- load ---- */

static void put_reading(unsigned reading, double value)
{
    page_put_bits(&world.page->load.readings_bits[reading], value);
}

static void put_signal(enum load_signal_id signal, enum load_level level, double percent)
{
    atomic_store(&world.page->load.signals[signal].level, level);
    page_put_bits(&world.page->load.signals[signal].percent_bits, percent);
    atomic_store(&world.page->load.signals[signal].since_us, (uint64_t)clock_now().us);
}

static void begin_load(void)
{
    world_fill_page(&world);
    for (unsigned i = 0; i < LOAD_READING_COUNT; i++)
        put_reading(i, NAN);
    for (int i = 0; i < LOAD_SIGNAL_COUNT; i++)
        put_signal((enum load_signal_id)i, LOAD_NORMAL, NAN);
    atomic_store(&world.page->load.features_off, 0);
    atomic_store(&world.page->load.sampled_at_us, (uint64_t)clock_now().us);
    page_set(world.page, GAUGE_LOAD_SCALE, 1);
    page_set(world.page, GAUGE_LOAD_DEFERS, LOAD_NORMAL);
}

static const json_t *at_path(const json_t *json, const char *outer, const char *inner)
{
    return json_object_get(json_object_get(json, outer), inner);
}

/* What the engine found; nothing before the first call. */
static void find(const struct finding *finding)
{
    static struct findings findings;
    findings.count = finding == NULL ? 0 : findings.count;
    if (finding != NULL) {
        struct finding found = *finding;
        found.because = FINDING_CAUSE_COUNT;
        found.since = instant_add(clock_now(), duration_s(-30));
        findings_add(&findings, &found);
    }
    health_publish(world.page, &findings);
}

static void test_resources_unknown(void **state)
{
    (void)state;
    begin_load();
    json_t *json = get("/health/resources");
    assert_string_equal(string(json, "status"), "healthy");
    assert_int_equal(json_array_size(json_object_get(json, "alerts")), 0);
    /* Unknown is null, and never 0. */
    assert_true(json_is_null(at_path(json, "memory", "usage_mb")));
    assert_true(json_is_null(at_path(json, "memory", "usage_percent")));
    assert_true(json_is_null(at_path(json, "cpu", "usage_percent")));
    assert_true(json_is_null(at_path(json, "disk", "usage_percent")));
    assert_true(json_is_null(at_path(json, "file_descriptors", "open")));
    assert_true(json_is_null(at_path(json, "file_descriptors", "max")));
    json_decref(json);
    /* Nobody has looked for a while: what was known is not known any more. */
    put_reading(READING_DISK, 0.5);
    atomic_store(&world.page->load.sampled_at_us,
                 (uint64_t)instant_add(clock_now(), duration_s(-20)).us);
    json = get("/health/resources");
    assert_string_equal(string(json, "status"), "degraded");
    assert_true(json_is_null(at_path(json, "disk", "usage_percent")));
    const json_t *alert = json_array_get(json_object_get(json, "alerts"), 0);
    assert_keys(alert, "level message component timestamp correlation_id context");
    assert_string_equal(string(alert, "message"),
                        "how much cpu is in use cannot be known: nothing is shed for it");
    json_decref(json);
}

static void test_resources(void **state)
{
    (void)state;
    begin_load();
    put_reading(READING_OWN_MEMORY, 64 << 20);
    put_reading(READING_DESCRIPTORS, 42);
    put_reading(READING_DESCRIPTORS_MAX, 1024);
    put_reading(READING_DISK, 0.985);
    put_signal(SIGNAL_MEMORY, LOAD_REDUCED, 81.5);
    put_signal(SIGNAL_CPU, LOAD_MINIMAL, 99);
    find(&(struct finding){.cause = FINDING_LOAD_HIGH,
                           .subject = SIGNAL_MEMORY,
                           .severity = SEVERITY_WARNING,
                           .value = 81.5,
                           .limit = 75});
    find(&(struct finding){.cause = FINDING_LOAD_HIGH,
                           .subject = SIGNAL_CPU,
                           .severity = SEVERITY_INFO,
                           .value = 99,
                           .limit = 85});
    json_t *json = get("/health/resources");
    assert_true(number(json_object_get(json, "memory"), "usage_mb") == 64);
    assert_true(number(json_object_get(json, "memory"), "usage_percent") == 81.5);
    assert_true(number(json_object_get(json, "cpu"), "usage_percent") == 99);
    assert_true(number(json_object_get(json, "disk"), "usage_percent") == 98.5);
    assert_int_equal(number(json_object_get(json, "file_descriptors"), "open"), 42);
    assert_int_equal(number(json_object_get(json, "file_descriptors"), "max"), 1024);
    assert_string_equal(string(json, "status"), "degraded"); /* a busy CPU alone is no harm */
    assert_int_equal(json_array_size(json_object_get(json, "alerts")), 2);
    json_decref(json);
    find(&(struct finding){
        .cause = FINDING_DISK_SHORT, .severity = SEVERITY_CRITICAL, .value = 98.5, .limit = 97});
    json = get("/health/resources");
    assert_string_equal(string(json, "status"), "critical");
    const json_t *alert = json_array_get(json_object_get(json, "alerts"), 2);
    assert_string_equal(string(alert, "level"), "critical");
    assert_string_equal(string(alert, "component"), "resources");
    assert_string_equal(string(alert, "message"),
                        "the disk of the database is 98.5 % full, over 97 %: history is shortened");
    const json_t *context = json_object_get(alert, "context");
    assert_keys(context, "cause subject value limit unit because what_to_do");
    assert_string_equal(string(context, "cause"), "disk_short");
    assert_true(number(context, "value") == 98.5);
    assert_true(json_is_null(json_object_get(context, "because")));
    char *correlation = strdup(string(alert, "correlation_id"));
    json_decref(json);
    json = get("/health/store"); /* the same one, wherever it is shown */
    alert = json_array_get(json_object_get(json, "alerts"), 2);
    assert_string_equal(string(alert, "correlation_id"), correlation);
    json_decref(json);
    free(correlation);
    find(NULL);
}

#define ALERT_KEYS "level message component timestamp correlation_id context"

/* A finding of each component, and which resources show it. */
static void test_alerts(void **state)
{
    (void)state;
    static const struct {
        const char *path, *status, *causes; /* in the order of FINDING_LIST */
    } shown[] = {
        {"/health/scheduler", "degraded", "group_late job_stuck"},
        {"/health/resources", "degraded", "strained"},
        {"/health/priority", "degraded", "group_late strained"},
        {"/health/performance", "degraded", "group_late breaker_open strained"},
        {"/health/feeds", "degraded", "breaker_open source_down"},
        {"/health/store", "critical", "store_down strained"},
        {"/health/comprehensive", "critical",
         "group_late job_stuck breaker_open store_down source_down restarted strained"},
        {"/health/detailed", "critical",
         "group_late job_stuck breaker_open store_down source_down restarted strained"},
    };
    static const struct finding findings[] = {
        {.cause = FINDING_GROUP_LATE, .subject = GROUP_COLD, .severity = SEVERITY_WARNING},
        {.cause = FINDING_JOB_STUCK, .subject = JOB_EXPORT, .severity = SEVERITY_ERROR},
        {.cause = FINDING_BREAKER_OPEN, .severity = SEVERITY_ERROR, .value = NAN},
        {.cause = FINDING_STORE_DOWN, .severity = SEVERITY_CRITICAL, .value = NAN},
        {.cause = FINDING_SOURCE_DOWN, .severity = SEVERITY_WARNING, .value = 40},
        {.cause = FINDING_RESTARTED, .subject = WATCHED_API, .severity = SEVERITY_WARNING},
        {.cause = FINDING_STRAINED, .severity = SEVERITY_WARNING, .value = 120},
    };
    begin_load();
    for (size_t i = 0; i < sizeof findings / sizeof findings[0]; i++)
        find(&findings[i]);
    for (size_t i = 0; i < sizeof shown / sizeof shown[0]; i++) {
        char causes[256] = "";
        json_t *json = get(shown[i].path);
        const json_t *alerts = json_object_get(json, "alerts");
        assert_string_equal(string(json, "status"), shown[i].status);
        assert_true(json_is_string(json_object_get(json, "last_check")));
        for (size_t k = 0; k < json_array_size(alerts); k++) {
            const json_t *alert = json_array_get(alerts, k);
            assert_keys(alert, ALERT_KEYS);
            strcat(strcat(causes, k > 0 ? " " : ""),
                   string(json_object_get(alert, "context"), "cause"));
        }
        assert_string_equal(causes, shown[i].causes);
        json_decref(json);
    }
    find(NULL);
}

#define SIGNAL_KEYS                                                                                \
    "signal what unit hurts state since value threshold level slope_per_second anomaly_score "     \
    "seconds_to_threshold confidence hits false missed median_lead_seconds"

/* ---- nodes ---- */

#define CLUSTER_KEYS                                                                               \
    "status alerts alone how_to_join node exchanges following slots source members last_check"

/* How it becomes a node, and nothing that it cannot know. */
static void test_a_lone_daemon(void **state)
{
    (void)state;
    static const char *const nothing[] = {"node", "exchanges", "following", "slots", "source"};
    begin_load();
    json_t *json = get("/health/cluster");
    assert_keys(json, CLUSTER_KEYS);
    assert_string_equal(string(json, "status"), "healthy");
    assert_true(json_is_true(json_object_get(json, "alone")));
    assert_non_null(strstr(string(json, "how_to_join"), "?node="));
    for (size_t i = 0; i < sizeof nothing / sizeof nothing[0]; i++)
        assert_null_member(json, nothing[i]);
    assert_int_equal(json_array_size(json_object_get(json, "members")), 0);
    json_decref(json);
    json = get("/health/detailed");
    assert_true(json_is_true(at_path(json, "cluster", "alone")));
    json_decref(json);
}

static void assert_run(const json_t *runs, size_t i, int owner, int length)
{
    const json_t *run = json_array_get(runs, i);
    const json_t *first = json_array_get(run, 0);
    assert_int_equal(json_array_size(run), 2);
    if (owner < 0)
        assert_true(json_is_null(first));
    else
        assert_int_equal(json_integer_value(first), owner);
    assert_int_equal(json_integer_value(json_array_get(run, 1)), length);
}

#define MEMBER_KEYS                                                                                \
    "name session is_self is_leaving holds_source capacity_per_second share slots "                \
    "renewed_seconds_ago clock_offset_seconds"

static void test_a_node(void **state)
{
    (void)state;
    struct page_cluster cluster;
    begin_load();
    world_fill_cluster(&world, &cluster);
    json_t *json = get("/health/cluster/");
    assert_keys(json, CLUSTER_KEYS);
    assert_true(json_is_false(json_object_get(json, "alone")));
    assert_null_member(json, "how_to_join");
    const json_t *node = json_object_get(json, "node");
    assert_keys(node, "name session state since looked_at holds_source lease_seconds "
                      "lease_left_seconds tokens own_tokens");
    assert_string_equal(string(node, "name"), "paris");
    assert_string_equal(string(node, "state"), "working");
    assert_time(node, "since");
    assert_true(number(node, "lease_left_seconds") > 30 &&
                number(node, "lease_left_seconds") <= 60);
    assert_int_equal(number(node, "own_tokens"), 301);
    const json_t *exchanges = json_object_get(json, "exchanges");
    assert_keys(exchanges, "total failed answered_seconds_ago failed_at failure lapses sessions "
                           "sessions_ended claimed released lost");
    assert_string_equal(string(exchanges, "failure"), "the server closed the connection");
    assert_true(number(exchanges, "answered_seconds_ago") >= 0.2);
    assert_keys(json_object_get(json, "following"),
                "rounds behind_seconds followed ignored writes_refused orders_forwarded "
                "orders_done");
    const json_t *slots = json_object_get(json, "slots");
    assert_int_equal(number(slots, "mine") + number(slots, "draining") + number(slots, "others") +
                         number(slots, "free"),
                     number(slots, "total"));
    const json_t *runs = json_object_get(slots, "owners");
    assert_int_equal(json_array_size(runs), 4);
    assert_run(runs, 0, 0, 512);
    assert_run(runs, 1, 1, 308);
    assert_run(runs, 2, 2, 200);
    assert_run(runs, 3, -1, 4);
    assert_int_equal(json_integer_value(at_path(json, "source", "member")), 1);
    const json_t *members = json_object_get(json, "members");
    assert_int_equal(json_array_size(members), 3);
    for (size_t i = 0; i < 3; i++)
        assert_keys(json_array_get(members, i), MEMBER_KEYS);
    assert_true(number(json_array_get(members, 0), "share") == 0.5);
    assert_null_member(json_array_get(members, 1), "clock_offset_seconds");
    assert_true(json_is_true(json_object_get(json_array_get(members, 1), "is_self")));
    assert_true(json_is_true(json_object_get(json_array_get(members, 2), "is_leaving")));
    json_decref(json);
    atomic_store(&world.page->cluster.turn, 0);
}

/* Its lease time is over, it knows of nobody, and its name came from a stranger. */
static void test_a_node_that_rests(void **state)
{
    (void)state;
    struct page_cluster cluster;
    begin_load();
    world_fill_cluster(&world, &cluster);
    cluster.state = NODE_RESTING;
    cluster.valid_until = INSTANT_NEVER;
    cluster.behind_s = NAN;
    cluster.count = 0;
    cluster.source = 0;
    strcpy(cluster.name, "\x01\xff\"<b>");
    cluster_publish(world.page, &cluster);
    find(&(struct finding){.cause = FINDING_NODE_RESTS, .severity = SEVERITY_CRITICAL, .value = 4});
    json_t *json = get("/health/cluster");
    assert_string_equal(string(json, "status"), "critical");
    assert_int_equal(json_array_size(json_object_get(json, "alerts")), 1);
    assert_string_equal(string(json_object_get(json, "node"), "state"), "resting");
    assert_true(number(json_object_get(json, "node"), "lease_left_seconds") == 0);
    assert_true(json_is_null(at_path(json, "following", "behind_seconds")));
    assert_true(json_is_null(at_path(json, "source", "member")));
    const json_t *runs = json_object_get(json_object_get(json, "slots"), "owners");
    assert_int_equal(json_array_size(runs), 1);
    assert_run(runs, 0, -1, 1024);
    json_decref(json);
    json = get_as("/ready", 503);
    assert_non_null(strstr(json_string_value(json_array_get(json_object_get(json, "reasons"), 0)),
                           "lease time"));
    json_decref(json);
    find(NULL);
    cluster.state = NODE_JOINING;
    strcpy(cluster.message, "64 nodes are there already");
    cluster_publish(world.page, &cluster);
    find(&(struct finding){
        .cause = FINDING_NODE_OUTSIDE, .severity = SEVERITY_CRITICAL, .value = 16, .limit = 15});
    json = get_as("/ready", 503);
    assert_int_equal(json_array_size(json_object_get(json, "reasons")), 1);
    assert_string_equal(json_string_value(json_array_get(json_object_get(json, "reasons"), 0)),
                        "this node waits to be let in among the nodes: 64 nodes are there already");
    json_decref(json);
    find(NULL);
    atomic_store(&world.page->cluster.turn, 0);
}

static void test_metrics_of_a_node(void **state)
{
    (void)state;
    static const char *const lines[] = {
        "\nmoonwatch_node_state{state=\"working\"} 1\n",
        "\nmoonwatch_node_state{state=\"resting\"} 0\n",
        "\nmoonwatch_node_members 3\n",
        "\nmoonwatch_node_slots{state=\"mine\"} 304\n",
        "\nmoonwatch_node_slots{state=\"free\"} 4\n",
        "\nmoonwatch_node_capacity_per_second 300\n",
        "\nmoonwatch_node_source_held 1\n",
        "\nmoonwatch_node_exchanges_failed_total 3\n",
        "\nmoonwatch_node_leases_total{move=\"claimed\"} 320\n",
        "\nmoonwatch_node_follow_delay_seconds 0.4\n",
        "\nmoonwatch_node_orders_total{order=\"done\"} 9\n",
        "\nmoonwatch_node_clock_difference_seconds 1.75\n",
    };
    struct page_cluster cluster;
    struct answer_read answer = http_ask(&world, "GET", "/metrics", NULL, NULL);
    assert_null(strstr(answer.body, "moonwatch_node_")); /* alone */
    http_free(&answer);
    world_fill_cluster(&world, &cluster);
    answer = http_ask(&world, "GET", "/metrics", NULL, NULL);
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++)
        if (strstr(answer.body, lines[i]) == NULL)
            fail_msg("no%s", lines[i]);
    http_free(&answer);
    atomic_store(&world.page->cluster.turn, 0);
}

static void test_forecasts(void **state)
{
    (void)state;
    begin_load();
    find(&(struct finding){.cause = FINDING_FORECAST,
                           .subject = VITAL_MEMORY,
                           .severity = SEVERITY_ERROR,
                           .value = 600,
                           .limit = 900});
    struct page_vital *memory = &world.page->vitals[VITAL_MEMORY];
    atomic_store(&memory->state, VITAL_FORETOLD);
    atomic_store(&memory->hits, 2);
    page_put_bits(&memory->eta_bits, 600);
    page_put_bits(&memory->value_bits, 0.9);
    json_t *json = get("/health/forecast");
    assert_string_equal(string(json, "status"), "degraded");
    const json_t *alert = json_array_get(json_object_get(json, "alerts"), 0);
    assert_string_equal(string(json_object_get(alert, "context"), "subject"), "memory");
    assert_true(number(json, "horizon_seconds") == 900);
    assert_true(number(json, "hits") == 2 && number(json, "missed") == 0);
    const json_t *signals = json_object_get(json, "signals");
    assert_int_equal(json_array_size(signals), VITAL_COUNT);
    const json_t *signal = json_array_get(signals, VITAL_MEMORY);
    assert_keys(signal, SIGNAL_KEYS);
    assert_string_equal(string(signal, "signal"), "memory");
    assert_string_equal(string(signal, "state"), "foretold");
    assert_true(number(signal, "seconds_to_threshold") == 600 && number(signal, "value") == 0.9);
    /* Unknown is null, and never 0. */
    signal = json_array_get(signals, VITAL_DISK);
    assert_true(json_is_null(json_object_get(signal, "value")));
    assert_true(json_is_null(json_object_get(signal, "seconds_to_threshold")));
    assert_true(json_is_null(json_object_get(signal, "since")));
    json_decref(json);
    atomic_store(&memory->state, VITAL_QUIET);
    find(NULL);
}

/* The members that existing clients read. */
static void test_scheduler_health(void **state)
{
    (void)state;
    static const char *const groups[] = {"hot_group", "cold_group"};
    begin_load();
    atomic_store(&world.page->jobs[JOB_EXPORT].running_since_us, (uint64_t)clock_now().us);
    page_set(world.page, GAUGE_TOKENS_LAST_MINUTE, 1234);
    page_set(world.page, GAUGE_ERRORS_LAST_HOUR, 3);
    find(&(struct finding){.cause = FINDING_JOB_STUCK,
                           .subject = JOB_EXPORT,
                           .severity = SEVERITY_ERROR,
                           .value = 1,
                           .limit = 3});
    json_t *json = get("/health/scheduler");
    for (size_t i = 0; i < 2; i++) {
        const json_t *group = json_object_get(json, groups[i]);
        assert_true(number(group, "interval_seconds") == (i == 0 ? 15 : 45));
        assert_non_null(json_object_get(group, "last_run"));
        assert_non_null(json_object_get(group, "average_processing_time"));
        assert_true(json_is_integer(json_object_get(group, "executions_count")));
    }
    const json_t *performance = json_object_get(json, "performance");
    assert_true(number(performance, "tokens_per_minute") == 1234);
    assert_true(number(performance, "total_errors_last_hour") == 3);
    assert_int_equal(number(performance, "active_jobs"), 1);
    assert_int_equal(number(performance, "stuck_jobs"), 1);
    assert_true(json_is_string(at_path(json_object_get(json, "jobs"), "export", "running_since")));
    json_decref(json);
    atomic_store(&world.page->jobs[JOB_EXPORT].running_since_us, 0);
    json = get("/health/comprehensive");
    assert_string_equal(string(json_object_get(json, "components"), "jobs"), "degraded");
    assert_string_equal(string(json_object_get(json, "components"), "store"), "healthy");
    assert_string_equal(json_string_value(json_array_get(json_object_get(json, "reasons"), 0)),
                        "the export job did not end within job_deadline_sec, 1 times in a row; it "
                        "is run again");
    json_decref(json);
    find(NULL);
}

/* What a dead engine found last is old; that it is dead is told everywhere. */
static void test_health_of_a_dead_engine(void **state)
{
    (void)state;
    begin_load();
    find(&(struct finding){.cause = FINDING_PAUSED, .severity = SEVERITY_WARNING, .value = NAN});
    page_beat(world.page, BEAT_ENGINE_LOOP, instant_add(clock_now(), duration_s(-60)),
              duration_s(3600));
    json_t *json = get("/health/feeds");
    const json_t *alerts = json_object_get(json, "alerts");
    assert_string_equal(string(json, "status"), "critical");
    assert_int_equal(json_array_size(alerts), 1);
    const json_t *context = json_object_get(json_array_get(alerts, 0), "context");
    assert_string_equal(string(context, "cause"), "engine_down");
    json_decref(json);
    world_fill_page(&world);
    find(NULL);
}

/* What is unknown has no sample: a 0 would be a lie. */
static void test_unknown_readings_are_left_out(void **state)
{
    (void)state;
    begin_load();
    put_reading(READING_DISK_FREE, 0);
    struct answer_read answer = http_ask(&world, "GET", "/metrics", NULL, NULL);
    assert_null(strstr(answer.body, "\nmoonwatch_load_disk_ratio "));
    assert_non_null(strstr(answer.body, "\nmoonwatch_load_disk_free_bytes 0\n"));
    http_free(&answer);
}

static void expect_why(const char *says)
{
    json_t *json = get("/health/priority");
    assert_string_equal(string(json_object_get(json, "load"), "why"), says);
    json_decref(json);
}

/* ---- alerts ---- */

static void begin_alerts(void)
{
    world_fill_page(&world);
    struct alert_board *board = &page_text_begin(world.page)->alerts;
    *board = (struct alert_board){.alert_count = 1, .message_count = 1};
    board->alerts[0] = (struct board_alert){.finding = {.cause = FINDING_GROUP_LATE,
                                                        .subject = GROUP_HOT,
                                                        .severity = SEVERITY_WARNING,
                                                        .because = FINDING_CAUSE_COUNT,
                                                        .since = {1700000000000000},
                                                        .value = 47.5,
                                                        .limit = 30},
                                            .state = ALERT_FIRING,
                                            .told = SEVERITY_ERROR,
                                            .is_told = true,
                                            .onsets = 3};
    board->messages[0] = (struct board_message){
        .id = 1700000000000001,
        .at = {1700000000000001},
        .kind = ALERT_NEWS,
        .severity = SEVERITY_ERROR,
        .count = 1,
        .omitted = 2,
        .of = {{FINDING_GROUP_LATE, GROUP_HOT, SEVERITY_ERROR, ALERT_IS_NEW}},
        .sinks = {[ALERT_SINK_LOG] = DELIVERY_DONE, [ALERT_SINK_WEBHOOK] = DELIVERY_WAITING}};
    strcpy(board->sinks[ALERT_SINK_WEBHOOK].detail, "HTTP 500");
    page_text_end(world.page);
    page_put_word(&world.page->sinks[ALERT_SINK_WEBHOOK].failed, 4);
}

static void test_what_people_were_told(void **state)
{
    (void)state;
    begin_alerts();
    json_t *json = get("/alerts");
    assert_keys(json, "alerts messages sinks counters");
    const json_t *alert = json_array_get(json_object_get(json, "alerts"), 0);
    assert_keys(alert, "cause subject component severity state told since onsets flaps message "
                       "what_to_do");
    assert_string_equal(string(alert, "cause"), "group_late");
    assert_string_equal(string(alert, "subject"), "hot");
    assert_string_equal(string(alert, "severity"), "warning");
    assert_string_equal(string(alert, "told"), "error");
    assert_string_equal(string(alert, "message"),
                        "a hot token that is due was refreshed 47.5 s ago, over 30 s");
    const json_t *message = json_array_get(json_object_get(json, "messages"), 0);
    assert_keys(message, "id at kind severity alert_count alerts delivery");
    assert_string_equal(string(message, "id"), "1700000000000001");
    assert_int_equal(number(message, "alert_count"), 3);
    const json_t *delivery = json_object_get(message, "delivery");
    assert_keys(delivery, "log webhook"); /* the others were not set up */
    assert_string_equal(string(delivery, "webhook"), "waiting");
    const json_t *webhook = at_path(json, "sinks", "webhook");
    assert_int_equal(number(webhook, "failed"), 4);
    assert_string_equal(string(webhook, "last_failure"), "HTTP 500");
    json_decref(json);
    /* A page that somebody wrote over is no reason to read beyond it. */
    page_text_begin(world.page)->alerts.alert_count = UINT32_MAX;
    page_text_end(world.page);
    page_text_begin(world.page)->alerts.message_count = UINT32_MAX;
    page_text_end(world.page);
    json = get("/alerts");
    assert_int_equal(json_array_size(json_object_get(json, "alerts")), BOARD_ALERTS_MAX);
    assert_int_equal(json_array_size(json_object_get(json, "messages")), BOARD_MESSAGES_MAX);
    json_decref(json);
    *page_text_begin(world.page) = (struct page_texts){.options = world.options};
    page_text_end(world.page);
}

static void test_priority(void **state)
{
    (void)state;
    begin_load();
    expect_why("nothing is short");
    put_signal(SIGNAL_CPU, LOAD_MINIMAL, 97);
    expect_why("CPU at 97 %; the engine keeps up, so no work is shed");
    put_signal(SIGNAL_STRAIN, LOAD_REDUCED, 150);
    put_signal(SIGNAL_MEMORY, LOAD_REDUCED, 80);
    page_set(world.page, GAUGE_LOAD_SCALE, 0.3);
    page_set(world.page, GAUGE_LOAD_DEFERS, LOAD_MINIMAL);
    atomic_store(&world.page->load.features_off, 1U << FEATURE_STATISTICS);
    expect_why("CPU at 97 %, memory at 80 %; the engine does not keep up; 30 % of the work is "
               "planned; all but tokens of high priority wait; 1 optional feature is off");
    page_put_bits(&world.page->lanes[LANE_SCREEN].capacities_bits[LIMIT_LEVEL], 0.5);
    atomic_store(&world.page->lanes[LANE_SCREEN].limit, LIMIT_LEVEL);
    atomic_store(&world.page->groups[GROUP_COLD].deferred, 7);
    atomic_store(&world.page->groups[GROUP_COLD].deferred_by_load, 5);
    atomic_store(&world.page->groups[GROUP_COLD].oldest_deferred_us, 61500000);

    json_t *json = get("/health/priority");
    assert_string_equal(string(json, "status"), "healthy"); /* nothing was found */
    const json_t *load = json_object_get(json, "load");
    assert_string_equal(string(load, "level"), "minimal");
    assert_true(number(load, "scale") == 0.3);
    assert_string_equal(string(load, "deferral"), "all_but_high");
    assert_true(json_is_false(json_object_get(load, "keeps_up")));
    const json_t *screen = at_path(json, "capacity", "screen");
    assert_string_equal(string(screen, "limited_by"), "level");
    assert_true(number(json_object_get(screen, "per_minute"), "level") == 30);
    assert_true(json_is_null(at_path(screen, "per_minute", "cpu")));
    assert_string_equal(string(at_path(json, "signals", "strain"), "level"), "reduced");
    const json_t *cold = at_path(json, "groups", "cold");
    assert_int_equal(number(cold, "deferred"), 7);
    assert_int_equal(number(cold, "deferred_by_load"), 5);
    assert_true(number(cold, "oldest_deferred_age_s") == 61.5);
    assert_true(
        json_is_null(at_path(json_object_get(json, "groups"), "hot", "oldest_deferred_age_s")));
    const json_t *statistics = json_array_get(json_object_get(json, "features"), 0);
    assert_true(json_is_false(json_object_get(statistics, "on")));
    assert_true(number(json_object_get(json, "priority"), "high") == 0.8);
    json_decref(json);
    begin_load();
    atomic_store(&world.page->lanes[LANE_SCREEN].limit, LIMIT_UPSTREAM);
}

static void assert_not_ready(const char *says)
{
    json_t *json = get_as("/ready", 503);
    if (strstr(string(json, "detail"), says) == NULL)
        fail_msg("not ready: %s", string(json, "detail"));
    json_decref(json);
}

static void test_ready(void **state)
{
    (void)state;
    world_fill_page(&world);
    json_t *json = get("/ready");
    assert_string_equal(string(json, "status"), "ready");
    json_decref(json);
    instant long_ago = instant_add(clock_now(), duration_s(-200));

    find(&(struct finding){
        .cause = FINDING_GROUP_LATE, .severity = SEVERITY_ERROR, .value = 47, .limit = 30});
    json_decref(get("/ready")); /* late, but refreshed */
    find(&(struct finding){
        .cause = FINDING_GROUP_SILENT, .severity = SEVERITY_CRITICAL, .value = 200, .limit = 45});
    strcpy(page_text_begin(world.page)->feed_message, "no route to the host");
    page_text_end(world.page);
    assert_not_ready("no hot token was refreshed for 3.33 min, over 45 s: no route to the host");
    find(NULL);
    world_fill_page(&world);
    page_set(world.page, GAUGE_STORE_OK, 0);
    assert_not_ready("the store takes no writes");
    world_fill_page(&world);
    page_beat(world.page, BEAT_ENGINE_LOOP, long_ago, duration_us(0));
    assert_not_ready("the engine has not moved for 200 s");
    world_fill_page(&world);
    world.options.scheduler_enabled = false;
    world_fill_page(&world);
    assert_not_ready("the scheduler is off");
    world.options.scheduler_enabled = true;
    world_fill_page(&world);
    /* /health tells none of it. */
    struct answer_read answer = http_ask(&world, "GET", "/health", NULL, NULL);
    assert_int_equal(answer.status, 200);
    http_free(&answer);
}

/* Every line is a comment or a sample of the format; no name and no sample stands twice. */
static void check_exposition(const char *text)
{
    char *copy = strdup(text), *rest = copy;
    json_t *seen = json_object();
    for (char *line = strsep(&rest, "\n"); rest != NULL; line = strsep(&rest, "\n")) {
        char key[256], value[64], *end;
        bool is_help = sscanf(line, "# HELP %255s", key) == 1;
        bool is_type = sscanf(line, "# TYPE %255s", key) == 1;
        if (!is_help && !is_type) {
            if (sscanf(line, "%255s %63s", key, value) != 2 || strncmp(key, "moonwatch_", 10) != 0)
                fail_msg("no sample: %s", line);
            strtod(value, &end);
            assert_true(*end == '\0');
        }
        char entry[300];
        snprintf(entry, sizeof entry, "%s %s", is_help ? "help" : is_type ? "type" : "", key);
        if (json_object_get(seen, entry) != NULL)
            fail_msg("twice: %s", line);
        json_object_set_new(seen, entry, json_true());
    }
    assert_int_equal(text[strlen(text) - 1], '\n');
    json_decref(seen);
    free(copy);
}

/* Those of ages, in test_metrics()'s world: 14 s, 16.5 s and 2 h in the hot group. */
static void check_histograms(const char *text)
{
    static const char *const samples[] = {
        "\n# TYPE moonwatch_refresh_age_seconds histogram\n",
        "\nmoonwatch_refresh_age_seconds_bucket{group=\"hot\",le=\"12.5\"} 0\n",
        "\nmoonwatch_refresh_age_seconds_bucket{group=\"hot\",le=\"15\"} 1\n",
        "\nmoonwatch_refresh_age_seconds_bucket{group=\"hot\",le=\"16.5\"} 2\n",
        "\nmoonwatch_refresh_age_seconds_bucket{group=\"hot\",le=\"3600\"} 2\n",
        "\nmoonwatch_refresh_age_seconds_bucket{group=\"hot\",le=\"+Inf\"} 3\n",
        "\nmoonwatch_refresh_age_seconds_sum{group=\"hot\"} 7230.5\n",
        "\nmoonwatch_refresh_age_seconds_count{group=\"hot\"} 3\n",
        "\nmoonwatch_refresh_age_seconds_count{group=\"cold\"} 0\n",
        "\nmoonwatch_store_commit_duration_seconds_bucket{le=\"0.0001\"} 0\n",
        "\nmoonwatch_store_commit_duration_seconds_count 0\n"};
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
        if (strstr(text, samples[i]) == NULL)
            fail_msg("no sample %s", samples[i]);
    /* This request is not answered yet; those before it are. */
    assert_non_null(strstr(text, "\nmoonwatch_api_request_duration_seconds_count "));
    assert_null(strstr(text, "\nmoonwatch_api_request_duration_seconds_count 0\n"));
}

static void test_metrics(void **state)
{
    (void)state;
    struct histogram ages = {0};
    histogram_add(&ages, SCALE_AGES, duration_s(14));
    histogram_add(&ages, SCALE_AGES, duration_ms(16500));
    histogram_add(&ages, SCALE_AGES, duration_s(7200));
    page_put_histogram(world.page, HISTOGRAM_REFRESH_AGE, GROUP_HOT, &ages);
    json_decref(get("/version"));
    struct answer_read answer = http_ask(&world, "GET", "/metrics", NULL, NULL);
    assert_int_equal(answer.status, 200);
    assert_non_null(strstr(http_header(&answer, "Content-Type"), "version=0.0.4"));
    for (enum counter i = 0; i < COUNTER_COUNT; i++) {
        char line[256];
        snprintf(line, sizeof line, "# TYPE moonwatch_%s counter\nmoonwatch_%s ", counter_name(i),
                 counter_name(i));
        if (strstr(answer.body, line) == NULL)
            fail_msg("no counter %s", counter_name(i));
    }
    static const char *const samples[] = {
        "\nmoonwatch_store_ok 1\n",
        "\nmoonwatch_tokens{status=\"active\"} 2\n",
        "\nmoonwatch_refreshes_on_time_total{group=\"hot\"} 995\n",
        "\nmoonwatch_requests_total{kind=\"screen\",outcome=\"rate_limited\"} 0\n",
        "\nmoonwatch_requests_allowed_per_second{kind=\"discover\"} 4.9\n",
        "\nmoonwatch_pair_issues_total{issue=\"not_asked\"} 0\n",
        "\nmoonwatch_source_frames_total{kind=\"junk\"} 0\n"};
    for (size_t i = 0; i < sizeof samples / sizeof samples[0]; i++)
        if (strstr(answer.body, samples[i]) == NULL)
            fail_msg("no sample %s", samples[i]);
    check_exposition(answer.body);
    check_histograms(answer.body);
    /* Nobody has set it: left out, not 0. */
    assert_null(strstr(answer.body, "moonwatch_loop_lag_seconds"));
    http_free(&answer);
}

/* ---- errors and the page ---- */

static void test_not_found(void **state)
{
    (void)state;
    assert_refused("/nonsense", 404, "no such resource");
    assert_refused("/app/secret.txt", 404, "no such resource");
    assert_refused("/app/assets/secret", 404, "no such resource");
    assert_refused("/app/..%2f..%2fetc%2fpasswd", 404, "no such resource");
    assert_refused("/tokens/a%", 400, "malformed");
}

static void test_method(void **state)
{
    (void)state;
    struct answer_read answer = http_ask(&world, "DELETE", "/tokens", NULL, NULL);
    assert_int_equal(answer.status, 405);
    assert_string_equal(http_header(&answer, "Allow"), "GET, HEAD, POST");
    assert_non_null(strstr(answer.body, "{\"detail\":"));
    http_free(&answer);
    answer = http_ask(&world, "PUT", "/health", NULL, NULL);
    assert_int_equal(answer.status, 405);
    http_free(&answer);
}

static void test_page(void **state)
{
    (void)state;
    static const char *const targets[] = {
        "/", "/app/", "/app", "/app/index.html", "/app/health", "/app/tokens/Anything",
    };
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        struct answer_read answer = http_ask(&world, "GET", targets[i], NULL, NULL);
        assert_int_equal(answer.status, 200);
        assert_string_equal(http_header(&answer, "Content-Type"), "text/html; charset=utf-8");
        assert_string_equal(http_header(&answer, "Cache-Control"), "no-cache");
        assert_null(strstr(http_header(&answer, "Content-Security-Policy"), "unsafe"));
        http_free(&answer);
    }
}

/* Whatever its name is in this build. */
static void find_script(char out[128])
{
    struct answer_read answer = http_ask(&world, "GET", "/app/", NULL, NULL);
    const char *at = strstr(answer.body, "/app/assets/index-");
    assert_non_null(at);
    snprintf(out, 128, "%.*s", (int)strcspn(at, "\""), at);
    http_free(&answer);
}

static void test_page_script(void **state)
{
    (void)state;
    char target[128], header[256];
    find_script(target);
    static const struct {
        const char *accepts;
        bool is_packed;
    } cases[] = {
        {"", false},
        {"Accept-Encoding: identity\r\n", false},
        {"Accept-Encoding: gzip;q=0, br\r\n", false},
        {"Accept-Encoding: gzip\r\n", true},
        {"Accept-Encoding: br;q=1, GZip;q=0.5\r\n", true},
        {"Accept-Encoding: x-gzip-not\r\n", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct answer_read answer = http_ask(&world, "GET", target, cases[i].accepts, NULL);
        assert_int_equal(answer.status, 200);
        assert_string_equal(http_header(&answer, "Content-Type"), "text/javascript; charset=utf-8");
        assert_string_equal(http_header(&answer, "Vary"), "Accept-Encoding");
        assert_non_null(strstr(http_header(&answer, "Cache-Control"), "immutable"));
        assert_int_equal(http_header(&answer, "Content-Encoding") != NULL, cases[i].is_packed);
        snprintf(header, sizeof header, "%sIf-None-Match: %s\r\n", cases[i].accepts,
                 http_header(&answer, "ETag"));
        http_free(&answer);
        answer = http_ask(&world, "GET", target, header, NULL);
        assert_int_equal(answer.status, 304);
        http_free(&answer);
    }
    /* One form is not the other. */
    struct answer_read answer = http_ask(&world, "GET", target, NULL, NULL);
    snprintf(header, sizeof header, "Accept-Encoding: gzip\r\nIf-None-Match: %s\r\n",
             http_header(&answer, "ETag"));
    http_free(&answer);
    answer = http_ask(&world, "GET", target, header, NULL);
    assert_int_equal(answer.status, 200);
    http_free(&answer);
}

static void test_head(void **state)
{
    (void)state;
    static const char *const targets[] = {"/health", "/tokens", "/", "/metrics"};
    for (size_t i = 0; i < sizeof targets / sizeof targets[0]; i++) {
        int fd = http_connect(&world);
        char text[128];
        int length = snprintf(text, sizeof text, "HEAD %s HTTP/1.1\r\nHost: x\r\n\r\n", targets[i]);
        http_send(fd, text, (size_t)length);
        struct answer_read answer = http_read(fd, "HEAD");
        assert_int_equal(answer.status, 200);
        assert_true(strtol(http_header(&answer, "Content-Length"), NULL, 10) > 0);
        http_free(&answer);
        /* No body came: the next answer starts right behind. */
        static const char next[] = "GET /version HTTP/1.1\r\nHost: x\r\n\r\n";
        http_send(fd, next, sizeof next - 1);
        answer = http_read(fd, "GET");
        assert_int_equal(answer.status, 200);
        http_free(&answer);
        close(fd);
    }
}

static int start(void **state)
{
    (void)state;
    world_start(&world, "");
    world_add(&world, 1, TOKEN_ACTIVE, 0.9);
    world_add(&world, 2, TOKEN_MONITORING, 0.2);
    world_add(&world, 3, TOKEN_MONITORING, 0.6);
    token_id low = world_add(&world, 4, TOKEN_MONITORING, 0.01);
    world_add(&world, 5, TOKEN_ARCHIVED, 0.8);
    world_add(&world, 6, TOKEN_ACTIVE, -0.1);
    world_add(&world, 7, TOKEN_MONITORING, NAN);
    struct token *token = token_write_begin(world.memory.table, low);
    snprintf(token->name, sizeof token->name, "=cmd|\"x\"");
    token_write_end(world.memory.table, low);
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
        cmocka_unit_test(test_health),
        cmocka_unit_test(test_version),
        cmocka_unit_test(test_list_shape),
        cmocka_unit_test(test_list_unknown),
        cmocka_unit_test(test_list_queries),
        cmocka_unit_test(test_list_refusals),
        cmocka_unit_test(test_token),
        cmocka_unit_test(test_token_history),
        cmocka_unit_test(test_token_half_written),
        cmocka_unit_test(test_token_unknown),
        cmocka_unit_test(test_token_explain),
        cmocka_unit_test(test_token_without_data),
        cmocka_unit_test(test_pools),
        cmocka_unit_test(test_csv),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_settings_schema),
        cmocka_unit_test(test_notarb),
        cmocka_unit_test(test_notarb_as_toml),
        cmocka_unit_test(test_freshness),
        cmocka_unit_test(test_ready),
        cmocka_unit_test(test_resources),
        cmocka_unit_test(test_resources_unknown),
        cmocka_unit_test(test_priority),
        cmocka_unit_test(test_unknown_readings_are_left_out),
        cmocka_unit_test(test_alerts),
        cmocka_unit_test(test_a_lone_daemon),
        cmocka_unit_test(test_a_node),
        cmocka_unit_test(test_a_node_that_rests),
        cmocka_unit_test(test_metrics_of_a_node),
        cmocka_unit_test(test_forecasts),
        cmocka_unit_test(test_scheduler_health),
        cmocka_unit_test(test_health_of_a_dead_engine),
        cmocka_unit_test(test_what_people_were_told),
        cmocka_unit_test(test_metrics),
        cmocka_unit_test(test_not_found),
        cmocka_unit_test(test_method),
        cmocka_unit_test(test_page),
        cmocka_unit_test(test_page_script),
        cmocka_unit_test(test_head),
    };
    return cmocka_run_group_tests_name("reads", tests, start, stop);
}
