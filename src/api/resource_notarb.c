/* GET /notarb/…: for arbitrage bots. */
#include "api/answer.h"
#include "api/aside.h"
#include "api/handlers.h"
#include "api/notarb.h"
#include "api/page_view.h"
#include "api/tagged.h"
#include "api/token_json.h"
#include "base/clock.h"
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

static void show_pools(struct request *request)
{
    struct page_texts texts;
    struct notarb_token tokens[NOTARB_TOKENS_MAX];
    if (!page_view(request, &texts))
        return;
    unsigned count =
        notarb_choose(request->api->world.table, texts.options.notarb_min_score, tokens);
    struct json json = {0};
    notarb_write_pools(&json, tokens, count);
    answer_tagged(request, &json);
}

static void json_market(struct json *json, const struct notarb_token *chosen)
{
    json_object_open(json, NULL);
    json_address(json, "mint_address", &chosen->token.mint);
    json_text(json, "symbol", chosen->token.symbol);
    json_text(json, "name", chosen->token.name);
    json_put_double(json, "score", chosen->token.state.score);
    json_array_open(json, "pools");
    for (unsigned i = 0; i < chosen->pool_count; i++)
        json_address(json, NULL, &chosen->pools[i]);
    json_array_close(json);
    json_object_close(json);
}

static void show_markets(struct request *request)
{
    struct page_texts texts;
    struct notarb_token tokens[NOTARB_TOKENS_MAX];
    if (!page_view(request, &texts))
        return;
    double min_score = texts.options.notarb_min_score;
    unsigned count = notarb_choose(request->api->world.table, min_score, tokens);
    struct json json = {0};
    json_object_open(&json, NULL);
    json_object_open(&json, "metadata");
    json_instant(&json, "generated_at", clock_now());
    json_put_string(&json, "generator", "Moonwatch " MOONWATCH_VERSION);
    json_put_double(&json, "min_score_threshold", min_score);
    json_put_int(&json, "total_tokens", count);
    json_object_close(&json);
    json_array_open(&json, "tokens");
    for (unsigned i = 0; i < count; i++)
        json_market(&json, &tokens[i]);
    json_array_close(&json);
    json_object_close(&json);
    answer_tagged(request, &json);
}

void handle_notarb_file(struct request *request)
{
    const char *path = request->api->options.export_path;
    struct stat file;
    bool exists = path[0] != '\0' && stat(path, &file) == 0;
    struct json json = {0};
    json_object_open(&json, NULL);
    json_text(&json, "path", path);
    json_put_bool(&json, "exists", exists);
    if (exists) {
        int64_t us = (int64_t)file.st_mtim.tv_sec * 1000000 + file.st_mtim.tv_nsec / 1000;
        json_put_int(&json, "size_bytes", file.st_size);
        json_instant(&json, "modified_at", (instant){us});
    } else {
        json_put_null(&json, "size_bytes");
        json_put_null(&json, "modified_at");
    }
    json_object_close(&json);
    answer_tagged(request, &json);
}

void handle_notarb_pools(struct request *request)
{
    aside_handle(request->api->scans, request, show_pools);
}

void handle_notarb_markets(struct request *request)
{
    aside_handle(request->api->scans, request, show_markets);
}
