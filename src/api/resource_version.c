/* GET /health and /version. */
#include "api/answer.h"
#include "api/handlers.h"
#include "base/json.h"

/* /health itself is answered before routing (server.c); "/health/" comes here. */
void handle_health(struct request *request)
{
    static const char text[] = "{\"status\":\"ok\"}";
    answer_text(request, MHD_HTTP_OK, CONTENT_JSON, text, sizeof text - 1);
}

void handle_version(struct request *request)
{
    struct json json = {0};
    json_object_open(&json, NULL);
    json_put_string(&json, "name", "moonwatch");
    json_put_string(&json, "version", MOONWATCH_VERSION);
    json_put_string(&json, "env", request->api->options.env);
    json_object_close(&json);
    answer_json(request, MHD_HTTP_OK, &json);
}
