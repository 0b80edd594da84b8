#include "feed/dexscreener.h"
#include "base/clock.h"
#include "base/text.h"
#include "feed/curl_loop.h"
#include "feed/dexscreener_url.h"
#include "feed/gunzip.h"
#include "feed/reply.h"
#include "feed/transfer.h"
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#define EXCERPT_SIZE 96 /* bytes of a strange body that a person is shown */

enum request_state {
    REQUEST_IDLE,
    REQUEST_WAITING,
    REQUEST_RUNNING,
    REQUEST_FINISHED,
    REQUEST_STATE_COUNT
};

struct request {
    struct feed *feed;
    enum request_state state;
    uint64_t id;
    enum lane_kind kind;
    size_t addresses;
    char url[DEXSCREENER_URL_SIZE];
    struct transfer *transfer; /* its own while it runs and until it is told, else feed->none */
    enum feed_outcome outcome; /* of the transfer */
    instant finished_at;
    TAILQ_ENTRY(request) link;
};

TAILQ_HEAD(request_list, request);

struct feed {
    struct options options;
    struct dexscreener_base base;
    struct transfer_settings settings;
    struct feed_listener listener;
    void (*on_closed)(void *context);
    bool is_closing;
    size_t open_parts; /* handles to be closed before the memory goes */

    struct curl_loop *curl_loop;
    uv_timer_t tell_timer;       /* answers that are to be told at the loop's next turn */
    uv_timer_t first_byte_timer; /* runs while a request waits for its first byte */

    struct request_list lists[REQUEST_STATE_COUNT];
    size_t counts[REQUEST_STATE_COUNT];
    size_t requests_max; /* in all states */
    size_t running_max;

    /* The one used last is used next: what it holds is in the cache. */
    SLIST_HEAD(, transfer) spare_transfers;
    struct transfer none; /* of who waits, or never ran */

    struct answer_parser *parser;
    struct parsed_answer parsed;
    struct gunzip gunzip;
    char detail[FEED_DETAIL_SIZE];
    struct feed_stats stats;
};

/* The body of a reply as JSON text, or what is left of it. */
struct content {
    const char *text;
    size_t length;
};

static void start_waiting(struct feed *feed);

/* ---- a request's states ---- */

static void move(struct request *request, enum request_state state)
{
    struct feed *feed = request->feed;
    TAILQ_REMOVE(&feed->lists[request->state], request, link);
    feed->counts[request->state]--;
    request->state = state;
    TAILQ_INSERT_TAIL(&feed->lists[state], request, link);
    feed->counts[state]++;
}

static void finish(struct request *request, enum feed_outcome outcome)
{
    if (request->state == REQUEST_RUNNING)
        request->feed->stats.bytes_received += request->transfer->wire_bytes;
    request->outcome = outcome;
    request->finished_at = clock_now();
    move(request, REQUEST_FINISHED);
}

/* NULL: no memory. */
static struct transfer *take_transfer(struct feed *feed)
{
    struct transfer *transfer = SLIST_FIRST(&feed->spare_transfers);
    if (transfer != NULL) {
        SLIST_REMOVE_HEAD(&feed->spare_transfers, link);
        return transfer;
    }
    transfer = calloc(1, sizeof(*transfer));
    if (transfer == NULL || transfer_init(transfer, &feed->settings) == OK)
        return transfer;
    transfer_finish(transfer);
    free(transfer);
    return NULL;
}

static void give_back_transfer(struct request *request)
{
    struct feed *feed = request->feed;
    if (request->transfer != &feed->none)
        SLIST_INSERT_HEAD(&feed->spare_transfers, request->transfer, link);
    else
        transfer_forget(&feed->none); /* why it could not start, when there was no memory */
    request->transfer = &feed->none;
}

static void free_transfers(struct feed *feed)
{
    struct transfer *transfer;
    while ((transfer = SLIST_FIRST(&feed->spare_transfers)) != NULL) {
        SLIST_REMOVE_HEAD(&feed->spare_transfers, link);
        transfer_finish(transfer);
        free(transfer);
    }
}

