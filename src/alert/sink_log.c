/* The sink that is always there: a line for the message, and one for each change. */
#include "alert/sink.h"

#include "alert/text.h"
#include "base/log.h"
#include <string.h>

#define LOGGER "alert"

static enum log_level level_of(const struct alert_item *item)
{
    static const enum log_level levels[SEVERITY_COUNT] = {
        [SEVERITY_INFO] = LOG_INFO,
        [SEVERITY_WARNING] = LOG_WARNING,
        [SEVERITY_ERROR] = LOG_ERROR,
        [SEVERITY_CRITICAL] = LOG_ERROR,
    };
    return item->is_resolved ? LOG_INFO : levels[item->severity];
}

static const char *value_of(const struct alert_labels *labels, const char *name)
{
    for (size_t i = 0; i < labels->count; i++)
        if (strcmp(labels->of[i].name, name) == 0)
            return labels->of[i].value;
    return "";
}

static void write_item(const struct alert_item *item)
{
    LOG_AT(level_of(item), LOGGER, item->summary, LOG_STRING("change", item->change),
           LOG_STRING("severity", severity_name(item->severity)),
           LOG_STRING("alertname", value_of(&item->labels, "alertname")),
           LOG_STRING("subject", value_of(&item->labels, "subject")),
           LOG_STRING("what_to_do", item->is_resolved ? "" : item->description));
}

void sink_log_write(const struct alert_message *message, const struct alert_origin *origin)
{
    char title[ALERT_TITLE_SIZE];
    alert_title(message, origin, title);
    LOG_AT(message->severity >= SEVERITY_WARNING && message->kind != ALERT_RESOLVED ? LOG_WARNING
                                                                                    : LOG_INFO,
           LOGGER, title, LOG_STRING("kind", alert_message_kind_name(message->kind)),
           LOG_INT("id", message->id));
    for (size_t n = 0; n < message->count; n++) {
        struct alert_item item;
        if (message->of[n].change == ALERT_GOES_ON)
            continue;
        alert_item(message, n, origin, &item);
        write_item(&item);
    }
}
