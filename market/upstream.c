/* Answers: see upstream.h. */
#include "market/upstream.h"
#include "market/chance.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define JSON_TYPE     "application/json; charset=utf-8"
#define TEXT_TYPE     "text/plain; charset=UTF-8"
#define HTML_TYPE     "text/html; charset=UTF-8"
#define ENVELOPE_MAX  64
#define GARBAGE_BYTES 4096
#define OPEN_PAIRS    "{\"schemaVersion\":\"1.0.0\",\"pairs\":"
#define DOUBLED       2 /* a duplicate-pairs fault writes each twice */

static const char challenge_page[] =
    "<!DOCTYPE html><html lang=\"en-US\"><head><title>Just a moment...</title>"
    "<meta http-equiv=\"refresh\" content=\"390\"></head><body><noscript>Enable JavaScript and "
    "cookies to continue</noscript><div class=\"main-wrapper\" role=\"main\"></div></body></html>";

static const char error_page[] =
    "<html>\r\n<head><title>%d %s</title></head>\r\n<body>\r\n<center><h1>%d %s</h1></center>\r\n"
    "<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n";

/* ---- fixed texts ---- */

static void reply_text(struct http_reply *reply, int status, const char *type, const char *text)
{
    reply->status = status;
    reply->type = type;
    reply->body = strdup(text);
    reply->length = reply->body == NULL ? 0 : strlen(text);
}

static void reply_error(struct http_reply *reply, int status)
{
    const char *name = status == 500   ? "Internal Server Error"
                       : status == 502 ? "Bad Gateway"
                                       : "Service Unavailable";
    char page[sizeof error_page + 64];
    snprintf(page, sizeof page, error_page, status, name, status, name);
    reply_text(reply, status, HTML_TYPE, page);
}

/* Retry-After is absent, 0 or seconds, as the real one's is. */
static void reply_limited(struct http_reply *reply, uint64_t chance, int retry_after_s)
{
    static const char *const usual[] = {NULL, "0", NULL, "1", "3"};
    const char *value = usual[chance % (sizeof usual / sizeof usual[0])];
    reply_text(reply, 429, TEXT_TYPE, "error code: 1015");
    if (retry_after_s >= 0) {
        snprintf(reply->scratch, sizeof reply->scratch, "%d", retry_after_s);
        value = reply->scratch;
    }
    if (value != NULL)
        reply->headers[0] = (struct http_header){"Retry-After", value};
}

static void reply_garbage(struct http_reply *reply, uint64_t chance)
{
    if (chance % 2 == 0) {
        reply_text(reply, 200, HTML_TYPE, challenge_page);
        return;
    }
    reply->status = 200;
    reply->type = JSON_TYPE;
    reply->body = malloc(GARBAGE_BYTES);
    if (reply->body == NULL)
        return;
    reply->length = GARBAGE_BYTES;
    for (unsigned i = 0; i < GARBAGE_BYTES; i++)
        reply->body[i] = (char)chance_at(chance, i);
}

/* ---- pairs ---- */

struct writing {
    struct upstream *upstream;
    const struct route *route;
    instant now; /* the market's */
    enum body_damage damage;
    bool is_wrong;   /* about others than those asked for */
    bool is_doubled; /* each pair twice */
    char *start, *at;
    unsigned pairs;
};

/* The address as asked for, or with a fault somebody else's. */
static bool find_asked(const struct writing *writing, unsigned place, enum identity_class class,
                       struct identity *out)
{
    const struct model *model = writing->upstream->model;
    if (!identity_find(model_seed(model), &writing->route->addresses[place], out) ||
        out->class != class || out->token >= model_token_count(model))
        return false;
    if (writing->is_wrong)
        out->token = (out->token + 1 + place) % model_token_count(model);
    return true;
}

static void separate(struct writing *writing)
{
    if (writing->pairs++ > 0)
        *writing->at++ = ',';
}

static void write_screen(struct writing *writing)
{
    struct identity token;
    for (unsigned i = 0; i < writing->route->count; i++) {
        if (!find_asked(writing, i, IDENTITY_MINT, &token))
            continue;
        for (int copy = 0; copy <= writing->is_doubled; copy++) {
            separate(writing);
            writing->at = body_write_main(writing->upstream->bodies, token.token, writing->now,
                                          writing->damage, writing->at);
        }
        writing->upstream->stats->tokens_served++;
    }
}

