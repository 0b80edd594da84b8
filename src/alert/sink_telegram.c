/* The sink for a Telegram bot: https://core.telegram.org/bots/api#sendmessage. Plain text, so
 * nothing in it is taken for markup. */
#include "alert/post.h"
#include "alert/text.h"
#include "feed/reply.h"
#include <jansson.h>
#include <stdio.h>
#include <string.h>

static void url(const struct options *options, char out[POST_URL_SIZE])
{
    size_t length = strlen(options->alert_telegram_url);
    while (length > 0 && options->alert_telegram_url[length - 1] == '/')
        length--;
    snprintf(out, POST_URL_SIZE, "%.*s/bot%s/sendMessage", (int)length, options->alert_telegram_url,
             options->alert_telegram_token);
}

static void body(struct json *json, const struct alert_message *message,
                 const struct sink_world *world)
{
    char text[ALERT_TEXT_SIZE];
    alert_text(message, world->origin, text);
    json_object_open(json, NULL);
    json_put_string(json, "chat_id", world->options->alert_telegram_chat);
    json_put_string(json, "text", text);
    json_put_bool(json, "disable_web_page_preview", true);
    json_put_bool(json, "disable_notification",
                  message->kind == ALERT_RESOLVED || message->severity == SEVERITY_INFO);
    json_object_close(json);
}

/* Every answer is {"ok": …}; how long to wait stands in "parameters". An answer that is none, from
 * something between us and the API, is a failure whatever its status. */
static void judge(const struct post_answer *answer, struct sink_result *result)
{
    json_t *root = json_loads(answer->body, 0, NULL);
    const json_t *wait = json_object_get(json_object_get(root, "parameters"), "retry_after");
    json_int_t wait_s = json_integer_value(wait);
    if (wait_s > 0) {
        result->has_retry_after = true;
        result->retry_after =
            duration_s((double)(wait_s < RETRY_AFTER_MAX_S ? wait_s : RETRY_AFTER_MAX_S));
    }
    if (result->outcome == SINK_DELIVERED && !json_is_true(json_object_get(root, "ok"))) {
        result->outcome = SINK_FAILED;
        snprintf(result->detail, sizeof result->detail, "HTTP %d without \"ok\"", answer->status);
    }
    json_decref(root);
}

struct sink *sink_telegram_create(const struct sink_world *world)
{
    static const struct post_recipe recipe = {ALERT_SINK_TELEGRAM, url, NULL, body, judge};
    return post_create(&recipe, world);
}
