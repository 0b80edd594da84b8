/* Starting, stopping, and each request's way through route, guard, body and handler. See api.h. */
#include "api/answer.h"
#include "api/aside.h"
#include "api/connections.h"
#include "api/engine_link.h"
#include "api/events.h"
#include "api/freshness.h"
#include "api/guard.h"
#include "api/history.h"
#include "api/http_loop.h"
#include "api/list_cache.h"
#include "api/pulse.h"
#include "api/router.h"
#include "api/web.h"
#include "base/clock.h"
#include "base/listen.h"
#include "base/log.h"
#include "page/state_dir.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CONNECTIONS_MAX             512        /* and those that listen to /events */
#define CONNECTIONS_PER_ADDRESS_MAX 256        /* of these; one client cannot take them all */
#define CONNECTION_MEMORY           (12 << 10) /* what is read and parsed; cleared for each request */
#define TARGET_MAX                  (6 << 10) /* path and query: a hundred mints */
#define HEAD_MAX                    (8 << 10) /* request line and headers */
#define IDLE_TIMEOUT_SEC            15
#define BODY_FORGOTTEN_MAX          (64 << 10)   /* of routes that take no body */
#define BODY_STREAM_MAX             (64LL << 20) /* 1.4 million mints */
#define BODY_DRAIN_FACTOR           4 /* a body this many times too large is cut off unread */

#define BODY_SEC        30  /* to send a body */
#define BODY_STREAM_SEC 600 /* an import goes at the pace of the disk */

/* Stands for every request for /health, which needs nothing of its own. */
static char health_request;
/* Stands for a request whose path and query are too long, until its headers are in. */
static char long_target;

/* ---- a request's life ---- */

static struct request *request_create(struct api *api, struct MHD_Connection *connection)
{
    struct request *request = calloc(1, sizeof *request);
    if (request == NULL)
        return NULL;
    request->api = api;
    request->connection = connection;
    api->requests_open++;
    return request;
}

static void request_destroy(struct request *request)
{
    request->api->requests_open--;
    if (request->state_free != NULL)
        request->state_free(request);
    answer_drop(request);
    free(request->body);
    free(request);
}

static void on_completed(void *context, struct MHD_Connection *connection, void **request_context,
                         enum MHD_RequestTerminationCode how)
{
    (void)context;
    if (how == MHD_REQUEST_TERMINATED_COMPLETED_OK) /* another one may follow */
        connection_set_deadline(connection,
                                instant_add(clock_now(), duration_s(CONNECTION_HEAD_SEC)));
    if (*request_context != NULL && *request_context != &health_request &&
        *request_context != &long_target)
        request_destroy(*request_context);
    *request_context = NULL;
}

static void count_answer(struct api *api, unsigned status)
{
    page_add(api->world.page, COUNTER_API_REQUESTS, 1);
    if (status >= 400)
        page_add(api->world.page, COUNTER_API_REFUSED, 1);
}

/* Pages of the origin that is set may read what we answer. What is kept gets the header once. */
static void allow_origin(const struct api *api, struct MHD_Response *response)
{
    const char *origin = api->options.cors_origin;
    if (origin[0] == '\0' ||
        MHD_get_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN) != NULL)
        return;
    MHD_add_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_ORIGIN, origin);
    MHD_add_response_header(response, MHD_HTTP_HEADER_ACCESS_CONTROL_EXPOSE_HEADERS, "ETag");
}

/* Sends what the handler answered. Without an answer, and not waiting, there was no memory. */
static enum MHD_Result request_send(struct request *request)
{
    if (request->response == NULL)
        return MHD_NO;
    count_answer(request->api, request->status);
    page_add_duration(request->api->world.page, HISTOGRAM_API_REQUEST,
                      instant_diff(clock_now(), request->began_at));
    allow_origin(request->api, request->response);
    enum MHD_Result result =
        MHD_queue_response(request->connection, request->status, request->response);
    answer_drop(request);
    return result;
}

/* ---- bodies ---- */

static uint64_t body_max(const struct route *route)
{
    switch (route->body) {
    case BODY_JSON:
        return BODY_JSON_MAX;
    case BODY_STREAM:
        return BODY_STREAM_MAX;
    case BODY_NONE:
        break;
    }
    return BODY_FORGOTTEN_MAX;
}

static uint64_t body_announced(struct request *request)
{
    const char *text = MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND,
                                                   MHD_HTTP_HEADER_CONTENT_LENGTH);
    return text != NULL ? strtoull(text, NULL, 10) : 0;
}

