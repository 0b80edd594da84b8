/*
 * A message as JSON.
 *
 * - alert_webhook_json(): what Alertmanager's webhook receivers take, version 4 of
 *   https://prometheus.io/docs/alerting/latest/configuration/#webhook_config; the command gets the
 *   same. All alerts of an installation are one group, labelled by its instance.
 * - alert_api_json(): what Alertmanager's own API takes, POST /api/v2/alerts of
 *   https://github.com/prometheus/alertmanager/blob/main/api/v2/openapi.yaml.
 */
#ifndef MOONWATCH_ALERT_DOCUMENT_H
#define MOONWATCH_ALERT_DOCUMENT_H

#include "alert/item.h"
#include "base/json.h"

/* Alertmanager takes an alert for over when it has not been told otherwise by then: longer than we
 * are ever silent about one that goes on. */
#define ALERT_API_LIFE duration_s(25 * 3600)
/* A test's. */
#define ALERT_TEST_LIFE duration_s(300)

void alert_webhook_json(struct json *json, const struct alert_message *message,
                        const struct alert_origin *origin);
void alert_api_json(struct json *json, const struct alert_message *message,
                    const struct alert_origin *origin);

#endif
