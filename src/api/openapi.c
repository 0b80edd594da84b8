/* See openapi.h. https://spec.openapis.org/oas/v3.1.0 */
#include "api/openapi.h"

#include "api/router.h"
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NAME_SIZE 128

/* What the {…} of patterns stand for. X(name, type, pattern, example, sentence) */
#define ARGUMENT_LIST(X)                                                                           \
    X(mint, "string", "^[1-9A-HJ-NP-Za-km-z]{32,44}$", EXAMPLE_MINT, "A token's address.")         \
    X(key, "string", "^[a-z0-9_]+$", "hot_interval_sec", "A setting's name.")                      \
    X(number, "integer", NULL, "1", "An incident's number, from 1 on.")                            \
    X(file, "string", NULL, "index.js", "A file's name.")                                          \
    X(page, "string", NULL, "settings", "A page's name.")

struct argument_row {
    const char *name, *type, *pattern, *example, *sentence;
};

static const struct argument_row arguments[] = {
#define X(name, type, pattern, example, sentence) {#name, type, pattern, example, sentence},
    ARGUMENT_LIST(X)
#undef X
};

/* ---- pieces ---- */

static void put_reference(struct json *json, const char *key, const char *schema)
{
    char target[NAME_SIZE];
    snprintf(target, sizeof target, "#/components/schemas/%s", schema);
    json_object_open(json, key);
    json_put_string(json, "$ref", target);
    json_object_close(json);
}

/* The example as the type that it is of. */
static void put_value(struct json *json, const char *key, const char *type, const char *text)
{
    if (strcmp(type, "string") == 0)
        json_put_string(json, key, text);
    else
        json_put_double(json, key, strtod(text, NULL));
}

static void put_choices(struct json *json, const char *choices, size_t length)
{
    json_array_open(json, "enum");
    for (const char *end = choices + length; choices < end;) {
        const char *bar = memchr(choices, '|', (size_t)(end - choices));
        const char *stop = bar != NULL ? bar : end;
        json_put_string_n(json, NULL, choices, (size_t)(stop - choices));
        choices = stop + 1;
    }
    json_array_close(json);
}

/* ---- parameters ---- */

static const char *type_of(enum query_type type)
{
    return type == QUERY_INTEGER ? "integer" : type == QUERY_NUMBER ? "number" : "string";
}

static void put_bounds(struct json *json, const struct route_query *query)
{
    switch (query->type) {
    case QUERY_INTEGER:
    case QUERY_NUMBER:
        json_put_double(json, "minimum", query->low);
        json_put_double(json, "maximum", query->high);
        break;
    case QUERY_TEXT:
        json_put_double(json, "maxLength", query->high);
        break;
    case QUERY_TIME:
        json_put_string(json, "format", "date-time");
        break;
    case QUERY_CHOICE:
    case QUERY_CHOICES:
        put_choices(json, query->sentence, strcspn(query->sentence, ":"));
        break;
    }
}

static void put_schema(struct json *json, const struct route_query *query)
{
    const char *type = type_of(query->type);
    json_object_open(json, "schema");
    if (query->type == QUERY_CHOICES) {
        json_put_string(json, "type", "array");
        json_object_open(json, "items");
    }
    json_put_string(json, "type", type);
    put_bounds(json, query);
    if (query->type == QUERY_CHOICES)
        json_object_close(json);
    if (query->value[0] != '\0')
        put_value(json, "default", type, query->value);
    json_object_close(json);
}

static void put_list_example(struct json *json, const char *text)
{
    json_array_open(json, "example");
    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        json_put_string_n(json, NULL, text, length);
        text += length + (text[length] == ',');
    }
    json_array_close(json);
}

static const char *words_of(const struct route_query *query)
{
    bool is_choice = query->type == QUERY_CHOICE || query->type == QUERY_CHOICES;
    return is_choice ? strchr(query->sentence, ':') + 2 : query->sentence;
}

