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

/* What stands below a row. */
enum query_type {
    QUERY_INTEGER,
    QUERY_NUMBER,
    QUERY_TEXT,
    QUERY_TIME,
    QUERY_CHOICE,
    QUERY_CHOICES
};

struct route_query {
    enum query_type type;
    const char *name;
    double low, high;
    const char *value;    /* without it; "": the handler's own */
    const char *example;  /* "": not in the example request */
    const char *sentence; /* of choices with "a|b: " before it */
};

struct route_body_note {
    const char *content_type, *example, *schema;
};

struct route_answer {
    unsigned status;
    const char *content_type;
    const char *schema; /* NULL: no JSON */
};

enum note_kind { NOTE_ROUTE, NOTE_QUERY, NOTE_BODY, NOTE_ANSWER };

struct route_note {
    enum note_kind kind;
    union {
        struct route_query query;
        struct route_body_note body;
        struct route_answer answer;
    };
};

/* Up to the first NOTE_ROUTE, which is the next route's or the end. */
const struct route_note *route_notes(const struct route *route);

/* NULL: it has no such parameter. */
const struct route_query *route_query(const struct route *route, const char *name);

/* A token of the bundled market, so that examples can be tried with `make run`. */
#define EXAMPLE_MINT "6WiPdtpzZDo5CnEcSB99g6UYGaCEG49ZbRQ4UxPFpump"

/* Percent-decodes `length` bytes. False for a broken escape, NUL or other control characters, what
 * is no UTF-8, or what does not fit. */
bool percent_decode(const char *text, size_t length, char *out, size_t size);

#endif
