/* See query.h. */
#include "api/query.h"

#include "api/answer.h"
#include "api/router.h"
#include "base/clock.h"
#include "base/text.h"
#include <assert.h>
#include <string.h>

#define VALUE_SIZE 128 /* of a number or a list of statuses */

/* Whoever reads what nobody is told of has forgotten a row. */
static const struct route_query *row_of(const struct request *request, const char *name)
{
    const struct route_query *row = route_query(request->route, name);
    assert(row != NULL);
    return row;
}

static bool get_text(struct request *request, const char *name, char *out, size_t size)
{
    const char *raw = NULL;
    size_t length = 0;
    if (MHD_lookup_connection_value_n(request->connection, MHD_GET_ARGUMENT_KIND, name,
                                      strlen(name), &raw, &length) != MHD_YES ||
        raw == NULL || length == 0)
        return true;
    if (percent_decode(raw, length, out, size))
        return true;
    refuse(request, MHD_HTTP_BAD_REQUEST, "%s is malformed or too long", name);
    return false;
}

bool query_text(struct request *request, const char *name, char *out, size_t size)
{
    const struct route_query *row = row_of(request, name);
    if (!get_text(request, name, out, size))
        return false;
    if (row->type != QUERY_TEXT || strlen(out) <= row->high)
        return true;
    refuse(request, MHD_HTTP_BAD_REQUEST, "%s is too long: at most %g bytes", name, row->high);
    return false;
}

bool query_integer(struct request *request, const char *name, int64_t *value)
{
    const struct route_query *row = row_of(request, name);
    char text[VALUE_SIZE] = "";
    int64_t number;
    if (!get_text(request, name, text, sizeof text))
        return false;
    const char *given = text[0] != '\0' ? text : row->value;
    if (given[0] == '\0')
        return true;
    if (text_parse_int(given, strlen(given), &number) && (double)number >= row->low &&
        (double)number <= row->high) {
        *value = number;
        return true;
    }
    refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s must be a whole number from %.0f to %.0f",
           name, row->low, row->high);
    return false;
}

bool query_number(struct request *request, const char *name, double *value)
{
    const struct route_query *row = row_of(request, name);
    char text[VALUE_SIZE] = "";
    double number;
    if (!get_text(request, name, text, sizeof text))
        return false;
    const char *given = text[0] != '\0' ? text : row->value;
    if (given[0] == '\0')
        return true;
    if (text_parse_double(given, strlen(given), &number) && number >= row->low &&
        number <= row->high) { /* NaN is not */
        *value = number;
        return true;
    }
    refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "%s must be a number from %g to %g", name,
           row->low, row->high);
    return false;
}

/* The library takes a plus for a blank, as forms write it; in a time it stands before the offset.
 */
bool query_instant(struct request *request, const char *name, instant *value)
{
    char text[VALUE_SIZE] = "";
    (void)row_of(request, name);
    if (!get_text(request, name, text, sizeof text))
        return false;
    char *blank = strchr(text, 'T') != NULL ? strrchr(text, ' ') : NULL;
    if (blank != NULL)
        *blank = '+';
    instant found;
    if (text[0] == '\0')
        return true;
    if (iso_time_parse(text, &found) && found.us > 0) { /* no time of ours is before 1970 */
        *value = found;
        return true;
    }
    refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT,
           "%s must be a time such as 2026-11-26T14:30:00Z", name);
    return false;
}

bool query_statuses(struct request *request, unsigned *mask)
{
    char text[VALUE_SIZE] = "";
    if (!query_text(request, "status", text, sizeof text))
        return false;
    if (text[0] == '\0' && !query_text(request, "statuses", text, sizeof text))
        return false;
    if (text[0] == '\0')
        return true;
    unsigned found = 0;
    for (const char *at = text; at != NULL;) {
        size_t length = strcspn(at, ",");
        enum token_status status;
        if (!token_status_parse(at, length, &status)) {
            refuse(request, MHD_HTTP_BAD_REQUEST,
                   "unknown status '%.*s'; known are monitoring, active and archived", (int)length,
                   at);
            return false;
        }
        found |= 1u << status;
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    *mask = found;
    return true;
}
