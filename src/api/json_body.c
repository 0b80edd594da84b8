/* See json_body.h. */
#include "api/json_body.h"

#include "api/answer.h"
#include "base/text.h"
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

struct json_body {
    struct request *request;
    json_t *root;
};

struct json_body *json_body_open(struct request *request)
{
    json_error_t error = {0};
    const char *text = request->body != NULL ? request->body : "";
    json_t *root = json_loadb(text, request->body_length, JSON_REJECT_DUPLICATES, &error);
    struct json_body *body = root != NULL ? malloc(sizeof *body) : NULL;
    if (body != NULL && json_is_object(root)) {
        *body = (struct json_body){.request = request, .root = root};
        return body;
    }
    if (root == NULL)
        refuse(request, MHD_HTTP_BAD_REQUEST, "the body is not JSON: %s (line %d, column %d)",
               error.text, error.line, error.column);
    else if (body == NULL)
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
    else
        refuse(request, MHD_HTTP_BAD_REQUEST, "the body must be a JSON object");
    json_decref(root);
    free(body);
    return NULL;
}

void json_body_close(struct json_body *body)
{
    if (body == NULL)
        return;
    json_decref(body->root);
    free(body);
}

bool json_body_text(struct json_body *body, const char *key, char *out, size_t size)
{
    const json_t *member = json_object_get(body->root, key);
    if (member == NULL || json_is_null(member))
        return true;
    if (!json_is_string(member)) {
        refuse(body->request, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s must be text", key);
        return false;
    }
    if (json_string_length(member) >= size) {
        refuse(body->request, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s is longer than %zu bytes", key,
               size - 1);
        return false;
    }
    text_copy(out, size, json_string_value(member), json_string_length(member));
    return true;
}

bool json_body_value(struct json_body *body, const char *key, char *out, size_t size)
{
    const json_t *member = json_object_get(body->root, key);
    if (json_is_string(member) && json_string_length(member) < size) {
        text_copy(out, size, json_string_value(member), json_string_length(member));
        return true;
    }
    if (json_is_boolean(member)) {
        snprintf(out, size, "%s", json_is_true(member) ? "true" : "false");
        return true;
    }
    if (json_is_number(member)) {
        size_t length =
            json_dumpb(member, out, size - 1, JSON_ENCODE_ANY | JSON_REAL_PRECISION(15));
        out[length < size ? length : 0] = '\0';
        return true;
    }
    refuse(body->request, MHD_HTTP_BAD_REQUEST,
           "the body must have \"%s\": text of at most %zu bytes, a number or a boolean", key,
           size - 1);
    return false;
}
