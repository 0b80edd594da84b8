/*
 * One HTTP request, from its headers to its answer.
 *
 * The server (server.c) makes it, finds its route, asks the guard, collects its body and calls the
 * route's handler. A handler leaves it in one of two ways: it ANSWERS (answer.h), or it WAITS: for
 * the engine (engine_link.h) or for history (history.h), naming the step that goes on once what it
 * waits for is there. A waiting request is a suspended connection: it costs no thread.
 *
 * Handlers and steps run on the one HTTP thread; only what they wait for runs elsewhere.
 */
#ifndef MOONWATCH_API_REQUEST_H
#define MOONWATCH_API_REQUEST_H

#include "api/api.h"
#include "page/command.h"
#include <limits.h>
#include <microhttpd.h>

struct request;
typedef void request_step(struct request *request);

/* Takes a piece of a streamed body; returns how many bytes it took. Taking fewer than all is only
 * allowed after suspending the connection. */
typedef size_t request_on_body(struct request *request, const char *data, size_t size);

enum route_access { ACCESS_READ, ACCESS_WRITE };

/* NONE: a body is read and forgotten. JSON: collected, then the handler is called. STREAM: the
 * handler is called at once and sets `on_body` and `next`, which is called at the end. */
enum route_body { BODY_NONE, BODY_JSON, BODY_STREAM };

struct route {
    const char *method;
    const char *pattern; /* "/tokens/{mint}": at most one {…} */
    enum route_access access;
    enum route_body body;
    request_step *handler;
    const char *sentence; /* for people and for OpenAPI */
};

#define PATH_ARGUMENT_SIZE 128        /* decoded; no mint, no setting is as long */
#define BODY_JSON_MAX      (64 << 10) /* the largest documented body has some hundred bytes */

struct request {
    struct api *api;
    struct MHD_Connection *connection;
    instant began_at; /* its headers were in */
    const struct route *route;
    bool is_head;                      /* a GET whose body nobody wants */
    char argument[PATH_ARGUMENT_SIZE]; /* what {…} stands for; "" for none */

    char *body; /* of BODY_JSON */
    size_t body_length;
    uint64_t body_seen; /* bytes, also of what was not kept */
    uint64_t body_max;

    bool waits;                    /* suspended; the HTTP thread's own note */
    struct MHD_Response *response; /* the answer, once there is one */
    bool response_is_kept;         /* it belongs to someone who serves it again and again */
    unsigned status;

    request_step *next;       /* the step after the wait, or after a streamed body */
    request_on_body *on_body; /* BODY_STREAM */
    struct reply reply;       /* of the engine, before `next` */
    void *state;              /* the handler's own, freed by `state_free` */
    void (*state_free)(struct request *request);
};

/* What the api's files share. */
struct api {
    struct api_world world;
    struct options options; /* as they were at the start: listen, api_token, env, export_path… */
    struct MHD_Daemon *daemon;
    struct http_loop *loop;
    unsigned requests_open; /* begun and not completed; the HTTP thread's */
    struct engine_link *link;
    struct history *history;
    struct aside *aside;
    struct aside *scans;    /* what looks at every token */
    struct aside *searches; /* what reads every token's slot: that takes tenths of a second */
    struct list_cache *lists;
    struct { /* the setting, for lists; the HTTP thread's */
        double value;
        uint32_t turn; /* of the page's texts, that it was read at */
        bool is_known;
    } min_score;
    struct freshness *freshness;
    struct events *events;
    struct web *web;
    struct connections *connections;
    struct MHD_Response *health;
    instant started_at;
    uint16_t port;
    char incidents_folder[PATH_MAX]; /* "": the path is too long */
    unsigned incidents_damaged;      /* as last seen; the aside thread's */
};

#endif
