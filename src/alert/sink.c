#include "alert/sink.h"

#define X(code, name) [code] = name,
static const char *const outcomes[] = {SINK_OUTCOME_LIST(X)};
#undef X

const char *sink_outcome_name(enum sink_outcome outcome)
{
    return (unsigned)outcome < SINK_OUTCOME_COUNT ? outcomes[outcome] : "unknown";
}

bool alert_sink_is_wanted(enum alert_sink sink, const struct options *options)
{
    switch (sink) {
    case ALERT_SINK_WEBHOOK:
        return options->alert_webhook_url[0] != '\0';
    case ALERT_SINK_ALERTMANAGER:
        return options->alert_alertmanager_url[0] != '\0';
    case ALERT_SINK_TELEGRAM:
        return options->alert_telegram_token[0] != '\0';
    case ALERT_SINK_COMMAND:
        return options->alert_command[0] != '\0';
    case ALERT_SINK_LOG:
    case ALERT_SINK_COUNT:
        break;
    }
    return false;
}

struct sink *alert_sink_create(enum alert_sink sink, const struct sink_world *world)
{
    switch (sink) {
    case ALERT_SINK_WEBHOOK:
        return sink_webhook_create(world);
    case ALERT_SINK_ALERTMANAGER:
        return sink_alertmanager_create(world);
    case ALERT_SINK_TELEGRAM:
        return sink_telegram_create(world);
    case ALERT_SINK_COMMAND:
        return sink_command_create(world);
    case ALERT_SINK_LOG:
    case ALERT_SINK_COUNT:
        break;
    }
    return NULL;
}
