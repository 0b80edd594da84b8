/*
 * GET /events: server-sent events of what changes (events.h). topics, mints and statuses say of
 * what; the Last-Event-ID header, or last_event_id for clients that cannot send it, what is known
 * already.
 */
#include "api/answer.h"
#include "api/events.h"
#include "api/handlers.h"
#include "api/pick.h"
#include "api/query.h"
#include <string.h>

#define TOPICS_SIZE 128
#define MINTS_SIZE  (EVENT_MINTS_MAX * (ADDRESS_TEXT_MAX + 1))
#define ALL_BITS    (~0U)

static bool query_topics(struct request *request, unsigned *topics)
{
    char text[TOPICS_SIZE] = "";
    *topics = ALL_BITS & ~(1U << TOPIC_LOG);
    if (!query_text(request, "topics", text, sizeof text))
        return false;
    if (text[0] == '\0')
        return true;
    *topics = 0;
    for (const char *at = text; at != NULL;) {
        size_t length = strcspn(at, ",");
        enum event_topic topic;
        if (!event_topic_parse(at, length, &topic)) {
            refuse(request, MHD_HTTP_BAD_REQUEST,
                   "unknown topic '%.*s'; known are token, alert, load, incident, health, log and "
                   "pulse",
                   (int)length, at);
            return false;
        }
        *topics |= 1U << topic;
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    return true;
}

static bool add_mint(struct request *request, const char *text, size_t length,
                     struct event_filter *filter)
{
    struct address mint;
    if (!address_parse(text, length, &mint)) {
        refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "'%.*s' in mints is no mint address",
               (int)(length < ADDRESS_TEXT_MAX ? length : ADDRESS_TEXT_MAX), text);
        return false;
    }
    if (filter->mint_count == EVENT_MINTS_MAX) {
        refuse(request, MHD_HTTP_UNPROCESSABLE_CONTENT, "more than %d mints", EVENT_MINTS_MAX);
        return false;
    }
    filter->ids[filter->mint_count] = token_seek(request->api->world.table, &mint);
    filter->mints[filter->mint_count++] = event_mint(&mint);
    return true;
}

static bool query_mints(struct request *request, struct event_filter *filter)
{
    char text[MINTS_SIZE] = "";
    if (!query_text(request, "mints", text, sizeof text))
        return false;
    if (text[0] == '\0')
        return true;
    for (const char *at = text; at != NULL;) {
        size_t length = strcspn(at, ",");
        if (!add_mint(request, at, length, filter))
            return false;
        at = at[length] == ',' ? at + length + 1 : NULL;
    }
    event_filter_sort(filter);
    return true;
}

/* What no id of ours could be is cut: then it is none. */
static bool read_last_id(struct request *request, char out[EVENT_ID_SIZE])
{
    const char *header =
        MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, "Last-Event-ID");
    out[0] = '\0';
    if (header != NULL)
        strncat(out, header, EVENT_ID_SIZE - 1);
    return header != NULL || query_text(request, "last_event_id", out, EVENT_ID_SIZE);
}

void handle_events(struct request *request)
{
    struct event_filter filter = {.statuses = ALL_BITS};
    char last_id[EVENT_ID_SIZE];
    if (query_topics(request, &filter.topics) && query_statuses(request, &filter.statuses) &&
        query_mints(request, &filter) && read_last_id(request, last_id))
        events_answer(request->api->events, request, &filter, last_id);
}
