/* See http.h. */
#include "drill/http.h"

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
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)(patience * 1000));
    curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    if (question->body == NULL)
        return;
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, question->body);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)strlen(question->body));
}

struct http_answer http_ask(const struct http_question *question)
{
    struct http_answer answer = {0};
    long status = 0;
    CURL *curl = curl_easy_init();
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
    curl_easy_cleanup(curl);
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
