/* See answer.h. */
#include "api/answer.h"
#include "base/json.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void response_protect(struct MHD_Response *response, const char *content_security_policy)
{
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, "Content-Security-Policy", content_security_policy);
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
}

struct MHD_Response *response_make(const char *text, size_t length, const char *content_type,
                                   enum MHD_ResponseMemoryMode mode)
{
    /* The library takes a pointer to non-const and writes to none of the modes used here. */
    struct MHD_Response *response =
        MHD_create_response_from_buffer(length, (void *)(uintptr_t)text, mode);
    if (response == NULL)
        return NULL;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, content_type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    response_protect(response, POLICY_API);
    return response;
}

void answer(struct request *request, unsigned status, struct MHD_Response *response)
{
    answer_drop(request);
    request->response = response;
    request->response_is_kept = false;
    request->status = status;
}

void answer_kept(struct request *request, unsigned status, struct MHD_Response *response)
{
    answer(request, status, response);
    request->response_is_kept = true;
}

void answer_drop(struct request *request)
{
    if (request->response != NULL && !request->response_is_kept)
        MHD_destroy_response(request->response);
    request->response = NULL;
}

static void answer_no_memory(struct request *request)
{
    static const char text[] = "{\"detail\":\"out of memory\"}";
    answer(request, MHD_HTTP_SERVICE_UNAVAILABLE,
           response_make(text, sizeof text - 1, CONTENT_JSON, MHD_RESPMEM_PERSISTENT));
}

void answer_json(struct request *request, unsigned status, struct json *json)
{
    struct MHD_Response *response = NULL;
    if (!json->failed && json->text != NULL)
        response = response_make(json->text, json->length, CONTENT_JSON, MHD_RESPMEM_MUST_FREE);
    if (response == NULL) {
        json_finish(json);
        answer_no_memory(request);
        return;
    }
    *json = (struct json){0};
    answer(request, status, response);
}

void answer_text(struct request *request, unsigned status, const char *content_type,
                 const char *text, size_t length)
{
    struct MHD_Response *response =
        response_make(text, length, content_type, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        answer_no_memory(request);
    else
        answer(request, status, response);
}

void refuse(struct request *request, unsigned status, const char *format, ...)
{
    char detail[DETAIL_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(detail, sizeof detail, format, arguments);
    va_end(arguments);

    struct json json = {0};
    json_object_open(&json, NULL);
    json_put_string(&json, "detail", detail);
    json_object_close(&json);
    answer_json(request, status, &json);
}
