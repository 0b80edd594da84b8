/* See token_find.h. */
#include "api/token_find.h"

#include "api/answer.h"
#include "api/pick.h"
#include "core/finding.h"
#include <string.h>

token_id token_find(struct request *request, struct token *token, struct pool pools[POOLS_MAX])
{
    const struct token_table *table = request->api->world.table;
    struct address mint;
    bool is_loading = page_get(request->api->world.page, GAUGE_LOADING) == 1; /* before the look */
    token_id id = TOKEN_NONE;
    if (address_parse(request->argument, strlen(request->argument), &mint))
        id = token_seek(table, &mint);
    if (id != TOKEN_NONE && token_look(table, id, token, pools))
        return id;
    if (is_loading)
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "%s", finding_sentence(FINDING_LOADING));
    else if (id != TOKEN_NONE)
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE,
               "the engine died while it wrote this token; "
               "it is there again when the next one runs");
    else
        refuse(request, MHD_HTTP_NOT_FOUND, "token not found");
    return TOKEN_NONE;
}
