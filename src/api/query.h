/*
 * Query parameters, checked. Bounds and defaults are those of the parameter's row in routes.def;
 * one that has no row there cannot be read. Each query_…() returns false after having refused the
 * request with a sentence: 422 for a number out of its range, 400 for a word that is none of the
 * known ones, a broken escape or a text that is too long. A parameter that is absent or empty
 * leaves the row's default, or the caller's where the row has none.
 */
#ifndef MOONWATCH_API_QUERY_H
#define MOONWATCH_API_QUERY_H

#include "api/request.h"

bool query_integer(struct request *request, const char *name, int64_t *value);
bool query_number(struct request *request, const char *name, double *value);

/* ISO 8601; without an offset it is UTC. */
bool query_instant(struct request *request, const char *name, instant *value);

/* Decoded text of less than `size` bytes; left as it is when absent. */
bool query_text(struct request *request, const char *name, char *out, size_t size);

/* One bit (1 << enum token_status) for each status named by `status=S` or, without it,
 * `statuses=S,S`. */
bool query_statuses(struct request *request, unsigned *mask);

#endif
