/* libcurl, loaded by whoever calls it first: base/library.h says why. The functions are those of
 * <curl/curl.h>; without the library, each fails in the way of its own that callers expect. */
#include "base/library.h"
#include <curl/curl.h>
#include <stdarg.h>

#define FUNCTION_LIST(X)                                                                           \
    X(curl_easy_cleanup)                                                                           \
    X(curl_easy_getinfo)                                                                           \
    X(curl_easy_init)                                                                              \
    X(curl_easy_perform)                                                                           \
    X(curl_easy_recv)                                                                              \
    X(curl_easy_reset)                                                                             \
    X(curl_easy_send)                                                                              \
    X(curl_easy_setopt)                                                                            \
    X(curl_easy_strerror)                                                                          \
    X(curl_free)                                                                                   \
    X(curl_getdate)                                                                                \
    X(curl_global_init)                                                                            \
    X(curl_multi_add_handle)                                                                       \
    X(curl_multi_assign)                                                                           \
    X(curl_multi_cleanup)                                                                          \
    X(curl_multi_info_read)                                                                        \
    X(curl_multi_init)                                                                             \
    X(curl_multi_remove_handle)                                                                    \
    X(curl_multi_setopt)                                                                           \
    X(curl_multi_socket_action)                                                                    \
    X(curl_slist_append)                                                                           \
    X(curl_slist_free_all)                                                                         \
    X(curl_url)                                                                                    \
    X(curl_url_cleanup)                                                                            \
    X(curl_url_get)                                                                                \
    X(curl_url_set)

LIBRARY_DEFINE("libcurl.so.4", "libcurl4");

/* Options take one argument each: a long, a pointer or a curl_off_t. Where these are passed alike,
 * as they are on Linux with 64 bits, any of them can be handed on as a pointer. */
_Static_assert(sizeof(long) == sizeof(void *) && sizeof(curl_off_t) == sizeof(void *),
               "options of libcurl are handed on as pointers");

#define TAKE_ARGUMENT(last)                                                                        \
    va_list list;                                                                                  \
    va_start(list, last);                                                                          \
    void *argument = va_arg(list, void *);                                                         \
    va_end(list)

/* ---- easy ---- */

CURLcode curl_global_init(long flags)
{
    FORWARD(curl_global_init, CURLE_FAILED_INIT, flags);
}

CURL *curl_easy_init(void)
{
    FORWARD(curl_easy_init, NULL);
}

/* In parentheses: the header has macros of these names, which check types. */
CURLcode(curl_easy_setopt)(CURL *easy, CURLoption option, ...)
{
    TAKE_ARGUMENT(option);
    FORWARD(curl_easy_setopt, CURLE_FAILED_INIT, easy, option, argument);
}

CURLcode(curl_easy_getinfo)(CURL *easy, CURLINFO info, ...)
{
    TAKE_ARGUMENT(info);
    FORWARD(curl_easy_getinfo, CURLE_FAILED_INIT, easy, info, argument);
}

CURLcode curl_easy_perform(CURL *easy)
{
    FORWARD(curl_easy_perform, CURLE_FAILED_INIT, easy);
}

CURLcode curl_easy_recv(CURL *easy, void *buffer, size_t size, size_t *got)
{
    FORWARD(curl_easy_recv, CURLE_FAILED_INIT, easy, buffer, size, got);
}

CURLcode curl_easy_send(CURL *easy, const void *buffer, size_t size, size_t *sent)
{
    FORWARD(curl_easy_send, CURLE_FAILED_INIT, easy, buffer, size, sent);
}

void curl_easy_reset(CURL *easy)
{
    FORWARD_VOID(curl_easy_reset, easy);
}

void curl_easy_cleanup(CURL *easy)
{
    FORWARD_VOID(curl_easy_cleanup, easy);
}

const char *curl_easy_strerror(CURLcode code)
{
    FORWARD(curl_easy_strerror, "libcurl is missing", code);
}

/* ---- multi ---- */

CURLM *curl_multi_init(void)
{
    FORWARD(curl_multi_init, NULL);
}

CURLMcode(curl_multi_setopt)(CURLM *multi, CURLMoption option, ...)
{
    TAKE_ARGUMENT(option);
    FORWARD(curl_multi_setopt, CURLM_INTERNAL_ERROR, multi, option, argument);
}

CURLMcode curl_multi_add_handle(CURLM *multi, CURL *easy)
{
    FORWARD(curl_multi_add_handle, CURLM_INTERNAL_ERROR, multi, easy);
}

CURLMcode curl_multi_remove_handle(CURLM *multi, CURL *easy)
{
    FORWARD(curl_multi_remove_handle, CURLM_INTERNAL_ERROR, multi, easy);
}

CURLMcode curl_multi_assign(CURLM *multi, curl_socket_t socket, void *assigned)
{
    FORWARD(curl_multi_assign, CURLM_INTERNAL_ERROR, multi, socket, assigned);
}

CURLMcode curl_multi_socket_action(CURLM *multi, curl_socket_t socket, int events, int *running)
{
    FORWARD(curl_multi_socket_action, CURLM_INTERNAL_ERROR, multi, socket, events, running);
}

CURLMsg *curl_multi_info_read(CURLM *multi, int *left)
{
    FORWARD(curl_multi_info_read, NULL, multi, left);
}

CURLMcode curl_multi_cleanup(CURLM *multi)
{
    FORWARD(curl_multi_cleanup, CURLM_INTERNAL_ERROR, multi);
}

/* ---- texts and URLs ---- */

void curl_free(void *memory)
{
    FORWARD_VOID(curl_free, memory);
}

time_t curl_getdate(const char *text, const time_t *unused)
{
    FORWARD(curl_getdate, -1, text, unused);
}

struct curl_slist *curl_slist_append(struct curl_slist *list, const char *text)
{
    FORWARD(curl_slist_append, NULL, list, text);
}

void curl_slist_free_all(struct curl_slist *list)
{
    FORWARD_VOID(curl_slist_free_all, list);
}

CURLU *curl_url(void)
{
    FORWARD(curl_url, NULL);
}

CURLUcode curl_url_get(CURLU *url, CURLUPart part, char **text, unsigned int flags)
{
    FORWARD(curl_url_get, CURLUE_OUT_OF_MEMORY, url, part, text, flags);
}

CURLUcode curl_url_set(CURLU *url, CURLUPart part, const char *text, unsigned int flags)
{
    FORWARD(curl_url_set, CURLUE_OUT_OF_MEMORY, url, part, text, flags);
}

void curl_url_cleanup(CURLU *url)
{
    FORWARD_VOID(curl_url_cleanup, url);
}