static void refuse_body(struct request *request)
{
    refuse(request, MHD_HTTP_CONTENT_TOO_LARGE, "the body is over %" PRIu64 " bytes%s",
           request->body_max, request->on_body != NULL ? "; what came before was taken" : "");
}

static void body_append(struct request *request, const char *data, size_t size)
{
    char *larger = realloc(request->body, request->body_length + size + 1);
    if (larger == NULL) {
        refuse(request, MHD_HTTP_SERVICE_UNAVAILABLE, "out of memory");
        return;
    }
    memcpy(larger + request->body_length, data, size);
    request->body = larger;
    request->body_length += size;
    larger[request->body_length] = '\0';
}

/* Returns how much of the piece was taken. What comes after a refusal is read and forgotten. */
static size_t body_take(struct request *request, const char *data, size_t size)
{
    if (request->response == NULL && request->body_seen + size > request->body_max)
        refuse_body(request);
    size_t taken = size;
    if (request->response == NULL && request->on_body != NULL)
        taken = request->on_body(request, data, size);
    else if (request->response == NULL && request->route->body == BODY_JSON)
        body_append(request, data, size);
    request->body_seen += taken;
    return taken;
}

/* ---- a request's way ---- */

static size_t head_size(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE);
    return info != NULL ? info->header_size : 0;
}

/* To OPTIONS: what there is, also for a browser that asks before it lets a page of the origin that
 * is set do more than read. */
static void answer_methods(struct request *request, const char *allow)
{
    answer_text(request, MHD_HTTP_NO_CONTENT, CONTENT_JSON, "", 0);
    if (request->response == NULL)
        return;
    MHD_add_response_header(request->response, MHD_HTTP_HEADER_ALLOW, allow);
    if (request->api->options.cors_origin[0] == '\0')
        return;
    MHD_add_response_header(request->response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_METHODS, allow);
    MHD_add_response_header(request->response, MHD_HTTP_HEADER_ACCESS_CONTROL_ALLOW_HEADERS,
                            "Authorization, Content-Type, If-None-Match, Last-Event-ID");
    MHD_add_response_header(request->response, MHD_HTTP_HEADER_ACCESS_CONTROL_MAX_AGE, "600");
}

static void request_route(struct request *request, const char *method, const char *path)
{
    struct route_result found;
    route_find(method, path, &found);
    switch (found.match) {
    case ROUTE_FOUND:
        request->route = found.route;
        memcpy(request->argument, found.argument, sizeof request->argument);
        break;
    case ROUTE_UNKNOWN:
        refuse(request, MHD_HTTP_NOT_FOUND, "no such resource");
        break;
    case ROUTE_MALFORMED:
        refuse(request, MHD_HTTP_BAD_REQUEST, "the path is malformed");
        break;
    case ROUTE_NOT_METHOD:
        if (strcmp(method, MHD_HTTP_METHOD_OPTIONS) == 0) {
            answer_methods(request, found.allow);
            break;
        }
        refuse(request, MHD_HTTP_METHOD_NOT_ALLOWED, "this resource takes %s", found.allow);
        if (request->response != NULL)
            MHD_add_response_header(request->response, MHD_HTTP_HEADER_ALLOW, found.allow);
        break;
    }
}

static void request_route_checked(struct request *request, const char *method, const char *path,
                                  bool is_long)
{
    if (is_long)
        refuse(request, MHD_HTTP_URI_TOO_LONG, "path and query are over %d bytes", TARGET_MAX);
    else if (head_size(request->connection) > HEAD_MAX)
        refuse(request, MHD_HTTP_REQUEST_HEADER_FIELDS_TOO_LARGE,
               "request line and headers are over %d bytes", HEAD_MAX);
    else
        request_route(request, method, path);
}

/* The headers are in: everything that can be refused without the body is. A refusal whose body is
 * small is sent after reading it, so that the client is still there to hear it. */
static enum MHD_Result request_begin(struct request *request, const char *method, const char *path,
                                     bool is_long)
{
    request->body_max = BODY_FORGOTTEN_MAX;
    request->is_head = strcmp(method, "HEAD") == 0;
    request_route_checked(request, method, path, is_long);
    const struct route *route = request->route;
    bool is_stream = route != NULL && route->body == BODY_STREAM;
    duration patience = duration_s(is_stream ? BODY_STREAM_SEC : BODY_SEC);
    request->began_at = clock_now();
    connection_set_deadline(request->connection, instant_add(request->began_at, patience));
    if (route != NULL && (route->access == ACCESS_READ || guard_allows_write(request))) {
        request->body_max = body_max(route);
        if (body_announced(request) > request->body_max)
            refuse_body(request);
        else if (route->body == BODY_STREAM)
            route->handler(request);
    }
    if (request->response != NULL && body_announced(request) > BODY_FORGOTTEN_MAX)
        return request_send(request);
    return MHD_YES;
}