static size_t count_all(const struct feed *feed)
{
    size_t sum = 0;
    for (int state = 0; state < REQUEST_STATE_COUNT; state++)
        sum += feed->counts[state];
    return sum;
}

/* An idle request, or a new one. ERR_FULL, ERR_NO_MEMORY. */
static enum err take_request(struct feed *feed, struct request **out)
{
    *out = TAILQ_FIRST(&feed->lists[REQUEST_IDLE]);
    if (*out != NULL)
        return OK;
    if (count_all(feed) >= feed->requests_max)
        return ERR_FULL;
    struct request *request = calloc(1, sizeof(*request));
    if (request == NULL)
        return ERR_NO_MEMORY;
    request->feed = feed;
    request->transfer = &feed->none;
    TAILQ_INSERT_TAIL(&feed->lists[REQUEST_IDLE], request, link);
    feed->counts[REQUEST_IDLE]++;
    *out = request;
    return OK;
}

/* ---- what came back ---- */

static bool is_gzip(const char *encoding)
{
    return strcmp(encoding, "gzip") == 0 || strcmp(encoding, "x-gzip") == 0;
}

static enum feed_outcome decode(struct feed *feed, const struct transfer *transfer,
                                struct content *out)
{
    if (transfer->encoding[0] == '\0' || strcmp(transfer->encoding, "identity") == 0) {
        *out = (struct content){transfer->body, transfer->length};
        return FEED_OK;
    }
    *out = (struct content){transfer->body, 0};
    if (!is_gzip(transfer->encoding))
        return FEED_BAD_ENCODING;
    size_t length;
    enum err err = gunzip_run(&feed->gunzip, transfer->body, transfer->length,
                              feed->settings.body_limit, &length);
    if (err != OK)
        return err == ERR_CORRUPT ? FEED_BAD_ENCODING : FEED_TOO_LARGE;
    *out = (struct content){feed->gunzip.out, length};
    return FEED_OK;
}

/* A status other than 200 says more than how its body was lost. */
static bool is_outdone_by_status(enum feed_outcome outcome, int status)
{
    bool is_about_body = outcome == FEED_RESET || outcome == FEED_TOO_LARGE ||
                         outcome == FEED_TIMEOUT || outcome == FEED_BAD_ENCODING;
    return is_about_body && status != 0 && status != 200;
}

static enum feed_outcome parse(struct feed *feed, const struct content *content)
{
    enum feed_outcome outcome =
        answer_parse(feed->parser, content->text, content->length, feed->base.chain, &feed->parsed);
    for (int i = 0; i < PAIR_ISSUE_COUNT; i++)
        feed->stats.issues[i] += feed->parsed.issues[i];
    if ((outcome == FEED_NOT_JSON || outcome == FEED_WRONG_SHAPE) &&
        reply_is_rate_limit(content->text, content->length))
        return FEED_RATE_LIMITED;
    return outcome;
}

static enum feed_outcome judge(struct request *request, struct content *content)
{
    const struct transfer *transfer = request->transfer;
    *content = (struct content){transfer->body, 0};
    if (request->outcome == FEED_CANCELLED || transfer->status == 0)
        return request->outcome;
    enum feed_outcome decoded = decode(request->feed, transfer, content);
    enum feed_outcome outcome = request->outcome != FEED_OK ? request->outcome : decoded;
    if (outcome != FEED_OK && !is_outdone_by_status(outcome, transfer->status))
        return outcome;
    struct reply reply = {transfer->status, transfer->is_challenge, content->text, content->length};
    outcome = reply_judge(&reply);
    return outcome == FEED_OK ? parse(request->feed, content) : outcome;
}

/* ---- what a person is told ---- */

__attribute__((format(printf, 2, 3))) static void say(struct feed *feed, const char *format, ...)
{
    size_t used = strlen(feed->detail);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(feed->detail + used, sizeof(feed->detail) - used, format, arguments);
    va_end(arguments);
}

