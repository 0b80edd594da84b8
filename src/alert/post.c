#include "alert/post.h"

#include "base/clock.h"
#include "feed/reply.h"
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HEADER_SIZE 320

struct post {
    struct sink base;
    const struct post_recipe *recipe;
    CURL *easy;
    struct curl_slist *headers; /* of the transfer under way */
    struct json body;
    char url[POST_URL_SIZE];
    char answer[POST_ANSWER_MAX + 1];
    size_t length;
    bool has_retry_after;
    duration retry_after;
    char error[CURL_ERROR_SIZE];
    uv_timer_t refusal; /* what fails before it begins is told by the loop, too */
    bool is_under_way;
};

/* ---- answers ---- */

static size_t on_body(char *bytes, size_t size, size_t count, void *context)
{
    struct post *post = context;
    size_t length = size * count, room = POST_ANSWER_MAX - post->length;
    memcpy(post->answer + post->length, bytes, length < room ? length : room);
    post->length += length < room ? length : room;
    post->answer[post->length] = '\0';
    return length <= room ? length : 0; /* 0 ends it: its status is known */
}

static size_t on_header(char *line, size_t size, size_t count, void *context)
{
    static const char name[] = "retry-after:";
    struct post *post = context;
    size_t length = size * count;
    char value[64];
    if (length > sizeof name - 1 && strncasecmp(line, name, sizeof name - 1) == 0) {
        snprintf(value, sizeof value, "%.*s", (int)(length - sizeof name + 1),
                 line + sizeof name - 1);
        value[strcspn(value, "\r\n")] = '\0';
        post->has_retry_after =
            retry_after_parse(value + strspn(value, " \t"), clock_now(), &post->retry_after);
    }
    return length;
}

static enum sink_outcome judge_status(int status)
{
    if (status >= 200 && status <= 299)
        return SINK_DELIVERED;
    bool is_for_now = status == 408 || status == 425 || status == 429;
    return status >= 400 && status <= 499 && !is_for_now ? SINK_REFUSED : SINK_FAILED;
}

static struct sink_result judge(const struct post *post, CURLcode code)
{
    struct sink_result result = {.outcome = SINK_FAILED};
    long status = 0;
    curl_easy_getinfo(post->easy, CURLINFO_RESPONSE_CODE, &status);
    bool is_cut = code == CURLE_WRITE_ERROR && post->length == POST_ANSWER_MAX;
    if (code != CURLE_OK && !is_cut) {
        /* libcurl's own sentence, without what it knows of the URL. */
        snprintf(result.detail, sizeof result.detail, "%s", curl_easy_strerror(code));
        return result;
    }
    struct post_answer answer = {(int)status, post->answer, post->has_retry_after,
                                 post->retry_after};
    result.outcome = judge_status(answer.status);
    result.has_retry_after = answer.has_retry_after;
    result.retry_after = answer.retry_after;
    snprintf(result.detail, sizeof result.detail, "HTTP %ld", status);
    if (post->recipe->judge != NULL)
        post->recipe->judge(&answer, &result);
    return result;
}

/* ---- a transfer ---- */

static void end(struct post *post)
{
    post->is_under_way = false;
    curl_slist_free_all(post->headers);
    post->headers = NULL;
    json_reset(&post->body);
}

static void tell(struct post *post, const struct sink_result *result)
{
    const struct sink_world *world = post->base.world;
    end(post);
    world->on_done(world->context, post->base.which, result);
}

void post_on_done(CURL *easy, CURLcode code)
{
    char *context = NULL;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &context);
    struct post *post = (struct post *)context;
    struct sink_result result = judge(post, code);
    tell(post, &result);
}

static void on_refusal(uv_timer_t *timer)
{
    struct sink_result result = {.outcome = SINK_FAILED, .detail = "out of memory"};
    if (((struct post *)timer->data)->is_under_way)
        tell(timer->data, &result);
}

