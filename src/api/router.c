/* See router.h. */
#include "api/router.h"

#include "api/handlers.h"
#include "api/history.h"
#include "api/incidents.h"
#include "base/text.h"
#include <stdio.h>
#include <string.h>

static const struct route routes[] = {
#define ROUTE(method_, pattern_, access_, body_, handler_, sentence_)                              \
    {.method = #method_,                                                                           \
     .pattern = pattern_,                                                                          \
     .access = ACCESS_##access_,                                                                   \
     .body = BODY_##body_,                                                                         \
     .handler = handler_,                                                                          \
     .sentence = sentence_},
#include "api/routes.def"
#undef ROUTE
};

#define ROUTE_COUNT (sizeof routes / sizeof routes[0])

const struct route *route_table(size_t *count)
{
    *count = ROUTE_COUNT;
    return routes;
}

/* ---- what stands below a row ---- */

/* The rows in their order; a last one ends the notes of the last route. */
static const struct route_note notes[] = {
#define ROUTE(method, pattern, access, body, handler, sentence) {.kind = NOTE_ROUTE},
#define QUERY(type_, name_, low_, high_, value_, example_, sentence_)                              \
    {.kind = NOTE_QUERY,                                                                           \
     .query = {.type = QUERY_##type_,                                                              \
               .name = #name_,                                                                     \
               .low = (double)(low_),                                                              \
               .high = (double)(high_),                                                            \
               .value = value_,                                                                    \
               .example = example_,                                                                \
               .sentence = sentence_}},
#define BODY(type, example_, schema_)                                                              \
    {.kind = NOTE_BODY, .body = {.content_type = type, .example = example_, .schema = #schema_}},
#define ANSWER(status_, schema_)                                                                   \
    {.kind = NOTE_ANSWER,                                                                          \
     .answer = {.status = status_, .content_type = "application/json", .schema = #schema_}},
#define ANSWER_AS(status_, type)                                                                   \
    {.kind = NOTE_ANSWER, .answer = {.status = status_, .content_type = type}},
#include "api/routes.def"
#undef ROUTE
    {.kind = NOTE_ROUTE},
};

const struct route_note *route_notes(const struct route *route)
{
    const struct route_note *note = notes;
    for (size_t before = (size_t)(route - routes); before > 0; before--)
        do
            note++;
        while (note->kind != NOTE_ROUTE);
    return note + 1;
}

const struct route_query *route_query(const struct route *route, const char *name)
{
    for (const struct route_note *note = route_notes(route); note->kind != NOTE_ROUTE; note++)
        if (note->kind == NOTE_QUERY && strcmp(note->query.name, name) == 0)
            return &note->query;
    return NULL;
}

/* ---- matching ---- */

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

#define CLEAN_SIZE 8192 /* the longest that anybody asks for are a hundred mints */

/* text_copy() changes exactly what strangers must not send. */
static bool is_clean(const char *text, size_t length)
{
    char copy[CLEAN_SIZE];
    if (length >= sizeof copy)
        return false;
    return text_copy(copy, sizeof copy, text, length) == length && memcmp(copy, text, length) == 0;
}

bool percent_decode(const char *text, size_t length, char *out, size_t size)
{
    size_t written = 0;
    for (size_t i = 0; i < length; i++) {
        int byte = (unsigned char)text[i];
        if (text[i] == '%') {
            if (length - i < 3)
                return false;
            int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
            if (high < 0 || low < 0)
                return false;
            byte = high << 4 | low;
            i += 2;
        }
        if (written + 1 >= size || byte == 0)
            return false;
        out[written++] = (char)byte;
    }
    out[written] = '\0';
    return is_clean(out, written);
}

enum segment_match { PATTERN_DIFFERS, PATTERN_MATCHES, PATTERN_BAD_ARGUMENT };

/* Compares segment by segment; `argument` gets what the {…} of the pattern stands for. */
static enum segment_match pattern_compare(const char *pattern, const char *path, size_t length,
                                          char argument[PATH_ARGUMENT_SIZE])
{
    const char *end = path + length;
    argument[0] = '\0';
    while (*pattern != '\0') {
        if (path == end || *pattern++ != '/' || *path++ != '/')
            return PATTERN_DIFFERS;
        size_t pattern_length = strcspn(pattern, "/");
        const char *stop = memchr(path, '/', (size_t)(end - path));
        size_t path_length = (size_t)((stop != NULL ? stop : end) - path);
        if (*pattern == '{') {
            if (path_length == 0)
                return PATTERN_DIFFERS;
            if (!percent_decode(path, path_length, argument, PATH_ARGUMENT_SIZE))
                return PATTERN_BAD_ARGUMENT;
        } else if (pattern_length != path_length || memcmp(pattern, path, path_length) != 0) {
            return PATTERN_DIFFERS;
        }
        pattern += pattern_length;
        path += path_length;
    }
    return path == end ? PATTERN_MATCHES : PATTERN_DIFFERS;
}

static void allow_add(char allow[ALLOW_SIZE], const char *method)
{
    if (strstr(allow, method) != NULL)
        return;
    size_t length = strlen(allow);
    const char *both = strcmp(method, "GET") == 0 ? "GET, HEAD" : method;
    snprintf(allow + length, ALLOW_SIZE - length, "%s%s", length > 0 ? ", " : "", both);
}

static bool method_serves(const char *method, const char *asked)
{
    return strcmp(method, asked) == 0 || (strcmp(asked, "HEAD") == 0 && strcmp(method, "GET") == 0);
}

void route_find(const char *method, const char *path, struct route_result *out)
{
    *out = (struct route_result){.match = ROUTE_UNKNOWN};
    size_t length = strlen(path);
    if (length > 1 && path[length - 1] == '/')
        length--;
    for (size_t i = 0; i < ROUTE_COUNT; i++) {
        switch (pattern_compare(routes[i].pattern, path, length, out->argument)) {
        case PATTERN_DIFFERS:
            break;
        case PATTERN_BAD_ARGUMENT:
            out->match = ROUTE_MALFORMED;
            return;
        case PATTERN_MATCHES:
            if (method_serves(routes[i].method, method)) {
                out->match = ROUTE_FOUND;
                out->route = &routes[i];
                return;
            }
            out->match = ROUTE_NOT_METHOD;
            allow_add(out->allow, routes[i].method);
            break;
        }
    }
}
