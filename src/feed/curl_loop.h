/*
 * libcurl's multi-socket interface on a libuv loop: sockets become uv_poll handles, libcurl's one
 * timeout a uv_timer. It knows nothing of what is transferred.
 * https://curl.se/libcurl/c/libcurl-multi.html
 *
 * `on_done` comes from the loop, never from within a call below, and may call everything here, its
 * own destruction included. The handles themselves stay the caller's. One loop, one thread. The
 * process should ignore SIGPIPE, since libcurl is told to leave signals alone.
 */
#ifndef MOONWATCH_FEED_CURL_LOOP_H
#define MOONWATCH_FEED_CURL_LOOP_H

#include "base/err.h"
#include <curl/curl.h>
#include <stdbool.h>
#include <uv.h>

typedef void curl_loop_on_done(void *context, CURL *easy, CURLcode code);

struct curl_loop;

/* NULL: out of memory, or libcurl does not start. */
struct curl_loop *curl_loop_create(uv_loop_t *loop, curl_loop_on_done *on_done, void *context);

/* For options of the multi handle. */
CURLM *curl_loop_multi(struct curl_loop *curl_loop);

/* Starts a transfer at the loop's next turn. ERR_INVALID, ERR_NO_MEMORY. */
enum err curl_loop_add(struct curl_loop *curl_loop, CURL *easy) MUST_CHECK;

/* Ends a transfer that is not done; its `on_done` does not come. */
void curl_loop_remove(struct curl_loop *curl_loop, CURL *easy);

/* A socket that libcurl has just opened and will close through curl_loop_close_socket(), which is
 * for CURLOPT_CLOSESOCKETFUNCTION with the curl_loop as its data: it is watched for all transfers
 * that it will serve. Both may be called from within libcurl. */
void curl_loop_keep(struct curl_loop *curl_loop, curl_socket_t socket);
int curl_loop_close_socket(void *curl_loop, curl_socket_t socket);

/* All transfers must have been removed. `on_closed` comes from the loop, once every handle is
 * closed; the memory is gone then. */
void curl_loop_destroy(struct curl_loop *curl_loop, void (*on_closed)(void *context),
                       void *context);

#endif