__attribute__((format(printf, 2, 3))) static bool add_header(struct post *post, const char *format,
                                                             ...)
{
    char line[HEADER_SIZE];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    struct curl_slist *longer = curl_slist_append(post->headers, line);
    if (longer != NULL)
        post->headers = longer;
    return longer != NULL;
}

/* The id stays the same when a delivery is tried again: a receiver that knows it need not act. */
static bool add_headers(struct post *post, const struct alert_message *message)
{
    const struct post_recipe *recipe = post->recipe;
    const char *bearer = recipe->bearer == NULL ? "" : recipe->bearer(post->base.world->options);
    return add_header(post, "Content-Type: application/json") &&
           add_header(post, "Expect:") && /* no round trip for 100 Continue */
           add_header(post, "Idempotency-Key: \"%" PRId64 "\"", message->id) &&
           (bearer[0] == '\0' || add_header(post, "Authorization: Bearer %s", bearer));
}

/* Each time another handle, for the reason that feed/transfer.c gives. */
static bool renew(struct post *post)
{
    curl_easy_cleanup(post->easy);
    CURL *easy = post->easy = curl_easy_init();
    if (easy == NULL)
        return false;
    bool is_set = true;
    long timeout_ms = (long)(post->base.world->options->alert_timeout_sec * 1000);
    is_set &= curl_easy_setopt(easy, CURLOPT_PRIVATE, post) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_WRITEDATA, post) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_header) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_HEADERDATA, post) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, post->error) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https") == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_USERAGENT, "moonwatch/" MOONWATCH_VERSION) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, timeout_ms) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS, timeout_ms) == CURLE_OK;
    is_set &= curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L) ==
              CURLE_OK; /* no waiting for a name's lookup */
    return is_set;
}

static void send_message(struct sink *sink, const struct alert_message *message)
{
    struct post *post = (struct post *)sink;
    post->is_under_way = true;
    post->length = 0;
    post->answer[0] = '\0';
    post->has_retry_after = false;
    post->recipe->body(&post->body, message, sink->world);
    post->recipe->url(sink->world->options, post->url);
    if (!post->body.failed && add_headers(post, message) && renew(post)) {
        curl_off_t length = (curl_off_t)post->body.length;
        if (curl_easy_setopt(post->easy, CURLOPT_HTTPHEADER, post->headers) == CURLE_OK &&
            curl_easy_setopt(post->easy, CURLOPT_POSTFIELDS, post->body.text) == CURLE_OK &&
            curl_easy_setopt(post->easy, CURLOPT_POSTFIELDSIZE_LARGE, length) == CURLE_OK &&
            curl_easy_setopt(post->easy, CURLOPT_URL, post->url) == CURLE_OK &&
            curl_loop_add(sink->world->curl_loop, post->easy) == OK)
            return;
    }
    uv_timer_start(&post->refusal, on_refusal, 0, 0);
}

static void cancel(struct sink *sink)
{
    struct post *post = (struct post *)sink;
    if (!post->is_under_way)
        return;
    if (post->easy != NULL)
        curl_loop_remove(sink->world->curl_loop, post->easy);
    uv_timer_stop(&post->refusal);
    end(post);
}

static void on_closed(uv_handle_t *handle)
{
    free(handle->data);
}

static void destroy(struct sink *sink)
{
    struct post *post = (struct post *)sink;
    cancel(sink);
    curl_easy_cleanup(post->easy);
    json_finish(&post->body);
    uv_close((uv_handle_t *)&post->refusal, on_closed);
}

struct sink *post_create(const struct post_recipe *recipe, const struct sink_world *world)
{
    static const struct sink_methods methods = {send_message, cancel, destroy};
    struct post *post = calloc(1, sizeof *post);
    if (post == NULL)
        return NULL;
    post->base = (struct sink){&methods, world, recipe->sink};
    post->recipe = recipe;
    if (uv_timer_init(world->loop, &post->refusal) != 0) {
        free(post);
        return NULL;
    }
    post->refusal.data = post;
    return &post->base;
}
