/* The control port: see control.h. */
#include "market/control.h"
#include "base/clock.h"
#include "base/json.h"
#include "base/log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void take_json(struct http_reply *reply, struct json *json)
{
    if (json->failed) {
        json_finish(json);
        reply->status = 500;
        return;
    }
    reply->type = "application/json";
    reply->body = json->text;
    reply->length = json->length;
}

static void reply_problem(struct http_reply *reply, int status, const char *why)
{
    struct json json = {0};
    reply->status = status;
    json_object_open(&json, NULL);
    json_put_string(&json, "error", why);
    json_object_close(&json);
    take_json(reply, &json);
}

/* ---- faults ---- */

static void show_fault(const struct fault *fault, instant now, struct json *json)
{
    json_object_open(json, NULL);
    json_put_string(json, "fault", fault_name(fault->type));
    json_array_open(json, "kinds");
    for (unsigned kind = 0; kind < ROUTE_COUNT; kind++)
        if (fault->kinds & 1u << kind)
            json_put_string(json, NULL, route_name((enum route_kind)kind));
    json_array_close(json);
    json_put_double(json, "probability", fault->probability);
    if (fault->until.us != INSTANT_FAR.us)
        json_put_double(json, "seconds_left", duration_to_s(instant_diff(fault->until, now)));
    if (fault->left != INT64_MAX)
        json_put_int(json, "count_left", fault->left);
    json_put_int(json, "struck", (int64_t)fault->struck);
    json_object_close(json);
}

static void show_faults(struct control *control, struct http_reply *reply, instant now)
{
    struct json json = {0};
    json_array_open(&json, NULL);
    for (size_t i = 0; i < control->faults->count; i++)
        show_fault(&control->faults->list[i], now, &json);
    json_array_close(&json);
    take_json(reply, &json);
}

static void add_fault(struct control *control, const struct http_request *request,
                      struct http_reply *reply, instant now)
{
    char why[FAULT_MESSAGE_SIZE];
    const char *body = request->body != NULL ? request->body : "";
    size_t length = request->body != NULL ? request->body_length : 0;
    if (faults_add(control->faults, body, length, now, why) != OK) {
        reply_problem(reply, 400, why);
        return;
    }
    log_info(
        "market", "fault added",
        LOG_STRING("fault", fault_name(control->faults->list[control->faults->count - 1].type)));
    stream_check_faults(control->stream);
    show_faults(control, reply, now);
}

static void remove_faults(struct control *control, const char *name, struct http_reply *reply,
                          instant now)
{
    if (*name == '\0') {
        faults_clear(control->faults);
    } else {
        enum fault_type type = fault_find(name);
        if (type == FAULT_TYPE_COUNT) {
            reply_problem(reply, 404, "no such fault");
            return;
        }
        faults_remove(control->faults, type);
    }
    log_info("market", "faults ended", LOG_STRING("fault", *name == '\0' ? "all" : name));
    show_faults(control, reply, now);
}

static void answer_fault(struct control *control, const struct http_request *request,
                         const char *name, struct http_reply *reply)
{
    instant now = clock_now();
    faults_expire(control->faults, now);
    if (strcmp(request->method, "POST") == 0 && *name == '\0')
        add_fault(control, request, reply, now);
    else if (strcmp(request->method, "DELETE") == 0)
        remove_faults(control, name, reply, now);
    else if (strcmp(request->method, "GET") == 0 && *name == '\0')
        show_faults(control, reply, now);
    else
        reply_problem(reply, 405, "GET, POST or DELETE /fault, DELETE /fault/NAME");
    control_check_down(control);
}

void control_check_down(struct control *control)
{
    instant now = clock_now();
    struct fault fault;
    faults_expire(control->faults, now);
    if (faults_strike_type(control->faults, FAULT_DOWN, now, &fault)) {
        stream_drop_all(control->stream);
        http_down(control->market);
    } else if (http_up(control->market) != OK) {
        log_error("market", "cannot listen again on the market's port; trying on");
    }
}

