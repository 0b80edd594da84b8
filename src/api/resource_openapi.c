/* GET /openapi.json */
#include "api/answer.h"
#include "api/handlers.h"
#include "api/openapi.h"
#include "api/tagged.h"

void handle_openapi(struct request *request)
{
    struct json json = {0};
    openapi_write(&json);
    answer_tagged(request, &json);
}
