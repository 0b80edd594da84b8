/*
 * A sink that posts over HTTP. Those that do differ in a RECIPE: where to, with which headers and
 * body, and what an answer means; the rest is here.
 *
 * 2xx is a delivery. 408, 425, 429 and 5xx are tried again, Retry-After is honoured; so is what got
 * no whole answer within alert_timeout_sec. Other 4xx mean that the receiver does not want it so.
 * No redirects, nothing but HTTP, TLS verified against the system's certificates, a proxy from the
 * environment as libcurl does it. Of an answer ANSWER_MAX bytes are kept and the rest is not read.
 */
#ifndef MOONWATCH_ALERT_POST_H
#define MOONWATCH_ALERT_POST_H

#include "alert/sink.h"
#include "base/json.h"

#define POST_URL_SIZE   640
#define POST_ANSWER_MAX 4096

struct post_answer {
    int status;
    const char *body; /* NUL-terminated */
    bool has_retry_after;
    duration retry_after;
};

struct post_recipe {
    enum alert_sink sink;
    void (*url)(const struct options *options, char out[POST_URL_SIZE]);
    const char *(*bearer)(const struct options *options); /* or NULL; "": none */
    void (*body)(struct json *json, const struct alert_message *message,
                 const struct sink_world *world);
    /* Changes what the status says, where the body knows better; or NULL. */
    void (*judge)(const struct post_answer *answer, struct sink_result *result);
};

struct sink *post_create(const struct post_recipe *recipe, const struct sink_world *world);

/* For who runs world->curl_loop: this transfer has ended. */
void post_on_done(CURL *easy, CURLcode code);

#endif