static void say_excerpt(struct feed *feed, const struct content *content)
{
    char excerpt[EXCERPT_SIZE];
    size_t length = content->length < 2 * EXCERPT_SIZE ? content->length : 2 * EXCERPT_SIZE;
    if (length == 0)
        return;
    text_copy(excerpt, sizeof(excerpt), content->text, length);
    say(feed, ": \"%s\"%s", excerpt, length >= EXCERPT_SIZE ? "…" : "");
}

static void say_libcurl(struct feed *feed, const struct request *request)
{
    char sentence[EXCERPT_SIZE];
    text_copy(sentence, sizeof(sentence), request->transfer->error,
              strnlen(request->transfer->error, sizeof(request->transfer->error)));
    say(feed, "%s", sentence);
}

static void say_reason(struct feed *feed, const struct request *request, enum feed_outcome outcome,
                       const struct content *content)
{
    const struct options *options = &feed->options;
    switch (outcome) {
    case FEED_NOT_JSON:
        say(feed, "%zu bytes that are no JSON", content->length);
        return say_excerpt(feed, content);
    case FEED_MALFORMED:
        say(feed, "%zu bytes of JSON, cut off or damaged", content->length);
        return say_excerpt(feed, content);
    case FEED_WRONG_SHAPE:
        say(feed, "JSON, but no pairs");
        return say_excerpt(feed, content);
    case FEED_TOO_LARGE:
        return say(feed, "more than feed_body_limit_kb (%lld)",
                   (long long)options->feed_body_limit_kb);
    case FEED_BAD_ENCODING:
        return say(feed, "a body that cannot be decompressed");
    case FEED_FIRST_BYTE_TIMEOUT:
        return say(feed, "no byte of an answer within %g s", options->feed_first_byte_timeout_sec);
    case FEED_CANCELLED:
        return say(feed, "cancelled");
    default:
        break;
    }
    if (request->transfer->status == 0 || request->outcome == outcome)
        return say_libcurl(feed, request);
    say(feed, "HTTP status %d", request->transfer->status);
    say_excerpt(feed, content);
}

static const char *describe(struct feed *feed, const struct request *request,
                            enum feed_outcome outcome, const struct content *content)
{
    feed->detail[0] = '\0';
    if (outcome == FEED_OK)
        return NULL;
    say(feed, "%s of %zu %s%s at %s: ", lane_kind_name(request->kind), request->addresses,
        request->kind == LANE_REFRESH ? "pool" : "token", request->addresses == 1 ? "" : "s",
        feed->base.origin);
    say_reason(feed, request, outcome, content);
    return feed->detail;
}

/* ---- telling ---- */

static duration latency_of(const struct request *request)
{
    const struct transfer *transfer = request->transfer;
    if (instant_is_never(transfer->started_at))
        return duration_us(0);
    return instant_diff(request->finished_at, instant_is_never(transfer->sent_at)
                                                  ? transfer->started_at
                                                  : transfer->sent_at);
}

static void tell(struct request *request)
{
    struct feed *feed = request->feed;
    struct content content;
    if (feed->listener.on_received != NULL)
        feed->listener.on_received(feed->listener.context, request->id);
    enum feed_outcome outcome = judge(request, &content);
    struct feed_answer answer = {
        .request = request->id,
        .outcome = outcome,
        .http_status = request->transfer->status,
        .has_retry_after = request->transfer->has_retry_after,
        .retry_after = request->transfer->retry_after,
        .latency = latency_of(request),
        .body_bytes = content.length,
        .parsed = outcome == FEED_OK ? &feed->parsed : NULL,
        .detail = describe(feed, request, outcome, &content),
    };
    feed->listener.on_answer(feed->listener.context, &answer);
}

/* The last thing done in each callback of the loop. */
static void tell_finished(struct feed *feed)
{
    struct request *request;
    while (!feed->is_closing && (request = TAILQ_FIRST(&feed->lists[REQUEST_FINISHED])) != NULL) {
        tell(request);
        give_back_transfer(request);
        move(request, REQUEST_IDLE);
    }
    if (!feed->is_closing)
        start_waiting(feed);
}