static void put_query(struct json *json, const struct route_query *query)
{
    json_object_open(json, NULL);
    json_put_string(json, "name", query->name);
    json_put_string(json, "in", "query");
    json_put_string(json, "description", words_of(query));
    if (query->type == QUERY_CHOICES) {
        json_put_string(json, "style", "form");
        json_put_bool(json, "explode", false);
    }
    put_schema(json, query);
    if (query->example[0] != '\0' && query->type == QUERY_CHOICES)
        put_list_example(json, query->example);
    else if (query->example[0] != '\0')
        put_value(json, "example", type_of(query->type), query->example);
    json_object_close(json);
}

/* The row of the {…} in a pattern; NULL: it has none. */
static const struct argument_row *argument_of(const char *pattern)
{
    const char *brace = strchr(pattern, '{');
    for (size_t i = 0; brace != NULL && i < sizeof arguments / sizeof arguments[0]; i++) {
        size_t length = strlen(arguments[i].name);
        if (strncmp(brace + 1, arguments[i].name, length) == 0 && brace[length + 1] == '}')
            return &arguments[i];
    }
    return NULL;
}

static void put_argument(struct json *json, const struct argument_row *row)
{
    json_object_open(json, NULL);
    json_put_string(json, "name", row->name);
    json_put_string(json, "in", "path");
    json_put_bool(json, "required", true);
    json_put_string(json, "description", row->sentence);
    json_object_open(json, "schema");
    json_put_string(json, "type", row->type);
    if (row->pattern != NULL)
        json_put_string(json, "pattern", row->pattern);
    json_object_close(json);
    put_value(json, "example", row->type, row->example);
    json_object_close(json);
}

static void put_parameters(struct json *json, const struct route *route)
{
    const struct argument_row *argument = argument_of(route->pattern);
    json_array_open(json, "parameters");
    if (argument != NULL)
        put_argument(json, argument);
    for (const struct route_note *note = route_notes(route); note->kind != NOTE_ROUTE; note++)
        if (note->kind == NOTE_QUERY)
            put_query(json, &note->query);
    json_array_close(json);
}

/* ---- bodies ---- */

static void put_content(struct json *json, const char *type, const char *schema)
{
    json_object_open(json, "content");
    json_object_open(json, type);
    if (schema != NULL)
        put_reference(json, "schema", schema);
    json_object_close(json);
    json_object_close(json);
}

static void put_body(struct json *json, const struct route_body_note *body)
{
    bool is_json = strcmp(body->content_type, "application/json") == 0;
    json_object_open(json, "requestBody");
    json_put_bool(json, "required", true);
    json_object_open(json, "content");
    json_object_open(json, body->content_type);
    put_reference(json, "schema", body->schema);
    if (is_json)
        json_put_raw(json, "example", body->example, strlen(body->example));
    else
        json_put_string(json, "example", body->example);
    json_object_close(json);
    json_object_close(json);
    json_object_close(json);
}

static const char *status_words(unsigned status)
{
    const char *words = MHD_get_reason_phrase_for(status);
    return words != NULL ? words : "An answer.";
}

static void put_answers(struct json *json, const struct route *route)
{
    char key[8];
    json_object_open(json, "responses");
    for (const struct route_note *note = route_notes(route); note->kind != NOTE_ROUTE; note++) {
        if (note->kind != NOTE_ANSWER)
            continue;
        snprintf(key, sizeof key, "%u", note->answer.status);
        json_object_open(json, key);
        json_put_string(json, "description", status_words(note->answer.status));
        put_content(json, note->answer.content_type, note->answer.schema);
        json_object_close(json);
    }
    static const char *const refusals[][2] = {
        {"4XX", "It was refused: what was wrong, and what is right."},
        {"5XX", "It cannot be answered now: why not."},
    };
    for (size_t i = 0; i < 2; i++) {
        json_object_open(json, refusals[i][0]);
        json_put_string(json, "description", refusals[i][1]);
        put_content(json, "application/json", "Error");
        json_object_close(json);
    }
    json_object_close(json);
}

/* ---- operations ---- */

