/* POST /quarantine/{mint}/release: the token is asked for again, alone. */
#include "api/answer.h"
#include "api/engine_link.h"
#include "api/handlers.h"
#include "api/token_json.h"
#include <string.h>

#define RELEASE_PATIENCE_SEC 5

static void answer_release(struct request *request)
{
    if (refuse_unless_done(request, MHD_HTTP_BAD_REQUEST))
        return;
    struct json json = {0};
    json_object_open(&json, NULL);
    json_put_string(&json, "mint_address", request->argument);
    json_put_string(&json, "status", "released");
    json_object_close(&json);
    answer_json(request, MHD_HTTP_OK, &json);
}

void handle_quarantine_release(struct request *request)
{
    struct command command = {.kind = COMMAND_RELEASE};
    if (address_parse(request->argument, strlen(request->argument), &command.mint))
        engine_ask(request, &command, duration_s(RELEASE_PATIENCE_SEC), answer_release);
    else
        refuse(request, MHD_HTTP_NOT_FOUND, "no such token is in quarantine");
}