static void on_tell_timer(uv_timer_t *timer)
{
    tell_finished(timer->data);
}

static void tell_soon(struct feed *feed)
{
    uv_timer_start(&feed->tell_timer, on_tell_timer, 0, 0);
}

static struct request *request_of(const struct feed *feed, CURL *easy)
{
    struct transfer *transfer = NULL;
    struct request *request;
    if (curl_easy_getinfo(easy, CURLINFO_PRIVATE, (char **)&transfer) == CURLE_OK)
        return transfer->owner;
    TAILQ_FOREACH(request, &feed->lists[REQUEST_RUNNING], link)
    if (request->transfer->easy == easy)
        break;
    return request;
}

static void on_transfer_done(void *context, CURL *easy, CURLcode code)
{
    struct request *request = request_of(context, easy);
    if (request == NULL)
        return;
    finish(request, transfer_judge(request->transfer, code));
    tell_finished(request->feed);
}

/* ---- the first byte ---- */

static bool is_overdue(const struct request *request, instant now, duration timeout,
                       duration *remaining)
{
    const struct transfer *transfer = request->transfer;
    if (instant_is_never(transfer->sent_at) || transfer_has_first_byte(transfer))
        return false;
    duration left = instant_diff(instant_add(transfer->sent_at, timeout), now);
    if (left.us > 0 && (remaining->us == 0 || left.us < remaining->us))
        *remaining = left;
    return left.us <= 0;
}

static void on_first_byte_timer(uv_timer_t *timer)
{
    struct feed *feed = timer->data;
    instant now = clock_now();
    duration timeout = duration_s(feed->options.feed_first_byte_timeout_sec);
    duration remaining = {0};
    struct request *request = TAILQ_FIRST(&feed->lists[REQUEST_RUNNING]);
    while (request != NULL) {
        struct request *next = TAILQ_NEXT(request, link);
        if (is_overdue(request, now, timeout, &remaining)) {
            curl_loop_remove(feed->curl_loop, request->transfer->easy);
            finish(request, FEED_FIRST_BYTE_TIMEOUT);
        }
        request = next;
    }
    if (remaining.us > 0)
        uv_timer_start(timer, on_first_byte_timer, (uint64_t)duration_to_ms(remaining) + 1, 0);
    tell_finished(feed);
}

static bool on_sent(void *owner)
{
    struct feed *feed = ((struct request *)owner)->feed;
    duration timeout = duration_s(feed->options.feed_first_byte_timeout_sec);
    if (feed->listener.may_send != NULL && !feed->listener.may_send(feed->listener.context))
        return false;
    if (!uv_is_active((uv_handle_t *)&feed->first_byte_timer))
        uv_timer_start(&feed->first_byte_timer, on_first_byte_timer,
                       (uint64_t)duration_to_ms(timeout) + 1, 0);
    return true;
}

static void on_connection(void *owner, curl_socket_t socket)
{
    struct feed *feed = ((struct request *)owner)->feed;
    feed->stats.connections_opened++;
    curl_loop_keep(feed->curl_loop, socket);
}

/* ---- sending and cancelling ---- */

/* A URL from its path on. */
static const char *target_of(const char *url)
{
    const char *host = strstr(url, "://");
    const char *path = host != NULL ? strchr(host + strlen("://"), '/') : NULL;
    return path != NULL ? path : "/";
}

static enum err run_transfer(struct request *request)
{
    struct feed *feed = request->feed;
    struct transfer *transfer = take_transfer(feed);
    if (transfer == NULL)
        return ERR_NO_MEMORY;
    request->transfer = transfer;
    transfer->owner = request;
    const char *target = feed->settings.base_url != NULL ? target_of(request->url) : request->url;
    enum err err = transfer_prepare(transfer, target);
    return err == OK ? curl_loop_add(feed->curl_loop, transfer->easy) : err;
}