/* ---- statistics ---- */

static const char *const status_names[STATS_STATUS_COUNT] = {
#define X(status) #status,
    STATS_STATUS_LIST(X)
#undef X
        "other"};

static void show_kind(const struct market_stats *stats, unsigned kind, struct json *json)
{
    uint64_t requests = stats->requests[kind];
    json_object_open(json, route_name((enum route_kind)kind));
    json_put_int(json, "requests", (int64_t)requests);
    json_put_int(json, "addresses", (int64_t)stats->addresses_asked[kind]);
    json_put_double(json, "addresses_per_request",
                    requests == 0 ? 0 : (double)stats->addresses_asked[kind] / (double)requests);
    json_put_int(json, "pairs", (int64_t)stats->pairs_served[kind]);
    json_object_open(json, "status");
    for (unsigned i = 0; i < STATS_STATUS_COUNT; i++)
        if (stats->by_status[kind][i] > 0)
            json_put_int(json, status_names[i], (int64_t)stats->by_status[kind][i]);
    json_object_close(json);
    json_object_close(json);
}

static void show_stream(const struct market_stats *stats, struct json *json)
{
    json_object_open(json, "websocket");
    json_put_int(json, "subscribers", stats->stream_subscribers);
    json_put_int(json, "accepted", (int64_t)stats->stream_accepted);
    json_put_int(json, "dropped", (int64_t)stats->stream_dropped);
    json_put_int(json, "events", (int64_t)stats->stream_events);
    json_put_int(json, "junk", (int64_t)stats->stream_junk);
    json_object_close(json);
}

static void show_connections(const struct control *control, struct json *json)
{
    struct http_counts counts;
    http_counts(control->market, &counts);
    json_object_open(json, "connections");
    json_put_int(json, "open", counts.open);
    json_put_int(json, "accepted", (int64_t)counts.accepted);
    json_put_int(json, "reset", (int64_t)counts.reset);
    json_put_int(json, "waiting", counts.waiting);
    json_object_close(json);
}

static void show_stats(const struct control *control, struct http_reply *reply)
{
    const struct market_stats *stats = control->stats;
    struct json json = {0};
    char now_text[ISO_TIME_SIZE];
    uint64_t requests = 0;
    uint64_t limited = 0;
    uint64_t refused = 0;
    for (unsigned kind = 0; kind < ROUTE_COUNT; kind++) {
        requests += stats->requests[kind];
        limited += stats->by_status[kind][STATS_STATUS_429];
        refused += stats->requests[kind] - stats->by_status[kind][STATS_STATUS_200];
    }
    iso_time_format(market_now(&control->time, clock_now()), now_text);
    json_object_open(&json, NULL);
    json_put_string(&json, "now", now_text);
    json_put_double(&json, "speed", control->time.speed);
    json_put_int(&json, "tokens", model_token_count(control->model));
    json_put_int(&json, "graduations", (int64_t)stats->graduations);
    json_put_int(&json, "requests", (int64_t)requests);
    json_put_int(&json, "tokens_served", (int64_t)stats->tokens_served);
    json_put_int(&json, "body_bytes", (int64_t)stats->body_bytes);
    json_put_int(&json, "refused", (int64_t)(refused - stats->stream_accepted));
    json_put_int(&json, "limited", (int64_t)limited);
    json_put_int(&json, "faults_struck", (int64_t)stats->faults_struck);
    json_object_open(&json, "kinds");
    for (unsigned kind = 0; kind < ROUTE_COUNT; kind++)
        show_kind(stats, kind, &json);
    json_object_close(&json);
    show_connections(control, &json);
    show_stream(stats, &json);
    json_object_close(&json);
    take_json(reply, &json);
}

/* ---- acts ---- */

/* A query parameter; `otherwise` when it is absent. False: it is no number from 0 to `high`. */
static bool read_count(const struct http_request *request, const char *name, uint32_t high,
                       uint32_t *out)
{
    const char *text = request->query(request, name);
    char *end;
    if (text == NULL)
        return true;
    unsigned long value = strtoul(text, &end, 10);
    if (*text < '0' || *text > '9' || *end != '\0' || value > high)
        return false;
    *out = (uint32_t)value;
    return true;
}

