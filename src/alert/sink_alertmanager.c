/* The sink for Alertmanager itself, which then groups, silences and routes as it does for others.
 */
#include "alert/document.h"
#include "alert/post.h"
#include <stdio.h>
#include <string.h>

static void url(const struct options *options, char out[POST_URL_SIZE])
{
    size_t length = strlen(options->alert_alertmanager_url);
    while (length > 0 && options->alert_alertmanager_url[length - 1] == '/')
        length--;
    snprintf(out, POST_URL_SIZE, "%.*s/api/v2/alerts", (int)length,
             options->alert_alertmanager_url);
}

static void body(struct json *json, const struct alert_message *message,
                 const struct sink_world *world)
{
    alert_api_json(json, message, world->origin);
}

struct sink *sink_alertmanager_create(const struct sink_world *world)
{
    static const struct post_recipe recipe = {ALERT_SINK_ALERTMANAGER, url, NULL, body, NULL};
    return post_create(&recipe, world);
}