/* get_tokens_mint_pools */
static void put_operation_id(struct json *json, const struct route *route)
{
    char name[NAME_SIZE];
    size_t length = 0;
    bool between = false;
    for (const char *at = route->method; *at != '\0'; at++)
        name[length++] = (char)tolower((unsigned char)*at);
    for (const char *at = route->pattern; *at != '\0' && length + 2 < sizeof name; at++) {
        between = between || !isalnum((unsigned char)*at);
        if (!isalnum((unsigned char)*at))
            continue;
        if (between)
            name[length++] = '_';
        between = false;
        name[length++] = *at;
    }
    json_put_string_n(json, "operationId", name, length);
}

/* By the first segment: "/tokens/{mint}" is "tokens". */
static void put_tag(struct json *json, const struct route *route)
{
    const char *segment = route->pattern + 1;
    size_t length = strcspn(segment, "/.");
    json_array_open(json, "tags");
    if (length > 0)
        json_put_string_n(json, NULL, segment, length);
    else
        json_put_string(json, NULL, "app");
    json_array_close(json);
}

static void put_security(struct json *json, const struct route *route)
{
    json_array_open(json, "security");
    if (route->access == ACCESS_WRITE) {
        json_object_open(json, NULL);
        json_array_open(json, "token");
        json_array_close(json);
        json_object_close(json);
    }
    json_object_open(json, NULL); /* nothing, or nothing from this machine */
    json_object_close(json);
    json_array_close(json);
}

static void put_operation(struct json *json, const struct route *route)
{
    char method[16] = "";
    for (size_t i = 0; route->method[i] != '\0' && i + 1 < sizeof method; i++)
        method[i] = (char)tolower((unsigned char)route->method[i]);
    json_object_open(json, method);
    put_operation_id(json, route);
    put_tag(json, route);
    json_put_string(json, "summary", route->sentence);
    put_security(json, route);
    put_parameters(json, route);
    for (const struct route_note *note = route_notes(route); note->kind != NOTE_ROUTE; note++)
        if (note->kind == NOTE_BODY)
            put_body(json, &note->body);
    put_answers(json, route);
    json_object_close(json);
}

/* Methods of a pattern stand together, wherever their rows are. */
static void put_paths(struct json *json)
{
    size_t count;
    const struct route *routes = route_table(&count);
    json_object_open(json, "paths");
    for (size_t i = 0; i < count; i++) {
        size_t first = 0;
        while (strcmp(routes[first].pattern, routes[i].pattern) != 0)
            first++;
        if (first != i)
            continue;
        json_object_open(json, routes[i].pattern);
        for (size_t other = i; other < count; other++)
            if (strcmp(routes[other].pattern, routes[i].pattern) == 0)
                put_operation(json, &routes[other]);
        json_object_close(json);
    }
    json_object_close(json);
}

static void put_info(struct json *json)
{
    json_object_open(json, "info");
    json_put_string(json, "title", "Moonwatch");
    json_put_string(json, "version", MOONWATCH_VERSION);
    json_put_string(json, "description",
                    "Keeps a population of Solana tokens fresh. Refusals are {\"detail\"}; times "
                    "are ISO 8601 in UTC; unknown query parameters are ignored; a path with a "
                    "slash at its end is the same. Reads are open. Writes need the API token where "
                    "one is set; otherwise they come from the machine itself.");
    json_object_open(json, "license");
    json_put_string(json, "name", "MIT");
    json_put_string(json, "identifier", "MIT");
    json_object_close(json);
    json_object_close(json);
    json_array_open(json, "servers");
    json_object_open(json, NULL);
    json_put_string(json, "url", "/");
    json_object_close(json);
    json_array_close(json);
}

static void put_components(struct json *json)
{
    json_object_open(json, "components");
    json_put_raw(json, "schemas", api_schemas, api_schemas_length);
    json_object_open(json, "securitySchemes");
    json_object_open(json, "token");
    json_put_string(json, "type", "http");
    json_put_string(json, "scheme", "bearer");
    json_object_close(json);
    json_object_close(json);
    json_object_close(json);
}

void openapi_write(struct json *json)
{
    json_object_open(json, NULL);
    json_put_string(json, "openapi", "3.1.0");
    put_info(json);
    put_paths(json);
    put_components(json);
    json_object_close(json);
}
