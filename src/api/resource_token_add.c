/* POST /tokens: one token, durable before it is acknowledged. */
#include "api/answer.h"
#include "api/engine_link.h"
#include "api/handlers.h"
#include "api/json_body.h"
#include <stdio.h>
#include <string.h>

#define ADD_PATIENCE_SEC 15
#define MINT_TEXT_SIZE   128 /* longer than a mint, so that the complaint is about its length */

static void write_answer(struct request *request, const char *mint)
{
    bool is_new = request->reply.result == RESULT_CREATED;
    char text[ADDRESS_TEXT_MAX + 128];
    int length = snprintf(text, sizeof text, "{\"mint_address\":\"%s\",\"status\":\"%s\"}", mint,
                          is_new ? "added" : "known");
    answer_text(request, is_new ? MHD_HTTP_CREATED : MHD_HTTP_OK, CONTENT_JSON, text,
                (size_t)length);
}

static void answer_added(struct request *request)
{
    if (!refuse_unless_done(request, MHD_HTTP_UNPROCESSABLE_CONTENT))
        write_answer(request, request->argument);
}

/* False after a refusal. */
static bool read_body(struct request *request, struct json_body *body, struct command *command)
{
    char mint[MINT_TEXT_SIZE] = "";
    if (!json_body_text(body, "mint_address", mint, sizeof mint) ||
        !json_body_text(body, "name", command->name, sizeof command->name) ||
        !json_body_text(body, "symbol", command->symbol, sizeof command->symbol))
        return false;
    if (!address_parse(mint, strlen(mint), &command->mint)) {
        refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "mint_address: %s",
               address_complaint(mint, strlen(mint)));
        return false;
    }
    address_format(&command->mint, request->argument);
    return true;
}

void handle_token_add(struct request *request)
{
    struct json_body *body = json_body_open(request);
    if (body == NULL)
        return;
    struct command command = {.kind = COMMAND_ADD_TOKEN};
    bool is_good = read_body(request, body, &command);
    json_body_close(body);
    if (is_good)
        engine_ask(request, &command, duration_s(ADD_PATIENCE_SEC), answer_added);
}