static void start(struct request *request)
{
    struct feed *feed = request->feed;
    move(request, REQUEST_RUNNING);
    enum err err = run_transfer(request);
    if (err == OK)
        return;
    snprintf(request->transfer->error, sizeof(request->transfer->error), "not started: %s",
             err_text(err));
    finish(request, FEED_UNREACHABLE);
    tell_soon(feed);
}

static void start_waiting(struct feed *feed)
{
    struct request *request;
    while (feed->counts[REQUEST_RUNNING] < feed->running_max &&
           (request = TAILQ_FIRST(&feed->lists[REQUEST_WAITING])) != NULL)
        start(request);
}

enum err feed_send(struct feed *feed, enum lane_kind kind, const struct address *addresses,
                   size_t count, uint64_t id)
{
    struct request *request;
    if (feed->is_closing)
        return ERR_UNAVAILABLE;
    enum err err = take_request(feed, &request);
    if (err == OK)
        err = dexscreener_url(&feed->base, kind, addresses, count, request->url);
    if (err != OK)
        return err;
    request->id = id;
    request->kind = kind;
    request->addresses = count;
    feed->stats.requests++;
    move(request, REQUEST_WAITING);
    start_waiting(feed);
    return OK;
}

static struct request *find_under_way(struct feed *feed, uint64_t id)
{
    struct request *request;
    TAILQ_FOREACH(request, &feed->lists[REQUEST_RUNNING], link)
    if (request->id == id)
        return request;
    TAILQ_FOREACH(request, &feed->lists[REQUEST_WAITING], link)
    if (request->id == id)
        return request;
    return NULL;
}

void feed_cancel(struct feed *feed, uint64_t id)
{
    struct request *request = feed->is_closing ? NULL : find_under_way(feed, id);
    if (request == NULL)
        return;
    if (request->state == REQUEST_RUNNING)
        curl_loop_remove(feed->curl_loop, request->transfer->easy);
    finish(request, FEED_CANCELLED);
    tell_soon(feed);
}

void feed_stats(const struct feed *feed, struct feed_stats *out)
{
    *out = feed->stats;
    out->in_flight = (uint32_t)(count_all(feed) - feed->counts[REQUEST_IDLE]);
}

/* ---- life ---- */

static void free_feed(struct feed *feed)
{
    for (int state = 0; state < REQUEST_STATE_COUNT; state++) {
        struct request *request;
        while ((request = TAILQ_FIRST(&feed->lists[state])) != NULL) {
            TAILQ_REMOVE(&feed->lists[state], request, link);
            give_back_transfer(request);
            free(request);
        }
    }
    free_transfers(feed);
    curl_slist_free_all(feed->settings.headers);
    answer_parser_destroy(feed->parser);
    gunzip_finish(&feed->gunzip);
    free(feed);
}

static void on_part_closed(void *context)
{
    struct feed *feed = context;
    if (--feed->open_parts > 0)
        return;
    void (*on_closed)(void *) = feed->on_closed;
    void *closed_context = feed->listener.context;
    free_feed(feed);
    if (on_closed != NULL)
        on_closed(closed_context);
}

static void on_timer_closed(uv_handle_t *handle)
{
    on_part_closed(handle->data);
}

static bool add_header(struct feed *feed, const char *header)
{
    struct curl_slist *headers = curl_slist_append(feed->settings.headers, header);
    if (headers != NULL)
        feed->settings.headers = headers;
    return headers != NULL;
}

/* A proxy for plain HTTP is asked for whole URLs. */
static bool may_have_proxy(const struct feed *feed)
{
    return !feed->base.is_tls && (getenv("http_proxy") != NULL || getenv("all_proxy") != NULL ||
                                  getenv("ALL_PROXY") != NULL);
}

