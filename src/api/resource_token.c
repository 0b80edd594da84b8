/* GET /tokens/{mint} and /tokens/{mint}/pools; POST /tokens/{mint}/refresh. */
#include "api/answer.h"
#include "api/engine_link.h"
#include "api/handlers.h"
#include "api/history.h"
#include "api/pick.h"
#include "api/query.h"
#include "api/tagged.h"
#include "api/token_find.h"
#include "api/token_json.h"
#include <stdlib.h>
#include <string.h>

#define REFRESH_PATIENCE_SEC 30 /* an upstream request takes at most 20 by default */

static void json_history(struct json *json, const struct snapshots_query *query)
{
    json_array_open(json, "score_history");
    for (int i = 0; query != NULL && i < query->base.count; i++) {
        const struct store_snapshot *snapshot = &query->snapshots[i];
        json_object_open(json, NULL);
        json_instant(json, "created_at", snapshot->at);
        json_put_double(json, "score", snapshot->score);
        json_metrics(json, &snapshot->metrics, snapshot->primary_dex, snapshot->at);
        json_object_close(json);
    }
    json_array_close(json);
    /* Not one of the fixed fields: there only when the history is missing for a bad reason. */
    if (query != NULL && query->base.count < 0)
        json_put_string(json, "score_history_error", "the store can't be read now");
}

/* Runs again once the history is there: the token is read anew, so it is as fresh as can be. */
static void answer_token(struct request *request)
{
    const struct token_table *table = request->api->world.table;
    struct token token;
    struct pool pools[POOLS_MAX];
    if (!token_find(request, &token, pools))
        return;
    bool has_data = token_has_data(&token);
    struct json json = {0};
    json_object_open(&json, NULL);
    json_token_head(&json, &token);
    json_metrics(&json, has_data ? &token.state.metrics : NULL,
                 has_data ? primary_dex_of(table, &token) : NULL, token.state.fetched_at);
    json_history(&json, request->state);
    json_pools(&json, "pools", table, &token, pools);
    json_solscan_token(&json, &token.mint);
    json_object_close(&json);
    answer_tagged(request, &json);
}

void handle_token(struct request *request)
{
    struct token token;
    int64_t limit = 0;
    if (!query_integer(request, "history_limit", &limit) || !token_find(request, &token, NULL))
        return;
    if (token.state.snapshot_id <= 0) {
        answer_token(request);
        return;
    }
    struct snapshots_query *query = malloc(sizeof *query);
    if (query == NULL) {
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
        return;
    }
    query->base = (struct history_query){
        .read = history_read_snapshots,
        .token = token_seek(request->api->world.table, &token.mint),
        .newest_id = token.state.snapshot_id,
    };
    query->limit = (int)limit;
    history_ask(request, &query->base, answer_token);
}

void handle_token_pools(struct request *request)
{
    struct token token;
    struct pool pools[POOLS_MAX];
    if (!token_find(request, &token, pools))
        return;
    struct json json = {0};
    json_pools(&json, NULL, request->api->world.table, &token, pools);
    answer_tagged(request, &json);
}

static void answer_refresh(struct request *request)
{
    if (request->reply.result == RESULT_NOT_FOUND) {
        refuse(request, MHD_HTTP_NOT_FOUND, "token not found");
        return;
    }
    if (refuse_unless_done(request, MHD_HTTP_BAD_REQUEST))
        return;
    struct json json = {0};
    json_object_open(&json, NULL);
    if (request->reply.snapshot_id > 0)
        json_put_int(&json, "updated_snapshot_id", request->reply.snapshot_id);
    else
        json_put_null(&json, "updated_snapshot_id");
    json_put_double(&json, "score", request->reply.score);
    json_object_close(&json);
    answer_json(request, MHD_HTTP_OK, &json);
}

void handle_token_refresh(struct request *request)
{
    struct token token;
    if (!token_find(request, &token, NULL))
        return;
    struct command command = {.kind = COMMAND_REFRESH, .mint = token.mint};
    engine_ask(request, &command, duration_s(REFRESH_PATIENCE_SEC), answer_refresh);
}
