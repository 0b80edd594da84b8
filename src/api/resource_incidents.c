/* GET /incidents and /incidents/{number}. */
#include "api/answer.h"
#include "api/aside.h"
#include "api/handlers.h"
#include "api/incidents.h"
#include "api/query.h"
#include "base/log.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DIGITS_MAX 18 /* fits 64 bits */

struct incidents_query {
    struct api *api;
    unsigned limit;
    uint64_t number; /* 0: the newest */
    enum err err;
    unsigned damaged;
    struct json json;
};

static void query_free(struct request *request)
{
    struct incidents_query *query = request->state;
    json_finish(&query->json);
    free(query);
}

/* NULL after 503. Until it was read it is not available. */
static struct incidents_query *query_make(struct request *request)
{
    struct incidents_query *query = calloc(1, sizeof *query);
    if (query == NULL) {
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
        return NULL;
    }
    query->api = request->api;
    query->err = ERR_UNAVAILABLE;
    request->state = query;
    request->state_free = query_free;
    return query;
}

/* A line when their number changes, not one for each look. Only the thread aside does this. */
static void tell_damaged(struct api *api, unsigned damaged)
{
    if (damaged > 0 && damaged != api->incidents_damaged)
        log_warning("api", "incidents that are damaged are not shown", LOG_INT("files", damaged),
                    LOG_STRING("folder", api->incidents_folder));
    api->incidents_damaged = damaged;
}

static void read_newest(void *state)
{
    struct incidents_query *query = state;
    json_array_open(&query->json, NULL);
    query->damaged = incidents_put_newest(&query->json, query->api->incidents_folder, query->limit);
    json_array_close(&query->json);
    query->err = OK;
    tell_damaged(query->api, query->damaged);
}

static void answer_newest(struct request *request)
{
    struct incidents_query *query = request->state;
    char count[16];
    if (query->err != OK) {
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "shutting down");
        return;
    }
    answer_json(request, MHD_HTTP_OK, &query->json);
    snprintf(count, sizeof count, "%u", query->damaged);
    if (request->response != NULL)
        MHD_add_response_header(request->response, "Moonwatch-Damaged", count);
}

void handle_incidents(struct request *request)
{
    int64_t limit = 0;
    if (!query_integer(request, "limit", &limit))
        return;
    struct incidents_query *query = query_make(request);
    if (query == NULL)
        return;
    query->limit = (unsigned)limit;
    aside_ask(request->api->aside, request, read_newest, answer_newest);
}

static void read_one(void *state)
{
    struct incidents_query *query = state;
    query->err = incident_put(&query->json, NULL, query->api->incidents_folder, query->number);
}

static void answer_one(struct request *request)
{
    struct incidents_query *query = request->state;
    switch (query->err) {
    case OK:
        answer_json(request, MHD_HTTP_OK, &query->json);
        return;
    case ERR_NOT_FOUND:
        refuse(request, MHD_HTTP_NOT_FOUND, "there is no incident %" PRIu64, query->number);
        return;
    case ERR_CORRUPT:
        refuse(request, MHD_HTTP_NOT_FOUND, "incident %" PRIu64 " is damaged", query->number);
        return;
    default:
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "incident %" PRIu64 " can't be read: %s",
               query->number, err_text(query->err));
    }
}

void handle_incident(struct request *request)
{
    size_t digits = strspn(request->argument, "0123456789");
    uint64_t number = 0;
    if (digits <= DIGITS_MAX && request->argument[digits] == '\0')
        number = strtoull(request->argument, NULL, 10);
    if (number == 0) {
        refuse(request, MHD_HTTP_NOT_FOUND, "incidents have numbers, from 1 on");
        return;
    }
    struct incidents_query *query = query_make(request);
    if (query == NULL)
        return;
    query->number = number;
    aside_ask(request->api->aside, request, read_one, answer_one);
}