static void write_refresh(struct writing *writing)
{
    struct bodies *bodies = writing->upstream->bodies;
    struct identity pool;
    for (unsigned i = 0; i < writing->route->count; i++) {
        if (!find_asked(writing, i, IDENTITY_POOL, &pool))
            continue;
        if (!body_pool_exists(bodies, &pool, writing->now))
            continue;
        for (int copy = 0; copy <= writing->is_doubled; copy++) {
            separate(writing);
            writing->at =
                body_write_pool(bodies, &pool, writing->now, writing->damage, writing->at);
        }
        writing->upstream->stats->tokens_served++;
    }
}

static void write_all_of(struct writing *writing, uint32_t token)
{
    for (int copy = 0; copy <= writing->is_doubled; copy++) {
        unsigned pairs;
        char *before = writing->at;
        separate(writing);
        writing->at = body_write_all(writing->upstream->bodies, token, writing->now,
                                     writing->damage, writing->at, &pairs);
        writing->pairs += pairs - 1;
        if (pairs == 0)
            writing->at = before;
    }
    writing->upstream->stats->tokens_served++;
}

static void write_discover(struct writing *writing)
{
    struct identity token;
    if (writing->route->count > 0 && find_asked(writing, 0, IDENTITY_MINT, &token))
        write_all_of(writing, token.token);
}

/* Thirty pairs for all: whoever comes last drops out without a word. */
static void write_legacy(struct writing *writing)
{
    struct identity token;
    for (unsigned i = 0; i < writing->route->count && writing->pairs < POOLS_MAX; i++) {
        if (!find_asked(writing, i, IDENTITY_MINT, &token))
            continue;
        char *before = writing->at;
        unsigned pairs = writing->pairs;
        write_all_of(writing, token.token);
        if (writing->pairs <= POOLS_MAX)
            continue;
        writing->at = before;
        writing->pairs = pairs;
        return;
    }
}

static bool has_envelope(enum route_kind kind)
{
    return kind == ROUTE_REFRESH || kind == ROUTE_LEGACY;
}

static void write_pairs(struct writing *writing)
{
    bool envelope = has_envelope(writing->route->kind);
    char *at = writing->at;
    if (envelope)
        at = (char *)memcpy(at, OPEN_PAIRS, strlen(OPEN_PAIRS)) + strlen(OPEN_PAIRS);
    writing->at = at + 1;
    switch (writing->route->kind) {
    case ROUTE_SCREEN:
        write_screen(writing);
        break;
    case ROUTE_DISCOVER:
        write_discover(writing);
        break;
    case ROUTE_REFRESH:
        write_refresh(writing);
        break;
    default:
        write_legacy(writing);
    }
    if (writing->pairs == 0 && envelope) {
        memcpy(at, "null}", 5);
        writing->at = at + 5;
        return;
    }
    *at = '[';
    *writing->at++ = ']';
    if (envelope)
        *writing->at++ = '}';
}

static size_t room_for_pairs(const struct route *route, enum body_damage damage)
{
    /* The legacy route looks one token too far before it takes it back. */
    size_t pairs = route->kind == ROUTE_LEGACY     ? 3 * POOLS_MAX
                   : route->kind == ROUTE_DISCOVER ? POOLS_MAX
                                                   : route->count;
    return ENVELOPE_MAX + pairs * DOUBLED * (body_pair_max(damage) + 1);
}

static instant moment_of(const struct upstream *upstream, const struct route *route, instant now)
{
    instant market = market_now(&upstream->time, now);
    int64_t cached_us = (int64_t)upstream->cache_s * 1000000;
    if (route->kind == ROUTE_SCREEN && cached_us > 0)
        market.us -= market.us % cached_us;
    return market;
}

static void reply_pairs(struct upstream *upstream, struct writing *writing,
                        struct http_reply *reply)
{
    writing->start = writing->at = malloc(room_for_pairs(writing->route, writing->damage));
    if (writing->start == NULL) {
        reply_error(reply, 500);
        return;
    }
    write_pairs(writing);
    reply->status = 200;
    reply->type = JSON_TYPE;
    reply->body = writing->start;
    reply->length = (size_t)(writing->at - writing->start);
    if (writing->route->kind == ROUTE_SCREEN)
        reply->headers[0] = (struct http_header){"Cache-Control", "public, max-age=30"};
    upstream->stats->pairs_served[writing->route->kind] += writing->pairs;
    upstream->stats->body_bytes += reply->length;
}

/* ---- faults ---- */

static void reply_empty(struct http_reply *reply, enum route_kind kind)
{
    reply_text(reply, 200, JSON_TYPE, has_envelope(kind) ? OPEN_PAIRS "null}" : "[]");
}

