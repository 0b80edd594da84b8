/*
 * GET /app/live.json: what the dashboard shows, in one answer. Not a fixed interface: it changes
 * with the page. A search looks at the best SEARCHED_MAX tokens and says how many that were; a
 * whole mint is looked up whatever its rank.
 */
#include "api/answer.h"
#include "api/aside.h"
#include "api/freshness.h"
#include "api/handlers.h"
#include "api/load_json.h"
#include "api/page_view.h"
#include "api/pick.h"
#include "api/pulse.h"
#include "api/query.h"
#include "api/readiness.h"
#include "api/state_json.h"
#include "api/token_json.h"
#include "base/clock.h"
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define SEARCHED_MAX 5000
#define SEARCH_SIZE  64

_Static_assert(SEARCHED_MAX <= PICK_LIMIT_MAX, "a search is one pick");

struct live_query {
    unsigned statuses;
    int64_t limit;
    char search[SEARCH_SIZE];
};

static bool read_query(struct request *request, struct live_query *query)
{
    *query = (struct live_query){.statuses = 1u << TOKEN_ACTIVE | 1u << TOKEN_MONITORING};
    return query_integer(request, "limit", &query->limit) &&
           query_statuses(request, &query->statuses) &&
           query_text(request, "search", query->search, sizeof query->search);
}

static void json_row_components(struct json *json, const struct components *components)
{
    json_array_open(json, "components");
    json_put_double(json, NULL, components->tx_accel);
    json_put_double(json, NULL, components->vol_momentum);
    json_put_double(json, NULL, components->token_freshness);
    json_put_double(json, NULL, components->orderflow_imbalance);
    json_array_close(json);
}

static void json_row_market(struct json *json, const struct token_table *table,
                            const struct token *token)
{
    const struct metrics *metrics = &token->state.metrics;
    json_row_components(json, &token->state.smoothed);
    json_put_double(json, "price_usd", metrics->price_usd);
    json_put_double(json, "market_cap_usd", metrics->market_cap_usd);
    json_put_double(json, "delta_p_5m", metrics->delta_p_5m);
    json_put_double(json, "delta_p_15m", metrics->delta_p_15m);
    json_put_double(json, "volume_5m_usd", metrics->volume_5m_usd);
    json_put_int(json, "tx_count_5m", metrics->tx_count_5m);
    json_text(json, "dex", primary_dex_of(table, token));
}

static void json_row(struct json *json, const struct token_table *table, token_id id,
                     const struct token *token, instant now)
{
    instant checked = token->state.checked_at;
    unsigned group = token_column_group(table, id);
    double age = instant_is_never(checked) ? NAN : duration_to_s(instant_diff(now, checked));
    json_object_open(json, NULL);
    json_put_int(json, "id", id);
    json_token_head(json, token);
    json_put_string(json, "group", group < GROUP_COUNT ? token_group_name(group) : NULL);
    json_put_double(json, "age_s", age < 0 ? 0 : age);
    json_put_double(json, "seen_s", duration_to_s(instant_diff(now, token->created_at)));
    json_put_int(json, "pools", token->pool_count);
    if (token_has_data(token))
        json_row_market(json, table, token);
    json_object_close(json);
}

static bool contains(const char *text, const char *part)
{
    return strcasestr(text, part) != NULL;
}

static bool is_wanted(const struct token *token, const char *search)
{
    if (search[0] == '\0' || contains(token->symbol, search) || contains(token->name, search))
        return true;
    char mint[ADDRESS_TEXT_MAX + 1];
    address_format(&token->mint, mint);
    return strncmp(mint, search, strlen(search)) == 0;
}

static uint32_t json_picked(struct json *json, const struct token_table *table,
                            const struct live_query *query, const struct pick *pick)
{
    instant now = clock_now();
    uint32_t shown = 0;
    for (uint32_t i = 0; i < pick->count && shown < query->limit; i++) {
        struct token token;
        pulse();
        if (!token_look(table, pick->ids[i], &token, NULL) || !is_wanted(&token, query->search))
            continue;
        json_row(json, table, pick->ids[i], &token, now);
        shown++;
    }
    return shown;
}

/* A whole mint has no rank to be found by. */
static bool json_mint(struct json *json, const struct token_table *table, const char *search)
{
    struct address mint;
    struct token token;
    if (!address_parse(search, strlen(search), &mint))
        return false;
    token_id id = token_table_find_shared(table, &mint);
    if (id != TOKEN_NONE && token_look(table, id, &token, NULL))
        json_row(json, table, id, &token, clock_now());
    return true;
}

static bool json_rows(struct json *json, const struct token_table *table,
                      const struct live_query *query)
{
    struct pick_query wanted = {
        .statuses = query->statuses,
        .min_score = -DBL_MAX,
        .sort = PICK_SCORE_DESCENDING,
        .limit = query->search[0] != '\0' ? SEARCHED_MAX : (uint32_t)query->limit,
    };
    struct pick *pick = pick_tokens(table, &wanted);
    if (pick == NULL)
        return false;
    json_array_open(json, "tokens");
    if (!json_mint(json, table, query->search))
        json_picked(json, table, query, pick);
    json_array_close(json);
    json_put_int(json, "total", pick->total);
    json_put_int(json, "searched", query->search[0] != '\0' ? pick->count : pick->total);
    free(pick);
    return true;
}

static void json_head(struct json *json, struct api *api, const struct page_texts *texts)
{
    instant now = clock_now();
    const struct freshness_scan *scan =
        freshness_look(api->freshness, api->world.table, api->world.page, now);
    struct readiness readiness;
    readiness_judge(api->world.page, texts, now, &readiness);
    json_instant(json, "now", now);
    json_put_string(json, "version", MOONWATCH_VERSION);
    json_put_string(json, "env", api->options.env);
    json_array_open(json, "not_ready");
    for (unsigned i = 0; i < readiness.count; i++)
        json_put_string(json, NULL, readiness.reasons[i]);
    json_array_close(json);
    json_states(json, api->world.page, texts, now);
    json_object_open(json, "statuses");
    for (int i = 0; i < TOKEN_STATUS_COUNT; i++)
        json_put_int(json, token_status_name((enum token_status)i), scan->statuses[i]);
    json_object_close(json);
    json_groups(json, api->world.page, scan);
    json_budgets(json, api->world.page);
    json_load(json, api->world.page, now);
}

static void show_live(struct request *request)
{
    struct live_query query;
    struct page_texts texts;
    if (!read_query(request, &query) || !page_view(request, &texts))
        return;
    struct json json = {0};
    json_object_open(&json, NULL);
    json_head(&json, request->api, &texts);
    json.failed |= !json_rows(&json, request->api->world.table, &query);
    json_object_close(&json);
    answer_json(request, MHD_HTTP_OK, &json);
}

void handle_live(struct request *request)
{
    aside_handle(request->api->scans, request, show_live);
}
