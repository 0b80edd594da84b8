/* The sink for who takes what Alertmanager sends. */
#include "alert/document.h"
#include "alert/post.h"
#include <stdio.h>

static void url(const struct options *options, char out[POST_URL_SIZE])
{
    snprintf(out, POST_URL_SIZE, "%s", options->alert_webhook_url);
}

static const char *bearer(const struct options *options)
{
    return options->alert_webhook_token;
}

static void body(struct json *json, const struct alert_message *message,
                 const struct sink_world *world)
{
    alert_webhook_json(json, message, world->origin);
}

struct sink *sink_webhook_create(const struct sink_world *world)
{
    static const struct post_recipe recipe = {ALERT_SINK_WEBHOOK, url, bearer, body, NULL};
    return post_create(&recipe, world);
}
