/*
 * From method and path to a route. The table is routes.def; matching is pure: bytes in, a route and
 * its argument out. The path comes as it was sent, still percent-encoded, so that an encoded slash
 * or NUL cannot pass for another path.
 */
#ifndef MOONWATCH_API_ROUTER_H
#define MOONWATCH_API_ROUTER_H

#include "api/request.h"

enum route_match {
    ROUTE_FOUND,
    ROUTE_UNKNOWN,    /* 404 */
    ROUTE_NOT_METHOD, /* 405; `allow` says which */
    ROUTE_MALFORMED,  /* 400: a broken escape, a control character, no UTF-8 */
};

#define ALLOW_SIZE 64

struct route_result {
    enum route_match match;
    const struct route *route;
    char argument[PATH_ARGUMENT_SIZE];
    char allow[ALLOW_SIZE];
};

void route_find(const char *method, const char *path, struct route_result *out);

/* The rows, for what is made from them: OpenAPI, tests. */
const struct route *route_table(size_t *count);

/* Percent-decodes `length` bytes. False for a broken escape, NUL or other control characters, what
 * is no UTF-8, or what does not fit. */
bool percent_decode(const char *text, size_t length, char *out, size_t size);

#endif
