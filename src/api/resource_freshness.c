/* GET /health/freshness and /ready. */
#include "api/answer.h"
#include "api/aside.h"
#include "api/freshness.h"
#include "api/handlers.h"
#include "api/page_view.h"
#include "api/readiness.h"
#include "api/state_json.h"
#include "base/clock.h"

static void json_reasons(struct json *json, const struct readiness *readiness)
{
    json_array_open(json, "reasons");
    for (unsigned i = 0; i < readiness->count; i++)
        json_put_string(json, NULL, readiness->reasons[i]);
    json_array_close(json);
}

static void show_freshness(struct request *request)
{
    const struct api_world *world = &request->api->world;
    struct page_texts texts;
    struct readiness readiness;
    instant now = clock_now();
    if (!page_view(request, &texts))
        return;
    readiness_judge(world->page, &texts, now, &readiness);
    struct json json = {0};
    json_object_open(&json, NULL);
    json_put_string(&json, "status", readiness.count == 0 ? "healthy" : "degraded");
    json_reasons(&json, &readiness);
    json_groups(&json, world->page,
                freshness_look(request->api->freshness, world->table, world->page, now));
    json_budgets(&json, world->page);
    json_object_close(&json);
    answer_json(request, MHD_HTTP_OK, &json);
}

void handle_ready(struct request *request)
{
    struct page_texts texts;
    struct readiness readiness;
    if (!page_view(request, &texts))
        return;
    readiness_judge(request->api->world.page, &texts, clock_now(), &readiness);
    bool is_ready = readiness.count == 0;
    struct json json = {0};
    json_object_open(&json, NULL);
    json_put_string(&json, "status", is_ready ? "ready" : "not_ready");
    if (!is_ready)
        json_put_string(&json, "detail", readiness.reasons[0]);
    json_reasons(&json, &readiness);
    json_object_close(&json);
    answer_json(request, is_ready ? MHD_HTTP_OK : MHD_HTTP_SERVICE_UNAVAILABLE, &json);
}

void handle_freshness(struct request *request)
{
    aside_handle(request->api->scans, request, show_freshness);
}
