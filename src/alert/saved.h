/*
 * A message as the text that the store keeps: JSON, names spelled out, since numbers mean nothing
 * to another version. With it the sinks that still wait for it.
 */
#ifndef MOONWATCH_ALERT_SAVED_H
#define MOONWATCH_ALERT_SAVED_H

#include "alert/sink.h"
#include "base/err.h"
#include "base/json.h"

void alert_save(struct json *json, const struct alert_message *message, uint32_t waiting);

/* ERR_INVALID: it is no message of ours, nothing is to be believed. Causes and sinks that this
 * version does not know are left out. */
enum err alert_saved_read(int64_t id, const char *text, struct alert_message *out,
                          uint32_t *waiting) MUST_CHECK;

#endif