static void put_mint(const struct control *control, uint32_t token, struct json *json)
{
    struct address mint;
    char text[ADDRESS_TEXT_MAX + 1];
    model_mint(control->model, token, &mint);
    address_format(&mint, text);
    json_put_string(json, NULL, text);
}

static void graduate(struct control *control, const struct http_request *request,
                     struct http_reply *reply)
{
    uint32_t count = 1;
    if (!read_count(request, "count", CONTROL_GRADUATE_MAX, &count)) {
        reply_problem(reply, 400, "\"count\" must be a number up to 10000");
        return;
    }
    struct json json = {0};
    uint32_t token;
    json_object_open(&json, NULL);
    json_array_open(&json, "mints");
    for (uint32_t i = 0; i < count && stream_graduate(control->stream, &token) == OK; i++)
        put_mint(control, token, &json);
    json_array_close(&json);
    json_object_close(&json);
    stream_check_faults(control->stream);
    take_json(reply, &json);
}

static void set_limit(struct control *control, const struct http_request *request,
                      struct http_reply *reply)
{
    uint32_t per_minute = 0;
    struct json json = {0};
    if (request->query(request, "rpm") == NULL ||
        !read_count(request, "rpm", CONTROL_LIMIT_MAX, &per_minute)) {
        reply_problem(reply, 400, "\"rpm\" must be a number up to 1000000000");
        return;
    }
    control->limits->per_minute = per_minute;
    log_info("market", "another limit", LOG_INT("rpm", per_minute));
    json_object_open(&json, NULL);
    json_put_int(&json, "rpm", per_minute);
    json_object_close(&json);
    take_json(reply, &json);
}

static void list_mints(const struct control *control, const struct http_request *request,
                       struct http_reply *reply)
{
    uint32_t offset = 0;
    uint32_t limit = 1000;
    if (!read_count(request, "offset", TOKENS_MAX, &offset) ||
        !read_count(request, "limit", CONTROL_MINTS_MAX, &limit)) {
        reply_problem(reply, 400, "\"offset\" or \"limit\" is out of range");
        return;
    }
    uint32_t count = model_token_count(control->model);
    offset = offset < count ? offset : count;
    limit = limit < count - offset ? limit : count - offset;
    reply->body = malloc(limit * (size_t)(ADDRESS_TEXT_MAX + 1) + 1);
    reply->type = "text/plain";
    for (uint32_t i = 0; reply->body != NULL && i < limit; i++) {
        struct address mint;
        model_mint(control->model, offset + i, &mint);
        reply->length += address_format(&mint, reply->body + reply->length);
        reply->body[reply->length++] = '\n';
    }
}

void control_answer(struct control *control, const struct http_request *request,
                    struct http_reply *reply)
{
    bool is_get = strcmp(request->method, "GET") == 0;
    reply->status = 200;
    if (strcmp(request->path, "/fault") == 0)
        answer_fault(control, request, "", reply);
    else if (strncmp(request->path, "/fault/", 7) == 0)
        answer_fault(control, request, request->path + 7, reply);
    else if (strcmp(request->path, "/graduate") == 0 && strcmp(request->method, "POST") == 0)
        graduate(control, request, reply);
    else if (strcmp(request->path, "/limit") == 0 && strcmp(request->method, "POST") == 0)
        set_limit(control, request, reply);
    else if (strcmp(request->path, "/stats") == 0 && is_get)
        show_stats(control, reply);
    else if (strcmp(request->path, "/mints") == 0 && is_get)
        list_mints(control, request, reply);
    else if (strcmp(request->path, "/health") == 0 && is_get)
        reply_problem(reply, 200, NULL);
    else
        reply_problem(reply, 404,
                      "there are /fault, /limit, /stats, /graduate, /mints and /health");
}