static enum MHD_Result request_run(struct request *request)
{
    connection_set_deadline(request->connection, INSTANT_FAR);
    if (request->response == NULL) {
        request_step *step = request->next != NULL ? request->next : request->route->handler;
        request->next = NULL;
        step(request);
    }
    /* From here on a waiting request may be gone to another thread. */
    return request->waits ? MHD_YES : request_send(request);
}

static bool is_health(struct MHD_Connection *connection, const char *method, const char *path)
{
    return strcmp(path, "/health") == 0 &&
           (strcmp(method, "GET") == 0 || strcmp(method, "HEAD") == 0) &&
           head_size(connection) <= HEAD_MAX;
}

/* An answer before the second call would end the connection. */
static enum MHD_Result health_answer(struct api *api, struct MHD_Connection *connection,
                                     size_t *size)
{
    if (*size > 0) {
        *size = 0;
        return MHD_YES;
    }
    count_answer(api, MHD_HTTP_OK);
    return MHD_queue_response(connection, MHD_HTTP_OK, api->health);
}

static enum MHD_Result on_access(void *context, struct MHD_Connection *connection, const char *path,
                                 const char *method, const char *version, const char *data,
                                 size_t *size, void **request_context)
{
    (void)version;
    struct api *api = context;
    struct request *request = *request_context;
    pulse(); /* one turn of the loop may serve all connections */
    if (request == NULL && is_health(connection, method, path)) {
        *request_context = &health_request;
        return MHD_YES;
    }
    if (*request_context == &health_request)
        return health_answer(api, connection, size);
    bool is_long = *request_context == &long_target;
    if (request == NULL || is_long) {
        *request_context = request = request_create(api, connection);
        return request != NULL ? request_begin(request, method, path, is_long) : MHD_NO;
    }
    request->waits = false;
    if (*size == 0)
        return request_run(request);
    *size -= body_take(request, data, *size);
    return request->body_seen > request->body_max * BODY_DRAIN_FACTOR ? MHD_NO : MHD_YES;
}

/* The request line is in; what is returned stands for the request. */
static void *on_target(void *context, const char *target, struct MHD_Connection *connection)
{
    (void)context, (void)connection;
    return strlen(target) > TARGET_MAX ? &long_target : NULL;
}

/* Escapes stay: the router and query.c decode strictly, and after splitting. */
static size_t keep_escapes(void *context, struct MHD_Connection *connection, char *text)
{
    (void)context, (void)connection;
    return strlen(text);
}

__attribute__((format(printf, 2, 0))) static void on_library_log(void *context, const char *format,
                                                                 va_list arguments)
{
    (void)context;
    char line[512];
    vsnprintf(line, sizeof line, format, arguments);
    line[strcspn(line, "\n")] = '\0';
    log_debug("api", "HTTP library", LOG_STRING("says", line));
}

/* ---- start and stop ---- */

static bool daemon_start(struct api *api, int listen_fd, int family)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    unsigned most = CONNECTIONS_MAX + (unsigned)api->options.events_clients_max;
    if (family == AF_INET6)
        flags |= MHD_USE_IPv6;
    api->daemon = MHD_start_daemon(
        flags, 0, connections_admit, api->connections, on_access, api, MHD_OPTION_EXTERNAL_LOGGER,
        on_library_log, NULL, MHD_OPTION_LISTEN_SOCKET, listen_fd, MHD_OPTION_CONNECTION_LIMIT,
        most, MHD_OPTION_CONNECTION_TIMEOUT, IDLE_TIMEOUT_SEC, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_UNESCAPE_CALLBACK,
        keep_escapes, NULL, MHD_OPTION_NOTIFY_COMPLETED, on_completed, NULL,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, NULL, MHD_OPTION_NOTIFY_CONNECTION,
        connections_on_change, api->connections, MHD_OPTION_END);
    return api->daemon != NULL;
}

static bool loop_start(struct api *api)
{
    const struct http_loop_parts parts = {.daemon = api->daemon,
                                          .page = api->world.page,
                                          .options = &api->options,
                                          .requests_open = &api->requests_open};
    return http_loop_start(api->loop, &parts);
}