static bool make_settings(struct feed *feed)
{
    const struct options *options = &feed->options;
    bool is_http_2 = feed->base.is_tls && options->feed_http_version == FEED_HTTP_2;
    feed->settings = (struct transfer_settings){
        .base_url = may_have_proxy(feed) ? NULL : feed->base.url,
        .ca_file = options->tls_ca_file[0] != '\0' ? options->tls_ca_file : NULL,
        .http_version = is_http_2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1,
        .connect_timeout_ms = (long)(options->feed_connect_timeout_sec * 1000),
        .timeout_ms = (long)(options->feed_timeout_sec * 1000),
        .body_limit = (size_t)options->feed_body_limit_kb * 1024,
        .padding = ANSWER_PADDING,
        .on_connection = on_connection,
        .on_sent = on_sent,
    };
    feed->running_max =
        (size_t)options->feed_connections * (is_http_2 ? FEED_STREAMS_PER_CONNECTION : 1);
    feed->requests_max = (size_t)options->requests_in_flight_max * LANE_KIND_COUNT;
    return add_header(feed, "Accept: application/json") &&
           (!options->feed_compression || add_header(feed, "Accept-Encoding: gzip"));
}

/* All that can fail, before there is a handle on the loop that would have to be closed. */
static bool make_parts(struct feed *feed, uv_loop_t *loop)
{
    feed->parser = answer_parser_create();
    if (feed->parser == NULL || gunzip_init(&feed->gunzip, ANSWER_PADDING) != OK ||
        !make_settings(feed))
        return false;
    feed->curl_loop = curl_loop_create(loop, on_transfer_done, feed);
    feed->settings.close_socket = curl_loop_close_socket;
    feed->settings.close_context = feed->curl_loop;
    return feed->curl_loop != NULL;
}

static void start_timers(struct feed *feed, uv_loop_t *loop)
{
    uv_timer_init(loop, &feed->tell_timer);
    uv_timer_init(loop, &feed->first_byte_timer);
    feed->tell_timer.data = feed;
    feed->first_byte_timer.data = feed;
}

static void limit_connections(struct feed *feed)
{
    CURLM *multi = curl_loop_multi(feed->curl_loop);
    long connections = (long)feed->options.feed_connections;
    curl_multi_setopt(multi, CURLMOPT_MAX_HOST_CONNECTIONS, connections);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, connections);
}

struct feed *feed_create(uv_loop_t *loop, const struct options *options,
                         const struct feed_listener *listener, char why[OPTION_MESSAGE_SIZE])
{
    struct feed *feed = calloc(1, sizeof(*feed));
    if (feed == NULL) {
        snprintf(why, OPTION_MESSAGE_SIZE, "out of memory");
        return NULL;
    }
    feed->options = *options;
    feed->listener = *listener;
    SLIST_INIT(&feed->spare_transfers);
    transfer_forget(&feed->none);
    for (int state = 0; state < REQUEST_STATE_COUNT; state++)
        TAILQ_INIT(&feed->lists[state]);
    if (dexscreener_base_init(&feed->base, options, why) != OK) {
        free_feed(feed);
        return NULL;
    }
    if (!make_parts(feed, loop)) {
        snprintf(why, OPTION_MESSAGE_SIZE,
                 "the feed does not start: out of memory, or libcurl "
                 "is unusable");
        free_feed(feed);
        return NULL;
    }
    start_timers(feed, loop);
    limit_connections(feed);
    return feed;
}

void feed_destroy(struct feed *feed, void (*on_closed)(void *context))
{
    struct request *request;
    if (feed == NULL || feed->is_closing)
        return;
    feed->is_closing = true;
    feed->on_closed = on_closed;
    feed->open_parts = 3;
    TAILQ_FOREACH(request, &feed->lists[REQUEST_RUNNING], link)
    curl_loop_remove(feed->curl_loop, request->transfer->easy);
    uv_close((uv_handle_t *)&feed->tell_timer, on_timer_closed);
    uv_close((uv_handle_t *)&feed->first_byte_timer, on_timer_closed);
    curl_loop_destroy(feed->curl_loop, on_part_closed, feed);
}
