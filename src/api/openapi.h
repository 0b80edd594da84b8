/*
 * The API's description of itself: OpenAPI 3.1, made from the rows of routes.def, which the router
 * and the query parser work by, and from schemas.json, the shapes of the answers. A test asks a
 * live daemon for each example in it and holds the answers against the shapes.
 */
#ifndef MOONWATCH_API_OPENAPI_H
#define MOONWATCH_API_OPENAPI_H

#include "base/json.h"

/* The whole document. */
void openapi_write(struct json *json);

/* schemas.json: an object, name → JSON Schema. */
extern const char api_schemas[];
extern const size_t api_schemas_length;

#endif
