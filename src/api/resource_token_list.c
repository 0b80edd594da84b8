/* GET /tokens: a page of tokens, by score or another order, of those that match. */
#include "api/answer.h"
#include "api/handlers.h"
#include "api/list_cache.h"
#include "api/page_view.h"
#include "api/pick.h"
#include "api/query.h"
#include "api/token_json.h"
#include "base/clock.h"
#include <stdlib.h>
#include <string.h>

#define SORT_SIZE   32
#define GROUP_SIZE  16
#define SEARCH_SIZE LIST_SEARCH_SIZE

#define STATUSES_ALIVE (1u << TOKEN_ACTIVE | 1u << TOKEN_MONITORING)
#define STATUSES_ALL   (STATUSES_ALIVE | 1u << TOKEN_ARCHIVED)

static bool query_sort(struct request *request, enum pick_sort *sort)
{
    char text[SORT_SIZE] = "";
    if (!query_text(request, "sort", text, sizeof text))
        return false;
    if (text[0] == '\0')
        return true;
    for (unsigned i = 0; i < PICK_SORT_COUNT; i++) {
        if (strcmp(text, pick_sort_name((enum pick_sort)i)) == 0) {
            *sort = (enum pick_sort)i;
            return true;
        }
    }
    refuse(request, MHD_HTTP_BAD_REQUEST,
           "unknown sort; known are score_desc, age_desc, liquidity_desc and created_desc, and the "
           "same with _asc");
    return false;
}

/* Archived tokens are a group of their own: who asks for that one need not name the status too. */
static bool query_group(struct request *request, struct pick_query *query)
{
    char text[GROUP_SIZE] = "";
    if (!query_text(request, "group", text, sizeof text))
        return false;
    if (text[0] == '\0')
        return true;
    for (unsigned i = 0; i < GROUP_COUNT; i++)
        if (strcmp(text, token_group_name((enum token_group)i)) == 0)
            query->groups = 1u << i;
    if (query->groups == 0)
        refuse(request, MHD_HTTP_BAD_REQUEST, "unknown group; known are hot, cold and archived");
    query->statuses = STATUSES_ALL;
    return query->groups != 0;
}

/* min_score as it is set, read anew when a text of the page has changed. */
static bool default_min_score(struct request *request, double *out)
{
    struct api *api = request->api;
    uint32_t turn = atomic_load_explicit(&api->world.page->text_turn, memory_order_acquire);
    struct page_texts texts;
    if (!api->min_score.is_known || api->min_score.turn != turn) {
        if (!page_view(request, &texts))
            return false;
        api->min_score.value = texts.options.min_score;
        api->min_score.turn = turn;
        api->min_score.is_known = true;
    }
    *out = api->min_score.value;
    return true;
}

static bool read_query(struct request *request, struct pick_query *query, char search[SEARCH_SIZE])
{
    int64_t limit = 0, offset = 0;
    *query = (struct pick_query){.statuses = STATUSES_ALIVE, .sort = PICK_SCORE_DESCENDING};
    search[0] = '\0';
    if (!default_min_score(request, &query->min_score) ||
        !query_integer(request, "limit", &limit) || !query_integer(request, "offset", &offset) ||
        !query_number(request, "min_score", &query->min_score) ||
        !query_sort(request, &query->sort) || !query_group(request, query) ||
        !query_statuses(request, &query->statuses) ||
        !query_text(request, "search", search, SEARCH_SIZE))
        return false;
    query->limit = (uint32_t)limit;
    query->offset = (uint64_t)offset;
    return true;
}

static void json_meta(struct json *json, const struct pick_query *query, const struct pick *pick)
{
    uint64_t shown_until = query->offset + query->limit;
    json_object_open(json, "meta");
    json_put_int(json, "total", pick->total);
    json_put_int(json, "limit", query->limit);
    json_put_int(json, "offset", (int64_t)query->offset);
    json_put_int(json, "page", (int64_t)(query->offset / query->limit + 1));
    json_put_int(json, "page_size", query->limit);
    json_put_bool(json, "has_prev", query->offset > 0);
    json_put_bool(json, "has_next", shown_until < pick->total);
    json_put_string(json, "sort", pick_sort_name(query->sort));
    json_put_double(json, "min_score", query->min_score);
    json_object_close(json);
}

bool token_list_make(const struct token_table *table, const struct list_key *key, struct json *json)
{
    struct pick_query query = key->pick;
    query.search = key->search[0] != '\0' ? key->search : NULL;
    query.now = clock_now();
    struct pick *pick = pick_tokens(table, &query);
    if (pick == NULL)
        return false;
    json_object_open(json, NULL);
    json_put_int(json, "total", pick->total);
    json_array_open(json, "items");
    for (uint32_t i = 0; i < pick->count; i++) {
        struct token token;
        if (token_look(table, pick->ids[i], &token, NULL))
            json_token_item(json, NULL, table, &token);
    }
    json_array_close(json);
    json_meta(json, &query, pick);
    json_object_close(json);
    free(pick);
    return true;
}

void handle_token_list(struct request *request)
{
    struct pick_query query;
    struct list_key key;
    char search[SEARCH_SIZE];
    if (!read_query(request, &query, search))
        return;
    list_key_init(&key, &query, search, packing_of(request));
    list_cache_answer(request->api->lists, request, &key);
}