/* With what a load balancer, or a browser that strays here, needs and no more: it is asked for most
 * of all. */
static struct MHD_Response *health_make(const struct api *api)
{
    static char text[] = "{\"status\":\"ok\"}";
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof text - 1, text, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return NULL;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, CONTENT_JSON);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    allow_origin(api, response);
    return response;
}

static struct events *events_make(struct api *api)
{
    const struct events_parts parts = {.page = api->world.page,
                                       .table = api->world.table,
                                       .options = &api->options,
                                       .incidents_folder = api->incidents_folder,
                                       .aside = api->aside,
                                       .loop = api->loop};
    return parts.aside != NULL && parts.loop != NULL ? events_create(&parts) : NULL;
}

static bool parts_make(struct api *api)
{
    api->history = history_create(api->world.store_url, api->world.page);
    api->aside = aside_create();
    api->scans = aside_create();
    api->searches = aside_create();
    api->lists = list_cache_create(token_list_make);
    api->freshness = freshness_create();
    api->web = web_create();
    api->connections = connections_create(CONNECTIONS_PER_ADDRESS_MAX);
    api->loop = http_loop_create();
    api->health = health_make(api);
    api->events = events_make(api);
    return api->events != NULL && api->history != NULL && api->aside != NULL &&
           api->scans != NULL && api->searches != NULL && api->lists != NULL &&
           api->freshness != NULL && api->web != NULL && api->connections != NULL &&
           api->health != NULL;
}

/* Opens the socket, or takes the one that is open already. */
static bool socket_find(struct api *api, struct listen_socket *out, char why[512])
{
    if (api->world.listening == NULL)
        return listen_open(api->options.listen, api->options.api_token[0] != '\0', out, why);
    *out = *api->world.listening;
    return true;
}

static bool server_start(struct api *api, char why[512])
{
    struct listen_socket listening;
    if (!socket_find(api, &listening, why))
        return false;
    api->port = listening.port;
    snprintf(why, 512, "no memory or threads for the HTTP server on %s", api->options.listen);
    if (!parts_make(api) || !daemon_start(api, listening.fd, listening.family)) {
        close(listening.fd);
        return false;
    }
    return loop_start(api); /* the socket is the library's now */
}

static void find_incidents(struct api *api)
{
    char state[PATH_MAX];
    state_dir_path(&api->options, state);
    if (snprintf(api->incidents_folder, PATH_MAX, "%s/incidents", state) >= PATH_MAX)
        api->incidents_folder[0] = '\0';
}

struct api *api_start(const struct api_world *world, char why[512])
{
    struct api *api = calloc(1, sizeof *api);
    if (api == NULL) {
        close(world->command_fd);
        snprintf(why, 512, "no memory for the HTTP API");
        return NULL;
    }
    api->world = *world;
    api->options = *world->options;
    api->world.options = &api->options;
    api->started_at = clock_now();
    find_incidents(api);
    api->link = engine_link_create(world->command_fd, world->page, &api->options);
    if (api->link == NULL)
        snprintf(why, 512, "no memory or threads for the HTTP API");
    if (api->link != NULL && server_start(api, why))
        return api;
    api_stop(api);
    return NULL;
}

uint16_t api_port(const struct api *api)
{
    return api->port;
}

/* Whoever waits for others is told first, then the loop ends with all answers sent. Lists come from
 * memory, so they are made until then. The library must not be stopped with suspended connections.
 */
void api_stop(struct api *api)
{
    if (api == NULL)
        return;
    engine_link_shut(api->link);
    history_shut(api->history);
    aside_shut(api->aside);
    events_shut(api->events);
    http_loop_stop(api->loop);
    aside_shut(api->scans); /* who is still there had more time than a list takes */
    aside_shut(api->searches);
    list_cache_shut(api->lists);
    if (api->daemon != NULL)
        MHD_stop_daemon(api->daemon);
    connections_destroy(api->connections);
    engine_link_destroy(api->link);
    history_destroy(api->history);
    aside_destroy(api->aside);
    aside_destroy(api->scans);
    aside_destroy(api->searches);
    list_cache_destroy(api->lists);
    freshness_destroy(api->freshness);
    events_destroy(api->events);
    web_destroy(api->web);
    http_loop_destroy(api->loop);
    if (api->health != NULL)
        MHD_destroy_response(api->health);
    free(api);
}
