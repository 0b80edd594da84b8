/* Alerts as JSON: shared by /alerts and /events. */
#ifndef MOONWATCH_API_ALERT_JSON_H
#define MOONWATCH_API_ALERT_JSON_H

#include "base/json.h"
#include "page/alert_board.h"

/* "cause", "subject", "component" */
void json_alert_what(struct json *json, enum finding_cause cause, unsigned subject);

/* A message to people. */
void json_alert_message(struct json *json, const struct board_message *message);

#endif
