/* See http.h. */
#include "drill/http.h"

#include "drill/patience.h"
#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static size_t on_body(char *data, size_t size, size_t count, void *context)
{
    struct http_answer *answer = context;
    size_t length = size * count;
    if (answer->length + length > HTTP_BODY_MAX)
        return 0;
    char *body = realloc(answer->body, answer->length + length + 1);
    if (body == NULL)
        return 0;
    memcpy(body + answer->length, data, length);
    answer->body = body;
    answer->length += length;
    body[answer->length] = '\0';
    return length;
}

static void prepare(CURL *curl, const struct http_question *question)
{
    char url[512];
    double patience = question->patience_s > 0 ? question->patience_s : HTTP_PATIENCE_S;
    snprintf(url, sizeof url, "http://127.0.0.1:%u%s", question->port, question->path);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, question->method);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(patience * patience_factor() * 1000));
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, question->connection == HTTP_NEW ? 1L : 0L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    if (question->body == NULL)
        return;
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, question->body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(question->body));
}

/* The kept one lives as long as the process. */
static CURL *take_handle(enum http_connection connection)
{
    static CURL *kept;
    if (connection == HTTP_NEW)
        return curl_easy_init();
    if (kept == NULL)
        kept = curl_easy_init();
    else
        curl_easy_reset(kept); /* its connection stays */
    return kept;
}

static void give_back(CURL *curl, enum http_connection connection)
{
    if (connection == HTTP_NEW)
        curl_easy_cleanup(curl);
}

struct http_answer http_ask(const struct http_question *question)
{
    struct http_answer answer = {0};
    long status = 0;
    CURL *curl = take_handle(question->connection);
    if (curl == NULL) {
        snprintf(answer.why, sizeof answer.why, "no memory for a request");
        return answer;
    }
    prepare(curl, question);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, &answer);
    CURLcode code = curl_easy_perform(curl);
    if (code == CURLE_OK)
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    else
        snprintf(answer.why, sizeof answer.why, "%s %.60s: %.80s", question->method, question->path,
                 curl_easy_strerror(code));
    curl_easy_getinfo(curl, CURLINFO_TOTAL_TIME, &answer.seconds);
    curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &answer.connections);
    give_back(curl, question->connection);
    answer.status = (int)status;
    return answer;
}

void http_forget(struct http_answer *answer)
{
    free(answer->body);
    answer->body = NULL;
}

int http_get_status(unsigned port, const char *path)
{
    struct http_answer answer =
        http_ask(&(struct http_question){.port = port, .method = "GET", .path = path});
    http_forget(&answer);
    return answer.status;
}