/* Blanks before the closing bracket: still the answer, but long. */
static void make_huge(struct http_reply *reply, size_t bytes)
{
    if (reply->body == NULL || reply->length == 0 || reply->length >= bytes)
        return;
    char *grown = realloc(reply->body, bytes);
    if (grown == NULL)
        return;
    char last = grown[reply->length - 1];
    memset(grown + reply->length - 1, ' ', bytes - reply->length);
    grown[bytes - 1] = last;
    reply->body = grown;
    reply->length = bytes;
}

static enum body_damage damage_of(enum fault_type type)
{
    return type == FAULT_NULLS            ? BODY_NULLS
           : type == FAULT_NANS           ? BODY_NANS
           : type == FAULT_NAMES          ? BODY_NAMES
           : type == FAULT_NO_UTF8        ? BODY_NO_UTF8
           : type == FAULT_DUPLICATE_KEYS ? BODY_DUPLICATE_KEYS
                                          : BODY_SOUND;
}

/* Faults that replace the answer. False: the pairs are to be written. */
static bool reply_instead(struct http_reply *reply, const struct fault *fault, enum route_kind kind)
{
    switch (fault->type) {
    case FAULT_HANG:
        reply->delivery = HTTP_HANG;
        return true;
    case FAULT_RESET:
        reply->delivery = HTTP_RESET;
        return true;
    case FAULT_GARBAGE:
        reply_garbage(reply, fault->struck);
        return true;
    case FAULT_STATUS:
        reply_error(reply, fault->status);
        return true;
    case FAULT_CHALLENGE:
        reply_text(reply, 403, HTML_TYPE, challenge_page);
        return true;
    case FAULT_LIMIT:
        reply_limited(reply, fault->struck, fault->retry_after_s);
        return true;
    case FAULT_EMPTY:
        reply_empty(reply, kind);
        return true;
    default:
        return false;
    }
}

static void reply_struck(struct upstream *upstream, struct writing *writing,
                         const struct fault *fault, struct http_reply *reply)
{
    upstream->stats->faults_struck++;
    if (reply_instead(reply, fault, writing->route->kind))
        return;
    writing->damage = damage_of(fault->type);
    writing->is_wrong = fault->type == FAULT_WRONG_TOKEN;
    writing->is_doubled = fault->type == FAULT_DUPLICATE_PAIRS;
    reply_pairs(upstream, writing, reply);
    if (fault->type == FAULT_HALF)
        reply->delivery = HTTP_HALF;
    if (fault->type == FAULT_HUGE)
        make_huge(reply, fault->bytes);
}

/* ---- the answer ---- */

static void answer(struct upstream *upstream, const struct http_request *request,
                   const struct route *route, struct http_reply *reply, instant now)
{
    if (route->kind == ROUTE_UNKNOWN) {
        reply_text(reply, 404, TEXT_TYPE, "404 Not Found");
        return;
    }
    if (strcmp(request->method, "GET") != 0 && strcmp(request->method, "HEAD") != 0) {
        reply_text(reply, 405, TEXT_TYPE, "405 Method Not Allowed");
        return;
    }
    if (!limits_allow(upstream->limits, request->client, route->kind,
                      market_now(&upstream->time, now))) {
        reply_limited(reply, upstream->stats->requests[route->kind], -1);
        return;
    }
    struct strike strike;
    faults_strike(upstream->faults, route->kind, now, &strike);
    reply->delay_ms = upstream->latency_ms + strike.delay_ms;
    struct writing writing = {
        .upstream = upstream, .route = route, .now = moment_of(upstream, route, now)};
    if (strike.is_struck)
        reply_struck(upstream, &writing, &strike.fault, reply);
    else if (route->has_too_many)
        reply_text(reply, 400, JSON_TYPE, "{\"error\":\"Too many addresses, at most 30\"}");
    else if (!route->is_solana)
        reply_empty(reply, route->kind);
    else
        reply_pairs(upstream, &writing, reply);
}

void upstream_answer(struct upstream *upstream, const struct http_request *request,
                     const struct route *route, struct http_reply *reply, instant now)
{
    upstream->stats->requests[route->kind]++;
    upstream->stats->addresses_asked[route->kind] += route->asked;
    answer(upstream, request, route, reply, now);
    upstream->stats->by_status[route->kind][stats_status_place(reply->status)]++;
    if (upstream->journal != NULL && reply->status == 200)
        journal_note(upstream->journal, upstream->model, request, route, now);
}
