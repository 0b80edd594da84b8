/* See alert_json.h. */
#include "api/alert_json.h"

#include "api/token_json.h"
#include <inttypes.h>
#include <stdio.h>

void json_alert_what(struct json *json, enum finding_cause cause, unsigned subject)
{
    const char *who = finding_subject_name(cause, subject);
    json_put_string(json, "cause", finding_name(cause));
    json_put_string(json, "subject", who[0] == '\0' ? NULL : who);
    json_put_string(json, "component", component_name(finding_component(cause)));
}

static void put_entry(struct json *json, const struct board_entry *entry)
{
    json_object_open(json, NULL);
    json_alert_what(json, (enum finding_cause)entry->cause, entry->subject);
    json_put_string(json, "severity", severity_name((enum severity)entry->severity));
    json_put_string(json, "change", alert_change_name((enum alert_change)entry->change));
    json_object_close(json);
}

void json_alert_message(struct json *json, const struct board_message *message)
{
    char id[32];
    snprintf(id, sizeof id, "%" PRId64, message->id); /* more than a number of JavaScript holds */
    json_object_open(json, NULL);
    json_put_string(json, "id", id);
    json_instant(json, "at", message->at);
    json_put_string(json, "kind", alert_message_kind_name((enum alert_message_kind)message->kind));
    json_put_string(json, "severity", severity_name((enum severity)message->severity));
    json_put_int(json, "alert_count", message->count + message->omitted);
    json_array_open(json, "alerts");
    for (uint32_t i = 0; i < message->count && i < BOARD_ENTRIES_MAX; i++)
        put_entry(json, &message->of[i]);
    json_array_close(json);
    json_object_open(json, "delivery");
    for (int sink = 0; sink < ALERT_SINK_COUNT; sink++)
        if (message->sinks[sink] != DELIVERY_NOT_WANTED)
            json_put_string(json, alert_sink_name((enum alert_sink)sink),
                            delivery_state_name((enum delivery_state)message->sinks[sink]));
    json_object_close(json);
    json_object_close(json);
}
