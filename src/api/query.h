/*
 * Query parameters, checked. Each query_…() returns false after having refused the request with a
 * sentence: 422 for a number out of its range, 400 for a word that is none of the known ones or a
 * broken escape. A parameter that is absent or empty leaves the caller's default.
 */
#ifndef MOONWATCH_API_QUERY_H
#define MOONWATCH_API_QUERY_H

#include "api/request.h"

struct query_range {
    int64_t low, high;
};

bool query_integer(struct request *request, const char *name, struct query_range range,
                   int64_t *value);

/* Any finite number. */
bool query_number(struct request *request, const char *name, double *value);

/* ISO 8601; without an offset it is UTC. */
bool query_instant(struct request *request, const char *name, instant *value);

/* Decoded text of less than `size` bytes; left as it is when absent. */
bool query_text(struct request *request, const char *name, char *out, size_t size);

/* One bit (1 << enum token_status) for each status named by `status=S` or, without it,
 * `statuses=S,S`. */
bool query_statuses(struct request *request, unsigned *mask);

#endif
