/* JSON request bodies, strictly: one object, no duplicate keys, nothing after it, no NUL. */
#ifndef MOONWATCH_API_JSON_BODY_H
#define MOONWATCH_API_JSON_BODY_H

#include "api/request.h"

struct json_body;

/* The request's body; NULL after having answered 400. */
struct json_body *json_body_open(struct request *request);
void json_body_close(struct json_body *body);

/* A member that is text of less than `size` bytes; text_copy() has been over it. Absent or null
 * leaves `out` as it is. False after having answered 422. */
bool json_body_text(struct json_body *body, const char *key, char *out, size_t size);

/* The same, taking a number or a boolean as its text, too; it must be there. 400. */
bool json_body_value(struct json_body *body, const char *key, char *out, size_t size);

#endif
