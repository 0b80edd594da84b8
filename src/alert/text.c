#include "alert/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define REST_SIZE 64 /* of the last line */

struct text {
    char *out;
    size_t size, length;
};

__attribute__((format(printf, 2, 3))) static void say(struct text *text, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text->out + text->length, text->size - text->length, format, arguments);
    va_end(arguments);
    text->length += (size_t)length;
    if (text->length >= text->size)
        text->length = text->size - 1;
}

static unsigned count_of(const struct alert_message *message, enum alert_change change)
{
    unsigned count = 0;
    for (size_t n = 0; n < message->count; n++)
        count += message->of[n].change == change;
    return count;
}

size_t alert_title(const struct alert_message *message, const struct alert_origin *origin,
                   char out[ALERT_TITLE_SIZE])
{
    struct text text = {out, ALERT_TITLE_SIZE, 0};
    const char *comma = "";
    say(&text, "moonwatch %s: ", origin->instance);
    if (message->kind == ALERT_TEST || message->kind == ALERT_RESOLVED) {
        say(&text, "%s", message->kind == ALERT_TEST ? "a test" : "all is well again");
        return text.length;
    }
    say(&text, "%s (", severity_name(message->severity));
    for (int change = 0; change < ALERT_CHANGE_COUNT; change++) {
        unsigned count = count_of(message, (enum alert_change)change);
        if (count == 0)
            continue;
        say(&text, "%s%u %s", comma, count, alert_change_name((enum alert_change)change));
        comma = ", ";
    }
    say(&text, ")");
    if (message->waited > 0)
        say(&text, "; a digest: %u changes waited for the hour's limit", message->waited);
    return text.length;
}

static void say_item(struct text *text, const struct alert_item *item)
{
    say(text, "\n\n%s %s: %s", item->change, severity_name(item->severity), item->summary);
    if (item->flaps)
        say(text, " (comes and goes: %u times)", item->onsets);
    if (!item->is_resolved)
        say(text, "\n%s", item->description);
}

size_t alert_text(const struct alert_message *message, const struct alert_origin *origin,
                  char out[ALERT_TEXT_SIZE])
{
    struct text text = {out, ALERT_TEXT_SIZE, 0};
    size_t count = alert_item_count(message), n = 0;
    text.length = alert_title(message, origin, out);
    for (; n < count; n++) {
        struct alert_item item;
        size_t before = text.length;
        alert_item(message, n, origin, &item);
        say_item(&text, &item);
        if (text.length + REST_SIZE < text.size)
            continue;
        text.length = before;
        break;
    }
    out[text.length] = '\0';
    size_t left = count - n + message->omitted;
    if (left > 0)
        say(&text, "\n\nand %zu more: GET /alerts", left);
    return text.length;
}
